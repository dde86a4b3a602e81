/* SPDX-License-Identifier: BSD-2-Clause */
/* Log lines and reasons. See log.h. The state here belongs to netmapd's only thread. */
/* Syscalls: socket connect sendto openat */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define PEER_BURST 20

static bool log_to_syslog;
static int log_max_level = LOG_INFO;

static struct {
	time_t last;
	unsigned int credit;
	unsigned int n_dropped;
} peer_limit = {.credit = PEER_BURST};

static void
make_printable(char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
			*s = '?';
	}
}

const char *
unm_printable(char *dst, size_t size, const char *src)
{
	snprintf(dst, size, "%s", src);
	make_printable(dst);
	return dst;
}

int
unm_fail(struct unm_reason *why, int error, const char *fmt, ...)
{
	va_list ap;

	if (why == NULL)
		return error;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	make_printable(why->text);
	return error;
}

void
unm_log_open(bool use_syslog, int max_level)
{
	log_to_syslog = use_syslog;
	log_max_level = max_level;
	if (use_syslog)
		openlog("netmapd", LOG_PID, LOG_DAEMON);
}

static void
log_line(int level, const char *fmt, va_list ap)
{
	char line[400];

	if (level > log_max_level)
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	make_printable(line);
	if (log_to_syslog)
		syslog(level, "%s", line);
	else
		fprintf(stderr, "netmapd: %s\n", line);
}

void
unm_log(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(level, fmt, ap);
	va_end(ap);
}

void
unm_log_peer(int level, const char *fmt, ...)
{
	const time_t now = time(NULL);
	va_list ap;

	if (now != peer_limit.last) {
		if (peer_limit.n_dropped > 0)
			unm_log(LOG_NOTICE, "%u similar lines about clients left out",
				peer_limit.n_dropped);
		peer_limit.n_dropped = 0;
		if (peer_limit.credit < PEER_BURST)
			peer_limit.credit++;
		peer_limit.last = now;
	}
	if (peer_limit.credit == 0) {
		peer_limit.n_dropped++;
		return;
	}
	peer_limit.credit--;
	va_start(ap, fmt);
	log_line(level, fmt, ap);
	va_end(ap);
}
