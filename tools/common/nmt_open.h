/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening ports by name, as all programs do it: a failure is one message that says what to do. */
#ifndef NMT_OPEN_H_
#define NMT_OPEN_H_

#include <libnetmap.h>

#include "nmt_err.h"

/**
 * nmt_port_prepare(), nmt_port_open_desc(), nmt_port_open() - as nmport_prepare() and so on
 * @err: on failure "cannot open SPEC: ", the errno in words, and what was wrong and what to do as
 * far as the library or netmapd say it. The library itself prints nothing any more
 *
 * Thread: main. Return: NULL with errno set, or a negative errno, on failure.
 */
struct nmport_d *nmt_port_prepare(const char *spec, struct nmt_err *err);
int nmt_port_open_desc(struct nmport_d *d, const char *spec, struct nmt_err *err);
struct nmport_d *nmt_port_open(const char *spec, struct nmt_err *err);

#endif /* NMT_OPEN_H_ */
