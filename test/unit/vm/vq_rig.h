/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtqueue with both of its sides, in one process: the driver (vdriver.h) writes into a memfd
 * through one mapping, the device under test finds it through another one, of two regions that lie
 * side by side in the guest's address space.
 *
 *   guest physical   RIG_GPA                       + RIG_SIZE / 2              + RIG_SIZE
 *                    | ring, tables | buffers ...  | ... buffers               |
 *                    region 0                      region 1
 */
#ifndef TEST_UNIT_VM_VQ_RIG_H
#define TEST_UNIT_VM_VQ_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vdriver.h"
#include "vm/inflight.h"
#include "vm/record.h"
#include "vm/vq.h"

#define RIG_SIZE  0x400000u
#define RIG_GPA	  UINT64_C(0x40000000)
#define RIG_UADDR UINT64_C(0x7f0000000000)
#define RIG_LOG	  0x100000u /* bytes of the dirty log */

struct rig_config {
	const char *name;
	uint16_t num;
	bool is_packed, has_event_idx, in_order;
	uint16_t table_len; /* 0: no indirect tables */
	bool has_inflight;
	bool has_record;
	bool has_log;
};

struct rig {
	struct rig_config c;
	uint8_t *guest; /* the driver's view of the memory */
	uint8_t *log;	/* the driver's view of the dirty log, or NULL */
	void *inflight;
	struct unm_record *record;
	struct unm_guest_mem mem;
	struct unm_vq *q;
	struct vd vd;
	uint64_t buffers; /* guest physical address behind ring and tables */
};

/* All memory is zero, the queue runs. Ends the test on error. */
void rig_open(struct rig *r, const struct rig_config *c);
void rig_close(struct rig *r);

/* What unm_vq_start() gets, with this base. */
struct unm_vq_config rig_vq_config(const struct rig *r, uint32_t base);

/*
 * The server is dead: a new queue in place of the old one, whatever state that was in. Return: as
 * unm_vq_start().
 */
int rig_restart(struct rig *r, uint32_t base);

/* Base of a ring that nobody has used. */
uint32_t rig_fresh_base(const struct rig *r);

/* The driver's view of guest physical @gpa. */
static inline uint8_t *
rig_ptr(const struct rig *r, uint64_t gpa)
{
	return r->guest + (gpa - RIG_GPA);
}

#endif
