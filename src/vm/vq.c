/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtqueues: life cycle, and the choice between the two formats. See vq.h. */
#include "vm/vq.h"

#include <stdlib.h>
#include <string.h>

#include "vm/event_fd.h"
#include "vm/guest_guard.h"
#include "vm/log.h"
#include "vm/vq_inflight.h"
#include "vm/vq_priv.h"

struct unm_vq *
unm_vq_new(struct unm_guest_mem *mem, const char *name)
{
	struct unm_vq *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->mem = mem;
	q->call_fd = q->err_fd = -1;
	strncpy(q->name, name, sizeof(q->name) - 1);
	return q;
}

void
unm_vq_free(struct unm_vq *q)
{
	if (q == NULL)
		return;
	unm_inflight_stop(q);
	free(q);
}

/*
 * Signal @fd (-1: none), unless a descriptor of this front end has blocked already. Return: false
 * if this one does.
 */
static bool
signal_front_end(struct unm_vq *q, int fd)
{
	struct unm_guest_guard *g = q->mem->guard;

	if (fd < 0 || (g != NULL && g->has_blocked) || unm_event_signal(fd) == 0)
		return true;
	if (g != NULL)
		unm_guest_guard_block(g);
	return false;
}

int
unm_vq_break(struct unm_vq *q, const char *why)
{
	if (q->broken == NULL) {
		q->broken = why;
		if (q->said != why) /* a front end may start it again and again */
			unm_vm_log(q->name, "queue stopped: %s", why);
		q->said = why;
		if (!signal_front_end(q, q->err_fd))
			q->err_fd = -1;
	}
	return -EPROTO;
}

/* Does what is known of the in-flight part hold for @c? */
static bool
keeps_inflight(const struct unm_vq *q, const struct unm_vq_config *c)
{
	return c->goes_on && q->inf.part != NULL && q->inf.part == c->inflight &&
	       q->c.num == c->num && q->c.is_packed == c->is_packed;
}

int
unm_vq_start(struct unm_vq *q, const struct unm_vq_config *c)
{
	int err;

	if (q->running || c->num == 0 || c->num > UNM_VQ_MAX_SIZE ||
		(!c->is_packed && (c->num & (c->num - 1)) != 0))
		return -EINVAL;
	if (!keeps_inflight(q, c))
		unm_inflight_stop(q);
	q->c = *c;
	q->broken = NULL;
	if (!c->goes_on)
		q->said = NULL; /* a new ring's faults are told anew */
	q->max_chain = c->num < CHAIN_FLOOR ? CHAIN_FLOOR : c->num;
	if (q->max_chain > UNM_VQ_MAX_PARTS)
		q->max_chain = UNM_VQ_MAX_PARTS;
	err = c->is_packed ? unm_vq_packed_map(q) : unm_vq_split_map(q);
	if (err != 0)
		return err; /* in other memory it may go on */
	err = c->is_packed ? unm_vq_packed_start(q) : unm_vq_split_start(q);
	if (err != 0) {
		unm_inflight_stop(q);
		return err;
	}
	q->running = true;
	/*
	 * A server before us may have been killed between publishing and calling. A call too many
	 * does no harm, one too few stops the guest.
	 */
	q->call_owed = true;
	if (q->call_fd >= 0)
		unm_vq_call(q);
	return 0;
}

uint32_t
unm_vq_stop(struct unm_vq *q)
{
	if (q->running) {
		if (q->broken == NULL) {
			unm_vq_rewind(q);
			if (unm_vq_flush(q))
				unm_vq_call(q);
		}
		q->c.base = q->c.is_packed ? unm_vq_packed_base(q) : q->s.done;
		q->running = false;
		unm_inflight_halt(q);
	}
	return q->c.base;
}

struct unm_guest_mem *
unm_vq_mem(const struct unm_vq *q)
{
	return q->mem;
}

uint16_t
unm_vq_size(const struct unm_vq *q)
{
	return q->c.num;
}

bool
unm_vq_is_running(const struct unm_vq *q)
{
	return q->running && q->broken == NULL;
}

bool
unm_vq_goes_on(const struct unm_vq *q)
{
	const uint32_t fresh = q->c.is_packed ? UNM_VQ_PACKED_FRESH : UNM_VQ_FRESH;

	return q->c.goes_on || (q->c.base_is_ours && q->c.base != fresh);
}

const char *
unm_vq_broken_reason(const struct unm_vq *q)
{
	return q->broken;
}

void
unm_vq_set_call_fd(struct unm_vq *q, int fd)
{
	q->call_fd = fd;
	if (fd >= 0 && q->call_owed && unm_vq_is_running(q))
		unm_vq_call(q);
}

void
unm_vq_set_err_fd(struct unm_vq *q, int fd)
{
	q->err_fd = fd;
}

int
unm_vq_peek(struct unm_vq *q, struct unm_vq_chain *c, struct unm_vq_part *part, unsigned int max)
{
	if (__builtin_expect(q->broken != NULL, 0))
		return -EPROTO;
	return q->c.is_packed ? unm_vq_packed_peek(q, c, part, max)
			      : unm_vq_split_peek(q, c, part, max);
}

unsigned int
unm_vq_peek_singles(
	struct unm_vq *q, struct unm_vq_chain *c, struct unm_vq_part *part, unsigned int max)
{
	/* Packed rings and in-flight regions note each chain by itself. */
	if (q->broken != NULL || q->c.is_packed || q->inf.part != NULL)
		return 0;
	return unm_vq_split_peek_singles(q, c, part, max);
}

void
unm_vq_push(struct unm_vq *q, const struct unm_vq_chain *c, uint32_t written)
{
	if (q->c.is_packed)
		unm_vq_packed_push(q, c, written);
	else
		unm_vq_split_push(q, c, written);
}

void
unm_vq_push_burst(struct unm_vq *q, const struct unm_vq_done *d, unsigned int n)
{
	unsigned int i;

	if (!q->c.is_packed && q->inf.part == NULL && !q->c.in_order) {
		unm_vq_split_push_burst(q, d, n);
		return;
	}
	for (i = 0; i < n; i++) {
		const struct unm_vq_chain c = {.id = d[i].id, .n_descs = d[i].n_descs};

		unm_vq_push(q, &c, d[i].written);
	}
}

void
unm_vq_unpeek(struct unm_vq *q, const struct unm_vq_chain *c)
{
	if (q->c.is_packed)
		unm_vq_packed_unpeek(q, c);
	else
		unm_vq_split_unpeek(q);
}

void
unm_vq_rewind(struct unm_vq *q)
{
	if (q->c.is_packed)
		unm_vq_packed_rewind(q);
	else
		unm_vq_split_rewind(q);
}

bool
unm_vq_flush(struct unm_vq *q)
{
	return q->c.is_packed ? unm_vq_packed_flush(q) : unm_vq_split_flush(q);
}

void
unm_vq_call(struct unm_vq *q)
{
	q->call_owed = false;
	if (!signal_front_end(q, q->call_fd)) {
		q->call_fd = -1;
		unm_vq_break(q, "its call descriptor blocks");
	}
}

void
unm_vq_kicks_off(struct unm_vq *q)
{
	if (q->broken != NULL)
		return;
	if (q->c.is_packed)
		unm_vq_packed_kicks_off(q);
	else
		unm_vq_split_kicks_off(q);
}

bool
unm_vq_kicks_on(struct unm_vq *q)
{
	if (q->broken != NULL)
		return false;
	return q->c.is_packed ? unm_vq_packed_kicks_on(q) : unm_vq_split_kicks_on(q);
}

const uint64_t *
unm_vq_looked_at(const struct unm_vq *q)
{
	return &q->looked_at;
}
