/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers with units, out and in.
 *
 * Output follows netmap's tools (spec section 24): three decimals, a space and a prefix, so that
 * "%spps" gives "14.881 Mpps". Input is strict: the whole text must be a number, optionally
 * followed by one suffix; signs, white space and trailing characters are refused, and so is what
 * does not fit.
 */
#ifndef NMT_UNITS_H_
#define NMT_UNITS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nmt_err.h"

#define NMT_NUM_SIZE 48 /* bytes that hold any formatted number */

/**
 * nmt_format_scaled() - write a number with K, M, G or T (powers of 1000), ready for a unit
 * @buf:   receives the text; at least NMT_NUM_SIZE bytes
 * @val:   not negative
 * @plain: true writes the rounded integer without prefix ("14880952 ")
 *
 * Thread: any. Return: @buf. Example: 14880952 gives "14.881 M", 12 gives "12.000 ".
 */
const char *nmt_format_scaled(char *buf, double val, bool plain);

/**
 * nmt_parse_u64() - read an integer, decimal or with 0x in front, without suffix
 * @text:    must be the number and nothing else
 * @min,max: inclusive range
 * @out:     written on success only
 * @err:     receives the reason on failure; may be NULL
 *
 * Thread: any. Return: 0, -EINVAL not a number, -ERANGE outside @min..@max.
 */
int nmt_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct nmt_err *err);

/**
 * nmt_parse_count() - as nmt_parse_u64(), and a suffix K, M or G (either case; powers of 1000)
 *
 * Decimals are allowed where the result is whole: "1.5M" is 1500000, "1.5" is refused (-EINVAL).
 */
int nmt_parse_count(
	const char *text, uint64_t min, uint64_t max, uint64_t *out, struct nmt_err *err);

/**
 * nmt_parse_size() - as nmt_parse_count(), of bytes of memory: K, M, G are powers of 1024
 *
 * As in memory= of nmctl(8). "1M" is 1048576.
 */
int nmt_parse_size(
	const char *text, uint64_t min, uint64_t max, uint64_t *out, struct nmt_err *err);

/**
 * nmt_parse_scaled() - read a real number with optional K, M or G, such as a bandwidth in bit/s
 *
 * Thread: any. Return: 0, -EINVAL not a number, -ERANGE outside @min..@max. NaN and infinity are
 * not numbers.
 */
int nmt_parse_scaled(const char *text, double min, double max, double *out, struct nmt_err *err);

/**
 * nmt_parse_time_ns() - read a time with suffix s, m or ms, u or us, n or ns
 * @default_unit: 's', 'm', 'u' or 'n': what a number without suffix counts
 * @min,max:      inclusive range in ns
 * @out:          ns, rounded to the nearest; written on success only
 *
 * Thread: any. Return: 0, -EINVAL not a time, -ERANGE outside @min..@max.
 * Source: spec section 24.5 (suffixes of nmreplay).
 */
int nmt_parse_time_ns(const char *text, char default_unit, uint64_t min, uint64_t max,
	uint64_t *out, struct nmt_err *err);

/**
 * nmt_parse_u64_list() - read integers separated by one character, such as "256,256,2"
 * @sep:   the separator
 * @vals:  room for @n_max numbers; contents undefined on failure
 * @n_out: how many were found (at least one); written on success only
 *
 * Thread: any. Return: 0, -EINVAL an element is empty or no number, -ERANGE one outside
 * @min..@max, -E2BIG more than @n_max elements.
 */
int nmt_parse_u64_list(const char *text, char sep, uint64_t min, uint64_t max, uint64_t *vals,
	size_t n_max, size_t *n_out, struct nmt_err *err);

#endif /* NMT_UNITS_H_ */
