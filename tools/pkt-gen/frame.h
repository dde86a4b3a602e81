/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frames that pkt-gen sends.
 *
 * A template is one frame, complete with virtio-net header, shared by all threads and never changed
 * once they run. Most runs send it as it is. When frames are to differ (address ranges, random
 * addresses or lengths, sequence numbers, stamps), each thread has a variation: a private copy of
 * the first bytes, the head, which pg_vary_next() rewrites for every frame. What follows the head
 * is the same in all frames, so a buffer that holds it needs only a new head.
 *
 *	| virtio-net header | Ethernet | IP | UDP | number, stamp | constant payload ... |
 *	|<---------------------- head_len ------------------------>|
 *	|<---------------------------------- len ------------------------------------->|
 *
 * The number (32 bits) and the stamp (seconds, nanoseconds of the monotonic clock, 32 bits each)
 * are in network byte order and directly behind the UDP header: at byte 42 of an IPv4 frame.
 */
#ifndef PG_FRAME_H_
#define PG_FRAME_H_

#include <stdbool.h>
#include <stdint.h>

#include "nmt_err.h"
#include "nmt_pkt.h"
#include "options.h"

#define PG_VNET_HDR_MAX 12
#define PG_STAMP_LEN	12

struct pg_template {
	uint8_t *data;		/* owned */
	uint32_t len;		/* of the longest frame, virtio-net header included */
	uint32_t vnet_len;	/* bytes of virtio-net header, all zero */
	uint32_t head_len;	/* at most len */
	uint16_t *payload_sums; /* [n]: folded sum of n bytes of payload; NULL: not varied */
};

struct pg_vary {
	const struct pg_template *tmpl;
	const struct pg_options *opt;
	struct nmt_udp_flow flow; /* of the next frame */
	uint64_t random_state;
	uint32_t seq; /* of the next frame */
	bool has_seq, has_stamp;
	/* Room for the longest headers even when frames are shorter and get only a part of them. */
	uint8_t head[PG_VNET_HDR_MAX + NMT_ETH_HDR_LEN + NMT_IPV6_HDR_LEN + NMT_UDP_HDR_LEN +
		     PG_STAMP_LEN];
};

/**
 * pg_template_init() - build the frame that the options ask for
 * @t:        written on success; ended with pg_template_free()
 * @opt:      source MAC filled in
 * @vnet_len: virtio-net header of the port
 *
 * Thread: main. Return: 0 or -ENOMEM.
 */
int pg_template_init(struct pg_template *t, const struct pg_options *opt, uint32_t vnet_len);

/** pg_template_free() - give back what pg_template_init() or pg_template_set() allocated */
void pg_template_free(struct pg_template *t);

/**
 * pg_template_set() - make a template of a given frame, which is copied
 *
 * Return: 0 or -ENOMEM.
 */
int pg_template_set(
	struct pg_template *t, const uint8_t *frame, uint32_t frame_len, uint32_t vnet_len);

/**
 * pg_vary_init() - the first frame of a thread
 * @thread_idx: chooses the thread's random numbers; the same in every run, so that runs compare
 *
 * @tmpl and @opt are borrowed. Thread: any; afterwards only its owner.
 */
void pg_vary_init(struct pg_vary *v, const struct pg_template *tmpl, const struct pg_options *opt,
	uint32_t thread_idx);

/**
 * pg_vary_next() - write the head of the next frame to v->head
 * @stamp_ns: what goes in as stamp, if the options ask for one
 *
 * Return: length of this frame, virtio-net header included, at most tmpl->len; only that many bytes
 * of the head count.
 */
uint32_t pg_vary_next(struct pg_vary *v, uint64_t stamp_ns);

/** pg_write_stamp(), pg_read_stamp() - the stamp, at byte 4 behind the UDP header */
void pg_write_stamp(uint8_t *payload, uint64_t stamp_ns);
uint64_t pg_read_stamp(const uint8_t *payload);

/**
 * pg_derived_mac() - a source address for ports without an interface behind
 *
 * Locally administered, unicast, the same for the same name in every run and different for
 * different names, so that switches learn the ports apart.
 */
void pg_derived_mac(const char *port_name, uint8_t mac[NMT_MAC_LEN]);

#endif /* PG_FRAME_H_ */
