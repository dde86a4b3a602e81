/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: option texts are read as upstream's syntax wants them and everything else is refused with a
 * reason; the random numbers are those of SplitMix64; delays and losses have the distributions that
 * were asked for. The statistics use fixed seeds: a change of the numbers drawn shows, and nothing
 * fails by chance.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define N_DRAWS		  200000
#define MS		  UINT64_C(1000000)

static void
test_bw_texts(void **state)
{
	static const struct {
		const char *text;
		struct nmr_bw bw;
	} good[] = {
		{"1000", {NMR_BW_CONSTANT, 1000, 1}},
		{"constant,1000", {NMR_BW_CONSTANT, 1000, 1}},
		{"1.5G", {NMR_BW_CONSTANT, 1.5e9, 1}},
		{"10m", {NMR_BW_CONSTANT, 1e7, 1}},
		{"64k", {NMR_BW_CONSTANT, 64000, 1}},
		{".5K", {NMR_BW_CONSTANT, 500, 1}},
		{"0", {NMR_BW_CONSTANT, 0, 1}},
		{"ether,10G", {NMR_BW_ETHER, 1e10, 1}},
		{"real", {NMR_BW_REAL, 0, 1}},
		{"real,2", {NMR_BW_REAL, 0, 2}},
		{"real,0.25", {NMR_BW_REAL, 0, 0.25}},
	};
	static const char *const bad[] = {"", ",", "fast", "constant", "ether", "constant,", "-1",
		"1e9", "10T", "1 G", "0.5", "10,20", "ether,1,2", "real,", "real,0", "real,-1",
		"real,1,2", "2000G", "constant,1,2,3", "nan", "inf", "realistic"};
	struct nmr_bw bw;
	struct nmt_err err;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		memset(&bw, 0, sizeof(bw));
		if (nmr_bw_parse(good[i].text, &bw, &err) != 0)
			fail_msg("'%s': %s", good[i].text, err.text);
		assert_int_equal(bw.kind, good[i].bw.kind);
		assert_true(fabs(bw.bps - good[i].bw.bps) < 1e-6);
		assert_true(fabs(bw.speed - good[i].bw.speed) < 1e-12);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		err.text[0] = '\0';
		if (nmr_bw_parse(bad[i], &bw, &err) >= 0 || err.text[0] == '\0')
			fail_msg("'%s' accepted, or no reason given", bad[i]);
	}
}

static void
test_delay_texts(void **state)
{
	static const struct {
		const char *text;
		struct nmr_delay delay;
	} good[] = {
		{"0", {NMR_DELAY_CONSTANT, 0, 0, 0}},
		{"1", {NMR_DELAY_CONSTANT, 1000 * MS, 0, 0}},
		{"1.5m", {NMR_DELAY_CONSTANT, 1500000, 0, 0}},
		{"constant,20u", {NMR_DELAY_CONSTANT, 20000, 0, 0}},
		{"constant,2s", {NMR_DELAY_CONSTANT, 2000 * MS, 0, 0}},
		{"7n", {NMR_DELAY_CONSTANT, 7, 0, 0}},
		{"uniform,1m,3m", {NMR_DELAY_UNIFORM, MS, 3 * MS, 0}},
		{"uniform,1m,1m", {NMR_DELAY_UNIFORM, MS, MS, 0}},
		{"exp,1m,5m", {NMR_DELAY_EXP, MS, 0, 5 * MS}},
		{"exp,0,100u", {NMR_DELAY_EXP, 0, 0, 100000}},
	};
	static const char *const bad[] = {"", "x", "constant", "constant,1,2", "1,2", "uniform,1",
		"uniform,2,1", "uniform,1,2,3", "exp,1", "exp,5m,5m", "exp,5m,1m", "-1", "1h",
		"1e3", "uniform,1,", "uniform,,1", "999999999999"};
	struct nmr_delay delay;
	struct nmt_err err;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		memset(&delay, 0, sizeof(delay));
		if (nmr_delay_parse(good[i].text, &delay, &err) != 0)
			fail_msg("'%s': %s", good[i].text, err.text);
		assert_memory_equal(&delay, &good[i].delay, sizeof(delay));
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		err.text[0] = '\0';
		if (nmr_delay_parse(bad[i], &delay, &err) >= 0 || err.text[0] == '\0')
			fail_msg("'%s' accepted, or no reason given", bad[i]);
	}
}

static void
test_loss_texts(void **state)
{
	static const struct {
		const char *text;
		enum nmr_loss_kind kind;
		double rate;
	} good[] = {
		{"0", NMR_LOSS_PACKET, 0},
		{"0.01", NMR_LOSS_PACKET, 0.01},
		{"plr,1", NMR_LOSS_PACKET, 1},
		{"ber,1e-9", NMR_LOSS_BIT, 1e-9},
		{"ber,2.5E-6", NMR_LOSS_BIT, 2.5e-6},
		{".5", NMR_LOSS_PACKET, 0.5},
	};
	static const char *const bad[] = {"", "plr", "ber,", "plr,1.1", "-0.1", "plr,-0", "1%",
		"ber,1e", "0.1,0.2", "inf", "nan", "0x1p-3", "per,0.1", "1e400", "+1", "0.1 "};
	struct nmr_loss loss;
	struct nmt_err err;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		if (nmr_loss_parse(good[i].text, &loss, &err) != 0)
			fail_msg("'%s': %s", good[i].text, err.text);
		assert_int_equal(loss.kind, good[i].kind);
		assert_true(fabs(loss.rate - good[i].rate) <= 1e-15 * good[i].rate);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		err.text[0] = '\0';
		if (nmr_loss_parse(bad[i], &loss, &err) >= 0 || err.text[0] == '\0')
			fail_msg("'%s' accepted, or no reason given", bad[i]);
	}
}

/* A message must say which text was wrong and what would be right. */
static void
test_messages(void **state)
{
	struct nmr_delay delay;
	struct nmr_loss loss;
	struct nmr_bw bw;
	struct nmt_err err;

	(void)state;
	assert_int_equal(nmr_bw_parse("fast", &bw, &err), -EINVAL);
	assert_string_equal(
		err.text, "'fast' is not one of BPS, constant,BPS, ether,BPS, real[,SPEED]");
	assert_int_equal(nmr_delay_parse("uniform,3m,1m", &delay, &err), -EINVAL);
	assert_string_equal(err.text, "the maximum 1m is below the minimum 3m");
	assert_int_equal(nmr_loss_parse("plr,2", &loss, &err), -ERANGE);
	assert_string_equal(err.text, "2 is out of range, 0 to 1 are allowed");
}

/* Against values of the reference algorithm for seed 1234567, as published with it. */
static void
test_rng(void **state)
{
	static const uint64_t expected[] = {UINT64_C(6457827717110365317),
		UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
		UINT64_C(4593380528125082431), UINT64_C(16408922859458223821)};
	struct nmr_rng rng;

	(void)state;
	nmr_rng_seed(&rng, 1234567);
	for (size_t i = 0; i < N_ELEMENTS(expected); i++)
		assert_true(nmr_rng_u64(&rng) == expected[i]);
	for (int i = 0; i < N_DRAWS; i++) {
		double unit = nmr_rng_unit(&rng);

		assert_true(unit >= 0 && unit < 1);
	}
}

struct moments {
	double mean;
	double deviation;
	uint64_t min;
	uint64_t max;
};

static struct moments
draw_delays(const char *text, uint64_t seed)
{
	struct moments m = {.min = UINT64_MAX};
	struct nmr_delay delay;
	struct nmr_rng rng;
	double sum_squares = 0;

	assert_int_equal(nmr_delay_parse(text, &delay, NULL), 0);
	nmr_rng_seed(&rng, seed);
	for (int i = 0; i < N_DRAWS; i++) {
		uint64_t val = nmr_delay_draw(&delay, &rng);

		m.mean += (double)val;
		sum_squares += (double)val * (double)val;
		m.min = val < m.min ? val : m.min;
		m.max = val > m.max ? val : m.max;
	}
	m.mean /= N_DRAWS;
	m.deviation = sqrt(sum_squares / N_DRAWS - m.mean * m.mean);
	return m;
}

/* Five standard errors of the mean: less than one in a million seeds is farther off. */
static void
assert_mean(const struct moments *m, double mean, double deviation)
{
	double tolerance = 5 * deviation / sqrt(N_DRAWS);

	if (fabs(m->mean - mean) > tolerance)
		fail_msg("mean %g, wanted %g +- %g", m->mean, mean, tolerance);
	if (fabs(m->deviation - deviation) > 0.02 * deviation)
		fail_msg("deviation %g, wanted %g", m->deviation, deviation);
}

static void
test_delay_constant(void **state)
{
	struct moments m = draw_delays("3m", 1);
	struct nmr_delay delay = {.kind = NMR_DELAY_CONSTANT, .min_ns = 5};
	struct nmr_rng rng = {17};

	(void)state;
	assert_int_equal(m.min, 3 * MS);
	assert_int_equal(m.max, 3 * MS);
	/* Takes no random number, so that adding a constant delay does not change the losses. */
	assert_int_equal(nmr_delay_draw(&delay, &rng), 5);
	assert_int_equal(rng.state, 17);
}

static void
test_delay_uniform(void **state)
{
	struct moments m = draw_delays("uniform,1m,3m", 2);
	unsigned counts[4] = {0};
	struct nmr_delay delay = {.kind = NMR_DELAY_UNIFORM, .min_ns = 10, .max_ns = 13};
	struct nmr_rng rng = {3};

	(void)state;
	assert_mean(&m, 2.0 * MS, 2.0 * MS / sqrt(12));
	assert_in_range(m.min, MS, MS + 100);
	assert_in_range(m.max, 3 * MS - 100, 3 * MS);
	/* Both ends belong to it, and as often as the middle. */
	for (int i = 0; i < N_DRAWS; i++) {
		uint64_t val = nmr_delay_draw(&delay, &rng);

		assert_in_range(val, 10, 13);
		counts[val - 10]++;
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(counts[i], N_DRAWS / 4 - 1000, N_DRAWS / 4 + 1000);
}

static void
test_delay_exp(void **state)
{
	struct moments m = draw_delays("exp,1m,3m", 4);
	struct nmr_delay delay;
	struct nmr_rng rng;
	unsigned n_above = 0;

	(void)state;
	/* The minimum is part of the average; the rest is exponential: deviation equal to mean. */
	assert_mean(&m, 3.0 * MS, 2.0 * MS);
	assert_in_range(m.min, MS, MS + 1000);
	/* No more than an exponential can give with 53 bits. */
	assert_in_range(m.max, 15 * MS, MS + 37 * 2 * MS);
	/* A fraction 1/e lies more than one mean above the minimum. */
	assert_int_equal(nmr_delay_parse("exp,1m,3m", &delay, NULL), 0);
	nmr_rng_seed(&rng, 5);
	for (int i = 0; i < N_DRAWS; i++)
		n_above += nmr_delay_draw(&delay, &rng) > 3 * MS;
	assert_in_range(n_above, (unsigned)(N_DRAWS * 0.3629), (unsigned)(N_DRAWS * 0.3729));
}

static unsigned
count_losses(const struct nmr_loss *loss, uint32_t len, uint64_t seed)
{
	struct nmr_rng rng;
	unsigned n = 0;

	nmr_rng_seed(&rng, seed);
	for (int i = 0; i < N_DRAWS; i++)
		n += nmr_loss_draw(loss, len, &rng);
	return n;
}

static void
test_loss(void **state)
{
	static const struct {
		struct nmr_loss loss;
		uint32_t len;
		double probability;
	} cases[] = {
		{{NMR_LOSS_PACKET, 0}, 60, 0}, {{NMR_LOSS_PACKET, 1}, 60, 1},
		{{NMR_LOSS_PACKET, 0.01}, 60, 0.01}, {{NMR_LOSS_PACKET, 0.01}, 1514, 0.01},
		{{NMR_LOSS_PACKET, 0.5}, 60, 0.5}, {{NMR_LOSS_BIT, 0}, 60, 0},
		{{NMR_LOSS_BIT, 1}, 60, 1},
		{{NMR_LOSS_BIT, 1e-4}, 60, 0.0468685},	 /* 1 - 0.9999^480 */
		{{NMR_LOSS_BIT, 1e-4}, 1250, 0.6321390}, /* 1 - 0.9999^10000 */
		{{NMR_LOSS_BIT, 1e-5}, 1250, 0.0951630}, /* 1 - 0.99999^10000 */
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		double p = nmr_loss_probability(&cases[i].loss, cases[i].len);
		unsigned n = count_losses(&cases[i].loss, cases[i].len, 100 + i);
		double tolerance = 5 * sqrt(N_DRAWS * p * (1 - p));

		if (fabs(p - cases[i].probability) > 1e-6)
			fail_msg("case %zu: probability %g", i, p);
		if (fabs(n - N_DRAWS * p) > tolerance)
			fail_msg(
				"case %zu: %u lost, wanted %g +- %g", i, n, N_DRAWS * p, tolerance);
	}
	/* Rates at which 1 - x would be 1 in double precision are not lost. */
	assert_true(fabs(nmr_loss_probability(&(struct nmr_loss){NMR_LOSS_BIT, 1e-18}, 125) -
			    1e-15) < 1e-20);
}

static void
test_bits(void **state)
{
	(void)state;
	assert_int_equal(nmr_bw_bits(&(struct nmr_bw){.kind = NMR_BW_CONSTANT}, 60), 480);
	assert_int_equal(nmr_bw_bits(&(struct nmr_bw){.kind = NMR_BW_ETHER}, 60), 672);
	assert_int_equal(nmr_bw_bits(&(struct nmr_bw){.kind = NMR_BW_ETHER}, 1514), 12304);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bw_texts),
		cmocka_unit_test(test_delay_texts),
		cmocka_unit_test(test_loss_texts),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_rng),
		cmocka_unit_test(test_delay_constant),
		cmocka_unit_test(test_delay_uniform),
		cmocka_unit_test(test_delay_exp),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
