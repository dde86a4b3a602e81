/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers with units: see nmt_units.h.
 *
 * strtod() and strtoull() accept more than we want (white space, signs, "inf", hexadecimal floats),
 * so each text is first held against the characters that may occur.
 */
#include "nmt_units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Above this a double no longer holds every integer, so a number with decimals or suffix is refused
 * rather than rounded. */
#define EXACT_MAX	9007199254740992.0

#define NUMBER_TEXT_MAX 64 /* longer texts are no number that we print or need */

const char *
nmt_format_scaled(char *buf, double val, bool plain)
{
	static const char *const prefixes[] = {"", "K", "M", "G", "T"};
	size_t i = 0;

	if (plain) {
		snprintf(buf, NMT_NUM_SIZE, "%.0f ", val);
		return buf;
	}
	/* 999.9996 would print as "1000.000 ": compare what is going to be printed. */
	for (; val >= 999.9995 && i + 1 < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		val /= 1000;
	snprintf(buf, NMT_NUM_SIZE, "%.3f %s", val, prefixes[i]);
	return buf;
}

int
nmt_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct nmt_err *err)
{
	bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = is_hex ? text + 2 : text;
	size_t n_digits = strspn(digits, is_hex ? "0123456789abcdefABCDEF" : "0123456789");
	unsigned long long val;

	if (n_digits == 0 || digits[n_digits] != '\0')
		return nmt_err_set(err, -EINVAL, "'%.40s' is not a whole number", text);
	errno = 0;
	val = strtoull(digits, NULL, is_hex ? 16 : 10);
	if (errno == ERANGE || val < min || val > max)
		return nmt_err_set(err, -ERANGE,
			"%.40s is out of range, %" PRIu64 " to %" PRIu64 " are allowed", text, min,
			max);
	*out = val;
	return 0;
}

/* Digits with at most one decimal point; *end is the first character behind. False: no number. */
static bool
parse_decimal(const char *text, double *val, const char **end)
{
	size_t n_int = strspn(text, "0123456789");
	size_t len = n_int;
	size_t n_frac = 0;
	char copy[NUMBER_TEXT_MAX];

	if (text[len] == '.') {
		n_frac = strspn(text + len + 1, "0123456789");
		len += 1 + n_frac;
	}
	if (n_int + n_frac == 0 || len >= sizeof(copy))
		return false;
	/* A copy, so that strtod() cannot read on into an exponent. */
	memcpy(copy, text, len);
	copy[len] = '\0';
	*val = strtod(copy, NULL);
	*end = text + len;
	return true;
}

/* Decimal number with optional K/M/G, powers of @base, to the end. False: something else. */
static bool
parse_with_prefix(const char *text, double base, double *val)
{
	static const char prefixes[] = "KMG";
	const char *end;
	const char *p;

	if (!parse_decimal(text, val, &end))
		return false;
	if (*end == '\0')
		return true;
	p = strchr(prefixes, toupper((unsigned char)*end));
	if (p == NULL || end[1] != '\0')
		return false;
	for (; p >= prefixes; p--) /* at most three factors */
		*val *= base;
	return true;
}

static int
parse_whole(const char *text, double base, uint64_t min, uint64_t max, uint64_t *out,
	struct nmt_err *err)
{
	double val;

	if (nmt_parse_u64(text, 0, UINT64_MAX, out, NULL) != -EINVAL)
		return nmt_parse_u64(text, min, max, out, err);
	if (!parse_with_prefix(text, base, &val))
		return nmt_err_set(err, -EINVAL,
			"'%.40s' is not a number (digits, optionally followed by K, M or G)", text);
	val = nearbyint(val * 1e6) / 1e6; /* 1.1 * 1000 is not quite 1100 */
	if (val > EXACT_MAX || val < (double)min || val > (double)max)
		return nmt_err_set(err, -ERANGE,
			"%.40s is out of range, %" PRIu64 " to %" PRIu64 " are allowed", text, min,
			max);
	if (val != nearbyint(val))
		return nmt_err_set(err, -EINVAL, "%.40s is not a whole number", text);
	*out = (uint64_t)val;
	return 0;
}

int
nmt_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct nmt_err *err)
{
	return parse_whole(text, 1000, min, max, out, err);
}

int
nmt_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct nmt_err *err)
{
	return parse_whole(text, 1024, min, max, out, err);
}

int
nmt_parse_scaled(const char *text, double min, double max, double *out, struct nmt_err *err)
{
	double val;

	if (!parse_with_prefix(text, 1000, &val))
		return nmt_err_set(err, -EINVAL,
			"'%.40s' is not a number (digits, optionally followed by K, M or G)", text);
	if (!(val >= min && val <= max))
		return nmt_err_set(err, -ERANGE,
			"%.40s is out of range, %.15g to %.15g are allowed", text, min, max);
	*out = val;
	return 0;
}

/* ns in one unit of @letter, 0 for an unknown letter. */
static double
time_unit_ns(char letter)
{
	switch (letter) {
	case 's':
		return 1e9;
	case 'm':
		return 1e6;
	case 'u':
		return 1e3;
	case 'n':
		return 1;
	default:
		return 0;
	}
}

int
nmt_parse_time_ns(const char *text, char default_unit, uint64_t min, uint64_t max, uint64_t *out,
	struct nmt_err *err)
{
	const char *end = text;
	double unit_ns = 0;
	double val = 0;

	if (parse_decimal(text, &val, &end)) {
		unit_ns = time_unit_ns(*end == '\0' ? default_unit : *end);
		if (*end != '\0')
			end++;
		/* "ms", "us", "ns" say the same as their first letter. */
		if (*end == 's' && end[-1] != 's' && isalpha((unsigned char)end[-1]))
			end++;
	}
	if (unit_ns == 0 || *end != '\0')
		return nmt_err_set(err, -EINVAL,
			"'%.40s' is not a time (a number, optionally followed by s, ms, us or ns)",
			text);
	val = nearbyint(val * unit_ns);
	if (val > EXACT_MAX || val < (double)min || val > (double)max)
		return nmt_err_set(err, -ERANGE,
			"%.40s is out of range, %.9gs to %.9gs are allowed", text,
			(double)min / 1e9, (double)max / 1e9);
	*out = (uint64_t)val;
	return 0;
}

int
nmt_parse_u64_list(const char *text, char sep, uint64_t min, uint64_t max, uint64_t *vals,
	size_t n_max, size_t *n_out, struct nmt_err *err)
{
	const char *p = text;
	size_t n = 0;

	for (;;) { /* at most n_max + 1 rounds */
		const char *end = strchrnul(p, sep);
		char element[NUMBER_TEXT_MAX];
		int error;

		if (n == n_max)
			return nmt_err_set(
				err, -E2BIG, "'%.60s' has more than %zu numbers", text, n_max);
		if ((size_t)(end - p) >= sizeof(element))
			return nmt_err_set(err, -EINVAL, "'%.40s' is not a whole number", p);
		memcpy(element, p, (size_t)(end - p));
		element[end - p] = '\0';
		error = nmt_parse_u64(element, min, max, &vals[n], err);
		if (error != 0)
			return error;
		n++;
		if (*end == '\0')
			break;
		p = end + 1;
	}
	*n_out = n;
	return 0;
}
