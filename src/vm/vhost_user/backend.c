/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user: one connection, from message to handler and back. See backend.h, backend_priv.h.
 *
 * What is wrong with a message decides what becomes of the connection:
 *   - no message at all (version, size of the payload beyond any): it ends;
 *   - begun and not finished: it ends after FINISH_S, for until then its descriptors are kept here,
 *     of which one can be the front end's own end of the connection;
 *   - of a descriptor that blocks, or when one does at work: it ends;
 *   - unknown, or of a protocol feature that was not negotiated: a negative answer if one is
 *     wanted, else it is ignored, as the protocol has it;
 *   - known, but not acceptable: a negative answer (the errno) if one is wanted, else the
 *     connection ends, since the front end would go on as if it had been accepted.
 */
#include "vm/vhost_user/backend.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "shm/clock.h"
#include "vm/log.h"
#include "vm/record.h"
#include "vm/vhost_user/backend_priv.h"

#define MAX_MESSAGES 32 /* handled by one call */
/*
 * So long for the messages of one connection before it is the other NICs' turn, and for the starts of
 * rings that one message has caused. What was begun is finished. The longest, measured: the start of
 * one ring of 32768 whose in-flight part is full and has to be read, 1.4 ms; GET_INFLIGHT_FD for 129
 * such rings, 26 ms, twice before others have to be given up, after which there is a pause (nic.h).
 */
#define TURN_NS	   UINT64_C(300000)
#define MAX_LOGGED 16 /* negative answers of one connection, the same ones in a row once */
#define FINISH_S   5  /* from a message's first byte to its last one */
#define NO_FEATURE 0xff

struct request {
	const char *name;
	vu_handler *handler;
	uint16_t min_len, max_len; /* of the payload */
	uint8_t min_fds, max_fds;
	uint8_t feature; /* of the protocol, that has to be negotiated; NO_FEATURE */
};

#define U64   sizeof(uint64_t), sizeof(uint64_t)
#define STATE sizeof(struct unm_vu_ring_state), sizeof(struct unm_vu_ring_state)
#define EMPTY 0, 0

static const struct request requests[UNM_VU_N_REQUESTS] = {
	[UNM_VU_GET_FEATURES] = {"GET_FEATURES", vu_get_features, EMPTY, 0, 0, NO_FEATURE},
	[UNM_VU_SET_FEATURES] = {"SET_FEATURES", vu_set_features, U64, 0, 0, NO_FEATURE},
	[UNM_VU_SET_OWNER] = {"SET_OWNER", vu_set_owner, EMPTY, 0, 0, NO_FEATURE},
	[UNM_VU_RESET_OWNER] = {"RESET_OWNER", vu_reset_owner, EMPTY, 0, 0, NO_FEATURE},
	[UNM_VU_SET_MEM_TABLE] = {"SET_MEM_TABLE", vu_set_mem_table, UNM_VU_TABLE_HDR,
		sizeof(struct unm_vu_mem_table), 0, UNM_VU_MAX_TABLE, NO_FEATURE},
	[UNM_VU_SET_LOG_BASE] = {"SET_LOG_BASE", vu_set_log_base, sizeof(struct unm_vu_log),
		sizeof(struct unm_vu_log), 1, 1, UNM_VU_PF_LOG_SHMFD},
	[UNM_VU_SET_LOG_FD] = {"SET_LOG_FD", vu_set_log_fd, EMPTY, 1, 1, NO_FEATURE},
	[UNM_VU_SET_VRING_NUM] = {"SET_VRING_NUM", vu_set_vring_num, STATE, 0, 0, NO_FEATURE},
	[UNM_VU_SET_VRING_ADDR] = {"SET_VRING_ADDR", vu_set_vring_addr,
		sizeof(struct unm_vu_ring_addr), sizeof(struct unm_vu_ring_addr), 0, 0, NO_FEATURE},
	[UNM_VU_SET_VRING_BASE] = {"SET_VRING_BASE", vu_set_vring_base, STATE, 0, 0, NO_FEATURE},
	[UNM_VU_GET_VRING_BASE] = {"GET_VRING_BASE", vu_get_vring_base, STATE, 0, 0, NO_FEATURE},
	[UNM_VU_SET_VRING_KICK] = {"SET_VRING_KICK", vu_set_vring_kick, U64, 0, 1, NO_FEATURE},
	[UNM_VU_SET_VRING_CALL] = {"SET_VRING_CALL", vu_set_vring_call, U64, 0, 1, NO_FEATURE},
	[UNM_VU_SET_VRING_ERR] = {"SET_VRING_ERR", vu_set_vring_err, U64, 0, 1, NO_FEATURE},
	[UNM_VU_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", vu_get_protocol_features, EMPTY,
		0, 0, NO_FEATURE},
	[UNM_VU_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", vu_set_protocol_features, U64, 0,
		0, NO_FEATURE},
	[UNM_VU_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", vu_get_queue_num, EMPTY, 0, 0, UNM_VU_PF_MQ},
	[UNM_VU_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", vu_set_vring_enable, STATE, 0, 0,
		NO_FEATURE},
	[UNM_VU_SEND_RARP] = {"SEND_RARP", vu_send_rarp, U64, 0, 0, UNM_VU_PF_RARP},
	[UNM_VU_NET_SET_MTU] = {"NET_SET_MTU", vu_net_set_mtu, U64, 0, 0, UNM_VU_PF_NET_MTU},
	[UNM_VU_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", vu_set_backend_req_fd, EMPTY, 1, 1,
		UNM_VU_PF_BACKEND_REQ},
	[UNM_VU_GET_CONFIG] = {"GET_CONFIG", vu_get_config, UNM_VU_CONFIG_HDR,
		sizeof(struct unm_vu_config), 0, 0, UNM_VU_PF_CONFIG},
	[UNM_VU_SET_CONFIG] = {"SET_CONFIG", vu_set_config, UNM_VU_CONFIG_HDR,
		sizeof(struct unm_vu_config), 0, 0, UNM_VU_PF_CONFIG},
	[UNM_VU_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD", vu_get_inflight_fd, UNM_VU_INFLIGHT_SIZE,
		sizeof(struct unm_vu_inflight), 0, 0, UNM_VU_PF_INFLIGHT_SHMFD},
	[UNM_VU_SET_INFLIGHT_FD] = {"SET_INFLIGHT_FD", vu_set_inflight_fd, UNM_VU_INFLIGHT_SIZE,
		sizeof(struct unm_vu_inflight), 1, 1, UNM_VU_PF_INFLIGHT_SHMFD},
	[UNM_VU_RESET_DEVICE] = {"RESET_DEVICE", vu_reset_device, EMPTY, 0, 0,
		UNM_VU_PF_RESET_DEVICE},
	[UNM_VU_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", vu_get_max_mem_slots, EMPTY, 0, 0,
		UNM_VU_PF_CONFIGURE_MEM_SLOTS},
	[UNM_VU_ADD_MEM_REG] = {"ADD_MEM_REG", vu_add_mem_reg, sizeof(struct unm_vu_one_region),
		sizeof(struct unm_vu_one_region), 1, 1, UNM_VU_PF_CONFIGURE_MEM_SLOTS},
	[UNM_VU_REM_MEM_REG] = {"REM_MEM_REG", vu_rem_mem_reg, sizeof(struct unm_vu_one_region),
		sizeof(struct unm_vu_one_region), 0, 1, UNM_VU_PF_CONFIGURE_MEM_SLOTS},
	[UNM_VU_SET_STATUS] = {"SET_STATUS", vu_set_status, U64, 0, 0, UNM_VU_PF_STATUS},
	[UNM_VU_GET_STATUS] = {"GET_STATUS", vu_get_status, EMPTY, 0, 0, UNM_VU_PF_STATUS},
};

int
vu_fail(struct unm_vu_backend *b, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->reason, sizeof(b->reason), fmt, ap);
	va_end(ap);
	return error;
}

int
vu_reply(struct unm_vu_backend *b, const void *payload, size_t len, int fd)
{
	const int err = unm_vu_conn_reply(&b->conn, payload, len, fd);

	return err < 0 ? err : VU_REPLIED;
}

int
vu_reply_u64(struct unm_vu_backend *b, uint64_t val)
{
	return vu_reply(b, &val, sizeof(val), -1);
}

static bool
wants_answer(const struct unm_vu_backend *b)
{
	return (b->conn.msg.hdr.flags & UNM_VU_FLAG_NEED_REPLY) != 0 &&
	       (b->protocol_features & UNM_VU_PF_BIT(UNM_VU_PF_REPLY_ACK)) != 0;
}

/* The requests that we know, as far as they were negotiated; NULL for others. */
static const struct request *
find_request(const struct unm_vu_backend *b, uint32_t id)
{
	const struct request *r;

	if (id >= UNM_VU_N_REQUESTS || requests[id].handler == NULL)
		return NULL;
	r = &requests[id];
	if (r->feature != NO_FEATURE && (b->protocol_features & UNM_VU_PF_BIT(r->feature)) == 0)
		return NULL;
	return r;
}

static int
check_shape(struct unm_vu_backend *b, const struct request *r)
{
	const struct unm_vu_msg *m = &b->conn.msg;

	if (m->hdr.size < r->min_len || m->hdr.size > r->max_len)
		return vu_fail(b, -EINVAL, "%u bytes of payload, must be %u to %u", m->hdr.size,
			r->min_len, r->max_len);
	if (m->n_fds < r->min_fds || m->n_fds > r->max_fds)
		return vu_fail(b, -EINVAL, "%u descriptors, must be %u to %u", m->n_fds, r->min_fds,
			r->max_fds);
	return 0;
}

static void
log_refusal(struct unm_vu_backend *b, const char *what, const char *then)
{
	char text[sizeof(b->logged)];

	snprintf(text, sizeof(text), "%s: %s; %s", what, b->reason, then);
	if (b->n_logged == MAX_LOGGED || strcmp(text, b->logged) == 0)
		return;
	unm_vm_log(b->name, "vhost-user: %s", text);
	memcpy(b->logged, text, sizeof(text));
	b->n_logged++;
}

static int
handle_unknown(struct unm_vu_backend *b)
{
	char what[32];

	snprintf(what, sizeof(what), "request %u", b->conn.msg.hdr.request);
	(void)vu_fail(b, -ENOSYS, "unknown, or not negotiated");
	if (!wants_answer(b)) {
		log_refusal(b, what, "ignored");
		return 0;
	}
	log_refusal(b, what, "refused");
	return vu_reply_u64(b, ENOSYS);
}

/* Once for a connection: the next such descriptor would stop the other NICs again. */
static int
end_blocked(struct unm_vu_backend *b)
{
	unm_vm_log(b->name, "vhost-user: a descriptor of the front end has kept the server waiting "
			    "(it was made blocking); connection ended");
	return -ETIMEDOUT;
}

/* Return: 0 or VU_REPLIED, or the negative errno with which the connection ends. */
static int
handle_message(struct unm_vu_backend *b)
{
	const struct request *r = find_request(b, b->conn.msg.hdr.request);
	const bool answer = wants_answer(b);
	int ret;

	if (r == NULL)
		return handle_unknown(b);
	ret = check_shape(b, r);
	if (ret == 0)
		ret = r->handler(b, &b->conn.msg);
	if (b->guard.has_blocked)
		return end_blocked(b);
	if (ret == -ECONNRESET || ret == VU_REPLIED)
		return ret;
	if (ret == 0) /* UML asks for an answer in the very message that turns answers on */
		return answer || wants_answer(b) ? vu_reply_u64(b, 0) : 0;
	if (answer) {
		log_refusal(b, r->name, "refused");
		return vu_reply_u64(b, (uint64_t)-ret);
	}
	unm_vm_log(b->name, "vhost-user: %s: %s; connection ended", r->name, b->reason);
	return ret;
}

/* Why receiving or answering failed, if it was not the front end's going away. */
static int
end_connection(struct unm_vu_backend *b, int err)
{
	if (b->conn.error == NULL)
		return err;
	unm_vm_log(b->name, "vhost-user: %s; connection ended", b->conn.error);
	return -EPROTO;
}

/* Nothing more is there to be read. @expired: the timer has been. */
static int
check_midway(struct unm_vu_backend *b, bool expired)
{
	const struct itimerspec t = {.it_value = {.tv_sec = FINISH_S}};

	if (!unm_vu_conn_is_midway(&b->conn))
		return 0;
	if (!b->is_midway) {
		b->is_midway = true;
		(void)timerfd_settime(b->timer_fd, 0, &t, NULL); /* the values are right */
		return 0;
	}
	if (!expired)
		return 0;
	unm_vm_log(b->name,
		"vhost-user: a message was begun and not finished for %d s; "
		"connection ended",
		FINISH_S);
	return -EPROTO;
}

bool
vu_turn_is_over(const struct unm_vu_backend *b)
{
	return unm_now_ns() >= b->turn_end_ns;
}

/* There may be nothing to read: have the timer call us. No message is midway. */
static void
come_back(struct unm_vu_backend *b)
{
	const struct itimerspec t = {.it_value = {.tv_nsec = 1}};

	(void)timerfd_settime(b->timer_fd, 0, &t, NULL); /* the values are right */
}

int
unm_vu_readable(struct unm_vu_backend *b)
{
	uint64_t n_expired;
	bool expired;
	unsigned int i;
	int ret;

	if (unm_guest_guard_failed(&b->guard)) {
		unm_vm_log(b->name, "vhost-user: memory of the front end has gone from under us "
				    "(file truncated?); connection ended");
		return -EFAULT;
	}
	if (b->guard.has_blocked)
		return end_blocked(b);
	expired = read(b->timer_fd, &n_expired, sizeof(n_expired)) == (ssize_t)sizeof(n_expired);
	b->turn_end_ns = unm_now_ns() + TURN_NS;
	if (b->is_starting)
		vu_start_more(b);
	/* What is left in the socket keeps it readable. */
	for (i = 0; i < MAX_MESSAGES && !b->is_starting && !vu_turn_is_over(b); i++) {
		ret = unm_vu_conn_recv(&b->conn);
		if (ret < 0)
			return end_connection(b, ret);
		if (ret == 0)
			return check_midway(b, expired);
		b->is_midway = false;
		ret = handle_message(b);
		unm_vu_conn_next(&b->conn);
		if (ret == -ECONNRESET)
			return end_connection(b, ret);
		if (ret < 0)
			return ret;
	}
	if (b->is_starting)
		come_back(b);
	return 0;
}

static void
init_fds(struct unm_vu_backend *b)
{
	unsigned int i;

	b->request_fd = -1;
	b->made = &b->own_made;
	for (i = 0; i < UNM_VU_MAX_RINGS; i++) {
		struct vu_ring *r = &b->ring[i];

		r->kick_fd = -1;
		r->call_fd = -1;
		r->err_fd = -1;
	}
}

static int
make_rings(struct unm_vu_backend *b)
{
	char name[VU_NAME_SIZE + 16];
	unsigned int i;

	for (i = 0; i < b->ops->n_rings; i++) {
		snprintf(name, sizeof(name), "%s ring %u", b->name, i);
		b->ring[i].q = unm_vq_new(&b->mem, name);
		if (b->ring[i].q == NULL)
			return -ENOMEM;
	}
	return 0;
}

int
unm_vu_backend_new(struct unm_vu_backend **out, int sock, const struct unm_vu_device_ops *ops,
	void *dev, const char *name)
{
	struct unm_vu_backend *b;
	int err;

	assert(ops->n_rings <= UNM_VU_MAX_RINGS);
	b = calloc(1, sizeof(*b));
	if (b == NULL) {
		unm_fd_close(sock, NULL);
		return -ENOMEM;
	}
	unm_vu_conn_init(&b->conn, sock);
	b->ops = ops;
	b->dev = dev;
	snprintf(b->name, sizeof(b->name), "%s", name);
	b->timer_fd = -1;
	init_fds(b); /* first: unm_vu_backend_free() closes what is not negative */
	unm_guest_mem_init(&b->mem);
	b->mem.guard = &b->guard;
	err = unm_guest_guard_init(&b->guard);
	if (err == 0) {
		b->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		err = b->timer_fd < 0 ? -errno : make_rings(b);
	}
	if (err < 0) {
		unm_vu_backend_free(b);
		return err;
	}
	*out = b;
	return 0;
}

uint64_t
unm_vu_records_size(unsigned int n_rings)
{
	return (uint64_t)n_rings * UNM_RECORD_SIZE;
}

int
unm_vu_set_records(struct unm_vu_backend *b, int fd)
{
	return unm_guest_file_map_ours(
		&b->records, fd, unm_vu_records_size(b->ops->n_rings), &b->guard);
}

/* Leave the device as it was before the connection. */
static void
reset_device(struct unm_vu_backend *b)
{
	unsigned int i;

	b->status = 0;
	for (i = 0; i < b->ops->n_rings && b->ring[i].q != NULL; i++) {
		vu_ring_reset(b, i);
		vu_ring_set_enabled(b, i, false);
	}
	vu_update_driver_ok(b);
	b->ops->reset(b->dev);
	if (b->has_features)
		b->ops->set_features(b->dev, 0);
}

void
unm_vu_backend_free(struct unm_vu_backend *b)
{
	unsigned int i;

	if (b == NULL)
		return;
	reset_device(b);
	for (i = 0; i < b->ops->n_rings; i++) {
		if (b->ring[i].err_fd >= 0)
			close(b->ring[i].err_fd);
		unm_vq_free(b->ring[i].q);
	}
	unm_guest_file_unmap(&b->inflight);
	unm_guest_file_unmap(&b->records);
	unm_guest_mem_clear(&b->mem);
	unm_guest_guard_fini(&b->guard);
	if (b->request_fd >= 0)
		close(b->request_fd);
	unm_vu_made_fini(&b->own_made);
	if (b->timer_fd >= 0)
		close(b->timer_fd);
	unm_vu_conn_fini(&b->conn);
	free(b);
}

bool
unm_vu_was_handed_on(const struct unm_vu_backend *b)
{
	return b->conn.was_handed_on;
}

bool
unm_vu_is_running(const struct unm_vu_backend *b)
{
	unsigned int i;

	for (i = 0; i < b->ops->n_rings; i++) {
		if (b->ring[i].is_started)
			return true;
	}
	return false;
}

int
unm_vu_fd(const struct unm_vu_backend *b)
{
	return b->conn.sock;
}

int
unm_vu_fault_fd(const struct unm_vu_backend *b)
{
	return b->guard.event_fd;
}

int
unm_vu_timer_fd(const struct unm_vu_backend *b)
{
	return b->timer_fd;
}
