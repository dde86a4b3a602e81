/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is the memory of a NIC's front end used directly (vm/net.h, unm_net_set_direct())? With --memory
 * direct always, with copy never. With auto if the front end could stop this process anyway:
 *
 *   connected: copied          user 0 or ours, and seen? ask the witness
 *     | in our user namespace, and the process that was asked about lives: it was no other of its number
 *   direct
 *     | a message that another process has sent: a manager that has handed on its connection, or the
 *     | same one as another user
 *   copied, to the connection's end
 *
 * Thread: that of the loop.
 */
#ifndef VH_TRUST_H_
#define VH_TRUST_H_

#include "options.h"
#include "vm/net.h"
#include "witness.h"

#define VH_DOUBT_SIZE 80

struct vh_trust {
	enum vh_memory memory;
	struct vh_witness *witness;
	struct unm_net *net;
	int pidfd;	   /* of who connected; -1: none, or kernels before 6.5 */
	uint32_t question; /* that has not been answered; 0: none */
	bool is_doubtful;  /* for this connection */
	char logged[VH_DOUBT_SIZE];
};

/* @witness, @net: borrowed */
void vh_trust_init(
	struct vh_trust *t, enum vh_memory memory, struct vh_witness *witness, struct unm_net *net);

/* A front end has connected, @who, by @sock. */
void vh_trust_begin(struct vh_trust *t, const struct ucred *who, int sock);

/* The witness has said. Questions of others are ignored. */
void vh_trust_answered(struct vh_trust *t, uint32_t question, bool is_ours);

/* A message has come from another process than the one that connected. */
void vh_trust_handed_on(struct vh_trust *t);

/* The connection has ended. */
void vh_trust_end(struct vh_trust *t);

#endif /* VH_TRUST_H_ */
