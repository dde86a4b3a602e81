/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket of a vhost-user connection: whole messages out of a byte stream, with descriptors.
 *
 * Never blocks. A message may arrive in pieces, over a time that the caller bounds; meanwhile the
 * rest of the process goes on. Descriptors may come with any piece; all of them are closed unless
 * somebody takes them.
 */
#ifndef UNM_VM_VHOST_USER_CONN_H
#define UNM_VM_VHOST_USER_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "vm/foreign_fd.h"
#include "vm/vhost_user/msg.h"

#define UNM_VU_MAX_FDS 253u /* what the kernel lets through with one message (SCM_MAX_FD) */

struct unm_vu_msg {
	struct unm_vu_hdr hdr;
	union unm_vu_payload payload;
	int fd[UNM_VU_MAX_FDS]; /* -1 where somebody has taken it */
	unsigned int n_fds;
};

struct unm_vu_conn {
	int sock;	   /* owned */
	struct ucred peer; /* who has connected, or was listening; pid 0: not to be known */
	bool was_handed_on;
	/* Of whoever may be at the other end; set by the user, or NULL */
	struct unm_closer_queue *closing;
	unsigned int *n_closing; /* counts the socket, until it is closed */
	size_t n_got;		 /* bytes of header and payload so far */
	struct unm_vu_msg msg;
	const char *error; /* why the last call failed, for the log */
};

/*
 * @sock: nonblocking, owned from now on. With SO_PASSCRED from before it was connected, as a socket
 * that listens passes it on: without, nobody knows who has sent the first messages, and
 * c->was_handed_on is set by them, as by those that another process than the peer sends, or the same
 * one as another user.
 */
void unm_vu_conn_init(struct unm_vu_conn *c, int sock);
void unm_vu_conn_fini(struct unm_vu_conn *c);

/**
 * unm_vu_conn_recv() - go on receiving
 *
 * Return: 1 c->msg is whole and valid until unm_vu_conn_next(); 0 more has to come; -ECONNRESET the
 * front end has gone, -EPROTO what came is no message (c->error says why).
 */
int unm_vu_conn_recv(struct unm_vu_conn *c);

/* Has a part of a message come, or of its descriptors? */
bool unm_vu_conn_is_midway(const struct unm_vu_conn *c);

/* Done with c->msg: close what nobody has taken. */
void unm_vu_conn_next(struct unm_vu_conn *c);

/* Descriptor @i of the message, the caller's from now on; -1 if it is not there. */
int unm_vu_msg_take_fd(struct unm_vu_msg *m, unsigned int i);

/**
 * unm_vu_conn_reply() - answer c->msg
 * @fd: sent along, stays the caller's; -1: none
 *
 * Return: 0; -ECONNRESET the front end has gone, or does not read its answers.
 */
int unm_vu_conn_reply(struct unm_vu_conn *c, const void *payload, size_t len, int fd);

/* One message on a socket, no answer wanted. Return: 0 or a negative errno. */
int unm_vu_send(
	int sock, uint32_t request, uint32_t flags, const void *payload, size_t len, int fd);

#endif
