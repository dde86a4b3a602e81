/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is in our user namespace. See witness.h. */
#include "witness.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox.h"
#include "shm/user_ns.h"

#define PAUSE_MS 2
#define PAUSES	 50

struct question {
	uint32_t number;
	pid_t pid;
	uid_t uid;
};

struct answer {
	uint32_t number;
	uint32_t is_ours;
};

/*
 * Signals meant for the server, from a terminal or by name, are not for the witness. Capabilities
 * stay: without those that a front end has it can't be looked at.
 */
static int
confine(int fd)
{
	sigset_t all;

	sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, NULL) != 0 || prctl(PR_SET_NAME, "vhost-witness") != 0)
		return -errno;
	/* Not libnetmap's, which keeps its own. */
	if (fd > 0 && syscall(SYS_close_range, 0, fd - 1, 0) != 0)
		return -errno;
	if (syscall(SYS_close_range, fd + 1, UINT_MAX, 0) != 0)
		return -errno;
	return vh_sandbox_witness();
}

static void
bear_witness(int fd)
{
	struct question q;

	if (confine(fd) < 0)
		return;
	while (read(fd, &q, sizeof(q)) == (ssize_t)sizeof(q)) { /* until the server has gone */
		const struct answer a = {q.number, unm_is_in_our_user_ns(q.pid, q.uid)};

		if (write(fd, &a, sizeof(a)) != (ssize_t)sizeof(a))
			return;
	}
}

int
vh_witness_start(struct vh_witness *w)
{
	int pair[2];
	pid_t pid;

	*w = (struct vh_witness){.fd = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		bear_witness(pair[1]);
		_exit(EXIT_SUCCESS);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -EAGAIN;
	}
	w->fd = pair[0];
	w->pid = pid;
	return 0;
}

void
vh_witness_stop(struct vh_witness *w)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	unsigned int i;

	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	for (i = 0; i < PAUSES && w->pid > 0 && waitpid(w->pid, NULL, WNOHANG) == 0; i++)
		nanosleep(&pause, NULL);
}

uint32_t
vh_witness_ask(struct vh_witness *w, const struct ucred *who)
{
	const uint32_t number = w->n_asked + 1 != 0 ? w->n_asked + 1 : 1;
	const struct question q = {number, who->pid, who->uid};

	if (w->fd < 0 || send(w->fd, &q, sizeof(q), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return 0;
	w->n_asked = number;
	return number;
}

bool
vh_witness_answer(struct vh_witness *w, uint32_t *question, bool *is_ours)
{
	struct answer a;
	ssize_t n;

	if (w->fd < 0)
		return false;
	n = recv(w->fd, &a, sizeof(a), MSG_DONTWAIT);
	if (n == (ssize_t)sizeof(a)) {
		*question = a.number;
		*is_ours = a.is_ours;
		return true;
	}
	if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
		close(w->fd);
		w->fd = -1;
	}
	return false;
}
