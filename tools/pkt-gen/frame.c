/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames to send: see frame.h. */
#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nmt_time.h"

static const char filler[] = "unetmap pkt-gen payload ";

/* Frames shorter than their headers are the headers cut short. */
static uint32_t
max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t
min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static int
alloc_template(struct pg_template *t, uint32_t frame_room, uint32_t frame_len, uint32_t vnet_len)
{
	*t = (struct pg_template){
		.data = calloc(1, vnet_len + frame_room),
		.len = vnet_len + frame_len,
		.vnet_len = vnet_len,
	};
	return t->data == NULL ? -ENOMEM : 0;
}

int
pg_template_set(struct pg_template *t, const uint8_t *frame, uint32_t frame_len, uint32_t vnet_len)
{
	int error = alloc_template(t, frame_len, frame_len, vnet_len);

	if (error == 0)
		memcpy(t->data + vnet_len, frame, frame_len);
	return error;
}

/* Sums of all beginnings of the payload, so that a frame of any length has its checksum at once. */
static int
sum_payload(struct pg_template *t, const uint8_t *payload, uint32_t len)
{
	t->payload_sums = calloc(len + 1, sizeof(t->payload_sums[0]));
	if (t->payload_sums == NULL)
		return -ENOMEM;
	for (uint32_t n = 1; n <= len; n++) {
		uint32_t byte = payload[n - 1];
		uint32_t sum = t->payload_sums[n - 1] + (n % 2 == 1 ? byte << 8 : byte);

		t->payload_sums[n] = (uint16_t)((sum & 0xffff) + (sum >> 16));
	}
	return 0;
}

static struct nmt_udp_flow
first_flow(const struct pg_options *opt)
{
	struct nmt_udp_flow flow = {
		.src_ip = opt->src_ip.first,
		.dst_ip = opt->dst_ip.first,
		.src_port = opt->src_ip.port_first,
		.dst_port = opt->dst_ip.port_first,
	};

	memcpy(flow.src_mac, opt->src_mac.first, NMT_MAC_LEN);
	memcpy(flow.dst_mac, opt->dst_mac.first, NMT_MAC_LEN);
	return flow;
}

int
pg_template_init(struct pg_template *t, const struct pg_options *opt, uint32_t vnet_len)
{
	uint32_t payload_off = (uint32_t)nmt_udp_payload_off(opt->is_v6);
	uint32_t built_len = max_u32(opt->frame_len_max, payload_off);
	uint32_t stamp_end = min_u32(built_len, payload_off + PG_STAMP_LEN);
	struct nmt_udp_flow flow = first_flow(opt);
	uint8_t *frame;
	int error;

	error = alloc_template(t, built_len, opt->frame_len_max, vnet_len);
	if (error != 0)
		return error;
	frame = t->data + vnet_len;
	/* Number and stamp are 0 in the template. */
	for (uint32_t i = stamp_end; i < built_len; i++)
		frame[i] = (uint8_t)filler[(i - stamp_end) % (sizeof(filler) - 1)];
	/* Both addresses come from one parser and one family, the length is in range. */
	error = nmt_pkt_build_udp(frame, built_len, &flow);
	t->head_len = min_u32(vnet_len + stamp_end, t->len);
	if (error == 0 && pg_is_varied(opt))
		error = sum_payload(t, frame + payload_off, built_len - payload_off);
	if (error != 0)
		pg_template_free(t);
	return error;
}

void
pg_template_free(struct pg_template *t)
{
	free(t->data);
	free(t->payload_sums);
	*t = (struct pg_template){0};
}

void
pg_vary_init(struct pg_vary *v, const struct pg_template *tmpl, const struct pg_options *opt,
	uint32_t thread_idx)
{
	*v = (struct pg_vary){
		.tmpl = tmpl,
		.opt = opt,
		.flow = first_flow(opt),
		/* Any non-zero constant; the multiplier spreads the threads over the states. */
		.random_state = UINT64_C(0x9e3779b97f4a7c15) * (thread_idx + 1),
		.has_seq = opt->function == PG_TXSEQ || (opt->data & PG_DATA_STAMP) != 0,
		.has_stamp = (opt->data & PG_DATA_STAMP) != 0,
	};
}

/* xorshift64*, period 2^64 - 1 (Marsaglia 2003, Vigna 2016). */
static uint64_t
next_random(struct pg_vary *v)
{
	uint64_t x = v->random_state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	v->random_state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

static void
randomize(struct pg_vary *v, struct nmt_ip *ip, uint16_t *port)
{
	uint64_t words[2] = {next_random(v), 0};

	if (ip->is_v6)
		words[1] = next_random(v);
	memcpy(ip->bytes, words, ip->is_v6 ? 16 : 4);
	*port = (uint16_t)(next_random(v) >> 48);
}

/* One end of the flow; true when its range has been through. The port turns fastest. */
static bool
step_end(struct nmt_ip *ip, uint16_t *port, const struct nmt_ip_range *range)
{
	if (*port < range->port_last) {
		++*port;
		return false;
	}
	*port = range->port_first;
	return nmt_ip_next(ip, range);
}

/* Addresses of the frame after this one: source first, then destination; MACs on their own. */
static void
step_flow(struct pg_vary *v)
{
	const struct pg_options *opt = v->opt;
	struct nmt_udp_flow *f = &v->flow;
	bool wrapped = true;

	if (!opt->random_src)
		wrapped = step_end(&f->src_ip, &f->src_port, &opt->src_ip);
	if (!opt->random_dst && wrapped)
		step_end(&f->dst_ip, &f->dst_port, &opt->dst_ip);
	nmt_mac_next(f->src_mac, &opt->src_mac);
	nmt_mac_next(f->dst_mac, &opt->dst_mac);
}

void
pg_write_stamp(uint8_t *payload, uint64_t stamp_ns)
{
	nmt_put32(payload + 4, (uint32_t)(stamp_ns / NMT_NS_PER_S));
	nmt_put32(payload + 8, (uint32_t)(stamp_ns % NMT_NS_PER_S));
}

uint64_t
pg_read_stamp(const uint8_t *payload)
{
	return nmt_get32(payload + 4) * NMT_NS_PER_S + nmt_get32(payload + 8);
}

uint32_t
pg_vary_next(struct pg_vary *v, uint64_t stamp_ns)
{
	const struct pg_options *opt = v->opt;
	uint32_t payload_off = (uint32_t)nmt_udp_payload_off(opt->is_v6);
	uint32_t frame_len = opt->frame_len_max;
	uint8_t *frame = v->head + v->tmpl->vnet_len;
	uint8_t *payload = frame + payload_off;
	uint32_t built_len;
	uint32_t sum;

	if (opt->frame_len_min != opt->frame_len_max) {
		uint64_t n_lens = opt->frame_len_max - opt->frame_len_min + 1;

		/* The high half of n_lens * random: even enough, and no division. */
		frame_len = opt->frame_len_min + (uint32_t)(n_lens * (next_random(v) >> 32) >> 32);
	}
	if (opt->random_src)
		randomize(v, &v->flow.src_ip, &v->flow.src_port);
	if (opt->random_dst)
		randomize(v, &v->flow.dst_ip, &v->flow.dst_port);
	built_len = max_u32(frame_len, payload_off);
	sum = v->tmpl->payload_sums[built_len - payload_off];
	if (v->has_seq) {
		nmt_put32(payload, v->seq++);
		if (v->has_stamp)
			pg_write_stamp(payload, stamp_ns);
		sum = nmt_csum_add(sum, payload, v->has_stamp ? PG_STAMP_LEN : 4);
	}
	/* Cannot fail: the template was built with the same family, and within its length. */
	nmt_pkt_build_udp_headers(frame, built_len, &v->flow, sum);
	step_flow(v);
	return v->tmpl->vnet_len + frame_len;
}

void
pg_derived_mac(const char *port_name, uint8_t mac[NMT_MAC_LEN])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a, 64 bits */

	for (const char *p = port_name; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	mac[0] = 0x02; /* locally administered, unicast */
	for (int i = 1; i < NMT_MAC_LEN; i++)
		mac[i] = (uint8_t)(hash >> (8 * i));
}
