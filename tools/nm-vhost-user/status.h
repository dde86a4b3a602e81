/* SPDX-License-Identifier: BSD-2-Clause */
/* Status of the NICs, a line of JSON each. nm-vhost-user(1) describes the members. */
#ifndef VH_STATUS_H_
#define VH_STATUS_H_

#include <stdio.h>

#include "nic.h"

void vh_status_print(FILE *out, const struct vh_nic *nic, unsigned int n);

#endif /* VH_STATUS_H_ */
