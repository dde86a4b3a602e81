/* SPDX-License-Identifier: BSD-2-Clause */
/* Offloads that are switched off while an interface is open. See offload.h. */
/* Syscalls: stat newfstatat */
#include "daemon/offload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/nic_features.h"
#include "daemon/netns.h"
#include "daemon/nic.h"

/* As ethtool -k and the kernel have them. Never another order: the bits stand in state files. */
static const char *const ours[] = {
	"rx-gro-hw",
	"rx-lro",
	"rx-vlan-hw-parse",
	"rx-vlan-stag-hw-parse",
	"rx-vlan-filter",
	"rx-vlan-stag-filter",
	"rx-gro",
};

#define N_OURS	 (sizeof(ours) / sizeof(ours[0]))
#define ALL_OURS ((1u << N_OURS) - 1)
#define TAG_BITS (1u << 2 | 1u << 3)
#define GRO_BIT	 (1u << 6)

static const struct unm_feature_names names = {.n = N_OURS, .name = ours};

bool
unm_offload_tags_stay(uint32_t ifindex)
{
	uint32_t on = 0, changeable = 0;
	struct unm_features f;
	bool stay;

	if (unm_features_open(&f) < 0)
		return false;
	stay = unm_features_get(&f, ifindex, &names, &on, &changeable) == 0 && (on & TAG_BITS) == 0;
	unm_features_close(&f);
	return stay;
}

/* --- what is off --- */

static void
save(struct unm_domain *dom)
{
	if (dom->save != NULL)
		dom->save(dom);
}

/* A namespace may have several names, and a name several namespaces one after another. */
static bool
is_of(const struct unm_offload *o, uint32_t ifindex, const char *netns, uint64_t ns_ino)
{
	return o->ifindex == ifindex &&
	       (o->ns_ino != 0 && ns_ino != 0 ? o->ns_ino == ns_ino : strcmp(o->netns, netns) == 0);
}

static struct unm_offload *
find(const struct unm_domain *dom, uint32_t ifindex, const char *netns, uint64_t ns_ino)
{
	struct unm_offload *o;

	for (o = dom->offloads; o != NULL; o = o->next) {
		if (is_of(o, ifindex, netns, ns_ino))
			return o;
	}
	return NULL;
}

/* Number of the current namespace, 0: nobody knows. */
static uint64_t
this_netns(void)
{
	struct unm_netns_id ns;

	unm_netns_here(&ns);
	return ns.ino;
}

static struct unm_offload *
find_or_make(struct unm_domain *dom, uint32_t ifindex, const char *netns, uint64_t ns_ino)
{
	struct unm_offload *o = find(dom, ifindex, netns, ns_ino);

	if (o != NULL)
		return o;
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return NULL;
	o->ifindex = ifindex;
	o->ns_ino = ns_ino;
	snprintf(o->netns, sizeof(o->netns), "%s", netns);
	o->next = dom->offloads;
	dom->offloads = o;
	return o;
}

static void
forget(struct unm_domain *dom, struct unm_offload *gone)
{
	struct unm_offload **pp;

	for (pp = &dom->offloads; *pp != NULL; pp = &(*pp)->next) {
		if (*pp == gone) {
			*pp = gone->next;
			free(gone);
			return;
		}
	}
}

static uint32_t
bits_of(unsigned int which)
{
	return (which & UNM_OFFLOAD_ALWAYS ? ALL_OURS & ~GRO_BIT : 0) |
	       (which & UNM_OFFLOAD_GRO ? GRO_BIT : 0);
}

int
unm_offload_put_right(
	struct unm_domain *dom, uint32_t ifindex, const char *netns, unsigned int which)
{
	uint32_t on = 0, changeable = 0;
	struct unm_features f;
	struct unm_offload *o;
	int ret = unm_features_open(&f);

	if (ret < 0)
		return ret;
	ret = unm_features_get(&f, ifindex, &names, &on, &changeable);
	on &= changeable & bits_of(which);
	if (ret == 0 && on != 0) {
		o = find_or_make(dom, ifindex, netns, this_netns());
		ret = o != NULL ? 0 : -ENOMEM;
		if (ret == 0) {
			o->off |= on;
			save(dom); /* before it is done: whoever comes after a crash knows */
			ret = unm_features_set(&f, ifindex, &names, on, false);
		}
	}
	unm_features_close(&f);
	return ret;
}

/* In the namespace of @sock; negative: the current one. */
static void
switch_on(int sock, const struct unm_offload *o)
{
	uint32_t on, changeable = 0;
	struct unm_features f;
	int ret = sock >= 0 ? unm_features_open_beside(sock, &f) : unm_features_open(&f);

	if (ret == 0) {
		ret = unm_features_get(&f, o->ifindex, &names, &on, &changeable);
		if (ret == 0 && (o->off & changeable) != 0)
			ret = unm_features_set(&f, o->ifindex, &names, o->off & changeable, true);
		unm_features_close(&f);
	}
	if (ret < 0 && ret != -ENODEV) /* it is gone */
		unm_log(LOG_WARNING,
			"interface %u%s%s: offloads can't be switched on again: %s (ethtool -K)",
			o->ifindex, o->netns[0] != '\0' ? " of " : "", o->netns, strerror(-ret));
}

/* Into the namespace of @o. Return: as unm_netns_enter(); -ENOENT: it is gone. */
static int
enter_netns_of(const struct unm_offload *o)
{
	/* Not by its name, which may be that of a process that has ended */
	const int ns = unm_netns_find_number(o->ns_ino);
	int home;

	if (ns < 0)
		return ns;
	home = unm_netns_enter(ns);
	close(ns);
	return home;
}

static void
switch_on_in_netns(const struct unm_offload *o)
{
	const bool is_here = this_netns() == o->ns_ino;
	const int home = is_here ? -1 : enter_netns_of(o);

	if (!is_here && home < 0)
		return; /* gone, and its interfaces with it */
	switch_on(-1, o);
	if (home >= 0)
		unm_netns_leave(home);
}

/* It would change frames that a client of a run before still receives. */
static bool
has_to_wait(const struct unm_domain *dom, const struct unm_offload *o)
{
	return o->is_inherited && dom->has_late;
}

void
unm_offload_give_back(
	struct unm_domain *dom, uint32_t ifindex, const char *netns, uint64_t ns_ino, int sock)
{
	struct unm_offload *o = find(dom, ifindex, netns, ns_ino);

	if (o == NULL || has_to_wait(dom, o))
		return;
	if (sock >= 0)
		switch_on(sock, o);
	else
		switch_on_in_netns(o);
	forget(dom, o);
	save(dom);
}

void
unm_offload_give_back_moved(struct unm_domain *dom, uint32_t ifindex, const char *netns,
	uint64_t ns_ino, int sock, uint32_t new_ifindex)
{
	struct unm_offload *o = find(dom, ifindex, netns, ns_ino);
	char list[128];

	if (o == NULL)
		return;
	if (sock >= 0) {
		o->ifindex = new_ifindex;
		switch_on(sock, o);
	} else {
		unm_offload_list(dom, ifindex, netns, ns_ino, list, sizeof(list));
		unm_log(LOG_WARNING,
			"an interface was moved to a namespace that netmapd does not find: off "
			"there "
			"are still %s (ethtool -K)",
			list);
	}
	forget(dom, o);
	save(dom);
}

static bool
is_open(const struct unm_domain *dom, const struct unm_offload *o)
{
	const struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->nic != NULL && is_of(o, p->nic->ifindex, p->nic->netns, p->nic->ns.ino))
			return true;
	}
	return false;
}

void
unm_offload_settle(struct unm_domain *dom)
{
	struct unm_offload *o, *next;

	for (o = dom->offloads; o != NULL; o = next) {
		next = o->next;
		if (is_open(dom, o)) {
			o->is_inherited = false;
			continue;
		}
		if (has_to_wait(dom, o))
			continue;
		switch_on_in_netns(o);
		forget(dom, o);
	}
	save(dom);
}

void
unm_offload_list(const struct unm_domain *dom, uint32_t ifindex, const char *netns, uint64_t ns_ino,
	char *out, size_t size)
{
	const struct unm_offload *o = find(dom, ifindex, netns, ns_ino);
	size_t len = 0, k;

	out[0] = '\0';
	for (k = 0; o != NULL && k < N_OURS && len < size; k++) {
		if (o->off & 1u << k)
			len += (size_t)snprintf(
				out + len, size - len, "%s%s", len > 0 ? " " : "", ours[k]);
	}
}

void
unm_offload_write(const struct unm_domain *dom, FILE *f)
{
	const struct unm_offload *o;

	for (o = dom->offloads; o != NULL; o = o->next)
		fprintf(f, "offload %u %x %" PRIu64 " %s\n", o->ifindex, o->off, o->ns_ino,
			o->netns);
}

bool
unm_offload_read(struct unm_domain *dom, const char *line)
{
	char netns[UNM_NAME_SIZE] = "";
	struct unm_offload *o;
	uint32_t ifindex, off;
	uint64_t ns_ino;

	if (sscanf(line, "offload %u %x %" SCNu64 " %63s", &ifindex, &off, &ns_ino, netns) < 3)
		return false;
	o = find_or_make(dom, ifindex, netns, ns_ino);
	if (o != NULL) {
		o->off |= off & ALL_OURS;
		o->is_inherited = true;
	}
	return true;
}

void
unm_offload_clear(struct unm_domain *dom)
{
	while (dom->offloads != NULL)
		forget(dom, dom->offloads);
}
