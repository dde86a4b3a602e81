/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sync loop. See kloop.h.
 *
 *   sleep mode         process all rings; sleep sleep_us; again. Clients never have to kick
 *                      (kern_need_kick stays 0).
 *   notification mode  process all rings until none has more, asking for kicks; arm the port; look
 *                      once more; sleep on the ioeventfds and the binding's eventfd.
 *   direct rings       have a thread of their own that waits on their ioeventfd and processes them
 *                      at once; the loop forwards the port's notifications to their irqfd, and to
 *                      the thread.
 *
 * Who stops the loop may be another process: the stop mark is in the segment, and a signal to the
 * binding's eventfd ends the sleep.
 *
 * The order of loads and stores is drawn in ring/csb.h.
 */
#include "client/kloop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "client/csb.h"
#include "client/process.h"
#include "client/real.h"
#include "client/session.h"
#include "client/sleeper.h"
#include "client/uaccess.h"
#include "ring/csb.h"
#include "ring/kring.h"
#include "shm/lock.h"

#define MAX_SLEEP_US	  1000000
#define SAFETY_TIMEOUT_MS 3000 /* of a notification-mode sleep */
#define DIRECT_TIMEOUT_MS 100  /* a direct thread looks for the end this often */
#define MAX_PASSES	  64   /* over one ring before the others get their turn */
#define MAX_DRY_PASSES	  2    /* rx passes without a new packet */
#define STOP_WAIT_MS	  100
#define MODE_BITS	  (NM_OPT_SYNC_KLOOP_DIRECT_TX | NM_OPT_SYNC_KLOOP_DIRECT_RX)

struct kloop_ring {
	struct kloop *loop;
	struct unm_bring *ring;
	struct nm_csb_atok *atok;
	struct nm_csb_ktoa *ktoa;
	int ioeventfd; /* -1: none */
	int irqfd;     /* -1: none */
	bool direct;
	bool has_thread;
	uint32_t last_tail;
	pthread_t thread;
};

struct kloop {
	struct unm_binding *b;
	uint32_t n;
	uint32_t sleep_us;
	bool notify;   /* notification mode */
	uint32_t done; /* the direct threads are to end */
	struct kloop_ring *rings;
	struct pollfd *fds; /* n + 1 */
};

static void
signal_fd(int fd)
{
	const uint64_t one = 1;

	if (fd >= 0)
		(void)!UNM_RAW_WRITE(fd, &one, sizeof(one)); /* full counter: signalled already */
}

/* Has the client left something to do since @old? */
static bool
has_more(const struct kloop_ring *k, struct unm_csb_view new, struct unm_csb_view old,
	uint32_t hwtail)
{
	if (!k->ring->is_rx)
		return new.head != old.head;
	return hwtail != unm_pos_prev(new.head, k->ring->num_slots);
}

/* Spec 18.3. Return: whether anything moved. */
static bool
process_ring(struct kloop_ring *k)
{
	const bool notify = k->loop->notify;
	struct unm_csb_view v;
	bool moved = false;
	int pass, dry = 0;

	UNM_WRITE_ONCE(k->ktoa->kern_need_kick, 0);
	v = unm_csb_read(k->atok);
	for (pass = 0; pass < MAX_PASSES; pass++) {
		struct unm_csb_view done = v;
		uint32_t hwcur, hwtail;
		int err = unm_bring_sync_at(k->ring, v.head, v.cur, &hwcur, &hwtail);

		if (err < 0) {
			UNM_WRITE_ONCE(k->ktoa->kern_need_kick, notify);
			break;
		}
		unm_csb_write(k->ktoa, hwcur, hwtail);
		dry++;
		if (hwtail != k->last_tail) {
			k->last_tail = hwtail;
			moved = true;
			dry = 0;
			if (UNM_READ_ONCE(k->atok->appl_need_kick))
				signal_fd(k->irqfd);
		}
		v = unm_csb_read(k->atok);
		if (!has_more(k, v, done, hwtail)) {
			if (!notify)
				break;
			UNM_WRITE_ONCE(k->ktoa->kern_need_kick, 1);
			unm_full_fence();
			v = unm_csb_read(k->atok);
			if (!has_more(k, v, done, hwtail))
				break;
			UNM_WRITE_ONCE(k->ktoa->kern_need_kick, 0);
		}
		moved = moved || v.head != done.head;
		if (!k->ring->is_rx && hwtail == v.head)
			break; /* no room: the port tells when there is */
		if (k->ring->is_rx && dry >= MAX_DRY_PASSES) {
			UNM_WRITE_ONCE(k->ktoa->kern_need_kick, notify);
			break;
		}
	}
	return moved;
}

/* All rings that the loop itself looks after. */
static bool
process_all(struct kloop *l)
{
	bool moved = false;
	uint32_t i;

	for (i = 0; i < l->n; i++)
		if (!l->rings[i].direct && process_ring(&l->rings[i]))
			moved = true;
	return moved;
}

static bool
must_stop(const struct kloop *l)
{
	return unm_load_acquire(&l->b->shared->kloop_stop) != 0;
}

/*
 * Something may have changed at the port: let the direct rings' threads look. @irq: and tell the
 * client, as a signal of the port does.
 */
static void
wake_direct(struct kloop *l, bool irq)
{
	uint32_t i;

	for (i = 0; i < l->n; i++) {
		if (!l->rings[i].has_thread)
			continue;
		signal_fd(l->rings[i].ioeventfd);
		if (irq)
			signal_fd(l->rings[i].irqfd);
	}
}

/*
 * Several rings may share an eventfd, and it may be a blocking one: what another entry or thread
 * took must not make us wait.
 */
static void
take_kicks(const struct pollfd *fds, uint32_t n)
{
	uint64_t count;
	const struct iovec iov = {&count, sizeof(count)};
	uint32_t i;

	for (i = 0; i < n; i++)
		if (fds[i].revents != 0)
			(void)!syscall(SYS_preadv2, fds[i].fd, &iov, 1, -1L, -1L, RWF_NOWAIT);
}

/* Sleep until a kick, a signal of the port, or the end of the mode's time. */
static void
sleep_loop(struct kloop *l, struct unm_sleeper *s)
{
	const uint64_t us = l->notify ? SAFETY_TIMEOUT_MS * UINT64_C(1000) : l->sleep_us;
	const struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000 * 1000)};
	uint32_t i, n = 0;
	int r;

	for (i = 0; l->notify && i < l->n; i++)
		if (!l->rings[i].direct)
			l->fds[n++] = (struct pollfd){l->rings[i].ioeventfd, POLLIN, 0};
	r = unm_sleeper_sleep(s, l->fds, n, &t, NULL);
	unm_sleeper_clear(s);
	if (r <= 0)
		return; /* the time is over, or an application's signal */
	take_kicks(l->fds, n);
	if (l->notify)
		wake_direct(l, true);
}

static int
run(struct kloop *l)
{
	struct unm_thread *t = unm_thread_get();
	struct unm_sleeper *s = t == NULL ? NULL : unm_sleeper_get(t);
	int err = s == NULL ? -ENOMEM : unm_sleeper_add(s, l->b);

	while (err == 0 && !must_stop(l)) { /* until the client stops it */
		if (unm_bport_gone(l->b->bport))
			err = -ENXIO;
		if (process_all(l) && l->notify)
			continue;
		if (l->notify) {
			unm_bport_arm(l->b->bport, POLLIN | POLLOUT);
			wake_direct(l, false);
			if (process_all(l))
				continue;
		}
		if (l->notify || l->sleep_us > 0)
			sleep_loop(l, s);
		else
			sched_yield();
	}
	unm_sleeper_put(t, s);
	return err;
}

static void *
direct_main(void *arg)
{
	struct kloop_ring *k = arg;
	struct pollfd pfd = {k->ioeventfd, POLLIN, 0};

	process_ring(k);
	while (!unm_load_acquire(&k->loop->done)) { /* until the loop ends */
		if (UNM_REAL(poll)(&pfd, 1, DIRECT_TIMEOUT_MS) > 0) {
			take_kicks(&pfd, 1);
			process_ring(k);
		}
	}
	return NULL;
}

static int
start_direct(struct kloop *l)
{
	struct unm_quiet quiet;
	int err = 0;
	uint32_t i;

	unm_quiet_begin(&quiet); /* the threads take no signals of the application's */
	for (i = 0; i < l->n && err == 0; i++) {
		struct kloop_ring *k = &l->rings[i];

		if (!k->direct)
			continue;
		err = -pthread_create(&k->thread, NULL, direct_main, k);
		k->has_thread = err == 0;
	}
	unm_quiet_end(&quiet);
	return err;
}

static void
end_direct(struct kloop *l)
{
	uint32_t i;

	unm_store_release(&l->done, 1);
	for (i = 0; i < l->n; i++)
		if (l->rings[i].has_thread) {
			signal_fd(l->rings[i].ioeventfd);
			pthread_join(l->rings[i].thread, NULL);
		}
}

/* Preparing */

/* Return: 0, -EBADF not open, -EINVAL not an eventfd. */
static int
check_eventfd(int fd)
{
	char path[64], target[64];
	ssize_t len;

	if (fd < 0)
		return 0;
	if (UNM_RAW_FCNTL(fd, F_GETFD, 0L) < 0)
		return -EBADF;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return 0; /* no /proc: take the caller's word */
	target[len] = '\0';
	return strstr(target, "[eventfd]") != NULL ? 0 : -EINVAL;
}

static int
take_eventfds(struct kloop *l, struct unm_request *req)
{
	struct unm_req_opt *o = unm_request_opt(req, NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS);
	const struct nmreq_opt_sync_kloop_eventfds *fds;
	bool all = true;
	uint32_t i;
	int err;

	if (o == NULL)
		return 0;
	if (o->size != sizeof(struct nmreq_option) + l->n * sizeof(fds->eventfds[0])) {
		unm_set_error(
			"option EVENTFDS must have an entry for each of the %u bound rings", l->n);
		o->status = EINVAL;
		return -EINVAL;
	}
	fds = unm_request_opt_data(req, o);
	for (i = 0; i < l->n; i++) {
		l->rings[i].ioeventfd = fds->eventfds[i].ioeventfd;
		l->rings[i].irqfd = fds->eventfds[i].irqfd;
		err = check_eventfd(l->rings[i].ioeventfd);
		if (err == 0)
			err = check_eventfd(l->rings[i].irqfd);
		if (err < 0) {
			unm_set_error("entry %u of option EVENTFDS names no eventfd", i);
			o->status = (uint32_t)-err;
			return err;
		}
		all = all && l->rings[i].ioeventfd >= 0;
	}
	l->notify = all;
	o->status = 0;
	return 0;
}

static int
take_mode(struct kloop *l, struct unm_request *req)
{
	struct unm_req_opt *o = unm_request_opt(req, NETMAP_REQ_OPT_SYNC_KLOOP_MODE);
	const struct nmreq_opt_sync_kloop_mode *m;
	uint32_t i;

	if (o == NULL)
		return 0;
	m = unm_request_opt_data(req, o);
	if ((m->mode & ~MODE_BITS) != 0 || (m->mode != 0 && !l->notify)) {
		unm_set_error(
			"option MODE: unknown bits, or a direct mode without an ioeventfd for "
			"each ring");
		o->status = EINVAL;
		return -EINVAL;
	}
	for (i = 0; i < l->n; i++)
		l->rings[i].direct =
			(m->mode & (l->rings[i].ring->is_rx ? NM_OPT_SYNC_KLOOP_DIRECT_RX
							    : NM_OPT_SYNC_KLOOP_DIRECT_TX)) != 0;
	o->status = 0;
	return 0;
}

static int
prepare(struct kloop *l, struct unm_binding *b, struct unm_request *req)
{
	uint32_t i;
	int err;

	l->b = b;
	l->n = b->bport->n_tx + b->bport->n_rx;
	l->rings = calloc(l->n + 1, sizeof(*l->rings));
	l->fds = calloc(l->n + 1, sizeof(*l->fds));
	if (l->rings == NULL || l->fds == NULL)
		return -ENOMEM;
	for (i = 0; i < l->n; i++) {
		struct kloop_ring *k = &l->rings[i];

		k->loop = l;
		k->ring = unm_csb_ring(b->bport, i);
		k->atok = &b->csb->atok[i];
		k->ktoa = &b->csb->ktoa[i];
		k->ioeventfd = k->irqfd = -1;
		k->last_tail = UNM_READ_ONCE(k->ktoa->hwtail);
	}
	err = take_eventfds(l, req);
	return err < 0 ? err : take_mode(l, req);
}

static int
run_exclusive(struct unm_binding *b, struct unm_request *req)
{
	struct kloop l = {.sleep_us = ((struct nmreq_sync_kloop_start *)req->body)->sleep_us};
	int err = prepare(&l, b, req);

	if (err == 0) {
		err = start_direct(&l);
		if (err == 0)
			err = run(&l);
		end_direct(&l);
		unm_store_release(&b->shared->kloop_stop, 0);
	}
	free(l.rings);
	free(l.fds);
	return err;
}

int
unm_kloop_start(struct unm_desc *d, struct unm_request *req)
{
	struct unm_binding *b;
	uint32_t slot;
	int err;

	if (((struct nmreq_sync_kloop_start *)req->body)->sleep_us > MAX_SLEEP_US) {
		unm_set_error("sleep_us must not exceed %d", MAX_SLEEP_US);
		return -EINVAL;
	}
	b = unm_desc_find_binding(d);
	if (b == NULL || unm_bport_gone(b->bport))
		return -ENXIO;
	if (__atomic_load_n(&b->csb, __ATOMIC_ACQUIRE) == NULL) {
		unm_set_error(
			"the sync loop needs CSB mode: register with option CSB, or CSB_ENABLE");
		return -EINVAL;
	}
	slot = unm_client_env.slot();
	if (slot == 0)
		return -EIO;
	if (unm_lock_try(&b->shared->kloop_running, slot) < 0)
		return -EBUSY;
	err = run_exclusive(b, req);
	unm_lock_release(&b->shared->kloop_running);
	return err;
}

/*
 * Sleep until the word changes from @seen, or STOP_WAIT_MS. The release wakes us, as the word says
 * that somebody waits.
 */
static void
wait_for_word(uint32_t *word, uint32_t seen)
{
	const struct timespec t = {0, STOP_WAIT_MS * 1000000L};

	if (!(seen & UNM_LOCK_CONTENDED)) {
		if (!unm_cas(word, seen, seen | UNM_LOCK_CONTENDED))
			return;
		seen |= UNM_LOCK_CONTENDED;
	}
	syscall(SYS_futex, word, FUTEX_WAIT, seen, &t, NULL, 0);
}

int
unm_kloop_stop(struct unm_desc *d)
{
	struct unm_binding *b = unm_desc_find_binding(d);
	uint32_t seen;

	if (b == NULL)
		return -ENXIO;
	unm_store_release(&b->shared->kloop_stop, 1);
	unm_full_fence();
	/* Until the loop is gone; netmapd frees the word if its process has died */
	while ((seen = UNM_READ_ONCE(b->shared->kloop_running)) != 0) {
		signal_fd(b->event_fd);
		wait_for_word(&b->shared->kloop_running, seen);
	}
	return 0;
}
