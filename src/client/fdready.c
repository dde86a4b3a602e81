/* SPDX-License-Identifier: BSD-2-Clause */
/* Making C readable. See fdready.h. */
/* Syscalls: getrusage sendto recvfrom */
#include "client/fdready.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "client/control_thread.h"
#include "client/fdtab.h"
#include "client/process.h"
#include "client/real.h"

#define N_EVENTS 16

/* Eventfds of the descriptors with raw waits, edge-triggered; the data is the binding's serial. */
static int watch_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* making it */

static uint64_t
voluntary_switches(void)
{
	struct rusage ru;

	return getrusage(RUSAGE_THREAD, &ru) < 0 ? 0 : (uint64_t)ru.ru_nvcsw;
}

static bool
always(void)
{
	static int answer = -1; /* two threads find the same */

	if (UNM_READ_ONCE(answer) < 0) {
		const char *env = getenv("UNETMAP_FD_READY");

		UNM_WRITE_ONCE(answer, env != NULL && env[0] == '1');
	}
	return UNM_READ_ONCE(answer) > 0;
}

int
unm_fdready_watch_fd(void)
{
	return __atomic_load_n(&watch_fd, __ATOMIC_ACQUIRE);
}

/* With the lock held. Return: the epoll instance, or -1; *created is set if it is new. */
static int
watch_fd_make(bool *created)
{
	int fd = watch_fd;

	if (fd >= 0)
		return fd;
	fd = epoll_create1(EPOLL_CLOEXEC);
	fd = fd < 0 ? -1 : unm_fd_internal(fd);
	__atomic_store_n(&watch_fd, fd, __ATOMIC_RELEASE);
	*created = fd >= 0;
	return fd;
}

/* Let the control thread watch @b's eventfd for @t. Return: false if that can't be had. */
static bool
arm(struct unm_thread *t, struct unm_desc *d, const struct unm_binding *b)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = b->serial};
	bool created = false, ok;
	struct unm_quiet quiet;
	int fd;

	unm_quiet_begin(&quiet);
	pthread_mutex_lock(&lock);
	fd = watch_fd_make(&created);
	ok = fd >= 0 &&
	     (UNM_REAL(epoll_ctl)(fd, EPOLL_CTL_ADD, b->event_fd, &ev) == 0 || errno == EEXIST);
	if (ok) {
		UNM_WRITE_ONCE(d->ready_for, d->ready_armed ? NULL : t);
		UNM_WRITE_ONCE(d->ready_armed, 1);
	}
	pthread_mutex_unlock(&lock);
	unm_quiet_end(&quiet);
	if (created)
		unm_control_kick(); /* it has one more descriptor to sleep on */
	return ok;
}

void
unm_fdready_disarm(struct unm_thread *t, struct unm_desc *d, const struct unm_binding *b)
{
	struct unm_quiet quiet;

	if (UNM_READ_ONCE(d->ready_for) != t || always())
		return;
	unm_quiet_begin(&quiet);
	pthread_mutex_lock(&lock);
	if (d->ready_armed && d->ready_for == t) {
		UNM_REAL(epoll_ctl)(watch_fd, EPOLL_CTL_DEL, b->event_fd, NULL);
		UNM_WRITE_ONCE(d->ready_armed, 0);
	}
	pthread_mutex_unlock(&lock);
	unm_quiet_end(&quiet);
}

/* Does somebody look after @t's raw waits for @d? Only @t itself ends that. */
static bool
is_armed(const struct unm_thread *t, const struct unm_desc *d)
{
	const struct unm_thread *only = UNM_READ_ONCE(d->ready_for);

	return UNM_READ_ONCE(d->ready_armed) && (only == NULL || only == t);
}

void
unm_fdready_empty(struct unm_thread *t, struct unm_desc *d, struct unm_binding *b, int fd)
{
	const uint64_t switches = always() ? t->raw_nvcsw + 1 : voluntary_switches();
	char byte;

	if (switches == t->raw_nvcsw)
		return;
	t->raw_nvcsw = switches;
	t->raw_idle = 0;
	while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
		; /* at most as many as processes share C */
	if (!is_armed(t, d) && !arm(t, d, b))
		return;
	unm_bport_arm(b->bport, POLLIN);
	unm_bport_rxsync(b->bport); /* what came before the arming is in the ring now */
}

void
unm_fdready_slept_here(struct unm_thread *t)
{
	if (t->raw_nvcsw != 0 && !always())
		t->raw_nvcsw = voluntary_switches();
}

static void
send_byte(struct unm_desc *d, void *arg)
{
	const struct unm_binding *b = unm_desc_binding(d);
	const uint64_t *serial = arg;
	int queued = 0;

	if (b == NULL || b->serial != *serial)
		return;
	/*
	 * One unread byte is enough; the socket's own queue knows, whichever process put it there
	 */
	if (UNM_REAL(ioctl)(d->d, SIOCOUTQ, &queued) == 0 && queued > 0)
		return;
	send(d->d, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
unm_fdready_signalled(void)
{
	struct epoll_event ev[N_EVENTS];
	const int fd = unm_fdready_watch_fd();
	int i, n;

	if (fd < 0)
		return;
	n = UNM_REAL(epoll_wait)(fd, ev, N_EVENTS, 0);
	for (i = 0; i < n; i++) {
		uint64_t serial = ev[i].data.u64;

		unm_desc_for_each(send_byte, &serial);
	}
}

void
unm_fdready_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	unm_fd_internal_close(watch_fd);
	watch_fd = -1;
}
