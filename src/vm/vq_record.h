/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeping the record of a packed ring, and going on where one says (record.h).
 *
 * As with the in-flight region only the order of stores within this process matters. A queue
 * without a record pays one test of a pointer for each completion; one with it stores two words.
 */
#ifndef UNM_VM_VQ_RECORD_H
#define UNM_VM_VQ_RECORD_H

#include "vm/vq_priv.h"

/* Keeps the compiler from moving a store before an earlier one; nobody reads while we live. */
#define RECORD_STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

/**
 * unm_record_start() - where does the ring stand?
 * @at: in: what the front end says; out: where to go on
 *
 * q->c.record may say better, unless q->c.base_is_ours. What a server before us had written of a
 * batch is undone or committed. From now on the record is kept. Return: NULL, or why the queue has
 * to stop: the ring is in use, and where it stands is lost.
 */
const char *unm_record_start(struct unm_vq *q, struct packed_pos *at);

/* Nothing is known of the ring that this record is about. */
void unm_record_forget(struct unm_record *r);

/* The front end knows where the ring stands. */
void unm_record_stopped(struct unm_record *r);

/*
 * After a death QEMU itself may have thrown away what the guest still sent, at the place where it
 * believed the ring to be. Such completions lie ahead of us; they are passed by. Return: in so many
 * slots.
 */
uint32_t unm_record_pass_by(struct unm_vq *q);

static inline uint16_t
record_pos(struct packed_pos p)
{
	return (uint16_t)(p.idx | (uint16_t)p.wrap << 15);
}

/* The completion in slot @idx is about to be written. There is room. */
static inline void
unm_record_save(struct unm_vq *q, uint16_t idx)
{
	struct unm_record *r = q->rec.r;
	struct unm_record_saved *s = &r->saved[q->rec.n];

	s->word = UNM_READ_ONCE(*(const uint64_t *)(const void *)&q->p.desc[idx].len);
	s->idx = idx;
	RECORD_STORE(r->state.f.n, ++q->rec.n);
}

static inline bool
unm_record_is_full(const struct unm_vq *q)
{
	/* A completion that is held back may come before the next. */
	return q->rec.n >= UNM_RECORD_SAVED - 1;
}

/* The batch is about to be published, and has been. */
static inline void
unm_record_prepare(struct unm_vq *q)
{
	RECORD_STORE(q->rec.r->state.f.next, record_pos(q->p.done));
}

static inline void
unm_record_commit(struct unm_vq *q)
{
	const uint16_t at = record_pos(q->p.done);
	const union unm_record_state s = {.f = {at, at, 0, UNM_RECORD_IN_USE}};

	RECORD_STORE(q->rec.r->state.word, s.word);
	q->rec.n = 0;
}

#endif
