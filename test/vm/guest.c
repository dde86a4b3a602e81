/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of a guest that does not exist; see guest.h. */
#include "guest.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int
map_region(struct guest_region *r)
{
	r->fd = memfd_create("guest", MFD_CLOEXEC);
	if (r->fd < 0)
		return -errno;
	if (ftruncate(r->fd, (off_t)r->size) < 0)
		return -errno;
	if (mmap(r->base, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, r->fd, 0) ==
		MAP_FAILED)
		return -errno;
	return 0;
}

int
guest_init(struct guest *g, size_t size, unsigned int n_regions, uint64_t hole)
{
	const size_t pages = (size / GUEST_PAGE + n_regions) / (n_regions > 0 ? n_regions : 1);
	const size_t each = pages * GUEST_PAGE;
	unsigned int i;
	int ret;

	memset(g, 0, sizeof(*g));
	if (n_regions == 0 || n_regions > GUEST_MAX_REGIONS || size == 0)
		return -EINVAL;
	g->size = each * n_regions;
	g->base =
		mmap(NULL, g->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (g->base == MAP_FAILED)
		return -ENOMEM;
	for (i = 0; i < n_regions; i++) {
		g->region[i] = (struct guest_region){.fd = -1,
			.base = g->base + i * each,
			.gpa = GUEST_GPA + i * (each + hole),
			.size = each};
		g->n_regions = i + 1;
		ret = map_region(&g->region[i]);
		if (ret < 0) {
			guest_fini(g);
			return ret;
		}
	}
	return 0;
}

void
guest_fini(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->n_regions; i++)
		if (g->region[i].fd >= 0)
			close(g->region[i].fd);
	if (g->size > 0)
		munmap(g->base, g->size);
	memset(g, 0, sizeof(*g));
}

static bool
has_holes(const struct guest *g)
{
	return g->n_regions > 1 && g->region[0].gpa + g->region[0].size != g->region[1].gpa;
}

void *
guest_alloc(struct guest *g, size_t size)
{
	const size_t each = g->size / g->n_regions;
	const size_t rounded = (size + GUEST_PAGE - 1) / GUEST_PAGE * GUEST_PAGE;
	size_t at = g->used;

	if (has_holes(g) && at % each + rounded > each)
		at += each - at % each; /* the next region */
	if (at > g->size || rounded > g->size - at || (has_holes(g) && rounded > each))
		return NULL;
	g->used = at + rounded;
	return g->base + at;
}

uint64_t
guest_gpa(const struct guest *g, const void *p)
{
	const size_t ofs = (size_t)((const uint8_t *)p - g->base);
	const size_t each = g->size / g->n_regions;

	assert(ofs < g->size);
	return g->region[ofs / each].gpa + ofs % each;
}

uint64_t
guest_top(const struct guest *g)
{
	const struct guest_region *r = &g->region[g->n_regions - 1];

	return r->gpa + r->size;
}
