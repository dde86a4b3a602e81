/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum (RFC 1071), plain and while copying.
 *
 * A sum is kept unfolded and in the order of memory: 16-bit words are added as the machine loads
 * them, which gives the right bytes on either byte order as long as the result is stored the same
 * way. Numbers therefore enter as htons() makes them. A run that starts at an odd byte of the whole
 * counts with its bytes swapped (RFC 1071, 2 (B)); struct unm_csum keeps track of that, so that a
 * packet can be summed in pieces of any length.
 */
#ifndef UNM_VALE_CHECKSUM_FP_H
#define UNM_VALE_CHECKSUM_FP_H

#include <stdbool.h>
#include <stdint.h>

#define UNM_CSUM_MAX (1u << 20) /* bytes that one call can sum */

/* A sum under way. Start with {0}. */
struct unm_csum {
	uint64_t sum;
	bool odd; /* an odd number of bytes has been added */
};

/* To 16 bits, not inverted. */
static inline uint16_t
unm_csum_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

/*
 * Sum @len <= UNM_CSUM_MAX bytes, the last one padded with zero if it is alone. Return: a sum below
 * 2^48.
 */
uint64_t unm_csum_bytes(const void *src, uint32_t len);

/* The same, and copy them. */
uint64_t unm_csum_copy(void *dst, const void *src, uint32_t len) __attribute__((nonnull));

/* Add the sum of the next @len bytes. */
static inline void
unm_csum_add(struct unm_csum *c, uint64_t sum, uint32_t len)
{
	c->sum += c->odd ? __builtin_bswap16(unm_csum_fold(sum)) : sum;
	c->odd ^= len & 1;
}

/*
 * The pseudo header of TCP and UDP without its length, which the caller adds as htons(length):
 * addresses and protocol. @ip is the start of a header of version 4, 20 bytes, or 6, 40 bytes.
 */
uint64_t unm_csum_pseudo4(const uint8_t *ip, uint8_t proto);
uint64_t unm_csum_pseudo6(const uint8_t *ip, uint8_t proto);

#endif
