/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of pkt-gen (spec section 24.1 and pkt-gen.8).
 *
 * pg_options_parse() leaves a complete and consistent set behind, or ends the program with status 2
 * and a message. What depends on the port (frame longer than the MTU, too many threads for its
 * rings) is checked when the port is open.
 */
#ifndef PG_OPTIONS_H_
#define PG_OPTIONS_H_

#include <stdbool.h>
#include <stdint.h>

#include "nmt_cli.h"
#include "nmt_pkt.h"

#define PG_FRAME_LEN_MIN 16
#define PG_FRAME_LEN_MAX 65536
#define PG_FRAGS_MAX	 63
#define PG_THREADS_MAX	 256

enum pg_function {
	PG_RX,
	PG_TX,
	PG_PING,
	PG_PONG,
	PG_RXSEQ,
	PG_TXSEQ,
};

/* Values of -o, which may be added up. */
enum {
	PG_DATA_PREFETCH = 1,
	PG_DATA_ACCESS = 2,
	PG_DATA_COPY = 4,
	PG_DATA_MEMCPY = 8,
	PG_DATA_STAMP = 16,
	PG_DATA_INDIRECT = 32,
	PG_DATA_DUMP = 64,
	PG_DATA_RUBBISH = 256,
	PG_DATA_ALL = 0x17f,
};

struct pg_options {
	const char *port_name; /* as given; borrowed from argv */
	enum pg_function function;

	uint64_t n_packets;	/* 0: no end */
	uint32_t frame_len_min; /* without CRC and virtio header */
	uint32_t frame_len_max; /* greater than frame_len_min: random lengths between */
	bool frame_len_given;
	uint32_t burst;
	uint32_t n_frags;	   /* slots per packet */
	uint32_t frag_len;	   /* of all but the last */
	unsigned data;		   /* PG_DATA_* */
	const char *template_file; /* NULL: UDP frames */
	int vnet_hdr_len;	   /* -1: the port's own */

	bool is_v6;
	struct nmt_ip_range src_ip, dst_ip;
	struct nmt_mac_range src_mac, dst_mac;
	bool src_mac_given; /* else the interface's own */
	bool random_src, random_dst;

	uint64_t rate_pps;    /* 0: no limit */
	bool busy_wait;	      /* spin with the sync ioctls instead of poll */
	bool exit_on_silence; /* rx, rxseq */
	int wait_s;	      /* -1: depends on the port */

	int first_cpu; /* -1: not pinned */
	int n_cpus;    /* as printed, at least 1 */
	bool n_cpus_given;
	uint32_t n_threads;

	uint32_t report_ms;
	bool plain_numbers;
	bool window_stats;
	bool count_framing;
	bool json;

	uint32_t n_tx_slots, n_rx_slots; /* 0: the port's default */
	uint16_t n_tx_rings, n_rx_rings;
};

/** pg_options_parse() - read the command line; ends the program on --help and on errors */
void pg_options_parse(struct pg_options *opt, int argc, char **argv);

/**
 * pg_options_resolve_frags() - settle how a packet of frame_len_max bytes is cut (-F, -M)
 *
 * pg_options_parse() does it, except with -P, where the length is known when the file has been
 * read. Ends the program when it cannot be done.
 */
void pg_options_resolve_frags(struct pg_options *opt);

/** pg_cli() - for nmt_die() and nmt_usage_error() */
const struct nmt_cli *pg_cli(void);

/** pg_function_name() - as given with -f */
const char *pg_function_name(enum pg_function function);

/** pg_is_sender(), pg_is_receiver() - tx and txseq, rx and rxseq; ping and pong are neither */
bool pg_is_sender(const struct pg_options *opt);
bool pg_is_receiver(const struct pg_options *opt);

/** pg_is_varied() - whether frames differ from one another (ranges, random, sequence, stamps) */
bool pg_is_varied(const struct pg_options *opt);

extern const char pg_help_text[]; /* help.c */

#endif /* PG_OPTIONS_H_ */
