/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PORT_HDR_SET and PORT_HDR_GET: the virtio-net header length of a port (spec 6.4, 17). Beyond
 * netmap, pad1 says which offloads the port can't take although it has a header (vale/vnet.h); 0,
 * what netmap's clients have there, means that it takes all.
 *
 * TAP ports have headers too, which netmap's NICs have not: the kernel then leaves checksums and
 * segmentation to whoever gets the frames.
 */
#include <errno.h>
#include <string.h>

#include "daemon/monitors.h"
#include "daemon/request.h"
#include "daemon/tap.h"
#include "vale/vnet.h"

/* Has a client the port open that takes the first bytes of each frame for its Ethernet header? */
static bool
has_plain_user(const struct unm_server *srv, const struct unm_dport *port)
{
	const struct unm_desc *d;
	uint32_t i;

	for (i = 0; i < UNM_DESC_HASH; i++) {
		for (d = srv->descs[i]; d != NULL; d = d->next) {
			if (d->binding.port == port && !(d->binding.flags & NR_ACCEPT_VNET_HDR))
				return true;
		}
	}
	return false;
}

static int
set_tap_header(struct unm_ctrl *c, struct unm_dport *port, const struct nmreq_port_hdr *req)
{
	int ret;

	if (req->nr_hdr_len != 0 && has_plain_user(c->srv, port))
		return unm_fail(&c->why, -EBUSY,
			"'%s' is open without NR_ACCEPT_VNET_HDR, so its frames can't get headers",
			port->name);
	if (port->n_port_fds == 0)
		return unm_fail(&c->why, -ENXIO, "'%s' has lost its interface", port->name);
	ret = unm_tap_set_header(port->port_fds[0], req->nr_hdr_len, req->pad1);
	if (ret < 0)
		return unm_fail(&c->why, ret, "'%s': the kernel refuses these offloads: %s",
			port->name, strerror(-ret));
	return 0;
}

/* Of a broker's ports nobody else may have one whose frames its client changes. */
static int
check_isolation(struct unm_ctrl *c, const struct unm_dport *port)
{
	if (unm_ctrl_isolate_id(c) == 0)
		return 0;
	if (!unm_ctrl_has_open(c, port))
		return unm_fail(&c->why, -EPERM, "'%s' is not open here", port->name);
	if (unm_ctrl_others_have_open(c, port))
		return unm_fail(&c->why, -EBUSY, "'%s' has another user out there", port->name);
	return 0;
}

int
unm_req_hdr_set(struct unm_ctrl *c)
{
	const struct nmreq_port_hdr *req = c->body;
	struct unm_dport *port = NULL;
	struct unm_name name;
	int ret = 0;

	if (unm_ctrl_parse_name(c, &name) == 0 &&
		(name.kind == UNM_NAME_VALE || name.kind == UNM_NAME_TAP))
		port = unm_port_find(&c->srv->dom, &name);
	if (port == NULL)
		return unm_fail(&c->why, -ENXIO,
			"'%s' is no VALE or TAP port that exists: only these have virtio-net "
			"headers",
			name.full);
	ret = check_isolation(c, port);
	if (ret < 0)
		return ret;
	if (req->nr_hdr_len != 0 && req->nr_hdr_len != 10 && req->nr_hdr_len != 12)
		return unm_fail(&c->why, -EINVAL,
			"a virtio-net header has 0, 10 or 12 bytes, not %u", req->nr_hdr_len);
	if (req->pad1 & ~UNM_VNET_LACKS_ALL)
		return unm_fail(&c->why, -EINVAL,
			"pad1 names offloads that the port can't take: bits of 0x%x, not 0x%x",
			UNM_VNET_LACKS_ALL, req->pad1);
	if ((port->flags & UNM_PORTF_ATTACHED) && c->s->pid != port->worker_pid)
		return unm_fail(&c->why, -EBUSY, "'%s' is attached: its worker has set its header",
			port->name);
	if (port->kind == UNM_PORT_TAP)
		ret = set_tap_header(c, port, req);
	if (ret < 0)
		return ret;
	unm_dport_set_vnet_hdr(port, req->nr_hdr_len, req->pad1);
	unm_monitors_set_header(&c->srv->dom, port);
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
