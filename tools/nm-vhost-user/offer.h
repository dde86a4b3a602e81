/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of --features: what a NIC shall not offer, although it could. */
#ifndef VH_OFFER_H_
#define VH_OFFER_H_

#include <stdint.h>

#include "nmt_err.h"

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
