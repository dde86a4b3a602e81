/* SPDX-License-Identifier: BSD-2-Clause */
/* Option EXTMEM: which file is behind memory that the application brings? */
#ifndef UNM_CLIENT_EXTMEM_H
#define UNM_CLIENT_EXTMEM_H

#include <stdint.h>

/**
 * unm_extmem_find() - a descriptor of the memory [@addr, @addr + @size), for netmapd and other
 * processes to map
 * @fd:  written on success; the caller closes it
 * @ofs: where in the file the memory begins
 *
 * Memory with no file behind it is given one: it keeps its address and contents, but becomes a
 * shared mapping of a new memfd. No other thread may write to it meanwhile.
 * Return: 0, -EINVAL not page-aligned or empty, -EFAULT not all of it is mapped and writable, or
 * its file can't be had, -ENOMEM, -EMFILE.
 */
int unm_extmem_find(uint64_t addr, uint64_t size, int *fd, uint64_t *ofs);

#endif
