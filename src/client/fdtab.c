/* SPDX-License-Identifier: BSD-2-Clause */
/* The process's table of descriptors. See fdtab.h. */
#include "client/fdtab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "client/real.h"
#include "shm/atomic.h"

#define INTERNAL_FD_MIN                                                                            \
	512 /* above what select(2) users and shells count on, below the usual limit of 1024 */

bool unm_fdtab_used;
struct unm_file **unm_fdtab_root[UNM_FDTAB_ROOT];

/* All internal descriptors are the same to the table. Its count never reaches 0. */
static struct unm_file internal_file = {.kind = UNM_FILE_INTERNAL, .refs = 1};

bool
unm_file_try_hold(struct unm_file *f)
{
	uint32_t refs = UNM_READ_ONCE(f->refs);

	do {
		if (refs == 0)
			return false;
	} while (!__atomic_compare_exchange_n(
		&f->refs, &refs, refs + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

void
unm_file_put(struct unm_file *f)
{
	if (f->kind == UNM_FILE_INTERNAL)
		return;
	if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) == 0)
		f->release(f);
}

/* The leaf of @fd, made if need be. Two threads may both make one; the first wins. */
static struct unm_file **
leaf_of(int fd)
{
	struct unm_file ***slot = &unm_fdtab_root[fd / UNM_FDTAB_LEAF];
	struct unm_file **leaf = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	const size_t size = UNM_FDTAB_LEAF * sizeof(*leaf);
	struct unm_file **expected = NULL;

	if (leaf != NULL)
		return leaf;
	leaf = unm_pages_alloc(size);
	if (leaf == NULL)
		return NULL;
	if (__atomic_compare_exchange_n(
		    slot, &expected, leaf, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return leaf;
	unm_pages_free(leaf, size);
	return expected;
}

int
unm_fdtab_set(int fd, struct unm_file *f)
{
	struct unm_file **leaf, *old;

	if (fd < 0 || fd >= UNM_FDTAB_MAX)
		return -EMFILE;
	leaf = leaf_of(fd);
	if (leaf == NULL)
		return -ENOMEM;
	__atomic_store_n(&unm_fdtab_used, true, __ATOMIC_RELAXED);
	old = __atomic_exchange_n(&leaf[fd % UNM_FDTAB_LEAF], f, __ATOMIC_ACQ_REL);
	if (old != NULL)
		unm_file_put(old);
	return 0;
}

struct unm_file *
unm_fdtab_take(int fd)
{
	struct unm_file **leaf;

	if ((unsigned int)fd >= UNM_FDTAB_MAX)
		return NULL;
	leaf = __atomic_load_n(&unm_fdtab_root[fd / UNM_FDTAB_LEAF], __ATOMIC_ACQUIRE);
	if (leaf == NULL)
		return NULL;
	return __atomic_exchange_n(&leaf[fd % UNM_FDTAB_LEAF], NULL, __ATOMIC_ACQ_REL);
}

int
unm_fdtab_next(int from, int last)
{
	int fd = from < 0 ? 0 : from;

	if (last >= UNM_FDTAB_MAX)
		last = UNM_FDTAB_MAX - 1;
	while (fd <= last) { /* bounded by the table */
		struct unm_file **leaf =
			__atomic_load_n(&unm_fdtab_root[fd / UNM_FDTAB_LEAF], __ATOMIC_ACQUIRE);

		if (leaf == NULL) {
			fd = (fd / UNM_FDTAB_LEAF + 1) * UNM_FDTAB_LEAF;
			continue;
		}
		if (__atomic_load_n(&leaf[fd % UNM_FDTAB_LEAF], __ATOMIC_RELAXED) != NULL)
			return fd;
		fd++;
	}
	return -1;
}

static int
internal_min(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < 2 * INTERNAL_FD_MIN)
		return (int)lim.rlim_cur / 2;
	return INTERNAL_FD_MIN;
}

int
unm_fd_internal(int fd)
{
	int moved = (int)UNM_RAW_FCNTL(fd, F_DUPFD_CLOEXEC, internal_min());
	int err;

	if (moved < 0)
		moved = (int)UNM_RAW_FCNTL(fd, F_DUPFD_CLOEXEC, 0);
	err = moved < 0 ? -errno : 0;
	UNM_RAW_CLOSE(fd);
	if (err < 0)
		return err;
	err = unm_fdtab_set(moved, &internal_file);
	if (err < 0) {
		UNM_RAW_CLOSE(moved);
		return err;
	}
	return moved;
}

void
unm_fd_internal_close(int fd)
{
	if (fd < 0)
		return;
	unm_fdtab_take(fd);
	UNM_RAW_CLOSE(fd);
}
