/* SPDX-License-Identifier: BSD-2-Clause */
/* Other processes. See proc.h. */
/* Syscalls: openat */
#include "daemon/proc.h"

#include <stdio.h>

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
