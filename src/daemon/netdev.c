/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking the kernel about interfaces, by ioctl(2). See netdev.h. */
/* Syscalls: socket ioctl */
#include "daemon/netdev.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int
ask(int fd, unsigned long request, const char *name, struct ifreq *ifr)
{
	memset(ifr, 0, sizeof(*ifr));
	memcpy(ifr->ifr_name, name, strlen(name) + 1);
	return ioctl(fd, request, ifr) < 0 ? -errno : 0;
}

static int
ask_ethtool(int fd, const char *name, void *cmd)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, name, strlen(name) + 1);
	ifr.ifr_data = cmd;
	return ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

/* Queues and descriptors. A driver that does not answer leaves zeroes. */
static void
ask_rings(int fd, struct unm_netdev *d)
{
	struct ethtool_channels ch = {.cmd = ETHTOOL_GCHANNELS};
	struct ethtool_ringparam rp = {.cmd = ETHTOOL_GRINGPARAM};

	if (ask_ethtool(fd, d->name, &ch) == 0) {
		d->n_tx = ch.tx_count + ch.combined_count;
		d->n_rx = ch.rx_count + ch.combined_count;
	}
	if (ask_ethtool(fd, d->name, &rp) == 0) {
		d->tx_slots = rp.tx_pending;
		d->rx_slots = rp.rx_pending;
	}
}

/* Of drivers that have an XDP hook: those that pass packets on as a kernel's stack has made them. */
static void
ask_driver(int fd, struct unm_netdev *d)
{
	static const char *const drivers[] = {"veth", "tun", "virtio_net"};
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	size_t i;

	if (ask_ethtool(fd, d->name, &info) < 0)
		return;
	for (i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strncmp(info.driver, drivers[i], sizeof(info.driver)) == 0)
			d->is_virtual = true;
	}
	d->is_veth = strncmp(info.driver, drivers[0], sizeof(info.driver)) == 0;
}

int
unm_netdev_get(const char *name, struct unm_netdev *out)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr;
	int ret;

	if (fd < 0)
		return -errno;
	memset(out, 0, sizeof(*out));
	memcpy(out->name, name, strlen(name) + 1);
	ret = ask(fd, SIOCGIFINDEX, name, &ifr);
	if (ret == 0) {
		out->ifindex = (uint32_t)ifr.ifr_ifindex;
		ret = ask(fd, SIOCGIFFLAGS, name, &ifr);
	}
	if (ret == 0) {
		out->is_up = ifr.ifr_flags & IFF_UP;
		out->has_carrier = ifr.ifr_flags & IFF_RUNNING;
		ret = ask(fd, SIOCGIFMTU, name, &ifr);
	}
	if (ret == 0) {
		out->mtu = (uint32_t)ifr.ifr_mtu;
		ret = ask(fd, SIOCGIFHWADDR, name, &ifr);
	}
	if (ret == 0) {
		memcpy(out->mac, ifr.ifr_hwaddr.sa_data, sizeof(out->mac));
		out->is_ethernet = ifr.ifr_hwaddr.sa_family == ARPHRD_ETHER ||
				   ifr.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
		ask_driver(fd, out);
		ask_rings(fd, out);
	}
	close(fd);
	return ret;
}

uint32_t
unm_netdev_queues(int fd, const char *name)
{
	struct ethtool_channels ch = {.cmd = ETHTOOL_GCHANNELS};

	return ask_ethtool(fd, name, &ch) == 0 ? ch.rx_count + ch.combined_count : 0;
}

int
unm_netdev_name(uint32_t ifindex, char *out)
{
	return if_indextoname(ifindex, out) != NULL ? 0 : -ENODEV;
}
