/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket by which a running recorder is told what to do. A connection carries one request, a
 * line of text ("dump /a/b", "status", "status json", "stop"), and its answer: "ok" or "error",
 * blank, text. Only the recorder's user and root may connect.
 */
#ifndef NM_RECORD_CONTROL_H
#define NM_RECORD_CONTROL_H

#include <stddef.h>

#define CONTROL_PATH_SIZE 108
#define CONTROL_MAX_REQ	  4200 /* "dump " and a path */

/* Where the socket is if nothing else is said. Return: 0, -ENAMETOOLONG. */
int control_default_path(char *path);

/**
 * control_listen() - make the socket
 * @why: UNM_CAP_WHY_SIZE bytes; on failure a sentence
 *
 * One that a dead recorder has left is replaced. Return: descriptor, -EADDRINUSE another recorder
 * has it, or what the system gave.
 */
int control_listen(const char *path, char *why);

/**
 * control_accept() - take a connection and its request
 * @req: CONTROL_MAX_REQ bytes
 *
 * Waits for the request, 100 ms at most, however it comes. Return: descriptor for the answer, or
 * negative errno.
 */
int control_accept(int listen_fd, char *req);

/* Send the answer, in 500 ms at most, and close. Somebody who does not listen any more misses it. */
void control_answer(int fd, int error, const char *text);

/**
 * control_ask() - the other side
 * @answer: on success the text, allocated; NULL if there is none
 *
 * Return: 0 ok, 1 the recorder says that it failed, negative errno: no recorder there.
 */
int control_ask(const char *path, const char *req, char **answer);

#endif
