/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: words that are right are taken in and come out again the same; a wrong one changes
 * nothing and is named; a port is allowed by a pattern and by nothing else.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/isolate_spec.h"
#include "isolate/policy.h"

#define N_ELEMS(a) (sizeof(a) / sizeof((a)[0]))

static void
test_limits(void **state)
{
	struct unm_policy p;
	char why[UNM_POLICY_WHY_SIZE];

	(void)state;
	unm_policy_defaults(&p);
	assert_int_equal(p.n_allow, 0);
	assert_int_equal(unm_policy_word(&p, "ports=3", why), 0);
	assert_int_equal(p.max_ports, 3);
	assert_int_equal(unm_policy_word(&p, "clients=1", why), 0);
	assert_int_equal(p.max_clients, 1);
	assert_int_equal(unm_policy_word(&p, "memory=5M", why), 0);
	assert_int_equal(p.max_memory, 5u << 20);
	assert_int_equal(unm_policy_word(&p, "memory=2097152", why), 0);
	assert_int_equal(p.max_memory, 2u << 20);
	assert_int_equal(unm_policy_word(&p, "rate=12k", why), 0);
	assert_int_equal(p.rate_pps, 12000);
	assert_int_equal(unm_policy_word(&p, "rate=1G", why), 0);
	assert_int_equal(p.rate_pps, 1000000000);
	assert_int_equal(unm_policy_word(&p, "rate=0", why), 0);
	assert_int_equal(p.rate_pps, 0);
}

static void
test_wrong_words(void **state)
{
	static const char *const words[] = {"", "=", "ports", "ports=", "ports=0", "ports=1025",
		"ports=-1", "ports= 1", "ports=1k", "ports=1 ", "clients=0", "memory=1",
		"memory=1MM", "memory=1m", "memory=99999999999999999999", "memory=16777216T",
		"memory=17179869184G", "rate=2G", "rate=1M1", "rate=x", "allow=", "allow=a b",
		"allow=\n", "allow=vale0:\x7f", "allow=\xff",
		"allow=0123456789012345678901234567890123456789012345678901234567890123", "alow=x",
		"Allow=x", "allowed=x", "port=1"};
	struct unm_policy p, before;
	char why[UNM_POLICY_WHY_SIZE];
	size_t i;

	(void)state;
	unm_policy_defaults(&p);
	before = p;
	for (i = 0; i < N_ELEMS(words); i++) {
		why[0] = '\0';
		assert_int_equal(unm_policy_word(&p, words[i], why), -EINVAL);
		assert_true(why[0] != '\0');
		assert_memory_equal(&p, &before, sizeof(p));
	}
}

static void
test_patterns_have_an_end(void **state)
{
	struct unm_policy p;
	char why[UNM_POLICY_WHY_SIZE];
	uint32_t i;

	(void)state;
	unm_policy_defaults(&p);
	for (i = 0; i < UNM_POLICY_MAX_ALLOW; i++)
		assert_int_equal(unm_policy_word(&p, "allow=vale0:*", why), 0);
	assert_int_equal(unm_policy_word(&p, "allow=vale0:*", why), -EINVAL);
	assert_int_equal(p.n_allow, UNM_POLICY_MAX_ALLOW);
}

/* The policy that allows one pattern, and nothing else that is not allowed anyway. */
static struct unm_policy
allowing(const char *pattern)
{
	char word[80], why[UNM_POLICY_WHY_SIZE];
	struct unm_policy p;

	unm_policy_defaults(&p);
	snprintf(word, sizeof(word), "allow=%s", pattern);
	assert_int_equal(unm_policy_word(&p, word, why), 0);
	return p;
}

static void
test_allowed(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool allowed;
	} cases[] = {
		{"vale0:*", "vale0:a", true},
		{"vale0:*", "vale0:", true},
		{"vale0:*", "vale01:a", false},
		{"vale0:*", "xvale0:a", false},
		{"vale0:web", "vale0:web", true},
		{"vale0:web", "vale0:web2", false},
		{"vale0:web", "vale0:we", false},
		{"vale0:web?", "vale0:web2", true},
		{"vale0:web?", "vale0:web", false},
		{"vale?:*", "vale1:x", true},
		{"vale?:*", "vale10:x", false},
		{"vale0:a{1", "vale0:a{1", true},
		{"vale0:a{1", "vale0:a}1", false},
		{"vale0:\\*", "vale0:b", false},
		{"*", "anything", true},
		{"netmap:p{*", "p{1", true},
		{"netmap:p{*", "p}1", false},
		{"p*", "p}1", true},
		{"netmap:vale0:a", "vale0:a", true},
		{"netmap:vale0:*", "vale0:a", true},
		{"netmap:*", "vale0:a", false},
		{"netmap:?*", "vale0:a", false},
		{"netmap:v*", "vale0:a", false},
		{"netmap:*", "p{1", true},
		{"netmap:*", "vale0:a}1", true},
		{"vale0:*/rt", "vale0:a", false}, /* for monitors only */
		{"vale0:*/rt", "vale0:a/rt", false},
		/* paths to namespaces */
		{"vale0:*", "vale0:a%/etc/x", false},
		{"vale0:*", "vale0:tap:a%ns", false},
		{"vale0:*", "vale0:a/b", false},
		{"vale0:a%ns", "vale0:a%ns", false},
		{"p*", "p%/etc/x{1", false},
		{"netmap:p{*", "p{1%", false},
		{"*", "p{/", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N_ELEMS(cases); i++) {
		struct unm_policy p;

		unm_policy_defaults(&p);
		assert_false(unm_policy_allows(&p, cases[i].name));
		p = allowing(cases[i].pattern);
		assert_int_equal(unm_policy_allows(&p, cases[i].name), cases[i].allowed);
	}
}

/* An interface by its full name only. */
static void
test_interfaces(void **state)
{
	static const struct {
		const char *pattern, *name, *suffix;
		bool allowed;
	} cases[] = {
		{"netmap:eth0", "eth0", "", true},
		{"netmap:eth0", "eth0", "^", false},
		{"netmap:eth0^", "eth0", "^", true},
		{"netmap:eth0^", "eth0", "", false},
		{"netmap:eth?", "eth0", "", false},
		{"netmap:*", "eth0", "", false},
		{"netmap:*", "*", "", true},
		{"*", "eth0", "", false},
		{"eth0", "eth0", "", false},
		{"netmap:eth0%web", "eth0%web", "", true},
		{"netmap:eth0%web", "eth0", "", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N_ELEMS(cases); i++) {
		const struct unm_policy p = allowing(cases[i].pattern);

		assert_int_equal(
			unm_policy_names(&p, cases[i].name, cases[i].suffix), cases[i].allowed);
	}
}

static void
test_monitors(void **state)
{
	static const struct {
		const char *pattern, *name, *letters;
		bool allowed;
	} cases[] = {
		{"vale0:*/rt", "vale0:a", "rt", true},
		{"vale0:*/tr", "vale0:a", "rt", true},
		{"vale0:*/r", "vale0:a", "r", true},
		{"vale0:*/r", "vale0:a", "t", false},
		{"vale0:*/r", "vale0:a", "rt", false},
		{"netmap:p{?/t", "p{1", "t", true},
		{"netmap:eth0/r", "eth0", "r", true},
		{"vale0:*", "vale0:a", "r", false},
		{"vale0:*/", "vale0:a", "r", false},
		{"vale0:*/z", "vale0:a", "r", false},
		{"vale0:*/rx", "vale0:a", "r", false},
		{"/r", "vale0:a", "r", false},
		{"vale0:*/r", "vale0:a%ns", "r", false},
		{"netmap:eth0%web/r", "eth0%web", "r", true},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N_ELEMS(cases); i++) {
		const struct unm_policy p = allowing(cases[i].pattern);

		assert_int_equal(unm_policy_allows_monitor(&p, cases[i].name, cases[i].letters),
			cases[i].allowed);
	}
}

/* What netmapd tells the broker is what it was told. */
static void
test_there_and_back(void **state)
{
	static const char words[] = "allow=vale0:*\0allow=vale1:web\0ports=7\0clients=9\0memory="
				    "4194304\0rate=1000";
	char text[UNM_POLICY_TEXT_SIZE], why[UNM_POLICY_WHY_SIZE];
	struct unm_policy p, q;
	size_t len;

	(void)state;
	unm_policy_defaults(&p);
	assert_int_equal(unm_policy_words(&p, words, sizeof(words), why), 0);
	len = unm_policy_format(&p, '\0', text, sizeof(text));
	assert_int_equal(len, sizeof(words));
	assert_memory_equal(text, words, len);
	unm_policy_defaults(&q);
	assert_int_equal(unm_policy_words(&q, text, len, why), 0);
	assert_memory_equal(&p, &q, sizeof(p));
	assert_int_equal(unm_policy_words(&q, text, len - 1, why), -EINVAL);
}

/* The longest policy fits where it has to. */
static void
test_longest(void **state)
{
	char word[80] = "allow=", text[UNM_POLICY_TEXT_SIZE], why[UNM_POLICY_WHY_SIZE];
	struct unm_policy p;
	uint32_t i;

	(void)state;
	unm_policy_defaults(&p);
	memset(word + 6, 'x', UNM_POLICY_NAME_SIZE - 1);
	for (i = 0; i < UNM_POLICY_MAX_ALLOW; i++)
		assert_int_equal(unm_policy_word(&p, word, why), 0);
	assert_int_equal(unm_policy_word(&p, "memory=16T", why), 0);
	assert_int_equal(unm_policy_word(&p, "rate=1G", why), 0);
	assert_true(unm_policy_format(&p, '\0', text, sizeof(text)) < sizeof(text));
}

static void
test_spec(void **state)
{
	static const char *const wrong[] = {"socket=rel/path", "socket=/", "socket=/with blank",
		"owner=root", "owner=1", "owner=1:2:3", "owner=-1:0", "mode=8", "mode=1777",
		"mode=u+x", "what=1"};
	char text[UNM_ISOLATE_TEXT_SIZE], path[300] = "socket=/", why[UNM_POLICY_WHY_SIZE];
	struct unm_isolate_spec s;
	size_t i;

	(void)state;
	assert_int_equal(unm_isolate_spec_init(&s, "", why), -EINVAL);
	assert_int_equal(unm_isolate_spec_init(&s, "a/b", why), -EINVAL);
	assert_int_equal(
		unm_isolate_spec_init(&s, "0123456789012345678901234567890x", why), -EINVAL);
	assert_int_equal(unm_isolate_spec_init(&s, "web-1_A", why), 0);
	assert_int_equal(unm_isolate_spec_check(&s, why), -EINVAL); /* no socket */
	memset(path + 8, 'p', 200);
	assert_int_equal(unm_isolate_spec_word(&s, path, why), -EINVAL);
	for (i = 0; i < N_ELEMS(wrong); i++)
		assert_int_equal(unm_isolate_spec_word(&s, wrong[i], why), -EINVAL);
	assert_int_equal(unm_isolate_spec_word(&s, "socket=/run/x/web.sock", why), 0);
	assert_int_equal(unm_isolate_spec_check(&s, why), -EINVAL); /* nothing allowed */
	assert_int_equal(unm_isolate_spec_word(&s, "allow=vale0:web", why), 0);
	assert_int_equal(unm_isolate_spec_check(&s, why), 0);
	assert_int_equal(unm_isolate_spec_word(&s, "owner=1000:100", why), 0);
	assert_int_equal(unm_isolate_spec_word(&s, "mode=0660", why), 0);
	assert_int_equal(unm_isolate_spec_word(&s, "mode=0600", why), -EINVAL);
	assert_string_equal(why, "mode is given twice");
	unm_isolate_spec_format(&s, ' ', text, sizeof(text));
	assert_string_equal(text, "socket=/run/x/web.sock mode=0660 owner=1000:100 allow=vale0:web "
				  "ports=16 clients=64 memory=268435456 rate=0 ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_wrong_words),
		cmocka_unit_test(test_patterns_have_an_end),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_monitors),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_spec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
