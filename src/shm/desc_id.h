/* SPDX-License-Identifier: BSD-2-Clause */
/* Is a socket that a client hands over the D, or C, of the descriptor that it says (proto.h)? */
#ifndef UNM_SHM_DESC_ID_H
#define UNM_SHM_DESC_ID_H

#include <stdint.h>

/**
 * unm_desc_id_check() - is @fd a D, and does it bear the name made of @id (16 bytes)?
 *
 * Whoever holds a socket keeps its other end from hanging up by what hangs on this one. So a D is a
 * stream (a session is none), one of a pair (its other end has no name, as another D and whatever a
 * server has accepted have) and connected for good. Never waits, whatever @fd is.
 *
 * Abstract names belong to a network namespace, but a socket carries its own wherever it goes: this
 * works across namespaces. Return: 0, -EINVAL.
 */
int unm_desc_id_check(int fd, const uint8_t *id);

/**
 * unm_desc_cookie() - the kernel's number of the UNIX socket @fd, which no other one ever gets
 *
 * Never waits, whatever @fd is. Return: 0 if it is no UNIX socket.
 */
uint64_t unm_desc_cookie(int fd);

#endif
