/* SPDX-License-Identifier: BSD-2-Clause */
/* Which rings a REGISTER binds (spec 6.1 step 7), on ports with host rings and without. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>

#include "daemon/binding.h"
#include "net/netmap.h"

struct expected {
	uint32_t mode, ringid;
	uint64_t flags;
	int ret;
	uint32_t tx_lo, tx_hi, rx_lo, rx_hi;
};

static void
check(const struct unm_dport *port, const struct expected *x, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const struct unm_bind_wish wish = {
			.mode = x[i].mode, .ringid = x[i].ringid, .flags = x[i].flags};
		struct unm_dbinding b = {0};
		struct unm_reason why = {""};

		assert_int_equal(unm_bind_select(port, &wish, &b, &why), x[i].ret);
		if (x[i].ret != 0) {
			assert_string_not_equal(why.text, "");
			continue;
		}
		assert_int_equal(b.tx_lo, x[i].tx_lo);
		assert_int_equal(b.tx_hi, x[i].tx_hi);
		assert_int_equal(b.rx_lo, x[i].rx_lo);
		assert_int_equal(b.rx_hi, x[i].rx_hi);
	}
}

/* Three tx and two rx queues; one host tx ring and two host rx rings. */
static void
with_host_rings(void **state)
{
	const struct unm_dport port = {
		.name = "eth0", .n_tx = 4, .n_rx = 4, .n_host_tx = 1, .n_host_rx = 2};
	static const struct expected x[] = {
		{NR_REG_ALL_NIC, 0, 0, 0, 0, 3, 0, 2},
		{NR_REG_SW, 0, 0, 0, 3, 4, 2, 4},
		{NR_REG_NIC_SW, 0, 0, 0, 0, 4, 0, 4},
		{NR_REG_ONE_NIC, 1, 0, 0, 1, 2, 1, 2},
		{NR_REG_ONE_NIC, 2, 0, 0, 2, 3, 0, 1}, /* rx has fewer: its first */
		{NR_REG_ONE_NIC, 3, 0, -EINVAL, 0, 0, 0, 0},
		{NR_REG_ONE_SW, 0, 0, 0, 3, 4, 2, 3},
		{NR_REG_ONE_SW, 1, 0, 0, 3, 4, 3, 4},
		{NR_REG_ONE_SW, 2, 0, -EINVAL, 0, 0, 0, 0},
		{NR_REG_SW, 0, NR_RX_RINGS_ONLY, 0, 0, 0, 2, 4},
		{NR_REG_NIC_SW, 0, NR_TX_RINGS_ONLY, 0, 0, 4, 0, 0},
		{NR_REG_ONE_SW, 1, NR_TX_RINGS_ONLY, 0, 3, 4, 0, 0},
		{NR_REG_DEFAULT, 0, 0, -EINVAL, 0, 0, 0, 0},
	};

	(void)state;
	check(&port, x, sizeof(x) / sizeof(x[0]));
}

static void
without_host_rings(void **state)
{
	const struct unm_dport port = {.name = "vale0:a", .n_tx = 1, .n_rx = 2};
	const struct unm_dport none = {.name = "null"};
	static const struct expected x[] = {
		{NR_REG_ALL_NIC, 0, 0, 0, 0, 1, 0, 2},
		{NR_REG_ONE_NIC, 1, 0, 0, 0, 1, 1, 2},
		{NR_REG_ONE_NIC, 2, 0, -EINVAL, 0, 0, 0, 0},
		{NR_REG_SW, 0, 0, -EINVAL, 0, 0, 0, 0},
		{NR_REG_NIC_SW, 0, 0, -EINVAL, 0, 0, 0, 0},
		{NR_REG_ONE_SW, 0, 0, -EINVAL, 0, 0, 0, 0},
	};
	static const struct expected y[] = {
		{NR_REG_NULL, 0, 0, 0, 0, 0, 0, 0},
		{NR_REG_ONE_NIC, 0, 0, -EINVAL, 0, 0, 0, 0},
	};

	(void)state;
	check(&port, x, sizeof(x) / sizeof(x[0]));
	check(&none, y, sizeof(y) / sizeof(y[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_host_rings),
		cmocka_unit_test(without_host_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
