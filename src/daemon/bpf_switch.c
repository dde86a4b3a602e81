/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs that work as long as a socket lives. See bpf_switch.h. */
/* Syscalls: socketpair */
#include "daemon/bpf_switch.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/bpf.h"

int
unm_bpf_switch_set(int map_fd, int sock, bool is_on)
{
	int ret;

	if (is_on)
		return unm_bpf_map_set(map_fd, 0, (uint32_t)sock);
	ret = unm_bpf_map_clear(map_fd, 0);
	return ret == -ENOENT || ret == -EINVAL ? 0 : ret; /* it is off */
}

int
unm_bpf_switch_new(int *map_fd)
{
	int sv[2], ret;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	close(sv[1]);
	*map_fd = ret = unm_bpf_map_new(BPF_MAP_TYPE_SOCKMAP, 1, "unetmap_switch");
	if (ret >= 0) {
		ret = unm_bpf_switch_set(*map_fd, sv[0], true); /* not before Linux 5.15 */
		if (ret == 0)
			ret = unm_bpf_switch_set(*map_fd, sv[0], false);
		if (ret < 0)
			close(*map_fd);
	}
	if (ret >= 0)
		return sv[0];
	close(sv[0]);
	return ret;
}

void
unm_bpf_switch_code(struct bpf_insn code[UNM_BPF_SWITCH_INSNS], int map_fd, int otherwise)
{
	const struct bpf_insn insns[UNM_BPF_SWITCH_INSNS] = {
		unm_bpf_insn(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
		unm_bpf_insn(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map_fd),
		unm_bpf_insn(0, 0, 0, 0, 0),
		unm_bpf_mov(BPF_REG_2, BPF_REG_10),
		unm_bpf_insn(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
		unm_bpf_call(BPF_FUNC_map_lookup_elem),
		unm_bpf_insn(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 2, 0),
		unm_bpf_set(BPF_REG_0, otherwise),
		unm_bpf_exit(),
		unm_bpf_mov(BPF_REG_1, BPF_REG_0),
		unm_bpf_call(BPF_FUNC_sk_release),
	};

	memcpy(code, insns, sizeof(insns));
}
