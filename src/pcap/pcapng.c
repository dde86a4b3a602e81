/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pcapng format, written. See pcapng.h.
 *
 *	block:   type, total length, body, padding to 4, options, total length
 *	option:  code, length, value, padding to 4;  the list ends with code 0
 */
#include "pcap/pcapng.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/utsname.h>

#define BLOCK_SECTION	 UINT32_C(0x0a0d0d0a)
#define BLOCK_INTERFACE	 UINT32_C(1)
#define BLOCK_COUNTERS	 UINT32_C(5)
#define BLOCK_PACKET	 UINT32_C(6)
#define BLOCK_FRAMING	 12u /* type and both lengths */

#define BYTE_ORDER_MAGIC UINT32_C(0x1a2b3c4d)
#define LINKTYPE_ETHER	 1
#define TEXT_MAX	 1024u /* of an option */
#define HEADS_MAX	 (4u * TEXT_MAX)

enum option_code {
	OPT_END = 0,
	SHB_OS = 3,
	SHB_USERAPPL = 4,
	IF_NAME = 2,
	IF_DESCRIPTION = 3,
	IF_TSRESOL = 9,
	IF_FILTER = 11,
	EPB_FLAGS = 2,
	ISB_STARTTIME = 2,
	ISB_ENDTIME = 3,
	ISB_IFRECV = 4,
	ISB_IFDROP = 5,
	ISB_FILTERACCEPT = 6,
};

#define FILTER_IS_TEXT 0 /* first byte of if_filter */

/* A block without its packet, put together before its length is known. */
struct block {
	uint32_t len;
	uint8_t bytes[HEADS_MAX]; /* what is put here is bounded by TEXT_MAX and counted */
};

static uint32_t
padding(uint32_t len)
{
	return -len & 3;
}

static void
put(struct block *b, const void *data, uint32_t len)
{
	memcpy(b->bytes + b->len, data, len);
	memset(b->bytes + b->len + len, 0, padding(len));
	b->len += len + padding(len);
}

static void
put_u32(struct block *b, uint32_t v)
{
	put(b, &v, sizeof(v));
}

/* A time, in two halves, the upper one first. */
static void
put_time(struct block *b, uint64_t ns)
{
	put_u32(b, (uint32_t)(ns >> 32));
	put_u32(b, (uint32_t)ns);
}

static void
put_u16_pair(struct block *b, uint32_t first, uint32_t second)
{
	const uint16_t v[2] = {(uint16_t)first, (uint16_t)second};

	put(b, v, sizeof(v));
}

static void
put_option(struct block *b, enum option_code code, const void *value, uint32_t len)
{
	put_u16_pair(b, code, len);
	put(b, value, len);
}

static void
put_text(struct block *b, enum option_code code, const char *text)
{
	const size_t len = strlen(text);

	put_option(b, code, text, len < TEXT_MAX ? (uint32_t)len : TEXT_MAX);
}

static void
put_count(struct block *b, enum option_code code, uint64_t n)
{
	put_option(b, code, &n, sizeof(n));
}

static void
write_bytes(struct unm_pcapng *w, const void *p, size_t len)
{
	if (w->error == 0 && len > 0 && fwrite_unlocked(p, 1, len, w->out) != len)
		w->error = errno != 0 ? -errno : -EIO;
}

/* Write a block: @b, then @data and its padding, then @options, both of which may be none. */
static int
write_block(struct unm_pcapng *w, uint32_t type, const struct block *b, const void *data,
	uint32_t len, const struct block *options)
{
	static const uint8_t zeroes[4];
	const uint32_t n_options = options != NULL ? options->len : 0;
	const uint32_t total = BLOCK_FRAMING + b->len + len + padding(len) + n_options;
	const uint32_t head[2] = {type, total};

	write_bytes(w, head, sizeof(head));
	write_bytes(w, b->bytes, b->len);
	write_bytes(w, data, len);
	write_bytes(w, zeroes, padding(len));
	if (options != NULL)
		write_bytes(w, options->bytes, options->len);
	write_bytes(w, &total, sizeof(total));
	return w->error;
}

static bool
os_name(char *text, size_t size)
{
	struct utsname u;

	if (uname(&u) < 0)
		return false;
	snprintf(text, size, "%s %s", u.sysname, u.release);
	return true;
}

int
unm_pcapng_begin(struct unm_pcapng *w, FILE *out, const char *program)
{
	const uint64_t unknown_len = UINT64_MAX;
	struct block b = {0};
	char text[160];

	*w = (struct unm_pcapng){.out = out};
	put_u32(&b, BYTE_ORDER_MAGIC);
	put_u16_pair(&b, 1, 0); /* version */
	put(&b, &unknown_len, sizeof(unknown_len));
	if (os_name(text, sizeof(text)))
		put_text(&b, SHB_OS, text);
	snprintf(text, sizeof(text), "%s (unetmap) %s", program, UNM_VERSION);
	put_text(&b, SHB_USERAPPL, text);
	put_u32(&b, OPT_END);
	return write_block(w, BLOCK_SECTION, &b, NULL, 0, NULL);
}

/* The option's value has a byte in front that says of what kind the filter is. */
static void
put_filter(struct block *b, const char *filter)
{
	char text[TEXT_MAX];

	text[0] = FILTER_IS_TEXT;
	snprintf(text + 1, sizeof(text) - 1, "%s", filter);
	put_option(b, IF_FILTER, text, 1 + (uint32_t)strlen(text + 1));
}

int64_t
unm_pcapng_interface(struct unm_pcapng *w, const struct unm_pcapng_interface *iface)
{
	const uint8_t nanoseconds = 9;
	struct block b = {0};

	put_u16_pair(&b, LINKTYPE_ETHER, 0);
	put_u32(&b, iface->snaplen);
	put_text(&b, IF_NAME, iface->name);
	if (iface->description != NULL)
		put_text(&b, IF_DESCRIPTION, iface->description);
	put_option(&b, IF_TSRESOL, &nanoseconds, sizeof(nanoseconds));
	if (iface->filter != NULL)
		put_filter(&b, iface->filter);
	put_u32(&b, OPT_END);
	if (write_block(w, BLOCK_INTERFACE, &b, NULL, 0, NULL) < 0)
		return w->error;
	return w->n_interfaces++;
}

int
unm_pcapng_packet(struct unm_pcapng *w, uint32_t idx, const struct unm_pcapng_packet *pkt)
{
	const uint32_t caplen =
		pkt->caplen < UNM_PCAPNG_MAX_CAPLEN ? pkt->caplen : UNM_PCAPNG_MAX_CAPLEN;
	const uint32_t flags = pkt->direction; /* the two lowest bits of epb_flags */
	struct block b, options;

	b.len = 0;
	put_u32(&b, idx);
	put_time(&b, pkt->time_ns);
	put_u32(&b, caplen);
	put_u32(&b, pkt->len);
	if (flags == UNM_PCAPNG_UNKNOWN)
		return write_block(w, BLOCK_PACKET, &b, pkt->data, caplen, NULL);
	options.len = 0;
	put_option(&options, EPB_FLAGS, &flags, sizeof(flags));
	put_u32(&options, OPT_END);
	return write_block(w, BLOCK_PACKET, &b, pkt->data, caplen, &options);
}

int
unm_pcapng_counters(struct unm_pcapng *w, uint32_t idx, const struct unm_pcapng_counters *counters)
{
	struct block b = {0};

	put_u32(&b, idx);
	put_time(&b, counters->end_ns);
	put_u16_pair(&b, ISB_STARTTIME, 8);
	put_time(&b, counters->start_ns);
	put_u16_pair(&b, ISB_ENDTIME, 8);
	put_time(&b, counters->end_ns);
	put_count(&b, ISB_IFRECV, counters->received);
	put_count(&b, ISB_IFDROP, counters->dropped);
	put_count(&b, ISB_FILTERACCEPT, counters->accepted);
	put_u32(&b, OPT_END);
	return write_block(w, BLOCK_COUNTERS, &b, NULL, 0, NULL);
}

int
unm_pcapng_flush(struct unm_pcapng *w)
{
	if (w->error == 0 && fflush(w->out) != 0)
		w->error = -errno;
	return w->error;
}
