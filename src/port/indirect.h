/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NS_INDIRECT: payload at an address of the sending process (spec 9).
 *
 * The address may be bad, and a bad one must cost a frame, not the process. So the payload of a
 * batch is fetched into bounce buffers by process_vm_readv(2) on ourselves, one call for all of it,
 * and the frame is forwarded from there. What lies in memory that the process has declared to be
 * good (trusted.h) needs none of this.
 */
#ifndef UNM_PORT_INDIRECT_H
#define UNM_PORT_INDIRECT_H

#include "port/port.h"
#include "vale/forward.h"

#define UNM_INDIRECT_BUFS                                                                          \
	1024u /* fragments of a batch that may be indirect; also the kernel's limit of one call */

/**
 * unm_indirect_frag() - reserve a bounce buffer for slot @v and note what to fetch
 * @n: number noted so far, counted up
 *
 * Return: where the payload will be, or NULL: too long, or no memory or no place for the bounce
 * buffers.
 */
const uint8_t *unm_indirect_frag(struct unm_vale_src *s, const struct unm_bring *r,
	const struct netmap_slot *v, unsigned int *n);

/*
 * Fetch all @n noted payloads. A frame with an unreadable one is void: its n_frags becomes 0, its
 * fault a bad slot.
 */
void unm_indirect_fetch(struct unm_vale_src *s, unsigned int n);

/* Read one payload. Return: false if the address is bad. */
bool unm_indirect_read(uint64_t addr, uint32_t len, void *dst);

#endif
