/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pools: lowest index first, so that a region's memory stays dense. See pool.h.
 *
 * The allocation map is written after the private bitmap and before the object is handed out. If
 * writing it fails nothing is lost but the map's use after a restart of netmapd; the object is then
 * treated as not to be had.
 */
#include "daemon/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/bitmap.h"
#include "shm/clock.h"

#define STEP_OBJECTS 2048u /* committed at once: 4 MiB of buffers take some 2 ms */

/* Words of the private bitmap that an operation has changed. */
struct span {
	uint32_t lo, hi;
};

static void
span_add(struct span *s, uint32_t i)
{
	if (i / 64 < s->lo)
		s->lo = i / 64;
	if (i / 64 + 1 > s->hi)
		s->hi = i / 64 + 1;
}

static int
write_map(const struct unm_pool *p, const struct span *s)
{
	size_t len;
	ssize_t n;

	if (s->lo >= s->hi)
		return 0;
	len = (size_t)(s->hi - s->lo) * sizeof(uint64_t);
	n = pwrite(p->map_fd, p->used + s->lo, len, (off_t)(p->map_ofs + s->lo * sizeof(uint64_t)));
	return n == (ssize_t)len ? 0 : -EIO;
}

static void
mark_reserved(struct unm_pool *p)
{
	uint32_t i;

	for (i = 0; i < p->n_reserved && i < p->n; i++)
		unm_bit_set(p->used, i);
	p->hint = i;
	p->n_free = p->n - i;
}

int
unm_pool_init(struct unm_pool *p)
{
	p->used = calloc(UNM_BITMAP_WORDS(p->n) + 1, sizeof(uint64_t));
	if (p->used == NULL)
		return -ENOMEM;
	mark_reserved(p);
	return 0;
}

void
unm_pool_fini(struct unm_pool *p)
{
	free(p->used);
	p->used = NULL;
}

int
unm_pool_commit(const struct unm_pool *p, uint32_t first, uint32_t run, struct unm_reason *why)
{
	return unm_commit_range(p->commit, p->ofs + (uint64_t)first * p->obj_size,
		(uint64_t)run * p->obj_size, why);
}

int
unm_pool_load(struct unm_pool *p, struct unm_reason *why)
{
	const size_t len = UNM_BITMAP_WORDS(p->n) * sizeof(uint64_t);
	uint32_t i;
	int ret;

	if (pread(p->map_fd, p->used, len, (off_t)p->map_ofs) != (ssize_t)len)
		return unm_fail(why, -EINVAL, "the allocation map is shorter than its region");
	mark_reserved(p);
	p->n_free = 0;
	for (i = 0; i < p->n; i++) {
		if (!unm_bit_test(p->used, i)) {
			p->n_free++;
			continue;
		}
		ret = p->commits_late ? 0 : unm_pool_commit(p, i, 1, why);
		if (ret < 0)
			return ret;
	}
	return 0;
}

void
unm_pool_store(struct unm_pool *p)
{
	const struct span all = {0, (uint32_t)UNM_BITMAP_WORDS(p->n)};

	if (write_map(p, &all) < 0)
		unm_log(LOG_WARNING, "can't write an allocation map");
}

void
unm_pool_clear(struct unm_pool *p)
{
	memset(p->used, 0, UNM_BITMAP_WORDS(p->n) * sizeof(uint64_t));
	mark_reserved(p);
}

void
unm_pool_reset(struct unm_pool *p)
{
	unm_pool_clear(p);
	unm_pool_store(p);
}

uint32_t
unm_pool_n_objs(const struct unm_pool *p, uint64_t bytes)
{
	return (uint32_t)((bytes + p->obj_size - 1) / p->obj_size);
}

static int
no_room(const struct unm_pool *p, uint32_t wanted, struct unm_reason *why)
{
	return unm_fail(why, -ENOMEM,
		"the memory region has %u of %u %s free, %u are needed: close ports, ask for fewer "
		"rings or slots, or use another region",
		p->n_free, p->n, p->what, wanted);
}

int
unm_pool_alloc_run(struct unm_pool *p, uint32_t run, uint32_t *first, struct unm_reason *why)
{
	const uint32_t i = unm_bitmap_find_run(p->used, p->n, p->hint, run);
	struct span s = {UINT32_MAX, 0};
	uint32_t k;
	int ret;

	if (i == UINT32_MAX)
		return no_room(p, run, why);
	ret = p->commits_late ? 0 : unm_pool_commit(p, i, run, why);
	if (ret < 0)
		return ret;
	for (k = 0; k < run; k++) {
		unm_bit_set(p->used, i + k);
		span_add(&s, i + k);
	}
	p->n_free -= run;
	if (i == p->hint)
		p->hint = i + run;
	ret = write_map(p, &s);
	if (ret < 0) {
		unm_pool_free_run(p, i, run);
		return unm_fail(why, -ENOMEM, "can't write the allocation map");
	}
	*first = i;
	return 0;
}

/* Free neighbours from *@i on, at most @most: the first is written to *@i. Return: the end; 0: there are none. */
static uint32_t
next_run(const struct unm_pool *p, uint32_t *i, uint32_t most)
{
	uint32_t end;

	*i = unm_bitmap_find_run(p->used, p->n, *i, 1);
	if (*i == UINT32_MAX)
		return 0;
	for (end = *i + 1; end < p->n && end - *i < most && !unm_bit_test(p->used, end);)
		end++;
	return end;
}

int
unm_pool_alloc_many(struct unm_pool *p, uint32_t n, uint32_t *idx, struct unm_reason *why)
{
	struct span s = {UINT32_MAX, 0};
	uint32_t i = p->hint, got = 0;
	int ret = 0;

	if (n > p->n_free)
		return no_room(p, n, why);
	while (got < n && ret == 0) { /* bounded: each round takes a free object at least */
		uint32_t end;

		end = next_run(p, &i, n - got);
		if (end == 0) {
			ret = no_room(p, n, why);
			break;
		}
		/* Neighbours together: one call for their memory. */
		ret = unm_pool_commit(p, i, end - i, why);
		for (; ret == 0 && i < end; i++) {
			unm_bit_set(p->used, i);
			span_add(&s, i);
			idx[got++] = i;
			p->n_free--;
		}
	}
	if (ret == 0 && n > 0) {
		p->hint = i;
		ret = write_map(p, &s);
		if (ret < 0)
			ret = unm_fail(why, -ENOMEM, "can't write the allocation map");
	}
	if (ret < 0)
		unm_pool_free_many(p, idx, got);
	return ret;
}

int
unm_pool_prepare(struct unm_pool *p, uint32_t n, uint64_t deadline_ns, struct unm_reason *why)
{
	uint32_t i = p->hint, got = 0;

	while (got < n) { /* bounded: each round takes a free object at least */
		const uint64_t had = p->commit->n_bytes;
		uint32_t end;
		int ret;

		end = next_run(p, &i, n - got < STEP_OBJECTS ? n - got : STEP_OBJECTS);
		if (end == 0)
			return 0; /* whoever takes them is told */
		ret = unm_pool_commit(p, i, end - i, why);
		if (ret < 0)
			return ret;
		got += end - i;
		i = end;
		if (got < n && p->commit->n_bytes > had && unm_now_ns() >= deadline_ns)
			return -EINPROGRESS;
	}
	return 0;
}

static void
free_one(struct unm_pool *p, uint32_t i, struct span *s)
{
	if (!unm_pool_holds(p, i))
		return;
	unm_bit_clear(p->used, i);
	span_add(s, i);
	p->n_free++;
	if (i < p->hint)
		p->hint = i;
}

void
unm_pool_free_run(struct unm_pool *p, uint32_t first, uint32_t run)
{
	struct span s = {UINT32_MAX, 0};
	uint32_t k;

	for (k = 0; k < run; k++)
		free_one(p, first + k, &s);
	if (write_map(p, &s) < 0)
		unm_log(LOG_WARNING, "can't write an allocation map");
}

void
unm_pool_free_many(struct unm_pool *p, const uint32_t *idx, uint32_t n)
{
	struct span s = {UINT32_MAX, 0};
	uint32_t k;

	for (k = 0; k < n; k++)
		free_one(p, idx[k], &s);
	if (write_map(p, &s) < 0)
		unm_log(LOG_WARNING, "can't write an allocation map");
}

bool
unm_pool_holds(const struct unm_pool *p, uint32_t i)
{
	return i >= p->n_reserved && i < p->n && unm_bit_test(p->used, i);
}

void
unm_pool_mark_run(struct unm_pool *p, uint32_t first, uint32_t run)
{
	uint32_t i;

	for (i = first; i < p->n && i - first < run; i++) {
		if (unm_bit_test(p->used, i))
			continue;
		unm_bit_set(p->used, i);
		p->n_free--;
	}
}
