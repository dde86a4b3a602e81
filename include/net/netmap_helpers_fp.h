/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net/netmap_helpers_fp.h - packets for the nm_* functions: nm_inject(), nm_dispatch(), nm_nextpkt().
 *
 * The second half of net/netmap_helpers.h, which includes it: the data path. Nothing here allocates
 * or makes a system call. Slots are read and written only between head and tail, which are the
 * client's; tail belongs to netmap and is read once for each ring and packet or batch.
 *
 * Threads: one port, one thread.
 */
#ifndef NETMAP_HELPERS_FP_H
#define NETMAP_HELPERS_FP_H

/** nmh_n_rings() - rings in an interval; an empty one may have wrapped around to 0...65535 */
NM_HELPER uint32_t
nmh_n_rings(uint16_t first, uint16_t last)
{
	return (uint16_t)(last - first + 1);
}

/** nmh_slot_room() - bytes of packet that fit into a slot: its buffer, as far as len can say */
NM_HELPER size_t
nmh_slot_room(const struct netmap_ring *ring, const struct netmap_slot *slot)
{
	const uint64_t offset = NETMAP_ROFFSET(ring, slot);
	const uint64_t room = offset < ring->nr_buf_size ? ring->nr_buf_size - offset : 0;

	return room < UINT16_MAX ? (size_t)room : UINT16_MAX;
}

/** nmh_inject_ring() - copy one packet into one ring, over several slots if need be; 1 if it fits */
NM_HELPER int
nmh_inject_ring(struct netmap_ring *ring, const void *buf, size_t size)
{
	const uint32_t space = nm_ring_space(ring), head = ring->head;
	const char *src = (const char *)buf;
	size_t room = 0;
	uint32_t i, n;

	for (n = 0, i = head; n < space && room < size; n++, i = nm_ring_next(ring, i))
		room += nmh_slot_room(ring, &ring->slot[i]);
	if (room < size)
		return 0;
	for (i = head; n > 0; n--, i = nm_ring_next(ring, i)) {
		struct netmap_slot *slot = &ring->slot[i];
		size_t part = nmh_slot_room(ring, slot);

		if (part > size)
			part = size;
		nm_pkt_copy(src, NETMAP_BUF_OFFSET(ring, slot), (int)part);
		src += part;
		size -= part;
		slot->len = (uint16_t)part;
		/* A buffer that the client put here and has not synced yet stays marked. */
		slot->flags = (uint16_t)(slot->flags & NS_BUF_CHANGED);
		if (size > 0)
			slot->flags |= NS_MOREFRAG;
	}
	ring->head = ring->cur = i;
	return 1;
}

/**
 * nmh_inject_rings() - copy one packet into the first ring that has room, from *cur on, in a circle
 *
 * Also the body of nmport_inject(). Return: size, or 0; *cur is the ring used.
 */
NM_HELPER int
nmh_inject_rings(struct netmap_if *nifp, uint16_t first, uint16_t last, uint16_t *cur,
	const void *buf, size_t size)
{
	const uint32_t n = nmh_n_rings(first, last);
	uint32_t c;
	uint16_t ri = *cur;

	if (size == 0 || size > INT32_MAX)
		return 0;
	for (c = 0; c < n; c++, ri++) {
		if (ri < first || ri > last)
			ri = first;
		if (nifp->ring_ofs[ri] == 0)
			continue;
		if (nmh_inject_ring(NETMAP_TXRING(nifp, ri), buf, size)) {
			*cur = ri;
			return (int)size;
		}
	}
	return 0;
}

/**
 * nm_inject() - queue a packet for transmission
 * @d: open port
 * @buf: the packet; copied
 * @size: bytes; a packet larger than a buffer takes several slots
 *
 * Rings are tried from cur_tx_ring on. Does not sync: the packet leaves at the next poll or
 * NIOCTXSYNC. Return: @size, or 0 when no ring has room.
 */
NM_HELPER int
nm_inject(struct nm_desc *d, const void *buf, size_t size)
{
	return nmh_inject_rings(
		d->nifp, d->first_tx_ring, d->last_tx_ring, &d->cur_tx_ring, buf, size);
}

/**
 * struct nmh_rx_pos - where nm_dispatch() stands; the rings are released packet by packet
 *
 * tail is read once per ring. A tail that moves meanwhile is not chased, so a call ends.
 */
struct nmh_rx_pos {
	struct netmap_ring *ring; /* NULL if it is not bound */
	uint32_t ri;
	uint32_t n_left; /* rings after this one */
	uint32_t slot;	 /* next slot to look at */
	uint32_t tail;	 /* where this ring ends for us */
};

/** struct nmh_rx_pkt - a packet found, and how to give its slots back */
struct nmh_rx_pkt {
	struct nm_pkthdr hdr;
	struct netmap_ring *ring;
	uint32_t ri;
	uint32_t next;
};

/** nmh_rx_ring() - bound receive ring ri, or NULL */
NM_HELPER struct netmap_ring *
nmh_rx_ring(const struct nm_desc *d, uint32_t ri)
{
	const struct netmap_if *nifp = d->nifp;

	if (nifp->ring_ofs[nifp->ni_tx_rings + nifp->ni_host_tx_rings + ri] == 0)
		return NULL;
	return NETMAP_RXRING(nifp, ri);
}

/** nmh_rx_gather() - describe the packet at pkt->next and move that behind it, at most to tail */
NM_HELPER void
nmh_rx_gather(struct nmh_rx_pkt *pkt, uint32_t tail)
{
	struct netmap_ring *ring = pkt->ring;
	struct netmap_slot *slot = &ring->slot[pkt->next];
	const char *end = NETMAP_BUF_OFFSET(ring, slot);
	int contiguous = 1;
	uint32_t n;

	pkt->hdr.ts = ring->ts;
	pkt->hdr.slot = slot;
	pkt->hdr.buf = (uint8_t *)NETMAP_BUF_OFFSET(ring, slot);
	pkt->hdr.len = pkt->hdr.caplen = 0;
	for (n = 0; n < ring->num_slots; n++) {
		const char *begin = NETMAP_BUF_OFFSET(ring, slot);

		contiguous = contiguous && begin == end;
		if (contiguous) {
			pkt->hdr.caplen += slot->len;
			end = begin + slot->len;
		}
		pkt->hdr.len += slot->len;
		pkt->next = nm_ring_next(ring, pkt->next);
		if ((slot->flags & NS_MOREFRAG) == 0 || pkt->next == tail)
			return;
		slot = &ring->slot[pkt->next];
	}
}

/** nmh_rx_enter() - begin with ring pos->ri */
NM_HELPER void
nmh_rx_enter(const struct nm_desc *d, struct nmh_rx_pos *pos)
{
	struct netmap_ring *ring = nmh_rx_ring(d, pos->ri);

	pos->ring = ring;
	pos->slot = pos->tail = 0;
	if (ring == NULL)
		return;
	pos->slot = ring->head;
	pos->tail = ring->tail < ring->num_slots ? ring->tail : pos->slot;
}

/** nmh_rx_next() - find the next packet from pos on, over all rings left; 1 if there is one */
NM_HELPER int
nmh_rx_next(const struct nm_desc *d, struct nmh_rx_pos *pos, struct nmh_rx_pkt *pkt)
{
	while (pos->slot == pos->tail) {
		if (pos->n_left == 0)
			return 0;
		pos->n_left--;
		pos->ri = pos->ri >= d->last_rx_ring ? d->first_rx_ring : pos->ri + 1;
		nmh_rx_enter(d, pos);
	}
	pkt->ring = pos->ring;
	pkt->ri = pos->ri;
	pkt->next = pos->slot;
	nmh_rx_gather(pkt, pos->tail);
	pos->slot = pkt->next;
	return 1;
}

/**
 * nm_dispatch() - give received packets to a callback
 * @d: open port
 * @cnt: most packets to deliver; 0 or less for all there are
 * @cb: called for each packet; its header and bytes are valid until it returns
 * @arg: first argument of @cb
 *
 * Looks at the bound rings from cur_rx_ring on; does not sync. A packet is delivered once the next
 * one has been found, or the end, so that NM_MORE_PKTS is right. Its slots are released just before
 * its callback: one that syncs gives them back to netmap, but not those of the packets behind.
 *
 * Return: packets delivered.
 */
NM_HELPER int
nm_dispatch(struct nm_desc *d, int cnt, nm_cb_t cb, unsigned char *arg)
{
	const uint32_t n_rings = nmh_n_rings(d->first_rx_ring, d->last_rx_ring);
	struct nmh_rx_pos pos = {NULL, d->cur_rx_ring, n_rings - 1, 0, 0};
	struct nmh_rx_pkt next;
	int got = 0, more;

	if (n_rings == 0)
		return 0;
	nmh_rx_enter(d, &pos);
	memset(&next, 0, sizeof(next));
	next.hdr.d = d;
	for (more = nmh_rx_next(d, &pos, &next); more; got++) {
		struct nmh_rx_pkt pkt = next;

		more = got + 1 != cnt && nmh_rx_next(d, &pos, &next);
		pkt.hdr.flags = more ? NM_MORE_PKTS : 0;
		d->hdr = pkt.hdr;
		d->cur_rx_ring = (uint16_t)pkt.ri;
		pkt.ring->head = pkt.ring->cur = pkt.next;
		cb(arg, &d->hdr, d->hdr.buf);
	}
	return got;
}

/**
 * nm_nextpkt() - take the next received packet
 * @d: open port
 * @hdr: out
 *
 * Fragments come one by one, each with NS_MOREFRAG in its slot but the last. Does not sync; the
 * packet stays valid until the next sync.
 *
 * Return: the packet, or NULL when there is none.
 */
NM_HELPER unsigned char *
nm_nextpkt(struct nm_desc *d, struct nm_pkthdr *hdr)
{
	const uint32_t n_rings = nmh_n_rings(d->first_rx_ring, d->last_rx_ring);
	uint32_t c, ri = d->cur_rx_ring;

	for (c = 0; c < n_rings; c++) {
		struct netmap_ring *ring = nmh_rx_ring(d, ri);

		if (ring != NULL && !nm_ring_empty(ring)) {
			struct netmap_slot *slot = &ring->slot[ring->head];

			hdr->ts = ring->ts;
			hdr->len = hdr->caplen = slot->len;
			hdr->flags = 0;
			hdr->d = d;
			hdr->slot = slot;
			hdr->buf = (uint8_t *)NETMAP_BUF_OFFSET(ring, slot);
			ring->head = ring->cur = nm_ring_next(ring, ring->head);
			d->cur_rx_ring = (uint16_t)ri;
			return hdr->buf;
		}
		ri = ri >= d->last_rx_ring ? d->first_rx_ring : ri + 1;
	}
	return NULL;
}

#endif /* NETMAP_HELPERS_FP_H */
