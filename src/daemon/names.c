/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking port names apart. See names.h. */
#include "daemon/names.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VALE_PREFIX "vale"
#define TAP_PREFIX  "tap:"

/* Names are shown to others, on terminals too. */
static bool
is_visible(const char *name)
{
	for (; *name != '\0'; name++)
		if ((unsigned char)*name <= ' ' || (unsigned char)*name >= 0x7f)
			return false;
	return true;
}

bool
unm_ifname_ok(const char *name)
{
	const size_t len = strlen(name);

	if (len == 0 || len >= UNM_IFNAME_SIZE || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	return strpbrk(name, "/:") == NULL && is_visible(name);
}

static int
parse_pipe(struct unm_name *n, const char *brace, struct unm_reason *why)
{
	const size_t base_len = (size_t)(brace - n->full);

	n->kind = UNM_NAME_PIPE;
	n->is_master = *brace == '{';
	memcpy(n->base, n->full, base_len);
	n->base[base_len] = '\0';
	snprintf(n->id, sizeof(n->id), "%s", brace + 1);
	if (base_len == 0 || n->id[0] == '\0')
		return unm_fail(why, -EINVAL,
			"'%s': a pipe needs a name before and an id after its brace, like p{1",
			n->full);
	if (strpbrk(n->base, "{}") != NULL)
		return unm_fail(why, -EINVAL, "'%s': a pipe can't be the base of a pipe", n->full);
	return 0;
}

/* Length without the mark of a host's side, which the kernel's own name for its TAP need not have. */
static size_t
without_mark(const char *name, size_t len)
{
	return len > 0 && name[len - 1] == '^' ? len - 1 : len;
}

/*
 * IF or IF%NETNS, by itself or as the port part of a VALE name.
 * @may_be_host: IF^ too, whatever interface's name IF is
 */
static int
parse_tap(struct unm_name *n, const char *name, bool may_be_host, struct unm_reason *why)
{
	const char *percent = strchr(name, '%');
	const size_t len = percent != NULL ? (size_t)(percent - name) : strlen(name);
	const size_t of_if = may_be_host ? without_mark(name, len) : len;
	bool is_ok = of_if < UNM_IFNAME_SIZE;

	if (is_ok) {
		memcpy(n->ifname, name, of_if);
		n->ifname[of_if] = '\0';
		is_ok = unm_ifname_ok(n->ifname);
		memcpy(n->ifname + of_if, name + of_if, len - of_if);
		n->ifname[len] = '\0';
	}
	if (!is_ok)
		return unm_fail(why, -EINVAL,
			"'%s': the interface's name must have 1 to 15 characters without / or :",
			n->full);
	if (percent == NULL)
		return 0;
	snprintf(n->netns, sizeof(n->netns), "%s", percent + 1);
	if (n->netns[0] == '\0' || strstr(n->netns, "..") != NULL)
		return unm_fail(why, -EINVAL,
			"'%s': after %% comes a namespace: its name, a path, or pid:N", n->full);
	return 0;
}

static int
parse_vale(struct unm_name *n, struct unm_reason *why)
{
	const char *colon = strchr(n->full, ':');
	size_t len, i;

	n->kind = UNM_NAME_VALE;
	if (colon == NULL)
		return unm_fail(why, -ENOMEM,
			"'%s': a VALE port is named valeSWITCH:PORT, like vale0:a", n->full);
	len = (size_t)(colon - n->full);
	if (len >= sizeof(n->sw))
		return unm_fail(why, -ENOMEM, "'%s': the switch's name has more than 15 characters",
			n->full);
	for (i = 0; i < len; i++) {
		if (!isalnum((unsigned char)n->full[i]) && n->full[i] != '_')
			return unm_fail(why, -ENOMEM,
				"'%s': a switch's name has letters, digits and _ only", n->full);
	}
	memcpy(n->sw, n->full, len);
	n->sw[len] = '\0';
	snprintf(n->port, sizeof(n->port), "%s", colon + 1);
	if (strncmp(n->port, TAP_PREFIX, strlen(TAP_PREFIX)) == 0)
		return parse_tap(n, n->port + strlen(TAP_PREFIX), true, why);
	if (strchr(n->port, '%') != NULL)
		return parse_tap(n, n->port, true, why);
	len = without_mark(n->port, strlen(n->port));
	if (len == 0 || len > 15)
		return unm_fail(why, -ENOMEM, "'%s': the port's name must have 1 to 15 characters",
			n->full);
	return 0;
}

int
unm_name_parse(const char *raw, struct unm_name *out, struct unm_reason *why)
{
	const char *brace;

	memset(out, 0, sizeof(*out));
	snprintf(out->full, sizeof(out->full), "%.*s", UNM_NAME_SIZE - 1, raw);
	brace = strrchr(out->full, '{');
	if (brace == NULL)
		brace = strrchr(out->full, '}');
	if (!is_visible(out->full))
		return unm_fail(why,
			brace != NULL || strchr(out->full, ':') != NULL ? -EINVAL : -ENXIO,
			"a port's name has visible ASCII characters only, no spaces");
	if (brace != NULL)
		return parse_pipe(out, brace, why);
	if (strncmp(out->full, VALE_PREFIX, strlen(VALE_PREFIX)) == 0)
		return parse_vale(out, why);
	if (strncmp(out->full, TAP_PREFIX, strlen(TAP_PREFIX)) == 0) {
		out->kind = UNM_NAME_TAP;
		return parse_tap(out, out->full + strlen(TAP_PREFIX), true, why);
	}
	out->kind = UNM_NAME_PLAIN;
	if (out->full[0] == '\0')
		return unm_fail(why, -ENXIO, "the port's name is empty");
	if (strchr(out->full, '%') != NULL)
		return parse_tap(out, out->full, false, why);
	if (!unm_ifname_ok(out->full))
		return unm_fail(why, -ENXIO, "'%s': no such interface", out->full);
	memcpy(out->ifname, out->full, strlen(out->full) + 1); /* fits: checked just now */
	return 0;
}
