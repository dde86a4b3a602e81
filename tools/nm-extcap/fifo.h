/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file that is captured to, mostly a FIFO. Opening it waits for a reader, and writing to it for
 * room, so that a signal (nmt_stop.h) ends either: who is told to end while nobody reads what is
 * there gives the rest up soon.
 */
#ifndef NM_EXTCAP_FIFO_H
#define NM_EXTCAP_FIFO_H

#include <stdint.h>
#include <stdio.h>

struct fifo {
	int fd;
	FILE *file;	 /* to write to */
	uint64_t end_ns; /* told to end: until when to wait for room; 0: not told */
};

/**
 * fifo_open() - open @path, or create it
 *
 * Waits until a FIFO has a reader. Return: 0; -EINTR a signal to stop has come before; -errno.
 */
int fifo_open(struct fifo *f, const char *path);

/* Write what is left, and close. */
void fifo_close(struct fifo *f);

#endif
