/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that ask for offloads, made at random, and what must become of them: a second, slow
 * implementation that knows nothing of the first. Byte by byte, one flat buffer a frame, and with
 * the layout from who made the frame instead of from looking at it.
 */
#ifndef OFFLOAD_FRAMES_H
#define OFFLOAD_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#define OFFLOAD_MAX_FRAME  66000u
#define OFFLOAD_MAX_PIECES 5000u

enum offload_kind {
	OFFLOAD_TCP4,
	OFFLOAD_TCP6,
	OFFLOAD_USO4,
	OFFLOAD_USO6,
	OFFLOAD_UFO4,
	OFFLOAD_UFO6,
	OFFLOAD_CSUM_TCP4,
	OFFLOAD_CSUM_TCP6,
	OFFLOAD_CSUM_UDP4,
	OFFLOAD_CSUM_UDP6,
	OFFLOAD_KINDS,
};

/* A frame and how it is laid out. */
struct offload_frame {
	enum offload_kind kind;
	uint8_t vnet[12]; /* its virtio-net header, the longest form */
	uint32_t len;
	uint32_t tags; /* bytes of VLAN tags */
	uint32_t l3, l4, payload;
	uint32_t next_hdr; /* IPv6: where the header at l4 is named */
	uint8_t data[OFFLOAD_MAX_FRAME];
};

/* What a receiver gets: frames one behind the other, each with its virtio-net header. */
struct offload_result {
	uint32_t n;
	uint32_t len[OFFLOAD_MAX_PIECES];
	uint32_t size;
	uint8_t *data; /* allocated on first use; offload_result_free() */
};

/* What frames are made of. */
struct offload_shape {
	uint32_t src, dst;    /* ports; traffic_mac() */
	uint32_t max_payload; /* bytes behind the headers */
	uint32_t min_size;    /* least gso_size */
	uint32_t max_size;
	bool is_kernels; /* only what the kernel converts in the same way */
};

/* A number in [lo, hi]. */
uint32_t offload_random(uint64_t *rng, uint32_t lo, uint32_t hi);

/* Make a valid frame of @kind. */
void offload_frame_make(struct offload_frame *f, enum offload_kind kind,
	const struct offload_shape *shape, uint64_t *rng);

/* Is the checksum of TCP or UDP over @data[l4 ... len) right? For whole packets made from @f. */
bool offload_l4_ok(const struct offload_frame *f, const uint8_t *data, uint32_t len);

/**
 * offload_expect() - what a receiver has to get
 * @hdr_len:   of the receiver's virtio-net header
 * @lacks:     UNM_VNET_LACKS_* of the receiver
 * @max_frame: of the receiver
 * @r:         frames; an IPv6 fragment's identification is 0
 *
 * Return: false if the frame has to be dropped.
 */
bool offload_expect(const struct offload_frame *f, uint32_t hdr_len, uint32_t lacks,
	uint32_t max_frame, struct offload_result *r);

/* A TCP super-frame from port 0 to port 1 of @n full segments without options of IP, and in @r these, checksums done. */
void offload_make_segments(
	struct offload_frame *f, uint32_t n, struct offload_result *r, uint64_t *rng);

/* Is @got, with its virtio-net header of @hdr_len bytes, what offload_make_segments() has cut? */
bool offload_is_joined(
	const struct offload_frame *f, const uint8_t *got, uint32_t len, uint32_t hdr_len);

/* Set the identification of IPv6 fragments among @r to 0. Return: false if they have several. */
bool offload_clear_ids(const struct offload_frame *f, uint32_t hdr_len, struct offload_result *r);

void offload_result_reset(struct offload_result *r);
void offload_result_add(struct offload_result *r, const uint8_t *frame, uint32_t len);
void offload_result_free(struct offload_result *r);

#endif
