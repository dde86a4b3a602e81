/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop of a device server: moves frames for its devices, spins a little, sleeps.
 *
 *   work on all devices --something done--> again, with a look at the descriptors now and then
 *        | nothing for as long as a wake-up costs, if that has paid lately (client/spin.h); the
 *        | processor is yielded between two looks, as a guest on it makes the work looked for
 *   kicks on, look once more, ppoll(kick descriptors, ports, sockets) --> kicks off, again
 *
 * The sleep has the same shape as all of the project's (docs/ARCHITECTURE.md, "Waiting and
 * waking"): announce, full fence, look again.
 *
 * Threads: one thread runs a loop; only unm_loop_stop() may be called from elsewhere, a signal
 * handler included.
 */
#ifndef UNM_VM_LOOP_H
#define UNM_VM_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct unm_loop;
struct unm_net;

/*
 * Runs in the loop's thread, between batches. May watch and unwatch, also its own descriptor, and
 * add and remove devices.
 */
typedef void unm_loop_fn(void *arg, short revents);

/* Return: NULL when out of memory or descriptors. */
struct unm_loop *unm_loop_new(void);
void unm_loop_free(struct unm_loop *l); /* devices and descriptors are borrowed and stay */

/* Serve @n from now on. Return: 0, -ENOSPC there are UNM_GUEST_MAX_GUARDS, -EEXIST, -ENOMEM. */
int unm_loop_add(struct unm_loop *l, struct unm_net *n);
void unm_loop_remove(struct unm_loop *l, struct unm_net *n);

/**
 * unm_loop_watch() - call @fn when @fd has one of @events (poll's; POLLERR and POLLHUP come
 * unasked)
 *
 * Level-triggered. A descriptor is watched once: a second call replaces the first. Return: 0,
 * -ENOMEM.
 */
int unm_loop_watch(struct unm_loop *l, int fd, short events, unm_loop_fn *fn, void *arg);
void unm_loop_unwatch(struct unm_loop *l, int fd);

/*
 * Call @fn once each time that the port of a device turns out to be lost (unm_net_is_lost_anew()).
 * Runs as an unm_loop_fn; may reopen the port or remove the device.
 */
typedef void unm_loop_lost_fn(void *arg, struct unm_net *n);
void unm_loop_on_port_lost(struct unm_loop *l, unm_loop_lost_fn *fn, void *arg);

/*
 * Call @fn when the link of a device's port has gone down or up (nmctl link). The device has
 * unm_net_set_link() behind it already; the front end is to be told.
 */
typedef void unm_loop_link_fn(void *arg, struct unm_net *n, bool up);
void unm_loop_on_link(struct unm_loop *l, unm_loop_link_fn *fn, void *arg);

/* Run until unm_loop_stop(). Return: 0, or a negative errno of ppoll(). */
int unm_loop_run(struct unm_loop *l);

/* Async-signal-safe. */
void unm_loop_stop(struct unm_loop *l);

#endif
