/* SPDX-License-Identifier: BSD-2-Clause */
/* Mapping files of the other side. See guest_file.h. */
#include "vm/guest_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vm/foreign_fd.h"

/* Offsets and lengths of a mapping are multiples of this: a huge page on hugetlbfs. */
static int
get_page_size(int fd, uint64_t *page)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return -EINVAL;
	*page = (uint64_t)sysconf(_SC_PAGESIZE);
	if (fs.f_type == HUGETLBFS_MAGIC)
		*page = (uint64_t)fs.f_bsize;
	return *page == 0 || (*page & (*page - 1)) != 0 ? -EINVAL : 0;
}

static int
check_file(int fd, uint64_t end, struct stat *st)
{
	if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))
		return -EINVAL;
	return st->st_size < 0 || (uint64_t)st->st_size < end ? -EINVAL : 0;
}

static int
map_file(struct unm_guest_file *out, int fd, uint64_t size, uint64_t ofs,
	struct unm_guest_guard *guard, bool is_foreign)
{
	uint64_t page, start, end, map_size;
	struct stat st;
	void *map;
	int err;

	if (size == 0 || __builtin_add_overflow(ofs, size, &end) || end > INT64_MAX)
		return -EINVAL;
	if (is_foreign && unm_fd_kind(fd) != UNM_FD_MEMORY)
		return -EMEDIUMTYPE;
	err = check_file(fd, end, &st);
	if (err == 0)
		err = get_page_size(fd, &page);
	if (err < 0)
		return err;
	start = ofs & ~(page - 1);
	/* No overflow: end is at most INT64_MAX, and a page far smaller than that. */
	map_size = (end - start + page - 1) & ~(page - 1);
	if (map_size > SIZE_MAX)
		return -ENOMEM;
	map = mmap(NULL, (size_t)map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		(off_t)start);
	if (map == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : -EINVAL;
	if (guard != NULL) {
		err = unm_guest_guard_add(guard, map, (size_t)map_size);
		if (err < 0) {
			munmap(map, (size_t)map_size);
			return err;
		}
	}
	*out = (struct unm_guest_file){.data = (uint8_t *)map + (ofs - start),
		.map = map,
		.map_size = (size_t)map_size,
		.guard = guard,
		.dev = st.st_dev,
		.ino = st.st_ino};
	return 0;
}

int
unm_guest_file_map(struct unm_guest_file *out, int fd, uint64_t size, uint64_t ofs,
	struct unm_guest_guard *guard)
{
	return map_file(out, fd, size, ofs, guard, true);
}

int
unm_guest_file_map_ours(
	struct unm_guest_file *out, int fd, uint64_t size, struct unm_guest_guard *guard)
{
	return map_file(out, fd, size, 0, guard, false);
}

void
unm_guest_file_unmap(struct unm_guest_file *f)
{
	if (f->data == NULL)
		return;
	if (f->guard != NULL)
		unm_guest_guard_remove(f->guard, f->map);
	munmap(f->map, f->map_size);
	*f = (struct unm_guest_file){0};
}

int
unm_guest_file_new(const char *name, uint64_t size)
{
	const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) == 0 && fallocate(fd, 0, 0, (off_t)size) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}
