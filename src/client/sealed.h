/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Socket addresses that can't change any more, for programs that allow connect(2) only by certain
 * pointers (seccomp sees no more than these). Each is on a page of its own, read-only and, from
 * Linux 6.10 on, sealed against being mapped anew.
 */
#ifndef UNM_CLIENT_SEALED_H
#define UNM_CLIENT_SEALED_H

#include <stdbool.h>
#include <sys/un.h>

/* Return: the address of @path, which is sealed from now on, or NULL with errno. Never freed. */
const struct sockaddr_un *unm_sealed_make(const char *path);

/*
 * The address by which to connect to @path: *any, filled in, as long as nothing is sealed. Return:
 * NULL if others are and this one is not.
 */
const struct sockaddr_un *unm_sealed_find(const char *path, struct sockaddr_un *any);

#endif
