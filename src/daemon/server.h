/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netmapd as a server: who is connected, which application descriptors there are, and what may be
 * asked.
 *
 *   server.c    loop, accept, credentials, sessions' life, timers
 *   desc.c      application descriptors and their hang-up
 *   message.c   one request message: checks and dispatch; HELLO, OPEN, GET_*, LOCK_STUCK
 *   request.c   CTRL: taking the request apart; the families of requests are in req_*.c
 *   restore.c   after a restart: taking back what clients hold
 *   admin.c     nmctl
 */
#ifndef UNM_DAEMON_SERVER_H
#define UNM_DAEMON_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/binding.h"
#include "daemon/config.h"
#include "daemon/domain.h"
#include "daemon/loop.h"
#include "shm/clock.h"
#include "shm/proto.h"

#define UNM_DESC_HASH 1024u

struct unm_server;
struct unm_child;
struct unm_isolate;

struct unm_session {
	struct unm_source src;
	struct unm_session *next;
	struct unm_server *srv;
	uint32_t slot;	  /* 0 until HELLO */
	pid_t pid;	  /* as the kernel says */
	uint64_t started; /* of the process: see missing.h */
	uid_t uid;
	bool is_denied;			  /* answers nothing but EPERM, with @reason in HELLO */
	struct unm_closer_queue *closing; /* of one that is denied; else NULL: it is trusted */
	bool is_returning;		  /* was a client of a previous run */
	bool has_restored;		  /* said RESTORE_DONE */
	struct unm_reason reason;
	char version[32];
	struct unm_isolate *isolate; /* it is the broker of that one; else NULL */
	struct unm_held *held;	     /* a request that waits for the end of the restore phase */
};

/* A descriptor of an application: D of proto.h. */
struct unm_desc {
	struct unm_source src;
	struct unm_desc *next;
	struct unm_server *srv;
	uint8_t id[16];
	uint64_t cookies[2]; /* of D and C */
	pid_t pid;	     /* who opened it; for display */
	struct unm_dbinding binding;
	struct unm_pending pending; /* a REGISTER that goes on in steps */
};

/* A persistent port of the previous run, as its state file has it. */
struct unm_saved_port {
	struct unm_saved_port *next;
	uint32_t n_tx, n_rx, tx_slots, rx_slots;
	uint32_t is_lossless, vnet_hdr_len;
	uint32_t is_down; /* its link */
	char name[UNM_NAME_SIZE];
};

/* A switch of the previous run whose ageing was set, until its ports are there again. */
struct unm_saved_switch {
	struct unm_saved_switch *next;
	uint32_t ageing_s;
	char name[UNM_NAME_SIZE];
};

struct unm_server {
	struct unm_config cfg;
	struct unm_domain dom;
	struct unm_loop loop;
	struct unm_source listener;
	struct unm_source timer;
	struct unm_source signals;
	struct unm_home { /* home.h */
		dev_t dev;
		ino_t ino;	  /* of the socket */
		uint64_t look_ns; /* next look; 0: it is not watched */
		bool is_gone;
	} home;
	struct unm_session *sessions;
	uint32_t n_sessions; /* with a slot */
	uint32_t n_connections;
	unsigned int n_left; /* connections of strangers that are not closed yet; atomic */
	bool is_deaf;	     /* nobody is accepted for a while */
	struct unm_desc *descs[UNM_DESC_HASH];
	uint32_t n_descs;
	struct unm_worker *workers;
	struct unm_isolate *isolates;
	uint32_t last_isolate_id;
	struct unm_child *children; /* workers and brokers */
	uint64_t *slots_used;
	uint32_t next_slot;
	uint64_t instance;
	/* given up for a moment to refuse a connection when there are no descriptors left */
	int spare_fd;
	bool is_system;
	bool is_autostarted;
	bool is_confined; /* may make only the system calls that it is known to make */
	bool wants_exit;
	char socket_path[108];
	const char *config_path; /* absolute; NULL: the default one. Borrowed */
	int lock_fd;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	uint64_t idle_since_ns;
	uint64_t reap_at_ns; /* when to look again at rings that are held; 0 = never */
	uint64_t reap_pause_ns;
	/* Restore phase */
	bool is_restoring;
	uint32_t n_expected; /* sessions of the previous run */
	uint64_t home_netns; /* the network namespace it was in: its inode; 0: not known */
	uint32_t n_restored;
	uint64_t restore_deadline_ns; /* for those of whom nobody knows whether they live */
	uint64_t restore_limit_ns;    /* for all */
	uint64_t restore_look_ns;     /* when to look again who lives */
	struct unm_missing *missing;
	struct unm_saved_port *saved_ports;
	struct unm_saved_switch *saved_switches;
	struct unm_saved_attachment *saved_attachments; /* worker.h */
	bool is_state_lost;				/* the state file could not be written */
	uint64_t state_retry_ns;			/* when it is tried again; 0: no need */
};

/** unm_server_init() - everything but the socket. Return: 0 or negative errno. */
int unm_server_init(struct unm_server *srv, const struct unm_config *cfg);
void unm_server_fini(struct unm_server *srv);

/**
 * unm_server_listen() - serve on @fd, a listening SOCK_SEQPACKET socket that becomes the server's
 */
int unm_server_listen(struct unm_server *srv, int fd);

/** unm_server_run() - until a signal or, when started on demand, nothing to do for some seconds. */
int unm_server_run(struct unm_server *srv);

/**
 * unm_server_arm_timer() - recompute when netmapd has to look at something by itself; idle: never.
 */
void unm_server_arm_timer(struct unm_server *srv);

/** unm_server_end_children() - workers, with what they had attached, and brokers: for a final end */
void unm_server_end_children(struct unm_server *srv);

/** unm_session_end() - hang up: locks that the client held are broken, sleepers woken. Frees @s. */
void unm_session_end(struct unm_session *s);

/* --- desc.c --- */
struct unm_desc *unm_desc_find(struct unm_server *srv, const uint8_t *id);

/** unm_desc_find_held() - the same for somebody who shows @proof: C or D. NULL: it is neither */
struct unm_desc *unm_desc_find_held(struct unm_server *srv, const uint8_t *id, int proof);

/**
 * unm_desc_add() - take over descriptor @fd as D with identity @id
 * @c_fd: C; stays the caller's
 *
 * Return: 0, -EINVAL (not D of that name), -EEXIST, -ENOMEM, -errno. @fd is kept on success only.
 */
int unm_desc_add(struct unm_server *srv, int fd, int c_fd, const uint8_t *id, pid_t pid,
	struct unm_desc **out);

/** unm_desc_close() - unregister and forget. */
void unm_desc_close(struct unm_desc *d);

/* --- message.c --- */

/* One request and its answer. */
struct unm_msg {
	struct unm_session *s;
	struct unm_server *srv;
	uint16_t type;
	uint32_t seq;
	const void *body;
	size_t len;
	int fds[UNM_PROTO_MAXFDS]; /* a handler that keeps one puts -1 in its place */
	unsigned int n_fds;
	/*
	 * The answer. Descriptors are borrowed, but for out_own_fd, which is closed after sending.
	 */
	int error; /* positive errno */
	char *out;
	size_t out_len;
	int out_fds[UNM_PROTO_MAXFDS];
	unsigned int n_out_fds;
	int out_own_fd;
	bool wants_restore_check;
	bool waits;   /* for the end of the restore phase; nothing has been done */
	bool goes_on; /* -EINPROGRESS: no answer yet, run it again */
};

#define UNM_MSG_OUT_SIZE (UNM_PROTO_MAXLEN - sizeof(struct unm_msg_hdr))

/**
 * unm_message_handle() - act on one received message and answer it
 * @buf: the message as received; its lengths have been checked
 * @fds: become the handler's
 *
 * Return: 0, or negative errno if the session has to be ended.
 */
int unm_message_handle(struct unm_session *s, const void *buf, const int *fds, unsigned int n_fds);

/** unm_message_free_held() - drop a held request. */
void unm_message_free_held(struct unm_session *s);

/**
 * unm_message_has_steps(), unm_message_run_steps() - requests that go on in steps: are there any;
 * one step of each.
 */
bool unm_message_has_steps(const struct unm_server *srv);
void unm_message_run_steps(struct unm_server *srv);

/** unm_message_run_held() - the restore phase is over: answer what waited. */
void unm_message_run_held(struct unm_server *srv);

/** unm_answer_binding() - append the descriptors of a binding to the answer; fill @info. */
void unm_answer_binding(struct unm_msg *m, const struct unm_desc *d, struct unm_bind_info *info);

/* --- request.c, restore.c, admin.c: handlers --- */
void unm_handle_ctrl(struct unm_msg *m);
void unm_handle_restore(struct unm_msg *m);
void unm_handle_restore_done(struct unm_msg *m);
void unm_handle_admin(struct unm_msg *m);

/* --- locks.c --- */

/** unm_lock_is_dead() - is @word the word of a lock that nobody alive holds? */
bool unm_lock_is_dead(const struct unm_server *srv, uint32_t word);

/**
 * unm_free_dead_locks() - in all of a segment. Not while clients of a previous run are coming back:
 * they may hold some.
 */
void unm_free_dead_locks(const struct unm_server *srv, struct unm_dseg *seg);

/* --- restore.c --- */

/**
 * unm_restore_begin() - is there a previous run to take over from? Called once, before listening.
 * @found_stale_socket: somebody left a socket behind
 */
void unm_restore_begin(struct unm_server *srv, bool found_stale_socket);

/**
 * unm_restore_leaves() - a client that had handed back what it holds has gone: it is not expected
 * any more.
 */
void unm_restore_leaves(struct unm_server *srv);

/** unm_restore_check() - end the phase if everybody is back or time is up. */
void unm_restore_check(struct unm_server *srv);

/** Of the state file's name while it is written: a run that is killed then leaves it. */
#define UNM_STATE_NEW_SUFFIX ".state.new"

/**
 * unm_state_file_update() - note how many clients and which persistent ports there are, for the
 * next run.
 */
void unm_state_file_update(struct unm_server *srv);

/**
 * unm_state_config() - the configuration of the run before at @socket_path
 * @path: receives what its state file names
 *
 * Who takes over is started by a client, which does not know it, and has to hold to its rules.
 * Return: false: there was no run on this kernel, or it had the default configuration.
 */
bool unm_state_config(const char *socket_path, char *path, size_t size);

#endif
