/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cutting a checked frame (offload_fp.h) into frames that any receiver takes: how many, and each
 * one's headers.
 *
 *   TCP      segments of gso_size, or as many bytes as fit a receiver's frame: sequence number,
 *            FIN and PSH only in the last, CWR only in the first
 *   UDP_L4   datagrams of gso_size, never less: the application sees them
 *   UDP      one datagram in IP fragments of gso_size rounded down to a multiple of 8, or as many
 *            bytes as fit; whole if it fits into one
 *
 * IPv4: the identification counts up, fragments all have the datagram's. Every header is built in
 * place of the frame's own, in the private copy. Payload is not looked at here.
 *
 * Headers are summed once. Each piece adds the few words that are its own: to load what was just
 * stored in smaller parts stalls the processor, and took a fifth of the time.
 */
#ifndef UNM_VALE_GSO_FP_H
#define UNM_VALE_GSO_FP_H

#include "vale/offload_fp.h"

struct unm_gso {
	struct unm_offload *o;
	uint32_t vnet_len; /* virtio-net header in front of each piece */
	bool is_partial;   /* receiver completes TCP and UDP checksums by itself */
	bool is_fragments; /* of a datagram that does not fit into one piece */
	uint32_t head_len; /* other headers in front of each piece */
	uint32_t payload;  /* of all pieces */
	uint32_t size;	   /* of a piece's payload, the last one's excepted */
	uint32_t n;	   /* pieces, at least 1 */
	uint64_t pseudo;   /* sum of the pseudo header but for the length */
	uint64_t ip_sum;   /* of the IPv4 header, and below of the transport header: what is the */
	uint64_t l4_sum;   /* same in all pieces, with zeros in place of the rest */
	uint32_t id;	   /* IPv4 of the first piece; IPv6 of all fragments */
	uint32_t seq;
	uint8_t tcp_flags;
};

/**
 * unm_gso_plan() - prepare to cut @o
 * @o:         parsed, with a gso_type, its reader right behind head[]; borrowed, head[] is changed
 * @vnet_len:  of the receiver's virtio-net header: 0, 10, 12
 * @max_frame: bytes of a frame that the receiver wants at most, VLAN tags not counted
 * @lacks:     of the receiver
 * @id:	       identification for IPv6 fragments
 *
 * Return: false if no payload would fit.
 */
bool unm_gso_plan(struct unm_gso *g, struct unm_offload *o, uint32_t vnet_len, uint32_t max_frame,
	uint32_t lacks, uint32_t id);

/*
 * Write the headers of piece @i into g->o->head, the virtio-net header so that it ends at
 * UNM_VNET_HDR_MAX. The piece has @len bytes of payload with the sum @sum, which has no meaning
 * where is_partial, and for fragments: their datagram's checksum is part of their payload.
 */
void unm_gso_header(struct unm_gso *g, uint32_t i, uint32_t len, uint64_t sum);

#endif
