/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker's data path. See pump.h. */
/* Syscalls: epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd2 write read sched_yield */
/* Syscalls: timerfd_create timerfd_settime rt_sigaction tgkill */
#include "isolate/pump.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "isolate/bucket.h"
#include "isolate/turn_fp.h"
#include "shm/clock.h"
#include "vm/event_fd.h"

#define IDLE_ROUNDS   64u		/* after which a binding need not be looked at any more */
#define ROUNDS_A_LOOK 16u		/* busy rounds between two looks at the descriptors */
#define CALL_LIMIT_NS UINT64_C(2000000) /* waking a hundred threads takes a tenth of it */
#define CALL_STRIKES  5u /* calls in a row above the limit: one may be the machine's fault */
#define N_EVENTS      64

/*
 * A kick that brings no work is a client's mistake or malice: after a burst of UNM_BUCKET_MIN, more
 * than so many a second mute it for so long. So whatever a client kicks, it costs us at most
 * FALSE_KICKS_A_SECOND + 1000 / MUTE_MS wake-ups with a turn each in a second.
 */
#define FALSE_KICKS_A_SECOND 100u
#define MUTE_MS		     20u

#define KICK_MARK	     UINT64_C(1) /* in the data of an event: of the client, not of peers */

struct unm_pump {
	pthread_t thread;
	int ep;
	int command_fd;
	struct unm_pump_binding **hot;
	uint32_t n_hot, n_bindings, size;
	bool has_full; /* in this round a client was seen that has much to read */
	struct unm_pump_binding *muted;
	uint64_t unmute_ns; /* when they are looked at again */
	struct unm_spin spin;
	struct unm_bucket rate;
	struct unm_pump_stats stats;

	/* One command at a time, from the control thread. */
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct unm_pump_binding *command; /* NULL: none */
	enum unm_pump_command { ADD, REMOVE, CALL } command_kind;
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
	const uint64_t begin = cpu_now_ns();

	p->stats.n_calls++;
	if (__builtin_expect(unm_event_signal(b->call_fd) < 0, 0))
		give_up(b); /* the client has made it full and blocking: event_fd.h */
	else if (__builtin_expect(cpu_now_ns() - begin <= CALL_LIMIT_NS, 1))
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
		UNM_READ_ONCE(bp->seg->ports[bp->info.port].flags) & UNM_ISO_PORT_FLAGS;

	if (b->is_gone)
		return;
	if (unm_bport_gone(bp)) {
		give_up(b);
		call(p, b);
	} else if (flags != b->port_flags) {
		b->port_flags = flags;
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

/* --- kicks for nothing --- */

static int
watch_kicks(struct unm_pump *p, struct unm_pump_binding *b, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u64 = (uintptr_t)b | KICK_MARK};

	return epoll_ctl(p->ep, op, b->kick_fd, &ev) < 0 ? -errno : 0;
}

static void
mute(struct unm_pump *p, struct unm_pump_binding *b, uint64_t now_ns)
{
	if (b->is_muted || watch_kicks(p, b, EPOLL_CTL_MOD, 0) < 0)
		return;
	if (p->muted == NULL)
		p->unmute_ns = now_ns + MUTE_MS * UINT64_C(1000000);
	b->is_muted = true;
	b->next_muted = p->muted;
	p->muted = b;
	p->stats.n_muted++;
}

static void
forget_muted(struct unm_pump *p, const struct unm_pump_binding *b)
{
	struct unm_pump_binding **pp = &p->muted;

	while (*pp != NULL && *pp != b)
		pp = &(*pp)->next_muted;
	if (*pp != NULL)
		*pp = b->next_muted;
}

/* One that is cold is armed, and stays so: that it kicks does not make it hot, but work does. */
static void
take_kick(struct unm_pump *p, struct unm_pump_binding *b)
{
	uint64_t now;

	if (b->is_hot)
		return;
	if (turn(p, b)) {
		heat(p, b);
		return;
	}
	now = unm_now_ns();
	unm_bucket_fill(&b->kicks, now);
	unm_bucket_take(&b->kicks, 1);
	if (unm_bucket_room(&b->kicks, 1) == 0)
		mute(p, b, now);
}

/* Their time is over: listen to them again, and see what they may have had to say. */
static void
unmute_all(struct unm_pump *p)
{
	struct unm_pump_binding *b = p->muted;

	p->muted = NULL;
	while (b != NULL) { /* as many bindings as there are, at most */
		struct unm_pump_binding *next = b->next_muted;

		b->is_muted = false;
		watch_kicks(p, b, EPOLL_CTL_MOD, EPOLLIN | EPOLLET);
		if (!b->is_hot && turn(p, b))
			heat(p, b);
		b = next;
	}
}

/* Milliseconds until then, 0: now; -1: nobody is muted. */
static int
unmute_wait_ms(const struct unm_pump *p)
{
	const uint64_t now = p->muted != NULL ? unm_now_ns() : 0;

	if (p->muted == NULL)
		return -1;
	return now >= p->unmute_ns ? 0 : (int)((p->unmute_ns - now) / 1000000 + 1);
}

/* --- commands --- */

/* Descriptors that bring frames, or take them: of interfaces and their host rings. */
static int
watch_rings(struct unm_pump *p, struct unm_pump_binding *b, int op)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = b};
	uint32_t i;

	for (i = 0; i < b->n_rings; i++) {
		const int fd = b->rings[i].ring->fd;

		/* The two rings of a queue have the same one. */
		if (fd >= 0 && epoll_ctl(p->ep, op, fd, &ev) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int
watch(struct unm_pump *p, struct unm_pump_binding *b, int op)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = b};
	int err;

	if (epoll_ctl(p->ep, op, b->port_fd, &ev) < 0)
		return -errno;
	err = watch_kicks(p, b, op, EPOLLIN | EPOLLET);
	return err == 0 || op == EPOLL_CTL_DEL ? watch_rings(p, b, op) : err;
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
	unm_bucket_init(&b->kicks, FALSE_KICKS_A_SECOND, unm_now_ns());
	err = watch(p, b, EPOLL_CTL_ADD);
	if (err < 0) {
		watch(p, b, EPOLL_CTL_DEL);
		return err;
	}
	p->n_bindings++;
	heat(p, b);
	return 0;
}

/*
 * What the client had handed over goes out: a ring full, at most. Also above the rate, unless that
 * was done already for one that has ended and is still to be paid for.
 */
static void
drain(struct unm_pump *p, struct unm_pump_binding *b)
{
	const int64_t advance =
		p->rate.level >= -(int64_t)UNM_TURN_SLOTS ? (int64_t)UNM_PORT_MAX_SLOTS : 0;
	uint32_t n;

	p->rate.level += advance;
	for (n = 0; n < UNM_PORT_MAX_SLOTS / UNM_TURN_MIN && turn(p, b); n++)
		continue;
	p->rate.level -= advance;
}

static void
forget(struct unm_pump *p, struct unm_pump_binding *b)
{
	uint32_t i;

	drain(p, b);
	watch(p, b, EPOLL_CTL_DEL);
	forget_muted(p, b);
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
		if (p->command_kind == ADD)
			p->command_error = add(p, p->command);
		else if (p->command_kind == REMOVE)
			forget(p, p->command);
		else if (!p->command->is_gone)
			call(p, p->command);
		p->command = NULL;
		pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
}

static int
give_command(struct unm_pump *p, struct unm_pump_binding *b, enum unm_pump_command kind)
{
	const uint64_t one = 1;
	int err;

	pthread_mutex_lock(&p->lock);
	p->command = b;
	p->command_kind = kind;
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
	return give_command(p, b, ADD);
}

void
unm_pump_remove(struct unm_pump *p, struct unm_pump_binding *b)
{
	give_command(p, b, REMOVE);
}

void
unm_pump_call(struct unm_pump *p, struct unm_pump_binding *b)
{
	give_command(p, b, CALL);
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
		struct unm_pump_binding *b =
			(struct unm_pump_binding *)(uintptr_t)(ev[i].data.u64 & ~KICK_MARK);

		if (b == NULL) {
			has_command = true;
		} else if (ev[i].data.u64 & KICK_MARK) {
			take_kick(p, b);
		} else {
			heat(p, b);
			look_at_port(p, b);
		}
	}
	if (unmute_wait_ms(p) == 0)
		unmute_all(p);
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
	const int rate_ms = unm_bucket_wait_ms(&p->rate), mute_ms = unmute_wait_ms(p);

	p->stats.n_sleeps++;
	take_events(p, rate_ms < 0 || (mute_ms >= 0 && mute_ms < rate_ms) ? mute_ms : rate_ms);
	if (begin != 0)
		unm_spin_slept(&p->spin, unm_now_ns() - begin);
}

static void *
pump_main(void *arg)
{
	struct unm_pump *p = arg;
	uint32_t n_busy = 0;

	if (unm_event_watchdog_start() < 0)
		unm_log(LOG_WARNING, "no watchdog: a client can keep the others waiting");
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
