/* SPDX-License-Identifier: BSD-2-Clause */
/* Other processes. See proc.h. */
/* Syscalls: openat */
#include "daemon/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_SIZE 4096 /* of /proc/PID/status, up to the groups of all but odd processes */

bool
unm_proc_read(pid_t pid, const char *what, char *text, size_t size, size_t *len)
{
	char path[40];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	n = fread(text, 1, size - 1, f);
	fclose(f);
	text[n] = '\0';
	if (len != NULL)
		*len = n;
	return true;
}

/* Is one of the numbers behind @label, on its line of @status, @wanted or @also? */
static bool
line_has(const char *status, const char *label, unsigned long wanted, unsigned long also)
{
	const char *p = strstr(status, label);
	char *end;

	for (p = p != NULL ? p + strlen(label) : ""; *p != '\0' && *p != '\n'; p = end) {
		const unsigned long n = strtoul(p, &end, 10); /* no further than the text */

		if (end == p)
			return false; /* spaces up to the end of the line */
		if (n == wanted || n == also)
			return true;
	}
	return false;
}

bool
unm_proc_may_act_as(pid_t pid, uid_t uid, gid_t gid)
{
	char status[STATUS_SIZE];

	if (!unm_proc_read(pid, "status", status, sizeof(status), NULL) ||
		strstr(status, "\nUid:\t") == NULL)
		return true;
	if (line_has(status, "\nUid:\t", uid, 0))
		return true;
	return gid != (gid_t)-1 && (line_has(status, "\nGid:\t", gid, gid) ||
					   line_has(status, "\nGroups:\t", gid, gid));
}
