/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands in for pcap_io.c where libpcap was not there at build time: everything is refused. */
#include "pcap_io.h"

#include <errno.h>
#include <stddef.h>

#define EXPLANATION "this pkt-gen was built without libpcap; build it with libpcap-dev installed"

int
pg_pcap_open(const char *ifname, struct pg_pcap **out, struct nmt_err *err)
{
	*out = NULL;
	return nmt_err_set(err, -ENOTSUP, "cannot open pcap:%s: " EXPLANATION, ifname);
}

void
pg_pcap_close(struct pg_pcap *p)
{
	(void)p; /* always NULL: nothing can have been opened */
}

int
pg_pcap_send(struct pg_pcap *p, const uint8_t *frame, uint32_t len)
{
	(void)p, (void)frame, (void)len; /* not reached: pg_pcap_open() fails */
	return -ENOTSUP;
}

int
pg_pcap_receive(struct pg_pcap *p, int timeout_ms, uint32_t max, pg_pcap_frame_cb *cb, void *arg)
{
	(void)p, (void)timeout_ms, (void)max, (void)cb, (void)arg; /* not reached, as above */
	return -ENOTSUP;
}

int
pg_pcap_first_frame(
	const char *file, uint8_t *buf, uint32_t size, uint32_t *len, struct nmt_err *err)
{
	(void)buf, (void)size;
	*len = 0;
	return nmt_err_set(err, -ENOTSUP, "cannot read %s: " EXPLANATION, file);
}
