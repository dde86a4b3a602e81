/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stable hash of the flow that a frame belongs to: the same flow always gets the same ring of a
 * receiver, so its order is kept.
 *
 * IPv4 and IPv6 addresses and, in unfragmented TCP, UDP and SCTP, the ports; MAC addresses
 * otherwise. Not symmetric: the two directions of a connection may land on different rings.
 */
#ifndef UNM_VALE_FLOW_HASH_H
#define UNM_VALE_FLOW_HASH_H

#include <stdint.h>

/**
 * unm_flow_hash() - 64 well-mixed bits of the flow of the Ethernet frame at @eth
 * @len: contiguous bytes there, at least 14
 */
uint64_t unm_flow_hash(const uint8_t *eth, uint32_t len);

#endif
