/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the programs that test the client library against a real netmapd.
 *
 * Each program is a list of cases; each case runs in a child of its own, so that it starts without state and may end with a signal. Ports have
 * names with the case's number in them, so that no case meets another's.
 */
#ifndef UNM_CT_H
#define UNM_CT_H

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <net/netmap_user.h>

#define CT_WAIT_MS 5000 /* for what must happen */
#define CT_IDLE_MS 100	/* for what must not */

struct ct_case {
	const char *name;
	void (*run)(void);
};

/* Run all cases, or the one named by argv[1]. Return: exit status. */
int ct_main(int argc, char **argv, const struct ct_case *cases, size_t n);

/* Say where, and end the case. */
void ct_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			ct_fail(__FILE__, __LINE__, "%s", #cond);                                  \
	} while (0)

/* Two integers that must be equal. */
#define CHECK_EQ(a, b)                                                                             \
	do {                                                                                       \
		const long long a_ = (a), b_ = (b);                                                \
		if (a_ != b_)                                                                      \
			ct_fail(__FILE__, __LINE__, "%s is %lld, not %lld (errno %d)", #a, a_, b_, \
				errno);                                                            \
	} while (0)

/* A call that must fail with @err. */
#define CHECK_ERR(call, err)                                                                       \
	do {                                                                                       \
		errno = 0;                                                                         \
		CHECK_EQ(call, -1);                                                                \
		CHECK_EQ(errno, err);                                                              \
	} while (0)

/* An open, registered, mapped port. */
struct ct_port {
	int fd;
	char *mem;
	size_t mem_size;
	struct netmap_if *nifp;
	struct netmap_ring *tx, *rx; /* ring 0 */
	struct nmreq_register reg;
};

int ct_open_device(void);

/* REGISTER @name on @fd with what stands in @reg. Return: as ioctl(2). */
int ct_register(int fd, const char *name, struct nmreq_register *reg);

/* All rings of @name; ends the case if that fails. */
struct ct_port ct_port(const char *name, uint64_t flags);

/* Map a registered descriptor; p->fd and p->reg are set. */
void ct_map(struct ct_port *p);

void ct_close(struct ct_port *p);

/* Two ends of a pipe whose name has @what in it. */
void ct_pipe(struct ct_port *a, struct ct_port *b, const char *what);

/* Put @n frames of 60 bytes, numbered from @first, in the tx ring; sync. */
void ct_send(struct ct_port *p, uint32_t first, uint32_t n);

/* Take what is in the rx ring, without a sync. Return: how many frames; the number of the last one in @last. */
uint32_t ct_take(struct ct_port *p, uint32_t *last);

/* rxsync, then ct_take() */
uint32_t ct_recv(struct ct_port *p);

/* Milliseconds of a steady clock. */
uint64_t ct_now_ms(void);

/* Fork @fn; ct_join() ends the case unless it exits with 0. */
pid_t ct_spawn(void (*fn)(void *arg), void *arg);
void ct_join(pid_t pid);

/* Send @fd over a UNIX socket, and receive one. */
void ct_send_fd(int sock, int fd);
int ct_recv_fd(int sock);

#endif
