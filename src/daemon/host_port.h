/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's side of an interface on a switch: VALE_ATTACH with mode NIC_SW (spec 16.5).
 *
 *	vale0:IF   --worker-- IF        the wire
 *	vale0:IF^  --worker-- tap:IF^   the kernel's stack on IF
 *
 * The TAP beside the interface (hoststack.h) is there already, for host rings. Here it is a TAP port
 * of its own over the same queues, so that frames cross it as from any TAP on a switch: segments as
 * large as TCP makes them. It lives as long as the interface's port. The two ports have the interface's
 * whole name and a ^, be that longer than the kernel's name for the TAP may be (hoststack.c).
 */
#ifndef UNM_DAEMON_HOST_PORT_H
#define UNM_DAEMON_HOST_PORT_H

#include "daemon/kinds.h"

/**
 * unm_host_port_tap() - the TAP port over the queues of interface @nic's host rings, NULL if there
 * is none: the host's side is on no switch.
 */
struct unm_dport *unm_host_port_tap(struct unm_domain *dom, const struct unm_dport *nic);

/** unm_host_port_nic() - the interface whose host's side TAP port @tap_name is; NULL: of none. */
struct unm_dport *unm_host_port_nic(struct unm_domain *dom, const char *tap_name);

/**
 * unm_host_port_attach() - make port "SWITCH:IF^" of attached interface @nic, and its TAP port
 * @sw:  its switch
 * @geo: of the TAP port and of that on the switch
 *
 * Return: 0; -EOPNOTSUPP (it has no host rings), -EBUSY, -EINVAL (no name for it), -ENOMEM, each
 * with the reason. On error nothing has changed.
 */
int unm_host_port_attach(struct unm_domain *dom, struct unm_dport *nic, const char *sw,
	const struct unm_geometry *tap_geo, const struct unm_geometry *geo, struct unm_dport **out,
	struct unm_reason *why);

/** unm_host_port_of() - port "SWITCH:IF^" beside @attached, port "SWITCH:IF"; NULL: none. */
struct unm_dport *unm_host_port_of(struct unm_domain *dom, const struct unm_dport *attached);

/**
 * unm_host_port_settle() - @nic has its sockets again, after a restart or a loss: so has the TAP port
 * of its host's side, if that is on a switch
 */
void unm_host_port_settle(struct unm_domain *dom, struct unm_dport *nic);

/** unm_host_port_queues() - the queues of @nic's host rings once more. Return: 0 or -EMFILE. */
int unm_host_port_queues(const struct unm_dport *nic, int *fds, struct unm_reason *why);

/** unm_host_port_end() - the port of interface @nic_name ends: so does the TAP port. */
void unm_host_port_end(struct unm_domain *dom, const char *nic_name);

#endif
