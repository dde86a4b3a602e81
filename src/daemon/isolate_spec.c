/* SPDX-License-Identifier: BSD-2-Clause */
/* The words that make an isolate. See isolate_spec.h. */
#include "daemon/isolate_spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MODE 0600
#define NOBODY	     ((uid_t)-1)

#define NAME_CHARS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

int
unm_isolate_spec_init(struct unm_isolate_spec *s, const char *name, char *why)
{
	const size_t len = strlen(name);

	memset(s, 0, sizeof(*s));
	if (len == 0 || len >= sizeof(s->name) || strspn(name, NAME_CHARS) != len) {
		snprintf(why, UNM_POLICY_WHY_SIZE,
			"the name must have 1 to %zu letters, digits, - or _", sizeof(s->name) - 1);
		return -EINVAL;
	}
	memcpy(s->name, name, len + 1);
	s->uid = NOBODY;
	s->gid = (gid_t)-1;
	s->mode = DEFAULT_MODE;
	unm_policy_defaults(&s->policy);
	return 0;
}

static int
set_path(struct unm_isolate_spec *s, const char *value, char *why)
{
	const size_t len = strlen(value);
	size_t i;

	for (i = 0; i < len && (unsigned char)value[i] > ' ' && value[i] != 0x7f; i++)
		continue;
	if (value[0] != '/' || i < len || len < 2 || len >= sizeof(s->path) - 3) {
		snprintf(why, UNM_POLICY_WHY_SIZE,
			"socket: an absolute path of at most %zu bytes, without blanks, is needed",
			sizeof(s->path) - 4);
		return -EINVAL;
	}
	memcpy(s->path, value, len + 1);
	return 0;
}

static int
set_owner(struct unm_isolate_spec *s, const char *value, char *why)
{
	unsigned int uid, gid;
	int n = 0;

	if (value[0] < '0' || value[0] > '9' || sscanf(value, "%u:%u%n", &uid, &gid, &n) != 2 ||
		value[n] != '\0' || uid == NOBODY || gid == NOBODY) {
		snprintf(why, UNM_POLICY_WHY_SIZE, "owner: UID:GID is needed, both numbers");
		return -EINVAL;
	}
	s->uid = uid;
	s->gid = gid;
	return 0;
}

static int
set_mode(struct unm_isolate_spec *s, const char *value, char *why)
{
	char *end;
	const unsigned long v = strtoul(value, &end, 8);

	if (value[0] < '0' || value[0] > '7' || *end != '\0' || v > 0777) {
		snprintf(why, UNM_POLICY_WHY_SIZE, "mode: an octal number up to 0777 is needed");
		return -EINVAL;
	}
	s->mode = (mode_t)v;
	return 0;
}

static int
take_word(struct unm_isolate_spec *s, const char *word, char *why)
{
	if (strncmp(word, "socket=", 7) == 0)
		return set_path(s, word + 7, why);
	if (strncmp(word, "owner=", 6) == 0)
		return set_owner(s, word + 6, why);
	if (strncmp(word, "mode=", 5) == 0)
		return set_mode(s, word + 5, why);
	return unm_policy_word(&s->policy, word, why);
}

/* Of the words that can be given once only; 0: of no such. */
static uint32_t
bit_of(const char *word)
{
	static const char *const once[] = {
		"socket=", "owner=", "mode=", "ports=", "clients=", "memory=", "rate="};
	size_t i;

	for (i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		if (strncmp(word, once[i], strlen(once[i])) == 0)
			return UINT32_C(1) << i;
	}
	return 0;
}

int
unm_isolate_spec_word(struct unm_isolate_spec *s, const char *word, char *why)
{
	const uint32_t bit = bit_of(word);
	int ret;

	if (s->given & bit) {
		snprintf(why, UNM_POLICY_WHY_SIZE, "%.*s is given twice", (int)strcspn(word, "="),
			word);
		return -EINVAL;
	}
	ret = take_word(s, word, why);
	if (ret == 0)
		s->given |= bit;
	return ret;
}

int
unm_isolate_spec_check(const struct unm_isolate_spec *s, char *why)
{
	const char *missing = s->path[0] == '\0'       ? "socket=PATH"
			      : s->policy.n_allow == 0 ? "allow=PATTERN"
						       : NULL;

	if (missing == NULL)
		return 0;
	snprintf(why, UNM_POLICY_WHY_SIZE, "isolate %s: %s is needed", s->name, missing);
	return -EINVAL;
}

size_t
unm_isolate_spec_format(const struct unm_isolate_spec *s, char end, char *out, size_t size)
{
	size_t at = (size_t)snprintf(
		out, size, "socket=%s%cmode=%04o%c", s->path, end, (unsigned int)s->mode, end);

	if (s->uid != NOBODY)
		at += (size_t)snprintf(out + at, size - at, "owner=%u:%u%c", (unsigned int)s->uid,
			(unsigned int)s->gid, end);
	return at + unm_policy_format(&s->policy, end, out + at, size - at);
}
