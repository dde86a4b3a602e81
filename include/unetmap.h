/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unetmap.h - what this implementation offers beyond netmap's API, for device servers.
 *
 * Functions that return int give 0, or -1 with errno set.
 */
#ifndef UNETMAP_H_
#define UNETMAP_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/**
 * unetmap_trust_memory() - let payload in this memory be read where it is
 * @start: address
 * @len: bytes
 *
 * The payload of an NS_INDIRECT slot is at an address of the program's. As that may be a bad one,
 * NIOCTXSYNC has the kernel fetch the bytes, in one system call more and with one copy more. What
 * lies wholly in memory named here is read directly instead, so the program answers for it: all of
 * it can be read as long as it is named, or a handler of the program's deals with SIGSEGV and
 * SIGBUS. Besides, such a slot may be longer than a buffer.
 *
 * Thread: any, but not while another one is in a sync with slots that point into this memory.
 * Errors: EINVAL empty, or it wraps around; ENOSPC too many ranges.
 */
int unetmap_trust_memory(const void *start, size_t len);

/** unetmap_distrust_memory() - undo it, by the same @start, before the memory goes away */
void unetmap_distrust_memory(const void *start);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* UNETMAP_H_ */
