/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll, ppoll, select and pselect.
 *
 * Each looks whether a descriptor concerns us, and if none does calls the C library's function with
 * the arguments as they came. select is turned into poll, because an eventfd of ours may have a
 * number that does not fit in an fd_set.
 */
#include "client/interpose.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>

#include "client/fdtab.h"
#include "client/inherited.h"
#include "client/real.h"
#include "client/wait.h"

/*
 * The C library declares that poll(2) only writes to the array; gcc then takes our look at it for
 * one at nothing.
 */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define SELECT_SMALL 128 /* descriptors that need no allocation */

/* Bits of poll(2) that make up each set of select(2), as the kernel has it */
#define SELECT_IN  (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SELECT_EX  (POLLPRI)

static int
poll_any(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	const struct timespec t = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

	return unm_wait(fds, n, timeout_ms < 0 ? NULL : &t, NULL);
}

UNM_INTERPOSE int
poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	if (__builtin_expect(!unm_inherited_any(), 1) || !unm_wait_concerns(fds, n))
		return UNM_REAL(poll)(fds, n, timeout_ms);
	return poll_any(fds, n, timeout_ms);
}

static int
ppoll_any(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	if (timeout != NULL &&
		(timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec > 999999999)) {
		errno = EINVAL;
		return -1;
	}
	return unm_wait(fds, n, timeout, mask);
}

UNM_INTERPOSE int
ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	if (__builtin_expect(!unm_inherited_any(), 1) || !unm_wait_concerns(fds, n))
		return UNM_REAL(ppoll)(fds, n, timeout, mask);
	return ppoll_any(fds, n, timeout, mask);
}

/* What fortified programs call: the last argument is the size of the array. */
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
	size_t size);

UNM_INTERPOSE int
__poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t size)
{
	if (size / sizeof(*fds) < n)
		abort(); /* what the program asked to happen by being fortified */
	return poll(fds, n, timeout_ms);
}

UNM_INTERPOSE int
__ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
	size_t size)
{
	if (size / sizeof(*fds) < n)
		abort();
	return ppoll(fds, n, timeout, mask);
}

/* select */

static bool
in_set(const fd_set *set, int fd)
{
	const unsigned long *bits = (const unsigned long *)(const void *)set;

	return set != NULL && (bits[fd / NFDBITS] >> (fd % NFDBITS) & 1);
}

/*
 * Programs with more descriptors than FD_SETSIZE pass larger arrays: size follows from @n, as in
 * the kernel.
 */
static size_t
set_bytes(int n)
{
	return (size_t)((n + NFDBITS - 1) / NFDBITS) * sizeof(unsigned long);
}

static bool
select_concerns(int n, const fd_set *r, const fd_set *w, const fd_set *e)
{
	int fd;

	for (fd = unm_fdtab_next(0, n - 1); fd >= 0; fd = unm_fdtab_next(fd + 1, n - 1)) {
		const struct unm_file *f = unm_fdtab_get(fd);

		if (f != NULL && f->kind != UNM_FILE_INTERNAL &&
			(in_set(r, fd) || in_set(w, fd) || in_set(e, fd)))
			return true;
	}
	return false;
}

static nfds_t
sets_to_poll(int n, const fd_set *r, const fd_set *w, const fd_set *e, struct pollfd *out)
{
	nfds_t k = 0;
	int fd;

	for (fd = 0; fd < n; fd++) {
		const short events =
			(short)((in_set(r, fd) ? SELECT_IN : 0) | (in_set(w, fd) ? SELECT_OUT : 0) |
				(in_set(e, fd) ? SELECT_EX : 0));

		if (events != 0)
			out[k++] = (struct pollfd){fd, events, 0};
	}
	return k;
}

static int
mark(fd_set *set, const struct pollfd *p, short bits)
{
	unsigned long *words = (unsigned long *)(void *)set;

	if (set == NULL || !(p->events & bits & ~POLLERR) || !(p->revents & bits))
		return 0;
	words[p->fd / NFDBITS] |= 1UL << (p->fd % NFDBITS);
	return 1;
}

/* Return: number of bits set, or -EBADF. */
static int
poll_to_sets(const struct pollfd *p, nfds_t k, int n, fd_set *r, fd_set *w, fd_set *e)
{
	int count = 0;
	nfds_t i;

	for (i = 0; i < k; i++)
		if (p[i].revents & POLLNVAL)
			return -EBADF;
	if (r != NULL)
		memset(r, 0, set_bytes(n));
	if (w != NULL)
		memset(w, 0, set_bytes(n));
	if (e != NULL)
		memset(e, 0, set_bytes(n));
	for (i = 0; i < k; i++)
		count += mark(r, &p[i], SELECT_IN) + mark(w, &p[i], SELECT_OUT) +
			 mark(e, &p[i], SELECT_EX);
	return count;
}

static int
select_any(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *timeout,
	const sigset_t *mask)
{
	struct pollfd small[SELECT_SMALL];
	struct pollfd *p = small, *heap = NULL;
	int result;
	nfds_t k;

	if (n > SELECT_SMALL) {
		heap = malloc((size_t)n * sizeof(*p));
		if (heap == NULL) {
			errno = ENOMEM;
			return -1;
		}
		p = heap;
	}
	k = sets_to_poll(n, r, w, e, p);
	pthread_cleanup_push(free, heap);
	result = unm_wait(p, k, timeout, mask);
	if (result >= 0) {
		result = poll_to_sets(p, k, n, r, w, e);
		if (result < 0) {
			errno = -result;
			result = -1;
		}
	}
	pthread_cleanup_pop(1);
	return result;
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

UNM_INTERPOSE int
select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *timeout)
{
	struct timespec t = {0, 0};
	int64_t left, began;
	int result;

	if (__builtin_expect(!unm_inherited_any(), 1) || !select_concerns(n, r, w, e) ||
		(timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_usec < 0)))
		return UNM_REAL(select)(n, r, w, e, timeout);
	if (timeout == NULL)
		return select_any(n, r, w, e, NULL, NULL);
	t.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
	t.tv_nsec = timeout->tv_usec % 1000000 * 1000;
	if (t.tv_sec == 0 && t.tv_nsec == 0)
		return select_any(n, r, w, e, &t, NULL);
	began = now_us();
	result = select_any(n, r, w, e, &t, NULL);
	/* Linux tells how much of the timeout was left */
	left = (int64_t)timeout->tv_sec * 1000000 + timeout->tv_usec - (now_us() - began);
	if (left < 0)
		left = 0;
	timeout->tv_sec = left / 1000000;
	timeout->tv_usec = left % 1000000;
	return result;
}

UNM_INTERPOSE int
pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *timeout,
	const sigset_t *mask)
{
	if (__builtin_expect(!unm_inherited_any(), 1) || !select_concerns(n, r, w, e) ||
		(timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 ||
					    timeout->tv_nsec > 999999999)))
		return UNM_REAL(pselect)(n, r, w, e, timeout, mask);
	return select_any(n, r, w, e, timeout, mask);
}
