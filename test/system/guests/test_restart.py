#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each party is killed or restarted while guests talk: the TCP stream of another one goes on, and
its bytes come right.

Device server, netmapd, a QEMU that is killed, the link taken down, the carrier with it: each under
a stream. Guests reboot in a loop while they are being flooded.
"""
import signal
import time

import host
import vmtest as t

N_REBOOTS = 2


def restarts_under_traffic(boot):
    with t.guests(boot, {}, {"is_client": True}) as (site, netns, (a, b), (sa, sb)):
        t.ping(a, t.NS_IP)
        t.ping(b, t.NS_IP)
        streams = [t.Transfer(site, netns, vm, 8, 300000, 5000 + i) for i, vm in enumerate((a, b))]
        sa.restart(signal.SIGKILL)  # QEMU connects again
        sb.restart(signal.SIGTERM)  # our server connects again
        site.restart_daemon(signal.SIGKILL)
        time.sleep(0.5)
        sa.restart(signal.SIGKILL)
        for stream in streams:
            stream.finish(90)
        t.ping(a, t.ip(2))


def link_and_unplugging(boot):
    with t.guests(boot, {}, {}) as (site, netns, (a, b), _):
        t.ping(a, t.ip(2))
        site.nmctl("link", "vale0:vm2", "down")
        status, text = a.run("ping -c 2 -W 1 " + t.ip(2), check=False)
        t.check(status != 0, "a frame came over a link that is down: " + text)
        t.check(
            site.port("vale0:vm1")["dropped"]["link_down"] > 0,
            "nothing was counted as lost to the link",
        )
        site.nmctl("link", "vale0:vm2", "up")
        t.ping(a, t.ip(2))
        stream = t.Transfer(site, netns, a, 8, 300000)
        b.kill()  # while the other one sends
        b.boot()
        b.address(t.ip(2) + "/24")
        t.ping(b, t.NS_IP)
        stream.finish(90)
        t.ping(a, t.ip(2))


def carrier_follows_the_link(boot):
    """--hang-up: QEMU has no other way to learn of the link than the connection."""
    specs = {"options": ["--hang-up"]}, {"options": ["--hang-up"], "is_client": True}
    with t.guests(boot, *specs) as (site, netns, (a, b), _):

        def link(up, *seen_by):
            for port in "vale0:vm1", "vale0:vm2":
                site.nmctl("link", port, "up" if up else "down")
            for vm in seen_by:
                t.carrier(vm, up)

        t.ping(a, t.ip(2))
        link(False, a, b)
        link(True, a, b)
        t.ping(a, t.ip(2))
        t.ping(a, t.NS_IP)
        stream = t.Transfer(site, netns, a, 6, 300000)
        connections = "ss", "-Htn", "state", "established"
        host.wait_until(lambda: site.run(netns, *connections).strip(), "the stream begins")
        link(False, b)
        time.sleep(2.5)  # QEMU has tried to connect by now, twice
        t.carrier(b, False)
        link(True, b)
        stream.finish(90)
        link(False, a, b)
        b.kill()
        b.boot()  # a QEMU that begins is served, until its guest has begun as well
        b.address(t.ip(2) + "/24")
        t.carrier(b, False)
        link(True, a, b)
        t.ping(a, t.ip(2))
        t.ping(b, t.NS_IP)


def reboots_in_a_flood(boot):
    with t.guests(boot, {}) as (site, netns, (a,), _):
        t.ping(a, t.NS_IP)
        site.run(netns, "ip", "neigh", "replace", t.ip(1), "lladdr", t.mac(1), "dev", "t0")
        flood = site.program(
            "flood", ["ping", "-q", "-f", "-i", "0.002", "-s", "1000", t.ip(1)], netns
        )
        for _ in range(N_REBOOTS):
            a.reboot()
            a.address(t.ip(1) + "/24")
            t.ping(a, t.NS_IP)
        flood.stop(signal.SIGINT)
        t.check(
            "packets transmitted" in flood.output(), "the flood did not last: " + flood.output()
        )


t.main(restarts_under_traffic, link_and_unplugging, carrier_follows_the_link, reboots_in_a_flood)
