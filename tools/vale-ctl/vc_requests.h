/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The requests of vale-ctl, one function each: fill in a body, NIOCCTRL, read the answer. No output
 * here. @fd is an open, unbound descriptor of /dev/netmap throughout. Spec: sections 6.2 and 16.
 */
#ifndef VALE_CTL_VC_REQUESTS_H_
#define VALE_CTL_VC_REQUESTS_H_

#include <stdbool.h>
#include <stdint.h>

#include <libnetmap.h>

#include "vc_options.h"

struct vc_list_entry {
	char name[NETMAP_REQ_IFNAMSIZ];
	uint32_t bridge_idx;
	uint32_t port_idx;
};

/* What -g and -n tell about a port. */
struct vc_port_info {
	uint64_t memsize; /* 0 from vc_create() */
	struct vc_geometry geometry;
	uint16_t mem_id;
};

/**
 * vc_find_mem_id() - turn -m into a region's number
 * @spec:   a number from 1 to 65535, or a port specification
 * @mem_id: written on success only
 *
 * Return: 0, -ERANGE a number out of range, or what the lookup of the port gave.
 */
int vc_find_mem_id(const char *spec, uint16_t *mem_id);

/**
 * vc_list_next() - the next port of any switch
 * @e: in: where to look from, both indices 0 at first; out: the port found. To go on, increase
 *     port_idx.
 *
 * Return: 0, -ENOENT no more ports, -EPROTO the answer lies before the question, other errors.
 */
int vc_list_next(int fd, struct vc_list_entry *e);

/**
 * vc_list_port() - the indices of one port
 * @name: valeS:PORT
 *
 * Return: 0, -ENOENT no such switch or port, -EINVAL not a VALE name, other errors.
 */
int vc_list_port(int fd, const char *name, struct vc_list_entry *e);

int vc_info(int fd, const char *name, struct vc_port_info *info);

/** vc_attach() - @mem_id: region for the interface, 0 for the default. Return: 0 or -errno. */
int vc_attach(int fd, const char *name, bool with_host, uint16_t mem_id, uint32_t *port_index);

int vc_detach(int fd, const char *name, uint32_t *port_index);

/** vc_create() - @info: in: geometry and region wanted; out: obtained. Return: 0 or -errno. */
int vc_create(int fd, const char *name, struct vc_port_info *info);

int vc_delete(int fd, const char *name);

int vc_poll_start(int fd, const char *name, const struct vc_polling *polling);
int vc_poll_stop(int fd, const char *name);

#endif /* VALE_CTL_VC_REQUESTS_H_ */
