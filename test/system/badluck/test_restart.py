#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""netmapd is killed and comes back under traffic.

Proves that trusted clients go on without losing a frame, that what netmapd knew is known again (ports, addresses), that new
clients join the old switch and exchange frames with old clients in both directions, that ports end with their clients
as before, and what becomes of clients that could not come back in time because they were stopped: no hang, but a clear end.
"""
import json
import os
import shutil
import signal
import struct
import time

import unmproto
from badluck import EXIT_GONE, STARTING, Domain, check, is_alive, process_state, run, wait_until

N_RESTARTS = 12
GRACE_S = 3  # netmapd waits that long for clients of the previous run


def restart(d):
    """Kill netmapd; a client starts the next one."""
    pid = d.daemon()
    os.kill(pid, signal.SIGKILL)
    d.bury_daemon(pid)
    check(d.settled_daemon() != pid, "another netmapd serves")


def addresses(d):
    return sorted((m["mac"], m["port"]) for m in d.table("mac"))


def old_and_new_clients():
    with Domain() as d:
        pipe = d.pair("netmap:p{1", "netmap:p}1", 1, "-l", "60:4000")
        vale = d.pair("vale0:tx", "vale0:rx", 2, "-l", "60:4000", lossless=True)
        slow = d.pair("vale0:slow", "vale0:slowrx", 3, "-B", "-R", 500)  # everybody's receiver gets these
        target = d.start("recv", "vale0:target", "-s", 4).wait_open().go()
        slow[1].wait_progress("received")
        old_ports = d.ports()
        for n in range(1, N_RESTARTS + 1):
            known = addresses(d)
            restart(d)
            check(addresses(d) == known, "addresses %s, were %s" % (addresses(d), known))
            check(d.ports() == old_ports, "ports %s, were %s" % (d.ports(), old_ports))
            new_rx = d.start("recv", "vale0:newrx", "-s", 3).wait_open().go()
            new_tx = d.start("send", "vale0:newtx", "-s", 4, "-r", n, "-R", 1000).wait_open().go()
            new_rx.wait_progress("received")
            wait_until(lambda: target.run == n, target.state)
            for t in (new_rx, new_tx):
                t.kill()
                t.bury()
            d.wait_ports(old_ports)
        # A stream to a known address goes nowhere else, and a learned address stays learned.
        check(slow[1].foreign == 0, "known addresses were flooded: " + slow[1].state())
        d.settle(*pipe)
        d.settle(*vale)
        for t in pipe:
            t.quit()
        d.wait_ports([p for p in old_ports if not p.startswith("p")])


def stopped_and_continued():
    """A client that sleeps through a restart, but not for long, loses nothing."""
    with Domain() as d:
        tx, rx = d.pair("netmap:p{1", "netmap:p}1", 1)
        other = d.pair("vale0:tx", "vale0:rx", 2, lossless=True)
        for sleeper in (rx, tx, other[1], other[0]):
            sleeper.stop()
            pid = d.daemon()
            os.kill(pid, signal.SIGKILL)
            d.bury_daemon(pid)
            check(d.daemon() != pid, "another netmapd serves")
            time.sleep(GRACE_S / 10)
            check(d.table("daemon")[0]["restoring"], "netmapd waits for the one that is missing")
            sleeper.cont()
            d.settled_daemon()
            rx.wait_progress("received")
            other[1].wait_progress("received")
        check(d.ports() == ["p", "p{1", "p}1", "vale0:rx", "vale0:tx"], "ports %s" % d.ports())
        d.settle(tx, rx)
        d.settle(*other)


def ends_before_others_are_back():
    """A client that ends while netmapd waits for others takes nothing away from these: not its peer's port, no memory."""
    with Domain() as d:
        tx, rx = d.pair("netmap:p{1", "netmap:p}1", 1)
        slow = d.pair("netmap:q{1", "netmap:q}1", 2)
        ports = d.ports()
        for t in (rx,) + slow:
            t.stop()
        pid = d.daemon()
        os.kill(pid, signal.SIGKILL)
        d.bury_daemon(pid)
        wait_until(lambda: tx.proc.pid in [c["pid"] for c in d.table("clients")], "the sender is back")
        wait_until(lambda: "p{1" in d.ports(), "its port is back")
        tx.kill()
        tx.bury()
        wait_until(lambda: tx.proc.pid not in [c["pid"] for c in d.table("clients")], "netmapd knows of its end")
        check(d.table("daemon")[0]["restoring"], "netmapd waits for the others")
        for t in (rx,) + slow:
            t.cont()
        d.settled_daemon()
        check(d.ports() == ports, "ports %s, were %s" % (d.ports(), ports))
        wait_until(lambda: rx.next >= tx.accepted, lambda: "frames are lost: %s\n%s" % (tx.state(), rx.state()))
        tx = d.start("send", "netmap:p{1", "-s", 1, "-r", 2).wait_open().go()
        wait_until(lambda: rx.run == 2, lambda: "nothing arrives: %s\n%s" % (tx.state(), rx.state()))
        for pair in (tx, rx), slow:
            d.settle(*pair)
            for t in pair:
                t.quit()
        d.wait_ports([])
        check(not any(m["committed"] for m in d.table("memory")), "memory is left: %s" % d.table("memory"))


def wait_gone(t):
    """It says that its port was taken away, and ends."""
    wait_until(lambda: t.proc.poll() is not None, lambda: "does not notice: " + t.state())
    check(t.proc.returncode == EXIT_GONE, "ends otherwise: " + t.state())
    t.forget()


def stopped_for_too_long():
    """Who comes back after netmapd has cleaned up is told that its port is gone; the place is free for the next one."""
    with Domain() as d:
        lasting = d.pair("vale0:tx", "vale0:rx", 1, lossless=True)
        tx, rx = d.pair("netmap:p{1", "netmap:p}1", 2)
        single = d.start("recv", "vale0:single", "-s", 3).wait_open().go()
        rx.stop()
        single.stop()
        restart(d)
        d.wait_ports(["p", "p{1", "p}1", "vale0:rx", "vale0:tx"])
        # Its end of the pipe is there as long as the other one, with what is queued
        rx.cont()
        single.cont()
        wait_gone(rx)
        wait_gone(single)
        new = d.start("recv", "netmap:p}1", "-s", 2).wait_open().go()
        new.wait_progress("received")
        check(new.first <= rx.next, "queued frames were lost: %s\n%s" % (rx.state(), new.state()))
        d.settle(tx, new)
        d.settle(*lasting)
        for t in (tx, new) + lasting:
            t.quit()
        d.wait_ports([])


def stopped_alone():
    """Who comes back long after a restart finds its memory, switch and pipe as they were, whatever was made meanwhile."""
    with Domain() as d:
        lasting = d.pair("vale0:tx", "vale0:rx", 1, lossless=True)
        pipe = d.pair("netmap:p{1", "netmap:p}1", 2)
        switch = d.pair("vale1:tx", "vale1:rx", 3, lossless=True)
        old_ports = d.ports()
        ids = {m["id"] for m in d.table("memory")}
        for t in pipe + switch:
            t.stop()
        restart(d)
        d.wait_ports(["vale0:rx", "vale0:tx"])
        new = d.pair("netmap:q{1", "netmap:q}1", 4), d.pair("vale2:tx", "vale2:rx", 5, lossless=True)
        restart(d)  # nor does the next one forget who is missing, and it does not wait again
        new += (d.pair("netmap:r{1", "netmap:r}1", 6), d.pair("vale3:tx", "vale3:rx", 7, lossless=True))
        d.expect_admin("create", "keep")
        now = {m["id"] for m in d.table("memory")}
        check(len(ids & now) == 2, "memory %s, was %s: only the regions of those that did not stop" % (now, ids))
        ports = d.ports()
        for t in pipe + switch:
            t.cont()
        d.wait_ports(ports + [p for p in old_ports if p not in ports])
        for t in pipe + switch:
            t.wait_progress("received" if t.role == "recv" else "accepted")
        check({m["id"] for m in d.table("memory")} == ids | now, "memory %s" % d.table("memory"))
        restart(d)
        d.wait_ports(ports + [p for p in old_ports if p not in ports])
        for pair in (pipe, switch, lasting) + new:
            d.settle(*pair)
            for t in pair:
                t.quit()
        d.wait_ports(["keep"])
        check(len(d.table("memory")) <= 2, "memory of those that ended: %s" % d.table("memory"))


def stopped_and_replaced():
    """Who finds its switch or its pipe made anew is told so; the new ones, and its own other port, are not harmed."""
    with Domain() as d:
        lasting = d.pair("vale0:tx", "vale0:rx", 1, lossless=True)
        old = d.start("recv", "vale1:rx", "-s", 2).wait_open().go(), d.start("recv", "netmap:p}1", "-s", 2).wait_open().go()
        for t in old:
            t.stop()
        restart(d)
        d.wait_ports(["vale0:rx", "vale0:tx"])
        new = d.pair("vale1:tx", "vale1:rx", 3, lossless=True), d.pair("netmap:p{1", "netmap:p}1", 4)
        ports = d.ports()
        for t in old:
            t.cont()
        for t in old:
            wait_until(lambda t=t: t.proc.poll() is not None, lambda t=t: "does not notice: " + t.state())
            check(t.proc.returncode == EXIT_GONE and "others have made" in t.messages(), "not told why: " + t.state())
            t.forget()
        check(d.settled_daemon() and d.ports() == ports, "ports %s, were %s" % (d.ports(), ports))
        for pair in (lasting,) + new:
            d.settle(*pair)


class Held:
    """A client made by hand, so that it comes back when we want: one registered descriptor with all that belongs to it."""

    def __init__(self, d, port):
        self.d, self.session = d, d.session()
        self.desc = self.session.open()
        answer = self.session.register(self.desc, port)
        check(answer.error == 0, "register %s: %s" % (port, answer.text))
        self.info, self.fds = answer.info, answer.fds

    def come_back(self):
        self.session.close()
        self.session = self.d.session(hello=False)
        # not the first run of netmapd that it has seen: any number will do
        hello = unmproto.HELLO_BODY.pack(unmproto.VERSION, 0, 1, os.getpid(), 0, b"test", b"")
        check(self.session.request(unmproto.HELLO, hello).error == 0, "HELLO")
        answer = self.session.request(unmproto.RESTORE, struct.pack("<II", 1, 0) + self.info.raw,
                                      [self.desc.d.fileno()] + self.fds[1:] + [self.desc.c.fileno()])
        check(self.session.request(unmproto.RESTORE_DONE).error == 0, "RESTORE_DONE")
        return answer.error

    def close(self):
        self.session.close()
        self.desc.close()
        for fd in self.fds:
            os.close(fd)


def slow_to_return():
    """A client that lives is waited for, also longer than for one that nobody knows of: the machine may be busy."""
    with Domain() as d:
        tx, rx = d.pair("vale0:tx", "vale0:rx", 1, lossless=True)
        held = Held(d, "vale0:late")
        pid = d.daemon()
        os.kill(pid, signal.SIGKILL)
        d.bury_daemon(pid)
        check(d.daemon() != pid, "another netmapd serves")
        new = d.start("recv", "vale0:new", "-s", 2)
        time.sleep(GRACE_S * 1.5)
        check(d.table("daemon")[0]["restoring"], "netmapd waits for a client that lives")
        check(new.mode == STARTING, "new ports wait meanwhile")
        error = held.come_back()
        check(error == 0, "the port is not taken back: errno %d" % error)
        new.wait_open()
        check(d.ports() == ["vale0:late", "vale0:new", "vale0:rx", "vale0:tx"], "ports %s" % d.ports())
        held.close()
        d.wait_ports(["vale0:new", "vale0:rx", "vale0:tx"])
        d.settle(tx, rx)


def everybody_gone():
    """netmapd and all clients die; what comes then finds a clean netmapd."""
    with Domain() as d:
        for n in range(3):
            pairs = d.pair("netmap:p{1", "netmap:p}1", 1), d.pair("vale0:tx", "vale0:rx", 2)
            pid = d.daemon()
            for t in [t for pair in pairs for t in pair]:
                t.kill()
            os.kill(pid, signal.SIGKILL)
            for t in [t for pair in pairs for t in pair]:
                t.bury()
            d.bury_daemon(pid)
        began = time.monotonic()
        last = d.start("recv", "vale0:rx", "-s", 1).wait_open()
        check(time.monotonic() - began < GRACE_S, "nobody waits for the dead: %.1f s" % (time.monotonic() - began))
        check(d.ports() == ["vale0:rx"], "ports %s" % d.ports())
        check([m["kind"] for m in d.table("memory")].count("private") == 1, "memory of the dead: %s" % d.table("memory"))
        last.quit()


def clients_end_meanwhile():
    """Clients that end in order while there is no netmapd: the next one knows that they are gone."""
    with Domain(env={"UNETMAP_NO_AUTOSTART": "1"}) as d:
        pid = d.start_daemon()
        pairs = d.pair("netmap:p{1", "netmap:p}1", 1), d.pair("vale0:tx", "vale0:rx", 2, lossless=True)
        pairs[1][1].wait_progress("received")  # how to wake whom is known
        os.kill(pid, signal.SIGKILL)
        d.bury_daemon(pid)
        for t in pairs[0]:
            t.quit()
        pairs[1][1].wait_progress("received")
        pid = d.start_daemon()
        d.settled_daemon()
        d.wait_ports(["vale0:rx", "vale0:tx"])
        d.settle(*pairs[1])


def socket_removed():
    """Who can't be found any more ends, persistent ports or not, once nobody has a port open; before, it sleeps on."""
    for removed in ("directory", "socket", "moved"):
        with Domain(env={"UNETMAP_NO_AUTOSTART": "1"}) as d:
            pid = d.start_daemon()
            d.expect_admin("create", "p0")
            d.expect_admin("isolate", "create", "i", "socket=" + os.path.join(d.dir, "i"), "allow=vale0:*")
            broker = wait_until(lambda d=d: json.loads(d.admin("isolate", "show")[1])["isolates"][0]["broker_pid"],
                                "there is a broker")
            user = d.start("recv", "vale0:r", "-s", 1).wait_open().go()
            if removed == "directory":
                shutil.rmtree(d.dir)
            elif removed == "socket":
                os.unlink(d.socket)
            else:
                os.rename(d.dir, d.dir + ".old")
                d.dir += ".old"
            time.sleep(0.5)
            used = process_state(pid)[1]
            time.sleep(0.5)
            check(is_alive(pid), "there is a client (%s)" % removed)
            check(process_state(pid)[1] - used <= 1, "it sleeps")
            user.kill()
            wait_until(lambda pid=pid: not is_alive(pid), "netmapd has ended (%s)" % removed)
            wait_until(lambda broker=broker: not is_alive(broker), "so has its broker (%s)" % removed)
            d.bury_daemon(pid)
            user.proc.wait()
            user.forget()


run(old_and_new_clients, stopped_and_continued, ends_before_others_are_back, stopped_for_too_long, stopped_alone,
    stopped_and_replaced, slow_to_return, everybody_gone, clients_end_meanwhile, socket_removed)
