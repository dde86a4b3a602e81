#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Live migration: each page of guest memory that the server changes is marked in the dirty log,
under traffic.

vm-fe copies the guest's memory when the server has confirmed the log, lets traffic run, stops the
rings, and compares what only the server writes: receive buffers and used rings.
"""
from vhost import CONTROL, Rig, check, expect_intact, run

FEATURES = CONTROL + ",event,indirect,merge,log"


def migrate(rig, features, *options):
    rig.server("a"), rig.server("b")
    fe = rig.front_end(
        [("a", "both"), ("b", "both")], "--fill", "--with", features, "--window", 40, *options
    )
    for _ in range(3):
        fe.wait_progress(1, 300)
        fe.order("log-begin 1")
        fe.wait_progress(1, 300)
        fe.wait_progress(0, 300)
        found = fe.order("log-check 1")
        check(found["missed"] == 0, "pages changed and not marked: %s" % found)
        check(found["changed"] > 0, "nothing has changed at all: %s" % found)
        fe.wait_progress(1, 300)
    for i in (0, 1):
        expect_intact(fe.nic(i), losses=True)


def test_split():
    with Rig() as rig:
        migrate(rig, FEATURES, "--frame", 1514)


def test_packed():
    with Rig() as rig:
        migrate(rig, FEATURES + ",packed", "--frame", 1514)


def test_small_and_merged():
    """Buffers of a few per page, frames over several of them, and memory in pieces."""
    with Rig() as rig:
        migrate(rig, FEATURES, "--frame", 1500, "--rx-buf", 700, "--regions", 4, "--hole", 1 << 20)


def test_segments():
    with Rig() as rig:
        migrate(rig, FEATURES + ",tso", "--frame", 65226, "--tso", 1448)


def test_nothing_marked_for_nothing():
    """A guest that receives nothing has no page marked but those of its rings."""
    with Rig() as rig:
        rig.server("a")
        fe = rig.front_end([("a", "idle")], "--with", FEATURES)
        fe.order("log-begin 0")
        found = fe.order("log-check 0")
        check(
            found["missed"] == 0 and found["changed"] == 0,
            "an idle guest's memory changes: %s" % found,
        )
        check(found["marked"] <= 4, "too many pages marked: %s" % found)


if __name__ == "__main__":
    run(
        test_split,
        test_packed,
        test_small_and_merged,
        test_segments,
        test_nothing_marked_for_nothing,
    )
