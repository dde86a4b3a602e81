/* SPDX-License-Identifier: BSD-2-Clause */
/* Status lines. See status.h. */
#include "status.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "nmt_json.h"
#include "nmt_pkt.h"
#include "vm/event_fd.h"

#define LINE_ROOM 1024 /* more than lines are long */

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

/* Of the front end there is; NULL: there is none. */
static const char *
memory_of(const struct vh_nic *nic)
{
	if (nic->backend == NULL)
		return NULL;
	return unm_net_is_direct(nic->net) ? "direct" : "copy";
}

/* Return: 0, or -EIO if it has not been written. */
static int
print_nic(FILE *out, const struct vh_nic *nic)
{
	char mac[NMT_MAC_TEXT_SIZE];
	struct unm_net_stats stats;
	struct nmt_json j;

	nmt_json_init(&j, out);
	unm_net_get_stats(nic->net, &stats);
	nmt_json_begin_object(&j, NULL);
	nmt_json_str(&j, "port", nic->opts->port);
	nmt_json_str(&j, "socket", nic->opts->socket);
	nmt_json_str(&j, "state", vh_nic_state(nic));
	nmt_json_str(&j, "mac", nmt_format_mac(mac, unm_net_mac(nic->net)));
	nmt_json_str(&j, "memory", memory_of(nic));
	nmt_json_u64(&j, "connections", nic->n_connections);
	nmt_json_u64(&j, "failures", nic->n_failures);
	print_counters(&j, &stats);
	nmt_json_end_object(&j);
	return nmt_json_newline(&j);
}

void
vh_status_make_room(int fd, unsigned int n)
{
	const int size = (int)n * LINE_ROOM;

	if (size > fcntl(fd, F_GETPIPE_SZ))
		(void)fcntl(fd, F_SETPIPE_SZ, size); /* no pipe, or what there is must do */
}

void
vh_status_print(int fd, const struct vh_nic *nic, unsigned int n)
{
	char line[PIPE_BUF];
	unsigned int i;

	for (i = 0; i < n; i++) {
		FILE *f = fmemopen(line, sizeof(line), "w");
		long len;

		if (f == NULL)
			return;
		len = print_nic(f, &nic[i]) == 0 ? ftell(f) : 0;
		fclose(f);
		/* A reader that has gone, or does not read, costs us its lines only. */
		if (len > 0)
			(void)unm_event_write_line(fd, line, (size_t)len);
	}
}
