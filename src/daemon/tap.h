/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and opening TAP interfaces, also in other network namespaces. */
#ifndef UNM_DAEMON_TAP_H
#define UNM_DAEMON_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/log.h"
#include "daemon/names.h"

/**
 * unm_tap_open_queues() - open @n queues of the TAP that @name means, making it if it does not
 * exist
 * @fds: written on success; non-blocking
 *
 * Blocks for the life of a short child process if the TAP is in another namespace. Queues have
 * virtio-net headers of 12 bytes; the interface does all its own checksums and segmentation.
 *
 * Return: 0; -EPERM (no CAP_NET_ADMIN), -EBUSY (in use by another program), -ENXIO (no such
 * namespace), -EINVAL (not a TAP), -errno.
 */
int unm_tap_open_queues(const struct unm_name *name, uint32_t n, int *fds, struct unm_reason *why);

/**
 * unm_tap_set_header() - what precedes frames on an open TAP, and what its kernel side may leave to
 * us
 * @fd:    one of its queues; the setting is the whole interface's
 * @len:   0, 10 or 12. 0: frames ask for nothing; the header has 12 bytes nonetheless, which
 *         port/tap_fp.c hides
 * @lacks: UNM_VNET_LACKS_*: offloads that the port can't take
 *
 * Return: 0 or -errno.
 */
int unm_tap_set_header(int fd, uint32_t len, uint32_t lacks);

/**
 * unm_tap_set_carrier() - as if the cable of the open TAP @fd were plugged in or pulled. Return: 0
 * or -errno.
 */
int unm_tap_set_carrier(int fd, bool is_on);

/*
 * Slots of the rings that frames pass through on the way to a TAP that is on a switch: three of the
 * longest frames (33 slots each). Not more, so that the buffers are still in the cache when they are
 * used again.
 */
#define UNM_TAP_ATTACHED_SLOTS 128u

/** unm_tap_allowed() - may netmapd make TAPs? Return: 0 or -EPERM, -ENXIO with the reason. */
int unm_tap_allowed(struct unm_reason *why);

struct unm_domain;
struct unm_dport;

/** unm_tap_behind() - the TAP that is on a switch as port @attached; NULL if there is none. */
struct unm_dport *unm_tap_behind(struct unm_domain *dom, const struct unm_dport *attached);

/** unm_tap_is_tap() - is there an interface @ifname, and is it a TAP? */
bool unm_tap_is_tap(const char *ifname);

#endif
