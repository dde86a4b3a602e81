/* SPDX-License-Identifier: BSD-2-Clause */
/* See put_fp.h. */
#include "vale/put_fp.h"

#include "vale/bytes.h"
#include "vale/gso_fp.h"

#define DROP_OFFLOAD (UNM_PUT_DROPPED + UNM_DROP_OFFLOAD)

/* The next @len bytes of @r at the cursor. */
static void
copy(struct unm_cursor *c, struct unm_reader *r, uint32_t len)
{
	while (len > 0) { /* each turn takes at least one byte */
		uint8_t *dst;
		const uint32_t run = unm_cursor_run(c, len, &dst);

		unm_reader_take(r, dst, run);
		len -= run;
	}
}

/* The same, added to @sum. */
static void
copy_sum(struct unm_cursor *c, struct unm_reader *r, uint32_t len, struct unm_csum *sum)
{
	while (len > 0) { /* as above */
		uint8_t *dst;
		const uint32_t run = unm_cursor_run(c, len, &dst);

		unm_reader_take_sum(r, dst, run, sum);
		len -= run;
	}
}

/* One frame: @head_len bytes of ours, then @len bytes of @r. */
static unsigned int
put_whole(struct unm_vale_src *s, struct unm_spot *sp, const uint8_t *head, uint32_t head_len,
	struct unm_reader *r, uint32_t len)
{
	const unsigned int put = unm_spot_room(s, sp, unm_spot_slots(sp, head_len + len));
	struct unm_cursor c;

	if (put != UNM_PUT_DONE)
		return put;
	c = unm_cursor_at(sp);
	unm_cursor_write(&c, head, head_len);
	copy(&c, r, len);
	unm_spot_finish(sp, head_len + len);
	return UNM_PUT_DONE;
}

/*
 * Write a checksum, @at bytes into the frame that starts at @c. Zero would mean that there is none.
 */
static void
put_checksum(struct unm_cursor c, uint32_t at, const struct unm_csum *sum)
{
	const uint16_t check = (uint16_t)~unm_csum_fold(sum->sum);
	uint8_t field[2];

	unm_put_raw16(field, check != 0 ? check : UINT16_MAX);
	unm_cursor_skip(&c, at);
	unm_cursor_write(&c, field, sizeof(field));
}

/*
 * One frame whose checksum the receiver can't complete. The field holds the pseudo header's sum,
 * and so counts as what it is.
 */
static unsigned int
put_completed(struct unm_vale_src *s, struct unm_spot *sp, const struct unm_offload *o,
	struct unm_reader *r)
{
	static const uint8_t nothing[UNM_VNET_HDR_MAX];
	const uint32_t out = sp->p->hdr_len, start = o->vnet.csum_start;
	const unsigned int put = unm_spot_room(s, sp, unm_spot_slots(sp, out + o->len));
	struct unm_csum sum = {0};
	struct unm_cursor c;

	if (put != UNM_PUT_DONE)
		return put;
	c = unm_cursor_at(sp);
	unm_cursor_write(&c, nothing, out);
	copy(&c, r, start);
	copy_sum(&c, r, o->len - start, &sum);
	put_checksum(unm_cursor_at(sp), out + start + o->vnet.csum_offset, &sum);
	unm_spot_finish(sp, out + o->len);
	return UNM_PUT_DONE;
}

/* Write all pieces; their slots are free. */
static void
put_pieces(struct unm_spot *sp, struct unm_gso *g, struct unm_reader *r)
{
	const uint32_t out = sp->p->hdr_len;
	const uint8_t *head = g->o->head + UNM_VNET_HDR_MAX - out;
	const struct unm_cursor first = unm_cursor_at(sp);
	const bool is_datagram = g->o->gso_type == UNM_VNET_GSO_UDP;
	struct unm_csum sum = {0};
	uint32_t left = g->payload, i;

	for (i = 0; i < g->n; i++) { /* less than the ring's slots */
		const uint32_t len = left < g->size ? left : g->size;
		struct unm_cursor c = unm_cursor_at(sp);
		struct unm_cursor start = c;

		if (!is_datagram)
			sum = (struct unm_csum){0};
		unm_cursor_skip(&c, out + g->head_len);
		if (g->is_partial)
			copy(&c, r, len);
		else
			copy_sum(&c, r, len, &sum);
		unm_gso_header(g, i, len, sum.sum);
		unm_cursor_write(&start, head, out + g->head_len);
		unm_spot_finish(sp, out + g->head_len + len);
		left -= len;
	}
	if (is_datagram && g->o->vnet.flags & UNM_VNET_F_NEEDS_CSUM)
		put_checksum(first, out + g->head_len + UNM_UDP_CSUM_OFFSET, &sum);
}

/* An identification that nobody else can guess (splitmix64 of a random start). */
static uint32_t
next_ip6_id(struct unm_vale_src *s)
{
	uint64_t z = s->ip6_id += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z >> 32);
}

/* A frame that is to be cut for this receiver: all pieces, or nothing. */
static unsigned int
put_segments(struct unm_vale_src *s, struct unm_spot *sp, struct unm_offload *o, uint32_t lacks,
	struct unm_reader *r)
{
	const uint32_t out = sp->p->hdr_len;
	struct unm_gso g;
	uint32_t need, last;
	unsigned int put;

	if (!unm_gso_plan(&g, o, out, sp->p->max_frame, lacks, next_ip6_id(s)))
		return DROP_OFFLOAD;
	/*
	 * Each product is below 2^31: there are at most 2^16 pieces, of at most 2^16 bytes in total
	 * but for their headers.
	 */
	last = g.payload - (g.n - 1) * g.size;
	need = (g.n - 1) * unm_spot_slots(sp, out + g.head_len + g.size) +
	       unm_spot_slots(sp, out + g.head_len + last);
	put = unm_spot_room(s, sp, need);
	if (put == UNM_PUT_DONE)
		put_pieces(sp, &g, r);
	return put;
}

/* A frame whose virtio-net header @vnet asks for something; @r and @len without it. */
static unsigned int
put_offload(struct unm_vale_src *s, struct unm_spot *sp, const uint8_t *vnet, struct unm_reader *r,
	uint32_t len)
{
	const uint32_t out = sp->p->hdr_len, lacks = sp->p->lacks;
	struct unm_offload o;

	if (!unm_offload_parse(&o, vnet, r, len))
		return DROP_OFFLOAD;
	if (o.needs & lacks)
		return o.gso_type == UNM_VNET_GSO_NONE ? put_completed(s, sp, &o, r)
						       : put_segments(s, sp, &o, lacks, r);
	/* As it is, with the headers that were checked. */
	memmove(o.head + UNM_VNET_HDR_MAX - out, o.head, out);
	memcpy(o.head + UNM_VNET_HDR_MAX - out, &o.vnet, sizeof(o.vnet));
	return put_whole(
		s, sp, o.head + UNM_VNET_HDR_MAX - out, out + o.head_len, r, len - o.head_len);
}

unsigned int
unm_put_general(struct unm_vale_src *s, struct unm_spot *sp, const struct unm_frame *f)
{
	const uint32_t in = s->hdr_len, out = sp->p->hdr_len;
	struct unm_reader r = {.frag = &s->frags[f->frag]};
	uint8_t vnet[UNM_VNET_HDR_MAX] = {0};

	unm_reader_take(&r, vnet, in);
	if (in != out)
		memset(vnet + UNM_VNET_HDR_BASE, 0, sizeof(vnet) - UNM_VNET_HDR_BASE);
	if (__builtin_expect(!unm_vnet_is_plain(vnet), 0))
		return put_offload(s, sp, vnet, &r, f->total - in);
	return put_whole(s, sp, vnet, out, &r, f->total - in);
}
