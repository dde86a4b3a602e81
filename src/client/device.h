/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the file operations of /dev/netmap do: the meaning behind the interposed calls.
 *
 * Each takes a descriptor number that the table has an entry for, follows the kernel's convention
 * (-1 and errno), and leaves errno alone when it succeeds.
 */
#ifndef UNM_CLIENT_DEVICE_H
#define UNM_CLIENT_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "client/desc.h"

/* One of our ioctl numbers? Then even an unknown descriptor may be one of ours. */
bool unm_device_is_ioctl(unsigned long req);

int unm_device_ioctl(int fd, unsigned long req, void *arg);

void *unm_device_mmap(int fd, void *addr, size_t len, int prot, int flags, off_t ofs);

/*
 * One pass of poll(2) on a descriptor: ready bits among @events, POLLERR. Inside an epoch section.
 */
short unm_device_poll(struct unm_desc *d, short events);

/* The netmap descriptor behind @fd with a reference, or NULL. */
struct unm_desc *unm_device_hold(int fd);

#endif
