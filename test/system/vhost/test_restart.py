#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Guests that reboot, front ends, servers and netmapd that are killed, all under traffic.

Proves that traffic goes on by itself, that nobody else notices, and that no descriptor is lost or
used twice: vm-fe faults when an id comes back that is not in flight, and in the end every receive
buffer is posted and every transmit buffer has come back. Frames may be lost where a party dies;
damaged or foreign ones never come.
"""
import os
import signal
import time

from vhost import CONTROL, Rig, check, expect_intact, run, wait_until

ROUNDS = 8
RATE = 100000  # frames a second, so that a slow machine keeps up
SPLIT = CONTROL + ",event,indirect,merge,inflight"
PACKED = SPLIT + ",packed"


def guest(rig, port, number, features=SPLIT, role="both", *options):
    return rig.front_end(
        [(port, role, "id=%d" % number, "dst=%d" % (number ^ 1))],
        "--fill",
        "--rate",
        RATE,
        "--reconnect",
        "--with",
        features,
        "--frame",
        300,
        *options
    )


def expect_whole(fe, queues=1):
    """All descriptors are where they belong."""
    fe.order("pause 0")
    fe.order("drain 0")
    nic = fe.nic(0)
    check(nic["tx_out"] == 0, "transmit buffers do not come back: %s" % nic)
    # Its peer may go on sending, and some be in the guest's hands for a moment; a lost one never comes back.
    wait_until(lambda: fe.nic(0)["rx_posted"] == 256 * queues, lambda: "receive buffers are lost: %s" % fe.last)
    for s in nic["streams"]:
        check(s["damaged"] == 0 and s["header_changed"] == 0, "damaged frames: %s" % s)
    return nic


def test_reboot():
    """A guest reboots in a loop while its peer sends and receives: the peer's frames never come
    damaged, or twice.
    """
    for features in (SPLIT, PACKED):
        with Rig() as rig:
            rig.server("a"), rig.server("b")
            a, b = guest(rig, "a", 0, features), guest(rig, "b", 1, features)
            for _ in range(3 * ROUNDS):
                a.order("reboot 0")
                a.wait_progress(0, 20)
                b.wait_progress(0, 20)
            for fe in (a, b):
                expect_intact(expect_whole(fe), losses=True)


def test_stop_and_cont():
    """A guest that is stopped and goes on: what it sends is all there, once."""
    for features in (SPLIT, PACKED):
        with Rig() as rig:
            rig.server("a"), rig.server("b")
            fe = rig.front_end(
                [("a", "send"), ("b", "recv")], "--fill", "--with", features, "--window", 60
            )
            for _ in range(3 * ROUNDS):
                fe.order("stop-cont 0")
                fe.wait_progress(1, 100)
            fe.order("pause all")
            fe.order("drain 0")
            fe.wait_received(1, fe.nic(0)["sent"])
            expect_intact(fe.nic(1))


def test_front_end_killed():
    for features in (SPLIT, PACKED):
        with Rig() as rig:
            rig.server("a"), rig.server("b")
            a, b = guest(rig, "a", 0, features), guest(rig, "b", 1, features)
            for _ in range(ROUNDS):
                a.wait_progress(0)
                a.kill()
                a = guest(rig, "a", 0, features)
                a.wait_progress(0)
                b.wait_progress(0)
            for fe in (a, b):
                expect_intact(expect_whole(fe), losses=True)


def test_hang_up():
    """The front end hangs up and comes back with rings that are in use, as QEMU does; also without an in-flight region."""
    for features, rounds in (
        (SPLIT, ROUNDS),
        (SPLIT.replace(",inflight", ""), 5 * ROUNDS),
        (PACKED.replace(",inflight", ""), 5 * ROUNDS),
    ):
        with Rig() as rig:
            rig.server("a"), rig.server("b")
            a, b = guest(rig, "a", 0, features), guest(rig, "b", 1, features)
            for n in range(rounds):
                a.order("drop 0")
                wait_until(
                    lambda: a.nic(0)["reconnects"] == n + 1, lambda: "no reconnection: %s" % a.last
                )
                a.wait_progress(0)
                b.wait_progress(0)
            for fe in (a, b):
                expect_whole(fe)


def expect_few_doubled(fe, n_kills):
    """What a killed server had sent and not yet marked as used is sent again, once: at most what one
    pass takes from the ring.
    """
    for s in fe.nic(0)["streams"]:
        check(s["doubled"] <= n_kills * 256, "%d kills, %s" % (n_kills, s))


def server_killed(features, rounds=ROUNDS):
    with Rig() as rig:
        servers = [rig.server("a"), rig.server("b")]
        a, b = guest(rig, "a", 0, features), guest(rig, "b", 1, features)
        for n in range(rounds):
            a.wait_progress(0)
            servers[0].kill()
            servers[0] = rig.server("a")
            wait_until(
                lambda: a.nic(0)["reconnects"] == n + 1, lambda: "no reconnection: %s" % a.last
            )
            a.wait_progress(0)
            b.wait_progress(0)
        for fe in (a, b):
            expect_whole(fe)
        expect_few_doubled(b, rounds)
        check(
            all(s["doubled"] == 0 for s in a.nic(0)["streams"]),
            "the sender's server was not killed: %s" % a.nic(0),
        )


def test_server_killed_split():
    server_killed(SPLIT)


def test_server_killed_packed():
    server_killed(PACKED)


def test_server_killed_without_inflight():
    """As with QEMU's network cards: the used index of the ring is all that there is."""
    server_killed(CONTROL + ",event,indirect,merge")


def test_server_killed_packed_without_inflight():
    """As with QEMU's network cards: they say that rings are fresh. The server has a record of its own."""
    for more in "", ",inorder":
        server_killed(CONTROL + ",event,indirect,merge,packed" + more, 4 * ROUNDS)


def test_server_killed_queues():
    """Two pairs of queues: each goes on."""
    for features in (SPLIT, PACKED):
        with Rig() as rig:
            servers = [rig.server(port, options=["--queues", 2]) for port in "ab"]
            fes = [guest(rig, "ab"[i], i, features + ",mq", "both", "--queues", 2) for i in (0, 1)]

            def got():
                return [[s["got"] for s in fe.nic(0)["streams"]] for fe in fes]

            def wait_for_each():
                before = got()
                wait_until(
                    lambda: all(x > y for b, g in zip(before, got()) for y, x in zip(b, g)),
                    lambda: "a queue stands still: %s, %s" % (before, got()),
                )

            wait_until(lambda: [len(g) for g in got()] == [2, 2], lambda: "streams: %s" % got())
            for n in range(ROUNDS):
                wait_for_each()
                servers[n % 2].kill()
                servers[n % 2] = rig.server("ab"[n % 2], options=["--queues", 2])
            wait_for_each()
            for fe in fes:
                expect_whole(fe, 2)


def test_netmapd_killed():
    with Rig() as rig:
        rig.server("a"), rig.server("b")
        a, b = guest(rig, "a", 0), guest(rig, "b", 1, PACKED)
        for _ in range(3):
            a.wait_progress(0)
            pid = rig.settled_daemon()
            os.kill(pid, signal.SIGKILL)
            rig.bury_daemon(pid)
            rig.start_daemon()  # servers in their sandboxes can't
            rig.settled_daemon()
            for fe in (a, b):
                fe.wait_progress(0, 5000)
        for fe in (a, b):
            expect_intact(expect_whole(fe), losses=True)


def test_netmapd_killed_at_the_start():
    """At any moment of a server's start: it finds another one, or starts it, or waits for it."""
    for n in range(4 * ROUNDS):
        with Rig() as rig:
            server = rig.program(
                [os.environ["NM_VHOST_USER"], "--socket", rig.path("a"), "--port", "vale0:a"]
            )
            pid = rig.settled_daemon()
            time.sleep(n % 16 * 0.002)
            os.kill(pid, signal.SIGKILL)
            rig.bury_daemon(pid)
            time.sleep(0.2)
            server.expect_alive()


def test_server_connects():
    """The server as the client: front end first or server first, and again after either has ended.
    """
    with Rig() as rig:
        rig.server("b")
        b = guest(rig, "b", 1)
        argv = ["--socket", rig.path("a"), "--port", "vale0:a", "--client"]
        server = rig.program([os.environ["NM_VHOST_USER"], *argv])
        for _ in range(3):
            a = rig.front_end(
                [("a", "both", "id=0", "dst=1", "server=1")],
                "--fill",
                "--rate",
                RATE,
                "--frame",
                300,
            )
            a.wait_progress(0)
            b.wait_progress(0)
            a.kill()
        server.expect_alive()


if __name__ == "__main__":
    run(
        test_reboot,
        test_stop_and_cont,
        test_front_end_killed,
        test_hang_up,
        test_server_killed_split,
        test_server_killed_packed,
        test_server_killed_without_inflight,
        test_server_killed_packed_without_inflight,
        test_server_killed_queues,
        test_netmapd_killed,
        test_netmapd_killed_at_the_start,
        test_server_connects,
    )
