/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PORT_HDR_SET and PORT_HDR_GET: the virtio-net header length of a port (spec 6.4, 17). Beyond netmap, pad1 says which offloads the
 * port can't take although it has a header (vale/vnet.h); 0, what netmap's clients have there, means that it takes all.
 */
#include <errno.h>

#include "daemon/request.h"
#include "vale/vnet.h"

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
	if (req->pad1 & ~UNM_VNET_LACKS_ALL)
		return unm_fail(&c->why, -EINVAL,
			"pad1 names offloads that the port can't take: bits of 0x%x, not 0x%x",
			UNM_VNET_LACKS_ALL, req->pad1);
	unm_dport_set_vnet_hdr(port, req->nr_hdr_len, req->pad1);
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
	req->pad1 = port->vnet_lacks;
	return 0;
}
