/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the seeds of fuzz_capture: one small file for each thing that the reader distinguishes.
 * Run by hand in test/fuzz/seeds/capture when something is added; the files are kept in the tree.
 */
#include <stdio.h>
#include <stdlib.h>

#include "capture_build.h"

#define SHORT_LEN 20 /* packets: long enough for headers, short for the fuzzer */

/* Write the file and empty it. */
static void
save(struct cb_file *f, const char *name)
{
	FILE *out = fopen(name, "wbe");

	if (out == NULL || fwrite(f->bytes, 1, f->len, out) != f->len || fclose(out) != 0) {
		perror(name);
		exit(EXIT_FAILURE);
	}
	f->len = 0;
}

static void
save_pcap(struct cb_file *f, uint32_t magic, const char *name)
{
	cb_pcap_header(f, magic, 1);
	cb_pcap_packet(f, 1, 2, 3, SHORT_LEN, SHORT_LEN);
	cb_pcap_packet(f, 4, 5, 6, SHORT_LEN, 1514);
	save(f, name);
}

static void
save_pcapng(struct cb_file *f, const char *name)
{
	cb_section(f);
	cb_interface(f, &(struct cb_if){.linktype = 1,
				.snaplen = 64,
				.tsresol = 9,
				.fcslen_bits = 32,
				.has_tsoffset = true,
				.tsoffset_s = 1500000000});
	cb_interface(f, &(struct cb_if){.linktype = 113, .tsresol = 0x80 | 20, .fcslen_bits = -1});
	cb_enhanced(f, 1, 12345, 1, SHORT_LEN, SHORT_LEN);
	cb_obsolete(f, 0, 12346, 2, SHORT_LEN, 1514);
	cb_simple(f, 3, SHORT_LEN, SHORT_LEN);
	cb_block(f, 5, "statistics", 10);
	save(f, name);
}

int
main(void)
{
	struct cb_file *f = cb_new(false);

	save_pcap(f, 0xa1b2c3d4, "pcap-us-le");
	save_pcap(f, 0xa1b23c4d, "pcap-ns-le");
	save_pcapng(f, "pcapng-le");
	cb_section(f);
	cb_ethernet(f);
	f->big_endian = true;
	cb_section(f);
	cb_ethernet(f);
	cb_enhanced(f, 0, 1, 1, SHORT_LEN, SHORT_LEN);
	save(f, "pcapng-both-orders");
	save_pcap(f, 0xa1b2c3d4, "pcap-us-be");
	save_pcapng(f, "pcapng-be");
	cb_pcap_header(f, 0xa1b2c3d4, 1 | 1u << 26 | 2u << 28);
	cb_pcap_packet(f, 1, 2, 3, SHORT_LEN, SHORT_LEN);
	f->len -= SHORT_LEN / 2;
	save(f, "pcap-fcs-cut");
	free(f);
	return 0;
}
