/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BPF programs as netmapd needs them: a few instructions, written down as such and loaded with
 * bpf(2), so that neither a compiler nor a library for them is needed.
 */
#ifndef UNM_DAEMON_BPF_H
#define UNM_DAEMON_BPF_H

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

static inline struct bpf_insn
unm_bpf_insn(uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	return (struct bpf_insn){
		.code = code, .dst_reg = dst & 0xf, .src_reg = src & 0xf, .off = off, .imm = imm};
}

static inline struct bpf_insn
unm_bpf_mov(uint8_t dst, uint8_t src)
{
	return unm_bpf_insn(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static inline struct bpf_insn
unm_bpf_set(uint8_t dst, int32_t value)
{
	return unm_bpf_insn(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value);
}

static inline struct bpf_insn
unm_bpf_call(int32_t function)
{
	return unm_bpf_insn(BPF_JMP | BPF_CALL, 0, 0, 0, function);
}

static inline struct bpf_insn
unm_bpf_exit(void)
{
	return unm_bpf_insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/** unm_bpf() - bpf(2). Return: what it gives, or -errno. */
int unm_bpf(int cmd, union bpf_attr *attr);

/**
 * unm_bpf_load() - load a program
 * @type, @attach_type: BPF_PROG_TYPE_*; BPF_* or 0
 * @flags: BPF_F_*
 *
 * Return: descriptor; -EPERM; -EINVAL, -EACCES (the kernel does not take it), -errno.
 */
int unm_bpf_load(uint32_t type, uint32_t attach_type, uint32_t flags, const char *name,
	const struct bpf_insn *code, size_t n);

/**
 * unm_bpf_load_for() - the same, for interface @ifindex of the current namespace only: such a program
 * may ask the driver about a frame; 0: for any
 */
int unm_bpf_load_for(uint32_t ifindex, uint32_t type, uint32_t attach_type, uint32_t flags,
	const char *name, const struct bpf_insn *code, size_t n);

/** unm_bpf_map_new() - a table of @n numbers or descriptors. @type: BPF_MAP_TYPE_*. Return: descriptor or -errno. */
int unm_bpf_map_new(uint32_t type, uint32_t n, const char *name);
int unm_bpf_map_set(int map_fd, uint32_t key, uint32_t value);
int unm_bpf_map_clear(int map_fd, uint32_t key);

/**
 * unm_bpf_kfunc() - the number by which a program calls function @name of the running kernel (with
 * unm_bpf_call_kernel()). Return: it, or -ENOENT: there is no such function, or no telling.
 */
int unm_bpf_kfunc(const char *name);

static inline struct bpf_insn
unm_bpf_call_kernel(int32_t function)
{
	return unm_bpf_insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, function);
}

#endif
