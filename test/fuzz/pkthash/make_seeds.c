/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the seeds of fuzz_pkthash: a frame of each shape that the parser knows. Run by hand in the
 * directory test/fuzz/seeds/pkthash when a shape is added; the files are kept in the tree.
 */
#include <stdio.h>
#include <stdlib.h>

#include "flow_frames.h"

int
main(void)
{
	const struct ff_talk t = {1, 2, 40000, 80};

	for (size_t i = 0; i < FF_N_SHAPES; i++) {
		struct ff_frame f = {.len = 0};
		FILE *out = fopen(ff_shapes[i].name, "wbe");

		ff_shapes[i].make(&f, t);
		if (out == NULL || fwrite(f.bytes, 1, f.len, out) != f.len || fclose(out) != 0) {
			perror(ff_shapes[i].name);
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}
