/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves that C itself becomes readable for a wait that bypasses the C library, and that a spinner pays nothing for it. */
#include "ct.h"

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
	{"spinner", spinner},
};

int
main(int argc, char **argv)
{
	return ct_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
