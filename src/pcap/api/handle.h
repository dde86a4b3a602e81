/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a pcap_t of a netmap port is, and telling it from one of the system's library.
 *
 * Ours lie in one table, so that is a comparison of addresses, whatever the pointer. Life of an
 * entry:
 *
 *   FREE       exits: CREATED (pcap_create)
 *   CREATED    options may be set; cap and dead are NULL. Exits: ACTIVE (pcap_activate), FREE
 *              (pcap_close)
 *   ACTIVE     cap and dead are set. Exits: FREE
 *
 * "dead" is a handle of the system's library with our link type, snapshot length and time stamps:
 * it compiles filters and writes files for us.
 *
 * Threads: as with libpcap, one at a time for each pcap_t, but pcap_breakloop() from any, or from
 * a signal handler.
 */
#ifndef UNM_PCAP_API_HANDLE_H
#define UNM_PCAP_API_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "pcap/api/real.h"
#include "pcap/capture.h"
#include "pcap/pace.h"
#include "pcap/program.h"

#define PCAP_HANDLES	 256
#define PCAP_NAME_SIZE	 256
#define PCAP_MAX_SNAPLEN 262144 /* the system's library, MAXIMUM_SNAPLEN */

enum unm_pcap_state {
	UNM_PCAP_FREE,
	UNM_PCAP_CREATED,
	UNM_PCAP_ACTIVE,
};

struct unm_pcap {
	enum unm_pcap_state state;
	char name[PCAP_NAME_SIZE];
	/* Options */
	int snaplen;
	int timeout_ms;
	int buffer_size;
	int precision; /* PCAP_TSTAMP_PRECISION_* */
	bool rfmon;
	bool immediate;
	bool nonblock;
	/* Active */
	struct unm_cap *cap;
	pcap_t *dead;
	pcap_direction_t direction;
	struct unm_program filter;
	int break_fd;	   /* eventfd, -1: none */
	int break_loop;	   /* atomic */
	uint64_t accepted; /* frames that passed the filter */
	struct unm_pace pace;
	uint32_t unsynced;	/* frames handed out since the last sync */
	struct pcap_pkthdr hdr; /* for pcap_next_ex() */
	char errbuf[PCAP_ERRBUF_SIZE + 1];
};

extern struct unm_pcap unm_pcap_handles[PCAP_HANDLES];

/* Ours, or NULL: the system's. */
static inline struct unm_pcap *
unm_pcap_of(const pcap_t *p)
{
	const uintptr_t off = (uintptr_t)p - (uintptr_t)unm_pcap_handles;

	return __builtin_expect(off < sizeof(unm_pcap_handles), 1)
		       ? &unm_pcap_handles[off / sizeof(struct unm_pcap)]
		       : NULL;
}

static inline pcap_t *
unm_pcap_public(struct unm_pcap *h)
{
	return (pcap_t *)(void *)h;
}

/* A new entry, CREATED; or NULL: all are in use. */
struct unm_pcap *unm_pcap_alloc(void);

/* Close what is open, and free the entry. */
void unm_pcap_release(struct unm_pcap *h);

/* Set the text of pcap_geterr(). Return: @status. */
int unm_pcap_fail(struct unm_pcap *h, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Is it ACTIVE? If not: PCAP_ERROR_NOT_ACTIVATED, with the text set; else 0. */
int unm_pcap_check_active(struct unm_pcap *h);

#endif
