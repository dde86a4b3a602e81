/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An interface's rings as they are opened and closed: the rings of its sockets, the kernel's buffers, and
 * where a queue's frames go.
 */
#ifndef UNM_DAEMON_NIC_RINGS_H
#define UNM_DAEMON_NIC_RINGS_H

#include "daemon/domain.h"

/* Of struct unm_port_kind_ops. */
int unm_nic_ring_opened(struct unm_dport *port, uint32_t i, struct unm_reason *why);
void unm_nic_ring_closing(struct unm_dport *port, uint32_t i);
void unm_nic_ring_moved(struct unm_dport *port, uint32_t i, uint32_t pos);

#endif
