/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interposed calls that make, change and end descriptors, and those that act on one.
 *
 * Each begins with the question whether any netmap descriptor has ever been seen; if not, or if
 * this one is not ours, the C library's function is called as if we were not there. The meaning of
 * the calls on the device is in device.c.
 */
#include "client/interpose.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include "client/desc.h"
#include "client/device.h"
#include "client/fdtab.h"
#include "client/memory.h"
#include "client/process.h"
#include "client/real.h"
#include "client/session.h"

static const char device_path[] = "/dev/netmap";

/* Has @fd an entry? One load for programs without netmap. */
static inline struct unm_file *
ours(int fd)
{
	return __builtin_expect(unm_fdtab_used, 0) ? unm_fdtab_get(fd) : NULL;
}

static inline bool
is_device(const char *path)
{
	return path != NULL && path[0] == '/' &&
	       __builtin_expect(strcmp(path, device_path) == 0, 0);
}

/* open */

static int
open_device(int flags)
{
	const int saved = errno;
	const int fd = unm_desc_open(flags);

	errno = fd < 0 ? -fd : saved;
	return fd < 0 ? -1 : fd;
}

#define NEEDS_MODE(flags) (((flags)&O_CREAT) || ((flags)&O_TMPFILE) == O_TMPFILE)

/* The argument after the flags, if there is one. */
#define TAKE_MODE(mode, flags)                                                                     \
	do {                                                                                       \
		va_list ap_;                                                                       \
		va_start(ap_, flags);                                                              \
		(mode) = NEEDS_MODE(flags) ? va_arg(ap_, mode_t) : 0;                              \
		va_end(ap_);                                                                       \
	} while (0)

UNM_INTERPOSE int
open(const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_MODE(mode, flags);
	return is_device(path) ? open_device(flags) : UNM_REAL(open)(path, flags, mode);
}

/*
 * On 64-bit machines, the only ones we support, the "64" calls differ from the plain ones by
 * O_LARGEFILE, which has no effect.
 */
UNM_INTERPOSE int
open64(const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_MODE(mode, flags);
	return is_device(path) ? open_device(flags) : UNM_REAL(open)(path, flags, mode);
}

UNM_INTERPOSE int
openat(int dir, const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_MODE(mode, flags);
	return is_device(path) ? open_device(flags) : UNM_REAL(openat)(dir, path, flags, mode);
}

UNM_INTERPOSE int
openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_MODE(mode, flags);
	return is_device(path) ? open_device(flags) : UNM_REAL(openat)(dir, path, flags, mode);
}

/* What fortified programs call when the flags need no mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

UNM_INTERPOSE int
__open_2(const char *path, int flags)
{
	return open(path, flags, 0);
}

UNM_INTERPOSE int
__open64_2(const char *path, int flags)
{
	return open(path, flags, 0);
}

UNM_INTERPOSE int
__openat_2(int dir, const char *path, int flags)
{
	return openat(dir, path, flags, 0);
}

UNM_INTERPOSE int
__openat64_2(int dir, const char *path, int flags)
{
	return openat(dir, path, flags, 0);
}

/* close */

UNM_INTERPOSE int
close(int fd)
{
	const struct unm_file *f = ours(fd);

	if (__builtin_expect(f == NULL, 1))
		return UNM_REAL(close)(fd);
	if (f->kind == UNM_FILE_INTERNAL) {
		errno = EBADF; /* to the application it is not open */
		return -1;
	}
	return unm_process_is_ours() ? unm_desc_close(fd) : UNM_REAL(close)(fd);
}

/* Close [first, last] but for internal descriptors. The table has forgotten the others already. */
static int
close_around(unsigned int first, unsigned int last, int flags)
{
	unsigned int from = first;
	int r = 0;

	while (from <= last && r == 0) { /* each round moves on by at least one */
		int fd = from < UNM_FDTAB_MAX
				 ? unm_fdtab_next((int)from, (int)(last < INT_MAX ? last : INT_MAX))
				 : -1;

		if (fd < 0)
			return UNM_REAL(close_range)(from, last, flags);
		if ((unsigned int)fd > from)
			r = UNM_REAL(close_range)(from, (unsigned int)fd - 1, flags);
		from = (unsigned int)fd + 1;
	}
	return r;
}

UNM_INTERPOSE int
close_range(unsigned int first, unsigned int last, int flags)
{
	const int end = (int)(last < INT_MAX ? last : INT_MAX);
	int fd;

	/* Internal descriptors are close-on-exec anyway */
	if (!unm_fdtab_used || first > last || (flags & CLOSE_RANGE_CLOEXEC))
		return UNM_REAL(close_range)(first, last, flags);
	for (fd = first < UNM_FDTAB_MAX ? unm_fdtab_next((int)first, end) : -1; fd >= 0;
		fd = unm_fdtab_next(fd + 1, end)) { /* bounded by the table */
		const struct unm_file *f = unm_fdtab_get(fd);

		if (f != NULL && f->kind != UNM_FILE_INTERNAL)
			close(fd);
	}
	return close_around(first, last, flags);
}

UNM_INTERPOSE void
closefrom(int first)
{
	if (!unm_fdtab_used)
		UNM_REAL(closefrom)(first);
	else
		close_range(first < 0 ? 0 : (unsigned int)first, ~0u, 0);
}

/* dup: the new number stands for the same file. */

static void
copy_entry(struct unm_file *f, int to)
{
	if (!unm_process_is_ours() || !unm_file_try_hold(f))
		return;
	if (unm_fdtab_set(to, f) < 0)
		unm_file_put(f);
}

UNM_INTERPOSE int
dup(int fd)
{
	struct unm_file *f = ours(fd);
	const int r = UNM_REAL(dup)(fd);

	if (__builtin_expect(f != NULL, 0) && r >= 0 && f->kind != UNM_FILE_INTERNAL)
		copy_entry(f, r);
	return r;
}

/*
 * dup2 and dup3 on @to: keep it from being one of ours, and bring the table up to date after the
 * call.
 */
static bool
may_replace(int to)
{
	const struct unm_file *f = ours(to);

	if (f == NULL || f->kind != UNM_FILE_INTERNAL)
		return true;
	errno = EBUSY;
	return false;
}

static void
replaced(int from, int to)
{
	struct unm_file *f = ours(from), *old;

	if (f != NULL && f->kind != UNM_FILE_INTERNAL) {
		copy_entry(f, to);
	} else if (ours(to) != NULL && unm_process_is_ours()) {
		old = unm_fdtab_take(to);
		if (old != NULL)
			unm_file_put(old);
	}
}

UNM_INTERPOSE int
dup2(int from, int to)
{
	int r;

	if (__builtin_expect(!unm_fdtab_used, 1))
		return UNM_REAL(dup2)(from, to);
	if (!may_replace(to))
		return -1;
	r = UNM_REAL(dup2)(from, to);
	if (r >= 0 && from != to)
		replaced(from, to);
	return r;
}

UNM_INTERPOSE int
dup3(int from, int to, int flags)
{
	int r;

	if (__builtin_expect(!unm_fdtab_used, 1))
		return UNM_REAL(dup3)(from, to, flags);
	if (!may_replace(to))
		return -1;
	r = UNM_REAL(dup3)(from, to, flags);
	if (r >= 0)
		replaced(from, to);
	return r;
}

static int
fcntl_any(int fd, int op, void *arg)
{
	const int r = UNM_REAL(fcntl)(fd, op, arg);
	struct unm_file *f;

	if ((op != F_DUPFD && op != F_DUPFD_CLOEXEC) || r < 0)
		return r;
	f = ours(fd);
	if (f != NULL && f->kind != UNM_FILE_INTERNAL)
		copy_entry(f, r);
	return r;
}

UNM_INTERPOSE int
fcntl(int fd, int op, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, op);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fcntl_any(fd, op, arg);
}

UNM_INTERPOSE int
fcntl64(int fd, int op, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, op);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fcntl_any(fd, op, arg);
}

/* Acting on a descriptor */

UNM_INTERPOSE int
ioctl(int fd, unsigned long req, ...)
{
	const struct unm_file *f = ours(fd);
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (__builtin_expect(f != NULL, 0)) {
		if (f->kind == UNM_FILE_DESC)
			return unm_device_ioctl(fd, req, arg);
	} else if (unm_device_is_ioctl(req) && unm_desc_adopt(fd)) {
		return unm_device_ioctl(fd, req, arg);
	}
	return UNM_REAL(ioctl)(fd, req, arg);
}

static void *
mmap_any(void *addr, size_t len, int prot, int flags, int fd, off_t ofs)
{
	const struct unm_file *f = flags & MAP_ANONYMOUS ? NULL : ours(fd);
	const int saved = errno;
	void *p;

	if (f != NULL && f->kind == UNM_FILE_DESC)
		return unm_device_mmap(fd, addr, len, prot, flags, ofs);
	p = UNM_REAL(mmap)(addr, len, prot, flags, fd, ofs);
	if (__builtin_expect(p != MAP_FAILED || errno != ENODEV || (flags & MAP_ANONYMOUS), 1))
		return p;
	if (!unm_desc_adopt(fd)) /* a socket, perhaps one of ours that exec has brought */
		return p;
	errno = saved;
	return unm_device_mmap(fd, addr, len, prot, flags, ofs);
}

UNM_INTERPOSE void *
mmap(void *addr, size_t len, int prot, int flags, int fd, off_t ofs)
{
	return mmap_any(addr, len, prot, flags, fd, ofs);
}

UNM_INTERPOSE void *
mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t ofs)
{
	return mmap_any(addr, len, prot, flags, fd, ofs);
}

UNM_INTERPOSE int
munmap(void *addr, size_t len)
{
	if (__builtin_expect(unm_fdtab_used, 0) && unm_memory_is_handed_out(addr, len)) {
		unm_memory_take_back(addr, len);
		return 0;
	}
	return UNM_REAL(munmap)(addr, len);
}

/* The device has neither read nor write. The socket that stands for it has, and would block. */

UNM_INTERPOSE ssize_t
read(int fd, void *buf, size_t len)
{
	const struct unm_file *f = ours(fd);

	if (__builtin_expect(f != NULL, 0) && f->kind == UNM_FILE_DESC) {
		errno = EINVAL;
		return -1;
	}
	return UNM_REAL(read)(fd, buf, len);
}

UNM_INTERPOSE ssize_t
write(int fd, const void *buf, size_t len)
{
	const struct unm_file *f = ours(fd);

	if (__builtin_expect(f != NULL, 0) && f->kind == UNM_FILE_DESC) {
		errno = EINVAL;
		return -1;
	}
	return UNM_REAL(write)(fd, buf, len);
}
