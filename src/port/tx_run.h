/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments on a tx ring that follow one another and can be sent as one frame (vale/super_tx.h). */
#ifndef UNM_PORT_TX_RUN_H
#define UNM_PORT_TX_RUN_H

#include "port/internal.h"
#include "vale/super_tx.h"

/**
 * unm_tx_run() - join the frames of tx ring @r from @pos on, up to @head, as far as they are one
 * @vnet_len: of the virtio-net header before each; 0: none
 *
 * @x has nothing before. Return: the frames, of one slot each, which unm_super_tx_flush() writes. Fewer
 * than 2: there is nothing to join, and @x has nothing.
 */
uint32_t unm_tx_run(struct unm_super_tx *x, const struct unm_bring *r, uint32_t pos, uint32_t head,
	uint32_t vnet_len);

#endif
