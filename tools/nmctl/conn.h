/* SPDX-License-Identifier: BSD-2-Clause */
/* nmctl's connection to netmapd (client/conn.h), with answers as JSON objects. */
#ifndef NMCTL_CONN_H
#define NMCTL_CONN_H

#include "client/conn.h"

struct json_object;

/*
 * As unm_conn_open(), but where no netmapd answers one is started, on the rules of the library: for
 * commands that make something.
 */
int conn_open_or_start(struct unm_conn *c, const char *path);

/**
 * conn_ask() - send a command, wait for its answer
 * @out: receives the JSON object, the caller's (json_object_put())
 *
 * Return: 0, or negative errno with c->text.
 */
int conn_ask(struct unm_conn *c, const char *const *words, unsigned int n_words,
	struct json_object **out);

#endif
