/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf(2), and the kernel's list of its own functions (BTF). See bpf.h. */
/* Syscalls: openat */
/* Which commands of bpf(2) may be used: tools/netmapd/confine.c */
#include "daemon/bpf.h"

#include <errno.h>
#include <linux/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers that we build with (Linux 6.3). */
#ifndef BPF_F_XDP_DEV_BOUND_ONLY
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)
#endif

#define KERNEL_BTF    "/sys/kernel/btf/vmlinux"
#define MAX_BTF	      (64u << 20) /* some 5 MB, of usual configurations */
#define KIND_DECL_TAG 17
#define KIND_ENUM64   19

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
	return unm_bpf_load_for(0, type, attach_type, flags, name, code, n);
}

int
unm_bpf_load_for(uint32_t ifindex, uint32_t type, uint32_t attach_type, uint32_t flags,
	const char *name, const struct bpf_insn *code, size_t n)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = type;
	attr.expected_attach_type = attach_type;
	attr.prog_flags = flags | (ifindex != 0 ? BPF_F_XDP_DEV_BOUND_ONLY : 0);
	attr.prog_ifindex = ifindex;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uintptr_t) "Dual BSD/GPL";
	snprintf(attr.prog_name, sizeof(attr.prog_name), "%s", name);
	return unm_bpf(BPF_PROG_LOAD, &attr);
}

int
unm_bpf_map_new(uint32_t type, uint32_t n, const char *name)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = type;
	attr.key_size = sizeof(uint32_t);
	attr.value_size = sizeof(uint32_t);
	attr.max_entries = n;
	snprintf(attr.map_name, sizeof(attr.map_name), "%s", name);
	return unm_bpf(BPF_MAP_CREATE, &attr);
}

int
unm_bpf_map_set(int map_fd, uint32_t key, uint32_t value)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map_fd;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)&value;
	attr.flags = BPF_ANY;
	return unm_bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

int
unm_bpf_map_clear(int map_fd, uint32_t key)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map_fd;
	attr.key = (uintptr_t)&key;
	return unm_bpf(BPF_MAP_DELETE_ELEM, &attr);
}

/* Bytes that follow an entry of the table of types. */
static size_t
btf_extra(uint32_t info)
{
	const size_t n = BTF_INFO_VLEN(info);

	switch (BTF_INFO_KIND(info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case KIND_DECL_TAG:
		return sizeof(uint32_t);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return n * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return n * sizeof(struct btf_enum);
	case KIND_ENUM64:
	case BTF_KIND_DATASEC:
		return n * 3 * sizeof(uint32_t);
	case BTF_KIND_FUNC_PROTO:
		return n * sizeof(struct btf_param);
	default:
		return 0;
	}
}

static int
find_function(const char *btf, size_t size, const char *name)
{
	const size_t name_size = strlen(name) + 1;
	struct btf_header h;
	size_t pos, end;
	int id;

	if (size < sizeof(h))
		return -ENOENT;
	memcpy(&h, btf, sizeof(h));
	if (h.magic != BTF_MAGIC || h.hdr_len > size || h.type_off > size - h.hdr_len ||
		h.type_len > size - h.hdr_len - h.type_off || h.str_off > size - h.hdr_len ||
		h.str_len > size - h.hdr_len - h.str_off)
		return -ENOENT;
	pos = h.hdr_len + h.type_off;
	end = pos + h.type_len;
	for (id = 1; end - pos >= sizeof(struct btf_type); id++) { /* pos grows */
		struct btf_type t;
		size_t extra;

		memcpy(&t, btf + pos, sizeof(t));
		pos += sizeof(t);
		if (BTF_INFO_KIND(t.info) == BTF_KIND_FUNC && t.name_off < h.str_len &&
			name_size <= h.str_len - t.name_off &&
			memcmp(btf + h.hdr_len + h.str_off + t.name_off, name, name_size) == 0)
			return id;
		extra = btf_extra(t.info);
		if (extra > end - pos)
			break;
		pos += extra;
	}
	return -ENOENT;
}

int
unm_bpf_kfunc(const char *name)
{
	char *btf = NULL;
	size_t size = 0;
	int id = -ENOENT;
	FILE *f = fopen(KERNEL_BTF, "re");

	if (f == NULL)
		return -ENOENT;
	btf = malloc(MAX_BTF); /* only what is read is ever there */
	if (btf != NULL)
		size = fread(btf, 1, MAX_BTF, f);
	fclose(f);
	if (btf != NULL)
		id = find_function(btf, size, name);
	free(btf);
	return id;
}
