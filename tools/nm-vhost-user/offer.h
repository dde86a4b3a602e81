/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of --features: what a NIC shall not offer, although it could. */
#ifndef VH_OFFER_H_
#define VH_OFFER_H_

#include <stdint.h>

#include "nmt_err.h"

#define VH_F_CTRL_VQ  (1ull << 17)
#define VH_F_PACKED   (1ull << 34)
#define VH_F_IN_ORDER (1ull << 35)

/* Checksums and segmentation, both directions. */
#define VH_F_OFFLOAD                                                                               \
	(1ull << 0 | 1ull << 1 | 1ull << 2 | 1ull << 7 | 1ull << 8 | 1ull << 9 | 1ull << 10 |      \
		1ull << 11 | 1ull << 12 | 1ull << 13 | 1ull << 14 | 1ull << 54 | 1ull << 55 |      \
		1ull << 56)

struct vh_features {
	uint64_t virtio_off;   /* virtio feature bits to leave out */
	uint64_t protocol_off; /* bits of the protocol's features, likewise */
};

/**
 * vh_features_parse() - read "WORD,no-WORD,..."; later words win
 * @f: what was said before; changed on success only
 *
 * Return: 0, -EINVAL an unknown word, which @err names, with those that there are.
 */
int vh_features_parse(const char *text, struct vh_features *f, struct nmt_err *err);

#endif /* VH_OFFER_H_ */
