/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON for answers to nmctl, written into memory that grows.
 *
 * Commas are the writer's business. A failure (no memory, or more than UNM_JSON_MAX) sticks and is
 * told by unm_json_finish().
 */
#ifndef UNM_DAEMON_JSON_OUT_H
#define UNM_DAEMON_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_JSON_MAX (64u << 20)

struct unm_json {
	char *buf;
	size_t len, size;
	bool needs_comma;
	bool has_failed;
};

/* @key NULL: inside an array, or at the top. */
void unm_json_open(struct unm_json *j, const char *key, char bracket); /* '{' or '[' */
void unm_json_close(struct unm_json *j, char bracket);		       /* '}' or ']' */
void unm_json_u64(struct unm_json *j, const char *key, uint64_t v);
void unm_json_bool(struct unm_json *j, const char *key, bool v);
void unm_json_str(struct unm_json *j, const char *key, const char *v);
void unm_json_hex(struct unm_json *j, const char *key, uint64_t v);

/**
 * unm_json_finish() - Return: 0 or -ENOMEM. The buffer stays the writer's until unm_json_free().
 */
int unm_json_finish(struct unm_json *j);
void unm_json_free(struct unm_json *j);

#endif
