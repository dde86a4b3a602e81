/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the seeds of fuzz_offload: a frame of each kind for a receiver that takes nothing and one
 * that takes part. Run by hand in test/fuzz/seeds/offload when a kind is added; the files are kept
 * in the tree.
 */
#include <stdio.h>
#include <stdlib.h>

#include "offload_frames.h"

static struct offload_frame f;

static void
save(const char *kind, const char *receiver, const uint8_t setting[8])
{
	char name[64];
	FILE *out;

	snprintf(name, sizeof(name), "%s-%s", kind, receiver);
	out = fopen(name, "wbe");
	if (out == NULL || fwrite(setting, 1, 8, out) != 8 ||
		fwrite(f.vnet, 1, sizeof(f.vnet), out) != sizeof(f.vnet) ||
		fwrite(f.data, 1, f.len, out) != f.len || fclose(out) != 0) {
		perror(name);
		exit(EXIT_FAILURE);
	}
}

int
main(void)
{
	static const char *const names[OFFLOAD_KINDS] = {"tcp4", "tcp6", "uso4", "uso6", "ufo4",
		"ufo6", "csum-tcp4", "csum-tcp6", "csum-udp4", "csum-udp6"};
	static const uint8_t none[8] = {0x22, 0, 24, 63, 8, 0, 0, 0};
	static const uint8_t part[8] = {0x5a, 0x26, 24, 63, 0, 9, 50, 0};
	const struct offload_shape shape = {
		.src = 0, .dst = 1, .max_payload = 400, .min_size = 64, .max_size = 200};
	uint64_t rng = 1;
	int kind;

	for (kind = 0; kind < OFFLOAD_KINDS; kind++) {
		offload_frame_make(&f, (enum offload_kind)kind, &shape, &rng);
		save(names[kind], "plain", none);
		save(names[kind], "part", part);
	}
	return 0;
}
