/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An input of fuzz_virtqueue: a few words of configuration, a script, and guest memory with the
 * rings at fixed places in it.
 *
 *   struct fuzz_head | script[n_ops] | guest memory from FUZZ_GPA on (the rest is zero)
 *
 * The in-flight part is the last page of guest memory, copied out of it; so is the record of a packed
 * ring, from its state on.
 */
#ifndef FUZZ_VIRTQUEUE_IMAGE_H
#define FUZZ_VIRTQUEUE_IMAGE_H

#include <stdint.h>

#define FUZZ_PAGE	4096u
#define FUZZ_MEM	(3 * FUZZ_PAGE) /* two regions, of one page and of two, side by side */
#define FUZZ_GPA	0x10000u
#define FUZZ_MAX_NUM	32u
#define FUZZ_AVAIL	512u /* behind 32 descriptors */
#define FUZZ_USED	640u
#define FUZZ_TABLE	1024u
#define FUZZ_INFLIGHT	(2 * FUZZ_PAGE)

#define FUZZ_F_PACKED	1u
#define FUZZ_F_EVENT	2u
#define FUZZ_F_TABLES	4u
#define FUZZ_F_ORDER	8u
#define FUZZ_F_INFLIGHT 16u
#define FUZZ_F_RECORD	32u

struct fuzz_head {
	uint8_t flags;
	uint8_t num; /* split: its logarithm, modulo 6; packed: modulo 32, plus 1 */
	uint16_t n_ops;
	uint32_t base;
};

/* Low 3 bits of a byte of the script; the high 5 are an argument. */
enum fuzz_op {
	FUZZ_PEEK,
	FUZZ_PUSH,
	FUZZ_FLUSH,
	FUZZ_UNPEEK,
	FUZZ_REWIND,
	FUZZ_KICKS,
	FUZZ_STORE, /* the driver changes its memory; two more bytes: where / 16, and what */
	FUZZ_RESTART,
};

#endif
