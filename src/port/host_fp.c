/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host rings: towards the kernel's own stack on an interface (spec 13).
 *
 * Each has a queue of the TAP that netmapd has put beside the interface (daemon/hoststack.h). One
 * system call is one frame there, so frames cross it as large as TCP makes them:
 *
 *   rx   a super-frame of up to 64 KiB is read into private memory, and cut into the ring's slots
 *        as a VALE port would have it (vale/put_fp.h), checksums done. With less room than one may
 *        need it stays in the kernel's queue, unless the ring is empty and will never have more
 *   tx   segments of one stream that follow one another are joined (vale/super_tx.h); a frame whose
 *        checksum was left to an offload says so in its header
 *
 * A host tx ring never blocks: what the kernel does not take is dropped and counted.
 *
 * Transparent mode (spec 13.4): what a client gives back on an NIC's rx ring with NS_FORWARD is
 * written to the stack as if it were on a host tx ring; what it gives back on the first host rx
 * ring goes to the NIC's tx rings by exchange of buffers, if its binding has them all.
 */
/* Syscalls: read write */
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "port/super_rx.h"
#include "vale/super_tx.h"
#include "vale/vnet.h"

#define ETH_HDR_LEN 14u
#define MAX_FRAGS   64				      /* NETMAP_MAX_FRAGS */
#define FRAME_MAX   (UNM_VNET_HDR_MAX + 18u + 65535u) /* header, tagged Ethernet, IP packet */

/* Private memory of a bound host rx ring. */
struct unm_host_rx {
	struct unm_super_rx super; /* first */
	uint8_t frame[FRAME_MAX + 1];
};

static struct unm_host_rx *
host_rx(const struct unm_bring *r)
{
	return (struct unm_host_rx *)(void *)r->super;
}

int
unm_host_ring_init(struct unm_bring *r)
{
	r->ops = &unm_port_host_ops;
	return r->is_rx ? unm_super_rx_init(r, sizeof(struct unm_host_rx), UNM_VNET_HDR_MAX) : 0;
}

/* --- from the stack --- */

static const struct unm_bring *
first_host_rx(const struct unm_bport *bp)
{
	const uint32_t n_nic = UNM_READ_ONCE(bp->seg->ports[bp->info.port].n_rx_rings);

	return bp->info.rx_lo <= n_nic && n_nic - bp->info.rx_lo < bp->n_rx
		       ? &bp->rx[n_nic - bp->info.rx_lo]
		       : NULL;
}

/* Tx rings of the NIC that the binding has; 0 unless it has them all. */
static uint32_t
all_nic_tx(const struct unm_bport *bp)
{
	const uint32_t n = UNM_READ_ONCE(bp->seg->ports[bp->info.port].n_tx_rings);

	return bp->info.tx_lo == 0 && n <= bp->n_tx ? n : 0;
}

/* Exchange the buffers of a released slot and one that a tx ring has free. */
static void
exchange(struct netmap_slot *from, struct netmap_slot *to)
{
	const struct netmap_slot f = unm_slot_load(from), t = unm_slot_load(to);
	struct netmap_slot v = f;

	v.flags = (uint16_t)(NS_BUF_CHANGED | (f.flags & NS_MOREFRAG));
	unm_slot_store(to, v);
	v = f;
	v.buf_idx = t.buf_idx;
	v.ptr = t.ptr;
	v.flags = NS_BUF_CHANGED;
	unm_slot_store(from, v);
}

/* Slots from @pos on that hold a frame; at most up to @head. */
static uint32_t
frame_slots(const struct unm_bring *r, uint32_t pos, uint32_t head)
{
	uint32_t n = 0;

	while (pos != head) { /* less than num_slots turns */
		const struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);

		n++;
		pos = unm_pos_next(pos, r->num_slots);
		if (!(v.flags & NS_MOREFRAG))
			break;
	}
	return n;
}

/*
 * Move released frames of a host rx ring to the NIC's tx rings, as the client would by itself: its
 * own head and cur move. What finds no room is lost.
 */
static void
pass_down(struct unm_bring *r, uint32_t head)
{
	const bool all =
		UNM_READ_ONCE(r->bp->seg->ports[r->bp->info.port].flags) & UNM_PORTF_FORWARD;
	const uint32_t n_tx = all_nic_tx(r->bp), n = r->num_slots;
	uint32_t pos = unm_own_hwcur(r), i = 0, k;

	while (pos != head) { /* less than num_slots turns */
		const uint32_t taken = frame_slots(r, pos, head);
		const struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);

		while (i < n_tx && (all || (v.flags & NS_FORWARD))) { /* rings */
			struct unm_bring *tx = &r->bp->tx[i];
			uint32_t to = UNM_READ_ONCE(tx->ring->head);
			const uint32_t end = UNM_READ_ONCE(tx->ring->tail);

			if (to >= tx->num_slots || end >= tx->num_slots ||
				unm_pos_dist(to, end, tx->num_slots) < taken) {
				i++;
				continue;
			}
			for (k = 0; k < taken; k++) {
				exchange(&r->ring->slot[unm_pos_add(pos, k, n)],
					&tx->ring->slot[to]);
				to = unm_pos_next(to, tx->num_slots);
			}
			UNM_WRITE_ONCE(tx->ring->cur, to);
			unm_store_release(&tx->ring->head, to);
			UNM_WRITE_ONCE(r->bp->has_forwarded, true);
			break;
		}
		pos = unm_pos_add(pos, taken, n);
	}
}

static int
host_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_host_rx *h = host_rx(r);
	struct unm_kring *k = r->kring;
	const uint32_t given_back = unm_pos_dist(unm_own_hwcur(r), head, r->num_slots);
	struct unm_spot sp;
	uint32_t i;

	if (given_back > 0) {
		if (r == first_host_rx(r->bp) && unm_ring_forwards(r))
			pass_down(r, head);
		unm_kring_publish_hwcur(k, head);
		unm_count(&k->n_pkts, given_back);
	}
	unm_super_rx_open(r, &sp);
	for (i = 0; i < r->num_slots && sp.room > 0; i++) { /* frames */
		ssize_t len;

		if (sp.room < UNM_SUPER_SLOTS && sp.pos != head)
			break;
		len = read(r->fd, h->frame, sizeof(h->frame));
		if (len <= 0)
			break; /* EAGAIN, EINTR; EBADFD: the TAP is gone, and stays silent */
		if (len < (ssize_t)(UNM_VNET_HDR_MAX + ETH_HDR_LEN))
			continue;
		unm_super_rx_put(
			&h->super, &sp, (struct unm_frag){.data = h->frame, .len = (uint32_t)len});
	}
	unm_spot_close(&sp, k);
	*tail = sp.pos;
	return 0;
}

static bool
host_rx_has_room(const struct unm_bring *r)
{
	const uint32_t held = unm_super_rx_held(r);

	return held == 0 || r->num_slots - 1 - held >= UNM_SUPER_SLOTS;
}

/* --- to the stack --- */

/* The frame at @pos. Return: the slots it takes; 0 if its end is not there yet. */
static uint32_t
take_frame(struct unm_super_tx *x, struct unm_bring *r, uint32_t pos, uint32_t head)
{
	struct iovec iov[MAX_FRAGS + 1];
	enum unm_drop reason = UNM_DROP_N, fault;
	uint32_t taken = 0;
	int n_iov = 1;

	while (pos != head) { /* less than num_slots turns */
		const struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);
		uint8_t *data = unm_slot_data(r, &v);

		taken++;
		pos = unm_pos_next(pos, r->num_slots);
		fault = unm_slot_fault(r, &v, data, taken, MAX_FRAGS);
		if (fault == UNM_DROP_N)
			iov[n_iov++] = (struct iovec){.iov_base = data, .iov_len = v.len};
		else
			reason = fault;
		if (v.flags & NS_MOREFRAG)
			continue;
		if (reason != UNM_DROP_N)
			unm_count(&x->drops[reason], 1);
		else if (taken == 1)
			unm_super_tx_one(x, data, v.len);
		else
			unm_super_tx_whole(x, iov, n_iov);
		return taken;
	}
	return 0;
}

static int
host_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_super_tx x;
	uint32_t pos = unm_own_hwcur(r);

	unm_super_tx_init(&x, r->fd, UNM_VNET_HDR_MAX, r->kring->drops);
	while (pos != head) { /* each turn takes slots or ends */
		const uint32_t taken = take_frame(&x, r, pos, head);

		if (taken == 0)
			break;
		pos = unm_pos_add(pos, taken, r->num_slots);
	}
	unm_super_tx_flush(&x);
	unm_kring_publish_hwcur(r->kring, pos);
	unm_count(&r->kring->n_pkts, x.pkts);
	unm_count(&r->kring->n_bytes, x.bytes);
	*tail = unm_tx_tail_all_free(r, pos);
	return 0;
}

void
unm_host_pass_up(struct unm_bring *r, uint32_t head)
{
	const bool all =
		UNM_READ_ONCE(r->bp->seg->ports[r->bp->info.port].flags) & UNM_PORTF_FORWARD;
	/* An rx ring of an NIC has nobody else who counts there. */
	struct unm_super_tx x;
	uint32_t pos = unm_own_hwcur(r);

	unm_super_tx_init(&x, r->stack_fd, UNM_VNET_HDR_MAX, r->kring->drops);
	while (pos != head) { /* each turn takes slots or ends */
		struct netmap_slot *slot = &r->ring->slot[pos];
		const struct netmap_slot v = unm_slot_load(slot);
		uint32_t taken = frame_slots(r, pos, head);

		if ((all || (v.flags & NS_FORWARD)) && v.len >= ETH_HDR_LEN) {
			taken = take_frame(&x, r, pos, head);
			unm_slot_store_len_flags(slot, v.len, (uint16_t)(v.flags & ~NS_FORWARD));
		}
		if (taken == 0)
			break; /* its end has not been given back */
		pos = unm_pos_add(pos, taken, r->num_slots);
	}
	unm_super_tx_flush(&x);
}

static uint32_t
host_tx_done(const struct unm_bring *r)
{
	return unm_own_hwcur(r);
}

const struct unm_port_ops unm_port_host_ops = {
	.txsync = host_txsync,
	.rxsync = host_rxsync,
	.tx_done = host_tx_done,
	.rx_has_room = host_rx_has_room,
	.rx_arrives_here = true,
};
