/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host on a netmap port, for the tests of TAP ports: it answers ARP, ping and UDP (with the datagram it got), so that the
 * kernel's programs have somebody to talk to. An answer leaves by the ring whose number is that of the ring the question came by.
 *
 * usage: tap-peer [-o] [-p PACE_US] [-r RINGS] [-s SLOT_LEN] PORT IPV4
 *	-o	open with nm_open(), not nmport_open()
 *	-p	take one frame, then rest so long: a slow receiver
 *	-r	ask for so many rings
 *	-s	an answer takes slots of so many bytes (NS_MOREFRAG)
 *
 * "ready" on standard output when the port is open; at SIGTERM a line "rx I FRAMES tx I FRAMES" for each ring, "longest BYTES" and "broken N"
 * (UDP datagrams whose content is not what ns_udp.py sends). Exit status 0, 1 for an error, 3 when the port was taken away.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NETMAP_WITH_LIBS
#include <net/netmap_user.h>

#include "libnetmap.h"

#define LIFE_S	  120 /* no test is longer */
#define MAX_RINGS 16
#define MAX_FRAME 65536
#define EXIT_GONE 3

static const uint8_t own_mac[ETH_ALEN] = {0x02, 0, 0, 0, 0, 0x99};

static struct {
	int fd;
	struct netmap_if *nifp;
	uint32_t n_tx, n_rx;
	uint32_t slot_len;
	unsigned int pace_us;
	in_addr_t ip;
	uint64_t rx[MAX_RINGS], tx[MAX_RINGS], n_broken;
	uint32_t longest;
} peer;

static volatile sig_atomic_t is_over;
static uint8_t frame[MAX_FRAME];

static void
on_signal(int sig)
{
	(void)sig;
	is_over = 1;
}

static void
die(const char *what)
{
	fprintf(stderr, "tap-peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint16_t
checksum(const uint8_t *data, uint32_t len)
{
	uint32_t sum = 0, i;

	for (i = 0; i < len; i++)
		sum += i & 1 ? data[i] : (uint32_t)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static bool
answer_arp(uint32_t len)
{
	struct ether_arp *arp = (struct ether_arp *)(void *)(frame + ETH_HLEN);

	if (len < ETH_HLEN + sizeof(*arp) || ntohs(arp->arp_op) != ARPOP_REQUEST ||
		memcmp(arp->arp_tpa, &peer.ip, sizeof(peer.ip)) != 0)
		return false;
	arp->arp_op = htons(ARPOP_REPLY);
	memcpy(arp->arp_tha, arp->arp_sha, ETH_ALEN);
	memcpy(arp->arp_tpa, arp->arp_spa, sizeof(arp->arp_tpa));
	memcpy(arp->arp_sha, own_mac, ETH_ALEN);
	memcpy(arp->arp_spa, &peer.ip, sizeof(peer.ip));
	return true;
}

/* ns_udp.py: byte i of the n-th datagram is i + n; the first one is n. */
static bool
is_as_sent(const uint8_t *data, uint32_t len)
{
	uint32_t i;

	for (i = 1; i < len; i++) {
		if (data[i] != (uint8_t)(data[0] + i))
			return false;
	}
	return true;
}

static bool
answer_ip(uint32_t len)
{
	struct iphdr *ip = (struct iphdr *)(void *)(frame + ETH_HLEN);
	uint8_t *payload = frame + ETH_HLEN + sizeof(*ip);
	struct icmphdr *icmp = (struct icmphdr *)(void *)payload;
	struct udphdr *udp = (struct udphdr *)(void *)payload;
	uint32_t n;
	uint16_t port;

	if (len < ETH_HLEN + sizeof(*ip) + sizeof(*udp) || ip->ihl != 5 || ip->daddr != peer.ip ||
		ntohs(ip->tot_len) > len - ETH_HLEN)
		return false;
	n = ntohs(ip->tot_len) - (uint32_t)sizeof(*ip);
	if (ip->protocol == IPPROTO_ICMP && icmp->type == ICMP_ECHO) {
		icmp->type = ICMP_ECHOREPLY;
		icmp->checksum = 0;
		icmp->checksum = checksum(payload, n);
	} else if (ip->protocol == IPPROTO_UDP) {
		if (!is_as_sent(payload + sizeof(*udp), n - (uint32_t)sizeof(*udp)))
			peer.n_broken++;
		port = udp->source;
		udp->source = udp->dest;
		udp->dest = port;
		udp->check = 0; /* none */
	} else {
		return false;
	}
	ip->daddr = ip->saddr; /* swapped with saddr, the sum stays right */
	ip->saddr = peer.ip;
	return true;
}

/* Put the frame in ring @i, in as many slots as -s says. */
static void
send_frame(uint32_t i, uint32_t len)
{
	struct netmap_ring *r = NETMAP_TXRING(peer.nifp, i);
	uint32_t piece = peer.slot_len != 0 ? peer.slot_len : r->nr_buf_size;
	uint32_t head = r->head, at = 0;

	if (nm_ring_space(r) < (len + piece - 1) / piece)
		return; /* the network may lose frames */
	while (at < len) {
		struct netmap_slot *slot = &r->slot[head];
		const uint32_t n = len - at < piece ? len - at : piece;

		memcpy(NETMAP_BUF(r, slot->buf_idx), frame + at, n);
		at += n;
		slot->len = (uint16_t)n;
		slot->flags = at < len ? NS_MOREFRAG : 0;
		head = nm_ring_next(r, head);
	}
	r->head = r->cur = head;
	peer.tx[i]++;
}

static void
handle(uint32_t i, uint32_t len)
{
	struct ether_header *eth = (struct ether_header *)(void *)frame;
	bool has_answer = false;

	peer.rx[i]++;
	if (len > peer.longest)
		peer.longest = len;
	if (len < ETH_HLEN)
		return;
	if (ntohs(eth->ether_type) == ETHERTYPE_ARP)
		has_answer = answer_arp(len);
	else if (ntohs(eth->ether_type) == ETHERTYPE_IP)
		has_answer = answer_ip(len);
	if (!has_answer)
		return;
	memcpy(eth->ether_dhost, eth->ether_shost, ETH_ALEN);
	memcpy(eth->ether_shost, own_mac, ETH_ALEN);
	send_frame(i % peer.n_tx, len);
}

/* Frames of ring @i; the slots of one are put together. Return: false if the ring has no whole frame. */
static bool
take(uint32_t i)
{
	struct netmap_ring *r = NETMAP_RXRING(peer.nifp, i);
	uint32_t head = r->head, len = 0;

	while (head != r->tail) { /* a ring's slots at most */
		const struct netmap_slot slot = r->slot[head];

		if (slot.len <= MAX_FRAME - len) {
			memcpy(frame + len, NETMAP_BUF(r, slot.buf_idx), slot.len);
			len += slot.len;
		}
		head = nm_ring_next(r, head);
		if (!(slot.flags & NS_MOREFRAG)) {
			r->head = r->cur = head;
			handle(i, len);
			return true;
		}
	}
	return false;
}

static void
serve(void)
{
	while (!is_over) { /* until a signal; alarm() sees to one */
		struct pollfd p = {.fd = peer.fd, .events = POLLIN};
		uint32_t i;

		if (poll(&p, 1, 100) < 0 && errno != EINTR)
			die("poll");
		if (p.revents & POLLERR)
			exit(EXIT_GONE);
		for (i = 0; i < peer.n_rx; i++) {
			while (!is_over && take(i)) {
				if (peer.pace_us > 0) {
					usleep(peer.pace_us);
					break;
				}
			}
		}
		ioctl(peer.fd, NIOCTXSYNC, NULL);
	}
}

static void
open_port(const char *name, bool with_nm_open, uint16_t n_rings)
{
	if (with_nm_open) {
		struct nm_desc *d = nm_open(name, NULL, 0, NULL);

		if (d == NULL)
			die(name);
		peer.fd = d->fd;
		peer.nifp = d->nifp;
	} else {
		struct nmport_d *d = nmport_prepare(name);

		if (d == NULL)
			die(name);
		d->reg.nr_tx_rings = d->reg.nr_rx_rings = n_rings;
		if (nmport_open_desc(d) < 0)
			die(name);
		peer.fd = d->fd;
		peer.nifp = d->nifp;
	}
	peer.n_tx = peer.nifp->ni_tx_rings;
	peer.n_rx = peer.nifp->ni_rx_rings;
	if (peer.n_tx > MAX_RINGS || peer.n_rx > MAX_RINGS) {
		fprintf(stderr, "tap-peer: %u rings are too many\n", peer.n_rx);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	const struct sigaction over = {.sa_handler = on_signal};
	bool with_nm_open = false;
	unsigned long n_rings = 0;
	uint32_t i;
	int opt;

	while ((opt = getopt(argc, argv, "op:r:s:")) != -1) {
		switch (opt) {
		case 'o':
			with_nm_open = true;
			break;
		case 'p':
			peer.pace_us = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			n_rings = strtoul(optarg, NULL, 10);
			break;
		case 's':
			peer.slot_len = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		default:
			return 1;
		}
	}
	if (argc - optind != 2 || inet_pton(AF_INET, argv[optind + 1], &peer.ip) != 1) {
		fprintf(stderr, "tap-peer: a port and an IPv4 address are needed\n");
		return 1;
	}
	sigaction(SIGTERM, &over, NULL);
	sigaction(SIGALRM, &over, NULL);
	alarm(LIFE_S);
	open_port(argv[optind], with_nm_open, (uint16_t)n_rings);
	printf("ready\n");
	fflush(stdout);
	serve();
	for (i = 0; i < peer.n_rx; i++)
		printf("rx %u %llu tx %u %llu\n", i, (unsigned long long)peer.rx[i], i,
			i < peer.n_tx ? (unsigned long long)peer.tx[i] : 0);
	printf("longest %u\nbroken %llu\n", peer.longest, (unsigned long long)peer.n_broken);
	return 0;
}
