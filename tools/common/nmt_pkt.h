/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ethernet frames with IPv4 or IPv6 and UDP: building, checksums, and the texts for MAC and IP
 * addresses and their ranges.
 *
 * Frames are byte arrays: an Ethernet header leaves the IP header on an odd multiple of two, so all
 * fields are stored byte by byte (a 16-bit store on any sane compiler). Addresses are kept in
 * network byte order, ports and lengths in host byte order until they are stored.
 */
#ifndef NMT_PKT_H_
#define NMT_PKT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nmt_err.h"

#define NMT_MAC_LEN	   6
#define NMT_ETH_HDR_LEN	   14
#define NMT_IPV4_HDR_LEN   20
#define NMT_IPV6_HDR_LEN   40
#define NMT_UDP_HDR_LEN	   8

#define NMT_ETHERTYPE_IPV4 0x0800
#define NMT_ETHERTYPE_IPV6 0x86dd
#define NMT_IPPROTO_UDP	   17

#define NMT_MAC_TEXT_SIZE  18 /* "aa:bb:cc:dd:ee:ff" */
#define NMT_IP_TEXT_SIZE   46 /* INET6_ADDRSTRLEN */

/* An IP address; IPv4 uses the first four bytes, the others are 0. */
struct nmt_ip {
	bool is_v6;
	uint8_t bytes[16];
};

/* All addresses from first to last, both included, first <= last as numbers. */
struct nmt_mac_range {
	uint8_t first[NMT_MAC_LEN];
	uint8_t last[NMT_MAC_LEN];
};

/* Addresses and ports, each an inclusive range of its own. Both ends are of one family. */
struct nmt_ip_range {
	struct nmt_ip first, last;
	uint16_t port_first, port_last;
};

/* What one UDP frame carries in its headers. */
struct nmt_udp_flow {
	uint8_t dst_mac[NMT_MAC_LEN];
	uint8_t src_mac[NMT_MAC_LEN];
	struct nmt_ip src_ip, dst_ip; /* of one family */
	uint16_t src_port, dst_port;
};

/* 16 and 32 bits in network byte order at any address. */
static inline void
nmt_put16(uint8_t *p, uint16_t val)
{
	p[0] = (uint8_t)(val >> 8);
	p[1] = (uint8_t)val;
}

static inline void
nmt_put32(uint8_t *p, uint32_t val)
{
	nmt_put16(p, (uint16_t)(val >> 16));
	nmt_put16(p + 2, (uint16_t)val);
}

static inline uint16_t
nmt_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
nmt_get32(const uint8_t *p)
{
	return (uint32_t)nmt_get16(p) << 16 | nmt_get16(p + 2);
}

/**
 * nmt_csum_add() - add bytes to an unfolded internet checksum
 * @sum: result of an earlier call whose @len was even, or 0
 * @len: up to 65536 bytes per call; an odd last byte counts as the high half of a word
 *
 * Thread: any. Return: the new sum, folded to at most 16 bits plus carry. Source: RFC 1071.
 */
uint32_t nmt_csum_add(uint32_t sum, const void *data, size_t len);

/** nmt_csum_finish() - fold and complement: the value for the checksum field, host byte order */
static inline uint16_t
nmt_csum_finish(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/**
 * nmt_udp_hdr_off() - where the UDP header starts in a frame made by nmt_pkt_build_udp()
 * nmt_udp_payload_off() - where its payload starts: 42 for IPv4, 62 for IPv6
 */
static inline size_t
nmt_udp_hdr_off(bool is_v6)
{
	return NMT_ETH_HDR_LEN + (is_v6 ? NMT_IPV6_HDR_LEN : NMT_IPV4_HDR_LEN);
}

static inline size_t
nmt_udp_payload_off(bool is_v6)
{
	return nmt_udp_hdr_off(is_v6) + NMT_UDP_HDR_LEN;
}

/**
 * nmt_pkt_build_udp() - write Ethernet, IP and UDP headers and their checksums around a payload
 * @frame: at least @len bytes; the payload is already at nmt_udp_payload_off() and stays as it is
 * @len:   whole frame without CRC, from nmt_udp_payload_off() to 65535 + 14
 * @flow:  both IP addresses of one family
 *
 * Thread: any. Return: 0, -EINVAL mixed families, -EMSGSIZE @len out of its range.
 * Source: RFC 768, 791, 8200.
 */
int nmt_pkt_build_udp(uint8_t *frame, size_t len, const struct nmt_udp_flow *flow);

/**
 * nmt_pkt_build_udp_headers() - the same when the sum of the payload is known
 * @headers:     receives nmt_udp_payload_off() bytes
 * @payload_sum: nmt_csum_add() over the payload of the frame
 *
 * For senders that change headers from frame to frame while the payload stays.
 */
int nmt_pkt_build_udp_headers(
	uint8_t *headers, size_t len, const struct nmt_udp_flow *flow, uint32_t payload_sum);

/**
 * nmt_udp_csum() - the UDP checksum of a frame
 * @frame: its headers are there, the checksum field itself does not matter
 * @len:   whole frame without CRC
 *
 * Return: the value for the field, host byte order; never 0, which would say "none" (RFC 768).
 */
uint16_t nmt_udp_csum(const uint8_t *frame, size_t len, bool is_v6);

/**
 * nmt_parse_mac() - read "a:b:c:d:e:f", one or two hexadecimal digits each
 * @mac: written on success only
 *
 * Thread: any. Return: 0 or -EINVAL.
 */
int nmt_parse_mac(const char *text, uint8_t mac[NMT_MAC_LEN], struct nmt_err *err);

/** nmt_parse_station_mac() - likewise, and -EINVAL for a group's address and for zero */
int nmt_parse_station_mac(const char *text, uint8_t mac[NMT_MAC_LEN], struct nmt_err *err);

/** nmt_parse_mac_range() - read "MAC" or "MAC-MAC". Return: 0, -EINVAL, -ERANGE last below first */
int nmt_parse_mac_range(const char *text, struct nmt_mac_range *range, struct nmt_err *err);

/** nmt_parse_ip() - read an address of the given family. Return: 0 or -EINVAL. Thread: any. */
int nmt_parse_ip(const char *text, bool is_v6, struct nmt_ip *ip, struct nmt_err *err);

/**
 * nmt_parse_ip_range() - read "ip[:port[-ip[:port]]]", "ip-ip", IPv6 with ports as "[ip]:port"
 * @range: holds the defaults for ports that the text leaves out; its family decides that of the
 *         text; written on success only
 *
 * A single address or port is a range of one. Thread: any.
 * Return: 0, -EINVAL syntax, -ERANGE last below first. Source: spec section 24.1, options -s, -d.
 */
int nmt_parse_ip_range(const char *text, struct nmt_ip_range *range, struct nmt_err *err);

/** nmt_format_mac() - @buf holds NMT_MAC_TEXT_SIZE bytes. Return: @buf. */
const char *nmt_format_mac(char *buf, const uint8_t mac[NMT_MAC_LEN]);

/** nmt_format_ip() - @buf holds NMT_IP_TEXT_SIZE bytes. Return: @buf. */
const char *nmt_format_ip(char *buf, const struct nmt_ip *ip);

/**
 * nmt_mac_next(), nmt_ip_next() - step to the next address of a range, from the last to the first
 *
 * Return: true when it wrapped, so that ranges can be stepped like an odometer. Thread: any.
 */
bool nmt_mac_next(uint8_t mac[NMT_MAC_LEN], const struct nmt_mac_range *range);
bool nmt_ip_next(struct nmt_ip *ip, const struct nmt_ip_range *range);

#endif /* NMT_PKT_H_ */
