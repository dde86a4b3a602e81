/* SPDX-License-Identifier: BSD-2-Clause */
/* Epoll membership of netmap descriptors. See epoll_set.h. */
#include "client/epoll_set.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/desc.h"
#include "client/device.h"
#include "client/edge.h"
#include "client/epoch.h"
#include "client/process.h"
#include "client/real.h"
#include "client/wait.h"
#include "shm/clock.h"

#define MAX_DEPTH 4 /* of nested instances; the kernel allows 5 */
#define READ_BITS (POLLIN | POLLRDNORM)

/* Immutable but for the marked fields; a MOD makes a new one. */
struct member {
	int fd;
	struct unm_desc *desc;	     /* a netmap member, or NULL: */
	struct unm_epoll_set *inner; /* a nested instance; holds a reference */
	struct epoll_event ev;
	uint32_t disabled; /* ONESHOT has fired. W: any waiting thread */
	uint64_t reported; /* edge: positions when last reported. W: any waiting thread */
	uint32_t ever_reported;
};

struct members {
	uint32_t n;
	struct member *m[];
};

struct unm_epoll_set {
	struct unm_file file; /* first */
	struct unm_epoll_set *next;
	struct members *members; /* replaced as a whole; NULL: none */
	int32_t n_foreign;    /* others in the kernel's instance, at least as many as there are */
	uint32_t turn;	      /* index of the member that is asked first. W: any waiting thread */
	uint32_t kernel_turn; /* the kernel's instance is asked first. W: any waiting thread */
};

static struct unm_epoll_set *sets;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the list, and changes of all sets */

static void
lock_sets(struct unm_quiet *q)
{
	unm_quiet_begin(q);
	pthread_mutex_lock(&lock);
}

static void
unlock_sets(const struct unm_quiet *q)
{
	pthread_mutex_unlock(&lock);
	unm_quiet_end(q);
}

static struct members *
members_of(const struct unm_epoll_set *s)
{
	return __atomic_load_n(&s->members, __ATOMIC_ACQUIRE);
}

/* Is the member due for a report? In an epoch section. */

static bool set_ready(struct unm_epoll_set *s, int depth);

/* Return: event bits, 0 when nothing is to be reported. */
static uint32_t
member_events(struct member *m, uint64_t *position, int depth)
{
	const uint32_t events = m->ev.events;
	short got;

	*position = 0;
	if (UNM_READ_ONCE(m->disabled))
		return 0;
	if (m->inner != NULL)
		return depth < MAX_DEPTH && set_ready(m->inner, depth + 1) ? events & READ_BITS : 0;
	got = unm_device_poll(m->desc, (short)events);
	if (got == 0 || !(events & EPOLLET))
		return (uint32_t)(uint16_t)got;
	*position = unm_edge_position(m->desc, (short)events);
	if (UNM_READ_ONCE(m->ever_reported) && UNM_READ_ONCE(m->reported) == *position)
		return 0;
	return (uint32_t)(uint16_t)got;
}

static bool
set_ready(struct unm_epoll_set *s, int depth)
{
	const struct members *all = members_of(s);
	bool ready = false;
	uint64_t position;
	uint32_t i;

	/*
	 * All of them, not up to the first: a wait that returns has synced every ring, as poll(2)
	 * has
	 */
	for (i = 0; all != NULL && i < all->n; i++)
		if (member_events(all->m[i], &position, depth) != 0)
			ready = true;
	return ready;
}

bool
unm_epoll_set_ready(struct unm_epoll_set *s)
{
	return set_ready(s, 0);
}

bool
unm_epoll_set_in_use(const struct unm_epoll_set *s)
{
	return members_of(s) != NULL;
}

bool
unm_epoll_set_has_foreign(const struct unm_epoll_set *s)
{
	return __atomic_load_n(&s->n_foreign, __ATOMIC_RELAXED) > 0;
}

void
unm_epoll_set_count_foreign(struct unm_epoll_set *s, int change)
{
	__atomic_fetch_add(&s->n_foreign, change, __ATOMIC_RELAXED);
}

static void
each(struct unm_epoll_set *s, void (*fn)(struct unm_desc *d, short events, void *arg), void *arg,
	int depth)
{
	const struct members *all = members_of(s);
	uint32_t i;

	for (i = 0; all != NULL && i < all->n; i++) {
		const struct member *m = all->m[i];

		if (UNM_READ_ONCE(m->disabled))
			continue;
		if (m->inner == NULL)
			fn(m->desc, (short)m->ev.events, arg);
		else if (depth < MAX_DEPTH)
			each(m->inner, fn, arg, depth + 1);
	}
}

void
unm_epoll_set_each(
	struct unm_epoll_set *s, void (*fn)(struct unm_desc *d, short events, void *arg), void *arg)
{
	each(s, fn, arg, 0);
}

/* Changing */

static void
free_member(void *arg)
{
	struct member *m = arg;

	if (m->inner != NULL)
		unm_file_put(&m->inner->file);
	free(m);
}

/* Publish the members without @drop and with @add (either may be NULL). With the lock held. */
static int
publish(struct unm_epoll_set *s, struct member *drop, struct member *add)
{
	struct members *old = s->members, *new = NULL;
	const uint32_t n_old = old != NULL ? old->n : 0;
	uint32_t i, n = 0;

	if (n_old + (add != NULL) - (drop != NULL) > 0) {
		new = malloc(sizeof(*new) + (n_old + 1) * sizeof(new->m[0]));
		if (new == NULL)
			return -ENOMEM;
		for (i = 0; i < n_old; i++) {
			if (old->m[i] != drop) {
				new->m[n++] = old->m[i];
			} else if (add != NULL) { /* a changed member keeps its turn */
				new->m[n++] = add;
				add = NULL;
			}
		}
		if (add != NULL)
			new->m[n++] = add;
		new->n = n;
	}
	__atomic_store_n(&s->members, new, __ATOMIC_RELEASE);
	if (old != NULL)
		unm_epoch_retire(free, old);
	if (drop != NULL)
		unm_epoch_retire(free_member, drop);
	return 0;
}

static struct member *
find(const struct unm_epoll_set *s, int fd)
{
	uint32_t i;

	for (i = 0; s->members != NULL && i < s->members->n; i++)
		if (s->members->m[i]->fd == fd)
			return s->members->m[i];
	return NULL;
}

static void
free_set(void *arg)
{
	struct unm_epoll_set *s = arg;
	uint32_t i;

	for (i = 0; s->members != NULL && i < s->members->n; i++)
		free_member(s->members->m[i]);
	free(s->members);
	free(s);
}

static void
release_set(struct unm_file *f)
{
	struct unm_epoll_set *s = (struct unm_epoll_set *)f, **p;
	struct unm_quiet quiet;

	lock_sets(&quiet);
	for (p = &sets; *p != NULL; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			break;
		}
	unlock_sets(&quiet);
	unm_epoch_retire(free_set, s);
}

/*
 * How many members the kernel's instance has: its lines in /proc. An instance that can't be asked
 * counts as having some.
 */
static int32_t
count_kernel_members(int epfd)
{
	char path[64], buf[4096];
	int32_t n = 0;
	ssize_t len;
	char *p;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", epfd);
	fd = UNM_REAL(open)(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return INT32_MAX / 2;
	len = UNM_RAW_READ(fd, buf, sizeof(buf) - 1);
	UNM_RAW_CLOSE(fd);
	buf[len > 0 ? len : 0] = '\0';
	for (p = buf; (p = strstr(p, "tfd:")) != NULL; p++)
		n++;
	return n;
}

/* The set of @epfd, made if need be. In no section. Return: with a reference, or NULL. */
static struct unm_epoll_set *
get_set(int epfd, bool make)
{
	struct unm_thread *t = unm_thread_get();
	struct unm_epoll_set *s;
	struct unm_file *f;
	bool outer;

	if (t == NULL)
		return NULL;
	outer = unm_epoch_enter(t);
	f = unm_fdtab_get(epfd);
	if (f != NULL && (f->kind != UNM_FILE_EPOLL || !unm_file_try_hold(f)))
		f = NULL;
	unm_epoch_exit(t, outer);
	if (f != NULL || !make)
		return (struct unm_epoll_set *)f;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->file = (struct unm_file){UNM_FILE_EPOLL, 2, release_set};
	s->n_foreign = count_kernel_members(epfd) - 1; /* the one that was just added is ours */
	if (unm_fdtab_set(epfd, &s->file) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

static struct member *
new_member(int fd, struct unm_desc *d, struct unm_epoll_set *inner, const struct epoll_event *ev)
{
	struct member *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->fd = fd;
	m->desc = d;
	m->inner = inner;
	m->ev = *ev;
	if (inner != NULL)
		unm_file_hold(&inner->file);
	return m;
}

/* The kernel has agreed: do the same to our members. */
static int
change(struct unm_epoll_set *s, int op, int fd, struct unm_desc *d, struct unm_epoll_set *inner,
	const struct epoll_event *ev)
{
	struct member *add = NULL, *old;
	struct unm_quiet quiet;
	int err = 0;

	if (op != EPOLL_CTL_DEL) {
		add = new_member(fd, d, inner, ev);
		if (add == NULL)
			return -ENOMEM;
	}
	lock_sets(&quiet);
	old = find(s, fd);
	if (old != NULL || add != NULL)
		err = publish(s, old, add);
	unlock_sets(&quiet);
	if (err < 0 && add != NULL)
		free_member(add);
	return err;
}

static void
link_set(struct unm_epoll_set *s)
{
	struct unm_epoll_set *i;
	struct unm_quiet quiet;

	lock_sets(&quiet);
	for (i = sets; i != NULL && i != s; i = i->next)
		;
	if (i == NULL) {
		s->next = sets;
		sets = s;
	}
	unlock_sets(&quiet);
}

int
unm_epoll_set_ctl(int epfd, int op, int fd, const struct epoll_event *ev)
{
	struct epoll_event silent = {0}, copy = {0};
	struct unm_epoll_set *s;
	struct unm_desc *d;
	int err = 0;

	if (ev != NULL)
		copy = *ev;
	else if (op != EPOLL_CTL_DEL)
		return -EFAULT;
	if (UNM_REAL(epoll_ctl)(epfd, op, fd, &silent) < 0)
		return -errno;
	d = unm_device_hold(fd);
	s = get_set(epfd, op == EPOLL_CTL_ADD);
	if (s != NULL && d != NULL) {
		link_set(s);
		err = change(s, op, fd, d, NULL, &copy);
	} else if (op != EPOLL_CTL_DEL) {
		err = -ENOMEM;
	}
	if (err < 0 && op == EPOLL_CTL_ADD)
		UNM_REAL(epoll_ctl)(epfd, EPOLL_CTL_DEL, fd, &silent);
	if (s != NULL)
		unm_file_put(&s->file);
	if (d != NULL)
		unm_file_put(&d->file);
	return err;
}

int
unm_epoll_set_ctl_nested(int epfd, int op, int fd, const struct epoll_event *ev)
{
	struct unm_epoll_set *s, *inner;
	struct epoll_event copy = {0};
	int err = 0;

	if (ev != NULL)
		copy = *ev;
	if (UNM_REAL(epoll_ctl)(epfd, op, fd, (struct epoll_event *)(uintptr_t)ev) < 0)
		return -errno;
	inner = get_set(fd, false);
	s = get_set(epfd, op == EPOLL_CTL_ADD);
	if (s != NULL) {
		link_set(s);
		if (op == EPOLL_CTL_ADD)
			unm_epoll_set_count_foreign(s, 1); /* its own kernel members */
		if (inner != NULL)
			err = change(s, op, fd, NULL, inner, &copy);
		unm_file_put(&s->file);
	}
	if (inner != NULL)
		unm_file_put(&inner->file);
	return err;
}

void
unm_epoll_set_forget(const struct unm_desc *d)
{
	struct unm_epoll_set *s;
	struct unm_quiet quiet;

	lock_sets(&quiet);
	for (s = sets; s != NULL; s = s->next) {
		uint32_t i = 0;

		while (s->members != NULL &&
			i < s->members->n) /* each round drops one or moves on */
			if (s->members->m[i]->desc != d || publish(s, s->members->m[i], NULL) < 0)
				i++;
	}
	unlock_sets(&quiet);
}

void
unm_epoll_set_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
}

/* Waiting */

/*
 * Report what is due, and remember that it has been. The next report begins behind the last member
 * of this one, so that a busy member starves no other. Return: number of events.
 */
static int
collect(struct unm_epoll_set *s, struct epoll_event *ev, int max)
{
	const struct members *all = members_of(s);
	const uint32_t n = all != NULL ? all->n : 0;
	const uint32_t first = n > 0 ? UNM_READ_ONCE(s->turn) % n : 0;
	int k = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct member *m = all->m[(first + i) % n];
		uint64_t position;
		uint32_t got = member_events(m, &position, 0);

		if (got == 0 || k == max)
			continue;
		if (m->ev.events & EPOLLONESHOT) {
			if (__atomic_exchange_n(&m->disabled, 1, __ATOMIC_ACQ_REL))
				continue; /* another thread reports it */
		}
		UNM_WRITE_ONCE(m->reported, position);
		UNM_WRITE_ONCE(m->ever_reported, 1);
		UNM_WRITE_ONCE(s->turn, (first + i + 1) % n);
		ev[k].events = got;
		ev[k].data = m->ev.data;
		k++;
	}
	return k;
}

/* In an epoch section. Return: NULL when the instance has been closed. */
static struct unm_epoll_set *
set_of(int epfd)
{
	struct unm_file *f = unm_fdtab_get(epfd);

	return f != NULL && f->kind == UNM_FILE_EPOLL ? (struct unm_epoll_set *)f : NULL;
}

static int
collect_second(struct unm_thread *t, int epfd, struct epoll_event *ev, int max)
{
	const bool outer = unm_epoch_enter(t);
	struct unm_epoll_set *s = set_of(epfd);
	const int k = s != NULL ? collect(s, ev, max) : 0;

	unm_epoch_exit(t, outer);
	return k;
}

/*
 * One look at everything, without sleeping. Our members and the kernel's take turns at being asked
 * first, for half of the events, so that neither side starves the other even where there is room
 * for one only. Return: number of events, or -1 and errno.
 */
static int
look(struct unm_thread *t, int epfd, struct epoll_event *ev, int max)
{
	const bool outer = unm_epoch_enter(t);
	struct unm_epoll_set *s = set_of(epfd);
	const bool foreign = s == NULL || unm_epoll_set_has_foreign(s);
	const bool kernel_first = s != NULL && foreign &&
				  __atomic_fetch_xor(&s->kernel_turn, 1, __ATOMIC_RELAXED) != 0;
	const int half = max - max / 2;
	int k = 0, r;

	if (s != NULL && !kernel_first)
		k = collect(s, ev, foreign ? half : max);
	unm_epoch_exit(t, outer);
	if (!foreign || k == max)
		return k;
	/* In no section, as the thread may be cancelled here */
	r = UNM_REAL(epoll_wait)(epfd, ev + k, kernel_first ? half : max - k, 0);
	if (r >= 0 && kernel_first)
		k = collect_second(t, epfd, ev + r, max - r);
	return r < 0 && k == 0 ? -1 : k + (r > 0 ? r : 0);
}

int
unm_epoll_set_wait(int epfd, struct epoll_event *ev, int max, const struct timespec *timeout,
	const sigset_t *mask)
{
	const bool no_wait = timeout != NULL && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
	struct unm_thread *t = unm_thread_get();
	struct timespec left = {0, 0};
	uint64_t deadline = 0;
	int r;

	pthread_testcancel();
	if (t == NULL) {
		errno = ENOMEM;
		return -1;
	}
	r = look(t, epfd, ev, max);
	if (r != 0 || no_wait)
		return r;
	if (timeout != NULL) {
		left = *timeout;
		deadline = unm_deadline_ns(timeout);
	}
	for (;;) { /* ends with an event, a signal or the timeout */
		uint64_t now;

		r = unm_wait_epoll(epfd, timeout != NULL ? &left : NULL, mask);
		if (r <= 0)
			return r;
		r = look(t, epfd, ev, max);
		if (r != 0)
			return r; /* else another thread was faster */
		if (timeout == NULL)
			continue;
		now = unm_now_ns();
		if (now >= deadline)
			return 0;
		left = unm_timespec(deadline - now);
	}
}
