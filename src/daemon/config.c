/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading netmapd.conf. See config.h. */
#include "daemon/config.h"

#include <errno.h>
#include <grp.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/nic_probe.h"
#include "shm/socket_dir.h"

enum value_kind {
	VALUE_U32,
	VALUE_U64,
	VALUE_BOOL,
	VALUE_GROUP,
	VALUE_LEVEL,
	VALUE_NIC_MODE,
};

struct key {
	const char *section, *name;
	enum value_kind kind;
	size_t offset; /* in struct unm_config */
	uint64_t min, max;
};

#define FIELD(f)	offsetof(struct unm_config, f)

#define ISOLATE_SECTION "isolate "
#define SECTIONS	"access, limits, vale, nic, daemon or isolate NAME"
#define BOM		"\xef\xbb\xbf" /* some editors begin a file with it */

static const struct key keys[] = {
	{"access", "group", VALUE_GROUP, FIELD(group), 0, 0},
	{"limits", "memory_mib", VALUE_U64, FIELD(memory_mib), 0, UINT64_C(1) << 30},
	{"limits", "clients", VALUE_U32, FIELD(clients), 1, 65000},
	{"limits", "ports", VALUE_U32, FIELD(ports), 0, 1000000},
	{"vale", "slots", VALUE_U32, FIELD(slots), 1, 4096},
	{"vale", "ageing", VALUE_U32, FIELD(ageing_s), 0, UNM_CONFIG_MAX_AGEING_S},
	{"nic", "mode", VALUE_NIC_MODE, FIELD(nic_mode), 0, 0},
	{"nic", "buffers", VALUE_U32, FIELD(nic_buffers), 4096, 1048576},
	{"nic", "busy_poll", VALUE_U32, FIELD(nic_busy_poll_us), 0, 10000},
	{"nic", "uplink", VALUE_BOOL, FIELD(nic_may_take_uplink), 0, 0},
	{"daemon", "huge_pages", VALUE_BOOL, FIELD(use_huge_pages), 0, 0},
	{"daemon", "seccomp", VALUE_BOOL, FIELD(use_seccomp), 0, 0},
	{"daemon", "idle_exit", VALUE_U32, FIELD(idle_exit_s), 0, 86400},
	{"daemon", "log_level", VALUE_LEVEL, FIELD(log_level), 0, 0},
};

/* State of one reading; the parser's callback gets it. */
struct reading {
	struct unm_config *cfg;
	const char *path;
	struct unm_reason *why;
	FILE *file;
	int line;
	struct unm_isolate_spec *isolate;	   /* of the present section, or NULL */
	int isolate_line[UNM_CONFIG_MAX_ISOLATES]; /* where the section of each begins */
	int given[sizeof(keys) /
		  sizeof(keys[0])]; /* in which line each key is; 0: in none so far */
	int error;
};

void
unm_config_defaults(struct unm_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->gid = UNM_CONFIG_GID_NONE;
	cfg->clients = 16384;
	cfg->slots = 1024;
	cfg->ageing_s = 300;
	cfg->nic_buffers = 32768;
	cfg->use_huge_pages = true;
	cfg->use_seccomp = true;
	cfg->idle_exit_s = 10;
	cfg->log_level = LOG_INFO;
}

static int
parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	unsigned long long v;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || v < min || v > max)
		return -EINVAL;
	*out = v;
	return 0;
}

static int
parse_bool(const char *text, bool *out)
{
	if (strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 || strcmp(text, "on") == 0)
		*out = true;
	else if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0 || strcmp(text, "off") == 0)
		*out = false;
	else
		return -EINVAL;
	return 0;
}

static int
parse_level(const char *text, int *out)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {{"error", LOG_ERR}, {"warning", LOG_WARNING}, {"info", LOG_INFO},
		{"debug", LOG_DEBUG}};
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(text, levels[i].name) == 0) {
			*out = levels[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

static int
set_group(struct unm_config *cfg, const char *name)
{
	const struct group *gr = getgrnam(name);

	if (gr == NULL || strlen(name) >= sizeof(cfg->group))
		return -ENOENT;
	snprintf(cfg->group, sizeof(cfg->group), "%s", name);
	cfg->gid = gr->gr_gid;
	return 0;
}

static int
set_value(const struct reading *r, const struct key *k, const char *value)
{
	const int line = r->line;
	char *field = (char *)r->cfg + k->offset;
	uint64_t v;

	switch (k->kind) {
	case VALUE_U32:
	case VALUE_U64:
		if (parse_number(value, k->min, k->max, &v) < 0)
			return unm_fail(r->why, -EINVAL,
				"%s:%d: %s = '%s': a whole number from %llu to %llu is needed",
				r->path, line, k->name, value, (unsigned long long)k->min,
				(unsigned long long)k->max);
		if (k->kind == VALUE_U32)
			*(uint32_t *)(void *)field = (uint32_t)v;
		else
			*(uint64_t *)(void *)field = v;
		return 0;
	case VALUE_BOOL:
		if (parse_bool(value, (bool *)(void *)field) < 0)
			return unm_fail(r->why, -EINVAL, "%s:%d: %s = '%s': yes or no is needed",
				r->path, line, k->name, value);
		return 0;
	case VALUE_GROUP:
		if (set_group(r->cfg, value) < 0)
			return unm_fail(r->why, -EINVAL,
				"%s:%d: there is no group '%s' (groupadd -r %s makes it)", r->path,
				line, value, value);
		return 0;
	case VALUE_LEVEL:
		if (parse_level(value, (int *)(void *)field) < 0)
			return unm_fail(r->why, -EINVAL,
				"%s:%d: log_level = '%s': error, warning, info or debug is needed",
				r->path, line, value);
		return 0;
	case VALUE_NIC_MODE:
		*(int *)(void *)field = unm_nic_mode_by_name(value);
		if (*(int *)(void *)field < 0)
			return unm_fail(r->why, -EINVAL,
				"%s:%d: mode = '%s': " UNM_NIC_MODES " is needed", r->path, line,
				value);
		return 0;
	}
	return -EINVAL;
}

/* Two isolates can't have one socket. */
static int
check_path(const struct unm_config *cfg, const struct unm_isolate_spec *s, char *why)
{
	const struct unm_isolate_spec *other;

	for (other = cfg->isolates; other < cfg->isolates + cfg->n_isolates; other++) {
		if (other == s || !unm_socket_same(other->path, s->path))
			continue;
		snprintf(why, UNM_POLICY_WHY_SIZE, "isolate %s has this socket already",
			other->name);
		return -EINVAL;
	}
	return 0;
}

/* A pair of section [isolate NAME]. */
static int
set_isolate(struct reading *r, const char *key, const char *value)
{
	char word[UNM_POLICY_WHY_SIZE + 256], why[UNM_POLICY_WHY_SIZE];
	int ret;

	snprintf(word, sizeof(word), "%s=%s", key, value);
	ret = unm_isolate_spec_word(r->isolate, word, why);
	if (ret == 0)
		ret = check_path(r->cfg, r->isolate, why);
	return ret < 0 ? unm_fail(r->why, ret, "%s:%d: %s", r->path, r->line, why) : 0;
}

/* Section [isolate NAME] begins: that it does is enough for what it lacks to be missed. */
static int
begin_isolate(struct reading *r, const char *name)
{
	struct unm_config *cfg = r->cfg;
	struct unm_isolate_spec *s = cfg->isolates;
	char why[UNM_POLICY_WHY_SIZE];

	while (s < cfg->isolates + cfg->n_isolates && strcmp(s->name, name) != 0)
		s++;
	if (s < cfg->isolates + cfg->n_isolates)
		return unm_fail(r->why, -EINVAL,
			"%s:%d: there is a section [isolate %s] in line %d already", r->path,
			r->line, name, r->isolate_line[s - cfg->isolates]);
	if (s == cfg->isolates + UNM_CONFIG_MAX_ISOLATES)
		return unm_fail(r->why, -ENOSPC, "%s:%d: at most %u isolates can be configured",
			r->path, r->line, UNM_CONFIG_MAX_ISOLATES);
	if (unm_isolate_spec_init(s, name, why) < 0)
		return unm_fail(r->why, -EINVAL, "%s:%d: %s", r->path, r->line, why);
	r->isolate_line[cfg->n_isolates++] = r->line;
	r->isolate = s;
	return 0;
}

/* A line [SECTION]: the parser tells of none that is empty. */
static int
begin_section(struct reading *r, const char *line)
{
	const size_t len = strcspn(line + 1, "]");
	char name[128];
	size_t i;

	r->isolate = NULL;
	if (line[1 + len] == '\0')
		return unm_fail(
			r->why, -EINVAL, "%s:%d: a section's line ends with a ]", r->path, r->line);
	snprintf(name, sizeof(name), "%.*s", (int)len, line + 1);
	if (strncmp(name, ISOLATE_SECTION, strlen(ISOLATE_SECTION)) == 0)
		return begin_isolate(r, name + strlen(ISOLATE_SECTION));
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(name, keys[i].section) == 0)
			return 0;
	return unm_fail(r->why, -EINVAL,
		"%s:%d: there is no section [%s]: " SECTIONS " is expected", r->path, r->line,
		name);
}

/*
 * Called by the parser for each pair. It goes on after a 0, but only the first error is reported.
 */
static int
on_pair(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	size_t i;

	if (r->error < 0)
		return 0;
	if (r->isolate != NULL) {
		r->error = set_isolate(r, name, value);
		return r->error == 0;
	}
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(section, keys[i].section) != 0 || strcmp(name, keys[i].name) != 0)
			continue;
		r->error = r->given[i] == 0 ? set_value(r, &keys[i], value)
					    : unm_fail(r->why, -EINVAL,
						      "%s:%d: %s is given in line %d already",
						      r->path, r->line, name, r->given[i]);
		r->given[i] = r->line;
		return r->error == 0;
	}
	r->error = unm_fail(r->why, -EINVAL, "%s:%d: there is no key '%s' in section [%s]", r->path,
		r->line, name, section);
	return 0;
}

/*
 * The parser tells its callback neither line numbers nor where a section begins: both are seen
 * where it reads. Leading blanks go, as it would take an indented line for the continuation of the
 * value above. NULL after an error ends it.
 */
static char *
next_line(char *str, int num, void *stream)
{
	struct reading *r = stream;
	size_t skip = 0;

	if (r->error < 0)
		return NULL;
	r->line++;
	if (fgets(str, num, r->file) == NULL) {
		if (ferror(r->file))
			r->error = unm_fail(
				r->why, -errno, "can't read %s: %s", r->path, strerror(errno));
		return NULL;
	}
	if (strchr(str, '\n') == NULL && strlen(str) + 1 >= (size_t)num) {
		r->error = unm_fail(r->why, -EINVAL, "%s:%d: a line has at most %d characters",
			r->path, r->line, num - 2);
		return NULL;
	}
	if (r->line == 1 && strncmp(str, BOM, strlen(BOM)) == 0)
		skip = strlen(BOM);
	skip += strspn(str + skip, " \t");
	memmove(str, str + skip, strlen(str + skip) + 1);
	if (str[0] == '[')
		r->error = begin_section(r, str);
	return r->error == 0 ? str : NULL;
}

int
unm_config_load(struct unm_config *cfg, const char *path, bool must_exist, struct unm_reason *why)
{
	struct reading r = {.cfg = cfg, .path = path, .why = why};
	FILE *f = fopen(path, "re");
	uint32_t i;
	int line;

	if (f == NULL) {
		if (errno == ENOENT && !must_exist)
			return 0;
		return unm_fail(why, -errno, "can't read %s: %s", path, strerror(errno));
	}
	r.file = f;
	line = ini_parse_stream(next_line, &r, on_pair, &r);
	fclose(f);
	if (r.error < 0)
		return r.error;
	if (line != 0)
		return unm_fail(why, -EINVAL,
			"%s:%d: not a section, a comment or a line of the form key = value", path,
			line);
	for (i = 0; i < cfg->n_isolates; i++) {
		char text[UNM_POLICY_WHY_SIZE];

		if (unm_isolate_spec_check(&cfg->isolates[i], text) < 0)
			return unm_fail(why, -EINVAL, "%s:%d: %s", path, r.isolate_line[i], text);
	}
	return 0;
}

int
unm_config_check_socket(const struct unm_config *cfg, const char *path, const char *socket_path,
	struct unm_reason *why)
{
	uint32_t i;

	for (i = 0; i < cfg->n_isolates; i++) {
		if (unm_socket_same(cfg->isolates[i].path, socket_path))
			return unm_fail(why, -EINVAL,
				"%s: isolate %s: %s is netmapd's own socket: give another path",
				path, cfg->isolates[i].name, cfg->isolates[i].path);
	}
	return 0;
}
