/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames and checksums: see nmt_pkt.h. */
#include "nmt_pkt.h"

#include <errno.h>
#include <string.h>

#define IP_TTL 64

/* Offsets inside the headers (RFC 791, 8200, 768). */
enum {
	IPV4_LEN_OFF = 2,
	IPV4_TTL_OFF = 8,
	IPV4_PROTO_OFF = 9,
	IPV4_CSUM_OFF = 10,
	IPV4_SRC_OFF = 12,
	IPV4_DST_OFF = 16,
	IPV6_LEN_OFF = 4,
	IPV6_NEXT_OFF = 6,
	IPV6_HOPS_OFF = 7,
	IPV6_SRC_OFF = 8,
	IPV6_DST_OFF = 24,
	UDP_LEN_OFF = 4,
	UDP_CSUM_OFF = 6,
};

uint32_t
nmt_csum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t wide = sum;
	size_t i = 0;

	for (; i + 1 < len; i += 2) /* up to 65536 bytes */
		wide += nmt_get16(p + i);
	if (i < len)
		wide += (uint32_t)p[i] << 8;
	wide = (wide & 0xffff) + (wide >> 16);
	wide = (wide & 0xffff) + (wide >> 16);
	return (uint32_t)wide;
}

/* UDP checksum out of the headers in @frame and the sum of the payload. */
static uint16_t
udp_csum(const uint8_t *frame, size_t len, bool is_v6, uint32_t payload_sum)
{
	const uint8_t *ip = frame + NMT_ETH_HDR_LEN;
	size_t udp_off = nmt_udp_hdr_off(is_v6);
	uint32_t sum = NMT_IPPROTO_UDP + (uint32_t)(len - udp_off) + payload_sum;
	uint16_t csum;

	/* The pseudo header: both addresses (adjacent in either family), protocol and length. */
	if (is_v6)
		sum = nmt_csum_add(sum, ip + IPV6_SRC_OFF, 2 * 16);
	else
		sum = nmt_csum_add(sum, ip + IPV4_SRC_OFF, 2 * 4);
	sum = nmt_csum_add(sum, frame + udp_off, UDP_CSUM_OFF);
	csum = nmt_csum_finish(sum);
	return csum == 0 ? 0xffff : csum; /* 0 on the wire says "none" */
}

uint16_t
nmt_udp_csum(const uint8_t *frame, size_t len, bool is_v6)
{
	size_t payload_off = nmt_udp_payload_off(is_v6);

	return udp_csum(frame, len, is_v6, nmt_csum_add(0, frame + payload_off, len - payload_off));
}

static void
build_ipv4(uint8_t *ip, size_t len, const struct nmt_udp_flow *flow)
{
	memset(ip, 0, NMT_IPV4_HDR_LEN);
	ip[0] = 0x45; /* version 4, five words */
	nmt_put16(ip + IPV4_LEN_OFF, (uint16_t)len);
	ip[IPV4_TTL_OFF] = IP_TTL;
	ip[IPV4_PROTO_OFF] = NMT_IPPROTO_UDP;
	memcpy(ip + IPV4_SRC_OFF, flow->src_ip.bytes, 4);
	memcpy(ip + IPV4_DST_OFF, flow->dst_ip.bytes, 4);
	nmt_put16(ip + IPV4_CSUM_OFF, nmt_csum_finish(nmt_csum_add(0, ip, NMT_IPV4_HDR_LEN)));
}

static void
build_ipv6(uint8_t *ip, size_t len, const struct nmt_udp_flow *flow)
{
	memset(ip, 0, NMT_IPV6_HDR_LEN);
	ip[0] = 0x60; /* version 6 */
	nmt_put16(ip + IPV6_LEN_OFF, (uint16_t)(len - NMT_IPV6_HDR_LEN));
	ip[IPV6_NEXT_OFF] = NMT_IPPROTO_UDP;
	ip[IPV6_HOPS_OFF] = IP_TTL;
	memcpy(ip + IPV6_SRC_OFF, flow->src_ip.bytes, 16);
	memcpy(ip + IPV6_DST_OFF, flow->dst_ip.bytes, 16);
}

/* Room for all headers, and no more than the IP length field can say. */
static bool
is_frame_len(size_t len, bool is_v6)
{
	return len >= nmt_udp_payload_off(is_v6) && len <= NMT_ETH_HDR_LEN + UINT16_MAX;
}

int
nmt_pkt_build_udp_headers(
	uint8_t *headers, size_t len, const struct nmt_udp_flow *flow, uint32_t payload_sum)
{
	bool is_v6 = flow->src_ip.is_v6;
	uint8_t *udp = headers + nmt_udp_hdr_off(is_v6);

	if (flow->dst_ip.is_v6 != is_v6)
		return -EINVAL;
	if (!is_frame_len(len, is_v6))
		return -EMSGSIZE;
	memcpy(headers, flow->dst_mac, NMT_MAC_LEN);
	memcpy(headers + NMT_MAC_LEN, flow->src_mac, NMT_MAC_LEN);
	nmt_put16(headers + 2 * NMT_MAC_LEN, is_v6 ? NMT_ETHERTYPE_IPV6 : NMT_ETHERTYPE_IPV4);
	if (is_v6)
		build_ipv6(headers + NMT_ETH_HDR_LEN, len - NMT_ETH_HDR_LEN, flow);
	else
		build_ipv4(headers + NMT_ETH_HDR_LEN, len - NMT_ETH_HDR_LEN, flow);
	nmt_put16(udp, flow->src_port);
	nmt_put16(udp + 2, flow->dst_port);
	nmt_put16(udp + UDP_LEN_OFF, (uint16_t)(len - nmt_udp_hdr_off(is_v6)));
	nmt_put16(udp + UDP_CSUM_OFF, udp_csum(headers, len, is_v6, payload_sum));
	return 0;
}

int
nmt_pkt_build_udp(uint8_t *frame, size_t len, const struct nmt_udp_flow *flow)
{
	size_t payload_off = nmt_udp_payload_off(flow->src_ip.is_v6);
	uint32_t payload_sum = 0;

	if (is_frame_len(len, flow->src_ip.is_v6))
		payload_sum = nmt_csum_add(0, frame + payload_off, len - payload_off);
	return nmt_pkt_build_udp_headers(frame, len, flow, payload_sum);
}
