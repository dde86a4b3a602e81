/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The broker of one isolate: between clients that nobody trusts and netmapd.
 *
 *   isolated clients --socket of the isolate--> control thread --libnetmap's session--> netmapd
 *        |                                        control.c   who is connected, how much they may ask
 *        |                                        message.c   one message
 *        |                                        request.c   one NIOCCTRL, checked against the policy
 *        |                                        binding.c   a port for the client, with memory of its own
 *        +---- region, CSB, two eventfds -------> pump thread (pump.h)
 *
 * The broker is an ordinary trusted client: it opens the ports for itself, comes back to a netmapd
 * that was restarted, and may be killed at any time. A client gets a segment of its own
 * (shm/isolated.h), and a region that the broker makes (memory.h), and between which and the port's
 * it copies (copy_fp.h).
 *
 * The control thread may wait for netmapd; the pump thread does not wait for the control thread.
 */
#ifndef UNM_ISOLATE_BROKER_H
#define UNM_ISOLATE_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/desc.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "isolate/bucket.h"
#include "isolate/memory.h"
#include "isolate/policy.h"
#include "isolate/pump.h"
#include "shm/closer.h"
#include "shm/proto.h"

struct unm_broker;

/* A client process. */
struct unm_isession {
	struct unm_source src;
	struct unm_isession *next;
	struct unm_broker *br;
	uint32_t id;   /* never used again */
	uint32_t slot; /* 0 until HELLO */
	pid_t pid;     /* as far as we can see it: 0 in another pid namespace */
	uid_t uid;
	struct unm_bucket requests;
	bool is_paused;	 /* has asked too much: not read until the bucket has room again */
	uint64_t ticket; /* waits for its turn of what all may ask together; 0: it does not */
	struct unm_closer_queue *closing;
	struct unm_iheld *held; /* a message that waits until that is empty; or NULL */
};

/* What a client has of a port. */
struct unm_ibinding {
	int fd;		      /* our own descriptor: C */
	struct unm_desc *own; /* what it stands for; a reference */
	struct unm_mseg_mem {
		void *map;
		uint64_t size;
		int memfd;
	} mem;			  /* the client's segment */
	struct unm_copy_mem copy; /* the client's region */
	int call_fd, kick_fd;
	struct unm_bind_info info; /* what the client was told */
	struct unm_pump_binding pump;
};

/* A descriptor of a client's: D of proto.h. */
struct unm_idesc {
	struct unm_source src;
	struct unm_idesc *next;
	struct unm_broker *br;
	uint8_t id[16];
	uint64_t cookies[2]; /* of D and C */
	uint32_t session_id;
	struct unm_ibinding *binding; /* NULL: not registered */
};

struct unm_broker {
	struct unm_policy policy;
	struct unm_loop loop;
	struct unm_source listener;
	struct unm_source timer;  /* runs while a session is paused */
	struct unm_source alone;  /* timer: runs while netmapd is away */
	struct unm_source closed; /* eventfd: some of what came from clients has been closed */
	struct unm_isession *sessions;
	struct unm_idesc *descs;
	struct unm_pump *pump;
	uint32_t n_sessions, n_descs, n_bindings;
	/* Of those that have ended, the ones that are not closed yet; atomic */
	unsigned int n_sessions_left, n_descs_left;
	uint32_t last_session_id, last_slot;
	struct unm_bucket requests; /* that all clients together make of netmapd */
	uint64_t last_ticket;
	uint64_t called;	 /* those up to this ticket are through, or have their turn */
	uint64_t memory;	 /* bytes of all regions and segments */
	uint32_t last_region_id; /* of those that we make */
	uint64_t instance;
	bool is_needless;
	bool is_timing;		/* @timer runs */
	bool is_deaf;		/* nobody is accepted until something has been closed */
	uint64_t full_since_ns; /* with connections that are not closed yet; 0: it is not */
	int scratch_fd;		/* descriptor of ours that requests without a port are made on */
	int spare_fd; /* given up for a moment to refuse a client when there is none left */
	char name[32];
};

/** unm_broker_room() - what is left of the clients' share, for unm_ctrl_within(): never 0 */
static inline uint64_t
unm_broker_room(const struct unm_broker *br)
{
	return br->memory < br->policy.max_memory ? br->policy.max_memory - br->memory : 1;
}

/* --- control.c --- */

/**
 * unm_broker_run() - serve on @listen_fd until the process is ended, or neither netmapd nor a client
 * is there any more
 * @br: policy and name are filled in, the rest is zero
 *
 * Return: 0, or negative errno of what could not be had.
 */
int unm_broker_run(struct unm_broker *br, int listen_fd);

/** unm_broker_alone() - netmapd has gone. Thread: any. */
void unm_broker_alone(struct unm_broker *br);

/* --- message.c --- */

/**
 * unm_broker_message() - act on a message and answer it, if need be later: s->held is set then
 * @fds: taken over
 *
 * Return: 0, or < 0: end the session.
 */
int unm_broker_message(struct unm_isession *s, const void *buf, int *fds, unsigned int n_fds);

/** unm_broker_go_on() - what s->held has waited for is done. Return: as unm_broker_message(). */
int unm_broker_go_on(struct unm_isession *s);

/** unm_broker_drop_held() - the session ends: what waits is not answered any more. */
void unm_broker_drop_held(struct unm_isession *s);

/* --- request.c --- */

/* A NIOCCTRL of a client's. @blob is taken apart, and results are written back to it. */
struct unm_irequest {
	struct unm_broker *br;
	struct unm_isession *s;
	struct unm_idesc *desc;
	char *blob;
	size_t len;
	bool has_extmem, has_csb, has_registered;
	struct unm_reason why;
};

/** unm_broker_request() - Return: 0 or negative errno with the reason. */
int unm_broker_request(struct unm_irequest *r);

/* --- binding.c --- */

/**
 * unm_ibinding_new() - open a port for a client
 * @hdr: a REGISTER that the policy allows; addresses in it are ours. Results are written to it
 *
 * Return: 0, or negative errno with the reason; then nothing has changed.
 */
int unm_ibinding_new(struct unm_broker *br, struct unm_idesc *d, struct nmreq_header *hdr,
	struct unm_reason *why);

/** unm_ibinding_end() - close it. A desc without binding is left alone. */
void unm_ibinding_end(struct unm_broker *br, struct unm_idesc *d);

/** unm_ibinding_break_locks() - a process that may have held some is gone. */
void unm_ibinding_break_locks(struct unm_broker *br, struct unm_ibinding *b, uint32_t slot);

/** unm_ibinding_fds() - what the client gets with info. @fds: UNM_BIND_FDS. */
void unm_ibinding_fds(const struct unm_idesc *d, int *fds);

#endif
