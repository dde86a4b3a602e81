/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front end's side of vhost-user; see frontend.h. The order of messages is that which QEMU 11
 * was seen to use.
 */
#include "frontend.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define STATUS_FEATURES_OK 0x0bu
#define STATUS_DRIVER_OK   0x0fu
#define ADDR_F_LOG	   1u

static int fail(struct fe *f, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int
fail(struct fe *f, int err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(f->error, sizeof(f->error), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(f->error))
		snprintf(f->error + n, sizeof(f->error) - (size_t)n, ": %s", strerror(-err));
	return err;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void
vd_config_of(const struct fe *f, struct fe_ring *r, struct vd_config *c)
{
	*c = (struct vd_config){.num = f->c.queue_size,
		.is_packed = (f->features & FE_F_PACKED) != 0,
		.has_event_idx = (f->features & FE_F_EVENT_IDX) != 0,
		.in_order = (f->features & FE_F_IN_ORDER) != 0,
		.mem = r->mem,
		.gpa = guest_gpa(&f->guest, r->mem)};
	if ((f->features & FE_F_INDIRECT_DESC) != 0) {
		c->table_len = f->c.table_len;
		c->indirect_from = f->c.indirect_from;
	}
}

/* What a ring takes in the format that takes more. */
static size_t
ring_room(const struct fe_config *c)
{
	struct vd_config d = {.num = c->queue_size, .table_len = c->table_len};

	return vd_mem_size(&d) + GUEST_PAGE;
}

int
fe_open(struct fe *f, const struct fe_config *c)
{
	unsigned int i;
	int ret;

	memset(f, 0, sizeof(*f));
	f->c = *c;
	f->sock = f->inflight_fd = f->log_fd = -1;
	if (c->n_pairs == 0 || c->n_pairs > FE_MAX_PAIRS)
		return fail(f, -EINVAL, "number of queue pairs");
	ret = guest_init(&f->guest, c->mem_size, c->n_regions, c->hole);
	if (ret < 0)
		return fail(f, ret, "guest memory");
	for (i = 0; i < 2u * c->n_pairs; i++) {
		struct fe_ring *r = &f->ring[i];

		r->mem = guest_alloc(&f->guest, ring_room(c));
		r->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		f->n_rings = i + 1;
		if (r->mem == NULL || r->kick < 0 || r->call < 0 || r->err < 0) {
			fe_close(f);
			return fail(f, -ENOMEM, "rings");
		}
	}
	f->mem_mark = f->guest.used;
	return 0;
}

void
fe_close(struct fe *f)
{
	unsigned int i;

	fe_drop(f);
	for (i = 0; i < f->n_rings; i++) {
		vd_fini(&f->ring[i].vd);
		close(f->ring[i].kick);
		close(f->ring[i].call);
		close(f->ring[i].err);
	}
	f->n_rings = 0;
	if (f->inflight_fd >= 0)
		close(f->inflight_fd);
	if (f->log != NULL)
		munmap(f->log, f->log_size);
	if (f->log_fd >= 0)
		close(f->log_fd);
	guest_fini(&f->guest);
}

/* ---- messages -------------------------------------------------------------------------------- */

int
fe_query(struct fe *f, uint32_t request, const void *payload, uint32_t size, struct wire_msg *m)
{
	int ret = wire_send(f->sock, request, false, payload, size, NULL, 0);

	if (ret == 0)
		ret = wire_recv(f->sock, request, m, f->c.timeout_ms);
	return ret < 0 ? fail(f, ret, "request %u", request) : 0;
}

static int
query_u64(struct fe *f, uint32_t request, uint64_t *value)
{
	struct wire_msg m;
	int ret = fe_query(f, request, NULL, 0, &m);

	if (ret < 0)
		return ret;
	if (m.size != sizeof(*value))
		return fail(f, -EBADMSG, "reply to %u has %u bytes", request, m.size);
	memcpy(value, m.payload, sizeof(*value));
	return 0;
}

int
fe_request(struct fe *f, uint32_t request, const void *payload, uint32_t size, const int *fd,
	unsigned int n_fds)
{
	const bool need_reply = (f->protocol & WIRE_PF_REPLY_ACK) != 0;
	uint64_t value = 0;
	struct wire_msg m;
	int ret = wire_send(f->sock, request, need_reply, payload, size, fd, n_fds);

	if (ret == 0 && need_reply) {
		ret = wire_recv(f->sock, request, &m, f->c.timeout_ms);
		if (ret == 0 && m.size == sizeof(value))
			memcpy(&value, m.payload, sizeof(value));
		else if (ret == 0)
			ret = -EBADMSG;
	}
	if (ret < 0)
		return fail(f, ret, "request %u", request);
	return value == 0 ? 0 : fail(f, -EPROTO, "request %u was refused", request);
}

static int
set_u64(struct fe *f, uint32_t request, uint64_t value)
{
	return fe_request(f, request, &value, sizeof(value), NULL, 0);
}

static int
set_state(struct fe *f, uint32_t request, unsigned int index, uint32_t num)
{
	const struct wire_state s = {index, num};

	return fe_request(f, request, &s, sizeof(s), NULL, 0);
}

static int
set_fd(struct fe *f, uint32_t request, unsigned int index, int fd)
{
	const uint64_t value = index;

	return fe_request(f, request, &value, sizeof(value), &fd, 1);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static int
negotiate(struct fe *f)
{
	uint64_t value;
	int ret;

	ret = query_u64(f, WIRE_GET_FEATURES, &f->offered);
	if (ret < 0)
		return ret;
	f->features = f->offered & (f->c.features | FE_F_PROTOCOL | FE_F_VERSION_1);
	if ((f->offered & FE_F_PROTOCOL) != 0) {
		ret = query_u64(f, WIRE_GET_PROTOCOL_FEATURES, &value);
		if (ret < 0)
			return ret;
		value &= f->c.protocol_features;
		ret = set_u64(f, WIRE_SET_PROTOCOL_FEATURES, value);
		if (ret < 0)
			return ret;
		f->protocol = value;
	}
	if ((f->protocol & WIRE_PF_MQ) != 0) {
		ret = query_u64(f, WIRE_GET_QUEUE_NUM, &value);
		if (ret < 0)
			return ret;
		if (value < f->c.n_pairs)
			return fail(f, -EPROTO, "only %llu queue pairs", (unsigned long long)value);
	}
	if ((f->protocol & WIRE_PF_MEM_SLOTS) != 0) {
		ret = query_u64(f, WIRE_GET_MAX_MEM_SLOTS, &value);
		if (ret < 0)
			return ret;
		if (value < f->guest.n_regions)
			return fail(f, -EPROTO, "too few memory slots");
	}
	return fe_request(f, WIRE_SET_OWNER, NULL, 0, NULL, 0);
}

/*
 * Where rings that were cut off go on. The server stops using them when it notices, so not before it
 * answers on another connection.
 */
static void
find_bases(struct fe *f)
{
	unsigned int i;

	for (i = 0; i < f->n_rings; i++) {
		if (f->ring[i].is_cut_off)
			f->ring[i].base = vd_crash_base(&f->ring[i].vd);
		f->ring[i].is_cut_off = false;
	}
}

int
fe_connect(struct fe *f)
{
	const uint64_t before = f->features;
	int ret;

	fe_drop(f);
	ret = wire_connect(f->c.path, f->c.is_server, f->c.timeout_ms);
	if (ret < 0)
		return fail(f, ret, "connection to %s", f->c.path);
	f->sock = ret;
	ret = negotiate(f);
	/* A guest that runs can't learn that its device has lost a feature. */
	if (ret == 0 && before != 0 && (before & ~f->features) != 0)
		ret = fail(f, -EPROTO, "features went from 0x%llx to 0x%llx",
			(unsigned long long)before, (unsigned long long)f->features);
	if (ret < 0)
		fe_drop(f);
	else
		find_bases(f);
	return ret;
}

void
fe_drop(struct fe *f)
{
	unsigned int i;

	if (f->sock >= 0)
		close(f->sock);
	f->sock = -1;
	f->protocol = 0;
	for (i = 0; i < f->n_rings; i++) {
		f->ring[i].is_cut_off = f->ring[i].is_cut_off || f->ring[i].is_started;
		f->ring[i].is_started = false;
	}
}

bool
fe_is_gone(const struct fe *f)
{
	struct pollfd p = {.fd = f->sock, .events = POLLRDHUP};

	return f->sock < 0 ||
	       (poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)));
}

/* ---- rings ----------------------------------------------------------------------------------- */

int
fe_fresh(struct fe *f)
{
	unsigned int i;
	int ret;

	for (i = 0; i < f->n_rings; i++) {
		struct fe_ring *r = &f->ring[i];
		struct vd_config c;

		vd_config_of(f, r, &c);
		vd_fini(&r->vd);
		ret = vd_init(&r->vd, &c);
		if (ret < 0)
			return fail(f, ret, "ring %u", i);
		r->base = c.is_packed ? VD_PACKED_BASE : 0;
	}
	if (f->inflight_fd >= 0) { /* nothing is in flight: the next server gets a new one */
		close(f->inflight_fd);
		f->inflight_fd = -1;
	}
	return 0;
}

static int
send_memory(struct fe *f)
{
	struct wire_mem_table t = {.n = f->guest.n_regions};
	int fd[WIRE_MAX_FDS];
	unsigned int i;
	int ret;

	for (i = 0; i < f->guest.n_regions; i++) {
		const struct guest_region *r = &f->guest.region[i];

		t.region[i] =
			(struct wire_region){r->gpa, r->size, (uint64_t)(uintptr_t)r->base, 0};
		fd[i] = r->fd;
	}
	if ((f->protocol & WIRE_PF_MEM_SLOTS) == 0)
		return fe_request(f, WIRE_SET_MEM_TABLE, &t,
			(uint32_t)(offsetof(struct wire_mem_table, region) +
				   t.n * sizeof(t.region[0])),
			fd, t.n);
	for (i = 0; i < t.n; i++) {
		const struct wire_one_region one = {.region = t.region[i]};

		ret = fe_request(f, WIRE_ADD_MEM_REG, &one, sizeof(one), &fd[i], 1);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/*
 * The region in which a server notes what it has taken: made by the first, handed to each later
 * one.
 */
static int
send_inflight(struct fe *f)
{
	struct wire_msg m;
	int ret;

	if ((f->protocol & WIRE_PF_INFLIGHT_SHMFD) == 0)
		return 0;
	if (f->inflight_fd < 0) {
		const struct wire_inflight want = {
			.num_queues = (uint16_t)f->n_rings, .queue_size = f->c.queue_size};

		ret = fe_query(f, WIRE_GET_INFLIGHT_FD, &want, sizeof(want), &m);
		if (ret < 0)
			return ret;
		/* Some count the padding, some do not. */
		if (m.n_fds != 1 || m.size < offsetof(struct wire_inflight, pad))
			return fail(f, -EBADMSG, "GET_INFLIGHT_FD: %u bytes", m.size);
		memcpy(&f->inflight, m.payload, offsetof(struct wire_inflight, pad));
		f->inflight_fd = m.fd[0];
	}
	return fe_request(
		f, WIRE_SET_INFLIGHT_FD, &f->inflight, sizeof(f->inflight), &f->inflight_fd, 1);
}

static int
send_addr(struct fe *f, unsigned int i)
{
	const struct vd *v = &f->ring[i].vd;
	struct wire_addr a = {.index = i,
		.desc = (uint64_t)(uintptr_t)vd_desc_area(v),
		.avail = (uint64_t)(uintptr_t)vd_driver_area(v),
		.used = (uint64_t)(uintptr_t)vd_device_area(v)};

	if (f->log_bit != 0) {
		a.flags = ADDR_F_LOG;
		a.log = guest_gpa(&f->guest, vd_device_area(v));
	}
	return fe_request(f, WIRE_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
}

static int
start_ring(struct fe *f, unsigned int i)
{
	struct fe_ring *r = &f->ring[i];
	int ret;

	ret = set_state(f, WIRE_SET_VRING_NUM, i, f->c.queue_size);
	if (ret == 0)
		ret = set_state(f, WIRE_SET_VRING_BASE, i, r->base);
	if (ret == 0)
		ret = send_addr(f, i);
	if (ret == 0)
		ret = set_fd(f, WIRE_SET_VRING_ERR, i, r->err);
	if (ret == 0)
		ret = set_fd(f, WIRE_SET_VRING_CALL, i, r->call);
	if (ret == 0)
		ret = set_fd(f, WIRE_SET_VRING_KICK, i, r->kick);
	if (ret == 0)
		r->is_started = true;
	return ret;
}

int
fe_enable(struct fe *f, unsigned int ring, bool on)
{
	if ((f->features & FE_F_PROTOCOL) == 0)
		return 0; /* enabled from the start */
	return set_state(f, WIRE_SET_VRING_ENABLE, ring, on);
}

int
fe_start(struct fe *f)
{
	const bool has_status = (f->protocol & WIRE_PF_STATUS) != 0;
	unsigned int i;
	int ret;

	ret = set_u64(f, WIRE_SET_FEATURES, f->features | f->log_bit);
	if (ret == 0 && has_status)
		ret = set_u64(f, WIRE_SET_STATUS, STATUS_FEATURES_OK);
	if (ret == 0)
		ret = send_memory(f);
	if (ret == 0)
		ret = send_inflight(f);
	for (i = 0; ret == 0 && i < f->n_rings; i++)
		ret = start_ring(f, i);
	if (ret == 0 && has_status)
		ret = set_u64(f, WIRE_SET_STATUS, STATUS_DRIVER_OK);
	for (i = 0; ret == 0 && i < f->n_rings; i++)
		ret = fe_enable(f, i, true);
	for (i = 0; ret == 0 && i < f->n_rings; i++)
		fe_kick(f, &f->ring[i]);
	return ret;
}

int
fe_stop(struct fe *f)
{
	struct wire_msg m;
	unsigned int i;
	int ret;

	for (i = 0; i < f->n_rings; i++) {
		const struct wire_state ask = {.index = i};
		struct wire_state answer;

		ret = fe_query(f, WIRE_GET_VRING_BASE, &ask, sizeof(ask), &m);
		if (ret < 0)
			return ret;
		if (m.size != sizeof(answer))
			return fail(f, -EBADMSG, "GET_VRING_BASE");
		memcpy(&answer, m.payload, sizeof(answer));
		if (answer.index != i)
			return fail(f, -EBADMSG, "GET_VRING_BASE of ring %u", i);
		f->ring[i].base = answer.num;
		f->ring[i].is_started = false;
	}
	if ((f->protocol & WIRE_PF_STATUS) != 0) {
		ret = set_u64(f, WIRE_SET_STATUS, 0);
		if (ret < 0)
			return ret;
	}
	/* The table is sent anew at the next start; a server may refuse regions that it has. */
	for (i = 0; (f->protocol & WIRE_PF_MEM_SLOTS) != 0 && i < f->guest.n_regions; i++) {
		const struct guest_region *r = &f->guest.region[i];
		const struct wire_one_region one = {
			.region = {r->gpa, r->size, (uint64_t)(uintptr_t)r->base, 0}};

		ret = fe_request(f, WIRE_REM_MEM_REG, &one, sizeof(one), NULL, 0);
		if (ret < 0)
			return ret;
	}
	return 0;
}

void
fe_kick(struct fe *f, struct fe_ring *r)
{
	const uint64_t one = 1;

	f->kicks++;
	if (write(r->kick, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort(); /* an eventfd of our own */
}

/* ---- dirty log ------------------------------------------------------------------------------- */

static int
send_log_state(struct fe *f)
{
	unsigned int i;
	int ret = set_u64(f, WIRE_SET_FEATURES, f->features | f->log_bit);

	for (i = 0; ret == 0 && i < f->n_rings; i++)
		ret = send_addr(f, i);
	return ret;
}

int
fe_log_begin(struct fe *f)
{
	struct wire_log l = {.size = guest_top(&f->guest) / GUEST_PAGE / 8 + 1};
	struct wire_msg m;
	int ret;

	if ((f->protocol & WIRE_PF_LOG_SHMFD) == 0 || (f->offered & FE_F_LOG_ALL) == 0)
		return fail(f, -ENOTSUP, "the server keeps no dirty log");
	f->log_size = l.size;
	f->log_fd = memfd_create("dirty-log", MFD_CLOEXEC);
	if (f->log_fd < 0 || ftruncate(f->log_fd, (off_t)l.size) < 0)
		return fail(f, -errno, "dirty log");
	f->log = mmap(NULL, l.size, PROT_READ | PROT_WRITE, MAP_SHARED, f->log_fd, 0);
	if (f->log == MAP_FAILED) {
		f->log = NULL;
		return fail(f, -ENOMEM, "dirty log");
	}
	ret = wire_send(f->sock, WIRE_SET_LOG_BASE, false, &l, sizeof(l), &f->log_fd, 1);
	if (ret == 0) /* answered in any case */
		ret = wire_recv(f->sock, WIRE_SET_LOG_BASE, &m, f->c.timeout_ms);
	if (ret < 0)
		return fail(f, ret, "SET_LOG_BASE");
	f->log_bit = FE_F_LOG_ALL;
	return send_log_state(f);
}

int
fe_log_end(struct fe *f)
{
	int ret;

	f->log_bit = 0;
	ret = send_log_state(f);
	munmap(f->log, f->log_size);
	close(f->log_fd);
	f->log = NULL;
	f->log_fd = -1;
	return ret;
}

bool
fe_log_has(const struct fe *f, uint64_t gpa)
{
	const uint64_t page = gpa / GUEST_PAGE;

	return page / 8 < f->log_size &&
	       (__atomic_load_n(&f->log[page / 8], __ATOMIC_ACQUIRE) & (1u << (page % 8))) != 0;
}
