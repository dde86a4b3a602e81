/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzing the capture reader: any bytes as a file.
 *
 * Beyond what the sanitizers see, each packet must keep the promises of capture_reader.h, and the
 * reading must come to an end with a reason that has a text.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "capture_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static volatile unsigned sink; /* keeps the look at the bytes from being optimised away */

/* Look at every byte, so that one outside of the buffer is noticed. */
static void
touch_bytes(const struct nmt_capture_packet *pkt)
{
	unsigned sum = 0;

	for (uint32_t i = 0; i < pkt->caplen; i++)
		sum += pkt->data[i];
	sink = sum;
}

static void
read_all(FILE *in, size_t size)
{
	struct nmt_capture_packet pkt;
	struct nmt_err err = {""};
	struct nmt_capture *cap;
	uint64_t last_offset = 0;
	int got;

	if (nmt_capture_open_stream(in, &cap, &err) != 0) {
		REQUIRE(err.text[0] != '\0');
		return;
	}
	while ((got = nmt_capture_next(cap, &pkt, &err)) == 1) {
		REQUIRE(pkt.caplen <= NMT_CAPTURE_CAPLEN_MAX);
		REQUIRE(pkt.caplen <= pkt.len);
		REQUIRE(pkt.fcs_len <= pkt.caplen);
		REQUIRE(pkt.if_idx < NMT_CAPTURE_IF_MAX);
		REQUIRE(pkt.offset > last_offset && pkt.offset < size);
		last_offset = pkt.offset;
		touch_bytes(&pkt);
	}
	REQUIRE(got == 0 || err.text[0] != '\0');
	REQUIRE(nmt_capture_next(cap, &pkt, NULL) == got);
	nmt_capture_close(cap);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *in;

	if (size == 0) /* fmemopen() refuses it; the unit test has an empty file */
		return 0;
	in = fmemopen((void *)(uintptr_t)data, size, "r");
	REQUIRE(in != NULL);
	read_all(in, size);
	fclose(in);
	return 0;
}
