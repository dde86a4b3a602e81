/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking a chain of descriptors: what split and packed rings share.
 *
 * A walk gathers parts. It ends with a reason as soon as the driver breaks a rule. Descriptors of
 * length 0 make no parts, so the steps are counted by themselves (walk_step()).
 */
#ifndef UNM_VM_CHAIN_H
#define UNM_VM_CHAIN_H

#include <string.h>

#include "vm/vq_priv.h"

struct walk {
	struct unm_guest_mem *mem;
	struct unm_vq_part *part;
	unsigned int max, n, n_read;
	uint32_t left; /* descriptors that may come yet */
	uint64_t read_len, write_len;
	bool writing;
	bool too_long; /* out of room for parts */
};

static inline struct walk
walk_begin(struct unm_vq *q, struct unm_vq_part *part, unsigned int max)
{
	return (struct walk){.mem = q->mem, .part = part, .max = max, .left = q->max_chain};
}

/* @n descriptors of the chain; that of a table counts as those in it. Return: may it be so long? */
static inline bool
walk_step(struct walk *w, uint32_t n)
{
	if (__builtin_expect(n > w->left, 0))
		return false;
	w->left -= n;
	return true;
}

/* Add [addr, addr + len) to the chain. Return: NULL, or what is wrong with it. */
static inline const char *
walk_add(struct walk *w, uint64_t addr, uint32_t len, bool write)
{
	uint64_t left = len;

	if (write)
		w->writing = true;
	else if (__builtin_expect(w->writing, 0))
		return "a buffer to read follows one to write";
	while (left > 0) { /* each turn takes a part or ends */
		uint64_t n = left;
		uint8_t *data = unm_guest_map(w->mem, addr, &n);

		if (__builtin_expect(data == NULL || n == 0, 0))
			return "a buffer lies outside of the guest's memory";
		if (__builtin_expect(w->n == w->max, 0)) {
			w->too_long = true;
			return "a chain has too many parts";
		}
		w->part[w->n++] =
			(struct unm_vq_part){.data = data, .len = (uint32_t)n, .gpa = addr};
		addr += n;
		left -= n;
	}
	if (write) {
		w->write_len += len;
	} else {
		w->read_len += len;
		w->n_read = w->n;
	}
	return NULL;
}

/*
 * Guest memory [gpa, gpa + len) for reading of single descriptors: in place if it is contiguous
 * here and aligned to 8, else copied to @bounce, of @len bytes. Return: NULL if it is not all
 * there.
 */
static inline const void *
walk_fetch(struct walk *w, uint64_t gpa, void *bounce, uint32_t len)
{
	uint64_t n = len, done = 0;
	const uint8_t *p = unm_guest_map(w->mem, gpa, &n);

	if (__builtin_expect(p != NULL && n == len && (uintptr_t)p % sizeof(uint64_t) == 0, 1))
		return p;
	while (p != NULL && n > 0) { /* at most len turns */
		memcpy((uint8_t *)bounce + done, p, n);
		done += n;
		if (done == len)
			return bounce;
		n = len - done;
		p = unm_guest_map(w->mem, gpa + done, &n);
	}
	return NULL;
}

/* The result, for the caller's chain. Return: NULL, or what is wrong with it. */
static inline const char *
walk_end(struct unm_vq *q, const struct walk *w, struct unm_vq_chain *c)
{
	q->looked_at += q->max_chain - w->left + w->n;
	if (__builtin_expect(w->read_len > UINT32_MAX || w->write_len > UINT32_MAX, 0))
		return "a chain has more than 4 GiB";
	c->part = w->part;
	c->n_read = (uint16_t)w->n_read;
	c->n_write = (uint16_t)(w->n - w->n_read);
	c->read_len = (uint32_t)w->read_len;
	c->write_len = (uint32_t)w->write_len;
	return NULL;
}

#endif
