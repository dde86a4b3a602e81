/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The flow hash: what belongs to one flow gets one value, flows spread over rings, and a frame cut short at any byte
 * is not read beyond its end (each lies at the end of an allocation of its own, for the address sanitizer).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "traffic.h"
#include "vale/flow_hash.h"

#define MAX_LEN 128u

enum l3 { RAW, IPV4, IPV6 };

struct flow {
	enum l3 l3;
	unsigned int vlans;
	uint8_t proto;
	uint16_t sport, dport;
	uint8_t src, dst;     /* last byte of the addresses */
	uint16_t fragment;    /* IPv4: flags and offset */
	unsigned int options; /* IPv4: words of them */
	uint8_t payload;
};

/* Build the frame of @f at @p. Return: its length. */
static uint32_t
build(uint8_t *p, const struct flow *f)
{
	uint32_t at = 12, ip, i;

	memset(p, 0, MAX_LEN);
	p[5] = f->dst;
	p[11] = f->src;
	for (i = 0; i < f->vlans; i++) {
		p[at] = i == 0 && f->vlans == 2 ? 0x88 : 0x81;
		p[at + 1] = i == 0 && f->vlans == 2 ? 0xa8 : 0;
		p[at + 3] = 7;
		at += 4;
	}
	p[at] = f->l3 == IPV4 ? 0x08 : f->l3 == IPV6 ? 0x86 : 0x88;
	p[at + 1] = f->l3 == IPV4 ? 0x00 : f->l3 == IPV6 ? 0xdd : 0xb5;
	ip = at + 2;
	if (f->l3 == IPV4) {
		p[ip] = (uint8_t)(0x45 + f->options);
		p[ip + 6] = (uint8_t)(f->fragment >> 8);
		p[ip + 7] = (uint8_t)f->fragment;
		p[ip + 9] = f->proto;
		p[ip + 15] = f->src;
		p[ip + 19] = f->dst;
		at = ip + 20 + 4 * f->options;
	} else if (f->l3 == IPV6) {
		p[ip] = 0x60;
		p[ip + 6] = f->proto;
		p[ip + 23] = f->src;
		p[ip + 39] = f->dst;
		at = ip + 40;
	} else {
		at = ip;
	}
	p[at] = (uint8_t)(f->sport >> 8);
	p[at + 1] = (uint8_t)f->sport;
	p[at + 2] = (uint8_t)(f->dport >> 8);
	p[at + 3] = (uint8_t)f->dport;
	memset(p + at + 4, f->payload, 20);
	return at + 24;
}

static uint64_t
hash(struct flow f)
{
	uint8_t frame[MAX_LEN];
	const uint32_t len = build(frame, &f);

	return unm_flow_hash(frame, len);
}

static const struct flow bases[] = {
	{.l3 = IPV4, .proto = 6, .sport = 1000, .dport = 80, .src = 1, .dst = 2},
	{.l3 = IPV4, .proto = 17, .sport = 1000, .dport = 80, .src = 1, .dst = 2, .options = 10},
	{.l3 = IPV4, .proto = 132, .sport = 1000, .dport = 80, .src = 1, .dst = 2, .vlans = 1},
	{.l3 = IPV6, .proto = 6, .sport = 1000, .dport = 80, .src = 1, .dst = 2},
	{.l3 = IPV6, .proto = 17, .sport = 1000, .dport = 80, .src = 1, .dst = 2, .vlans = 2},
};

#define N_BASES (sizeof(bases) / sizeof(bases[0]))

static void
same_flow(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < N_BASES; i++) {
		struct flow f = bases[i];

		f.payload = 0xee;
		assert_true(hash(f) == hash(bases[i]));
	}
}

static void
other_flow(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < N_BASES; i++) {
		struct flow f;

		f = bases[i];
		f.sport++;
		assert_true(hash(f) != hash(bases[i]));
		f = bases[i];
		f.dport++;
		assert_true(hash(f) != hash(bases[i]));
		f = bases[i];
		f.src++;
		assert_true(hash(f) != hash(bases[i]));
		f = bases[i];
		f.dst++;
		assert_true(hash(f) != hash(bases[i]));
	}
}

/* All fragments of a datagram go one way, the first included, which alone has ports; so do protocols without ports. */
static void
no_ports(void **state)
{
	static const struct {
		uint8_t proto;
		uint16_t fragment;
	} cases[] = {{17, 0x2000}, {17, 0x2010}, {17, 0x0001}, {17, 0x1fff}, {1, 0}, {50, 0}};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flow f = {.l3 = IPV4, .src = 1, .dst = 2, .sport = 1, .dport = 2}, g;

		f.proto = cases[i].proto;
		f.fragment = cases[i].fragment;
		g = f;
		g.sport = 77;
		assert_true(hash(f) == hash(g));
		g = f;
		g.fragment = 0x2100;
		assert_true(cases[i].fragment == 0 || hash(f) == hash(g));
	}
	assert_true(hash((struct flow){.l3 = IPV4, .proto = 17, .sport = 5, .fragment = 0x4000}) !=
		    hash((struct flow){.l3 = IPV4, .proto = 17, .sport = 6, .fragment = 0x4000}));
	assert_true(hash((struct flow){.l3 = RAW, .src = 1, .sport = 5}) ==
		    hash((struct flow){.l3 = RAW, .src = 1, .sport = 6}));
	assert_true(hash((struct flow){.l3 = RAW, .src = 1}) !=
		    hash((struct flow){.l3 = RAW, .src = 2}));
}

static void
cut_short(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < N_BASES; i++) {
		uint8_t whole[MAX_LEN];
		const uint32_t full = build(whole, &bases[i]);
		uint32_t len;

		for (len = 14; len <= full; len++) {
			uint8_t *frame = malloc(len);
			uint64_t h;

			assert_non_null(frame);
			memcpy(frame, whole, len);
			h = unm_flow_hash(frame, len);
			assert_true(h == unm_flow_hash(frame, len));
			assert_true(len < full || h == hash(bases[i]));
			free(frame);
		}
	}
}

/* A header that lies about its length is not followed out of the frame either. */
static void
lying_header(void **state)
{
	unsigned int ihl;

	(void)state;
	for (ihl = 0; ihl < 16; ihl++) {
		uint8_t *frame = malloc(34), whole[MAX_LEN];

		assert_non_null(frame);
		build(whole, &bases[0]);
		memcpy(frame, whole, 34);
		frame[14] = (uint8_t)(0x40 | ihl);
		assert_true(unm_flow_hash(frame, 34) == unm_flow_hash(frame, 34));
		free(frame);
	}
}

/* 64 rings, chosen as deliver_fp.c does: none gets less than half or more than twice its share. */
static void
spread(void **state)
{
	unsigned int load[64] = {0}, i;

	(void)state;
	for (i = 0; i < 64 * 200; i++) {
		struct flow f = bases[i & 1 ? 0 : 3];

		f.sport = (uint16_t)(1024 + i / 2);
		load[(hash(f) >> 32) * 64 >> 32]++;
	}
	for (i = 0; i < 64; i++)
		assert_in_range(load[i], 100, 400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_flow),
		cmocka_unit_test(other_flow),
		cmocka_unit_test(no_ports),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(lying_header),
		cmocka_unit_test(spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
