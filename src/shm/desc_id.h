/* SPDX-License-Identifier: BSD-2-Clause */
/* Is a socket that a client hands over the D of the descriptor that it says (proto.h)? */
#ifndef UNM_SHM_DESC_ID_H
#define UNM_SHM_DESC_ID_H

#include <stdint.h>

/**
 * unm_desc_id_check() - does @fd bear the name made of @id (16 bytes)?
 *
 * Abstract names belong to a network namespace, but a socket carries its own wherever it goes: this
 * works across namespaces. Return: 0, -EINVAL.
 */
int unm_desc_id_check(int fd, const uint8_t *id);

#endif
