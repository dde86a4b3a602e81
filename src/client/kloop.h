/* SPDX-License-Identifier: BSD-2-Clause */
/* The sync loop: SYNC_KLOOP_START and SYNC_KLOOP_STOP (spec 18.2, 18.3, 18.5). */
#ifndef UNM_CLIENT_KLOOP_H
#define UNM_CLIENT_KLOOP_H

#include "client/ctrl.h"
#include "client/desc.h"

/*
 * Runs the loop in the caller until it is stopped. Return: 0, -EINVAL, -ENXIO, -EBUSY, -EBADF,
 * -ENOMEM.
 */
int unm_kloop_start(struct unm_desc *d, struct unm_request *req);

/* Sets the sticky stop mark and waits for the loop, wherever it runs, to end. Return: 0, -ENXIO. */
int unm_kloop_stop(struct unm_desc *d);

#endif
