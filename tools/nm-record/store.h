/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last frames, in memory: a ring of bytes in which the newest record takes the place of the
 * oldest ones.
 *
 * Thread: one. A process that was forked off has its own copy, which is how one is written to a
 * file while the other goes on.
 */
#ifndef NM_RECORD_STORE_H
#define NM_RECORD_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_MIN_SIZE (1u << 20) /* so that the largest frame fits */

struct store_frame {
	uint64_t time_ns; /* CLOCK_REALTIME; does not decrease by much */
	uint32_t caplen;
	uint32_t len;
	uint16_t port; /* the recorder's number */
	bool is_tx;
	const uint8_t *data; /* caplen bytes; of a stored frame: in the store */
};

struct store_limits {
	uint64_t n_frames; /* 0: as many as fit */
	uint64_t age_ns;   /* 0: as old as fit */
};

struct store;

/**
 * store_new() - memory for @size bytes of frames and their 24-byte headers
 *
 * It is committed as it is used. Return: 0, -EINVAL too small, -ENOMEM.
 */
int store_new(struct store **out, size_t size, const struct store_limits *limits);
void store_free(struct store *s);

/* Copy a frame in; the oldest go until there is room and the limits are kept. */
void store_put(struct store *s, const struct store_frame *f);

uint64_t store_n_frames(const struct store *s);
uint64_t store_n_bytes(const struct store *s); /* of frames, as cut */

/* Frames older than the limit, seen from @now_ns, go. */
void store_expire(struct store *s, uint64_t now_ns);

struct store_pos {
	size_t off;
	uint64_t left;
};

/* From the oldest to the newest; nothing may be put meanwhile. */
struct store_pos store_first(const struct store *s);
bool store_next(const struct store *s, struct store_pos *pos, struct store_frame *out);

#endif
