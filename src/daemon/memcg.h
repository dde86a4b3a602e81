/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the memory cgroup has left. Whoever commits more than that is not refused by the kernel, but
 * killed: a container's netmapd by one program that opens a large port.
 */
#ifndef UNM_DAEMON_MEMCG_H
#define UNM_DAEMON_MEMCG_H

#include <stdint.h>

/**
 * unm_memcg_room() - bytes that may still be committed
 *
 * The least of what this process's cgroup and those above it have left, of both versions; what is in the
 * page cache and has not been used for a while counts as left, and an eighth is not given away.
 * UINT64_MAX: no limit. Blocks for some reads of pseudo files.
 */
uint64_t unm_memcg_room(void);

/* The same with /proc/self/cgroup and /sys/fs/cgroup elsewhere. For tests. */
uint64_t unm_memcg_room_at(const char *proc_file, const char *mount);

#endif
