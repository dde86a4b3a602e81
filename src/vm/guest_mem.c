/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory: table of regions, translations, dirty log. See guest_mem.h.
 *
 * A front end sends a handful of regions (QEMU: one below and one above the hole for 32-bit
 * devices, more with hot-plug), so searches are linear, behind the region of the last hit.
 */
#include "vm/guest_mem.h"

#include <errno.h>
#include <string.h>

#define PAGE_SIZE 4096u

void
unm_guest_mem_init(struct unm_guest_mem *m)
{
	memset(m, 0, sizeof(*m));
}

void
unm_guest_mem_clear(struct unm_guest_mem *m)
{
	unsigned int i;

	for (i = 0; i < m->n_regions; i++)
		unm_guest_file_unmap(&m->region[i].file);
	m->n_regions = 0;
	m->last_hit = 0;
	(void)unm_guest_mem_set_log(m, -1, 0, 0); /* unmapping does not fail */
}

static bool
overlaps(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	/* Neither wraps: checked when it was added. */
	return a < b ? b - a < a_size : a - b < b_size;
}

static bool
wraps(uint64_t start, uint64_t size)
{
	/* The last byte may be the last one there is. */
	return size - 1 > UINT64_MAX - start;
}

static int
check_desc(const struct unm_guest_mem *m, const struct unm_guest_region_desc *d)
{
	unsigned int i;

	if (d->size == 0 || wraps(d->gpa, d->size) || wraps(d->uaddr, d->size))
		return -EINVAL;
	/*
	 * Whoever has mapped the file there, and has given it to a guest page by page, can't do it
	 * otherwise. So what is aligned for the guest is aligned for us.
	 */
	if (((d->gpa ^ d->mmap_ofs) | (d->uaddr ^ d->mmap_ofs)) % PAGE_SIZE != 0)
		return -EINVAL;
	for (i = 0; i < m->n_regions; i++) {
		const struct unm_guest_region_desc *r = &m->region[i].d;

		if (overlaps(d->gpa, d->size, r->gpa, r->size) ||
			overlaps(d->uaddr, d->size, r->uaddr, r->size))
			return -EEXIST;
	}
	return m->n_regions == UNM_GUEST_MAX_REGIONS ? -ENOSPC : 0;
}

/* The region with this place in both address spaces, or NULL. */
static struct unm_guest_region *
find_region(struct unm_guest_mem *m, const struct unm_guest_region_desc *d)
{
	unsigned int i;

	for (i = 0; i < m->n_regions; i++) {
		struct unm_guest_region *r = &m->region[i];

		if (r->d.gpa == d->gpa && r->d.size == d->size && r->d.uaddr == d->uaddr)
			return r;
	}
	return NULL;
}

int
unm_guest_mem_add(struct unm_guest_mem *m, const struct unm_guest_region_desc *d, int fd)
{
	struct unm_guest_region r = {.d = *d, .n_adds = 1};
	int err;

	err = check_desc(m, d);
	if (err == 0)
		err = unm_guest_file_map(&r.file, fd, d->size, d->mmap_ofs, m->guard);
	if (err < 0)
		return err;
	r.host = r.file.data;
	m->region[m->n_regions++] = r;
	return 0;
}

int
unm_guest_mem_add_again(struct unm_guest_mem *m, const struct unm_guest_region_desc *d)
{
	struct unm_guest_region *r = find_region(m, d);

	if (r == NULL || r->d.mmap_ofs != d->mmap_ofs)
		return -ENOENT;
	r->n_adds++;
	return 0;
}

int
unm_guest_mem_remove(struct unm_guest_mem *m, const struct unm_guest_region_desc *d)
{
	struct unm_guest_region *r = find_region(m, d);

	if (r == NULL)
		return -ENOENT;
	if (--r->n_adds > 0)
		return 0;
	unm_guest_file_unmap(&r->file);
	*r = m->region[--m->n_regions];
	m->last_hit = 0;
	return 0;
}

int
unm_guest_mem_replace(struct unm_guest_mem *m, const struct unm_guest_region_desc *d, const int *fd,
	unsigned int n)
{
	struct unm_guest_mem fresh;
	unsigned int i;
	int err = n > UNM_GUEST_MAX_REGIONS ? -ENOSPC : 0;

	unm_guest_mem_init(&fresh);
	fresh.guard = m->guard;
	for (i = 0; i < n && err == 0; i++)
		err = unm_guest_mem_add(&fresh, &d[i], fd[i]);
	if (err < 0) {
		unm_guest_mem_clear(&fresh);
		return err;
	}
	for (i = 0; i < m->n_regions; i++)
		unm_guest_file_unmap(&m->region[i].file);
	memcpy(m->region, fresh.region, sizeof(m->region));
	m->n_regions = fresh.n_regions;
	m->last_hit = 0;
	return 0;
}

int
unm_guest_mem_set_log(struct unm_guest_mem *m, int fd, uint64_t size, uint64_t ofs)
{
	struct unm_guest_file f = {0};
	const bool was_enabled = m->log != NULL;
	int err;

	if (fd >= 0) {
		err = unm_guest_file_map(&f, fd, size, ofs, m->guard);
		if (err < 0)
			return err;
	}
	m->log = NULL;
	unm_guest_file_unmap(&m->log_file);
	m->log_file = f;
	m->log_size = fd >= 0 ? size : 0;
	unm_guest_mem_enable_log(m, was_enabled);
	return 0;
}

void
unm_guest_mem_enable_log(struct unm_guest_mem *m, bool enabled)
{
	m->log = enabled ? m->log_file.data : NULL;
}

static const struct unm_guest_region *
find_user(const struct unm_guest_mem *m, uint64_t uaddr, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < m->n_regions; i++) {
		const struct unm_guest_region *r = &m->region[i];
		const uint64_t ofs = uaddr - r->d.uaddr;

		if (ofs < r->d.size && len <= r->d.size - ofs)
			return r;
	}
	return NULL;
}

void *
unm_guest_from_user(const struct unm_guest_mem *m, uint64_t uaddr, uint64_t len)
{
	const struct unm_guest_region *r = find_user(m, uaddr, len);

	return r == NULL ? NULL : r->host + (uaddr - r->d.uaddr);
}

uint64_t
unm_guest_user_to_gpa(const struct unm_guest_mem *m, uint64_t uaddr, uint64_t len)
{
	const struct unm_guest_region *r = find_user(m, uaddr, len);

	return r == NULL ? UINT64_MAX : r->d.gpa + (uaddr - r->d.uaddr);
}

void
unm_guest_file_of(const struct unm_guest_mem *m, uint64_t uaddr, uint64_t *dev, uint64_t *ino)
{
	const struct unm_guest_region *r = find_user(m, uaddr, 1);

	*dev = r == NULL ? 0 : r->file.dev;
	*ino = r == NULL ? 0 : r->file.ino;
}

uint8_t *
unm_guest_map_slow(struct unm_guest_mem *m, uint64_t gpa, uint64_t *len)
{
	unsigned int i;

	for (i = 0; i < m->n_regions; i++) {
		const struct unm_guest_region *r = &m->region[i];
		const uint64_t ofs = gpa - r->d.gpa;

		if (ofs >= r->d.size)
			continue;
		if (*len > r->d.size - ofs)
			*len = r->d.size - ofs;
		m->last_hit = i;
		return r->host + ofs;
	}
	return NULL;
}

void
unm_guest_log_pages(struct unm_guest_mem *m, uint64_t gpa, uint64_t len)
{
	uint64_t page, last;

	if (len == 0 || wraps(gpa, len))
		return;
	/* The migration reads and clears bits meanwhile, so each is set atomically. */
	last = (gpa + (len - 1)) >> UNM_GUEST_PAGE_SHIFT;
	for (page = gpa >> UNM_GUEST_PAGE_SHIFT; page <= last; page++) { /* at most len / page */
		if (page / 8 >= m->log_size)
			return;
		__atomic_fetch_or(&m->log[page / 8], (uint8_t)(1u << (page % 8)), __ATOMIC_RELEASE);
	}
}
