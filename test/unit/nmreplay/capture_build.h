/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making capture files for tests: pcap and pcapng in memory, in either byte order, right and wrong.
 *
 * A file is a growing array of bytes. The functions append what their name says; a test that wants
 * a broken file changes bytes afterwards (cb_poke32()) or cuts it (len). Out of memory and a file
 * over CB_SIZE abort the test.
 */
#ifndef CAPTURE_BUILD_H_
#define CAPTURE_BUILD_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CB_SIZE (1u << 20)

struct cb_file {
	bool big_endian; /* of everything appended from now on */
	size_t len;
	uint8_t bytes[CB_SIZE];
};

/** cb_new() - an empty file; freed with free() */
struct cb_file *cb_new(bool big_endian);

/** cb_u16(), cb_u32(), cb_u64(), cb_bytes() - append raw fields */
void cb_u16(struct cb_file *f, uint16_t val);
void cb_u32(struct cb_file *f, uint32_t val);
void cb_u64(struct cb_file *f, uint64_t val);
void cb_bytes(struct cb_file *f, const void *data, size_t len);

/** cb_poke32() - overwrite four bytes at @off, in the file's byte order */
void cb_poke32(struct cb_file *f, size_t off, uint32_t val);

/** cb_pattern() - @len bytes that differ from packet to packet: byte i is (seed * 31 + i) mod 256 */
const uint8_t *cb_pattern(unsigned seed, size_t len);

/** cb_pcap_header() - file header with @magic and the whole link type field */
void cb_pcap_header(struct cb_file *f, uint32_t magic, uint32_t linktype);

/** cb_pcap_packet() - a record of pattern @seed; @len on the wire, @caplen captured */
void cb_pcap_packet(struct cb_file *f, uint32_t sec, uint32_t frac, unsigned seed, uint32_t caplen,
	uint32_t len);

/** cb_section() - section header block; marks its byte order as @f->big_endian */
void cb_section(struct cb_file *f);

/* Options of an interface; a negative value leaves the option out. */
struct cb_if {
	uint16_t linktype;
	uint32_t snaplen;
	int tsresol;
	int fcslen_bits;
	bool has_tsoffset;
	int64_t tsoffset_s;
};

/** cb_interface() - interface description block */
void cb_interface(struct cb_file *f, const struct cb_if *ifc);

/** cb_ethernet() - the interface that most tests want: Ethernet, microseconds, no options */
void cb_ethernet(struct cb_file *f);

/** cb_enhanced(), cb_obsolete(), cb_simple() - packet blocks with pattern @seed */
void cb_enhanced(struct cb_file *f, uint32_t if_idx, uint64_t ticks, unsigned seed, uint32_t caplen,
	uint32_t len);
void cb_obsolete(struct cb_file *f, uint16_t if_idx, uint64_t ticks, unsigned seed, uint32_t caplen,
	uint32_t len);
void cb_simple(struct cb_file *f, unsigned seed, uint32_t caplen, uint32_t len);

/** cb_block() - a block of any type around @len bytes, padded */
void cb_block(struct cb_file *f, uint32_t type, const void *body, size_t len);

/** cb_stream() - the file as a stream to read from; closed by the caller */
FILE *cb_stream(struct cb_file *f);

/** cb_write() - the file under a name in a temporary directory; the caller unlinks @path */
void cb_write(const struct cb_file *f, char path[64]);

#endif /* CAPTURE_BUILD_H_ */
