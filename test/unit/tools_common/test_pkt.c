/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: checksums match RFC 1071's rules against a plain model and against a frame whose sums
 * were worked out by hand; frames carry the right fields; address texts and ranges parse strictly
 * and step like an odometer.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nmt_pkt.h"

#define N_ELEMS(a) (sizeof(a) / sizeof((a)[0]))

/* Ones' complement sum one word at a time, folding after each: slow and obvious. */
static uint16_t
model_csum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

static void
test_csum(void **state)
{
	/* The example of RFC 1071, section 3: sum ddf2. */
	static const uint8_t rfc[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	static uint8_t data[65536];

	(void)state;
	assert_int_equal(nmt_csum_finish(nmt_csum_add(0, rfc, sizeof(rfc))), (uint16_t)~0xddf2);
	srandom(1);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random();
	for (size_t len = 0; len < 300; len++)
		assert_int_equal(
			nmt_csum_finish(nmt_csum_add(0, data, len)), model_csum(data, len));
	/* In pieces of even length, and the longest one with all bits set. */
	assert_int_equal(nmt_csum_finish(nmt_csum_add(nmt_csum_add(0, data, 128), data + 128, 99)),
		model_csum(data, 227));
	memset(data, 0xff, sizeof(data));
	assert_int_equal(nmt_csum_finish(nmt_csum_add(0xffff, data, sizeof(data))), 0);
}

static struct nmt_udp_flow
make_flow(const char *src, const char *dst, bool is_v6)
{
	struct nmt_udp_flow flow = {.src_port = 1234, .dst_port = 5678};

	assert_int_equal(nmt_parse_mac("ff:ff:ff:ff:ff:ff", flow.dst_mac, NULL), 0);
	assert_int_equal(nmt_parse_mac("2:0:0:0:0:1", flow.src_mac, NULL), 0);
	assert_int_equal(nmt_parse_ip(src, is_v6, &flow.src_ip, NULL), 0);
	assert_int_equal(nmt_parse_ip(dst, is_v6, &flow.dst_ip, NULL), 0);
	return flow;
}

/* The receiver's test: with the checksum in place everything adds up to ffff. */
static void
check_udp_sum(const uint8_t *frame, size_t len, bool is_v6)
{
	size_t addr_off = NMT_ETH_HDR_LEN + (is_v6 ? 8u : 12u);
	size_t udp_off = nmt_udp_hdr_off(is_v6);
	uint8_t model[65600];
	size_t n = is_v6 ? 32 : 8;

	memcpy(model, frame + addr_off, n);
	nmt_put32(model + n, (uint32_t)(len - udp_off));
	nmt_put32(model + n + 4, NMT_IPPROTO_UDP);
	memcpy(model + n + 8, frame + udp_off, len - udp_off);
	assert_int_equal(model_csum(model, n + 8 + len - udp_off), 0);
}

static void
test_build_v4(void **state)
{
	static const uint8_t expected_head[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,
		1, 0x08, 0x00, 0x45, 0x00, 0x00, 46, 0, 0, 0, 0, 64, 17,
		/* csum: 4500 + 002e + 4011 + 0a00 + 0001 + 0a01 + 0001 = 9942; ~ = 66bd */
		0x66, 0xbd, 10, 0, 0, 1, 10, 1, 0, 1, 1234 >> 8, 1234 & 0xff, 5678 >> 8,
		5678 & 0xff, 0, 26};
	struct nmt_udp_flow flow = make_flow("10.0.0.1", "10.1.0.1", false);
	uint8_t frame[1514];

	(void)state;
	memset(frame, 'x', sizeof(frame));
	assert_int_equal(nmt_pkt_build_udp(frame, 60, &flow), 0);
	assert_memory_equal(frame, expected_head, sizeof(expected_head));
	assert_int_equal(frame[60], 'x');
	for (size_t len = 42; len <= sizeof(frame); len += 7) {
		assert_int_equal(nmt_pkt_build_udp(frame, len, &flow), 0);
		check_udp_sum(frame, len, false);
		assert_int_equal(model_csum(frame + 14, 20), 0);
		assert_int_equal(nmt_get16(frame + 16), len - 14);
	}
	assert_int_equal(nmt_pkt_build_udp(frame, 41, &flow), -EMSGSIZE);
	flow.dst_ip.is_v6 = true;
	assert_int_equal(nmt_pkt_build_udp(frame, 60, &flow), -EINVAL);
}

static void
test_build_v6(void **state)
{
	struct nmt_udp_flow flow = make_flow("fc00::1", "fc00::2:3", true);
	static uint8_t frame[NMT_ETH_HDR_LEN + 65535];

	(void)state;
	memset(frame, 0xa5, sizeof(frame));
	for (size_t len = 62; len <= 1514; len += 11) {
		assert_int_equal(nmt_pkt_build_udp(frame, len, &flow), 0);
		assert_int_equal(nmt_get16(frame + 12), 0x86dd);
		assert_int_equal(frame[14], 0x60);
		assert_int_equal(nmt_get16(frame + 18), len - 54);
		assert_int_equal(frame[20], 17);
		check_udp_sum(frame, len, true);
	}
	assert_int_equal(nmt_pkt_build_udp(frame, sizeof(frame), &flow), 0);
	check_udp_sum(frame, sizeof(frame), true);
	assert_int_equal(nmt_pkt_build_udp(frame, sizeof(frame) + 1, &flow), -EMSGSIZE);
	assert_int_equal(nmt_pkt_build_udp(frame, 61, &flow), -EMSGSIZE);
}

/* A sum that comes out as 0 has to travel as ffff: find such a payload. */
static void
test_udp_csum_zero(void **state)
{
	struct nmt_udp_flow flow = make_flow("10.0.0.1", "10.1.0.1", false);
	uint8_t frame[44] = {0};

	(void)state;
	assert_int_equal(nmt_pkt_build_udp(frame, sizeof(frame), &flow), 0);
	/* The payload word that supplies exactly what the checksum had to supply. */
	memcpy(frame + 42, frame + 40, 2);
	assert_int_equal(nmt_udp_csum(frame, sizeof(frame), false), 0xffff);
}

static void
test_parse_mac(void **state)
{
	static const uint8_t expected[] = {0, 0x1b, 0x21, 0xd5, 0x6f, 0xec};
	static const char *const bad[] = {"", "0:1:2:3:4", "0:1:2:3:4:5:6",
		"0:1:2:3:4:", "g:1:2:3:4:5", "000:1:2:3:4:5", " 0:1:2:3:4:5", "0:1:2:3:4:5 ",
		"0-1-2-3-4-5"};
	char text[NMT_MAC_TEXT_SIZE];
	uint8_t mac[6] = {9, 9, 9, 9, 9, 9};

	(void)state;
	for (size_t i = 0; i < N_ELEMS(bad); i++) {
		struct nmt_err err;

		assert_int_equal(nmt_parse_mac(bad[i], mac, &err), -EINVAL);
		assert_non_null(strstr(err.text, "is not a MAC address"));
		assert_int_equal(mac[0], 9);
	}
	assert_int_equal(nmt_parse_mac("0:1b:21:D5:6f:ec", mac, NULL), 0);
	assert_memory_equal(mac, expected, 6);
	assert_string_equal(nmt_format_mac(text, mac), "00:1b:21:d5:6f:ec");
}

static void
test_parse_station_mac(void **state)
{
	static const char *const bad[] = {
		"0:1:2", "1:0:0:0:0:1", "ff:ff:ff:ff:ff:ff", "0:0:0:0:0:0"};
	static const char *const why[] = {
		"is not a MAC address", "a group's", "a group's", "no station's"};
	uint8_t mac[6] = {9, 9, 9, 9, 9, 9};

	(void)state;
	for (size_t i = 0; i < N_ELEMS(bad); i++) {
		struct nmt_err err;

		assert_int_equal(nmt_parse_station_mac(bad[i], mac, &err), -EINVAL);
		assert_non_null(strstr(err.text, why[i]));
		assert_int_equal(mac[0], 9);
	}
	assert_int_equal(nmt_parse_station_mac("0:0:0:0:0:1", mac, NULL), 0);
	assert_int_equal(mac[5], 1);
}

static void
test_mac_range(void **state)
{
	struct nmt_mac_range range;
	uint8_t mac[6];
	int n = 0;

	(void)state;
	assert_int_equal(nmt_parse_mac_range("2:0:0:0:0:fe-2:0:0:0:1:1", &range, NULL), 0);
	memcpy(mac, range.first, 6);
	do
		n++;
	while (!nmt_mac_next(mac, &range) && n < 100);
	assert_int_equal(n, 4); /* fe, ff, 1:0, 1:1 */
	assert_memory_equal(mac, range.first, 6);

	assert_int_equal(nmt_parse_mac_range("2:0:0:0:0:1", &range, NULL), 0);
	assert_memory_equal(range.first, range.last, 6);
	assert_int_equal(nmt_parse_mac_range("2:0:0:0:0:2-2:0:0:0:0:1", &range, NULL), -ERANGE);
	assert_int_equal(nmt_parse_mac_range("2:0:0:0:0:2-", &range, NULL), -EINVAL);
	assert_int_equal(nmt_parse_mac_range("-2:0:0:0:0:2", &range, NULL), -EINVAL);
}

static void
test_ip_range(void **state)
{
	static const struct {
		const char *text;
		bool is_v6;
		int error;
		const char *first, *last;
		uint16_t port_first, port_last;
	} cases[] = {
		{"1.2.3.4", false, 0, "1.2.3.4", "1.2.3.4", 1234, 1234},
		{"1.2.3.4:80", false, 0, "1.2.3.4", "1.2.3.4", 80, 80},
		{"1.2.3.4:80-1.2.3.9", false, 0, "1.2.3.4", "1.2.3.9", 80, 80},
		{"1.2.3.4:80-1.2.3.9:99", false, 0, "1.2.3.4", "1.2.3.9", 80, 99},
		{"1.2.3.4-1.2.3.4:2000", false, 0, "1.2.3.4", "1.2.3.4", 1234, 2000},
		{"1.2.3.4:65535", false, 0, "1.2.3.4", "1.2.3.4", 65535, 65535},
		{"fc00::1", true, 0, "fc00::1", "fc00::1", 1234, 1234},
		{"[fc00::1]:7", true, 0, "fc00::1", "fc00::1", 7, 7},
		{"[fc00::1]:7-[fc00::ff]:9", true, 0, "fc00::1", "fc00::ff", 7, 9},
		{"fc00::1-fc00::2", true, 0, "fc00::1", "fc00::2", 1234, 1234},
		{"1.2.3.4:65536", false, -ERANGE, NULL, NULL, 0, 0},
		{"1.2.3.4:", false, -EINVAL, NULL, NULL, 0, 0},
		{"1.2.3", false, -EINVAL, NULL, NULL, 0, 0},
		{"1.2.3.4.5", false, -EINVAL, NULL, NULL, 0, 0},
		{"fc00::1", false, -EINVAL, NULL, NULL, 0, 0},
		{"1.2.3.4", true, -EINVAL, NULL, NULL, 0, 0},
		{"[fc00::1", true, -EINVAL, NULL, NULL, 0, 0},
		{"[fc00::1]7", true, -EINVAL, NULL, NULL, 0, 0},
		{"1.2.3.4-", false, -EINVAL, NULL, NULL, 0, 0},
		{"1.2.3.4-1.2.3.3", false, -ERANGE, NULL, NULL, 0, 0},
		{"1.2.3.4:9-1.2.3.4:8", false, -ERANGE, NULL, NULL, 0, 0},
		{"", false, -EINVAL, NULL, NULL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMS(cases); i++) {
		struct nmt_ip_range range = {.port_first = 1234, .port_last = 1234};
		char text[NMT_IP_TEXT_SIZE];
		struct nmt_err err;

		range.first.is_v6 = range.last.is_v6 = cases[i].is_v6;
		if (nmt_parse_ip_range(cases[i].text, &range, &err) != cases[i].error)
			fail_msg("'%s': not the expected result", cases[i].text);
		if (cases[i].error != 0) {
			assert_int_equal(range.port_first, 1234);
			continue;
		}
		assert_string_equal(nmt_format_ip(text, &range.first), cases[i].first);
		assert_string_equal(nmt_format_ip(text, &range.last), cases[i].last);
		assert_int_equal(range.port_first, cases[i].port_first);
		assert_int_equal(range.port_last, cases[i].port_last);
	}
}

static void
test_ip_next(void **state)
{
	struct nmt_ip_range range = {0};
	struct nmt_ip ip;
	char text[NMT_IP_TEXT_SIZE];
	int n = 0;

	(void)state;
	assert_int_equal(nmt_parse_ip_range("10.0.0.254-10.0.1.2", &range, NULL), 0);
	ip = range.first;
	do {
		n++;
		if (n == 3)
			assert_string_equal(nmt_format_ip(text, &ip), "10.0.1.0");
	} while (!nmt_ip_next(&ip, &range) && n < 100);
	assert_int_equal(n, 5);
	assert_memory_equal(&ip, &range.first, sizeof(ip));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csum),
		cmocka_unit_test(test_build_v4),
		cmocka_unit_test(test_build_v6),
		cmocka_unit_test(test_udp_csum_zero),
		cmocka_unit_test(test_parse_mac),
		cmocka_unit_test(test_parse_station_mac),
		cmocka_unit_test(test_mac_range),
		cmocka_unit_test(test_ip_range),
		cmocka_unit_test(test_ip_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
