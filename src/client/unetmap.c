/* SPDX-License-Identifier: BSD-2-Clause */
/* What unetmap.h declares: from our convention of errors to that of public functions. */
#include "unetmap.h"

#include <errno.h>

#include "client/device.h"
#include "client/epoch.h"
#include "client/sealed.h"
#include "client/session.h"
#include "port/trusted.h"
#include "vale/sink.h"

int
unetmap_trust_memory(const void *start, size_t len)
{
	const int err = unm_trusted_add(start, len);

	if (err == 0)
		return 0;
	errno = -err;
	return -1;
}

void
unetmap_distrust_memory(const void *start)
{
	unm_trusted_remove(start);
}

static int
set_sink(struct unm_desc *d, unetmap_sink_fn *fn, void *arg)
{
	const struct unm_binding *b = unm_desc_find_binding(d);
	const struct unm_bport *bp;

	if (b == NULL)
		return -EBADF;
	bp = b->bport;
	if (bp->seg->fdb == NULL || bp->n_rx != 1)
		return -EOPNOTSUPP;
	return unm_sink_set(bp->seg, bp->info.port, UNM_READ_ONCE(bp->info.port_gen),
		bp->rx[0].ring_id, fn, arg);
}

int
unetmap_set_sink(int fd, unetmap_sink_fn *fn, void *arg)
{
	struct unm_desc *d = unm_device_hold(fd);
	int err = -EBADF;

	if (d != NULL) {
		err = set_sink(d, fn, arg);
		unm_file_put(&d->file);
	}
	if (err == 0)
		return 0;
	errno = -err;
	return -1;
}

static int
get_rx_counters(struct unm_desc *d, struct unetmap_rx_counters *out)
{
	const struct unm_binding *b = unm_desc_find_binding(d);
	uint32_t i;

	if (b == NULL)
		return -EBADF;
	*out = (struct unetmap_rx_counters){0};
	for (i = 0; i < b->bport->n_rx; i++) {
		const struct unm_kring *k = b->bport->rx[i].kring;

		out->packets += UNM_READ_ONCE(k->rx_pkts);
		out->bytes += UNM_READ_ONCE(k->rx_bytes);
		out->missed += UNM_READ_ONCE(k->rx_full);
	}
	return 0;
}

int
unetmap_get_rx_counters(int fd, struct unetmap_rx_counters *out)
{
	struct unm_desc *d = unm_device_hold(fd);
	int err = -EBADF;

	if (d != NULL) {
		err = get_rx_counters(d, out);
		unm_file_put(&d->file);
	}
	if (err == 0)
		return 0;
	errno = -err;
	return -1;
}

int
unetmap_sleeps_in_poll(void)
{
	struct unm_thread *t = unm_thread_get();

	if (t == NULL) {
		errno = ENOMEM;
		return -1;
	}
	t->raw_never = 1;
	return 0;
}

const struct sockaddr_un *
unetmap_seal_address(const char *path)
{
	return unm_sealed_make(path != NULL ? path : unm_session_path());
}

int
unetmap_wait_at_most(unsigned int ms)
{
	if (ms == 0) {
		errno = EINVAL;
		return -1;
	}
	unm_session_set_patience(ms);
	return 0;
}

void
unetmap_hang_up(unsigned int ms)
{
	unm_session_hang_up(ms);
}
