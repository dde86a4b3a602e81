/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rxseq: are the numbers of txseq all there, once and in order?
 *
 * The numbers increase by one and wrap at 2^32. The first one seen is taken as the start. A number
 * ahead of the expected one (by less than half the range) opens a gap: the numbers between are
 * counted as lost. A number behind is late: it closes part of a gap, so it is taken off the lost
 * ones again, if there are any; a repeated frame looks the same and is counted as late too.
 */
#ifndef PG_SEQ_H_
#define PG_SEQ_H_

#include <stdint.h>

struct pg_seq_stats;

/**
 * pg_udp_payload() - find the payload of a UDP frame
 * @need: bytes of payload that must be there
 *
 * Return: where it starts, or NULL when the frame is not IPv4 (without options) or IPv6 with UDP,
 * or is too short.
 */
const uint8_t *pg_udp_payload(const uint8_t *frame, uint32_t len, uint32_t need);

/** pg_seq_check() - count one received frame, without virtio-net header. Thread: owner of @s. */
void pg_seq_check(struct pg_seq_stats *s, const uint8_t *frame, uint32_t len);

#endif /* PG_SEQ_H_ */
