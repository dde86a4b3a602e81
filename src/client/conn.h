/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asking netmapd what nmctl asks: commands out, JSON text in. No session, and nothing of it needs
 * libnetmap.
 *
 * The socket is looked for where the library looks (docs/ARCHITECTURE.md). A question never starts
 * a netmapd.
 */
#ifndef UNM_CLIENT_CONN_H
#define UNM_CLIENT_CONN_H

#include <stddef.h>

#define UNM_CONN_CANDIDATES 3

struct unm_conn {
	int fd;
	char path[108];
	/* Where was looked, and what came of it: for messages and nmctl doctor */
	char tried[UNM_CONN_CANDIDATES][108];
	int tried_error[UNM_CONN_CANDIDATES]; /* 0 or positive errno */
	unsigned int n_tried;
	char text[256]; /* the last failure, a sentence */
};

/**
 * unm_conn_open() - connect to the instance that a program of this user would use
 * @path: from the command line, or NULL
 *
 * Return: 0, or negative errno with c->text.
 */
int unm_conn_open(struct unm_conn *c, const char *path);

/* The same for questions that have to be answered within @wait_ms, not within 20 s. */
int unm_conn_open_for(struct unm_conn *c, const char *path, unsigned int wait_ms);
void unm_conn_close(struct unm_conn *c);

/**
 * unm_conn_ask() - send a command, wait for its answer
 * @text: receives the JSON text, allocated, the caller's
 *
 * Blocks, 20 s at most unless opened for another time. Return: 0, or negative errno with c->text;
 * -EAGAIN: no answer in that time.
 */
int unm_conn_ask(struct unm_conn *c, const char *const *words, unsigned int n_words, char **text);

/* Set c->text for @error: netmapd's @text if it gave one, else a sentence. */
void unm_conn_failed(struct unm_conn *c, int error, const char *text);

#endif
