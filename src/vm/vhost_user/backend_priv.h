/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of one connection, shared by the files of this directory: one file per group of
 * messages, and ring.c for what starts and stops rings.
 *
 * The life of a ring:
 *
 *   - stopped: none of its memory is touched. NUM, ADDR, BASE may be set.
 *   - waiting: the front end has sent KICK, but size, addresses or memory are missing. Whatever
 *     brings the last of them starts the ring.
 *   - started: the device has the queue, between ring_started() and ring_stopped(). NUM and BASE
 *     are refused. ADDR and KICK halt the ring, change it and start it again where it was; so do
 *     messages that unmap memory. A ring whose memory is gone by then waits.
 *
 * GET_VRING_BASE, RESET_DEVICE and SET_STATUS 0 lead to stopped from everywhere. Enabled or not is
 * independent, but for front ends whose rings rest (vu_ring_rests()): there a ring that is not
 * enabled waits.
 *
 * To start a ring can take a while: its in-flight part is read, entry by entry. So a ring that was
 * halted goes on without that, unless the part may be another one or the ring begins elsewhere
 * (vu_ring.goes_on); and of many rings that start at once, each turn starts some.
 */
#ifndef UNM_VM_VHOST_USER_BACKEND_PRIV_H
#define UNM_VM_VHOST_USER_BACKEND_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/guest_guard.h"
#include "vm/vhost_user/backend.h"
#include "vm/vhost_user/conn.h"

#define VU_NAME_SIZE   64
#define VU_REASON_SIZE 160

struct vu_ring {
	struct unm_vq *q;
	struct unm_vu_ring_addr addr;
	uint32_t num;
	uint32_t base;
	uint32_t own_base;	      /* what the queue has said itself, if has_own_base */
	int kick_fd, call_fd, err_fd; /* -1: none */
	bool has_addr, has_base;      /* num: not 0 */
	bool has_own_base;
	bool goes_on;  /* halted, and its in-flight part is as the queue has left it */
	bool has_kick; /* waiting or started */
	bool is_started;
	bool is_enabled;
};

struct unm_vu_backend {
	struct unm_vu_conn conn;
	const struct unm_vu_device_ops *ops;
	void *dev;
	char name[VU_NAME_SIZE];
	char reason[VU_REASON_SIZE];	  /* of the latest vu_fail() */
	char logged[VU_REASON_SIZE + 64]; /* of the latest negative answer that was logged */
	unsigned int n_logged;		  /* negative answers that were logged */
	bool has_missed_memory; /* a ring came before guest memory, which has been logged */

	uint64_t features; /* acked, with the protocol's own */
	bool has_features;
	uint64_t protocol_features; /* acked */
	bool has_owner;
	bool has_asked;	  /* GET_FEATURES has come */
	bool owner_first; /* SET_OWNER came before it, as from User-Mode Linux, cloud-hypervisor */
	uint8_t status;
	bool is_driver_ok;	 /* as the device was told */
	bool is_midway;		 /* a message has begun, and the timer with it */
	uint64_t turn_end_ns;	 /* of this call of unm_vu_readable() */
	bool is_starting;	 /* vu_start_all() is not done */
	unsigned int start_next; /* is_starting: the ring whose turn it is */
	int timer_fd;

	struct unm_guest_guard guard;
	struct unm_guest_mem mem;
	struct unm_guest_file inflight;
	struct unm_guest_file records; /* of packed rings: one each */
	uint16_t inflight_queues, inflight_size;
	struct unm_vu_made own_made, *made; /* the latter may be the NIC's */
	int request_fd;			    /* back-end channel, or -1 */

	struct vu_ring ring[UNM_VU_MAX_RINGS];
};

/*
 * A message: its size and descriptors fit the table when the handler runs. Returns 0 (acknowledged
 * if the front end wants it), VU_REPLIED, or a negative errno from vu_fail(): then the front end
 * gets a negative answer if it has asked for one, and otherwise the connection ends.
 */
typedef int vu_handler(struct unm_vu_backend *b, struct unm_vu_msg *m);

#define VU_REPLIED 1

/* Keep the reason, for the log. Return: @error. */
int vu_fail(struct unm_vu_backend *b, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Answer the current message. Return: VU_REPLIED or a negative errno. */
int vu_reply(struct unm_vu_backend *b, const void *payload, size_t len, int fd);
int vu_reply_u64(struct unm_vu_backend *b, uint64_t val);

/* feature_msgs.c */
vu_handler vu_get_features, vu_set_features, vu_get_protocol_features, vu_set_protocol_features;
vu_handler vu_set_owner, vu_reset_owner, vu_get_queue_num, vu_get_status, vu_set_status;
vu_handler vu_reset_device;

/* What is on offer. */
uint64_t vu_offered_features(const struct unm_vu_backend *b);
uint64_t vu_offered_protocol(const struct unm_vu_backend *b);

/* mem_msgs.c */
vu_handler vu_set_mem_table, vu_get_max_mem_slots, vu_add_mem_reg, vu_rem_mem_reg;
vu_handler vu_set_log_base, vu_set_log_fd;

/* unm_guest_file_map() of @what has failed. Return: @err. */
int vu_fail_file(struct unm_vu_backend *b, int err, const char *what);

/* ring_msgs.c */
vu_handler vu_set_vring_num, vu_set_vring_addr, vu_set_vring_base, vu_get_vring_base;
vu_handler vu_set_vring_kick, vu_set_vring_call, vu_set_vring_err, vu_set_vring_enable;

/* inflight_msgs.c */
vu_handler vu_get_inflight_fd, vu_set_inflight_fd;

/* net_msgs.c */
vu_handler vu_send_rarp, vu_net_set_mtu, vu_set_backend_req_fd, vu_get_config, vu_set_config;

/* ring.c */

/*
 * Does a ring that is not enabled rest, so that none of its memory is touched? User-Mode Linux says
 * no more than that when it takes a driver away, and frees the rings; the next driver's are set up
 * without a GET_VRING_BASE. A guest that sleeps says the same, and goes on with its rings.
 */
bool vu_ring_rests(const struct unm_vu_backend *b);

/* Start ring @idx if it waits and nothing is missing. Return: 0, or why it can't (vu_fail()). */
int vu_ring_try_start(struct unm_vu_backend *b, unsigned int idx);

/* Started to waiting, its position kept. Others: no effect. */
void vu_ring_halt(struct unm_vu_backend *b, unsigned int idx);

/* To stopped: the descriptors of KICK and CALL are closed. */
void vu_ring_stop(struct unm_vu_backend *b, unsigned int idx);

/* The same for a ring that is not resumed, or only from where the front end has been told. */
void vu_ring_end(struct unm_vu_backend *b, unsigned int idx);

/* The front end knows where ring @idx stands. */
void vu_ring_told(struct unm_vu_backend *b, unsigned int idx);

/* As if it had never been set up, but for its descriptor for errors. */
void vu_ring_reset(struct unm_vu_backend *b, unsigned int idx);

void vu_ring_set_enabled(struct unm_vu_backend *b, unsigned int idx, bool enabled);

/*
 * Around a change of what all rings depend on; rings that can't go on wait, which is logged. Rings
 * for which this turn has no time left are started in the next ones, before the next message is
 * read: so no message ever sees a start that is not done.
 */
void vu_halt_all(struct unm_vu_backend *b);
void vu_start_all(struct unm_vu_backend *b);
void vu_start_more(struct unm_vu_backend *b);

/* Is it the other NICs' turn? */
bool vu_turn_is_over(const struct unm_vu_backend *b);

/* Tell the device if DRIVER_OK has come or gone. After anything that may change it. */
void vu_update_driver_ok(struct unm_vu_backend *b);

#endif
