/* SPDX-License-Identifier: BSD-2-Clause */
/* AF_XDP sockets and the XDP program, straight on the system calls. See xdp.h. */
/* Syscalls: socket bind setsockopt getsockopt mmap munmap (bpf: see tools/netmapd/confine.c) */
#include "daemon/xdp.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/bpf.h"
#include "daemon/bpf_switch.h"
#include "daemon/hoststack.h"

/* Newer than the headers that we build with. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif

#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

#define SEND_BUFFER (8 * 1024 * 1024) /* in copy mode each frame under way is charged to it */

static int
set_ring(int fd, int option, uint32_t n)
{
	const int size = (int)n;

	return n == 0 || setsockopt(fd, SOL_XDP, option, &size, sizeof(size)) == 0 ? 0 : -errno;
}

static int
register_umem(int fd, const struct unm_xsk_umem *umem)
{
	struct xdp_umem_reg reg = {
		.addr = (uintptr_t)umem->addr,
		.len = umem->len,
		.chunk_size = umem->chunk,
		.flags = umem->is_unaligned ? XDP_UMEM_UNALIGNED_CHUNK_FLAG : 0,
	};

	return setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) < 0 ? -errno : 0;
}

/*
 * In copy mode a call takes 32 frames, and says EAGAIN if there are more. Newer kernels let that be
 * changed: calls are a tenth of a frame's cost where they are dear. Others go on with 32.
 */
static void
raise_tx_budget(int fd, uint32_t n)
{
	const int budget = (int)n; /* at most the ring's size, or it is refused */

	setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
}

/* The queue's work is done by who syncs it, not by interrupts. */
static int
set_busy_poll(int fd, uint32_t us)
{
	const int value = (int)us, one = 1, budget = 64;

	if (us == 0)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &one, sizeof(one)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &value, sizeof(value)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget)) < 0)
		return -errno;
	return 0;
}

int
unm_xsk_open(const struct unm_xsk_umem *umem, const struct unm_xsk_sizes *sizes)
{
	const int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	const int sndbuf = SEND_BUFFER;
	int ret;

	if (fd < 0)
		return -errno;
	ret = umem != NULL ? register_umem(fd, umem) : 0;
	if (ret == 0)
		ret = set_ring(fd, XDP_UMEM_FILL_RING, sizes->fill);
	if (ret == 0)
		ret = set_ring(fd, XDP_UMEM_COMPLETION_RING, sizes->comp);
	if (ret == 0)
		ret = set_ring(fd, XDP_RX_RING, sizes->rx);
	if (ret == 0)
		ret = set_ring(fd, XDP_TX_RING, sizes->tx);
	if (ret == 0)
		ret = set_busy_poll(fd, sizes->busy_poll_us);
	if (ret == 0) {
		raise_tx_budget(fd, sizes->tx);
		/* A smaller one costs speed, nothing else. */
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf));
		return fd;
	}
	close(fd);
	return ret;
}

int
unm_xsk_bind(int fd, uint32_t ifindex, uint32_t queue, int shared_fd, uint32_t flags)
{
	struct sockaddr_xdp sa = {
		.sxdp_family = AF_XDP,
		.sxdp_ifindex = ifindex,
		.sxdp_queue_id = queue,
	};

	if (shared_fd >= 0) {
		sa.sxdp_flags = XDP_SHARED_UMEM;
		sa.sxdp_shared_umem_fd = (uint32_t)shared_fd;
	} else {
		sa.sxdp_flags = XDP_USE_NEED_WAKEUP;
		sa.sxdp_flags |= flags & UNM_XSK_ZEROCOPY ? XDP_ZEROCOPY : XDP_COPY;
		sa.sxdp_flags |= flags & UNM_XSK_SG ? XDP_USE_SG : 0;
	}
	return bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
}

bool
unm_xsk_is_shareable(int fd)
{
	const size_t len = 1; /* a page of it */
	void *map =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, XDP_UMEM_PGOFF_FILL_RING);

	if (map == MAP_FAILED)
		return false;
	munmap(map, len);
	return true;
}

static void
copy_offsets(struct unm_nic_ring_ofs *to, const struct xdp_ring_offset *from)
{
	to->producer = from->producer;
	to->consumer = from->consumer;
	to->desc = from->desc;
	to->flags = from->flags;
}

int
unm_xsk_offsets(int fd, struct unm_nic_setup *out)
{
	struct xdp_mmap_offsets ofs;
	socklen_t len = sizeof(ofs);

	if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &ofs, &len) < 0)
		return -errno;
	if (len != sizeof(ofs))
		return -EOPNOTSUPP; /* before Linux 5.4: rings without flags */
	copy_offsets(&out->rx_ofs, &ofs.rx);
	copy_offsets(&out->tx_ofs, &ofs.tx);
	copy_offsets(&out->fill_ofs, &ofs.fr);
	copy_offsets(&out->comp_ofs, &ofs.cr);
	return 0;
}

int
unm_xsk_statistics(int fd, struct unm_xsk_drops *out)
{
	struct xdp_statistics s;
	socklen_t len = sizeof(s);

	memset(&s, 0, sizeof(s)); /* an older kernel fills in less */
	if (getsockopt(fd, SOL_XDP, XDP_STATISTICS, &s, &len) < 0)
		return -errno;
	out->rx_full = s.rx_dropped + s.rx_ring_full;
	out->rx_invalid = s.rx_invalid_descs;
	out->tx_invalid = s.tx_invalid_descs;
	return 0;
}

int
unm_xdp_map_new(uint32_t n)
{
	return unm_bpf_map_new(BPF_MAP_TYPE_XSKMAP, n, "unetmap_xsks");
}

int
unm_xdp_map_set(int map_fd, uint32_t queue, int xsk_fd)
{
	return unm_bpf_map_set(map_fd, queue, (uint32_t)xsk_fd);
}

int
unm_xdp_map_clear(int map_fd, uint32_t queue)
{
	return unm_bpf_map_clear(map_fd, queue);
}

#define MAX_INSNS 64

struct program {
	struct bpf_insn code[MAX_INSNS];
	size_t n;
};

static void
emit(struct program *p, struct bpf_insn i)
{
	if (p->n < MAX_INSNS) /* all of ours are shorter */
		p->code[p->n++] = i;
}

/* A frame that begins with the token is from a host tx ring: pass it on, without the token. */
static void
emit_pass_token(struct program *p, const uint8_t *token)
{
	const int16_t n_words = UNM_HOST_TOKEN_LEN / 4;
	int16_t i;

	emit(p, unm_bpf_insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, offsetof(struct xdp_md, data), 0));
	emit(p, unm_bpf_insn(
			BPF_LDX | BPF_MEM | BPF_W, 3, 1, offsetof(struct xdp_md, data_end), 0));
	emit(p, unm_bpf_mov(4, 2));
	emit(p, unm_bpf_insn(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, UNM_HOST_TOKEN_LEN));
	/* from here on the jumps go to the instruction behind this block */
	emit(p, unm_bpf_insn(BPF_JMP | BPF_JGT | BPF_X, 4, 3, (int16_t)(2 * n_words + 4), 0));
	for (i = 0; i < n_words; i++) {
		int32_t word;

		memcpy(&word, token + 4 * i, sizeof(word));
		emit(p, unm_bpf_insn(BPF_LDX | BPF_MEM | BPF_W, 5, 2, (int16_t)(4 * i), 0));
		emit(p, unm_bpf_insn(BPF_JMP32 | BPF_JNE | BPF_K, 5, 0,
				(int16_t)(2 * (n_words - 1 - i) + 4), word));
	}
	emit(p, unm_bpf_set(2, UNM_HOST_TOKEN_LEN));
	emit(p, unm_bpf_call(BPF_FUNC_xdp_adjust_head));
	emit(p, unm_bpf_set(0, XDP_PASS));
	emit(p, unm_bpf_exit());
}

static void
emit_return(struct program *p, int32_t verdict)
{
	emit(p, unm_bpf_set(0, verdict));
	emit(p, unm_bpf_exit());
}

/*
 * If the frame is for a socket, and its VLAN tag is beside it, put the tag behind the addresses. What
 * goes on to the stack stays as it is. Register 6 keeps the context, 7 and 8 the tag.
 */
static void
emit_put_tag_back(struct program *p, int map_fd, int32_t ask_driver)
{
	int16_t i;

	emit(p, unm_bpf_mov(6, 1));
	emit(p, unm_bpf_insn(BPF_LDX | BPF_MEM | BPF_W, 2, 6,
			offsetof(struct xdp_md, rx_queue_index), 0));
	emit(p, unm_bpf_insn(BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, 2, -4, 0));
	emit(p, unm_bpf_mov(2, BPF_REG_10));
	emit(p, unm_bpf_insn(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4));
	emit(p, unm_bpf_insn(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map_fd));
	emit(p, unm_bpf_insn(0, 0, 0, 0, 0));
	emit(p, unm_bpf_call(BPF_FUNC_map_lookup_elem));
	emit(p, unm_bpf_insn(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 2, 0));
	emit_return(p, XDP_PASS);

	emit(p, unm_bpf_insn(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, -16, 0));
	emit(p, unm_bpf_mov(1, 6));
	emit(p, unm_bpf_mov(2, BPF_REG_10));
	emit(p, unm_bpf_insn(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -16)); /* its protocol */
	emit(p, unm_bpf_mov(3, BPF_REG_10));
	emit(p, unm_bpf_insn(BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, -8)); /* and control word */
	emit(p, unm_bpf_call_kernel(ask_driver));
	/* none: on to the last instruction of this block */
	emit(p, unm_bpf_insn(BPF_JMP32 | BPF_JNE | BPF_K, 0, 0, 24, 0));
	emit(p, unm_bpf_insn(BPF_LDX | BPF_MEM | BPF_H, 7, BPF_REG_10, -16, 0));
	emit(p, unm_bpf_insn(BPF_LDX | BPF_MEM | BPF_H, 8, BPF_REG_10, -8, 0));
	emit(p, unm_bpf_insn(BPF_ALU | BPF_END | BPF_TO_BE, 8, 0, 0, 16));
	emit(p, unm_bpf_mov(1, 6));
	emit(p, unm_bpf_set(2, -4));
	emit(p, unm_bpf_call(BPF_FUNC_xdp_adjust_head));
	emit(p, unm_bpf_insn(BPF_JMP32 | BPF_JEQ | BPF_K, 0, 0, 2, 0));
	emit_return(p, XDP_DROP); /* no room: better none than another one */
	emit(p, unm_bpf_insn(BPF_LDX | BPF_MEM | BPF_W, 2, 6, offsetof(struct xdp_md, data), 0));
	emit(p, unm_bpf_insn(
			BPF_LDX | BPF_MEM | BPF_W, 3, 6, offsetof(struct xdp_md, data_end), 0));
	emit(p, unm_bpf_mov(4, 2));
	emit(p, unm_bpf_insn(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, 18));
	emit(p, unm_bpf_insn(BPF_JMP | BPF_JLE | BPF_X, 4, 3, 2, 0));
	emit_return(p, XDP_DROP); /* a header in pieces: nobody makes these */
	for (i = 0; i < 12; i = (int16_t)(i + 4)) {
		emit(p, unm_bpf_insn(BPF_LDX | BPF_MEM | BPF_W, 5, 2, (int16_t)(i + 4), 0));
		emit(p, unm_bpf_insn(BPF_STX | BPF_MEM | BPF_W, 2, 5, i, 0));
	}
	emit(p, unm_bpf_insn(BPF_STX | BPF_MEM | BPF_H, 2, 7, 12, 0));
	emit(p, unm_bpf_insn(BPF_STX | BPF_MEM | BPF_H, 2, 8, 14, 0));
	emit(p, unm_bpf_mov(1, 6));
}

/* return bpf_redirect_map(map, ctx->rx_queue_index, XDP_PASS): what the table lacks, passes. */
static void
emit_redirect(struct program *p, int map_fd)
{
	emit(p, unm_bpf_insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1,
			offsetof(struct xdp_md, rx_queue_index), 0));
	emit(p, unm_bpf_insn(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map_fd));
	emit(p, unm_bpf_insn(0, 0, 0, 0, 0));
	emit(p, unm_bpf_set(3, XDP_PASS));
	emit(p, unm_bpf_call(BPF_FUNC_redirect_map));
	emit(p, unm_bpf_exit());
}

static int
load_xdp(const struct program *p, uint32_t ifindex)
{
	const int fd = unm_bpf_load_for(ifindex, BPF_PROG_TYPE_XDP, BPF_XDP, BPF_F_XDP_HAS_FRAGS,
		UNM_XDP_PROG_NAME, p->code, p->n);

	if (fd != -EINVAL)
		return fd;
	/* a kernel without frames of several buffers */
	return unm_bpf_load_for(
		ifindex, BPF_PROG_TYPE_XDP, BPF_XDP, 0, UNM_XDP_PROG_NAME, p->code, p->n);
}

/* The driver's answer about a frame's VLAN tag. Return: as unm_bpf_kfunc(). */
static int
ask_driver_id(void)
{
	static int id; /* the kernel stays the same */

	if (id == 0)
		id = unm_bpf_kfunc("bpf_xdp_metadata_rx_vlan_tag");
	return id;
}

int
unm_xdp_prog_new(int map_fd, uint32_t ifindex, const uint8_t *token, bool *puts_tags_back)
{
	struct program p = {.n = 0};
	int fd = -ENOENT;

	if (token == NULL && ask_driver_id() > 0) {
		emit_put_tag_back(&p, map_fd, ask_driver_id());
		emit_redirect(&p, map_fd);
		fd = load_xdp(&p, ifindex);
	}
	*puts_tags_back = fd >= 0;
	if (fd >= 0)
		return fd;
	p.n = 0;
	if (token != NULL)
		emit_pass_token(&p, token);
	emit_redirect(&p, map_fd);
	return load_xdp(&p, 0);
}

#define PASS_MARKED_INSNS 6

/* if (skb->mark == UNM_HOST_MARK) { skb->mark = 0; return verdict; } */
static void
pass_marked(struct bpf_insn code[PASS_MARKED_INSNS], uint32_t verdict)
{
	const struct bpf_insn insns[PASS_MARKED_INSNS] = {
		unm_bpf_insn(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1,
			offsetof(struct __sk_buff, mark), 0),
		unm_bpf_insn(BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_2, 0, 4, UNM_HOST_MARK),
		unm_bpf_set(BPF_REG_2, 0),
		unm_bpf_insn(BPF_STX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_2,
			offsetof(struct __sk_buff, mark), 0),
		unm_bpf_set(BPF_REG_0, (int32_t)verdict),
		unm_bpf_exit(),
	};

	memcpy(code, insns, sizeof(insns));
}

static int
load_guard(const struct bpf_insn *code, size_t n)
{
	return unm_bpf_load(BPF_PROG_TYPE_SCHED_CLS, 0, 0, "unetmap_guard", code, n);
}

int
unm_bpf_verdict_prog(int map_fd, uint32_t otherwise)
{
	/* key = 0; v = bpf_map_lookup_elem(map, &key); return v != NULL ? *v : otherwise; */
	const struct bpf_insn look_up[] = {
		unm_bpf_insn(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
		unm_bpf_mov(BPF_REG_2, BPF_REG_10),
		unm_bpf_insn(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
		unm_bpf_insn(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map_fd),
		unm_bpf_insn(0, 0, 0, 0, 0),
		unm_bpf_call(BPF_FUNC_map_lookup_elem),
		unm_bpf_insn(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0),
		unm_bpf_insn(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_0, 0, 0),
		unm_bpf_exit(),
		unm_bpf_insn(BPF_ALU | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, (int32_t)otherwise),
		unm_bpf_exit(),
	};
	struct bpf_insn code[PASS_MARKED_INSNS + sizeof(look_up) / sizeof(look_up[0])];

	pass_marked(code, otherwise);
	memcpy(code + PASS_MARKED_INSNS, look_up, sizeof(look_up));
	return load_guard(code, sizeof(code) / sizeof(code[0]));
}

int
unm_bpf_switched_drop_prog(int map_fd)
{
	struct bpf_insn code[PASS_MARKED_INSNS + UNM_BPF_SWITCH_INSNS + 2];
	struct bpf_insn *end = code + PASS_MARKED_INSNS + UNM_BPF_SWITCH_INSNS;

	pass_marked(code, (uint32_t)TC_ACT_UNSPEC);
	unm_bpf_switch_code(code + PASS_MARKED_INSNS, map_fd, TC_ACT_UNSPEC);
	end[0] = unm_bpf_set(BPF_REG_0, TC_ACT_SHOT);
	end[1] = unm_bpf_exit();
	return load_guard(code, sizeof(code) / sizeof(code[0]));
}

int
unm_bpf_attach(int prog_fd, uint32_t ifindex, uint32_t type, uint32_t flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)prog_fd;
	attr.link_create.target_ifindex = ifindex;
	attr.link_create.attach_type = type;
	attr.link_create.flags = flags;
	return unm_bpf(BPF_LINK_CREATE, &attr);
}

int
unm_xdp_attach(int prog_fd, uint32_t ifindex, bool is_generic)
{
	return unm_bpf_attach(
		prog_fd, ifindex, BPF_XDP, is_generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
}

void
unm_xdp_detach(int link_fd)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.link_detach.link_fd = (uint32_t)link_fd;
	unm_bpf(BPF_LINK_DETACH, &attr);
}

void
unm_xdp_prog_name(uint32_t id, char *out, size_t size)
{
	struct bpf_prog_info info;
	union bpf_attr attr;
	int fd;

	if (id == 0)
		snprintf(out, size, "or its queues by another AF_XDP socket");
	else
		snprintf(out, size, "program %u", id);
	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	fd = unm_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
	if (fd < 0)
		return;
	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)&info;
	if (unm_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && info.name[0] != '\0')
		snprintf(out, size, "%.*s (id %u)", (int)sizeof(info.name), info.name, id);
	close(fd);
}
