/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names of open interfaces.
 *
 * An interface's port has the interface's name, and follows when that is renamed. Two keep the name
 * that they had: one that is on a switch, which knows it by that, and one whose new name another port
 * has, until that gives it up. Then the port's name may be another interface's by now. So a name that
 * somebody gives means the interface that has it at this moment, whatever the ports are called; only
 * the worker of an attached interface means the port.
 */
#ifndef UNM_DAEMON_NIC_NAMES_H
#define UNM_DAEMON_NIC_NAMES_H

#include "daemon/domain.h"
#include "daemon/netns.h"

/**
 * unm_nic_names_settle() - give all ports of interfaces their interfaces' present names, as far as
 * they can have them
 *
 * To be called when one of them has been renamed, or a name has been given up. While clients hand
 * their ports back nothing changes: some names are still to come.
 */
void unm_nic_names_settle(struct unm_domain *dom);

/** unm_nic_has_present_name() - is @port, an interface's with its sockets, called what that is? */
bool unm_nic_has_present_name(const struct unm_dport *port);

/** unm_nic_find() - the port of an interface, whatever it is called; NULL: it is not open. */
struct unm_dport *unm_nic_find(
	const struct unm_domain *dom, const struct unm_netns_id *ns, uint32_t ifindex);

/**
 * unm_nic_true_name() - unm_port_true_name() of a plain name
 *
 * Not between enter and leave of a namespace.
 * Return: 0, or -EBUSY with the reason: the interface is not open, and another one is by its name.
 */
int unm_nic_true_name(struct unm_domain *dom, struct unm_name *name, struct unm_reason *why);

#endif
