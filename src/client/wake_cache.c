/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cache of eventfds. See wake_cache.h.
 *
 * Direct-mapped: bindings of a segment have dense numbers, so up to N_ENTRIES of them never
 * collide; beyond, a newcomer takes the place. An entry that is replaced may be in use by a thread
 * that has just looked it up, hence it is retired, not closed. A small descriptor limit makes the
 * cache smaller.
 *
 * A hit, which is on the path of every wake, takes no lock: an entry carries a sequence number, odd
 * while it changes.
 */
/* Syscalls: write */
#include "client/wake_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>

#include "client/control_thread.h"
#include "client/epoch.h"
#include "client/fdtab.h"
#include "client/process.h"
#include "client/session.h"
#include "port/port.h"
#include "shm/atomic.h"

#define N_ENTRIES 1024u

struct entry {
	uint32_t seq; /* odd while the fields below change. W: holder of @lock, as all of it */
	uint32_t entry_pad;
	uint64_t seg_uid;
	uint32_t binding;
	uint32_t gen;
	int fd; /* valid when seg_uid != 0 */
};

static struct entry entries[N_ENTRIES];
static uint32_t n_usable; /* power of two; 0: not decided yet */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * A quarter of what the process may open at most. Threads that decide at once decide the same, or
 * nearly: no matter.
 */
static uint32_t
usable(void)
{
	uint32_t n = UNM_READ_ONCE(n_usable);
	struct rlimit lim;

	if (n != 0)
		return n;
	n = N_ENTRIES;
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0)
		while (n > 16 && n > lim.rlim_cur / 4)
			n /= 2;
	UNM_WRITE_ONCE(n_usable, n);
	return n;
}

static struct entry *
entry_of(uint64_t seg_uid, uint32_t binding)
{
	return &entries[((uint32_t)seg_uid + binding) & (usable() - 1)];
}

static void
close_retired(void *arg)
{
	unm_fd_internal_close((int)(intptr_t)arg);
}

/*
 * The caller may be inside a sync, which keeps retired things from being freed at once: the control
 * thread sees to it.
 */
static void
retire_fd(int fd)
{
	unm_epoch_retire(close_retired, (void *)(intptr_t)fd);
	if (unm_epoch_pending())
		unm_control_kick();
}

static int
ask(uint64_t seg_uid, uint32_t binding, uint32_t gen)
{
	const struct unm_msg_get_wake req = {seg_uid, binding, gen};
	struct unm_call c = {.type = UNM_MSG_GET_WAKE,
		.flags = UNM_CALL_NOWAIT,
		.body = &req,
		.body_len = sizeof(req)};
	int err = unm_session_call(&c);

	if (err < 0)
		return err;
	if (c.error < 0 || c.n_ans_fds != 1) {
		unm_call_close_fds(&c, 0);
		return c.error < 0 ? c.error : -EPROTO;
	}
	return unm_fd_internal(c.ans_fds[0]);
}

/*
 * Change an entry so that readers notice. With the lock held. Return: the descriptor that was
 * there, or -1.
 */
static int
replace(struct entry *e, uint64_t seg_uid, uint32_t binding, uint32_t gen, int fd)
{
	const int old = e->seg_uid != 0 ? e->fd : -1;

	UNM_WRITE_ONCE(e->seq, e->seq + 1);
	__atomic_thread_fence(__ATOMIC_RELEASE); /* pairs with the fence in look_up() */
	UNM_WRITE_ONCE(e->seg_uid, seg_uid);
	UNM_WRITE_ONCE(e->binding, binding);
	UNM_WRITE_ONCE(e->gen, gen);
	UNM_WRITE_ONCE(e->fd, fd);
	unm_store_release(&e->seq, e->seq + 1);
	return old;
}

/*
 * Return: the descriptor, or -1 when it is not there (or is being changed, which asking again
 * settles).
 */
static int
look_up(const struct entry *e, uint64_t seg_uid, uint32_t binding, uint32_t gen)
{
	const uint32_t seq = unm_load_acquire(&e->seq);
	const bool same = UNM_READ_ONCE(e->seg_uid) == seg_uid &&
			  UNM_READ_ONCE(e->binding) == binding && UNM_READ_ONCE(e->gen) == gen;
	const int fd = UNM_READ_ONCE(e->fd);

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return same && !(seq & 1) && UNM_READ_ONCE(e->seq) == seq ? fd : -1;
}

int
unm_wake_fd(const struct unm_seg *seg, uint32_t binding, uint32_t gen)
{
	struct entry *e = entry_of(seg->uid, binding);
	int fd = look_up(e, seg->uid, binding, gen);
	struct unm_quiet quiet;
	int old;

	if (fd >= 0)
		return fd;
	fd = ask(seg->uid, binding, gen);
	if (fd < 0)
		return fd;
	unm_quiet_begin(&quiet);
	pthread_mutex_lock(&lock);
	old = replace(e, seg->uid, binding, gen, fd);
	pthread_mutex_unlock(&lock);
	unm_quiet_end(&quiet);
	if (old >= 0)
		retire_fd(old);
	return fd;
}

void
unm_wake_cache_forget(uint64_t seg_uid)
{
	struct unm_quiet quiet;
	uint32_t i;

	unm_quiet_begin(&quiet);
	pthread_mutex_lock(&lock);
	for (i = 0; i < N_ENTRIES; i++)
		if (entries[i].seg_uid == seg_uid) {
			retire_fd(replace(&entries[i], 0, 0, 0, -1));
		}
	pthread_mutex_unlock(&lock);
	unm_quiet_end(&quiet);
}

void
unm_wake_cache_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
}
