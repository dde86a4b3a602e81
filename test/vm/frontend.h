/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front end's side of vhost-user: what QEMU does for a guest, without a guest.
 *
 *   fe_open()      memory
 *   fe_connect()   socket, features; again after the server has died
 *   fe_fresh()     rings as after a reset of the device; buffers may be added from here on
 *   fe_start()     memory table, rings, enable, DRIVER_OK
 *   fe_stop()      GET_VRING_BASE of each ring
 *   fe_drop()      close the socket without a word
 *   fe_close()
 *
 * fe_stop() then fe_start() goes on where it was (migration, QEMU's stop and cont). fe_drop() or a
 * dead server, then fe_connect() and fe_start(), is QEMU's reconnection. fe_stop(), fe_fresh(),
 * fe_start() is a reboot of the guest.
 *
 * Ring 2k receives and ring 2k + 1 transmits, as seen by the guest. One thread at a time.
 * All return 0 or a negative errno, and leave the reason in error. Messages are sent with
 * need_reply where that was negotiated.
 */
#ifndef TEST_VM_FRONTEND_H
#define TEST_VM_FRONTEND_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"
#include "vdriver.h"
#include "wire.h"

#define FE_MAX_PAIRS 8u

/* Virtio features. */
#define FE_F_CSUM	   (1ull << 0)
#define FE_F_GUEST_CSUM	   (1ull << 1)
#define FE_F_GUEST_TSO4	   (1ull << 7)
#define FE_F_GUEST_TSO6	   (1ull << 8)
#define FE_F_GUEST_ECN	   (1ull << 9)
#define FE_F_HOST_TSO4	   (1ull << 11)
#define FE_F_HOST_TSO6	   (1ull << 12)
#define FE_F_HOST_ECN	   (1ull << 13)
#define FE_F_MRG_RXBUF	   (1ull << 15)
#define FE_F_MQ		   (1ull << 22)
#define FE_F_LOG_ALL	   (1ull << 26)
#define FE_F_INDIRECT_DESC (1ull << 28)
#define FE_F_EVENT_IDX	   (1ull << 29)
#define FE_F_PROTOCOL	   (1ull << 30)
#define FE_F_VERSION_1	   (1ull << 32)
#define FE_F_PACKED	   (1ull << 34)
#define FE_F_IN_ORDER	   (1ull << 35)

struct fe_config {
	const char *path;		      /* borrowed */
	bool is_server;			      /* we listen */
	uint64_t features, protocol_features; /* wanted; what is not offered is done without */
	uint16_t queue_size;
	uint16_t n_pairs;
	uint16_t table_len, indirect_from; /* of struct vd_config; used with INDIRECT_DESC */
	size_t mem_size;
	unsigned int n_regions;
	uint64_t hole;
	int timeout_ms; /* for a connection and for each reply */
};

struct fe_ring {
	struct vd vd;
	uint8_t *mem;	     /* of vd */
	int kick, call, err; /* eventfds, for as long as the front end lives */
	uint32_t base;	     /* for the next start */
	bool is_started;
	bool is_cut_off; /* its connection ended while it was started: the base is not known yet */
};

struct fe {
	struct fe_config c;
	struct guest guest;
	int sock; /* -1: none */
	uint64_t offered, features, protocol;
	uint64_t log_bit; /* FE_F_LOG_ALL while a log is kept, else 0 */
	struct fe_ring ring[2 * FE_MAX_PAIRS];
	unsigned int n_rings;
	size_t mem_mark; /* of guest memory, behind the rings */

	int inflight_fd; /* -1: none */
	struct wire_inflight inflight;
	int log_fd; /* -1: none */
	uint8_t *log;
	uint64_t log_size;
	uint64_t kicks; /* sent */
	char error[160];
};

int fe_open(struct fe *f, const struct fe_config *c);
void fe_close(struct fe *f);

int fe_connect(struct fe *f);
int fe_fresh(struct fe *f);
int fe_start(struct fe *f);
int fe_stop(struct fe *f);
void fe_drop(struct fe *f);

/* Has the server gone? Does not block. */
bool fe_is_gone(const struct fe *f);

int fe_enable(struct fe *f, unsigned int ring, bool on);
void fe_kick(struct fe *f, struct fe_ring *r);

/*
 * Begin or end a dirty log; the rings must be started. The log's memory is f->log until
 * fe_log_end().
 */
int fe_log_begin(struct fe *f);
int fe_log_end(struct fe *f);
bool fe_log_has(const struct fe *f, uint64_t gpa);

/*
 * One message, and if it is one that is answered, the answer's u64 (0: fine). For tests that leave
 * the beaten track.
 */
int fe_request(struct fe *f, uint32_t request, const void *payload, uint32_t size, const int *fd,
	unsigned int n_fds);
int fe_query(
	struct fe *f, uint32_t request, const void *payload, uint32_t size, struct wire_msg *m);

#endif
