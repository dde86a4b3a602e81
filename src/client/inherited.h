/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors that came with exec: netmap descriptors from the first instruction on, although this
 * process has opened none.
 *
 * ioctl() and mmap() recognise one when they are given it. A wait can't ask the kernel about every
 * descriptor it is given, so the first wait of a process looks once at all that it holds. Later
 * ones come by calls that we see.
 */
#ifndef UNM_CLIENT_INHERITED_H
#define UNM_CLIENT_INHERITED_H

#include <stdbool.h>

#include "client/fdtab.h"

extern bool unm_inherited_known; /* the look has been taken */

/*
 * Take the look: put inherited netmap descriptors into the table. Return: is anything in the table?
 */
bool unm_inherited_look(void);

/* Can a wait concern us at all? Two loads. */
static inline bool
unm_inherited_any(void)
{
	return __builtin_expect(unm_inherited_known, 1) ? unm_fdtab_used : unm_inherited_look();
}

#endif
