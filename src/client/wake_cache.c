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
 *
 * A signal that can't be given, as netmapd does not answer in time, is owed: the sleeper's mark has
 * been taken, so nobody else will wake it. The control thread asks until there is an answer.
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
#define N_DEBTS	  UNM_SEG_NBINDINGS /* as many as a switch can have */

struct entry {
	uint32_t seq; /* odd while the fields below change. W: holder of @lock, as all of it */
	uint32_t entry_pad;
	uint64_t seg_uid;
	uint32_t binding;
	uint32_t gen;
	int fd; /* valid when seg_uid != 0 */
};

/* A signal that could not be given, as netmapd did not answer. The control thread asks again, and gives it. */
struct debt {
	uint64_t seg_uid;
	uint32_t binding;
	uint32_t gen;
};

static struct entry entries[N_ENTRIES];
static struct debt debts[N_DEBTS]; /* under @lock */
static unsigned int n_debts;
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

/*
 * @was_answered: set. netmapd has then given the signal itself, as there may be no room for the
 * descriptor here
 */
static int
ask(const struct debt *d, bool *was_answered)
{
	const struct unm_msg_get_wake req = {d->seg_uid, d->binding, d->gen};
	const unsigned int patience = unm_session_patience();
	struct unm_call c = {.type = UNM_MSG_GET_WAKE,
		.flags = UNM_CALL_NOWAIT,
		.patience = patience < UNM_PATIENCE_WAKE ? patience : UNM_PATIENCE_WAKE,
		.body = &req,
		.body_len = sizeof(req)};
	int err = unm_session_call(&c);

	*was_answered = err == 0;
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

static void
keep(const struct debt *d, int fd)
{
	struct unm_quiet quiet;
	int old;

	unm_quiet_begin(&quiet);
	pthread_mutex_lock(&lock);
	old = replace(entry_of(d->seg_uid, d->binding), d->seg_uid, d->binding, d->gen, fd);
	pthread_mutex_unlock(&lock);
	unm_quiet_end(&quiet);
	if (old >= 0)
		retire_fd(old);
}

static bool
is_same(const struct debt *a, const struct debt *b)
{
	return a->seg_uid == b->seg_uid && a->binding == b->binding && a->gen == b->gen;
}

/* Have the control thread give the signal. */
static void
owe(const struct debt *d)
{
	struct unm_quiet quiet;
	bool is_new;
	unsigned int i;

	unm_quiet_begin(&quiet);
	pthread_mutex_lock(&lock);
	for (i = 0; i < n_debts; i++)
		if (is_same(&debts[i], d))
			break;
	is_new = i == n_debts && n_debts < N_DEBTS;
	if (is_new)
		debts[n_debts++] = *d;
	pthread_mutex_unlock(&lock);
	unm_quiet_end(&quiet);
	if (is_new)
		unm_control_kick();
}

int
unm_wake_fd(const struct unm_seg *seg, uint32_t binding, uint32_t gen)
{
	const struct debt d = {seg->uid, binding, gen};
	int fd = look_up(entry_of(seg->uid, binding), seg->uid, binding, gen);
	bool was_answered;

	if (fd >= 0)
		return fd;
	fd = ask(&d, &was_answered);
	if (fd >= 0)
		keep(&d, fd);
	else if (!was_answered)
		owe(&d);
	return fd;
}

/* One of them. Return: false: there is none. */
static bool
next_debt(struct debt *d)
{
	struct unm_quiet quiet;
	bool any;

	unm_quiet_begin(&quiet);
	pthread_mutex_lock(&lock);
	any = n_debts > 0;
	if (any)
		*d = debts[0];
	pthread_mutex_unlock(&lock);
	unm_quiet_end(&quiet);
	return any;
}

static void
settle(const struct debt *d)
{
	struct unm_quiet quiet;
	unsigned int i;

	unm_quiet_begin(&quiet);
	pthread_mutex_lock(&lock);
	for (i = 0; i < n_debts && !is_same(&debts[i], d); i++)
		;
	if (i < n_debts)
		debts[i] = debts[--n_debts];
	pthread_mutex_unlock(&lock);
	unm_quiet_end(&quiet);
}

/* What has gone with its segment, or is bound no more, netmapd knows, and says so (-ESTALE). */
bool
unm_wake_pay(void)
{
	unsigned int left;
	struct debt d;

	for (left = N_DEBTS; left > 0 && next_debt(&d); left--) {
		bool was_answered;
		const int fd = ask(&d, &was_answered);

		if (!was_answered)
			return false;
		settle(&d); /* netmapd has given the signal */
		if (fd >= 0)
			unm_fd_internal_close(
				fd); /* not kept: its segment may be known here no longer */
	}
	return true;
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
	n_debts = 0; /* our parent's */
}
