/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing pcapng files: one section, interfaces with names, time stamps of nanoseconds, directions,
 * and counters at the end.
 *
 *	unm_pcapng_begin(&w, file, "nm-record");
 *	idx = unm_pcapng_interface(&w, &iface);
 *	unm_pcapng_packet(&w, idx, &pkt);  ...
 *	unm_pcapng_counters(&w, idx, &counters);
 *	error = unm_pcapng_flush(&w);
 *
 * Interfaces may be added between packets. The first failure sticks: what follows is not written,
 * and each call returns it again, so that only the last one need be looked at.
 *
 * Source: the IETF draft "PCAP Now Generic (pcapng) Capture File Format". Numbers are written in
 * the machine's byte order, as the format allows.
 */
#ifndef UNM_PCAP_PCAPNG_H
#define UNM_PCAP_PCAPNG_H

#include <stdint.h>
#include <stdio.h>

#define UNM_PCAPNG_MAX_CAPLEN 262144u /* longer packets are cut; readers accept no more */

enum unm_pcapng_direction {
	UNM_PCAPNG_UNKNOWN,
	UNM_PCAPNG_IN,
	UNM_PCAPNG_OUT,
};

struct unm_pcapng {
	FILE *out; /* borrowed */
	uint32_t n_interfaces;
	int error; /* 0 or negative errno: the first failure */
};

struct unm_pcapng_interface {
	const char *name;
	const char *description; /* NULL: none */
	const char *filter;	 /* that was in force; NULL: none */
	uint32_t snaplen;	 /* 0: no limit */
};

struct unm_pcapng_packet {
	const uint8_t *data; /* caplen bytes */
	uint32_t caplen;
	uint32_t len;	  /* bytes the packet had */
	uint64_t time_ns; /* since 1970-01-01 UTC */
	enum unm_pcapng_direction direction;
};

/* Of one interface, since the capture began. */
struct unm_pcapng_counters {
	uint64_t start_ns, end_ns;
	uint64_t received; /* passed by, whether written or not */
	uint64_t dropped;  /* lost for want of room */
	uint64_t accepted; /* by the filter */
};

/* Write the section header. @program: who writes. Return: 0 or negative errno. */
int unm_pcapng_begin(struct unm_pcapng *w, FILE *out, const char *program);

/* Return: the interface's number, or negative errno. */
int64_t unm_pcapng_interface(struct unm_pcapng *w, const struct unm_pcapng_interface *iface);

int unm_pcapng_packet(struct unm_pcapng *w, uint32_t idx, const struct unm_pcapng_packet *pkt);
int unm_pcapng_counters(
	struct unm_pcapng *w, uint32_t idx, const struct unm_pcapng_counters *counters);

/* Hand everything to the system. Return: 0, or the first failure: -ENOSPC, -EPIPE, ... */
int unm_pcapng_flush(struct unm_pcapng *w);

#endif
