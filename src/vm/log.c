/* SPDX-License-Identifier: BSD-2-Clause */
/* Limited log lines. See log.h. */
#include "vm/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "vm/event_fd.h"

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

/* Return: false if it can't be written now. */
static bool
put_line(const char *line)
{
	char text[LINE_SIZE + 1];
	int n;

	if (log_fn != NULL) {
		log_fn(log_arg, line);
		return true;
	}
	n = snprintf(text, sizeof(text), "%s\n", line);
	return n > 0 && unm_event_write_line(STDERR_FILENO, text, (size_t)n) != -EAGAIN;
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
		if (put_line(line))
			n_dropped = 0;
	}
	n = snprintf(line, sizeof(line), "%s: ", name);
	if (n < 0 || (size_t)n >= sizeof(line))
		return;
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	if (!put_line(line))
		n_dropped++;
}
