#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Network interfaces as ports, in a network namespace of the test's own: what becomes of an interface's port, and of what
is made over it, when the interface, its clients and netmapd end in any order. Skipped without root.
"""
import errno
import json
import os
import shutil
import struct
import subprocess
import sys
import time

import unmproto as u

CLONE_NEWNET = 0x40000000
N_OTHERS = 16


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL)


class Veth:
    """A veth pair NAME and NAMEp, both up."""

    def __init__(self, name):
        self.name = name
        ip("link", "add", name, "type", "veth", "peer", "name", name + "p")
        for end in (name, name + "p"):
            ip("link", "set", "dev", end, "up")

    def close(self):
        ip("link", "del", "dev", self.name)


class Held:
    """A binding with its descriptors, as a client keeps them."""

    def __init__(self, session, name, **kw):
        self.desc = session.open()
        r = session.register(self.desc, name, **kw)
        u.expect(r.error, 0, "register " + name + ": " + r.text)
        self.info, self.fds = r.info, r.fds

    def restore(self, session):
        message = struct.pack("<II", 1, 0) + self.info.raw
        return session.request(u.RESTORE, message, [self.desc.d.fileno()] + self.fds[1:]).error

    def close(self):
        self.desc.close()
        for fd in self.fds:
            os.close(fd)


def restart(daemon, session, meanwhile=lambda: None):
    """Kill netmapd and start it again; return the session's successor."""
    daemon.kill()
    session.close()
    meanwhile()
    daemon.start()
    s = daemon.session(hello=False)
    ans = s.request(u.HELLO, u.HELLO_BODY.pack(u.VERSION, session.slot, 12345, os.getpid(), 0, b"test", b""))
    u.expect(ans.error, 0, "hello")
    s.slot = u.HELLO_BODY.unpack(ans.body)[1]
    return s


def ports(session):
    """All ports by name."""
    error, text = session.admin("show", "ports")
    u.expect(error, 0, "show ports")
    return {p["name"]: p for p in json.loads(text)["ports"]}


def wait_until(what, condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def wait_for_end(session, name):
    wait_until(name + " does not end", lambda: name not in ports(session))


def check_others(session, close):
    """Ports that are made now, perhaps where one was that is gone, are as they were after close()."""
    others = [Held(session, "o%d{1" % i) for i in range(N_OTHERS)]
    close()
    now = ports(session)
    u.expect([now.get("o%d" % i, {}).get("pipes") for i in range(N_OTHERS)], [1] * N_OTHERS, "bases of other pipes")
    for h in others:
        h.close()


def pipes_outlive_an_interface(daemon):
    """The base of a pipe is an interface that is removed: the pipe goes on, and its end touches nothing of the base."""
    for nic_is_open in (True, False):
        veth = Veth("t0")
        s = daemon.session()
        nic, pipe = Held(s, "t0"), Held(s, "t0{1")
        if not nic_is_open:
            nic.close()
        u.expect(ports(s)["t0"]["pipes"], 1, "pipes of the base")
        veth.close()
        wait_until("the port does not end", lambda: ports(s).get("t0", {"closing": True})["closing"])
        if nic_is_open:
            nic.close()
        wait_for_end(s, "t0")
        other = Held(s, "t0}1")
        u.expect(other.info.region_uid, pipe.info.region_uid, "memory of the other end")
        other.close()
        check_others(s, pipe.close)
        u.expect(ports(s), {}, "ports left behind")
        s.close()


def pipes_outlive_the_side_of_a_host(daemon):
    """The same of the TAP beside an interface on a switch."""
    veth = Veth("t1")
    s = daemon.session()
    desc = s.open()
    attach = u.REG_BODY.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, u.NIC_SW, 0, 0) + bytes(8)
    r = s.ctrl(desc, u.VALE_ATTACH, "vale0:t1", attach)
    if r.error != 0:
        print("# no host rings here: " + r.text)
    else:
        pipe = Held(s, "tap:t1^{1")
        u.expect(ports(s)["tap:t1^"]["pipes"], 1, "pipes of the base")
        u.expect(s.ctrl(desc, u.VALE_DETACH, "vale0:t1", bytes(8)).error, 0, "detach")
        wait_for_end(s, "tap:t1^")
        check_others(s, pipe.close)
    desc.close()
    wait_until("ports left behind", lambda: not ports(s))
    veth.close()
    s.close()


def pipes_keep_no_interface_without_sockets(daemon):
    """After a restart an interface's port whose sockets nobody has handed back ends, though it is the base of a pipe."""
    for is_removed in (False, True):
        veth = Veth("t2")
        s = daemon.session()
        nic, pipe = Held(s, "t2"), Held(s, "t2{1")
        if is_removed:
            b = restart(daemon, s, veth.close)
            u.expect(nic.restore(b), errno.ENXIO, "restore of an interface that is gone")
            nic.close()
            veth = Veth("t2")
        else:
            b = restart(daemon, s, nic.close)
        u.expect(pipe.restore(b), 0, "restore of the pipe")
        u.expect(b.request(u.RESTORE_DONE).error, 0, "done")
        again = Held(b, "t2")
        u.expect(again.info.n_port_fds, len(again.fds) - 5, "descriptors")
        u.expect(ports(b)["t2"]["interface"]["name"], "t2", "interface of the port")
        other = Held(b, "t2}1")
        u.expect(other.info.region_uid, pipe.info.region_uid, "memory of the other end")
        for h in (again, other, pipe):
            h.close()
        wait_until("ports left behind", lambda: not ports(b))
        veth.close()
        b.close()


def pipes_keep_no_tap_without_queues(daemon):
    """The same of a TAP."""
    s = daemon.session()
    tap, pipe = Held(s, "tap:t3"), Held(s, "tap:t3{1")
    b = restart(daemon, s, tap.close)
    u.expect(pipe.restore(b), 0, "restore of the pipe")
    u.expect(b.request(u.RESTORE_DONE).error, 0, "done")
    again = Held(b, "tap:t3")
    u.expect(again.info.n_port_fds, tap.info.n_port_fds, "queues")
    for h in (again, pipe):
        h.close()
    wait_until("ports left behind", lambda: not ports(b))
    b.close()


if __name__ == "__main__":
    if os.geteuid() != 0 or shutil.which("ip") is None or u.libc.unshare(CLONE_NEWNET) != 0:
        print("1..0 # SKIP making a network namespace takes root, and ip")
        sys.exit(0)
    # Memory that is freed is what is given out next, so that a use of it shows also without a sanitizer.
    u.run([pipes_outlive_an_interface, pipes_outlive_the_side_of_a_host, pipes_keep_no_interface_without_sockets,
           pipes_keep_no_tap_without_queues],
          env=dict(os.environ, GLIBC_TUNABLES="glibc.malloc.tcache_count=0"))
