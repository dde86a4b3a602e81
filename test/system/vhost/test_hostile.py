#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Guests that attack their device server: only they may suffer.

Each attack of vm-hostile goes against a NIC that shares its server process with one of two honest
guests. While it runs these two exchange numbered and filled frames with a window, and a third
floods the switch, so that the attacker has something to receive. Afterwards: the server lives, has
said no more than a few lines, the honest guests' frames are all there and unharmed, and the
attacked NIC serves an honest guest.
"""
import json
import os
import subprocess

from vhost import CONTROL, Rig, check, expect_intact, run

SOON_S = 20
MAX_LINES = 6  # of log for one attack
# Frames a second: half a ring in half a second, should a loaded machine let a server wait so long
FLOOD = 1000

# What the specification forbids outright, so that going on would be a fault as well. Of the others
# some are merely dropped.
MUST_BREAK = {
    "loop",
    "next-outside",
    "head-outside",
    "past-region",
    "nowhere",
    "address-wraps",
    "lengths-add-up",
    "index-jumps",
    "table-in-table",
    "table-and-next",
    "table-of-odd-size",
    "table-empty",
    "table-huge",
    "table-longer-than-ring",
    "table-loop",
    "table-nowhere",
    "packed-endless",
    "packed-nowhere",
    "packed-table-in-table",
    "packed-table-huge",
    "memory-shrinks",
    "descriptors-change",
    "index-changes",
    "call-blocks",
}


def attack(rig, name):
    done = subprocess.run(
        [os.environ["VM_HOSTILE"], rig.path("victim"), name],
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=False,
    )
    check(done.returncode == 0, "vm-hostile %s: %s" % (name, done.stderr))
    return json.loads(done.stdout)["outcome"]


def all_attacks():
    return subprocess.run(
        [os.environ["VM_HOSTILE"], "--list"],
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=True,
    ).stdout.split()


def test_attacks():
    with Rig() as rig:
        server = rig.server("victim", "a")
        rig.server("b"), rig.server("flood")
        honest = rig.front_end(
            [("a", "both"), ("b", "both")], "--fill", "--window", 40, "--frame", 700
        )
        rig.front_end([("flood", "send", "id=5", "dst=99")], "--rate", FLOOD)
        names = all_attacks()
        check(MUST_BREAK <= set(names), "no such attack: %s" % (MUST_BREAK - set(names)))
        for name in names:
            lines = len(server.messages().splitlines())
            outcome = attack(rig, name)
            server.expect_alive()
            if name in MUST_BREAK:
                check(outcome != "survived", "%s was not noticed" % name)
            said = server.messages().splitlines()[lines:]
            check(len(said) <= MAX_LINES, "%s: %d lines of log: %s" % (name, len(said), said[:20]))
            if name == names[0]:  # what a guest can cause again and again is limited
                check(said, "%s: the ring is broken, and nobody says why" % name)
            for i in (0, 1):
                honest.wait_progress(i, 100)
            expect_next_guest(rig, name)
        for i in (0, 1):
            nic = honest.nic(i)
            nic["streams"] = [s for s in nic["streams"] if s["stream"] in (0, 8)]
            expect_intact(nic)


def expect_next_guest(rig, after):
    """The NIC is ready for an honest guest."""
    fe = rig.front_end([("victim", "recv", "id=7")], "--with", CONTROL + ",merge,event")
    try:
        fe.wait_progress(0, 20)
    except Exception as e:
        raise type(e)("after %s: %s" % (after, e)) from e
    fe.quit()


if __name__ == "__main__":
    run(test_attacks)
