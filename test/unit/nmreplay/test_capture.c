/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: the capture reader reads pcap and pcapng in both byte orders with every kind of time and
 * packet block; a file cut at any byte gives exactly the packets before the cut and then says so; a
 * damaged file is refused with the offset of the damage; and, where libpcap can read a file, both
 * read the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_LIBPCAP
#include <pcap/pcap.h>
#endif

#include "capture_build.h"
#include "capture_reader.h"

#define MAGIC_US	  0xa1b2c3d4
#define MAGIC_NS	  0xa1b23c4d

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* What opening and reading a file to its end came to. */
struct outcome {
	int open_error;
	int last;   /* what nmt_capture_next() returned last */
	unsigned n; /* packets */
	struct nmt_err err;
};

static struct outcome
read_all(struct cb_file *f)
{
	struct outcome result = {0};
	struct nmt_capture_packet pkt;
	struct nmt_capture *cap;
	FILE *in = cb_stream(f);

	result.open_error = nmt_capture_open_stream(in, &cap, &result.err);
	if (result.open_error == 0) {
		while ((result.last = nmt_capture_next(cap, &pkt, &result.err)) == 1)
			result.n++;
		/* The end stays the end. */
		assert_int_equal(nmt_capture_next(cap, &pkt, NULL), result.last);
		nmt_capture_close(cap);
	}
	fclose(in);
	return result;
}

static struct nmt_capture *
open_good(FILE *in)
{
	struct nmt_capture *cap;
	struct nmt_err err;

	if (nmt_capture_open_stream(in, &cap, &err) != 0)
		fail_msg("%s", err.text);
	return cap;
}

/* The next packet must exist and have this time and the pattern of @seed. */
static void
expect_packet(struct nmt_capture *cap, int64_t time_ns, unsigned seed, uint32_t caplen,
	uint32_t len, struct nmt_capture_packet *pkt)
{
	struct nmt_err err = {""};

	if (nmt_capture_next(cap, pkt, &err) != 1)
		fail_msg("no packet: %s", err.text);
	assert_int_equal(pkt->time_ns, time_ns);
	assert_int_equal(pkt->caplen, caplen);
	assert_int_equal(pkt->len, len);
	assert_memory_equal(pkt->data, cb_pattern(seed, caplen), caplen);
}

static void
expect_end(struct nmt_capture *cap)
{
	struct nmt_capture_packet pkt;
	struct nmt_err err = {""};

	if (nmt_capture_next(cap, &pkt, &err) != 0)
		fail_msg("not the end: %s", err.text);
}

static void
check_pcap(bool big_endian, bool is_ns)
{
	struct cb_file *f = cb_new(big_endian);
	struct nmt_capture_packet pkt;
	struct nmt_capture *cap;
	FILE *in;

	cb_pcap_header(f, is_ns ? MAGIC_NS : MAGIC_US, 1);
	cb_pcap_packet(f, 1500000000, 123456, 1, 60, 60);
	cb_pcap_packet(f, 4294967295u, 999999, 2, 96, 1514);
	cb_pcap_packet(f, 0, 0, 3, 0, 60);
	in = cb_stream(f);
	cap = open_good(in);
	assert_int_equal(
		nmt_capture_format(cap), is_ns ? NMT_CAPTURE_PCAP_NS : NMT_CAPTURE_PCAP_US);
	expect_packet(cap, is_ns ? 1500000000000123456 : 1500000000123456000, 1, 60, 60, &pkt);
	assert_int_equal(pkt.linktype, 1);
	assert_int_equal(pkt.offset, 24);
	assert_true(pkt.has_time);
	expect_packet(cap, is_ns ? 4294967295000999999 : 4294967295999999000, 2, 96, 1514, &pkt);
	assert_int_equal(pkt.offset, 24 + 16 + 60);
	expect_packet(cap, 0, 3, 0, 60, &pkt);
	expect_end(cap);
	nmt_capture_close(cap);
	fclose(in);
	free(f);
}

static void
test_pcap(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		check_pcap((i & 1) != 0, (i & 2) != 0);
}

/* A packet block of each kind, unknown blocks between them. */
static void
check_pcapng(bool big_endian)
{
	static const uint8_t secret[37] = {1, 2, 3};
	struct cb_file *f = cb_new(big_endian);
	struct nmt_capture_packet pkt;
	struct nmt_capture *cap;
	FILE *in;

	cb_section(f);
	cb_block(f, 4, secret, sizeof(secret)); /* name resolution */
	cb_ethernet(f);
	cb_enhanced(f, 0, 1500000000123456, 1, 61, 61);
	cb_block(f, 0x0bad, secret, sizeof(secret)); /* somebody's own */
	cb_obsolete(f, 0, 1500000000123457, 2, 62, 1514);
	cb_simple(f, 3, 63, 63);
	cb_block(f, 5, "", 0); /* statistics, though shorter than they should be */
	in = cb_stream(f);
	cap = open_good(in);
	assert_int_equal(nmt_capture_format(cap), NMT_CAPTURE_PCAPNG);
	expect_packet(cap, 1500000000123456000, 1, 61, 61, &pkt);
	assert_true(pkt.has_time);
	expect_packet(cap, 1500000000123457000, 2, 62, 1514, &pkt);
	expect_packet(cap, 0, 3, 63, 63, &pkt);
	assert_false(pkt.has_time);
	expect_end(cap);
	nmt_capture_close(cap);
	fclose(in);
	free(f);
}

static void
test_pcapng(void **state)
{
	(void)state;
	check_pcapng(false);
	check_pcapng(true);
}

/* Interfaces that differ in everything; numbers start anew in the second section, which has the
 * other byte order. */
static void
test_pcapng_sections(void **state)
{
	struct cb_file *f = cb_new(false);
	struct nmt_capture_packet pkt;
	struct nmt_capture *cap;
	FILE *in;

	(void)state;
	cb_section(f);
	cb_interface(
		f, &(struct cb_if){.linktype = 1, .snaplen = 96, .tsresol = 9, .fcslen_bits = -1});
	cb_interface(f,
		&(struct cb_if){.linktype = 101, .snaplen = 200, .tsresol = 0, .fcslen_bits = -1});
	cb_enhanced(f, 1, 1500000001, 1, 60, 60);
	cb_enhanced(f, 0, 1500000001000000005, 2, 60, 60);
	cb_simple(f, 3, 96, 500); /* cut at the snapshot length of interface 0 */
	f->big_endian = true;
	cb_section(f);
	cb_ethernet(f);
	cb_enhanced(f, 0, 7, 4, 60, 60);
	in = cb_stream(f);
	cap = open_good(in);
	expect_packet(cap, 1500000001000000000, 1, 60, 60, &pkt);
	assert_int_equal(pkt.linktype, 101);
	assert_int_equal(pkt.if_idx, 1);
	expect_packet(cap, 1500000001000000005, 2, 60, 60, &pkt);
	assert_int_equal(pkt.linktype, 1);
	assert_int_equal(pkt.if_idx, 0);
	expect_packet(cap, 0, 3, 96, 500, &pkt);
	expect_packet(cap, 7000, 4, 60, 60, &pkt);
	assert_int_equal(pkt.if_idx, 0);
	expect_end(cap);
	nmt_capture_close(cap);
	fclose(in);
	free(f);
}

static void
test_times(void **state)
{
	static const struct {
		int tsresol;
		int64_t offset_s;
		uint64_t ticks;
		int64_t time_ns;
		bool is_outside;
	} cases[] = {
		{-1, 0, 1500000000123456, 1500000000123456000, false}, /* default: microseconds */
		{0, 0, 1500000000, 1500000000000000000, false},
		{3, 0, 1500000000123, 1500000000123000000, false},
		{6, 0, 1, 1000, false},
		{9, 0, 1500000000123456789, 1500000000123456789, false},
		{12, 0, 1500000000123456789, 1500000000123456, false}, /* rounded down */
		{12, 0, 1999, 1, false},
		{19, 0, UINT64_MAX, 1844674407, false},
		{28, 0, UINT64_MAX, 1, false},
		{29, 0, UINT64_MAX, 0, false},
		{127, 0, UINT64_MAX, 0, false},
		{0x80 | 0, 0, 1500000000, 1500000000000000000, false},
		{0x80 | 20, 0, UINT64_C(1500000000) << 20 | 1 << 19, 1500000000500000000, false},
		{0x80 | 30, 0, 3, 2, false},
		{0x80 | 32, 0, UINT64_MAX, 4294967295999999999, false},
		{0x80 | 64, 0, UINT64_MAX, 999999999, false},
		{0x80 | 94, 0, UINT64_MAX, 0, false},
		{0x80 | 127, 0, UINT64_MAX, 0, false},
		{9, 1500000000, 5, 1500000000000000005, false},
		{9, -1, 5, -999999995, false},
		{0, -1500000000, UINT64_C(1500000000) + 7, 7000000000, false},
		/* Too large by itself, brought back by the offset. */
		{0, -20000000000, 20000000001, 1000000000, false},
		{0, 0, 9223372036, 9223372036000000000, false},
		{0, 0, 9223372037, 0, true},
		{0, 0, UINT64_MAX, 0, true},
		{0, INT64_MAX, UINT64_MAX, 0, true},
		{6, INT64_MIN, 0, 0, true},
		{9, INT64_MAX, 0, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct cb_file *f = cb_new((i & 1) != 0);
		struct nmt_capture_packet pkt;
		struct nmt_err err = {""};
		struct nmt_capture *cap;
		FILE *in;
		int got;

		cb_section(f);
		cb_interface(f, &(struct cb_if){.linktype = 1,
					.tsresol = cases[i].tsresol,
					.fcslen_bits = -1,
					.has_tsoffset = cases[i].offset_s != 0,
					.tsoffset_s = cases[i].offset_s});
		cb_enhanced(f, 0, cases[i].ticks, 1, 60, 60);
		in = cb_stream(f);
		cap = open_good(in);
		got = nmt_capture_next(cap, &pkt, &err);
		if (cases[i].is_outside) {
			assert_int_equal(got, -EBADMSG);
			assert_non_null(strstr(err.text, "time is outside"));
		} else {
			if (got != 1 || pkt.time_ns != cases[i].time_ns)
				fail_msg("case %zu: got %d, %jd, wanted %jd", i, got,
					(intmax_t)pkt.time_ns, (intmax_t)cases[i].time_ns);
		}
		nmt_capture_close(cap);
		fclose(in);
		free(f);
	}
}

static void
test_fcs(void **state)
{
	static const struct {
		uint32_t caplen, len, fcs_in_data;
	} cases[] = {{64, 64, 4}, {62, 64, 2}, {60, 64, 0}, {40, 64, 0}, {2, 2, 0}, {4, 4, 4}};
	struct nmt_capture_packet pkt;

	(void)state;
	for (size_t i = 0; i < 2 * N_ELEMENTS(cases); i++) {
		size_t c = i / 2;
		struct cb_file *f = cb_new(false);
		struct nmt_capture *cap;
		FILE *in;

		if (i % 2 == 0) {
			/* "FCS length valid", two times 16 bits */
			cb_pcap_header(f, MAGIC_US, 1 | 1u << 26 | 2u << 28);
			cb_pcap_packet(f, 0, 0, 1, cases[c].caplen, cases[c].len);
		} else {
			cb_section(f);
			cb_interface(f,
				&(struct cb_if){.linktype = 1, .tsresol = -1, .fcslen_bits = 32});
			cb_enhanced(f, 0, 0, 1, cases[c].caplen, cases[c].len);
		}
		in = cb_stream(f);
		cap = open_good(in);
		expect_packet(cap, 0, 1, cases[c].caplen, cases[c].len, &pkt);
		assert_int_equal(pkt.linktype, 1);
		assert_int_equal(pkt.fcs_len, cases[c].fcs_in_data);
		nmt_capture_close(cap);
		fclose(in);
		free(f);
	}
}

/*
 * Cut a good file at every byte. @ends are the offsets at which it may end: behind the header, and
 * behind each record; @n_packets how many packets lie before each of them.
 */
static void
cut_everywhere(struct cb_file *f, const size_t *ends, const unsigned *n_packets, size_t n_ends)
{
	const size_t whole = f->len;
	size_t next = 0; /* the first end that is not before the cut */

	for (size_t cut = 0; cut <= whole; cut++) {
		char where[64];
		struct outcome result;

		f->len = cut;
		if (next + 1 < n_ends && cut > ends[next])
			next++;
		result = read_all(f);
		if (cut < ends[0]) {
			assert_int_equal(result.open_error, -ENODATA);
			assert_non_null(strstr(result.err.text, "offset 0"));
			continue;
		}
		assert_int_equal(result.open_error, 0);
		if (cut == ends[next]) {
			assert_int_equal(result.last, 0);
			assert_int_equal(result.n, n_packets[next]);
			continue;
		}
		assert_int_equal(result.last, -ENODATA);
		assert_int_equal(result.n, n_packets[next - 1]);
		snprintf(where, sizeof(where), "offset %zu: the file ends at offset %zu",
			ends[next - 1], cut);
		if (strstr(result.err.text, where) == NULL)
			fail_msg("'%s' does not say '%s'", result.err.text, where);
	}
	f->len = whole;
}

static void
test_cut(void **state)
{
	struct cb_file *f = cb_new(true);
	size_t ends[8];
	unsigned n_packets[8] = {0, 1, 2, 3};

	(void)state;
	cb_pcap_header(f, MAGIC_US, 1);
	ends[0] = f->len;
	for (unsigned i = 1; i <= 3; i++) {
		cb_pcap_packet(f, i, 0, i, 60 + i, 60 + i);
		ends[i] = f->len;
	}
	cut_everywhere(f, ends, n_packets, 4);

	f->len = 0;
	cb_section(f);
	ends[0] = f->len;
	cb_ethernet(f);
	ends[1] = f->len;
	cb_enhanced(f, 0, 1, 1, 61, 61);
	ends[2] = f->len;
	cb_obsolete(f, 0, 2, 2, 62, 62);
	ends[3] = f->len;
	cb_simple(f, 3, 63, 63);
	ends[4] = f->len;
	cb_section(f);
	ends[5] = f->len;
	cb_block(f, 77, "12345", 5);
	ends[6] = f->len;
	cut_everywhere(f, ends, (const unsigned[]){0, 0, 1, 2, 3, 3, 3}, 7);
	free(f);
}

/* One number changed in an otherwise good file. */
static void
test_damage_pcap(void **state)
{
	static const struct {
		size_t off;
		uint32_t val;
		int open_error;
		int last;
		unsigned n;
		const char *says;
	} cases[] = {
		{4, 0x00020004, 0, 0, 2, ""}, /* no damage: 2.4 in big endian */
		{4, 0x00030000, -EPROTONOSUPPORT, 0, 0, "offset 4: pcap version 3.0"},
		{4, 0x00020003, -EPROTONOSUPPORT, 0, 0, "offset 4: pcap version 2.3"},
		{24 + 8, 262145, 0, -EBADMSG, 0, "offset 24: packet header claims 262145"},
		{24 + 8, 0xffffffff, 0, -EBADMSG, 0, "more than a packet can have"},
		{24 + 8, 262144, 0, -ENODATA, 0, "offset 24: the file ends"},
		{100 + 8, 0x80000000, 0, -EBADMSG, 1, "offset 100:"},
		{100 + 12, 10, 0, 0, 2, ""}, /* on the wire shorter than captured: padding */
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct cb_file *f = cb_new(true);
		struct outcome result;

		cb_pcap_header(f, MAGIC_US, 1);
		cb_pcap_packet(f, 1, 0, 1, 60, 60);
		cb_pcap_packet(f, 2, 0, 2, 60, 60);
		cb_poke32(f, cases[i].off, cases[i].val);
		result = read_all(f);
		if (result.open_error != cases[i].open_error || result.last != cases[i].last ||
			result.n != cases[i].n || strstr(result.err.text, cases[i].says) == NULL)
			fail_msg("case %zu: open %d, last %d, %u packets, '%s'", i,
				result.open_error, result.last, result.n, result.err.text);
		free(f);
	}
}

/*
 * The file: section header at 0 (28 bytes), interface at 28 (44 bytes, options from 44: comment,
 * end), enhanced packet of 60 bytes at 72 (92 bytes), simple packet of 60 bytes at 164 (76 bytes).
 */
static void
test_damage_pcapng(void **state)
{
	static const struct {
		size_t off;
		uint32_t val;
		int open_error;
		int last;
		unsigned n;
		const char *says;
	} cases[] = {
		{8, 0x1a2b3c4d, 0, 0, 2, ""}, /* no damage */
		{8, 0x12345678, -EBADMSG, 0, 0, "offset 0: section header with byte order mark"},
		{4, 24, -EBADMSG, 0, 0, "offset 0: length 24 is too short"},
		{4, 30, -EBADMSG, 0, 0, "length 30 of a section header block is not a multiple"},
		{4, 32, -EBADMSG, 0, 0, "begins with length 32 and ends with length"},
		{24, 32, -EBADMSG, 0, 0, "begins with length 28 and ends with length 32"},
		{12, 0x00020000, -EPROTONOSUPPORT, 0, 0, "pcapng version 2.0"},
		{12, 0x00010001, -EPROTONOSUPPORT, 0, 0, "pcapng version 1.1"},
		{12, 0x00010002, 0, 0, 2, ""},
		{28 + 4, 16, 0, -EBADMSG, 0, "offset 28: length 16 is too short for an interface"},
		{28 + 4, 0, 0, -EBADMSG, 0, "offset 28: length 0"},
		{28 + 16, 0x00010040, 0, -EBADMSG, 0, "option 1 of 64 bytes leads past the end"},
		{28 + 16, 0x00090010, 0, -EBADMSG, 0,
			"offset 28: interface option 9 has length 16"},
		{28 + 16, 0x000d0010, 0, -EBADMSG, 0, "interface option 13 has length 16, not 1"},
		{28 + 16, 0x000e0010, 0, -EBADMSG, 0, "interface option 14 has length 16, not 8"},
		{28 + 40, 48, 0, -EBADMSG, 0, "begins with length 44 and ends with length 48"},
		{72 + 4, 88, 0, -EBADMSG, 0,
			"offset 72: a packet block claims 60 captured bytes and "
			"has room for 56"},
		{72 + 4, 93, 0, -EBADMSG, 0, "length 93 of a packet block is not a multiple of 4"},
		{72 + 4, 12, 0, -EBADMSG, 0, "length 12 is too short for a packet block"},
		{72 + 4, 0xfffffffc, 0, -ENODATA, 0, "offset 72: the file ends at offset 240"},
		{72 + 8, 1, 0, -EBADMSG, 0,
			"packet of interface 1, but the section has described 1"},
		{72 + 20, 61, 0, -EBADMSG, 0, "claims 61 captured bytes and has room for 60"},
		{72 + 20, 0xffffffff, 0, -EBADMSG, 0, "has room for 60"},
		{72 + 88, 0, 0, -EBADMSG, 0, "begins with length 92 and ends with length 0"},
		{164 + 8, 61, 0, -EBADMSG, 1, "offset 164: a simple packet block claims 61"},
		{164 + 4, 72, 0, -EBADMSG, 1, "room for 56"},
		{164, 0x77777777, 0, 0, 1, ""}, /* a type that is not known */
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct cb_file *f = cb_new(true);
		struct outcome result;

		cb_section(f);
		cb_ethernet(f);
		assert_int_equal(f->len, 72);
		cb_enhanced(f, 0, 1, 1, 60, 60);
		cb_simple(f, 2, 60, 60);
		assert_int_equal(f->len, 240);
		cb_poke32(f, cases[i].off, cases[i].val);
		result = read_all(f);
		if (result.open_error != cases[i].open_error || result.last != cases[i].last ||
			result.n != cases[i].n || strstr(result.err.text, cases[i].says) == NULL)
			fail_msg("case %zu: open %d, last %d, %u packets, '%s'", i,
				result.open_error, result.last, result.n, result.err.text);
		free(f);
	}
}

/* Packets before any interface; a packet as large as can be, and one larger. */
static void
test_pcapng_limits(void **state)
{
	struct cb_file *f = cb_new(false);
	struct outcome result;

	(void)state;
	cb_section(f);
	cb_simple(f, 1, 60, 60);
	result = read_all(f);
	assert_int_equal(result.last, -EBADMSG);
	assert_non_null(strstr(result.err.text, "packet of interface 0, but the section has "
						"described 0"));

	f->len = 0;
	cb_section(f);
	cb_ethernet(f);
	cb_enhanced(f, 0, 1, 1, 262144, 262144);
	result = read_all(f);
	assert_int_equal(result.last, 0);
	assert_int_equal(result.n, 1);
	cb_poke32(f, 72 + 4, 262144 + 32 + 4); /* one byte more, and its padding */
	cb_poke32(f, 72 + 20, 262145);
	result = read_all(f);
	assert_int_equal(result.last, -EBADMSG);
	assert_non_null(strstr(result.err.text, "more than a packet can have"));
	free(f);
}

/* One interface more than a section may have. */
static void
test_too_many_interfaces(void **state)
{
	static const struct cb_if ifc = {.linktype = 1, .tsresol = -1, .fcslen_bits = -1};
	/* Too large for a cb_file: the blocks repeat, so a pipe can be fed from a temporary file. */
	FILE *in = tmpfile();
	struct cb_file *f = cb_new(false);
	struct nmt_capture_packet pkt;
	struct nmt_capture *cap;
	struct nmt_err err = {""};

	(void)state;
	assert_non_null(in);
	cb_section(f);
	assert_int_equal(fwrite(f->bytes, 1, f->len, in), f->len);
	f->len = 0;
	cb_interface(f, &ifc);
	for (unsigned i = 0; i < NMT_CAPTURE_IF_MAX + 1; i++)
		assert_int_equal(fwrite(f->bytes, 1, f->len, in), f->len);
	rewind(in);
	cap = open_good(in);
	assert_int_equal(nmt_capture_next(cap, &pkt, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "more than 65536 interfaces"));
	nmt_capture_close(cap);
	fclose(in);
	free(f);
}

static void
test_not_a_capture(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int error;
		const char *says;
	} cases[] = {
		{"", 0, -ENODATA, "the file is empty"},
		{"\x1f\x8b\x08\x00rest", 8, -EPROTONOSUPPORT, "gzip"},
		{"\xa1\xb2\xcd\x34rest", 8, -EPROTONOSUPPORT, "'modified' pcap"},
		{"\x34\xcd\xb2\xa1rest", 8, -EPROTONOSUPPORT, "'modified' pcap"},
		{"#!/bin/sh\n", 10, -EPROTONOSUPPORT, "begins with 23 21 2f 62"},
		{"abc", 3, -ENODATA, "in the middle of the file header"},
	};
	struct nmt_capture *cap;
	struct nmt_err err;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct cb_file *f = cb_new(false);
		struct outcome result;

		cb_bytes(f, cases[i].bytes, cases[i].len);
		result = read_all(f);
		assert_int_equal(result.open_error, cases[i].error);
		if (strstr(result.err.text, cases[i].says) == NULL)
			fail_msg("case %zu: '%s'", i, result.err.text);
		free(f);
	}
	assert_int_equal(nmt_capture_open("/no/such/file", &cap, &err), -ENOENT);
	assert_string_equal(err.text, "cannot open: No such file or directory");
	assert_int_equal(nmt_capture_open("/", &cap, &err), -EISDIR);
	assert_string_equal(err.text, "offset 0: cannot read: Is a directory");
}

static void
test_named_file(void **state)
{
	struct cb_file *f = cb_new(false);
	struct nmt_capture_packet pkt;
	struct nmt_capture *cap;
	char path[64];

	(void)state;
	cb_pcap_header(f, MAGIC_NS, 1);
	cb_pcap_packet(f, 1, 2, 9, 1514, 1514);
	cb_write(f, path);
	assert_int_equal(nmt_capture_open(path, &cap, NULL), 0);
	expect_packet(cap, 1000000002, 9, 1514, 1514, &pkt);
	expect_end(cap);
	nmt_capture_close(cap);
	nmt_capture_close(NULL);
	unlink(path);
	free(f);
}

#ifdef HAVE_LIBPCAP
/* Both readers go through a file side by side. */
static void
compare_with_libpcap(struct cb_file *f)
{
	char errbuf[PCAP_ERRBUF_SIZE];
	FILE *in = cb_stream(f);
	FILE *pcap_in = cb_stream(f);
	struct nmt_capture *cap = open_good(in);
	pcap_t *pcap = pcap_fopen_offline_with_tstamp_precision(
		pcap_in, PCAP_TSTAMP_PRECISION_NANO, errbuf);
	struct nmt_capture_packet pkt;
	struct pcap_pkthdr *header;
	const u_char *data;

	if (pcap == NULL)
		fail_msg("libpcap: %s", errbuf);
	while (pcap_next_ex(pcap, &header, &data) == 1) {
		assert_int_equal(nmt_capture_next(cap, &pkt, NULL), 1);
		assert_int_equal(
			pkt.time_ns, (int64_t)header->ts.tv_sec * 1000000000 + header->ts.tv_usec);
		assert_int_equal(pkt.caplen, header->caplen);
		assert_int_equal(pkt.len, header->len);
		assert_memory_equal(pkt.data, data, header->caplen);
	}
	expect_end(cap);
	pcap_close(pcap); /* closes pcap_in */
	nmt_capture_close(cap);
	fclose(in);
}

static void
test_libpcap(void **state)
{
	static const int resolutions[] = {-1, 0, 3, 6, 9, 0x80 | 10, 0x80 | 20, 0x80 | 30};
	struct cb_file *f = cb_new(false);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		f->big_endian = (i & 1) != 0;
		f->len = 0;
		cb_pcap_header(f, (i & 2) != 0 ? MAGIC_NS : MAGIC_US, 1);
		for (unsigned n = 0; n < 100; n++)
			cb_pcap_packet(f, 1500000000 + n, n * 9999, n, 14 + n, 14 + n * 2);
		compare_with_libpcap(f);
	}
	for (size_t i = 0; i < 2 * N_ELEMENTS(resolutions); i++) {
		f->big_endian = (i & 1) != 0;
		f->len = 0;
		cb_section(f);
		cb_interface(f, &(struct cb_if){.linktype = 1,
					.tsresol = resolutions[i / 2],
					.fcslen_bits = -1,
					.has_tsoffset = (i & 2) != 0,
					.tsoffset_s = 86400});
		for (unsigned n = 0; n < 100; n++) {
			/* Seconds whatever the unit is, few enough for 32 bits. */
			cb_enhanced(f, 0, 12345 + n * 77777777, n, 14 + n, 14 + n * 2);
			cb_obsolete(f, 0, 54321 + n, n, 60, 60);
		}
		compare_with_libpcap(f);
	}
	free(f);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pcap),
		cmocka_unit_test(test_pcapng),
		cmocka_unit_test(test_pcapng_sections),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_fcs),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damage_pcap),
		cmocka_unit_test(test_damage_pcapng),
		cmocka_unit_test(test_pcapng_limits),
		cmocka_unit_test(test_too_many_interfaces),
		cmocka_unit_test(test_not_a_capture),
		cmocka_unit_test(test_named_file),
#ifdef HAVE_LIBPCAP
		cmocka_unit_test(test_libpcap),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
