/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the seeds of fuzz_virtqueue: rings as a driver that behaves has them. Run by hand in the
 * directory test/fuzz/seeds/virtqueue when image.h changes; the files are kept in the tree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "vdriver.h"

#define DATA (FUZZ_GPA + FUZZ_PAGE - 100) /* across the border of the regions */

static uint8_t mem[FUZZ_MEM];

static const uint8_t script[] = {FUZZ_KICKS, FUZZ_PEEK, FUZZ_PEEK, FUZZ_PEEK, FUZZ_UNPEEK,
	FUZZ_PUSH, FUZZ_FLUSH, FUZZ_RESTART, FUZZ_PEEK, FUZZ_PUSH | 9 << 3, FUZZ_PUSH, FUZZ_FLUSH,
	FUZZ_RESTART | 1 << 3, FUZZ_PEEK};

static void
split_chains(void)
{
	struct vd_split_desc *d = (struct vd_split_desc *)(void *)mem;
	struct vd_split_desc *t = (struct vd_split_desc *)(void *)(mem + FUZZ_TABLE);
	struct vd_split_avail *a = (struct vd_split_avail *)(void *)(mem + FUZZ_AVAIL);

	d[0] = (struct vd_split_desc){DATA, 12, VD_DESC_NEXT, 1};
	d[1] = (struct vd_split_desc){DATA + 12, 300, 0, 0};
	d[2] = (struct vd_split_desc){DATA, 600, VD_DESC_WRITE, 0};
	d[3] = (struct vd_split_desc){FUZZ_GPA + FUZZ_TABLE, 32, VD_DESC_INDIRECT, 0};
	t[0] = (struct vd_split_desc){DATA, 60, VD_DESC_NEXT, 1};
	t[1] = (struct vd_split_desc){DATA + 600, 60, VD_DESC_WRITE, 0};
	a->ring[0] = 0;
	a->ring[1] = 2;
	a->ring[2] = 3;
	a->idx = 3;
}

static void
packed_chains(void)
{
	struct vd_packed_desc *d = (struct vd_packed_desc *)(void *)mem;
	struct vd_packed_desc *t = (struct vd_packed_desc *)(void *)(mem + FUZZ_TABLE);

	d[0] = (struct vd_packed_desc){DATA, 12, 0, VD_DESC_NEXT | VD_DESC_AVAIL};
	d[1] = (struct vd_packed_desc){DATA + 12, 300, 0, VD_DESC_AVAIL};
	d[2] = (struct vd_packed_desc){DATA, 600, 1, VD_DESC_WRITE | VD_DESC_AVAIL};
	d[3] = (struct vd_packed_desc){
		FUZZ_GPA + FUZZ_TABLE, 32, 2, VD_DESC_INDIRECT | VD_DESC_AVAIL};
	t[0] = (struct vd_packed_desc){DATA, 60, 0, 0};
	t[1] = (struct vd_packed_desc){DATA + 600, 60, 0, VD_DESC_WRITE};
}

static void
write_seed(const char *name, uint8_t flags, uint8_t num)
{
	const struct fuzz_head head = {.flags = flags,
		.num = num,
		.n_ops = sizeof(script),
		.base = flags & FUZZ_F_PACKED ? VD_PACKED_BASE : 0};
	FILE *out = fopen(name, "wbe");

	memset(mem, 0, sizeof(mem));
	if (flags & FUZZ_F_PACKED)
		packed_chains();
	else
		split_chains();
	if (out == NULL || fwrite(&head, sizeof(head), 1, out) != 1 ||
		fwrite(script, sizeof(script), 1, out) != 1 ||
		fwrite(mem, FUZZ_TABLE + 64, 1, out) != 1 || fclose(out) != 0) {
		perror(name);
		exit(EXIT_FAILURE);
	}
}

int
main(void)
{
	write_seed("split", FUZZ_F_TABLES, 3);
	write_seed("split-event-order", FUZZ_F_TABLES | FUZZ_F_EVENT | FUZZ_F_ORDER, 5);
	write_seed("split-inflight", FUZZ_F_TABLES | FUZZ_F_INFLIGHT, 2);
	write_seed("packed", FUZZ_F_PACKED | FUZZ_F_TABLES, 9);
	write_seed("packed-event-order",
		FUZZ_F_PACKED | FUZZ_F_TABLES | FUZZ_F_EVENT | FUZZ_F_ORDER, 31);
	write_seed("packed-inflight", FUZZ_F_PACKED | FUZZ_F_TABLES | FUZZ_F_INFLIGHT, 4);
	write_seed("packed-record", FUZZ_F_PACKED | FUZZ_F_TABLES | FUZZ_F_RECORD, 4);
	return EXIT_SUCCESS;
}
