/* SPDX-License-Identifier: BSD-2-Clause */
/* The process's identity, fork, and calm for control operations. See process.h. */
#include "client/process.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "client/control_thread.h"
#include "client/desc.h"
#include "client/epoch.h"
#include "client/epoll_set.h"
#include "client/fdready.h"
#include "client/memory.h"
#include "client/real.h"
#include "client/session.h"
#include "shm/atomic.h"

#define PAGE_BYTES 4096

/* Until the first descriptor: no slot. Never written. */
static struct unm_process_page no_page;
struct unm_process_page *unm_process_page = &no_page;

static pid_t owner;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int init_error;

static void
after_fork(void)
{
	unm_process_page->slot = 0;
	unm_epoch_after_fork();
	unm_control_after_fork();
	unm_session_after_fork();
	unm_memory_after_fork();
	unm_desc_after_fork();
	unm_fdready_after_fork();
	unm_epoll_set_after_fork();
	owner = getpid();
	unm_process_page->alive = 1;
}

/* The short locks are held across the fork, so that what they guard is whole in the child. */
static void
before_fork(void)
{
	unm_desc_before_fork();
	unm_memory_before_fork();
}

static void
in_parent(void)
{
	unm_memory_in_parent();
	unm_desc_in_parent();
}

static void
init(void)
{
	void *p = unm_pages_alloc(PAGE_BYTES);

	if (p == NULL) {
		init_error = -ENOMEM;
		return;
	}
	madvise(p, PAGE_BYTES,
		MADV_WIPEONFORK); /* refused before Linux 4.14: fork handlers remain */
	owner = getpid();
	unm_process_page = p;
	unm_process_page->alive = 1;
	unm_epoch_init();
	init_error = -pthread_atfork(before_fork, in_parent, after_fork);
}

int
unm_process_init(void)
{
	pthread_once(&once, init);
	return init_error;
}

bool
unm_process_is_ours(void)
{
	if (unm_process_page == &no_page)
		return true;
	if (!UNM_READ_ONCE(unm_process_page->alive)) {
		after_fork();
		return true;
	}
	return getpid() == owner;
}

void
unm_quiet_begin(struct unm_quiet *q)
{
	sigset_t all;

	sigfillset(&all);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &q->cancel);
	pthread_sigmask(SIG_BLOCK, &all, &q->mask);
}

void
unm_quiet_end(const struct unm_quiet *q)
{
	pthread_sigmask(SIG_SETMASK, &q->mask, NULL);
	pthread_setcancelstate(q->cancel, NULL);
}
