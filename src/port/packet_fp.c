/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network interfaces by AF_PACKET, where AF_XDP is not to be had: one socket, frames are copied by
 * the kernel straight from and into the slots' buffers, up to 32 at each call.
 *
 * Frames have virtio-net headers in front (PACKET_VNET_HDR), which tell of checksums that were left
 * to the hardware; they are computed here. A VLAN tag that the kernel has taken out of the frame is
 * told beside it (PACKET_AUXDATA), and put back.
 *
 * A frame that does not fit its slot (a jumbo frame; a super-frame of up to 64 KiB, as sender or
 * driver have joined it) goes on in private memory behind it. It is then put into slots from its
 * own on as a VALE port would have it (vale/put_fp.h), cut where it asks for that; so are the frames
 * that came with it, whose slots it takes. For a while fewer frames are asked for at a time, so that
 * there is room for each to be long.
 *
 * The kernel's stack would get each frame too: netmapd has put a program on the interface that drops
 * them there while the rx ring is open (daemon/packet.c).
 */
/* Syscalls: sendmmsg recvmmsg */
#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "port/super_rx.h"
#include "vale/checksum_fp.h"
#include "vale/vnet.h"

#define BATCH	      32u
#define MAX_FRAGS     18u /* a frame of 64 KiB less what no link has */
#define ETH_HDR_LEN   14u
#define VLAN_TAG_LEN  4u
#define VLAN_TAG_OFS  12u /* behind the addresses */
#define ETH_P_8021Q_V 0x8100
#define FRAME_MAX     (ETH_HDR_LEN + 2 * VLAN_TAG_LEN + 65535u)
#define LONG_SYNCS    64u /* after a long frame, others are expected */

/* A long frame in one piece: room for a tag, the header that came with it, the frame. */
#define PIECE_VNET  VLAN_TAG_LEN
#define PIECE_FRAME (PIECE_VNET + UNM_VNET_HDR_BASE)
#define PIECE_SIZE  (PIECE_FRAME + FRAME_MAX)

/* Private memory of an rx ring. */
struct unm_packet_rx {
	struct unm_super_rx super; /* first */
	uint32_t long_for;	   /* syncs for which long frames are still expected */
	uint8_t piece[BATCH][PIECE_SIZE];
};

static struct unm_packet_rx *
packet_rx(const struct unm_bring *r)
{
	return (struct unm_packet_rx *)(void *)r->super;
}

/* Messages for one call. */
struct batch {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH * 3 + MAX_FRAGS];
	struct unm_vnet_hdr vnet[BATCH];
	uint32_t n_slots[BATCH]; /* of each frame */
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control[BATCH];
	uint32_t n, n_iov;
};

static void
add_message(struct batch *b, uint32_t n_slots)
{
	struct msghdr *m = &b->msg[b->n].msg_hdr;

	memset(&b->msg[b->n], 0, sizeof(b->msg[b->n]));
	m->msg_iov = &b->iov[b->n_iov];
	b->iov[b->n_iov].iov_base = &b->vnet[b->n];
	b->iov[b->n_iov].iov_len = sizeof(b->vnet[0]);
	b->n_iov++;
	m->msg_iovlen = 1;
	b->n_slots[b->n++] = n_slots;
}

static void
add_piece(struct batch *b, void *data, size_t len)
{
	b->iov[b->n_iov].iov_base = data;
	b->iov[b->n_iov++].iov_len = len;
	b->msg[b->n - 1].msg_hdr.msg_iovlen++;
}

/* --- tx --- */

/* Slots of the frame at @pos; 0 if it is not complete. *@reason: UNM_DROP_N, or why it can't go. */
static uint32_t
frame_slots(const struct unm_bring *r, uint32_t pos, uint32_t head, enum unm_drop *reason)
{
	uint32_t n = 0, len = 0;

	*reason = UNM_DROP_N;
	while (pos != head) { /* less than num_slots turns */
		const struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);

		n++;
		len += v.len;
		if (unm_slot_data(r, &v) == NULL)
			*reason = v.len > r->buf_size ? UNM_DROP_TOO_LONG : UNM_DROP_BAD_SLOT;
		if (!(v.flags & NS_MOREFRAG)) {
			if (n > MAX_FRAGS)
				*reason = UNM_DROP_TOO_LONG;
			else if (len < ETH_HDR_LEN && *reason == UNM_DROP_N)
				*reason = UNM_DROP_RUNT;
			return n;
		}
		pos = unm_pos_next(pos, r->num_slots);
	}
	return 0;
}

/* As many frames from @pos on as one call takes; those that can't go are counted and left out. */
static uint32_t
collect_tx(struct unm_bring *r, struct batch *b, uint32_t pos, uint32_t head, uint64_t *bytes)
{
	uint32_t left_out = 0;

	while (b->n < BATCH && pos != head) { /* each turn takes slots or ends */
		enum unm_drop reason;
		const uint32_t n = frame_slots(r, pos, head, &reason);
		uint32_t i;

		if (n == 0 || b->n_iov + n + 1 > sizeof(b->iov) / sizeof(b->iov[0]))
			break;
		if (reason != UNM_DROP_N) {
			if (b->n > 0)
				break; /* once the frames before are gone */
			unm_count(&r->kring->drops[reason], 1);
			left_out += n;
			pos = unm_pos_add(pos, n, r->num_slots);
			continue;
		}
		memset(&b->vnet[b->n], 0, sizeof(b->vnet[0]));
		add_message(b, n);
		for (i = 0; i < n; i++) {
			const struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);
			uint8_t *data = unm_slot_data(r, &v);

			if (data != NULL) /* changed since a moment ago: a shorter frame */
				add_piece(b, data, v.len);
			bytes[b->n - 1] = i == 0 ? v.len : bytes[b->n - 1] + v.len;
			pos = unm_pos_next(pos, r->num_slots);
		}
	}
	return left_out;
}

static int
packet_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	uint32_t pos = unm_own_hwcur(r), i;
	uint64_t bytes[BATCH];
	struct batch b;

	while (pos != head) { /* each turn takes slots or ends */
		int sent;

		b.n = b.n_iov = 0;
		pos = unm_pos_add(pos, collect_tx(r, &b, pos, head, bytes), r->num_slots);
		if (b.n == 0)
			break;
		sent = sendmmsg(r->fd, b.msg, b.n, MSG_DONTWAIT);
		if (sent < 0) {
			if (errno != EMSGSIZE && errno != EINVAL)
				break; /* EAGAIN, ENOBUFS, ENETDOWN: it waits */
			unm_count(&r->kring->drops[UNM_DROP_TOO_LONG], 1);
			pos = unm_pos_add(pos, b.n_slots[0], r->num_slots);
			continue;
		}
		for (i = 0; i < (uint32_t)sent; i++) {
			pos = unm_pos_add(pos, b.n_slots[i], r->num_slots);
			unm_count(&r->kring->n_bytes, bytes[i]);
		}
		unm_count(&r->kring->n_pkts, (uint64_t)sent);
	}
	unm_kring_publish_hwcur(r->kring, pos);
	*tail = unm_tx_tail_all_free(r, pos);
	return 0;
}

static uint32_t
packet_tx_done(const struct unm_bring *r)
{
	return unm_own_hwcur(r);
}

/* --- rx --- */

/* A checksum that was left to the hardware. The frame lies in one buffer. */
static void
complete_checksum(uint8_t *frame, uint32_t len, const struct unm_vnet_hdr *h)
{
	const uint32_t field = (uint32_t)h->csum_start + h->csum_offset;
	uint16_t sum;

	if (!(h->flags & UNM_VNET_F_NEEDS_CSUM) || h->csum_start >= len || field + 2 > len)
		return;
	sum = (uint16_t)~unm_csum_fold(unm_csum_bytes(frame + h->csum_start, len - h->csum_start));
	memcpy(frame + field, &sum, sizeof(sum));
}

/* The tag that stands beside the frame; false if there is none. */
static bool
tag_of(struct msghdr *m, uint8_t *tag)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		struct tpacket_auxdata aux;
		uint16_t tpid = ETH_P_8021Q_V;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
			return false;
		if (aux.tp_status & TP_STATUS_VLAN_TPID_VALID)
			tpid = aux.tp_vlan_tpid;
		tag[0] = (uint8_t)(tpid >> 8);
		tag[1] = (uint8_t)tpid;
		tag[2] = (uint8_t)(aux.tp_vlan_tci >> 8);
		tag[3] = (uint8_t)aux.tp_vlan_tci;
		return true;
	}
	return false;
}

int
unm_packet_ring_init(struct unm_bring *r)
{
	int ret;

	r->ops = &unm_port_packet_ops;
	if (!r->is_rx)
		return 0;
	ret = unm_super_rx_init(r, sizeof(struct unm_packet_rx), UNM_VNET_HDR_BASE);
	if (ret == 0)
		packet_rx(r)->long_for = 0;
	return ret;
}

/*
 * A message for each of @n slots from @pos on: the slot's buffer, and what is private behind it. A
 * few bytes at the buffer's end stay free for a tag.
 */
static void
collect_rx(struct unm_bring *r, struct batch *b, uint32_t pos, uint32_t n)
{
	while (b->n < n) {
		struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);
		struct msghdr *m;
		uint8_t *data;
		size_t room;

		v.len = ETH_HDR_LEN + VLAN_TAG_LEN;
		data = unm_slot_data(r, &v);
		if (data == NULL)
			return; /* given back without a buffer: nothing goes beyond */
		room = r->buf_size - (size_t)((const char *)data - r->bufs) % r->buf_size -
		       VLAN_TAG_LEN;
		if (room > FRAME_MAX)
			room = FRAME_MAX;
		add_message(b, 1);
		m = &b->msg[b->n - 1].msg_hdr;
		m->msg_control = &b->control[b->n - 1];
		m->msg_controllen = sizeof(b->control[0]);
		add_piece(b, data, room);
		add_piece(b, packet_rx(r)->piece[b->n - 1] + PIECE_FRAME + room, FRAME_MAX - room);
		pos = unm_pos_next(pos, r->num_slots);
	}
}

/* Frame @i of the batch is no frame, or was cut off. */
static bool
is_bad(const struct batch *b, uint32_t i)
{
	return (b->msg[i].msg_hdr.msg_flags & MSG_TRUNC) ||
	       b->msg[i].msg_len < sizeof(b->vnet[0]) + ETH_HDR_LEN;
}

/* It is to be cut, or goes on behind its slot. */
static bool
is_long(const struct batch *b, uint32_t i)
{
	return b->msg[i].msg_len > sizeof(b->vnet[0]) + b->msg[i].msg_hdr.msg_iov[1].iov_len ||
	       b->vnet[i].gso_type != UNM_VNET_GSO_NONE;
}

/* Hand frame @i of the batch over in the slot at @pos. Return: its length. */
static uint32_t
take_frame(struct unm_bring *r, struct batch *b, uint32_t i, uint32_t pos)
{
	struct msghdr *m = &b->msg[i].msg_hdr;
	uint32_t len = b->msg[i].msg_len - (uint32_t)sizeof(b->vnet[0]);
	uint8_t *data = m->msg_iov[1].iov_base;
	uint8_t tag[VLAN_TAG_LEN];

	complete_checksum(data, len, &b->vnet[i]);
	if (tag_of(m, tag)) {
		memmove(data + VLAN_TAG_OFS + VLAN_TAG_LEN, data + VLAN_TAG_OFS,
			len - VLAN_TAG_OFS);
		memcpy(data + VLAN_TAG_OFS, tag, sizeof(tag));
		len += VLAN_TAG_LEN;
	}
	unm_slot_store_len_flags(&r->ring->slot[pos], (uint16_t)len, 0);
	return len;
}

/* Frame @i in one piece in private memory, behind its header. */
static struct unm_frag
gather(struct unm_bring *r, struct batch *b, uint32_t i)
{
	struct msghdr *m = &b->msg[i].msg_hdr;
	uint8_t *start = packet_rx(r)->piece[i] + PIECE_VNET;
	uint32_t len = b->msg[i].msg_len;
	const size_t here = len - sizeof(b->vnet[0]);
	uint8_t tag[VLAN_TAG_LEN];

	memcpy(packet_rx(r)->piece[i] + PIECE_FRAME, m->msg_iov[1].iov_base,
		here < m->msg_iov[1].iov_len ? here : m->msg_iov[1].iov_len);
	if (tag_of(m, tag)) {
		start -= VLAN_TAG_LEN;
		memmove(start + UNM_VNET_HDR_BASE, start + UNM_VNET_HDR_BASE + VLAN_TAG_LEN,
			VLAN_TAG_OFS);
		memcpy(start + UNM_VNET_HDR_BASE + VLAN_TAG_OFS, tag, sizeof(tag));
		len += VLAN_TAG_LEN;
		if (b->vnet[i].flags & UNM_VNET_F_NEEDS_CSUM)
			b->vnet[i].csum_start += VLAN_TAG_LEN;
	}
	memcpy(start, &b->vnet[i], sizeof(b->vnet[0]));
	return (struct unm_frag){.data = start, .len = len};
}

/* Put frames @i ... @got - 1 into slots from @pos on, as many as each needs. Return: the next slot. */
static uint32_t
put_frames(struct unm_bring *r, struct batch *b, uint32_t i, uint32_t got, uint32_t pos)
{
	struct unm_packet_rx *x = packet_rx(r);
	struct unm_frag frag[BATCH] = {{.len = 0}};
	struct unm_spot sp;
	uint32_t k;

	for (k = i; k < got; k++) { /* before anything is put: it goes where these lie */
		if (!is_bad(b, k))
			frag[k] = gather(r, b, k);
	}
	unm_kring_publish_hwtail(r->kring, pos);
	unm_super_rx_open(r, &sp);
	for (k = i; k < got; k++)
		unm_super_rx_put(&x->super, &sp, frag[k]);
	unm_spot_close(&sp, r->kring);
	x->long_for = LONG_SYNCS;
	return sp.pos;
}

/* Is a frame longer than a buffer to be expected? max_frame: W: netmapd, with the interface's MTU */
static bool
expects_long(const struct unm_bring *r)
{
	return packet_rx(r)->long_for > 0 ||
	       UNM_READ_ONCE(r->bp->seg->ports[r->bp->info.port].max_frame) + VLAN_TAG_LEN >
		       r->buf_size;
}

/* How many frames to ask for with @room slots. */
static uint32_t
n_wanted(const struct unm_bring *r, uint32_t room, bool is_empty)
{
	uint32_t n = room;

	if (expects_long(r))
		n = room >= UNM_SUPER_SLOTS ? room / UNM_SUPER_SLOTS : room > 0 && is_empty;
	return n < BATCH ? n : BATCH;
}

static bool
packet_rx_has_room(const struct unm_bring *r)
{
	const uint32_t held = unm_super_rx_held(r);

	return n_wanted(r, r->num_slots - 1 - held, held == 0) > 0;
}

static int
packet_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	const uint32_t n = r->num_slots, last = unm_pos_prev(head, n);
	uint32_t pos = unm_kring_load_hwtail(r->kring, n, head), turn, i;
	uint64_t pkts = 0, bytes = 0;
	struct batch b;

	unm_kring_publish_hwcur(r->kring, head);
	if (packet_rx(r)->long_for > 0)
		packet_rx(r)->long_for--;
	for (turn = 0; turn < n; turn++) { /* frames at most */
		int got;

		b.n = b.n_iov = 0;
		collect_rx(r, &b, pos, n_wanted(r, unm_pos_dist(pos, last, n), pos == head));
		if (b.n == 0)
			break;
		got = recvmmsg(r->fd, b.msg, b.n, MSG_DONTWAIT, NULL);
		if (got <= 0)
			break; /* EAGAIN; ENETDOWN: said once */
		for (i = 0; i < (uint32_t)got; i++) {
			if (!is_bad(&b, i) && is_long(&b, i)) {
				pos = put_frames(r, &b, i, (uint32_t)got, pos);
				break;
			}
			/* Its slot lies between others that are full: it has a frame of no bytes. */
			if (is_bad(&b, i)) {
				unm_count(&r->kring->rx_full, 1);
				unm_slot_store_len_flags(&r->ring->slot[pos], 0, 0);
			} else {
				bytes += take_frame(r, &b, i, pos);
				pkts++;
			}
			pos = unm_pos_next(pos, n);
		}
		if ((uint32_t)got < b.n)
			break; /* the socket is empty */
	}
	unm_kring_publish_hwtail(r->kring, pos);
	unm_count(&r->kring->rx_pkts, pkts);
	unm_count(&r->kring->rx_bytes, bytes);
	*tail = pos;
	return 0;
}

const struct unm_port_ops unm_port_packet_ops = {
	.txsync = packet_txsync,
	.rxsync = packet_rxsync,
	.tx_done = packet_tx_done,
	.rx_has_room = packet_rx_has_room,
	.rx_arrives_here = true,
};
