/* SPDX-License-Identifier: BSD-2-Clause */
/* Offloads that are switched off while an interface is open. See offload.h. */
/* Syscalls: socket ioctl stat newfstatat */
#include "daemon/offload.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/netns.h"
#include "daemon/nic.h"

#define MAX_FEATURES 512u /* that a kernel may know: Linux 6.18 has 62 */
#define MAX_BLOCKS   (MAX_FEATURES / 32)

/* Never another order: the bits stand in state files. */
static const struct {
	const char *name; /* as ethtool -k and the kernel have it */
	unsigned int which;
} ours[] = {
	{"rx-gro-hw", UNM_OFFLOAD_ALWAYS},
	{"rx-lro", UNM_OFFLOAD_ALWAYS},
	{"rx-vlan-hw-parse", UNM_OFFLOAD_ALWAYS},
	{"rx-vlan-stag-hw-parse", UNM_OFFLOAD_ALWAYS},
	{"rx-vlan-filter", UNM_OFFLOAD_ALWAYS},
	{"rx-vlan-stag-filter", UNM_OFFLOAD_ALWAYS},
	{"rx-gro", UNM_OFFLOAD_GRO},
};

#define N_OURS	 (sizeof(ours) / sizeof(ours[0]))
#define ALL_OURS ((1u << N_OURS) - 1)
#define TAG_BITS (1u << 2 | 1u << 3)

/* --- the kernel --- */

static int
ask(int sock, const char *ifname, void *cmd)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, ifname, strnlen(ifname, IFNAMSIZ - 1));
	ifr.ifr_data = cmd;
	return ioctl(sock, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

static int
name_of(int sock, uint32_t ifindex, char *out)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_ifindex = (int)ifindex;
	if (ioctl(sock, SIOCGIFNAME, &ifr) < 0)
		return -errno;
	memcpy(out, ifr.ifr_name, IFNAMSIZ);
	out[IFNAMSIZ - 1] = '\0';
	return 0;
}

/* Where this kernel has our features: numbers from 0 on, UNM_NONE for what it does not know. */
static int
find_features(int sock, const char *ifname, uint32_t *n, uint32_t at[N_OURS])
{
	union {
		struct ethtool_sset_info info;
		char bytes[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)]; /* one number */
	} q = {.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES}};
	struct ethtool_gstrings *names;
	uint32_t i, k, n_names;
	int ret = ask(sock, ifname, &q);

	if (ret < 0)
		return ret;
	n_names = q.info.data[0];
	if (q.info.sset_mask == 0 || n_names == 0 || n_names > MAX_FEATURES)
		return -EOPNOTSUPP;
	names = calloc(1, sizeof(*names) + (size_t)n_names * ETH_GSTRING_LEN);
	if (names == NULL)
		return -ENOMEM;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = n_names;
	ret = ask(sock, ifname, names);
	for (k = 0; k < N_OURS; k++)
		at[k] = UNM_NONE;
	for (i = 0; ret == 0 && i < n_names && i < names->len; i++) {
		const char *name = (const char *)names->data + (size_t)i * ETH_GSTRING_LEN;

		for (k = 0; k < N_OURS; k++)
			if (strncmp(name, ours[k].name, ETH_GSTRING_LEN) == 0)
				at[k] = i;
	}
	free(names);
	*n = n_names;
	return ret;
}

/* Our bits that are on, and those that can be changed. */
static int
get(int sock, const char *ifname, uint32_t n, const uint32_t at[N_OURS], uint32_t *on,
	uint32_t *changeable)
{
	union {
		struct ethtool_gfeatures h;
		char bytes[sizeof(struct ethtool_gfeatures) +
			   MAX_BLOCKS * sizeof(struct ethtool_get_features_block)];
	} f = {.h = {.cmd = ETHTOOL_GFEATURES, .size = (n + 31) / 32}};
	const int ret = ask(sock, ifname, &f);
	uint32_t k;

	*on = *changeable = 0;
	if (ret < 0)
		return ret;
	for (k = 0; k < N_OURS; k++) {
		const struct ethtool_get_features_block *b = &f.h.features[at[k] / 32 % MAX_BLOCKS];
		const uint32_t bit = 1u << at[k] % 32;

		if (at[k] == UNM_NONE)
			continue;
		if (b->active & bit)
			*on |= 1u << k;
		if ((b->available & bit) && !(b->never_changed & bit))
			*changeable |= 1u << k;
	}
	return 0;
}

static int
set(int sock, const char *ifname, uint32_t n, const uint32_t at[N_OURS], uint32_t which, bool is_on)
{
	union {
		struct ethtool_sfeatures h;
		char bytes[sizeof(struct ethtool_sfeatures) +
			   MAX_BLOCKS * sizeof(struct ethtool_set_features_block)];
	} f;
	uint32_t k;

	memset(&f, 0, sizeof(f));
	f.h.cmd = ETHTOOL_SFEATURES;
	f.h.size = (n + 31) / 32;
	for (k = 0; k < N_OURS; k++) {
		struct ethtool_set_features_block *b = &f.h.features[at[k] / 32 % MAX_BLOCKS];

		if (!(which & 1u << k) || at[k] == UNM_NONE)
			continue;
		b->valid |= 1u << at[k] % 32;
		b->requested |= is_on ? 1u << at[k] % 32 : 0;
	}
	return ask(sock, ifname, &f);
}

/* Those of ours that are on and can be switched off. */
static int
look(int sock, uint32_t ifindex, char *ifname, uint32_t *n, uint32_t at[N_OURS], uint32_t *on)
{
	uint32_t changeable = 0;
	int ret = name_of(sock, ifindex, ifname);

	if (ret == 0)
		ret = find_features(sock, ifname, n, at);
	if (ret == 0)
		ret = get(sock, ifname, *n, at, on, &changeable);
	if (ret == 0)
		*on &= changeable;
	return ret;
}

bool
unm_offload_tags_stay(int sock, uint32_t ifindex)
{
	char ifname[IFNAMSIZ];
	uint32_t n, at[N_OURS], on = 0, changeable = 0;

	return name_of(sock, ifindex, ifname) == 0 && find_features(sock, ifname, &n, at) == 0 &&
	       get(sock, ifname, n, at, &on, &changeable) == 0 && (on & TAG_BITS) == 0;
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
	uint32_t bits = 0, k;

	for (k = 0; k < N_OURS; k++)
		bits |= ours[k].which & which ? 1u << k : 0;
	return bits;
}

int
unm_offload_put_right(
	struct unm_domain *dom, uint32_t ifindex, const char *netns, unsigned int which)
{
	const int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t n, at[N_OURS], on = 0;
	struct unm_offload *o;
	char ifname[IFNAMSIZ];
	int ret;

	if (sock < 0)
		return -errno;
	ret = look(sock, ifindex, ifname, &n, at, &on);
	on &= bits_of(which);
	if (ret == 0 && on != 0) {
		o = find_or_make(dom, ifindex, netns, this_netns());
		ret = o != NULL ? 0 : -ENOMEM;
		if (ret == 0) {
			o->off |= on;
			save(dom); /* before it is done: whoever comes after a crash knows */
			ret = set(sock, ifname, n, at, on, false);
		}
	}
	close(sock);
	return ret;
}

static void
switch_on(int sock, const struct unm_offload *o)
{
	uint32_t n, at[N_OURS];
	char ifname[IFNAMSIZ];
	int ret = name_of(sock, o->ifindex, ifname);

	if (ret < 0)
		return; /* it is gone */
	ret = find_features(sock, ifname, &n, at);
	if (ret == 0)
		ret = set(sock, ifname, n, at, o->off, true);
	if (ret < 0)
		unm_log(LOG_WARNING, "%s: offloads can't be switched on again: %s (ethtool -K)",
			ifname, strerror(-ret));
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
	int sock;

	if (!is_here && home < 0)
		return; /* gone, and its interfaces with it */
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock >= 0) {
		switch_on(sock, o);
		close(sock);
	}
	if (home >= 0)
		unm_netns_leave(home);
}

void
unm_offload_give_back(
	struct unm_domain *dom, uint32_t ifindex, const char *netns, uint64_t ns_ino, int sock)
{
	struct unm_offload *o = find(dom, ifindex, netns, ns_ino);

	if (o == NULL)
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
		if (is_open(dom, o))
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
				out + len, size - len, "%s%s", len > 0 ? " " : "", ours[k].name);
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
	if (o != NULL)
		o->off |= off & ALL_OURS;
	return true;
}

void
unm_offload_clear(struct unm_domain *dom)
{
	while (dom->offloads != NULL)
		forget(dom, dom->offloads);
}
