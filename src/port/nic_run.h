/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs of segments on a tx ring of a virtual interface: what the host's stack had handed over as one
 * super-frame, and was cut into slots for the client, is joined again and sent as one, as the stack
 * would have sent it. AF_XDP would take each segment by itself, and the other end too.
 *
 * So as long as somebody has the port's host rx ring open, or the host's side is on a switch, and where
 * the TAP of the host rings has a queue that leads to the wire (daemon/hoststack.h). Programs that send by themselves send what they
 * have put into the ring.
 */
#ifndef UNM_PORT_NIC_RUN_H
#define UNM_PORT_NIC_RUN_H

#include "port/internal.h"

/**
 * unm_nic_run_begins() - may slot @pos and those behind it, up to @head, be a run? A glance only.
 */
bool unm_nic_run_begins(const struct unm_bring *r, uint32_t pos, uint32_t head);

/**
 * unm_nic_run_send() - send the run that begins at slot @pos
 * @wire_fd: where to
 * @pkts, @bytes: what was sent is added; what the kernel refuses is counted as dropped
 *
 * Return: its slots; 0: it is none, and nothing has been sent.
 */
uint32_t unm_nic_run_send(struct unm_bring *r, int wire_fd, uint32_t pos, uint32_t head,
	uint64_t *pkts, uint64_t *bytes);

#endif
