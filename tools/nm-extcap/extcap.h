/* SPDX-License-Identifier: BSD-2-Clause */
/* Capturing from one port into a FIFO. */
#ifndef NM_EXTCAP_H
#define NM_EXTCAP_H

#include <stdint.h>

struct unm_filter;

enum extcap_direction {
	EXTCAP_BOTH,
	EXTCAP_IN,
	EXTCAP_OUT,
};

struct extcap_job {
	const char *name;
	const char *fifo;
	const char *filter_text;   /* for the file; NULL: none */
	struct unm_filter *filter; /* borrowed; NULL: none */
	enum extcap_direction direction;
	uint32_t snaplen;
};

/**
 * extcap_capture() - capture until SIGTERM, SIGINT, or until nobody reads the FIFO any more
 * @why: UNM_CAP_WHY_SIZE bytes
 *
 * An interface that is down is waited for, and so is a reader of the FIFO.
 *
 * Return: 0 when ended in one of these ways; negative errno with a sentence in @why: the port or
 * the file can't be opened, the port has gone, the file can't be written.
 */
int extcap_capture(const struct extcap_job *job, char *why);

#endif
