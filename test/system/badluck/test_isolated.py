#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Isolated clients: frames arrive whole and in order between all combinations of isolated and trusted ones; whoever is
killed, only its own ports end, and all that serve come back; what an isolated client scribbles over nobody else notices;
its rate is kept, and an idle broker sleeps; eventfds that it writes to for ever, or makes full and blocking, cost the broker
little and the others nothing.
"""
import errno
import fcntl
import json
import mmap
import os
import signal
import struct
import subprocess
import threading
import time

import unmproto as u
from badluck import EXIT_GONE, SOON_S, Domain, Failure, Traffic, check, is_alive, process_state, reap_all, run, wait_until

SCRIBBLE_S = 5 * int(os.environ.get("UNM_BADLUCK_TIMES", "1"))
ARGS = ("-l", "60:4000")
POLL_MS = 100


class Inside:
    """Behind a socket for isolated clients: programs started here know of nothing else. Without a name: that of the
    domain's own configuration."""

    def __init__(self, domain, *words, name="i"):
        self.domain, self.name = domain, name
        self.socket = domain.inside if name is None else os.path.join(domain.dir, name + ".sock")
        self.env = dict(domain.env, UNETMAP_SOCKET=self.socket, UNETMAP_NO_AUTOSTART="1")
        if name is not None:
            domain.expect_admin("isolate", "create", name, "socket=" + self.socket, *(words or ("allow=vale0:*",)))

    dir = property(lambda self: self.domain.dir)
    traffic = property(lambda self: self.domain.traffic)

    @property
    def n_started(self):
        return self.domain.n_started

    @n_started.setter
    def n_started(self, n):
        self.domain.n_started = n

    def start(self, role, port, *args):
        return Traffic(self, role, port, *args)

    def broker(self):
        """The broker's process id, once there is one."""
        def found():
            rows = [r for r in self.domain.table_of_isolates() if r["name"] == self.name]
            return rows and rows[0]["broker_pid"]
        return wait_until(found, "there is a broker")


class IsolatedDomain(Domain):
    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.start_daemon()

    def table_of_isolates(self):
        error, text = self.admin("isolate", "show")
        check(error == 0, text)
        return json.loads(text)["isolates"]


def start_pair(d, tx_side, rx_side, tx_port, rx_port, stream, *args):
    """Lossless, so that everything sent has to arrive."""
    rx = rx_side.start("recv", rx_port, "-s", stream, *args).wait_open()
    d.lossless(rx_port)
    rx.go()
    tx = tx_side.start("send", tx_port, "-s", stream, *ARGS, *args).wait_open().go()
    rx.wait_progress("received", 1000)
    return tx, rx


def combinations():
    with IsolatedDomain() as d:
        i, j = Inside(d), Inside(d, "allow=vale0:*", "allow=vale1:*", name="j")
        for n, (tx_side, rx_side) in enumerate(((i, i), (i, j), (i, d), (d, i))):
            tx, rx = start_pair(d, tx_side, rx_side, "vale0:t%d" % n, "vale0:r%d" % n, n + 1)
            rx.wait_progress("received", 20000)
            d.settle(tx, rx)
            tx.quit()
            rx.quit()
        d.wait_ports([])
        d.expect_admin("isolate", "remove", "i")
        d.expect_admin("isolate", "remove", "j")


def start_pipe(tx_side, rx_side, name, stream, *args):
    rx = rx_side.start("recv", "netmap:%s}1" % name, "-s", stream, *args).wait_open().go()
    tx = tx_side.start("send", "netmap:%s{1" % name, "-s", stream, *ARGS, *args).wait_open().go()
    rx.wait_progress("received", 1000)
    return tx, rx


PIPES = ("allow=vale0:*", "allow=netmap:p*")


def pipes():
    """Between all combinations; a receiver that does not read stops the sender, and nothing is dropped. What a killed one
    has not read is there for who opens the end after it."""
    with IsolatedDomain() as d:
        i, j = Inside(d, *PIPES), Inside(d, *PIPES, name="j")
        for n, (tx_side, rx_side) in enumerate(((i, i), (i, j), (i, d), (d, i))):
            tx, rx = start_pipe(tx_side, rx_side, "p%d" % n, n + 1)
            rx.wait_progress("received", 20000)
            rx.pause()
            time.sleep(0.2)
            stuck = tx.accepted
            time.sleep(0.2)
            check(tx.accepted == stuck, "a full pipe stops its sender: " + tx.state())
            used = ticks(i.broker())
            time.sleep(0.5)
            check(ticks(i.broker()) - used <= 1, "and then nobody is busy")
            rx.go()
            rx.wait_progress("received", 20000)
            d.settle(tx, rx)
            rx.pause()
            tx.go()
            wait_until(lambda tx=tx, rx=rx: tx.accepted > rx.next + 100, tx.state)
            rx.kill()
            seen = rx.next
            rx.bury()
            rx = rx_side.start("recv", "netmap:p%d}1" % n, "-s", n + 1).wait_open().go()
            rx.wait_progress("received", 20000)
            check(rx.first <= seen, "frames between %d and %d are lost" % (seen, rx.first))
            d.settle(tx, rx)
            tx.quit()
            rx.quit()
        d.wait_ports([])


def killed_clients():
    """A killed client's ports end; the others, isolated or not, lose nothing."""
    with IsolatedDomain() as d:
        i = Inside(d)
        kept = [start_pair(d, i, i, "vale0:t1", "vale0:r1", 1), start_pair(d, d, i, "vale0:t2", "vale0:r2", 2)]
        names = ["vale0:r1", "vale0:r2", "vale0:t1", "vale0:t2"]
        broker = i.broker()
        for _ in range(12):
            victims = [i.start("recv", "vale0:vr", "-s", 9), i.start("send", "vale0:vt", "-s", 9, *ARGS)]
            for v in victims:
                v.wait_open().go()
            time.sleep(0.02)
            for v in victims:
                v.kill()
            for v in victims:
                v.bury()
            d.wait_ports(names)
        for tx, rx in kept:
            rx.wait_progress("received", 1000)
            d.settle(tx, rx)
        check(i.broker() == broker, "the broker is the same as before")


def killed_broker():
    """Its clients learn that their ports are gone; trusted ones go on; the next broker serves."""
    with IsolatedDomain() as d:
        i = Inside(d)
        trusted = start_pair(d, d, d, "vale0:t1", "vale0:r1", 1)
        for _ in range(2):
            inside = start_pair(d, i, d, "vale0:t2", "vale0:r2", 2)
            sleeper = i.start("recv", "vale0:idle", "-s", 3).wait_open().go()
            pid = i.broker()
            os.kill(pid, signal.SIGKILL)
            for t in (inside[0], sleeper):
                wait_until(lambda t=t: t.proc.poll() is not None, t.state)
                check(t.proc.returncode == EXIT_GONE, "says that the port was taken away: " + t.state())
                t.forget()
            trusted[1].wait_progress("received", 1000)
            inside[1].quit()
            wait_until(lambda pid=pid: i.broker() not in (0, pid), "there is another broker")
        tx, rx = start_pair(d, i, i, "vale0:t3", "vale0:r3", 3)
        d.settle(tx, rx)
        d.settle(*trusted)


def removed():
    """An isolate is removed: its clients learn that their ports are gone, and no program starts a netmapd of its own in its
    place, where nothing of the policy would hold. It can be made again there; and a netmapd, on purpose."""
    with IsolatedDomain() as d:
        i = Inside(d)
        del i.env["UNETMAP_NO_AUTOSTART"]
        for _ in range(2):
            tx = i.start("send", "vale0:t", "-s", 1, *ARGS).wait_open().go()
            idle = i.start("recv", "vale0:idle", "-s", 3).wait_open().go()
            d.expect_admin("isolate", "remove", "i")
            for t in (tx, idle, i.start("send", "vale9:other", "-s", 4)):
                wait_until(lambda t=t: t.proc.poll() is not None, t.state)
                t.forget()
            check(tx.proc.returncode == EXIT_GONE and idle.proc.returncode == EXIT_GONE, tx.state() + idle.state())
            check("isolated clients" in t.messages(), "a new program is told why: " + t.state())
            try:
                u.Session(i.socket)
            except ConnectionRefusedError:
                pass
            else:
                raise Failure("somebody serves at the socket of an isolate that was removed")
            d.expect_admin("isolate", "create", "i", "socket=" + i.socket, "allow=vale0:*")
        d.expect_admin("isolate", "remove", "i")
        subprocess.run([os.environ["NETMAPD"], "--autostart", "--socket", i.socket], check=True, timeout=SOON_S)
        i.start("recv", "vale9:r", "-s", 5).wait_open().quit()
        check(u.Session(i.socket, hello=False).admin("stop")[0] == 0, "it ends")


def killed_netmapd():
    """Traffic goes on without it; the next one knows socket, policy and ports, and new ones can be opened."""
    with IsolatedDomain() as d:
        i = Inside(d, *PIPES)
        pairs = [start_pair(d, i, i, "vale0:t1", "vale0:r1", 1), start_pair(d, i, d, "vale0:t2", "vale0:r2", 2),
                 start_pipe(i, i, "p5", 5), start_pipe(d, i, "p6", 6)]
        broker = i.broker()
        for n in range(2):
            pid = d.settled_daemon()
            os.kill(pid, signal.SIGKILL)
            d.bury_daemon(pid)
            for _, rx in pairs:
                rx.wait_progress("received", 1000)
            d.start_daemon()
            d.settled_daemon()
            check(i.broker() == broker, "the broker was taken over")
            for _, rx in pairs:
                rx.wait_progress("received", 1000)
            pairs.append(start_pair(d, d, i, "vale0:t%d" % (n + 3), "vale0:r%d" % (n + 3), n + 3))
        # Neither memory nor ends have become anybody's: the same is refused as before.
        s, trusted = u.Session(i.socket), u.Session(os.path.join(d.dir, "s"))
        check(trusted.register(trusted.open(), "vale0:r1").error == errno.EBUSY, "an isolated client's port")
        check(trusted.register(trusted.open(), "p5}1").error == errno.EBUSY, "an isolated client's end")
        held = trusted.open()
        check(trusted.register(held, "p7{1").error == 0, "the region of pipes is everybody's")
        check(s.register(s.open(), "p7{1").error == errno.EBUSY, "a trusted client's end")
        for x in (held, s, trusted):
            x.close()
        for tx, rx in pairs:
            d.settle(tx, rx)


class Configured(Domain):
    """A netmapd that somebody has started by hand, with a file that has an isolate in it."""

    CLIENTS = 77

    def __init__(self):
        super().__init__()
        self.conf, self.inside = os.path.join(self.dir, "k.conf"), os.path.join(self.dir, "i.sock")
        self.write("clients = %d" % self.CLIENTS)
        self.start_by_hand()

    def start_by_hand(self):
        """From the directory of the file, which is not where its successor is started."""
        self.proc = subprocess.Popen([os.environ["NETMAPD"], "--foreground", "--socket", self.socket, "-c", "k.conf"],
                                     cwd=self.dir, env=dict(self.env, UNETMAP_SOCKET=""), stderr=subprocess.DEVNULL)

    def write(self, limits):
        with open(self.conf, "w") as f:
            f.write("[limits]\n%s\n[isolate i]\nsocket = %s\nallow = vale0:*\n" % (limits, self.inside))

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        self.bury_daemon(pid)

    def expect_rules(self):
        limit = self.table("daemon")[0]["max_clients"]
        check(limit == self.CLIENTS, "the successor lets in %d clients" % limit)


def successor_holds_to_the_configuration():
    """Whoever starts the next netmapd, the file of the one before holds: its isolates and limits. If it can't be read there
    is none, while traffic goes on, and programs are told how to learn why."""
    with Configured() as d:
        i = Inside(d, name=None)
        wait_until(lambda: os.path.exists(d.inside), "the isolate is there")
        tx, rx = start_pair(d, i, d, "vale0:t1", "vale0:r1", 1)
        error, text = d.admin("isolate", "show")
        broker = json.loads(text)["isolates"][0]["broker_pid"]
        d.kill(d.daemon())
        time.sleep(0.5)
        d.start_by_hand()
        pid = d.settled_daemon()
        check(pid == d.proc.pid, "who started it by hand has a moment to do so again")
        for _ in range(2):
            d.kill(pid)
            pid = d.settled_daemon()
            d.expect_rules()
            rx.wait_progress("received", 10000)
            check(is_alive(broker), "the broker goes on")
        d.write("clients = many")
        d.kill(pid)
        rx.wait_progress("received", 10000)
        new = d.start("recv", "vale1:x", "-s", 2)
        wait_until(lambda: new.proc.poll() is not None, new.state)
        check("netmapd --autostart --socket %s" % d.socket in new.messages(), new.state())
        told = subprocess.run([os.environ["NETMAPD"], "--autostart", "--socket", d.socket], stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, text=True, timeout=SOON_S)
        check(told.returncode == 1 and d.conf + ":2: clients = 'many'" in told.stderr, told.stderr)
        new.forget()
        reap_all()
        d.write("clients = %d" % d.CLIENTS)
        d.settled_daemon()
        d.expect_rules()
        rx.wait_progress("received", 10000)
        d.settle(tx, rx)
        check(is_alive(broker), "the broker has lived through it")


def both_killed():
    """Broker and netmapd: the socket is made again, with the same policy."""
    with IsolatedDomain() as d:
        i = Inside(d)
        start_pair(d, i, i, "vale0:t1", "vale0:r1", 1)
        pid, broker = d.daemon(), i.broker()
        os.kill(broker, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        d.bury_daemon(pid)
        for t in list(d.traffic):
            wait_until(lambda t=t: t.proc.poll() is not None, t.state)
            t.forget()
        d.start_daemon()
        d.settled_daemon()
        wait_until(lambda: i.broker() not in (0, broker), "there is another broker")
        tx, rx = start_pair(d, i, i, "vale0:t2", "vale0:r2", 2)
        d.settle(tx, rx)


def scribbled_over():
    """One overwrites all it can reach at random, CSB included: others lose nothing, of another isolate or the same."""
    with IsolatedDomain() as d:
        i = Inside(d, *PIPES)
        pairs = [start_pair(d, i, i, "vale0:t1", "vale0:r1", 1), start_pair(d, d, d, "vale0:t2", "vale0:r2", 2),
                 start_pair(d, d, i, "vale0:t3", "vale0:r3", 3)]
        netmapd, broker = d.daemon(), i.broker()
        pairs += [start_pipe(i, i, "p4", 4), start_pipe(d, i, "p5", 5)]
        log = open(os.path.join(d.dir, "scribbler"), "w+")
        vandal = i.start("send", "vale0:vandal", "-s", 9, "-k", "-t", POLL_MS, *ARGS).wait_open().go()
        for n in range(2):
            proc = subprocess.Popen([os.environ["BL_SCRIBBLE"], str(SCRIBBLE_S), "vale0:bad%d" % n, "vale0:worse%d" % n,
                                     "netmap:pb%d{1" % n, "netmap:pb%d}1" % n],
                                    env=i.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                while proc.poll() is None:
                    for tx, rx in pairs:
                        tx.expect_alive()
                        rx.wait_progress("received", 10)
                    d.table("rings")
            finally:
                proc.kill()
                proc.wait()
        log.seek(0)
        says = log.read()
        log.close()
        check(proc.returncode == 0 and "stores" in says, "the scribbler's own end: " + says)
        vandal.kill()
        vandal.bury()
        for tx, rx in pairs:
            # Frames that came from the vandal may be torn; whatever was sent to this receiver is whole.
            tx.pause()
            wait_until(lambda tx=tx, rx=rx: rx.next == tx.filled, lambda tx=tx, rx=rx: tx.state() + rx.state())
            check(rx.missing == 0 and rx.late == 0, "frames lost or out of order: " + rx.state())
            check(max(tx.max_call_us, rx.max_call_us) < 5000000, "a call took too long: " + tx.state() + rx.state())
        check(d.daemon() == netmapd and i.broker() == broker, "nobody had to be started again")
        d.wait_ports(sorted("vale0:%s%d" % (x, n) for x in "tr" for n in (1, 2, 3)) +
                     ["p%d%s" % (n, end) for n in (4, 5) for end in ("", "{1", "}1")])


KICK_FD, SEGMENT_FD, CALL_FD = 2, 3, 4  # of a binding's descriptors
CSB_OFS_AT, ATOK_SIZE, NEED_KICK_AT = 112, 64, 8
RX_RING = 1  # the first one is a tx ring
FULL = struct.pack("=Q", 0xfffffffffffffffe)


def forge_need_kick(fd):
    """The client says that it sleeps on its rx ring."""
    with mmap.mmap(fd, 0) as m:
        csb = struct.unpack_from("=Q", m, CSB_OFS_AT)[0]
        struct.pack_into("=I", m, csb + RX_RING * ATOK_SIZE + NEED_KICK_AT, 1)


def wake_abuse():
    """Kicks without end and without work: the broker stays below a tenth of a processor. A call descriptor that is full and
    blocking: its owner loses the port. Others of the same socket go on meanwhile, and a wake-up of theirs takes no second."""
    with IsolatedDomain() as d:
        i = Inside(d, *PIPES)
        s = u.Session(i.socket)
        kicker, deaf = s.open(), s.open()
        bindings = [s.register(kicker, "vale0:kicker"), s.register(deaf, "p}deaf")]
        for r in bindings:
            check(r.error == 0, r.text)
        stop = threading.Event()

        def kick():
            one = struct.pack("=Q", 1)
            while not stop.is_set():
                for fd in (bindings[0].fds[KICK_FD], bindings[0].fds[CALL_FD]):
                    try:
                        os.write(fd, one)
                    except BlockingIOError:
                        pass
        thread = threading.Thread(target=kick)
        thread.start()
        try:
            time.sleep(0.5)
            broker = i.broker()
            start = ticks(broker)
            time.sleep(2)
            used = ticks(broker) - start
            check(used <= 2 * os.sysconf("SC_CLK_TCK") / 10, "%d ticks in two seconds, for kicks" % used)
            tx, rx = start_pipe(i, i, "p1", 1)
            rx.wait_progress("received", 20000)

            r = bindings[1]
            fcntl.fcntl(r.fds[CALL_FD], fcntl.F_SETFL, 0)
            os.write(r.fds[CALL_FD], FULL)
            forge_need_kick(r.fds[SEGMENT_FD])
            feeder = d.start("send", "netmap:p{deaf", "-s", 9, *ARGS).wait_open().go()
            time.sleep(1)
            rx.wait_progress("received", 20000)
            d.settle(tx, rx)
            check(rx.max_delay_us < 1000000, "others waited: " + rx.state())
            feeder.kill()
            feeder.bury()
            check(i.broker() == broker and is_alive(broker), "the broker is the same as before")
        finally:
            stop.set()
            thread.join()
            for r in bindings:
                r.close()
            s.close()


def ticks(pid):
    return process_state(pid)[1]


def idle_sleeps_and_rate_holds():
    """Open and idle costs nothing. A rate is kept by the sender's ring, and is nobody else's."""
    with IsolatedDomain() as d:
        i, slow = Inside(d), Inside(d, *PIPES, "rate=20k", name="slow")
        tx, rx = start_pair(d, i, i, "vale0:t1", "vale0:r1", 1)
        limited = start_pair(d, slow, d, "vale0:t2", "vale0:r2", 2)
        before, began = limited[1].received, time.monotonic()
        rx.wait_progress("received", 50000)
        limited[1].wait_progress("received", 10000)
        rate = (limited[1].received - before) / (time.monotonic() - began)
        check(rate < 25000, "%.0f frames a second, of 20000" % rate)
        d.settle(tx, rx)
        d.settle(*limited)
        limited[0].quit()
        pipe = start_pipe(slow, d, "p1", 3)
        before, began = pipe[1].received, time.monotonic()
        pipe[1].wait_progress("received", 20000)
        rate = (pipe[1].received - before) / (time.monotonic() - began)
        check(rate < 25000, "%.0f frames a second through a pipe, of 20000" % rate)
        d.settle(*pipe)
        pids = [i.broker(), slow.broker()]
        time.sleep(0.3)  # whatever is still looking around gives up
        start = [ticks(pid) for pid in pids]
        time.sleep(1)
        used = [ticks(pid) - t for pid, t in zip(pids, start)]
        check(max(used) <= 1, "idle brokers have used %s clock ticks in a second" % used)
        check(all(is_alive(pid) for pid in pids), "they live")


run(combinations, pipes, killed_clients, killed_broker, removed, killed_netmapd, successor_holds_to_the_configuration,
    both_killed, scribbled_over, wake_abuse, idle_sleeps_and_rate_holds)
