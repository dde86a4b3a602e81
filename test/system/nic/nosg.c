/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded into netmapd: a kernel before frames of several buffers (Linux 6.6), which refuses the flag that asks for them. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <string.h>
#include <sys/socket.h>

#define SG (1 << 4) /* XDP_USE_SG */

__attribute__((visibility("default"))) int
bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sockaddr_xdp xdp;
	int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");

	if (addr->sa_family == AF_XDP && len == sizeof(xdp)) {
		memcpy(&xdp, addr, sizeof(xdp));
		if (xdp.sxdp_flags & SG) {
			errno = EINVAL;
			return -1;
		}
	}
	return real(fd, addr, len);
}
