/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf(2). See bpf.h. */
/* Which commands of bpf(2) may be used: tools/netmapd/confine.c */
#include "daemon/bpf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int
unm_bpf(int cmd, union bpf_attr *attr)
{
	const long ret = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return ret < 0 ? -errno : (int)ret;
}

int
unm_bpf_load(uint32_t type, uint32_t attach_type, uint32_t flags, const char *name,
	const struct bpf_insn *code, size_t n)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = type;
	attr.expected_attach_type = attach_type;
	attr.prog_flags = flags;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uintptr_t) "Dual BSD/GPL";
	snprintf(attr.prog_name, sizeof(attr.prog_name), "%s", name);
	return unm_bpf(BPF_PROG_LOAD, &attr);
}
