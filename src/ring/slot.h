/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots, read once and written once.
 *
 * A slot is 16 bytes that an application (ours or another's) may change at any moment. It is loaded
 * into a private copy with two 64-bit loads, checked there, and never looked at again in the same
 * sync.
 */
#ifndef UNM_RING_SLOT_H
#define UNM_RING_SLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/time.h>
#include <sys/ioctl.h>
#include <net/if.h>
#include <net/netmap.h>

#define UNM_BUF_FIRST 2u /* indices 0 and 1 are reserved (spec 10.1) */

static inline struct netmap_slot
unm_slot_load(const struct netmap_slot *s)
{
	const uint64_t *w = (const uint64_t *)(const void *)s;
	uint64_t copy[2];
	struct netmap_slot out;

	copy[0] = __atomic_load_n(&w[0], __ATOMIC_RELAXED);
	copy[1] = __atomic_load_n(&w[1], __ATOMIC_RELAXED);
	memcpy(&out, copy, sizeof(out));
	return out;
}

static inline void
unm_slot_store(struct netmap_slot *s, struct netmap_slot v)
{
	uint64_t *w = (uint64_t *)(void *)s;
	uint64_t copy[2];

	memcpy(copy, &v, sizeof(copy));
	__atomic_store_n(&w[0], copy[0], __ATOMIC_RELAXED);
	__atomic_store_n(&w[1], copy[1], __ATOMIC_RELAXED);
}

/* Length and flags together, in one store; buf_idx and ptr stay. */
static inline void
unm_slot_store_len_flags(struct netmap_slot *s, uint16_t len, uint16_t flags)
{
	struct {
		uint16_t len, flags;
	} v = {len, flags};
	uint32_t word;

	memcpy(&word, &v, sizeof(word));
	__atomic_store_n((uint32_t *)(void *)&s->len, word, __ATOMIC_RELAXED);
}

static inline bool
unm_buf_idx_ok(uint32_t idx, uint32_t n_bufs)
{
	return idx >= UNM_BUF_FIRST && idx < n_bufs;
}

#endif
