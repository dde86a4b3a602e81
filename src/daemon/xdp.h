/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_XDP as netmapd needs it: a socket for each queue over memory of ours, and the program that
 * sends the queue's frames there.
 *
 * The program looks the queue up in a table of sockets; if there is none, the frame goes on to the
 * stack. A VLAN tag that is not in the frame is put there first, where the driver tells of it.
 *
 * It is attached by a bpf_link, which the kernel undoes with the last descriptor of it: netmapd and
 * the clients hold one each, so whoever is killed, the interface is as before when the last of them
 * is gone, and traffic goes on as long as one is there. The hook is not shared with other programs:
 * two links on one interface are refused by the kernel, and libxdp's dispatcher, which shares it,
 * is attached by netlink and pinned, so that it would stay behind after a crash. Besides, it
 * replaces functions (BPF_PROG_TYPE_EXT), which not every kernel lets one load: where it was tried
 * (Linux 6.18, root, bpffs mounted) the answer was EPERM, and libxdp did without a dispatcher.
 */
#ifndef UNM_DAEMON_XDP_H
#define UNM_DAEMON_XDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/nic.h"

struct unm_xsk_sizes {
	uint32_t tx, rx, fill, comp; /* powers of two */
	uint32_t busy_poll_us;	     /* the kernel polls the driver for so long; 0 = not */
};

/* A UMEM to be: memory mapped in this process, and how it is cut into frames. */
struct unm_xsk_umem {
	void *addr; /* page aligned */
	uint64_t len;
	uint32_t chunk;
	bool is_unaligned; /* frames may begin anywhere */
};

/**
 * unm_xsk_open() - a socket with its four rings, not bound yet
 * @umem: registered with it; NULL: another socket's is shared, see unm_xsk_bind()
 *
 * Return: descriptor; -EAFNOSUPPORT (kernel without AF_XDP), -EPERM, -ENOBUFS (memory that can't be
 * locked), -errno.
 */
int unm_xsk_open(const struct unm_xsk_umem *umem, const struct unm_xsk_sizes *sizes);

#define UNM_XSK_ZEROCOPY 1u /* else copies are demanded */
#define UNM_XSK_SG	 2u /* frames of several buffers */

/**
 * unm_xsk_bind() - to a queue of an interface
 * @shared_fd: socket whose UMEM is used too, or -1. Mode and flags are that one's
 *
 * Return: 0; -EBUSY (another socket has the queue), -EOPNOTSUPP and -EINVAL (mode, queue or flag
 * not there), -errno.
 */
int unm_xsk_bind(int fd, uint32_t ifindex, uint32_t queue, int shared_fd, uint32_t flags);

/**
 * unm_xsk_is_shareable() - can another process map the rings of @fd, which is bound? Before Linux 6.4
 * they could be mapped before that only.
 */
bool unm_xsk_is_shareable(int fd);

/** unm_xsk_offsets() - where the rings' words are in their mappings. Return: 0 or -errno. */
int unm_xsk_offsets(int fd, struct unm_nic_setup *out);

/* What the kernel has dropped. */
struct unm_xsk_drops {
	uint64_t rx_full;    /* no room in the rx ring, or no buffer */
	uint64_t rx_invalid; /* too long for a buffer, or otherwise */
	uint64_t tx_invalid;
};

int unm_xsk_statistics(int fd, struct unm_xsk_drops *out);

/** unm_xdp_map_new() - table of @n sockets. Return: descriptor or -errno. */
int unm_xdp_map_new(uint32_t n);
int unm_xdp_map_set(int map_fd, uint32_t queue, int xsk_fd);
int unm_xdp_map_clear(int map_fd, uint32_t queue);

/**
 * unm_xdp_prog_new() - the program over @map_fd, for interface @ifindex of the current namespace
 * @puts_tags_back: written: a VLAN tag that the driver, or for a veth the sender, has beside the
 *                  frame is put into it. That takes a kernel (Linux 6.8) and a driver that tell the
 *                  program of it, which one that the stack runs (@token) can't ask
 * @token: what frames from host tx rings begin with (unm_host_token()): they pass, without it.
 *         NULL: they don't come here
 *
 * Return: descriptor or -errno.
 */
int unm_xdp_prog_new(int map_fd, uint32_t ifindex, const uint8_t *token, bool *puts_tags_back);

/**
 * unm_xdp_attach() - put the program on an interface of the current network namespace
 * @is_generic: run by the stack, not by the driver
 *
 * Return: descriptor of the link; -EBUSY (another program is there), -EOPNOTSUPP (the driver runs
 * none), -errno.
 */
int unm_xdp_attach(int prog_fd, uint32_t ifindex, bool is_generic);

/**
 * unm_bpf_verdict_prog() - a program for a packet hook that returns the number in the table, or
 * @otherwise without one and for frames with UNM_HOST_MARK, which it takes off. Return: descriptor or
 * -errno.
 */
int unm_bpf_verdict_prog(int map_fd, uint32_t otherwise);

/**
 * unm_bpf_switched_drop_prog() - a program for a packet hook that drops while the switch with table
 * @map_fd is on (bpf_switch.h); frames from the host's rings pass. Return: descriptor or -errno.
 */
int unm_bpf_switched_drop_prog(int map_fd);

/** unm_bpf_attach() - a link to an interface's hook of @type. Return: descriptor or -errno. */
int unm_bpf_attach(int prog_fd, uint32_t ifindex, uint32_t type, uint32_t flags);

/** unm_xdp_detach() - at once, whoever else holds the link. */
void unm_xdp_detach(int link_fd);

#define UNM_XDP_PROG_NAME "unetmap" /* as the kernel has it */

/**
 * unm_xdp_prog_name() - name and number of a program that is loaded, e.g. "xdp_dispatcher (id 12)"
 */
void unm_xdp_prog_name(uint32_t id, char *out, size_t size);

#endif
