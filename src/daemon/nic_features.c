/* SPDX-License-Identifier: BSD-2-Clause */
/* Features of interfaces. See nic_features.h. */
/* Syscalls: socket sendto recvfrom close */
#include "daemon/nic_features.h"

#include <errno.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/netns.h"

#define HDR_LEN	     (NLMSG_HDRLEN + GENL_HDRLEN)
#define NAME_MAX_LEN 32u /* ETH_GSTRING_LEN */
/* A bit takes its nest, its name and a flag; around them are three nests and a header. */
#define BIT_LEN	    (NLA_HDRLEN + NLA_HDRLEN + NAME_MAX_LEN + NLA_HDRLEN)
#define REQUEST_LEN (HDR_LEN + 64 + UNM_FEATURES_MAX * BIT_LEN)

struct request {
	union {
		struct nlmsghdr h;
		char bytes[REQUEST_LEN];
	};
};

/* Room for an answer: four sets of up to some hundred names. netmapd has one thread */
static union {
	struct nlmsghdr h;
	char bytes[65536];
} answer;

/* --- messages --- */

static void
begin(struct request *r, uint16_t family, uint8_t cmd, uint8_t version, uint16_t flags)
{
	const struct genlmsghdr g = {.cmd = cmd, .version = version};

	memset(r, 0, sizeof(*r));
	r->h.nlmsg_len = HDR_LEN;
	r->h.nlmsg_type = family;
	r->h.nlmsg_flags = NLM_F_REQUEST | flags;
	memcpy(NLMSG_DATA(&r->h), &g, sizeof(g));
}

/* Return: where it is, for end_nest(). There is room: REQUEST_LEN. */
static struct nlattr *
put(struct request *r, uint16_t type, const void *data, size_t len)
{
	struct nlattr *a = (struct nlattr *)(void *)(r->bytes + r->h.nlmsg_len);

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	if (len > 0)
		memcpy((char *)a + NLA_HDRLEN, data, len);
	r->h.nlmsg_len += (uint32_t)NLA_ALIGN(a->nla_len);
	return a;
}

static struct nlattr *
begin_nest(struct request *r, uint16_t type)
{
	return put(r, type | NLA_F_NESTED, NULL, 0);
}

static void
end_nest(const struct request *r, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)(r->bytes + r->h.nlmsg_len - (const char *)nest);
}

/* What is left of a list of attributes. */
struct attrs {
	const char *at;
	size_t len;
};

/* The next one, or NULL; its contents in @data. */
static const struct nlattr *
next(struct attrs *list, struct attrs *data)
{
	const struct nlattr *a = (const struct nlattr *)(const void *)list->at;
	size_t step;

	if (list->len < NLA_HDRLEN || a->nla_len < NLA_HDRLEN || a->nla_len > list->len)
		return NULL;
	data->at = list->at + NLA_HDRLEN;
	data->len = a->nla_len - (size_t)NLA_HDRLEN;
	step = NLA_ALIGN(a->nla_len);
	step = step < list->len ? step : list->len;
	list->at += step;
	list->len -= step;
	return a;
}

/*
 * Nobody sends to the socket but the kernel its answers, and these within the call. Return: 0 with
 * the attributes, none if it only says yes; or negative errno.
 */
static int
ask(int fd, const struct request *r, struct attrs *out)
{
	const struct nlmsghdr *h = &answer.h;
	const struct nlmsgerr *e = NLMSG_DATA(h);
	ssize_t n;

	if (send(fd, r, r->h.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, &answer, sizeof(answer), MSG_TRUNC);
	if (n < 0)
		return -errno;
	if ((size_t)n > sizeof(answer) || !NLMSG_OK(h, (size_t)n))
		return -EPROTO;
	out->len = 0;
	if (h->nlmsg_type == NLMSG_ERROR)
		return h->nlmsg_len >= NLMSG_LENGTH(sizeof(*e)) ? e->error : -EPROTO;
	if (h->nlmsg_type != r->h.nlmsg_type || h->nlmsg_len < HDR_LEN)
		return -EPROTO;
	out->at = answer.bytes + HDR_LEN;
	out->len = h->nlmsg_len - (size_t)HDR_LEN;
	return 0;
}

/* --- the family --- */

static int
find_family(struct unm_features *f)
{
	struct attrs list, data;
	const struct nlattr *a;
	struct request r;
	int ret;

	begin(&r, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, 0);
	put(&r, CTRL_ATTR_FAMILY_NAME, ETHTOOL_GENL_NAME, sizeof(ETHTOOL_GENL_NAME));
	ret = ask(f->fd, &r, &list);
	if (ret < 0)
		return ret == -ENOENT ? -ENOPROTOOPT : ret;
	while ((a = next(&list, &data)) != NULL) {
		if (a->nla_type == CTRL_ATTR_FAMILY_ID && data.len >= sizeof(f->family)) {
			memcpy(&f->family, data.at, sizeof(f->family));
			return 0;
		}
	}
	return -EPROTO;
}

int
unm_features_open(struct unm_features *f)
{
	int ret;

	f->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_GENERIC);
	if (f->fd < 0)
		return errno == EPROTONOSUPPORT ? -ENOPROTOOPT : -errno;
	ret = find_family(f);
	if (ret < 0)
		unm_features_close(f);
	return ret;
}

int
unm_features_open_beside(int sock, struct unm_features *f)
{
	const int home = unm_netns_enter_of_socket(sock);
	int ret;

	if (home < 0)
		return home;
	ret = unm_features_open(f);
	unm_netns_leave(home);
	return ret;
}

void
unm_features_close(struct unm_features *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* --- the features --- */

static void
put_interface(struct request *r, uint32_t ifindex)
{
	struct nlattr *nest = begin_nest(r, ETHTOOL_A_FEATURES_HEADER);
	const uint32_t flags = ETHTOOL_FLAG_OMIT_REPLY;

	put(r, ETHTOOL_A_HEADER_DEV_INDEX, &ifindex, sizeof(ifindex));
	if (r->h.nlmsg_flags & NLM_F_ACK)
		put(r, ETHTOOL_A_HEADER_FLAGS, &flags, sizeof(flags));
	end_nest(r, nest);
}

static uint32_t
bit_named(const struct unm_feature_names *names, struct attrs bit)
{
	const struct nlattr *a;
	struct attrs data;
	uint32_t i;

	while ((a = next(&bit, &data)) != NULL) {
		if (a->nla_type != ETHTOOL_A_BITSET_BIT_NAME)
			continue;
		for (i = 0; i < names->n; i++) {
			const size_t n = strlen(names->name[i]) + 1;

			if (data.len >= n && memcmp(data.at, names->name[i], n) == 0)
				return 1u << i;
		}
	}
	return 0;
}

/* Of a set that is told as a list of those that are in it. */
static uint32_t
bits_in(const struct unm_feature_names *names, struct attrs set)
{
	struct attrs bits, bit;
	const struct nlattr *a;
	uint32_t found = 0;

	while ((a = next(&set, &bits)) != NULL) {
		if ((a->nla_type & NLA_TYPE_MASK) != ETHTOOL_A_BITSET_BITS)
			continue;
		while (next(&bits, &bit) != NULL)
			found |= bit_named(names, bit);
	}
	return found;
}

int
unm_features_get(const struct unm_features *f, uint32_t ifindex,
	const struct unm_feature_names *names, uint32_t *on, uint32_t *changeable)
{
	uint32_t available = 0, fixed = 0;
	struct attrs list, set;
	const struct nlattr *a;
	struct request r;
	int ret;

	*on = *changeable = 0;
	begin(&r, f->family, ETHTOOL_MSG_FEATURES_GET, ETHTOOL_GENL_VERSION, 0);
	put_interface(&r, ifindex);
	ret = ask(f->fd, &r, &list);
	if (ret < 0)
		return ret;
	while ((a = next(&list, &set)) != NULL) {
		switch (a->nla_type & NLA_TYPE_MASK) {
		case ETHTOOL_A_FEATURES_HW:
			available = bits_in(names, set);
			break;
		case ETHTOOL_A_FEATURES_ACTIVE:
			*on = bits_in(names, set);
			break;
		case ETHTOOL_A_FEATURES_NOCHANGE:
			fixed = bits_in(names, set);
			break;
		default:
			break;
		}
	}
	*changeable = available & ~fixed;
	return 0;
}

int
unm_features_set(const struct unm_features *f, uint32_t ifindex,
	const struct unm_feature_names *names, uint32_t which, bool is_on)
{
	struct nlattr *wanted, *bits, *bit;
	struct attrs none;
	struct request r;
	uint32_t i;

	begin(&r, f->family, ETHTOOL_MSG_FEATURES_SET, ETHTOOL_GENL_VERSION, NLM_F_ACK);
	put_interface(&r, ifindex);
	wanted = begin_nest(&r, ETHTOOL_A_FEATURES_WANTED);
	bits = begin_nest(&r, ETHTOOL_A_BITSET_BITS);
	for (i = 0; i < names->n && i < UNM_FEATURES_MAX; i++) {
		if (!(which & 1u << i))
			continue;
		bit = begin_nest(&r, ETHTOOL_A_BITSET_BITS_BIT);
		put(&r, ETHTOOL_A_BITSET_BIT_NAME, names->name[i],
			strnlen(names->name[i], NAME_MAX_LEN - 1) + 1);
		if (is_on)
			put(&r, ETHTOOL_A_BITSET_BIT_VALUE, NULL, 0);
		end_nest(&r, bit);
	}
	end_nest(&r, bits);
	end_nest(&r, wanted);
	return ask(f->fd, &r, &none);
}
