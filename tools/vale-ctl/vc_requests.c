/* SPDX-License-Identifier: BSD-2-Clause */
/* The requests of vale-ctl: see vc_requests.h. */
#include "vc_requests.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "nmt_units.h"

/* In answer to a name: the switch is there, the port is not. No port has this number. */
#define NO_SUCH_PORT 255

/* Send a request. @name fits into nr_name; the answer is in the body. */
static int
send_request(int fd, struct nmreq_header *hdr, uint16_t type, const char *name, void *body)
{
	nmreq_header_init(hdr, type, body);
	snprintf(hdr->nr_name, sizeof(hdr->nr_name), "%s", name);
	return ioctl(fd, NIOCCTRL, hdr) == 0 ? 0 : -errno;
}

int
vc_find_mem_id(const char *spec, uint16_t *mem_id)
{
	struct nmctx *ctx = nmctx_get();
	const int verbose = ctx->verbose;
	uint64_t number;
	int32_t id;
	int error;

	if (isdigit((unsigned char)spec[0])) {
		error = nmt_parse_u64(spec, 1, UINT16_MAX, &number, NULL);
		if (error != 0)
			return error;
		*mem_id = (uint16_t)number;
		return 0;
	}
	ctx->verbose = 0; /* the caller has a message */
	id = nmreq_get_mem_id(&spec, ctx);
	error = id < 0 ? -errno : 0;
	ctx->verbose = verbose;
	if (error != 0)
		return error;
	if (*spec != '\0')
		return -EINVAL;
	*mem_id = (uint16_t)id;
	return 0;
}

int
vc_list_next(int fd, struct vc_list_entry *e)
{
	struct nmreq_vale_list body = {
		.nr_bridge_idx = (uint16_t)e->bridge_idx,
		.nr_port_idx = e->port_idx,
	};
	struct nmreq_header hdr;
	int error;

	error = send_request(fd, &hdr, NETMAP_REQ_VALE_LIST, "", &body);
	if (error != 0)
		return error;
	if (body.nr_bridge_idx < e->bridge_idx ||
		(body.nr_bridge_idx == e->bridge_idx && body.nr_port_idx < e->port_idx))
		return -EPROTO;
	e->bridge_idx = body.nr_bridge_idx;
	e->port_idx = body.nr_port_idx;
	memcpy(e->name, hdr.nr_name, sizeof(e->name));
	e->name[sizeof(e->name) - 1] = '\0';
	return 0;
}

int
vc_list_port(int fd, const char *name, struct vc_list_entry *e)
{
	struct nmreq_vale_list body = {0};
	struct nmreq_header hdr;
	int error;

	error = send_request(fd, &hdr, NETMAP_REQ_VALE_LIST, name, &body);
	if (error != 0)
		return error;
	if (body.nr_port_idx == NO_SUCH_PORT)
		return -ENOENT;
	snprintf(e->name, sizeof(e->name), "%s", name);
	e->bridge_idx = body.nr_bridge_idx;
	e->port_idx = body.nr_port_idx;
	return 0;
}

int
vc_info(int fd, const char *name, struct vc_port_info *info)
{
	struct nmreq_port_info_get body = {0};
	struct nmreq_header hdr;
	int error;

	error = send_request(fd, &hdr, NETMAP_REQ_PORT_INFO_GET, name, &body);
	if (error != 0)
		return error;
	*info = (struct vc_port_info){
		.memsize = body.nr_memsize,
		.geometry = {body.nr_tx_slots, body.nr_rx_slots, body.nr_tx_rings,
			body.nr_rx_rings},
		.mem_id = body.nr_mem_id,
	};
	return 0;
}

int
vc_attach(int fd, const char *name, bool with_host, uint16_t mem_id, uint32_t *port_index)
{
	struct nmreq_vale_attach body = {
		.reg.nr_mode = with_host ? NR_REG_NIC_SW : NR_REG_ALL_NIC,
		.reg.nr_mem_id = mem_id,
	};
	struct nmreq_header hdr;
	int error;

	error = send_request(fd, &hdr, NETMAP_REQ_VALE_ATTACH, name, &body);
	if (error == 0)
		*port_index = body.port_index;
	return error;
}

int
vc_detach(int fd, const char *name, uint32_t *port_index)
{
	struct nmreq_vale_detach body = {0};
	struct nmreq_header hdr;
	int error;

	error = send_request(fd, &hdr, NETMAP_REQ_VALE_DETACH, name, &body);
	if (error == 0)
		*port_index = body.port_index;
	return error;
}

int
vc_create(int fd, const char *name, struct vc_port_info *info)
{
	struct nmreq_vale_newif body = {
		.nr_tx_slots = info->geometry.tx_slots,
		.nr_rx_slots = info->geometry.rx_slots,
		.nr_tx_rings = info->geometry.tx_rings,
		.nr_rx_rings = info->geometry.rx_rings,
		.nr_mem_id = info->mem_id,
	};
	struct nmreq_header hdr;
	int error;

	error = send_request(fd, &hdr, NETMAP_REQ_VALE_NEWIF, name, &body);
	if (error != 0)
		return error;
	*info = (struct vc_port_info){
		.geometry = {body.nr_tx_slots, body.nr_rx_slots, body.nr_tx_rings,
			body.nr_rx_rings},
		.mem_id = body.nr_mem_id,
	};
	return 0;
}

int
vc_delete(int fd, const char *name)
{
	struct nmreq_header hdr;

	return send_request(fd, &hdr, NETMAP_REQ_VALE_DELIF, name, NULL);
}

int
vc_poll_start(int fd, const char *name, const struct vc_polling *polling)
{
	struct nmreq_vale_polling body = {
		.nr_mode = polling->mode,
		.nr_first_cpu_id = polling->first_cpu,
		.nr_num_polling_cpus = polling->n_cpus,
	};
	struct nmreq_header hdr;

	return send_request(fd, &hdr, NETMAP_REQ_VALE_POLLING_ENABLE, name, &body);
}

int
vc_poll_stop(int fd, const char *name)
{
	struct nmreq_vale_polling body = {0};
	struct nmreq_header hdr;

	return send_request(fd, &hdr, NETMAP_REQ_VALE_POLLING_DISABLE, name, &body);
}
