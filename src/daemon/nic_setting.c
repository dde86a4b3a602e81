/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the administrator wants of interfaces (nmctl set, netmapd.conf), and the one question that is
 * asked back: whoever works on a machine over the network should not lose it by a typing error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/nic.h"
#include "daemon/uplink.h"

#define LINE	      "interface %s %s %s\n"
#define AS_CONFIGURED "-"
#define SETTINGS_MAX  256u /* all are in the state file, which is written often */

static struct unm_nic_setting *
find(const struct unm_domain *dom, const char *name)
{
	struct unm_nic_setting *s;

	for (s = dom->nic_settings; s != NULL; s = s->next) {
		if (strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

bool
unm_nic_same_name(const char *a, const char *b)
{
	struct unm_netns_id a_ns, b_ns;
	struct unm_name an, bn;

	if (unm_name_parse(a, &an, NULL) < 0 || unm_name_parse(b, &bn, NULL) < 0 ||
		an.kind != UNM_NAME_PLAIN || bn.kind != UNM_NAME_PLAIN)
		return false;
	if (strcmp(an.full, bn.full) == 0)
		return true; /* wherever that is */
	return strcmp(an.ifname, bn.ifname) == 0 && unm_netns_id(an.netns, &a_ns) == 0 &&
	       unm_netns_id(bn.netns, &b_ns) == 0 && unm_netns_same(&a_ns, &b_ns);
}

static int
mode_of(const struct unm_nic_setting *s)
{
	return s->mode;
}

static int
uplink_of(const struct unm_nic_setting *s)
{
	return s->may_take_uplink;
}

/* What is set for @name, or for its interface by another name; negative: nothing. */
static int
look_up(const struct unm_domain *dom, const char *name,
	int (*what)(const struct unm_nic_setting *s))
{
	const struct unm_nic_setting *s = find(dom, name);

	if (s != NULL && what(s) >= 0)
		return what(s);
	for (s = dom->nic_settings; s != NULL; s = s->next) {
		if (what(s) >= 0 && unm_nic_same_name(s->name, name))
			return what(s);
	}
	return -1;
}

static int
find_or_make(struct unm_domain *dom, const char *name, struct unm_nic_setting **out,
	struct unm_reason *why)
{
	struct unm_nic_setting *s;
	uint32_t n = 0;

	*out = find(dom, name);
	if (*out != NULL)
		return 0;
	for (s = dom->nic_settings; s != NULL; s = s->next)
		n++;
	if (n >= SETTINGS_MAX)
		return unm_fail(why, -ENOSPC,
			"there are settings for %u interfaces, the limit: nmctl set IF "
			"mode " UNM_NIC_DEFAULT " (and uplink " UNM_NIC_DEFAULT ") forgets one",
			n);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->mode = -1;
	s->may_take_uplink = -1;
	s->next = dom->nic_settings;
	dom->nic_settings = s;
	*out = s;
	return 0;
}

static void
forget_unset(struct unm_domain *dom)
{
	struct unm_nic_setting **pp = &dom->nic_settings, *s;

	while ((s = *pp) != NULL) {
		if (s->mode >= 0 || s->may_take_uplink >= 0) {
			pp = &s->next;
			continue;
		}
		*pp = s->next;
		free(s);
	}
}

/* Return: what @value means for @key, -1 for "default"; else -EINVAL with the reason. */
static int
parse_value(const char *key, const char *value, int *out, struct unm_reason *why)
{
	*out = -1;
	if (strcmp(value, UNM_NIC_DEFAULT) == 0)
		return 0;
	if (strcmp(key, "mode") == 0) {
		*out = unm_nic_mode_by_name(value);
		if (*out < 0)
			return unm_fail(why, -EINVAL,
				"'%s' is no mode: " UNM_NIC_MODES ", or " UNM_NIC_DEFAULT, value);
		return 0;
	}
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return unm_fail(
			why, -EINVAL, "uplink is yes, no or " UNM_NIC_DEFAULT ", not '%s'", value);
	*out = value[0] == 'y';
	return 0;
}

/* Is it IF-N, ring N of an interface that is there? */
static bool
names_ring(const struct unm_name *n)
{
	const char *dash = strrchr(n->ifname, '-');
	char ifname[UNM_IFNAME_SIZE + 1];
	struct unm_netns_id ns;
	uint32_t ifindex;

	if (dash == NULL || dash[1] == '\0' || dash[1 + strspn(dash + 1, "0123456789")] != '\0')
		return false;
	snprintf(ifname, sizeof(ifname), "%.*s", (int)(dash - n->ifname), n->ifname);
	return unm_netns_interface(n->netns, ifname, &ns, &ifindex) == 0;
}

/* It has what belongs behind a name, where the name alone is asked for. */
static int
has_more(const struct unm_name *n, struct unm_reason *why)
{
	return unm_fail(why, -EINVAL,
		"'%s' is no interface: its name alone is expected, without rings and options",
		n->full);
}

/* A name that nothing has now may be that of an interface to come, unless it looks like more. */
static int
check_absent(const struct unm_name *n, int error, struct unm_reason *why)
{
	if (strpbrk(n->ifname, UNM_NAME_RINGS) != NULL || names_ring(n))
		return has_more(n, why);
	if ((strncmp(n->netns, "pid:", 4) == 0 && error == -EINVAL) ||
		(n->netns[0] != '/' && strpbrk(n->netns, "%" UNM_NAME_RINGS) != NULL &&
			error != -ENODEV))
		return unm_fail(why, -EINVAL, "'%s': there is no network namespace '%s' (%s)",
			n->full, n->netns, unm_netns_hint(n->netns));
	return 0;
}

int
unm_nic_parse_name(const char *raw, struct unm_name *out, bool *is_there, struct unm_reason *why)
{
	struct unm_netns_id ns;
	uint32_t ifindex;
	int ret = unm_name_parse(raw, out, why);

	if (ret < 0)
		return out->kind == UNM_NAME_PLAIN && strpbrk(out->full, "/:") != NULL &&
				       strchr(out->full, '%') == NULL
			       ? has_more(out, why)
			       : ret;
	if (out->kind != UNM_NAME_PLAIN)
		return unm_fail(why, -EINVAL, "'%s' is no network interface", out->full);
	ret = unm_netns_interface(out->netns, out->ifname, &ns, &ifindex);
	*is_there = ret == 0 || ret == -EPERM || ret == -EACCES; /* or nobody knows */
	return *is_there ? 0 : check_absent(out, ret, why);
}

int
unm_nic_set(struct unm_domain *dom, const char *name, const char *key, const char *value,
	bool *is_there, struct unm_reason *why)
{
	const bool is_mode = strcmp(key, "mode") == 0;
	struct unm_nic_setting *s, *each;
	struct unm_name n;
	int wanted = -1, ret = unm_nic_parse_name(name, &n, is_there, why);

	if (ret == 0)
		ret = parse_value(key, value, &wanted, why);
	if (ret == 0)
		ret = find_or_make(dom, n.full, &s, why);
	if (ret < 0)
		return ret;
	for (each = dom->nic_settings; each != NULL; each = each->next) {
		if (each != s && !unm_nic_same_name(each->name, n.full))
			continue;
		if (is_mode)
			each->mode = wanted;
		else
			each->may_take_uplink = wanted;
	}
	forget_unset(dom);
	return 0;
}

void
unm_nic_settings_write(const struct unm_domain *dom, FILE *f)
{
	static const char *const uplink[] = {AS_CONFIGURED, "no", "yes"};
	const struct unm_nic_setting *s;

	for (s = dom->nic_settings; s != NULL; s = s->next)
		fprintf(f, LINE, s->name,
			s->mode < 0 ? AS_CONFIGURED : unm_nic_mode_name((uint32_t)s->mode),
			uplink[s->may_take_uplink + 1]);
}

bool
unm_nic_settings_read(struct unm_domain *dom, const char *line)
{
	char name[UNM_NAME_SIZE], mode[16], uplink[4];
	bool is_there;
	struct unm_reason why;

	if (sscanf(line, "interface %63s %15s %3s", name, mode, uplink) != 3)
		return false;
	if ((strcmp(mode, AS_CONFIGURED) != 0 &&
		    unm_nic_set(dom, name, "mode", mode, &is_there, &why) < 0) ||
		(strcmp(uplink, AS_CONFIGURED) != 0 &&
			unm_nic_set(dom, name, "uplink", uplink, &is_there, &why) < 0))
		unm_log(LOG_WARNING, "what was set for an interface is lost: %s", why.text);
	return true;
}

void
unm_nic_forget_settings(struct unm_domain *dom)
{
	while (dom->nic_settings != NULL) {
		struct unm_nic_setting *s = dom->nic_settings;

		dom->nic_settings = s->next;
		free(s);
	}
}

int
unm_nic_mode_for(const struct unm_domain *dom, const char *name)
{
	const int mode = look_up(dom, name, mode_of);

	return mode >= 0 ? mode : dom->defaults.nic_mode;
}

int
unm_nic_check_uplink(
	const struct unm_domain *dom, const char *name, const char *ifname, struct unm_reason *why)
{
	const int may = look_up(dom, name, uplink_of);
	char route[UNM_IFNAME_SIZE];

	if (may >= 0 ? may > 0 : dom->defaults.nic_may_take_uplink)
		return 0;
	if (strcmp(ifname, "lo") == 0)
		return unm_fail(why, -EPERM,
			"'%s' is what programs of this machine talk to each other by, which would "
			"end. If that is wanted: nmctl set %s uplink yes",
			name, name);
	if (!unm_uplink_is_carried(ifname, route))
		return 0;
	if (strcmp(ifname, route) == 0)
		return unm_fail(why, -EPERM,
			"'%s' has the only default route: what uses it would lose the network. If "
			"that is wanted: nmctl set %s uplink yes",
			name, name);
	return unm_fail(why, -EPERM,
		"'%s' carries %s, which has the only default route. If that is wanted: "
		"nmctl set %s uplink yes",
		name, route, name);
}
