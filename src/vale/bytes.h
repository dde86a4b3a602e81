/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers in packet headers, at any alignment. */
#ifndef UNM_VALE_BYTES_H
#define UNM_VALE_BYTES_H

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t
unm_get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
unm_get_be32(const uint8_t *p)
{
	return (uint32_t)unm_get_be16(p) << 16 | unm_get_be16(p + 2);
}

static inline void
unm_put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
unm_put_be32(uint8_t *p, uint32_t v)
{
	unm_put_be16(p, v >> 16);
	unm_put_be16(p + 2, v);
}

/* 16 bits as they lie in memory: checksums. */
static inline void
unm_put_raw16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

#endif
