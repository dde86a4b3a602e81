/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading capture files: pcap and pcapng, packet by packet, from a file or any stream.
 *
 *	error = nmt_capture_open(path, &cap, &err);
 *	while ((got = nmt_capture_next(cap, &pkt, &err)) > 0)
 *		use(&pkt);
 *	if (got < 0)
 *		complain("%s: %s", path, err.text);
 *	nmt_capture_close(cap);
 *
 * What is read: pcap with microsecond and nanosecond times; pcapng with any number of sections and
 * interfaces, every if_tsresol and if_tsoffset, enhanced, simple and obsolete packet blocks; both
 * in either byte order. Blocks of other types are skipped. The link type is reported with each
 * packet and never judged here.
 *
 * Memory does not depend on the file: one packet, at most NMT_CAPTURE_CAPLEN_MAX bytes, and a few
 * bytes for each interface of the current section, of which there may be NMT_CAPTURE_IF_MAX.
 *
 * A message starts with the byte offset of the record or block concerned; the name of the file is
 * put in front by the caller, who knows what the user called it.
 */
#ifndef CAPTURE_READER_H_
#define CAPTURE_READER_H_

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "nmt_err.h"

/* Largest packet in a file. libpcap writes and accepts no more for Ethernet (its MAXIMUM_SNAPLEN),
 * so that a larger number is a damaged length field, not a packet. */
#define NMT_CAPTURE_CAPLEN_MAX 262144u

/* Interfaces of one pcapng section: as many as an obsolete packet block can number. */
#define NMT_CAPTURE_IF_MAX	      65536u

#define NMT_CAPTURE_LINKTYPE_ETHERNET 1 /* LINKTYPE_ETHERNET of the tcpdump.org registry */

enum nmt_capture_format {
	NMT_CAPTURE_PCAP_US,
	NMT_CAPTURE_PCAP_NS,
	NMT_CAPTURE_PCAPNG,
};

struct nmt_capture; /* one open capture */

struct nmt_capture_packet {
	const uint8_t *data; /* @caplen bytes, valid until the next call on the capture */
	uint32_t caplen;     /* bytes captured */
	uint32_t len;	     /* bytes that the packet had, at least @caplen */
	uint32_t fcs_len;    /* how many of the last bytes of @data are the frame check sequence */
	uint32_t if_idx;     /* interface within the section; 0 in pcap */
	uint16_t linktype;   /* LINKTYPE_ value */
	bool has_time;	     /* false in simple packet blocks, which have none */
	int64_t time_ns;     /* since 1970-01-01 UTC, finer resolutions rounded down */
	uint64_t offset;     /* byte offset of the record in the file */
};

/**
 * nmt_capture_open() - open a capture file and read its header
 * @path: file name, or "-" for standard input
 * @out:  written on success only; caller ends it with nmt_capture_close()
 * @err:  receives the reason on failure; may be NULL
 *
 * Thread: any; blocks as the file does. Return: 0, -EPROTONOSUPPORT not a capture that is
 * understood,
 * -ENODATA ends within its header, -EBADMSG damaged header, -ENOMEM, or the error of open or read.
 */
int nmt_capture_open(const char *path, struct nmt_capture **out, struct nmt_err *err);

/**
 * nmt_capture_open_stream() - the same for a stream that is already open
 * @in: read from its current position, which counts as offset 0; borrowed: the caller closes it,
 *      after nmt_capture_close()
 */
int nmt_capture_open_stream(FILE *in, struct nmt_capture **out, struct nmt_err *err);

/**
 * nmt_capture_next() - the next packet
 * @pkt: written when 1 is returned
 * @err: receives the reason on failure; may be NULL
 *
 * After 0 or an error the capture is finished: further calls return the same again, without text.
 * Thread: one at a time per capture; blocks as the file does.
 * Return: 1 a packet, 0 the end, -ENODATA the file ends in the middle of a record (everything
 * before it has been handed out), -EBADMSG damaged record, -ENOMEM, or the error of the read.
 */
int nmt_capture_next(struct nmt_capture *cap, struct nmt_capture_packet *pkt, struct nmt_err *err);

/** nmt_capture_format() - what kind of file it is. Thread: any. */
enum nmt_capture_format nmt_capture_format(const struct nmt_capture *cap);

/** nmt_capture_format_name() - "pcap, microseconds" and the like. Thread: any. */
const char *nmt_capture_format_name(enum nmt_capture_format format);

/** nmt_capture_close() - free everything; NULL is accepted. Thread: any. */
void nmt_capture_close(struct nmt_capture *cap);

#endif /* CAPTURE_READER_H_ */
