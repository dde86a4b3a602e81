/* SPDX-License-Identifier: BSD-2-Clause */
/* Limited log lines. See log.h. */
#include "vm/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define LINE_SIZE 320
#define BURST	  20

static unm_vm_log_fn *log_fn;
static void *log_arg;

/* A bucket of lines that fills by one a second. */
static unsigned int tokens = BURST;
static unsigned int n_dropped;
static time_t filled_at;

void
unm_vm_set_log(unm_vm_log_fn *fn, void *arg)
{
	log_fn = fn;
	log_arg = arg;
}

static void
put_line(const char *line)
{
	if (log_fn != NULL)
		log_fn(log_arg, line);
	else
		fprintf(stderr, "%s\n", line);
}

static int
take_token(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > filled_at) {
		const time_t fresh = now.tv_sec - filled_at;

		tokens = fresh >= BURST || tokens + (unsigned int)fresh > BURST
				 ? BURST
				 : tokens + (unsigned int)fresh;
		filled_at = now.tv_sec;
	}
	if (tokens == 0)
		return 0;
	tokens--;
	return 1;
}

void
unm_vm_log(const char *name, const char *fmt, ...)
{
	char line[LINE_SIZE];
	va_list ap;
	int n;

	if (!take_token()) {
		n_dropped++;
		return;
	}
	if (n_dropped > 0) {
		snprintf(line, sizeof(line), "%s: %u messages left out", name, n_dropped);
		n_dropped = 0;
		put_line(line);
	}
	n = snprintf(line, sizeof(line), "%s: ", name);
	if (n < 0 || (size_t)n >= sizeof(line))
		return;
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	put_line(line);
}
