/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the clients of one isolate (a socket for isolated clients) may do, as words of the form
 * key=value. nmctl, netmapd.conf, netmapd's state file and the message to the broker all use them.
 *
 *   allow=PATTERN  names of ports that may be opened: * stands for any characters, ? for one, but
 *                  no name of a switch's port or a pipe with % or / is allowed: to netmapd those
 *                  lead to namespaces, by any path. Several times:
 *                    vale0:web*       ports of switches, and pipes over them
 *                    netmap:web{*     pipes; "netmap:" may be left out. netmap:* is all pipes,
 *                                     * everything
 *                    netmap:eth0      an interface: by its full name only, with "netmap:"
 *                    netmap:eth0^     its host rings, likewise
 *                    vale0:web?/rt    monitors of what is sent (t) and received (r) on ports
 *                                     of these names, if these are allowed; any of the letters
 *   ports=N        ports open at once
 *   clients=N      processes connected at once
 *   memory=BYTES   of all their regions together
 *   rate=PPS       frames that all of them together may send in a second; 0 = no limit
 */
#ifndef UNM_ISOLATE_POLICY_H
#define UNM_ISOLATE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_POLICY_MAX_ALLOW 24u
#define UNM_POLICY_NAME_SIZE 64u /* NETMAP_REQ_IFNAMSIZ */
#define UNM_POLICY_TEXT_SIZE 2048u
#define UNM_POLICY_WHY_SIZE  160u

struct unm_policy {
	char allow[UNM_POLICY_MAX_ALLOW][UNM_POLICY_NAME_SIZE];
	uint32_t n_allow;
	uint32_t max_ports;
	uint32_t max_clients;
	uint64_t max_memory;
	uint64_t rate_pps;
};

/** unm_policy_defaults() - nothing is allowed yet; limits as nmctl(8) says. */
void unm_policy_defaults(struct unm_policy *p);

/**
 * unm_policy_word() - take in one word
 * @why: at least UNM_POLICY_WHY_SIZE bytes; a sentence when the return is negative
 *
 * Return: 0, -EINVAL (then @p is as it was).
 */
int unm_policy_word(struct unm_policy *p, const char *word, char *why);

/** unm_policy_words() - @len bytes of words, each ended by a NUL. Return: as unm_policy_word(). */
int unm_policy_words(struct unm_policy *p, const char *text, size_t len, char *why);

/**
 * unm_policy_format() - the words of @p, each ended by @end; the form that unm_policy_words() reads
 * @size: at least UNM_POLICY_TEXT_SIZE
 *
 * Return: bytes written.
 */
size_t unm_policy_format(const struct unm_policy *p, char end, char *out, size_t size);

/** unm_policy_is_interface() - is it an interface's name, as there is no other kind for it? */
bool unm_policy_is_interface(const char *name);

/** unm_policy_has_path() - is it a name of another kind, with a namespace or a path? */
bool unm_policy_has_path(const char *name);

/** unm_policy_allows() - may a VALE port or pipe of this name be opened? @name: NUL-terminated. */
bool unm_policy_allows(const struct unm_policy *p, const char *name);

/** unm_policy_names() - does a pattern say exactly "netmap:" @name @suffix? For interfaces. */
bool unm_policy_names(const struct unm_policy *p, const char *name, const char *suffix);

/**
 * unm_policy_allows_monitor() - do the patterns for monitors have this port?
 * @letters: what is to be seen: "r", "t", "rt" or "". Whether the port itself is allowed is asked
 * apart
 */
bool unm_policy_allows_monitor(const struct unm_policy *p, const char *name, const char *letters);

#endif
