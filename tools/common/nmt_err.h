/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The message that a parser of the tools' common library leaves when it refuses a text.
 *
 * Parsers return 0 or a negative errno value; the message names what was wrong with the text and
 * what would be right, without the name of the option, which only the caller knows. The caller puts
 * it behind that name (nmt_cli.h does so for options).
 */
#ifndef NMT_ERR_H_
#define NMT_ERR_H_

struct nmt_err {
	char text[512]; /* a NUL-terminated sentence without full stop */
};

/**
 * nmt_err_set() - fill in the message and hand the error value through
 * @err:   receives the message, cut at its size; may be NULL
 * @error: negative errno value
 *
 * Thread: any. Return: @error, so that a parser can end with "return nmt_err_set(...)".
 */
int nmt_err_set(struct nmt_err *err, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* NMT_ERR_H_ */
