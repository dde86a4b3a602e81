/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the capture reader share: capture_reader.c (opening, input, pcap) and
 * capture_pcapng.c. Nobody else includes this file.
 *
 * Input goes through capture_get() and capture_skip() alone. They count the offset, and tell an end
 * of file in the middle of something (-ENODATA) from a failing read.
 */
#ifndef CAPTURE_READER_PRIV_H_
#define CAPTURE_READER_PRIV_H_

#include "capture_reader.h"

#include <byteswap.h>
#include <stddef.h>

/* One pcapng interface. Ticks become ns by multiplying and then dividing or shifting. */
struct capture_if {
	uint16_t linktype;
	uint32_t snaplen; /* 0: unlimited */
	uint32_t fcs_len;
	bool is_binary;	       /* resolution 2^-exponent s, else 10^-exponent s */
	uint8_t exponent;      /* 0 to 127 */
	int64_t time_offset_s; /* added to every time */
};

struct nmt_capture {
	FILE *in;
	bool owns_in;
	bool swapped; /* numbers are in the other byte order; pcapng: of this section */
	enum nmt_capture_format format;
	uint64_t offset;	/* bytes consumed so far */
	uint64_t record_offset; /* where the record being read begins */
	bool finished;		/* nmt_capture_next() has returned 0 or an error: */
	int result;		/* that one */
	uint8_t *buf;		/* NMT_CAPTURE_CAPLEN_MAX bytes */

	/* pcap only */
	uint16_t linktype;
	uint32_t fcs_len;

	/* pcapng only: interfaces of this section */
	struct capture_if *ifs;
	uint32_t n_ifs;
	uint32_t ifs_size;
};

static inline uint16_t
capture_u16(const struct nmt_capture *cap, uint16_t val)
{
	return cap->swapped ? bswap_16(val) : val;
}

static inline uint32_t
capture_u32(const struct nmt_capture *cap, uint32_t val)
{
	return cap->swapped ? bswap_32(val) : val;
}

static inline uint64_t
capture_u64(const struct nmt_capture *cap, uint64_t val)
{
	return cap->swapped ? bswap_64(val) : val;
}

/**
 * capture_get() - read exactly @len bytes
 * @what: what is being read, for the message ("packet data")
 *
 * Return: 0, -ENODATA the input ends before that, or the error of the read.
 */
int capture_get(
	struct nmt_capture *cap, void *dst, size_t len, const char *what, struct nmt_err *err);

/** capture_skip() - read @len bytes and forget them; otherwise as capture_get() */
int capture_skip(struct nmt_capture *cap, uint64_t len, const char *what, struct nmt_err *err);

/**
 * capture_get_head() - read the first @len bytes of a record, or find that there is none
 *
 * Notes where the record begins. Return: 1 read, 0 the input ended before, else as capture_get().
 */
int capture_get_head(
	struct nmt_capture *cap, void *dst, size_t len, const char *what, struct nmt_err *err);

/** capture_bad() - "offset N: MESSAGE", N being where the record begins; returns -EBADMSG */
int capture_bad(struct nmt_capture *cap, struct nmt_err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** capture_fcs_in_data() - how much of an FCS of @fcs_len lies within the captured part */
uint32_t capture_fcs_in_data(uint32_t caplen, uint32_t len, uint32_t fcs_len);

/**
 * capture_pcapng_begin() - read the first section header, whose block type has been consumed
 *
 * Return: 0, -EBADMSG, -ENODATA, -EPROTONOSUPPORT a version that is not understood.
 */
int capture_pcapng_begin(struct nmt_capture *cap, struct nmt_err *err);

/** capture_pcapng_next() - as nmt_capture_next() */
int capture_pcapng_next(
	struct nmt_capture *cap, struct nmt_capture_packet *pkt, struct nmt_err *err);

#endif /* CAPTURE_READER_PRIV_H_ */
