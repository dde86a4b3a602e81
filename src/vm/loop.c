/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop of a device server. See loop.h. */
#include "vm/loop.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "client/spin.h"
#include "shm/atomic.h"
#include "shm/clock.h"
#include "vm/guest_guard.h"
#include "vm/net_priv.h"

/* While there is work, sockets are looked at so often */
#define CONTROL_NS UINT64_C(1000000)
/*
 * Between two looks at the clock while there is work: rounds, or frames, of which a round can move
 * many, and long ones
 */
#define CLOCK_ROUNDS 16u
#define CLOCK_FRAMES 128u

struct watch {
	int fd;
	short events;
	unm_loop_fn *fn;
	void *arg;
	uint64_t serial; /* never used twice: a watch gets nothing that was polled for another */
};

struct unm_loop {
	uint64_t control_ns; /* before then the sockets are not looked at, while there is work */
	struct unm_net *net[UNM_GUEST_MAX_GUARDS];
	unsigned int n_nets;
	struct watch *watch;
	unsigned int n_watches, watch_room;
	uint64_t last_serial;
	unm_loop_lost_fn *lost_fn;
	void *lost_arg;
	unm_loop_link_fn *link_fn;
	void *link_arg;
	struct unm_spin spin;
	struct pollfd *fds;
	uint64_t *serials; /* of the watches among fds */
	unsigned int fds_room;
	int stop_fd;
	uint32_t stopped;
};

struct unm_loop *
unm_loop_new(void)
{
	struct unm_loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->stop_fd < 0) {
		free(l);
		return NULL;
	}
	return l;
}

void
unm_loop_free(struct unm_loop *l)
{
	if (l == NULL)
		return;
	close(l->stop_fd);
	free(l->watch);
	free(l->fds);
	free(l->serials);
	free(l);
}

/* Have room for all descriptors of a sleep, with as many watches. */
static int
grow_fds(struct unm_loop *l, unsigned int n_watches)
{
	unsigned int need = 1 + n_watches, i;
	struct pollfd *fds;
	uint64_t *serials;

	for (i = 0; i < l->n_nets; i++)
		need += unm_net_max_fds(l->net[i]);
	if (need <= l->fds_room)
		return 0;
	fds = realloc(l->fds, need * sizeof(*fds));
	if (fds == NULL)
		return -ENOMEM;
	l->fds = fds;
	serials = realloc(l->serials, need * sizeof(*serials));
	if (serials == NULL)
		return -ENOMEM;
	l->serials = serials;
	l->fds_room = need;
	return 0;
}

int
unm_loop_add(struct unm_loop *l, struct unm_net *n)
{
	unsigned int i;
	int err;

	for (i = 0; i < l->n_nets; i++)
		if (l->net[i] == n)
			return -EEXIST;
	if (l->n_nets == UNM_GUEST_MAX_GUARDS)
		return -ENOSPC;
	l->net[l->n_nets++] = n;
	err = grow_fds(l, l->watch_room);
	if (err != 0)
		l->n_nets--;
	return err;
}

void
unm_loop_remove(struct unm_loop *l, struct unm_net *n)
{
	unsigned int i;

	for (i = 0; i < l->n_nets; i++) {
		if (l->net[i] != n)
			continue;
		l->n_nets--;
		l->net[i] = l->net[l->n_nets];
		return;
	}
}

static struct watch *
find_watch(const struct unm_loop *l, int fd)
{
	unsigned int i;

	for (i = 0; i < l->n_watches; i++)
		if (l->watch[i].fd == fd)
			return &l->watch[i];
	return NULL;
}

int
unm_loop_watch(struct unm_loop *l, int fd, short events, unm_loop_fn *fn, void *arg)
{
	struct watch *w = find_watch(l, fd);

	if (w == NULL && l->n_watches == l->watch_room) {
		const unsigned int room = l->watch_room > 0 ? 2 * l->watch_room : 16;
		struct watch *more = realloc(l->watch, room * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		l->watch = more;
		if (grow_fds(l, room) != 0)
			return -ENOMEM; /* the room is not there: the next one tries again */
		l->watch_room = room;
	}
	if (w == NULL)
		w = &l->watch[l->n_watches++];
	*w = (struct watch){fd, events, fn, arg, ++l->last_serial};
	return 0;
}

void
unm_loop_unwatch(struct unm_loop *l, int fd)
{
	struct watch *w = find_watch(l, fd);

	if (w != NULL)
		*w = l->watch[--l->n_watches];
}

void
unm_loop_on_port_lost(struct unm_loop *l, unm_loop_lost_fn *fn, void *arg)
{
	l->lost_fn = fn;
	l->lost_arg = arg;
}

void
unm_loop_on_link(struct unm_loop *l, unm_loop_link_fn *fn, void *arg)
{
	l->link_fn = fn;
	l->link_arg = arg;
}

/* Fill in the watches from fds[@at] on. Return: their number. */
static unsigned int
fill_watches(struct unm_loop *l, unsigned int at)
{
	unsigned int i;

	for (i = 0; i < l->n_watches; i++) {
		l->fds[at + i] =
			(struct pollfd){.fd = l->watch[i].fd, .events = l->watch[i].events};
		l->serials[at + i] = l->watch[i].serial;
	}
	return l->n_watches;
}

/*
 * Deliver what was found. A callback may change the watches: each is looked up again by its number.
 */
static void
deliver_watches(struct unm_loop *l, unsigned int at, unsigned int n)
{
	unsigned int i, k;

	for (i = at; i < at + n && i < l->fds_room; i++) {
		const short revents = l->fds[i].revents;
		const uint64_t serial = l->serials[i];

		if (revents == 0)
			continue;
		for (k = 0; k < l->n_watches; k++) {
			const struct watch w = l->watch[k];

			if (w.serial != serial)
				continue;
			w.fn(w.arg, revents);
			break;
		}
	}
}

/* A look at the sockets while there is work. */
static void
look_at_control(struct unm_loop *l)
{
	const unsigned int n = fill_watches(l, 0);

	if (n > 0 && poll(l->fds, n, 0) > 0)
		deliver_watches(l, 0, n);
}

/* Return: something was told. */
static bool
tell_change(struct unm_loop *l)
{
	unsigned int i;

	for (i = 0; i < l->n_nets; i++) {
		struct unm_net *n = l->net[i];
		bool up;

		if (unm_net_is_lost_anew(n) && l->lost_fn != NULL) {
			l->lost_fn(l->lost_arg, n);
			return true; /* it may have removed devices */
		}
		if (unm_net_link_has_changed(n, &up) && l->link_fn != NULL) {
			l->link_fn(l->link_arg, n, up);
			return true;
		}
	}
	return false;
}

/* Ports that have gone, and links that went up or down since the last time. */
static void
tell_changes(struct unm_loop *l)
{
	unsigned int left;

	for (left = 2 * l->n_nets; left > 0 && tell_change(l); left--) /* a loss and a link each */
		;
}

static unsigned int
work(struct unm_loop *l)
{
	unsigned int i, total = 0;

	for (i = 0; i < l->n_nets; i++)
		total += unm_net_work(l->net[i]);
	return total;
}

/* Calls that are due. Return: when the next one is, UINT64_MAX if there is none. */
static uint64_t
timers(struct unm_loop *l, uint64_t now)
{
	uint64_t deadline = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < l->n_nets; i++)
		unm_net_timers(l->net[i], now, &deadline);
	return deadline;
}

/* The sleep itself. Return: 0 or a negative errno. */
static int
sleep_until(struct unm_loop *l, uint64_t now, uint64_t deadline)
{
	struct timespec ts = {0};
	unsigned int start[UNM_GUEST_MAX_GUARDS + 1], n = 0, i, n_watches;
	int found;

	for (i = 0; i < l->n_nets; i++) {
		start[i] = n;
		n += unm_net_fds(l->net[i], l->fds + n);
	}
	start[i] = n;
	n_watches = fill_watches(l, n);
	l->fds[n + n_watches] = (struct pollfd){.fd = l->stop_fd, .events = POLLIN};
	if (deadline != UINT64_MAX && deadline > now)
		ts = unm_timespec(deadline - now);
	found = ppoll(l->fds, n + n_watches + 1, deadline != UINT64_MAX ? &ts : NULL, NULL);
	if (found < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < l->n_nets; i++)
		unm_net_fds_ready(l->net[i], l->fds + start[i], start[i + 1] - start[i]);
	if (found > 0)
		deliver_watches(l, n, n_watches);
	return 0;
}

/* Ask for kicks, and sleep unless something has come meanwhile. */
static int
try_sleep(struct unm_loop *l, bool looked)
{
	uint64_t now = unm_now_ns();
	const uint64_t deadline = timers(l, now);
	bool quiet = true;
	unsigned int i;
	int err = 0;

	for (i = 0; i < l->n_nets; i++)
		quiet &= unm_net_sleep_prepare(l->net[i]);
	if (quiet && !UNM_READ_ONCE(l->stopped)) {
		err = sleep_until(l, now, deadline);
		if (!looked)
			unm_spin_slept(&l->spin, unm_now_ns() - now);
	} else if (now >= l->control_ns) {
		l->control_ns = now + CONTROL_NS;
		look_at_control(l); /* no guest keeps us from it by having work that is none */
	}
	for (i = 0; i < l->n_nets; i++)
		unm_net_sleep_end(l->net[i]);
	return err;
}

/*
 * Look for work for as long as that has paid lately; calls that become due meanwhile are made. Return:
 * there is some, and it is done.
 */
static bool
spin(struct unm_loop *l, bool *looked)
{
	const uint64_t budget = unm_spin_budget_ns(&l->spin);
	uint64_t now, until, due;
	bool found;

	*looked = budget > 0;
	if (budget == 0)
		return false;
	now = unm_now_ns();
	until = now + budget;
	due = timers(l, now);
	do { /* bounded by the budget */
		sched_yield();
		found = work(l) > 0;
		now = unm_now_ns();
		if (now >= due)
			due = timers(l, now);
	} while (!found && now < until);
	unm_spin_result(&l->spin, found);
	return found;
}

int
unm_loop_run(struct unm_loop *l)
{
	unsigned int rounds = 0, done;
	bool looked = false;
	int err = 0;

	while (err == 0 && !UNM_READ_ONCE(l->stopped)) {
		done = work(l);
		/* Looks may pay for as long as a guest likes: the rest has its turn after each of them. */
		if (done == 0 && spin(l, &looked))
			done = CLOCK_FRAMES;
		if (done > 0) {
			rounds += 1 + done / (CLOCK_FRAMES / CLOCK_ROUNDS);
			if (rounds >= CLOCK_ROUNDS) {
				const uint64_t now = unm_now_ns();

				rounds = 0;
				timers(l, now);
				if (now >= l->control_ns) {
					look_at_control(l);
					tell_changes(l);
					l->control_ns = now + CONTROL_NS;
				}
			}
		} else {
			tell_changes(l);
			err = try_sleep(l, looked);
		}
	}
	UNM_WRITE_ONCE(l->stopped, 0);
	return err;
}

void
unm_loop_stop(struct unm_loop *l)
{
	const uint64_t one = 1;
	const int saved = errno;

	UNM_WRITE_ONCE(l->stopped, 1);
	if (write(l->stop_fd, &one, sizeof(one)) < 0)
		errno = saved; /* full: readable already */
	errno = saved;
}
