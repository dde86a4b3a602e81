/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP ports: the kernel's end of a wire, as rings.
 *
 * Queue i of the TAP serves tx ring i and rx ring i. rxsync reads frames straight into the free buffers of the ring until the queue is
 * empty or the ring full; txsync writes frames out of their buffers, several slots as one writev. One frame is one system call: the TAP has
 * no call for more. Readiness is the queue's own (unm_bport_fds()).
 *
 * A received frame that is longer than a buffer takes several slots. The kernel does not say how long the next frame is, and cuts off what does
 * not fit: each read offers the buffers of TAP_RX_SLOTS slots, and one byte more that tells when they were not enough. Such a frame is dropped
 * and counted (rx_full), as it was taken out of the queue and is not whole.
 *
 * When the kernel takes no more (EAGAIN) the frame stays in the ring and is tried again at the next sync. A frame that the kernel refuses, as when the
 * interface is down (EIO), is dropped and counted.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "port/internal.h"

#define TAP_MAX_FRAGS 64 /* NETMAP_MAX_FRAGS */
#define TAP_RX_SLOTS                                                                               \
	7 /* 14 KiB; with the extra byte 8 iovecs, the most for which the kernel allocates nothing */

/* Buffers of the free slots from some position on, for the next read. */
struct rx_window {
	struct iovec iov[TAP_RX_SLOTS + 1];
	uint32_t n;
	uint32_t end; /* first slot that is not in it */
};

static uint32_t
tap_tx_done(const struct unm_bring *r)
{
	return unm_own_hwcur(r);
}

/* Most bytes that may be received at @data, which lies in a buffer of the ring (spec 10.6: a gap limits them under OFFSETS). */
static size_t
rx_room(const struct unm_bring *r, const uint8_t *data)
{
	const size_t room = r->buf_size - (size_t)((const char *)data - r->bufs) % r->buf_size;
	const uint64_t gap = UNM_READ_ONCE(r->kring->offset_gap);

	if (UNM_READ_ONCE(r->kring->offset_mask) != 0 && gap != 0 && gap < room)
		return gap;
	return room <= UINT16_MAX ? room : UINT16_MAX;
}

/*
 * The frame at @pos as an iovec. Return: number of slots it takes; 0 if it is incomplete. *n_iov = 0 if it is not fit to be sent.
 */
static uint32_t
tap_frame(struct unm_bring *r, uint32_t pos, uint32_t head, struct iovec *iov, int *n_iov)
{
	enum unm_drop reason = UNM_DROP_N;
	uint32_t taken = 0;

	*n_iov = 0;
	while (pos != head) { /* less than num_slots turns */
		const struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);
		uint8_t *data = unm_slot_data(r, &v);

		taken++;
		pos = unm_pos_next(pos, r->num_slots);
		if (data == NULL && v.len <= r->buf_size) {
			reason = UNM_DROP_BAD_SLOT;
		} else if (data == NULL || *n_iov == TAP_MAX_FRAGS) {
			reason = UNM_DROP_TOO_LONG;
		} else {
			iov[*n_iov].iov_base = data;
			iov[*n_iov].iov_len = v.len;
			(*n_iov)++;
		}
		if (!(v.flags & NS_MOREFRAG)) {
			if (reason != UNM_DROP_N) {
				unm_count(&r->kring->drops[reason], 1);
				*n_iov = 0;
			}
			return taken;
		}
	}
	return 0;
}

static int
tap_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	uint32_t pos = unm_own_hwcur(r);
	struct iovec iov[TAP_MAX_FRAGS];
	uint64_t pkts = 0, bytes = 0;

	while (pos != head) { /* each turn takes slots or ends */
		int n_iov;
		const uint32_t taken = tap_frame(r, pos, head, iov, &n_iov);
		ssize_t n = 0;

		if (taken == 0)
			break;
		if (n_iov > 0) {
			n = writev(r->fd, iov, n_iov);
			if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
				break;
			if (n < 0)
				unm_count(&r->kring->drops[errno == EINVAL ? UNM_DROP_RUNT
									   : UNM_DROP_NO_PORT],
					1);
		}
		if (n > 0) {
			pkts++;
			bytes += (uint64_t)n;
		}
		pos = unm_pos_add(pos, taken, r->num_slots);
	}
	unm_kring_publish_hwcur(r->kring, pos);
	unm_count(&r->kring->n_pkts, pkts);
	unm_count(&r->kring->n_bytes, bytes);
	*tail = unm_tx_tail_all_free(r, pos);
	return 0;
}

static void
window_fill(struct unm_bring *r, struct rx_window *w, uint32_t last)
{
	while (w->n < TAP_RX_SLOTS && w->end != last) {
		struct netmap_slot v = unm_slot_load(&r->ring->slot[w->end]);
		uint8_t *data;

		v.len = 1; /* so that an offset at the buffer's very end is refused */
		data = unm_slot_data(r, &v);
		if (data == NULL)
			break; /* the client gave back a slot without a buffer: nothing is received beyond it until it repairs it */
		w->iov[w->n].iov_base = data;
		w->iov[w->n].iov_len = rx_room(r, data);
		w->n++;
		w->end = unm_pos_next(w->end, r->num_slots);
	}
}

/*
 * Read a frame into the window's slots, the first of which is @pos. Return: its bytes, and in @taken its slots, 0 if it was too long; 0 or
 * negative if there is none.
 */
static ssize_t
read_frame(struct unm_bring *r, struct rx_window *w, uint32_t pos, uint32_t *taken)
{
	uint8_t beyond;
	ssize_t len;
	size_t left;
	uint32_t i;

	*taken = 0;
	w->iov[w->n].iov_base = &beyond;
	w->iov[w->n].iov_len = 1;
	len = readv(r->fd, w->iov, (int)w->n + 1);
	if (len <= 0)
		return len;
	left = (size_t)len;
	for (i = 0; i < w->n && left > 0; i++) {
		const size_t piece = left < w->iov[i].iov_len ? left : w->iov[i].iov_len;

		left -= piece;
		unm_slot_store_len_flags(
			&r->ring->slot[pos], (uint16_t)piece, left > 0 ? NS_MOREFRAG : 0);
		pos = unm_pos_next(pos, r->num_slots);
	}
	if (left > 0)
		return len; /* into the extra byte: there may have been more */
	*taken = i;
	w->n -= i;
	memmove(w->iov, w->iov + i, w->n * sizeof(w->iov[0]));
	return len;
}

static int
tap_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_kring *k = r->kring;
	const uint32_t n = r->num_slots;
	uint32_t pos = unm_kring_load_hwtail(k, n, head);
	const uint32_t last = unm_pos_prev(head, n); /* one slot stays empty */
	struct rx_window w = {.n = 0, .end = pos};
	uint64_t pkts = 0, bytes = 0;
	uint32_t i;

	unm_kring_publish_hwcur(k, head);
	for (i = 0; i < n; i++) { /* frames */
		uint32_t taken;
		ssize_t len;

		window_fill(r, &w, last);
		if (w.n == 0)
			break;
		len = read_frame(r, &w, pos, &taken);
		if (len <= 0)
			break; /* EAGAIN, EINTR; or EBADFD when the interface is gone: it then stays silent */
		if (taken == 0) {
			unm_count(&k->rx_full, 1);
			continue;
		}
		pkts++;
		bytes += (uint64_t)len;
		pos = unm_pos_add(pos, taken, n);
	}
	if (pkts > 0) {
		unm_kring_publish_hwtail(k, pos);
		unm_count(&k->rx_pkts, pkts);
		unm_count(&k->rx_bytes, bytes);
	}
	*tail = pos;
	return 0;
}

const struct unm_port_ops unm_port_tap_ops = {
	.txsync = tap_txsync,
	.rxsync = tap_rxsync,
	.tx_done = tap_tx_done,
};
