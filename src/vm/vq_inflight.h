/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In-flight tracking: what we have taken and not completed is noted in memory that outlives us
 * (inflight.h), so that the server after us neither loses nor doubles a descriptor.
 *
 *   peek:   take      entry: contents (packed), counter, inflight = 1
 *   push:   done      private position only
 *   flush:  prepare   the batch is linked (split), or linked into the free list (packed)
 *           publish   in the ring
 *           commit    inflight = 0 for the batch, the region's copy of the used index
 *
 * Whoever is killed between publishing and committing leaves a region whose used index differs from
 * the ring's, or, packed, a batch of which the ring says that it was published: recovery commits
 * it.
 *
 * The order of stores matters only within this process: one that is killed leaves a prefix of its
 * stores. Release stores keep the compiler from changing it. A queue without a region pays one test
 * of a pointer for each chain.
 */
#ifndef UNM_VM_VQ_INFLIGHT_H
#define UNM_VM_VQ_INFLIGHT_H

#include "vm/vq_priv.h"

/**
 * unm_inflight_start_split(), unm_inflight_start_packed() - format the part, or recover from it
 * @used_idx: of the ring
 * @used: in: where to begin in a fresh part; out: where the used index is
 *
 * On success q->inf.n_resume chains are served first. After unm_inflight_halt() these are known, and
 * the part's entries are not looked at. Return: 0, -EINVAL the part makes no sense for this ring,
 * -ENOMEM.
 */
int unm_inflight_start_split(struct unm_vq *q, uint16_t used_idx);
int unm_inflight_start_packed(struct unm_vq *q, struct packed_pos *used);
void unm_inflight_stop(struct unm_vq *q);

/*
 * The queue stops and may go on: what is in flight now will be resumed, in order. That is what a
 * server after us would find.
 */
void unm_inflight_halt(struct unm_vq *q);

/* Is the next chain one to be resumed? Then its entry, which for a split ring is its head. */
static inline bool
unm_inflight_resumed(const struct unm_vq *q, uint16_t *entry)
{
	const struct inflight_state *f = &q->inf;

	if (f->taken_pos >= f->n_resume)
		return false;
	*entry = f->resume[f->taken_pos];
	return true;
}

/*
 * Packed: length of the chain that is resumed as @entry, in descriptors; and one of them, by its
 * entry. Return: the next entry. The last one's next means nothing, and must not be looked at.
 */
uint32_t unm_inflight_resumed_len(const struct unm_vq *q, uint16_t entry);
uint16_t unm_inflight_resumed_desc(const struct unm_vq *q, uint16_t entry, struct desc_packed *out);

/* The chain with this head is taken (split). */
void unm_inflight_take_split(struct unm_vq *q, uint16_t head);

/* A descriptor of the chain that is being taken (packed); at most num of them are in flight. */
void unm_inflight_note_packed(struct unm_vq *q, const struct desc_packed *d);
/* Of what was noted since the last take, a chain is made; or @resumed. */
void unm_inflight_take_packed(struct unm_vq *q);
void unm_inflight_take_resumed(struct unm_vq *q, uint16_t entry);

/* The oldest chain that is taken and not done is complete. */
static inline void
unm_inflight_done(struct unm_vq *q)
{
	struct inflight_state *f = &q->inf;

	f->done_pos++;
	if (f->done_pos == f->n_resume) {
		/* Counting begins anew, so that it never runs into n_resume again. */
		f->n_resume = 0;
	}
}

/* The latest chain that is taken and not done was not taken. */
void unm_inflight_untake(struct unm_vq *q);

/* Nothing that is taken and not done was taken. */
void unm_inflight_rewind(struct unm_vq *q);

/*
 * What is done is about to be published, has been published; with it the used index becomes this.
 */
void unm_inflight_prepare(struct unm_vq *q, uint16_t used_idx, bool used_wrap);
void unm_inflight_commit(struct unm_vq *q, uint16_t used_idx, bool used_wrap);

#endif
