/* SPDX-License-Identifier: BSD-2-Clause */
/* Which number the next region gets. See region_ids.h. */
#include "daemon/region_ids.h"

#include <string.h>

#include "daemon/region.h"

#define N_IDS (UNM_REGION_LAST_ID + 1)

static bool
is_id(uint32_t id)
{
	return id > 0 && id <= UNM_REGION_LAST_ID;
}

void
unm_region_ids_init(struct unm_region_ids *ids)
{
	memset(ids, 0, sizeof(*ids));
	ids->next = UNM_REGION_GLOBAL_ID + 1;
}

uint32_t
unm_region_ids_next(struct unm_region_ids *ids)
{
	const uint32_t id = ids->next;

	ids->next = id >= UNM_REGION_LAST_ID ? UNM_REGION_GLOBAL_ID + 1 : id + 1;
	return id;
}

bool
unm_region_ids_is_kept(const struct unm_region_ids *ids, uint32_t id)
{
	return is_id(id) && unm_bit_test(ids->kept, id);
}

void
unm_region_ids_give_up(struct unm_region_ids *ids)
{
	memset(ids->kept, 0, sizeof(ids->kept));
}

void
unm_region_ids_write(const struct unm_region_set *set, FILE *f)
{
	uint64_t used[UNM_BITMAP_WORDS(N_IDS)];
	const struct unm_dregion *r;
	uint32_t n = 0, first, last, top = UNM_REGION_LAST_ID;

	memcpy(used, set->ids.kept, sizeof(used));
	for (r = set->first; r != NULL; r = r->next) {
		if (is_id(r->info.id))
			unm_bit_set(used, r->info.id);
	}
	while (top > 0 && !unm_bit_test(used, top))
		top--;
	fprintf(f, "next_region %u\n", set->ids.next);
	for (first = 1; first <= top; first = last + 1) {
		if (!unm_bit_test(used, first)) {
			last = first;
			continue;
		}
		for (last = first; last < top; last++) {
			if (!unm_bit_test(used, last + 1) && n + 1 < UNM_REGION_IDS_MAX_LINES)
				break;
		}
		fprintf(f, "regions %u %u\n", first, last);
		n++;
	}
}

bool
unm_region_ids_read(struct unm_region_ids *ids, const char *line)
{
	uint32_t first, last, id;

	if (sscanf(line, "next_region %u", &id) == 1) {
		if (is_id(id) && id != UNM_REGION_GLOBAL_ID)
			ids->next = id;
		return true;
	}
	if (sscanf(line, "regions %u %u", &first, &last) != 2)
		return false;
	for (id = first; is_id(id) && id <= last; id++)
		unm_bit_set(ids->kept, id);
	return true;
}
