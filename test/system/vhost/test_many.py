#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""64 guests on one switch, in one server process and in many; guests that are idle cost nothing; no
frame ever waits for the next.
"""
import time

from vhost import CONTROL, Rig, check, expect_intact, run, wait_until

N_NICS = 64
N_ALONE = 8  # of them with a server process of their own
# Frames, some time apart, until the switch knows a sender for sure: a new table is swept once
LEARNT = 5
IDLE_MS = 30  # of CPU time in two seconds; a timer that ticks 100 times a second takes more
PAIR = CONTROL + ",event,indirect,merge"


def test_64_nics():
    """Each sends to its neighbour; every frame arrives, at the right one only."""
    with Rig() as rig:
        ports = ["g%d" % i for i in range(N_NICS)]
        rig.server(*ports[N_ALONE:])
        for port in ports[:N_ALONE]:
            rig.server(port)
        options = ["--fill", "--ring", 64, "--rx-buf", 1024, "--window", 16, "--frame", 200]
        roles = [(port, "both") for port in ports]
        # The switch learns all addresses first, as a frame to an unknown one goes to all.
        fe = rig.front_end(roles, *options, "--count", LEARNT, "--rate", 100)
        wait_until(
            lambda: all(n["sent"] == LEARNT and n["received"] >= 1 for n in fe.stats()),
            lambda: str(fe.last),
        )
        fe.order("drain all")
        fe.quit()
        fe = rig.front_end(roles, *options, "--count", 400)
        for i in range(N_NICS):
            fe.wait_received(i, 400)
        for i, nic in enumerate(fe.stats()):
            expect_intact(nic)
            check(
                [(s["stream"], s["got"]) for s in nic["streams"]] == [(8 * (i ^ 1), 400)],
                "NIC %d: %s" % (i, nic["streams"]),
            )
        fe.quit()


def test_idle():
    """Guests that send nothing: their servers sleep. Two of them have had traffic before."""
    with Rig() as rig:
        servers = [rig.server("a"), rig.server("b"), rig.server("c", "d", "e", "f")]
        watch = [word for s in servers for word in ("--watch", s.pid)]
        fe = rig.front_end(
            [
                ("a", "both"),
                ("b", "both"),
                ("c", "idle"),
                ("d", "idle"),
                ("e", "idle"),
                ("f", "idle"),
            ],
            *watch,
            "--window",
            60
        )
        fe.wait_progress(0, 1000)
        fe.order("pause all")
        fe.order("drain all")
        fe.stats()
        rest(2)
        fe.stats()
        for used, server in zip(fe.last["watched_cpu_s"], servers):
            check(
                used * 1000 < IDLE_MS,
                "%.1f ms of CPU time while idle: %s" % (used * 1000, server.state()),
            )
        for nic in fe.last["nics"]:
            check(nic["sleeps"] < 20, "a guest was woken %d times for nothing" % nic["sleeps"])


def rest(seconds):
    """The one thing that can't be waited for is that nothing happens."""
    time.sleep(seconds)


def test_one_at_a_time():
    """Request and response, one by one: a wake-up that gets lost would let one of them time out (1
    s).
    """
    for features in (CONTROL, PAIR, PAIR + ",packed", CONTROL + ",packed"):
        with Rig() as rig:
            rig.server("a"), rig.server("b")
            fe = rig.front_end([("a", "ping"), ("b", "echo")], "--with", features, "--rate", 2000)
            fe.wait_received(0, 700)
            nic = fe.nic(0)
            check(nic["pings_lost"] == 0, "lost wake-ups: %s" % nic)


def test_few_a_second():
    """Ten requests in two seconds, with everybody asleep before each."""
    with Rig() as rig:
        rig.server("a"), rig.server("b")
        fe = rig.front_end([("a", "ping"), ("b", "echo")], "--with", PAIR, "--rate", 5)
        fe.wait_received(0, 10)
        nic = fe.nic(0)
        check(nic["pings_lost"] == 0 and nic["received"] >= 10, "lost wake-ups: %s" % nic)
        expect_intact(nic)


if __name__ == "__main__":
    run(test_64_nics, test_idle, test_one_at_a_time, test_few_a_second)
