/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame read as one run of bytes, whatever its fragments are. The caller never asks for more than
 * there is.
 */
#ifndef UNM_VALE_READER_H
#define UNM_VALE_READER_H

#include <stdint.h>
#include <string.h>

#include "vale/checksum_fp.h"
#include "vale/forward.h"

struct unm_reader {
	const struct unm_frag *frag;
	uint32_t ofs; /* bytes of it read */
};

/*
 * The next run of at most @len bytes. Return: its length, not 0 unless @len is; fragments are not
 * empty.
 */
static inline uint32_t
unm_reader_run(struct unm_reader *r, uint32_t len, const uint8_t **src)
{
	const uint32_t left = r->frag->len - r->ofs;

	*src = r->frag->data + r->ofs;
	if (len < left) {
		r->ofs += len;
		return len;
	}
	r->frag++;
	r->ofs = 0;
	return left;
}

/* Copy the next @len bytes to @dst, or pass over them (@dst NULL). They may overlap: see copy.h. */
static inline void
unm_reader_take(struct unm_reader *r, uint8_t *dst, uint32_t len)
{
	uint32_t done = 0;

	while (done < len) { /* consumes fragments; their lengths sum up to at least len */
		const uint8_t *src;
		const uint32_t run = unm_reader_run(r, len - done, &src);

		if (dst != NULL)
			memmove(dst + done, src, run);
		done += run;
	}
}

/* The same, and add them to @c. What is passed over adds nothing. */
static inline void
unm_reader_take_sum(struct unm_reader *r, uint8_t *dst, uint32_t len, struct unm_csum *c)
{
	uint32_t done = 0;

	while (done < len) { /* as above */
		const uint8_t *src;
		const uint32_t run = unm_reader_run(r, len - done, &src);

		if (dst != NULL)
			unm_csum_add(c, unm_csum_copy(dst + done, src, run), run);
		done += run;
	}
}

#endif
