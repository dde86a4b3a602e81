/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding and making ports by name: one file per kind (kind_*.c), and the order in which names are
 * interpreted.
 *
 * A port that a request has made but then could not bind is taken away again by unm_port_release().
 */
#ifndef UNM_DAEMON_KINDS_H
#define UNM_DAEMON_KINDS_H

#include "daemon/domain.h"

#define UNM_MIN_SLOTS 2u /* one slot always stays empty */

/*
 * A client's hint about a number of rings or slots: 0 is the default, the rest is brought into
 * range silently (spec 16.2).
 */
static inline uint32_t
unm_hint(uint32_t v, uint32_t dflt, uint32_t min, uint32_t max)
{
	if (v == 0)
		v = dflt;
	if (v < min)
		v = min;
	return v > max ? max : v;
}

/* Hints of a request; zero means default. */
struct unm_geometry {
	uint32_t n_tx, n_rx;
	uint32_t n_host_tx, n_host_rx; /* network interfaces only */
	uint32_t tx_slots, rx_slots;
	uint32_t n_extra;
	uint32_t isolate_id;	    /* for a client of this isolate; 0: for anybody */
	uint64_t max_bytes;	    /* that the port's rings and buffers may take; 0: no limit */
	struct unm_dregion *region; /* borrowed; asked for by nr_mem_id or EXTMEM, else NULL */
};

extern const struct unm_port_kind_ops unm_kind_vale;
extern const struct unm_port_kind_ops unm_kind_base;
extern const struct unm_port_kind_ops unm_kind_pipe;
extern const struct unm_port_kind_ops unm_kind_null;
extern const struct unm_port_kind_ops unm_kind_tap;
extern const struct unm_port_kind_ops unm_kind_nic;
extern const struct unm_port_kind_ops unm_kind_monitor;

/** unm_kind_ops() - by kind; NULL for a kind that netmapd does not serve. */
const struct unm_port_kind_ops *unm_kind_ops(uint32_t kind);

/**
 * unm_port_open() - find a port, or make it where its kind allows (spec 6.1 step 4)
 *
 * Return: 0; -ENXIO no such interface; -EINVAL, -ENOMEM, -EPERM, -EBUSY as the kind says; each with
 * the reason.
 */
int unm_port_open(struct unm_domain *dom, const struct unm_name *name,
	const struct unm_geometry *geo, struct unm_dport **out, struct unm_reason *why);

/**
 * unm_port_true_name() - of an interface or a TAP that is open under another name (of its namespace,
 * or of its own), the name of its port; also as the base of a pipe and on a switch. Other names stay.
 *
 * Return: 0, or -EBUSY with the reason: a port has this name that is another interface's.
 */
int unm_port_true_name(struct unm_domain *dom, struct unm_name *name, struct unm_reason *why);

/** unm_port_release() - let go of a port that unm_port_open() gave: one that nobody uses ends. */
void unm_port_release(struct unm_domain *dom, struct unm_dport *port);

/**
 * unm_port_find() - an existing port only, also a persistent one by its plain name; NULL if there
 * is none.
 */
struct unm_dport *unm_port_find(struct unm_domain *dom, const struct unm_name *name);

int unm_vale_open(struct unm_domain *dom, const struct unm_name *name,
	const struct unm_geometry *geo, struct unm_dport **out, struct unm_reason *why);
int unm_pipe_open(struct unm_domain *dom, const struct unm_name *name,
	const struct unm_geometry *geo, struct unm_dport **out, struct unm_reason *why);
int unm_tap_open(struct unm_domain *dom, const struct unm_name *name,
	const struct unm_geometry *geo, struct unm_dport **out, struct unm_reason *why);

int unm_nic_open(struct unm_domain *dom, const struct unm_name *name,
	const struct unm_geometry *geo, struct unm_dport **out, struct unm_reason *why);

/** unm_null_open() - every call makes a new port; @geo->region must be given. */
int unm_null_open(struct unm_domain *dom, const char *label, const struct unm_geometry *geo,
	struct unm_dport **out, struct unm_reason *why);

/**
 * unm_base_new() - a port outside any switch
 * @flags: UNM_PORTF_PERSISTENT for NEWIF; 0 for the automatic base of pipes, which ends with the
 * last of them
 */
int unm_base_new(struct unm_domain *dom, const char *name, const struct unm_geometry *geo,
	uint32_t flags, struct unm_dport **out, struct unm_reason *why);

/**
 * unm_base_in_the_way() - an interface or a TAP is to be opened by @name, for which *port was found,
 * or NULL. If that is the automatic base of pipes, *port is NULL, and *base is what the caller
 * removes once the port is made; else *base is NULL. The pipes stay, as those do whose base has
 * ended
 *
 * Return: 0, -EBUSY: a program has opened the base itself.
 */
int unm_base_in_the_way(
	const char *name, struct unm_dport **port, struct unm_dport **base, struct unm_reason *why);

/** unm_base_is_automatic() - is @port a base that pipes have made, which nobody has opened? */
bool unm_base_is_automatic(const struct unm_dport *port);

/** unm_vale_new() - a port on a switch under the given full name; no check of the name. */
int unm_vale_new(struct unm_domain *dom, const char *full, const char *sw,
	const struct unm_geometry *geo, uint32_t flags, struct unm_dport **out,
	struct unm_reason *why);

/** unm_max_rx_slots() - the most slots of each receive ring of a VALE port or copy monitor with @n_rings (> 0). */
uint32_t unm_max_rx_slots(uint32_t n_rings);

/**
 * unm_port_check_size() - may a port, or both ends of a pipe, be made that @geo asks for? As every kind
 * asks that isolated clients have. Return: 0, or -ENOMEM with the reason.
 * @spec: complete, with its region
 */
int unm_port_check_size(
	const struct unm_geometry *geo, const struct unm_port_spec *spec, struct unm_reason *why);

/** unm_vale_geometry() - defaults and silent limits of VALE ports (spec 16.2). */
void unm_vale_geometry(const struct unm_domain *dom, struct unm_geometry *geo);

/**
 * unm_private_shape() - a private region for a port of this geometry, with room for pipes over it.
 */
void unm_private_shape(const struct unm_geometry *geo, struct unm_region_shape *shape);

/**
 * unm_port_attached_as() - the port on a switch that another one is attached by, so that a worker has
 * both; NULL: none
 * @name: of an interface or a TAP, there or not, or the plain name of a persistent port
 */
const struct unm_dport *unm_port_attached_as(const struct unm_domain *dom, const char *name);

/** unm_interface_exists() - is there a network interface of this name where netmapd runs? */
bool unm_interface_exists(const char *name);

#endif
