/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lock words whose holder does not exist: the client died before netmapd could see its session, or
 * somebody has overwritten the word.
 *
 * A client that netmapd knows is never suspected, though the word may be garbage that looks like
 * it: its locks are broken when it ends.
 */
#include "daemon/bitmap.h"
#include "daemon/server.h"
#include "shm/lock.h"

bool
unm_lock_is_dead(const struct unm_server *srv, uint32_t word)
{
	const uint32_t slot = word & UNM_LOCK_SLOT_MASK;

	if (word == 0)
		return false;
	if ((word & ~(UNM_LOCK_CONTENDED | UNM_LOCK_SLOT_MASK)) != 0)
		return true;
	/* netmapd holds locks only within one step of its loop, so its own number is garbage too */
	return slot == 0 || slot >= UNM_SLOT_NETMAPD || !unm_bit_test(srv->slots_used, slot);
}

static void
free_dead(const struct unm_server *srv, uint32_t *word)
{
	const uint32_t seen = UNM_READ_ONCE(*word);

	if (unm_lock_is_dead(srv, seen) && unm_cas(word, seen, 0))
		unm_lock_wake(word);
}

void
unm_free_dead_locks(const struct unm_server *srv, struct unm_dseg *seg)
{
	uint32_t i;

	for (i = 0; i < seg->top_kring; i++) {
		free_dead(srv, &seg->krings[i].lock);
		free_dead(srv, &seg->krings[i].busy);
	}
	for (i = 0; i < seg->top_binding; i++)
		free_dead(srv, &seg->bindings[i].kloop_running);
}
