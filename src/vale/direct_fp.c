/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing to a TAP's queues. See direct_fp.h.
 *
 * No lock is held meanwhile, as nothing shared is touched: the queue is the kernel's. What was
 * delivered is counted in the receiver's ring afterwards, under its lock; if that does not come
 * free the counts are lost, which is better than waiting.
 */
#include "vale/direct_fp.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ring/kring.h"
#include "shm/lock.h"
#include "vale/flow_hash.h"
#include "vale/super_tx.h"

#define MAX_IOV 64

struct tally {
	uint64_t pkts, bytes;
};

/*
 * The frame as iovecs, one for buffers that follow one another. Return: their number, 0 if there
 * are too many.
 */
static int
frame_iov(const struct unm_vale_src *s, const struct unm_frame *f, struct iovec *iov)
{
	int n = 0;
	uint32_t i;

	for (i = 0; i < f->n_frags; i++) {
		const struct unm_frag *frag = &s->frags[f->frag + i];

		if (n > 0 &&
			(const uint8_t *)iov[n - 1].iov_base + iov[n - 1].iov_len == frag->data) {
			iov[n - 1].iov_len += frag->len;
			continue;
		}
		if (n == MAX_IOV)
			return 0;
		iov[n].iov_base = (void *)(uintptr_t)frag->data;
		iov[n++].iov_len = frag->len;
	}
	return n;
}

/*
 * As the ring of a receiver with several rings is chosen: the kernel answers on the queue that a
 * flow came from.
 */
static uint32_t
queue_for(const struct unm_vale_src *s, const struct unm_peer *p, const struct unm_frame *f)
{
	if (p->n_queues == 1 || f->dst == UNM_DST_FLOOD)
		return 0;
	if (s->n_tx_rings >= p->n_queues)
		return s->ring_id % p->n_queues;
	return (uint32_t)((unm_flow_hash(f->eth, f->eth_len) >> 32) * p->n_queues >> 32);
}

static void
write_frame(struct unm_vale_src *s, const struct unm_peer *p, const struct unm_frame *f,
	struct tally *t)
{
	struct iovec iov[MAX_IOV];
	const int n_iov = frame_iov(s, f, iov);
	ssize_t n;
	int fd;

	if (n_iov == 0) {
		s->drops[UNM_DROP_TOO_LONG]++;
		return;
	}
	fd = p->queue[queue_for(s, p, f)];
	n = n_iov == 1 ? write(fd, iov[0].iov_base, iov[0].iov_len) : writev(fd, iov, n_iov);
	if (n >= 0) {
		t->pkts++;
		t->bytes += (uint64_t)n;
	} else if (errno == EINVAL) {
		s->drops[UNM_DROP_OFFLOAD]++;
	} else { /* EIO: the interface is down; EBADFD: it is gone */
		s->drops[errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM
				 ? UNM_DROP_RX_FULL
				 : UNM_DROP_NO_PORT]++;
	}
}

/* The same for a frame without a header. What there is before it in @x is of the same TAP. */
static void
add_frame(struct unm_vale_src *s, const struct unm_peer *p, const struct unm_frame *f,
	struct unm_super_tx *x)
{
	const int fd = p->queue[queue_for(s, p, f)];
	struct iovec iov[1 + MAX_IOV];
	int n_iov;

	if (fd != x->fd)
		unm_super_tx_flush(x);
	x->fd = fd;
	if (f->n_frags == 1) {
		unm_super_tx_one(x, s->frags[f->frag].data, s->frags[f->frag].len);
		return;
	}
	n_iov = frame_iov(s, f, iov + 1);
	if (n_iov > 0)
		unm_super_tx_whole(x, iov, 1 + n_iov);
	else
		s->drops[UNM_DROP_TOO_LONG]++;
}

static void
count(struct unm_vale_src *s, struct unm_kring *k, const struct tally *t)
{
	if (unm_lock_try(&k->lock, s->slot) != 0 &&
		unm_lock_wait(&k->lock, s->slot, &s->lock_budget_ns) != 0)
		return;
	unm_count(&k->rx_pkts, t->pkts);
	unm_count(&k->rx_bytes, t->bytes);
	unm_lock_release(&k->lock);
}

void
unm_vale_write(struct unm_vale_src *s, struct unm_peer *p, unsigned int a, unsigned int b)
{
	const bool takes = unm_peer_takes(s->peers, p), joins = s->hdr_len != p->hdr_len;
	struct unm_super_tx x;
	struct tally t = {0, 0};

	unm_super_tx_init(&x, -1, p->hdr_len, s->drops);
	x.is_summed = x.gro.keeps_ids = true;
	while (a != UNM_VALE_NOFRAME ||
		b != UNM_VALE_NOFRAME) { /* each turn takes one of at most UNM_VALE_BATCH frames */
		const unsigned int cur = a < b ? a : b;
		const struct unm_frame *f = &s->frames[cur];

		if (cur == a)
			a = f->next;
		else
			b = f->next;
		if (!takes)
			s->drops[unm_peer_refusal(s->peers, p)]++;
		else if (joins)
			add_frame(s, p, f, &x);
		else
			write_frame(s, p, f, &t);
	}
	unm_super_tx_flush(&x);
	t.pkts += x.pkts;
	t.bytes += x.bytes + x.pkts * p->hdr_len;
	if (t.pkts > 0)
		count(s, p->ring[0].kring, &t);
}
