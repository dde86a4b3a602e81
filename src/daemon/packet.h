/* SPDX-License-Identifier: BSD-2-Clause */
/* AF_PACKET: for interfaces without AF_XDP, and for what AF_XDP can't send. */
#ifndef UNM_DAEMON_PACKET_H
#define UNM_DAEMON_PACKET_H

#include <stdbool.h>
#include <stdint.h>

/**
 * unm_packet_open() - a socket that sends and receives the frames of interface @ifindex, of the
 * current namespace
 *
 * Return: descriptor, or -errno.
 */
int unm_packet_open(uint32_t ifindex);

/**
 * unm_packet_open_sender() - a socket that sends frames with virtio-net headers of 10 bytes on
 * interface @ifindex, of the current namespace: straight to its driver, as AF_XDP does, past queueing
 * discipline and filters. Super-frames, too, as long as the interface takes them uncut
 *
 * It receives nothing, wherever it may be bound later; who holds it can send on the other interfaces of
 * the namespace as well. Return: descriptor, or -errno.
 */
int unm_packet_open_sender(uint32_t ifindex);

/**
 * unm_packet_guard() - keep received frames from the kernel's stack, as the other modes do
 * @map_fd: written: the table for unm_packet_guard_set()
 *
 * Frames pass at first, and when the last copy of the descriptor is closed. Then the program ends as
 * well, but for kernels before 6.6, where it stays without effect.
 * Return: descriptor that holds the program, or -errno: this kernel has no way for it.
 */
int unm_packet_guard(uint32_t ifindex, int *map_fd);

/** unm_packet_guard_set() - drop what the interface receives, or let it pass. Return: 0 or -errno. */
int unm_packet_guard_set(int held_fd, int map_fd, bool drops);

/**
 * unm_packet_guard_end() - take the program away, whoever else holds it; the caller closes @held_fd
 * @packet_fd: a socket of the interface's network namespace
 */
void unm_packet_guard_end(int packet_fd, uint32_t ifindex, int held_fd);

#endif
