/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control queue (VIRTIO 1.2, 5.1.6.5), for front ends that leave it to us.
 *
 * Served are what was offered: the number of queue pairs in use (MQ), and the MAC address, which is
 * only noted, as a switch learns addresses from frames. All else is answered with an error, as the
 * driver expects of what was not negotiated.
 */
#include <string.h>

#include "vm/net_priv.h"

#define CLASS_MAC	1
#define MAC_ADDR_SET	1
#define CLASS_MQ	4
#define MQ_VQ_PAIRS_SET 0

#define ACK_OK		0
#define ACK_ERR		1

/* The longest command that we know is 2 bytes of header and a MAC address. */
#define COMMAND_MAX	 8u
#define COMMANDS_AT_ONCE 16u

static uint8_t
handle(struct unm_net *n, const uint8_t *cmd, uint32_t len)
{
	uint16_t pairs;

	if (len >= 8 && cmd[0] == CLASS_MAC && cmd[1] == MAC_ADDR_SET) {
		memcpy(n->config.mac, cmd + 2, sizeof(n->config.mac));
		return ACK_OK;
	}
	if (len >= 4 && cmd[0] == CLASS_MQ && cmd[1] == MQ_VQ_PAIRS_SET) {
		pairs = (uint16_t)(cmd[2] | cmd[3] << 8);
		if (pairs == 0 || pairs > n->n_pairs)
			return ACK_ERR;
		unm_net_set_active_pairs(n, pairs);
		return ACK_OK;
	}
	return ACK_ERR;
}

/* One command. Return: bytes written, 0 if there is no place for the answer. */
static uint32_t
serve(struct unm_net *n, const struct unm_vq_chain *c)
{
	uint8_t cmd[COMMAND_MAX] = {0};
	const struct unm_vq_part *p;
	uint32_t len = 0, i;
	uint8_t *ack;

	for (i = 0; i < c->n_read && len < sizeof(cmd); i++) {
		const uint32_t room = (uint32_t)sizeof(cmd) - len;
		const uint32_t k = c->part[i].len < room ? c->part[i].len : room;

		memcpy(cmd + len, c->part[i].data, k);
		len += k;
	}
	if (c->n_write == 0)
		return 0;
	p = &c->part[c->n_read + c->n_write - 1];
	ack = p->data + p->len - 1;
	*ack = handle(n, cmd, len);
	unm_guest_dirty(n->mem, p->gpa + p->len - 1, 1);
	return 1;
}

unsigned int
unm_net_ctrl(struct unm_net *n)
{
	struct unm_vq *q = n->ctrl.q;
	struct unm_vq_chain c;
	unsigned int done;

	for (done = 0; done < COMMANDS_AT_ONCE; done++) {
		if (unm_vq_peek(q, &c, n->part, UNM_VQ_MAX_PARTS) <= 0)
			break;
		unm_vq_push(q, &c, serve(n, &c));
	}
	if (done > 0 && unm_vq_flush(q)) {
		n->stats.calls++;
		unm_vq_call(q);
	}
	return done;
}
