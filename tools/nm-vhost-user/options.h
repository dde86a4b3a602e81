/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of nm-vhost-user. */
#ifndef VH_OPTIONS_H_
#define VH_OPTIONS_H_

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "offer.h"
#include "nmt_cli.h"
#include "vm/guest_guard.h"

#define VH_MAX_NICS UNM_GUEST_MAX_GUARDS

/* May a front end's memory be used while others wait for us (vm/net.h, unm_net_set_direct())? */
enum vh_memory {
	VH_MEMORY_AUTO, /* if it could stop us anyway */
	VH_MEMORY_DIRECT,
	VH_MEMORY_COPY,
};

/* One NIC: a --socket and what follows it. Texts are the command line's. */
struct vh_nic_options {
	const char *socket;
	const char *port;
	bool is_client;	       /* connect to the socket instead of listening on it */
	bool hangs_up;	       /* while the link is down, on front ends that can't be told */
	enum vh_memory memory; /* of the front end */
	mode_t socket_mode;    /* of a socket that we make */
	unsigned int queues;   /* pairs; 0: as many as the port has */
	uint8_t mac[6];	       /* all zero: derived from the port's name */
	uint16_t mtu;	       /* 0: not said */
	uint32_t coalesce_us;  /* 0: no moderation */
	uint32_t coalesce_frames;
	struct vh_features features;
};

struct vh_options {
	struct vh_nic_options nic[VH_MAX_NICS];
	unsigned int n_nics;
	bool has_sandbox;
	unsigned int interval_s; /* between status lines; 0: on request only */
};

extern const struct nmt_cli vh_cli;

/* Does not return if the command line is wrong. */
void vh_options_parse(struct vh_options *o, int argc, char **argv);

#endif /* VH_OPTIONS_H_ */
