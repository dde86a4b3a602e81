/* SPDX-License-Identifier: BSD-2-Clause */
/* libpcap: see pcap_io.h. */
#include "pcap_io.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <pcap/pcap.h>

#define SNAPLEN	   65536
#define RECEIVE_MS 1 /* how long libpcap may gather frames before it hands them over */

struct pg_pcap {
	pcap_t *pcap;
	int fd; /* for poll(); owned by pcap */
};

int
pg_pcap_open(const char *ifname, struct pg_pcap **out, struct nmt_err *err)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	struct pg_pcap *p = calloc(1, sizeof(*p));
	int error;

	if (p == NULL)
		return nmt_err_set(err, -ENOMEM, "out of memory");
	p->pcap = pcap_open_live(ifname, SNAPLEN, 1, RECEIVE_MS, text);
	if (p->pcap == NULL) {
		error = nmt_err_set(err, -EIO, "cannot open %s with libpcap: %s", ifname, text);
		goto fail;
	}
	p->fd = pcap_get_selectable_fd(p->pcap);
	if (p->fd < 0 || pcap_setnonblock(p->pcap, 1, text) != 0) {
		error = nmt_err_set(err, -EIO, "cannot poll %s with libpcap", ifname);
		goto fail;
	}
	*out = p;
	return 0;
fail:
	pg_pcap_close(p);
	return error;
}

void
pg_pcap_close(struct pg_pcap *p)
{
	if (p == NULL)
		return;
	if (p->pcap != NULL)
		pcap_close(p->pcap);
	free(p);
}

int
pg_pcap_send(struct pg_pcap *p, const uint8_t *frame, uint32_t len)
{
	errno = 0;
	if (pcap_inject(p->pcap, frame, len) >= 0)
		return 0;
	if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR)
		return -ENOBUFS;
	return errno != 0 ? -errno : -EIO;
}

struct receiver {
	pg_pcap_frame_cb *cb;
	void *arg;
};

static void
on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *bytes)
{
	const struct receiver *r = (const struct receiver *)(const void *)user;

	r->cb(r->arg, bytes, h->caplen);
}

int
pg_pcap_receive(struct pg_pcap *p, int timeout_ms, uint32_t max, pg_pcap_frame_cb *cb, void *arg)
{
	struct receiver r = {.cb = cb, .arg = arg};
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
	int n = pcap_dispatch(p->pcap, (int)max, on_packet, (u_char *)(void *)&r);

	if (n == 0) {
		if (poll(&pfd, 1, timeout_ms) < 0)
			return errno == EINTR ? 0 : -errno;
		n = pcap_dispatch(p->pcap, (int)max, on_packet, (u_char *)(void *)&r);
	}
	return n < 0 ? -EIO : n;
}

int
pg_pcap_first_frame(
	const char *file, uint8_t *buf, uint32_t size, uint32_t *len, struct nmt_err *err)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	pcap_t *pcap = pcap_open_offline(file, text);
	struct pcap_pkthdr *h;
	const u_char *bytes;
	int error = 0;

	if (pcap == NULL)
		return nmt_err_set(err, -EIO, "%s%s%s", strstr(text, file) == NULL ? file : "",
			strstr(text, file) == NULL ? ": " : "", text);
	if (pcap_datalink(pcap) != DLT_EN10MB)
		error = nmt_err_set(err, -EINVAL, "%s does not hold Ethernet frames", file);
	else if (pcap_next_ex(pcap, &h, &bytes) != 1)
		error = nmt_err_set(err, -EIO, "%s holds no packet that can be read", file);
	else if (h->caplen > size)
		error = nmt_err_set(err, -EMSGSIZE,
			"the first packet of %s is longer than %u bytes", file, size);
	if (error == 0) {
		memcpy(buf, bytes, h->caplen);
		*len = h->caplen;
	}
	pcap_close(pcap);
	return error;
}
