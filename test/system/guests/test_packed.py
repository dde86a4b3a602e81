#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Packed rings under QEMU, which can't say where they stand after a server's death: they go on all
the same, from the record that the server keeps beside its socket.

Servers are killed and ended under streams in both directions, by QEMU's and by our connecting again;
the link is taken down, the carrier with it; a guest reboots while nobody serves it.
"""
import signal
import time

import vmtest as t

N_KILLS = 3


def packed_rings_go_on(boot):
    nic = {"options": "packed=on"}
    listens = {"options": ["--hang-up"], "nic": nic}
    connects = {
        "is_client": True,
        "options": ["--queues", "2", "--hang-up"],
        "nic": dict(nic, queues=2),
        "guest": {"cpus": 2},
    }
    with t.guests(boot, listens, connects) as (site, netns, (a, b), (sa, sb)):
        t.ping(a, t.ip(2))
        t.serve(b)
        streams = [t.Transfer(site, netns, vm, 8, 200000, 5000 + i) for i, vm in enumerate((a, b))]
        received = site.program("iperf", ["iperf3", "-c", t.ip(2), "-t", "6", "-P", "2"], netns)
        for _ in range(N_KILLS):
            time.sleep(0.7)
            sa.restart(signal.SIGKILL)
            sb.restart(signal.SIGKILL)
        sa.restart(signal.SIGTERM)
        for stream in streams:
            stream.finish(90)
        received.finish(90)
        t.ping(a, t.ip(2))
        for port in "vale0:vm1", "vale0:vm2":
            site.nmctl("link", port, "down")
        t.carrier(a, False)
        t.carrier(b, False)
        for port in "vale0:vm1", "vale0:vm2":
            site.nmctl("link", port, "up")
        t.carrier(a, True)
        t.carrier(b, True)
        t.ping(a, t.ip(2))
        sa.program.stop(signal.SIGKILL)
        a.reboot()
        sa.start()
        a.address(t.ip(1) + "/24")
        t.ping(a, t.ip(2))
        t.check("its place" not in sa.program.output(), sa.program.output())


t.main(packed_rings_go_on)
