/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers of regions: nr_mem_id, by which programs ask for a region that there is.
 *
 * They go round, so one is used again only after all others have been, and netmapd's next run goes on
 * where the one before had come to: the state file says so. A client may be stopped for longer than
 * a restart waits, and hand back later what it holds. Its regions' numbers must not be others' then:
 * those that were in use when a run ended, and that nobody has handed back, are kept free while one
 * of the missing clients lives (missing.h).
 *
 * The file is written before any client learns a new number.
 */
#ifndef UNM_DAEMON_REGION_IDS_H
#define UNM_DAEMON_REGION_IDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/bitmap.h"
#include "shm/proto.h"

#define UNM_REGION_GLOBAL_ID 1u

/* Of the state file: what is scattered more is written as if what lies in between were in use too */
#define UNM_REGION_IDS_MAX_LINES 128u

struct unm_region_set;

struct unm_region_ids {
	uint32_t next;
	bool is_changed; /* since the state file was written */
	uint64_t kept[UNM_BITMAP_WORDS(UNM_REGION_LAST_ID + 1)];
};

void unm_region_ids_init(struct unm_region_ids *ids);

/** unm_region_ids_next() - the next number, in use or not: never 0 and never the global region's. */
uint32_t unm_region_ids_next(struct unm_region_ids *ids);

bool unm_region_ids_is_kept(const struct unm_region_ids *ids, uint32_t id);

/** unm_region_ids_give_up() - nobody is missing any more: none is kept */
void unm_region_ids_give_up(struct unm_region_ids *ids);

/** unm_region_ids_write() - lines for the next run */
void unm_region_ids_write(const struct unm_region_set *set, FILE *f);

/** unm_region_ids_read() - take a line of a previous run. Return: false: it is none of these. */
bool unm_region_ids_read(struct unm_region_ids *ids, const char *line);

#endif
