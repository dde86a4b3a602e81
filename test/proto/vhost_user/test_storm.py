# SPDX-License-Identifier: BSD-2-Clause
"""Valid messages that are as expensive as can be, many in one go: other NICs of the process must not wait for them.

The front end of a NIC with many queue pairs fills an in-flight region to the last entry, in no order, and has all rings
started again and again. Meanwhile two other NICs pass frames, one at a time; the longest that one of them took is what
the tests are about. Without a limit that is half a minute.
"""
import mmap
import os
import random
import struct

import vuproto as v

PAIRS, NUM = 32, 32768
RINGS = 2 * PAIRS + 1
RING_SPACE = 1 << 20
DESC, USED, AVAIL = 0, 600 << 10, 900 << 10
SPLIT_HDR, SPLIT_ENTRY = struct.Struct("<QHHHH"), struct.Struct("<B7xQ")
BURST = 32
WAIT_S = 2.0  # a machine that is busy otherwise makes them wait as well


class Attacker(v.FrontEnd):
    def __init__(self, server):
        super().__init__(server.path("a"))
        self.sock.settimeout(100)
        self.negotiate(protocol=v.PF_REPLY_ACK | v.PF_INFLIGHT_SHMFD | v.PF_MQ)
        size = RINGS * RING_SPACE
        self.memfd = v.memfd(size)
        self.table = struct.pack("<II", 1, 0) + v.REGION.pack(v.GPA, size, v.UADDR, 0)
        self.good(v.SET_MEM_TABLE, self.table, [self.memfd])
        self.send(v.GET_INFLIGHT_FD, struct.pack("<QQHH", 0, 0, RINGS, NUM))
        answer, fds = self.recv(v.GET_INFLIGHT_FD)
        self.region_size, = struct.unpack_from("<Q", answer)
        self.region = mmap.mmap(fds[0], self.region_size)
        os.close(fds[0])
        rand = random.Random(1)
        self.full = SPLIT_HDR.pack(0, 1, NUM, 0, 0) + b"".join(
            SPLIT_ENTRY.pack(1, rand.getrandbits(64)) for _ in range(NUM))

    def fill_region(self):
        for at in range(0, self.region_size, self.region_size // RINGS):
            self.region[at:at + len(self.full)] = self.full

    def start_rings(self):
        for idx in range(RINGS):
            base = v.UADDR + idx * RING_SPACE
            kick = os.eventfd(0, os.EFD_NONBLOCK)
            self.send(v.SET_VRING_NUM, v.state(idx, NUM))
            self.send(v.SET_VRING_BASE, v.state(idx, 0))
            self.send(v.SET_VRING_ADDR, v.ADDR.pack(idx, 0, base + DESC, base + USED, base + AVAIL, 0))
            self.good(v.SET_VRING_KICK, v.u64(idx), [kick])
            os.close(kick)

    def set_table(self):
        self.send(v.SET_MEM_TABLE, self.table, [self.memfd])

    def close(self):
        self.region.close()
        os.close(self.memfd)
        super().close()


def tables(attacker):
    """Each halts and starts all rings."""
    attacker.fill_region()
    for _ in range(BURST):
        attacker.set_table()


def all_from_anew(attacker):
    """One message starts all rings, whose parts have to be read."""
    for _ in range(3):
        attacker.send(v.SET_MEM_TABLE, struct.pack("<II", 0, 0))
        attacker.get(v.GET_FEATURES)
        attacker.fill_region()
        for idx in range(RINGS):
            attacker.send(v.SET_VRING_BASE, v.state(idx, 0))
        attacker.set_table()
        attacker.get(v.GET_FEATURES)


def storm(what):
    server = v.Server(nics=("a", "b", "c"), nic_args={"a": ("--queues", str(PAIRS))})
    try:
        attacker = Attacker(server)
        attacker.fill_region()
        with v.Neighbours(server, WAIT_S, 0):
            attacker.start_rings()
            what(attacker)
            attacker.get(v.GET_FEATURES)  # answered, so all that came before is done
        attacker.close()
        server.check_alive()
    finally:
        assert server.stop() == 0


def burst_of_tables():
    storm(tables)


def starts_of_all_rings():
    storm(all_from_anew)


raise SystemExit(1 if v.u.run_each([burst_of_tables, starts_of_all_rings]) else 0)
