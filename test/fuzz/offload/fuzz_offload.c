/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer on what VALE does with virtio-net headers. The input is
 *
 *   receiver and sender (struct setting, 8 bytes), virtio-net header, frame
 *
 * The frame goes through unm_put_general() into a ring whose buffers are of the size that the
 * setting says, every other buffer of the region being a canary. Each piece of the frame is an
 * allocation of its own, so that AddressSanitizer sees a read beyond it. Checked besides: canaries
 * and what follows the bytes of a slot are untouched; whole frames come out, as many and as long as
 * is counted, none where the frame was dropped; a header that goes to a receiver is one that its
 * stack can take; what was cut is no longer than the receiver wants.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vale/put_fp.h"
#include "vale/vnet.h"

#define SLOTS	  64u
#define N_BUFS	  (2 + 2 * SLOTS)
#define MAX_SIZE  65536u
#define CANARY	  0xa5
#define CANARIES  64u /* bytes looked at in each place */
#define MAX_FRAME 70000u

/* The first bytes of the input. */
struct setting {
	uint8_t lengths; /* bits 0-1 sender's header, 2-3 receiver's, 4-5 slots, 6-7 pieces */
	uint8_t lacks;
	uint8_t max_frame; /* times 64 */
	uint8_t room;
	uint8_t more; /* times 256 bytes of zeros behind the frame */
	uint8_t piece;
	uint8_t start; /* slot */
	uint8_t gap;   /* OFFSETS: bytes at most in a slot, if not 0 */
};

static const uint32_t hdr_lens[4] = {0, 10, 12, 12};
static const uint32_t buf_sizes[4] = {64, 256, 2048, 65536};

static struct unm_vale_src *src;
static struct unm_peer *peer;
static struct netmap_ring *ring;
static uint8_t *bufs;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
make_world(void)
{
	src = calloc(1, sizeof(*src));
	peer = calloc(1, sizeof(*peer));
	ring = calloc(1, sizeof(*ring) + SLOTS * sizeof(ring->slot[0]));
	bufs = malloc((size_t)N_BUFS * MAX_SIZE);
	must(src != NULL && peer != NULL && ring != NULL && bufs != NULL);
	memset(bufs, CANARY, (size_t)N_BUFS * MAX_SIZE);
}

/* The frame in allocations of at most @piece bytes. Return: how many. */
static uint32_t
cut(const uint8_t *data, uint32_t len, uint32_t piece)
{
	uint32_t n = 0, at;

	for (at = 0; at < len; at += piece) {
		const uint32_t part = len - at < piece ? len - at : piece;
		uint8_t *copy = malloc(part);

		must(copy != NULL && n < UNM_VALE_FRAGS);
		memcpy(copy, data + at, part);
		src->frags[n].data = copy;
		src->frags[n++].len = part;
	}
	return n;
}

static void
set_up(const struct setting *s, struct unm_spot *sp)
{
	uint32_t i;

	src->hdr_len = hdr_lens[s->lengths & 3];
	peer->hdr_len = hdr_lens[s->lengths >> 2 & 3];
	peer->lacks = s->lacks & UNM_VNET_LACKS_ALL;
	if (peer->hdr_len == 0 || peer->lacks & UNM_VNET_LACKS_CSUM)
		peer->lacks = UNM_VNET_LACKS_ALL;
	peer->max_frame = s->max_frame * 64u;
	peer->buf_size = buf_sizes[s->lengths >> 4 & 3];
	peer->n_bufs = N_BUFS;
	peer->bufs = (char *)bufs;
	for (i = 0; i < SLOTS; i++) {
		ring->slot[i].buf_idx = UNM_BUF_FIRST + 2 * i;
		ring->slot[i].len = 0;
		ring->slot[i].flags = 0;
	}
	*sp = (struct unm_spot){.ring = ring, .p = peer, .n = SLOTS};
	sp->pos = s->start % SLOTS;
	sp->room = s->room % SLOTS;
	sp->limits.cap = peer->buf_size < UINT16_MAX ? peer->buf_size : UINT16_MAX;
	if (s->gap != 0 && s->gap < sp->limits.cap)
		sp->limits.cap = s->gap;
}

static uint8_t *
buffer(uint32_t slot)
{
	return bufs + (size_t)(UNM_BUF_FIRST + 2 * slot) * peer->buf_size;
}

static void
check_canary(const uint8_t *p, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len && i < CANARIES; i++)
		must(p[i] == CANARY);
}

/* Behind the first @len bytes of the slot's buffer, and in the next buffer, which nobody has. */
static void
check_behind(uint32_t slot, uint32_t len)
{
	check_canary(buffer(slot) + len, peer->buf_size - len);
	check_canary(buffer(slot) + peer->buf_size, peer->buf_size);
}

/* A header that asks for something, in front of a frame of @len bytes. */
static void
check_header(const uint8_t *vnet, uint32_t len)
{
	struct unm_vnet_hdr h;
	uint8_t type;

	memcpy(&h, vnet, sizeof(h));
	if ((h.flags & ~UNM_VNET_F_DATA_VALID) == 0 && h.gso_type == 0)
		return;
	type = h.gso_type & (uint8_t)~UNM_VNET_GSO_ECN;
	must((h.flags & ~(UNM_VNET_F_NEEDS_CSUM | UNM_VNET_F_DATA_VALID)) == 0);
	must(!(peer->lacks & UNM_VNET_LACKS_CSUM));
	must(type == 0 || type == 1 || type == 3 || type == 4 || type == 5);
	must(type == 0 ? h.gso_type == 0 : h.gso_size > 0);
	must(type != 1 || !(peer->lacks & UNM_VNET_LACKS_TSO4));
	must(type != 4 || !(peer->lacks & UNM_VNET_LACKS_TSO6));
	must(type != 3 || !(peer->lacks & UNM_VNET_LACKS_UFO));
	must(h.hdr_len <= len);
	if (h.flags & UNM_VNET_F_NEEDS_CSUM)
		must(h.csum_start >= 14 && (uint32_t)h.csum_start + h.csum_offset + 2 <= len);
}

/*
 * Put the slots from @first to the spot together to frames, and make their buffers canaries again.
 * Return: bytes of all.
 */
static uint64_t
check_frames(const struct unm_spot *sp, uint32_t first, uint8_t gso_type)
{
	static uint8_t frame[MAX_FRAME + 64];
	const uint32_t limit = peer->max_frame + 8 + peer->hdr_len; /* two tags */
	uint32_t at = first, len = 0, longest = 0;
	uint64_t bytes = 0, n = 0;

	while (at != sp->pos) { /* less than SLOTS turns */
		const struct netmap_slot *s = &ring->slot[at];

		must(s->len <= sp->limits.cap && s->len <= sizeof(frame) - len);
		memcpy(frame + len, buffer(at), s->len);
		check_behind(at, s->len);
		memset(buffer(at), CANARY, s->len);
		len += s->len;
		at = unm_pos_next(at, SLOTS);
		if (s->flags & NS_MOREFRAG) {
			must(s->len == sp->limits.cap && at != sp->pos);
			continue;
		}
		must(len >= peer->hdr_len + 14);
		if (peer->hdr_len > 0)
			check_header(frame, len - peer->hdr_len);
		if (len > longest)
			longest = len;
		bytes += len;
		n++;
		len = 0;
	}
	must(n == sp->pkts);
	must(n <= 1 || longest <= limit || gso_type == UNM_VNET_GSO_UDP_L4);
	return bytes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame[MAX_FRAME];
	struct setting s;
	struct unm_frame f = {0};
	struct unm_spot sp;
	uint32_t len, first, room, n, i;
	unsigned int put;

	if (src == NULL)
		make_world();
	if (size < sizeof(s) || size > 4096)
		return 0;
	memcpy(&s, data, sizeof(s));
	set_up(&s, &sp);
	len = (uint32_t)(size - sizeof(s));
	memcpy(frame, data + sizeof(s), len);
	memset(frame + len, 0, s.more * 256u);
	len += s.more * 256u;
	if (len < src->hdr_len + 14)
		return 0;
	n = cut(frame, len, s.lengths >> 6 == 0 ? len : s.piece * 8u + 24);
	f.total = len;
	f.n_frags = (uint16_t)n;
	first = sp.pos;
	room = sp.room;
	put = unm_put_general(src, &sp, &f);
	for (i = 0; i < n; i++)
		free((void *)(uintptr_t)src->frags[i].data);
	must(put < UNM_PUT_DROPPED + UNM_DROP_N);
	must(room - sp.room == unm_pos_dist(first, sp.pos, SLOTS));
	must((put == UNM_PUT_DONE) == (sp.pos != first));
	must(check_frames(&sp, first, frame[1]) == sp.bytes);
	for (i = 0; i < SLOTS; i++)
		if (unm_pos_dist(first, i, SLOTS) >= unm_pos_dist(first, sp.pos, SLOTS))
			check_behind(i, 0);
	return 0;
}
