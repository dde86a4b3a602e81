#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Network interfaces as ports, in a network namespace of the test's own: what becomes of an interface's port, and of what
is made over it, when the interface, its clients and netmapd end in any order; and that netmapd believes nothing that
clients can write to. Skipped without root.
"""
import errno
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
import time

import unmproto as u

CLONE_NEWNET = 0x40000000
N_OTHERS = 16
XDP_MODES, PACKET = (1, 2, 3), 4

# Of struct unm_nic_state: what never changes, and where the rest is
WORDS = {"magic": 0, "version": 4, "size": 8, "mode": 16, "n_queues": 20, "ifindex": 24, "is_multi_buffer": 28, "lead": 32,
         "stride": 40, "n_window": 44, "frame_room": 48, "n_bounce": 52, "tx_size": 56, "comp_size": 60, "rx_size": 64,
         "fill_size": 68, "rx_producer": 72, "rx_desc": 88, "tx_consumer": 112, "fill_flags": 160, "comp_desc": 184}
SETUP_SIZE, RXQ_N_POOL, RXQ_SIZE, BOUNCE, OWNER = 256, 256 + 32 * 128 + 32, 128, 256 + 64 * 128, 256 + 64 * 128 + 32 * 128 * 4


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL)


class Veth:
    """A veth pair NAME and NAMEp, both up."""

    def __init__(self, name, queues=1):
        self.name = name
        n = ("numtxqueues", str(queues), "numrxqueues", str(queues))
        ip("link", "add", name, *n, "type", "veth", "peer", "name", name + "p", *n)
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
        return session.request(u.RESTORE, message, [self.desc.d.fileno()] + self.fds[1:] + [self.desc.c.fileno()]).error

    def state(self):
        """The words that the interface's clients share."""
        fd = next(f for f in self.fds if "unetmap-nic" in os.readlink("/proc/self/fd/%d" % f))
        return mmap.mmap(fd, os.fstat(fd).st_size)

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


def used_buffers(session):
    """Of the global region."""
    return next(m for m in json.loads(session.admin("show", "memory")[1])["memory"] if m["id"] == 1)["buffers"]["used"]


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


def attach(session, desc, name, mode):
    return session.ctrl(desc, u.VALE_ATTACH, name, u.REG_BODY.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, mode, 0, 0) + bytes(8))


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


def an_interface_after_a_pipe_of_its_name(daemon):
    """A pipe's own base makes room for the interface or the TAP; the pipe goes on. One that a program has opened does not."""
    for name, kind in (("t0", "nic"), ("tap:t9", "tap")):
        s = daemon.session()
        pipe = Held(s, name + "{1")
        u.expect(ports(s)[name]["kind"], "base", "the pipe's own base")
        base = Held(s, name) if kind == "nic" else None
        veth = Veth("t0")
        if base:
            late = s.open()
            r = s.register(late, name)
            u.expect((r.error, "close that first" in r.text), (errno.EBUSY, True), "the base is open: " + r.text)
            late.close()
            base.close()
            wait_until("the base is still open", lambda: ports(s)[name]["users"] == 0)
        if kind == "nic":  # what can't be opened leaves the base as it is
            ip("route", "add", "default", "dev", "t0")
            u.expect(s.register(s.open(), name).error, errno.EPERM, "the only default route")
            u.expect(ports(s)[name], dict(ports(s)[name], kind="base", pipes=1), "the base")
            ip("route", "del", "default", "dev", "t0")
        opened = Held(s, name)
        u.expect(ports(s)[name]["kind"], kind, "what is opened")
        other = Held(s, name + "}1")
        u.expect(other.info.region_uid, pipe.info.region_uid, "memory of the other end")
        second = Held(s, name + "{2")
        u.expect(ports(s)[name]["pipes"], 1, "pipes of the interface")
        s = restart(daemon, s)
        for h in (pipe, other, opened, second):
            u.expect(h.restore(s), 0, "restore")
        u.expect(s.request(u.RESTORE_DONE).error, 0, "done")
        for h in (pipe, other, second, opened):
            h.close()
        wait_until("ports left behind", lambda: not ports(s))
        veth.close()
        s.close()


def attached_after_a_pipe_of_its_name(daemon):
    """Nobody has opened a pipe's own base: the interface can be attached all the same."""
    veth = Veth("t0")
    s = daemon.session()
    pipe, desc = Held(s, "t0{1"), s.open()
    r = attach(s, desc, "vale0:t0", u.ALL_NIC)
    u.expect(r.error, 0, "attach: " + r.text)
    u.expect(ports(s)["t0"]["kind"], "nic", "the port of its name")
    u.expect(s.ctrl(desc, u.VALE_DETACH, "vale0:t0", bytes(8)).error, 0, "detach")
    pipe.close()
    desc.close()
    wait_until("ports left behind", lambda: not ports(s))
    veth.close()
    s.close()


def pipes_outlive_the_side_of_a_host(daemon):
    """The same of the TAP beside an interface on a switch."""
    veth = Veth("t1")
    s = daemon.session()
    desc = s.open()
    r = attach(s, desc, "vale0:t1", u.NIC_SW)
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


def word(state, name):
    return struct.unpack_from("<I", state, WORDS[name])[0]


def look_at_all(session, veth):
    """Make netmapd look at what it has of an interface."""
    ports(session)
    for mtu in ("9000", "1500"):
        ip("link", "set", "dev", veth.name, "mtu", mtu)
        ports(session)


def stray_stores_into_a_state(daemon):
    """
    A client writes into what never changes, into lists of buffers and counts: netmapd does the same as without, to the
    last buffer. With AF_XDP, or what this machine has instead, and with AF_PACKET.
    """
    for mode in ("auto", "packet"):
        veth = Veth("t4", queues=2)
        s = daemon.session()
        u.expect(s.admin("set", "t4", "mode", mode)[0], 0, "set mode")
        stays = Held(s, "stays{1")
        before = used_buffers(s)
        nic = Held(s, "t4", mode=u.ONE_NIC)
        other = 1 if word(nic.state(), "mode") in XDP_MODES else 0
        for n in range(SETUP_SIZE // 4 + 4):
            state = nic.state()
            right = state[:OWNER]
            if n * 4 < SETUP_SIZE:
                struct.pack_into("<I", state, n * 4, 0x7fffffff if n % 2 else 0xfffffffc)
            else:  # all at once
                state[:SETUP_SIZE] = bytes([(0, 1, 0x7f, 0xff)[n % 4]]) * SETUP_SIZE
                state[BOUNCE:OWNER] = bytes([(0, 1, 0x7f, 0xff)[n % 4]]) * (OWNER - BOUNCE)
                for q in range(32):
                    struct.pack_into("<I", state, RXQ_N_POOL + RXQ_SIZE * q, 0x7fffffff)
            second = Held(s, "t4", mode=u.ONE_NIC, ringid=other)
            if n * 4 >= SETUP_SIZE:
                look_at_all(s, veth)
            second.close()
            if n * 4 >= SETUP_SIZE:
                nic.close()  # with the stray stores in it
                state.close()
                wait_for_end(s, "t4")
                u.expect(used_buffers(s), before, "buffers in use")
                nic = Held(s, "t4", mode=u.ONE_NIC)
            else:
                state[:OWNER] = right
                state.close()
        nic.close()
        wait_for_end(s, "t4")
        stays.close()
        veth.close()
        s.close()


def damaged_states_are_refused(daemon):
    """What a client hands back may have been written to: netmapd takes no state that is not possible."""
    veth = Veth("t5")
    s = daemon.session()
    nic = Held(s, "t5")
    state = nic.state()
    b = restart(daemon, s)
    cases = [("magic", 0), ("version", 1), ("size", 4096), ("mode", 0), ("mode", 5), ("n_queues", 2), ("lead", 0xffffffff),
             ("stride", 0), ("n_window", 0x7fffffff), ("frame_room", 0x7fffffff), ("n_bounce", 0), ("n_bounce", 129)]
    if word(state, "mode") in XDP_MODES:
        cases += [("tx_size", 0), ("comp_size", 3), ("rx_size", 0x80000000), ("fill_size", 131072), ("rx_producer", 4096),
                  ("rx_desc", 0xfffffff8), ("tx_consumer", 2), ("fill_flags", 0x7ffffffc), ("comp_desc", 4)]
    at = [(what, WORDS[what] + 4 * (what == "lead"), value) for what, value in cases]
    at += [("n_pool", RXQ_N_POOL, 7), ("bounce", BOUNCE + 4, 0x7fffffff)]
    for what, ofs, value in at:
        right = state[ofs:ofs + 4]
        struct.pack_into("<I", state, ofs, value)
        u.expect(nic.restore(b), errno.EINVAL, what)
        state[ofs:ofs + 4] = right
    u.expect(nic.restore(b), 0, "honest restore")
    u.expect(b.request(u.RESTORE_DONE).error, 0, "done")
    struct.pack_into("<I", state, WORDS["n_window"], 0x7fffffff)
    look_at_all(b, veth)
    nic.close()
    state.close()
    wait_for_end(b, "t5")
    veth.close()
    b.close()


def a_window_without_room_gives_nothing(_):
    """Bounce buffers that could not be had are asked for again, and not taken for those that the ring has."""
    small = u.Daemon(config="[nic]\nbuffers = 4096\n")
    veth = Veth("t6")
    s = small.session()
    rx = Held(s, "t6", flags=u.RX_ONLY)
    state = rx.state()
    if word(state, "mode") == PACKET:
        print("# no AF_XDP here, so no bounce buffers")
    else:
        full = Held(s, "", mode=u.NULL, mem_id=1, extra=word(state, "n_window"))
        for _ in range(2):
            desc = s.open()
            r = s.register(desc, "t6", flags=u.TX_ONLY)
            u.expect(r.error, errno.ENOMEM, "tx ring without room in the window: " + r.text)
            desc.close()
        full.close()
        wait_until("extra buffers are not freed", lambda: used_buffers(s) < word(state, "n_window"))
        Held(s, "t6", flags=u.TX_ONLY).close()
    state.close()
    rx.close()
    wait_for_end(s, "t6")
    veth.close()
    s.close()
    small.stop()


if __name__ == "__main__":
    if os.geteuid() != 0 or shutil.which("ip") is None or u.libc.unshare(CLONE_NEWNET) != 0:
        print("1..0 # SKIP making a network namespace takes root, and ip")
        sys.exit(0)
    # Memory that is freed is what is given out next, so that a use of it shows also without a sanitizer.
    u.run([pipes_outlive_an_interface, an_interface_after_a_pipe_of_its_name,
           attached_after_a_pipe_of_its_name, pipes_outlive_the_side_of_a_host, pipes_keep_no_interface_without_sockets,
           pipes_keep_no_tap_without_queues, stray_stores_into_a_state, damaged_states_are_refused,
           a_window_without_room_gives_nothing],
          env=dict(os.environ, GLIBC_TUNABLES="glibc.malloc.tcache_count=0"))
