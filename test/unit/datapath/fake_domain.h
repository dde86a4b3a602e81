/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trust domain without netmapd, for tests of the data path: one segment and its regions in shared anonymous
 * memory, ports laid out by the test. Works across fork, as the memory is shared and addresses stay the same.
 */
#ifndef FAKE_DOMAIN_H
#define FAKE_DOMAIN_H

#include "port/port.h"

#define FAKE_MAX_PORTS	  320
#define FAKE_MAX_BINDINGS (FAKE_MAX_PORTS + 64)
#define FAKE_MAX_REGIONS  (FAKE_MAX_PORTS + 1)

struct fake_region {
	struct unm_region region;
	uint64_t ring_top; /* next free byte of the ring pool */
	uint32_t buf_top;  /* next free buffer */
};

struct fake_domain {
	struct unm_seg seg;
	uint64_t seg_size;
	uint32_t kring_top;
	uint32_t n_ports;
	uint32_t n_bindings;
	uint32_t n_regions;
	uint64_t deny_uid; /* region_get() refuses this region; 0 = none */
	uint64_t late_uid; /* region_get() has no answer about this one yet; 0 = none */
	uint32_t region_of[FAKE_MAX_PORTS];
	int eventfd[FAKE_MAX_BINDINGS];
	struct fake_region regions[FAKE_MAX_REGIONS]; /* [0]: for all ports that ask for no other */
};

struct fake_geometry {
	uint32_t kind; /* enum unm_port_kind */
	uint32_t n_tx, n_rx, slots;
	uint32_t flags;	   /* UNM_PORTF_*; OPEN is added */
	uint32_t buf_size; /* not 0: the port has a region of its own, with buffers of this size */
	uint32_t region;   /* else: whose it shares, 0 the common one */
	uint32_t hdr_len;  /* virtio-net header */
};

/* Make a domain whose common region has @n_bufs buffers of @buf_size bytes. Aborts the test on failure. */
struct fake_domain *fake_domain_new(uint32_t seg_type, uint32_t n_bufs, uint32_t buf_size);
void fake_domain_free(struct fake_domain *d);
/* With several domains in one program: which one env callbacks speak of; the last one made if never called. */
void fake_domain_use(struct fake_domain *d);

/*
 * Add a port with one binding; buffers are put into its rings (not into the rx rings of a pipe).
 * Return: its index.
 */
uint32_t fake_port_add(struct fake_domain *d, const struct fake_geometry *g);

/* Make two pipe ports each other's peers. */
void fake_pipe_join(struct fake_domain *d, uint32_t a, uint32_t b);

/*
 * A monitor of @watched with @n_rx rings, on the lists of its rings (zero-copy ones hang on those too: one at most).
 * @buf_size: of its own region; ignored for a zero-copy monitor. Return: its index.
 */
uint32_t fake_monitor_add(struct fake_domain *d, uint32_t watched, uint32_t mon_flags,
	uint32_t n_rx, uint32_t slots, uint32_t buf_size);
/* Put ring @i of monitor @m on the list of kring @of, or take it off. */
void fake_monitor_link(struct fake_domain *d, uint32_t m, uint32_t i, struct unm_kring *of);
void fake_monitor_unlink(struct fake_domain *d, uint32_t m, uint32_t i, struct unm_kring *of);

/* One more binding of @port, at the head of its list. Return: its index. */
uint32_t fake_binding_add(struct fake_domain *d, uint32_t port);

/* What netmapd would answer to a REGISTER of all rings of @port; @binding as made above. */
struct unm_bind_info fake_bind_info(const struct fake_domain *d, uint32_t port, uint32_t binding);
/* Try to open a bport. @fds: info->n_port_fds queues of a TAP, else NULL. Return: that of unm_bport_open(). */
int fake_port_try_open(struct fake_domain *d, const struct unm_bind_info *info, const int *fds,
	struct unm_bport **out);
/* As fake_port_try_open(), which must succeed. */
struct unm_bport *fake_port_open_info(
	struct fake_domain *d, const struct unm_bind_info *info, const int *fds);
/* Open a bport that has all rings of @port, with the port's first binding. */
struct unm_bport *fake_port_open(struct fake_domain *d, uint32_t port);

/* Change a port's state and flags the way netmapd does: the epoch moves. */
void fake_port_set_state(struct fake_domain *d, uint32_t port, uint32_t state, uint32_t flags);
/* Put OFFSETS into force on all rings of @port: the low @bits bits of slot.ptr. */
void fake_port_set_offsets(
	struct fake_domain *d, uint32_t port, unsigned int bits, uint32_t max, uint32_t gap);

/* Finish the exchange of buffers that a dead client has left in the ring of a zero-copy monitor, as netmapd does. */
void fake_monitors_repair(struct fake_domain *d);

/* What netmapd does when the client @slot is dead: break its locks, wake everybody. Return: locks broken. */
unsigned int fake_client_died(struct fake_domain *d, uint32_t slot);
void fake_wake_all(struct fake_domain *d);

/* Signals that binding @b got since the last call (the eventfd is read, which no client does). */
uint64_t fake_signals(const struct fake_domain *d, uint32_t b);

/* The kring of ring @i of @port in one direction. */
struct unm_kring *fake_kring(const struct fake_domain *d, uint32_t port, bool is_rx, uint32_t i);

/* What the env callbacks answer or saw. */
extern _Thread_local uint32_t fake_slot; /* slot() of this thread */
extern _Thread_local int fake_slot_left; /* after so many more calls it is 0; negative: never */
extern unsigned int fake_stuck_calls;
extern unsigned int fake_region_refs; /* region_get() less region_put() */

#endif
