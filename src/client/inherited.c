/* SPDX-License-Identifier: BSD-2-Clause */
/* The one look at inherited descriptors. See inherited.h. Allocates nothing unless one is ours. */
#include "client/inherited.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/desc.h"

bool unm_inherited_known;

/* Look at one batch of directory entries. */
static void
look_at(const char *entries, size_t len)
{
	size_t at = 0;

	while (at + offsetof(struct dirent64, d_name) < len) { /* advances by d_reclen */
		const struct dirent64 *e = (const struct dirent64 *)(const void *)(entries + at);
		char *end;
		const long fd = strtol(e->d_name, &end, 10);

		if (end != e->d_name && *end == '\0' && unm_fdtab_get((int)fd) == NULL)
			unm_desc_adopt((int)fd);
		if (e->d_reclen == 0)
			break;
		at += e->d_reclen;
	}
}

bool
unm_inherited_look(void)
{
	char entries[2048] __attribute__((aligned(8)));
	const int saved = errno;
	long dir, n;

	__atomic_store_n(&unm_inherited_known, true, __ATOMIC_RELAXED);
	dir = syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		while ((n = syscall(SYS_getdents64, dir, entries, sizeof(entries))) >
			0) /* as many as there are open */
			look_at(entries, (size_t)n);
		syscall(SYS_close, dir);
	}
	errno = saved;
	return unm_fdtab_used;
}
