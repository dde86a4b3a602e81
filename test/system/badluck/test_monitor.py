#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Monitors on ports in use: what they see, that nobody waits for them, and kill -9 of everybody in a loop.

Proves that a monitor of any sort sees all frames of a stream that it can follow, whole and in order; that one that does not
read costs its own frames only; that watched ports, monitors and netmapd may die at any moment, after which everything is
accounted for, down to the last buffer; that a monitor whose port is closed is told; and that one that overwrites its own
memory hurts nobody else.

UNM_BADLUCK_TIMES multiplies the number of rounds; UNM_BADLUCK_SEED repeats the choices of a run.
"""
import os
import random
import subprocess
import time

from badluck import EXIT_GONE, SOON_S, Domain, check, run, wait_until
from test_kill import Accounts, kill_daemon

TIMES = int(os.environ.get("UNM_BADLUCK_TIMES", "1"))
SEED = int(os.environ.get("UNM_BADLUCK_SEED", random.randrange(1 << 30)))
SLOTS = "@conf:slots=4096"  # so that a busy machine may keep a monitor from running for a while
PACE = ("-R", 2000, "-l", "60:3000")


def watch(d, port, flags, stream, slots=""):
    return d.start("watch", "%s/%sR%s" % (port, flags, slots), "-s", stream)


def sees_all():
    """Copies of what is sent, of what arrives, of both; buffers, by two in a chain; on a switch and on a pipe."""
    with Domain() as d:
        rx = d.start("recv", "vale0:b", "-s", 1).wait_open()
        d.lossless("vale0:b")
        tx = d.start("send", "vale0:a", "-s", 1, *PACE).wait_open()
        p_rx = d.start("recv", "netmap:p}1", "-s", 2).wait_open()
        p_tx = d.start("send", "netmap:p{1", "-s", 2, *PACE).wait_open()
        pairs = ((tx, rx, [watch(d, p, f, 1, SLOTS) for p, f in
                           (("vale0:a", "t"), ("vale0:b", "r"), ("vale0:b", "rt"), ("vale0:b", "z"), ("vale0:b", "z"))]),
                 (p_tx, p_rx, [watch(d, p, f, 2, SLOTS) for p, f in
                               (("netmap:p{1", "t"), ("netmap:p}1", "r"), ("netmap:p}1", "rt"), ("netmap:p}1", "z"))]))
        for s, r, watchers in pairs:
            r.go()
            for w in watchers:
                w.wait_open().go()
            s.go()
        time.sleep(0.5)
        for s, r, watchers in pairs:
            r.wait_progress("received", 100)
            d.settle(s, r)
            for w in watchers:
                wait_until(lambda w=w: w.next == s.filled, lambda w=w: "%s\n%s" % (w.state(), s.state()))
                d.expect_clean(w)
        names = [name.split("#")[0] for name in d.ports()]
        for name in ("vale0:a/t", "vale0:b/zrt", "p}1/rt"):
            check(name in names, "%s is listed: %s" % (name, names))


def reads_nothing():
    """Stopped monitors: the streams go on, with nothing lost; their counters say what the monitors have missed."""
    with Domain() as d:
        links = (d.pair("vale0:a", "vale0:b", 1, "-l", "60:600", lossless=True), d.pair("netmap:p{1", "netmap:p}1", 2))
        watchers = [watch(d, p, f, s) for p, f, s in (("vale0:a", "t", 1), ("vale0:b", "rt", 1), ("vale0:b", "z", 1),
                                                      ("netmap:p}1", "r", 2), ("netmap:p{1", "z", 2))]
        for w in watchers:
            w.wait_open().go()
            if not w.port.startswith("netmap:p{1/z"):  # a pipe's sender may see little of it
                w.wait_progress("received")
            w.stop()
        for tx, rx in links:
            rx.wait_progress("received", 20000)
            d.settle(tx, rx)
            tx.go()

        def missed():
            return all(p["missed"] > 0 for p in d.table("ports") if p["kind"] == "monitor" and p["watches"] != "p{1")
        wait_until(missed, "frames are missed, and counted")
        for w in watchers:
            w.cont()
            if not w.port.startswith("netmap:p{1/z"):
                w.wait_progress("received")
            check(w.torn == 0 and w.late == 0, "frames torn or out of order: " + w.state())
        for tx, rx in links:
            d.settle(tx, rx)


def is_told():
    """The watched port is closed, in order or not: its monitors end; those of others do not."""
    with Domain() as d:
        a, b = d.pair("vale0:a", "vale0:b", 1, "-R", 1000)
        keep = watch(d, "vale0:b", "r", 1).wait_open().go()
        for how in ("quit", "kill"):
            gone = [watch(d, "vale0:a", f, 1).wait_open().go() for f in ("t", "rt", "z")]
            getattr(a, how)()
            for w in gone:
                wait_until(lambda w=w: w.proc.poll() is not None, w.state)
                check(w.proc.returncode == EXIT_GONE, "it was told that its port is gone: " + w.state())
                w.forget()
            if how == "kill":
                a.bury()
            d.wait_ports(["vale0:b", "vale0:b/r#0"])
            a = d.start("send", "vale0:a", "-s", 1, "-r", 2, "-R", 1000).wait_open().go()
            keep.wait_progress("received")
        again = watch(d, "vale0:a", "t", 1).wait_open().go()
        again.wait_progress("received")


class Group:
    """A sender, a receiver and monitors of both; each of them is killed now and then and started again."""

    def __init__(self, d, tx_port, rx_port, stream, watched):
        self.d, self.tx_port, self.rx_port, self.stream, self.watched = d, tx_port, rx_port, stream, watched
        self.life = 0
        self.tx = self.rx = None
        self.watchers = []

    def start(self):
        if self.rx is None:
            self.rx = self.d.start("recv", self.rx_port, "-s", self.stream).wait_open().go()
        if self.tx is None:
            self.life += 1
            self.tx = self.d.start("send", self.tx_port, "-s", self.stream, "-r", self.life, "-l", "60:6000").wait_open().go()
        for port, flags in self.watched:
            name = "%s/%sR" % (port, flags)
            if name not in [w.port for w in self.watchers]:
                self.watchers.append(self.d.start("watch", name, "-s", self.stream).wait_open().go())

    def kill_some(self):
        dead = [t for t in [self.tx, self.rx] + self.watchers if random.random() < 0.25]
        for t in random.sample(dead, len(dead)):
            t.kill()
        for t in dead:
            t.bury()
            if t in self.watchers:
                self.watchers.remove(t)
        closed = [t.port for t in (self.tx, self.rx) if t in dead]
        self.tx = None if self.tx in dead else self.tx
        self.rx = None if self.rx in dead else self.rx
        for w in [w for w in self.watchers if w.port.split("/")[0] in closed]:
            wait_until(lambda w=w: w.proc.poll() is not None, w.state)
            check(w.proc.returncode == EXIT_GONE, "it was told that its port is gone: " + w.state())
            w.forget()
            self.watchers.remove(w)
        for t in [self.tx, self.rx] + self.watchers:
            if t is not None:
                t.expect_alive()

    def check(self):
        self.rx.wait_progress("received")
        for w in self.watchers:
            check(w.torn == 0 or "z" in w.port, "frames are torn: " + w.state())
            check(w.late == 0 or "z" in w.port, "frames are out of order: " + w.state())
            if w.port != "netmap:p{1/zR":
                w.wait_progress("received")

    def end(self):
        for w in self.watchers:
            w.quit()
        self.tx.quit()
        self.rx.quit()


def everybody_is_killed():
    """Also while buffers change places. At the end, and whenever all is still, not one is lost."""
    print("# UNM_BADLUCK_SEED=%d" % SEED)
    random.seed(SEED)
    with Domain() as d:
        calm = d.pair("netmap:calm{1", "netmap:calm}1", 9, "-l", "60:6000") + \
            d.pair("vale0:ctx", "vale0:crx", 8, "-l", "60:600", lossless=True)
        calm_watchers = [watch(d, "netmap:calm}1", "r", 9).wait_open().go(), watch(d, "vale0:ctx", "z", 8).wait_open().go()]
        for w in calm_watchers:
            w.wait_progress("received")  # so both ends of the pipe have mapped its memory
        before = Accounts(d, calm)
        groups = [Group(d, "netmap:p{1", "netmap:p}1", 1, (("netmap:p{1", "t"), ("netmap:p{1", "z"), ("netmap:p}1", "z"),
                                                           ("netmap:p}1", "rt"))),
                  Group(d, "vale1:a", "vale1:b", 2, (("vale1:a", "z"), ("vale1:b", "z"), ("vale1:b", "r"), ("vale1:a", "t")))]
        for n in range(12 * TIMES):
            for g in groups:
                g.start()
            for g in groups:
                g.check()
            after = kill_daemon(d) if n % 4 == 3 else None
            for g in groups:
                g.kill_some()
            if after:
                after()
                d.settled_daemon()
            for w in calm_watchers:
                w.wait_progress("received")
            if n % 6 == 5:
                for g in groups:
                    g.start()
                    g.end()
                    g.tx = g.rx = None
                    g.watchers = []
                d.settled_daemon()
                wait_until(lambda: not Accounts(d, calm).differences(before),
                           lambda: "something is left: " + "; ".join(Accounts(d, calm).differences(before)))
        for tx, rx in (calm[:2], calm[2:]):
            d.settle(tx, rx)
        for w in calm_watchers:
            check(w.torn == 0 and w.late == 0, "frames torn or out of order: " + w.state())


def hostile():
    """It overwrites its rings, its buffers and all the memory that it has by descriptor, tables too in the end."""
    with Domain() as d:
        args = ("-k", "-t", 100, "-l", "60:4000")
        pairs = [[d.start(role, port, "-s", n, *args).wait_open().go() for role, port in (("recv", rx), ("send", tx))]
                 for n, (tx, rx) in enumerate((("vale0:a", "vale0:b"), ("netmap:p{1", "netmap:p}1")), 1)]
        log = open(os.path.join(d.dir, "scribbler"), "w+")
        proc = subprocess.Popen([os.environ["BL_SCRIBBLE"], "3", "vale0:b/rt", "netmap:p}1/rt"], env=d.env,
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + SOON_S + 10
            while proc.poll() is None:
                check(time.monotonic() < deadline, "the scribbler ends")
                for t in [t for pair in pairs for t in pair]:
                    t.expect_alive()
                d.table("ports")
                time.sleep(0.05)
            log.seek(0)
            check(proc.returncode == 0, "the scribbler's own end: " + log.read())
        finally:
            proc.kill()
            proc.wait()
            log.close()
        for t in [t for pair in pairs for t in pair]:
            t.expect_alive()
            check(t.max_call_us < 5000000, "a call took too long: " + t.state())
            t.kill()
            t.bury()
        d.wait_ports([])
        tx, rx = d.pair("vale7:a", "vale7:b", 3, lossless=True)
        w = watch(d, "vale7:b", "r", 3).wait_open().go()
        w.wait_progress("received")
        d.settle(tx, rx)


if __name__ == "__main__":
    run(sees_all, reads_nothing, is_told, everybody_is_killed, hostile)
