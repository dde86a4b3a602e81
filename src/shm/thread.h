/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads of our own, on which no signal handler of the program is to run. */
#ifndef UNM_SHM_THREAD_H
#define UNM_SHM_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

/** unm_thread_start() - pthread_create() with all signals blocked. Return: 0 or a negative errno. */
static inline int
unm_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

#endif
