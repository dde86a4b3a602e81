/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of a struct unm_cap, for capture_open.c and capture_fp.c. */
#ifndef UNM_PCAP_CAPTURE_PRIV_H
#define UNM_PCAP_CAPTURE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "pcap/capture.h"

#define UNM_CAP_MAX_SEND 65535 /* bytes of a frame */

struct netmap_ring;
struct nmport_d;

struct unm_cap_ring {
	struct netmap_ring *ring;
	uint32_t num_slots; /* private copies: the ring can be written by others */
	uint32_t buf_size;
	uint32_t n_bufs; /* indices below are inside of the mapping */
	char *bufs;
	uint32_t next; /* first slot that has not been handed out */
	bool is_held;  /* slots before @next have not been given back */
};

struct unm_cap {
	struct nmport_d *port;
	bool is_monitor;
	uint32_t vnet_len; /* in front of each frame */
	uint32_t n_rings, ring;
	struct unm_cap_ring *rings;
	uint8_t *join; /* a frame of several slots; NETMAP_MAX_FRAGS buffers */
	uint8_t *send; /* a frame to send behind its header; NULL if frames have none */
	uint64_t time_ns;
	uint64_t frames, bytes, invalid;
	uint64_t missed_before; /* what the counter said at the start */
};

#endif
