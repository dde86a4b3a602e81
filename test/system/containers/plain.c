/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that knows netmap's headers and no library: it opens two ports of a switch, sends frames from one to the other,
 * waits for them in poll, and checks them. Exit status: 0 when all have arrived.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define NETMAP_WITH_LIBS
#include "net/netmap_user.h"

#define N_FRAMES 20000u
#define BURST	 100u
#define LEN	 100u

static void
fill(struct nm_desc *d, unsigned int first, unsigned int n)
{
	struct netmap_ring *ring = NETMAP_TXRING(d->nifp, d->first_tx_ring);
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct netmap_slot *slot = &ring->slot[ring->head];
		char *buf = NETMAP_BUF(ring, slot->buf_idx);
		const unsigned int number = first + i;

		memset(buf, 0xff, 6);
		memcpy(buf + 6, "\2\0\0\0\0\1\x88\xb5", 8);
		memset(buf + 14, (int)(number & 0xff), LEN - 14);
		memcpy(buf + 14, &number, sizeof(number));
		slot->len = LEN;
		ring->head = ring->cur = nm_ring_next(ring, ring->head);
	}
}

/* Return: how many were there, or -1 if one is not what was sent. */
static int
drain(struct nm_desc *d, unsigned int expected)
{
	struct netmap_ring *ring = NETMAP_RXRING(d->nifp, d->first_rx_ring);
	int n = 0;

	while (!nm_ring_empty(ring)) {
		const struct netmap_slot *slot = &ring->slot[ring->head];
		const char *buf = NETMAP_BUF(ring, slot->buf_idx);
		unsigned int number;

		memcpy(&number, buf + 14, sizeof(number));
		if (slot->len != LEN || number != expected + (unsigned int)n ||
			buf[LEN - 1] != (char)(number & 0xff))
			return -1;
		ring->head = ring->cur = nm_ring_next(ring, ring->head);
		n++;
	}
	return n;
}

int
main(void)
{
	struct nm_desc *tx = nm_open("vale3:plain1", NULL, 0, NULL);
	struct nm_desc *rx = nm_open("vale3:plain2", NULL, 0, NULL);
	unsigned int sent = 0, got = 0;

	if (tx == NULL || rx == NULL) {
		perror("plain: nm_open");
		return 1;
	}
	while (got < N_FRAMES) { /* each turn waits for at most 10 s */
		struct pollfd pfd = {NETMAP_FD(rx), POLLIN, 0};
		int n;

		if (sent == got) {
			fill(tx, sent, BURST);
			sent += BURST;
			ioctl(NETMAP_FD(tx), NIOCTXSYNC, NULL);
		}
		if (poll(&pfd, 1, 10000) <= 0) {
			fprintf(stderr, "plain: nothing comes after frame %u of %u\n", got, sent);
			return 1;
		}
		n = drain(rx, got);
		if (n < 0) {
			fprintf(stderr, "plain: a wrong frame after %u\n", got);
			return 1;
		}
		got += (unsigned int)n;
	}
	nm_close(tx);
	nm_close(rx);
	return 0;
}
