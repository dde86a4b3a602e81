/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of a policy, and what they allow. See policy.h. */
#include "isolate/policy.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NETMAP_PREFIX	"netmap:"
#define VALE_PREFIX	"vale"
#define DEFAULT_PORTS	16u
#define DEFAULT_CLIENTS 64u
#define DEFAULT_MEMORY	(UINT64_C(256) << 20)

struct limit {
	const char *key;
	size_t offset;	      /* in struct unm_policy */
	bool is_wide;	      /* 64 bits */
	const char *suffixes; /* each one more power of @unit */
	uint32_t unit;
	uint64_t min, max;
};

#define FIELD(f) offsetof(struct unm_policy, f)

static const struct limit limits[] = {
	{"ports", FIELD(max_ports), false, "", 1, 1, 1024},
	{"clients", FIELD(max_clients), false, "", 1, 1, 1024},
	{"memory", FIELD(max_memory), true, "KMGT", 1024, UINT64_C(1) << 20, UINT64_C(1) << 44},
	{"rate", FIELD(rate_pps), true, "kMG", 1000, 0, UINT64_C(1000000000)},
};

void
unm_policy_defaults(struct unm_policy *p)
{
	memset(p, 0, sizeof(*p));
	p->max_ports = DEFAULT_PORTS;
	p->max_clients = DEFAULT_CLIENTS;
	p->max_memory = DEFAULT_MEMORY;
}

static int
add_pattern(struct unm_policy *p, const char *value, char *why)
{
	const char *c;

	for (c = value; *c > ' ' && *c < 0x7f; c++)
		continue;
	if (c == value || *c != '\0' || (size_t)(c - value) >= UNM_POLICY_NAME_SIZE) {
		snprintf(why, UNM_POLICY_WHY_SIZE,
			"allow: a name or pattern of 1 to %u visible characters is needed, like "
			"vale0:*",
			UNM_POLICY_NAME_SIZE - 1);
		return -EINVAL;
	}
	if (p->n_allow == UNM_POLICY_MAX_ALLOW) {
		snprintf(why, UNM_POLICY_WHY_SIZE, "allow: at most %u patterns can be given",
			UNM_POLICY_MAX_ALLOW);
		return -EINVAL;
	}
	memcpy(p->allow[p->n_allow++], value, (size_t)(c - value) + 1);
	return 0;
}

/* A whole number, and maybe one letter after it. Return: false if it is none, or out of range. */
static bool
parse_number(const struct limit *l, const char *text, uint64_t *out)
{
	const char *suffix;
	unsigned long long v;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno != 0)
		return false;
	if (*end != '\0') {
		suffix = strchr(l->suffixes, *end);
		if (suffix == NULL || end[1] != '\0')
			return false;
		for (; suffix >= l->suffixes; suffix--) /* at most four */
			if (__builtin_mul_overflow(v, (unsigned long long)l->unit, &v))
				return false;
	}
	*out = v;
	return v >= l->min && v <= l->max;
}

static int
set_limit(struct unm_policy *p, const struct limit *l, const char *value, char *why)
{
	char *field = (char *)p + l->offset;
	uint64_t v;

	if (!parse_number(l, value, &v)) {
		snprintf(why, UNM_POLICY_WHY_SIZE,
			"%s: a whole number from %" PRIu64 " to %" PRIu64 " is needed%s%s", l->key,
			l->min, l->max, l->suffixes[0] != '\0' ? ", or with one of " : "",
			l->suffixes);
		return -EINVAL;
	}
	if (l->is_wide)
		*(uint64_t *)(void *)field = v;
	else
		*(uint32_t *)(void *)field = (uint32_t)v;
	return 0;
}

int
unm_policy_word(struct unm_policy *p, const char *word, char *why)
{
	const char *eq = strchr(word, '=');
	const size_t len = eq != NULL ? (size_t)(eq - word) : 0;
	size_t i;

	if (len == 5 && memcmp(word, "allow", len) == 0)
		return add_pattern(p, eq + 1, why);
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (len == strlen(limits[i].key) && memcmp(word, limits[i].key, len) == 0)
			return set_limit(p, &limits[i], eq + 1, why);
	}
	snprintf(why, UNM_POLICY_WHY_SIZE,
		"allow=PATTERN, ports=N, clients=N, memory=BYTES or rate=PPS is expected");
	return -EINVAL;
}

int
unm_policy_words(struct unm_policy *p, const char *text, size_t len, char *why)
{
	size_t at = 0;
	int err = 0;

	if (len > 0 && text[len - 1] != '\0') {
		snprintf(why, UNM_POLICY_WHY_SIZE, "the policy is cut off");
		return -EINVAL;
	}
	while (err == 0 && at < len) { /* each round takes at least the NUL */
		err = unm_policy_word(p, text + at, why);
		at += strlen(text + at) + 1;
	}
	return err;
}

size_t
unm_policy_format(const struct unm_policy *p, char end, char *out, size_t size)
{
	size_t at = 0;
	uint32_t i;

	for (i = 0; i < p->n_allow; i++)
		at += (size_t)snprintf(out + at, size - at, "allow=%s%c", p->allow[i], end);
	at += (size_t)snprintf(out + at, size - at,
		"ports=%u%cclients=%u%cmemory=%" PRIu64 "%crate=%" PRIu64 "%c", p->max_ports, end,
		p->max_clients, end, p->max_memory, end, p->rate_pps, end);
	return at;
}

static bool
begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool
unm_policy_is_interface(const char *name)
{
	return !begins_with(name, VALE_PREFIX) && strpbrk(name, "{}") == NULL;
}

bool
unm_policy_has_path(const char *name)
{
	return !unm_policy_is_interface(name) && strpbrk(name, "%/") != NULL;
}

/*
 * Is @name, which has no prefix, one of @pattern's? With "netmap:" that one speaks of pipes, and of
 * switches only if it spells "vale": netmap:* is for all pipes.
 */
static bool
matches(const char *pattern, const char *name)
{
	if (unm_policy_has_path(name))
		return false;
	if (begins_with(pattern, NETMAP_PREFIX)) {
		pattern += strlen(NETMAP_PREFIX);
		if (begins_with(name, VALE_PREFIX) && strpbrk(name, "{}") == NULL &&
			!begins_with(pattern, VALE_PREFIX))
			return false;
	}
	return fnmatch(pattern, name, FNM_NOESCAPE) == 0;
}

/* Where the letters of a pattern for monitors begin: PATTERN/r, /t, /rt, /tr. NULL: it is none. */
static const char *
monitor_letters(const char *pattern)
{
	const char *slash = strrchr(pattern, '/');
	size_t len;

	if (slash == NULL)
		return NULL;
	len = strspn(slash + 1, "rt");
	return len > 0 && slash[1 + len] == '\0' ? slash + 1 : NULL;
}

bool
unm_policy_allows(const struct unm_policy *p, const char *name)
{
	uint32_t i;

	for (i = 0; i < p->n_allow; i++)
		if (monitor_letters(p->allow[i]) == NULL && matches(p->allow[i], name))
			return true;
	return false;
}

bool
unm_policy_names(const struct unm_policy *p, const char *name, const char *suffix)
{
	char exactly[2 * UNM_POLICY_NAME_SIZE];
	uint32_t i;

	snprintf(exactly, sizeof(exactly), NETMAP_PREFIX "%.*s%s", (int)UNM_POLICY_NAME_SIZE, name,
		suffix);
	for (i = 0; i < p->n_allow; i++)
		if (strcmp(p->allow[i], exactly) == 0)
			return true;
	return false;
}

bool
unm_policy_allows_monitor(const struct unm_policy *p, const char *name, const char *letters)
{
	char pattern[UNM_POLICY_NAME_SIZE];
	uint32_t i;

	for (i = 0; i < p->n_allow; i++) {
		const char *seen = monitor_letters(p->allow[i]);

		if (seen == NULL || strspn(letters, seen) != strlen(letters))
			continue;
		snprintf(pattern, sizeof(pattern), "%.*s", (int)(seen - 1 - p->allow[i]),
			p->allow[i]);
		if (matches(pattern, name))
			return true;
	}
	return false;
}
