/* SPDX-License-Identifier: BSD-2-Clause */
/* BPF programs as filters of a network interface: the way of kernels before 6.6, see tc-bpf(8). */
#ifndef UNM_DAEMON_CLSACT_H
#define UNM_DAEMON_CLSACT_H

#include <stdbool.h>
#include <stdint.h>

/* Another way of attaching programs than the kernel's best: "clsact". For tests. */
#define UNM_ATTACH_ENV "UNETMAP_ATTACH"

/** unm_clsact_is_wanted() - does it say so? */
bool unm_clsact_is_wanted(void);

/**
 * unm_clsact_add() - have @prog_fd look at what an interface of the current network namespace sends
 * (@is_egress) or receives
 *
 * In the place of one that was added before; other people's filters stay. The filter holds the
 * program until it is deleted or the interface is.
 * Return: 0, -EPERM, -ENODEV, -EOPNOTSUPP (kernel without clsact or cls_bpf), -errno.
 */
int unm_clsact_add(uint32_t ifindex, bool is_egress, int prog_fd);

/** unm_clsact_del() - undo it; the empty clsact qdisc stays. Return: 0 or -errno. */
int unm_clsact_del(uint32_t ifindex, bool is_egress);

#endif
