/* SPDX-License-Identifier: BSD-2-Clause */
/* Making, sharing and freeing regions. See region.h. */
/* Syscalls: memfd_create ftruncate mmap munmap pread64 pwrite64 */
/* Syscalls: process_vm_readv process_vm_writev */
#include "daemon/region.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/bitmap.h"
#include "daemon/region_map.h"
#include "shm/nic.h"
#include "shm/segment.h"

#define PAGE	  UINT64_C(4096)
#define HUGE_PAGE UINT64_C(2097152)
#define SEALS	  (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Below 4 GiB in all, since the 32-bit nr_memsize of the legacy API has to hold it. */
static const struct unm_region_shape global_shape = {
	.if_num = 1024,
	.if_size = UNM_REGION_IF_SIZE,
	.ring_num = 8192,
	.ring_size = UNM_REGION_RING_SIZE,
	.buf_num = 1300000,
	.buf_size = UNM_REGION_BUF_SIZE,
};

static uint64_t
round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

uint64_t
unm_random64(void)
{
	uint64_t v = 0;

	while (v == 0) { /* one round, but for a chance of 2^-64 */
		if (getrandom(&v, sizeof(v), 0) != sizeof(v))
			v = (uint64_t)getpid() << 32 | 1;
	}
	return v;
}

bool
unm_same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

void
unm_region_set_init(struct unm_region_set *set, uint64_t limit, bool use_huge_pages)
{
	memset(set, 0, sizeof(*set));
	set->budget.limit = limit;
	unm_region_ids_init(&set->ids);
	set->use_huge_pages = use_huge_pages;
}

static void
dregion_free(struct unm_dregion *r)
{
	if (r == NULL)
		return;
	unm_pool_fini(&r->ifs);
	unm_pool_fini(&r->rings);
	unm_pool_fini(&r->bufs);
	unm_commit_fini(&r->commit);
	if (r->fd >= 0)
		close(r->fd);
	if (r->map_fd >= 0)
		close(r->map_fd);
	free(r);
}

void
unm_region_set_fini(struct unm_region_set *set)
{
	while (set->first != NULL) {
		struct unm_dregion *r = set->first;

		set->first = r->next;
		dregion_free(r);
	}
}

/*
 * Fill the geometry of @info: pools one after another, each from a page boundary on. In the global
 * region, which interfaces use, buffers begin a headroom further, so that aligned chunks of AF_XDP
 * can be laid over them (shm/nic.h).
 */
static void
lay_out(struct unm_region_info *info, const struct unm_region_shape *s)
{
	info->if_ofs = 0;
	info->if_num = s->if_num;
	info->if_size = s->if_size;
	info->ring_ofs = round_up((uint64_t)s->if_num * s->if_size, PAGE);
	info->ring_num = s->ring_num;
	info->ring_size = s->ring_size;
	info->buf_ofs = info->ring_ofs + round_up((uint64_t)s->ring_num * s->ring_size, PAGE);
	if (info->flags & UNM_REGIONF_GLOBAL)
		info->buf_ofs += UNM_NIC_HEADROOM;
	info->buf_num = s->buf_num;
	info->buf_size = s->buf_size;
	info->size = round_up(info->buf_ofs + (uint64_t)s->buf_num * s->buf_size, PAGE);
}

/* Return: a number that no region has, and none that may still be handed back; 0: there is none. */
static uint32_t
new_id(struct unm_region_set *set)
{
	uint32_t tries;

	for (tries = 0; tries < UNM_REGION_LAST_ID; tries++) {
		const uint32_t id = unm_region_ids_next(&set->ids);

		if (unm_dregion_by_id(set, id) == NULL && !unm_region_ids_is_kept(&set->ids, id))
			return id;
	}
	return 0;
}

static int
sealed_memfd(const char *name, uint64_t size, unsigned int flags)
{
	const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	int ret;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/*
 * A region on huge pages, if there are enough. They are reserved for the whole of it now, by a
 * mapping: the reservation belongs to the file and outlives the mapping. Without it a client's mmap
 * would be the one to fail. Return: descriptor or negative errno.
 */
static int
huge_memfd(uint64_t size)
{
	const int fd = sealed_memfd("unetmap-region", size, MFD_HUGETLB | MFD_HUGE_2MB);
	void *map;

	if (fd < 0)
		return fd;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	munmap(map, size);
	return fd;
}

/* Commit state, allocation map and pools of a region whose info and fd are set. */
static int
set_up(struct unm_region_set *set, struct unm_dregion *r, struct unm_reason *why)
{
	const struct unm_region_info *i = &r->info;
	const bool is_huge = i->flags & UNM_REGIONF_HUGE;
	const struct unm_pool ifs = {.what = "interface objects",
		.ofs = i->if_ofs,
		.n = i->if_num,
		.obj_size = i->if_size,
		.map_ofs = unm_region_map_ofs(i, 0)};
	const struct unm_pool rings = {.what = "ring objects",
		.ofs = i->ring_ofs,
		.n = i->ring_num,
		.obj_size = i->ring_size,
		.commits_late = true,
		.map_ofs = unm_region_map_ofs(i, 1)};
	const struct unm_pool bufs = {.what = "buffers",
		.ofs = i->buf_ofs,
		.n = i->buf_num,
		.obj_size = i->buf_size,
		.n_reserved = 2,
		.map_ofs = unm_region_map_ofs(i, 2)};
	struct unm_pool *const pools[] = {&r->ifs, &r->rings, &r->bufs};
	size_t k;

	r->ifs = ifs;
	r->rings = rings;
	r->bufs = bufs;
	for (k = 0; k < 3; k++) {
		pools[k]->commit = &r->commit;
		pools[k]->map_fd = r->map_fd;
		if (unm_pool_init(pools[k]) < 0)
			return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	}
	if (unm_commit_init(&r->commit, r->fd, i->file_ofs, i->size,
		    is_huge ? UNM_COMMIT_CHUNK_HUGE : UNM_COMMIT_CHUNK, &set->budget) < 0)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	r->no_write_call = is_huge;
	return 0;
}

/* From here on what is committed is new, and charged to our memory cgroup, unless it is a client's or huge. */
static void
charge(struct unm_dregion *r)
{
	r->commit.is_charged = !(r->info.flags & (UNM_REGIONF_EXTMEM | UNM_REGIONF_HUGE));
}

/* The region's own allocation map, and its entry in the set. Takes over @fd in any case. */
static int
dregion_new(struct unm_region_set *set, const struct unm_region_info *info, int fd,
	struct unm_dregion **out, struct unm_reason *why)
{
	struct unm_dregion *r = calloc(1, sizeof(*r));
	int ret;

	if (r == NULL) {
		close(fd);
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	}
	r->info = *info;
	r->fd = fd;
	r->map_fd = sealed_memfd("unetmap-map", unm_region_map_size(info), 0);
	if (r->map_fd < 0)
		ret = unm_fail(why, r->map_fd == -EMFILE ? -EMFILE : -ENOMEM,
			"can't make an allocation map: %s", strerror(-r->map_fd));
	else
		ret = unm_region_map_create(r->map_fd, info);
	if (ret == 0)
		ret = set_up(set, r, why);
	if (ret < 0) {
		dregion_free(r);
		return ret;
	}
	charge(r);
	r->n_refs = 1;
	r->next = set->first;
	set->first = r;
	set->ids.is_changed = true;
	*out = r;
	return 0;
}

static int
make_region(struct unm_region_set *set, const struct unm_region_shape *shape, uint32_t id,
	uint32_t flags, struct unm_dregion **out, struct unm_reason *why)
{
	struct unm_region_info info = {.uid = unm_random64(), .id = id, .flags = flags};
	int fd = -ENOMEM;

	lay_out(&info, shape);
	if (set->use_huge_pages && !(flags & UNM_REGIONF_GLOBAL)) {
		const uint64_t size = round_up(info.size, HUGE_PAGE);

		fd = huge_memfd(size);
		if (fd >= 0) {
			info.size = size;
			info.flags |= UNM_REGIONF_HUGE;
		}
	}
	if (fd < 0)
		fd = sealed_memfd("unetmap-region", info.size, 0);
	if (fd < 0)
		return unm_fail(why, fd == -EMFILE || fd == -ENFILE ? fd : -ENOMEM,
			"can't make a memory region of %llu MiB: %s",
			(unsigned long long)(info.size >> 20), strerror(-fd));
	return dregion_new(set, &info, fd, out, why);
}

static int
fail_without_id(struct unm_reason *why)
{
	return unm_fail(why, -ENOMEM, "all %u memory regions are in use", UNM_REGION_LAST_ID);
}

int
unm_dregion_global(struct unm_region_set *set, struct unm_dregion **out, struct unm_reason *why)
{
	uint32_t id = UNM_REGION_GLOBAL_ID;
	int ret;

	if (set->global != NULL) {
		*out = unm_dregion_get(set->global);
		return 0;
	}
	if (unm_region_ids_is_kept(&set->ids, id))
		id = new_id(set);
	if (id == 0)
		return fail_without_id(why);
	ret = make_region(set, &global_shape, id, UNM_REGIONF_GLOBAL, out, why);
	if (ret == 0)
		set->global = *out;
	return ret;
}

int
unm_dregion_create(struct unm_region_set *set, const struct unm_region_shape *shape,
	struct unm_dregion **out, struct unm_reason *why)
{
	const uint32_t id = new_id(set);

	if (id == 0)
		return fail_without_id(why);
	return make_region(set, shape, id, 0, out, why);
}

static int
shape_field(uint32_t *v, uint32_t dflt, uint32_t min, uint32_t max)
{
	if (*v == 0)
		*v = dflt;
	return *v < min || *v > max ? -EINVAL : 0;
}

/* Defaults and limits of spec 21; object sizes are multiples of 64, of rings 128. */
static int
check_shape(struct unm_region_shape *s, struct unm_reason *why)
{
	if (shape_field(&s->if_size, 1024, 64, 4096) || shape_field(&s->if_num, 2, 1, 10000))
		return unm_fail(why, -EINVAL,
			"external memory: interface objects must be 64 to 4096 bytes, 1 to 10000 "
			"of them");
	if (shape_field(&s->ring_size, 20480, 256, 32 * 4096) ||
		shape_field(&s->ring_num, 4, 2, 1024))
		return unm_fail(why, -EINVAL,
			"external memory: rings must be 256 to 131072 bytes, 2 to 1024 of them");
	if (shape_field(&s->buf_size, 2048, 64, 65536) ||
		shape_field(&s->buf_num, 4098, 4, 1000000))
		return unm_fail(why, -EINVAL,
			"external memory: buffers must be 64 to 65536 bytes, 4 to 1000000 of them");
	s->if_size = (uint32_t)round_up(s->if_size, 64);
	s->ring_size = (uint32_t)round_up(s->ring_size, UNM_RING_ALIGN);
	s->buf_size = (uint32_t)round_up(s->buf_size, 64);
	return 0;
}

int
unm_dregion_extmem(struct unm_region_set *set, const struct unm_extmem *em,
	struct unm_dregion **out, struct unm_reason *why)
{
	struct unm_region_info info = {.flags = UNM_REGIONF_EXTMEM};
	struct unm_region_shape shape = em->shape;
	struct unm_dregion *r;
	struct stat st;
	uint64_t n_bufs;
	int fd, ret;

	if (fstat(em->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		(fcntl(em->fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		return unm_fail(why, -EFAULT, "external memory must be a writable file or memfd");
	if (em->ofs % PAGE != 0 || (uint64_t)st.st_size < em->ofs ||
		(uint64_t)st.st_size - em->ofs < em->size)
		return unm_fail(why, -EFAULT, "external memory is not there for its whole length");
	for (r = set->first; r != NULL; r = r->next) {
		if ((r->info.flags & UNM_REGIONF_EXTMEM) && r->dev == st.st_dev &&
			r->ino == st.st_ino && r->info.file_ofs == em->ofs) {
			*out = unm_dregion_get(r);
			return 0;
		}
	}
	ret = check_shape(&shape, why);
	if (ret < 0)
		return ret;
	lay_out(&info, &shape);
	if (info.buf_ofs + (uint64_t)shape.buf_num * shape.buf_size > em->size)
		return unm_fail(why, -ENOMEM,
			"external memory: %llu bytes are needed for these pools, %llu were given",
			(unsigned long long)info.size, (unsigned long long)em->size);
	n_bufs = (em->size - info.buf_ofs) / shape.buf_size;
	info.buf_num = n_bufs < UINT32_MAX / 2 ? (uint32_t)n_bufs : UINT32_MAX / 2;
	info.size = em->size;
	info.file_ofs = em->ofs;
	info.uid = unm_random64();
	info.id = new_id(set);
	if (info.id == 0)
		return fail_without_id(why);
	fd = fcntl(em->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return unm_fail(why, -errno, "netmapd is out of descriptors");
	ret = dregion_new(set, &info, fd, out, why);
	if (ret < 0)
		return ret;
	(*out)->dev = st.st_dev;
	(*out)->ino = st.st_ino;
	return 0;
}

struct unm_dregion *
unm_dregion_by_id(struct unm_region_set *set, uint32_t id)
{
	struct unm_dregion *r;

	for (r = set->first; r != NULL; r = r->next) {
		if (r->info.id == id)
			return r;
	}
	return NULL;
}

struct unm_dregion *
unm_dregion_by_uid(struct unm_region_set *set, uint64_t uid)
{
	struct unm_dregion *r;

	for (r = set->first; r != NULL; r = r->next) {
		if (r->info.uid == uid)
			return r;
	}
	return NULL;
}

struct unm_dregion *
unm_dregion_get(struct unm_dregion *r)
{
	r->n_refs++;
	return r;
}

static void
drop_region(struct unm_region_set *set, struct unm_dregion *r)
{
	struct unm_dregion **pp;

	for (pp = &set->first; *pp != NULL; pp = &(*pp)->next) {
		if (*pp == r) {
			*pp = r->next;
			break;
		}
	}
	dregion_free(r);
}

void
unm_dregion_put(struct unm_region_set *set, struct unm_dregion *r)
{
	if (r == NULL || --r->n_refs > 0)
		return;
	if (r != set->global) {
		drop_region(set, r);
		return;
	}
	/*
	 * A client may still have this region mapped and open its next port with that mapping: so keep
	 * the file, drop the memory.
	 */
	unm_pool_reset(&r->ifs);
	unm_pool_reset(&r->rings);
	unm_pool_reset(&r->bufs);
	unm_commit_reset(&r->commit);
}

void
unm_region_set_drop_unused(struct unm_region_set *set)
{
	struct unm_dregion *r, *next;

	for (r = set->first; r != NULL; r = next) {
		next = r->next;
		if (!r->is_adopted)
			continue;
		r->is_adopted = false;
		unm_dregion_put(set, r);
	}
}

int
unm_dregion_adopt(struct unm_region_set *set, const struct unm_region_info *info, int fd,
	int map_fd, struct unm_dregion **out, struct unm_reason *why)
{
	struct unm_dregion *r = unm_dregion_by_uid(set, info->uid);
	int ret;

	if (r != NULL) {
		*out = r;
		return memcmp(&r->info, info, sizeof(*info)) == 0 && unm_same_file(r->fd, fd) &&
				       unm_same_file(r->map_fd, map_fd)
			       ? 0
			       : unm_fail(why, -EINVAL,
					 "the region's geometry differs from what others handed "
					 "back");
	}
	ret = unm_region_info_check(info, fd, map_fd, why);
	if (ret < 0)
		return ret;
	if (unm_dregion_by_id(set, info->id) != NULL)
		return unm_fail(why, -EINVAL, "region id %u is in use by another region", info->id);
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	r->info = *info;
	r->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	r->map_fd = fcntl(map_fd, F_DUPFD_CLOEXEC, 0);
	if (r->fd < 0 || r->map_fd < 0)
		ret = unm_fail(why, -EMFILE, "netmapd is out of descriptors");
	if (ret == 0)
		ret = set_up(set, r, why);
	if (ret == 0)
		ret = unm_pool_load(&r->ifs, why);
	if (ret == 0)
		ret = unm_pool_load(&r->rings, why);
	if (ret == 0)
		ret = unm_pool_load(&r->bufs, why);
	if (ret < 0) {
		dregion_free(r);
		return ret;
	}
	if (info->flags & UNM_REGIONF_EXTMEM) {
		struct stat st;

		if (fstat(fd, &st) == 0) {
			r->dev = st.st_dev;
			r->ino = st.st_ino;
		}
	}
	charge(r);
	r->is_adopted = true;
	r->n_refs = 1;
	r->next = set->first;
	set->first = r;
	if ((info->flags & UNM_REGIONF_GLOBAL) && set->global == NULL)
		set->global = r;
	*out = r;
	return 0;
}

/*
 * Copy between @buf and a file that has neither read(2) nor write(2), or whose pages may be
 * missing.
 */
static int
copy_by_mapping(const struct unm_dregion *r, uint64_t ofs, void *buf, size_t len, bool is_write)
{
	const uint64_t from = r->info.file_ofs + ofs;
	const uint64_t start = from / HUGE_PAGE * HUGE_PAGE;
	const size_t map_len = (size_t)(round_up(from + len, HUGE_PAGE) - start);
	char *map = mmap(NULL, map_len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)start);
	struct iovec local = {buf, len}, remote;
	ssize_t n;

	if (map == MAP_FAILED)
		return -errno;
	remote.iov_base = map + (from - start);
	remote.iov_len = len;
	n = is_write ? process_vm_writev(getpid(), &local, 1, &remote, 1, 0)
		     : process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	munmap(map, map_len);
	return n == (ssize_t)len ? 0 : -EIO;
}

int
unm_dregion_write(const struct unm_dregion *r, uint64_t ofs, const void *buf, size_t len)
{
	ssize_t n;

	if (ofs > r->info.size || len > r->info.size - ofs)
		return -EINVAL;
	if (!r->no_write_call) {
		n = pwrite(r->fd, buf, len, (off_t)(r->info.file_ofs + ofs));
		if (n == (ssize_t)len)
			return 0;
		if (n >= 0 || errno != EINVAL)
			return -EIO;
	}
	return copy_by_mapping(r, ofs, (void *)(uintptr_t)buf, len, true);
}

int
unm_dregion_read(const struct unm_dregion *r, uint64_t ofs, void *buf, size_t len)
{
	ssize_t n;

	if (ofs > r->info.size || len > r->info.size - ofs)
		return -EINVAL;
	if (!r->no_write_call) {
		n = pread(r->fd, buf, len, (off_t)(r->info.file_ofs + ofs));
		if (n == (ssize_t)len)
			return 0;
		if (n >= 0 || errno != EINVAL)
			return -EIO;
	}
	return copy_by_mapping(r, ofs, buf, len, false);
}
