/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-flight region (src/vm/inflight.h): made here, kept by the front end, handed to whoever
 * serves after us. Our own is sealed, so it can't shrink; somebody else's is guarded as guest
 * memory.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vm/guest_file.h"
#include "vm/inflight.h"
#include "vm/vhost_user/backend_priv.h"

static int
check_numbers(struct unm_vu_backend *b, const struct unm_vu_inflight *f)
{
	if (f->num_queues == 0 || f->num_queues > UNM_VU_MAX_RINGS || f->queue_size == 0 ||
		f->queue_size > UNM_VQ_MAX_SIZE)
		return vu_fail(b, -EINVAL, "%u rings of size %u, must be 1 to %u of 1 to %u",
			f->num_queues, f->queue_size, UNM_VU_MAX_RINGS, UNM_VQ_MAX_SIZE);
	return 0;
}

static uint64_t
region_size(const struct unm_vu_inflight *f)
{
	return f->num_queues * UNM_INFLIGHT_PART(f->queue_size);
}

/* Map the region in place of the one there is. Rings that run keep theirs: so none may. */
static int
adopt(struct unm_vu_backend *b, const struct unm_vu_inflight *f, int fd)
{
	struct unm_guest_file file = {0};
	unsigned int i;
	int err;

	for (i = 0; i < b->ops->n_rings; i++) {
		if (b->ring[i].is_started)
			return vu_fail(b, -EBUSY, "ring %u is running", i);
	}
	err = unm_guest_file_map(&file, fd, region_size(f), f->mmap_ofs, &b->guard);
	if (err < 0)
		return vu_fail(b, err, "the region's file is too small or can't be mapped shared");
	unm_guest_file_unmap(&b->inflight);
	b->inflight = file;
	b->inflight_queues = f->num_queues;
	b->inflight_size = f->queue_size;
	return 0;
}

int
vu_get_inflight_fd(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	struct unm_vu_inflight f = {0}; /* padding included */
	int fd, ret;

	/* 20 bytes, or 24 with padding (QEMU, DPDK): who asks gets as many. */
	memcpy(&f, &m->payload.inflight, m->hdr.size);
	ret = check_numbers(b, &f);
	if (ret < 0)
		return ret;
	f.mmap_size = region_size(&f);
	f.mmap_ofs = 0;
	fd = unm_guest_file_new("nm-vhost-inflight", f.mmap_size);
	if (fd < 0)
		return vu_fail(b, fd, "no memory for the in-flight region: %s", strerror(-fd));
	ret = adopt(b, &f, fd);
	if (ret == 0)
		ret = vu_reply(b, &f, m->hdr.size, fd);
	close(fd);
	return ret;
}

int
vu_set_inflight_fd(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const struct unm_vu_inflight *f = &m->payload.inflight;
	const int err = check_numbers(b, f);

	if (err < 0)
		return err;
	if (f->mmap_size != region_size(f))
		return vu_fail(b, -EINVAL, "in-flight region of %llu bytes, ours have %llu",
			(unsigned long long)f->mmap_size, (unsigned long long)region_size(f));
	if (f->mmap_ofs % UNM_INFLIGHT_ALIGN != 0)
		return vu_fail(b, -EINVAL,
			"in-flight region at %llu of its file, must be a "
			"multiple of %u",
			(unsigned long long)f->mmap_ofs, UNM_INFLIGHT_ALIGN);
	return adopt(b, f, m->fd[0]);
}
