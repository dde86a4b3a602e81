/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves: of several wrong lines in netmapd.conf the first wrong key is named, whatever follows; indented lines are lines. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/config.h"

#define N_ELEMS(a) (sizeof(a) / sizeof((a)[0]))
#define BLANKS_40  "                                        "
#define BLANKS_200 BLANKS_40 BLANKS_40 BLANKS_40 BLANKS_40 BLANKS_40

static int
load(const char *text, struct unm_config *cfg, struct unm_reason *why)
{
	const int fd = memfd_create("conf", MFD_CLOEXEC);
	char path[40];
	int ret;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	unm_config_defaults(cfg);
	ret = unm_config_load(cfg, path, true, why);
	close(fd);
	return ret;
}

static void
test_good(void **state)
{
	static const char *const texts[] = {
		"[vale]\nslots = 512\nageing = 7\n",
		"[vale]\nslots=512\n  ageing=7\n",
		"[vale]\n\tslots: 512 ; as many\n; a comment\nageing = 7",
	};
	struct unm_reason why;
	struct unm_config cfg;
	size_t i;

	(void)state;
	for (i = 0; i < N_ELEMS(texts); i++) {
		assert_int_equal(load(texts[i], &cfg, &why), 0);
		assert_int_equal(cfg.slots, 512);
		assert_int_equal(cfg.ageing_s, 7);
	}
}

static void
test_wrong(void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{"[vale]\nbogus=1\nslots=512\n", ":2: there is no key 'bogus' in section [vale]"},
		{"[vale]\nslots=0\nageing=x\n", ":2: slots = '0': "},
		{"[vale]\nslots=1\ngarbage\n", ":3: not a section"},
		{"[vale]\nslots=1\n" BLANKS_200 "ageing=1\n", ":3: a line has at most "},
	};
	struct unm_reason why;
	struct unm_config cfg;
	size_t i;

	(void)state;
	for (i = 0; i < N_ELEMS(cases); i++) {
		assert_int_equal(load(cases[i].text, &cfg, &why), -EINVAL);
		assert_non_null(strstr(why.text, cases[i].reason));
	}
}

static void
test_unreadable(void **state)
{
	struct unm_reason why;
	struct unm_config cfg;

	(void)state;
	assert_int_equal(unm_config_load(&cfg, "/", true, &why), -EISDIR);
	assert_int_equal(unm_config_load(&cfg, "/nowhere/x", true, &why), -ENOENT);
	assert_int_equal(unm_config_load(&cfg, "/nowhere/x", false, &why), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
