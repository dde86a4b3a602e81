/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kill -9 in the middle of traffic, again and again, while others go on.
 *
 *   pipe:  sender -> receiver                        both are killed; no packet is lost or comes out of order
 *   VALE:  victim A --+--> survivor D (lossless)     A and C are killed; from B to D nothing is lost, and
 *          survivor B +--> victim C                  nobody ever sees a torn frame or sleeps for good
 *
 * After each death netmapd's part is played: locks of the dead are broken, everybody is woken; a new process continues
 * with the rings as they are. (test_death.c does this for every instruction, but with one process at a time.)
 *
 *   kill_traffic ROUNDS
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors.h"
#include "ring/kring.h"
#include "vale_rig.h"

#define SLOTS 128u

/* The order of ports in their domains; flows are named after their senders. */
enum role { PIPE_TX, PIPE_RX, VALE_A, VALE_B, VALE_C, VALE_D, N_ROLES };

/* What outlives a process of a role. */
struct memory {
	uint64_t
		next; /* sender: number of the next frame; receiver: next one due of the flow it counts */
	uint64_t n; /* receiver: frames of that flow */
	uint32_t slot;
	pid_t pid;
};

struct shared {
	uint32_t stop; /* senders: end */
	uint32_t end;  /* receivers: end when there is nothing left */
	struct memory role[N_ROLES];
};

static struct fake_domain *pipes, *vale;
static struct shared *shared;

static uint32_t
port_of(enum role role)
{
	return role < VALE_A ? role - PIPE_TX : role - VALE_A;
}

/*
 * Number of the next frame of a sender that continues where another one died. After filling and advancing, but before
 * noting it, that frame is the last one in the ring.
 */
static uint64_t
next_number(const struct unm_bring *tx, const struct memory *m)
{
	const uint32_t last = unm_pos_prev(tx->ring->head, tx->num_slots);
	uint32_t flow;
	uint64_t seq;

	if (traffic_check(ring_buf(tx, last), tx->ring->slot[last].len, &flow, &seq) &&
		seq == m->next)
		return seq + 1;
	return m->next;
}

static void
send_some(struct unm_bring *tx, enum role role, uint64_t *seed)
{
	struct memory *m = &shared->role[role];
	uint32_t n = traffic_random(seed) % 20;

	for (; n > 0 && ring_space(tx) > 0; n--) {
		const uint32_t len = TRAFFIC_MIN_LEN + traffic_random(seed) % 400;
		uint32_t to = port_of(VALE_D);

		if (role == VALE_A && n % 4 < 3) /* flood, C, D, C */
			to = n % 4 == 0 ? UNM_NONE : n % 4 == 1 ? port_of(VALE_C) : port_of(VALE_D);
		ring_send_frame(tx, len, to, port_of(role), role, m->next);
		__atomic_signal_fence(
			__ATOMIC_SEQ_CST); /* this order is what next_number() goes by */
		UNM_WRITE_ONCE(m->next, m->next + 1);
	}
}

static void
sender(struct unm_bport *bp, struct waiter *w, enum role role)
{
	struct unm_bring *tx = &bp->tx[0];
	uint64_t seed = shared->role[role].slot;

	shared->role[role].next = next_number(tx, &shared->role[role]);
	while (!__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE)) {
		send_some(tx, role, &seed);
		if (ring_space(tx) == 0)
			waiter_poll(w, bp, POLLOUT, &shared->stop);
		else
			CHECK(unm_bport_txsync(bp) == 0);
		if (traffic_random(&seed) % 16 == 0)
			usleep(traffic_random(&seed) % 300);
	}
	while (tx->ops->tx_done(tx) != tx->ring->head) {
		CHECK(unm_bport_txsync(bp) == 0);
		usleep(100);
	}
}

/* One more frame of the flow that @role counts. */
static void
count_frame(enum role role, uint64_t seq)
{
	struct memory *m = &shared->role[role];

	if (role ==
		PIPE_RX) /* nothing is missing; what was read, but not given back by the last receiver, comes again */
		CHECK(seq <= m->next);
	else
		CHECK(seq >= m->next); /* what is missing has to be in the counters */
	if (seq >= m->next) {
		UNM_WRITE_ONCE(m->next, seq + 1);
		m->n++;
	}
}

static void
receiver(struct unm_bport *bp, struct waiter *w, enum role role)
{
	const uint32_t counted = role == PIPE_RX ? PIPE_TX : role == VALE_D ? VALE_B : UNM_NONE;
	struct unm_bring *rx = &bp->rx[0];
	uint64_t seed = shared->role[role].slot, last = UINT64_MAX;
	uint32_t end, n, flow;
	uint64_t seq;

	do {
		end = __atomic_load_n(&shared->end, __ATOMIC_ACQUIRE);
		waiter_poll(w, bp, POLLIN, &shared->end);
		for (n = 0; ring_space(rx) > 0 && n < 40; n++, ring_advance(rx, 1)) {
			const uint32_t at = rx->ring->head;

			CHECK(traffic_check(ring_buf(rx, at), rx->ring->slot[at].len, &flow, &seq));
			if (flow != counted)
				continue;
			CHECK(role != PIPE_RX || last == UINT64_MAX || seq == last + 1);
			count_frame(role, seq);
			last = seq;
		}
		CHECK(unm_bport_rxsync(bp) == 0);
		if (traffic_random(&seed) % 16 == 0)
			usleep(traffic_random(&seed) % 300);
	} while (!end || n > 0);
}

static void
start(enum role role)
{
	static uint32_t n_started;
	struct memory *m = &shared->role[role];
	pid_t pid;

	m->slot = 100 + n_started++ % 60000;
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		struct fake_domain *d = role < VALE_A ? pipes : vale;
		struct unm_bport *bp;
		struct waiter w;

		fake_slot = m->slot;
		fake_domain_use(d);
		bp = fake_port_open(d, port_of(role));
		waiter_init(&w, d, bp->info.binding);
		if (role == PIPE_TX || role == VALE_A || role == VALE_B)
			sender(bp, &w, role);
		else
			receiver(bp, &w, role);
		_exit(0);
	}
	m->pid = pid;
}

static void
join(enum role role)
{
	int status;

	CHECK(waitpid(shared->role[role].pid, &status, 0) == shared->role[role].pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Return: locks that it died with. */
static unsigned int
kill_one(enum role role)
{
	const struct memory *m = &shared->role[role];
	unsigned int n;
	int status;

	CHECK(kill(m->pid, SIGKILL) == 0);
	CHECK(waitpid(m->pid, &status, 0) == m->pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* else it had found something */
	n = fake_client_died(role < VALE_A ? pipes : vale, m->slot);
	start(role);
	return n;
}

static void
set_up(void)
{
	const struct fake_geometry pipe = {
		.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = SLOTS};
	static struct vale_rig v;
	uint32_t i;

	pipes = fake_domain_new(UNM_SEG_DOMAIN, 1000, 512);
	for (i = 0; i < 2; i++)
		fake_port_add(pipes, &pipe);
	fake_pipe_join(pipes, 0, 1);
	vale_rig_init(&v, 2000);
	for (i = 0; i < 4; i++)
		vale_rig_add(&v, (struct fake_geometry){.n_tx = 1,
					 .n_rx = 1,
					 .slots = SLOTS,
					 .flags = i == 3 ? UNM_PORTF_LOSSLESS : 0});
	vale_rig_teach(&v);
	vale = v.d;
}

int
main(int argc, char **argv)
{
	static const enum role victims[] = {PIPE_TX, PIPE_RX, VALE_A, VALE_C};
	const int rounds = argc > 1 ? atoi(argv[1]) : 300;
	unsigned int n_locks = 0;
	const struct unm_kring *kb;
	uint64_t seed = 1;
	uint32_t role;
	int i;

	shared = actors_shared(sizeof(*shared));
	set_up();
	for (role = 0; role < N_ROLES; role++)
		start(role);
	for (i = 0; i < rounds; i++) {
		usleep(traffic_random(&seed) % 4000);
		n_locks += kill_one(victims[traffic_random(&seed) % 4]);
		if (i % 8 == 0) { /* two at once */
			n_locks += kill_one(PIPE_TX);
			n_locks += kill_one(PIPE_RX);
		}
	}
	actors_run(fake_kring(pipes, port_of(PIPE_RX), true, 0), 100);
	actors_run(fake_kring(vale, port_of(VALE_D), true, 0), 0);
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELEASE);
	fake_wake_all(pipes);
	fake_wake_all(vale);
	join(PIPE_TX);
	join(VALE_A);
	join(VALE_B);
	__atomic_store_n(&shared->end, 1, __ATOMIC_RELEASE);
	fake_wake_all(pipes);
	fake_wake_all(vale);
	join(PIPE_RX);
	join(VALE_C);
	join(VALE_D);
	kb = fake_kring(vale, port_of(VALE_B), false, 0);
	printf("%d deaths, %u of them with a lock; pipe: %llu packets; survivors: %llu frames, "
	       "%llu met a stuck lock\n",
		rounds + 2 * ((rounds + 7) / 8), n_locks,
		(unsigned long long)shared->role[PIPE_RX].n,
		(unsigned long long)shared->role[VALE_D].n,
		(unsigned long long)kb->drops[UNM_DROP_BUSY]);
	/* not .n: a receiver that is killed between its two counters leaves that one behind */
	CHECK(shared->role[PIPE_RX].next == shared->role[PIPE_TX].next);
	CHECK(shared->role[VALE_D].n + kb->drops[UNM_DROP_BUSY] == shared->role[VALE_B].next);
	CHECK(shared->role[PIPE_RX].n > 100 && shared->role[VALE_D].n > 100);
	return 0;
}
