/* SPDX-License-Identifier: BSD-2-Clause */
/* Sequence numbers: see seq.h. */
#include "seq.h"

#include <stddef.h>
#include <time.h>

#include "nmt_log.h"
#include "nmt_pkt.h"
#include "worker.h"

#define SEQ_LEN	      4
#define ETHERTYPE_OFF 12

/* Offsets from the start of an Ethernet frame. */
enum { IPV4_FIRST_OFF = 14, IPV4_PROTO_OFF = 23, IPV6_NEXT_OFF = 20 };

const uint8_t *
pg_udp_payload(const uint8_t *frame, uint32_t len, uint32_t need)
{
	size_t off;

	if (len < nmt_udp_payload_off(false) + need)
		return NULL;
	switch (nmt_get16(frame + ETHERTYPE_OFF)) {
	case NMT_ETHERTYPE_IPV4:
		if (frame[IPV4_FIRST_OFF] != 0x45 || frame[IPV4_PROTO_OFF] != NMT_IPPROTO_UDP)
			return NULL;
		off = nmt_udp_payload_off(false);
		break;
	case NMT_ETHERTYPE_IPV6:
		off = nmt_udp_payload_off(true);
		if (frame[IPV6_NEXT_OFF] != NMT_IPPROTO_UDP || len < off + need)
			return NULL;
		break;
	default:
		return NULL;
	}
	return frame + off;
}

/* At most one line a second, so that heavy loss does not slow the receiver further. */
static void
log_gap(uint32_t expected, uint32_t found)
{
	static _Thread_local time_t last;
	time_t now = time(NULL);

	if (now == last)
		return;
	last = now;
	nmt_log("Sequence GAP: exp %u found %u", expected, found);
}

void
pg_seq_check(struct pg_seq_stats *s, const uint8_t *frame, uint32_t len)
{
	const uint8_t *payload = pg_udp_payload(frame, len, SEQ_LEN);
	uint32_t seq;
	uint32_t ahead;

	if (payload == NULL) {
		s->n_foreign++;
		return;
	}
	seq = nmt_get32(payload);
	if (!s->has_expected) {
		s->has_expected = true;
		s->expected = seq;
	}
	ahead = seq - s->expected; /* modulo 2^32 */
	if (ahead > INT32_MAX) {
		s->n_late++;
		if (s->n_lost > 0)
			s->n_lost--;
		return;
	}
	if (ahead > 0) {
		s->n_gaps++;
		s->n_lost += ahead;
		log_gap(s->expected, seq);
	}
	s->expected = seq + 1;
}
