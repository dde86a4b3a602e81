/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user: the back end's side of one connection (the protocol), without knowledge of what the
 * device is.
 *
 *   front end --socket--> conn.c --messages--> backend.c --struct unm_vu_device_ops--> a device
 *                                              (features, memory, rings)
 *
 * One thread: the device server's loop calls unm_vu_readable() when the socket is, and moves frames
 * in between. So no callback ever runs while a batch is under way.
 */
#ifndef UNM_VM_VHOST_USER_BACKEND_H
#define UNM_VM_VHOST_USER_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/foreign_fd.h"
#include "vm/guest_mem.h"
#include "vm/vq.h"

#define UNM_VU_MAX_RINGS	129u /* 64 pairs and a control queue */

#define UNM_VU_STATUS_DRIVER_OK 4u

/* Protocol features: numbers of the bits that we know. */
enum unm_vu_protocol_feature {
	UNM_VU_PF_MQ = 0,
	UNM_VU_PF_LOG_SHMFD = 1,
	UNM_VU_PF_RARP = 2,
	UNM_VU_PF_REPLY_ACK = 3,
	UNM_VU_PF_NET_MTU = 4,
	UNM_VU_PF_BACKEND_REQ = 5,
	UNM_VU_PF_CONFIG = 9,
	UNM_VU_PF_INFLIGHT_SHMFD = 12,
	UNM_VU_PF_RESET_DEVICE = 13,
	UNM_VU_PF_CONFIGURE_MEM_SLOTS = 15,
	UNM_VU_PF_STATUS = 16,
};

#define UNM_VU_PF_BIT(n) (1ull << (n))

/* All that the protocol part does; a device offers these or fewer. */
#define UNM_VU_PF_SUPPORTED                                                                        \
	(UNM_VU_PF_BIT(UNM_VU_PF_MQ) | UNM_VU_PF_BIT(UNM_VU_PF_LOG_SHMFD) |                        \
		UNM_VU_PF_BIT(UNM_VU_PF_RARP) | UNM_VU_PF_BIT(UNM_VU_PF_REPLY_ACK) |               \
		UNM_VU_PF_BIT(UNM_VU_PF_NET_MTU) | UNM_VU_PF_BIT(UNM_VU_PF_BACKEND_REQ) |          \
		UNM_VU_PF_BIT(UNM_VU_PF_CONFIG) | UNM_VU_PF_BIT(UNM_VU_PF_INFLIGHT_SHMFD) |        \
		UNM_VU_PF_BIT(UNM_VU_PF_RESET_DEVICE) |                                            \
		UNM_VU_PF_BIT(UNM_VU_PF_CONFIGURE_MEM_SLOTS) | UNM_VU_PF_BIT(UNM_VU_PF_STATUS))

struct unm_vu_backend;

/*
 * What the device behind the protocol does. All run in the thread of unm_vu_readable(), which is
 * all NICs': none waits for anybody.
 */
struct unm_vu_device_ops {
	uint64_t features;	    /* virtio feature bits on offer, without bit 30 */
	uint64_t protocol_features; /* on offer */
	unsigned int n_rings;	    /* <= UNM_VU_MAX_RINGS; odd: one is for control */
	unsigned int queue_num;	    /* pairs, for front ends that count so */

	/*
	 * The driver's choice, a subset of what is on offer; called whenever it changes, before
	 * rings start.
	 */
	void (*set_features)(void *dev, uint64_t acked);
	/*
	 * A ring has begun (@q is running, or broken already: its place is lost) or is about to
	 * end; @kick_fd is to be watched in between (-1: poll the ring). After ring_stopped()
	 * returns, the device does not touch @q until the next ring_started().
	 */
	void (*ring_started)(void *dev, unsigned int idx, struct unm_vq *q, int kick_fd);
	void (*ring_stopped)(void *dev, unsigned int idx);
	/*
	 * Started and enabled are independent. A tx ring that is started and disabled consumes and
	 * drops; an rx ring gets nothing. Not enabled at first.
	 */
	void (*ring_enabled)(void *dev, unsigned int idx, bool enabled);
	/*
	 * DRIVER_OK came or went (only with protocol feature STATUS; else true as soon as a ring is
	 * started).
	 */
	void (*driver_ok)(void *dev, bool ok);
	/*
	 * The driver has reset the device, or the connection ends: what drivers and front ends can
	 * change is as configured again. No ring is started.
	 */
	void (*reset)(void *dev);
	void (*set_mtu)(void *dev, uint16_t mtu);
	/* The guest has moved here: tell the network where @mac is now. */
	void (*send_rarp)(void *dev, const uint8_t mac[6]);
	/* Config space: read [ofs, ofs + len), checked to be within 256 bytes. */
	void (*get_config)(void *dev, uint32_t ofs, uint32_t len, uint8_t *out);
	int (*set_config)(void *dev, uint32_t ofs, uint32_t len, const uint8_t *in);
};

/**
 * unm_vu_backend_new() - the protocol's state for one connection
 * @out: written on success only; caller owns it, ends it with unm_vu_backend_free()
 * @sock: connected AF_UNIX stream socket, nonblocking; owned from now on
 * @ops, @dev: borrowed, must outlive the back end
 * @name: the port, for the log; copied
 *
 * Return: 0, -ENOMEM, or what making an eventfd or timer gave, e.g. -EMFILE (@sock is closed then
 * as well).
 */
int unm_vu_backend_new(struct unm_vu_backend **out, int sock, const struct unm_vu_device_ops *ops,
	void *dev, const char *name);

/* Bytes of a file with the records of packed rings (record.h). */
uint64_t unm_vu_records_size(unsigned int n_rings);

/**
 * unm_vu_set_records() - go on where these records say, and keep them
 * @fd: borrowed; a regular file, unm_vu_records_size() bytes or more
 *
 * For front ends without an in-flight region; before unm_vu_readable(). Without it a packed ring
 * begins where the front end says. A file that is truncated ends the connection. Return: 0 or a
 * negative errno.
 */
int unm_vu_set_records(struct unm_vu_backend *b, int fd);

/* In-flight regions that are kept for a NIC, whose front ends are mostly configured alike */
#define UNM_VU_MAX_MADE 4u

/* A region that was made. */
struct unm_vu_made_region {
	int fd; /* owned */
	uint16_t num_queues, queue_size;
	uint64_t ino;
	uint64_t used_by; /* the latest connection that has asked for it or handed it back */
};

/*
 * The in-flight regions that were made for a NIC, over its connections: front ends may keep them.
 * All zero at first; unm_vu_made_fini() closes them.
 */
struct unm_vu_made {
	struct unm_vu_made_region region[UNM_VU_MAX_MADE]; /* oldest first */
	unsigned int n_regions;
	uint64_t n_bytes;		/* that they take */
	uint64_t connection;		/* the present one */
	uint64_t gone[UNM_VU_MAX_MADE]; /* inodes of those given up last, in turn */
	unsigned int n_gone;
	struct unm_closer_queue closing; /* descriptors of theirs that wait to be closed */
	unsigned int n_closing;		 /* connections that do; atomic */
	bool has_given_up; /* for the present connection, which takes time: the next one is to wait */
};

void unm_vu_made_fini(struct unm_vu_made *made);

/**
 * unm_vu_keep_made() - use the NIC's instead of one of this connection's own
 * @made: borrowed for the life of @b. Before unm_vu_readable().
 */
void unm_vu_keep_made(struct unm_vu_backend *b, struct unm_vu_made *made);

/*
 * Stop all rings (ring_stopped() for each), unmap the guest's memory, close what the front end has
 * sent. NULL is accepted.
 */
void unm_vu_backend_free(struct unm_vu_backend *b);

/**
 * unm_vu_readable() - read and handle what is there, for a bounded number of messages and time
 *
 * What is left keeps one of the three descriptors below readable. Return: 0; -ECONNRESET the front
 * end has gone; -ETIMEDOUT a descriptor of its has blocked us for a moment, so the next connection
 * is to wait; another negative errno: it broke the protocol. The reason is logged, and the
 * connection is to be ended.
 */
int unm_vu_readable(struct unm_vu_backend *b);

int unm_vu_fd(const struct unm_vu_backend *b);

/*
 * Readable when memory of the front end has gone or a descriptor of its blocks (guest_guard.h):
 * then unm_vu_readable() fails.
 */
int unm_vu_fault_fd(const struct unm_vu_backend *b);
/*
 * Readable when a message has not been finished for too long: then unm_vu_readable() fails. Or when
 * rings are still to be started: then it starts some.
 */
int unm_vu_timer_fd(const struct unm_vu_backend *b);

/*
 * Tell the guest that its config space has changed (link, MTU): CONFIG_CHANGE over the back-end
 * channel. Return: 0, -ENOTSUP no channel.
 */
int unm_vu_config_changed(struct unm_vu_backend *b);

/* Has the front end a channel for that? */
bool unm_vu_takes_config_changes(const struct unm_vu_backend *b);

/* Has anybody else than who connected sent a message? See conn.h. */
bool unm_vu_was_handed_on(const struct unm_vu_backend *b);

/* Does any ring run? */
bool unm_vu_is_running(const struct unm_vu_backend *b);

#endif
