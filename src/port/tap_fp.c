/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP ports: the kernel's end of a wire, as rings.
 *
 * Queue i of the TAP serves tx ring i and rx ring i. rxsync reads frames straight into the free
 * buffers of the ring until the queue is empty or the ring full; txsync writes frames out of their
 * buffers, several slots as one writev. One frame is one system call: the TAP has no call for more.
 * Readiness is the queue's own (unm_bport_fds()). Buffers that follow one another in memory are one
 * iovec.
 *
 * A queue always has virtio-net headers (IFF_VNET_HDR), as that can't be changed while it is open.
 * What the client sees is the port's header length:
 *   0       the kernel hands over frames that ask for nothing; their header is read into a place of
 *           ours, and a zeroed one is written
 *   10, 12  the header is the frame's beginning in the first slot. The kernel hands over what TCP
 *           made, up to 64 KiB (netmapd has switched its offloads on): many slots
 *
 * The kernel does not say how long the next frame is, and cuts off what does not fit: each read
 * offers the buffers of several slots, and one byte more, if need be, that tells when they were not
 * enough. Such a frame is dropped and counted (rx_full), as it was taken out of the queue and is
 * not whole.
 *
 * Segments of one TCP stream that follow one another are joined and written as one frame, as a TAP
 * has no receive offload of its own (tx_run.h).
 *
 * When the kernel takes no more (EAGAIN) the frame stays in the ring and is tried again at the next
 * sync. A frame that the kernel refuses, as when the interface is down (EIO), is dropped and
 * counted.
 */
/* Syscalls: readv writev ioctl */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "port/tx_run.h"
#include "vale/vnet.h"

#define ETH_HDR_LEN	14u
#define TAP_MAX_FRAGS	64 /* NETMAP_MAX_FRAGS */
#define TAP_PLAIN_SLOTS 7  /* 14 KiB in buffers of 2048: a jumbo frame */
#define TAP_GSO_BYTES                                                                              \
	(UNM_VNET_HDR_MAX + 18u + 65535u) /* header, tagged Ethernet, the longest IP packet */

/* Buffers of the free slots from some position on, for the next read. */
struct rx_window {
	struct iovec slot[TAP_MAX_FRAGS];
	uint32_t n;
	uint32_t n_max;
	size_t bytes;
	size_t bytes_wanted;
	uint32_t end; /* first slot that is not in it */
};

static const uint8_t no_header[UNM_VNET_HDR_MAX];

static uint32_t
tap_tx_done(const struct unm_bring *r)
{
	return unm_own_hwcur(r);
}

/* The port's header length. */
static uint32_t
header_len(const struct unm_bring *r)
{
	const uint32_t len = UNM_READ_ONCE(r->bp->seg->ports[r->bp->info.port].vnet_hdr_len);

	return len == UNM_VNET_HDR_BASE || len == UNM_VNET_HDR_MAX ? len : 0;
}

/*
 * Add @len bytes at @base to @iov, which has room for one more entry. Return: the number of entries
 * now.
 */
static int
iov_add(struct iovec *iov, int n, void *base, size_t len)
{
	if (n > 0 && (uint8_t *)iov[n - 1].iov_base + iov[n - 1].iov_len == (uint8_t *)base) {
		iov[n - 1].iov_len += len;
		return n;
	}
	iov[n].iov_base = base;
	iov[n].iov_len = len;
	return n + 1;
}

/*
 * Most bytes that may be received at @data, which lies in a buffer of the ring (spec 10.6: a gap
 * limits them under OFFSETS).
 */
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
 * The frame at @pos appended to @iov. Return: number of slots it takes; 0 if it is incomplete.
 * *n_iov = 0 if it is not fit to be sent.
 */
static uint32_t
tap_frame(struct unm_bring *r, uint32_t pos, uint32_t head, struct iovec *iov, int *n_iov)
{
	enum unm_drop reason = UNM_DROP_N, fault;
	uint32_t taken = 0;

	while (pos != head) { /* less than num_slots turns */
		const struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);
		uint8_t *data = unm_slot_data(r, &v);

		taken++;
		pos = unm_pos_next(pos, r->num_slots);
		fault = unm_slot_fault(r, &v, data, taken, TAP_MAX_FRAGS);
		if (fault == UNM_DROP_N)
			*n_iov = iov_add(iov, *n_iov, data, v.len);
		else
			reason = fault;
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

/* Why did the kernel refuse this frame? */
static enum unm_drop
refusal(int error, const struct iovec *iov, int n_iov, uint32_t hdr_len)
{
	size_t len = 0;
	int i;

	if (error != EINVAL)
		return UNM_DROP_NO_PORT;
	for (i = 0; i < n_iov; i++)
		len += iov[i].iov_len;
	return len < UNM_VNET_HDR_MAX + ETH_HDR_LEN || hdr_len == 0 ? UNM_DROP_RUNT
								    : UNM_DROP_OFFLOAD;
}

/* Put the frame at @pos into the queue. Return: the slots it takes; 0 if it has to wait. */
static uint32_t
send_frame(struct unm_bring *r, uint32_t pos, uint32_t head, uint32_t hdr_len, uint64_t *bytes)
{
	struct iovec iov[TAP_MAX_FRAGS + 1];
	const uint32_t own = hdr_len == 0 ? sizeof(no_header) : 0; /* bytes of ours before it */
	int n_iov = 0;
	uint32_t taken;
	ssize_t n;

	if (own > 0)
		n_iov = iov_add(iov, 0, (void *)(uintptr_t)no_header, own);
	taken = tap_frame(r, pos, head, iov, &n_iov);
	if (taken == 0 || n_iov == 0)
		return taken;
	n = n_iov == 1 ? write(r->fd, iov[0].iov_base, iov[0].iov_len) : writev(r->fd, iov, n_iov);
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
		return 0;
	if (n >= 0)
		*bytes = (uint64_t)n - own;
	else
		unm_count(&r->kring->drops[refusal(errno, iov, n_iov, hdr_len)], 1);
	return taken;
}

/*
 * Put the segments from @pos on that are one stream into the queue as one frame. Return: their
 * number; 0 if there are none, or the kernel does not take them so.
 */
static uint32_t
send_run(struct unm_bring *r, struct unm_super_tx *x, uint32_t pos, uint32_t head, uint32_t hdr_len)
{
	const uint32_t n = unm_tx_run(x, r, pos, head, hdr_len);

	if (n < 2)
		return 0;
	unm_super_tx_flush(x);
	return x->error == 0 ? n : 0;
}

static int
tap_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	const uint32_t hdr_len = header_len(r);
	struct unm_super_tx x;
	uint32_t pos = unm_own_hwcur(r);
	uint64_t pkts = 0, bytes = 0;

	unm_super_tx_init(&x, r->fd, hdr_len > 0 ? hdr_len : UNM_VNET_HDR_MAX, NULL);
	x.is_summed = true; /* without headers */
	x.gro.keeps_ids = true;
	while (pos != head) { /* each turn takes slots or ends */
		uint64_t len = 0;
		/* Once they are refused, as the interface is down, frames go one by one. */
		uint32_t taken = x.error == 0 ? send_run(r, &x, pos, head, hdr_len) : 0;

		if (taken == 0) {
			taken = send_frame(r, pos, head, hdr_len, &len);
			pkts += len > 0;
			bytes += len;
		}
		if (taken == 0)
			break;
		pos = unm_pos_add(pos, taken, r->num_slots);
	}
	pkts += x.pkts;
	bytes += x.bytes + x.pkts * hdr_len;
	unm_kring_publish_hwcur(r->kring, pos);
	unm_count(&r->kring->n_pkts, pkts);
	unm_count(&r->kring->n_bytes, bytes);
	*tail = unm_tx_tail_all_free(r, pos);
	return 0;
}

static void
window_fill(const struct unm_bring *r, struct rx_window *w, uint32_t last)
{
	while (w->n < w->n_max && w->bytes < w->bytes_wanted && w->end != last) {
		struct netmap_slot v = unm_slot_load(&r->ring->slot[w->end]);
		uint8_t *data;

		v.len = 1; /* so that an offset at the buffer's very end is refused */
		data = unm_slot_data(r, &v);
		if (data == NULL)
			break; /* given back without a buffer: nothing goes beyond until that is repaired */
		w->slot[w->n].iov_base = data;
		w->slot[w->n].iov_len = rx_room(r, data);
		w->bytes += w->slot[w->n].iov_len;
		w->n++;
		w->end = unm_pos_next(w->end, r->num_slots);
	}
}

/*
 * Is there room for whatever comes? Where it may be large, nothing is read until there is, unless
 * the ring is empty and will never have more.
 */
static bool
window_suffices(const struct rx_window *w, uint32_t hdr_len, uint32_t n_held)
{
	return w->n > 0 && (hdr_len == 0 || n_held == 0 || w->bytes >= w->bytes_wanted);
}

/*
 * Hand @len bytes, read into the window, over in the slots from @pos on. Return: the slots, 0 if
 * there are too few.
 */
static uint32_t
window_take(struct unm_bring *r, struct rx_window *w, uint32_t pos, size_t len)
{
	size_t room = 0;
	uint32_t i;

	for (i = 0; i < w->n && len > 0; i++) {
		const size_t piece = len < w->slot[i].iov_len ? len : w->slot[i].iov_len;

		len -= piece;
		room += w->slot[i].iov_len;
		unm_slot_store_len_flags(
			&r->ring->slot[pos], (uint16_t)piece, len > 0 ? NS_MOREFRAG : 0);
		pos = unm_pos_next(pos, r->num_slots);
	}
	if (len > 0)
		return 0; /* into the extra byte: there was more. The slots are offered again */
	w->n -= i;
	w->bytes -= room;
	memmove(w->slot, w->slot + i, w->n * sizeof(w->slot[0]));
	return i;
}

/*
 * Read a frame into the window's slots, the first of which is @pos. Return: its bytes, and in
 * @taken its slots, 0 if it was too long; 0 or negative if there is none.
 */
static ssize_t
read_frame(
	struct unm_bring *r, struct rx_window *w, uint32_t pos, uint32_t hdr_len, uint32_t *taken)
{
	const uint32_t own = hdr_len == 0 ? UNM_VNET_HDR_MAX : 0;
	struct iovec iov[TAP_MAX_FRAGS + 2];
	uint8_t header[UNM_VNET_HDR_MAX], beyond;
	int n_iov = 0;
	ssize_t len;
	uint32_t i;

	*taken = 0;
	if (own > 0)
		n_iov = iov_add(iov, 0, header, own);
	for (i = 0; i < w->n; i++)
		n_iov = iov_add(iov, n_iov, w->slot[i].iov_base, w->slot[i].iov_len);
	if (hdr_len == 0 || w->bytes < w->bytes_wanted)
		n_iov = iov_add(iov, n_iov, &beyond, 1);
	len = n_iov == 1 ? read(r->fd, iov[0].iov_base, iov[0].iov_len) : readv(r->fd, iov, n_iov);
	if (len <= (ssize_t)own)
		return len <= 0 ? len : 0;
	if (hdr_len == UNM_VNET_HDR_MAX && w->slot[0].iov_len >= UNM_VNET_HDR_MAX)
		memset((uint8_t *)w->slot[0].iov_base + UNM_VNET_HDR_BASE, 0,
			UNM_VNET_HDR_MAX -
				UNM_VNET_HDR_BASE); /* num_buffers: the kernel leaves it */
	len -= own;
	*taken = window_take(r, w, pos, (size_t)len);
	return len;
}

static void
window_open(struct rx_window *w, uint32_t pos, uint32_t hdr_len)
{
	w->n = 0;
	w->bytes = 0;
	w->end = pos;
	w->n_max = hdr_len == 0 ? TAP_PLAIN_SLOTS : TAP_MAX_FRAGS;
	w->bytes_wanted = hdr_len == 0 ? SIZE_MAX : TAP_GSO_BYTES;
}

static bool
tap_rx_has_room(const struct unm_bring *r)
{
	const uint32_t n = r->num_slots, hdr_len = header_len(r);
	const uint32_t head = unm_own_hwcur(r), pos = unm_kring_load_hwtail(r->kring, n, head);
	struct rx_window w;

	window_open(&w, pos, hdr_len);
	window_fill(r, &w, unm_pos_prev(head, n));
	return window_suffices(&w, hdr_len, unm_pos_dist(head, pos, n));
}

static int
tap_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_kring *k = r->kring;
	const uint32_t n = r->num_slots;
	const uint32_t hdr_len = header_len(r);
	uint32_t pos = unm_kring_load_hwtail(k, n, head);
	const uint32_t last = unm_pos_prev(head, n); /* one slot stays empty */
	struct rx_window w;
	uint64_t pkts = 0, bytes = 0;
	uint32_t i;

	window_open(&w, pos, hdr_len);
	unm_kring_publish_hwcur(k, head);
	for (i = 0; i < n; i++) { /* frames */
		uint32_t taken;
		ssize_t len;

		window_fill(r, &w, last);
		if (!window_suffices(&w, hdr_len, unm_pos_dist(head, pos, n)))
			break;
		len = read_frame(r, &w, pos, hdr_len, &taken);
		if (len <= 0)
			break; /* EAGAIN, EINTR; EBADFD: the interface is gone, and stays silent */
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
	.rx_has_room = tap_rx_has_room,
	.rx_arrives_here = true,
};
