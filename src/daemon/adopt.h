/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rebuilding the tables from what clients hand back.
 *
 * Nothing of it is believed: geometry is checked against the files' real sizes, indices against the
 * tables, generations against the entries, objects against the allocation map. What does not fit is
 * refused with a reason and changes nothing that is in use.
 */
#ifndef UNM_DAEMON_ADOPT_H
#define UNM_DAEMON_ADOPT_H

#include "daemon/server.h"

/**
 * unm_adopt_binding() - make @d registered as @info says
 * @fds: the UNM_BIND_FDS + n_port_fds descriptors of the request; those that are kept are replaced
 * by -1
 *
 * Return: 0; -ESTALE the port or binding is not there any more; -EINVAL something does not fit;
 * -EEXIST; -ENOMEM.
 */
int unm_adopt_binding(struct unm_server *srv, struct unm_desc *d, const struct unm_bind_info *info,
	int *fds, pid_t pid, struct unm_reason *why);

/**
 * unm_adopt_finish() - everybody is back, or time is up
 *
 * Ports that nobody handed back are taken over if they outlive their bindings, else their entries
 * are freed; pools of objects are reduced to what is in use; locks of the missing are broken; all
 * sleepers are woken.
 */
void unm_adopt_finish(struct unm_server *srv);

#endif
