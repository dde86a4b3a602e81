/* SPDX-License-Identifier: BSD-2-Clause */
/* Private memory of rx rings with super-frames. See super_rx.h. */
/* Syscalls: getrandom */
#include "port/super_rx.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "shm/clock.h"
#include "vale/vnet.h"

#define ETH_HDR_LEN 14u

static int
make_ends(const struct unm_bring *r, uint32_t hdr_len, struct unm_super_rx *x)
{
	struct unm_vale_src *src = x->src = calloc(1, sizeof(*src));
	struct unm_peer *peer = x->peer = calloc(1, sizeof(*peer));

	if (src == NULL || peer == NULL)
		return -ENOMEM;
	src->hdr_len = hdr_len;
	if (getrandom(&src->ip6_id, sizeof(src->ip6_id), GRND_NONBLOCK) < 0)
		src->ip6_id = unm_now_coarse_ns(); /* early at boot */
	peer->n_bufs = r->n_bufs;
	peer->buf_size = r->buf_size;
	peer->bufs = r->bufs;
	peer->max_frame = ETH_HDR_LEN + UINT16_MAX;
	peer->lacks = UNM_VNET_LACKS_ALL;
	return 0;
}

int
unm_super_rx_init(struct unm_bring *r, size_t size, uint32_t hdr_len)
{
	r->super = malloc(size); /* most of it is never touched */
	if (r->super == NULL)
		return -ENOMEM;
	if (make_ends(r, hdr_len, r->super) == 0)
		return 0;
	unm_super_rx_fini(r);
	return -ENOMEM;
}

void
unm_super_rx_fini(struct unm_bring *r)
{
	struct unm_super_rx *x = r->super;

	if (x == NULL)
		return;
	free(x->src);
	free(x->peer);
	free(x);
	r->super = NULL;
}
