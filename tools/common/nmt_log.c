/* SPDX-License-Identifier: BSD-2-Clause */
/* Progress lines: see nmt_log.h. */
#include "nmt_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int verbosity; /* set by main before threads start, read-only afterwards */

void
nmt_log_at(const char *func, int line, const char *fmt, ...)
{
	int saved_errno = errno;
	struct timespec now;
	char text[1100];
	va_list ap;
	int len;
	int n;

	clock_gettime(CLOCK_REALTIME, &now);
	len = snprintf(text, 128, "%03d.%06d %.80s [%d] ", (int)(now.tv_sec % 1000),
		(int)(now.tv_nsec / 1000), func, line);
	va_start(ap, fmt);
	n = vsnprintf(text + len, sizeof(text) - (size_t)len - 1, fmt, ap);
	va_end(ap);
	if (n > 0)
		len += n;
	if (len > (int)sizeof(text) - 2)
		len = (int)sizeof(text) - 2;
	text[len++] = '\n';
	if (write(STDERR_FILENO, text, (size_t)len) < 0) {
		/* Closed, or on a full disk: nobody is left to be told. */
	}
	errno = saved_errno;
}

void
nmt_log_set_verbosity(int level)
{
	verbosity = level;
}

int
nmt_log_verbosity(void)
{
	return verbosity;
}
