/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * veth pairs are recognised in one namespace and across two, also when both ends have the same number, and nothing
 * else is taken for one. Makes its own user and network namespaces; skips where that is not allowed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/veth.h"

static int home; /* the first namespace */
static int away; /* the second */

static int
socket_here(void)
{
	const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int s = unm_veth_socket(any);

	assert_true(any >= 0 && s >= 0);
	close(any);
	return s;
}

static int
enter(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
	return socket_here();
}

static void
run(const char *command)
{
	assert_int_equal(system(command), 0);
}

static uint32_t
number(const char *name)
{
	const unsigned int i = if_nametoindex(name);

	assert_true(i != 0);
	return i;
}

static void
one_namespace(void **state)
{
	const int s = enter(home), s2 = enter(home);
	uint32_t a, b, c, d, lo;

	(void)state; /* cmocka's signature */
	run("ip link add va type veth peer name vb");
	run("ip link add vc type veth peer name vd");
	a = number("va");
	b = number("vb");
	c = number("vc");
	d = number("vd");
	lo = number("lo");
	assert_true(unm_veth_is_pair(s, a, s2, b));
	assert_true(unm_veth_is_pair(s2, b, s, a));
	assert_true(unm_veth_is_pair(s, c, s, d));
	assert_false(unm_veth_is_pair(s, a, s2, c));
	assert_false(unm_veth_is_pair(s, a, s2, a));
	assert_false(unm_veth_is_pair(s, lo, s2, a));
	assert_false(unm_veth_is_pair(s, a, s2, lo));
	assert_false(unm_veth_is_pair(s, 12345, s2, a)); /* no such interface */
	run("ip link del va");
	assert_false(unm_veth_is_pair(s, a, s2, b));
	run("ip link del vc");
	close(s);
	close(s2);
}

static void
two_namespaces(void **state)
{
	char command[128];
	int s, t, third, u;
	uint32_t a, b;

	(void)state; /* cmocka's signature */
	s = enter(home);
	snprintf(command, sizeof(command),
		"ip link add va index 77 type veth peer name vb index 77 netns /proc/%d/fd/%d",
		(int)getpid(), away);
	run(command);
	a = number("va");
	t = enter(away);
	b = number("vb");
	assert_int_equal(a, b); /* the same number means nothing */
	assert_true(unm_veth_is_pair(s, a, t, b));
	assert_true(unm_veth_is_pair(t, b, s, a));
	assert_false(unm_veth_is_pair(s, a, s, a));
	assert_false(unm_veth_is_pair(t, b, t, b));
	/* an interface of that number in a namespace that nobody has met */
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	third = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	run("ip link add vz index 77 type veth peer name vy");
	u = socket_here();
	assert_false(unm_veth_is_pair(s, a, u, 77));
	assert_false(unm_veth_is_pair(u, 77, s, a));
	/* moved on */
	assert_int_equal(setns(away, CLONE_NEWNET), 0);
	run("ip link set vb name vm");
	snprintf(command, sizeof(command), "ip link set vm netns /proc/%d/fd/%d", (int)getpid(),
		third);
	assert_int_equal(setns(third, CLONE_NEWNET), 0);
	run("ip link del vz");
	assert_int_equal(setns(away, CLONE_NEWNET), 0);
	run(command);
	assert_false(unm_veth_is_pair(s, a, t, b));
	assert_int_equal(setns(third, CLONE_NEWNET), 0);
	assert_true(unm_veth_is_pair(s, a, u, number("vm")));
	close(s);
	close(t);
	close(u);
	close(third);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_namespace),
		cmocka_unit_test(two_namespaces),
	};

	if (unshare(CLONE_NEWNET) < 0) {
		puts("1..0 # SKIP a network namespace of our own takes root");
		return 77;
	}
	if (system("ip link add vp type veth peer name vq && ip link del vp") != 0) {
		puts("1..0 # SKIP no veth here");
		return 77;
	}
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET) < 0)
		return 1;
	away = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
