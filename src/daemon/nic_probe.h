/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which way to an interface works here? The modes are tried from the fastest on; each that does not
 * work leaves its reason.
 */
#ifndef UNM_DAEMON_NIC_PROBE_H
#define UNM_DAEMON_NIC_PROBE_H

#include "daemon/netdev.h"
#include "daemon/xdp.h"

/* What a port needs, and the memory it has. */
struct unm_nic_wish {
	const char *name;	/* of the port, for what is said: it may be in another namespace */
	enum unm_nic_mode mode; /* demanded; 0: the best there is */
	uint32_t n_queues;
	struct unm_xsk_sizes sizes;
	void *umem; /* mapped in this process */
	uint64_t umem_len;
	uint64_t lead;	    /* to buffer 0 */
	uint32_t stride;    /* of buffers */
	bool is_contiguous; /* on huge pages */
};

/* What is open. */
struct unm_nic_sockets {
	enum unm_nic_mode mode;
	int fds[UNM_NIC_MAX_QUEUES];
	uint32_t n;
	int link_fd, map_fd; /* -1 without a program */
	bool is_unaligned;
	bool is_multi_buffer;
	bool puts_tags_back; /* see unm_xdp_prog_new() */
	uint32_t frame_room;
	uint32_t refused[UNM_NIC_N_MODES]; /* why not the other modes, as in shm/nic.h */
};

/**
 * unm_nic_probe() - open the sockets of an interface of the current network namespace
 *
 * Return: 0; -EBUSY (another program has the interface or its hook), -EPERM, -EOPNOTSUPP (the
 * demanded mode, or none, works), -ENOMEM, each with the reason.
 */
int unm_nic_probe(const struct unm_netdev *dev, const struct unm_nic_wish *wish,
	struct unm_nic_sockets *out, struct unm_reason *why);

/**
 * unm_nic_probe_late() - from now on @n clients of a run before may still have interfaces open; 0:
 * nobody
 * @pid: one of them, to be named when an interface can't be had as our own program is on it
 */
void unm_nic_probe_late(pid_t pid, uint32_t n);

void unm_nic_sockets_close(struct unm_nic_sockets *s);

#define UNM_NIC_REASON_SIZE 256

/**
 * unm_nic_why_not() - what kept an interface from other modes: "xdp: socket: Operation not permitted;
 * ...", empty: nothing
 * @refused: as in shm/nic.h, where clients may have written: each word is read once, then checked
 */
void unm_nic_why_not(const uint32_t refused[UNM_NIC_N_MODES], char out[UNM_NIC_REASON_SIZE]);

#define UNM_NIC_MODES "auto, xdp-zerocopy, xdp, xdp-generic or packet"

/** unm_nic_mode_name() - as it is configured and shown: "xdp-zerocopy", "xdp", ... */
const char *unm_nic_mode_name(uint32_t mode);

/** unm_nic_mode_by_name() - 0 for "auto", -EINVAL for what is no mode. */
int unm_nic_mode_by_name(const char *name);

#endif
