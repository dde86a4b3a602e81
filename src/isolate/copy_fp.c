/* SPDX-License-Identifier: BSD-2-Clause */
/* Copying slots between two regions. See copy_fp.h. */
#include "isolate/copy_fp.h"

#include "ring/kring.h"
#include "ring/slot.h"
#include "vale/copy.h"

/*
 * Of one side only: an address, and that a buffer is another one than before (the other side's is
 * the same).
 */
#define OWN_FLAGS (NS_INDIRECT | NS_BUF_CHANGED)

/* One side of a copy. */
struct side {
	struct netmap_slot slot; /* the only load of it */
	char *bufs;
	uint32_t buf_size, n_bufs;
};

static inline struct side
port_side(const struct unm_bring *port, uint32_t i)
{
	const struct side s = {
		unm_slot_load(&port->ring->slot[i]), port->bufs, port->buf_size, port->n_bufs};

	return s;
}

static inline struct side
client_side(const struct unm_copy_ring *c, uint32_t i)
{
	const struct side s = {unm_slot_load(&c->ring->slot[i]), c->bufs, c->buf_size, c->n_bufs};

	return s;
}

static inline uint8_t *
buffer(const struct side *s)
{
	return (uint8_t *)s->bufs + (size_t)s->slot.buf_idx * s->buf_size;
}

/* Are there @len bytes at @ofs in the buffer that the slot names? */
static inline bool
has_room(const struct side *s, uint32_t len, uint64_t ofs)
{
	return unm_buf_idx_ok(s->slot.buf_idx, s->n_bufs) && len <= s->buf_size &&
	       ofs <= s->buf_size - len;
}

/*
 * Copy what slot @from holds to the buffer of slot @to, at the same offset.
 * @mask: OFFSETS in force
 * Return: @to as it is to be stored.
 */
static inline struct netmap_slot
copy_slot(
	const struct unm_bring *port, const struct side *from, const struct side *to, uint64_t mask)
{
	const uint64_t ofs = from->slot.ptr & mask;
	struct netmap_slot out = to->slot;

	out.flags = from->slot.flags & (uint16_t)~OWN_FLAGS;
	out.ptr = (out.ptr & ~mask) | ofs;
	if (__builtin_expect((from->slot.flags & NS_INDIRECT) ||
				     !has_room(from, from->slot.len, ofs) ||
				     !has_room(to, from->slot.len, ofs),
		    0)) {
		unm_count(&port->kring->drops[UNM_DROP_BAD_SLOT], 1);
		out.len = 0;
		out.ptr &= ~mask;
		return out;
	}
	out.len = from->slot.len;
	unm_copy_frame(buffer(to) + ofs, buffer(from) + ofs, out.len);
	return out;
}

void
unm_copy_out(
	const struct unm_bring *port, const struct unm_copy_ring *c, uint32_t from, uint32_t to)
{
	const uint64_t mask = UNM_READ_ONCE(port->kring->offset_mask);
	uint32_t i;

	for (i = from; i != to; i = unm_pos_next(i, port->num_slots)) { /* both in [0, num_slots) */
		const struct side mine = client_side(c, i), theirs = port_side(port, i);

		unm_slot_store(&port->ring->slot[i], copy_slot(port, &mine, &theirs, mask));
	}
}

void
unm_copy_in(const struct unm_bring *port, const struct unm_copy_ring *c, uint32_t from, uint32_t to)
{
	const uint64_t mask = UNM_READ_ONCE(port->kring->offset_mask);
	uint32_t i;

	for (i = from; i != to; i = unm_pos_next(i, port->num_slots)) { /* both in [0, num_slots) */
		const struct side mine = client_side(c, i), theirs = port_side(port, i);

		unm_slot_store(&c->ring->slot[i], copy_slot(port, &theirs, &mine, mask));
	}
}
