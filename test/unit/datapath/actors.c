/* SPDX-License-Identifier: BSD-2-Clause */
/* See actors.h. */
#include "actors.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/atomic.h"

void
waiter_init(struct waiter *w, const struct fake_domain *d, uint32_t binding)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};

	w->ep = epoll_create1(EPOLL_CLOEXEC);
	CHECK(w->ep >= 0);
	CHECK(epoll_ctl(w->ep, EPOLL_CTL_ADD, d->eventfd[binding], &ev) == 0);
}

void
waiter_free(struct waiter *w)
{
	close(w->ep);
}

short
waiter_poll(struct waiter *w, struct unm_bport *bp, short events, const uint32_t *stop)
{
	struct epoll_event ev;
	short got;
	int n;

	for (;;) { /* the caller's patience ends it */
		got = unm_bport_poll(bp, events);
		if (got != 0)
			return got;
		unm_bport_arm(bp, events);
		got = unm_bport_poll(bp, events);
		if (got != 0)
			return got;
		if (stop != NULL && __atomic_load_n(stop, __ATOMIC_ACQUIRE))
			return 0;
		do {
			n = epoll_wait(w->ep, &ev, 1, ACTOR_PATIENCE_MS);
		} while (n < 0 && errno == EINTR);
		CHECK(n == 1); /* or a wake-up was lost */
	}
}

#define SOME_FRAMES 500

void
actors_run(const struct unm_kring *k, unsigned int ms)
{
	const uint64_t start = traffic_now_ns();

	usleep(ms * 1000);
	while (UNM_READ_ONCE(k->n_pkts) < SOME_FRAMES) {
		CHECK(traffic_now_ns() - start < ACTOR_PATIENCE_MS * UINT64_C(1000000));
		usleep(1000);
	}
}

void *
actors_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void
actor_run(struct actor *a)
{
	const bool own = a->bp == NULL;

	fake_slot = a->slot;
	if (own)
		a->bp = fake_port_open(a->d, a->port);
	a->run(a);
	if (own) {
		unm_bport_close(a->bp);
		a->bp = NULL;
	}
}

static void *
actor_thread(void *arg)
{
	actor_run(arg);
	return NULL;
}

void
actors_start(struct actor *a, unsigned int n, bool processes)
{
	unsigned int i;
	pid_t pid;

	for (i = 0; i < n; i++) {
		if (!processes) {
			CHECK(pthread_create(&a[i].thread, NULL, actor_thread, &a[i]) == 0);
			continue;
		}
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			actor_run(&a[i]);
			_exit(0);
		}
		a[i].pid = pid;
	}
}

void
actor_join(struct actor *a, bool process)
{
	int status;

	if (!process) {
		CHECK(pthread_join(a->thread, NULL) == 0);
		return;
	}
	CHECK(waitpid(a->pid, &status, 0) == a->pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

uint32_t
flows_check(struct flows *f, const struct unm_bring *r, bool gapless)
{
	const uint32_t at = r->ring->head;
	uint32_t flow;
	uint64_t seq;

	CHECK(traffic_check(ring_buf(r, at), r->ring->slot[at].len, &flow, &seq));
	CHECK(flow < 64);
	CHECK(seq >= f->next[flow]);
	CHECK(!gapless || seq == f->next[flow]);
	f->next[flow] = seq + 1;
	return flow;
}
