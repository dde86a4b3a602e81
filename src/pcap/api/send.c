/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending frames: pcap_inject and pcap_sendpacket. */
#include "pcap/api/handle.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define ROOM_TIMEOUT_MS 1000 /* a switch always has room; a pipe whose reader sleeps may not */

static int
send_failed(struct unm_pcap *h, int error)
{
	if (error == -EOPNOTSUPP)
		return unm_pcap_fail(h, PCAP_ERROR,
			"%.64s is in use by another program, so it is only monitored: nothing can "
			"be sent from it; use a port of another name",
			h->name);
	unm_pcap_fail(h, PCAP_ERROR, "send: %s", strerror(-error));
	errno = -error; /* which is how a full ring is recognized */
	return PCAP_ERROR;
}

/* Return: 0, or PCAP_ERROR with the text set. */
static int
send_frame(struct unm_pcap *h, const void *frame, size_t len)
{
	int ret = unm_pcap_check_active(h);

	if (ret != 0)
		return ret;
	if (len > INT_MAX)
		return send_failed(h, -EMSGSIZE);
	ret = unm_cap_send(h->cap, frame, (uint32_t)len);
	if (ret == -EAGAIN && !h->nonblock && unm_cap_wait_room(h->cap, ROOM_TIMEOUT_MS) > 0)
		ret = unm_cap_send(h->cap, frame, (uint32_t)len);
	return ret < 0 ? send_failed(h, ret) : 0;
}

int
pcap_inject(pcap_t *p, const void *frame, size_t len)
{
	struct unm_pcap *h = unm_pcap_of(p);
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_inject)(p, frame, len);
	ret = send_frame(h, frame, len);
	return ret < 0 ? ret : (int)len;
}

int
pcap_sendpacket(pcap_t *p, const u_char *frame, int len)
{
	struct unm_pcap *h = unm_pcap_of(p);

	if (h == NULL)
		return PCAP_REAL(pcap_sendpacket)(p, frame, len);
	return send_frame(h, frame, len > 0 ? (size_t)len : 0) < 0 ? -1 : 0;
}
