/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread that sends: see transmit.h.
 *
 * One turn of the loop reads the clock once, moves what is due (at most a batch, at most what the
 * ring has room for) and tells the port with one NIOCTXSYNC. With nothing to move it waits, for the
 * time or for room. Batches thus form by themselves: a packet at a time while the port keeps up.
 *
 * Waiting for room: a port says POLLOUT when its tail has moved past cur. head stays where the next
 * packet goes while cur is put at tail, "all of this has been looked at", which also makes the wait
 * right for a packet of several slots of which some are free.
 */
#include "transmit.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nmt_port.h"
#include "nmt_time.h"

/*
 * A port that takes nothing for this long at the end keeps the rest: a 1500-byte frame at 10
 * Mbit/s, the slowest link there is, takes 1.2 ms.
 */
#define DRAIN_STALL_NS (1 * NMT_NS_PER_S)

/* No wait for room is longer than this, so that a port which forgets to say POLLOUT costs time, not
 * the program. */
#define ROOM_POLL_MS 1000

enum take_result {
	TAKE_SOME,     /* events were taken */
	TAKE_TOO_SOON, /* the next event is not due */
	TAKE_NO_ROOM,  /* it is, and the ring has no room for its packet */
};

/*
 * Counters: written with plain arithmetic by their only writer, and visible to the reader at some
 * time. Nothing else is ordered by them.
 */
static inline void
counter_set(uint64_t *counter, uint64_t val)
{
	__atomic_store_n(counter, val, __ATOMIC_RELAXED);
}

static inline void
counter_add(uint64_t *counter, uint64_t n)
{
	counter_set(counter, *counter + n);
}

static inline uint64_t
counter_get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/*
 * A maximum that the reader resets. One set in the very moment of the reset may count for the
 * period before or after it.
 */
static inline void
counter_max(uint64_t *counter, uint64_t val)
{
	if (val > counter_get(counter))
		counter_set(counter, val);
}

static inline uint64_t
counter_take(uint64_t *counter)
{
	return __atomic_exchange_n(counter, 0, __ATOMIC_RELAXED);
}

static inline bool
is_stopped(const struct nmr_tx *tx)
{
	return __atomic_load_n(&tx->stop, __ATOMIC_RELAXED);
}

static inline void
spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

/* Bytes that one slot can carry: its length field has 16 bits. */
static inline uint32_t
slot_capacity(const struct netmap_ring *ring)
{
	return ring->nr_buf_size < UINT16_MAX ? ring->nr_buf_size : UINT16_MAX;
}

/* Slots that a packet takes; nearly all take one, and then nothing is divided. */
static inline uint32_t
n_slots_of(const struct nmr_packet *packet, uint32_t capacity)
{
	return packet->len <= capacity ? 1 : (packet->len + capacity - 1) / capacity;
}

uint64_t
nmr_tx_max_packet(const struct nmport_d *port)
{
	const struct netmap_ring *ring;
	uint32_t n_slots;

	if (nmt_port_n_tx(port) == 0)
		return 0;
	ring = nmt_port_tx(port, 0);
	n_slots = ring->num_slots - 1; /* one always stays empty */
	if (n_slots > NETMAP_MAX_FRAGS)
		n_slots = NETMAP_MAX_FRAGS;
	return (uint64_t)n_slots * slot_capacity(ring);
}

/* Copy a packet into the slots from head on, which must have room for it, and move head. */
static void
put_packet(struct netmap_ring *ring, const struct nmr_packet *packet)
{
	const uint32_t capacity = slot_capacity(ring);
	uint32_t off = 0;
	uint32_t head = ring->head;

	do { /* len / capacity rounds, at most NETMAP_MAX_FRAGS */
		struct netmap_slot *slot = &ring->slot[head];
		uint32_t len = packet->len - off;

		if (len > capacity)
			len = capacity;
		memcpy(NETMAP_BUF(ring, slot->buf_idx), packet->data + off, len);
		off += len;
		slot->len = (uint16_t)len;
		slot->flags = off < packet->len ? NS_MOREFRAG : 0;
		head = nm_ring_next(ring, head);
	} while (off < packet->len);
	ring->head = ring->cur = head;
}

/* Ask the port to take what lies before head, and to say soon that it has. */
static int
sync_ring(struct nmr_tx *tx)
{
	struct netmap_ring *ring = tx->ring;
	uint32_t last = (ring->head == 0 ? ring->num_slots : ring->head) - 1;

	ring->slot[last].flags |= NS_REPORT;
	return nmt_port_sync(tx->config.port, NIOCTXSYNC);
}

/* Add what one turn has done. */
static void
publish(struct nmr_tx *tx, const struct nmr_counters *done)
{
	struct nmr_counters *counters = &tx->counters;

	counter_add(&counters->n_rx, done->n_rx);
	counter_add(&counters->n_tx, done->n_tx);
	counter_add(&counters->n_lost, done->n_lost);
	counter_add(&counters->n_bytes, done->n_bytes);
	counter_add(&counters->sum_late_ns, done->sum_late_ns);
	counter_max(&counters->max_late_ns, done->max_late_ns);
	counter_max(&counters->max_queue, done->max_queue);
	if (!nmr_cursor_at_end(&tx->cursor))
		counter_set(&counters->round, nmr_cursor_round(&tx->cursor) + 1);
}

/* Take the next event, unless its packet finds no room, and count it in @done. */
static bool
take_event(struct nmr_tx *tx, uint64_t late_ns, struct nmr_counters *done)
{
	const struct nmr_event *event = nmr_cursor_event(&tx->cursor);
	const struct nmr_packet *packet = &tx->config.trace->packets[event->packet];

	if (event->is_lost) {
		done->n_lost++;
	} else {
		if (nm_ring_space(tx->ring) < n_slots_of(packet, slot_capacity(tx->ring)))
			return false;
		put_packet(tx->ring, packet);
		done->n_tx++;
		done->n_bytes += packet->len;
		done->sum_late_ns += late_ns;
		if (late_ns > done->max_late_ns)
			done->max_late_ns = late_ns;
	}
	done->n_rx++;
	nmr_cursor_advance(&tx->cursor);
	return true;
}

/*
 * Take the events that are due at @now_ns (since the start): put their packets into the ring and
 * have the port take them.
 */
static int
take_due(struct nmr_tx *tx, uint64_t now_ns, enum take_result *result)
{
	struct nmr_counters done = {0};
	bool is_due = true;

	while (done.n_rx < tx->config.batch && !nmr_cursor_at_end(&tx->cursor)) {
		uint64_t due_ns = nmr_cursor_due_ns(&tx->cursor);

		is_due = due_ns <= now_ns;
		if (!is_due || !take_event(tx, now_ns - due_ns, &done))
			break;
	}
	if (is_due) /* a full batch or a full ring may leave more behind */
		done.max_queue = nmr_cursor_backlog(&tx->cursor, now_ns);
	publish(tx, &done);
	if (done.n_rx > 0)
		*result = TAKE_SOME;
	else
		*result = is_due ? TAKE_NO_ROOM : TAKE_TOO_SOON;
	return done.n_tx > 0 ? sync_ring(tx) : 0;
}

/* Wait until @due_ns (since the start) or until told to stop. */
static int
wait_until_due(struct nmr_tx *tx, uint64_t due_ns)
{
	struct pollfd fd = {.fd = tx->stop_fd, .events = POLLIN};
	const uint64_t deadline_ns = tx->start_ns + due_ns;
	uint64_t now_ns = nmt_now_ns();

	if (deadline_ns > now_ns + NMR_SPIN_NS) {
		uint64_t sleep_ns = deadline_ns - now_ns - NMR_SPIN_NS;
		const struct timespec timeout = {
			.tv_sec = (time_t)(sleep_ns / NMT_NS_PER_S),
			.tv_nsec = (long)(sleep_ns % NMT_NS_PER_S),
		};

		if (ppoll(&fd, 1, &timeout, NULL) < 0 && errno != EINTR)
			return -errno;
		return 0; /* the caller comes back for the rest */
	}
	while (nmt_now_ns() < deadline_ns) /* at most NMR_SPIN_NS */
		spin_pause();
	return 0;
}

/*
 * Wait until the port has given slots back, until told to stop, or for @timeout_ms. Syncs the ring.
 * Return: 0, or the error that the port is in.
 */
static int
wait_for_room(struct nmr_tx *tx, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = tx->stop_fd, .events = POLLIN},
		{.fd = tx->config.port->fd, .events = POLLOUT},
	};
	int n;

	tx->ring->cur = tx->ring->tail;
	n = poll(fds, 2, timeout_ms);
	if (n < 0 && errno != EINTR)
		return -errno;
	return n > 0 && (fds[1].revents & (POLLERR | POLLNVAL)) != 0 ? -EIO : 0;
}

/* Slots before head that the port has not taken. */
static uint32_t
n_pending(const struct netmap_ring *ring)
{
	uint32_t n = ring->head + ring->num_slots - ring->tail - 1;

	return n >= ring->num_slots ? n - ring->num_slots : n;
}

/*
 * After the last packet: stay until the port has taken everything, as long as it takes something.
 */
static int
drain(struct nmr_tx *tx)
{
	uint64_t deadline_ns = nmt_now_ns() + DRAIN_STALL_NS;
	uint32_t n_before = n_pending(tx->ring);
	int error = 0;

	while (n_before > 0 && !is_stopped(tx) && error == 0) {
		uint64_t now_ns = nmt_now_ns();
		uint32_t n;

		if (now_ns >= deadline_ns)
			break;
		error = wait_for_room(tx, (int)((deadline_ns - now_ns) / 1000000) + 1);
		n = n_pending(tx->ring);
		if (n < n_before)
			deadline_ns = nmt_now_ns() + DRAIN_STALL_NS;
		n_before = n;
	}
	tx->n_undelivered = n_before;
	return error;
}

static int
play(struct nmr_tx *tx)
{
	int error = 0;

	while (error == 0 && !nmr_cursor_at_end(&tx->cursor) && !is_stopped(tx)) {
		enum take_result result;

		error = take_due(tx, nmt_now_ns() - tx->start_ns, &result);
		if (error != 0 || result == TAKE_SOME)
			continue;
		if (result == TAKE_TOO_SOON)
			error = wait_until_due(tx, nmr_cursor_due_ns(&tx->cursor));
		else
			error = wait_for_room(tx, ROOM_POLL_MS);
	}
	return error;
}

static void *
transmitter(void *arg)
{
	struct nmr_tx *tx = arg;

	/* Refused nowhere but under a very strict sandbox; packets are then up to 50 us later. */
	(void)nmt_set_timer_slack_ns(1);
	tx->start_ns = nmt_now_ns();
	tx->result = play(tx);
	tx->end_ns = nmt_now_ns();
	if (tx->result == 0)
		tx->result = drain(tx);
	/* Cannot fail: the counter goes from 0 to 1. */
	(void)eventfd_write(tx->done_fd, 1);
	return NULL;
}

static void
close_fds(struct nmr_tx *tx)
{
	if (tx->stop_fd >= 0)
		close(tx->stop_fd);
	if (tx->done_fd >= 0)
		close(tx->done_fd);
	tx->stop_fd = tx->done_fd = -1;
}

/* Create the thread, on its CPU from the beginning. */
static int
create_thread(struct nmr_tx *tx)
{
	pthread_attr_t attr;
	cpu_set_t cpus;
	int error = pthread_attr_init(&attr);

	if (error != 0)
		return -error;
	if (tx->config.cpu != NMR_NO_CPU) {
		CPU_ZERO(&cpus);
		CPU_SET((size_t)tx->config.cpu, &cpus);
		error = pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	if (error == 0)
		error = pthread_create(&tx->thread, &attr, transmitter, tx);
	pthread_attr_destroy(&attr);
	return -error;
}

int
nmr_tx_start(struct nmr_tx *tx, const struct nmr_tx_config *config)
{
	int error;

	*tx = (struct nmr_tx){
		.config = *config,
		.ring = nmt_port_tx(config->port, 0),
		.stop_fd = eventfd(0, EFD_CLOEXEC),
		.done_fd = eventfd(0, EFD_CLOEXEC),
		.counters.round = 1,
	};
	if (tx->stop_fd < 0 || tx->done_fd < 0) {
		error = -errno;
		goto fail;
	}
	nmr_cursor_init(&tx->cursor, config->sched);
	error = create_thread(tx);
	if (error != 0)
		goto fail;
	return 0;
fail:
	close_fds(tx);
	return error;
}

void
nmr_tx_stop(struct nmr_tx *tx)
{
	__atomic_store_n(&tx->stop, true, __ATOMIC_RELAXED);
	/* Cannot fail: the counter is small, and a second call adds one. */
	(void)eventfd_write(tx->stop_fd, 1);
}

int
nmr_tx_join(struct nmr_tx *tx)
{
	int error = pthread_join(tx->thread, NULL);

	close_fds(tx);
	return error != 0 ? -error : tx->result;
}

void
nmr_tx_read_counters(struct nmr_tx *tx, struct nmr_counters *out)
{
	struct nmr_counters *counters = &tx->counters;

	out->n_rx = counter_get(&counters->n_rx);
	out->n_tx = counter_get(&counters->n_tx);
	out->n_lost = counter_get(&counters->n_lost);
	out->n_bytes = counter_get(&counters->n_bytes);
	out->round = counter_get(&counters->round);
	out->sum_late_ns = counter_get(&counters->sum_late_ns);
	out->max_late_ns = counter_take(&counters->max_late_ns);
	out->max_queue = counter_take(&counters->max_queue);
}
