/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-flight region (src/vm/inflight.h): made here, kept by the front end, handed to whoever
 * serves after us. Our own is sealed, so it can't shrink; somebody else's is guarded as guest
 * memory.
 *
 * A region's memory is committed when it is made, and stays for as long as a front end keeps the
 * descriptor, connected or not. So a NIC gets no more of it, as long as its server lives, than two of
 * the largest regions that it can use (made_limit()): 6 MB for one pair and the control queue, 258 MB
 * for 64 pairs. Front ends ask once a start, for the numbers that they were configured with; who asks
 * for the same numbers again, in whatever connection, gets the same file.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vm/guest_file.h"
#include "vm/inflight.h"
#include "vm/vhost_user/backend_priv.h"

#define COMMIT_UNIT UINT64_C(4096)

static int
check_numbers(struct unm_vu_backend *b, const struct unm_vu_inflight *f, unsigned int max_rings)
{
	if (f->num_queues == 0 || f->num_queues > max_rings || f->queue_size == 0 ||
		f->queue_size > UNM_VQ_MAX_SIZE)
		return vu_fail(b, -EINVAL, "%u rings of size %u, must be 1 to %u of 1 to %u",
			f->num_queues, f->queue_size, max_rings, UNM_VQ_MAX_SIZE);
	return 0;
}

static uint64_t
region_size(const struct unm_vu_inflight *f)
{
	return f->num_queues * UNM_INFLIGHT_PART(f->queue_size);
}

/* Rings that run keep the region that they have. */
static int
check_all_stopped(struct unm_vu_backend *b)
{
	unsigned int i;

	for (i = 0; i < b->ops->n_rings; i++) {
		if (b->ring[i].is_started)
			return vu_fail(b, -EBUSY, "ring %u is running", i);
	}
	return 0;
}

/* Map the region in place of the one there is. No ring runs. */
static int
adopt(struct unm_vu_backend *b, const struct unm_vu_inflight *f, int fd)
{
	struct unm_guest_file file = {0};
	unsigned int i;
	int err;

	err = unm_guest_file_map(&file, fd, region_size(f), f->mmap_ofs, &b->guard);
	if (err < 0)
		return vu_fail_file(b, err, "the in-flight region");
	unm_guest_file_unmap(&b->inflight);
	b->inflight = file;
	b->inflight_queues = f->num_queues;
	b->inflight_size = f->queue_size;
	for (i = 0; i < b->ops->n_rings; i++)
		b->ring[i].goes_on = false;
	return 0;
}

/* What a file of @size bytes takes. */
static uint64_t
committed(uint64_t size)
{
	return (size + COMMIT_UNIT - 1) & ~(COMMIT_UNIT - 1);
}

void
unm_vu_keep_made(struct unm_vu_backend *b, struct unm_vu_made *made)
{
	b->made = made;
}

/* Bytes of regions that a NIC's front ends can make us commit. */
static uint64_t
made_limit(const struct unm_vu_backend *b)
{
	return 2 * committed(b->ops->n_rings * UNM_INFLIGHT_PART(UNM_VQ_MAX_SIZE));
}

static bool
was_made(const struct unm_vu_backend *b, const struct unm_vu_inflight *f)
{
	return b->made->fd >= 0 && b->made->num_queues == f->num_queues &&
	       b->made->queue_size == f->queue_size;
}

/* A new file, in place of the one that was made before. */
static int
make_region(struct unm_vu_backend *b, const struct unm_vu_inflight *f)
{
	const uint64_t size = committed(region_size(f));
	int fd;

	if (size > made_limit(b) - b->made->n_bytes)
		return vu_fail(b, -EDQUOT,
			"in-flight regions of other sizes were made already, of %llu bytes; this "
			"server makes no more than %llu for a NIC",
			(unsigned long long)b->made->n_bytes, (unsigned long long)made_limit(b));
	fd = unm_guest_file_new("nm-vhost-inflight", region_size(f));
	if (fd < 0)
		return vu_fail(b, fd, "no memory for the in-flight region: %s", strerror(-fd));
	if (b->made->fd >= 0)
		close(b->made->fd);
	b->made->fd = fd;
	b->made->num_queues = f->num_queues;
	b->made->queue_size = f->queue_size;
	b->made->n_bytes += size;
	return 0;
}

/* The region that is mapped becomes a new one, which the start of a ring formats. */
static void
forget_contents(struct unm_vu_backend *b)
{
	unsigned int i;

	for (i = 0; i < b->inflight_queues; i++) {
		void *part = b->inflight.data + i * UNM_INFLIGHT_PART(b->inflight_size);

		unm_inflight_forget(part);
	}
}

int
vu_get_inflight_fd(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	struct unm_vu_inflight f = {0}; /* padding included */
	int ret;

	/* 20 bytes, or 24 with padding (QEMU, DPDK): who asks gets as many. */
	memcpy(&f, &m->payload.inflight, m->hdr.size);
	ret = check_numbers(b, &f, b->ops->n_rings);
	if (ret == 0)
		ret = check_all_stopped(b);
	if (ret == 0 && !was_made(b, &f))
		ret = make_region(b, &f);
	if (ret < 0)
		return ret;
	f.mmap_size = region_size(&f);
	f.mmap_ofs = 0;
	ret = adopt(b, &f, b->made->fd);
	if (ret < 0)
		return ret;
	forget_contents(b);
	return vu_reply(b, &f, m->hdr.size, b->made->fd);
}

int
vu_set_inflight_fd(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const struct unm_vu_inflight *f = &m->payload.inflight;
	/* Whoever made it may have had more rings; it costs us nothing. */
	int err = check_numbers(b, f, UNM_VU_MAX_RINGS);

	if (err == 0)
		err = check_all_stopped(b);
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
