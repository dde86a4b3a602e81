/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries of a segment: taking, changing, giving back. See segment_table.h. */
/* Syscalls: memfd_create ftruncate mmap munmap write */
#include "daemon/segment_table.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/bitmap.h"
#include "daemon/region.h"
#include "shm/lock.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static void
publish(struct unm_dseg *seg)
{
	unm_store_release(&seg->hdr->epoch, UNM_READ_ONCE(seg->hdr->epoch) + 1);
}

/* Odd generation: the entry is being changed. The fence keeps the field stores behind it. */
static void
gen_open(struct unm_dseg *seg, uint32_t *gen)
{
	UNM_WRITE_ONCE(*gen, seg->next_gen | 1);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static uint32_t
gen_close(struct unm_dseg *seg, uint32_t *gen)
{
	seg->next_gen += 2;
	if (seg->next_gen == 0) /* 0 is the generation of an entry that was never used */
		seg->next_gen = 2;
	unm_store_release(gen, seg->next_gen);
	return seg->next_gen;
}

/* Memory for a part of the tables must be there before anybody touches it. */
static int
commit_part(struct unm_dseg *seg, const void *start, size_t len, struct unm_reason *why)
{
	const uint64_t ofs = (uint64_t)((const char *)start - (const char *)seg->hdr);

	if (fallocate(seg->fd, 0, (off_t)ofs, (off_t)len) == 0)
		return 0;
	return unm_fail(why, -ENOMEM,
		"out of memory for the tables of %s (%s): see free(1), the memory cgroup and "
		"ulimit -f of netmapd",
		seg->name, strerror(errno));
}

/* The part of the header that never changes, as our own data give it. */
static void
fill_header(const struct unm_dseg *seg, struct unm_seg_hdr *hdr)
{
	memset(hdr, 0, sizeof(*hdr));
	unm_seg_layout(hdr, seg->type);
	hdr->uid = seg->uid;
	memcpy(hdr->name, seg->name, sizeof(hdr->name));
}

/*
 * A client may have overwritten the header. Newcomers would refuse the segment, and the one of all
 * pipes lives as long as we.
 */
static void
mend_header(struct unm_dseg *seg)
{
	struct unm_seg_hdr hdr;

	fill_header(seg, &hdr);
	if (memcmp(seg->hdr, &hdr, offsetof(struct unm_seg_hdr, max_ageing_s)) == 0)
		return;
	memcpy(seg->hdr, &hdr, offsetof(struct unm_seg_hdr, max_ageing_s));
	unm_log_peer(LOG_WARNING, "a client has overwritten the header of %s: mended", seg->name);
}

static struct unm_dseg *
dseg_alloc(void)
{
	struct unm_dseg *seg = calloc(1, sizeof(*seg));

	if (seg == NULL)
		return NULL;
	seg->fd = -1;
	seg->next_gen = 2;
	return seg;
}

/* Map the file and take table addresses from this version's layout. */
static int
dseg_map(struct unm_dseg *seg, const struct unm_seg_hdr *layout)
{
	char *map = mmap(NULL, layout->size, PROT_READ | PROT_WRITE, MAP_SHARED, seg->fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	seg->hdr = (struct unm_seg_hdr *)map;
	seg->size = layout->size;
	seg->type = layout->type;
	seg->fdb =
		layout->n_fdb_buckets > 0 ? (struct unm_fdb_bucket *)(map + layout->fdb_ofs) : NULL;
	seg->ports = (struct unm_seg_port *)(map + layout->port_ofs);
	seg->bindings = (struct unm_seg_binding *)(map + layout->bind_ofs);
	seg->krings = (struct unm_kring *)(map + layout->kring_ofs);
	seg->n_ports = layout->n_ports;
	seg->n_bindings = layout->n_bindings;
	seg->n_krings = layout->n_krings;
	seg->port_used = calloc(UNM_BITMAP_WORDS(seg->n_ports), sizeof(uint64_t));
	seg->binding_used = calloc(UNM_BITMAP_WORDS(seg->n_bindings), sizeof(uint64_t));
	seg->kring_used = calloc(UNM_BITMAP_WORDS(seg->n_krings), sizeof(uint64_t));
	seg->kring_held = calloc(UNM_BITMAP_WORDS(seg->n_krings), sizeof(uint64_t));
	seg->port_known = calloc(UNM_BITMAP_WORDS(seg->n_ports), sizeof(uint64_t));
	seg->wake_fds = calloc(seg->n_bindings, sizeof(*seg->wake_fds));
	if (seg->port_used == NULL || seg->binding_used == NULL || seg->kring_used == NULL ||
		seg->kring_held == NULL || seg->port_known == NULL || seg->wake_fds == NULL)
		return -ENOMEM;
	if (seg->type == UNM_SEG_VALE)
		unm_bit_set(seg->port_used, UNM_VALE_NO_PORT);
	return 0;
}

int
unm_dseg_create(uint32_t type, const char *name, struct unm_dseg **out, struct unm_reason *why)
{
	struct unm_dseg *seg = dseg_alloc();
	struct unm_seg_hdr hdr;
	int ret = 0;

	if (seg == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	seg->type = type;
	seg->uid = unm_random64();
	snprintf(seg->name, sizeof(seg->name), "%s", name);
	fill_header(seg, &hdr);
	seg->fd = memfd_create("unetmap-segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (seg->fd < 0 || ftruncate(seg->fd, (off_t)hdr.size) < 0 ||
		fcntl(seg->fd, F_ADD_SEALS, SEALS) < 0)
		ret = unm_fail(why, errno == EMFILE || errno == ENFILE ? -errno : -ENOMEM,
			"can't make the segment of %s: %s", seg->name, strerror(errno));
	/* Header and MAC table; the other tables as they fill. */
	if (ret == 0 && fallocate(seg->fd, 0, 0, (off_t)hdr.port_ofs) < 0)
		ret = unm_fail(why, -ENOMEM, "out of memory for the segment of %s: %s", seg->name,
			strerror(errno));
	if (ret == 0 && dseg_map(seg, &hdr) < 0)
		ret = unm_fail(why, -ENOMEM, "netmapd can't map the segment of %s", seg->name);
	if (ret < 0) {
		unm_dseg_free(seg);
		return ret;
	}
	memcpy(seg->hdr, &hdr, sizeof(hdr));
	*out = seg;
	return 0;
}

static void
mark_top(struct unm_dseg *seg, uint32_t n_ports, uint32_t n_bindings, uint32_t n_krings)
{
	if (n_ports > seg->top_port)
		seg->top_port = n_ports;
	if (n_bindings > seg->top_binding)
		seg->top_binding = n_bindings;
	if (n_krings > seg->top_kring)
		seg->top_kring = n_krings;
	UNM_WRITE_ONCE(seg->hdr->n_ports_used, seg->top_port);
	UNM_WRITE_ONCE(seg->hdr->n_bindings_used, seg->top_binding);
	UNM_WRITE_ONCE(seg->hdr->n_krings_used, seg->top_kring);
}

int
unm_dseg_adopt(int fd, uint64_t uid, struct unm_dseg **out, struct unm_reason *why)
{
	struct unm_dseg *seg;
	struct unm_seg_hdr hdr, layout;
	struct stat st;
	uint32_t i;
	int ret;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		(fcntl(fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW)) !=
			(F_SEAL_SHRINK | F_SEAL_GROW) ||
		pread(fd, &hdr, sizeof(hdr), 0) != (ssize_t)sizeof(hdr))
		return unm_fail(why, -EINVAL, "the segment is not a sealed memfd");
	ret = unm_seg_check(&hdr, (uint64_t)st.st_size);
	if (ret < 0 || hdr.uid != uid || memchr(hdr.name, '\0', sizeof(hdr.name)) == NULL)
		return unm_fail(why, ret < 0 ? ret : -EINVAL,
			"the segment is damaged or of another version");
	seg = dseg_alloc();
	if (seg == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	memset(&layout, 0, sizeof(layout));
	unm_seg_layout(&layout, hdr.type);
	seg->uid = uid;
	memcpy(seg->name, hdr.name, sizeof(seg->name));
	seg->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	ret = seg->fd < 0 ? -errno : dseg_map(seg, &layout);
	if (ret < 0) {
		unm_dseg_free(seg);
		return unm_fail(why, ret, "netmapd can't map a segment: %s", strerror(-ret));
	}
	mark_top(seg, hdr.n_ports_used < seg->n_ports ? hdr.n_ports_used : seg->n_ports,
		hdr.n_bindings_used < seg->n_bindings ? hdr.n_bindings_used : seg->n_bindings,
		hdr.n_krings_used < seg->n_krings ? hdr.n_krings_used : seg->n_krings);
	for (i = 0; i < seg->top_port; i++) {
		if (UNM_READ_ONCE(seg->ports[i].gen) > seg->next_gen)
			seg->next_gen = UNM_READ_ONCE(seg->ports[i].gen) & ~1u;
	}
	for (i = 0; i < seg->top_binding; i++) {
		if (UNM_READ_ONCE(seg->bindings[i].gen) > seg->next_gen)
			seg->next_gen = UNM_READ_ONCE(seg->bindings[i].gen) & ~1u;
	}
	*out = seg;
	return 0;
}

void
unm_dseg_free(struct unm_dseg *seg)
{
	if (seg == NULL)
		return;
	if (seg->hdr != NULL)
		munmap(seg->hdr, seg->size);
	if (seg->fd >= 0)
		close(seg->fd);
	free(seg->port_used);
	free(seg->binding_used);
	free(seg->kring_used);
	free(seg->kring_held);
	free(seg->port_known);
	free(seg->wake_fds);
	free(seg);
}

static void
set_run(uint64_t *map, uint32_t first, uint32_t n, bool value)
{
	uint32_t i;

	for (i = first; i < first + n; i++) {
		if (value)
			unm_bit_set(map, i);
		else
			unm_bit_clear(map, i);
	}
}

int
unm_dseg_alloc_port(struct unm_dseg *seg, uint32_t n_krings, uint32_t *port, uint32_t *kring_base,
	struct unm_reason *why)
{
	const uint32_t p = unm_bitmap_find_run(seg->port_used, seg->n_ports, 0, 1);
	const uint32_t k =
		n_krings > 0 ? unm_bitmap_find_run(seg->kring_used, seg->n_krings, 0, n_krings) : 0;
	int ret;

	if (p == UINT32_MAX)
		return unm_fail(
			why, -ENOMEM, "%s is full: it has %u ports", seg->name, seg->n_ports);
	if (k == UINT32_MAX)
		return unm_fail(why, -ENOMEM,
			"%s has no room for %u more rings (of %u): use fewer rings per port, or "
			"another switch",
			seg->name, n_krings, seg->n_krings);
	ret = commit_part(seg, &seg->ports[p], sizeof(seg->ports[p]), why);
	if (ret == 0 && n_krings > 0)
		ret = commit_part(seg, &seg->krings[k], n_krings * sizeof(struct unm_kring), why);
	if (ret < 0)
		return ret;
	mend_header(seg);
	unm_bit_set(seg->port_used, p);
	set_run(seg->kring_used, k, n_krings, true);
	memset(&seg->krings[k], 0, n_krings * sizeof(struct unm_kring));
	mark_top(seg, p + 1, 0, k + n_krings);
	*port = p;
	*kring_base = k;
	return 0;
}

void
unm_dseg_free_port(struct unm_dseg *seg, uint32_t port, uint32_t kring_base, uint32_t n_krings)
{
	struct unm_seg_port *e = unm_dseg_port_begin(seg, port);

	e->state = UNM_PORT_FREE;
	unm_dseg_port_end(seg, port);
	unm_bit_clear(seg->port_used, port);
	set_run(seg->kring_used, kring_base, n_krings, false);
}

int
unm_dseg_claim_port(struct unm_dseg *seg, uint32_t port, uint32_t kring_base, uint32_t n_krings)
{
	uint32_t i;

	if (port >= seg->top_port || unm_bit_test(seg->port_used, port) ||
		kring_base > seg->top_kring || n_krings > seg->top_kring - kring_base)
		return -EINVAL;
	for (i = 0; i < n_krings; i++) {
		if (unm_bit_test(seg->kring_used, kring_base + i))
			return -EINVAL;
	}
	unm_bit_set(seg->port_used, port);
	set_run(seg->kring_used, kring_base, n_krings, true);
	return 0;
}

struct unm_seg_port *
unm_dseg_port_begin(struct unm_dseg *seg, uint32_t port)
{
	gen_open(seg, &seg->ports[port].gen);
	return &seg->ports[port];
}

uint32_t
unm_dseg_port_end(struct unm_dseg *seg, uint32_t port)
{
	const uint32_t gen = gen_close(seg, &seg->ports[port].gen);

	publish(seg);
	return gen;
}

void
unm_dseg_port_touch(struct unm_dseg *seg)
{
	publish(seg);
}

/* Put an entry at the head of its port's list. Its fields are complete before the list shows it. */
static void
link_binding(struct unm_dseg *seg, uint32_t port, uint32_t binding)
{
	struct unm_seg_binding *b = &seg->bindings[binding];

	b->port = port;
	UNM_WRITE_ONCE(b->next, UNM_READ_ONCE(seg->ports[port].bind_head));
	unm_store_release(&seg->ports[port].bind_head, binding);
	publish(seg);
}

int
unm_dseg_add_binding(struct unm_dseg *seg, uint32_t port, int wake_fd, uint32_t *binding,
	uint32_t *gen, struct unm_reason *why)
{
	const uint32_t i = unm_bitmap_find_run(seg->binding_used, seg->n_bindings, 0, 1);
	struct unm_seg_binding *b;
	int ret;

	if (i == UINT32_MAX)
		return unm_fail(why, -ENOMEM,
			"%s has %u descriptors registered, which is its limit", seg->name,
			seg->n_bindings);
	b = &seg->bindings[i];
	ret = commit_part(seg, b, sizeof(*b), why);
	if (ret < 0)
		return ret;
	unm_bit_set(seg->binding_used, i);
	seg->wake_fds[i] = wake_fd;
	mark_top(seg, 0, i + 1, 0);
	gen_open(seg, &b->gen);
	b->kloop_stop = 0;
	b->kloop_running = 0;
	b->csb_mode = 0;
	b->want = 0;
	b->in_use = 1;
	*gen = gen_close(seg, &b->gen);
	*binding = i;
	link_binding(seg, port, i);
	return 0;
}

static bool
is_listed(const struct unm_dseg *seg, uint32_t port, uint32_t binding)
{
	uint32_t at = UNM_READ_ONCE(seg->ports[port].bind_head);
	uint32_t steps;

	for (steps = 0; steps < seg->n_bindings && at < seg->n_bindings; steps++) {
		if (at == binding)
			return true;
		at = UNM_READ_ONCE(seg->bindings[at].next);
	}
	return false;
}

int
unm_dseg_claim_binding(
	struct unm_dseg *seg, uint32_t port, int wake_fd, uint32_t binding, uint32_t gen)
{
	if (binding >= seg->top_binding || unm_bit_test(seg->binding_used, binding) ||
		UNM_READ_ONCE(seg->bindings[binding].gen) != gen ||
		UNM_READ_ONCE(seg->bindings[binding].in_use) == 0 ||
		UNM_READ_ONCE(seg->bindings[binding].port) != port)
		return -ESTALE;
	unm_bit_set(seg->binding_used, binding);
	seg->wake_fds[binding] = wake_fd;
	if (!is_listed(seg, port, binding))
		link_binding(seg, port, binding);
	return 0;
}

void
unm_dseg_del_binding(struct unm_dseg *seg, uint32_t port, uint32_t binding)
{
	struct unm_seg_binding *b = &seg->bindings[binding];
	uint32_t *link = &seg->ports[port].bind_head;
	uint32_t steps;

	for (steps = 0; steps < seg->n_bindings; steps++) {
		const uint32_t at = UNM_READ_ONCE(*link);

		if (at >= seg->n_bindings)
			break; /* the list was damaged by a client: readers check as we do */
		if (at == binding) {
			unm_store_release(link, UNM_READ_ONCE(b->next));
			break;
		}
		link = &seg->bindings[at].next;
	}
	gen_open(seg, &b->gen);
	b->in_use = 0;
	gen_close(seg, &b->gen);
	unm_bit_clear(seg->binding_used, binding);
	publish(seg);
}

uint32_t
unm_dseg_break_locks(struct unm_dseg *seg, uint32_t slot)
{
	uint32_t i, n = 0;

	for (i = 0; i < seg->top_kring; i++) {
		if (!unm_bit_test(seg->kring_used, i))
			continue;
		n += (uint32_t)unm_lock_break(&seg->krings[i].busy, slot);
		n += (uint32_t)unm_lock_break(&seg->krings[i].lock, slot);
	}
	for (i = 0; i < seg->top_binding; i++) {
		if (unm_bit_test(seg->binding_used, i))
			n += (uint32_t)unm_lock_break(&seg->bindings[i].kloop_running, slot);
	}
	return n;
}

void
unm_dseg_wake(struct unm_dseg *seg)
{
	const uint64_t one = 1;
	uint32_t i;

	for (i = 0; i < seg->top_binding; i++) {
		if (!unm_bit_test(seg->binding_used, i))
			continue;
		/*
		 * Signalled whether it is wanted or not: the dead one may have taken the mark and
		 * not lived to signal.
		 */
		unm_exchange(&seg->bindings[i].want, 0);
		if (write(seg->wake_fds[i], &one, sizeof(one)) < 0 && errno != EAGAIN)
			unm_log_peer(LOG_WARNING, "can't wake a client: %s", strerror(errno));
	}
}

void
unm_dseg_unclaim_port(struct unm_dseg *seg, uint32_t port, uint32_t kring_base, uint32_t n_krings)
{
	unm_bit_clear(seg->port_used, port);
	set_run(seg->kring_used, kring_base, n_krings, false);
}

void
unm_dseg_retire_entry(struct unm_dseg *seg, uint32_t port)
{
	UNM_WRITE_ONCE(seg->ports[port].state, UNM_PORT_DEAD);
	unm_dseg_port_begin(seg, port)->state = UNM_PORT_FREE;
	unm_dseg_port_end(seg, port);
	unm_bit_set(seg->port_known, port);
}

void
unm_dseg_reuse_entry(struct unm_dseg *seg, uint32_t port, const char *name)
{
	if (!unm_bit_test(seg->port_known, port))
		return;
	unm_bit_clear(seg->port_known, port);
	if (strncmp(seg->ports[port].name, name, sizeof(seg->ports[port].name)) != 0)
		unm_dseg_forget_macs(seg, port);
}

void
unm_dseg_hold_unclaimed(struct unm_dseg *seg)
{
	uint32_t i;

	for (i = 0; i < seg->top_kring; i++) {
		if (unm_bit_test(seg->kring_used, i))
			continue;
		unm_bit_set(seg->kring_used, i);
		unm_bit_set(seg->kring_held, i);
		seg->has_held = true;
	}
}

/*
 * Is somebody in the ring? Who comes later finds, with the word taken, that the entry is another
 * one: it has been retired before.
 */
static bool
is_entered(struct unm_kring *k)
{
	if (unm_lock_try(&k->busy, UNM_SLOT_NETMAPD) < 0)
		return true;
	unm_lock_release(&k->busy);
	if (unm_lock_try(&k->lock, UNM_SLOT_NETMAPD) < 0)
		return true;
	unm_lock_release(&k->lock);
	return false;
}

bool
unm_dseg_free_held(struct unm_dseg *seg)
{
	uint32_t i;

	if (!seg->has_held)
		return true;
	for (i = 0; i < seg->top_kring; i++) {
		if (unm_bit_test(seg->kring_held, i) && is_entered(&seg->krings[i]))
			return false;
	}
	for (i = 0; i < seg->top_kring; i++) {
		if (!unm_bit_test(seg->kring_held, i))
			continue;
		unm_bit_clear(seg->kring_held, i);
		unm_bit_clear(seg->kring_used, i);
	}
	seg->has_held = false;
	return true;
}

void
unm_dseg_drop_unclaimed(struct unm_dseg *seg)
{
	uint32_t i;

	for (i = 0; i < seg->top_binding; i++) {
		const uint32_t port = UNM_READ_ONCE(seg->bindings[i].port);

		if (!unm_bit_test(seg->binding_used, i) &&
			UNM_READ_ONCE(seg->bindings[i].in_use) != 0)
			unm_dseg_del_binding(seg, port < seg->n_ports ? port : 0, i);
	}
}

void
unm_dseg_forget_macs(struct unm_dseg *seg, uint32_t port)
{
	uint32_t i, way;

	if (seg->fdb == NULL)
		return;
	for (i = 0; i < UNM_FDB_NBUCKETS; i++) {
		for (way = 0; way < UNM_FDB_WAYS; way++) {
			uint64_t *entry = &seg->fdb[i].entry[way];
			uint64_t seen = UNM_READ_ONCE(*entry);

			/*
			 * A sender may write the entry at the same time: then it is about another
			 * port.
			 */
			if (seen != 0 && (seen & 0xffff) == port)
				__atomic_compare_exchange_n(
					entry, &seen, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
		}
	}
}
