/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames that tell what became of them; see frames.h. */
#include "frames.h"

#include <arpa/inet.h>
#include <string.h>

_Static_assert(sizeof(struct fr_mark) == 32, "no padding");

#define GSO_TCPV4	1u
#define F_NEEDS_CSUM	1u
#define IP_PROTO_TCP	6u
#define TCP_CSUM_OFS	16u
#define IP_HEADER_LEN	20u
#define TCP_HEADER_LEN	20u
#define FILL_MULTIPLIER 0x9e3779b97f4a7c15ull

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Sum of 16-bit words in network order, folded. */
static uint32_t
sum_of(const uint8_t *p, uint32_t len, uint32_t sum)
{
	uint32_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/*
 * IPv4 and TCP headers of a segment for the receiver (or whoever is on the way) to cut and to sum
 * up.
 */
static void
write_tcp(uint8_t *eth, const struct fr_kind *k, struct nd_hdr *h)
{
	const uint32_t ip_len = k->len - FR_ETH_LEN;
	const uint32_t tcp_len = ip_len - IP_HEADER_LEN;
	uint8_t *ip = eth + FR_ETH_LEN, *tcp = ip + IP_HEADER_LEN;

	put16(eth + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, ip_len);
	ip[6] = 0x40; /* don't fragment */
	ip[8] = 64;
	ip[9] = IP_PROTO_TCP;
	memcpy(ip + 12, (const uint8_t[]){10, 0, 0, 1, 10, 0, 0, 2}, 8);
	put16(ip + 10, ~sum_of(ip, IP_HEADER_LEN, 0) & 0xffff);
	put16(tcp, 5001);
	put16(tcp + 2, 5001);
	tcp[12] = TCP_HEADER_LEN / 4 << 4;
	tcp[13] = 0x10; /* ACK */
	put16(tcp + 14, 0xffff);
	put16(tcp + TCP_CSUM_OFS, sum_of(ip + 12, 8, IP_PROTO_TCP + tcp_len));
	*h = (struct nd_hdr){.flags = F_NEEDS_CSUM,
		.gso_type = GSO_TCPV4,
		.hdr_len = FR_TCP_HEADERS_LEN,
		.gso_size = k->gso_size,
		.csum_start = FR_ETH_LEN + IP_HEADER_LEN,
		.csum_offset = TCP_CSUM_OFS};
}

uint32_t
fr_template(uint8_t *buf, const struct fr_kind *k)
{
	const struct fr_mark m = {.magic = FR_MARK_MAGIC,
		.run = k->run,
		.len = k->len,
		.stream = k->stream,
		.gso_size = k->gso_size};
	uint8_t *eth = buf + ND_HDR_LEN;

	memset(buf, 0, ND_HDR_LEN + k->len);
	memcpy(eth, k->dst, 6);
	memcpy(eth + 6, k->src, 6);
	if (k->gso_size > 0)
		write_tcp(eth, k, (struct nd_hdr *)buf);
	else
		put16(eth + 12, FR_ETHERTYPE);
	memcpy(eth + fr_mark_ofs(k), &m, sizeof(m));
	return ND_HDR_LEN + k->len;
}

/* ---- filling --------------------------------------------------------------------------------- */

/* Word @i of the filling of frame @seq. */
static inline uint64_t
word(uint64_t seq, uint32_t i)
{
	return (seq + 1) * FILL_MULTIPLIER + i * 0x0101010101010101ull;
}

void
fr_fill(uint8_t *buf, const struct fr_kind *k, uint64_t seq)
{
	const uint32_t ofs = fr_mark_ofs(k) + (uint32_t)sizeof(struct fr_mark);
	uint8_t *p = buf + ND_HDR_LEN + ofs;
	uint32_t left = k->len - ofs, i;
	uint64_t w;

	for (i = 0; left >= sizeof(w); i++, left -= (uint32_t)sizeof(w)) {
		w = word(seq, i);
		memcpy(p + i * sizeof(w), &w, sizeof(w));
	}
	w = word(seq, i);
	memcpy(p + i * sizeof(w), &w, left);
}

static bool
is_as_filled(const uint8_t *p, uint32_t left, uint64_t seq)
{
	uint64_t differs = 0, w, found;
	uint32_t i;

	for (i = 0; left >= sizeof(w); i++, left -= (uint32_t)sizeof(w)) {
		memcpy(&found, p + i * sizeof(w), sizeof(w));
		differs |= found ^ word(seq, i);
	}
	w = word(seq, i);
	return differs == 0 && memcmp(p + i * sizeof(w), &w, left) == 0;
}

/* ---- receiving ------------------------------------------------------------------------------- */

/*
 * Is the virtio-net header the one that this frame was sent with? Who takes a frame whole may say
 * that its checksum is right.
 */
static bool
has_its_header(const struct nd_hdr *h, const struct fr_mark *m)
{
	if (m->gso_size == 0)
		return (h->flags & F_NEEDS_CSUM) == 0 && h->gso_type == 0;
	return (h->flags & F_NEEDS_CSUM) != 0 && h->gso_type == GSO_TCPV4 &&
	       h->gso_size == m->gso_size && h->csum_start == FR_ETH_LEN + IP_HEADER_LEN &&
	       h->csum_offset == TCP_CSUM_OFS;
}

/* The frame's bytes in one piece. */
static const uint8_t *
in_one_piece(const struct nd_frame *f)
{
	static _Thread_local uint8_t whole[FR_MAX_LEN];
	uint32_t n = 0, i;

	if (f->n_parts == 1)
		return f->part[0].data;
	for (i = 0; i < f->n_parts; i++) {
		memcpy(whole + n, f->part[i].data, f->part[i].len);
		n += f->part[i].len;
	}
	return whole;
}

enum fr_verdict
fr_read(const struct nd_frame *f, bool is_filled, struct fr_mark *m)
{
	const uint8_t *p;
	uint32_t ofs;

	if (f->len < FR_MIN_LEN || f->len > FR_MAX_LEN)
		return FR_FOREIGN;
	p = in_one_piece(f);
	if (p[12] == FR_ETHERTYPE >> 8 && p[13] == (FR_ETHERTYPE & 0xff))
		ofs = FR_ETH_LEN;
	else if (p[12] == 0x08 && p[13] == 0 && f->len >= FR_TCP_HEADERS_LEN + sizeof(*m))
		ofs = FR_TCP_HEADERS_LEN;
	else
		return FR_FOREIGN;
	memcpy(m, p + ofs, sizeof(*m));
	if (m->magic != FR_MARK_MAGIC)
		return FR_FOREIGN;
	ofs += (uint32_t)sizeof(*m);
	if (m->len != f->len || (is_filled && !is_as_filled(p + ofs, f->len - ofs, m->seq)))
		return FR_DAMAGED;
	return has_its_header(f->hdr, m) ? FR_GOOD : FR_HEADER_CHANGED;
}

static inline bool
test_and_set(struct fr_account *a, uint64_t seq)
{
	uint64_t *w = &a->seen[seq / 64 % (FR_WINDOW / 64)];
	const uint64_t bit = 1ull << seq % 64;
	const bool was = (*w & bit) != 0;

	*w |= bit;
	return was;
}

/* Numbers from a->next to @seq, without it, have not come so far. */
static void
skip_to(struct fr_account *a, uint64_t seq)
{
	uint64_t i;

	if (seq - a->next >= FR_WINDOW) {
		memset(a->seen, 0, sizeof(a->seen));
		return;
	}
	for (i = a->next; i < seq; i++)
		a->seen[i / 64 % (FR_WINDOW / 64)] &= ~(1ull << i % 64);
}

void
fr_note(struct fr_account *a, const struct fr_mark *m, uint32_t len)
{
	if (!a->has_begun || a->run != m->run) {
		const uint64_t runs = a->runs + 1;

		*a = (struct fr_account){.run = m->run, .has_begun = true, .runs = runs};
		a->first = a->next = m->seq;
	}
	a->bytes += len;
	if (m->seq < a->next) {
		if (m->seq < a->first || a->next - m->seq > FR_WINDOW - 64 ||
			test_and_set(a, m->seq)) {
			a->doubled++;
			return;
		}
		a->late++;
		a->got++;
		return;
	}
	if (m->seq > a->next)
		skip_to(a, m->seq);
	if (m->seq % 64 == 0)
		a->seen[m->seq / 64 % (FR_WINDOW / 64)] = 0;
	a->seen[m->seq / 64 % (FR_WINDOW / 64)] |= 1ull << m->seq % 64;
	a->next = m->seq + 1;
	a->got++;
}

uint64_t
fr_missing(const struct fr_account *a)
{
	return a->next - a->first - a->got;
}
