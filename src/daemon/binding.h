/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A binding: one registered descriptor, and what it holds of a port.
 *
 * It owns a netmap_if in the port's region, an entry of the segment's binding table, an eventfd,
 * the extra buffers it was given, and a share of each ring it has bound.
 */
#ifndef UNM_DAEMON_BINDING_H
#define UNM_DAEMON_BINDING_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/domain.h"
#include "daemon/pending.h"
#include "shm/proto.h"

struct unm_offsets {
	uint32_t bits; /* 0 or 64 = all */
	uint64_t max;
	uint64_t initial;
	uint64_t min_gap;
};

struct unm_bind_wish {
	uint32_t mode; /* NR_REG_* */
	uint32_t ringid;
	uint64_t flags; /* NR_* */
	uint32_t n_extra;
	struct unm_pending
		*pending; /* what earlier steps of this request have done; kept by the caller */
	const struct unm_offsets *offsets; /* NULL: none asked for */
	int *offsets_error;		   /* set to the errno if that option was the reason */
};

struct unm_dbinding {
	struct unm_dport *port; /* NULL: not registered */
	uint32_t idx, gen;
	int wake_fd;
	uint32_t if_obj, n_if_objs;
	uint32_t tx_lo, tx_hi, rx_lo, rx_hi;
	uint32_t mode, ringid;
	uint64_t flags;
	uint32_t n_extra;
	uint32_t offset_bits;
	uint64_t offset_max, offset_gap;
};

/**
 * unm_bind_select() - which rings does a wish name (spec 6.1 step 7)?
 *
 * Return: 0, or -EINVAL with the reason. Only the ranges in @b are written.
 */
int unm_bind_select(const struct unm_dport *port, const struct unm_bind_wish *wish,
	struct unm_dbinding *b, struct unm_reason *why);

/** unm_bind_has() - is ring @i (tx rings first) one of the binding's? */
bool unm_bind_has(const struct unm_dport *port, const struct unm_dbinding *b, uint32_t i);

/**
 * unm_bind() - bind @b, unregistered so far, to rings of @port
 *
 * Return: 0, -EINVAL, -EBUSY, -ENOMEM, -EMFILE, each with the reason; on error nothing has changed.
 */
int unm_bind(struct unm_domain *dom, struct unm_dport *port, const struct unm_bind_wish *wish,
	struct unm_dbinding *b, struct unm_reason *why);

/**
 * unm_unbind() - undo it; the port may be gone afterwards. A binding that is not registered is left
 * alone.
 */
void unm_unbind(struct unm_domain *dom, struct unm_dbinding *b);

/** unm_bind_info() - what the client is told. @desc_id: 16 bytes. */
void unm_bind_info(
	const struct unm_dbinding *b, const uint8_t *desc_id, struct unm_bind_info *info);

/** unm_bind_nifp_ofs() - where the netmap_if is in the region. */
uint64_t unm_bind_nifp_ofs(const struct unm_dbinding *b);

#endif
