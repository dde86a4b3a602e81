#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two guests on a switch, each behind a device server of its own: every kind of ring carries every
size of frame.

Each frame is numbered and filled, and each byte of it is compared. A window keeps fewer frames
under way than the receiver has buffers for, so that a switch that drops has no reason to: not one
may be missing, doubled, late or damaged.
"""
import itertools

from vhost import CONTROL, EVERY_FEATURE, Rig, check, expect_intact, run, wait_until

FRAMES = 1500
SIZES = (60, 61, 127, 590, 1024, 1514)
PACKED, INDIRECT, EVENT = 1 << 34, 1 << 28, 1 << 29
LACKS_TSO4, LACKS_ALL = 0x02, 0x7F


def wait_told(rig, is_told):
    """Until the switch knows of both guests what they lack. A server tells it by netmapd, and waits for
    nobody; meanwhile segments are cut for a guest that could take them whole.
    """
    wait_until(
        lambda: all(is_told(p["vnet_lacks"]) for p in rig.table("ports")),
        lambda: rig.table("ports"),
    )


def between(rig, options_a, options_b, size, *more, window=60, queues=1, count=FRAMES):
    """One vm-fe with both guests, so that the window works. Return: the two NICs' states."""
    common = [
        "--paused",
        "--fill",
        "--frame",
        size,
        "--window",
        window,
        "--count",
        count,
        "--queues",
        queues,
        *more,
    ]
    argv = [*common, *options_a, "--nic", rig.path("a") + ",role=both", *options_b]
    fe = rig.front_end([("b", "both")], *argv)
    if "--tso" in more:
        wait_told(rig, lambda lacks: not lacks & LACKS_TSO4)
    fe.order("run all")
    for i in (0, 1):
        fe.wait_received(i, count * queues)
    nics = [fe.nic(0), fe.nic(1)]
    for nic in nics:
        expect_intact(nic)
        check(
            sum(s["got"] for s in nic["streams"]) == count * queues,
            "frames beyond the last: %s" % nic,
        )
    fe.order("drain all")
    for nic in fe.stats():
        check(nic["tx_out"] == 0, "transmit buffers do not come back: %s" % nic)
    fe.quit()
    if "--tso" in more:  # the next guests start from there
        wait_told(rig, lambda lacks: lacks == LACKS_ALL)
    return nics


def kinds():
    """All combinations of a ring's features; packed ones in the second half."""
    for packed in (False, True):
        for chosen in itertools.product((False, True), repeat=len(EVERY_FEATURE)):
            words = [f for f, yes in zip(EVERY_FEATURE, chosen) if yes]
            yield ",".join([CONTROL] + words + (["packed"] if packed else []))


def test_every_kind_of_ring():
    """Each kind against one of the other half, in turn; chains of several descriptors, and buffers
    smaller than a frame.
    """
    all_kinds = list(kinds())
    with Rig() as rig:
        rig.server("a"), rig.server("b")
        for i, kind in enumerate(all_kinds):
            other = all_kinds[(i * 7 + 16) % len(all_kinds)]
            size = SIZES[i % len(SIZES)]
            a = ["--with", kind, "--tx-seg", (0, 100, 700)[i % 3], "--rx-seg", (0, 333)[i % 2]]
            b = ["--with", other, "--tx-seg", (300, 0)[i % 2], "--rx-seg", 0]
            for options, features in ((a, kind), (b, other)):
                options += ["--rx-buf", 600 if "merge" in features and i % 4 < 2 else 2036]
            nics = between(rig, a, b, size, count=FRAMES // 3)
            got = int(nics[0]["features"], 16)
            check(bool(got & PACKED) == ("packed" in kind), "packed was not agreed on: %x" % got)
            check(
                bool(got & INDIRECT) == ("indirect" in kind), "indirect was not agreed on: %x" % got
            )
            check(bool(got & EVENT) == ("event" in kind), "event index was not agreed on: %x" % got)


def test_all_sizes():
    with Rig() as rig:
        rig.server("a"), rig.server("b")
        for size in sorted(set(range(60, 1515, 97)) | {60, 1513, 1514}):
            between(rig, [], [], size, count=300)


def test_memory_in_pieces():
    """Buffers that lie across regions, and regions with holes between them; tables sent whole or
    region by region.
    """
    with Rig() as rig:
        rig.server("a"), rig.server("b")
        for regions, hole, features in (
            (5, 0, CONTROL),
            (8, 1 << 30, CONTROL),
            (3, 4096, "ack"),
            (7, 0, "ack,merge,packed"),
        ):
            options = ["--regions", regions, "--hole", hole, "--with", features]
            between(rig, options, options, 1514)


def test_ring_sizes():
    with Rig() as rig:
        rig.server("a"), rig.server("b")
        for ring, features in (
            (2, CONTROL),
            (4, CONTROL + ",packed"),
            (1024, CONTROL),
            (7, CONTROL + ",packed"),
            (1000, CONTROL + ",packed,event"),
            (32768, CONTROL + ",event"),
        ):
            options = ["--ring", ring, "--with", features]
            between(rig, options, options, 60, window=min(60, max(1, ring // 2)), count=400)


def test_queues():
    with Rig() as rig:
        rig.server("a", options=["--queues", 4]), rig.server("b", options=["--queues", 4])
        for features in (CONTROL, CONTROL + ",packed,event,indirect,merge"):
            options = ["--with", features]
            nics = between(rig, options, options, 200, queues=4, window=60, count=500)
            for nic in nics:
                check(len(nic["streams"]) == 4, "not every queue has sent: %s" % nic)


def test_segments_unchanged():
    """64-KiB segments of TCP from guest to guest: whole, header and all, into merged buffers and
    into long chains.
    """
    with Rig() as rig:
        rig.server("a"), rig.server("b")
        merging = ["--with", CONTROL + ",event,indirect,merge,tso"]
        chains = [
            "--with",
            CONTROL + ",event,indirect,tso",
            "--rx-buf",
            65600,
            "--rx-seg",
            4096,
            "--tx-seg",
            4096,
        ]
        packed = ["--with", CONTROL + ",event,indirect,merge,tso,packed", "--tx-seg", 8192]
        for a, b in ((merging, merging), (merging, chains), (packed, merging), (chains, packed)):
            nics = between(rig, a, b, 65226, "--tso", 1448, window=4, count=200)
            check(
                all(s["bytes"] == 200 * 65226 for nic in nics for s in nic["streams"]),
                "not whole: %s" % nics,
            )


def test_one_process():
    """Several NICs in one server process."""
    with Rig() as rig:
        rig.server("a", "b")
        between(rig, [], [], 60)
        between(rig, ["--with", CONTROL + ",packed"], [], 1514)


if __name__ == "__main__":
    run(
        test_every_kind_of_ring,
        test_all_sizes,
        test_memory_in_pieces,
        test_ring_sizes,
        test_queues,
        test_segments_unchanged,
        test_one_process,
    )
