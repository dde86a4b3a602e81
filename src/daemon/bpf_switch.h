/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that stays where it is attached, but works only as long as somebody holds a socket: for
 * kernels whose packet hooks have no links (before 6.6). The socket is the only entry of a table, which
 * it leaves with its last descriptor, however that is closed.
 */
#ifndef UNM_DAEMON_BPF_SWITCH_H
#define UNM_DAEMON_BPF_SWITCH_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * unm_bpf_switch_new() - a socket and its table
 * @map_fd: written: the table. The switch is off
 *
 * Return: the socket, or -errno: the kernel has no such tables for it (before 5.15).
 */
int unm_bpf_switch_new(int *map_fd);

/** unm_bpf_switch_set() - turn it on or off. Return: 0 or -errno. */
int unm_bpf_switch_set(int map_fd, int sock, bool is_on);

#define UNM_BPF_SWITCH_INSNS 11

/**
 * unm_bpf_switch_code() - instructions for a program of a packet hook: return @otherwise unless
 * the switch is on; else go on behind them, with no register kept
 */
void unm_bpf_switch_code(struct bpf_insn code[UNM_BPF_SWITCH_INSNS], int map_fd, int otherwise);

#endif
