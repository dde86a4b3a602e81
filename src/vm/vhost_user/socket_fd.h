/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UNIX sockets that a front end hands over to be written to: signals of User-Mode Linux, and the
 * channel back.
 *
 * Whoever holds a socket holds more than that. Were it the front end's own end of its connection,
 * or another's, or were that one to lie in its queue as a descriptor that was sent and not yet
 * received, then this process would keep the connection alive, after the front end's death too, and
 * nobody else would be served. So a socket is one of a pair, which has no name at either end, while
 * a connection to or from us has one; and it can't be sent anything.
 */
#ifndef UNM_VM_VHOST_USER_SOCKET_FD_H
#define UNM_VM_VHOST_USER_SOCKET_FD_H

#include "shm/closer.h"

/*
 * Check a socket from a front end, and take away that its other end can write to it. What a look does
 * not show (urgent data) is thrown away. @q: the front end's. Return: NULL, or what is wrong with it.
 */
const char *unm_vu_socket_check(int fd, struct unm_closer_queue *q);

#endif
