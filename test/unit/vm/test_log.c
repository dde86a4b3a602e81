/* SPDX-License-Identifier: BSD-2-Clause */
/* The limit of log lines: each NIC has its own, its rings share it, and what is left out is counted. */
#include "vm/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "vm/event_fd.h"

#define FLOOD	   1000
#define LINES_ROOM 200 /* the flood's 20, one a second while this runs, and the others */
#define MANY_NAMES 300

static char lines[LINES_ROOM][400];
static unsigned int n_lines;

/* Not used: lines go to keep_line(). */
int
unm_event_write_line(int fd, const char *line, size_t len)
{
	(void)fd;
	(void)line;
	(void)len;
	return 0;
}

static void
keep_line(void *arg, const char *line)
{
	(void)arg;
	if (n_lines < LINES_ROOM)
		snprintf(lines[n_lines], sizeof(lines[0]), "%s", line);
	n_lines++;
}

static int
set_up(void **state)
{
	(void)state;
	n_lines = 0;
	unm_vm_set_log(keep_line, NULL);
	return 0;
}

static void
flood(const char *name)
{
	unsigned int i;

	for (i = 0; i < FLOOD; i++)
		unm_vm_log(name, "number %u", i);
}

static void
others_are_heard(void **state)
{
	unsigned int n;

	(void)state;
	flood("vale0:loud");
	assert_in_range(n_lines, 20, 30);
	n = n_lines;
	unm_vm_log("vale0:quiet", "a reason");
	assert_int_equal(n_lines, n + 1);
	assert_string_equal(lines[n], "vale0:quiet: a reason");
	unm_vm_log("vale0:lou", "a reason"); /* begins as the other does */
	assert_int_equal(n_lines, n + 2);
}

static void
rings_are_their_nics(void **state)
{
	unsigned int n;

	(void)state;
	flood("vale0:r ring 1");
	n = n_lines;
	flood("vale0:r");
	flood("vale0:r ring 2");
	assert_in_range(n_lines, n, n + 10);
}

/* What was left out is said by the next line of that NIC, under the NIC's name. */
static void
left_out_is_attributed(void **state)
{
	const struct timespec pause = {.tv_nsec = 50000000};
	unsigned int n, i, left_out = 0;

	(void)state;
	flood("vale0:c ring 0");
	n = n_lines;
	unm_vm_log("vale0:d", "first");
	assert_string_equal(lines[n], "vale0:d: first");
	for (i = 0; i < 100 && n_lines < n + 3; i++) {
		nanosleep(&pause, NULL);
		unm_vm_log("vale0:c", "again");
	}
	assert_true(n_lines >= n + 3);
	assert_int_equal(sscanf(lines[n + 1], "vale0:c: %u messages left out", &left_out), 1);
	assert_in_range(left_out, FLOOD - 30, FLOOD + 100);
	assert_string_equal(lines[n + 2], "vale0:c: again");
}

/* More names than there can be NICs: limited together. */
static void
many_names(void **state)
{
	unsigned int i;
	char name[32];

	(void)state;
	for (i = 0; i < MANY_NAMES; i++) {
		snprintf(name, sizeof(name), "vale1:%u", i);
		unm_vm_log(name, "here");
	}
	assert_in_range(n_lines, 60, 100);
	memset(lines, 0, sizeof(lines));
	n_lines = 0;
	unm_vm_log("vale1:0", "again");
	assert_string_equal(lines[0], "vale1:0: again");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(others_are_heard, set_up),
		cmocka_unit_test_setup(rings_are_their_nics, set_up),
		cmocka_unit_test_setup(left_out_is_attributed, set_up),
		cmocka_unit_test_setup(many_names, set_up), /* last: it uses up all names */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
