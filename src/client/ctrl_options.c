/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying a request in and out of the application's memory. See ctrl.h.
 *
 * Everything is read once: what is checked is what is sent. The list of options is walked twice, once for the headers (the sum of the
 * sizes bounds the walk, so a cyclic list ends in EMSGSIZE) and once for the bodies.
 */
#include "client/ctrl.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "client/uaccess.h"

#define OPT_NOT_FOR_NETMAPD UINT32_C(0x7fffffff) /* a type that nobody knows */

static const uint32_t opt_sizes[NETMAP_REQ_OPT_MAX] = {
	[NETMAP_REQ_OPT_EXTMEM] = sizeof(struct nmreq_opt_extmem),
	[NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS] = sizeof(struct nmreq_option), /* and nro_size */
	[NETMAP_REQ_OPT_CSB] = sizeof(struct nmreq_opt_csb),
	[NETMAP_REQ_OPT_SYNC_KLOOP_MODE] = sizeof(struct nmreq_opt_sync_kloop_mode),
	[NETMAP_REQ_OPT_OFFSETS] = sizeof(struct nmreq_opt_offsets),
};

/* Return: bytes, or 0 when nro_size is beyond all limits. */
static uint32_t
opt_size(const struct nmreq_option *o)
{
	if (o->nro_size > UNM_REQ_MAXSIZE)
		return 0;
	if (o->nro_reqtype == NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS && o->nro_size > sizeof(*o))
		return (uint32_t)o->nro_size;
	if (o->nro_reqtype < NETMAP_REQ_OPT_MAX && opt_sizes[o->nro_reqtype] != 0)
		return opt_sizes[o->nro_reqtype];
	return sizeof(*o);
}

/* First walk: addresses, types and sizes. */
static int
read_opt_headers(struct unm_request *req)
{
	uint64_t user = req->hdr.nr_options;
	uint32_t total = req->body_size;

	while (user != 0) { /* bounded by the sum of the sizes */
		struct unm_req_opt *o = &req->opt[req->n_opts];
		struct nmreq_option h;
		uint32_t size;

		if (unm_user_read(&h, user, sizeof(h)) < 0)
			return -EFAULT;
		size = opt_size(&h);
		if (size == 0 || size > UNM_REQ_MAXSIZE - total)
			return -EMSGSIZE;
		total += size;
		*o = (struct unm_req_opt){.user = user,
			.type = h.nro_reqtype,
			.size = size,
			.ofs = req->opts_len,
			.status = EOPNOTSUPP};
		req->opts_len += size;
		req->n_opts++;
		user = h.nro_next;
	}
	return 0;
}

static int
check_types(struct unm_request *req)
{
	int err = 0;
	uint32_t i, k;

	for (i = 0; i < req->n_opts; i++) {
		struct unm_req_opt *o = &req->opt[i];

		if (o->type == 0) {
			o->status = EINVAL;
			err = -EINVAL;
		}
		for (k = 0; k < i; k++)
			if (req->opt[k].type == o->type) {
				req->opt[k].status = EINVAL;
				o->status = EINVAL;
				err = -EINVAL;
			}
	}
	return err;
}

int
unm_request_read(struct unm_request *req)
{
	uint32_t i;
	int err;

	req->n_opts = 0;
	req->opts_len = 0;
	if (req->body_size > UNM_REQ_MAXSIZE)
		return -EMSGSIZE;
	err = read_opt_headers(req);
	if (err < 0)
		return err;
	if (unm_user_read(req->body, req->hdr.nr_body, req->body_size) < 0)
		return -EFAULT;
	for (i = 0; i < req->n_opts; i++) {
		const struct unm_req_opt *o = &req->opt[i];
		struct nmreq_option *h = unm_request_opt_data(req, o);

		if (unm_user_read(h, o->user, o->size) < 0)
			return -EFAULT;
		h->nro_reqtype = o->type; /* it may have changed since the first walk */
	}
	return check_types(req);
}

static int
write_opt(const struct unm_request *req, const struct unm_req_opt *o, bool success)
{
	const uint64_t status = o->user + offsetof(struct nmreq_option, nro_status);
	const uint32_t head = sizeof(struct nmreq_option);
	int err = unm_user_write(status, &o->status, sizeof(o->status));

	if (err == 0 && success && o->size > head)
		err = unm_user_write(o->user + head, req->opts + o->ofs + head, o->size - head);
	return err;
}

int
unm_request_write(const struct unm_request *req, int success)
{
	int err = unm_user_write(req->user_hdr, &req->hdr, sizeof(req->hdr));
	uint32_t i;

	for (i = 0; i < req->n_opts; i++)
		if (write_opt(req, &req->opt[i], success) < 0)
			err = -EFAULT;
	if (success && unm_user_write(req->hdr.nr_body, req->body, req->body_size) < 0)
		err = -EFAULT;
	return err;
}

struct unm_req_opt *
unm_request_opt(struct unm_request *req, uint32_t type)
{
	uint32_t i;

	for (i = 0; i < req->n_opts; i++)
		if (req->opt[i].type == type)
			return &req->opt[i];
	return NULL;
}

static bool
is_kloop_opt(uint32_t type)
{
	return type == NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS || type == NETMAP_REQ_OPT_SYNC_KLOOP_MODE;
}

uint32_t
unm_request_pack(struct unm_request *req, uint32_t keep, char *blob)
{
	struct nmreq_header *hdr = (struct nmreq_header *)blob;
	uint32_t len = sizeof(*hdr), i;

	*hdr = req->hdr;
	memcpy(blob + len, req->body, req->body_size);
	len += req->body_size;
	for (i = 0; i < req->n_opts; i++) {
		struct unm_req_opt *o = &req->opt[i];
		struct nmreq_option *h = (struct nmreq_option *)(blob + len);

		o->blob_size = 0;
		if (o->type < NETMAP_REQ_OPT_MAX && (keep & UINT32_C(1) << o->type))
			continue;
		o->blob_ofs = len;
		o->blob_size = is_kloop_opt(o->type) ? sizeof(*h) : o->size;
		memcpy(h, unm_request_opt_data(req, o), o->blob_size);
		h->nro_status = EOPNOTSUPP;
		if (is_kloop_opt(o->type))
			h->nro_reqtype = OPT_NOT_FOR_NETMAPD;
		len += o->blob_size;
	}
	return len;
}

int
unm_request_unpack(struct unm_request *req, const char *blob, uint32_t len)
{
	const struct nmreq_header *hdr = (const struct nmreq_header *)blob;
	uint32_t need = sizeof(*hdr) + req->body_size, i;

	for (i = 0; i < req->n_opts; i++)
		need += req->opt[i].blob_size;
	if (len != need)
		return -EPROTO;
	memcpy(req->hdr.nr_name, hdr->nr_name, sizeof(req->hdr.nr_name));
	memcpy(req->body, blob + sizeof(*hdr), req->body_size);
	for (i = 0; i < req->n_opts; i++) {
		struct unm_req_opt *o = &req->opt[i];
		const char *from = blob + o->blob_ofs;
		const uint32_t head = sizeof(struct nmreq_option);

		if (o->blob_size == 0)
			continue;
		o->status = ((const struct nmreq_option *)from)->nro_status;
		memcpy(req->opts + o->ofs + head, from + head, o->blob_size - head);
	}
	return 0;
}
