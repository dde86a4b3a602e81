/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MAC and IP addresses as text, and their ranges: see nmt_pkt.h.
 *
 * A range of IP addresses and ports reads "first-last", where each half is "ip", "ip:port" or
 * "[ip]:port". Only IPv6 addresses hold colons, so an IPv6 address with a port needs the brackets.
 */
#include "nmt_pkt.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nmt_units.h"

#define HALF_TEXT_MAX 64 /* "[", the longest IPv6 address, "]:65535" and NUL fit */

int
nmt_parse_mac(const char *text, uint8_t mac[NMT_MAC_LEN], struct nmt_err *err)
{
	uint8_t parsed[NMT_MAC_LEN];
	const char *p = text;

	for (int i = 0; i < NMT_MAC_LEN; i++) {
		size_t n_digits = strspn(p, "0123456789abcdefABCDEF");
		char expected = i + 1 < NMT_MAC_LEN ? ':' : '\0';

		if (n_digits < 1 || n_digits > 2 || p[n_digits] != expected)
			return nmt_err_set(err, -EINVAL,
				"'%.40s' is not a MAC address (six hexadecimal bytes, a:b:c:d:e:f)",
				text);
		parsed[i] = (uint8_t)strtoul(p, NULL, 16);
		p += n_digits + 1;
	}
	memcpy(mac, parsed, NMT_MAC_LEN);
	return 0;
}

int
nmt_parse_station_mac(const char *text, uint8_t mac[NMT_MAC_LEN], struct nmt_err *err)
{
	static const uint8_t zero[NMT_MAC_LEN];
	uint8_t parsed[NMT_MAC_LEN];
	const int error = nmt_parse_mac(text, parsed, err);

	if (error != 0)
		return error;
	if (parsed[0] & 1)
		return nmt_err_set(err, -EINVAL, "%s is a group's address", text);
	if (memcmp(parsed, zero, sizeof(zero)) == 0)
		return nmt_err_set(err, -EINVAL, "%s is no station's address", text);
	memcpy(mac, parsed, NMT_MAC_LEN);
	return 0;
}

/* Cut "first-last" in two at the first '-'; without one both halves are the whole text. */
static int
split_range(const char *text, char first[HALF_TEXT_MAX], char last[HALF_TEXT_MAX])
{
	const char *dash = strchrnul(text, '-');
	const char *second = *dash == '-' ? dash + 1 : text;

	if (dash - text >= HALF_TEXT_MAX || strlen(second) >= HALF_TEXT_MAX)
		return -EINVAL;
	memcpy(first, text, (size_t)(dash - text));
	first[dash - text] = '\0';
	strcpy(last, second);
	return 0;
}

int
nmt_parse_mac_range(const char *text, struct nmt_mac_range *range, struct nmt_err *err)
{
	char first[HALF_TEXT_MAX];
	char last[HALF_TEXT_MAX];
	struct nmt_mac_range parsed;
	int error;

	if (split_range(text, first, last) != 0)
		return nmt_err_set(err, -EINVAL, "'%.40s' is not a MAC address or range", text);
	error = nmt_parse_mac(first, parsed.first, err);
	if (error == 0)
		error = nmt_parse_mac(last, parsed.last, err);
	if (error != 0)
		return error;
	if (memcmp(parsed.last, parsed.first, NMT_MAC_LEN) < 0)
		return nmt_err_set(err, -ERANGE, "the range %.60s ends before it starts", text);
	*range = parsed;
	return 0;
}

int
nmt_parse_ip(const char *text, bool is_v6, struct nmt_ip *ip, struct nmt_err *err)
{
	struct nmt_ip parsed = {.is_v6 = is_v6};

	if (inet_pton(is_v6 ? AF_INET6 : AF_INET, text, parsed.bytes) != 1)
		return nmt_err_set(err, -EINVAL, "'%.50s' is not an %s address", text,
			is_v6 ? "IPv6" : "IPv4");
	*ip = parsed;
	return 0;
}

/*
 * Read "ip", "ip:port" or "[ip]:port" out of @text, which is changed. *port stays as it is when the
 * text names none.
 */
static int
parse_endpoint(char *text, bool is_v6, struct nmt_ip *ip, uint16_t *port, struct nmt_err *err)
{
	char *addr = text;
	char *port_text = NULL;
	uint64_t val = *port;
	int error;

	if (is_v6 && text[0] == '[') {
		char *close = strchr(text, ']');

		if (close == NULL || (close[1] != '\0' && close[1] != ':'))
			return nmt_err_set(err, -EINVAL,
				"'%.50s' is not an IPv6 address with port ([ip]:port)", text);
		if (close[1] == ':')
			port_text = close + 2;
		*close = '\0';
		addr = text + 1;
	} else if (!is_v6 && strchr(text, ':') != NULL) {
		port_text = strchr(text, ':');
		*port_text++ = '\0';
	}
	if (port_text != NULL) {
		error = nmt_parse_u64(port_text, 0, UINT16_MAX, &val, err);
		if (error != 0)
			return error;
	}
	error = nmt_parse_ip(addr, is_v6, ip, err);
	if (error == 0)
		*port = (uint16_t)val;
	return error;
}

int
nmt_parse_ip_range(const char *text, struct nmt_ip_range *range, struct nmt_err *err)
{
	char first[HALF_TEXT_MAX];
	char last[HALF_TEXT_MAX];
	struct nmt_ip_range parsed = *range;
	bool is_v6 = range->first.is_v6;
	int error;

	if (split_range(text, first, last) != 0)
		return nmt_err_set(err, -EINVAL, "'%.40s' is not an address or range", text);
	error = parse_endpoint(first, is_v6, &parsed.first, &parsed.port_first, err);
	if (error != 0)
		return error;
	parsed.port_last = parsed.port_first; /* "ip:port-ip" means one port */
	error = parse_endpoint(last, is_v6, &parsed.last, &parsed.port_last, err);
	if (error != 0)
		return error;
	if (memcmp(parsed.last.bytes, parsed.first.bytes, sizeof(parsed.last.bytes)) < 0 ||
		parsed.port_last < parsed.port_first)
		return nmt_err_set(err, -ERANGE, "the range %.80s ends before it starts", text);
	*range = parsed;
	return 0;
}

const char *
nmt_format_mac(char *buf, const uint8_t mac[NMT_MAC_LEN])
{
	snprintf(buf, NMT_MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	return buf;
}

const char *
nmt_format_ip(char *buf, const struct nmt_ip *ip)
{
	/* Cannot fail: the family is one of two and the buffer is large enough for both. */
	return inet_ntop(ip->is_v6 ? AF_INET6 : AF_INET, ip->bytes, buf, NMT_IP_TEXT_SIZE);
}

/* Add 1 to a big-endian number, or start again when it is at the end. True: started again. */
static bool
next_in_range(uint8_t *val, const uint8_t *first, const uint8_t *last, size_t len)
{
	if (memcmp(val, last, len) == 0) {
		memcpy(val, first, len);
		return true;
	}
	for (size_t i = len; i-- > 0;) /* at most 16 bytes */
		if (++val[i] != 0)
			break;
	return false;
}

bool
nmt_mac_next(uint8_t mac[NMT_MAC_LEN], const struct nmt_mac_range *range)
{
	return next_in_range(mac, range->first, range->last, NMT_MAC_LEN);
}

bool
nmt_ip_next(struct nmt_ip *ip, const struct nmt_ip_range *range)
{
	return next_in_range(ip->bytes, range->first.bytes, range->last.bytes, ip->is_v6 ? 16 : 4);
}
