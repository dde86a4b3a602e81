/* SPDX-License-Identifier: BSD-2-Clause */
/* Status of the NICs, a line of JSON each. nm-vhost-user(1) describes the members. */
#ifndef VH_STATUS_H_
#define VH_STATUS_H_

#include "nic.h"

/*
 * At the start, for @n NICs: a pipe shall take a line of each, as what it has no room for is lost.
 */
void vh_status_make_room(int fd, unsigned int n);

/* Does not wait for a reader. */
void vh_status_print(int fd, const struct vh_nic *nic, unsigned int n);

#endif /* VH_STATUS_H_ */
