/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a worker or broker writes to after netmapd's end.
 *
 * Both have netmapd's standard output and error, and outlive it. Where one of these is a pipe, its
 * reader waits for the last writer to go: so it is given up as soon as the netmapd that started us
 * has ended. A terminal, a file and the journal's socket wait for nobody, and are kept.
 */
#ifndef NETMAPD_OUTPUT_H
#define NETMAPD_OUTPUT_H

/**
 * output_watch_parent() - to be called first of all. Takes SIGUSR1, which comes when netmapd ends, and
 * has ended us until now.
 */
void output_watch_parent(void);

#endif
