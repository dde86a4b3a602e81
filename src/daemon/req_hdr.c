/* SPDX-License-Identifier: BSD-2-Clause */
/* PORT_HDR_SET and PORT_HDR_GET: the virtio-net header length of a port (spec 6.4, 17). */
#include <errno.h>

#include "daemon/request.h"

int
unm_req_hdr_set(struct unm_ctrl *c)
{
	const struct nmreq_port_hdr *req = c->body;
	struct unm_dport *port = NULL;
	struct unm_name name;

	if (unm_ctrl_parse_name(c, &name) == 0 && name.kind == UNM_NAME_VALE)
		port = unm_port_find(&c->srv->dom, &name);
	if (port == NULL)
		return unm_fail(&c->why, -ENXIO,
			"'%s' is no VALE port that exists: only these have virtio-net headers",
			name.full);
	if (req->nr_hdr_len != 0 && req->nr_hdr_len != 10 && req->nr_hdr_len != 12)
		return unm_fail(&c->why, -EINVAL,
			"a virtio-net header has 0, 10 or 12 bytes, not %u", req->nr_hdr_len);
	unm_dport_set_vnet_hdr(port, req->nr_hdr_len);
	if (port->flags & UNM_PORTF_PERSISTENT)
		unm_state_file_update(c->srv);
	return 0;
}

int
unm_req_hdr_get(struct unm_ctrl *c)
{
	struct nmreq_port_hdr *req = c->body;
	const struct unm_dport *port;
	struct unm_name name;
	int ret = unm_ctrl_parse_name(c, &name);

	if (ret == -ENOMEM)
		return -ENXIO; /* a malformed VALE name, looked up only */
	if (ret < 0)
		return ret;
	port = unm_port_find(&c->srv->dom, &name);
	if (port == NULL)
		return unm_fail(&c->why, name.kind == UNM_NAME_PIPE ? -ENODEV : -ENXIO,
			"there is no port '%s'", name.full);
	req->nr_hdr_len = port->vnet_hdr_len;
	return 0;
}
