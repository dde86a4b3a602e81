/* SPDX-License-Identifier: BSD-2-Clause */
/* See flow_hash.h. Reads nothing at or after eth + len. */
#include "vale/flow_hash.h"

#include <string.h>

#define ETH_LEN	   14u
#define VLAN_LEN   4u
#define MAX_VLANS  2
#define IPV4_LEN   20u
#define IPV6_LEN   40u
#define PROTO_TCP  6
#define PROTO_UDP  17
#define PROTO_SCTP 132

static uint64_t
mix(uint64_t h, const uint8_t *p, uint32_t len)
{
	while (len > 0) { /* len is one of the constants below: at most four turns */
		const uint32_t k = len < 8 ? len : 8;
		uint64_t w = 0;

		memcpy(&w, p, k);
		h = (h ^ w) * UINT64_C(0x9fb21c651e98df25);
		h ^= h >> 29;
		p += k;
		len -= k;
	}
	return h;
}

static int
has_ports(uint8_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP;
}

static uint64_t
finish(uint64_t h)
{
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

uint64_t
unm_flow_hash(const uint8_t *eth, uint32_t len)
{
	uint64_t h = UINT64_C(0x243f6a8885a308d3);
	uint32_t l3 = ETH_LEN;
	uint16_t type;
	int i;

	type = (uint16_t)(eth[12] << 8 | eth[13]);
	for (i = 0; i < MAX_VLANS && (type == 0x8100 || type == 0x88a8) && len >= l3 + VLAN_LEN;
		i++) {
		type = (uint16_t)(eth[l3 + 2] << 8 | eth[l3 + 3]);
		l3 += VLAN_LEN;
	}
	if (type == 0x0800 && len >= l3 + IPV4_LEN) {
		const uint8_t *ip = eth + l3;
		const uint32_t ihl = (uint32_t)(ip[0] & 15) * 4;
		const int fragment = (ip[6] & 0x3f) | ip[7];

		h = mix(h, ip + 12, 8);
		if (!fragment && has_ports(ip[9]) && ihl >= IPV4_LEN && len >= l3 + ihl + 4)
			h = mix(h, ip + ihl, 4);
		return finish(h);
	}
	if (type == 0x86dd && len >= l3 + IPV6_LEN) {
		const uint8_t *ip = eth + l3;

		h = mix(h, ip + 8, 32);
		if (has_ports(ip[6]) && len >= l3 + IPV6_LEN + 4)
			h = mix(h, ip + IPV6_LEN, 4);
		return finish(h);
	}
	return finish(mix(h, eth, 12));
}
