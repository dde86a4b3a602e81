/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmport_options.c - the options that nmport_parse() knows.
 *
 *	@share=PORT                     use the region of that port
 *	@conf:rings=N,tx-slots=N,...    how many rings and slots to ask for
 *	@extmem=FILE                    use a file as the region; pools by if-num, buf-size, ...
 *	@offset=N                       packets begin N bytes behind the start of their buffers
 *	@netns=NAME|PATH|pid:N          network namespace of an interface or a tap: port, ours
 *
 * Each is a parser structure and a callback. The callbacks are called through libnetmap.h, so they
 * return -1 and set errno. offset is off until the program says nmport_enable_option("offset"): a
 * program that ignores slot.ptr would send bytes from before the packet.
 *
 * Numbers are read as atoi() would, that is, up to the first character that is not a digit. A value
 * that does not begin with a digit, or does not fit, is refused.
 */
#include "nmport_priv.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* The keys of an option and their places in a struct. */
struct number_key {
	int id;
	size_t off;  /* from the start of the struct */
	size_t size; /* 2 or 4 bytes */
};

/* Store the value of a key, if it is set, into the field that kf names. */
static int
store_number(const struct nmreq_parse_ctx *p, const char *option, const struct number_key *kf,
	void *base)
{
	const unsigned long max = kf->size == 2 ? UINT16_MAX : UINT32_MAX;
	const char *value = p->keys[kf->id], *end = value;
	char *field = (char *)base + kf->off;
	unsigned long v;

	if (value == NULL)
		return 0;
	if (unm_nmreq_number(&end, max, &v) < 0) {
		nmctx_ferror(p->ctx, "@%s: '%s' is not a number from 0 to %lu", option, value, max);
		return -EINVAL;
	}
	if (kf->size == 2) {
		const uint16_t v16 = (uint16_t)v;

		memcpy(field, &v16, sizeof(v16));
	} else {
		const uint32_t v32 = (uint32_t)v;

		memcpy(field, &v32, sizeof(v32));
	}
	return 0;
}

static int
store_numbers(const struct nmreq_parse_ctx *p, const char *option, const struct number_key *kf,
	size_t n, void *base)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (store_number(p, option, &kf[i], base) < 0)
			return -EINVAL;
	}
	return 0;
}

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))
#define FIELD_KEY(id, s, field)                                                                    \
	{                                                                                          \
		id, offsetof(struct s, field), sizeof(((struct s *)0)->field)                      \
	}

/* ---- share ---- */

enum { SHARE_PORT };

static int
parse_share(struct nmreq_parse_ctx *p)
{
	struct nmport_d *d = p->token;
	const char *port = p->keys[SHARE_PORT], *end = port;
	struct nmreq_register unused;
	int32_t mem_id;

	mem_id = nmreq_get_mem_id(&end, p->ctx);
	if (mem_id < 0)
		return -1;
	/* Whatever rings are named, the region is the same; but it should be a port name. */
	memset(&unused, 0, sizeof(unused));
	if (nmreq_register_decode(&end, &unused, p->ctx) < 0)
		return -1;
	if (d->reg.nr_mem_id != 0 && d->reg.nr_mem_id != mem_id) {
		nmctx_ferror(p->ctx, "@share=%s: that is memory region %d, the port is to use %u",
			port, (int)mem_id, d->reg.nr_mem_id);
		return unm_nmport_result(-EINVAL);
	}
	d->reg.nr_mem_id = (uint16_t)mem_id;
	return 0;
}

static struct nmreq_opt_parser share_parser = {
	.prefix = "share",
	.parse = parse_share,
	.default_key = SHARE_PORT,
	.nr_keys = 1,
	.keys = {{"port", SHARE_PORT, NMREQ_OPTK_MUSTSET | NMREQ_OPTK_DEFAULT}},
};

/* ---- conf ---- */

enum {
	CONF_RINGS,
	CONF_TX_RINGS,
	CONF_RX_RINGS,
	CONF_HOST_RINGS,
	CONF_HOST_TX_RINGS,
	CONF_HOST_RX_RINGS,
	CONF_SLOTS,
	CONF_TX_SLOTS,
	CONF_RX_SLOTS,
};

/* General keys stand before the specific ones that override them. */
static const struct number_key conf_fields[] = {
	FIELD_KEY(CONF_RINGS, nmreq_register, nr_tx_rings),
	FIELD_KEY(CONF_RINGS, nmreq_register, nr_rx_rings),
	FIELD_KEY(CONF_TX_RINGS, nmreq_register, nr_tx_rings),
	FIELD_KEY(CONF_RX_RINGS, nmreq_register, nr_rx_rings),
	FIELD_KEY(CONF_HOST_RINGS, nmreq_register, nr_host_tx_rings),
	FIELD_KEY(CONF_HOST_RINGS, nmreq_register, nr_host_rx_rings),
	FIELD_KEY(CONF_HOST_TX_RINGS, nmreq_register, nr_host_tx_rings),
	FIELD_KEY(CONF_HOST_RX_RINGS, nmreq_register, nr_host_rx_rings),
	FIELD_KEY(CONF_SLOTS, nmreq_register, nr_tx_slots),
	FIELD_KEY(CONF_SLOTS, nmreq_register, nr_rx_slots),
	FIELD_KEY(CONF_TX_SLOTS, nmreq_register, nr_tx_slots),
	FIELD_KEY(CONF_RX_SLOTS, nmreq_register, nr_rx_slots),
};

static int
parse_conf(struct nmreq_parse_ctx *p)
{
	struct nmport_d *d = p->token;

	return unm_nmport_result(
		store_numbers(p, "conf", conf_fields, N_ELEMENTS(conf_fields), &d->reg));
}

static struct nmreq_opt_parser conf_parser = {
	.prefix = "conf",
	.parse = parse_conf,
	.default_key = CONF_RINGS,
	.nr_keys = 9,
	.next = &share_parser,
	.keys =
		{
			{"rings", CONF_RINGS, NMREQ_OPTK_DEFAULT},
			{"tx-rings", CONF_TX_RINGS, 0},
			{"rx-rings", CONF_RX_RINGS, 0},
			{"host-rings", CONF_HOST_RINGS, 0},
			{"host-tx-rings", CONF_HOST_TX_RINGS, 0},
			{"host-rx-rings", CONF_HOST_RX_RINGS, 0},
			{"slots", CONF_SLOTS, 0},
			{"tx-slots", CONF_TX_SLOTS, 0},
			{"rx-slots", CONF_RX_SLOTS, 0},
		},
};

/* ---- extmem ---- */

enum {
	EXTMEM_FILE,
	EXTMEM_IF_NUM,
	EXTMEM_IF_SIZE,
	EXTMEM_RING_NUM,
	EXTMEM_RING_SIZE,
	EXTMEM_BUF_NUM,
	EXTMEM_BUF_SIZE,
};

static const struct number_key extmem_fields[] = {
	FIELD_KEY(EXTMEM_IF_NUM, nmreq_pools_info, nr_if_pool_objtotal),
	FIELD_KEY(EXTMEM_IF_SIZE, nmreq_pools_info, nr_if_pool_objsize),
	FIELD_KEY(EXTMEM_RING_NUM, nmreq_pools_info, nr_ring_pool_objtotal),
	FIELD_KEY(EXTMEM_RING_SIZE, nmreq_pools_info, nr_ring_pool_objsize),
	FIELD_KEY(EXTMEM_BUF_NUM, nmreq_pools_info, nr_buf_pool_objtotal),
	FIELD_KEY(EXTMEM_BUF_SIZE, nmreq_pools_info, nr_buf_pool_objsize),
};

static int
parse_extmem(struct nmreq_parse_ctx *p)
{
	struct nmport_d *d = p->token;

	if (nmport_extmem_from_file(d, p->keys[EXTMEM_FILE]) < 0)
		return -1;
	return unm_nmport_result(store_numbers(
		p, "extmem", extmem_fields, N_ELEMENTS(extmem_fields), nmport_extmem_getinfo(d)));
}

static struct nmreq_opt_parser extmem_parser = {
	.prefix = "extmem",
	.parse = parse_extmem,
	.default_key = EXTMEM_FILE,
	.nr_keys = 7,
	.next = &conf_parser,
	.keys =
		{
			{"file", EXTMEM_FILE, NMREQ_OPTK_MUSTSET | NMREQ_OPTK_DEFAULT},
			{"if-num", EXTMEM_IF_NUM, 0},
			{"if-size", EXTMEM_IF_SIZE, 0},
			{"ring-num", EXTMEM_RING_NUM, 0},
			{"ring-size", EXTMEM_RING_SIZE, 0},
			{"buf-num", EXTMEM_BUF_NUM, 0},
			{"buf-size", EXTMEM_BUF_SIZE, 0},
		},
};

/* ---- offset ---- */

enum { OFFSET_INITIAL, OFFSET_BITS };

struct offset_values {
	uint32_t initial;
	uint32_t bits;
};

static const struct number_key offset_fields[] = {
	FIELD_KEY(OFFSET_INITIAL, offset_values, initial),
	FIELD_KEY(OFFSET_BITS, offset_values, bits),
};

static int
parse_offset(struct nmreq_parse_ctx *p)
{
	struct offset_values v = {0, 0};

	if (store_numbers(p, "offset", offset_fields, N_ELEMENTS(offset_fields), &v) < 0)
		return unm_nmport_result(-EINVAL);
	return nmport_offset(p->token, v.initial, v.initial, v.bits, 0);
}

static struct nmreq_opt_parser offset_parser = {
	.prefix = "offset",
	.parse = parse_offset,
	.default_key = OFFSET_INITIAL,
	.nr_keys = 2,
	.flags = NMREQ_OPTF_DISABLED,
	.next = &extmem_parser,
	.keys =
		{
			{"initial", OFFSET_INITIAL, NMREQ_OPTK_MUSTSET | NMREQ_OPTK_DEFAULT},
			{"bits", OFFSET_BITS, 0},
		},
};

/* ---- netns ---- */

enum { NETNS_NAME };

/* The daemon wants it in the name: "eth0%blue", "tap:t0%blue", "tap:t0%/run/netns/blue", "tap:t0%pid:71". */
static int
parse_netns(struct nmreq_parse_ctx *p)
{
	struct nmport_d *d = p->token;
	const char *value = p->keys[NETNS_NAME], *pid = value + 4;
	const size_t used = strlen(d->hdr.nr_name), len = strlen(value);
	unsigned long n;

	/* What a port of a switch is, netmapd knows. */
	if (strpbrk(d->hdr.nr_name, "{}") != NULL) {
		nmctx_ferror(p->ctx,
			"@netns=%s: only an interface or a tap: port is in a network namespace",
			value);
		return unm_nmport_result(-EINVAL);
	}
	if (strpbrk(value, "{}") != NULL) {
		nmctx_ferror(p->ctx, "@netns=%s: a namespace can't have { or }: these are of pipes",
			value);
		return unm_nmport_result(-EINVAL);
	}
	if (strncmp(value, "pid:", 4) == 0 &&
		(unm_nmreq_number(&pid, INT32_MAX, &n) < 0 || n == 0 || *pid != '\0')) {
		nmctx_ferror(p->ctx, "@netns=%s: pid: needs the number of a process", value);
		return unm_nmport_result(-EINVAL);
	}
	if (strchr(d->hdr.nr_name, '%') != NULL) {
		nmctx_ferror(p->ctx, "@netns=%s: %s names a network namespace already", value,
			d->hdr.nr_name);
		return unm_nmport_result(-EINVAL);
	}
	if (used + 1 + len >= sizeof(d->hdr.nr_name)) {
		nmctx_ferror(p->ctx, "@netns=%s: with %s this is longer than %zu characters", value,
			d->hdr.nr_name, sizeof(d->hdr.nr_name) - 1);
		return unm_nmport_result(-EINVAL);
	}
	d->hdr.nr_name[used] = '%';
	memcpy(d->hdr.nr_name + used + 1, value, len + 1);
	return 0;
}

static struct nmreq_opt_parser netns_parser = {
	.prefix = "netns",
	.parse = parse_netns,
	.default_key = NETNS_NAME,
	.nr_keys = 1,
	.next = &offset_parser,
	.keys = {{"name", NETNS_NAME, NMREQ_OPTK_MUSTSET | NMREQ_OPTK_DEFAULT}},
};

struct nmreq_opt_parser *
unm_nmport_parsers(void)
{
	return &netns_parser;
}

static struct nmreq_opt_parser *
find_parser(const char *opt)
{
	struct nmreq_opt_parser *p = unm_nmport_parsers();

	while (p != NULL && strcmp(p->prefix, opt) != 0)
		p = p->next;
	return p;
}

void
nmport_disable_option(const char *opt)
{
	struct nmreq_opt_parser *p = find_parser(opt);

	if (p != NULL)
		p->flags |= NMREQ_OPTF_DISABLED;
}

int
nmport_enable_option(const char *opt)
{
	struct nmreq_opt_parser *p = find_parser(opt);

	if (p == NULL)
		return unm_nmport_result(-EOPNOTSUPP);
	p->flags &= ~NMREQ_OPTF_DISABLED;
	return 0;
}
