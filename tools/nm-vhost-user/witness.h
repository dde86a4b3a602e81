/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The witness: a process that knows who is in our user namespace. The server can't look at other
 * processes any more once it is in its sandbox (landlock counts that as tracing), and front ends come
 * later.
 *
 *   server --who connected--> witness: /proc/PID/ns/user
 *          <-- ours or not --
 *
 * It is forked at the start, holds its end of a socket pair and nothing else, and may read, write and
 * stat(2) (seccomp). It ends when the socket does, so with the server.
 *
 * Thread: that of the loop. Nothing waits for an answer.
 */
#ifndef VH_WITNESS_H_
#define VH_WITNESS_H_

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct vh_witness {
	int fd; /* readable when there is an answer, or it has ended; -1: there is none */
	pid_t pid;
	uint32_t n_asked;
};

/* Before descriptors, threads and the sandbox. Return: 0, or a negative errno and no witness. */
int vh_witness_start(struct vh_witness *w);

/* It ends, which is waited for a little while, so that nobody else has to. */
void vh_witness_stop(struct vh_witness *w);

/* Ask about @who. Return: the number of the question, or 0 if it can't be asked. */
uint32_t vh_witness_ask(struct vh_witness *w, const struct ucred *who);

/*
 * The next answer. Return: true *question and *is_ours are set; false there is none yet, or never
 * will be: then w->fd, which has been closed, is -1.
 */
bool vh_witness_answer(struct vh_witness *w, uint32_t *question, bool *is_ours);

#endif /* VH_WITNESS_H_ */
