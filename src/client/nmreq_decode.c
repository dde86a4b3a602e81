/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmreq_decode.c - port names, except their options.
 *
 *	portspec  := subsystem ":" vpname [mode] {flags | "@" memid} {"@" option}
 *	subsystem := "netmap" | "vale" [id] | "tap"
 *	vpname    := name ["%" netns] | name "{" id | name "}" id | name "^" ["%" netns]
 *	netns     := word | "pid:" N | "/" path
 *	mode      := "^" | "^" N | "*" | "-" N
 *	flags     := "/" letter {letter}
 *
 * nmreq_header_decode() takes the text up to the end of vpname, nmreq_register_decode() what
 * follows, up to the first option: an "@" with no digit behind it. Both read into locals and write
 * their results at the end, so that a caller finds everything as it was after an error.
 *
 * A name ends at the first of - * ^ / @ so it cannot contain any of these, but for one: ports of
 * switches, and TAPs, have no host rings. There a "^" without a number is the name's: "vale0:eth0^"
 * and "vale0:eth0^%blue" are the host's sides of interfaces on a switch (vale-ctl -h).
 *
 * Nor do they end the path of a namespace, which a "/" right after "%" begins: it reaches to the next
 * "@", or to the end, so that neither mode nor flags can follow. With these it is an option:
 * "netmap:eth0-1/r@netns=/run/netns/blue".
 */
#include "nmport_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Characters that end the name of a port. */
#define NAME_END "-*^/@"

/* Ring numbers are below this: libraries and tools in the field agree on twelve bits, less one. */
#define MAX_RINGID 4095

static const struct {
	char letter;
	uint64_t flag;
} flag_letters[] = {
	{'x', NR_EXCLUSIVE},
	{'z', NR_ZCOPY_MON},
	{'t', NR_MONITOR_TX},
	{'r', NR_MONITOR_RX},
	{'R', NR_RX_RINGS_ONLY},
	{'T', NR_TX_RINGS_ONLY},
};
#define N_FLAG_LETTERS (sizeof(flag_letters) / sizeof(flag_letters[0]))

/* ASCII only, whatever the locale is: the other end does not know it. */
static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
is_identifier(const char *s, const char *end)
{
	for (; s < end; s++) {
		const char lower = *s | 0x20;

		if (!is_digit(*s) && *s != '_' && (lower < 'a' || lower > 'z'))
			return 0;
	}
	return 1;
}

int
unm_nmreq_number(const char **pos, unsigned long max, unsigned long *out)
{
	const char *p = *pos;
	unsigned long v = 0;

	if (!is_digit(*p))
		return -EINVAL;
	for (; is_digit(*p); p++) {
		const unsigned long digit = (unsigned long)(*p - '0');

		if (v > (max - digit) / 10 || digit > max)
			return -ERANGE;
		v = v * 10 + digit;
	}
	*pos = p;
	*out = v;
	return 0;
}

/* Find where the name that the device sees begins, and the text behind the subsystem. */
static int
skip_subsystem(const char *spec, const char **name, const char **vpname, struct nmctx *ctx)
{
	const size_t vale_len = strlen(NM_BDG_NAME);
	const char *colon = strchr(spec, ':');

	if (colon == NULL)
		goto unknown;
	*vpname = colon + 1;
	*name = spec;
	if (strncmp(spec, "netmap:", 7) == 0) {
		*name = colon + 1;
		return 0;
	}
	if (strncmp(spec, "tap:", 4) == 0)
		return 0;
	if (strncmp(spec, NM_BDG_NAME, vale_len) == 0) {
		if (is_identifier(spec + vale_len, colon))
			return 0;
		nmctx_ferror(ctx, "%s: a switch is named vale with letters, digits and _", spec);
		return -EINVAL;
	}
unknown:
	nmctx_ferror(ctx, "%s: a port name begins with netmap:, vale, an id and :, or tap:", spec);
	return -EINVAL;
}

/* Where the name ends whose first such character is at @end: after a "^" of its own. */
static const char *
skip_host_side(const char *spec, const char *end)
{
	if (*end != '^' || strncmp(spec, "netmap:", 7) == 0)
		return end;
	if (end[1] == '%')
		return end + 1 + strcspn(end + 1, NAME_END);
	return end[1] == '\0' || end[1] == '/' || end[1] == '@' ? end + 1 : end;
}

/* Where the name ends whose first such character is at @end: after a path. Return: NULL: it is none. */
static const char *
skip_path(const char *vpname, const char *end, struct nmctx *ctx)
{
	size_t len;

	if (*end != '/' || end == vpname || end[-1] != '%')
		return end;
	len = strcspn(end, "@");
	if (strcspn(end, "{}") >= len)
		return end + len;
	nmctx_ferror(
		ctx, "'%s': the path of a namespace can't have { or }: these are of pipes", end);
	return NULL;
}

/* Find the end of vpname, and its pipe id if it has one. */
static int
check_vpname(const char *spec, const char *vpname, const char **end, struct nmctx *ctx)
{
	const char *pipe = vpname + strcspn(vpname, "{}" NAME_END);

	*end = vpname + strcspn(vpname, NAME_END);
	if (pipe == vpname) {
		nmctx_ferror(ctx, "%s: there is no port name after the colon", spec);
		return -EINVAL;
	}
	if (pipe < *end && (pipe + 1 == *end || !is_identifier(pipe + 1, *end))) {
		nmctx_ferror(ctx, "%s: %c needs a pipe id of letters, digits and _", spec, *pipe);
		return -EINVAL;
	}
	if (pipe == *end)
		*end = skip_path(vpname, skip_host_side(spec, *end), ctx);
	return *end != NULL ? 0 : -EINVAL;
}

int
nmreq_header_decode(const char **ppspec, struct nmreq_header *hdr, struct nmctx *ctx)
{
	const char *spec = *ppspec, *name, *vpname, *end;

	if (skip_subsystem(spec, &name, &vpname, ctx) < 0 ||
		check_vpname(spec, vpname, &end, ctx) < 0)
		return unm_nmport_result(-EINVAL);
	if ((size_t)(end - name) >= sizeof(hdr->nr_name)) {
		nmctx_ferror(ctx, "%s: the port name is longer than %zu characters", spec,
			sizeof(hdr->nr_name) - 1);
		return unm_nmport_result(-EINVAL);
	}
	memset(hdr->nr_name, 0, sizeof(hdr->nr_name));
	memcpy(hdr->nr_name, name, (size_t)(end - name));
	*ppspec = end;
	return 0;
}

/* The number behind "-" or "^". Reports what is wrong with it. */
static int
decode_ringid(const char **pos, uint16_t *ringid, struct nmctx *ctx)
{
	const char *begin = *pos;
	unsigned long v;

	switch (unm_nmreq_number(pos, MAX_RINGID - 1, &v)) {
	case 0:
		*ringid = (uint16_t)v;
		return 0;
	case -ERANGE:
		nmctx_ferror(ctx, "ring %s: the highest ring number is %d", begin, MAX_RINGID - 1);
		return -EINVAL;
	default:
		nmctx_ferror(ctx, "'%s': a ring number is missing after -", begin - 1);
		return -EINVAL;
	}
}

static int
decode_mode(const char **pos, struct nmreq_register *reg, struct nmctx *ctx)
{
	switch (**pos) {
	case '^':
		(*pos)++;
		reg->nr_mode = NR_REG_SW;
		if (!is_digit(**pos))
			return 0;
		reg->nr_mode = NR_REG_ONE_SW;
		return decode_ringid(pos, &reg->nr_ringid, ctx);
	case '*':
		(*pos)++;
		reg->nr_mode = NR_REG_NIC_SW;
		return 0;
	case '-':
		(*pos)++;
		reg->nr_mode = NR_REG_ONE_NIC;
		return decode_ringid(pos, &reg->nr_ringid, ctx);
	default:
		reg->nr_mode = NR_REG_ALL_NIC;
		return 0;
	}
}

static int
decode_flags(const char **pos, uint64_t *flags, struct nmctx *ctx)
{
	const char *p = *pos;

	for (; *p != '\0' && *p != '@' && *p != '/'; p++) {
		size_t i;

		for (i = 0; i < N_FLAG_LETTERS && flag_letters[i].letter != *p; i++)
			;
		if (i == N_FLAG_LETTERS) {
			nmctx_ferror(ctx, "'%s': unknown flag, the flags are x z t r R T", p);
			return -EINVAL;
		}
		*flags |= flag_letters[i].flag;
	}
	if (p == *pos) {
		nmctx_ferror(ctx, "'%s': flags are missing after /, any of x z t r R T", p - 1);
		return -EINVAL;
	}
	*pos = p;
	return 0;
}

static int
decode_memid(const char **pos, uint16_t *mem_id, struct nmctx *ctx)
{
	const char *begin = *pos;
	unsigned long v;

	if (unm_nmreq_number(pos, UINT16_MAX, &v) < 0 || v == 0) {
		nmctx_ferror(
			ctx, "@%s: a memory region is a number from 1 to %d", begin, UINT16_MAX);
		return -EINVAL;
	}
	if (*mem_id != 0 && *mem_id != v) {
		nmctx_ferror(
			ctx, "@%s: the port is to use memory region %u already", begin, *mem_id);
		return -EINVAL;
	}
	*mem_id = (uint16_t)v;
	return 0;
}

/* Flags and region, in either order, each once. Stops at the first option. */
static int
decode_suffixes(const char **pos, struct nmreq_register *reg, struct nmctx *ctx)
{
	int seen_flags = 0, seen_memid = 0;

	while (**pos != '\0') {
		const char *p = *pos;

		if (p[0] == '@' && p[1] != '\0' && !is_digit(p[1]))
			break;
		(*pos)++;
		if (p[0] == '/' && !seen_flags) {
			seen_flags = 1;
			if (decode_flags(pos, &reg->nr_flags, ctx) < 0)
				return -EINVAL;
		} else if (p[0] == '@' && !seen_memid) {
			seen_memid = 1;
			if (decode_memid(pos, &reg->nr_mem_id, ctx) < 0)
				return -EINVAL;
		} else {
			nmctx_ferror(
				ctx, "'%s': this should be /flags, @region or @option, once", p);
			return -EINVAL;
		}
	}
	return 0;
}

int
nmreq_register_decode(const char **pmode, struct nmreq_register *reg, struct nmctx *ctx)
{
	struct nmreq_register r = {.nr_mem_id = reg->nr_mem_id};
	const char *p = *pmode;

	if (decode_mode(&p, &r, ctx) < 0 || decode_suffixes(&p, &r, ctx) < 0)
		return unm_nmport_result(-EINVAL);
	reg->nr_mode = r.nr_mode;
	reg->nr_ringid = r.nr_ringid;
	reg->nr_flags = r.nr_flags;
	reg->nr_mem_id = r.nr_mem_id;
	*pmode = p;
	return 0;
}

int32_t
nmreq_get_mem_id(const char **portname, struct nmctx *ctx)
{
	struct nmreq_port_info_get info;
	struct nmreq_header hdr;
	const char *end = *portname;
	int fd, err;

	memset(&info, 0, sizeof(info));
	nmreq_header_init(&hdr, NETMAP_REQ_PORT_INFO_GET, &info);
	if (nmreq_header_decode(&end, &hdr, ctx) < 0)
		return -1;
	fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	if (fd < 0) {
		err = errno;
		nmctx_ferror(ctx, "cannot open %s: %s", NETMAP_DEVICE_NAME, strerror(err));
		return unm_nmport_result(-err);
	}
	err = ioctl(fd, NIOCCTRL, &hdr) < 0 ? errno : 0;
	close(fd);
	if (err != 0) {
		nmctx_ferror(
			ctx, "cannot get the memory region of %s: %s", hdr.nr_name, strerror(err));
		return unm_nmport_result(-err);
	}
	*portname = end;
	return info.nr_mem_id;
}
