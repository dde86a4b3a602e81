/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of this process's descriptors mean something to us.
 *
 *   unm_fdtab_used --(false: one load, and the real function is called)
 *        |
 *   root[fd / 1024] -> leaf[fd % 1024] -> struct unm_file
 *
 * A file is a netmap descriptor (desc.h), an epoll instance with netmap members (epoll_set.h), or
 * UNM_FILE_INTERNAL: a descriptor of the library, which the application must not close. Look-ups
 * take no lock; what they find is valid until the end of the epoch section (epoch.h). Changes are
 * made with the table's lock held, but for the exchange of one entry, which is atomic by itself.
 */
#ifndef UNM_CLIENT_FDTAB_H
#define UNM_CLIENT_FDTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_FDTAB_LEAF 1024
#define UNM_FDTAB_ROOT 1024
#define UNM_FDTAB_MAX  (UNM_FDTAB_LEAF * UNM_FDTAB_ROOT) /* descriptors above are never ours */

enum unm_file_kind {
	UNM_FILE_INTERNAL = 1,
	UNM_FILE_DESC,
	UNM_FILE_EPOLL,
};

/* First member of whatever a descriptor stands for. */
struct unm_file {
	uint32_t kind;			     /* enum unm_file_kind */
	uint32_t refs;			     /* table entries and others who hold it */
	void (*release)(struct unm_file *f); /* last reference gone; sections may still read it */
};

extern bool unm_fdtab_used; /* any entry was ever made */
extern struct unm_file **unm_fdtab_root[UNM_FDTAB_ROOT];

/* What @fd stands for, or NULL. */
static inline struct unm_file *
unm_fdtab_get(int fd)
{
	struct unm_file **leaf;

	if ((unsigned int)fd >= UNM_FDTAB_MAX)
		return NULL;
	leaf = __atomic_load_n(&unm_fdtab_root[fd / UNM_FDTAB_LEAF], __ATOMIC_ACQUIRE);
	return leaf == NULL ? NULL : __atomic_load_n(&leaf[fd % UNM_FDTAB_LEAF], __ATOMIC_ACQUIRE);
}

static inline void
unm_file_hold(struct unm_file *f)
{
	__atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
}

/* Take a reference unless the last one is already gone. For use inside an epoch section. */
bool unm_file_try_hold(struct unm_file *f);

/* Give a reference back; the last one calls release(). */
void unm_file_put(struct unm_file *f);

/**
 * unm_fdtab_set() - @fd now stands for @f; takes over one reference of the caller
 *
 * What was there before loses its reference. Return: 0, -EMFILE (@fd is above the table), -ENOMEM;
 * then the reference stays the caller's.
 */
int unm_fdtab_set(int fd, struct unm_file *f);

/*
 * Forget @fd. Return: what was there, with its reference, for the caller to put; NULL if nothing.
 */
struct unm_file *unm_fdtab_take(int fd);

/* The first descriptor >= @from (and <= @last) with an entry, or -1. */
int unm_fdtab_next(int from, int last);

/**
 * unm_fd_internal() - make @fd one of the library's own
 *
 * Moved to a high number, close-on-exec, protected. Takes @fd over. Return: the new number, or
 * -errno (then @fd is closed).
 */
int unm_fd_internal(int fd);

/* Close a descriptor that unm_fd_internal() returned; negative ones are ignored. */
void unm_fd_internal_close(int fd);

#endif
