#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""One device server with ports of all other kinds than VALE behind it: a TAP, a network interface by
AF_XDP (one end of a veth pair, the kernel has the other), and a pipe, whose other end is bridged
to a switch.

A guest has a card on each, and a namespace behind each talks to it: TCP both ways, large and small
frames. Over the TAP segments pass whole; the others have no virtio-net headers, so the guest is
offered no offloads there.
"""
import os

import guest
import host
import vmtest as t

IPERF_S = 1


def wire(site):
    """A veth pair: (namespace where we take the end w, namespace whose kernel has the end t0)."""
    ours, theirs = site.bare_namespace(), site.bare_namespace()
    site.ip("-n", ours, "link", "add", "w", "type", "veth", "peer", "name", "t0", "netns", theirs)
    site.ip("-n", ours, "link", "set", "w", "up")
    site.ip("-n", theirs, "link", "set", "t0", "up")
    return ours, theirs


def offloads(vm, dev):
    """Feature bits of virtio-net that the driver has taken, of those for checksums and segments."""
    bits = vm.run("cat /sys/class/net/%s/device/features" % dev).strip()
    return {i for i in (0, 1, 7, 8, 10, 11, 12, 14) if bits[i] == "1"}


def every_kind(boot):
    with host.Site() as site:
        behind_tap = site.bare_namespace()
        ours, behind_wire = wire(site)
        behind_pipe = site.namespace("10.9.2.100/24")
        server = site.server("tap:t0%" + behind_tap, "netmap:w%" + ours, "netmap:vmp{1")
        bridge = [os.environ["NM_BRIDGE"], "-i", "netmap:vmp}1", "-i", "vale0:b"]
        site.program("bridge", bridge)
        site.ip("-n", behind_tap, "link", "set", "t0", "up")
        site.ip("-n", behind_tap, "addr", "add", "10.9.0.100/24", "dev", "t0")
        site.ip("-n", behind_wire, "addr", "add", "10.9.1.100/24", "dev", "t0")
        nics = [server.nic(t.mac(i), port) for i, port in enumerate(server.ports)]
        with guest.Qemu(boot, "vm", nics, site.dir) as vm:
            vm.boot()
            for i in range(3):
                vm.address("10.9.%d.1/24" % i, dev="eth%d" % i)
            t.serve(vm)
            for i, netns in enumerate((behind_tap, behind_wire, behind_pipe)):
                t.ping(vm, "10.9.%d.100" % i)
                for size in 0, 1472, 8000:
                    vm.run("ping -q -c 2 -i 0.1 -s %d 10.9.%d.100" % (size, i))
                run = t.in_netns(site, netns)
                t.iperf(run, "10.9.%d.1" % i, seconds=IPERF_S)
                t.iperf(run, "10.9.%d.1" % i, "-R", seconds=IPERF_S)
            t.check(offloads(vm, "eth0") >= {0, 1, 7, 11}, "over a TAP: %s" % offloads(vm, "eth0"))
            for dev in "eth1", "eth2":
                t.check(not offloads(vm, dev), "%s: %s" % (dev, offloads(vm, dev)))
        t.check(server.program.proc.poll() is None, "the server has ended")


t.main(every_kind)
