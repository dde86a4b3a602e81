/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and checking frames. See bl_frame.h. */
#include "bl_frame.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define ETHERTYPE  0xb588 /* 0x88b5 on the wire: for local experiments */
#define MULTIPLIER UINT64_C(0x9e3779b97f4a7c15)

static_assert(sizeof(struct bl_frame) == 48, "payload begins on an 8-byte boundary");
static_assert(offsetof(struct bl_frame, sum) == 40, "the sum comes last");

static uint64_t
mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * MULTIPLIER;
	return h ^ h >> 29;
}

/* Words at @p, the last one padded with zeroes. */
static uint64_t
mix_bytes(uint64_t h, const uint8_t *p, uint32_t len)
{
	uint64_t word;

	for (; len >= sizeof(word); p += sizeof(word), len -= (uint32_t)sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = mix(h, word);
	}
	word = 0;
	memcpy(&word, p, len);
	return mix(h, word);
}

static uint64_t
sum_of(const struct bl_frame *f)
{
	const uint64_t h = mix_bytes(f->len, (const uint8_t *)f, offsetof(struct bl_frame, sum));

	return mix_bytes(h, (const uint8_t *)(f + 1), f->len - (uint32_t)sizeof(*f));
}

void
bl_frame_seal(struct bl_frame *f)
{
	uint8_t *p = (uint8_t *)(f + 1);
	uint64_t word = f->seq * MULTIPLIER + f->run;
	uint32_t left = f->len - (uint32_t)sizeof(*f);

	f->ethertype = ETHERTYPE;
	for (; left >= sizeof(word); p += sizeof(word), left -= (uint32_t)sizeof(word)) {
		memcpy(p, &word, sizeof(word));
		word += MULTIPLIER;
	}
	memcpy(p, &word, left);
	f->sum = sum_of(f);
}

bool
bl_frame_is_whole(const struct bl_frame *f, uint32_t len)
{
	return len >= BL_MIN_LEN && f->len == len && f->ethertype == ETHERTYPE &&
	       f->sum == sum_of(f);
}

void
bl_frame_mac(uint8_t *mac, uint16_t stream, bool is_receiver)
{
	mac[0] = 0x02;
	mac[1] = 0xb1;
	mac[2] = 0;
	mac[3] = is_receiver;
	mac[4] = (uint8_t)(stream >> 8);
	mac[5] = (uint8_t)stream;
}
