/* SPDX-License-Identifier: BSD-2-Clause */
/* The public ABI header, with what it expects to have been included before it. */
#ifndef UNM_CLIENT_NETMAP_ABI_H
#define UNM_CLIENT_NETMAP_ABI_H

#include <net/if.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>

#include <net/netmap.h>

#endif
