/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON into memory. See json_out.h. */
#include "daemon/json_out.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
put(struct unm_json *j, const char *text, size_t len)
{
	if (j->has_failed)
		return;
	if (len >= j->size - j->len) {
		const size_t size = (j->size + len) * 2 + 256;
		char *buf = size <= UNM_JSON_MAX ? realloc(j->buf, size) : NULL;

		if (buf == NULL) {
			j->has_failed = true;
			return;
		}
		j->buf = buf;
		j->size = size;
	}
	memcpy(j->buf + j->len, text, len);
	j->len += len;
	j->buf[j->len] = '\0';
}

/*
 * A string with what JSON does not allow escaped; bytes outside ASCII become '?', as names have
 * none.
 */
static void
put_quoted(struct unm_json *j, const char *s)
{
	char esc[8];

	put(j, "\"", 1);
	for (; *s != '\0'; s++) {
		const unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			esc[0] = '\\';
			esc[1] = (char)c;
			put(j, esc, 2);
		} else if (c < 0x20) {
			snprintf(esc, sizeof(esc), "\\u%04x", c);
			put(j, esc, 6);
		} else {
			put(j, c < 0x7f ? s : "?", 1);
		}
	}
	put(j, "\"", 1);
}

static void
lead(struct unm_json *j, const char *key)
{
	if (j->needs_comma)
		put(j, ",", 1);
	j->needs_comma = true;
	if (key != NULL) {
		put_quoted(j, key);
		put(j, ":", 1);
	}
}

void
unm_json_open(struct unm_json *j, const char *key, char bracket)
{
	lead(j, key);
	put(j, &bracket, 1);
	j->needs_comma = false;
}

void
unm_json_close(struct unm_json *j, char bracket)
{
	put(j, &bracket, 1);
	j->needs_comma = true;
}

void
unm_json_u64(struct unm_json *j, const char *key, uint64_t v)
{
	char text[24];

	lead(j, key);
	put(j, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, v));
}

void
unm_json_bool(struct unm_json *j, const char *key, bool v)
{
	lead(j, key);
	put(j, v ? "true" : "false", v ? 4 : 5);
}

void
unm_json_str(struct unm_json *j, const char *key, const char *v)
{
	lead(j, key);
	put_quoted(j, v);
}

void
unm_json_hex(struct unm_json *j, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%016" PRIx64, v);
	unm_json_str(j, key, text);
}

int
unm_json_finish(struct unm_json *j)
{
	return j->has_failed ? -ENOMEM : 0;
}

void
unm_json_free(struct unm_json *j)
{
	free(j->buf);
	memset(j, 0, sizeof(*j));
}
