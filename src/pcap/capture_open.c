/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening a port for capturing, and what has to do with the open port as a whole. See capture.h. */
#include "pcap/capture_priv.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Whether ports are opened in several threads is settled by the context's lock below. */
#define LIBNETMAP_NOTHREADSAFE
#include "libnetmap.h"
#include "unetmap.h"

#define MONITOR_FLAGS (NR_MONITOR_RX | NR_MONITOR_TX)
#define FEWEST_SLOTS  1024 /* more are not insisted on */
#define SLOT_BYTES    2048 /* of memory that a slot takes: its buffer */
#define MEMORY_SHARE  32   /* of the machine's memory a capture takes one such part at most */
#define MAX_HDR_LEN   12
#define OPEN_TRIES    3 /* a port may be opened or closed by others between two requests */
#define MESSAGE_SIZE  512

/* The library's context for our ports: the program that we are loaded into has its own. */
static pthread_mutex_t ctx_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local char message[MESSAGE_SIZE];

static void
keep_message(struct nmctx *ctx, const char *text)
{
	(void)ctx; /* ours */
	snprintf(message, sizeof(message), "%s", text);
}

static void *
ctx_malloc(struct nmctx *ctx, size_t size)
{
	(void)ctx;
	return malloc(size);
}

static void
ctx_free(struct nmctx *ctx, void *p)
{
	(void)ctx;
	free(p);
}

static void
ctx_lock(struct nmctx *ctx, int lock)
{
	(void)ctx;
	if (lock)
		pthread_mutex_lock(&ctx_mutex);
	else
		pthread_mutex_unlock(&ctx_mutex);
}

static struct nmctx ctx = {
	.verbose = 1,
	.error = keep_message,
	.malloc = ctx_malloc,
	.free = ctx_free,
	.lock = ctx_lock,
};

bool
unm_cap_is_name(const char *name)
{
	if (name == NULL)
		return false;
	if (strncmp(name, "netmap:", 7) == 0 || strncmp(name, "tap:", 4) == 0)
		return true;
	if (strncmp(name, NM_BDG_NAME, 4) != 0)
		return false;
	for (name += 4; isalnum((unsigned char)*name) || *name == '_'; name++)
		;
	return *name == ':';
}

/* Why the last step failed; @reason may be "". Return: negative errno. */
static int
failed(const char *name, const char *reason, char *why)
{
	const int error = errno != 0 ? errno : EINVAL;

	snprintf(why, UNM_CAP_WHY_SIZE, "cannot open %.64s: %.176s", name,
		reason[0] != '\0' ? reason : strerror(error));
	return -error;
}

static void
forget_failures(void)
{
	message[0] = '\0';
	errno = 0;
}

static struct nmport_d *
prepare(const char *name)
{
	struct nmport_d *d;

	forget_failures();
	d = nmport_new();
	if (d == NULL)
		return NULL;
	d->ctx = &ctx;
	if (nmport_parse(d, name) == 0)
		return d;
	nmport_delete(d);
	return NULL;
}

/*
 * Open @name with these flags besides its own, and @n_slots if its name does not say.
 * Return: 0, or negative errno with @why.
 */
static int
open_with(struct unm_cap *c, const struct unm_cap_opts *opts, uint64_t flags, uint32_t n_slots,
	char *why)
{
	struct nmport_d *d = prepare(opts->name);
	const char *reason;
	int ret;

	if (d == NULL) /* netmapd has not been asked: its last word was of another port */
		return failed(opts->name, message, why);
	d->reg.nr_flags |= flags | NR_ACCEPT_VNET_HDR; /* frames are handed out without it */
	if (d->reg.nr_flags & (MONITOR_FLAGS | NR_ZCOPY_MON))
		d->reg.nr_flags |= NR_RX_RINGS_ONLY;
	if (d->reg.nr_rx_slots == 0)
		d->reg.nr_rx_slots = n_slots;
	forget_failures();
	if (nmport_open_desc(d) == 0) {
		c->port = d;
		c->is_monitor = d->reg.nr_flags & MONITOR_FLAGS;
		return 0;
	}
	reason = nmctx_last_error();
	ret = failed(opts->name, reason[0] != '\0' ? reason : message, why);
	nmport_undo_prepare(d);
	return ret;
}

/*
 * How deep a ring is to be if nobody says: threads of the system take the CPU away for 5 ms now and
 * then, and whoever reads ten million frames a second needs room for what comes meanwhile.
 */
static uint32_t
default_slots(void)
{
	const long pages = sysconf(_SC_PHYS_PAGES);
	const uint64_t bytes = pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
	uint32_t n = UNM_CAP_MAX_SLOTS;

	while (n > FEWEST_SLOTS && n > bytes / MEMORY_SHARE / SLOT_BYTES)
		n /= 2;
	return n;
}

static uint32_t
count_rings(const struct nmport_d *d)
{
	return (uint16_t)(d->last_rx_ring - d->first_rx_ring + 1);
}

/* Can it be opened anew, and nobody notices? Interfaces and TAPs have at most 4096 slots a ring anyway. */
static bool
goes_lightly(const struct unm_cap *c)
{
	return c->is_monitor || strncmp(c->port->hdr.nr_name, NM_BDG_NAME, 4) == 0;
}

/* As open_with(), or with fewer slots where there is no memory for so many, which @n_slots then says. */
static int
open_smaller(struct unm_cap *c, const struct unm_cap_opts *opts, uint64_t flags, uint32_t *n_slots,
	char *why)
{
	int ret = open_with(c, opts, flags, *n_slots, why);

	while (ret == -ENOMEM && *n_slots > FEWEST_SLOTS) {
		*n_slots /= 2;
		ret = open_with(c, opts, flags, *n_slots, why);
	}
	return ret;
}

/* The same with as many slots as wanted and possible; those of several rings together, unless they are wanted. */
static int
try_open(struct unm_cap *c, const struct unm_cap_opts *opts, uint64_t flags, char *why)
{
	const uint32_t most = opts->most_slots != 0 ? opts->most_slots : UNM_CAP_MAX_SLOTS;
	uint32_t n = opts->n_slots != 0 ? opts->n_slots : default_slots(), all, n_rings;
	int ret;

	if (n > most)
		n = most;
	all = n;
	ret = open_smaller(c, opts, flags, &n, why);
	if (ret < 0 || opts->n_slots != 0)
		return ret;
	n_rings = count_rings(c->port); /* only known now */
	if (n_rings < 2 || n_rings * c->port->reg.nr_rx_slots <= all || all < n_rings ||
		!goes_lightly(c))
		return 0;
	nmport_close(c->port);
	c->port = NULL;
	n = all / n_rings;
	return open_smaller(c, opts, flags, &n, why);
}

/* Does the name itself ask for a monitor? Return: 1, 0, or negative errno with @why. */
static int
names_monitor(const char *name, char *why)
{
	struct nmport_d *d = prepare(name);
	int ret;

	if (d == NULL)
		return failed(name, message, why);
	ret = (d->reg.nr_flags & (MONITOR_FLAGS | NR_ZCOPY_MON)) != 0;
	nmport_undo_prepare(d);
	return ret;
}

/*
 * Monitor what is open, else open it. A port that nobody uses can't be monitored (EINVAL); one that
 * somebody uses can't be had exclusively (EBUSY). Isolated clients may have ports that they may not
 * monitor.
 */
static int
open_by_rule(struct unm_cap *c, const struct unm_cap_opts *opts, char *why)
{
	char refusal[UNM_CAP_WHY_SIZE];
	int i, ret = names_monitor(opts->name, why), refused = 0;

	if (ret < 0)
		return ret;
	if (ret > 0 || opts->monitor_only)
		return try_open(c, opts, ret > 0 ? 0 : MONITOR_FLAGS, why);
	for (i = 0; i < OPEN_TRIES; i++) {
		ret = try_open(c, opts, MONITOR_FLAGS, why);
		if (ret == -EPERM || ret == -EACCES) {
			refused = ret;
			memcpy(refusal, why, sizeof(refusal));
		} else if (ret != -EINVAL && ret != -EOPNOTSUPP && ret != -ENXIO) {
			return ret;
		}
		ret = try_open(c, opts, NR_EXCLUSIVE, why);
		if (ret != -EBUSY)
			return ret;
		if (refused != 0) {
			memcpy(why, refusal, sizeof(refusal));
			return refused;
		}
	}
	return ret;
}

/* The length of the virtio-net header that frames of the port have; 0 where there can be none. */
static uint32_t
ask_hdr_len(const struct nmport_d *d)
{
	struct nmreq_port_hdr body = {0};
	struct nmreq_header hdr;

	nmreq_header_init(&hdr, NETMAP_REQ_PORT_HDR_GET, &body);
	memcpy(hdr.nr_name, d->hdr.nr_name, sizeof(hdr.nr_name));
	if (ioctl(d->fd, NIOCCTRL, &hdr) != 0 || body.nr_hdr_len > MAX_HDR_LEN)
		return 0;
	return body.nr_hdr_len;
}

static void
view_ring(struct unm_cap_ring *r, struct netmap_ring *ring, const struct nmport_d *d)
{
	const char *end = (const char *)d->mem->mem + d->mem->size;
	uint64_t n;

	r->ring = ring;
	r->num_slots = ring->num_slots;
	r->buf_size = ring->nr_buf_size;
	r->bufs = NETMAP_BUF(ring, 0);
	n = (uint64_t)(end - r->bufs) / r->buf_size;
	r->n_bufs = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
	r->next = ring->head < r->num_slots ? ring->head : 0;
}

/*
 * Touch what frames will come in: the pages are there, but not in our page tables, and what it takes
 * to get them in would be missing in the first round of the ring.
 */
static void
map_buffers(const struct unm_cap_ring *r)
{
	uint32_t i;

	for (i = 0; i < r->num_slots; i++) {
		const uint32_t buf_idx =
			__atomic_load_n(&r->ring->slot[i].buf_idx, __ATOMIC_RELAXED);

		if (buf_idx < r->n_bufs)
			(void)*(const volatile char *)(r->bufs + (size_t)buf_idx * r->buf_size);
	}
}

static int
view_rings(struct unm_cap *c, const char *name, char *why)
{
	const struct nmport_d *d = c->port;
	const uint32_t n = count_rings(d);
	uint32_t i, buf_size = 0;

	if (n == 0) {
		snprintf(why, UNM_CAP_WHY_SIZE,
			"%.64s has no receive rings: leave out /T, or name another ring", name);
		return -EINVAL;
	}
	c->rings = calloc(n, sizeof(*c->rings));
	if (c->rings == NULL)
		goto no_memory;
	for (i = 0; i < n; i++) {
		view_ring(&c->rings[i], NETMAP_RXRING(d->nifp, d->first_rx_ring + i), d);
		map_buffers(&c->rings[i]);
		if (c->rings[i].buf_size > buf_size)
			buf_size = c->rings[i].buf_size;
	}
	c->n_rings = n;
	c->join = malloc((size_t)NETMAP_MAX_FRAGS * buf_size);
	if (c->vnet_len > 0 && !c->is_monitor)
		c->send = malloc(c->vnet_len + UNM_CAP_MAX_SEND);
	if (c->join != NULL && (c->send != NULL || c->vnet_len == 0 || c->is_monitor))
		return 0;
no_memory:
	snprintf(why, UNM_CAP_WHY_SIZE, "cannot open %.64s: out of memory", name);
	return -ENOMEM;
}

int
unm_cap_open(struct unm_cap **out, const struct unm_cap_opts *opts, char *why)
{
	struct unm_cap *c = calloc(1, sizeof(*c));
	struct unm_cap_counters counters;
	int ret;

	if (c == NULL) {
		snprintf(why, UNM_CAP_WHY_SIZE, "cannot open %.64s: out of memory", opts->name);
		return -ENOMEM;
	}
	ret = open_by_rule(c, opts, why);
	if (ret == 0) {
		c->vnet_len = ask_hdr_len(c->port);
		ret = view_rings(c, opts->name, why);
	}
	if (ret < 0) {
		unm_cap_close(c);
		return ret;
	}
	unm_cap_get_counters(c, &counters);
	c->missed_before = counters.missed;
	*out = c;
	return 0;
}

void
unm_cap_close(struct unm_cap *c)
{
	if (c == NULL)
		return;
	if (c->n_rings > 0) {
		/*
		 * On a pipe the sender waits for its slots; whether the port still is does not
		 * matter.
		 */
		unm_cap_release(c);
		(void)unm_cap_sync(c);
	}
	nmport_close(c->port);
	free(c->rings);
	free(c->join);
	free(c->send);
	free(c);
}

int
unm_cap_fd(const struct unm_cap *c)
{
	return c->port->fd;
}

bool
unm_cap_is_monitor(const struct unm_cap *c)
{
	return c->is_monitor;
}

uint32_t
unm_cap_n_slots(const struct unm_cap *c)
{
	uint32_t i, n = 0;

	for (i = 0; i < c->n_rings; i++)
		n += c->rings[i].num_slots;
	return n;
}

uint32_t
unm_cap_buffer_size(const struct unm_cap *c)
{
	return unm_cap_n_slots(c) * c->rings[0].buf_size;
}

uint64_t
unm_cap_time_ns(const struct unm_cap *c)
{
	return c->time_ns;
}

void
unm_cap_get_counters(const struct unm_cap *c, struct unm_cap_counters *out)
{
	struct unetmap_rx_counters rx = {0};

	/* It can only fail when the port has gone; then the last word is that nothing was lost. */
	(void)unetmap_get_rx_counters(c->port->fd, &rx);
	*out = (struct unm_cap_counters){
		.frames = c->frames,
		.bytes = c->bytes,
		.missed = rx.missed > c->missed_before ? rx.missed - c->missed_before : 0,
		.invalid = c->invalid,
	};
}
