/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading capture files: opening, input, and the pcap format. capture_pcapng.c has the other one.
 *
 * Why this is not libpcap, which is our rule for what a kept library does: it cannot do the job.
 * Tried with 1.10.3 on generated files:
 *  - pcapng with interfaces of different link types, or merely of different snapshot lengths, is
 *    refused as a whole, also when only one of them has packets; captures of "any two interfaces"
 *    look like that;
 *  - a second section in the other byte order is taken for a damaged block;
 *  - if_tsresol beyond 10^-19 or 2^-63 is refused;
 *  - a file cut in its last record cannot be told from a damaged one except by the text of the
 *    message, and no message says where in the file the fault is;
 *  - the length of a frame check sequence in a pcapng interface is not reported.
 * The unit test reads the same generated files with libpcap, where that can, and compares.
 *
 * Nothing in a file is believed: a length is compared with what the enclosing block or the packet
 * limit leaves before it is used, and a length that leads past the end of the file costs no memory,
 * because only NMT_CAPTURE_CAPLEN_MAX bytes are ever held.
 *
 * pcap: a header of 24 bytes whose magic number tells byte order and time unit, then for each
 * packet a header of 16 bytes and its data. Source: pcap-savefile(5) and the tcpdump.org registry
 * for the upper bits of the link type field.
 */
#include "capture_reader_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define PCAP_MAGIC_US	    UINT32_C(0xa1b2c3d4)
#define PCAP_MAGIC_NS	    UINT32_C(0xa1b23c4d)
#define PCAP_MAGIC_MODIFIED UINT32_C(0xa1b2cd34) /* longer record headers, of 1990s Linux patches */
#define PCAPNG_MAGIC	    UINT32_C(0x0a0d0d0a) /* reads the same in both byte orders */
#define GZIP_MAGIC	    0x8b1f

/* The link type field: number, "the FCS length is valid", and that length in units of 16 bits. */
#define LINKTYPE_NUMBER(field)	((uint16_t)(field))
#define LINKTYPE_HAS_FCS(field) (((field) >> 26 & 1) != 0)
#define LINKTYPE_FCS_LEN(field) (((field) >> 28) * 2)

struct pcap_header {
	uint16_t version_major;
	uint16_t version_minor;
	uint32_t unused[2]; /* time zone and accuracy; written as 0 by everybody */
	uint32_t snaplen;
	uint32_t linktype;
};
_Static_assert(sizeof(struct pcap_header) == 20, "file header without its magic number");

struct pcap_record {
	uint32_t time_s; /* unsigned, good until 2106 */
	uint32_t time_frac;
	uint32_t caplen;
	uint32_t len;
};
_Static_assert(sizeof(struct pcap_record) == 16, "record header of pcap-savefile(5)");

int
capture_bad(struct nmt_capture *cap, struct nmt_err *err, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return nmt_err_set(err, -EBADMSG, "offset %" PRIu64 ": %s", cap->record_offset, text);
}

/* Why fread() came back short: a failing read, or the end of the input. */
static int
short_read(struct nmt_capture *cap, const char *what, struct nmt_err *err)
{
	int error = errno != 0 ? -errno : -EIO;

	if (ferror(cap->in))
		return nmt_err_set(err, error, "offset %" PRIu64 ": cannot read: %s", cap->offset,
			strerror(-error));
	return nmt_err_set(err, -ENODATA,
		"offset %" PRIu64 ": the file ends at offset %" PRIu64 ", in the middle of %s",
		cap->record_offset, cap->offset, what);
}

int
capture_get(struct nmt_capture *cap, void *dst, size_t len, const char *what, struct nmt_err *err)
{
	size_t n;

	errno = 0;
	n = fread(dst, 1, len, cap->in);
	cap->offset += n;
	return n == len ? 0 : short_read(cap, what, err);
}

int
capture_get_head(
	struct nmt_capture *cap, void *dst, size_t len, const char *what, struct nmt_err *err)
{
	int error;

	cap->record_offset = cap->offset;
	error = capture_get(cap, dst, len, what, err);
	if (error == -ENODATA && cap->offset == cap->record_offset)
		return 0;
	return error != 0 ? error : 1;
}

int
capture_skip(struct nmt_capture *cap, uint64_t len, const char *what, struct nmt_err *err)
{
	uint8_t scratch[4096];

	while (len > 0) { /* ends with the input at the latest */
		size_t n = len < sizeof(scratch) ? (size_t)len : sizeof(scratch);
		int error = capture_get(cap, scratch, n, what, err);

		if (error != 0)
			return error;
		len -= n;
	}
	return 0;
}

uint32_t
capture_fcs_in_data(uint32_t caplen, uint32_t len, uint32_t fcs_len)
{
	uint32_t n_cut = len - caplen; /* bytes of the packet's end that were not captured */

	if (n_cut >= fcs_len || fcs_len > len)
		return 0;
	return fcs_len - n_cut;
}

static int
pcap_begin(struct nmt_capture *cap, uint32_t magic, struct nmt_err *err)
{
	struct pcap_header header;
	uint32_t linktype;
	int error;

	cap->swapped = magic == bswap_32(PCAP_MAGIC_US) || magic == bswap_32(PCAP_MAGIC_NS);
	magic = capture_u32(cap, magic);
	cap->format = magic == PCAP_MAGIC_NS ? NMT_CAPTURE_PCAP_NS : NMT_CAPTURE_PCAP_US;
	error = capture_get(cap, &header, sizeof(header), "the file header", err);
	if (error != 0)
		return error;
	if (capture_u16(cap, header.version_major) != 2 ||
		capture_u16(cap, header.version_minor) != 4)
		return nmt_err_set(err, -EPROTONOSUPPORT,
			"offset 4: pcap version %u.%u is not understood, only 2.4 is",
			capture_u16(cap, header.version_major),
			capture_u16(cap, header.version_minor));
	linktype = capture_u32(cap, header.linktype);
	cap->linktype = LINKTYPE_NUMBER(linktype);
	cap->fcs_len = LINKTYPE_HAS_FCS(linktype) ? LINKTYPE_FCS_LEN(linktype) : 0;
	return 0;
}

static int
pcap_next(struct nmt_capture *cap, struct nmt_capture_packet *pkt, struct nmt_err *err)
{
	int64_t frac_unit_ns = cap->format == NMT_CAPTURE_PCAP_NS ? 1 : 1000;
	struct pcap_record record;
	uint32_t caplen;
	uint32_t len;
	int got;

	got = capture_get_head(cap, &record, sizeof(record), "a packet header", err);
	if (got <= 0)
		return got;
	caplen = capture_u32(cap, record.caplen);
	len = capture_u32(cap, record.len);
	if (caplen > NMT_CAPTURE_CAPLEN_MAX)
		return capture_bad(cap, err,
			"packet header claims %" PRIu32
			" captured bytes, more than a packet can have "
			"(%u)",
			caplen, NMT_CAPTURE_CAPLEN_MAX);
	got = capture_get(cap, cap->buf, caplen, "a packet", err);
	if (got != 0)
		return got;
	if (len < caplen)
		len = caplen; /* written by programs that count padding on one side only */
	/* No overflow: 2^32 s and 2^32 us are 2^62 ns. */
	*pkt = (struct nmt_capture_packet){
		.data = cap->buf,
		.caplen = caplen,
		.len = len,
		.fcs_len = capture_fcs_in_data(caplen, len, cap->fcs_len),
		.linktype = cap->linktype,
		.has_time = true,
		.time_ns = (int64_t)capture_u32(cap, record.time_s) * 1000000000 +
			   (int64_t)capture_u32(cap, record.time_frac) * frac_unit_ns,
		.offset = cap->record_offset,
	};
	return 1;
}

/* What a file that begins with neither magic number may be. */
static int
refuse_magic(uint32_t magic, struct nmt_err *err)
{
	uint8_t bytes[4];

	memcpy(bytes, &magic, sizeof(bytes));
	if ((bytes[0] | bytes[1] << 8) == GZIP_MAGIC)
		return nmt_err_set(err, -EPROTONOSUPPORT,
			"offset 0: compressed with gzip; unpack it first (gzip -dc)");
	if (magic == PCAP_MAGIC_MODIFIED || magic == bswap_32(PCAP_MAGIC_MODIFIED))
		return nmt_err_set(err, -EPROTONOSUPPORT,
			"offset 0: a 'modified' pcap file; convert it first (editcap -F pcap)");
	return nmt_err_set(err, -EPROTONOSUPPORT,
		"offset 0: neither pcap nor pcapng (it begins with %02x %02x %02x %02x)", bytes[0],
		bytes[1], bytes[2], bytes[3]);
}

static int
begin(struct nmt_capture *cap, struct nmt_err *err)
{
	uint32_t magic;
	int got;

	got = capture_get_head(cap, &magic, sizeof(magic), "the file header", err);
	if (got == 0)
		return nmt_err_set(err, -ENODATA, "offset 0: the file is empty");
	if (got < 0)
		return got;
	switch (magic) {
	case PCAPNG_MAGIC:
		return capture_pcapng_begin(cap, err);
	case PCAP_MAGIC_US:
	case PCAP_MAGIC_NS:
	case __builtin_bswap32(PCAP_MAGIC_US):
	case __builtin_bswap32(PCAP_MAGIC_NS):
		return pcap_begin(cap, magic, err);
	default:
		return refuse_magic(magic, err);
	}
}

int
nmt_capture_open_stream(FILE *in, struct nmt_capture **out, struct nmt_err *err)
{
	struct nmt_capture *cap = calloc(1, sizeof(*cap));
	int error = -ENOMEM;

	if (cap != NULL)
		cap->buf = malloc(NMT_CAPTURE_CAPLEN_MAX);
	if (cap == NULL || cap->buf == NULL) {
		nmt_err_set(err, error, "offset 0: no memory for the reader");
		goto fail;
	}
	cap->in = in;
	error = begin(cap, err);
	if (error != 0)
		goto fail;
	*out = cap;
	return 0;
fail:
	nmt_capture_close(cap);
	return error;
}

int
nmt_capture_open(const char *path, struct nmt_capture **out, struct nmt_err *err)
{
	FILE *in;
	int error;

	if (strcmp(path, "-") == 0)
		return nmt_capture_open_stream(stdin, out, err);
	in = fopen(path, "rbe");
	if (in == NULL)
		return nmt_err_set(err, -errno, "cannot open: %s", strerror(errno));
	error = nmt_capture_open_stream(in, out, err);
	if (error != 0)
		fclose(in); /* read only: nothing can be lost */
	else
		(*out)->owns_in = true;
	return error;
}

int
nmt_capture_next(struct nmt_capture *cap, struct nmt_capture_packet *pkt, struct nmt_err *err)
{
	int got;

	if (cap->finished)
		return cap->result;
	got = cap->format == NMT_CAPTURE_PCAPNG ? capture_pcapng_next(cap, pkt, err)
						: pcap_next(cap, pkt, err);
	if (got <= 0) {
		cap->finished = true;
		cap->result = got;
	}
	return got;
}

enum nmt_capture_format
nmt_capture_format(const struct nmt_capture *cap)
{
	return cap->format;
}

const char *
nmt_capture_format_name(enum nmt_capture_format format)
{
	switch (format) {
	case NMT_CAPTURE_PCAP_US:
		return "pcap, microseconds";
	case NMT_CAPTURE_PCAP_NS:
		return "pcap, nanoseconds";
	case NMT_CAPTURE_PCAPNG:
		return "pcapng";
	}
	return "unknown";
}

void
nmt_capture_close(struct nmt_capture *cap)
{
	if (cap == NULL)
		return;
	if (cap->owns_in)
		fclose(cap->in); /* read only: nothing can be lost */
	free(cap->ifs);
	free(cap->buf);
	free(cap);
}
