/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a kernel sends on an interface comes out of the host queue, and what is written there is
 * received on the interface; both end with the descriptors. On this kernel, in a network namespace
 * of the test's own, with both ways of attaching programs. The interface is a TAP too, whose own
 * end plays the wire.
 */
#include <errno.h>
#include <fcntl.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/clsact.h"
#include "daemon/hoststack.h"

#define VNET	12
#define WAIT_MS 2000

struct rig {
	const char *attach;
	int wire;  /* the other end of the interface's cable */
	int stack; /* what a program has that sends and receives on the interface */
	uint32_t ifindex;
};

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 1}, mac_b[6] = {2, 0, 0, 0, 0, 2};

static int
open_tap(const char *name)
{
	const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0 ? fd : -1;
}

static void
bring_up(const char *name)
{
	const int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq ifr = {.ifr_flags = IFF_UP};
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY);
	if (fd >= 0) {
		assert_int_equal(write(fd, "1", 1), 1);
		close(fd);
	}
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
	close(s);
}

static int
set_up(void **state)
{
	struct rig *r = *state;
	struct sockaddr_ll sa = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};

	setenv(UNM_ATTACH_ENV, r->attach, 1);
	r->wire = open_tap("hs0");
	assert_true(r->wire >= 0);
	bring_up("hs0");
	r->ifindex = if_nametoindex("hs0");
	r->stack = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
	sa.sll_ifindex = (int)r->ifindex;
	assert_int_equal(bind(r->stack, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *r = *state;

	close(r->stack);
	close(r->wire);
	return 0;
}

/* A frame with a VLAN tag, of protocol that nobody knows, with a number in it. */
static size_t
make_frame(uint8_t *f, uint8_t number)
{
	static const uint8_t tag[4] = {0x81, 0x00, 0x60, 0x07};

	memset(f, number, 100);
	memcpy(f, mac_b, 6);
	memcpy(f + 6, mac_a, 6);
	memcpy(f + 12, tag, 4);
	f[16] = 0x88;
	f[17] = 0xb5;
	return 100;
}

/* Wait for a frame with @number at @fd, @skip bytes into what is read. Others are passed over. */
static bool
comes(int fd, size_t skip, uint8_t number, int wait_ms)
{
	uint8_t buf[4096];
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (poll(&p, 1, wait_ms) == 1) {
		const ssize_t n = read(fd, buf, sizeof(buf));

		if (n == (ssize_t)skip + 100 && buf[skip + 50] == number)
			return memcmp(buf + skip, mac_b, 6) == 0 && buf[skip + 12] == 0x81 &&
			       buf[skip + 15] == 7;
	}
	return false;
}

static void
stack_sends(const struct rig *r, uint8_t number)
{
	uint8_t f[100];

	assert_int_equal(write(r->stack, f, make_frame(f, number)), 100);
}

/* As received on the interface: a packet socket gives the VLAN tag beside the frame. */
static bool
stack_receives(const struct rig *r, uint8_t number, size_t skip)
{
	uint8_t buf[4096];
	struct pollfd p = {.fd = r->stack, .events = POLLIN};

	while (poll(&p, 1, WAIT_MS) == 1) {
		struct sockaddr_ll from;
		socklen_t len = sizeof(from);
		const ssize_t n =
			recvfrom(r->stack, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n == 96 + (ssize_t)skip && from.sll_pkttype != PACKET_OUTGOING)
			return buf[skip + 50] == number && from.sll_ifindex == (int)r->ifindex;
	}
	return false;
}

static void
host_sends(int fd, uint8_t number)
{
	uint8_t f[VNET + 100] = {0};

	make_frame(f + VNET, number);
	assert_int_equal(write(fd, f, sizeof(f)), sizeof(f));
}

static void
both_ways(void **state)
{
	struct rig *r = *state;
	struct unm_reason why = {""};
	int fd[2], hold;

	assert_int_equal(unm_host_open("hs0", r->ifindex, UNM_HOST_PLAIN, 1, fd, &why), 0);
	assert_true(if_nametoindex("hs0^") > 0);
	stack_sends(r, 1);
	assert_true(comes(r->wire, 0, 1, WAIT_MS)); /* not intercepted yet */
	host_sends(fd[0], 2);
	assert_true(stack_receives(r, 2, 0));
	hold = unm_host_intercept(fd[0], r->ifindex, &why);
	assert_true(hold >= 0);
	stack_sends(r, 3);
	assert_true(comes(fd[0], VNET, 3, WAIT_MS));
	assert_false(comes(r->wire, 0, 3, 50));
	host_sends(fd[0], 4);
	assert_true(stack_receives(r, 4, 0));
	assert_false(comes(fd[0], VNET, 4, 50)); /* and does not come back */
	unm_host_release(fd[0], r->ifindex, hold);
	stack_sends(r, 5);
	assert_true(comes(r->wire, 0, 5, WAIT_MS));
	/* once more */
	hold = unm_host_intercept(fd[0], r->ifindex, &why);
	assert_true(hold >= 0);
	stack_sends(r, 6);
	assert_true(comes(fd[0], VNET, 6, WAIT_MS));
	close(hold);
	close(fd[0]);
	stack_sends(r, 7);
	assert_true(comes(r->wire, 0, 7, WAIT_MS));
	assert_int_equal(if_nametoindex("hs0^"), 0);
}

/* Whoever had the descriptors is killed. */
static void
killed(void **state)
{
	struct rig *r = *state;
	uint8_t number;
	int ready[2], fd, status;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		const bool ok =
			unm_host_open("hs0", r->ifindex, UNM_HOST_PLAIN, 1, &fd, NULL) == 0 &&
			unm_host_intercept(fd, r->ifindex, NULL) >= 0;

		if (write(ready[1], ok ? "y" : "n", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &number, 1), 1);
	assert_int_equal(number, 'y');
	stack_sends(r, 1);
	assert_false(comes(r->wire, 0, 1, 50));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* The kernel lets go of things a moment after a process has ended. */
	for (number = 2; number < 100; number++) {
		stack_sends(r, number);
		if (comes(r->wire, 0, number, 10))
			break;
	}
	assert_true(number < 100);
	close(ready[0]);
	close(ready[1]);
}

/* Several queues, a taken name, and frames that bear something. */
static void
kinds_of(void **state)
{
	struct rig *r = *state;
	const int taken = open_tap("hs0^");
	int fd[UNM_HOST_MAX_QUEUES], i, hold;

	assert_true(taken >= 0);
	assert_int_equal(unm_host_open("hs0", r->ifindex, UNM_HOST_TOKEN, 4, fd, NULL), 0);
	assert_true(if_nametoindex("hs0^1") > 0);
	hold = unm_host_intercept(fd[2], r->ifindex, NULL);
	assert_true(hold >= 0);
	for (i = 0; i < 4; i++) {
		host_sends(fd[i], (uint8_t)(10 + i));
		assert_true(stack_receives(r, (uint8_t)(10 + i), UNM_HOST_TOKEN_LEN));
	}
	for (i = 0; i < 4; i++)
		close(fd[i]);
	close(hold);
	close(taken);
	assert_int_equal(unm_host_open("hs0", r->ifindex, UNM_HOST_MARKED, 1, fd, NULL), 0);
	host_sends(fd[0], 20);
	assert_true(stack_receives(r, 20, 0));
	assert_true(unm_host_intercept(fd[0], 9999, NULL) < 0); /* no such interface */
	close(fd[0]);
}

int
main(void)
{
	struct rig tcx = {.attach = ""}, clsact = {.attach = "clsact"};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate_setup_teardown(both_ways, set_up, tear_down, &tcx),
		cmocka_unit_test_prestate_setup_teardown(both_ways, set_up, tear_down, &clsact),
		cmocka_unit_test_prestate_setup_teardown(killed, set_up, tear_down, &tcx),
		cmocka_unit_test_prestate_setup_teardown(killed, set_up, tear_down, &clsact),
		cmocka_unit_test_prestate_setup_teardown(kinds_of, set_up, tear_down, &tcx),
		cmocka_unit_test_prestate_setup_teardown(kinds_of, set_up, tear_down, &clsact),
	};

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
		fprintf(stderr, "skipped: not root, or no /dev/net/tun\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
