/* SPDX-License-Identifier: BSD-2-Clause */
/* The waker's slow half: somebody sleeps. See wake.h. */
#include <unistd.h>

#include "ring/wake.h"
#include "shm/clock.h"

#define MAX_RESTARTS 4 /* of a walk; netmapd would have to be faster than us that often */

unsigned int
unm_wake_port(const struct unm_env *env, const struct unm_seg *seg, uint32_t port, uint32_t mask)
{
	unsigned int n_signals = 0, restarts = MAX_RESTARTS;
	uint32_t i, next, left;

	if (port >= seg->n_ports)
		return 0;
	i = UNM_READ_ONCE(seg->ports[port].bind_head);
	for (left = seg->n_bindings; i < seg->n_bindings && left > 0;
		left--) { /* a damaged list may be a cycle */
		struct unm_seg_binding *b = &seg->bindings[i];

		/*
		 * Seen by the sleeper's own walk of its rings if we come too early: it looks again
		 * after its fence.
		 */
		if (UNM_READ_ONCE(b->want) & mask) {
			const uint32_t had = unm_exchange(&b->want, 0);

			if (had & mask) {
				const int fd = env->wake_fd(seg, i, UNM_READ_ONCE(b->gen));
				const uint64_t one = 1;

				UNM_WRITE_ONCE(b->signalled_us, unm_now_us());
				/*
				 * EAGAIN means that the counter is full: the sleeper is as awake as
				 * can be.
				 */
				if (fd >= 0 && write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
					n_signals++;
			}
		}
		next = unm_load_acquire(
			&b->next); /* pairs with netmapd's release of it, after b->port */
		/*
		 * Taken out and given to another port under our feet: its list is not ours. Ours
		 * still has the others.
		 */
		if (__builtin_expect(UNM_READ_ONCE(b->port) != port && restarts > 0, 0)) {
			restarts--;
			next = UNM_READ_ONCE(seg->ports[port].bind_head);
		}
		i = next;
	}
	return n_signals;
}
