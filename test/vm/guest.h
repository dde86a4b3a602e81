/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a guest that does not exist: memfds, mapped one behind the other here, and at guest
 * physical addresses with or without holes between them.
 *
 *   our addresses   |region 0|region 1|region 2|
 *   guest physical  GUEST_GPA |region 0|<hole>|region 1|<hole>|region 2|
 *
 * Memory is given out from the bottom, and taken back all at once.
 */
#ifndef TEST_VM_GUEST_H
#define TEST_VM_GUEST_H

#include <stddef.h>
#include <stdint.h>

#define GUEST_GPA	  0x100000ull
#define GUEST_MAX_REGIONS 8u
#define GUEST_PAGE	  4096u

struct guest_region {
	int fd;
	uint8_t *base;
	uint64_t gpa, size;
};

struct guest {
	struct guest_region region[GUEST_MAX_REGIONS];
	unsigned int n_regions;
	uint8_t *base; /* of all */
	size_t size;   /* of all */
	size_t used;   /* given out */
};

/*
 * Return: 0, -EINVAL, -ENOMEM or what memfd_create() says. @size is rounded up to whole pages for
 * each region.
 */
int guest_init(struct guest *g, size_t size, unsigned int n_regions, uint64_t hole);
void guest_fini(struct guest *g);

/* Page-aligned; may lie across regions, unless there are holes. NULL: not enough. */
void *guest_alloc(struct guest *g, size_t size);

/*
 * Guest physical address of one of ours; what does not belong to the guest is a bug of the caller
 * (asserted).
 */
uint64_t guest_gpa(const struct guest *g, const void *p);

/* The end of guest physical addresses, for the size of a dirty log. */
uint64_t guest_top(const struct guest *g);

#endif
