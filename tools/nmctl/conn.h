/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmctl's connection to netmapd: commands out, JSON in.
 *
 * The socket is looked for where the library looks (docs/ARCHITECTURE.md). A question never starts a netmapd; a command that makes
 * something does, by the library.
 */
#ifndef NMCTL_CONN_H
#define NMCTL_CONN_H

#include <stddef.h>

#define CONN_MAX_CANDIDATES 3

struct json_object;

struct conn {
	int fd;
	char path[108];
	/* Where was looked, and what came of it: for messages and nmctl doctor */
	char tried[CONN_MAX_CANDIDATES][108];
	int tried_error[CONN_MAX_CANDIDATES]; /* 0 or positive errno */
	unsigned int n_tried;
	char text[256]; /* the last failure, a sentence */
};

/**
 * conn_open() - connect to the instance that a program of this user would use
 * @path: from the command line, or NULL
 *
 * Return: 0, or negative errno with c->text.
 */
int conn_open(struct conn *c, const char *path);

/* As conn_open(), but where no netmapd answers one is started, on the rules of the library. */
int conn_open_or_start(struct conn *c, const char *path);
void conn_close(struct conn *c);

/**
 * conn_ask() - send a command, wait for its answer
 * @out: receives the JSON object, the caller's (json_object_put())
 *
 * Return: 0, or negative errno with c->text.
 */
int conn_ask(
	struct conn *c, const char *const *words, unsigned int n_words, struct json_object **out);

#endif
