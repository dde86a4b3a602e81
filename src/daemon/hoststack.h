/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's stack as the far side of an interface's host rings (spec 12, 13).
 *
 *	  stack ---sends on eth0---> [program] --redirect--> TAP eth0^ --read---> host rx ring
 *	  stack <--receives on eth0------------ redirect <-- TAP eth0^ <--write-- host tx ring
 *
 * The TAP "eth0^" is beside the interface, in its network namespace, without addresses: whatever
 * comes through it is redirected by a program at its ingress, so that the stack has it as received
 * on eth0. It ends with the last descriptor of its queues.
 *
 * What the stack sends is redirected by a program at the interface's egress, which is there while
 * an NIC tx ring is open, and is held by a descriptor as well: netmapd has one and so have the
 * clients of the port. When the last of them dies, in whatever way, the interface is as before.
 * That descriptor is a bpf_link (Linux 6.6), or else a socket: then the program is a filter that
 * stays behind, but it redirects only as long as the kernel finds that socket in a table.
 *
 * As the TAP takes offloads only where the client side asks for them (port/host_fp.c), the kernel
 * does the rest of the work for frames that leave offloads undone.
 */
#ifndef UNM_DAEMON_HOSTSTACK_H
#define UNM_DAEMON_HOSTSTACK_H

#include <stdint.h>

#include "daemon/log.h"

#define UNM_HOST_MAX_QUEUES 8u
/*
 * Frames from a host tx ring bear it where that was asked for, up to the program that keeps frames from
 * the stack (packet.h), which lets them pass and takes it off.
 */
#define UNM_HOST_MARK 0x6e6d5e01u

/* What frames from host tx rings bear when they come to their interface. */
enum unm_host_inject {
	UNM_HOST_PLAIN,	 /* nothing */
	UNM_HOST_MARKED, /* UNM_HOST_MARK: for who has the same frames again by AF_PACKET */
	/*
	 * The token of unm_host_token() in front: an XDP program that the stack runs has them too,
	 * sees by it that they are not from the wire, and takes it off
	 */
	UNM_HOST_TOKEN,
};

#define UNM_HOST_TOKEN_LEN 16u

/** unm_host_token() - random bytes that no frame from the wire begins with; made once. */
const uint8_t *unm_host_token(void);

/**
 * unm_host_open() - make the TAP of an interface of the current network namespace
 * @n:   queues, 1 ... UNM_HOST_MAX_QUEUES
 * @fds: written on success: its queues, non-blocking, with virtio-net headers of 12 bytes
 *
 * Return: 0; -EPERM, -ENXIO (no /dev/net/tun), -EEXIST (all names are taken), -errno, with the
 * reason.
 */
int unm_host_open(const char *ifname, uint32_t ifindex, enum unm_host_inject inject, uint32_t n,
	int *fds, struct unm_reason *why);

/**
 * unm_host_intercept() - from now on what the stack sends on the interface goes to the TAP
 * @tap_fd: one of its queues; its network namespace is entered
 *
 * Return: a descriptor that holds the interception, for unm_host_release(); or -errno with the
 * reason.
 */
int unm_host_intercept(int tap_fd, uint32_t ifindex, struct unm_reason *why);

/** unm_host_release() - end it, whoever else has that descriptor, which is closed. */
void unm_host_release(int tap_fd, uint32_t ifindex, int held_fd);

#endif
