/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What makes an isolate (isolate.h), as words:
 *
 *   socket=PATH  absolute, of at most 100 bytes; its directory must be there
 *   owner=UID:GID  of the socket; default: netmapd's own
 *   mode=OCTAL   of the socket; default 0600
 *   ...          what its clients may do: isolate/policy.h
 */
#ifndef UNM_DAEMON_ISOLATE_SPEC_H
#define UNM_DAEMON_ISOLATE_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "isolate/policy.h"

#define UNM_ISOLATE_NAME_SIZE 32u
#define UNM_ISOLATE_PATH_SIZE 104u /* sun_path, and room for what is appended */
#define UNM_ISOLATE_TEXT_SIZE (UNM_POLICY_TEXT_SIZE + 256u)

struct unm_isolate_spec {
	char name[UNM_ISOLATE_NAME_SIZE];
	char path[UNM_ISOLATE_PATH_SIZE];
	uid_t uid; /* (uid_t)-1: not given */
	gid_t gid;
	mode_t mode;
	uint32_t given; /* words that can't be given again; private */
	struct unm_policy policy;
};

/**
 * unm_isolate_spec_init() - defaults under a name of 1 to 31 letters, digits, - or _
 * @why: UNM_POLICY_WHY_SIZE bytes. Return: 0, -EINVAL with a sentence in @why.
 */
int unm_isolate_spec_init(struct unm_isolate_spec *s, const char *name, char *why);

/**
 * unm_isolate_spec_word() - take in one word; all but allow can be given once. Return: 0, -EINVAL
 * with a sentence.
 */
int unm_isolate_spec_word(struct unm_isolate_spec *s, const char *word, char *why);

/** unm_isolate_spec_check() - is everything there? Return: 0, -EINVAL with a sentence. */
int unm_isolate_spec_check(const struct unm_isolate_spec *s, char *why);

/**
 * unm_isolate_spec_format() - its words, each ended by @end. @size: UNM_ISOLATE_TEXT_SIZE. Return:
 * bytes written.
 */
size_t unm_isolate_spec_format(const struct unm_isolate_spec *s, char end, char *out, size_t size);

#endif
