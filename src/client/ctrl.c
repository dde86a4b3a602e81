/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NIOCCTRL. See ctrl.h.
 *
 *   application                 this file                              netmapd
 *     header, body, options --> copied, checked (spec 5)
 *                               SYNC_KLOOP_*, CSB_ENABLE: done here
 *                               the rest: one CTRL message ----------> done, statuses and results
 *     written back         <--- REGISTER: unm_desc_bind() <----------- descriptors of the binding
 */
#include "client/ctrl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/csb.h"
#include "client/extmem.h"
#include "client/kloop.h"
#include "client/real.h"
#include "client/session.h"
#include "client/uaccess.h"

#define BLOB_ALIGN(n) (((n) + 7u) & ~7u)
#define ANSWER_SIZE                                                                                \
	(sizeof(struct unm_msg_ctrl) + BLOB_ALIGN(UNM_REQ_BLOBSIZE) + sizeof(struct unm_bind_info))

/* Size of the body of each request; NO_BODY: must have none; 0: unknown request. */
#define NO_BODY UINT32_MAX

static const uint32_t body_sizes[] = {
	[NETMAP_REQ_REGISTER] = sizeof(struct nmreq_register),
	[NETMAP_REQ_PORT_INFO_GET] = sizeof(struct nmreq_port_info_get),
	[NETMAP_REQ_VALE_ATTACH] = sizeof(struct nmreq_vale_attach),
	[NETMAP_REQ_VALE_DETACH] = sizeof(struct nmreq_vale_detach),
	[NETMAP_REQ_VALE_LIST] = sizeof(struct nmreq_vale_list),
	[NETMAP_REQ_PORT_HDR_SET] = sizeof(struct nmreq_port_hdr),
	[NETMAP_REQ_PORT_HDR_GET] = sizeof(struct nmreq_port_hdr),
	[NETMAP_REQ_VALE_NEWIF] = sizeof(struct nmreq_vale_newif),
	[NETMAP_REQ_VALE_DELIF] = NO_BODY,
	[NETMAP_REQ_VALE_POLLING_ENABLE] = sizeof(struct nmreq_vale_polling),
	[NETMAP_REQ_VALE_POLLING_DISABLE] = sizeof(struct nmreq_vale_polling),
	[NETMAP_REQ_POOLS_INFO_GET] = sizeof(struct nmreq_pools_info),
	[NETMAP_REQ_SYNC_KLOOP_START] = sizeof(struct nmreq_sync_kloop_start),
	[NETMAP_REQ_SYNC_KLOOP_STOP] = NO_BODY,
	[NETMAP_REQ_CSB_ENABLE] = NO_BODY,
};

/* Header checks in the order of spec 5. */
static int
check_header(struct unm_request *req)
{
	const struct nmreq_header *h = &req->hdr;
	uint32_t size;

	if (h->nr_version < NETMAP_MIN_API || h->nr_version > NETMAP_MAX_API) {
		unm_set_error("API version %u asked for: this library speaks %d to %d",
			h->nr_version, NETMAP_MIN_API, NETMAP_MAX_API);
		return -EINVAL;
	}
	if (h->nr_reserved != 0) {
		unm_set_error("nr_reserved of the request header must be 0");
		return -EINVAL;
	}
	size = h->nr_reqtype < sizeof(body_sizes) / sizeof(body_sizes[0])
		       ? body_sizes[h->nr_reqtype]
		       : 0;
	if (size == 0) {
		unm_set_error("request type %u is unknown", h->nr_reqtype);
		return -EINVAL;
	}
	if ((size == NO_BODY) != (h->nr_body == 0)) {
		unm_set_error("request type %u %s", h->nr_reqtype,
			size == NO_BODY ? "takes no body: nr_body must be 0"
					: "needs a body: nr_body is 0");
		return -EINVAL;
	}
	req->body_size = size == NO_BODY ? 0 : size;
	req->hdr.nr_name[sizeof(req->hdr.nr_name) - 1] = '\0';
	return 0;
}

struct ctrl_exchange {
	struct unm_call call;
	struct unm_msg_ctrl *msg; /* request, then answer: ANSWER_SIZE bytes */
	int fds[2];		  /* that go along */
	int extmem_fd;		  /* ours to close, or -1 */
};

/* The parts of the answer, checked. */
static int
take_answer(struct unm_request *req, struct ctrl_exchange *x, struct unm_bind_info *info)
{
	const struct unm_call *c = &x->call;
	const size_t head = sizeof(*x->msg);
	size_t need;
	int err;

	if (c->ans_len < head) /* an error that has no more to say */
		return c->error < 0 ? c->error : -EPROTO;
	if (c->error < 0) {
		x->msg->text[sizeof(x->msg->text) - 1] = '\0';
		unm_set_error("%s", x->msg->text);
	}
	if (x->msg->blob_len > UNM_REQ_BLOBSIZE || c->ans_len - head < x->msg->blob_len)
		return c->error < 0 ? c->error : -EPROTO;
	err = unm_request_unpack(req, (const char *)x->msg->blob, x->msg->blob_len);
	if (c->error < 0 || err < 0)
		return c->error < 0 ? c->error : err;
	if (!x->msg->has_bind_info)
		return req->hdr.nr_reqtype == NETMAP_REQ_REGISTER ? -EPROTO : 0;
	need = head + BLOB_ALIGN(x->msg->blob_len) + sizeof(*info);
	if (c->ans_len < need)
		return -EPROTO;
	memcpy(info, x->msg->blob + BLOB_ALIGN(x->msg->blob_len), sizeof(*info));
	return 0;
}

/* netmapd has bound the descriptor, but we can't use that: a failed request changes nothing. */
static void
unbind(struct unm_desc *d)
{
	struct unm_msg_unbind msg;
	struct unm_call c = {.type = UNM_MSG_UNBIND,
		.body = &msg,
		.body_len = sizeof(msg),
		.fds = &d->d,
		.n_fds = 1};

	memcpy(msg.desc_id, d->id, sizeof(msg.desc_id));
	if (unm_session_call(&c) == 0)
		unm_call_close_fds(&c, 0);
}

/* Ask netmapd; on success of a REGISTER the binding is ours when this returns. */
static int
ask_netmapd(struct unm_desc *d, struct unm_request *req, struct ctrl_exchange *x)
{
	const int is_register = req->hdr.nr_reqtype == NETMAP_REQ_REGISTER;
	struct unm_call *c = &x->call;
	struct unm_bind_info info;
	uint32_t keep = 0;
	int err;

	memcpy(x->msg->desc_id, d->id, sizeof(d->id));
	if (is_register) {
		keep = UINT32_C(1) << NETMAP_REQ_OPT_CSB;
		x->msg->has_csb = unm_request_opt(req, NETMAP_REQ_OPT_CSB) != NULL;
	}
	x->msg->blob_len = unm_request_pack(req, keep, (char *)x->msg->blob);
	c->type = UNM_MSG_CTRL;
	c->body = x->msg;
	c->body_len = sizeof(*x->msg) + x->msg->blob_len;
	x->fds[0] = d->d;
	x->fds[1] = x->extmem_fd;
	c->fds = x->fds;
	c->n_fds = x->extmem_fd >= 0 ? 2 : 1;
	c->ans = x->msg;
	c->ans_size = ANSWER_SIZE;
	err = unm_session_call(c);
	if (err < 0)
		return err;
	err = take_answer(req, x, &info);
	if (err == 0 && is_register)
		err = unm_desc_bind(d, &info, c->ans_fds, c->n_ans_fds);
	else
		unm_call_close_fds(c, 0);
	if (err < 0 && is_register && (c->error == 0 || c->fds_lost))
		unbind(d);
	return err;
}

int
unm_ctrl_port_info(struct unm_desc *d, const char *name, struct nmreq_port_info_get *info)
{
	struct ctrl_exchange x = {.extmem_fd = -1};
	struct unm_request *req = calloc(1, sizeof(*req));
	int err = -ENOMEM;

	x.msg = calloc(1, ANSWER_SIZE);
	if (req != NULL && x.msg != NULL) {
		req->hdr.nr_version = NETMAP_API;
		req->hdr.nr_reqtype = NETMAP_REQ_PORT_INFO_GET;
		memcpy(req->hdr.nr_name, name, sizeof(req->hdr.nr_name));
		req->body_size = sizeof(*info);
		memcpy(req->body, info, sizeof(*info));
		err = ask_netmapd(d, req, &x);
		if (err == 0)
			memcpy(info, req->body, sizeof(*info));
	}
	free(x.msg);
	free(req);
	return err;
}

/* What REGISTER needs done here, before and after netmapd. */
static int
do_register(struct unm_desc *d, struct unm_request *req, struct ctrl_exchange *x)
{
	const struct nmreq_register *reg = (const struct nmreq_register *)req->body;
	struct unm_req_opt *extmem = unm_request_opt(req, NETMAP_REQ_OPT_EXTMEM);
	int err;

	if (unm_desc_binding(d) != NULL) {
		unm_set_error(
			"this descriptor is bound already: open /dev/netmap once for each port");
		return -EBUSY;
	}
	if (reg->nr_mode == NR_REG_PIPE_MASTER || reg->nr_mode == NR_REG_PIPE_SLAVE) {
		unm_set_error("the pipe modes belong to the legacy requests: name the pipe "
			      "\"port{id\" or \"port}id\" instead");
		return -EINVAL;
	}
	if (extmem != NULL) {
		const struct nmreq_opt_extmem *e = unm_request_opt_data(req, extmem);

		err = unm_extmem_find(
			e->nro_usrptr, e->nro_info.nr_memsize, &x->extmem_fd, &x->msg->extmem_ofs);
		if (err < 0) {
			extmem->status = (uint32_t)-err;
			return err;
		}
		x->msg->has_extmem = 1;
	}
	err = unm_csb_check_register(d, req);
	if (err == 0)
		err = ask_netmapd(d, req, x);
	if (err == 0)
		err = unm_csb_enable_register(d, req);
	return err;
}

static int
do_request(struct unm_desc *d, struct unm_request *req)
{
	struct ctrl_exchange x = {.extmem_fd = -1};
	int err;

	switch (req->hdr.nr_reqtype) {
	case NETMAP_REQ_SYNC_KLOOP_START:
		return unm_kloop_start(d, req);
	case NETMAP_REQ_SYNC_KLOOP_STOP:
		return unm_kloop_stop(d);
	case NETMAP_REQ_CSB_ENABLE:
		return unm_csb_enable(d, req);
	default:
		break;
	}
	x.msg = calloc(1, ANSWER_SIZE);
	if (x.msg == NULL)
		return -ENOMEM;
	x.msg->max_bytes = req->max_bytes;
	if (req->hdr.nr_reqtype == NETMAP_REQ_REGISTER)
		err = do_register(d, req, &x);
	else
		err = ask_netmapd(d, req, &x);
	if (x.extmem_fd >= 0)
		UNM_RAW_CLOSE(x.extmem_fd);
	free(x.msg);
	return err;
}

int
unm_ctrl_within(struct unm_desc *d, uint64_t user_hdr, uint64_t max_bytes)
{
	struct unm_request *req = malloc(sizeof(*req));
	int err;

	if (req == NULL)
		return -ENOMEM;
	unm_set_error("%s", "");
	req->user_hdr = user_hdr;
	req->n_opts = 0;
	req->max_bytes = max_bytes;
	err = unm_user_read(&req->hdr, user_hdr, sizeof(req->hdr));
	if (err == 0)
		err = check_header(req);
	if (err == 0) {
		int write_err;

		err = unm_request_read(req);
		if (err == 0)
			err = do_request(d, req);
		write_err = unm_request_write(req, err == 0);
		if (err == 0)
			err = write_err;
	}
	free(req);
	return err;
}

int
unm_ctrl(struct unm_desc *d, uint64_t user_hdr)
{
	return unm_ctrl_within(d, user_hdr, 0);
}
