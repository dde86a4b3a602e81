/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: whether a process may still act as a user or a member of a group is told by its real,
 * effective and saved ids and its groups; who can't be seen may.
 */
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/proc.h"

#define SOMEBODY 54321u /* ids that nobody here has */
#define GROUP	 54322u
#define NO_GROUP ((gid_t)-1)

struct ids {
	uid_t real, effective, saved;
	gid_t extra; /* a group; NO_GROUP: none */
};

/* A child with these ids, which waits to be killed. */
static pid_t
child_as(const struct ids *ids)
{
	int ready[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (setgroups(ids->extra != NO_GROUP, &ids->extra) == 0 &&
			setresgid(SOMEBODY, SOMEBODY, SOMEBODY) == 0 &&
			setresuid(ids->real, ids->effective, ids->saved) == 0)
			(void)!write(ready[1], &c, 1);
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static bool
may(const struct ids *ids, uid_t uid, gid_t gid)
{
	const pid_t pid = child_as(ids);
	const bool may_act = unm_proc_may_act_as(pid, uid, gid);

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return may_act;
}

static void
ids_count(void **state)
{
	static const struct ids nobody = {SOMEBODY, SOMEBODY, SOMEBODY, NO_GROUP};
	static const struct ids real = {0, SOMEBODY, SOMEBODY, NO_GROUP};
	static const struct ids effective = {SOMEBODY, 0, SOMEBODY, NO_GROUP};
	static const struct ids saved = {SOMEBODY, SOMEBODY, 0, NO_GROUP};
	static const struct ids member = {SOMEBODY, SOMEBODY, SOMEBODY, GROUP};

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_false(may(&nobody, 1, NO_GROUP));
	assert_false(may(&nobody, 1, GROUP));
	assert_true(may(&nobody, SOMEBODY, NO_GROUP));
	assert_true(may(&nobody, 1, SOMEBODY));
	assert_true(may(&real, 1, NO_GROUP));
	assert_true(may(&effective, 1, NO_GROUP));
	assert_true(may(&saved, 1, NO_GROUP));
	assert_true(may(&member, 1, GROUP));
	assert_false(may(&member, 1, NO_GROUP));
	assert_false(may(&member, 1, GROUP + 1));
}

static void
unseen(void **state)
{
	(void)state;
	assert_true(unm_proc_may_act_as(0x7fffffff, 1, NO_GROUP));
	assert_true(unm_proc_may_act_as(getpid(), geteuid(), NO_GROUP));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_count),
		cmocka_unit_test(unseen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
