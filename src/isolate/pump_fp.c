/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker's data path. See pump.h. */
/* Syscalls: epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd2 write read sched_yield */
#include "isolate/pump.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "isolate/bucket.h"
#include "net/netmap.h"
#include "ring/kring.h"
#include "ring/slot.h"
#include "shm/clock.h"

#define TURN_SLOTS	512u /* of a ring in a turn: more than this fits no level-1 cache */
#define IDLE_ROUNDS	64u  /* after which a binding need not be looked at any more */
#define ROUNDS_A_LOOK	16u  /* busy rounds between two looks at the descriptors */
#define N_EVENTS	64
#define MAX_FRAME_SLOTS 64u /* a frame is not cut in two for as long as it has no more */

struct unm_pump {
	pthread_t thread;
	int ep;
	int command_fd;
	struct unm_pump_binding **hot;
	uint32_t n_hot, n_bindings, size;
	struct unm_spin spin;
	struct unm_bucket rate;
	struct unm_pump_stats stats;

	/* One command at a time, from the control thread. */
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct unm_pump_binding *command; /* NULL: none */
	bool command_adds;
	int command_error;
};

/* --- one turn --- */

/* Is start <= head <= tail, going round? All but @head are our own. */
static inline bool
head_ok(const struct unm_pump_ring *k, uint32_t head)
{
	return head < k->num_slots && unm_pos_dist(k->head, head, k->num_slots) <=
					      unm_pos_dist(k->head, k->tail, k->num_slots);
}

/* At most @max slots of those up to @head, but not in the middle of a frame. */
static uint32_t
cut(const struct unm_pump_ring *k, uint32_t head, uint32_t max)
{
	const uint32_t n = k->num_slots;
	uint32_t pos, i;

	if (unm_pos_dist(k->head, head, n) <= max)
		return head;
	pos = unm_pos_add(k->head, max, n);
	for (i = 0; i < MAX_FRAME_SLOTS && pos != head; i++) {
		const struct netmap_slot s =
			unm_slot_load(&k->ring->ring->slot[unm_pos_prev(pos, n)]);

		if (!(s.flags & NS_MOREFRAG))
			break;
		pos = unm_pos_next(pos, n);
	}
	return pos;
}

/* Tell the client how far the ring has come. Return: does it sleep on it? */
static bool
publish(struct unm_pump_ring *k, uint32_t hwcur, uint32_t hwtail)
{
	const bool has_moved = hwtail != k->tail;

	if (!has_moved && hwcur == k->hwcur)
		return false;
	k->hwcur = hwcur;
	k->tail = hwtail;
	unm_csb_write(k->ktoa, hwcur, hwtail);
	if (!has_moved)
		return false;
	unm_full_fence(); /* pairs with the client's, before its last look */
	if (__builtin_expect(UNM_READ_ONCE(k->atok->appl_need_kick) == 0, 1))
		return false;
	unm_exchange(&k->atok->appl_need_kick, 0);
	return true;
}

/* Return: did anything move? */
static bool
turn_tx(struct unm_pump *p, struct unm_pump_binding *b, struct unm_pump_ring *k, bool *wakes)
{
	const struct unm_csb_view v = unm_csb_read(k->atok);
	uint32_t head = k->head, hwcur, hwtail, n_new;

	if (v.head != k->head && head_ok(k, v.head)) {
		const uint32_t room = unm_bucket_room(&p->rate, TURN_SLOTS);

		if (room > 0)
			head = cut(k, v.head, room);
		else
			b->is_throttled = true;
	}
	if (head == k->head && !k->is_behind)
		return false;
	if (unm_bring_sync_at(k->ring, head, head, &hwcur, &hwtail) != 0)
		return false;
	n_new = unm_pos_dist(k->head, head, k->num_slots);
	unm_bucket_take(&p->rate, n_new);
	k->head = head;
	k->is_behind = hwcur != head;
	if (n_new == 0 && hwtail == k->tail)
		return false;
	*wakes |= publish(k, hwcur, hwtail);
	return true;
}

static bool
turn_rx(struct unm_pump_ring *k, bool *wakes)
{
	const struct unm_csb_view v = unm_csb_read(k->atok);
	const uint32_t head = head_ok(k, v.head) ? v.head : k->head;
	uint32_t hwcur, hwtail;

	if (head == k->head && UNM_READ_ONCE(k->ring->kring->hwtail) == k->tail)
		return false;
	if (unm_bring_sync_at(k->ring, head, head, &hwcur, &hwtail) != 0)
		return false;
	if (head == k->head && hwtail == k->tail)
		return false;
	k->head = head;
	*wakes |= publish(k, hwcur, hwtail);
	return true;
}

static void
call(struct unm_pump *p, const struct unm_pump_binding *b)
{
	const uint64_t one = 1;

	/* EAGAIN means that the counter is full: the client is as awake as can be. */
	if (write(b->call_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		p->stats.n_calls++;
}

/* What the client has to know of its port besides packets. */
static void
look_at_port(struct unm_pump *p, struct unm_pump_binding *b)
{
	const struct unm_bport *bp = b->bport;
	const uint32_t flags =
		UNM_READ_ONCE(bp->seg->ports[bp->info.port].flags) & UNM_PORTF_LINK_DOWN;

	if (unm_bport_gone(bp)) {
		b->is_gone = true;
		UNM_WRITE_ONCE(b->standin->state, UNM_PORT_DEAD);
		call(p, b);
	} else if (flags != b->link_flags) {
		b->link_flags = flags;
		UNM_WRITE_ONCE(b->standin->flags, flags);
		call(p, b);
	}
}

static bool
turn(struct unm_pump *p, struct unm_pump_binding *b)
{
	bool wakes = false, moved = false;
	uint32_t i;

	b->is_throttled = false;
	if (b->is_gone)
		return false;
	for (i = 0; i < b->n_rings; i++) { /* at most UNM_SEG_NKRINGS_ISO */
		struct unm_pump_ring *k = &b->rings[i];

		if (k->is_rx ? turn_rx(k, &wakes) : turn_tx(p, b, k, &wakes))
			moved = true;
	}
	if (wakes)
		call(p, b);
	return moved;
}

/* --- hot and armed --- */

static void
set_need_kick(const struct unm_pump_binding *b, bool is_asleep)
{
	uint32_t i;

	for (i = 0; i < b->n_rings; i++) {
		const struct unm_pump_ring *k = &b->rings[i];
		const uint32_t held = k->is_rx ? unm_pos_dist(k->head, k->tail, k->num_slots) : 0;

		/*
		 * A client that gives slots back need not wake us for it while there is room for
		 * more: who fills it does.
		 */
		UNM_WRITE_ONCE(k->ktoa->kern_need_kick,
			is_asleep && (!k->is_rx || held >= k->num_slots / 2));
	}
}

static bool
is_behind(const struct unm_pump_binding *b)
{
	uint32_t i;

	for (i = 0; i < b->n_rings; i++)
		if (b->rings[i].is_behind)
			return true;
	return false;
}

static void
heat(struct unm_pump *p, struct unm_pump_binding *b)
{
	b->n_idle = 0;
	if (b->is_hot)
		return;
	set_need_kick(b, false);
	b->is_hot = true;
	p->hot[p->n_hot++] = b;
}

/*
 * Ask for kicks and signals, and look once more: a binding with nothing to do is armed. One that
 * has used up the rate stays hot: time alone brings it on.
 */
static void
arm(struct unm_pump *p, uint32_t i)
{
	struct unm_pump_binding *b = p->hot[i];

	set_need_kick(b, true);
	unm_bport_arm(b->bport, (short)(POLLIN | (is_behind(b) ? POLLOUT : 0)));
	if (turn(p, b)) {
		set_need_kick(b, false);
		b->n_idle = 0;
		return;
	}
	look_at_port(p, b);
	if (b->is_throttled)
		return;
	b->is_hot = false;
	p->hot[i] = p->hot[--p->n_hot];
}

/* Return: true if nothing can be done for any binding now. */
static bool
arm_all(struct unm_pump *p)
{
	uint32_t i = p->n_hot;

	while (i-- > 0)
		arm(p, i);
	for (i = 0; i < p->n_hot; i++)
		if (!p->hot[i]->is_throttled)
			return false;
	p->stats.n_throttled += p->n_hot > 0;
	return true;
}

/* A turn for each hot binding. Return: did anything move? */
static bool
play_round(struct unm_pump *p)
{
	bool moved = false;
	uint32_t i = p->n_hot;

	p->stats.n_rounds++;
	while (i-- > 0) { /* backwards, as arm() puts the last one in the place of this one */
		struct unm_pump_binding *b = p->hot[i];

		if (turn(p, b)) {
			moved = true;
			b->n_idle = 0;
		} else if (++b->n_idle > IDLE_ROUNDS) {
			arm(p, i);
		}
	}
	return moved;
}

/* --- commands --- */

static int
watch(struct unm_pump *p, struct unm_pump_binding *b, int op)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = b};

	if (epoll_ctl(p->ep, op, b->port_fd, &ev) < 0)
		return -errno;
	return epoll_ctl(p->ep, op, b->kick_fd, &ev) < 0 ? -errno : 0;
}

static int
add(struct unm_pump *p, struct unm_pump_binding *b)
{
	int err;

	if (p->n_bindings == p->size) {
		const uint32_t size = p->size * 2 + 16;
		struct unm_pump_binding **hot =
			realloc(p->hot, size * sizeof(struct unm_pump_binding *));

		if (hot == NULL)
			return -ENOMEM;
		p->hot = hot;
		p->size = size;
	}
	err = watch(p, b, EPOLL_CTL_ADD);
	if (err < 0) {
		watch(p, b, EPOLL_CTL_DEL);
		return err;
	}
	p->n_bindings++;
	heat(p, b);
	return 0;
}

/* What the client had handed over goes out: a ring full, at most. */
static void
drain(struct unm_pump *p, struct unm_pump_binding *b)
{
	uint32_t n;

	for (n = 0; n < UNM_RING_MAX_SLOTS && turn(p, b); n += TURN_SLOTS)
		continue;
}

static void
forget(struct unm_pump *p, struct unm_pump_binding *b)
{
	uint32_t i;

	drain(p, b);
	watch(p, b, EPOLL_CTL_DEL);
	for (i = 0; i < p->n_hot; i++)
		if (p->hot[i] == b) {
			p->hot[i] = p->hot[--p->n_hot];
			break;
		}
	p->n_bindings--;
}

static void
take_command(struct unm_pump *p)
{
	uint64_t count;

	if (read(p->command_fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&p->lock);
	if (p->command != NULL) {
		p->command_error = 0;
		if (p->command_adds)
			p->command_error = add(p, p->command);
		else
			forget(p, p->command);
		p->command = NULL;
		pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
}

static int
give_command(struct unm_pump *p, struct unm_pump_binding *b, bool adds)
{
	const uint64_t one = 1;
	int err;

	pthread_mutex_lock(&p->lock);
	p->command = b;
	p->command_adds = adds;
	(void)!write(p->command_fd, &one, sizeof(one)); /* a full counter wakes as well */
	while (p->command != NULL)
		pthread_cond_wait(&p->done, &p->lock);
	err = p->command_error;
	pthread_mutex_unlock(&p->lock);
	return err;
}

int
unm_pump_add(struct unm_pump *p, struct unm_pump_binding *b)
{
	return give_command(p, b, true);
}

void
unm_pump_remove(struct unm_pump *p, struct unm_pump_binding *b)
{
	give_command(p, b, false);
}

/* --- the thread --- */

/* @timeout_ms as epoll_wait(2). */
static void
take_events(struct unm_pump *p, int timeout_ms)
{
	struct epoll_event ev[N_EVENTS];
	const int n = epoll_wait(p->ep, ev, N_EVENTS, timeout_ms);
	bool has_command = false;
	int i;

	for (i = 0; i < n; i++) {
		struct unm_pump_binding *b = ev[i].data.ptr;

		if (b == NULL) {
			has_command = true;
			continue;
		}
		heat(p, b);
		look_at_port(p, b);
	}
	if (has_command) /* last: it may free what the events are about */
		take_command(p);
}

/*
 * Look for longer, if that has paid lately. In between, whoever else wants this processor has it:
 * with few of them that is who sends or receives the frames.
 */
static bool
look_longer(struct unm_pump *p)
{
	const uint64_t budget = p->n_hot > 0 ? unm_spin_budget_ns(&p->spin) : 0;
	uint64_t end;
	bool found;

	if (budget == 0)
		return false;
	end = unm_now_ns() + budget;
	do { /* bounded by the budget */
		sched_yield();
		found = play_round(p);
	} while (!found && unm_now_ns() < end);
	unm_spin_result(&p->spin, found);
	return found;
}

static void
sleep_until_news(struct unm_pump *p)
{
	const uint64_t begin = p->spin.credit == 0 ? unm_now_ns() : 0;

	p->stats.n_sleeps++;
	take_events(p, unm_bucket_wait_ms(&p->rate));
	if (begin != 0)
		unm_spin_slept(&p->spin, unm_now_ns() - begin);
}

static void *
pump_main(void *arg)
{
	struct unm_pump *p = arg;
	uint32_t n_busy = 0;

	for (;;) { /* until the process ends */
		unm_bucket_fill(&p->rate, unm_now_ns());
		if (play_round(p)) {
			if (++n_busy % ROUNDS_A_LOOK == 0)
				take_events(p, 0);
			continue;
		}
		take_events(p, 0);
		if (look_longer(p) || !arm_all(p))
			continue;
		sleep_until_news(p);
	}
	return NULL;
}

int
unm_pump_new(struct unm_pump **out, uint64_t rate_pps)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
	struct unm_pump *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	if (p == NULL)
		return err;
	unm_bucket_init(&p->rate, rate_pps, unm_now_ns());
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->done, NULL);
	p->command_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->ep = epoll_create1(EPOLL_CLOEXEC);
	err = p->ep < 0 || p->command_fd < 0 ||
			      epoll_ctl(p->ep, EPOLL_CTL_ADD, p->command_fd, &ev) < 0
		      ? -errno
		      : 0;
	if (err == 0)
		err = -pthread_create(&p->thread, NULL, pump_main, p);
	if (err < 0) {
		if (p->ep >= 0)
			close(p->ep);
		if (p->command_fd >= 0)
			close(p->command_fd);
		free(p);
		return err;
	}
	*out = p;
	return 0;
}
