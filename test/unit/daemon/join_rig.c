/* SPDX-License-Identifier: BSD-2-Clause */
/* See join_rig.h. */
#include "join_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "net/netmap.h"
#include "port/join.h"
#include "shm/lock.h"

void (*rig_in_parting)(void);
void (*rig_before_answer)(struct rig *rig);
static struct rig *the_rig;

/* --- the client's half: a NIC whose kernel is a struct wire --- */

static struct rig_end *
end_of(const struct unm_bring *r)
{
	return &the_rig->end[r->bp->info.port == the_rig->end[0].port->idx ? 0 : 1];
}

static bool
is_drained(struct unm_bring *r)
{
	(void)r; /* what was sent is on the wire at once */
	return true;
}

static int
wire_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct wire *w = end_of(r)->out;
	enum unm_join how = unm_join_look(r);
	uint32_t pos;

	if (how == UNM_JOIN_MEET)
		how = unm_join_offer(r, is_drained, false);
	if (how == UNM_JOIN_ON)
		return unm_pipe_txsync(r, head, tail);
	if (how == UNM_JOIN_HALT)
		return unm_join_stay(r, tail);
	pthread_mutex_lock(&w->mutex);
	for (pos = w->tx_pos; pos != head && w->n < RIG_WIRE;
		pos = unm_pos_next(pos, r->num_slots)) {
		const struct netmap_slot s = unm_slot_load(&r->ring->slot[pos]);
		const uint32_t at = (w->first + w->n++) % RIG_WIRE;

		CHECK(s.len <= RIG_FRAME);
		memcpy(w->frame[at], unm_slot_data(r, &s), s.len);
		w->len[at] = s.len;
		w->n_kernel++;
	}
	w->tx_pos = pos;
	pthread_mutex_unlock(&w->mutex);
	unm_kring_publish_hwcur(r->kring, pos);
	*tail = unm_tx_tail_all_free(r, pos);
	return 0;
}

static int
wire_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct wire *w = end_of(r)->in;
	const enum unm_join how = unm_join_look(r);
	uint32_t pos, offer = 0;
	bool is_empty;

	if (how == UNM_JOIN_ON) {
		pthread_mutex_lock(&w->mutex);
		w->n_late += w->n;
		pthread_mutex_unlock(&w->mutex);
		return unm_pipe_rxsync(r, head, tail);
	}
	if (how == UNM_JOIN_HALT)
		return unm_join_stay(r, tail);
	unm_kring_publish_hwcur(r->kring, head);
	if (how == UNM_JOIN_MEET)
		offer = unm_join_offered(r);
	pthread_mutex_lock(&w->mutex);
	for (pos = w->rx_pos; w->n > 0 && unm_pos_next(pos, r->num_slots) != head;
		pos = unm_pos_next(pos, r->num_slots)) {
		memcpy(ring_buf(r, pos), w->frame[w->first], w->len[w->first]);
		unm_slot_store_len_flags(&r->ring->slot[pos], (uint16_t)w->len[w->first], 0);
		w->first = (w->first + 1) % RIG_WIRE;
		w->n--;
	}
	w->rx_pos = pos;
	is_empty = w->n == 0;
	pthread_mutex_unlock(&w->mutex);
	unm_kring_publish_hwtail(r->kring, pos);
	*tail = pos;
	if (rig_before_answer != NULL)
		rig_before_answer(the_rig);
	if (how == UNM_JOIN_MEET)
		unm_join_answer(r, offer, head, is_empty && pos == head);
	return 0;
}

static uint32_t
wire_tx_done(const struct unm_bring *r)
{
	return unm_own_hwcur(r);
}

static const struct unm_port_ops wire_ops = {
	.txsync = wire_txsync, .rxsync = wire_rxsync, .tx_done = wire_tx_done};

static _Thread_local uint32_t my_slot;

static uint32_t
env_slot(void)
{
	static uint32_t last;

	if (my_slot == 0)
		my_slot = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	return my_slot;
}

static int
env_wake_fd(const struct unm_seg *seg, uint32_t binding, uint32_t gen)
{
	unsigned int i;

	(void)seg;
	(void)gen;
	for (i = 0; i < 2; i++)
		if (the_rig->end[i].binding.port != NULL && the_rig->end[i].binding.idx == binding)
			return the_rig->end[i].binding.wake_fd;
	return -1;
}

static const struct unm_env env = {.slot = env_slot, .wake_fd = env_wake_fd};

/* --- netmapd's half --- */

static void
ring_moved(struct unm_dport *port, uint32_t i, uint32_t pos)
{
	struct rig_end *e = &the_rig->end[port == the_rig->end[0].port ? 0 : 1];

	if (i < port->n_tx)
		e->out->tx_pos = pos;
	else
		e->in->rx_pos = pos;
	if (rig_in_parting != NULL)
		rig_in_parting();
}

static void
idle(struct unm_domain *dom, struct unm_dport *port)
{
	(void)dom; /* the ports stay, whoever has them open */
	(void)port;
}

static const struct unm_port_kind_ops kind = {
	.label = "wire", .idle = idle, .ring_moved = ring_moved};

static void
add_port(struct rig *rig, unsigned int end, uint32_t slots, struct unm_dregion *region)
{
	struct unm_reason why = {""};
	const struct unm_port_spec spec = {
		.kind = UNM_PORT_NIC,
		.ops = &kind,
		.name = end == 0 ? "x" : "y",
		.seg = unm_domain_segment(&rig->dom, &why),
		.region = region,
		.n_tx = 1,
		.n_rx = 1,
		.tx_slots = slots,
		.rx_slots = slots,
	};

	CHECK(unm_dport_new(&rig->dom, &spec, &rig->end[end].port, &why) == 0);
	unm_dport_activate(rig->end[end].port);
	unm_dport_link(&rig->dom, rig->end[end].port);
}

void
rig_init(struct rig *rig, uint32_t slots0, uint32_t slots1)
{
	const struct unm_port_defaults defaults = {.vale_slots = 1024};
	struct unm_reason why = {""};
	struct unm_dregion *region;
	pthread_mutexattr_t shared;
	unsigned int i;

	memset(rig, 0, sizeof(*rig));
	the_rig = rig;
	rig_in_parting = NULL;
	rig_before_answer = NULL;
	unm_domain_init(&rig->dom, &defaults, 0, false);
	CHECK(unm_dregion_global(&rig->dom.regions, &region, &why) == 0);
	add_port(rig, 0, slots0, region);
	add_port(rig, 1, slots1, region);
	rig->n_free = region->bufs.n_free;
	rig->region.info = region->info;
	rig->region.base =
		mmap(NULL, region->info.size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);
	CHECK(rig->region.base != MAP_FAILED);
	CHECK(unm_seg_attach(&rig->seg, rig->end[0].port->seg->hdr, rig->end[0].port->seg->size) ==
		0);
	rig->wires = mmap(NULL, 2 * sizeof(*rig->wires), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(rig->wires != MAP_FAILED);
	pthread_mutexattr_init(&shared);
	pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	for (i = 0; i < 2; i++) {
		pthread_mutex_init(&rig->wires[i].mutex, &shared);
		rig->end[i].out = &rig->wires[i];
		rig->end[i].in = &rig->wires[1 - i];
	}
	pthread_mutexattr_destroy(&shared);
}

void
rig_fini(struct rig *rig)
{
	struct unm_dregion *region = rig->end[0].port->region;
	unsigned int i;

	for (i = 0; i < 2; i++)
		rig_close(rig, i);
	CHECK(region->bufs.n_free == rig->n_free); /* no buffer is lost, none was freed twice */
	munmap(rig->region.base, rig->region.info.size);
	munmap(rig->wires, 2 * sizeof(*rig->wires));
	unm_dport_remove(&rig->dom, rig->end[0].port);
	unm_dport_remove(&rig->dom, rig->end[1].port);
	unm_dregion_put(&rig->dom.regions, region);
	unm_domain_fini(&rig->dom);
}

void
rig_open(struct rig *rig, unsigned int end)
{
	struct rig_end *e = &rig->end[end];
	struct unm_pending pending = {0};
	const struct unm_bind_wish wish = {.mode = NR_REG_ALL_NIC, .pending = &pending};
	const uint8_t desc_id[16] = {0};
	struct unm_reason why = {""};
	struct unm_bind_info info;
	int ret;

	e->out->tx_pos = 0;
	e->in->rx_pos = 0;
	do {
		ret = unm_bind(&rig->dom, e->port, &wish, &e->binding, &why);
	} while (ret == -EINPROGRESS); /* each step opens a ring, or more */
	CHECK(ret == 0);
	unm_bind_info(&e->binding, desc_id, &info);
	info.kind = UNM_PORT_BASE; /* whose operations are replaced by ours */
	CHECK(unm_bport_open(&e->bp, &env, &rig->seg, &rig->region, &info, NULL) == 0);
	e->bp->tx->ops = &wire_ops;
	e->bp->rx->ops = &wire_ops;
}

void
rig_close(struct rig *rig, unsigned int end)
{
	struct rig_end *e = &rig->end[end];

	if (e->binding.port == NULL)
		return;
	unm_bport_close(e->bp);
	e->bp = NULL;
	unm_unbind(&rig->dom, &e->binding);
	unm_domain_reap(&rig->dom);
}

uint32_t
rig_state(const struct rig *rig, unsigned int end)
{
	return unm_join_state_of(rig->end[end].port, 0);
}

struct answer {
	struct rig *rig;
	unsigned int end;
};

static void *
answer_run(void *arg)
{
	const struct answer *a = arg;
	const uint64_t until = traffic_now_ns() + UINT64_C(10000000000);

	while (rig_state(a->rig, 1 - a->end) != UNM_JOIN_JOINED) {
		CHECK(traffic_now_ns() < until);
		CHECK(unm_bport_rxsync(a->rig->end[a->end].bp) == 0);
		usleep(100);
	}
	return NULL;
}

void
rig_join(struct rig *rig)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct answer a = {rig, 1 - i};
		pthread_t t;

		CHECK(rig_state(rig, i) == UNM_JOIN_LINKED);
		CHECK(pthread_create(&t, NULL, answer_run, &a) == 0);
		while (rig_state(rig, i) != UNM_JOIN_JOINED) { /* the thread has a deadline */
			CHECK(unm_bport_txsync(rig->end[i].bp) == 0);
			usleep(100);
		}
		pthread_join(t, NULL);
	}
}

uint32_t
rig_send(struct rig *rig, unsigned int end, uint32_t n)
{
	struct rig_end *e = &rig->end[end];
	uint32_t i;

	CHECK(unm_bport_txsync(e->bp) == 0);
	for (i = 0; i < n && ring_space(e->bp->tx) > 0; i++, e->sent++)
		ring_send_frame(
			e->bp->tx, TRAFFIC_MIN_LEN + (uint32_t)(e->sent % 20), 1, 0, end, e->sent);
	CHECK(unm_bport_txsync(e->bp) == 0);
	return i;
}

uint32_t
rig_receive(struct rig *rig, unsigned int end, uint32_t n)
{
	struct rig_end *e = &rig->end[end];
	struct unm_bring *rx = e->bp->rx;
	uint32_t i, flow;
	uint64_t seq;

	CHECK(unm_bport_rxsync(e->bp) == 0);
	for (i = 0; i < n && ring_space(rx) > 0; i++) {
		CHECK(traffic_check(ring_buf(rx, rx->ring->head),
			rx->ring->slot[rx->ring->head].len, &flow, &seq));
		CHECK(flow == 1 - end && seq == e->got);
		e->got++;
		ring_advance(rx, 1);
	}
	CHECK(unm_bport_rxsync(e->bp) == 0);
	return i;
}

void
rig_restart(struct rig *rig)
{
	const struct unm_dseg *seg = rig->end[0].port->seg;
	uint32_t i;

	for (i = 0; i < seg->top_kring; i++) {
		unm_lock_break(&seg->krings[i].busy, UNM_SLOT_NETMAPD);
		unm_lock_break(&seg->krings[i].lock, UNM_SLOT_NETMAPD);
	}
	unm_join_adopt(&rig->dom);
}

static void
mark(const struct unm_dregion *region, uint8_t *seen, uint32_t idx)
{
	CHECK(unm_pool_holds(&region->bufs, idx));
	CHECK(seen[idx] == 0);
	seen[idx] = 1;
}

void
rig_check_buffers(struct rig *rig, const uint32_t *extra, uint32_t n_extra)
{
	const struct unm_dregion *region = rig->end[0].port->region;
	uint8_t *seen = calloc(region->info.buf_num, 1);
	uint32_t i, k, n = n_extra;

	CHECK(seen != NULL);
	for (i = 0; i < n_extra; i++)
		mark(region, seen, extra[i]);
	for (i = 0; i < 2; i++) {
		const struct unm_bport *bp = rig->end[i].bp;

		for (k = 0; k < bp->tx->num_slots; k++) {
			mark(region, seen, bp->tx->ring->slot[k].buf_idx);
			mark(region, seen, bp->rx->ring->slot[k].buf_idx);
		}
		n += 2 * bp->tx->num_slots;
	}
	CHECK(rig->n_free - region->bufs.n_free == n);
	free(seen);
}
