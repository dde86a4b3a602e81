/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checked copies. See uaccess.h.
 *
 * The kernel copies between us and ourselves (process_vm_readv, process_vm_writev) and says if a
 * page is not there. Where a sandbox refuses these calls, only the first page, home of null
 * pointers, is caught; the rest is trusted.
 */
/* Syscalls: process_vm_readv process_vm_writev */
#include "client/uaccess.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOWEST_ADDRESS 4096

static bool
is_refused(ssize_t n)
{
	return n < 0 && (errno == ENOSYS || errno == EPERM);
}

int
unm_user_read(void *dst, uint64_t user, size_t len)
{
	const struct iovec to = {dst, len}, from = {(void *)(uintptr_t)user, len};
	const int saved = errno;
	ssize_t n;

	if (len == 0)
		return 0;
	n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	if (is_refused(n) && user >= LOWEST_ADDRESS) {
		memcpy(dst, from.iov_base, len);
		n = (ssize_t)len;
	}
	errno = saved;
	return n == (ssize_t)len ? 0 : -EFAULT;
}

int
unm_user_write(uint64_t user, const void *src, size_t len)
{
	const struct iovec from = {(void *)(uintptr_t)src, len},
			   to = {(void *)(uintptr_t)user, len};
	const int saved = errno;
	ssize_t n;

	if (len == 0)
		return 0;
	n = process_vm_writev(getpid(), &from, 1, &to, 1, 0);
	if (is_refused(n) && user >= LOWEST_ADDRESS) {
		memcpy(to.iov_base, src, len);
		n = (ssize_t)len;
	}
	errno = saved;
	return n == (ssize_t)len ? 0 : -EFAULT;
}
