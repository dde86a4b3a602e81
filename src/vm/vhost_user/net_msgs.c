/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages about the NIC, its configuration space, and the channel back to the front end. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vm/net_features.h"
#include "vm/vhost_user/backend_priv.h"
#include "vm/vhost_user/socket_fd.h"

int
vu_send_rarp(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	uint8_t mac[6];

	memcpy(mac, m->payload.bytes, sizeof(mac));
	if ((mac[0] & 1) != 0)
		return vu_fail(b, -EINVAL, "the address is a group's");
	b->ops->send_rarp(b->dev, mac);
	return 0;
}

int
vu_net_set_mtu(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const uint64_t mtu = m->payload.u64;

	if (mtu < UNM_NET_MIN_MTU || mtu > UINT16_MAX)
		return vu_fail(b, -EINVAL, "%llu, must be %u to %u", (unsigned long long)mtu,
			UNM_NET_MIN_MTU, UINT16_MAX);
	b->ops->set_mtu(b->dev, (uint16_t)mtu);
	return 0;
}

int
vu_set_backend_req_fd(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const char *why = unm_vu_socket_check(m->fd[0], b->conn.closing);

	if (why != NULL)
		return vu_fail(b, -EINVAL, "%s", why);
	if (b->request_fd >= 0)
		close(b->request_fd);
	b->request_fd = unm_vu_msg_take_fd(m, 0);
	return 0;
}

static int
check_config(struct unm_vu_backend *b, const struct unm_vu_msg *m)
{
	const struct unm_vu_config *c = &m->payload.config;

	if (c->size > UNM_VU_CONFIG_SIZE || c->ofs > UNM_VU_CONFIG_SIZE - c->size)
		return vu_fail(b, -EINVAL, "%u bytes from %u on, there are %u", c->size, c->ofs,
			UNM_VU_CONFIG_SIZE);
	if (m->hdr.size != UNM_VU_CONFIG_HDR + c->size)
		return vu_fail(
			b, -EINVAL, "%u bytes of payload for %u of it", m->hdr.size, c->size);
	return 0;
}

/* An answer without payload is how this request is refused. */
int
vu_get_config(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	struct unm_vu_config *c = &m->payload.config;

	if (check_config(b, m) < 0)
		return vu_reply(b, NULL, 0, -1);
	memset(c->data, 0, sizeof(c->data));
	b->ops->get_config(b->dev, c->ofs, c->size, c->data);
	return vu_reply(b, c, m->hdr.size, -1);
}

int
vu_set_config(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const struct unm_vu_config *c = &m->payload.config;
	int err = check_config(b, m);

	if (err < 0)
		return err;
	err = b->ops->set_config(b->dev, c->ofs, c->size, c->data);
	if (err < 0)
		return vu_fail(b, err, "%u bytes from %u on can't be written", c->size, c->ofs);
	return 0;
}

bool
unm_vu_takes_config_changes(const struct unm_vu_backend *b)
{
	const uint64_t needed =
		UNM_VU_PF_BIT(UNM_VU_PF_BACKEND_REQ) | UNM_VU_PF_BIT(UNM_VU_PF_CONFIG);

	return b->request_fd >= 0 && (b->protocol_features & needed) == needed;
}

int
unm_vu_config_changed(struct unm_vu_backend *b)
{
	int err;

	if (!unm_vu_takes_config_changes(b))
		return -ENOTSUP;
	err = unm_vu_send(b->request_fd, UNM_VU_BACKEND_CONFIG_CHANGE, 0, NULL, 0, -1);
	if (err < 0 && err != -EAGAIN) {
		close(b->request_fd);
		b->request_fd = -1;
	}
	return err;
}
