/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checksums that a sender left to an offload that nobody has done.
 *
 * The kernel leaves the checksum of TCP and UDP to the interface. A virtual one (veth, a guest's)
 * has nothing that would do it, and its peer within the kernel knows that. Whoever takes the frame
 * out of the kernel is not told: AF_XDP hands over bytes. What they show is the sum of the pseudo
 * header, not inverted, in the checksum's field, as every offload wants it (virtio 1.2, 5.1.6.2).
 *
 * In one of 2^16 frames that sum is by accident the right checksum. Completing it gives the same:
 * c = ~(pseudo + rest), and with c in the field the sum over all is (c + rest) = ~pseudo + ... = c
 * again when c = pseudo. So frames that are finished are never changed for the worse.
 *
 * Left as they are: fragments, what is inside of tunnels, SCTP.
 */
#ifndef UNM_VALE_COMPLETE_FP_H
#define UNM_VALE_COMPLETE_FP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/**
 * unm_csum_complete() - if the frame's TCP or UDP checksum is still to be done, do it in place
 * @iov: the frame, @n >= 1 pieces; its headers are in the first one. Each is read and may change
 *	 meanwhile, which costs a wrong checksum
 *
 * Return: true if the frame was completed.
 */
bool unm_csum_complete(const struct iovec *iov, uint32_t n);

#endif
