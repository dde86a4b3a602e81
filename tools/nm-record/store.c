/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring of bytes. See store.h.
 *
 *	| ... free ... | oldest | ... | newest | ... free ... | filler |
 *	               tail                    head
 *
 * Records are contiguous and begin at multiples of 8. What is left at the end of the memory, too
 * short for the next record, becomes a filler.
 */
#include "store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN	      8u
#define FILLER	      UINT32_MAX /* caplen */
#define MAX_CAPLEN    262144u
#define HUGE_MIN_SIZE (4u << 20)

struct record {
	uint32_t size; /* with this header, a multiple of 8 */
	uint32_t caplen;
	/* A filler may end here. */
	uint64_t time_ns;
	uint32_t len;
	uint16_t port;
	uint16_t is_tx;
	uint8_t data[];
};
static_assert(sizeof(struct record) == 24, "header of a record");

struct store {
	uint8_t *mem;
	size_t size;
	size_t head, tail; /* offsets; equal with n_frames 0: empty */
	size_t used;	   /* bytes of records and fillers */
	uint64_t n_frames, n_bytes;
	struct store_limits limits;
};

int
store_new(struct store **out, size_t size, const struct store_limits *limits)
{
	struct store *s;

	if (size < STORE_MIN_SIZE)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->size = size - size % ALIGN;
	s->limits = *limits;
	s->mem = mmap(NULL, s->size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->mem == MAP_FAILED) {
		free(s);
		return -ENOMEM;
	}
	/* Fewer page table entries to copy when it is forked; a wish. */
	if (s->size >= HUGE_MIN_SIZE)
		(void)madvise(s->mem, s->size, MADV_HUGEPAGE);
	*out = s;
	return 0;
}

void
store_free(struct store *s)
{
	if (s == NULL)
		return;
	munmap(s->mem, s->size);
	free(s);
}

static struct record *
record_at(const struct store *s, size_t off)
{
	return (struct record *)(void *)(s->mem + off);
}

/* Let the record or filler at the tail go. */
static void
drop_oldest(struct store *s)
{
	const struct record *r = record_at(s, s->tail);

	if (r->caplen != FILLER) {
		s->n_frames--;
		s->n_bytes -= r->caplen;
	}
	s->used -= r->size;
	s->tail += r->size;
	if (s->tail == s->size)
		s->tail = 0;
}

/* The oldest frame; fillers in front of it go. NULL: there is none. */
static const struct record *
oldest(struct store *s)
{
	while (s->used > 0 && record_at(s, s->tail)->caplen == FILLER) /* one at most */
		drop_oldest(s);
	return s->used > 0 ? record_at(s, s->tail) : NULL;
}

void
store_expire(struct store *s, uint64_t now_ns)
{
	const struct record *r;

	if (s->limits.age_ns == 0 || now_ns < s->limits.age_ns)
		return;
	while ((r = oldest(s)) != NULL && r->time_ns < now_ns - s->limits.age_ns)
		drop_oldest(s);
}

static void
make_room(struct store *s, size_t size)
{
	while (s->size - s->used < size) /* each takes away a record */
		drop_oldest(s);
}

/* Room for @size contiguous bytes at the head. */
static struct record *
reserve(struct store *s, size_t size)
{
	const size_t rest = s->size - s->head;

	if (rest < size) {
		struct record *filler = record_at(s, s->head);

		make_room(s, rest);
		filler->size = (uint32_t)rest;
		filler->caplen = FILLER;
		s->used += rest;
		s->head = 0;
	}
	make_room(s, size);
	return record_at(s, s->head);
}

void
store_put(struct store *s, const struct store_frame *f)
{
	const uint32_t caplen = f->caplen < MAX_CAPLEN ? f->caplen : MAX_CAPLEN;
	const size_t size = (sizeof(struct record) + caplen + ALIGN - 1) / ALIGN * ALIGN;
	struct record *r = reserve(s, size);

	r->size = (uint32_t)size;
	r->caplen = caplen;
	r->time_ns = f->time_ns;
	r->len = f->len;
	r->port = f->port;
	r->is_tx = f->is_tx;
	memcpy(r->data, f->data, caplen);
	s->used += size;
	s->head += size;
	if (s->head == s->size)
		s->head = 0;
	s->n_frames++;
	s->n_bytes += caplen;
	while (s->limits.n_frames != 0 && s->n_frames > s->limits.n_frames)
		drop_oldest(s);
}

uint64_t
store_n_frames(const struct store *s)
{
	return s->n_frames;
}

uint64_t
store_n_bytes(const struct store *s)
{
	return s->n_bytes;
}

struct store_pos
store_first(const struct store *s)
{
	return (struct store_pos){.off = s->tail, .left = s->n_frames};
}

bool
store_next(const struct store *s, struct store_pos *pos, struct store_frame *out)
{
	const struct record *r = record_at(s, pos->off);

	if (pos->left == 0)
		return false;
	if (r->caplen == FILLER) {
		pos->off = 0;
		r = record_at(s, 0);
	}
	*out = (struct store_frame){
		.time_ns = r->time_ns,
		.caplen = r->caplen,
		.len = r->len,
		.port = r->port,
		.is_tx = r->is_tx != 0,
		.data = r->data,
	};
	pos->off += r->size;
	if (pos->off == s->size)
		pos->off = 0;
	pos->left--;
	return true;
}
