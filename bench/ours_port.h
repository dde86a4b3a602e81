/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ours_port.h - what the measurements of our own ports share, written against the public API only.
 *
 * Every measurement makes a switch or pipe of its own, named after the main process, so that it
 * meets no port of another program. Each side opens its ports in its own process.
 */
#ifndef OURS_PORT_H
#define OURS_PORT_H

#include "bench.h"

#include <libnetmap.h>

/* Numbers that bench_frame() makes into addresses. */
#define OURS_SENDER   1
#define OURS_RECEIVER 1000
#define OURS_IDLE     5000

#define OURS_POLL_MS  200 /* how long sides block before they look at the stop flag again */

enum ours_kind { OURS_VALE, OURS_PIPE, OURS_NIC };

/* OURS_NIC: names of the ports of the sending and of the receiving side, without "netmap:". */
extern const char *ours_nics[2];

/**
 * ours_kind() - read the value of --kind
 *
 * Ends the process with status 2 and a message when it is neither "vale" nor "pipe" nor "nic".
 */
enum ours_kind ours_kind(const char *text);

/* Let this process, and those it forks, open as many descriptors as its hard limit allows. */
void ours_raise_limits(void);

/**
 * ours_open() - open the port of a side
 * @role: 's' sender, 'r' receiver, 'i' idle port; of a pipe 's' is the master end
 * @slots: per ring, 0 for the default
 *
 * Return: the port, or NULL after bench_say().
 */
struct nmport_d *ours_open(enum ours_kind kind, char role, uint32_t number, uint32_t slots);

/**
 * ours_open_monitor() - watch port number 0 of a role
 * @flags: letters of a port name: t, r, z
 *
 * Return: as ours_open().
 */
struct nmport_d *ours_open_monitor(enum ours_kind kind, char role, const char *flags);

/* Transmit and receive ring of a port; each has one of either. */
struct netmap_ring *ours_tx(const struct nmport_d *d);
struct netmap_ring *ours_rx(const struct nmport_d *d);

/**
 * ours_announce() - send one broadcast frame, so that the switch learns the port's address
 * @address: as for bench_frame()
 *
 * Return: 0 or a negative errno, after bench_say().
 */
int ours_announce(struct nmport_d *d, uint32_t address);

/* Take and forget all that has arrived. Return: 0 or a negative errno, after bench_say(). */
int ours_drain(struct nmport_d *d);

/* NIOCTXSYNC or NIOCRXSYNC. Return: 0 or a negative errno, after bench_say(). */
int ours_sync(struct nmport_d *d, unsigned long request);

/**
 * ours_wait() - poll ports
 * @timeout_ms: 0 or more
 *
 * Return: number of ready ports, 0 after the time or a signal, or a negative errno, after
 * bench_say(); also when a port reports POLLERR.
 */
struct pollfd;
int ours_wait(struct pollfd *fds, uint32_t n, int timeout_ms);

#endif
