/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading what a frame's virtio-net header asks for, and checking it against the frame's own
 * headers.
 *
 * Nothing in a frame is trusted: it comes from a guest that may want to harm the guest at the other
 * end, and may change while it is read. So the headers are copied once, checked in the copy, and
 * the copy is what is sent on. The frame's end is where its slots end; the lengths in its IP and
 * UDP headers are not believed, and are written anew in segments.
 */
#ifndef UNM_VALE_OFFLOAD_FP_H
#define UNM_VALE_OFFLOAD_FP_H

#include <stdbool.h>
#include <stdint.h>

#include "vale/reader.h"
#include "vale/vnet.h"

#define UNM_HEAD_MAX                                                                               \
	256u /* bytes of headers of a frame to be segmented; with longer ones it is dropped */
#define UNM_TCP_CSUM_OFFSET 16u
#define UNM_UDP_CSUM_OFFSET 6u

/* A checked frame. Offsets count from its Ethernet header. */
struct unm_offload {
	struct unm_vnet_hdr vnet;
	uint32_t len;	/* of the frame without its virtio-net header */
	uint32_t needs; /* what the receiver must not lack, UNM_VNET_LACKS_*, to get it as it is */
	/*
	 * Bytes of the frame in head[]: up to the payload if it is to be segmented (up to the UDP
	 * header if into fragments), else none
	 */
	uint32_t head_len;
	/* Of frames to be segmented */
	uint8_t gso_type; /* without the ECN flag */
	bool is_v6;
	uint32_t tags;	   /* bytes of VLAN tags */
	uint32_t l3;	   /* IP header */
	uint32_t next_hdr; /* IPv6: the byte that names the header at l4 */
	uint32_t l4;
	/* Room for a virtio-net header, then the frame's own headers from UNM_VNET_HDR_MAX on */
	uint8_t head[UNM_VNET_HDR_MAX + UNM_HEAD_MAX];
};

/* Where headers are; offsets count from the Ethernet header. */
struct unm_offload_place {
	uint32_t l3, l4;
	bool is_v6;
};

/**
 * unm_offload_locate() - find the transport header of a packet that is no fragment
 * @head: its first @have bytes, a copy
 * @len:  of the frame
 *
 * Return: the protocol of the header at @at->l4, which may lie behind @have; negative if there is
 * none.
 */
int unm_offload_locate(
	struct unm_offload_place *at, const uint8_t *head, uint32_t have, uint32_t len);

/**
 * unm_offload_parse() - check a frame that asks for something
 * @o:    filled in
 * @vnet: its virtio-net header, UNM_VNET_HDR_MAX bytes, our copy
 * @r:    at its Ethernet header; moved past what head[] has
 * @len:  bytes there, at least 14
 *
 * A hint of the header's length that points outside the frame is corrected. Return: false if the
 * header is wrong: unknown flags or type, no size, a checksum outside the frame, or headers that
 * are not those of its type.
 */
bool unm_offload_parse(
	struct unm_offload *o, const uint8_t *vnet, struct unm_reader *r, uint32_t len);

#endif
