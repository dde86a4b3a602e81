/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading capture files: the pcapng format.
 *
 * A file is a sequence of blocks,
 *
 *	+------+--------------+------------------------------+--------------+
 *	| type | total length | body, padded to 4 bytes      | total length |
 *	+------+--------------+------------------------------+--------------+
 *
 * in sections, each begun by a section header block that tells the byte order of its section. The
 * type of that block reads the same in both orders, so a section of the other order is recognised.
 * Interface description blocks number the interfaces of their section, from 0, and say in what unit
 * the packets' times are; packets name their interface by that number. A simple packet block has
 * neither time nor interface number (it belongs to interface 0).
 *
 * Every body is consumed to its last byte and the second length compared with the first, before the
 * packet in it is handed out: a wrong length then shows in the block that has it, not somewhere
 * behind it. The section length field and epb_flags are not needed and not looked at.
 *
 * Source: the IETF draft "PCAP Now Generic (pcapng) Capture File Format".
 */
#include "capture_reader_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BYTE_ORDER_MAGIC      UINT32_C(0x1a2b3c4d)

#define BLOCK_INTERFACE	      UINT32_C(1)
#define BLOCK_OBSOLETE_PACKET UINT32_C(2)
#define BLOCK_SIMPLE_PACKET   UINT32_C(3)
#define BLOCK_ENHANCED_PACKET UINT32_C(6)
#define BLOCK_SECTION	      UINT32_C(0x0a0d0d0a)

#define BLOCK_HEAD_LEN	      8 /* type and first length */
#define BLOCK_TAIL_LEN	      4 /* second length */

#define OPT_END		      0
#define OPT_IF_TSRESOL	      9
#define OPT_IF_FCSLEN	      13
#define OPT_IF_TSOFFSET	      14
#define OPT_TSRESOL_BINARY    0x80 /* the resolution is a power of 2, not of 10 */

#define TSRESOL_DEFAULT	      6 /* microseconds */

struct section_body {
	uint32_t byte_order;
	uint16_t version_major;
	uint16_t version_minor;
	uint64_t section_len;
};
_Static_assert(sizeof(struct section_body) == 16, "fixed part of a section header block");

struct interface_body {
	uint16_t linktype;
	uint16_t reserved;
	uint32_t snaplen;
};
_Static_assert(sizeof(struct interface_body) == 8, "fixed part of an interface description block");

/* Enhanced packet block; the obsolete one has 16 bits of interface and 16 of drops at the front. */
struct packet_body {
	uint32_t if_idx;
	uint32_t time_high;
	uint32_t time_low;
	uint32_t caplen;
	uint32_t len;
};
_Static_assert(sizeof(struct packet_body) == 20, "fixed part of a packet block");

struct option_head {
	uint16_t code;
	uint16_t len;
};

/* A block whose type has been read: what is left of its body, and how to call it in messages. */
struct block {
	const char *what;
	uint32_t total_len;
	uint32_t rest_len; /* bytes of the body that have not been consumed */
};

/*
 * Check the length of a block whose body must begin with @fixed_len bytes; these count as consumed.
 */
static int
check_block(struct nmt_capture *cap, struct block *block, size_t fixed_len, struct nmt_err *err)
{
	uint32_t min_len = (uint32_t)fixed_len + BLOCK_HEAD_LEN + BLOCK_TAIL_LEN;

	if (block->total_len < min_len)
		return capture_bad(cap, err,
			"length %" PRIu32 " is too short for %s (at least %" PRIu32 ")",
			block->total_len, block->what, min_len);
	if (block->total_len % 4 != 0)
		return capture_bad(cap, err, "length %" PRIu32 " of %s is not a multiple of 4",
			block->total_len, block->what);
	block->rest_len = block->total_len - min_len;
	return 0;
}

/* Check the length and read the fixed part of the body. */
static int
begin_block(struct nmt_capture *cap, struct block *block, void *fixed, size_t fixed_len,
	struct nmt_err *err)
{
	int error = check_block(cap, block, fixed_len, err);

	return error != 0 ? error : capture_get(cap, fixed, fixed_len, block->what, err);
}

/* Consume what is left of the body and check the second length. */
static int
end_block(struct nmt_capture *cap, const struct block *block, struct nmt_err *err)
{
	uint32_t tail;
	int error = capture_skip(cap, block->rest_len, block->what, err);

	if (error == 0)
		error = capture_get(cap, &tail, sizeof(tail), block->what, err);
	if (error != 0)
		return error;
	tail = capture_u32(cap, tail);
	if (tail != block->total_len)
		return capture_bad(cap, err,
			"%s begins with length %" PRIu32 " and ends with length %" PRIu32,
			block->what, block->total_len, tail);
	return 0;
}

/* A section header whose type and first length (as stored) have been consumed. */
static int
read_section(struct nmt_capture *cap, uint32_t raw_total_len, struct nmt_err *err)
{
	struct block block = {.what = "a section header block"};
	struct section_body body;
	int error;

	error = capture_get(cap, &body, sizeof(body), block.what, err);
	if (error != 0)
		return error;
	if (body.byte_order != BYTE_ORDER_MAGIC && body.byte_order != bswap_32(BYTE_ORDER_MAGIC))
		return capture_bad(cap, err, "section header with byte order mark %08" PRIx32,
			body.byte_order);
	cap->swapped = body.byte_order != BYTE_ORDER_MAGIC;
	block.total_len = capture_u32(cap, raw_total_len);
	error = check_block(cap, &block, sizeof(body), err);
	if (error != 0)
		return error;
	body.version_major = capture_u16(cap, body.version_major);
	body.version_minor = capture_u16(cap, body.version_minor);
	/* Some programs wrote 1.2 and meant 1.0 (section 4.1 of the draft). */
	if (body.version_major != 1 || (body.version_minor != 0 && body.version_minor != 2))
		return nmt_err_set(err, -EPROTONOSUPPORT,
			"offset %" PRIu64 ": pcapng version %u.%u is not understood, only 1.0 is",
			cap->record_offset, body.version_major, body.version_minor);
	cap->n_ifs = 0;
	return end_block(cap, &block, err);
}

/* The value of one option of an interface; others than these three are skipped. */
static int
read_if_option(struct nmt_capture *cap, struct capture_if *ifc, const struct option_head *opt,
	const char *what, struct nmt_err *err)
{
	uint8_t byte = 0;
	uint64_t raw = 0;
	size_t need_len = opt->code == OPT_IF_TSOFFSET ? sizeof(raw) : sizeof(byte);
	void *dst = opt->code == OPT_IF_TSOFFSET ? (void *)&raw : (void *)&byte;
	int error;

	if (opt->code != OPT_IF_TSRESOL && opt->code != OPT_IF_FCSLEN &&
		opt->code != OPT_IF_TSOFFSET)
		return capture_skip(cap, opt->len, what, err);
	if (opt->len != need_len)
		return capture_bad(cap, err, "interface option %u has length %u, not %zu",
			opt->code, opt->len, need_len);
	error = capture_get(cap, dst, need_len, what, err);
	if (error != 0)
		return error;
	if (opt->code == OPT_IF_TSOFFSET) {
		ifc->time_offset_s = (int64_t)capture_u64(cap, raw);
	} else if (opt->code == OPT_IF_FCSLEN) {
		ifc->fcs_len = byte / 8; /* it counts bits */
	} else {
		ifc->is_binary = (byte & OPT_TSRESOL_BINARY) != 0;
		ifc->exponent = byte & ~OPT_TSRESOL_BINARY;
	}
	return 0;
}

/* The options of an interface description. */
static int
read_if_options(
	struct nmt_capture *cap, struct capture_if *ifc, struct block *block, struct nmt_err *err)
{
	while (block->rest_len > 0) { /* each round takes 4 bytes or more of the block */
		struct option_head opt;
		uint32_t padded_len;
		int error = capture_get(cap, &opt, sizeof(opt), block->what, err);

		if (error != 0)
			return error;
		block->rest_len -= (uint32_t)sizeof(opt);
		opt.code = capture_u16(cap, opt.code);
		opt.len = capture_u16(cap, opt.len);
		if (opt.code == OPT_END)
			return 0;
		padded_len = (opt.len + UINT32_C(3)) & ~UINT32_C(3);
		if (padded_len > block->rest_len)
			return capture_bad(cap, err,
				"interface option %u of %u bytes leads past the end of its block",
				opt.code, opt.len);
		error = read_if_option(cap, ifc, &opt, block->what, err);
		if (error == 0)
			error = capture_skip(cap, padded_len - opt.len, block->what, err);
		if (error != 0)
			return error;
		block->rest_len -= padded_len;
	}
	return 0;
}

/* Room for one more interface. */
static int
grow_ifs(struct nmt_capture *cap, struct nmt_err *err)
{
	uint32_t size = cap->ifs_size == 0 ? 8 : cap->ifs_size * 2;
	struct capture_if *ifs;

	if (cap->n_ifs == NMT_CAPTURE_IF_MAX)
		return capture_bad(
			cap, err, "more than %u interfaces in one section", NMT_CAPTURE_IF_MAX);
	if (cap->n_ifs < cap->ifs_size)
		return 0;
	ifs = realloc(cap->ifs, size * sizeof(*ifs));
	if (ifs == NULL)
		return nmt_err_set(err, -ENOMEM, "offset %" PRIu64 ": no memory for an interface",
			cap->record_offset);
	cap->ifs = ifs;
	cap->ifs_size = size;
	return 0;
}

static int
read_interface(struct nmt_capture *cap, uint32_t total_len, struct nmt_err *err)
{
	struct block block = {.what = "an interface description block", .total_len = total_len};
	struct capture_if ifc = {.exponent = TSRESOL_DEFAULT};
	struct interface_body body;
	int error;

	error = begin_block(cap, &block, &body, sizeof(body), err);
	if (error != 0)
		return error;
	ifc.linktype = capture_u16(cap, body.linktype);
	ifc.snaplen = capture_u32(cap, body.snaplen);
	error = read_if_options(cap, &ifc, &block, err);
	if (error == 0)
		error = end_block(cap, &block, err);
	if (error == 0)
		error = grow_ifs(cap, err);
	if (error == 0)
		cap->ifs[cap->n_ifs++] = ifc;
	return error;
}

/* A time in units of the interface, as ns since 1970. False: it does not fit (1677 to 2262 do). */
static bool
ticks_to_ns(const struct capture_if *ifc, uint64_t ticks, int64_t *out)
{
	__int128 ns = ticks;

	if (ifc->is_binary) {
		/* Below 2^94 before the shift, which is by at most 127. */
		ns = (ns * 1000000000) >> ifc->exponent;
	} else {
		/* 10^20 and more leave nothing of a 64-bit number, so twenty steps are enough. */
		for (int e = ifc->exponent; e > 9 && ns != 0; e--)
			ns /= 10;
		for (int e = ifc->exponent; e < 9; e++)
			ns *= 10;
	}
	ns += (__int128)ifc->time_offset_s * 1000000000;
	if (ns < INT64_MIN || ns > INT64_MAX)
		return false;
	*out = (int64_t)ns;
	return true;
}

/* The data of a packet, then the end of its block. */
static int
read_data(struct nmt_capture *cap, struct block *block, uint32_t caplen, struct nmt_err *err)
{
	int error;

	if (caplen > block->rest_len)
		return capture_bad(cap, err,
			"%s claims %" PRIu32 " captured bytes and has room for %" PRIu32,
			block->what, caplen, block->rest_len);
	if (caplen > NMT_CAPTURE_CAPLEN_MAX)
		return capture_bad(cap, err,
			"%s claims %" PRIu32 " captured bytes, more than a packet can have (%u)",
			block->what, caplen, NMT_CAPTURE_CAPLEN_MAX);
	error = capture_get(cap, cap->buf, caplen, block->what, err);
	if (error != 0)
		return error;
	block->rest_len -= caplen;
	return end_block(cap, block, err);
}

/* The interface that a packet names, or NULL with a message. */
static const struct capture_if *
find_if(struct nmt_capture *cap, uint32_t if_idx, struct nmt_err *err)
{
	if (if_idx < cap->n_ifs)
		return &cap->ifs[if_idx];
	capture_bad(cap, err,
		"packet of interface %" PRIu32 ", but the section has described %" PRIu32, if_idx,
		cap->n_ifs);
	return NULL;
}

static void
fill_packet(const struct nmt_capture *cap, const struct capture_if *ifc, uint32_t caplen,
	uint32_t len, struct nmt_capture_packet *pkt)
{
	*pkt = (struct nmt_capture_packet){
		.data = cap->buf,
		.caplen = caplen,
		.len = len < caplen ? caplen : len,
		.if_idx = (uint32_t)(ifc - cap->ifs),
		.linktype = ifc->linktype,
		.offset = cap->record_offset,
	};
	pkt->fcs_len = capture_fcs_in_data(caplen, pkt->len, ifc->fcs_len);
}

/* Enhanced and obsolete packet blocks. Return: 1 or negative errno. */
static int
read_packet(struct nmt_capture *cap, uint32_t type, uint32_t total_len,
	struct nmt_capture_packet *pkt, struct nmt_err *err)
{
	struct block block = {.what = "a packet block", .total_len = total_len};
	const struct capture_if *ifc;
	struct packet_body body;
	uint16_t old_if_idx;
	uint64_t ticks;
	int error;

	error = begin_block(cap, &block, &body, sizeof(body), err);
	if (error != 0)
		return error;
	memcpy(&old_if_idx, &body.if_idx, sizeof(old_if_idx)); /* the first two bytes in the file */
	ifc = find_if(cap,
		type == BLOCK_OBSOLETE_PACKET ? capture_u16(cap, old_if_idx)
					      : capture_u32(cap, body.if_idx),
		err);
	if (ifc == NULL)
		return -EBADMSG;
	body.caplen = capture_u32(cap, body.caplen);
	error = read_data(cap, &block, body.caplen, err);
	if (error != 0)
		return error;
	fill_packet(cap, ifc, body.caplen, capture_u32(cap, body.len), pkt);
	ticks = (uint64_t)capture_u32(cap, body.time_high) << 32 | capture_u32(cap, body.time_low);
	pkt->has_time = true;
	if (!ticks_to_ns(ifc, ticks, &pkt->time_ns))
		return capture_bad(cap, err, "the packet's time is outside the years 1677 to 2262");
	return 1;
}

/* A simple packet block: as many bytes as interface 0 captures. Return: 1 or negative errno. */
static int
read_simple_packet(struct nmt_capture *cap, uint32_t total_len, struct nmt_capture_packet *pkt,
	struct nmt_err *err)
{
	struct block block = {.what = "a simple packet block", .total_len = total_len};
	const struct capture_if *ifc;
	uint32_t caplen;
	uint32_t len;
	int error;

	error = begin_block(cap, &block, &len, sizeof(len), err);
	if (error != 0)
		return error;
	len = capture_u32(cap, len);
	ifc = find_if(cap, 0, err);
	if (ifc == NULL)
		return -EBADMSG;
	caplen = ifc->snaplen != 0 && len > ifc->snaplen ? ifc->snaplen : len;
	error = read_data(cap, &block, caplen, err);
	if (error != 0)
		return error;
	fill_packet(cap, ifc, caplen, len, pkt);
	return 1;
}

/* Skip a block of a type that is of no use here. */
static int
skip_block(struct nmt_capture *cap, uint32_t total_len, struct nmt_err *err)
{
	struct block block = {.what = "a block", .total_len = total_len};
	int error = check_block(cap, &block, 0, err);

	return error != 0 ? error : end_block(cap, &block, err);
}

int
capture_pcapng_begin(struct nmt_capture *cap, struct nmt_err *err)
{
	uint32_t raw_total_len;
	int error;

	cap->format = NMT_CAPTURE_PCAPNG;
	error = capture_get(cap, &raw_total_len, sizeof(raw_total_len), "the file header", err);
	return error != 0 ? error : read_section(cap, raw_total_len, err);
}

int
capture_pcapng_next(struct nmt_capture *cap, struct nmt_capture_packet *pkt, struct nmt_err *err)
{
	for (;;) { /* one block a round, to the end of the input at most */
		uint32_t head[2];
		uint32_t type;
		uint32_t total_len;
		int got = capture_get_head(cap, head, sizeof(head), "a block header", err);

		if (got <= 0)
			return got;
		type = capture_u32(cap, head[0]);
		total_len = capture_u32(cap, head[1]);
		switch (type) {
		case BLOCK_ENHANCED_PACKET:
		case BLOCK_OBSOLETE_PACKET:
			return read_packet(cap, type, total_len, pkt, err);
		case BLOCK_SIMPLE_PACKET:
			return read_simple_packet(cap, total_len, pkt, err);
		case BLOCK_SECTION:
			got = read_section(cap, head[1], err);
			break;
		case BLOCK_INTERFACE:
			got = read_interface(cap, total_len, err);
			break;
		default:
			got = skip_block(cap, total_len, err);
			break;
		}
		if (got != 0)
			return got;
	}
}
