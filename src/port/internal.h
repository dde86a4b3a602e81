/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files of src/port only: the port kinds, and small pieces that several of them use.
 */
#ifndef UNM_PORT_INTERNAL_H
#define UNM_PORT_INTERNAL_H

#include "port/port.h"
#include "ring/kring.h"
#include "ring/slot.h"

extern const struct unm_port_ops unm_port_vale_ops;
extern const struct unm_port_ops unm_port_pipe_ops;
extern const struct unm_port_ops unm_port_null_ops;
extern const struct unm_port_ops unm_port_tap_ops;
extern const struct unm_port_ops unm_port_sink_ops;
extern const struct unm_port_ops unm_port_nic_ops;
extern const struct unm_port_ops unm_port_packet_ops;
extern const struct unm_port_ops unm_port_monitor_ops;
extern const struct unm_port_ops unm_port_isolated_ops;
extern const struct unm_port_ops unm_port_host_ops;

/* Make a ring a host ring. Return: 0 or -ENOMEM. */
int unm_host_ring_init(struct unm_bring *r);

/* The same for one that is an AF_PACKET socket. */
int unm_packet_ring_init(struct unm_bring *r);

/* Is what the client gives back on rx ring @r to go on (spec 13.4)? */
static inline bool
unm_ring_forwards(const struct unm_bring *r)
{
	return ((UNM_READ_ONCE(r->ring->flags) & NR_FORWARD) |
		       (UNM_READ_ONCE(r->bp->seg->ports[r->bp->info.port].flags) &
			       UNM_PORTF_FORWARD)) != 0;
}

/* Pass slots hwcur ... @head - 1 of an NIC's rx ring up to the stack, as far as they are to go. */
void unm_host_pass_up(struct unm_bring *r, uint32_t head);

/* Pipes (pipe_fp.c), for joined rings too: r->peer_* are set. As in struct unm_port_ops. */
int unm_pipe_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail);
int unm_pipe_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail);
uint32_t unm_pipe_tx_done(const struct unm_bring *r);

/* A tx ring whose slots before hwcur have all been sent: what its client may fill. */
static inline uint32_t
unm_tx_tail_all_free(const struct unm_bring *r, uint32_t hwcur)
{
	return unm_pos_prev(hwcur, r->num_slots);
}

/*
 * hwcur of a ring of ours. A value out of range (somebody's stray store) reads as the last accepted
 * head.
 */
static inline uint32_t
unm_own_hwcur(const struct unm_bring *r)
{
	const uint32_t pos = UNM_READ_ONCE(r->kring->hwcur);

	if (__builtin_expect(pos < r->num_slots, 1))
		return pos;
	return UNM_READ_ONCE(r->kring->last_head) < r->num_slots
		       ? UNM_READ_ONCE(r->kring->last_head)
		       : 0;
}

/*
 * Start of the packet that slot @s holds, or NULL if its index, or offset and length, leave the
 * buffer.
 */
static inline uint8_t *
unm_slot_data(const struct unm_bring *r, const struct netmap_slot *s)
{
	const uint64_t mask = UNM_READ_ONCE(r->kring->offset_mask); /* mostly 0: no OFFSETS */
	const uint64_t ofs = s->ptr & mask;

	if (!unm_buf_idx_ok(s->buf_idx, r->n_bufs) || s->len > r->buf_size ||
		ofs > r->buf_size - s->len)
		return NULL;
	return (uint8_t *)r->bufs + (size_t)s->buf_idx * r->buf_size + ofs;
}

/*
 * Why a frame can't be sent that has slot @s as number @taken of at most @max_slots, @data being
 * what unm_slot_data() says of it. UNM_DROP_N: nothing speaks against it.
 */
static inline enum unm_drop
unm_slot_fault(const struct unm_bring *r, const struct netmap_slot *s, const uint8_t *data,
	uint32_t taken, uint32_t max_slots)
{
	if (data == NULL && s->len <= r->buf_size)
		return UNM_DROP_BAD_SLOT;
	return data == NULL || taken > max_slots ? UNM_DROP_TOO_LONG : UNM_DROP_N;
}

#endif
