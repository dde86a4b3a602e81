/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netmapd.conf (netmapd.conf(5)): an INI file, every key optional.
 *
 * A bad line is an error that names file and line, and netmapd does not start: better than to run
 * with limits nobody asked for.
 */
#ifndef UNM_DAEMON_CONFIG_H
#define UNM_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/isolate_spec.h"
#include "daemon/log.h"

#define UNM_CONFIG_GID_NONE	((gid_t)-1)
#define UNM_CONFIG_MAX_ISOLATES 32u

/*
 * The clock of the MAC table turns every 512 s; the data path reads no more than this out of the
 * segment (vale/fdb.h).
 */
#define UNM_CONFIG_MAX_AGEING_S 400u

struct unm_config {
	/* [access] */
	char group[64]; /* its members may connect to the system instance; empty = nobody else */
	gid_t gid;	/* of @group, or UNM_CONFIG_GID_NONE */
	/* [limits] */
	uint64_t memory_mib; /* 0 = none */
	uint32_t clients;
	uint32_t ports; /* 0 = none */
	/* [vale] */
	uint32_t slots;
	uint32_t ageing_s;
	/* [nic] */
	int nic_mode; /* enum unm_nic_mode; 0 = the best that works */
	uint32_t nic_buffers;
	uint32_t nic_busy_poll_us;
	bool nic_may_take_uplink;
	/* [daemon] */
	bool use_huge_pages;
	bool use_seccomp;     /* limit system calls after the start */
	uint32_t idle_exit_s; /* of an instance started on demand; 0 = never */
	int log_level;	      /* LOG_* */
	/* [isolate NAME] */
	struct unm_isolate_spec isolates[UNM_CONFIG_MAX_ISOLATES];
	uint32_t n_isolates;
};

/** unm_config_defaults() - what holds without a file. */
void unm_config_defaults(struct unm_config *cfg);

/**
 * unm_config_load() - read @path over the values in @cfg
 * @must_exist: a missing file is an error
 *
 * Return: 0, or negative errno with a reason that names file, line and key.
 */
int unm_config_load(
	struct unm_config *cfg, const char *path, bool must_exist, struct unm_reason *why);

/**
 * unm_config_check_socket() - is netmapd's own socket, at @socket_path, free of isolates?
 * @path: of the file, for the reason
 *
 * Return: 0, or -EINVAL with the reason.
 */
int unm_config_check_socket(const struct unm_config *cfg, const char *path, const char *socket_path,
	struct unm_reason *why);

#endif
