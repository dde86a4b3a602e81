/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What vale-ctl prints on standard output: text as scripts know it (spec section 24.4: values from
 * column 12 on, and "rx_rings" without its colon), or one JSON object.
 */
#ifndef VALE_CTL_VC_PRINT_H_
#define VALE_CTL_VC_PRINT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vc_requests.h"

/** vc_print_list() - a line for each port, or {"ports":[{"name":...,...},...]} */
void vc_print_list(const struct vc_list_entry *entries, size_t n, bool json);

/** vc_print_indices() - bridge_idx and port_idx of one port */
void vc_print_indices(const struct vc_list_entry *e, bool json);

/** vc_print_info() - all of @info; memsize only if it is not 0 */
void vc_print_info(const struct vc_port_info *info, bool json);

/** vc_print_port_index() - what attaching and detaching return */
void vc_print_port_index(uint32_t port_index, bool json);

/** vc_print_finish() - Return: 0, -EIO if anything could not be written */
int vc_print_finish(void);

#endif /* VALE_CTL_VC_PRINT_H_ */
