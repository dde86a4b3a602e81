/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages about the guest's memory and the dirty log.
 *
 * Rings are halted while memory goes away: no address that was looked up before is used after, by
 * the queues or by the device. Adding memory disturbs nobody.
 */
#include <errno.h>
#include <string.h>

#include "vm/vhost_user/backend_priv.h"

/* The descriptors are closed with the message: a mapping does not need them. */

#define VU_WRONG_FILE	     "%s is not in a file in memory (memfd, tmpfs, hugetlbfs)%s"
#define VU_TOO_MANY_MAPPINGS "more than %u mappings at a time for one NIC"

static struct unm_guest_region_desc
region_desc(const struct unm_vu_region *r)
{
	return (struct unm_guest_region_desc){
		.gpa = r->gpa, .size = r->size, .uaddr = r->uaddr, .mmap_ofs = r->mmap_ofs};
}

static int
fail_region(struct unm_vu_backend *b, int err)
{
	switch (err) {
	case -EINVAL:
		return vu_fail(b, err,
			"a region is empty, wraps, is not aligned as its file, or "
			"its file is too small or can't be mapped shared");
	case -EEXIST:
		return vu_fail(b, err, "regions overlap");
	case -ENOSPC:
		return vu_fail(b, err, "more than %u regions", UNM_GUEST_MAX_REGIONS);
	case -EMEDIUMTYPE:
		return vu_fail(b, -EINVAL, VU_WRONG_FILE, "a region",
			"; with QEMU: -object memory-backend-memfd,share=on");
	case -EDQUOT:
		return vu_fail(b, err, VU_TOO_MANY_MAPPINGS, UNM_GUEST_MAX_RANGES);
	default:
		return vu_fail(b, err, "%s", strerror(-err));
	}
}

int
vu_fail_file(struct unm_vu_backend *b, int err, const char *what)
{
	switch (err) {
	case -EINVAL:
		return vu_fail(b, err, "%s's file is too small or can't be mapped shared", what);
	case -EMEDIUMTYPE:
		return vu_fail(b, -EINVAL, VU_WRONG_FILE, what, "");
	case -EDQUOT:
		return vu_fail(b, err, VU_TOO_MANY_MAPPINGS, UNM_GUEST_MAX_RANGES);
	default:
		return vu_fail(b, err, "%s: %s", what, strerror(-err));
	}
}

int
vu_set_mem_table(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	struct unm_guest_region_desc desc[UNM_VU_MAX_TABLE];
	const struct unm_vu_mem_table *t = &m->payload.mem;
	const uint32_t n = t->n_regions;
	uint32_t i;
	int err;

	if (n > UNM_VU_MAX_TABLE || m->n_fds != n)
		return vu_fail(b, -EINVAL,
			"%u regions and %u descriptors, must be as many of "
			"both, at most %u",
			n, m->n_fds, UNM_VU_MAX_TABLE);
	/* UML always sends its whole table of two, of which @n are good */
	if (m->hdr.size < UNM_VU_TABLE_HDR + n * sizeof(t->region[0]))
		return vu_fail(b, -EINVAL, "%u bytes of payload for %u regions", m->hdr.size, n);
	for (i = 0; i < n; i++)
		desc[i] = region_desc(&t->region[i]);
	vu_halt_all(b);
	err = unm_guest_mem_replace(&b->mem, desc, m->fd, n);
	vu_start_all(b);
	return err < 0 ? fail_region(b, err) : 0;
}

int
vu_get_max_mem_slots(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	(void)m;
	return vu_reply_u64(b, UNM_GUEST_MAX_REGIONS);
}

int
vu_add_mem_reg(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const struct unm_guest_region_desc d = region_desc(&m->payload.region.region);
	int err;

	if (unm_guest_mem_add_again(&b->mem, &d) == 0)
		return 0; /* QEMU 7.2 says everything of memory once for each queue pair */
	err = unm_guest_mem_add(&b->mem, &d, m->fd[0]);
	if (err < 0)
		return fail_region(b, err);
	vu_start_all(b);
	return 0;
}

int
vu_rem_mem_reg(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const struct unm_guest_region_desc d = region_desc(&m->payload.region.region);
	int err;

	vu_halt_all(b);
	err = unm_guest_mem_remove(&b->mem, &d);
	vu_start_all(b);
	return err < 0 ? vu_fail(b, err, "there is no such region") : 0;
}

int
vu_set_log_base(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const struct unm_vu_log *log = &m->payload.log;
	const int err = unm_guest_mem_set_log(&b->mem, m->fd[0], log->size, log->ofs);

	if (err < 0)
		return vu_fail_file(b, err, "the log");
	unm_guest_mem_enable_log(&b->mem, (b->features & UNM_VU_F_LOG_ALL) != 0);
	return vu_reply_u64(b, 0);
}

/* For signals about the log, which nobody waits for: the descriptor is closed with the message. */
int
vu_set_log_fd(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	(void)b;
	(void)m;
	return 0;
}
