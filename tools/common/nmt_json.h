/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small JSON writer: values go straight to a stream, commas and quoting are its business.
 *
 *	nmt_json_init(&j, stdout);
 *	nmt_json_begin_object(&j, NULL);
 *	nmt_json_u64(&j, "packets", n);
 *	nmt_json_end_object(&j);
 *	nmt_json_newline(&j);
 *
 * Inside an object every value needs a key, inside an array and at the top the key is NULL
 * (asserted). Everything stands on one line unless nmt_json_newline() is called, so that a consumer
 * can read a stream of objects line by line. Strings may hold any bytes: control characters are
 * escaped, bytes that are not UTF-8 become U+FFFD.
 */
#ifndef NMT_JSON_H_
#define NMT_JSON_H_

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define NMT_JSON_DEPTH_MAX 16

struct nmt_json {
	FILE *out;			    /* borrowed */
	unsigned depth;			    /* open objects and arrays */
	bool is_object[NMT_JSON_DEPTH_MAX]; /* per level, else array */
	bool has_items[NMT_JSON_DEPTH_MAX]; /* a comma is due before the next value */
};

/** nmt_json_init() - start with nothing written; @out must outlive @j. Thread: @out's owner. */
void nmt_json_init(struct nmt_json *j, FILE *out);

void nmt_json_begin_object(struct nmt_json *j, const char *key);
void nmt_json_end_object(struct nmt_json *j);
void nmt_json_begin_array(struct nmt_json *j, const char *key);
void nmt_json_end_array(struct nmt_json *j);

/** nmt_json_str() - a string; @val NULL writes null */
void nmt_json_str(struct nmt_json *j, const char *key, const char *val);
void nmt_json_u64(struct nmt_json *j, const char *key, uint64_t val);
void nmt_json_i64(struct nmt_json *j, const char *key, int64_t val);
void nmt_json_bool(struct nmt_json *j, const char *key, bool val);
void nmt_json_null(struct nmt_json *j, const char *key);

/** nmt_json_double() - @n_decimals digits behind the point; NaN and infinity write null */
void nmt_json_double(struct nmt_json *j, const char *key, double val, int n_decimals);

/** nmt_json_newline() - end the line and flush. Return: 0, or -EIO if any write failed so far. */
int nmt_json_newline(struct nmt_json *j);

#endif /* NMT_JSON_H_ */
