/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking up the functions that we stand in front of. See real.h.
 *
 * dlsym is a weak reference: a fully static program does not pull the dynamic linker in because of
 * us, and gets the fallbacks. Two threads may look up the same name at once; they find the same.
 */
#include "client/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define KERNEL_SIGSET_SIZE 8

extern void *dlsym(void *restrict handle, const char *restrict name) __attribute__((weak));

void *unm_real_table[UNM_REAL_N];

#define NAME(name) [UNM_REAL_ID_##name] = #name,
static const char *const names[UNM_REAL_N] = {UNM_REAL_LIST(NAME)};
#undef NAME

/* What a static program gets. Each has the signature of the function whose place it takes. */

static int
raw_openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return (int)syscall(SYS_openat, dir, path, flags, mode);
}

static int
raw_open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return raw_openat(AT_FDCWD, path, flags, mode);
}

static int
raw_close(int fd)
{
	return (int)syscall(SYS_close, fd);
}

static int
raw_close_range(unsigned int first, unsigned int last, int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

static void
raw_closefrom(int first)
{
	syscall(SYS_close_range, first, ~0u, 0);
}

static int
raw_dup(int fd)
{
	return (int)syscall(SYS_dup, fd);
}

static int
raw_dup3(int from, int to, int flags)
{
	return (int)syscall(SYS_dup3, from, to, flags);
}

static int
raw_dup2(int from, int to)
{
	if (from == to)
		return syscall(SYS_fcntl, from, F_GETFD) < 0 ? -1 : to;
	return raw_dup3(from, to, 0);
}

static int
raw_fcntl(int fd, int op, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, op);
	arg = va_arg(ap, void *);
	va_end(ap);
	return (int)syscall(SYS_fcntl, fd, op, arg);
}

static int
raw_ioctl(int fd, unsigned long req, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	return (int)syscall(SYS_ioctl, fd, req, arg);
}

static void *
raw_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t ofs)
{
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, ofs);
}

static int
raw_munmap(void *addr, size_t len)
{
	return (int)syscall(SYS_munmap, addr, len);
}

static ssize_t
raw_read(int fd, void *buf, size_t len)
{
	return syscall(SYS_read, fd, buf, len);
}

static ssize_t
raw_write(int fd, const void *buf, size_t len)
{
	return syscall(SYS_write, fd, buf, len);
}

/* The kernel writes the remaining time back, which the C library's ppoll and pselect hide. */
static int
raw_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec left;

	if (timeout != NULL)
		left = *timeout;
	return (int)syscall(
		SYS_ppoll, fds, n, timeout != NULL ? &left : NULL, mask, KERNEL_SIGSET_SIZE);
}

static int
raw_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	const struct timespec t = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

	return raw_ppoll(fds, n, timeout_ms < 0 ? NULL : &t, NULL);
}

static int
raw_pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *timeout,
	const sigset_t *mask)
{
	const struct {
		const sigset_t *set;
		size_t size;
	} m = {mask, KERNEL_SIGSET_SIZE};
	struct timespec left;

	if (timeout != NULL)
		left = *timeout;
	return (int)syscall(SYS_pselect6, n, r, w, e, timeout != NULL ? &left : NULL, &m);
}

static int
raw_select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *timeout)
{
	struct timespec t;

	if (timeout != NULL)
		t = (struct timespec){timeout->tv_sec, timeout->tv_usec * 1000L};
	return raw_pselect(n, r, w, e, timeout != NULL ? &t : NULL, NULL);
}

static int
raw_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, ev);
}

static int
raw_epoll_pwait(int epfd, struct epoll_event *ev, int max, int timeout_ms, const sigset_t *mask)
{
	return (int)syscall(SYS_epoll_pwait, epfd, ev, max, timeout_ms, mask, KERNEL_SIGSET_SIZE);
}

static int
raw_epoll_wait(int epfd, struct epoll_event *ev, int max, int timeout_ms)
{
	return raw_epoll_pwait(epfd, ev, max, timeout_ms, NULL);
}

static int
raw_epoll_pwait2(int epfd, struct epoll_event *ev, int max, const struct timespec *timeout,
	const sigset_t *mask)
{
#ifdef SYS_epoll_pwait2
	return (int)syscall(SYS_epoll_pwait2, epfd, ev, max, timeout, mask, KERNEL_SIGSET_SIZE);
#else
	errno = ENOSYS;
	return -1;
#endif
}

static ssize_t
raw_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return syscall(SYS_recvmsg, fd, msg, flags);
}

static int
raw_recvmmsg(int fd, struct mmsghdr *vec, unsigned int n, int flags, struct timespec *timeout)
{
	return (int)syscall(SYS_recvmmsg, fd, vec, n, flags, timeout);
}

static int
raw_fstatat(int dir, const char *path, struct stat *st, int flags)
{
#ifdef SYS_newfstatat
	return (int)syscall(SYS_newfstatat, dir, path, st, flags);
#else
	return (int)syscall(SYS_fstatat, dir, path, st, flags);
#endif
}

static int
raw_stat(const char *path, struct stat *st)
{
	return raw_fstatat(AT_FDCWD, path, st, 0);
}

static int
raw_lstat(const char *path, struct stat *st)
{
	return raw_fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

/*
 * The forms that programs built against an old C library call; the first argument names a struct
 * layout.
 */
static int
raw_xstat(int version, const char *path, struct stat *st)
{
	(void)version; /* one layout on 64-bit machines */
	return raw_stat(path, st);
}

static int
raw_lxstat(int version, const char *path, struct stat *st)
{
	(void)version;
	return raw_lstat(path, st);
}

static int
raw_fxstatat(int version, int dir, const char *path, struct stat *st, int flags)
{
	(void)version;
	return raw_fstatat(dir, path, st, flags);
}

static int
raw_statx(int dir, const char *path, int flags, unsigned int mask, struct statx *st)
{
	return (int)syscall(SYS_statx, dir, path, flags, mask, st);
}

static int
raw_faccessat(int dir, const char *path, int mode, int flags)
{
#ifdef SYS_faccessat2
	return (int)syscall(SYS_faccessat2, dir, path, mode, flags);
#else
	(void)flags; /* this kernel interface has none */
	return (int)syscall(SYS_faccessat, dir, path, mode);
#endif
}

static int
raw_access(const char *path, int mode)
{
	return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

static void *const fallbacks[UNM_REAL_N] = {
	[UNM_REAL_ID_open] = raw_open,
	[UNM_REAL_ID_openat] = raw_openat,
	[UNM_REAL_ID_close] = raw_close,
	[UNM_REAL_ID_close_range] = raw_close_range,
	[UNM_REAL_ID_closefrom] = raw_closefrom,
	[UNM_REAL_ID_dup] = raw_dup,
	[UNM_REAL_ID_dup2] = raw_dup2,
	[UNM_REAL_ID_dup3] = raw_dup3,
	[UNM_REAL_ID_fcntl] = raw_fcntl,
	[UNM_REAL_ID_ioctl] = raw_ioctl,
	[UNM_REAL_ID_mmap] = raw_mmap,
	[UNM_REAL_ID_munmap] = raw_munmap,
	[UNM_REAL_ID_read] = raw_read,
	[UNM_REAL_ID_write] = raw_write,
	[UNM_REAL_ID_poll] = raw_poll,
	[UNM_REAL_ID_ppoll] = raw_ppoll,
	[UNM_REAL_ID_select] = raw_select,
	[UNM_REAL_ID_pselect] = raw_pselect,
	[UNM_REAL_ID_epoll_ctl] = raw_epoll_ctl,
	[UNM_REAL_ID_epoll_wait] = raw_epoll_wait,
	[UNM_REAL_ID_epoll_pwait] = raw_epoll_pwait,
	[UNM_REAL_ID_epoll_pwait2] = raw_epoll_pwait2,
	[UNM_REAL_ID_recvmsg] = raw_recvmsg,
	[UNM_REAL_ID_recvmmsg] = raw_recvmmsg,
	[UNM_REAL_ID_stat] = raw_stat,
	[UNM_REAL_ID_lstat] = raw_lstat,
	[UNM_REAL_ID_fstatat] = raw_fstatat,
	[UNM_REAL_ID_statx] = raw_statx,
	[UNM_REAL_ID_access] = raw_access,
	[UNM_REAL_ID_faccessat] = raw_faccessat,
	[UNM_REAL_ID___xstat] = raw_xstat,
	[UNM_REAL_ID___lxstat] = raw_lxstat,
	[UNM_REAL_ID___fxstatat] = raw_fxstatat,
};

void *
unm_pages_alloc(size_t size)
{
	void *p = raw_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void
unm_pages_free(void *pages, size_t size)
{
	raw_munmap(pages, size);
}

void *
unm_real_resolve(enum unm_real_id id)
{
	const int saved = errno;
	void *f = NULL;

	if (dlsym != NULL)
		f = dlsym(RTLD_NEXT, names[id]);
	if (f == NULL)
		f = fallbacks[id];
	__atomic_store_n(&unm_real_table[id], f, __ATOMIC_RELAXED);
	errno = saved;
	return f;
}
