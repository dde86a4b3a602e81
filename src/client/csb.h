/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CSB mode: the client exchanges ring indices through records of its own, and a sync loop (kloop.c)
 * does its syncs (spec 18).
 *
 * The records' addresses mean something only in the process that gave them, so they are kept here.
 * That the binding is in CSB mode is in the segment: every holder's sync ioctls then give EBUSY,
 * and polls POLLERR.
 */
#ifndef UNM_CLIENT_CSB_H
#define UNM_CLIENT_CSB_H

#include "client/ctrl.h"
#include "client/desc.h"

struct unm_csb {
	struct nm_csb_atok *atok; /* one for each bound ring, tx then rx. W: client */
	struct nm_csb_ktoa *ktoa; /* W: loop */
};

/*
 * A REGISTER with option CSB: what can be checked before anything is registered. Return: 0,
 * -EINVAL, -EFAULT.
 */
int unm_csb_check_register(struct unm_desc *d, struct unm_request *req);

/* The REGISTER has succeeded. Return: 0 or -errno. */
int unm_csb_enable_register(struct unm_desc *d, struct unm_request *req);

/* Request CSB_ENABLE. Return: 0, -EINVAL, -ENXIO, -EBUSY, -EFAULT. */
int unm_csb_enable(struct unm_desc *d, struct unm_request *req);

void unm_csb_free(struct unm_binding *b);

/* Ring @i of the binding, in CSB order. */
static inline struct unm_bring *
unm_csb_ring(struct unm_bport *bp, uint32_t i)
{
	return i < bp->n_tx ? &bp->tx[i] : &bp->rx[i - bp->n_tx];
}

#endif
