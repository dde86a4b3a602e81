/* SPDX-License-Identifier: BSD-2-Clause */
/* See memcg.h. */
/* Syscalls: openat read close */
#include "daemon/memcg.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_LIMIT   (UINT64_C(1) << 60) /* version 1 writes a number near 2^63 */
#define LINE_SIZE  4096
#define MAX_LEVELS 64

/* How a version of the hierarchy names its files. */
struct version {
	const char *mounts[2]; /* below /sys/fs/cgroup, in turns */
	const char *limit, *usage, *inactive;
};

static const struct version v1 = {
	{"/memory", NULL}, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
static const struct version v2 = {
	{"", "/unified"}, "memory.max", "memory.current", "inactive_file"};

static FILE *
open_file(const char *dir, const char *name)
{
	char path[PATH_MAX];
	const int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

	return n > 0 && (size_t)n < sizeof(path) ? fopen(path, "re") : NULL;
}

/* Return: false if it has no number ("max"), or is not there. */
static bool
read_number(const char *dir, const char *name, uint64_t *out)
{
	FILE *f = open_file(dir, name);
	unsigned long long n;
	bool ok;

	if (f == NULL)
		return false;
	ok = fscanf(f, "%llu", &n) == 1;
	fclose(f);
	*out = n;
	return ok;
}

/* The number behind @key in memory.stat; 0 if it is not there. */
static uint64_t
read_stat(const char *dir, const char *key)
{
	FILE *f = open_file(dir, "memory.stat");
	char line[LINE_SIZE];
	const size_t len = strlen(key);
	uint64_t n = 0;

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) /* the kernel's, some fifty lines */
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			n = strtoull(line + len + 1, NULL, 10);
	fclose(f);
	return n;
}

static uint64_t
room_in(const char *dir, const struct version *v)
{
	uint64_t limit, usage, idle;

	if (!read_number(dir, v->limit, &limit) || limit >= NO_LIMIT ||
		!read_number(dir, v->usage, &usage))
		return UINT64_MAX;
	idle = read_stat(dir, v->inactive);
	usage -= idle < usage ? idle : usage;
	return usage < limit ? (limit - usage) / 8 * 7 : 0;
}

/* From @path up to the mount itself, which in a container may be all that there is to be seen. */
static uint64_t
room_below(const char *mount, const char *path, const struct version *v)
{
	char dir[PATH_MAX];
	uint64_t least = UINT64_MAX;
	size_t root = strlen(mount);
	int level;

	if (snprintf(dir, sizeof(dir), "%s%s", mount, path) >= (int)sizeof(dir))
		return UINT64_MAX;
	for (level = 0; level < MAX_LEVELS; level++) {
		const uint64_t room = room_in(dir, v);
		char *slash;

		if (room < least)
			least = room;
		slash = strlen(dir) > root ? strrchr(dir + root, '/') : NULL;
		if (slash == NULL)
			break;
		*slash = '\0';
	}
	return least;
}

static uint64_t
room_of(const char *base, const char *path, const struct version *v)
{
	uint64_t least = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < 2 && v->mounts[i] != NULL; i++) {
		char mount[PATH_MAX];
		uint64_t room;

		if (snprintf(mount, sizeof(mount), "%s%s", base, v->mounts[i]) >=
			(int)sizeof(mount))
			continue;
		room = room_below(mount, path, v);
		if (room < least)
			least = room;
	}
	return least;
}

/* Is "memory" one of the controllers that a line names? They are separated by commas. */
static bool
has_memory(const char *controllers, size_t len)
{
	const char *p = controllers, *end = controllers + len;

	while (p < end) { /* each turn takes a name */
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma != NULL ? comma : end;

		if (stop - p == 6 && memcmp(p, "memory", 6) == 0)
			return true;
		p = stop + 1;
	}
	return false;
}

uint64_t
unm_memcg_room_at(const char *proc_file, const char *mount)
{
	FILE *f = fopen(proc_file, "re");
	char line[LINE_SIZE];
	uint64_t least = UINT64_MAX;

	if (f == NULL)
		return least;
	while (fgets(line, sizeof(line), f) != NULL) { /* a line for each hierarchy */
		const char *controllers = strchr(line, ':'), *path;
		uint64_t room = UINT64_MAX;

		path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
		if (path == NULL)
			continue;
		line[strcspn(line, "\n")] = '\0';
		controllers++;
		if (path == controllers)
			room = room_of(mount, path + 1, &v2);
		else if (has_memory(controllers, (size_t)(path - controllers)))
			room = room_of(mount, path + 1, &v1);
		if (room < least)
			least = room;
	}
	fclose(f);
	return least;
}

uint64_t
unm_memcg_room(void)
{
	return unm_memcg_room_at("/proc/self/cgroup", "/sys/fs/cgroup");
}
