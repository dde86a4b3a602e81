#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Our programs on other kernels than the one that runs the tests, as guests see them.

The stock kernel of this Debian release, and the newest of its backports, whose virtio-net has a
zero-copy mode of AF_XDP: the only driver with one that can be had here.
"""
import json
import os
import re

import guest
import host
import images
import packages
import vmtest as t

PROGRAMS = os.environ["GUEST_PROGRAMS"].split(":")
MODULES = ("veth", "tun", "sch_ingress", "cls_bpf")
ZERO_COPY = (6, 13)  # first kernel whose virtio-net has it both ways
PAGES = "iommu_platform=on,disable-legacy=on"  # it takes a device that says what it reaches
MAIN, LEFT, RIGHT = "10.7.0.3", "10.7.0.1", "10.7.0.2"


class Machine(guest.Qemu):
    """A guest with our programs, where namespaces are kept by processes."""

    def boot(self, *args):
        super().boot(*args)
        self.run("mkdir -p /run /dev/shm && mount -t tmpfs shm /dev/shm")
        self.run("(netmapd --foreground >/tmp/netmapd.log 2>&1 &)")
        self.until("nmctl show >/dev/null 2>&1")
        return self

    def version(self):
        return tuple(map(int, re.match(r"(\d+)\.(\d+)", self.run("uname -r")).groups()))

    def until(self, command, seconds=40):
        host.wait_until(
            lambda: self.run(command, timeout=60, check=False)[0] == 0,
            lambda: "%s: %s\n%s"
            % (command, self.run(command, check=False)[1], self.run("tail -n 20 /tmp/*.log")),
            seconds,
        )

    def namespace(self):
        """Return: the process that keeps it."""
        return int(self.run("(unshare -n sleep 100000 >/dev/null 2>&1 & echo $!)"))

    def give(self, dev, pid, address):
        """An interface to a namespace."""
        if pid:
            self.run("ip link set %s netns %d" % (dev, pid))
        self.inside(pid, "ip addr add %s/24 dev %s && ip link set %s up" % (address, dev, dev))

    def inside(self, pid, command, **kwargs):
        enter = "nsenter -t %d -n " % pid if pid else ""
        return self.run("%ssh -c '%s'" % (enter, command), **kwargs)

    def begin_program(self, name, ready, command):
        """Return: its process id."""
        pid = int(self.run("(%s >/tmp/%s.log 2>&1 & echo $!)" % (command, name)))
        self.until("grep -q '%s' /tmp/%s.log" % (ready, name))
        return pid

    def pings(self, pid, address):
        enter = "nsenter -t %d -n " % pid if pid else ""
        self.until("%sping -q -c 2 -W 2 %s" % (enter, address))

    def streams(self, server, client, address):
        """TCP from one namespace to another one, at whatever rate an emulated machine has."""
        self.inside(server, "iperf3 -s -1 -D")
        out = self.inside(client, "iperf3 -J -t 3 -c %s" % address, timeout=60)
        t.check(
            json.loads(out)["end"]["sum_received"]["bytes"] > 100000, "no stream: " + out[-500:]
        )

    def port(self, name):
        ports = json.loads(self.run("nmctl -j show ports", timeout=60))["ports"]
        return next(p for p in ports if p["name"] == name)

    def interface(self, name):
        return self.port(name)["interface"]

    def kill(self, pid=None):
        if pid is None:
            super().kill()
        else:
            self.run("kill -9 %d" % pid)


def bridged(g, left, right, one, two):
    """
    nm-bridge between interfaces @one and @two, behind which are the namespaces @left and @right.
    Return: what there is to know of the interfaces meanwhile.
    """
    bridge = g.begin_program(
        "bridge", "[Rr]eady\\|zero", "nm-bridge -v -w 0 -i netmap:%s -i netmap:%s" % (one, two)
    )
    g.pings(left, RIGHT)
    g.streams(right, left, RIGHT)
    status, _ = g.inside(left, "ping -q -c 2 -W 1 %s" % MAIN, check=False)
    t.check(status != 0, "the stack has what %s receives" % one)
    found = g.interface(one), g.interface(two)
    g.kill(bridge)
    g.pings(left, MAIN)  # the interface is as before
    return found


def host_rings(g, left, one):
    bridge = g.begin_program(
        "host", "[Rr]eady\\|zero", "nm-bridge -w 0 -i netmap:%s -i netmap:%s^" % (one, one)
    )
    g.pings(left, MAIN)
    g.streams(0, left, MAIN)
    g.kill(bridge)


def ports_without_interfaces(g):
    """Pipes, switches, isolated clients."""
    rx = g.begin_program("rx", "Ready", "pkt-gen -i netmap:p{1 -f rx -n 200000 -w 0")
    g.run("pkt-gen -i netmap:p}1 -f tx -n 200000 -w 0", timeout=60)
    g.until("! kill -0 %d" % rx)
    g.run("grep -q 'Received 200000 packets' /tmp/rx.log")
    g.run("mkdir -p /run/box && nmctl isolate create box socket=/run/box/s allow=vale1:*")
    rx = g.begin_program("isolated", "Ready", "pkt-gen -i vale1:r -f rx -n 1000 -w 0")
    g.run("UNETMAP_SOCKET=/run/box/s pkt-gen -i vale1:t -f tx -n 2000 -R 1000 -w 0", timeout=60)
    g.until("! kill -0 %d" % rx)
    g.run("grep -q 'Received 1000 packets' /tmp/isolated.log")


def taps(g, left, right):
    for name, pid, address in ("t1", left, "10.8.0.1"), ("t2", right, "10.8.0.2"):
        g.run("nmctl attach vale0 tap:%s netns=pid:%d" % (name, pid))
        g.inside(pid, "ip addr add %s/24 dev %s && ip link set %s up" % (address, name, name))
    g.pings(left, "10.8.0.2")
    g.streams(right, left, "10.8.0.2")


def stock_kernel(boot):
    with host.Site() as site, Machine(
        images.Images(boot.cache, programs=PROGRAMS, modules=MODULES),
        "stock",
        [],
        site.dir,
        memory_mib=768,
        cpus=2,
    ) as g:
        g.boot()
        left, right = g.namespace(), g.namespace()
        for dev, mine, pid, address in ("l0", "va", left, LEFT), ("r0", "vb", right, RIGHT):
            # busybox names the other end by itself
            g.run("ip link add %s type veth peer name x && ip link set veth0 name %s" % (mine, dev))
            g.give(dev, pid, address)
            g.run("ip link set %s up" % mine)
        g.run("ip addr add %s/24 dev va" % MAIN)
        is_old = g.version() < (6, 4)
        for nic in bridged(g, left, right, "va", "vb"):
            t.check(nic["mode"] == ("packet" if is_old else "xdp"), nic)
            if is_old:
                t.check("rings of a bound socket" in nic["slower_because"], nic)
            t.check("reach the stack" not in nic["slower_because"], nic)
        host_rings(g, left, "va")
        ports_without_interfaces(g)
        taps(g, left, right)
        t.check("WARN" not in g.run("nmctl doctor", check=False)[1], "doctor")


def zero_copy(boot):
    newest = packages.backports(boot.cache, "trixie")
    with host.Site() as site, Machine(
        images.Images(boot.cache, newest, PROGRAMS, MODULES),
        "zerocopy",
        [
            guest.Nic(mac=t.mac(i + 1), backend="hubport,hubid=%d" % (i // 2), options=PAGES)
            for i in range(4)
        ],
        site.dir,
        memory_mib=1024,
        cpus=2,
        qemu=guest.newer_qemu(boot.cache, 8),
    ) as g:
        g.boot()
        if g.version() < ZERO_COPY:
            raise packages.Missing("the newest kernel to be had is %d.%d" % g.version())
        left, right = g.namespace(), g.namespace()
        g.give("eth0", left, LEFT)
        g.give("eth3", right, RIGHT)
        g.run("ip link set eth2 up")
        g.give("eth1", 0, MAIN)
        g.run("ip link set eth1 promisc on && ip link set eth2 promisc on")
        for nic in bridged(g, left, right, "eth1", "eth2"):
            t.check(nic["mode"] == "xdp-zerocopy" and nic["slower_because"] == "", nic)
            t.check(nic["copied"] == 0, nic)
        host_rings(g, left, "eth1")
        g.run("nmctl attach vale0 eth1 host && nmctl attach vale0 eth2", timeout=60)
        t.check(g.interface("eth1")["mode"] == "xdp-zerocopy", g.interface("eth1"))
        g.pings(left, RIGHT)
        g.pings(left, MAIN)
        g.streams(right, left, RIGHT)


t.main(stock_kernel, zero_copy)
