/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture in memory: every packet of the file, ready to be sent any number of times.
 *
 * Packets keep the order of the file. Their times are ns since the first packet, and never go back:
 * a packet recorded with an earlier time than the one before it (several interfaces, a clock that
 * was set) gets the time of that one, and is counted.
 *
 * Packet data lies in chunks that never move; the table of packets is one array. Both are counted
 * against a limit given by the caller, so that a large file ends in a message, not in the out-of-
 * memory killer.
 *
 * What is not sent: a frame check sequence, when the file says that packets carry one (the sending
 * port makes its own), and packets of which nothing was captured.
 */
#ifndef TRACE_H_
#define TRACE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture_reader.h"

struct nmr_packet {
	const uint8_t *data; /* lives as long as the trace */
	uint32_t len;	     /* at least 1 */
	uint64_t time_ns;    /* since the first packet; not below that of the packet before */
};

struct nmr_chunk; /* a piece of memory with packet data */

struct nmr_trace {
	struct nmr_packet *packets;
	uint32_t n_packets;  /* at least 1 after loading */
	uint32_t max_len;    /* of all packets */
	uint64_t n_bytes;    /* sum of their lengths */
	uint64_t span_ns;    /* time of the last packet */
	uint64_t memory_len; /* bytes allocated */

	/* What the user should hear about. */
	enum nmt_capture_format format;
	uint64_t n_backward;	   /* packets whose time was set to that of the one before */
	uint64_t n_cut;		   /* packets of which only the first part was captured */
	uint64_t n_empty;	   /* packets left out because nothing of them was captured */
	uint64_t n_timeless;	   /* packets without a time; they have that of the one before */
	uint64_t n_fcs;		   /* packets whose frame check sequence was taken off */
	bool is_truncated;	   /* the file ends in the middle of a record ... */
	struct nmt_err truncation; /* ... which this describes */

	/* Private to trace.c. */
	struct nmr_chunk *chunks;
	size_t packets_size; /* entries allocated */
	bool has_first_time;
	int64_t first_time_ns;
};

/**
 * nmr_trace_load() - read a whole capture file
 * @path:         file name, or "-" for standard input
 * @memory_limit: bytes that the trace may take
 * @trace:        written on success only; the caller ends it with nmr_trace_free()
 * @err:          receives the reason on failure, beginning with the offset where one is to blame
 *
 * Thread: any; blocks as the file does.
 * Return: 0, -ENODATA no packet in it (also when cut before the first one is complete), -EBADMSG
 * damaged, -EPROTONOSUPPORT no capture, or packets that are not Ethernet, -EFBIG over
 * @memory_limit,
 * -ENOMEM, or the error of open or read.
 */
int nmr_trace_load(
	const char *path, uint64_t memory_limit, struct nmr_trace *trace, struct nmt_err *err);

/** nmr_trace_free() - give the memory back; @trace may be all zeroes */
void nmr_trace_free(struct nmr_trace *trace);

/** nmr_memory_available() - bytes that the kernel thinks programs can still take; 0: not known */
uint64_t nmr_memory_available(void);

#endif /* TRACE_H_ */
