/* SPDX-License-Identifier: BSD-2-Clause */
/* Limited log lines. See log.h. */
#include "vm/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vm/event_fd.h"

#define LINE_SIZE 320
#define BURST	  20
#define NAME_SIZE 80
#define N_BUCKETS 65 /* NICs of a process, and one for others */

static unm_vm_log_fn *log_fn;
static void *log_arg;

/*
 * What one name may still say: lines that fill up by one a second. One bucket for each NIC, so that
 * the front end of one can't hide what another has to say. Names come from the command line, so
 * there are no more of them than NICs; should there be, the last bucket is for all of the rest.
 */
struct bucket {
	char name[NAME_SIZE]; /* of the NIC; the last bucket's: "others" */
	unsigned int tokens;
	unsigned int n_dropped;
	time_t filled_at;
};

static struct bucket buckets[N_BUCKETS];
static unsigned int n_buckets;

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

/* That of the NIC: a ring's name is its NIC's and something after a space. */
static struct bucket *
find_bucket(const char *name)
{
	const size_t all = strcspn(name, " ");
	const size_t len = all < NAME_SIZE ? all : NAME_SIZE - 1;
	struct bucket *b;
	unsigned int i;

	for (i = 0; i < n_buckets; i++) {
		b = &buckets[i];
		if (i == N_BUCKETS - 1 || (memcmp(b->name, name, len) == 0 && b->name[len] == '\0'))
			return b;
	}
	b = &buckets[n_buckets++];
	*b = (struct bucket){.tokens = BURST};
	if (n_buckets == N_BUCKETS)
		strcpy(b->name, "others");
	else
		memcpy(b->name, name, len);
	return b;
}

static bool
take_token(struct bucket *b)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > b->filled_at) {
		const time_t fresh = now.tv_sec - b->filled_at;

		b->tokens = fresh >= BURST || b->tokens + (unsigned int)fresh > BURST
				    ? BURST
				    : b->tokens + (unsigned int)fresh;
		b->filled_at = now.tv_sec;
	}
	if (b->tokens == 0)
		return false;
	b->tokens--;
	return true;
}

void
unm_vm_log(const char *name, const char *fmt, ...)
{
	struct bucket *b = find_bucket(name);
	char line[LINE_SIZE];
	va_list ap;
	int n;

	if (!take_token(b)) {
		b->n_dropped++;
		return;
	}
	if (b->n_dropped > 0) {
		snprintf(line, sizeof(line), "%s: %u messages left out", b->name, b->n_dropped);
		if (put_line(line))
			b->n_dropped = 0;
	}
	n = snprintf(line, sizeof(line), "%s: ", name);
	if (n < 0 || (size_t)n >= sizeof(line))
		return;
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	if (!put_line(line))
		b->n_dropped++;
}
