/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Features of interfaces (ethtool -k), by the number of the interface.
 *
 * The ioctl(2) takes a name, which may be another interface's from one moment to the next. So this is
 * the kernel's netlink family of the same purpose (CONFIG_ETHTOOL_NETLINK, on by default; features
 * since Linux 5.8; its document is networking/ethtool-netlink.rst): what it changes is that interface or none.
 */
#ifndef UNM_DAEMON_NIC_FEATURES_H
#define UNM_DAEMON_NIC_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_FEATURES_MAX 32u

/* Bit i of the masks below is name[i]. */
struct unm_feature_names {
	uint32_t n; /* at most UNM_FEATURES_MAX */
	const char *const *name;
};

struct unm_features {
	int fd;
	uint16_t family;
};

/**
 * unm_features_open() - for interfaces of the current namespace; @f is closed by unm_features_close()
 * unm_features_open_beside() - for those of the namespace that @sock is of
 *
 * Return: 0; -ENOPROTOOPT: the kernel lacks the family; other negative errnos.
 */
int unm_features_open(struct unm_features *f);
int unm_features_open_beside(int sock, struct unm_features *f);
void unm_features_close(struct unm_features *f);

/**
 * unm_features_get() - which are on, and which can be changed
 *
 * What the kernel does not know is neither. Return: 0; -ENODEV: there is no such interface; other
 * negative errnos.
 */
int unm_features_get(const struct unm_features *f, uint32_t ifindex,
	const struct unm_feature_names *names, uint32_t *on, uint32_t *changeable);

/** unm_features_set() - switch those of @which, all known to the kernel, on or off. Return: as above. */
int unm_features_set(const struct unm_features *f, uint32_t ifindex,
	const struct unm_feature_names *names, uint32_t which, bool is_on);

#endif
