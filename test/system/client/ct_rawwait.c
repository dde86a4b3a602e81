/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves that C itself becomes readable for a wait that bypasses the C library, and that a spinner pays nothing for it. */
#include "ct.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

static void *
send_slowly(void *arg)
{
	struct ct_port *p = arg;
	uint32_t i;

	for (i = 0; i < 50; i++) {
		usleep(5000);
		ct_send(p, i, 1);
	}
	return NULL;
}

static void *
send_one_late(void *arg)
{
	usleep(2000);
	ct_send(arg, 0, 1);
	return NULL;
}

/* epoll by system calls alone, as a runtime that does not use the C library would. */
static void
raw_epoll(void)
{
	struct epoll_event ev = {.events = EPOLLIN}, out;
	const int ep = (int)syscall(SYS_epoll_create1, 0);
	struct ct_port a, b;
	uint32_t got = 0, n_waits = 0;
	pthread_t t;

	ct_pipe(&a, &b, "");
	CHECK_EQ(syscall(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, b.fd, &ev), 0);
	usleep(1000);
	CHECK_EQ(ct_recv(&b),
		0); /* a first look: the library learns that this thread sleeps elsewhere */
	CHECK_EQ(pthread_create(&t, NULL, send_slowly, &a), 0);
	while (got < 50) {
		CHECK_EQ(syscall(SYS_epoll_pwait, ep, &out, 1, CT_WAIT_MS, NULL, 8), 1);
		got += ct_recv(&b);
		got += ct_recv(&b); /* empty, most likely: from here on it is asleep again */
		n_waits++;
	}
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK(n_waits <= 120); /* it slept; it did not find the descriptor ready all the time */
}

/* Voluntary context switches so far of the threads of this process but for @n that are known. */
static long
switches_of_others(const pid_t *known, size_t n)
{
	char path[64], line[128];
	struct dirent *e;
	DIR *d = opendir("/proc/self/task");
	long sum = 0, v;

	CHECK(d != NULL);
	while ((e = readdir(d)) != NULL) {
		const pid_t tid = atoi(e->d_name);
		FILE *f;
		size_t i;

		for (i = 0; i < n && known[i] != tid; i++)
			;
		if (tid == 0 || i < n)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
		f = fopen(path, "r");
		if (f == NULL)
			continue; /* ended */
		while (fgets(line, sizeof(line), f) != NULL)
			if (sscanf(line, "voluntary_ctxt_switches: %ld", &v) == 1)
				sum += v;
		fclose(f);
	}
	closedir(d);
	return sum;
}

/*
 * A thread that has looked in vain once, and then waits by poll(): its signals wake nobody else. When it waits by
 * raw system calls again, C is readable again.
 */
static void
waits_here(void)
{
	struct epoll_event ev = {.events = EPOLLIN}, out;
	const int ep = (int)syscall(SYS_epoll_create1, 0);
	const pid_t me = gettid();
	struct pollfd pfd;
	struct ct_port a, b;
	uint32_t i;
	long before;

	CHECK_EQ(setenv("UNETMAP_SPIN_US", "0", 1), 0);
	ct_pipe(&a, &b, "");
	CHECK_EQ(syscall(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, b.fd, &ev), 0);
	usleep(1000);
	CHECK_EQ(ct_recv(&b), 0);
	pfd = (struct pollfd){b.fd, POLLIN, 0};
	CHECK_EQ(poll(&pfd, 1, 1), 0);
	before = switches_of_others(&me, 1);
	for (i = 0; i < 50; i++) {
		pthread_t t;

		CHECK_EQ(pthread_create(&t, NULL, send_one_late, &a), 0);
		CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
		CHECK_EQ(ct_take(&b, NULL), 1);
		CHECK_EQ(pthread_join(t, NULL), 0); /* it is no longer one of the others */
	}
	CHECK(switches_of_others(&me, 1) - before < 25);

	usleep(1000);
	CHECK_EQ(ct_recv(&b), 0);
	ct_send(&a, 0, 1);
	CHECK_EQ(syscall(SYS_epoll_pwait, ep, &out, 1, CT_WAIT_MS, NULL, 8), 1);
	CHECK_EQ(ct_recv(&b), 1);
}

/* A thread that only ever spins: no byte is ever put in its way. */
static void
spinner(void)
{
	struct pollfd pfd;
	struct ct_port a, b;
	int i;

	ct_pipe(&a, &b, "");
	for (i = 0; i < 100000; i++)
		CHECK_EQ(ct_recv(&b), 0);
	ct_send(&a, 0, 1);
	usleep(20000);
	pfd = (struct pollfd){b.fd, POLLIN, 0};
	CHECK_EQ(poll(&pfd, 1, 0), 1);
	CHECK_EQ(ct_take(&b, NULL), 1);
}

static const struct ct_case cases[] = {
	{"raw_epoll", raw_epoll},
	{"waits_here", waits_here},
	{"spinner", spinner},
};

int
main(int argc, char **argv)
{
	return ct_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
