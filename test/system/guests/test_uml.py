#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""User-Mode Linux on the switch: a kernel at native speed, whose vhost-user front end differs from
QEMU's in many ways.

It serves no control queue of its own, asks for rings rather than pairs, signals by sockets, and
takes packed rings. It is told of the link, where QEMU makes up its own.
"""
import guest
import vmtest as t

N_BOOTS = 4
ADDRESS = "cat /sys/class/net/eth0/address"


def two_talk(boot):
    with t.guests(boot, {}, {}, kind=guest.Uml) as (site, netns, (a, b), (sa, _)):
        for vm, target in (a, t.ip(2)), (b, t.NS_IP):
            t.ping(vm, target)
        t.serve(b)
        t.iperf(a.run, t.ip(2))
        t.iperf(a.run, t.ip(2), "-R")
        t.iperf(t.in_netns(site, netns), t.ip(2), "-P", "4")
        _, lost = t.iperf(
            a.run, t.ip(2), "-u", "-b", "500K", "-l", "64"
        )  # it can receive some 2000 a second
        t.check(lost < 0.5, "%g of the datagrams were lost" % lost)
        t.Transfer(site, netns, a, 3, pause_us=1).finish()
        for up in False, True:
            site.nmctl("link", "vale0:vm1", "up" if up else "down")
            t.carrier(a, up)
        t.ping(a, t.ip(2))
        a.run("cd /sys/bus/virtio/drivers/virtio_net && echo virtio0 >unbind && echo virtio0 >bind")
        a.address(t.ip(1) + "/24")
        t.ping(a, t.ip(2))
        stream = t.Transfer(site, netns, b, 12, pause_us=300000, port=5001)
        offered = a.run(ADDRESS)
        for _ in range(
            N_BOOTS
        ):  # UML does not connect again: so it is the guest that comes and goes
            a.run("ip link set eth0 address 02:00:00:00:77:01")  # until it reboots
            t.check(a.run(ADDRESS) == "02:00:00:00:77:01\n", "the address can't be changed")
            t.ping(a, t.ip(2))
            a.kill()
            a.boot()
            t.check(a.run(ADDRESS) == offered, "not %s, but %s" % (offered, a.run(ADDRESS)))
            a.address(t.ip(1) + "/24")
            t.ping(a, t.ip(2))
        stream.finish()
        t.check(
            sa.program.proc.poll() is None, "the device server has ended: " + sa.program.output()
        )


def queues_not_taken(boot):
    """A card of several pairs that does not offer them: the driver looks for the control queue behind
    the first one, and waits for it when its address is set."""
    spec = {"options": ["--queues", "2", "--features", "no-mq"]}
    with t.guests(boot, spec, kind=guest.Uml) as (_, _, (a,), _):
        a.run("ip link set eth0 address 02:00:00:00:77:02")
        t.ping(a, t.NS_IP)


t.main(two_talk, queues_not_taken)
