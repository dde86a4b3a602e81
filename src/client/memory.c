/* SPDX-License-Identifier: BSD-2-Clause */
/* Mapped regions and segments. See memory.h. */
/* Syscalls: munmap fstat pread64 */
#include "client/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "client/fdtab.h"
#include "client/process.h"
#include "client/real.h"
#include "client/session.h"
#include "client/wake_cache.h"
#include "shm/atomic.h"

static struct unm_mregion *regions;
static struct unm_mseg *segments;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* both lists and the counts in them */

/* Everything handed out lies within; only grows. So most munmap() calls need no lock. */
static uintptr_t handed_lo = UINTPTR_MAX, handed_hi;

static void
lock_lists(struct unm_quiet *q)
{
	unm_quiet_begin(q);
	pthread_mutex_lock(&lock);
}

static void
unlock_lists(const struct unm_quiet *q)
{
	pthread_mutex_unlock(&lock);
	unm_quiet_end(q);
}

/*
 * Map @size bytes of @fd at @ofs after checking that they are there: beyond the file's end lies
 * SIGBUS.
 */
static int
map_file(void **out, int fd, uint64_t ofs, uint64_t size)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (size == 0 || ofs > (uint64_t)st.st_size || size > (uint64_t)st.st_size - ofs)
		return -EINVAL;
	p = UNM_REAL(mmap)(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)ofs);
	if (p == MAP_FAILED)
		return -errno;
	madvise(p, size, MADV_DONTDUMP); /* gigabytes of sparse file in a core dump help nobody */
	*out = p;
	return 0;
}

/* With the lock held. */
static struct unm_mregion *
find_region(uint64_t uid)
{
	struct unm_mregion *r;

	for (r = regions; r != NULL; r = r->next)
		if (r->region.info.uid == uid)
			return r;
	return NULL;
}

static int
make_region(struct unm_mregion **out, const struct unm_region_info *info, int *memfd, int *map_fd)
{
	struct unm_mregion *r = calloc(1, sizeof(*r));
	void *base;
	int err;

	if (r == NULL)
		return -ENOMEM;
	err = map_file(&base, *memfd, info->file_ofs, info->size);
	if (err < 0) {
		free(r);
		return err;
	}
	r->region.base = base;
	r->region.info = *info;
	r->refs = 1;
	r->memfd = unm_fd_internal(*memfd);
	*memfd = -1;
	r->map_fd = *map_fd < 0 ? -1 : unm_fd_internal(*map_fd);
	*map_fd = -1;
	if (r->memfd < 0) {
		err = r->memfd;
		unm_fd_internal_close(r->map_fd);
		UNM_REAL(munmap)(base, info->size);
		free(r);
		return err;
	}
	r->next = regions;
	regions = r;
	*out = r;
	return 0;
}

int
unm_memory_region(
	struct unm_mregion **out, const struct unm_region_info *info, int memfd, int map_fd)
{
	struct unm_quiet quiet;
	struct unm_mregion *r;
	int err = 0;

	lock_lists(&quiet);
	r = find_region(info->uid);
	if (r != NULL) {
		r->refs++;
		if (r->map_fd < 0 && map_fd >= 0) {
			r->map_fd = unm_fd_internal(map_fd);
			map_fd = -1;
		}
		*out = r;
	} else {
		err = make_region(out, info, &memfd, &map_fd);
	}
	unlock_lists(&quiet);
	if (memfd >= 0)
		UNM_RAW_CLOSE(memfd);
	if (map_fd >= 0)
		UNM_RAW_CLOSE(map_fd);
	return err;
}

/* With the lock held. Return: @r if it is to be destroyed, unlinked. */
static struct unm_mregion *
region_unref(struct unm_mregion *r)
{
	struct unm_mregion **p;

	if (--r->refs > 0)
		return NULL;
	for (p = &regions; *p != NULL; p = &(*p)->next)
		if (*p == r) {
			*p = r->next;
			break;
		}
	return r;
}

static void
region_destroy(struct unm_mregion *r)
{
	if (r == NULL)
		return;
	UNM_REAL(munmap)(r->region.base, r->region.info.size);
	unm_fd_internal_close(r->memfd);
	unm_fd_internal_close(r->map_fd);
	free(r);
}

void
unm_memory_region_put(struct unm_mregion *r)
{
	struct unm_quiet quiet;

	if (r == NULL)
		return;
	lock_lists(&quiet);
	r = region_unref(r);
	unlock_lists(&quiet);
	region_destroy(r);
}

void
unm_memory_region_put_view(struct unm_region *region)
{
	unm_memory_region_put((struct unm_mregion *)region);
}

static struct unm_region *
region_ref_uid(uint64_t uid)
{
	struct unm_quiet quiet;
	struct unm_mregion *r;

	lock_lists(&quiet);
	r = find_region(uid);
	if (r != NULL)
		r->refs++;
	unlock_lists(&quiet);
	return r == NULL ? NULL : &r->region;
}

int
unm_memory_region_get_uid(uint64_t uid, bool may_wait, struct unm_region **out)
{
	struct unm_msg_get_region req = {.info.uid = uid}, ans;
	struct unm_call c = {.type = UNM_MSG_GET_REGION,
		.flags = may_wait ? 0 : UNM_CALL_NOWAIT,
		.patience = may_wait ? 0 : unm_session_patience(),
		.body = &req,
		.body_len = sizeof(req),
		.ans = &ans,
		.ans_size = sizeof(ans)};
	struct unm_mregion *r = NULL;
	int err;

	*out = region_ref_uid(uid);
	if (*out != NULL)
		return 0;
	err = unm_session_call(&c);
	if (err < 0)
		return may_wait ? err : -EAGAIN; /* whatever it is, another session may know */
	if (c.error < 0 || c.n_ans_fds != 1 || c.ans_len != sizeof(ans) || ans.info.uid != uid) {
		unm_call_close_fds(&c, 0);
		return c.error < 0 ? c.error : -EPROTO;
	}
	err = unm_memory_region(&r, &ans.info, c.ans_fds[0], -1);
	if (err == 0)
		*out = &r->region;
	return err;
}

static int
make_segment(struct unm_mseg **out, uint64_t uid, uint64_t size, int *memfd)
{
	struct unm_mseg *s = calloc(1, sizeof(*s));
	void *map;
	int err;

	if (s == NULL)
		return -ENOMEM;
	err = map_file(&map, *memfd, 0, size);
	if (err < 0)
		goto no_map;
	err = unm_seg_attach(&s->seg, map, size);
	if (err == 0 && s->seg.uid != uid)
		err = -EINVAL;
	if (err == 0) {
		s->memfd = unm_fd_internal(*memfd);
		*memfd = -1;
		err = s->memfd < 0 ? s->memfd : 0;
	}
	if (err < 0)
		goto no_segment;
	s->size = size;
	s->refs = 1;
	s->next = segments;
	segments = s;
	*out = s;
	return 0;

no_segment:
	UNM_REAL(munmap)(map, size);
no_map:
	free(s);
	return err;
}

int
unm_memory_segment(struct unm_mseg **out, uint64_t uid, uint64_t size, int memfd)
{
	struct unm_quiet quiet;
	struct unm_mseg *s;
	int err = 0;

	lock_lists(&quiet);
	for (s = segments; s != NULL; s = s->next)
		if (s->seg.uid == uid)
			break;
	if (s != NULL) {
		s->refs++;
		*out = s;
	} else {
		err = make_segment(out, uid, size, &memfd);
	}
	unlock_lists(&quiet);
	if (memfd >= 0)
		UNM_RAW_CLOSE(memfd);
	return err;
}

void
unm_memory_segment_put(struct unm_mseg *s)
{
	struct unm_quiet quiet;
	struct unm_mseg **p;

	if (s == NULL)
		return;
	lock_lists(&quiet);
	if (--s->refs > 0) {
		unlock_lists(&quiet);
		return;
	}
	for (p = &segments; *p != NULL; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			break;
		}
	unlock_lists(&quiet);
	unm_wake_cache_forget(s->seg.uid);
	UNM_REAL(munmap)(s->seg.hdr, s->size);
	unm_fd_internal_close(s->memfd);
	free(s);
}

void *
unm_memory_hand_out(struct unm_mregion *r)
{
	const uintptr_t lo = (uintptr_t)r->region.base;
	struct unm_quiet quiet;

	lock_lists(&quiet);
	r->refs++;
	r->n_handed_out++;
	if (lo < handed_lo)
		__atomic_store_n(&handed_lo, lo, __ATOMIC_RELAXED);
	if (lo + r->region.info.size > handed_hi)
		__atomic_store_n(&handed_hi, lo + r->region.info.size, __ATOMIC_RELAXED);
	unlock_lists(&quiet);
	return r->region.base;
}

/* With the lock held: the handed-out region that overlaps the range. */
static struct unm_mregion *
find_handed_out(uintptr_t lo, size_t len)
{
	struct unm_mregion *r;

	for (r = regions; r != NULL; r = r->next) {
		const uintptr_t base = (uintptr_t)r->region.base;

		if (r->n_handed_out > 0 && lo < base + r->region.info.size && base < lo + len)
			return r;
	}
	return NULL;
}

bool
unm_memory_is_handed_out(const void *addr, size_t len)
{
	const uintptr_t lo = (uintptr_t)addr;
	struct unm_quiet quiet;
	bool found;

	if (lo >= __atomic_load_n(&handed_hi, __ATOMIC_RELAXED) ||
		lo + len <= __atomic_load_n(&handed_lo, __ATOMIC_RELAXED))
		return false;
	lock_lists(&quiet);
	found = find_handed_out(lo, len) != NULL;
	unlock_lists(&quiet);
	return found;
}

void
unm_memory_take_back(void *addr, size_t len)
{
	struct unm_mregion *r, *dead = NULL;
	struct unm_quiet quiet;

	lock_lists(&quiet);
	r = find_handed_out((uintptr_t)addr, len);
	if (r != NULL && (char *)addr == r->region.base && len >= r->region.info.size) {
		r->n_handed_out--;
		dead = region_unref(r);
	}
	unlock_lists(&quiet);
	region_destroy(dead);
}

void
unm_memory_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void
unm_memory_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

void
unm_memory_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	unm_wake_cache_after_fork();
}
