/* SPDX-License-Identifier: BSD-2-Clause */
/* Making capture files for tests: see capture_build.h. */
#include "capture_build.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATTERN_SIZE (1u << 18)

struct cb_file *
cb_new(bool big_endian)
{
	struct cb_file *f = malloc(sizeof(*f));

	if (f == NULL)
		abort();
	f->big_endian = big_endian;
	f->len = 0;
	return f;
}

void
cb_bytes(struct cb_file *f, const void *data, size_t len)
{
	if (len > CB_SIZE - f->len)
		abort();
	memcpy(f->bytes + f->len, data, len);
	f->len += len;
}

/* The @n low bytes of a number, in the file's order. */
static void
put_number(struct cb_file *f, uint64_t val, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned shift = 8 * (f->big_endian ? n - 1 - i : i);
		uint8_t byte = (uint8_t)(val >> shift);

		cb_bytes(f, &byte, 1);
	}
}

void
cb_u16(struct cb_file *f, uint16_t val)
{
	put_number(f, val, 2);
}

void
cb_u32(struct cb_file *f, uint32_t val)
{
	put_number(f, val, 4);
}

void
cb_u64(struct cb_file *f, uint64_t val)
{
	put_number(f, val, 8);
}

void
cb_poke32(struct cb_file *f, size_t off, uint32_t val)
{
	size_t len = f->len;

	if (off + 4 > len)
		abort();
	f->len = off;
	cb_u32(f, val);
	f->len = len;
}

const uint8_t *
cb_pattern(unsigned seed, size_t len)
{
	static uint8_t pattern[PATTERN_SIZE];

	if (len > sizeof(pattern))
		abort();
	for (size_t i = 0; i < len; i++)
		pattern[i] = (uint8_t)(seed * 31 + i);
	return pattern;
}

/* A packet as the file holds it. */
static void
put_packet(struct cb_file *f, unsigned seed, uint32_t len)
{
	cb_bytes(f, cb_pattern(seed, len), len);
}

void
cb_pcap_header(struct cb_file *f, uint32_t magic, uint32_t linktype)
{
	cb_u32(f, magic);
	cb_u16(f, 2);
	cb_u16(f, 4);
	cb_u64(f, 0);
	cb_u32(f, 65535);
	cb_u32(f, linktype);
}

void
cb_pcap_packet(struct cb_file *f, uint32_t sec, uint32_t frac, unsigned seed, uint32_t caplen,
	uint32_t len)
{
	cb_u32(f, sec);
	cb_u32(f, frac);
	cb_u32(f, caplen);
	cb_u32(f, len);
	put_packet(f, seed, caplen);
}

/* Open a block; the length comes with end_block(). */
static size_t
begin_block(struct cb_file *f, uint32_t type)
{
	size_t start = f->len;

	cb_u32(f, type);
	cb_u32(f, 0);
	return start;
}

static void
end_block(struct cb_file *f, size_t start)
{
	uint32_t total_len;

	while (f->len % 4 != 0)
		cb_bytes(f, "", 1);
	total_len = (uint32_t)(f->len - start) + 4;
	cb_poke32(f, start + 4, total_len);
	cb_u32(f, total_len);
}

void
cb_block(struct cb_file *f, uint32_t type, const void *body, size_t len)
{
	size_t start = begin_block(f, type);

	cb_bytes(f, body, len);
	end_block(f, start);
}

void
cb_section(struct cb_file *f)
{
	size_t start = begin_block(f, 0x0a0d0d0a);

	cb_u32(f, 0x1a2b3c4d);
	cb_u16(f, 1);
	cb_u16(f, 0);
	cb_u64(f, UINT64_MAX);
	end_block(f, start);
}

void
cb_interface(struct cb_file *f, const struct cb_if *ifc)
{
	static const char comment[] = "made for a test";
	size_t start = begin_block(f, 1);

	cb_u16(f, ifc->linktype);
	cb_u16(f, 0);
	cb_u32(f, ifc->snaplen);
	cb_u16(f, 1); /* a comment, which readers skip */
	cb_u16(f, sizeof(comment) - 1);
	cb_bytes(f, comment, sizeof(comment)); /* with one byte of padding */
	if (ifc->tsresol >= 0) {
		cb_u16(f, 9);
		cb_u16(f, 1);
		cb_bytes(f, &(uint8_t){(uint8_t)ifc->tsresol}, 1);
		cb_bytes(f, "\0\0", 3);
	}
	if (ifc->fcslen_bits >= 0) {
		cb_u16(f, 13);
		cb_u16(f, 1);
		cb_bytes(f, &(uint8_t){(uint8_t)ifc->fcslen_bits}, 1);
		cb_bytes(f, "\0\0", 3);
	}
	if (ifc->has_tsoffset) {
		cb_u16(f, 14);
		cb_u16(f, 8);
		cb_u64(f, (uint64_t)ifc->tsoffset_s);
	}
	cb_u32(f, 0); /* end of options */
	end_block(f, start);
}

void
cb_ethernet(struct cb_file *f)
{
	cb_interface(f, &(struct cb_if){.linktype = 1, .tsresol = -1, .fcslen_bits = -1});
}

/* What enhanced and obsolete packet blocks have in common. */
static void
put_packet_body(struct cb_file *f, uint64_t ticks, unsigned seed, uint32_t caplen, uint32_t len)
{
	cb_u32(f, (uint32_t)(ticks >> 32));
	cb_u32(f, (uint32_t)ticks);
	cb_u32(f, caplen);
	cb_u32(f, len);
	put_packet(f, seed, caplen);
}

void
cb_enhanced(struct cb_file *f, uint32_t if_idx, uint64_t ticks, unsigned seed, uint32_t caplen,
	uint32_t len)
{
	size_t start = begin_block(f, 6);

	cb_u32(f, if_idx);
	put_packet_body(f, ticks, seed, caplen, len);
	end_block(f, start);
}

void
cb_obsolete(struct cb_file *f, uint16_t if_idx, uint64_t ticks, unsigned seed, uint32_t caplen,
	uint32_t len)
{
	size_t start = begin_block(f, 2);

	cb_u16(f, if_idx);
	cb_u16(f, 0xffff); /* drops: not known */
	put_packet_body(f, ticks, seed, caplen, len);
	end_block(f, start);
}

void
cb_simple(struct cb_file *f, unsigned seed, uint32_t caplen, uint32_t len)
{
	size_t start = begin_block(f, 3);

	cb_u32(f, len);
	put_packet(f, seed, caplen);
	end_block(f, start);
}

FILE *
cb_stream(struct cb_file *f)
{
	/* fmemopen() refuses a size of 0. */
	FILE *in = f->len > 0 ? fmemopen(f->bytes, f->len, "r") : fopen("/dev/null", "re");

	if (in == NULL)
		abort();
	return in;
}

void
cb_write(const struct cb_file *f, char path[64])
{
	int fd;

	snprintf(path, 64, "/tmp/nmreplay-test-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, f->bytes, f->len) != (ssize_t)f->len || close(fd) != 0)
		abort();
}
