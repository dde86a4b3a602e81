/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers that look random and are the same in every run: xorshift (Marsaglia 2003). */
#ifndef TEST_SUPPORT_TEST_RANDOM_H_
#define TEST_SUPPORT_TEST_RANDOM_H_

#include <stdint.h>

/** test_random() - the next number; @state is the seed at first, and never 0 */
static inline uint32_t
test_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

#endif /* TEST_SUPPORT_TEST_RANDOM_H_ */
