/* SPDX-License-Identifier: BSD-2-Clause */
/* See super_tx.h. */
/* Syscalls: writev */
#include "vale/super_tx.h"

#include <errno.h>
#include <string.h>

#include "ring/kring.h"
#include "vale/vnet.h"

#define ETH_HDR_LEN 14u

/* Why did the kernel refuse a frame? */
static enum unm_drop
refusal(int error, size_t len)
{
	if (error == EAGAIN || error == ENOBUFS || error == ENOMEM)
		return UNM_DROP_RX_FULL;
	if (error != EINVAL)
		return UNM_DROP_NO_PORT; /* EIO: it is down */
	return len < ETH_HDR_LEN ? UNM_DROP_RUNT : UNM_DROP_OFFLOAD;
}

/* Hand @n frames to the kernel as one. The first entry is the virtio-net header. */
static void
write_frames(struct unm_super_tx *x, struct iovec *iov, int n_iov, uint32_t n)
{
	size_t total = 0;
	ssize_t len;
	int i;

	iov[0].iov_len = x->hdr_len;
	do { /* a signal does not come between for ever */
		len = writev(x->fd, iov, n_iov);
	} while (len < 0 && errno == EINTR);
	x->error = len < 0 ? errno : 0;
	if (len >= 0) {
		x->pkts += n;
		x->bytes +=
			(uint64_t)len - x->hdr_len + (uint64_t)(n - 1) * x->gro.first.o.head_len;
	} else if (x->drops != NULL) {
		for (i = 1; i < n_iov; i++)
			total += iov[i].iov_len;
		unm_count(&x->drops[refusal(errno, total)], n);
	}
}

void
unm_super_tx_flush(struct unm_super_tx *x)
{
	struct unm_segment *s = &x->gro.first;
	uint8_t vnet[UNM_VNET_HDR_MAX];
	struct iovec iov[UNM_GRO_SEGS + 2];

	if (x->gro.n == 1) {
		unm_segment_vnet(s, vnet);
		iov[0].iov_base = vnet;
		/* A checksum that is completed must not find what pads the frame. */
		iov[1] = (struct iovec){.iov_base = (void *)(uintptr_t)s->frame,
			.iov_len = s->is_partial ? s->len : s->whole};
		write_frames(x, iov, 2, 1);
	} else if (x->gro.n > 1) {
		unm_gro_finish(&x->gro);
		iov[0].iov_base = s->o.head;
		iov[1] = (struct iovec){
			.iov_base = s->o.head + UNM_VNET_HDR_MAX, .iov_len = s->o.head_len};
		memcpy(iov + 2, x->payload, x->gro.n * sizeof(iov[0]));
		write_frames(x, iov, (int)x->gro.n + 2, x->gro.n);
	}
	x->gro.n = 0;
}

/* The payload of @s, which has just been made part of what there is. */
static void
hold(struct unm_super_tx *x, const struct unm_segment *s)
{
	x->payload[x->gro.n - 1] =
		(struct iovec){.iov_base = (void *)(uintptr_t)(s->frame + s->o.head_len),
			.iov_len = s->proto != 0 ? s->len - s->o.head_len : 0};
}

bool
unm_super_tx_add(struct unm_super_tx *x, const struct unm_segment *s)
{
	if (x->gro.n == 0)
		unm_gro_begin(&x->gro, s);
	else if (!unm_gro_add(&x->gro, s))
		return false;
	hold(x, s);
	return true;
}

void
unm_super_tx_one(struct unm_super_tx *x, const uint8_t *data, uint32_t len)
{
	struct unm_segment s;

	unm_segment_parse(&s, data, len);
	if (x->is_summed)
		s.is_partial = false;
	if (unm_super_tx_add(x, &s))
		return;
	unm_super_tx_flush(x);
	(void)unm_super_tx_add(x, &s); /* the first one always */
}

void
unm_super_tx_whole(struct unm_super_tx *x, struct iovec *iov, int n_iov)
{
	static const uint8_t plain[UNM_VNET_HDR_MAX];

	unm_super_tx_flush(x);
	iov[0].iov_base = (void *)(uintptr_t)plain;
	write_frames(x, iov, n_iov, 1);
}
