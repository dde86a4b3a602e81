/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Progress lines on standard error in the format of netmap's D() macro:
 *
 *	042.518377 main_thread [117] 14.881 Mpps ...
 *
 * which is seconds modulo 1000, microseconds, function, line number and message (spec 23.1). One
 * write per line, so that lines of several threads do not mix.
 */
#ifndef NMT_LOG_H_
#define NMT_LOG_H_

/** nmt_log() - write one line with the caller's function and line number. Thread: any. */
#define nmt_log(...) nmt_log_at(__func__, __LINE__, __VA_ARGS__)

/** nmt_debug() - as nmt_log(), when the verbosity is at least @level. Thread: any. */
#define nmt_debug(level, ...)                                                                      \
	do {                                                                                       \
		if (nmt_log_verbosity() >= (level))                                                \
			nmt_log_at(__func__, __LINE__, __VA_ARGS__);                               \
	} while (0)

/**
 * nmt_log_at() - write one line that names @func and @line; cut at about 1000 characters
 *
 * Thread: any; may block as long as standard error does.
 */
void nmt_log_at(const char *func, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** nmt_log_set_verbosity() - 0 is quiet. Thread: main, before other threads start. */
void nmt_log_set_verbosity(int level);
int nmt_log_verbosity(void);

#endif /* NMT_LOG_H_ */
