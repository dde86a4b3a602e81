/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The C library's own functions, behind the ones that we put in their place.
 *
 * UNM_REAL(close)(fd) calls what close() was before us. Each is looked up once, at its first use,
 * so calls that come before any constructor work. In a fully static program there is nothing behind
 * us to look up: a raw system call takes its place (without being a cancellation point).
 *
 * UNM_RAW_*: system calls for the library's own descriptors. They pass by the interposer, which
 * would refuse to close what it protects, and they are async-signal-safe.
 */
#ifndef UNM_CLIENT_REAL_H
#define UNM_CLIENT_REAL_H

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNM_REAL_LIST(X)                                                                           \
	X(open)                                                                                    \
	X(openat)                                                                                  \
	X(close)                                                                                   \
	X(close_range)                                                                             \
	X(closefrom)                                                                               \
	X(dup)                                                                                     \
	X(dup2)                                                                                    \
	X(dup3)                                                                                    \
	X(fcntl)                                                                                   \
	X(ioctl)                                                                                   \
	X(mmap)                                                                                    \
	X(munmap)                                                                                  \
	X(read)                                                                                    \
	X(write)                                                                                   \
	X(poll)                                                                                    \
	X(ppoll)                                                                                   \
	X(select)                                                                                  \
	X(pselect)                                                                                 \
	X(epoll_ctl)                                                                               \
	X(epoll_wait)                                                                              \
	X(epoll_pwait)                                                                             \
	X(epoll_pwait2)                                                                            \
	X(recvmsg)                                                                                 \
	X(recvmmsg)                                                                                \
	X(stat)                                                                                    \
	X(lstat)                                                                                   \
	X(fstatat)                                                                                 \
	X(statx)                                                                                   \
	X(access)                                                                                  \
	X(faccessat)                                                                               \
	X(__xstat)                                                                                 \
	X(__lxstat)                                                                                \
	X(__fxstatat)

#define UNM_REAL_ENUM(name) UNM_REAL_ID_##name,
enum unm_real_id {
	UNM_REAL_LIST(UNM_REAL_ENUM) UNM_REAL_N,
};
#undef UNM_REAL_ENUM

extern void *unm_real_table[UNM_REAL_N];

void *unm_real_resolve(enum unm_real_id id);

static inline void *
unm_real_get(enum unm_real_id id)
{
	void *f = __atomic_load_n(&unm_real_table[id], __ATOMIC_RELAXED);

	return __builtin_expect(f != NULL, 1) ? f : unm_real_resolve(id);
}

#define UNM_REAL(name) ((__typeof__(&name))unm_real_get(UNM_REAL_ID_##name))

/*
 * Zeroed private memory by the page, without malloc: async-signal-safe. Return: NULL when there is
 * none.
 */
void *unm_pages_alloc(size_t size);
void unm_pages_free(void *pages, size_t size);

#define UNM_RAW_CLOSE(fd)	   syscall(SYS_close, fd)
#define UNM_RAW_FCNTL(fd, op, arg) syscall(SYS_fcntl, fd, op, arg)
#define UNM_RAW_READ(fd, p, n)	   syscall(SYS_read, fd, p, n)
#define UNM_RAW_WRITE(fd, p, n)	   syscall(SYS_write, fd, p, n)

#endif
