/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-flight region (src/vm/inflight.h): made here, kept by the front end, handed to whoever
 * serves after us. Our own is sealed, so it can't shrink; somebody else's is guarded as guest
 * memory.
 *
 * A region's memory is committed when it is made, and stays for as long as a front end keeps the
 * descriptor, connected or not. So a NIC gets no more of it than two of the largest regions that it
 * can use (made_limit()): 6 MB for one pair and the control queue, 258 MB for 64 pairs. Front ends
 * ask once a start, for the numbers that they were configured with; who asks for the same numbers
 * again, in whatever connection, gets the same file.
 *
 * Nor can one that has gone keep the next one from its own: where a connection needs more, regions
 * of earlier connections are given up, the oldest first. We keep their descriptors, and punch a
 * hole as large as the file, which nobody can forbid (sealed against more seals). Whoever has it
 * mapped finds zeroes, and takes memory for what is written from then on as for any file of its own: its
 * size stays, so there is no fault. A front end that comes back with it all the same has a region
 * that nobody has used (version 0), and its rings begin where it says.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/guest_file.h"
#include "vm/inflight.h"
#include "vm/log.h"
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
	b->conn.closing = &made->closing;
	b->conn.n_closing = &made->n_closing;
	made->connection++;
	made->has_given_up = false;
}

void
unm_vu_made_fini(struct unm_vu_made *made)
{
	while (made->n_regions > 0) /* at most UNM_VU_MAX_MADE */
		close(made->region[--made->n_regions].fd);
}

/* Bytes of regions that a NIC's front ends can make us commit. */
static uint64_t
made_limit(const struct unm_vu_backend *b)
{
	return 2 * committed(b->ops->n_rings * UNM_INFLIGHT_PART(UNM_VQ_MAX_SIZE));
}

static uint64_t
made_size(const struct unm_vu_made_region *r)
{
	return committed(r->num_queues * UNM_INFLIGHT_PART(r->queue_size));
}

/* Take back the memory of the oldest region of another connection. Return: is there one? */
static bool
give_up_oldest(struct unm_vu_backend *b)
{
	struct unm_vu_made *made = b->made;
	unsigned int i;

	for (i = 0; i < made->n_regions; i++) {
		const struct unm_vu_made_region r = made->region[i];

		if (r.used_by == made->connection)
			continue;
		if (fallocate(r.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			    (off_t)made_size(&r)) != 0)
			continue;
		unm_vm_log(b->name,
			"vhost-user: the in-flight region of an earlier front end (%u rings of "
			"size %u) is given up, as this one asks for another",
			r.num_queues, r.queue_size);
		close(r.fd);
		made->has_given_up = true;
		made->gone[made->n_gone++ % UNM_VU_MAX_MADE] = r.ino;
		made->n_bytes -= made_size(&r);
		made->n_regions--;
		memmove(&made->region[i], &made->region[i + 1],
			(made->n_regions - i) * sizeof(made->region[0]));
		return true;
	}
	return false;
}

/* A region with these numbers, of whatever connection; NULL: none. */
static struct unm_vu_made_region *
find_made(struct unm_vu_made *made, const struct unm_vu_inflight *f)
{
	unsigned int i;

	for (i = 0; i < made->n_regions; i++) {
		struct unm_vu_made_region *r = &made->region[i];

		if (r->num_queues == f->num_queues && r->queue_size == f->queue_size)
			return r;
	}
	return NULL;
}

/* A new file; *out is valid until the next one. */
static int
make_region(
	struct unm_vu_backend *b, const struct unm_vu_inflight *f, struct unm_vu_made_region **out)
{
	const uint64_t size = committed(region_size(f));
	struct unm_vu_made *made = b->made;
	struct unm_vu_made_region *r;
	struct stat st;
	int fd;

	/* Each turn gives one up. */
	while (size > made_limit(b) - made->n_bytes || made->n_regions == UNM_VU_MAX_MADE)
		if (!give_up_oldest(b))
			return vu_fail(b, -EDQUOT,
				"%u in-flight regions of other sizes, of %llu bytes, were made "
				"already; a connection gets no more than %u, of %llu bytes",
				made->n_regions, (unsigned long long)made->n_bytes, UNM_VU_MAX_MADE,
				(unsigned long long)made_limit(b));
	fd = unm_guest_file_new("nm-vhost-inflight", region_size(f));
	if (fd < 0)
		return vu_fail(b, fd, "no memory for the in-flight region: %s", strerror(-fd));
	r = &made->region[made->n_regions++];
	*r = (struct unm_vu_made_region){
		.fd = fd, .num_queues = f->num_queues, .queue_size = f->queue_size};
	if (fstat(fd, &st) == 0)
		r->ino = st.st_ino;
	made->n_bytes += size;
	*out = r;
	return 0;
}

/* A front end has handed over the file that is mapped now: is it one of ours? */
static void
recognise(struct unm_vu_backend *b)
{
	struct unm_vu_made *made = b->made;
	unsigned int i;

	for (i = 0; i < made->n_regions; i++)
		if (made->region[i].ino == b->inflight.ino)
			made->region[i].used_by = made->connection;
	for (i = 0; i < made->n_gone && i < UNM_VU_MAX_MADE; i++)
		if (made->gone[i] == b->inflight.ino)
			unm_vm_log(b->name, "vhost-user: this in-flight region was given up for "
					    "another front end's: it is empty");
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
	struct unm_vu_made_region *r;
	int ret;

	/* 20 bytes, or 24 with padding (QEMU, DPDK): who asks gets as many. */
	memcpy(&f, &m->payload.inflight, m->hdr.size);
	ret = check_numbers(b, &f, b->ops->n_rings);
	if (ret == 0)
		ret = check_all_stopped(b);
	r = ret == 0 ? find_made(b->made, &f) : NULL;
	if (ret == 0 && r == NULL)
		ret = make_region(b, &f, &r);
	if (ret < 0)
		return ret;
	r->used_by = b->made->connection;
	f.mmap_size = region_size(&f);
	f.mmap_ofs = 0;
	ret = adopt(b, &f, r->fd);
	if (ret < 0)
		return ret;
	forget_contents(b);
	return vu_reply(b, &f, m->hdr.size, r->fd);
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
	err = adopt(b, f, m->fd[0]);
	if (err == 0)
		recognise(b);
	return err;
}
