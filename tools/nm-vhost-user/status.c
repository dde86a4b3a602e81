/* SPDX-License-Identifier: BSD-2-Clause */
/* Status lines. See status.h. */
#include "status.h"

#include "nmt_json.h"
#include "nmt_pkt.h"

static void
print_counters(struct nmt_json *j, const struct unm_net_stats *s)
{
	nmt_json_u64(j, "tx_frames", s->tx_frames);
	nmt_json_u64(j, "tx_bytes", s->tx_bytes);
	nmt_json_u64(j, "tx_bad_header", s->tx_bad_header);
	nmt_json_u64(j, "tx_bad_frame", s->tx_bad_frame);
	nmt_json_u64(j, "tx_disabled", s->tx_disabled);
	nmt_json_u64(j, "rx_frames", s->rx_frames);
	nmt_json_u64(j, "rx_bytes", s->rx_bytes);
	nmt_json_u64(j, "rx_direct", s->rx_direct);
	nmt_json_u64(j, "rx_no_buffer", s->rx_no_buffer);
	nmt_json_u64(j, "rx_bad_header", s->rx_bad_header);
	nmt_json_u64(j, "rx_discarded", s->rx_discarded);
	nmt_json_u64(j, "calls", s->calls);
	nmt_json_u64(j, "kicks", s->kicks);
	nmt_json_u64(j, "sleeps", s->sleeps);
}

void
vh_status_print(FILE *out, const struct vh_nic *nic, unsigned int n)
{
	char mac[NMT_MAC_TEXT_SIZE];
	struct unm_net_stats stats;
	struct nmt_json j;
	unsigned int i;

	nmt_json_init(&j, out);
	for (i = 0; i < n; i++) {
		unm_net_get_stats(nic[i].net, &stats);
		nmt_json_begin_object(&j, NULL);
		nmt_json_str(&j, "port", nic[i].opts->port);
		nmt_json_str(&j, "socket", nic[i].opts->socket);
		nmt_json_str(&j, "state", vh_nic_state(&nic[i]));
		nmt_json_str(&j, "mac", nmt_format_mac(mac, unm_net_mac(nic[i].net)));
		nmt_json_u64(&j, "connections", nic[i].n_connections);
		nmt_json_u64(&j, "failures", nic[i].n_failures);
		print_counters(&j, &stats);
		nmt_json_end_object(&j);
		(void)nmt_json_newline(&j); /* a reader that has gone costs us its lines only */
	}
}
