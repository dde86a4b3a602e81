#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A front end that punches holes in the memory its frames lie in: whoever touches it sleeps in the
kernel until a hole is punched, and how long that takes is the front end's to say. Here a thread of
the lowest class does it, on a CPU that another one keeps busy. Its own server may sleep; the frames
of its neighbours go on.

The front end is another user's than the servers: --memory auto is put to the test. With
VHOST_MEMORY=direct in the environment the test fails.
"""
import contextlib
import ctypes
import itertools
import mmap
import os
import signal
import threading
import time

import vuproto as v
from badluck import let_run, process_state
from vhost import Rig, check, run

NOBODY = 65534
NEIGHBOUR = b"\2vm\0\0\1"  # vm-fe's NIC with id=1
SIZE = 128 << 20
BIG_GPA, BIG_UADDR = 0x100000000, 0x7E0000000000
FALLOC_PUNCH = 3  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
HEAD = 320  # bytes of a frame in memory that stays: what a server copies in any case
BLOCKED_S = 3  # that the attack holds its server
LONGEST_S = 1
ATTACK_S = 40


def new_memory():
    fd = v.memfd(SIZE, "big")
    return fd, mmap.mmap(fd, SIZE)


class Attack:
    """In a process of another user."""

    def __init__(self, path):
        self.guest = v.Guest(path)
        self.fd, self.memory = new_memory()
        g = self.guest
        regions = [(v.GPA, v.MEM_SIZE, v.UADDR, 0), (BIG_GPA, SIZE, BIG_UADDR, 0)]
        g.good(v.SET_MEM_TABLE, g.table(regions), [g.memfd, self.fd])
        g.rx.set_up()
        g.tx.set_up()
        g.enable(1)
        self.libc = ctypes.CDLL(None)
        self.libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]

    def punch(self, cpu):
        os.sched_setaffinity(0, {cpu})
        self.libc.fallocate(self.fd, 0, 0, SIZE)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        while True:
            self.libc.fallocate(self.fd, FALLOC_PUNCH, 0, SIZE)

    def send(self):
        """Frames to a neighbour, each with a page of its own for most of its payload."""
        g = self.guest
        head = bytes(12) + v.make_frame(src=0x66, dst=NEIGHBOUR, size=HEAD)
        g.mem[0x80000:0x80000 + len(head)] = head
        for n in itertools.count():
            at = BIG_GPA + n * 7919 % (SIZE // v.PAGE) * v.PAGE
            g.tx.descriptor(0, v.GPA + 0x80000, len(head), 1, 1)
            g.tx.descriptor(1, at, 1400 - HEAD, 0)
            g.tx.add(0)
            g.tx.kick()
            g.tx.get_used(ATTACK_S)


def be_busy(cpu):
    os.sched_setaffinity(0, {cpu})
    while True:
        pass


def attack(path, cpu):
    a = Attack(path)
    threading.Thread(target=a.punch, args=(cpu,), daemon=True).start()
    a.send()


@contextlib.contextmanager
def forked(function, *args, user=0):
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            signal.alarm(2 * ATTACK_S)
            if user != 0:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            function(*args)
        os._exit(1)
    try:
        yield pid
    finally:
        # A hole that is begun is finished first.
        for task in os.listdir("/proc/%d/task" % pid):
            os.sched_setscheduler(int(task), os.SCHED_OTHER, os.sched_param(0))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


class Gaps:
    """Of the frames that a NIC gets."""

    def __init__(self, front_end, nic):
        self.front_end, self.nic = front_end, nic
        self.seen, self.at = front_end.received(nic), time.monotonic()
        self.longest = 0.0

    def look(self):
        n, now = self.front_end.received(self.nic), time.monotonic()
        self.longest = max(self.longest, now - self.at)
        if n != self.seen:
            self.seen, self.at = n, now


def run_first(pid):
    """Past a busy machine's scheduler: the test is about who waits for whom."""
    for task in os.listdir("/proc/%d/task" % pid):
        let_run(int(task))


def holes_stop_nobody_else():
    cpu = max(os.sched_getaffinity(0))
    with Rig() as rig:
        os.chmod(rig.dir, 0o711)
        attacked = rig.server("a", options=("--socket-mode", "666"))
        servers = rig.server("b"), rig.server("c")
        neighbours = rig.front_end(
            [("c", "send", "id=2", "dst=1"), ("b", "echo", "id=1")], "--rate", 2000, "--seconds", 1000
        )
        neighbours.wait_progress(1)
        for p in (*servers, neighbours):
            run_first(p.pid)
        gaps, blocked_since, held = Gaps(neighbours, 1), None, 0.0
        deadline = time.monotonic() + ATTACK_S
        with forked(be_busy, cpu), forked(attack, rig.path("a"), cpu, user=NOBODY):
            while held < BLOCKED_S and time.monotonic() < deadline:
                time.sleep(0.02)
                gaps.look()
                if process_state(attacked.pid)[0] != "D":
                    blocked_since = None
                    continue
                blocked_since = blocked_since or time.monotonic()
                held = max(held, time.monotonic() - blocked_since)
        print("# the server slept for %.1f s, its neighbours for %.2f s" % (held, gaps.longest))
        check(gaps.longest < LONGEST_S, "no frame for %.1f s" % gaps.longest)
        check(held >= BLOCKED_S, "the attack has held its own server for %.1f s only" % held)
        attacked.expect_alive()


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("1..0 # SKIP not root: there is no other user")
    else:
        run(holes_stop_nobody_else)
