/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process inherits and netmapd must not keep: it outlives whoever started it, and serves
 * others.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>

/**
 * process_clean() - signals as in a fresh process, no soft limit below its hard one
 * @is_autostarted: started by some client: also no niceness, scheduling class, set of CPUs,
 * preferred victim of the out-of-memory killer, or library to preload
 *
 * What can't be changed without privilege stays; nmctl doctor tells of limits.
 */
void process_clean(bool is_autostarted);

/**
 * process_detach() - become a daemon; the starter's process ends with 0. Return: 0 or negative
 * errno.
 */
int process_detach(void);

#endif
