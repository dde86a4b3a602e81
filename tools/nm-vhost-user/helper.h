/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child that does, until the ports are open, what this process can't any more once it has given up
 * its files: start netmapd, which may end at any moment of our start, and remove the files that a
 * start has made which fails. It ends when its socket does, also by our death.
 */
#ifndef VH_HELPER_H_
#define VH_HELPER_H_

#include <stdbool.h>
#include <sys/types.h>

#include "nic.h"

#define VH_N_WAKES 5 /* netmapds that end during a start */

struct vh_helper {
	pid_t pid; /* -1: none */
	int sock;  /* -1: none */
};

/*
 * Before the sandbox, without a helper: start netmapd if it does not run. Return: 0, or -ENOENT with
 * a sentence in @why, VH_WHY_SIZE.
 */
int vh_helper_need_netmapd(char *why);

/* The child, after the sockets and files of the @n NICs have been made: it knows them from then on. */
void vh_helper_start(struct vh_helper *h, const struct vh_nic *nic, unsigned int n);

/* Have netmapd started, if it has ended. Return: false: nobody does it. */
bool vh_helper_wake_netmapd(const struct vh_helper *h);

/* Have what vh_nic_unmake() removes removed. Without a child by this process. */
void vh_helper_unmake(const struct vh_helper *h, const struct vh_nic *nic, unsigned int n);

/* Signals are blocked. */
void vh_helper_end(struct vh_helper *h);

#endif /* VH_HELPER_H_ */
