#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
A guest with two processors and two queue pairs: both pairs carry frames, and the bytes come right.
"""
import vmtest as t


def two_pairs(boot):
    spec = {"options": ["--queues", "2"], "nic": {"queues": 2}, "guest": {"cpus": 2}}
    with t.guests(boot, spec) as (site, netns, (a,), _):
        t.check(
            a.run("ls -d /sys/class/net/eth0/queues/rx-*").split()[-1].endswith("rx-1"),
            "the guest has one queue pair",
        )
        t.ping(a, t.NS_IP)
        t.serve(a)
        run = t.in_netns(site, netns)
        t.iperf(run, t.ip(1), "-P", "4", seconds=2)
        t.iperf(run, t.ip(1), "-P", "4", "-R", seconds=2)
        for cpu in 0, 1:  # which queue is taken follows the processor
            a.run("taskset -c %d ping -q -c 5 -i 0.1 %s" % (cpu, t.NS_IP))
        rings = [
            (r["direction"], r["ring"], r["packets"])
            for r in site.show("rings")
            if r["port"] == "vale0:vm1"
        ]
        t.check(len(rings) == 4, "rings: %s" % rings)
        t.check(all(n > 0 for _, _, n in rings), "a ring that carried nothing: %s" % rings)
        t.Transfer(site, netns, a, 8, pause_us=1).finish()


t.main(two_pairs)
