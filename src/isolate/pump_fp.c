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
#include <time.h>
#include <unistd.h>

#include "isolate/bucket.h"
#include "isolate/turn_fp.h"
#include "shm/clock.h"

#define IDLE_ROUNDS   64u		/* after which a binding need not be looked at any more */
#define ROUNDS_A_LOOK 16u		/* busy rounds between two looks at the descriptors */
#define CALL_LIMIT_NS UINT64_C(2000000) /* waking a hundred threads takes a tenth of it */
#define CALL_STRIKES  5u /* calls in a row above the limit: one may be the machine's fault */
#define N_EVENTS      64

struct unm_pump {
	pthread_t thread;
	int ep;
	int command_fd;
	struct unm_pump_binding **hot;
	uint32_t n_hot, n_bindings, size;
	bool has_full; /* in this round a client was seen that has much to read */
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

static uint64_t
cpu_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The client has to learn that its port is no more. */
static void
give_up(struct unm_pump_binding *b)
{
	b->is_gone = true;
	UNM_WRITE_ONCE(b->standin->state, UNM_PORT_DEAD);
}

/*
 * Signal the client. What that costs is up to it: the kernel calls whoever it has put to wait on the
 * eventfd, and these may be very many. Others would pay, so such a client loses its port.
 */
static void
call(struct unm_pump *p, struct unm_pump_binding *b)
{
	const uint64_t begin = cpu_now_ns(), one = 1;

	/* EAGAIN means that the counter is full: the client is as awake as can be. */
	if (write(b->call_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		p->stats.n_calls++;
	if (__builtin_expect(cpu_now_ns() - begin <= CALL_LIMIT_NS, 1))
		b->n_slow_calls = 0;
	else if (++b->n_slow_calls == CALL_STRIKES)
		give_up(b);
}

/* What the client has to know of its port besides packets. */
static void
look_at_port(struct unm_pump *p, struct unm_pump_binding *b)
{
	const struct unm_bport *bp = b->bport;
	const uint32_t flags =
		UNM_READ_ONCE(bp->seg->ports[bp->info.port].flags) & UNM_PORTF_LINK_DOWN;

	if (b->is_gone)
		return;
	if (unm_bport_gone(bp)) {
		give_up(b);
		call(p, b);
	} else if (flags != b->link_flags) {
		b->link_flags = flags;
		UNM_WRITE_ONCE(b->standin->flags, flags);
		call(p, b);
	}
}

/* Return: did anything move? */
static bool
turn(struct unm_pump *p, struct unm_pump_binding *b)
{
	uint32_t done;

	if (b->is_gone)
		return false;
	done = unm_turn(b, &p->rate);
	p->has_full = p->has_full || (done & UNM_TURN_FULL);
	if (done & UNM_TURN_CALL)
		call(p, b);
	return (done & UNM_TURN_MOVED) != 0;
}

/* --- hot and armed --- */

static void
heat(struct unm_pump *p, struct unm_pump_binding *b)
{
	b->n_idle = 0;
	if (b->is_hot)
		return;
	unm_turn_need_kick(b, false);
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

	unm_turn_need_kick(b, true);
	unm_bport_arm(b->bport, (short)(POLLIN | (unm_turn_is_behind(b) ? POLLOUT : 0)));
	if (turn(p, b)) {
		unm_turn_need_kick(b, false);
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

	for (n = 0; n < UNM_RING_MAX_SLOTS && turn(p, b); n += UNM_TURN_SLOTS)
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
		p->has_full = false;
		if (play_round(p)) {
			if (p->has_full)
				sched_yield(); /* to whoever has to read it, if here */
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
