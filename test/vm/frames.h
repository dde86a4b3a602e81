/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that tell what became of them: numbered, and on request filled so that each damaged byte
 * shows.
 *
 *   | virtio-net header | Ethernet | [IPv4, TCP: with GSO] | struct fr_mark | filling |
 *
 * A receiver keeps an account for each stream (sender and queue): what came, what is missing, came
 * twice, came late or damaged, or with another virtio-net header than it was sent with.
 */
#ifndef TEST_VM_FRAMES_H
#define TEST_VM_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "netdrv.h"

#define FR_MIN_LEN	   60u
#define FR_MAX_LEN	   65549u /* Ethernet header and the longest IPv4 packet */
#define FR_WINDOW	   65536u /* numbers back to which twice and late can be told apart */
#define FR_ETHERTYPE	   0x88b5u
#define FR_MARK_MAGIC	   0x6d766e75u
#define FR_ETH_LEN	   14u
#define FR_TCP_HEADERS_LEN 54u

struct fr_mark {
	/* run: chosen at random by a sender, so that a later one is told from it */
	uint32_t magic, run;
	uint32_t len; /* of the frame */
	uint16_t stream, gso_size;
	uint64_t seq;
	uint64_t time_ns; /* 0: not asked for */
};

/* How the frames of a stream look. */
struct fr_kind {
	uint8_t dst[6], src[6];
	uint32_t len;	   /* without the virtio-net header */
	uint16_t gso_size; /* 0: plain frames; else TCP segments to be cut to it */
	uint16_t stream;
	uint32_t run;
	bool is_filled; /* the filling follows from the number, and is checked */
};

struct fr_account {
	uint32_t run;
	bool has_begun;
	uint64_t first, next; /* numbers: the first seen, and one beyond the highest */
	uint64_t got, bytes, doubled, late, damaged, header_changed;
	uint64_t runs; /* senders seen one after the other */
	uint64_t seen[FR_WINDOW / 64];
};

/* Write the unchanging part of a frame to @buf, header first. Return: bytes, header included. */
uint32_t fr_template(uint8_t *buf, const struct fr_kind *k);

/* Where the mark lies behind the virtio-net header. */
static inline uint32_t
fr_mark_ofs(const struct fr_kind *k)
{
	return k->gso_size > 0 ? FR_TCP_HEADERS_LEN : FR_ETH_LEN;
}

void fr_fill(uint8_t *buf, const struct fr_kind *k, uint64_t seq);

/* Number a frame that fr_template() has begun. */
static inline void
fr_stamp(uint8_t *buf, const struct fr_kind *k, uint64_t seq, uint64_t time_ns)
{
	struct fr_mark *m = (struct fr_mark *)(buf + ND_HDR_LEN + fr_mark_ofs(k));

	__builtin_memcpy(&m->seq, &seq, sizeof(seq));
	__builtin_memcpy(&m->time_ns, &time_ns, sizeof(time_ns));
	if (k->is_filled)
		fr_fill(buf, k, seq);
}

enum fr_verdict { FR_GOOD, FR_FOREIGN, FR_DAMAGED, FR_HEADER_CHANGED };

/*
 * What a frame is; *m is its mark, unless it is none of ours. @is_filled: look at each byte, else
 * at the length only.
 */
enum fr_verdict fr_read(const struct nd_frame *f, bool is_filled, struct fr_mark *m);

void fr_note(struct fr_account *a, const struct fr_mark *m, uint32_t len);

/* Numbers up to the highest that never came. */
uint64_t fr_missing(const struct fr_account *a);

#endif
