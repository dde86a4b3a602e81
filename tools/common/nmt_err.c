/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of the common parsers: see nmt_err.h. */
#include "nmt_err.h"

#include <stdarg.h>
#include <stdio.h>

int
nmt_err_set(struct nmt_err *err, int error, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return error;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return error;
}
