/* SPDX-License-Identifier: BSD-2-Clause */
/* CTRL: checks common to all requests (spec 5), and who acts on which. See request.h. */
#include "daemon/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/isolate.h"

struct req_rule {
	int (*handle)(struct unm_ctrl *c);
	size_t body_len;
};

static const struct req_rule rules[] = {
	[NETMAP_REQ_REGISTER] = {unm_req_register, sizeof(struct nmreq_register)},
	[NETMAP_REQ_PORT_INFO_GET] = {unm_req_port_info, sizeof(struct nmreq_port_info_get)},
	[NETMAP_REQ_VALE_ATTACH] = {unm_req_vale_attach, sizeof(struct nmreq_vale_attach)},
	[NETMAP_REQ_VALE_DETACH] = {unm_req_vale_detach, sizeof(struct nmreq_vale_detach)},
	[NETMAP_REQ_VALE_LIST] = {unm_req_vale_list, sizeof(struct nmreq_vale_list)},
	[NETMAP_REQ_PORT_HDR_SET] = {unm_req_hdr_set, sizeof(struct nmreq_port_hdr)},
	[NETMAP_REQ_PORT_HDR_GET] = {unm_req_hdr_get, sizeof(struct nmreq_port_hdr)},
	[NETMAP_REQ_VALE_NEWIF] = {unm_req_vale_newif, sizeof(struct nmreq_vale_newif)},
	[NETMAP_REQ_VALE_DELIF] = {unm_req_vale_delif, 0},
	[NETMAP_REQ_VALE_POLLING_ENABLE] = {unm_req_vale_polling,
		sizeof(struct nmreq_vale_polling)},
	[NETMAP_REQ_VALE_POLLING_DISABLE] = {unm_req_vale_polling,
		sizeof(struct nmreq_vale_polling)},
	[NETMAP_REQ_POOLS_INFO_GET] = {unm_req_pools_info, sizeof(struct nmreq_pools_info)},
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

struct nmreq_option *
unm_ctrl_option(const struct unm_ctrl *c, uint32_t type)
{
	unsigned int i;

	for (i = 0; i < c->n_opts; i++) {
		if (c->opts[i]->nro_reqtype == type)
			return c->opts[i];
	}
	return NULL;
}

int
unm_ctrl_parse_name(struct unm_ctrl *c, struct unm_name *name)
{
	const int ret = unm_name_parse(c->hdr->nr_name, name, &c->why);
	const struct unm_dport *attached;

	if (ret < 0)
		return ret;
	/* The worker of an attached interface knows it by this, whatever it is called now. */
	attached = unm_port_attached_as(&c->srv->dom, name->full);
	if (attached != NULL && c->s->pid > 0 && attached->worker_pid == c->s->pid)
		return 0;
	return unm_port_true_name(&c->srv->dom, name, &c->why);
}

/* Bytes that an option takes (spec 3.6), or 0 if it says something impossible. */
static size_t
option_size(const struct nmreq_option *o)
{
	switch (o->nro_reqtype) {
	case NETMAP_REQ_OPT_EXTMEM:
		return sizeof(struct nmreq_opt_extmem);
	case NETMAP_REQ_OPT_CSB:
		return sizeof(struct nmreq_opt_csb);
	case NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS:
		if (o->nro_size > UNM_REQ_MAXSIZE || o->nro_size % 8 != 0)
			return 0;
		return o->nro_size < sizeof(*o) ? sizeof(*o) : (size_t)o->nro_size;
	case NETMAP_REQ_OPT_SYNC_KLOOP_MODE:
		return sizeof(struct nmreq_opt_sync_kloop_mode);
	case NETMAP_REQ_OPT_OFFSETS:
		return sizeof(struct nmreq_opt_offsets);
	default:
		return sizeof(*o);
	}
}

/* Find the options in @len bytes at @p; statuses become EOPNOTSUPP until somebody honours them. */
static int
walk_options(struct unm_ctrl *c, char *p, size_t len)
{
	while (len > 0) { /* each round takes at least 24 bytes */
		struct nmreq_option *o = (struct nmreq_option *)(void *)p;
		size_t size;

		if (len < sizeof(*o) || c->n_opts >= UNM_REQ_MAX_OPTIONS)
			return unm_fail(&c->why, -EMSGSIZE, "the request's options are cut off");
		size = option_size(o);
		if (size == 0 || size > len)
			return unm_fail(&c->why, -EMSGSIZE, "the request's options are cut off");
		o->nro_status = EOPNOTSUPP;
		if (o->nro_reqtype == 0) {
			o->nro_status = EINVAL;
			return unm_fail(&c->why, -EINVAL, "an option has type 0");
		}
		if (unm_ctrl_option(c, o->nro_reqtype) != NULL) {
			unm_ctrl_option(c, o->nro_reqtype)->nro_status = EINVAL;
			o->nro_status = EINVAL;
			return unm_fail(
				&c->why, -EINVAL, "option %u is given twice", o->nro_reqtype);
		}
		c->opts[c->n_opts++] = o;
		p += size;
		len -= size;
	}
	return 0;
}

static int
take_apart(struct unm_ctrl *c, char *blob, size_t len)
{
	const struct nmreq_header *hdr = c->hdr;
	size_t body_len;

	if (hdr->nr_version < NETMAP_MIN_API || hdr->nr_version > NETMAP_MAX_API)
		return unm_fail(&c->why, -EINVAL, "netmap API version %u: %u to %u are served",
			hdr->nr_version, NETMAP_MIN_API, NETMAP_MAX_API);
	if (hdr->nr_reserved != 0)
		return unm_fail(&c->why, -EINVAL, "nr_reserved must be 0");
	if (hdr->nr_reqtype >= N_RULES || rules[hdr->nr_reqtype].handle == NULL)
		return unm_fail(&c->why, -EINVAL, "request type %u is not known", hdr->nr_reqtype);
	body_len = rules[hdr->nr_reqtype].body_len;
	if (len - sizeof(*hdr) < body_len)
		return unm_fail(&c->why, -EINVAL, "the request's body is missing");
	if (len - sizeof(*hdr) > UNM_REQ_MAXSIZE)
		return unm_fail(
			&c->why, -EMSGSIZE, "body and options exceed %u bytes", UNM_REQ_MAXSIZE);
	c->body = blob + sizeof(*hdr);
	return walk_options(c, blob + sizeof(*hdr) + body_len, len - sizeof(*hdr) - body_len);
}

/* An option that nobody honoured undoes a REGISTER (spec 5). */
static int
run(struct unm_ctrl *c)
{
	unsigned int i;
	int ret = rules[c->hdr->nr_reqtype].handle(c);

	if (ret < 0 || c->hdr->nr_reqtype != NETMAP_REQ_REGISTER)
		return ret;
	for (i = 0; i < c->n_opts; i++) {
		if (c->opts[i]->nro_status == 0)
			continue;
		unm_unbind(&c->srv->dom, &c->desc->binding);
		c->has_registered = false;
		return unm_fail(&c->why, -EOPNOTSUPP, "option %u is not supported for this port",
			c->opts[i]->nro_reqtype);
	}
	return 0;
}

uint32_t
unm_ctrl_isolate_id(const struct unm_ctrl *c)
{
	return c->s->isolate != NULL ? c->s->isolate->id : 0;
}

static bool
has_user(const struct unm_ctrl *c, const struct unm_dport *port, bool is_asker)
{
	const struct unm_desc *d;
	uint32_t i;

	for (i = 0; i < UNM_DESC_HASH; i++)
		for (d = c->srv->descs[i]; d != NULL; d = d->next)
			if (d->binding.port == port && (d->pid == c->s->pid) == is_asker)
				return true;
	return false;
}

bool
unm_ctrl_has_open(const struct unm_ctrl *c, const struct unm_dport *port)
{
	return has_user(c, port, true);
}

bool
unm_ctrl_others_have_open(const struct unm_ctrl *c, const struct unm_dport *port)
{
	return has_user(c, port, false);
}

int
unm_ctrl_region(struct unm_ctrl *c, uint32_t mem_id, struct unm_dregion **out)
{
	struct nmreq_opt_extmem *opt =
		(struct nmreq_opt_extmem *)(void *)unm_ctrl_option(c, NETMAP_REQ_OPT_EXTMEM);
	struct unm_region_set *set = &c->srv->dom.regions;
	struct unm_extmem em;
	int ret;

	*out = NULL;
	if (opt == NULL) {
		if (mem_id == 0)
			return 0;
		*out = unm_dregion_by_id(set, mem_id);
		if (*out == NULL && mem_id == UNM_REGION_GLOBAL_ID)
			return unm_dregion_global(set, out, &c->why);
		if (*out == NULL)
			return unm_fail(&c->why, -EINVAL,
				"there is no memory region %u (nmctl show memory lists them)",
				mem_id);
		unm_dregion_get(*out);
		return 0;
	}
	if (c->extmem_fd < 0) {
		opt->nro_opt.nro_status = EFAULT;
		return unm_fail(&c->why, -EFAULT, "external memory: no file came with the request");
	}
	em.fd = c->extmem_fd;
	em.ofs = c->extmem_ofs;
	em.size = opt->nro_info.nr_memsize;
	em.shape.if_num = opt->nro_info.nr_if_pool_objtotal;
	em.shape.if_size = opt->nro_info.nr_if_pool_objsize;
	em.shape.ring_num = opt->nro_info.nr_ring_pool_objtotal;
	em.shape.ring_size = opt->nro_info.nr_ring_pool_objsize;
	em.shape.buf_num = opt->nro_info.nr_buf_pool_objtotal;
	em.shape.buf_size = opt->nro_info.nr_buf_pool_objsize;
	ret = unm_dregion_extmem(set, &em, out, &c->why);
	opt->nro_opt.nro_status = (uint32_t)-ret;
	return ret;
}

void
unm_handle_ctrl(struct unm_msg *m)
{
	const struct unm_msg_ctrl *req = m->body;
	struct unm_msg_ctrl *ans = (struct unm_msg_ctrl *)(void *)m->out;
	const size_t blob_len = req->blob_len;
	struct unm_ctrl c = {.srv = m->srv, .s = m->s, .extmem_fd = -1};
	int ret;

	if (blob_len != m->len - sizeof(*req) || blob_len < sizeof(struct nmreq_header) ||
		blob_len % 8 != 0 || req->has_extmem > 1 || m->n_fds != 1 + req->has_extmem) {
		m->error = EPROTO;
		return;
	}
	memcpy(ans, req, m->len);
	memset(ans->text, 0, sizeof(ans->text));
	ans->has_bind_info = 0;
	m->out_len = m->len;
	c.hdr = (struct nmreq_header *)(void *)ans->blob;
	c.has_csb = req->has_csb != 0;
	if (req->has_extmem) {
		c.extmem_fd = m->fds[1];
		c.extmem_ofs = req->extmem_ofs;
	} else {
		c.max_bytes = req->max_bytes;
	}
	c.desc = unm_desc_find_held(m->srv, req->desc_id, m->fds[0]);
	if (c.desc == NULL)
		ret = unm_fail(&c.why, -EBADF, "netmapd does not know this descriptor");
	else
		ret = take_apart(&c, (char *)ans->blob, blob_len);
	if (ret == 0)
		ret = run(&c);
	m->goes_on = ret == -EINPROGRESS;
	if (ret < 0) {
		m->error = -ret;
		snprintf(ans->text, sizeof(ans->text), "%s", c.why.text);
		return;
	}
	if (c.has_registered) {
		ans->has_bind_info = 1;
		unm_answer_binding(m, c.desc,
			(struct unm_bind_info *)(void *)(m->out + sizeof(*ans) + blob_len));
		m->out_len = sizeof(*ans) + blob_len + sizeof(struct unm_bind_info);
	}
}
