/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs of segments on a tx ring of a veth end: what the host's stack had handed over as one
 * super-frame, and was cut into slots for the client, is joined again and sent as one, as the stack
 * would have sent it. AF_XDP would take each segment by itself, and the other end too.
 *
 * So as long as somebody has the port's host rx ring open, or the host's side is on a switch, and on
 * interfaces for which netmapd has opened a packet socket for that (daemon/nic_host.c). Programs that
 * send by themselves send what they have put into the ring. Nor is anything joined for another end that
 * is a port too: its rings are for frames, not for super-frames.
 *
 * The socket goes straight to the driver, as AF_XDP does. What it does not take goes the usual way, and
 * for a while so does all that follows: where the interface's TSO is off, as it is while the other end
 * has an XDP program in its driver. The kernel counts such a try as dropped by the interface, so they
 * become rarer. A generic XDP program there gets what it would get from the kernel's stack.
 */
#ifndef UNM_PORT_NIC_RUN_H
#define UNM_PORT_NIC_RUN_H

#include "port/internal.h"

/* Of a tx ring, private. */
struct unm_nic_run {
	int fd;		   /* the socket, or negative */
	uint32_t ifindex;  /* where it is to be bound: others have it too, and could turn it */
	uint64_t after_ns; /* it has refused: not before */
	uint64_t pause_ns; /* the last one */
};

/** unm_nic_run_may() - can there be runs on tx ring @r, for now? */
bool unm_nic_run_may(const struct unm_bring *r, const struct unm_nic_run *run);

/** unm_nic_run_begins() - may slot @pos and those behind it, up to @head, be a run? A glance only. */
bool unm_nic_run_begins(const struct unm_bring *r, uint32_t pos, uint32_t head);

/**
 * unm_nic_run_send() - send the run that begins at slot @pos
 * @pkts, @bytes: what was sent is added
 *
 * Return: its slots; 0: it is none, or is not taken, and nothing has been sent.
 */
uint32_t unm_nic_run_send(struct unm_bring *r, struct unm_nic_run *run, uint32_t pos, uint32_t head,
	uint64_t *pkts, uint64_t *bytes);

#endif
