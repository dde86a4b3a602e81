/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control queue (VIRTIO 1.2, 5.1.6.5), for front ends that leave it to us.
 *
 * Served are what was offered: the number of queue pairs in use (MQ), and the MAC address, which is
 * only noted, as a switch learns addresses from frames. All else is answered with an error, as the
 * driver expects of what was not negotiated.
 *
 * One pair is in use when a control ring begins, and as many as the driver has asked for when it
 * goes on where it was: after a halt (memory or descriptors have changed), or stopped and started at
 * the same place, as for a pause. With a front end that has never started that ring, as it serves
 * the queue itself, it is all that are enabled.
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
#define HEADER_LEN	 2u
#define COMMAND_MAX	 8u
#define COMMANDS_AT_ONCE 16u

static uint8_t
set_mac(struct unm_net *n, const uint8_t *mac)
{
	static const uint8_t none[6];

	if ((mac[0] & 1) != 0 || memcmp(mac, none, sizeof(none)) == 0)
		return ACK_ERR; /* a group's, or nobody's: not to be had with --mac either */
	memcpy(n->config.mac, mac, sizeof(n->config.mac));
	return ACK_OK;
}

static uint8_t
set_pairs(struct unm_net *n, const uint8_t *data)
{
	const uint16_t pairs = (uint16_t)(data[0] | data[1] << 8);

	if (pairs == 0 || pairs > n->n_pairs)
		return ACK_ERR;
	unm_net_set_active_pairs(n, pairs);
	return ACK_OK;
}

static const struct command {
	uint8_t class, command;
	uint32_t data_len;
	uint64_t features; /* that the driver must have accepted */
	uint8_t (*serve)(struct unm_net *n, const uint8_t *data);
} commands[] = {
	{CLASS_MAC, MAC_ADDR_SET, 6, UNM_F_CTRL_VQ | UNM_F_CTRL_MAC_ADDR, set_mac},
	{CLASS_MQ, MQ_VQ_PAIRS_SET, 2, UNM_F_CTRL_VQ | UNM_F_MQ, set_pairs},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* @len: of the command, of which COMMAND_MAX bytes are there. */
static uint8_t
handle(struct unm_net *n, const uint8_t *cmd, uint32_t len)
{
	unsigned int i;

	for (i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (c->class == cmd[0] && c->command == cmd[1] && len == HEADER_LEN + c->data_len &&
			(n->features & c->features) == c->features)
			return c->serve(n, cmd + HEADER_LEN);
	}
	return ACK_ERR;
}

/* One command. Return: bytes written, 0 if there is no place for the answer. */
static uint32_t
serve(struct unm_net *n, const struct unm_vq_chain *c)
{
	uint8_t cmd[COMMAND_MAX] = {0};
	const struct unm_vq_part *ack = &c->part[c->n_read];
	uint32_t len = 0, i;

	for (i = 0; i < c->n_read && len < sizeof(cmd); i++) {
		const uint32_t room = (uint32_t)sizeof(cmd) - len;
		const uint32_t k = c->part[i].len < room ? c->part[i].len : room;

		memcpy(cmd + len, c->part[i].data, k);
		len += k;
	}
	if (c->n_write == 0)
		return 0;
	ack->data[0] = handle(n, cmd, c->read_len);
	unm_guest_dirty(n->mem, ack->gpa, 1);
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
