/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Thread records and deferred freeing. See epoch.h.
 *
 * Records are never given back to the system: a finished thread's record is taken by the next new
 * one. The first come from a static pool, later ones by the page, so that a thread's first sync may
 * happen in a signal handler.
 */
/* Syscalls: membarrier nanosleep clock_nanosleep */
#include "client/epoch.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "client/real.h"
#include "client/sleeper.h"

#define N_STATIC   16
#define PAGE_BYTES 16384

struct retired {
	struct retired *next;
	void (*fn)(void *arg);
	void *arg;
};

__thread struct unm_thread *unm_thread_self __attribute__((tls_model("initial-exec")));
bool unm_epoch_fence = true;

static struct unm_thread static_records[N_STATIC];
static uint32_t n_static_used;
static struct unm_thread *records;			 /* all ever made; only grows */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* retired list */
static struct retired *retired;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static bool have_exit_key;

static void
thread_gone(void *arg)
{
	struct unm_thread *t = arg;

	unm_sleeper_end(t);
	unm_thread_self = NULL;
	__atomic_store_n(&t->taken, 0, __ATOMIC_RELEASE);
}

static void
init(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0)
		unm_epoch_fence = false;
	have_exit_key = pthread_key_create(&exit_key, thread_gone) == 0;
}

void
unm_epoch_init(void)
{
	pthread_once(&once, init);
}

static void
push_record(struct unm_thread *t)
{
	struct unm_thread *head = __atomic_load_n(&records, __ATOMIC_RELAXED);

	do {
		t->next = head;
	} while (!__atomic_compare_exchange_n(
		&records, &head, t, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* Records from a new page: the first for the caller, the others for whoever comes. */
static struct unm_thread *
new_records(void)
{
	struct unm_thread *page = unm_pages_alloc(PAGE_BYTES);
	size_t i;

	if (page == NULL)
		return NULL;
	page[0].taken = 1;
	for (i = 0; i < PAGE_BYTES / sizeof(*page); i++)
		push_record(&page[i]);
	return page;
}

static struct unm_thread *
take_record(void)
{
	struct unm_thread *t;
	uint32_t i;

	for (t = __atomic_load_n(&records, __ATOMIC_ACQUIRE); t != NULL; t = t->next)
		if (unm_cas(&t->taken, 0, 1))
			return t;
	i = __atomic_fetch_add(&n_static_used, 1, __ATOMIC_RELAXED);
	if (i < N_STATIC) {
		static_records[i].taken = 1;
		push_record(&static_records[i]);
		return &static_records[i];
	}
	return new_records();
}

struct unm_thread *
unm_thread_make(void)
{
	const int saved = errno;
	struct unm_thread *t;

	unm_epoch_init();
	t = take_record();
	if (t != NULL) {
		t->raw_idle = 0;
		t->raw_never = 0;
		t->handlers = (struct unm_handlers){0};
		t->raw_nvcsw = 0;
		t->text[0] = '\0';
		unm_thread_self = t;
		if (have_exit_key)
			pthread_setspecific(exit_key, t);
	}
	errno = saved;
	return t;
}

/* Make every store of ours seen, and every section that has begun visible to us. */
static void
barrier_all(void)
{
	unm_full_fence();
	if (!unm_epoch_fence)
		syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

static bool
any_section(void)
{
	const struct unm_thread *t;

	for (t = __atomic_load_n(&records, __ATOMIC_ACQUIRE); t != NULL; t = t->next)
		if (unm_load_acquire(&t->seq) & 1)
			return true;
	return false;
}

void
unm_epoch_retire(void (*fn)(void *arg), void *arg)
{
	struct retired *r;

	barrier_all();
	if (!any_section()) {
		fn(arg);
		return;
	}
	r = malloc(sizeof(*r));
	if (r == NULL)
		return; /* leaks, which is better than freeing under a reader */
	r->fn = fn;
	r->arg = arg;
	pthread_mutex_lock(&lock);
	r->next = retired;
	retired = r;
	pthread_mutex_unlock(&lock);
}

bool
unm_epoch_pending(void)
{
	return __atomic_load_n(&retired, __ATOMIC_RELAXED) != NULL;
}

void
unm_epoch_collect(void)
{
	const struct timespec nap = {0, 100000};
	const struct unm_thread *t;
	struct retired *r, *next;

	pthread_mutex_lock(&lock);
	r = retired;
	retired = NULL;
	pthread_mutex_unlock(&lock);
	if (r == NULL)
		return;
	barrier_all();
	for (t = __atomic_load_n(&records, __ATOMIC_ACQUIRE); t != NULL; t = t->next) {
		const uint32_t seq = unm_load_acquire(&t->seq);

		/* A section lasts one sync: bounded by UNM_LOCK_WAIT_MS a destination */
		while ((seq & 1) && unm_load_acquire(&t->seq) == seq)
			nanosleep(&nap, NULL);
	}
	for (; r != NULL; r = next) {
		next = r->next;
		r->fn(r->arg);
		free(r);
	}
}

void
unm_epoch_after_fork(void)
{
	struct unm_thread *t;

	pthread_mutex_init(&lock, NULL);
	for (t = records; t != NULL; t = t->next) {
		unm_sleeper_end(t); /* closes our copy; the parent's goes on */
		if (t == unm_thread_self)
			continue;
		t->seq &= ~1u;
		t->taken = 0;
	}
}
