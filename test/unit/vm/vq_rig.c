/* SPDX-License-Identifier: BSD-2-Clause */
/* See vq_rig.h. */
#include "vq_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Not cmocka's: programs without it use the rig, too. */
#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static int
new_memfd(size_t size)
{
	const int fd = memfd_create("rig", MFD_CLOEXEC);

	MUST(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static uint8_t *
map_fd(int fd, size_t size)
{
	uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	MUST(p != MAP_FAILED);
	return p;
}

static void
open_memory(struct rig *r)
{
	const int fd = new_memfd(RIG_SIZE);
	unsigned int i;

	r->guest = map_fd(fd, RIG_SIZE);
	unm_guest_mem_init(&r->mem);
	for (i = 0; i < 2; i++) {
		const uint64_t ofs = i * (RIG_SIZE / 2);
		const struct unm_guest_region_desc d = {
			.gpa = RIG_GPA + ofs,
			.size = RIG_SIZE / 2,
			.uaddr = RIG_UADDR + ofs,
			.mmap_ofs = ofs,
		};

		MUST(unm_guest_mem_add(&r->mem, &d, fd) == 0);
	}
	close(fd);
	if (r->c.has_log) {
		const int log_fd = new_memfd(RIG_LOG);

		r->log = map_fd(log_fd, RIG_LOG);
		MUST(unm_guest_mem_set_log(&r->mem, log_fd, RIG_LOG, 0) == 0);
		unm_guest_mem_enable_log(&r->mem, true);
		close(log_fd);
	}
}

uint32_t
rig_fresh_base(const struct rig *r)
{
	return r->c.is_packed ? VD_PACKED_BASE : 0;
}

static uint64_t
uaddr_of(const struct rig *r, const void *p)
{
	return RIG_UADDR + (uint64_t)((const uint8_t *)p - r->guest);
}

struct unm_vq_config
rig_vq_config(const struct rig *r, uint32_t base)
{
	const uint64_t used = uaddr_of(r, vd_device_area(&r->vd));

	return (struct unm_vq_config){
		.num = r->c.num,
		.is_packed = r->c.is_packed,
		.has_event_idx = r->c.has_event_idx,
		.has_indirect = r->c.table_len > 0,
		.in_order = r->c.in_order,
		.desc_uaddr = uaddr_of(r, vd_desc_area(&r->vd)),
		.avail_uaddr = uaddr_of(r, vd_driver_area(&r->vd)),
		.used_uaddr = used,
		.log_gpa = r->c.has_log ? used - RIG_UADDR + RIG_GPA : UINT64_MAX,
		.base = base,
		.inflight = r->inflight,
		.record = r->record,
	};
}

int
rig_restart(struct rig *r, uint32_t base)
{
	const struct unm_vq_config c = rig_vq_config(r, base);

	unm_vq_free(r->q);
	r->q = unm_vq_new(&r->mem, r->c.name);
	MUST(r->q != NULL);
	return unm_vq_start(r->q, &c);
}

void
rig_open(struct rig *r, const struct rig_config *c)
{
	struct vd_config v = {
		.num = c->num,
		.is_packed = c->is_packed,
		.has_event_idx = c->has_event_idx,
		.in_order = c->in_order,
		.table_len = c->table_len,
		.indirect_from = 2,
		.gpa = RIG_GPA,
	};

	*r = (struct rig){.c = *c};
	open_memory(r);
	v.mem = r->guest;
	MUST(vd_mem_size(&v) < RIG_SIZE / 2);
	MUST(vd_init(&r->vd, &v) == 0);
	r->buffers = RIG_GPA + vd_mem_size(&v);
	if (c->has_inflight) {
		r->inflight = mmap(NULL, UNM_INFLIGHT_PART(c->num), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		MUST(r->inflight != MAP_FAILED);
	}
	if (c->has_record) {
		r->record = mmap(NULL, UNM_RECORD_SIZE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		MUST(r->record != MAP_FAILED);
	}
	MUST(rig_restart(r, rig_fresh_base(r)) == 0);
}

void
rig_close(struct rig *r)
{
	unm_vq_free(r->q);
	vd_fini(&r->vd);
	unm_guest_mem_clear(&r->mem);
	munmap(r->guest, RIG_SIZE);
	if (r->inflight != NULL)
		munmap(r->inflight, UNM_INFLIGHT_PART(r->c.num));
	if (r->record != NULL)
		munmap(r->record, UNM_RECORD_SIZE);
	if (r->log != NULL)
		munmap(r->log, RIG_LOG);
}
