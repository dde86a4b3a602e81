/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From rings to frames. See capture.h.
 *
 *	ring->head ........... next ............. tail
 *	  handed out, held      not yet handed out
 *
 * cur goes along with next, so that poll(2) reports only what has not been handed out; with an
 * unfinished frame at the end it is set to tail. head follows in unm_cap_release().
 *
 * A batch is of one ring and of at most UNM_CAP_BATCH frames: as many as make the calls around it
 * cheap, while the slots go back early enough for a ring of 256 to keep going.
 */
#include "pcap/capture_priv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define LIBNETMAP_NOTHREADSAFE
#include "libnetmap.h"

#define MIN_FRAME     14
#define DOWN_MS	      20 /* between two looks at an interface that is down */
#define PREFETCH_SLOT 4	 /* frames ahead; untuned, but further is no better with 64 in a batch */

struct span {
	uint32_t first, n; /* slots */
};

/* Slots from next up to tail, which is whatever was published last. */
static uint32_t
n_pending(const struct unm_cap_ring *r)
{
	const uint32_t tail = __atomic_load_n(&r->ring->tail, __ATOMIC_ACQUIRE);

	if (tail >= r->num_slots)
		return 0;
	return tail >= r->next ? tail - r->next : tail + r->num_slots - r->next;
}

static uint32_t
pos_add(const struct unm_cap_ring *r, uint32_t i, uint32_t k)
{
	return k < r->num_slots - i ? i + k : i + k - r->num_slots;
}

/* The bytes of a slot, or NULL if there can be none; *len and *flags are what was read, once. */
static const uint8_t *
slot_bytes(const struct unm_cap_ring *r, uint32_t i, uint32_t *len, uint16_t *flags)
{
	const struct netmap_slot *s = &r->ring->slot[i];
	const uint32_t buf_idx = __atomic_load_n(&s->buf_idx, __ATOMIC_RELAXED);

	*len = __atomic_load_n(&s->len, __ATOMIC_RELAXED);
	*flags = __atomic_load_n(&s->flags, __ATOMIC_RELAXED);
	if (buf_idx >= r->n_bufs || *len > r->buf_size)
		return NULL;
	return (const uint8_t *)r->bufs + (size_t)buf_idx * r->buf_size;
}

/* How a frame of several slots ended. */
enum join_end {
	JOIN_FRAME,
	JOIN_INVALID,	 /* dropped */
	JOIN_UNFINISHED, /* the rest has not come yet */
};

/*
 * Put the frame together that begins at next. @avail: slots that may be looked at. *n: slots that
 * it takes, or that are to be dropped.
 */
static enum join_end
join(struct unm_cap *c, const struct unm_cap_ring *r, uint32_t avail, uint32_t *n, uint32_t *len)
{
	bool valid = true;
	uint32_t i, slot_len;
	uint16_t flags;

	*len = 0;
	for (i = 0; i < avail && i < NETMAP_MAX_FRAGS; i++) {
		const uint8_t *p = slot_bytes(r, pos_add(r, r->next, i), &slot_len, &flags);

		if (p == NULL)
			valid = false;
		else if (valid) {
			memcpy(c->join + *len, p, slot_len);
			*len += slot_len;
		}
		if (!(flags & NS_MOREFRAG)) {
			*n = i + 1;
			return valid ? JOIN_FRAME : JOIN_INVALID;
		}
	}
	*n = i;
	/* It may go on, unless it is longer than netmap allows, or has the whole ring already. */
	return i == NETMAP_MAX_FRAGS || i == r->num_slots - 1 ? JOIN_INVALID : JOIN_UNFINISHED;
}

static void
advance(struct unm_cap_ring *r, uint32_t n)
{
	r->next = pos_add(r, r->next, n);
	r->ring->cur = r->next;
	r->is_held = true;
}

/* Frames of one ring. *more: there is something left to look at. */
static uint32_t
ring_batch(struct unm_cap *c, struct unm_cap_ring *r, struct unm_cap_frame *f, uint32_t max,
	bool *more)
{
	uint32_t avail = n_pending(r), k = 0, n, len;
	uint16_t flags;

	*more = false;
	while (avail > 0 && k < max) { /* at most num_slots: each round takes a slot at least */
		const uint8_t *p = slot_bytes(r, r->next, &len, &flags);

		n = 1;
		if (avail > PREFETCH_SLOT) {
			const uint32_t ahead =
				r->ring->slot[pos_add(r, r->next, PREFETCH_SLOT)].buf_idx;

			if (ahead < r->n_bufs)
				__builtin_prefetch(r->bufs + (size_t)ahead * r->buf_size);
		}
		if (flags & NS_MOREFRAG) {
			enum join_end end;

			if (k > 0) /* there is one place to put a frame together: its own batch */
				break;
			end = join(c, r, avail, &n, &len);
			if (end == JOIN_UNFINISHED) {
				r->ring->cur = pos_add(r, r->next, avail);
				return 0;
			}
			p = end == JOIN_FRAME ? c->join : NULL;
			max = 1;
		}
		if (p != NULL && len >= c->vnet_len) {
			f[k++] = (struct unm_cap_frame){
				.data = p + c->vnet_len,
				.len = len - c->vnet_len,
				.ring = (uint16_t)(r - c->rings),
				.is_tx = flags & NS_TXMON,
				.first = r->next,
			};
			c->frames++;
			c->bytes += len - c->vnet_len;
		} else {
			c->invalid++;
		}
		advance(r, n);
		avail -= n;
	}
	*more = avail > 0;
	return k;
}

uint32_t
unm_cap_batch(struct unm_cap *c, struct unm_cap_frame *f, uint32_t max)
{
	uint32_t i, k;
	bool more;

	for (i = 0; i < c->n_rings; i++) {
		k = ring_batch(c, &c->rings[c->ring], f, max, &more);
		if (!more)
			c->ring = c->ring + 1 == c->n_rings ? 0 : c->ring + 1;
		if (k > 0)
			return k;
	}
	return 0;
}

void
unm_cap_rewind(struct unm_cap *c, const struct unm_cap_frame *f, uint32_t n)
{
	struct unm_cap_ring *r = &c->rings[f->ring];
	uint32_t i;

	for (i = 0; i < n; i++)
		c->bytes -= f[i].len;
	c->frames -= n;
	r->next = f->first;
	r->ring->cur = f->first;
	c->ring = f->ring;
}

void
unm_cap_release(struct unm_cap *c)
{
	uint32_t i;

	for (i = 0; i < c->n_rings; i++) {
		struct unm_cap_ring *r = &c->rings[i];

		if (r->is_held) {
			r->ring->head = r->next;
			r->is_held = false;
		}
	}
}

/* Is there something to hand out? An unfinished frame, behind which cur is, is not. */
static bool
has_frames(const struct unm_cap *c)
{
	uint32_t i;

	for (i = 0; i < c->n_rings; i++) {
		const struct unm_cap_ring *r = &c->rings[i];

		if (n_pending(r) > 0 && r->ring->cur != pos_add(r, r->next, n_pending(r)))
			return true;
	}
	return false;
}

/* What a sync has said with @error. An interface's rings stand still while it is down. */
static int
explain(const struct unm_cap *c, int error)
{
	if (has_frames(c))
		return 0;
	return error == -EIO && !c->is_monitor ? -ENETDOWN : -EIO;
}

int
unm_cap_sync(struct unm_cap *c)
{
	struct timespec ts;

	if (ioctl(c->port->fd, NIOCRXSYNC, NULL) != 0)
		return explain(c, -errno);
	clock_gettime(CLOCK_REALTIME, &ts);
	c->time_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	return 0;
}

/* Nothing tells when the interface is up again. */
static void
pause_while_down(int timeout_ms, int wake_fd)
{
	struct pollfd p = {wake_fd, POLLIN, 0};

	(void)poll(
		&p, wake_fd >= 0, timeout_ms >= 0 && timeout_ms < DOWN_MS ? timeout_ms : DOWN_MS);
}

static int
wait_for(struct unm_cap *c, short events, int timeout_ms, int wake_fd)
{
	struct pollfd p[2] = {{c->port->fd, events, 0}, {wake_fd, POLLIN, 0}};
	const int n = poll(p, wake_fd >= 0 ? 2 : 1, timeout_ms);

	if (n < 0)
		return -errno;
	if (p[1].revents != 0)
		return 2;
	if ((p[0].revents & (POLLERR | POLLNVAL)) && !(p[0].revents & events)) {
		const int ret = unm_cap_sync(c);

		if (ret == -ENETDOWN)
			pause_while_down(timeout_ms, wake_fd);
		else if (ret < 0)
			return ret;
	}
	return n > 0;
}

void
unm_cap_nap(struct unm_cap *c, uint32_t ns, int wake_fd)
{
	struct pollfd p[2] = {{c->port->fd, 0, 0}, {wake_fd, POLLIN, 0}};
	const struct timespec ts = {.tv_nsec = ns};

	/* However it ends, the caller looks at everything again. */
	(void)ppoll(p, wake_fd >= 0 ? 2 : 1, &ts, NULL);
}

int
unm_cap_wait(struct unm_cap *c, int timeout_ms, int wake_fd)
{
	return wait_for(c, POLLIN, timeout_ms, wake_fd);
}

int
unm_cap_wait_room(struct unm_cap *c, int timeout_ms)
{
	return wait_for(c, POLLOUT, timeout_ms, -1);
}

int
unm_cap_send(struct unm_cap *c, const void *frame, uint32_t len)
{
	if (c->is_monitor)
		return -EOPNOTSUPP;
	if (len < MIN_FRAME)
		return -EINVAL;
	if (len > UNM_CAP_MAX_SEND)
		return -EMSGSIZE;
	if (c->vnet_len > 0) {
		memset(c->send, 0, c->vnet_len);
		memcpy(c->send + c->vnet_len, frame, len);
		frame = c->send;
	}
	if (nmport_inject(c->port, frame, c->vnet_len + len) == 0 &&
		(ioctl(c->port->fd, NIOCTXSYNC, NULL) != 0 ||
			nmport_inject(c->port, frame, c->vnet_len + len) == 0))
		return -EAGAIN;
	return ioctl(c->port->fd, NIOCTXSYNC, NULL) != 0 ? -errno : 0;
}
