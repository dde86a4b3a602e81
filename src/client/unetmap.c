/* SPDX-License-Identifier: BSD-2-Clause */
/* What unetmap.h declares: from our convention of errors to that of public functions. */
#include "unetmap.h"

#include <errno.h>

#include "port/trusted.h"

int
unetmap_trust_memory(const void *start, size_t len)
{
	const int err = unm_trusted_add(start, len);

	if (err == 0)
		return 0;
	errno = -err;
	return -1;
}

void
unetmap_distrust_memory(const void *start)
{
	unm_trusted_remove(start);
}
