/* SPDX-License-Identifier: BSD-2-Clause */
/* See foreign_fd.h. */
#include "vm/foreign_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/atomic.h"
#include "shm/thread.h"

#define MOST_WAITING 64u /* of a sender; and as many as come with one message */
#define NAME_SIZE    64

/* A descriptor that waits for the thread. */
struct waiting {
	struct waiting *next;
	struct unm_fd_queue *q;
	int fd;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct waiting *first, **end;
	bool is_started;
} closer = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static bool
is_unix_socket(int fd)
{
	socklen_t len = sizeof(int);
	int domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* An anonymous file: its mode has no type. */
static bool
has_no_type(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

/* @name: as in /proc/self/fd; that of a file begins with a slash. */
static enum unm_fd_kind
kind_by_name(int fd, const char *name)
{
	if (strcmp(name, "anon_inode:[eventfd]") == 0)
		return UNM_FD_EVENT;
	if (strncmp(name, "pipe:[", 6) == 0)
		return UNM_FD_PIPE;
	return strncmp(name, "socket:[", 8) == 0 && is_unix_socket(fd) ? UNM_FD_SOCKET
								       : UNM_FD_OTHER;
}

enum unm_fd_kind
unm_fd_kind(int fd)
{
	char path[32], name[NAME_SIZE];
	ssize_t n;

	if (fcntl(fd, F_GET_SEALS) >= 0) /* other file systems have none */
		return UNM_FD_MEMORY;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name) - 1);
	if (n >= 0) {
		name[n] = '\0';
		return kind_by_name(fd, name);
	}
	if (fcntl(fd, F_GETPIPE_SZ) >= 0)
		return UNM_FD_PIPE;
	if (is_unix_socket(fd))
		return UNM_FD_SOCKET;
	return has_no_type(fd) ? UNM_FD_EVENT : UNM_FD_OTHER;
}

static void *
close_on(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&closer.lock);
	for (;;) { /* as long as the process lives */
		struct waiting *w = closer.first;

		if (w == NULL) {
			pthread_cond_wait(&closer.changed, &closer.lock);
			continue;
		}
		closer.first = w->next;
		if (closer.first == NULL)
			closer.end = &closer.first;
		pthread_mutex_unlock(&closer.lock);
		close(w->fd); /* as long as it takes */
		if (w->q != NULL)
			__atomic_fetch_sub(&w->q->n, 1, __ATOMIC_RELAXED);
		free(w);
		pthread_mutex_lock(&closer.lock);
	}
	return NULL;
}

/* With the lock held. */
static void
start(void)
{
	pthread_t thread;

	closer.is_started = unm_thread_start(&thread, close_on, NULL) == 0;
	if (closer.is_started)
		pthread_detach(thread);
}

bool
unm_fd_queue_is_full(const struct unm_fd_queue *q)
{
	return UNM_READ_ONCE(q->n) >= MOST_WAITING;
}

void
unm_fd_close(int fd, struct unm_fd_queue *q)
{
	struct waiting *w;

	if (unm_fd_kind(fd) != UNM_FD_OTHER) {
		close(fd);
		return;
	}
	w = malloc(sizeof(*w));
	if (w == NULL)
		return; /* it stays open, which costs less than to wait */
	*w = (struct waiting){.q = q, .fd = fd};
	if (q != NULL)
		__atomic_fetch_add(&q->n, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&closer.lock);
	if (closer.end == NULL)
		closer.end = &closer.first;
	*closer.end = w;
	closer.end = &w->next;
	if (!closer.is_started)
		start(); /* else the next one tries again */
	pthread_cond_signal(&closer.changed);
	pthread_mutex_unlock(&closer.lock);
}
