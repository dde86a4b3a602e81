/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors that came from the other side, before anything is done with them.
 *
 * They can be of a file whose server is a process (FUSE, or what lies on it), or far away (NFS). fstat(),
 * poll() and even close() ask that one, which need not answer, ever. So what a descriptor is, is told by
 * what the kernel knows without asking; and what may take its time is closed by a thread (shm/closer.h).
 */
#ifndef UNM_VM_FOREIGN_FD_H
#define UNM_VM_FOREIGN_FD_H

#include <stdbool.h>

#include "shm/closer.h"

enum unm_fd_kind {
	UNM_FD_OTHER, /* only to be closed, by unm_fd_close() */
	UNM_FD_EVENT, /* eventfd */
	UNM_FD_PIPE,
	UNM_FD_SOCKET, /* of AF_UNIX */
	UNM_FD_MEMORY, /* memfd, or a file on tmpfs or hugetlbfs */
};

/*
 * What is it? Never waits, as long as there is /proc. Without it an anonymous file counts as an eventfd,
 * and to find that out may wait.
 */
enum unm_fd_kind unm_fd_kind(int fd);

/* Too many of a sender's wait to be closed: nothing more is to be taken from it. */
bool unm_fd_queue_is_full(const struct unm_closer_queue *q);

/**
 * unm_fd_close() - close a descriptor that the other side has sent, and never wait for it
 * @q: the sender's, which lives as long as the process; NULL: it is not counted
 *
 * Thread: any, one at a time for each queue.
 */
void unm_fd_close(int fd, struct unm_closer_queue *q);

#endif
