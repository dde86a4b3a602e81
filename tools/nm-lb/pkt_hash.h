/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The flow of a packet as one number, the same for both directions of the flow.
 *
 * What is hashed is, from the best to the least that the packet offers:
 *
 *	innermost IP header's addresses, protocol, ports    whole TCP, UDP(-Lite), SCTP, DCCP
 *	innermost IP header's addresses and protocol        everything else that is IP
 *	nothing: LB_PKT_OTHER, hash 0                       ARP, LLDP, too short or malformed
 *
 * Only the first fragment of a datagram has the ports, and any fragment may come first. So every
 * fragment, the first one too, is hashed without ports: a datagram's fragments stay together, on
 * the queue of "this pair of hosts", which need not be the one of the flow's unfragmented packets.
 * Remembering datagram identifiers would mend that, at the price of state that an attacker fills.
 *
 * Headers that are looked through: up to LB_MAX_VLAN_TAGS of 802.1Q and 802.1ad; IPv4 and IPv6 in
 * either; GRE version 0 with IPv4, IPv6 or Ethernet in it; up to LB_MAX_HEADERS in all. A tunnel
 * whose inside cannot be read is hashed by the outer addresses.
 */
#ifndef NM_LB_PKT_HASH_H_
#define NM_LB_PKT_HASH_H_

#include <stdint.h>

#define LB_MAX_VLAN_TAGS 4
#define LB_MAX_HEADERS	 12 /* IP, extension, GRE and inner Ethernet headers on the way */

enum lb_pkt_kind {
	LB_PKT_OTHER, /* no IP header found; hash is 0 */
	LB_PKT_IP,
};

/**
 * lb_pkt_hash() - hash the flow of an Ethernet frame
 * @pkt:  the frame from its destination address on; any alignment; read only within @len bytes
 * @len:  bytes that may be read: the first slot of the packet is enough
 * @hash: 32 bits, all of them usable; the two directions of a flow give the same. Always written.
 *
 * The same frame gives the same hash in every run and on every machine. Thread: any; does not
 * block. Return: what was found.
 */
enum lb_pkt_kind lb_pkt_hash(const void *pkt, uint32_t len, uint32_t *hash);

#endif /* NM_LB_PKT_HASH_H_ */
