/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge: one or two open ports and the directions in which packets go between them.
 *
 *	sides[0] = A                     sides[1] = B
 *	  rx rings ---- dirs[0]: A --> B ---> tx rings
 *	  tx rings <--- dirs[1]: B --> A ---- rx rings
 *
 * With -L there is side A and a single direction A --> A. A direction whose source has no receive
 * rings, or whose target has no transmit rings (port names ending in /R or /T), does not exist.
 *
 * A direction either waits for packets (POLLIN at its source) or, having packets left, for room
 * (POLLOUT at its target). poll(2) also syncs both ports, which makes moved packets leave: a round
 * of the loop is one poll and one attempt to move in each direction. All of it runs in one thread.
 */
#ifndef NM_BRIDGE_BRIDGE_H_
#define NM_BRIDGE_BRIDGE_H_

#include <stdbool.h>
#include <stdint.h>

#include <libnetmap.h>

#include "bridge_options.h"
#include "nmt_move_fp.h"

#define BR_LABEL_SIZE (2 * NETMAP_REQ_IFNAMSIZ + 32)

struct br_side {
	struct nmport_d *port; /* NULL: not open */
	uint32_t n_bufs;       /* of its region */
	bool is_down;	       /* its interface is, and its rings stand still */
};

struct br_dir {
	const struct br_side *from;
	const struct br_side *to;
	char label[BR_LABEL_SIZE]; /* "A:nic --> B:host" */
	bool pending;		   /* packets are left for which there was no room, or no time */
	uint32_t next_rx;	   /* ring to begin with, so that none starves */
	uint64_t warn_after_ns;	   /* when the next warning about ring flags may be printed */
	struct nmt_move_counters counters;
};

struct br_bridge {
	struct br_side sides[2];
	uint32_t n_sides;
	struct br_dir dirs[2];
	uint32_t n_dirs;
	uint32_t burst;
	bool zerocopy;
};

/**
 * br_open() - open the ports and say what was found
 * @br: written; after an error br_close() is still due
 *
 * Thread: main; blocks as the requests do. Return: 0 or negative errno, with a message printed.
 */
int br_open(struct br_bridge *br, const struct br_options *opts);

/** br_close() - report what was forwarded and close the ports. Accepts a half-opened @br. */
void br_close(struct br_bridge *br);

/**
 * br_run() - forward until nmt_stop_requested()
 *
 * Thread: main. Return: 0, or negative errno when a port failed, with a message printed.
 */
int br_run(struct br_bridge *br);

#endif /* NM_BRIDGE_BRIDGE_H_ */
