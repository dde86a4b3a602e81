/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions about the path "/dev/netmap": it exists, as a character device that everybody may read
 * and write.
 *
 * Programs look for netmap with stat() or access(). Whether a netmapd can be had is only known by
 * open().
 */
#include "client/interpose.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "client/real.h"

#define DEVICE_MODE  (S_IFCHR | 0666)
#define DEVICE_MAJOR 10 /* of miscellaneous devices, where upstream's module has it */
#define DEVICE_MINOR 0
#define DEVICE_INODE 1
#define BLOCK_BYTES  4096

static inline bool
is_device(const char *path)
{
	return path != NULL && path[0] == '/' &&
	       __builtin_expect(strcmp(path, "/dev/netmap") == 0, 0);
}

static int
fill_stat(struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_mode = DEVICE_MODE;
	st->st_nlink = 1;
	st->st_ino = DEVICE_INODE;
	st->st_rdev = makedev(DEVICE_MAJOR, DEVICE_MINOR);
	st->st_blksize = BLOCK_BYTES;
	return 0;
}

UNM_INTERPOSE int
stat(const char *path, struct stat *st)
{
	return is_device(path) ? fill_stat(st) : UNM_REAL(stat)(path, st);
}

UNM_INTERPOSE int
lstat(const char *path, struct stat *st)
{
	return is_device(path) ? fill_stat(st) : UNM_REAL(lstat)(path, st);
}

UNM_INTERPOSE int
fstatat(int dir, const char *path, struct stat *st, int flags)
{
	return is_device(path) ? fill_stat(st) : UNM_REAL(fstatat)(dir, path, st, flags);
}

/* One layout for both on 64-bit machines. */
static_assert(sizeof(struct stat) == sizeof(struct stat64), "struct stat64");

UNM_INTERPOSE int
stat64(const char *path, struct stat64 *st)
{
	return stat(path, (struct stat *)(void *)st);
}

UNM_INTERPOSE int
lstat64(const char *path, struct stat64 *st)
{
	return lstat(path, (struct stat *)(void *)st);
}

UNM_INTERPOSE int
fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	return fstatat(dir, path, (struct stat *)(void *)st, flags);
}

UNM_INTERPOSE int
statx(int dir, const char *path, int flags, unsigned int mask, struct statx *st)
{
	if (!is_device(path))
		return UNM_REAL(statx)(dir, path, flags, mask, st);
	memset(st, 0, sizeof(*st));
	st->stx_mask = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID | STATX_INO;
	st->stx_mode = DEVICE_MODE;
	st->stx_nlink = 1;
	st->stx_ino = DEVICE_INODE;
	st->stx_rdev_major = DEVICE_MAJOR;
	st->stx_rdev_minor = DEVICE_MINOR;
	st->stx_blksize = BLOCK_BYTES;
	return 0;
}

/* What programs built against a C library before 2.33 call. */
int __xstat(int version, const char *path, struct stat *st);
int __lxstat(int version, const char *path, struct stat *st);
int __fxstatat(int version, int dir, const char *path, struct stat *st, int flags);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat64(int version, const char *path, struct stat64 *st);
int __fxstatat64(int version, int dir, const char *path, struct stat64 *st, int flags);

UNM_INTERPOSE int
__xstat(int version, const char *path, struct stat *st)
{
	return is_device(path) ? fill_stat(st) : UNM_REAL(__xstat)(version, path, st);
}

UNM_INTERPOSE int
__lxstat(int version, const char *path, struct stat *st)
{
	return is_device(path) ? fill_stat(st) : UNM_REAL(__lxstat)(version, path, st);
}

UNM_INTERPOSE int
__fxstatat(int version, int dir, const char *path, struct stat *st, int flags)
{
	return is_device(path) ? fill_stat(st)
			       : UNM_REAL(__fxstatat)(version, dir, path, st, flags);
}

UNM_INTERPOSE int
__xstat64(int version, const char *path, struct stat64 *st)
{
	return __xstat(version, path, (struct stat *)(void *)st);
}

UNM_INTERPOSE int
__lxstat64(int version, const char *path, struct stat64 *st)
{
	return __lxstat(version, path, (struct stat *)(void *)st);
}

UNM_INTERPOSE int
__fxstatat64(int version, int dir, const char *path, struct stat64 *st, int flags)
{
	return __fxstatat(version, dir, path, (struct stat *)(void *)st, flags);
}

UNM_INTERPOSE int
access(const char *path, int mode)
{
	if (!is_device(path))
		return UNM_REAL(access)(path, mode);
	if (!(mode & X_OK))
		return 0;
	errno = EACCES;
	return -1;
}

UNM_INTERPOSE int
faccessat(int dir, const char *path, int mode, int flags)
{
	return is_device(path) ? access(path, mode) : UNM_REAL(faccessat)(dir, path, mode, flags);
}
