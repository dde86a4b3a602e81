/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-net device: life cycle, what the protocol tells it, and what the loop asks of it. See
 * net.h.
 *
 * States of a queue: stopped (q NULL: its memory must not be touched), started, started and
 * enabled. Which rx queue a ring of the port is served to is worked out anew at each change
 * (retarget()), so that the data path finds a pointer or NULL.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/clock.h"
#include "vale/vnet.h"
#include "vm/event_fd.h"
#include "vm/guest_guard.h"
#include "vm/net_priv.h"

#define STATUS_LINK_UP 1u

/* A guest whose rx queues have been stopped for so long is not shown what came meanwhile. */
#define STALE_NS UINT64_C(100000000)
/* A queue without a kick descriptor is looked at so often. */
#define NO_KICK_NS UINT64_C(1000000)

/* How long another's port is waited for, and how often it is asked for meanwhile. */
#define LEFT_NS	      UINT64_C(2000000000)
#define LEFT_RETRY_MS 10
/* So often a lost port can't be had again before the guest is told. */
#define MOST_MISSED 2

static bool
is_usable(const struct net_queue *nq)
{
	return nq->q != NULL && nq->enabled;
}

/* Whom is each ring of the port served to? */
static void
retarget(struct unm_net *n)
{
	struct net_queue *usable[NET_MAX_PAIRS];
	unsigned int n_usable = 0, k;

	for (k = 0; k < n->n_pairs; k++)
		n->rx[k].starved =
			false; /* who gets no frames waits for no kicks; who does finds it out again */
	for (k = 0; k < n->n_pairs && k < n->n_active; k++)
		if (n->link_up && n->driver_ok && is_usable(&n->rx[k]))
			usable[n_usable++] = &n->rx[k];
	for (k = 0; k < n->port.n_rings; k++) {
		struct net_ring *r = &n->port.ring[k];

		if (n_usable == 0)
			r->target = NULL;
		else if (k < n->n_pairs && k < n->n_active && is_usable(&n->rx[k]))
			r->target = &n->rx[k];
		else
			r->target = usable[k % n_usable];
	}
}

void
unm_net_set_active_pairs(struct unm_net *n, unsigned int pairs)
{
	n->n_active = n->n_asked = pairs;
	retarget(n);
}

static bool
any_rx_started(const struct unm_net *n)
{
	unsigned int k;

	for (k = 0; k < n->n_pairs; k++)
		if (n->rx[k].q != NULL)
			return true;
	return false;
}

/* What the driver has not agreed to take is done by the switch. */
static uint32_t
lacks_of(uint64_t f)
{
	uint32_t lacks = UNM_VNET_LACKS_UFO;

	if (!(f & UNM_F_GUEST_CSUM))
		return UNM_VNET_LACKS_ALL;
	lacks |= f & UNM_F_GUEST_TSO4 ? 0 : UNM_VNET_LACKS_TSO4;
	lacks |= f & UNM_F_GUEST_TSO6 ? 0 : UNM_VNET_LACKS_TSO6;
	lacks |= f & UNM_F_GUEST_ECN ? 0 : UNM_VNET_LACKS_ECN;
	lacks |= f & UNM_F_GUEST_USO4 ? 0 : UNM_VNET_LACKS_USO4;
	lacks |= f & UNM_F_GUEST_USO6 ? 0 : UNM_VNET_LACKS_USO6;
	return lacks;
}

/* ---- what the protocol says ---- */

/*
 * A driver that has taken the control queue and not MQ knows of one pair, and has the control queue
 * behind that; for all others it is the last (VIRTIO 1.2, 5.1.2).
 */
static bool
has_early_ctrl(uint64_t features)
{
	return (features & (UNM_F_CTRL_VQ | UNM_F_MQ)) == UNM_F_CTRL_VQ;
}

static void
set_features(void *dev, uint64_t acked)
{
	struct unm_net *n = dev;
	const bool ctrl_enabled = n->ctrl.enabled;

	if (n->n_pairs > 1 && has_early_ctrl(acked) != has_early_ctrl(n->features)) {
		n->ctrl.enabled = n->rx[1].enabled; /* of the ring, whatever is behind it */
		n->rx[1].enabled = ctrl_enabled;
	}
	n->features = acked;
	n->hdr_len =
		acked & (UNM_F_MRG_RXBUF | UNM_F_VERSION_1) ? UNM_VNET_HDR_MAX : UNM_VNET_HDR_BASE;
	n->lacks = lacks_of(acked);
	unm_net_port_tell(n);
}

static struct net_queue *
queue_of(struct unm_net *n, unsigned int idx)
{
	const unsigned int last = 2 * n->n_pairs;

	if (has_early_ctrl(n->features) && (idx == 2 || idx == last))
		idx = last + 2 - idx; /* they change places */
	if (idx == last)
		return &n->ctrl;
	if (idx > last)
		return NULL;
	return idx % 2 == 0 ? &n->rx[idx / 2] : &n->tx[idx / 2];
}

static void
ring_started(void *dev, unsigned int idx, struct unm_vq *q, int kick_fd)
{
	struct unm_net *n = dev;
	struct net_queue *nq = queue_of(n, idx);

	if (nq == NULL)
		return;
	if (idx % 2 == 0 && nq != &n->ctrl && !any_rx_started(n) &&
		unm_now_ns() - n->rx_stopped_ns > STALE_NS)
		unm_net_rx_discard(n);
	if (nq == &n->ctrl) {
		if (!unm_vq_goes_on(q)) /* a driver has to ask for more: VIRTIO 1.2, 5.1.6.5.5 */
			n->n_asked = 1;
		n->n_active = n->n_asked;
	}
	nq->q = q;
	nq->kick_fd = kick_fd;
	nq->starved = nq->call_pending = false;
	n->mem = unm_vq_mem(q);
	unm_vq_kicks_off(q);
	retarget(n);
}

static void
ring_stopped(void *dev, unsigned int idx)
{
	struct unm_net *n = dev;
	struct net_queue *nq = queue_of(n, idx);

	if (nq == NULL || nq->q == NULL)
		return;
	if (nq != &n->ctrl && idx % 2 == 1)
		unm_net_tx_abandon(n, idx / 2);
	if (nq->call_pending)
		unm_vq_call(nq->q);
	nq->q = NULL;
	nq->kick_fd = -1;
	retarget(n);
	if (!any_rx_started(n))
		n->rx_stopped_ns = unm_now_ns();
}

static void
ring_enabled(void *dev, unsigned int idx, bool enabled)
{
	struct unm_net *n = dev;
	struct net_queue *nq = queue_of(n, idx);

	if (nq == NULL)
		return;
	nq->enabled = enabled;
	retarget(n);
}

static void
driver_ok(void *dev, bool ok)
{
	struct unm_net *n = dev;

	n->driver_ok = ok; /* VIRTIO 1.2, 2.1.2: before that, no buffer is used */
	retarget(n);
}

/*
 * What the guest's driver and the front end may change in the configuration space. Drivers read it
 * when they begin, so one that goes on (QEMU says a reset for a pause, too; a server was started
 * anew) misses nothing.
 */
static void
reset_config(struct unm_net *n)
{
	memcpy(n->config.mac, n->c.mac, sizeof(n->config.mac));
	n->config.mtu = htole16(n->c.mtu);
}

static void
reset(void *dev)
{
	struct unm_net *n = dev;

	reset_config(n);
	n->n_active = n->n_pairs; /* the next front end may have a control queue of its own */
	retarget(n);
}

static void
set_mtu(void *dev, uint16_t mtu)
{
	struct unm_net *n = dev;

	n->config.mtu = htole16(mtu);
}

/*
 * "Who has my own address": a reverse ARP request of 60 bytes (RFC 903). Switches learn from its
 * source address.
 */
static void
send_rarp(void *dev, const uint8_t mac[6])
{
	static const uint8_t fixed[] = {0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3};
	uint8_t f[60] = {0};

	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	memcpy(f + 12, fixed, sizeof(fixed));
	memcpy(f + 22, mac, 6); /* sender */
	memcpy(f + 32, mac, 6); /* target */
	unm_net_port_inject(dev, f, sizeof(f));
}

static void
get_config(void *dev, uint32_t ofs, uint32_t len, uint8_t *out)
{
	const struct unm_net *n = dev;
	const uint8_t *from = (const uint8_t *)&n->config;
	uint32_t i;

	for (i = 0; i < len; i++)
		out[i] = ofs + i < sizeof(n->config) ? from[ofs + i] : 0;
}

/* Nothing in it is the driver's to write: VIRTIO 1.2, 5.1.4. */
static int
set_config(void *dev, uint32_t ofs, uint32_t len, const uint8_t *in)
{
	(void)dev, (void)ofs, (void)len, (void)in;
	return -EINVAL;
}

/* ---- life cycle ---- */

static uint64_t
offered_features(const struct unm_net *n)
{
	uint64_t f = UNM_F_VERSION_1 | UNM_F_MRG_RXBUF | UNM_F_EVENT_IDX | UNM_F_INDIRECT_DESC |
		     UNM_F_STATUS | UNM_F_MAC;

	f |= n->c.mtu != 0 ? UNM_F_MTU : 0;
	f |= n->n_pairs > 1 ? UNM_F_MQ : 0;
	f |= n->c.can_pack ? UNM_F_PACKED : 0;
	f |= n->c.in_order ? UNM_F_IN_ORDER : 0;
	f |= n->c.ctrl_vq ? UNM_F_CTRL_VQ | UNM_F_CTRL_MAC_ADDR : 0;
	if (n->port.hdr_len > 0 && n->c.offload == UNM_NET_OFFLOAD_AUTO)
		f |= UNM_F_CSUM | UNM_F_GUEST_CSUM | UNM_F_HOST_TSO4 | UNM_F_HOST_TSO6 |
		     UNM_F_HOST_ECN | UNM_F_HOST_USO | UNM_F_GUEST_TSO4 | UNM_F_GUEST_TSO6 |
		     UNM_F_GUEST_ECN | UNM_F_GUEST_USO4 | UNM_F_GUEST_USO6;
	return f;
}

/* A locally administered address that stays the same for a port's name (FNV-1a). */
static void
derive_mac(uint8_t mac[6], const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	int i;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	for (i = 0; i < 6; i++)
		mac[i] = (uint8_t)(h >> (8 * i));
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
}

static void
init_config(struct unm_net *n)
{
	static const uint8_t none[6];

	if (memcmp(n->c.mac, none, sizeof(none)) == 0)
		derive_mac(n->c.mac, n->name);
	reset_config(n);
	n->config.status = htole16(STATUS_LINK_UP);
	n->config.max_pairs = htole16((uint16_t)n->n_pairs);
	n->config.speed = UINT32_MAX; /* unknown, and so the duplex mode */
	n->config.duplex = UINT8_MAX;
}

static void
init_ops(struct unm_net *n)
{
	n->ops = (struct unm_vu_device_ops){
		.features = offered_features(n),
		.protocol_features = UNM_VU_PF_SUPPORTED,
		.n_rings = 2 * n->n_pairs + (n->c.ctrl_vq ? 1 : 0),
		.queue_num = n->n_pairs,
		.set_features = set_features,
		.ring_started = ring_started,
		.ring_stopped = ring_stopped,
		.ring_enabled = ring_enabled,
		.driver_ok = driver_ok,
		.reset = reset,
		.set_mtu = set_mtu,
		.send_rarp = send_rarp,
		.get_config = get_config,
		.set_config = set_config,
	};
}

/* A server that was killed may still have the port, until netmapd notices. */
static int
open_at_first(struct unm_net *n, char *why)
{
	const uint64_t deadline_ns = unm_now_ns() + LEFT_NS;
	int err = unm_net_port_open(n, why);

	while (err == -EBUSY && unm_now_ns() < deadline_ns) {
		poll(NULL, 0, LEFT_RETRY_MS);
		err = unm_net_port_open(n, why);
	}
	return err;
}

int
unm_net_open(struct unm_net **out, const struct unm_net_config *c, char *why)
{
	struct unm_net *n;
	unsigned int k;
	int err;

	if (c->n_pairs > NET_MAX_PAIRS || strlen(c->port) >= NET_NAME_LEN) {
		snprintf(why, UNM_NET_WHY_SIZE,
			"at most %u queue pairs, and port names of %d characters", NET_MAX_PAIRS,
			NET_NAME_LEN - 1);
		return -EINVAL;
	}
	n = calloc(1, sizeof(*n));
	if (n == NULL) {
		snprintf(why, UNM_NET_WHY_SIZE, "out of memory");
		return -ENOMEM;
	}
	n->c = *c;
	strncpy(n->name, c->port, sizeof(n->name) - 1);
	n->c.port = n->name;
	n->n_pairs = c->n_pairs;
	n->hdr_len = UNM_VNET_HDR_BASE;
	n->lacks = UNM_VNET_LACKS_ALL;
	n->link_up = n->port_link_up = true;
	n->ctrl.kick_fd = -1;
	n->ctrl.net = n;
	for (k = 0; k < NET_MAX_PAIRS; k++) {
		n->rx[k].kick_fd = n->tx[k].kick_fd = -1;
		n->rx[k].net = n->tx[k].net = n;
	}
	err = open_at_first(n, why);
	if (err != 0) {
		free(n);
		return err;
	}
	unm_net_port_use(n);
	if (n->n_pairs == 0)
		n->n_pairs = n->port.n_rings;
	n->n_active = n->n_pairs;
	init_config(n);
	init_ops(n);
	*out = n;
	return 0;
}

void
unm_net_free(struct unm_net *n)
{
	if (n == NULL)
		return;
	unm_ask_end(&n->opening.ask);
	if (n->opening.net != NULL) {
		unm_net_port_close(&n->opening.net->port);
		free(n->opening.net);
	}
	unm_net_port_tell_end(n);
	unm_net_port_close(&n->port);
	free(n);
}

/* The asker's job. */
static bool
open_anew(struct unm_ask *a)
{
	struct net_opening *o = (struct net_opening *)(void *)a; /* its first member */

	o->err = unm_net_port_open(o->net, o->why);
	return true; /* whoever looks at the result tries again */
}

/* Give up the port that is lost, and have one of its name opened. */
static int
begin_opening(struct unm_net *n, char *why)
{
	struct unm_net *net = calloc(1, sizeof(*net));
	unsigned int k;

	if (net == NULL) {
		snprintf(why, UNM_NET_WHY_SIZE, "out of memory");
		return -ENOMEM;
	}
	for (k = 0; k < n->port.n_rings; k++)
		if (k < n->n_pairs && n->port.ring[k].n_sent > 0)
			unm_net_tx_abandon(n, k);
	unm_net_port_close(&n->port);
	n->port.lost = true;
	retarget(n);
	unm_net_port_tell(n); /* nothing */
	net->c = n->c;
	memcpy(net->name, n->name, sizeof(net->name));
	net->n_pairs = n->n_pairs;
	n->opening.net = net;
	n->opening.ask.fn = open_anew;
	unm_ask(&n->opening.ask);
	return 0;
}

int
unm_net_reopen(struct unm_net *n, char *why)
{
	struct net_opening *o = &n->opening;
	int err = o->net == NULL ? begin_opening(n, why) : 0;

	if (err < 0) {
		n->n_missed++;
		return err;
	}
	if (unm_ask_is_busy(&o->ask))
		return -EINPROGRESS;
	err = o->err;
	if (err == 0)
		n->port = o->net->port;
	else
		memcpy(why, o->why, UNM_NET_WHY_SIZE);
	free(o->net);
	o->net = NULL;
	n->n_missed = err != 0 ? n->n_missed + 1 : 0;
	if (err != 0)
		return err;
	n->loss_is_told = false; /* it may be lost again before anybody has seen that it was back */
	unm_net_port_use(n);
	unm_net_port_tell(n);
	retarget(n);
	return 0;
}

void
unm_net_set_direct(struct unm_net *n, bool is_direct)
{
	unsigned int k;

	if (n->is_direct == is_direct)
		return;
	n->is_direct = is_direct;
	if (n->port.lost)
		return; /* the next one is used as it shall be */
	for (k = 0; k < n->n_pairs && !is_direct; k++)
		if (n->port.ring[k].n_sent > 0)
			unm_net_tx_abandon(n, k); /* sent again, as copies */
	unm_net_port_use(n);
}

bool
unm_net_can_be_direct(const struct unm_net *n)
{
	return n->port.can_indirect;
}

bool
unm_net_is_direct(const struct unm_net *n)
{
	return n->is_direct && n->port.can_indirect;
}

void
unm_net_set_link(struct unm_net *n, bool up)
{
	if (up && !n->link_up)
		unm_net_rx_discard(n);
	n->link_up = up;
	n->config.status = htole16(up ? STATUS_LINK_UP : 0);
	retarget(n);
}

bool
unm_net_link_has_changed(struct unm_net *n, bool *up)
{
	if (n->port.lost) { /* as it was, until it turns out that the port can't be had */
		*up = n->port_link_up && n->n_missed < MOST_MISSED;
		n->is_off_switch = false;
	} else {
		/* The bits are brought up to date by each sync. */
		const uint32_t flags = n->port.ring[0].port->nifp->ni_flags;

		*up = !(flags & NI_LINK_DOWN);
		n->is_off_switch = flags & NI_NO_SWITCH;
	}
	if (*up == n->port_link_up)
		return false;
	n->port_link_up = *up;
	unm_net_set_link(n, *up);
	return true;
}

bool
unm_net_is_off_switch(const struct unm_net *n)
{
	return n->is_off_switch;
}

const struct unm_vu_device_ops *
unm_net_ops(const struct unm_net *n)
{
	return &n->ops;
}

bool
unm_net_is_lost_anew(struct unm_net *n)
{
	const bool is_anew = n->port.lost && !n->loss_is_told;

	n->loss_is_told = n->port.lost;
	return is_anew;
}

const char *
unm_net_name(const struct unm_net *n)
{
	return n->name;
}

const uint8_t *
unm_net_mac(const struct unm_net *n)
{
	return n->config.mac;
}

void
unm_net_get_stats(const struct unm_net *n, struct unm_net_stats *out)
{
	*out = n->stats;
}

/* ---- what the loop asks ---- */

void
unm_net_call(struct net_queue *nq, bool wants, unsigned int frames)
{
	const struct unm_net_config *c = &nq->net->c;

	if (!wants && !nq->call_pending)
		return;
	if (!nq->call_pending) {
		nq->call_pending = true;
		nq->call_frames = 0;
		if (c->coalesce_us > 0)
			nq->call_due_ns = unm_now_ns() + c->coalesce_us * UINT64_C(1000);
	}
	nq->call_frames += frames;
	if (c->coalesce_us > 0 && (c->coalesce_frames == 0 || nq->call_frames < c->coalesce_frames))
		return;
	nq->call_pending = false;
	nq->net->stats.calls++;
	unm_vq_call(nq->q);
}

static void
call_if_due(struct net_queue *nq, uint64_t now_ns, uint64_t *deadline_ns)
{
	if (!nq->call_pending || nq->q == NULL)
		return;
	if (now_ns < nq->call_due_ns) {
		*deadline_ns = nq->call_due_ns < *deadline_ns ? nq->call_due_ns : *deadline_ns;
		return;
	}
	nq->call_pending = false;
	nq->net->stats.calls++;
	unm_vq_call(nq->q);
}

void
unm_net_timers(struct unm_net *n, uint64_t now_ns, uint64_t *deadline_ns)
{
	unsigned int k;

	for (k = 0; k < n->n_pairs; k++) {
		call_if_due(&n->rx[k], now_ns, deadline_ns);
		call_if_due(&n->tx[k], now_ns, deadline_ns);
		if ((n->tx[k].q != NULL && n->tx[k].kick_fd < 0) ||
			(n->rx[k].q != NULL && n->rx[k].kick_fd < 0 && n->rx[k].starved))
			*deadline_ns = now_ns + NO_KICK_NS < *deadline_ns ? now_ns + NO_KICK_NS
									  : *deadline_ns;
	}
}

/* Queue @i: those to send first, then the port's rings to receive from. */
static unsigned int
serve(struct unm_net *n, unsigned int i)
{
	if (i >= n->n_pairs)
		return unm_net_rx(n, i - n->n_pairs);
	return n->tx[i].q != NULL ? unm_net_tx(n, i) : 0;
}

/* One pair of queues has limits of its own; many take turns, and a pass may end at any of them. */
unsigned int
unm_net_work(struct unm_net *n)
{
	const unsigned int n_queues = n->n_pairs + n->port.n_rings;
	const uint64_t start_ns = n_queues > 2 ? unm_now_ns() : 0;
	unsigned int i, total = 0;

	if (!n->driver_ok)
		return 0;
	if (n->turn >= n_queues)
		n->turn = 0;
	for (i = 0; i < n_queues; i++) {
		const unsigned int done = serve(n, n->turn);

		total += done;
		n->turn = n->turn + 1 < n_queues ? n->turn + 1 : 0;
		/* One that has done nothing may have looked at much, but not that much. */
		if (n_queues > 2 && (done > 0 || i % 8 == 7) &&
			unm_now_ns() - start_ns >= NET_PASS_NS)
			break;
	}
	if (n->ctrl.q != NULL)
		total += unm_net_ctrl(n);
	return total;
}

/* Does a sleep wait for kicks of this queue? */
static bool
waits_for_kicks(const struct unm_net *n, const struct net_queue *nq)
{
	if (nq->q == NULL || !n->driver_ok || !unm_vq_is_running(nq->q))
		return false;
	if (nq == &n->ctrl)
		return true;
	if (nq >= n->tx && nq < n->tx + NET_MAX_PAIRS)
		return !n->port.ring[nq - n->tx].tx_blocked;
	return nq->starved && !n->port.lost;
}

bool
unm_net_sleep_prepare(struct unm_net *n)
{
	bool quiet = true;
	unsigned int k;

	for (k = 0; k < n->n_pairs; k++) {
		if (waits_for_kicks(n, &n->tx[k]))
			quiet &= !unm_vq_kicks_on(n->tx[k].q);
		if (waits_for_kicks(n, &n->rx[k]))
			quiet &= !unm_vq_kicks_on(n->rx[k].q);
	}
	if (waits_for_kicks(n, &n->ctrl))
		quiet &= !unm_vq_kicks_on(n->ctrl.q);
	return quiet;
}

void
unm_net_sleep_end(struct unm_net *n)
{
	unsigned int k;

	n->stats.sleeps++;
	for (k = 0; k < n->n_pairs; k++) {
		if (n->tx[k].q != NULL)
			unm_vq_kicks_off(n->tx[k].q);
		if (n->rx[k].q != NULL)
			unm_vq_kicks_off(n->rx[k].q);
	}
	if (n->ctrl.q != NULL)
		unm_vq_kicks_off(n->ctrl.q);
}

unsigned int
unm_net_max_fds(const struct unm_net *n)
{
	return NET_MAX_PAIRS + 2 * n->n_pairs + 1;
}

static unsigned int
add_kick(const struct unm_net *n, const struct net_queue *nq, struct pollfd *out)
{
	if (nq->kick_fd < 0 || !waits_for_kicks(n, nq))
		return 0;
	*out = (struct pollfd){.fd = nq->kick_fd, .events = POLLIN};
	return 1;
}

unsigned int
unm_net_fds(struct unm_net *n, struct pollfd *out)
{
	unsigned int count = 0, k;

	for (k = 0; k < n->port.n_rings && !n->port.lost; k++) {
		const struct net_ring *r = &n->port.ring[k];
		short events = k == 0 ? POLLPRI : 0; /* the link */

		if (r->target != NULL && !r->target->starved)
			events |= POLLIN;
		if (k < n->n_pairs && n->tx[k].q != NULL && n->driver_ok && r->tx_blocked)
			events |= POLLOUT;
		if (events != 0)
			out[count++] = (struct pollfd){.fd = r->port->fd, .events = events};
	}
	n->n_port_fds = count;
	for (k = 0; k < n->n_pairs; k++) {
		count += add_kick(n, &n->tx[k], out + count);
		count += add_kick(n, &n->rx[k], out + count);
	}
	return count + add_kick(n, &n->ctrl, out + count);
}

static void
break_kicked_by(struct unm_net *n, int fd, const char *why)
{
	unsigned int idx;

	for (idx = 0; idx <= 2 * n->n_pairs; idx++) {
		struct net_queue *nq = queue_of(n, idx);

		if (nq->q != NULL && nq->kick_fd == fd)
			unm_vq_break(nq->q, why);
	}
}

void
unm_net_fds_ready(struct unm_net *n, const struct pollfd *fds, unsigned int n_fds)
{
	unsigned int i;

	for (i = 0; i < n_fds; i++) {
		int got;

		if (fds[i].revents == 0)
			continue;
		if (i < n->n_port_fds) {
			if (fds[i].revents & (POLLERR | POLLNVAL | POLLPRI))
				unm_net_port_check(n);
			continue;
		}
		if (n->mem->guard != NULL && n->mem->guard->has_blocked)
			continue; /* the connection is about to end */
		got = unm_event_take(fds[i].fd);
		n->stats.kicks += got > 0;
		if (got == -ETIMEDOUT && n->mem->guard != NULL)
			unm_guest_guard_block(n->mem->guard);
		if (got < 0) /* a pipe without another end is always readable */
			break_kicked_by(n, fds[i].fd,
				got == -EPIPE ? "the other end of its kick pipe is closed"
					      : "its kick descriptor blocks");
	}
}
