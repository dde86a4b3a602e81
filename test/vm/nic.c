/* SPDX-License-Identifier: BSD-2-Clause */
/* One NIC: its thread's loop, sending and receiving; see nic.h. */
#include "nic.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "nmt_affinity.h"
#include "shm/atomic.h"

#define SECOND_NS 1000000000ull
/* Longer than any test waits for a single frame, so that a call that was lost shows. */
#define LONGEST_SLEEP (30 * SECOND_NS)
#define PING_TIMEOUT  SECOND_NS
#define STALL_NS      (SECOND_NS / 5) /* a window that does not move for so long begins anew */
#define LOOK_EVERY    4096u /* batches without sleep after which the connection is looked at */
#define RX_BUDGET     256u

uint64_t
nic_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

void
nic_fault(struct nic *n, const char *what)
{
	if (n->fault == NULL)
		__atomic_store_n(&n->fault, what, __ATOMIC_RELEASE);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static struct fr_account *
account_of(struct nic *n, uint16_t stream)
{
	struct fr_account **a = &n->account[stream % NIC_MAX_STREAMS];

	if (*a == NULL)
		*a = calloc(1, sizeof(**a));
	return *a;
}

static void
take_pong(struct nic *n, const struct fr_mark *m)
{
	if (!n->ping_is_out || m->run != n->kind[0].run || m->seq + 1 != n->seq[0])
		return; /* one that was given up */
	histogram_add(&n->rtt, nic_now_ns() - n->ping_sent_ns);
	n->ping_is_out = false;
}

/* Back to where it came from, through the queue pair 0. */
static void
echo(struct nic *n, const struct nd_frame *f)
{
	struct nd_queue *q = &n->tx[0];
	uint8_t *buf = nd_tx_buf(q);
	uint8_t *eth, mac[6];
	uint32_t i, len = 0;

	if (buf == NULL && nd_tx_reclaim(q) > 0)
		buf = nd_tx_buf(q);
	if (buf == NULL || f->len > q->stride - ND_HDR_LEN) {
		unm_count(&n->echo_dropped, 1);
		return;
	}
	memcpy(buf, f->hdr, ND_HDR_LEN);
	((struct nd_hdr *)buf)->num_buffers = 0;
	eth = buf + ND_HDR_LEN;
	for (i = 0; i < f->n_parts; i++) {
		memcpy(eth + len, f->part[i].data, f->part[i].len);
		len += f->part[i].len;
	}
	memcpy(mac, eth, 6);
	memcpy(eth, eth + 6, 6);
	memcpy(eth + 6, mac, 6);
	if (nd_tx_put(q, ND_HDR_LEN + len) < 0)
		nic_fault(n, q->fault);
}

void
nic_on_frame(void *arg, const struct nd_frame *f)
{
	struct nic *n = arg;
	struct fr_mark m;
	struct fr_account *a;
	const enum fr_verdict verdict = fr_read(f, n->c.kind.is_filled, &m);

	if (verdict == FR_FOREIGN) {
		unm_count(&n->foreign, 1);
		return;
	}
	a = account_of(n, m.stream);
	if (a == NULL) {
		nic_fault(n, "out of memory");
		return;
	}
	fr_note(a, &m, f->len);
	a->damaged += verdict == FR_DAMAGED;
	a->header_changed += verdict == FR_HEADER_CHANGED;
	unm_count(&n->received, 1);
	unm_count(&n->bytes, f->len);
	if (n->c.role == NIC_ECHO)
		echo(n, f);
	else if (n->c.role == NIC_PING)
		take_pong(n, &m);
}

void
nic_send_echoes(struct nic *n)
{
	if (n->c.role == NIC_ECHO && nd_tx_flush(&n->tx[0]) < 0)
		nic_fault(n, n->tx[0].fault);
}

/* Return: frames received on all pairs. */
static int
receive(struct nic *n)
{
	unsigned int i;
	int total = 0, got;

	for (i = 0; i < n->c.fe.n_pairs; i++) {
		got = nd_rx(&n->rx[i], RX_BUDGET, nic_on_frame, n);
		if (got < 0) {
			nic_fault(n, n->rx[i].fault);
			return 0;
		}
		total += got;
	}
	if (total > 0) {
		nic_send_echoes(n);
		if (n->peer == NULL)
			return total;
		unm_full_fence(); /* counted, then looked; with the one in sleep_until() */
		if (UNM_READ_ONCE(n->peer->sleeps_for_window) != 0 &&
			unm_exchange(&n->peer->sleeps_for_window, 0) != 0)
			eventfd_write(n->peer->wake_fd, 1);
	}
	return total;
}

/* ---- sending --------------------------------------------------------------------------------- */

/*
 * Of what we have sent. The peer's thread counts meanwhile; a figure of a moment ago is good
 * enough.
 */
static uint64_t
received_by_peer(const struct nic *n)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < n->c.fe.n_pairs; i++) {
		const struct fr_account *a =
			UNM_READ_ONCE(n->peer->account[n->kind[i].stream % NIC_MAX_STREAMS]);

		sum += a == NULL ? 0 : UNM_READ_ONCE(a->got);
	}
	return sum;
}

/* Frames that the window lets go. */
static uint64_t
window_room(struct nic *n)
{
	const uint64_t received = received_by_peer(n);
	/* Below 0: late ones have come after all, which a stall had given up. */
	const int64_t out = (int64_t)(n->sent - n->window_base - received);
	uint64_t now;

	if (out < (int64_t)n->c.window)
		return out < 0 ? n->c.window : n->c.window - (uint64_t)out;
	now = nic_now_ns();
	if (received != n->window_seen || n->window_ns == 0) {
		n->window_seen = received;
		n->window_ns = now;
	} else if (now - n->window_ns > STALL_NS) {
		unm_count(&n->stalls, 1);
		n->window_base = n->sent - received;
		n->window_ns = now;
	}
	return 0;
}

/*
 * Frames that may go now on pair @i. *due_ns: when the next may, if it is the rate that holds it
 * back.
 */
static uint64_t
allowance(struct nic *n, unsigned int i, uint64_t *due_ns)
{
	uint64_t room = n->c.burst;

	if (n->c.count > 0 && n->c.count - n->seq[i] < room)
		room = n->c.count - n->seq[i];
	if (n->c.window > 0 && n->peer != NULL) {
		const uint64_t w = window_room(n);

		room = w < room ? w : room;
	}
	if (n->c.rate > 0 && room > 0) {
		const uint64_t now = nic_now_ns();
		uint64_t due;

		if (n->t0 == 0) {
			n->t0 = now;
			memcpy(n->t0_sent, n->seq, sizeof(n->t0_sent));
		}
		due = (uint64_t)((double)(now - n->t0) * n->c.rate / 1e9) + 1;
		due = due > n->seq[i] - n->t0_sent[i] ? due - (n->seq[i] - n->t0_sent[i]) : 0;
		if (due == 0)
			*due_ns = n->t0 +
				  (uint64_t)((double)(n->seq[i] - n->t0_sent[i]) * 1e9 / n->c.rate);
		room = due < room ? due : room;
	}
	return room;
}

/* Return: frames sent on all pairs. */
static uint64_t
send_frames(struct nic *n, uint64_t *due_ns)
{
	uint64_t total = 0, room, k;
	unsigned int i;

	for (i = 0; i < n->c.fe.n_pairs; i++) {
		struct nd_queue *q = &n->tx[i];
		const uint32_t len = ND_HDR_LEN + n->kind[i].len;

		if (q->n_free < n->c.burst && nd_tx_reclaim(q) < 0)
			nic_fault(n, q->fault);
		room = allowance(n, i, due_ns);
		for (k = 0; k < room && n->fault == NULL; k++) {
			uint8_t *buf = nd_tx_buf(q);

			if (buf == NULL)
				break;
			fr_stamp(buf, &n->kind[i], n->seq[i], 0);
			if (nd_tx_put(q, len) < 0)
				nic_fault(n, q->fault);
			n->seq[i]++;
		}
		if (k > 0 && nd_tx_flush(q) < 0)
			nic_fault(n, q->fault);
		total += k;
	}
	unm_count(&n->sent, total);
	return total;
}

/* At most one request under way. */
static uint64_t
send_ping(struct nic *n, uint64_t *due_ns)
{
	struct nd_queue *q = &n->tx[0];
	const uint64_t now = nic_now_ns();
	uint8_t *buf;

	if (n->ping_is_out && now - n->ping_sent_ns > PING_TIMEOUT) {
		unm_count(&n->pings_lost, 1);
		n->ping_is_out = false;
	}
	if (n->ping_is_out) {
		*due_ns = n->ping_sent_ns + PING_TIMEOUT + 1;
		return 0;
	}
	if (n->ping_due_ns > now) {
		*due_ns = n->ping_due_ns;
		return 0;
	}
	if (nd_tx_reclaim(q) < 0)
		nic_fault(n, q->fault);
	buf = nd_tx_buf(q);
	if (buf == NULL || (n->c.count > 0 && n->seq[0] == n->c.count))
		return 0;
	fr_stamp(buf, &n->kind[0], n->seq[0]++, 0);
	n->ping_sent_ns = nic_now_ns();
	n->ping_is_out = true;
	n->ping_due_ns = n->c.rate > 0 ? n->ping_sent_ns + (uint64_t)(1e9 / n->c.rate) : 0;
	if (nd_tx_put(q, ND_HDR_LEN + n->kind[0].len) < 0 || nd_tx_flush(q) < 0)
		nic_fault(n, q->fault);
	unm_count(&n->sent, 1);
	return 1;
}

static uint64_t
transmit(struct nic *n, uint64_t *due_ns)
{
	if (n->is_paused)
		return 0;
	switch (n->c.role) {
	case NIC_SEND:
	case NIC_BOTH:
		return send_frames(n, due_ns);
	case NIC_PING:
		return send_ping(n, due_ns);
	default:
		return 0;
	}
}

/* Could a frame go at once? */
static bool
may_send(struct nic *n)
{
	uint64_t due_ns;
	unsigned int i;

	for (i = 0; i < n->c.fe.n_pairs; i++)
		if (n->tx[i].n_free > 0 && allowance(n, i, &due_ns) > 0)
			return true;
	return false;
}

static bool
is_sending(const struct nic *n)
{
	return !n->is_paused && (n->c.role == NIC_SEND || n->c.role == NIC_BOTH);
}

/* ---- sleeping -------------------------------------------------------------------------------- */

static void
calls_off(struct nic *n)
{
	unsigned int i;

	for (i = 0; i < n->fe.n_rings; i++)
		vd_calls_off(&n->fe.ring[i].vd);
}

/* Ask for calls. Return: something is there already. */
static bool
calls_on(struct nic *n)
{
	bool there = false;
	unsigned int i;

	for (i = 0; i < n->c.fe.n_pairs; i++) {
		struct vd *tx = &n->tx[i].ring->vd;

		there |= vd_calls_on(&n->rx[i].ring->vd, 1);
		/* Room is wanted when none is left, and then not for each single buffer. */
		if (n->tx[i].n_free == 0)
			there |= vd_calls_on(tx, (uint16_t)(tx->n_in_flight * 3u / 4u + 1));
	}
	return there;
}

static void
sleep_until(struct nic *n, uint64_t due_ns)
{
	struct pollfd p[2 * FE_MAX_PAIRS + 2];
	const uint64_t now = nic_now_ns();
	uint64_t left = due_ns > now ? due_ns - now : 0;
	struct timespec t;
	eventfd_t value;
	unsigned int i, k = 0;

	if (n->c.window > 0 && n->peer != NULL && is_sending(n)) {
		UNM_WRITE_ONCE(n->sleeps_for_window, 1);
		unm_full_fence(); /* noted, then looked; with the one in receive() */
		if (may_send(n))
			return; /* the window has moved meanwhile */
		left = left < STALL_NS ? left : STALL_NS;
	}
	if (left > LONGEST_SLEEP)
		left = LONGEST_SLEEP;
	t = (struct timespec){(time_t)(left / SECOND_NS), (long)(left % SECOND_NS)};
	for (i = 0; i < n->fe.n_rings; i++)
		p[k++] = (struct pollfd){.fd = n->fe.ring[i].call, .events = POLLIN};
	p[k++] = (struct pollfd){.fd = n->wake_fd, .events = POLLIN};
	p[k++] = (struct pollfd){.fd = n->fe.sock, .events = POLLRDHUP};
	unm_count(&n->sleeps, 1);
	if (ppoll(p, k, &t, NULL) <= 0)
		return;
	for (i = 0; i <= n->fe.n_rings; i++) {
		if ((p[i].revents & POLLIN) == 0)
			continue;
		eventfd_read(p[i].fd, &value);
		if (i < n->fe.n_rings)
			(i % 2 == 0 ? &n->rx[i / 2] : &n->tx[i / 2])->calls++;
	}
}

/* Nothing to do: spin for a while, then sleep. *idle_ns: since when. Return: has slept. */
static bool
rest(struct nic *n, uint64_t *idle_ns, uint64_t due_ns)
{
	const uint64_t now = nic_now_ns();

	if (*idle_ns == 0)
		*idle_ns = now;
	if (n->c.spin_ns == NIC_SPIN_ALWAYS || now - *idle_ns < n->c.spin_ns) {
		unm_cpu_relax();
		return false;
	}
	if (!calls_on(n))
		sleep_until(n, due_ns);
	calls_off(n);
	return true;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* The server has gone: find the next one, for as long as we are not told to end. */
static void
look_at_connection(struct nic *n)
{
	if (!fe_is_gone(&n->fe))
		return;
	UNM_WRITE_ONCE(n->is_up, 0);
	if (!n->c.reconnects) {
		nic_fault(n, "the server has gone");
		return;
	}
	while (nic_reconnect(n) < 0 && UNM_READ_ONCE(n->must_end) == 0)
		poll(NULL, 0, 1);
}

static void *
nic_loop(void *arg)
{
	struct nic *n = arg;
	uint64_t idle_ns = 0;
	unsigned int batches = 0;

	prctl(PR_SET_TIMERSLACK, 1);
	if (n->c.cpu >= 0 && nmt_pin_self(n->c.cpu) < 0)
		nic_fault(n, "no such CPU");
	calls_off(n);
	while (UNM_READ_ONCE(n->must_end) == 0 && n->fault == NULL) {
		const enum nic_request r = unm_load_acquire(&n->request);
		uint64_t due_ns = UINT64_MAX;
		bool busy;

		if (r != NIC_REQ_NONE) {
			n->request_ret = nic_handle_request(n, r);
			unm_store_release(&n->request, NIC_REQ_NONE);
			calls_off(n);
		}
		if (++batches % LOOK_EVERY == 0)
			look_at_connection(n);
		busy = receive(n) > 0;
		busy |= transmit(n, &due_ns) > 0;
		if (busy) {
			idle_ns = 0;
			continue;
		}
		if (rest(n, &idle_ns, due_ns))
			look_at_connection(n);
	}
	UNM_WRITE_ONCE(n->is_up, 0);
	return NULL;
}

int
nic_command(struct nic *n, enum nic_request request, int timeout_ms)
{
	const uint64_t end = nic_now_ns() + (uint64_t)timeout_ms * 1000000;

	unm_store_release(&n->request, request);
	eventfd_write(n->wake_fd, 1);
	while (unm_load_acquire(&n->request) != NIC_REQ_NONE) {
		if (nic_now_ns() > end || __atomic_load_n(&n->fault, __ATOMIC_ACQUIRE) != NULL)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	return n->request_ret;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static uint32_t
tx_buf_size(const struct nic_config *c)
{
	return ND_HDR_LEN +
	       (c->role == NIC_ECHO && c->rx_buf > c->kind.len ? c->rx_buf : c->kind.len);
}

static int
open_queues(struct nic *n, const struct nic_config *c)
{
	unsigned int i;
	uint32_t k;
	int ret = 0;

	for (i = 0; ret == 0 && i < c->fe.n_pairs; i++) {
		n->kind[i] = c->kind;
		n->kind[i].stream = (uint16_t)(n->index * FE_MAX_PAIRS + i);
		ret = nd_init(&n->rx[i], &n->fe, 2 * i, ND_HDR_LEN + c->rx_buf, c->rx_seg);
		if (ret == 0)
			ret = nd_init(&n->tx[i], &n->fe, 2 * i + 1, tx_buf_size(c), c->tx_seg);
		for (k = 0; ret == 0 && k < n->tx[i].n_bufs; k++)
			fr_template(n->tx[i].buf + (size_t)k * n->tx[i].stride, &n->kind[i]);
	}
	for (i = 0; ret == 0 && i < c->fe.n_pairs; i++) {
		ret = nd_fresh(&n->rx[i]);
		if (ret == 0)
			ret = nd_fresh(&n->tx[i]);
	}
	if (ret < 0)
		snprintf(n->fe.error, sizeof(n->fe.error), "queues: %s", strerror(-ret));
	return ret;
}

int
nic_open(struct nic *n, const struct nic_config *c, unsigned int index)
{
	int ret;

	memset(n, 0, sizeof(*n));
	n->c = *c;
	n->index = index;
	n->is_paused = c->starts_paused;
	n->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (n->wake_fd < 0)
		return -errno;
	ret = fe_open(&n->fe, &c->fe);
	if (ret == 0)
		ret = fe_connect(&n->fe);
	if (ret == 0)
		ret = fe_fresh(&n->fe);
	if (ret == 0)
		ret = open_queues(n, c);
	if (ret == 0)
		ret = fe_start(&n->fe);
	n->is_up = ret == 0;
	return ret;
}

int
nic_run(struct nic *n)
{
	const int ret = pthread_create(&n->thread, NULL, nic_loop, n);

	n->has_thread = ret == 0;
	return -ret;
}

void
nic_close(struct nic *n)
{
	unsigned int i;

	UNM_WRITE_ONCE(n->must_end, 1);
	eventfd_write(n->wake_fd, 1);
	if (n->has_thread)
		pthread_join(n->thread, NULL);
	for (i = 0; i < n->c.fe.n_pairs; i++) {
		nd_fini(&n->rx[i]);
		nd_fini(&n->tx[i]);
	}
	for (i = 0; i < NIC_MAX_STREAMS; i++)
		free(n->account[i]);
	free(n->snapshot);
	fe_close(&n->fe);
	close(n->wake_fd);
}

double
nic_cpu_s(const struct nic *n)
{
	struct timespec t;
	clockid_t clock;

	if (!n->has_thread || pthread_getcpuclockid(n->thread, &clock) != 0 ||
		clock_gettime(clock, &t) < 0)
		return 0;
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
