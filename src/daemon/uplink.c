/* SPDX-License-Identifier: BSD-2-Clause */
/* The way to the network. See uplink.h. */
/* Syscalls: openat sendto recvfrom close */
#include "daemon/uplink.h"

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/nic.h"

#define ROUTES	    "/proc/self/net/route"
#define ROUTES6	    "/proc/self/net/ipv6_route"
#define RTF_UP	    0x1u
#define RTF_REJECT  0x200u
#define MOST_LINKS  4096u
#define MOST_ROUTES 4096u  /* lines that are looked at, of either kind */
#define MOST_LOOKED 64u	   /* links whose carriers are looked for: a namespace may be anybody's */
#define ANSWER_SIZE 32768u /* the kernel's largest piece of a dump */

/* --- default routes --- */

struct routes {
	char name[UNM_IFNAME_SIZE]; /* of the first interface that has one */
	bool is_one;		    /* and no other has */
};

static void
add_route(struct routes *r, const char *name)
{
	if (r->name[0] == '\0') {
		snprintf(r->name, sizeof(r->name), "%s", name);
		r->is_one = true;
	} else if (strcmp(r->name, name) != 0) {
		r->is_one = false;
	}
}

static void
read_routes(struct routes *r)
{
	char line[256], name[UNM_IFNAME_SIZE];
	FILE *f = fopen(ROUTES, "re");
	uint32_t n;

	/* Default routes come first, and a namespace may have any number of others. */
	for (n = 0; n < MOST_ROUTES && f != NULL && fgets(line, sizeof(line), f) != NULL; n++) {
		unsigned int dest, gateway, flags, mask;

		if (sscanf(line, "%15s %x %x %x %*d %*d %*d %x", name, &dest, &gateway, &flags,
			    &mask) == 5 &&
			dest == 0 && mask == 0 && (flags & RTF_UP) && !(flags & RTF_REJECT))
			add_route(r, name);
	}
	if (f != NULL)
		fclose(f);
	f = fopen(ROUTES6, "re");
	for (n = 0; n < MOST_ROUTES && f != NULL && fgets(line, sizeof(line), f) != NULL; n++) {
		unsigned int plen, flags;
		char dest[33];

		if (sscanf(line, "%32s %x %*s %*x %*s %*x %*x %*x %x %15s", dest, &plen, &flags,
			    name) == 4 &&
			plen == 0 && strspn(dest, "0") == 32 && (flags & RTF_UP) &&
			!(flags & RTF_REJECT) && strcmp(name, "lo") != 0)
			add_route(r, name);
	}
	if (f != NULL)
		fclose(f);
}

/* --- what lies on what --- */

struct link {
	char name[UNM_IFNAME_SIZE];
	char kind[16]; /* empty: of a device */
	uint32_t ifindex, master, lower;
	bool is_lower_here; /* @lower is in this namespace, too */
	bool is_on_way;	    /* what goes by the route may go through it */
};

struct links {
	struct link *all;
	uint32_t n;
};

static void
take_word(const struct rtattr *a, uint32_t *out)
{
	if (RTA_PAYLOAD(a) >= sizeof(*out))
		memcpy(out, RTA_DATA(a), sizeof(*out));
}

static void
take_text(const struct rtattr *a, char *out, size_t size)
{
	snprintf(out, size, "%.*s", (int)RTA_PAYLOAD(a), (const char *)RTA_DATA(a));
}

static void
take_kind(const struct rtattr *info, struct link *l)
{
	const struct rtattr *a = RTA_DATA(info);
	int len = (int)RTA_PAYLOAD(info);

	for (; RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == IFLA_INFO_KIND)
			take_text(a, l->kind, sizeof(l->kind));
}

static void
take_link(const struct nlmsghdr *h, struct links *links)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	const struct rtattr *a = IFLA_RTA(ifi);
	int len = (int)IFLA_PAYLOAD(h);
	struct link *l;

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*ifi)) ||
		links->n == MOST_LINKS)
		return;
	l = &links->all[links->n++];
	memset(l, 0, sizeof(*l));
	l->ifindex = (uint32_t)ifi->ifi_index;
	l->is_lower_here = true;
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		switch (a->rta_type & NLA_TYPE_MASK) {
		case IFLA_IFNAME:
			take_text(a, l->name, sizeof(l->name));
			break;
		case IFLA_MASTER:
			take_word(a, &l->master);
			break;
		case IFLA_LINK:
			take_word(a, &l->lower);
			break;
		case IFLA_LINK_NETNSID:
			l->is_lower_here = false;
			break;
		case IFLA_LINKINFO:
			take_kind(a, l);
			break;
		default:
			break;
		}
	}
}

/* One piece of the answer. Return: there is more, and room for it. */
static bool
take_piece(int sock, struct links *links)
{
	static union {
		struct nlmsghdr h;
		char bytes[ANSWER_SIZE];
	} m; /* netmapd has one thread */
	const struct nlmsghdr *h = &m.h;
	ssize_t n = recv(sock, &m, sizeof(m), MSG_DONTWAIT);

	if (n <= 0)
		return false;
	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return false;
		take_link(h, links);
	}
	return links->n < MOST_LINKS;
}

static void
read_links(struct links *links)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg ifi;
	} ask = {.h = {.nlmsg_len = sizeof(ask),
			 .nlmsg_type = RTM_GETLINK,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	const int sock = unm_nic_netlink(0);
	uint32_t i;

	if (sock < 0)
		return;
	if (send(sock, &ask, sizeof(ask), 0) == (ssize_t)sizeof(ask))
		for (i = 0; i < MOST_LINKS && take_piece(sock, links); i++)
			continue;
	close(sock);
}

static struct link *
find(const struct links *links, const char *name)
{
	uint32_t i;

	for (i = 0; i < links->n; i++)
		if (strcmp(links->all[i].name, name) == 0)
			return &links->all[i];
	return NULL;
}

static bool
is_kind(const struct link *l, const char *kind)
{
	return strcmp(l->kind, kind) == 0;
}

/* Is it where a guest or a container is plugged in, rather than a way out? */
static bool
is_inside(const struct link *l)
{
	return is_kind(l, "veth") || is_kind(l, "tun");
}

static uint32_t
count_members(const struct links *links, const struct link *upper)
{
	uint32_t n = 0, i;

	for (i = 0; i < links->n; i++)
		n += links->all[i].master == upper->ifindex;
	return n;
}

/*
 * Does @l carry what goes through @upper, directly? Of @n_members of a bridge each that leads out may,
 * of a bond only a single one does.
 */
static bool
carries(const struct link *l, const struct link *upper, uint32_t n_members)
{
	if (l->master == upper->ifindex)
		return n_members == 1 ||
		       (!is_inside(l) && !is_kind(upper, "bond") && !is_kind(upper, "team"));
	return upper->lower == l->ifindex && upper->is_lower_here && !is_kind(upper, "veth");
}

/*
 * Mark what is on the way from @route down: each link once, and what is below so many of them. A
 * namespace may have more, to keep us busy.
 */
static void
mark_way(const struct links *links, struct link *route)
{
	struct link *way[MOST_LOOKED];
	uint32_t n = 0, i, k;

	route->is_on_way = true;
	way[n++] = route;
	for (k = 0; k < n; k++) {
		const uint32_t n_members = count_members(links, way[k]);

		for (i = 0; i < links->n; i++) {
			struct link *l = &links->all[i];

			if (l->is_on_way || !carries(l, way[k], n_members))
				continue;
			l->is_on_way = true;
			if (n < MOST_LOOKED)
				way[n++] = l;
		}
	}
}

bool
unm_uplink_is_carried(const char *name, char route[UNM_IFNAME_SIZE])
{
	struct links links = {.n = 0};
	struct link *l, *upper;
	struct routes r = {.is_one = false};
	bool is_carried;

	read_routes(&r);
	if (!r.is_one)
		return false;
	memcpy(route, r.name, UNM_IFNAME_SIZE);
	if (strcmp(r.name, name) == 0)
		return true;
	links.all = calloc(MOST_LINKS, sizeof(links.all[0]));
	if (links.all == NULL)
		return false;
	read_links(&links);
	l = find(&links, name);
	upper = find(&links, route);
	if (upper != NULL)
		mark_way(&links, upper);
	is_carried = l != NULL && l->is_on_way;
	free(links.all);
	return is_carried;
}
