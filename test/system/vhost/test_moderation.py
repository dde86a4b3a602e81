#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Interrupts: as few as were asked for, and none too late.

A guest without the event index wants to be called for each frame, so the number of its interrupts
is what the server's moderation makes of them.
"""
import time

from vhost import CONTROL, Rig, check, run

RATE = 2000  # frames a second, each by itself
SECONDS = 1.0


def calls_per_frame(rig, options):
    """Of a receiver that sleeps, and how long it took: (frames, calls, seconds)."""
    servers = rig.server("a"), rig.server("b", options=options)
    receiver = rig.front_end([("b", "recv", "id=1")], "--with", CONTROL + ",merge")
    sender = rig.front_end(
        [("a", "send", "id=0", "dst=1")], "--rate", RATE, "--burst", 1, "--with", CONTROL
    )
    receiver.wait_progress(0, 50)
    began, before = time.monotonic(), receiver.nic(0)
    receiver.wait_progress(0, int(RATE * SECONDS))
    after, took = receiver.nic(0), time.monotonic() - began
    sender.quit(), receiver.quit()
    for server in servers:
        server.end()
    return after["received"] - before["received"], after["rx_calls"] - before["rx_calls"], took


def test_time():
    """One interrupt in 20 ms at most, and nearly that many: none is held back for longer."""
    with Rig() as rig:
        frames, calls, took = calls_per_frame(rig, ("--moderation", "20000"))
        check(calls <= took / 0.020 + 2, "%d calls in %.2f s" % (calls, took))
        check(calls >= took / 0.020 / 3, "only %d calls in %.2f s" % (calls, took))
        check(frames / calls > 5, "%d frames, %d calls" % (frames, calls))


def test_packets():
    """An interrupt for ten frames, long before the time is up."""
    with Rig() as rig:
        frames, calls, took = calls_per_frame(rig, ("--moderation", "100000,10"))
        check(calls <= frames / 10 + 2, "%d frames, %d calls" % (frames, calls))
        check(calls > took / 0.1 + 2, "%d calls in %.2f s: by time, not by number" % (calls, took))


def test_delay():
    """A frame by itself is told of when the time is up: not at once, and not much later."""
    with Rig() as rig:
        rig.server("a"), rig.server("b", options=("--moderation", "30000,10"))
        fe = rig.front_end([("b", "echo")], "--count", 10, "--nic", rig.path("a") + ",role=ping")
        fe.wait_received(0, 10)
        rtt = fe.nic(0)["rtt_ns"]
        check(rtt["median"] >= 25e6, "an answer after %d ns: a call came early" % rtt["median"])
        check(rtt["median"] < 300e6, "an answer after %d ns" % rtt["median"])
        check(fe.nic(0)["pings_lost"] == 0, "a request was lost: %s" % fe.last)


if __name__ == "__main__":
    run(test_time, test_packets, test_delay)
