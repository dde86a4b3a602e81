/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: both directions of a flow hash alike and different flows differently, through tags,
 * tunnels and extension headers; fragments stay with their datagram; a packet cut anywhere is
 * never read beyond its end; arbitrary bytes neither crash nor hang; flows spread evenly.
 *
 * Each packet is handed over in memory of exactly its size, so that AddressSanitizer (or valgrind)
 * sees a read too far.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "flow_frames.h"
#include "nmt_pkt.h"
#include "pkt_hash.h"
#include "test_random.h"

/* Hash @len bytes, from memory where nothing follows. */
static enum lb_pkt_kind
hash_bytes(const uint8_t *bytes, size_t len, uint32_t *hash)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);
	enum lb_pkt_kind kind;

	assert_non_null(exact);
	memcpy(exact, bytes, len);
	kind = lb_pkt_hash(exact, (uint32_t)len, hash);
	free(exact);
	return kind;
}

static uint32_t
ip_hash(const struct ff_frame *f)
{
	uint32_t hash;

	assert_int_equal(hash_bytes(f->bytes, f->len, &hash), LB_PKT_IP);
	return hash;
}

static uint32_t
shape_hash(size_t i, struct ff_talk t)
{
	struct ff_frame f = {.len = 0};

	ff_shapes[i].make(&f, t);
	return ip_hash(&f);
}

static void
test_both_directions_alike_other_flows_not(void **state)
{
	const struct ff_talk t = {1, 2, 40000, 80};
	const struct ff_talk others[] = {
		{1, 2, 40001, 80},
		{1, 2, 40000, 81},
		{3, 2, 40000, 80},
		{1, 3, 40000, 80},
		/* The ports the other way round are another connection. */
		{1, 2, 80, 40000},
	};

	(void)state;
	for (size_t i = 0; i < FF_N_SHAPES; i++) {
		uint32_t hash = shape_hash(i, t);

		if (hash != shape_hash(i, ff_swapped(t)))
			fail_msg("%s is not symmetric", ff_shapes[i].name);
		for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
			if (hash == shape_hash(i, others[k]))
				fail_msg("%s: flow %zu is not told apart", ff_shapes[i].name, k);
	}
}

/* A tunnel does not change which flow it is: the same hash as without. */
static void
test_tunnels_are_transparent(void **state)
{
	const struct ff_talk t = {1, 2, 40000, 80};

	(void)state;
	assert_int_equal(shape_hash(FF_QINQ_IP4, t), shape_hash(FF_IP4, t));
	assert_int_equal(shape_hash(FF_VLAN_IP6_EXTENSIONS, t), shape_hash(FF_IP6, t));
	assert_int_equal(shape_hash(FF_IP4_IN_IP4, t), shape_hash(FF_IP4, t));
	assert_int_equal(shape_hash(FF_IP6_IN_IP4, t), shape_hash(FF_IP6, t));
	assert_int_equal(shape_hash(FF_GRE_IP4, t), shape_hash(FF_IP4, t));
	assert_int_equal(shape_hash(FF_GRE_ETHERNET, t), shape_hash(FF_IP4, t));
}

static uint32_t
ip4_fragment_hash(struct ff_talk t, uint16_t fragment)
{
	struct ff_frame f = {.len = 0};

	ff_add_ethernet(&f, t, 0x0800);
	ff_add_ip4(&f, t, FF_PROTO_TCP, 20, fragment);
	ff_add_tcp(&f, t);
	return ip_hash(&f);
}

static uint32_t
ip6_fragment_hash(struct ff_talk t, uint16_t fragment)
{
	struct ff_frame f = {.len = 0};

	ff_add_ethernet(&f, t, 0x86dd);
	ff_add_ip6(&f, t, FF_PROTO_FRAG, 28);
	nmt_put16(ff_add_ip6_extension(&f, FF_PROTO_FRAG, FF_PROTO_TCP, 8) + 2, fragment);
	ff_add_tcp(&f, t);
	return ip_hash(&f);
}

/* What stands where the ports are does not count, in any fragment, the first included. */
static void
test_fragments_stay_together(void **state)
{
	const struct ff_talk t = {1, 2, 40000, 80};
	const struct ff_talk other_bytes = {1, 2, 0x1234, 0x5678};
	const struct ff_talk other_hosts = {1, 3, 40000, 80};

	(void)state;
	assert_int_equal(ip4_fragment_hash(t, 0x2000), ip4_fragment_hash(other_bytes, 0x20b9));
	assert_int_equal(ip4_fragment_hash(t, 0x2000), ip4_fragment_hash(other_bytes, 0x00b9));
	assert_int_equal(ip4_fragment_hash(t, 0x2000), ip4_fragment_hash(ff_swapped(t), 0x00b9));
	assert_int_not_equal(ip4_fragment_hash(t, 0x2000), ip4_fragment_hash(other_hosts, 0x2000));
	assert_int_not_equal(ip4_fragment_hash(t, 0x4000), ip4_fragment_hash(t, 0x2000));
	assert_int_equal(ip6_fragment_hash(t, 0x0001), ip6_fragment_hash(other_bytes, 0x0bb9));
	assert_int_equal(ip6_fragment_hash(t, 0x0001), ip6_fragment_hash(other_bytes, 0x0bb8));
	assert_int_equal(ip6_fragment_hash(t, 0x0001), ip6_fragment_hash(ff_swapped(t), 0x0bb8));
	assert_int_not_equal(ip6_fragment_hash(t, 0x0001), ip6_fragment_hash(other_hosts, 0x0001));
}

static void
test_no_ports_without_them(void **state)
{
	const struct ff_talk t = {1, 2, 40000, 80};
	const struct ff_talk same_hosts = {1, 2, 7, 7};
	struct ff_frame f = {.len = 0}, g = {.len = 0};

	(void)state;
	/* ICMP: what stands where TCP has its ports does not count. */
	ff_add_ethernet(&f, t, 0x0800);
	ff_add_ip4(&f, t, FF_PROTO_ICMP, 20, 0);
	ff_add_tcp(&f, t);
	ff_add_ethernet(&g, t, 0x0800);
	ff_add_ip4(&g, t, FF_PROTO_ICMP, 20, 0);
	ff_add_tcp(&g, same_hosts);
	assert_int_equal(ip_hash(&f), ip_hash(&g));
	/* Nor does Ethernet padding behind a datagram that ends with the IP header. */
	f.len = g.len = 0;
	ff_add_ethernet(&f, t, 0x0800);
	ff_add_ip4(&f, t, FF_PROTO_TCP, 0, 0);
	ff_add_tcp(&f, t);
	ff_add_ethernet(&g, t, 0x0800);
	ff_add_ip4(&g, t, FF_PROTO_TCP, 0, 0);
	ff_add_tcp(&g, same_hosts);
	assert_int_equal(ip_hash(&f), ip_hash(&g));
}

static void
test_ip4_options_and_zero_length(void **state)
{
	const struct ff_talk t = {1, 2, 40000, 80};
	struct ff_frame plain = {.len = 0}, f = {.len = 0};

	(void)state;
	ff_shapes[FF_IP4].make(&plain, t);
	ff_add_ethernet(&f, t, 0x0800);
	ff_add_ip4(&f, t, FF_PROTO_TCP, 28, 0);
	f.bytes[NMT_ETH_HDR_LEN] = 0x47;
	memset(ff_append(&f, 8), 1, 8);
	ff_add_tcp(&f, t);
	assert_int_equal(ip_hash(&f), ip_hash(&plain));
	/* Length 0: for hardware to fill in. */
	nmt_put16(plain.bytes + NMT_ETH_HDR_LEN + 2, 0);
	assert_int_equal(ip_hash(&f), ip_hash(&plain));
}

static void
test_unreadable_tunnels_use_outer_addresses(void **state)
{
	const struct ff_talk t = {1, 2, 40000, 80};
	static const uint16_t gre_flags[] = {
		0x0001, /* version 1, PPTP */
		0x4000, /* routing */
	};
	struct ff_frame outer = {.len = 0};
	uint32_t expected;

	(void)state;
	ff_add_ethernet(&outer, t, 0x0800);
	ff_add_ip4(&outer, t, FF_PROTO_GRE, 0, 0);
	expected = ip_hash(&outer);
	for (size_t i = 0; i < sizeof(gre_flags) / sizeof(gre_flags[0]); i++) {
		struct ff_frame f = {.len = 0};
		uint8_t *p;

		ff_add_ethernet(&f, t, 0x0800);
		ff_add_ip4(&f, t, FF_PROTO_GRE, 44, 0);
		p = ff_append(&f, 4);
		nmt_put16(p, gre_flags[i]);
		nmt_put16(p + 2, 0x0800);
		ff_add_ip4(&f, ff_tunnel, FF_PROTO_TCP, 20, 0);
		ff_add_tcp(&f, ff_tunnel);
		assert_int_equal(ip_hash(&f), expected);
	}
}

static void
assert_other(const struct ff_frame *f)
{
	uint32_t hash = 1;

	assert_int_equal(hash_bytes(f->bytes, f->len, &hash), LB_PKT_OTHER);
	assert_int_equal(hash, 0);
}

static void
test_not_ip(void **state)
{
	const struct ff_talk t = {1, 2, 40000, 80};
	struct ff_frame f = {.len = 0};

	(void)state;
	assert_other(&f); /* empty */
	ff_add_ethernet(&f, t, 0x0806);
	ff_append(&f, 46);
	assert_other(&f);
	/* Ethernet's type says IP, the header does not. */
	f.len = 0;
	ff_shapes[FF_IP4].make(&f, t);
	f.bytes[NMT_ETH_HDR_LEN] = 0x65;
	assert_other(&f);
	f.bytes[NMT_ETH_HDR_LEN] = 0x44; /* header of 16 bytes */
	assert_other(&f);
	f.len = 0;
	ff_shapes[FF_IP6].make(&f, t);
	f.bytes[NMT_ETH_HDR_LEN] = 0x40;
	assert_other(&f);
	/* A bridged frame is one inside of GRE only. */
	f.len = 0;
	ff_add_ethernet(&f, t, 0x6558);
	ff_shapes[FF_IP4].make(&f, t);
	assert_other(&f);
	/* More tags than are looked through. */
	f.len = 0;
	ff_add_ethernet(&f, t, 0x8100);
	for (int i = 0; i < LB_MAX_VLAN_TAGS; i++)
		ff_add_vlan(&f, 1, 0x8100);
	ff_add_vlan(&f, 1, 0x0800);
	ff_add_ip4(&f, t, FF_PROTO_TCP, 20, 0);
	assert_other(&f);
}

/* Every prefix of every shape: read within its length (sanitizers tell), IP as soon as the first IP
 * header is whole. */
static void
test_truncated_anywhere(void **state)
{
	const struct ff_talk t = {1, 2, 40000, 80};

	(void)state;
	for (size_t i = 0; i < FF_N_SHAPES; i++) {
		struct ff_frame f = {.len = 0};

		ff_shapes[i].make(&f, t);
		for (size_t len = 0; len < f.len; len++) {
			uint32_t hash;
			enum lb_pkt_kind kind = hash_bytes(f.bytes, len, &hash);

			if ((kind == LB_PKT_IP) != (len >= ff_shapes[i].outer_len))
				fail_msg("%s cut to %zu bytes is kind %d", ff_shapes[i].name, len,
					kind);
		}
	}
}

/* IP in IP in IP ...: ends, with a hash that does not depend on what is too deep. */
static void
test_nesting_is_bounded(void **state)
{
	const struct ff_talk t = {1, 2, 40000, 80};
	struct ff_frame f = {.len = 0};
	uint32_t hash;

	(void)state;
	ff_add_ethernet(&f, t, 0x0800);
	while (f.len <= FF_FRAME_MAX - NMT_IPV4_HDR_LEN)
		ff_add_ip4(&f, t, FF_PROTO_IPIP,
			(uint16_t)(FF_FRAME_MAX - f.len - NMT_IPV4_HDR_LEN), 0);
	hash = ip_hash(&f);
	f.bytes[f.len - 1] ^= 0xff;
	assert_int_equal(ip_hash(&f), hash);
}

/* Any single byte of any shape set to anything, and pure noise. */
static void
test_arbitrary_bytes(void **state)
{
	const struct ff_talk t = {1, 2, 40000, 80};
	uint32_t rnd = 12345;
	uint32_t hash;

	(void)state;
	for (size_t i = 0; i < FF_N_SHAPES; i++) {
		struct ff_frame f = {.len = 0};

		ff_shapes[i].make(&f, t);
		for (int round = 0; round < 20000; round++) {
			struct ff_frame g = f;

			for (int k = 0; k < 3; k++)
				g.bytes[test_random(&rnd) % g.len] = (uint8_t)test_random(&rnd);
			hash_bytes(g.bytes, test_random(&rnd) % (g.len + 1), &hash);
		}
	}
	for (int round = 0; round < 20000; round++) {
		struct ff_frame g = {.len = test_random(&rnd) % FF_FRAME_MAX};

		for (size_t k = 0; k < g.len; k++)
			g.bytes[k] = (uint8_t)test_random(&rnd);
		if (hash_bytes(g.bytes, g.len, &hash) == LB_PKT_OTHER)
			assert_int_equal(hash, 0);
	}
}

/* Flows of one client to one server that differ in one port only, over various numbers of pipes: no
 * pipe is more than 15 % away from its share (over 4 standard deviations, even with 7 pipes). */
static void
test_flows_spread_evenly(void **state)
{
	static const uint32_t n_pipes[] = {2, 3, 4, 7};
	enum { N_FLOWS = 6000 };

	(void)state;
	for (size_t i = 0; i < sizeof(n_pipes) / sizeof(n_pipes[0]); i++) {
		uint32_t counts[8] = {0};

		for (uint16_t k = 0; k < N_FLOWS; k++) {
			struct ff_talk t = {1, 2, (uint16_t)(30000 + k), 443};
			uint64_t hash = shape_hash(FF_IP4, t);

			counts[hash * n_pipes[i] >> 32]++;
		}
		for (uint32_t p = 0; p < n_pipes[i]; p++) {
			uint32_t share = N_FLOWS / n_pipes[i];

			assert_in_range(
				counts[p], share - share * 15 / 100, share + share * 15 / 100);
		}
	}
}

/* The hash is a promise between runs and machines: a value computed once, kept here. */
static void
test_value_is_stable(void **state)
{
	const struct ff_talk t = {1, 2, 40000, 80};

	(void)state;
	assert_int_equal(shape_hash(FF_IP4, t), 0x09eca434);
	assert_int_equal(shape_hash(FF_IP6, t), 0x895afb18);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_directions_alike_other_flows_not),
		cmocka_unit_test(test_tunnels_are_transparent),
		cmocka_unit_test(test_fragments_stay_together),
		cmocka_unit_test(test_no_ports_without_them),
		cmocka_unit_test(test_ip4_options_and_zero_length),
		cmocka_unit_test(test_unreadable_tunnels_use_outer_addresses),
		cmocka_unit_test(test_not_ip),
		cmocka_unit_test(test_truncated_anywhere),
		cmocka_unit_test(test_nesting_is_bounded),
		cmocka_unit_test(test_arbitrary_bytes),
		cmocka_unit_test(test_flows_spread_evenly),
		cmocka_unit_test(test_value_is_stable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
