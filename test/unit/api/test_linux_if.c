/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_linux_if.c - proves that net/netmap.h can follow the kernel's linux/if.h, which does not mix
 * with libc's net/if.h when it comes first. Built by headers.sh.
 */
#include <linux/if.h>
#include <net/netmap.h>

extern int abi_linux_if(struct ifreq *ifr, struct nmreq *req);

int
abi_linux_if(struct ifreq *ifr, struct nmreq *req)
{
	return ifr->ifr_name[0] == req->nr_name[0] && sizeof(req->nr_name) == IFNAMSIZ;
}
