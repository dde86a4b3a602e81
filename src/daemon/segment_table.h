/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netmapd's side of a segment: which entries of its tables are in use, and how they are changed
 * under the readers' eyes.
 *
 * What is free is known from private bitmaps only; the shared tables are written, and read back
 * only when a restarted netmapd adopts a segment. Every change of an entry goes
 *
 *   gen odd -> fields -> gen even (release) -> epoch + 1 (release)
 *
 * so that a reader that saw the same even gen before and after has a consistent copy, and one that
 * sees a new epoch looks again. A generation is never used twice in a segment.
 */
#ifndef UNM_DAEMON_SEGMENT_TABLE_H
#define UNM_DAEMON_SEGMENT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/log.h"
#include "shm/segment.h"

/* VALE_LIST says "switch, but no such port" by this index (spec 16.7), so no port may have it. */
#define UNM_VALE_NO_PORT 255u

/* netmapd's own slot in lock words; sessions get the numbers below. */
#define UNM_SLOT_NETMAPD 65535u

struct unm_dseg {
	struct unm_dseg *next;
	int fd;
	uint64_t uid;
	uint64_t size;
	uint32_t type;
	char name[32];
	uint32_t n_refs;     /* ports in it */
	bool is_adopted;     /* from a previous run, and the restore phase goes on */
	uint32_t switch_idx; /* VALE: number in listings */
	uint32_t next_gen;
	struct unm_seg_hdr *hdr; /* the mapping; everything below points into it */
	struct unm_fdb_bucket *fdb;
	struct unm_seg_port *ports;
	struct unm_seg_binding *bindings;
	struct unm_kring *krings;
	uint32_t n_ports, n_bindings, n_krings;	   /* table sizes */
	uint32_t top_port, top_binding, top_kring; /* entries from here on were never used */
	uint64_t *port_used, *binding_used, *kring_used;
	uint64_t *kring_held; /* of those in use: nobody's, but somebody may still be in them */
	bool has_held;
	uint64_t *port_known; /* free, but the MAC table may still name it */
	int *wake_fds;	      /* eventfd of each binding in use; borrowed from it */
};

/**
 * unm_dseg_create() - a new segment with nothing in it. Return: 0 or negative errno with the
 * reason.
 */
int unm_dseg_create(uint32_t type, const char *name, struct unm_dseg **out, struct unm_reason *why);

/**
 * unm_dseg_adopt() - map a segment of netmapd's previous run; every entry counts as free until it
 * is claimed
 * @fd: duplicated
 */
int unm_dseg_adopt(int fd, uint64_t uid, struct unm_dseg **out, struct unm_reason *why);

void unm_dseg_free(struct unm_dseg *seg);

/**
 * unm_dseg_alloc_port() - an entry with @n_krings krings in a row, all of them zeroed, the entry
 * left FREE
 *
 * Return: 0, or -ENOMEM with the reason.
 */
int unm_dseg_alloc_port(struct unm_dseg *seg, uint32_t n_krings, uint32_t *port,
	uint32_t *kring_base, struct unm_reason *why);
void unm_dseg_free_port(
	struct unm_dseg *seg, uint32_t port, uint32_t kring_base, uint32_t n_krings);

/**
 * unm_dseg_claim_port() - after adoption: mark as used. Return: 0, or -EINVAL if anything of it is
 * used or out of range.
 */
int unm_dseg_claim_port(
	struct unm_dseg *seg, uint32_t port, uint32_t kring_base, uint32_t n_krings);

/** unm_dseg_unclaim_port() - take a claim back; the shared entry is left as it is. */
void unm_dseg_unclaim_port(
	struct unm_dseg *seg, uint32_t port, uint32_t kring_base, uint32_t n_krings);

/**
 * unm_dseg_retire_entry() - after adoption: free an entry that nobody claims, whatever it says
 *
 * What was learned about it stays until unm_dseg_reuse_entry().
 */
void unm_dseg_retire_entry(struct unm_dseg *seg, uint32_t port);

/**
 * unm_dseg_reuse_entry() - a free entry becomes port @name: forget what was learned about another
 * one that was retired there
 */
void unm_dseg_reuse_entry(struct unm_dseg *seg, uint32_t port, const char *name);

/**
 * unm_dseg_hold_unclaimed() - after adoption, when every entry is claimed or retired: krings that
 * nobody claims count as used until unm_dseg_free_held() frees them
 *
 * A client that lives may have been delivering or syncing there since before, and publishes its
 * position when it is through.
 */
void unm_dseg_hold_unclaimed(struct unm_dseg *seg);

/**
 * unm_dseg_free_held() - free the krings that are held, if nobody is in any of them: a sync of one
 * may be writing to another
 *
 * Return: false if they are still held.
 */
bool unm_dseg_free_held(struct unm_dseg *seg);

/** unm_dseg_drop_unclaimed() - after adoption: unlink and free the bindings that nobody claims. */
void unm_dseg_drop_unclaimed(struct unm_dseg *seg);

/**
 * unm_dseg_port_begin(), unm_dseg_port_end() - bracket a change of a port entry; end returns the
 * new generation.
 */
struct unm_seg_port *unm_dseg_port_begin(struct unm_dseg *seg, uint32_t port);
uint32_t unm_dseg_port_end(struct unm_dseg *seg, uint32_t port);

/**
 * unm_dseg_port_touch() - bracket a change that keeps the entry's identity (flags, header length):
 * same generation, new epoch
 */
void unm_dseg_port_touch(struct unm_dseg *seg);

/**
 * unm_dseg_add_binding() - take an entry and link it to @port
 * @wake_fd: its eventfd; must stay open until unm_dseg_del_binding()
 *
 * Return: 0, or -ENOMEM with the reason.
 */
int unm_dseg_add_binding(struct unm_dseg *seg, uint32_t port, int wake_fd, uint32_t *binding,
	uint32_t *gen, struct unm_reason *why);
void unm_dseg_del_binding(struct unm_dseg *seg, uint32_t port, uint32_t binding);

/**
 * unm_dseg_claim_binding() - after adoption: mark as used; the list that others walk stays as it is
 *
 * Return: 0, or -ESTALE if the entry is another one by now.
 */
int unm_dseg_claim_binding(
	struct unm_dseg *seg, uint32_t port, int wake_fd, uint32_t binding, uint32_t gen);

/**
 * unm_dseg_wake() - wake every sleeper of the segment
 *
 * For when somebody is gone who may have owed a wake-up, or a port that others may wait for.
 */
void unm_dseg_wake(struct unm_dseg *seg);

/**
 * unm_dseg_forget_macs() - remove what was learned about a port, before its index can mean another
 * one.
 */
void unm_dseg_forget_macs(struct unm_dseg *seg, uint32_t port);

/** unm_dseg_break_locks() - free every lock word that @slot holds. Return: how many. */
uint32_t unm_dseg_break_locks(struct unm_dseg *seg, uint32_t slot);

#endif
