/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON writer: see nmt_json.h. Write errors are left in the stream's error flag and reported by
 * nmt_json_newline(), so that callers check once per line.
 */
#include "nmt_json.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>

void
nmt_json_init(struct nmt_json *j, FILE *out)
{
	*j = (struct nmt_json){.out = out};
}

/* Length of the UTF-8 sequence at @s (1 to 4), 0 if there is none. A NUL ends it, for it
 * is no continuation byte. */
static size_t
utf8_len(const unsigned char *s)
{
	static const uint32_t min_code[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t code;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	code = s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) { /* at most three */
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3fu);
	}
	if (code < min_code[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return len;
}

static void
write_string(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	fputc('"', out);
	while (*s != '\0') {
		size_t len = utf8_len(s);

		if (len == 0) {
			fputs("\\ufffd", out);
			len = 1;
		} else if (*s == '"' || *s == '\\') {
			fprintf(out, "\\%c", *s);
		} else if (*s < 0x20 || *s == 0x7f) {
			fprintf(out, "\\u%04x", *s);
		} else {
			fwrite(s, 1, len, out);
		}
		s += len;
	}
	fputc('"', out);
}

/* The comma and the key that go before a value. */
static void
begin_value(struct nmt_json *j, const char *key)
{
	if (j->depth == 0) {
		assert(key == NULL);
		return;
	}
	assert((key != NULL) == j->is_object[j->depth - 1]);
	if (j->has_items[j->depth - 1])
		fputc(',', j->out);
	j->has_items[j->depth - 1] = true;
	if (key != NULL) {
		write_string(j->out, key);
		fputc(':', j->out);
	}
}

static void
begin_level(struct nmt_json *j, const char *key, bool is_object)
{
	begin_value(j, key);
	assert(j->depth < NMT_JSON_DEPTH_MAX);
	j->is_object[j->depth] = is_object;
	j->has_items[j->depth] = false;
	j->depth++;
	fputc(is_object ? '{' : '[', j->out);
}

static void
end_level(struct nmt_json *j, bool is_object)
{
	assert(j->depth > 0 && j->is_object[j->depth - 1] == is_object);
	j->depth--;
	fputc(is_object ? '}' : ']', j->out);
}

void
nmt_json_begin_object(struct nmt_json *j, const char *key)
{
	begin_level(j, key, true);
}

void
nmt_json_end_object(struct nmt_json *j)
{
	end_level(j, true);
}

void
nmt_json_begin_array(struct nmt_json *j, const char *key)
{
	begin_level(j, key, false);
}

void
nmt_json_end_array(struct nmt_json *j)
{
	end_level(j, false);
}

void
nmt_json_str(struct nmt_json *j, const char *key, const char *val)
{
	begin_value(j, key);
	if (val == NULL)
		fputs("null", j->out);
	else
		write_string(j->out, val);
}

void
nmt_json_u64(struct nmt_json *j, const char *key, uint64_t val)
{
	begin_value(j, key);
	fprintf(j->out, "%" PRIu64, val);
}

void
nmt_json_i64(struct nmt_json *j, const char *key, int64_t val)
{
	begin_value(j, key);
	fprintf(j->out, "%" PRId64, val);
}

void
nmt_json_bool(struct nmt_json *j, const char *key, bool val)
{
	begin_value(j, key);
	fputs(val ? "true" : "false", j->out);
}

void
nmt_json_null(struct nmt_json *j, const char *key)
{
	begin_value(j, key);
	fputs("null", j->out);
}

void
nmt_json_double(struct nmt_json *j, const char *key, double val, int n_decimals)
{
	begin_value(j, key);
	if (isfinite(val))
		fprintf(j->out, "%.*f", n_decimals, val);
	else
		fputs("null", j->out);
}

int
nmt_json_newline(struct nmt_json *j)
{
	fputc('\n', j->out);
	if (fflush(j->out) == EOF || ferror(j->out))
		return -EIO;
	return 0;
}
