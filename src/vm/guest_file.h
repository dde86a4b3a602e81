/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mapping part of a file that the other side has handed over: guest memory, dirty log, in-flight
 * region. The file has to be one in memory (memfd, tmpfs, hugetlbfs) that reaches to the end of what is
 * mapped. Others are refused: who serves them could keep us waiting in a load for ever (FUSE, what lies
 * on it, NFS), and pages of a disk can be taken away again and again. What shrinks after the check is the
 * guard's business (guest_guard.h).
 */
#ifndef UNM_VM_GUEST_FILE_H
#define UNM_VM_GUEST_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "vm/guest_guard.h"

struct unm_guest_file {
	uint8_t *data; /* our address of the first byte asked for; NULL: nothing is mapped */
	void *map;     /* what munmap() gets: data, rounded down to a page of the file system */
	size_t map_size;
	struct unm_guest_guard *guard; /* who watches it, or NULL */
	uint64_t dev, ino;	       /* which file it is */
};

/**
 * unm_guest_file_map() - map [ofs, ofs + size) of a file, shared, to read and write
 * @fd:    borrowed
 * @guard: watches the mapping until unm_guest_file_unmap(); NULL: nobody does
 *
 * Return: 0; -EINVAL size 0, a sum that wraps, a file that is too small or of the wrong kind, or
 * whose seals or mode forbid writing; -EMEDIUMTYPE not in memory; -ENOMEM; -EDQUOT too many
 * mappings for @guard. On error @out is unchanged.
 */
int unm_guest_file_map(struct unm_guest_file *out, int fd, uint64_t size, uint64_t ofs,
	struct unm_guest_guard *guard);

/* The same for a file of our own, from its beginning, on whatever file system. */
int unm_guest_file_map_ours(
	struct unm_guest_file *out, int fd, uint64_t size, struct unm_guest_guard *guard);

/* Nothing mapped: no effect. */
void unm_guest_file_unmap(struct unm_guest_file *f);

/**
 * unm_guest_file_new() - a file of our own to hand out: zeroes, memory committed, size sealed
 * @name: shown in /proc
 * @size: in bytes, not 0
 *
 * Return: descriptor, the caller's; or -ENOMEM, -ENOSPC, -EMFILE ...
 */
int unm_guest_file_new(const char *name, uint64_t size);

#endif
