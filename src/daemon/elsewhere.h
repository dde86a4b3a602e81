/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients in another network namespace than netmapd.
 *
 * A name without a namespace is one name for all programs of an instance, and an interface of it is
 * looked for where netmapd runs: with an instance that was started on demand, where its first
 * client was. A client elsewhere that has an interface of that name itself means its own. That can't be
 * had by this name, as others would get it too; and it must not get another namespace's in its
 * place. So it is refused, with what to write. If it has none, the name can only mean netmapd's.
 */
#ifndef UNM_DAEMON_ELSEWHERE_H
#define UNM_DAEMON_ELSEWHERE_H

#include "daemon/server.h"

/** unm_elsewhere_is() - is it known that the client is in another network or PID namespace? */
bool unm_elsewhere_is(const struct unm_session *s);

/**
 * unm_elsewhere_check() - may this client mean what netmapd would take for @raw?
 * @raw: the name of an interface or TAP as the client gave it, NETMAP_REQ_IFNAMSIZ bytes or less;
 * others are not looked at
 * @is_opened: by a program, whose user writes it as libnetmap(3) reads it
 *
 * Where the client is or what there is there may be out of sight of a netmapd without privileges:
 * then it may. So may a broker, whose clients' names are bound by their policy.
 * Return: 0, or -ENXIO with the reason.
 */
int unm_elsewhere_check(
	const struct unm_session *s, const char *raw, bool is_opened, struct unm_reason *why);

#endif
