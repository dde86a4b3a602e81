#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two QEMU guests and a namespace on one switch talk to each other: small and large frames, TCP,
UDP, right checksums, with Ethernet's MTU and a larger one.

One guest connects to our server, the other one's server connects to QEMU. Checksums are looked at
behind a switch whose bridge takes no offloads, so that every segment was cut and summed by us; the
guests have left both undone.
"""
import os

import host
import vmtest as t


JUMBO = 9000


def mtu(vm, value):
    vm.run("ip link set eth0 mtu %d" % value)


def jumbo(a, b):
    """The guests were told an MTU above Ethernet's: one frame carries what it says, and TCP passes."""
    for vm in a, b:
        mtu(vm, JUMBO)
    t.ping(a, t.ip(2))
    before = received(b)
    a.run("ping -q -c 5 -i 0.1 -s %d %s" % (JUMBO - 28, t.ip(2)))
    n = received(b) - before
    t.check(5 <= n < 20, "5 pings came in %d frames" % n)
    for options in ("-n", "8M"), ("-n", "8M", "-R"):
        t.iperf(a.run, t.ip(2), *options)


def received(vm):
    return int(vm.run("cat /sys/class/net/eth0/statistics/rx_packets"))


def everybody_talks(boot):
    told = {"options": ["--mtu", str(JUMBO)], "nic": {"options": "host_mtu=%d" % JUMBO}}
    with t.guests(boot, dict(told), dict(told, is_client=True)) as (site, netns, (a, b), _):
        for vm in a, b:
            said = vm.run("cat /sys/class/net/eth0/mtu").strip()
            t.check(said == str(JUMBO), "%s: the MTU is %s" % (vm.name, said))
            mtu(vm, 1500)  # the namespace's
        run = t.in_netns(site, netns)
        for vm, target in (a, t.ip(2)), (b, t.NS_IP), (b, t.ip(1)):
            t.ping(vm, target)
        for size in (
            0,
            1,
            18,
            1472,
            1473,
            4000,
            20000,
        ):  # below an Ethernet frame's least, one frame, several
            site.run(
                netns, "ping", "-q", "-c", "3", "-i", "0.05", "-W", "5", "-s", str(size), t.ip(1)
            )
        a.run("ping -q -c 2 -s 20000 " + t.ip(2))
        t.serve(b)
        t.serve(a)
        t.iperf(a.run, t.ip(2))
        t.iperf(a.run, t.ip(2), "-R")
        t.iperf(run, t.ip(2))
        t.iperf(run, t.ip(1), "-R")
        for length in 16, 1400, 8000:
            _, lost = t.iperf(a.run, t.ip(2), "-u", "-b", "2M", "-l", str(length))
            t.check(lost < 0.5, "%g of datagrams with %d bytes were lost" % (lost, length))
        transfers = [
            t.Transfer(site, netns, vm, 8, pause_us=1, port=5000 + i) for i, vm in enumerate((a, b))
        ]
        for transfer in transfers:
            transfer.finish()
        jumbo(a, b)
        offload = {p["name"]: p["dropped"]["offload"] for p in site.show("ports")}
        t.check(not any(offload.values()), "frames with headers that made no sense: %s" % offload)


def checksums_are_right(boot):
    with t.guests(boot, {}) as (site, _, (a,), _):
        far = site.namespace("10.9.0.101/24", switch="vale1")
        # Plain frames only between the switches: the bridge has no virtio-net headers.
        bridge = site.program("bridge", [os.environ["NM_BRIDGE"], "-i", "vale0:b", "-i", "vale1:b"])
        host.wait_until(
            lambda: sum(p["name"].endswith(":b") for p in site.show("ports")) == 2, bridge.output
        )
        t.ping(a, "10.9.0.101")
        server = site.program("iperf3", ["iperf3", "-s", "--forceflush"], far)
        server.wait_for("listening")
        capture = t.Capture(site, far)
        t.iperf(a.run, "10.9.0.101", "-n", "4M")
        t.iperf(a.run, "10.9.0.101", "-u", "-b", "1M", "-l", "16")
        t.iperf(a.run, "10.9.0.101", "-u", "-b", "1M", "-l", "1400")
        n, n_bad = capture.finish()
        t.check(n > 1000, "only %d packets were captured" % n)
        t.check(n_bad == 0, "%d of %d packets have a bad checksum" % (n_bad, n))


t.main(everybody_talks, checksums_are_right)
