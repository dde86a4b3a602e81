/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of flows, for tests and seeds of nm-lb's packet parser: built by appending headers, and a
 * list of all the ways in which a TCP segment can be wrapped that the parser knows.
 */
#ifndef TEST_NM_LB_FLOW_FRAMES_H_
#define TEST_NM_LB_FLOW_FRAMES_H_

#include <stddef.h>
#include <stdint.h>

#define FF_FRAME_MAX  512

#define FF_PROTO_IPIP 4
#define FF_PROTO_TCP  6
#define FF_PROTO_IPV6 41
#define FF_PROTO_FRAG 44
#define FF_PROTO_GRE  47
#define FF_PROTO_AH   51
#define FF_PROTO_ICMP 1

struct ff_frame {
	uint8_t bytes[FF_FRAME_MAX];
	size_t len;
};

/* Who talks to whom; swapping gives the other direction. */
struct ff_talk {
	uint8_t a, b; /* last byte of the addresses */
	uint16_t a_port, b_port;
};

/* Ends of a tunnel; each shape that has one uses these two, in the direction of its flow. */
extern const struct ff_talk ff_tunnel;

struct ff_shape {
	const char *name; /* also of the seed's file */
	void (*make)(struct ff_frame *f, struct ff_talk t);
	size_t outer_len; /* so many bytes are needed for the first IP header */
};

enum ff_shape_id {
	FF_IP4,
	FF_IP6,
	FF_QINQ_IP4,
	FF_VLAN_IP6_EXTENSIONS,
	FF_IP4_IN_IP4,
	FF_IP6_IN_IP4,
	FF_IP4_IN_IP6,
	FF_GRE_IP4,
	FF_GRE_ETHERNET,
	FF_N_SHAPES,
};

extern const struct ff_shape ff_shapes[FF_N_SHAPES];

/** ff_swapped() - the other direction of the same flow */
struct ff_talk ff_swapped(struct ff_talk t);

/** ff_append() - @len zero bytes at the end of the frame. Asserts that there is room. */
uint8_t *ff_append(struct ff_frame *f, size_t len);

/* One header each. Checksums stay 0. */
void ff_add_ethernet(struct ff_frame *f, struct ff_talk t, uint16_t type);
void ff_add_vlan(struct ff_frame *f, uint16_t vid, uint16_t next_type);
void ff_add_ip6(struct ff_frame *f, struct ff_talk t, uint8_t proto, uint16_t payload_len);
void ff_add_tcp(struct ff_frame *f, struct ff_talk t);

/** ff_add_ip4() - @fragment: the field of flags and offset */
void ff_add_ip4(struct ff_frame *f, struct ff_talk t, uint8_t proto, uint16_t payload_len,
	uint16_t fragment);

/** ff_add_ip6_extension() - @len: whole header; a multiple of 8, of 4 for AH. Return: its start. */
uint8_t *ff_add_ip6_extension(struct ff_frame *f, uint8_t proto, uint8_t next, uint8_t len);

#endif /* TEST_NM_LB_FLOW_FRAMES_H_ */
