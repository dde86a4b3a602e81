/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A descriptor of /dev/netmap as this process knows it, and its binding.
 *
 * The application's number(s) C stand in the descriptor table (fdtab.h) for one struct unm_desc;
 * dup() adds a reference. The object keeps D, the other end, so that it can be handed to the next
 * netmapd.
 *
 *   UNBOUND  binding is NULL. Exits: BOUND (a REGISTER of ours, or one made elsewhere, found by
 *            GET_BINDING).
 *   BOUND    binding is set, for good.
 *
 * When the last reference goes, release() unlinks the object and retires it: a thread in the middle
 * of a sync finishes first.
 */
#ifndef UNM_CLIENT_DESC_H
#define UNM_CLIENT_DESC_H

#include <stdbool.h>
#include <stdint.h>

#include "client/fdtab.h"
#include "client/memory.h"
#include "port/port.h"
#include "shm/atomic.h"

struct unm_csb;

struct unm_binding {
	struct unm_bport *bport;
	struct unm_mregion *region;
	struct unm_mseg *seg;
	struct unm_seg_binding *shared; /* our entry in the segment */
	int event_fd;			/* signalled by whoever makes the port ready; never read */
	uint64_t serial;		/* unique in the process, never reused */
	int *port_fds;			/* info.n_port_fds TAP queues */
	int kick_fd;			/* isolated: wakes the broker; else -1 */
	struct unm_csb *csb;		/* csb.c; NULL unless this process enabled CSB mode */
	struct unm_bind_info info;
};

struct unm_desc {
	struct unm_file file; /* first */
	struct unm_desc *next;
	uint8_t id[16];
	uint64_t cookie; /* of C */
	int d;
	/* threads between forgetting a number and closing it: not to be adopted again */
	uint32_t n_closing;
	struct unm_binding *binding; /* set once, release; read with acquire */
	/* Raw waits (fdready.c) */
	uint32_t ready_armed;	      /* the control thread watches event_fd for this descriptor */
	struct unm_thread *ready_for; /* the only one that asked for that; NULL: several did */
};

/* What the data path calls back. */
extern const struct unm_env unm_client_env;

/**
 * unm_desc_open() - what open("/dev/netmap", flags) does
 *
 * Blocks while netmapd is started. Return: the descriptor, or -ENOENT no netmapd to be had,
 * -EACCES, -EPERM, -EPROTO refused,
 * -EMFILE, -ENFILE, -ENOMEM.
 */
int unm_desc_open(int flags);

/**
 * unm_desc_adopt() - is @fd, which the table does not know, a netmap descriptor that came from
 * elsewhere?
 *
 * Asks the kernel for the peer's name, and netmapd if that is one of ours. Return: true and @fd is
 * in the table from now on.
 */
bool unm_desc_adopt(int fd);

/**
 * unm_desc_close() - close(@fd), which stands for a file of ours
 *
 * The table forgets the number before the kernel does, as it may be another file's right after.
 * Return: as close(2).
 */
int unm_desc_close(int fd);

/* Cheap part of the above: does @fd bear a netmap descriptor's name? Fills @id. */
bool unm_desc_id_of(int fd, uint8_t id[16]);

/**
 * unm_desc_bind() - the descriptor has been registered
 * @fds: UNM_BIND_FDS + info->n_port_fds descriptors, taken over in any case
 *
 * Return: 0 (also if another thread was faster), -EPROTO netmapd's answer makes no sense, -ENOMEM,
 * -EMFILE.
 */
int unm_desc_bind(
	struct unm_desc *d, const struct unm_bind_info *info, int *fds, unsigned int n_fds);

static inline struct unm_binding *
unm_desc_binding(const struct unm_desc *d)
{
	return __atomic_load_n(&d->binding, __ATOMIC_ACQUIRE);
}

/*
 * Not bound as far as we know: was it bound by another process that shares it? NULL: no. Asks
 * netmapd.
 */
struct unm_binding *unm_desc_find_binding(struct unm_desc *d);

/*
 * Hand all descriptors back to a new netmapd. For session.c, under its lock. Return: 0 or -errno
 * (the session is dead).
 */
int unm_desc_restore_all(void);

/*
 * The broker is gone, and all that it did for us: every binding becomes a zombie (ENXIO, POLLERR).
 */
void unm_desc_lose_all(void);

/* Call @fn for each descriptor, with the list locked. */
void unm_desc_for_each(void (*fn)(struct unm_desc *d, void *arg), void *arg);

void unm_desc_before_fork(void);
void unm_desc_in_parent(void);
void unm_desc_after_fork(void);

#endif
