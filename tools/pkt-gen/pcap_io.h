/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What pkt-gen uses of libpcap: packets to and from an interface, and the first packet of a capture
 * file. Built without libpcap, every function fails with -ENOTSUP and says so.
 */
#ifndef PG_PCAP_IO_H_
#define PG_PCAP_IO_H_

#include <stdint.h>

#include "nmt_err.h"

struct pg_pcap;

/** pg_pcap_open() - open an interface for sending and receiving; ended with pg_pcap_close() */
int pg_pcap_open(const char *ifname, struct pg_pcap **out, struct nmt_err *err);

/** pg_pcap_close() - NULL is accepted */
void pg_pcap_close(struct pg_pcap *p);

/** pg_pcap_send() - send one frame. Return: 0, -ENOBUFS (try again), or another error for good */
int pg_pcap_send(struct pg_pcap *p, const uint8_t *frame, uint32_t len);

/* Receives one frame; runs in the thread that called pg_pcap_receive(). */
typedef void pg_pcap_frame_cb(void *arg, const uint8_t *frame, uint32_t len);

/**
 * pg_pcap_receive() - wait up to @timeout_ms, then hand over at most @max frames
 *
 * Thread: the one that uses @p. Return: number of frames, 0 on timeout or signal, or negative
 * errno.
 */
int pg_pcap_receive(
	struct pg_pcap *p, int timeout_ms, uint32_t max, pg_pcap_frame_cb *cb, void *arg);

/**
 * pg_pcap_first_frame() - read the first packet of a capture file
 * @buf: receives at most @size bytes
 * @len: length of the packet in the file, at most @size
 *
 * Return: 0, -EIO the file cannot be read or is empty, -EMSGSIZE the packet is longer than @size,
 * -EINVAL no Ethernet capture.
 */
int pg_pcap_first_frame(
	const char *file, uint8_t *buf, uint32_t size, uint32_t *len, struct nmt_err *err);

#endif /* PG_PCAP_IO_H_ */
