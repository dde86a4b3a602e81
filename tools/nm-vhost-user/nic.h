/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One NIC: a netmap port, the device on it, and the socket to its front end.
 *
 *   idle: listening (nobody has connected), or pausing between attempts to connect (client)
 *     | a connection
 *   connected: a back end reads messages. Others who connect wait in the listening socket's queue;
 *     if somebody does, and this one has sent nothing SILENT_MS later, that is logged.
 *     | front end gone, or it broke the protocol, or its memory has gone
 *   idle again; port and device stay, frames that come meanwhile are thrown away
 *
 * Whoever can't be accepted, as descriptors or memory have run out, waits in the queue as well: the
 * listening socket, which stays readable, is looked at again after ACCEPT_PAUSE_MS.
 *
 * So do front ends for BUSY_PAUSE_MS after one that has kept the loop from the other NICs: by a
 * descriptor that blocks (event_fd.h), or by in-flight regions for which others were given up.
 *
 * A link that is down is told to a front end that takes such messages. QEMU does not, but takes the
 * guest's carrier away when the connection ends, so with --hang-up:
 *
 *   connected, rings run, link down --HANG_UP_MS--> hung up: the process that had connected is
 *     turned away, others are served as above (a QEMU that starts waits for its back end)
 *     | link up
 *   idle
 *
 * Thread: that of the loop.
 */
#ifndef VH_NIC_H_
#define VH_NIC_H_

#include <stdint.h>

#include "new_file.h"
#include "options.h"
#include "trust.h"
#include "vm/loop.h"
#include "vm/net.h"

/* Room for a sentence about what went wrong. */
#define VH_WHY_SIZE UNM_NET_WHY_SIZE

/* What is said of a path, which two NICs of this process have. */
#define VH_SOCKET_TAKEN "%s is the socket of another NIC here, by another name"

/* What is done after a while. */
enum vh_due {
	VH_DUE_REOPEN,	/* look for the port */
	VH_DUE_CONNECT, /* connect, or accept again */
	VH_DUE_HANG_UP,
	VH_DUE_SILENT, /* another front end waits, and the one there is has said nothing yet */
	VH_N_DUE,
};

struct vh_nic {
	const struct vh_nic_options *opts;
	struct unm_loop *loop;
	struct unm_net *net;		  /* NULL: not open yet */
	struct unm_vu_device_ops ops;	  /* the device's, less what --features has taken */
	struct unm_vu_backend *backend;	  /* NULL: idle */
	int listen_fd;			  /* -1: a client, or not open yet */
	const struct sockaddr_un *sealed; /* of a front end that listens; NULL: any address goes */
	int records_fd;			  /* of packed rings (records.h); -1: none */
	struct vh_new_file new_socket, new_records;
	struct unm_vu_made made;   /* in-flight regions, over all connections */
	struct vh_trust trust;	   /* whether the front end's memory is used directly */
	int records_error;	   /* why the file can't be had; 0: it can */
	int timer_fd;		   /* for the first of what is due */
	uint64_t due_ns[VH_N_DUE]; /* when; 0: not */
	uint64_t n_connections;	   /* so far */
	uint64_t n_failures;	   /* of these, ended because of what the front end did */
	unsigned int connect_pause_ms;
	bool is_reopening; /* the port has gone */
	bool is_short;	   /* nobody could be accepted, for want of descriptors or memory */
	bool has_spoken;   /* the front end: a message, or a part of one, has come */
	bool is_waiting;   /* the last front end has kept us waiting: the next one waits now */
	bool link_is_down;
	int connect_error;	   /* logged: why the front end can't be reached; 0: nothing */
	char no_port[VH_WHY_SIZE]; /* logged: why the port can't be had again */
	pid_t peer;    /* of the front end; 0: none, or in a PID namespace that we do not see */
	pid_t hung_up; /* who is turned away until the link is up; 0: nobody */
};

/**
 * vh_nic_bind() - make the listening socket, or look at what a client is to connect to
 * @why: on error a sentence for the user, VH_WHY_SIZE
 *
 * A socket that nobody listens on any more is replaced. Where a client connects nothing has to be
 * yet, but nothing else than a socket may be there. Nobody is accepted before vh_nic_start().
 * Return: 0 or a negative errno.
 */
int vh_nic_bind(struct vh_nic *n, const struct vh_nic_options *opts, char *why);

/* Open or make the file for the places of packed rings; before the sandbox. */
void vh_nic_open_records(struct vh_nic *n);

/* The start has failed: remove the socket and the file that it has made. */
void vh_nic_unmake(const struct vh_nic *n);

/* Open the port, join the loop, wait for a front end. Return, @why: as vh_nic_bind(). */
int vh_nic_start(struct vh_nic *n, struct unm_loop *loop, struct vh_witness *witness, char *why);

/* The port has gone: look for it again, with pauses, until it is back. */
void vh_nic_port_lost(struct vh_nic *n);

/* The port's link went down or up, which the device knows: tell the front end, if it listens. */
void vh_nic_link_changed(struct vh_nic *n, bool up);

/* End the connection, if any, leave the loop, close all. The socket's name is left behind. */
void vh_nic_stop(struct vh_nic *n);

/* "listening", "connecting", "connected", "hung up", "port detached" or "port lost" */
const char *vh_nic_state(const struct vh_nic *n);

#endif /* VH_NIC_H_ */
