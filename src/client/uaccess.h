/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies from and to addresses that the application gave us: EFAULT instead of a crash, as a kernel
 * would.
 */
#ifndef UNM_CLIENT_UACCESS_H
#define UNM_CLIENT_UACCESS_H

#include <stddef.h>
#include <stdint.h>

/**
 * unm_user_read(), unm_user_write() - checked copy
 *
 * A copy that fails may have been done in part. Costs a system call: for control requests. Return:
 * 0 or -EFAULT.
 */
int unm_user_read(void *dst, uint64_t user, size_t len);
int unm_user_write(uint64_t user, const void *src, size_t len);

#endif
