/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an isolated client and its broker (nm-isolator) share about one binding: a segment of type
 * UNM_SEG_ISOLATED, one sealed memfd.
 *
 *   0         struct unm_seg_hdr
 *   port_ofs  one  struct unm_seg_port      \
 *   bind_ofs  one  struct unm_seg_binding    > stand-ins: the client's own, see below
 *   kring_ofs 128  struct unm_kring         /
 *   csb_ofs   128  struct nm_csb_atok, then 128 struct nm_csb_ktoa: the doorbell block (spec 18)
 *
 * Entry i of either CSB array belongs to ring i of the binding, tx rings first. The broker reads
 * atok and writes ktoa; it takes a mark out of atok.appl_need_kick when it signals, as wakers do
 * everywhere (ring/wake.h). All else that stands here the broker writes once, when it makes the
 * segment, and never believes.
 *
 * The stand-ins have the shape of what trusted clients share, so that the same code syncs both: the
 * processes of one client that hold the same binding share positions and busy words there. Of the
 * port's entry the broker goes on writing @state (the port is gone) and @flags
 * (UNM_ISO_PORT_FLAGS).
 */
#ifndef UNM_SHM_ISOLATED_H
#define UNM_SHM_ISOLATED_H

#include <sys/types.h>
#include <sys/time.h>
#include <sys/ioctl.h>
#include <net/if.h>
#include <net/netmap.h>

#include "shm/segment.h"

#define UNM_ISO_ATOK_SIZE (UNM_SEG_NKRINGS_ISO * sizeof(struct nm_csb_atok))
#define UNM_ISO_KTOA_SIZE (UNM_SEG_NKRINGS_ISO * sizeof(struct nm_csb_ktoa))
#define UNM_ISO_CSB_SIZE  (UNM_ISO_ATOK_SIZE + UNM_ISO_KTOA_SIZE)

/* Of the port's flags, those that the client has to know. */
#define UNM_ISO_PORT_FLAGS (UNM_PORTF_LINK_DOWN | UNM_PORTF_DETACHED | UNM_PORTF_STOPPED)

static_assert(sizeof(struct nm_csb_atok) == 64, "one cache line a direction");
static_assert(sizeof(struct nm_csb_ktoa) == 64, "one cache line a direction");

/* The CSB arrays of a segment whose layout has been checked. */
static inline struct nm_csb_atok *
unm_iso_atok(void *seg, uint64_t csb_ofs)
{
	return (struct nm_csb_atok *)(void *)((char *)seg + csb_ofs);
}

static inline struct nm_csb_ktoa *
unm_iso_ktoa(void *seg, uint64_t csb_ofs)
{
	return (struct nm_csb_ktoa *)(void *)((char *)seg + csb_ofs + UNM_ISO_ATOK_SIZE);
}

#endif
