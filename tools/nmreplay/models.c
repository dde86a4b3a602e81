/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bandwidth, delay and loss: see models.h.
 *
 * The three options have one syntax, "name,number,number", in which one name may be left out (the
 * first of the list) when there is one number. split_model() takes a text apart for all of them.
 */
#include "models.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "nmt_units.h"

#define FIELDS_MAX 3  /* name and two numbers */
#define FIELD_SIZE 64 /* longer fields are no name or number that is known */

/* A model that an option knows: its name and how many numbers may follow. */
struct model_name {
	const char *name;
	int min_values;
	int max_values;
};

struct model_text {
	int model;			     /* index into the names */
	int n_values;			     /* numbers behind the name */
	char values[FIELDS_MAX][FIELD_SIZE]; /* these numbers */
};

void
nmr_rng_seed(struct nmr_rng *rng, uint64_t seed)
{
	rng->state = seed;
}

uint64_t
nmr_rng_u64(struct nmr_rng *rng)
{
	uint64_t z;

	rng->state += UINT64_C(0x9e3779b97f4a7c15);
	z = rng->state;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

double
nmr_rng_unit(struct nmr_rng *rng)
{
	return (double)(nmr_rng_u64(rng) >> 11) * 0x1p-53;
}

/* Copy the fields of "a,b,c" out. Return: how many, or negative errno. */
static int
split_fields(const char *text, char fields[FIELDS_MAX][FIELD_SIZE], struct nmt_err *err)
{
	const char *p = text;

	for (int n = 0; n < FIELDS_MAX; n++) {
		size_t len = strcspn(p, ",");

		if (len >= FIELD_SIZE)
			return nmt_err_set(err, -EINVAL, "'%.40s...' is too long", p);
		memcpy(fields[n], p, len);
		fields[n][len] = '\0';
		if (p[len] == '\0')
			return n + 1;
		p += len + 1;
	}
	return nmt_err_set(err, -EINVAL, "'%.60s' has too many commas", text);
}

/*
 * Find the model that @text names, the first of @names if it starts with a digit, and its numbers.
 * @usage says in messages what would be right.
 */
static int
split_model(const char *text, const struct model_name *names, size_t n_names, const char *usage,
	struct model_text *out, struct nmt_err *err)
{
	char fields[FIELDS_MAX][FIELD_SIZE];
	int n_fields = split_fields(text, fields, err);
	int first_value = 1;
	size_t i;

	if (n_fields < 0)
		return n_fields;
	for (i = 0; i < n_names; i++)
		if (strcmp(fields[0], names[i].name) == 0)
			break;
	if (i == n_names) {
		if (fields[0][0] == '\0' || strchr("0123456789.", fields[0][0]) == NULL)
			return nmt_err_set(
				err, -EINVAL, "'%.60s' is not one of %s", fields[0], usage);
		first_value = 0;
		i = 0;
	}
	out->model = (int)i;
	out->n_values = n_fields - first_value;
	if (out->n_values < names[i].min_values || out->n_values > names[i].max_values)
		return nmt_err_set(err, -EINVAL, "'%.60s' has %d numbers; it must be one of %s",
			text, out->n_values, usage);
	for (int v = 0; v < out->n_values; v++)
		memcpy(out->values[v], fields[first_value + v], FIELD_SIZE);
	return 0;
}

int
nmr_bw_parse(const char *text, struct nmr_bw *out, struct nmt_err *err)
{
	static const struct model_name names[] = {
		[0] = {"constant", 1, 1},
		[1] = {"ether", 1, 1},
		[2] = {"real", 0, 1},
	};
	static const enum nmr_bw_kind kinds[] = {NMR_BW_CONSTANT, NMR_BW_ETHER, NMR_BW_REAL};
	struct nmr_bw bw = {.speed = 1};
	struct model_text model;
	int error;

	error = split_model(text, names, sizeof(names) / sizeof(names[0]),
		"BPS, constant,BPS, ether,BPS, real[,SPEED]", &model, err);
	if (error != 0)
		return error;
	bw.kind = kinds[model.model];
	if (bw.kind != NMR_BW_REAL)
		error = nmt_parse_scaled(model.values[0], 0, NMR_BPS_MAX, &bw.bps, err);
	else if (model.n_values == 1)
		error = nmt_parse_scaled(model.values[0], 1e-6, 1e9, &bw.speed, err);
	/* Less than a bit in a second would be a slip of the hand; 0 means something else. */
	if (error == 0 && bw.bps > 0 && bw.bps < 1)
		error = nmt_err_set(
			err, -ERANGE, "%.40s is less than one bit per second", model.values[0]);
	if (error == 0)
		*out = bw;
	return error;
}

int
nmr_delay_parse(const char *text, struct nmr_delay *out, struct nmt_err *err)
{
	static const struct model_name names[] = {
		[NMR_DELAY_CONSTANT] = {"constant", 1, 1},
		[NMR_DELAY_UNIFORM] = {"uniform", 2, 2},
		[NMR_DELAY_EXP] = {"exp", 2, 2},
	};
	uint64_t times_ns[2] = {0};
	struct nmr_delay delay = {0};
	struct model_text model;
	int error;

	error = split_model(text, names, sizeof(names) / sizeof(names[0]),
		"TIME, constant,TIME, uniform,MIN,MAX, exp,MIN,AVG", &model, err);
	for (int v = 0; error == 0 && v < model.n_values; v++)
		error = nmt_parse_time_ns(
			model.values[v], 's', 0, NMR_TIME_MAX_NS, &times_ns[v], err);
	if (error != 0)
		return error;
	delay.kind = (enum nmr_delay_kind)model.model;
	delay.min_ns = times_ns[0];
	if (delay.kind == NMR_DELAY_UNIFORM)
		delay.max_ns = times_ns[1];
	else if (delay.kind == NMR_DELAY_EXP)
		delay.avg_ns = times_ns[1];
	if (delay.kind == NMR_DELAY_UNIFORM && delay.max_ns < delay.min_ns)
		return nmt_err_set(err, -EINVAL, "the maximum %.40s is below the minimum %.40s",
			model.values[1], model.values[0]);
	if (delay.kind == NMR_DELAY_EXP && delay.avg_ns <= delay.min_ns)
		return nmt_err_set(err, -EINVAL, "the average %.40s is not above the minimum %.40s",
			model.values[1], model.values[0]);
	*out = delay;
	return 0;
}

/* A probability, which unlike other numbers on command lines is often written with an exponent. */
static int
parse_probability(const char *text, double *out, struct nmt_err *err)
{
	char *end;
	double val;

	/* strtod() also takes signs, white space, hexadecimal digits and names of infinity. */
	if (text[0] == '\0' || strspn(text, "0123456789.eE+-") != strlen(text) ||
		strchr("+-eE", text[0]) != NULL)
		return nmt_err_set(err, -EINVAL, "'%.40s' is not a number", text);
	val = strtod(text, &end);
	if (*end != '\0')
		return nmt_err_set(err, -EINVAL, "'%.40s' is not a number", text);
	if (!(val >= 0 && val <= 1))
		return nmt_err_set(err, -ERANGE, "%.40s is out of range, 0 to 1 are allowed", text);
	*out = val;
	return 0;
}

int
nmr_loss_parse(const char *text, struct nmr_loss *out, struct nmt_err *err)
{
	static const struct model_name names[] = {
		[NMR_LOSS_PACKET] = {"plr", 1, 1},
		[NMR_LOSS_BIT] = {"ber", 1, 1},
	};
	struct model_text model;
	double rate = 0;
	int error;

	error = split_model(
		text, names, sizeof(names) / sizeof(names[0]), "X, plr,X, ber,X", &model, err);
	if (error == 0)
		error = parse_probability(model.values[0], &rate, err);
	if (error != 0)
		return error;
	*out = (struct nmr_loss){.kind = (enum nmr_loss_kind)model.model, .rate = rate};
	return 0;
}

uint64_t
nmr_bw_bits(const struct nmr_bw *bw, uint32_t len)
{
	return (uint64_t)len * 8 + (bw->kind == NMR_BW_ETHER ? NMR_ETHER_FRAMING_BITS : 0);
}

bool
nmr_delay_is_random(const struct nmr_delay *delay)
{
	return delay->kind == NMR_DELAY_EXP ||
	       (delay->kind == NMR_DELAY_UNIFORM && delay->max_ns > delay->min_ns);
}

bool
nmr_loss_is_random(const struct nmr_loss *loss)
{
	return loss->rate > 0 && loss->rate < 1;
}

uint64_t
nmr_delay_draw(const struct nmr_delay *delay, struct nmr_rng *rng)
{
	double excess_avg_ns;

	if (!nmr_delay_is_random(delay))
		return delay->min_ns;
	if (delay->kind == NMR_DELAY_UNIFORM) {
		uint64_t n_values = delay->max_ns - delay->min_ns + 1;

		/* The upper half of a 128-bit product: a whole number below n_values. */
		return delay->min_ns +
		       (uint64_t)((unsigned __int128)nmr_rng_u64(rng) * n_values >> 64);
	}
	/*
	 * The inverse of the distribution function. 1 - unit is never 0, and not below 2^-53, so
	 * the result is at most 37 times the average.
	 */
	excess_avg_ns = (double)(delay->avg_ns - delay->min_ns);
	return delay->min_ns + (uint64_t)(-log(1 - nmr_rng_unit(rng)) * excess_avg_ns + 0.5);
}

double
nmr_loss_probability(const struct nmr_loss *loss, uint32_t len)
{
	if (loss->kind == NMR_LOSS_PACKET)
		return loss->rate;
	/* 1 - (1 - rate)^bits, without losing small rates to rounding. */
	return -expm1(8.0 * len * log1p(-loss->rate));
}

bool
nmr_loss_draw(const struct nmr_loss *loss, uint32_t len, struct nmr_rng *rng)
{
	if (!nmr_loss_is_random(loss))
		return loss->rate > 0;
	return nmr_rng_unit(rng) < nmr_loss_probability(loss, len);
}
