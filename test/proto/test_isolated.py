#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The socket of an isolate: every message good, short, long and forbidden, each request that a policy has a say in,
floods, and descriptors that nobody asked for. Whatever one client does, another one is served."""
import atexit
import errno
import fcntl
import json
import mmap
import os
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time

import unmproto as u

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "vhost_user"))
import deaffuse  # noqa: E402

KIND_ISOLATED = 9
HELLOF_ISOLATED = 2
HUGE_REGION, GLOBAL_REGION = 2, 4
F_GET_SEALS, SEALS = 1034, 1 | 2 | 4  # SEAL, SHRINK, GROW
BIND_FDS = 5
BUF = 2176
SEG_FD = 3
DETACHED, LINK_DOWN = 0x10, 0x20  # UNM_PORTF_*

brokers = set()


def end_brokers():
    """They outlive a netmapd that is killed."""
    for pid in brokers:
        try:
            with open("/proc/%d/comm" % pid) as f:
                if f.read().startswith("nm-isolator"):
                    os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


atexit.register(end_brokers)


class Isolate:
    """A socket of a policy, for the length of a test."""

    def __init__(self, daemon, *words, name="i"):
        self.admin = daemon.session()
        self.name = name
        self.path = os.path.join(daemon.dir, name + ".sock")
        err, text = self.admin.admin("isolate", "create", name, "socket=" + self.path, *words)
        u.expect(err, 0, "create: " + text)
        self.note_broker()

    def note_broker(self):
        err, text = self.admin.admin("isolate", "show", self.name)
        u.expect(err, 0, text)
        row = json.loads(text)["isolates"][0]
        if row["broker_pid"]:
            brokers.add(row["broker_pid"])
        return row

    def session(self, hello=True, name=None):
        return u.Session(self.path, hello, name)

    def admitted(self, name=None):
        """A session, once the broker has seen that those closed before are gone."""
        deadline = time.monotonic() + 10
        while True:
            try:
                return self.session(name=name)
            except (OSError, AssertionError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def check_alive(self):
        s = self.admitted()
        d = s.open()
        r = s.register(d, "vale0:alive")
        u.expect(r.error, 0, "another client: " + r.text)
        r.close()
        d.close()
        s.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] is None:
            self.check_alive()
        err, text = self.admin.admin("isolate", "remove", self.name)
        if exc[0] is None:
            u.expect(err, 0, text)
        self.admin.close()


def hello(daemon):
    """The answer says that this is no netmapd; a library of another release is told so."""
    with Isolate(daemon, "allow=vale0:*") as i:
        s = i.session(hello=False)
        u.expect(s.request(u.OPEN, bytes(16)).error, errno.EPROTO, "before HELLO")
        ans = s.hello(version=99)
        u.expect(ans.error, errno.EPROTO, "another version")
        assert b"install the same release" in ans.body, ans.body
        ans = s.hello()
        u.expect(ans.error, 0, "HELLO")
        fields = u.HELLO_BODY.unpack(ans.body)
        assert fields[1] > 0 and fields[4] == HELLOF_ISOLATED, fields
        again = s.hello()
        assert u.HELLO_BODY.unpack(again.body)[1] == fields[1], "the same slot"
        t = i.session()
        assert t.slot != fields[1]
        s.close()
        t.close()


def lengths(daemon):
    """Too short, too long, and with descriptors that do not belong there: EPROTO, and the session goes on."""
    bodies = {u.HELLO: 184, u.OPEN: 16, u.CTRL: 200 + 88, u.GET_BINDING: u.GET_BINDING_SIZE, u.GET_WAKE: 16,
              u.RESTORE: 8 + u.BIND_INFO_SIZE, u.RESTORE_DONE: 0, u.UNBIND: 16}
    with Isolate(daemon, "allow=vale0:*") as i:
        s = i.session()
        null = os.open("/dev/null", os.O_RDONLY)
        for kind, size in bodies.items():
            wrong = [size - 1] if size > 0 else []
            wrong += [size + 1] if kind != u.CTRL else [200 + 88 + 4096 + 8]
            fds = [null] * {u.OPEN: 2, u.RESTORE: 2, u.CTRL: 1, u.GET_BINDING: 1, u.UNBIND: 1}.get(kind, 0)
            for n in wrong:
                u.expect(s.request(kind, bytes(n), fds).error, errno.EPROTO, "type %d, %d bytes" % (kind, n))
                time.sleep(0.011)  # within what a client may ask
            if kind != u.RESTORE:
                u.expect(s.request(kind, bytes(size), [null] * 3).error, errno.EPROTO, "type %d, three fds" % kind)
        u.expect(s.request(u.OPEN, bytes(16)).error, errno.EPROTO, "no descriptor")
        for _ in range(40):
            u.expect(s.request(u.OPEN, bytes(16), [null] * 64).error, errno.EPROTO, "64 descriptors")
        os.close(null)
        s.close()


def forbidden(daemon):
    """What is about others is refused with EPERM, what nobody knows with EOPNOTSUPP."""
    with Isolate(daemon, "allow=vale0:*") as i:
        s = i.session()
        for kind in (u.GET_REGION, u.GET_QUEUES, u.LOCK_STUCK, u.BROKER):
            for n in (0, 8, 80, 4000):
                u.expect(s.request(kind, bytes(n)).error, errno.EPERM, "type %d" % kind)
        err, text = s.admin("show", "ports")
        u.expect(err, errno.EPERM, "nmctl")
        assert "isolated" in text, text
        for kind in (0, u.FIRST_UNKNOWN, 200, 65535):
            u.expect(s.request(kind).error, errno.EOPNOTSUPP, "type %d" % kind)
        s.close()
        t = i.session(hello=False)
        u.expect(t.admin("stop")[0], errno.EPERM, "nmctl stop without HELLO")
        t.close()


def only_its_own(daemon):
    """A binding comes with five descriptors, sealed, of which the region is this port's alone, and no larger."""
    with Isolate(daemon, "allow=vale0:*") as i:
        s, t = i.session(), i.session()
        d = s.open()
        r = s.register(d, "vale0:a", tx_slots=64, rx_slots=64)
        u.expect(r.error, 0, r.text)
        assert r.info.kind == KIND_ISOLATED and len(r.fds) == BIND_FDS and r.info.n_port_fds == 0
        assert not r.info.region_flags & GLOBAL_REGION
        assert r.info.region_size < 2 << 20, r.info.region_size
        assert 2 + 128 <= r.info.buf_num < 2 + 128 + 8, r.info.buf_num
        for fd in (r.fds[1], r.fds[3]):
            assert fcntl.fcntl(fd, F_GET_SEALS) & SEALS == SEALS
            for size in (0, 1 << 30):
                try:
                    os.ftruncate(fd, size)
                    raise AssertionError("a sealed file was resized")
                except OSError as e:
                    u.expect(e.errno, errno.EPERM, "resize")
        assert os.fstat(r.fds[3]).st_size == r.info.seg_size
        e = t.open()
        u.expect(t.register(e, "vale0:a").error, errno.EBUSY, "another client of this socket")
        trusted = daemon.session()
        f = trusted.open()
        q = trusted.register(f, "vale0:a")
        u.expect(q.error, errno.EBUSY, "a trusted client, who would share its memory")
        assert "isolated" in q.text, q.text
        g = trusted.open()
        q = trusted.register(g, "vale0:a{1")
        u.expect(q.error, 0, "a pipe over it: " + q.text)
        assert q.info.region_uid != r.info.region_uid and q.info.region_flags & GLOBAL_REGION, "not in its memory"
        q.close()
        g.close()
        mem = r.reg()["mem_id"]
        u.expect(trusted.register(f, "vale0:t", mem_id=mem).error, errno.EINVAL, "no number of netmapd's")
        q = trusted.register(f, "vale0:t")
        u.expect(q.error, 0, "trusted, same switch")
        u.expect(t.register(e, "vale0:t").error, errno.EBUSY, "what a trusted client has open")
        u.expect(t.register(e, "vale0:b").error, 0, "a port of its own")
        for x in (d, e, f, s, t, trusted, r, q):
            x.close()


class HugePages:
    """Some that are free, for the length of a test."""

    PATH = "/proc/sys/vm/nr_hugepages"

    @staticmethod
    def free():
        with open("/proc/meminfo") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("HugePages_Free:"))

    def __init__(self, n):
        try:
            with open(self.PATH) as f:
                self.before = int(f.read())
            self.set(self.before + n)
        except OSError as e:
            raise u.Skip("no huge pages can be had: %s" % e)
        if self.free() < n:
            self.set(self.before)
            raise u.Skip("%d huge pages are free of %d that were asked for" % (self.free(), n))

    def set(self, n):
        with open(self.PATH, "w") as f:
            f.write(str(n))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.set(self.before)


def no_huge_pages(daemon):
    """An isolated client maps none: those that it gave back (madvise) would be gone, and who touches them next dies."""
    with HugePages(32), Isolate(daemon, "allow=vale0:*") as i:
        s, trusted = i.session(), daemon.session()
        d, f = s.open(), trusted.open()
        r = s.register(d, "vale0:a", tx_slots=64, rx_slots=64)
        u.expect(r.error, 0, r.text)
        assert not r.info.region_flags & HUGE_REGION and os.fstat(r.fds[1]).st_blksize < 1 << 20, "huge pages"
        q = trusted.register(f, "vale0:t", tx_slots=64, rx_slots=64)
        u.expect(q.error, 0, q.text)
        is_huge = q.info.region_flags & HUGE_REGION
        for x in (d, f, s, trusted, r, q):
            x.close()
    if not is_huge:
        raise u.Skip("others have taken the huge pages, so a trusted client got none either")


def policy(daemon):
    """Names, kinds and options that the socket does not allow."""
    with Isolate(daemon, "allow=vale0:*", "allow=vale1:web", "allow=netmap:p{1", "allow=*tap*",
                 "allow=netmap:tap:y", "allow=*o") as i:
        s = i.session()
        d = s.open()
        for name in ("vale2:x", "vale1:web2", "vale01:x", "vale1:", "vale", "", "vale1:WEB", "p}1", "p{2", "lo", "eth0",
                     "vale1:web{1", "netmap:lo"):
            r = s.register(d, name)
            u.expect(r.error, errno.EACCES, "name '%s'" % name)
            if name == "lo":
                assert "allow=netmap:lo" in r.text, r.text
        for name in ("vale0:a%ns", "vale0:tap:a%/etc/passwd", "vale0:a/b", "xo%/a{o", "p%/etc/passwd{o"):
            r = s.register(d, name)
            u.expect(r.error, errno.EACCES, "name '%s'" % name)
            assert "only interfaces" in r.text, r.text
            time.sleep(0.05)
            u.expect(s.ctrl(d, u.PORT_INFO_GET, name, bytes(32)).error, errno.EACCES, "port info of " + name)
            time.sleep(0.05)
        for name in ("tap:x", "tap:y"):
            r = s.register(d, name)
            u.expect(r.error, errno.EOPNOTSUPP, "kind of '%s'" % name)
            assert "nmctl attach" in r.text, r.text
        time.sleep(0.2)
        for flags, error in ((u.MONITOR_TX, errno.EACCES), (u.MONITOR_RX, errno.EACCES),
                             (u.MONITOR_RX | u.ZCOPY, errno.EOPNOTSUPP), (u.ZCOPY, errno.EOPNOTSUPP)):
            u.expect(s.register(d, "vale0:a", flags=flags).error, error, "monitor")
        u.expect(s.register(d, "vale0:a", mem_id=1).error, errno.EACCES, "the global region")
        time.sleep(0.2)
        r = s.register(d, "vale0:a", mode=u.NULL)
        assert r.error != 0, "a null port has the global region"
        for kind in (u.OPT_EXTMEM, u.OPT_CSB, u.OPT_EVENTFDS, u.OPT_MODE, 77):
            r = s.register(d, "vale0:a", options=[u.option(kind, bytes(104))])
            u.expect(r.error, errno.EOPNOTSUPP, "option %d" % kind)
        null = os.open("/dev/null", os.O_RDWR)
        r = s.register(d, "vale0:a", options=[u.option(u.OPT_EXTMEM, bytes(104))], extmem=(null, 0))
        u.expect(r.error, errno.EOPNOTSUPP, "memory of its own")
        os.close(null)
        for reqtype, body in ((u.VALE_ATTACH, 64), (u.VALE_DETACH, 8), (u.VALE_NEWIF, 16), (u.VALE_DELIF, 0),
                              (u.POLLING_ENABLE, 16), (u.POLLING_DISABLE, 16)):
            r = s.ctrl(d, reqtype, "vale0:a", bytes(body))
            u.expect(r.error, errno.EPERM, "request %d" % reqtype)
            assert "isolated" in r.text, r.text
        u.expect(s.register(d, "vale1:web").error, 0, "allowed by name")
        u.expect(s.register(d, "vale0:a").error, errno.EBUSY, "registered already")
        d.close()
        s.close()


def pipes_are_copied(daemon):
    """A pipe's end comes with memory of its own, which counts, and no one else has the end."""
    with Isolate(daemon, "allow=vale0:*", "allow=p*", "memory=12M", "ports=4") as i, \
            Isolate(daemon, "allow=p*", "allow=vale0:alive", name="j") as j:
        s, t, trusted = i.session(), j.session(), daemon.session()
        d, e, f, g = s.open(), s.open(), t.open(), trusted.open()
        r = s.register(d, "p{1", tx_slots=64, rx_slots=64, extra=7)
        u.expect(r.error, 0, r.text)
        reg = r.reg()
        assert r.info.kind == KIND_ISOLATED and len(r.fds) == BIND_FDS and r.info.n_port_fds == 0
        assert not r.info.region_flags & GLOBAL_REGION
        assert r.info.region_size < 1 << 20, r.info.region_size
        assert reg["mem_id"] > 32767 and reg["memsize"] == r.info.region_size, reg
        for fd in (r.fds[1], r.fds[3]):
            assert fcntl.fcntl(fd, F_GET_SEALS) & SEALS == SEALS
        assert os.fstat(r.fds[1]).st_blocks * 512 >= r.info.region_size, "committed as a whole"
        u.expect(s.register(e, "p{1").error, errno.EBUSY, "twice, by the same client")
        u.expect(t.register(f, "p{1").error, errno.EBUSY, "another socket's client")
        u.expect(trusted.register(g, "p{1").error, errno.EBUSY, "a trusted one")
        u.expect(t.register(f, "p}1", tx_slots=64, rx_slots=64).error, 0, "the other end")
        u.expect(s.register(e, "p}1").error, errno.EBUSY, "which is in use")
        u.expect(s.register(e, "p{2", tx_slots=4096, rx_slots=4096).error, errno.ENOMEM, "memory")
        u.expect(s.register(e, "p{2", tx_slots=64, rx_slots=64, extra=6000).error, errno.ENOMEM, "extra buffers")
        u.expect(s.register(e, "p{2", tx_slots=64, rx_slots=64, tx_rings=65, rx_rings=65).error, errno.ENOMEM, "rings")
        used = i.note_broker()["ports_used"]
        assert used == 1, used
        u.expect(trusted.register(g, "p}2", tx_slots=64, rx_slots=64).error, 0, "a trusted end")
        q = s.register(e, "p{2")
        u.expect(q.error, 0, "and the isolated one: " + q.text)
        assert q.info.region_uid != r.info.region_uid
        for x in (d, e, f, g, s, t, trusted, r, q):
            x.close()


def told_of_the_link(daemon):
    """A client's stand-in says that the link is down, and that a persistent port was taken from its switch; and the end of it."""
    admin = daemon.session()
    for words in ("create", "vup"), ("attach", "vale0", "vup"):
        u.expect(admin.admin(*words)[0], 0, " ".join(words))
    with Isolate(daemon, "allow=vale0:*") as i:
        s = i.session()
        d = s.open()
        r = s.register(d, "vale0:vup")
        u.expect(r.error, 0, r.text)
        with mmap.mmap(r.fds[SEG_FD], 0, prot=mmap.PROT_READ) as seg:
            flags_ofs = struct.unpack_from("<Q", seg, 88)[0] + r.info.port * 576 + 12

            def flags_are(want):
                return struct.unpack_from("<I", seg, flags_ofs)[0] == want

            assert flags_are(0)
            for words, want in ((("link", "vale0:vup", "down"), LINK_DOWN), (("link", "vale0:vup", "up"), 0),
                                (("detach", "vale0", "vup"), DETACHED), (("attach", "vale0", "vup"), 0)):
                u.expect(admin.admin(*words)[0], 0, " ".join(words))
                wait_for(lambda: flags_are(want))
        r.close()
        d.close()
        d = s.open()
        r = s.register(d, "vale0:vup", flags=u.EXCLUSIVE, extra=3)
        u.expect(r.error, 0, "exclusively: " + r.text)
        r.close()
        d.close()
        s.close()
    u.expect(admin.admin("detach", "vale0", "vup")[0], 0, "detach")
    s = daemon.session()
    d = s.open()
    r = s.register(d, "vale0:vup")
    u.expect(r.error, errno.EINVAL, "a persistent port that is on no switch")
    assert "is a persistent port: attach it" in r.text, r.text
    s.close()
    for words in (("delete", "vup"),):
        u.expect(admin.admin(*words)[0], 0, " ".join(words))
    admin.close()


def limits(daemon):
    """Ports, memory and clients have the limits that were set."""
    with Isolate(daemon, "allow=vale0:*", "ports=3", "clients=4", "memory=12M") as i:
        s = i.session()
        descs = [s.open() for _ in range(4)]
        for n in range(2):
            u.expect(s.register(descs[n], "vale0:p%d" % n, tx_slots=64, rx_slots=64).error, 0, "port %d" % n)
        r = s.register(descs[2], "vale0:big", tx_slots=4096, rx_slots=4096)
        u.expect(r.error, errno.ENOMEM, "memory")
        assert "MiB" in r.text, r.text
        u.expect(s.register(descs[2], "vale0:extra", extra=100000).error, errno.ENOMEM, "extra buffers")
        u.expect(s.register(descs[2], "vale0:p2", tx_slots=64, rx_slots=64).error, 0, "port 2")
        r = s.register(descs[3], "vale0:p3", tx_slots=64, rx_slots=64)
        u.expect(r.error, errno.ENOSPC, "one too many")
        descs[0].close()
        u.expect(s.register(descs[3], "vale0:p3", tx_slots=64, rx_slots=64).error, 0, "in its place")
        more = [i.session() for _ in range(3)]
        t = i.session(hello=False)
        t.seq = 0
        kind, ans = t.recv()
        u.expect(ans.error, errno.EUSERS, "a client too many")
        for x in descs[1:] + more + [s, t]:
            x.close()


def refused_before_it_is_made(daemon):
    """What netmapd fills in itself counts: it is asked for no port that would go past memory=, not even for an instant."""
    with Isolate(daemon, "allow=vale0:*", "allow=netmap:p*", "allow=vale0:*/rt", "memory=16M") as i:
        s, trusted = i.session(), daemon.session()
        d, f, g, m = s.open(), trusted.open(), trusted.open(), trusted.open()
        u.expect(trusted.register(f, "vale0:deep", tx_slots=4096, rx_slots=4096).error, 0, "trusted")
        u.expect(trusted.register(g, "vale0:wide", tx_rings=64, rx_rings=64).error, 0, "trusted")
        u.expect(trusted.register(m, "p{0").error, 0, "trusted")

        def shared():
            rows = json.loads(trusted.admin("show", "memory")[1])["memory"]
            return [row["committed"] for row in rows if row["id"] == 1]

        before = shared()
        many = {"tx_rings": 64, "rx_rings": 64}
        for name, kw in (("vale0:x", many), ("p{1", many), ("vale0:x}1", many), ("vale0:deep{1", {}),
                         ("vale0:wide", {"flags": u.MONITOR_RX})):
            r = s.register(d, name, **kw)
            u.expect(r.error, errno.ENOMEM, name)
            assert "would take" in r.text and "memory=" in r.text, (name, r.text)
            time.sleep(0.05)
        r = s.ctrl(d, u.PORT_INFO_GET, "p{1", struct.pack("<QII4H4H", 0, 4096, 4096, 256, 256, 0, 0, 0, 0, 0, 0))
        u.expect(r.error, errno.ENOMEM, "port info")
        r = s.ctrl(d, u.PORT_INFO_GET, "p{1", bytes(32))
        u.expect(r.error, 0, "port info: " + r.text)
        u.expect(shared(), before, "of the global region")
        r = s.register(d, "p{1")
        u.expect(r.error, 0, "a small one: " + r.text)
        time.sleep(0.2)
        e = s.open()
        r = s.register(e, "vale0:x", tx_rings=3, rx_rings=3)
        assert r.error == errno.ENOMEM and "would take" in r.text, ("what is left", r.error, r.text)
        for x in (d, e, f, g, m, s, trusted):
            x.close()


def memory_is_counted_once(daemon):
    """Opening and closing for ever takes no more than the port has; the pages go with the port."""
    with Isolate(daemon, "allow=vale0:*", "memory=12M", "clients=8") as i:
        s = i.session()
        kept = []
        for n in range(20):
            d = s.open()
            r = s.register(d, "vale0:a", tx_slots=256, rx_slots=256)
            u.expect(r.error, 0, "time %d: %s" % (n, r.text))
            kept.append(os.dup(r.fds[1]))
            r.close()
            d.close()
            time.sleep(0.03)
        deadline = time.monotonic() + 5
        while sum(os.fstat(fd).st_blocks for fd in kept) * 512 > 2 << 20:
            assert time.monotonic() < deadline, "regions that were kept still have memory"
            time.sleep(0.02)
        for fd in kept:
            os.close(fd)
        s.close()


def binding_by_others(daemon):
    """GET_BINDING, GET_WAKE and UNBIND of a descriptor whose id one knows; RESTORE brings back open ones only."""
    with Isolate(daemon, "allow=vale0:*") as i:
        s, t = i.session(), i.session()
        d = s.open()
        u.expect(t.request(u.GET_BINDING, bytes(u.GET_BINDING_SIZE), [d.c.fileno()]).error, errno.ENXIO, "unknown id")
        ans = t.get_binding(d)
        u.expect(ans.error, errno.ENXIO, "open")
        assert len(ans.fds) == 1
        ans.close()
        r = s.register(d, "vale0:a")
        u.expect(r.error, 0, r.text)
        ans = t.get_binding(d)
        u.expect(ans.error, 0, "registered")
        assert len(ans.fds) == BIND_FDS
        ans.close()
        ans = t.request(u.GET_WAKE, struct.pack("<QII", r.info.seg_uid, 0, 0))
        u.expect(ans.error, 0, "wake")
        assert len(ans.fds) == 1
        ans.close()
        u.expect(t.request(u.GET_WAKE, struct.pack("<QII", r.info.seg_uid ^ 2, 0, 0)).error, errno.ESTALE, "guess")
        u.expect(t.request(u.UNBIND, bytes(16), [d.d.fileno()]).error, errno.EBADF, "unknown id")
        u.expect(s.unbind(d).error, 0, "unbind")
        u.expect(s.register(d, "vale0:b").error, 0, "again")
        e = u.Desc()
        body = struct.pack("<II", 1, 0) + e.id + bytes(u.BIND_INFO_SIZE - 16)
        u.expect(s.request(u.RESTORE, body, [e.d.fileno()] * 6).error, errno.ESTALE, "a binding that never was")
        body = struct.pack("<II", 0, 0) + e.id + bytes(u.BIND_INFO_SIZE - 16)
        u.expect(s.request(u.RESTORE, body, e.both()).error, 0, "an open descriptor")
        u.expect(s.request(u.RESTORE_DONE).error, 0, "done")
        u.expect(s.register(e, "vale0:c").error, 0, "which can be registered")
        for x in (d, e, s, t, r):
            x.close()


def list_shows_what_is_allowed(daemon):
    """VALE_LIST by number leaves out the ports of others; PORT_INFO_GET and headers by name only of what is allowed."""
    with Isolate(daemon, "allow=vale0:mine*", "allow=vale0:alive") as i:
        trusted = daemon.session()
        others = []
        for n in range(8):
            f = trusted.open()
            u.expect(trusted.register(f, "vale0:other%d" % n).error, 0, "other")
            others.append(f)
        s = i.session()
        d, probe = s.open(), s.open()
        r = s.register(d, "vale0:mine1")
        u.expect(r.error, 0, "mine: " + r.text)
        mine = (r.info.region_size, r.info.region_id)
        seen, bridge, port = [], 0, 0
        for _ in range(4):
            time.sleep(0.1)
            r = s.ctrl(probe, u.VALE_LIST, "", struct.pack("<HHI", bridge, 0, port))
            if r.error:
                u.expect(r.error, errno.ENOENT, "the end")
                break
            seen.append(r.name)
            bridge, _, port = struct.unpack_from("<HHI", r.body)
            port += 1
        assert seen == ["vale0:mine1"], seen
        u.expect(s.ctrl(probe, u.PORT_INFO_GET, "vale0:other1", bytes(32)).error, errno.EACCES, "port info")
        u.expect(s.ctrl(probe, u.PORT_INFO_GET, "vale0:mine1", bytes(32)).error, 0, "port info")
        u.expect(s.ctrl(probe, u.PORT_HDR_SET, "vale0:other1", struct.pack("<II", 12, 0)).error, errno.EACCES, "hdr")
        u.expect(s.ctrl(probe, u.PORT_HDR_SET, "vale0:mine1", struct.pack("<II", 12, 0)).error, 0, "header")
        u.expect(s.ctrl(probe, u.POOLS_INFO_GET, "", bytes(64)).error, errno.EINVAL, "memory of whom?")
        time.sleep(0.2)
        for name in ("", "vale0:mine1", "vale0:other1", "new{1", "tap:x%/etc/passwd"):
            r = s.ctrl(d, u.POOLS_INFO_GET, name, bytes(64))
            u.expect(r.error, 0, "its own memory: " + r.text)
            u.expect(struct.unpack_from("<QH", r.body), mine, "pools, by the name of " + name)
        r = s.ctrl(d, u.PORT_INFO_GET, "", bytes(32))
        u.expect(r.error, 0, "its own: " + r.text)
        u.expect((struct.unpack_from("<Q", r.body)[0], struct.unpack_from("<H", r.body, 24)[0]), mine, "memory")
        r = s.ctrl(d, u.PORT_INFO_GET, "", struct.pack("<QII4H4H", 0, 0, 0, 0, 0, 0, 0, mine[1] % 2 + 1, 0, 0, 0))
        u.expect(r.error, errno.EACCES, "memory of others")
        for x in others + [d, probe, s, trusted]:
            x.close()


def headers_of_its_own_ports(daemon):
    """PORT_HDR_SET takes a port that the client has open, and nobody else."""
    admin = daemon.session()
    u.expect(admin.admin("create", "pers", "rings=2")[0], 0, "create")
    u.expect(admin.admin("attach", "vale0", "pers")[0], 0, "attach")
    with Isolate(daemon, "allow=vale0:*") as i:
        s, t, trusted = i.session(), i.session(), daemon.session()
        d, e, f, probe = s.open(), t.open(), trusted.open(), s.open()

        def hdr_set(session, desc, name, length=12):
            time.sleep(0.05)
            return session.ctrl(desc, u.PORT_HDR_SET, name, struct.pack("<II", length, 0)).error

        def hdr_len(name):
            r = trusted.ctrl(f, u.PORT_HDR_GET, name, bytes(8))
            u.expect(r.error, 0, r.text)
            return struct.unpack_from("<I", r.body)[0]

        u.expect(trusted.register(f, "vale0:t", flags=u.ACCEPT_VNET).error, 0, "trusted")
        u.expect(t.register(e, "vale0:other").error, 0, "another client of the socket")
        u.expect(s.register(d, "vale0:mine").error, 0, "mine")
        for name in ("vale0:t", "vale0:other", "vale0:pers"):
            u.expect(hdr_set(s, d, name), errno.EPERM, name)
            u.expect(hdr_len(name), 0, name)
        u.expect(hdr_set(s, probe, "vale0:mine"), 0, "its own, on another descriptor")
        u.expect(hdr_len("vale0:mine"), 12, "header")
        u.expect(hdr_set(t, d, "vale0:mine", 10), 0, "its own, by another process that has the descriptor")
        u.expect(hdr_len("vale0:mine"), 10, "header")
        u.expect(s.register(probe, "vale0:pers", mode=u.ONE_NIC, ringid=0, flags=u.EXCLUSIVE).error, 0, "a ring")
        g = trusted.open()
        u.expect(trusted.register(g, "vale0:pers", mode=u.ONE_NIC, ringid=1, flags=u.ACCEPT_VNET).error, 0, "other ring")
        u.expect(hdr_set(s, probe, "vale0:pers"), errno.EBUSY, "a port that a trusted client has too")
        u.expect(hdr_len("vale0:pers"), 0, "header")
        g.close()
        u.expect(hdr_set(s, probe, "vale0:pers"), 0, "now alone")
        u.expect(hdr_set(s, probe, "vale0:pers", 0), 0, "as before")
        for x in (d, e, f, probe, s, t, trusted):
            x.close()
    for words in (("detach", "vale0", "pers"), ("delete", "pers")):
        u.expect(admin.admin(*words)[0], 0, " ".join(words))
    admin.close()


def a_flood_is_the_flooders_own(daemon):
    """One client asks as fast as it can, another one does not read its answers: a third is answered at once."""
    with Isolate(daemon, "allow=vale0:*") as i:
        flood, deaf, third = i.session(), i.session(), i.session()
        flood.sock.setblocking(False)
        deaf.sock.setblocking(False)
        msg = u.HDR.pack(u.MAGIC, u.GET_BINDING, 0, u.HDR.size + u.GET_BINDING_SIZE, 1, 0, 0) + bytes(u.GET_BINDING_SIZE)
        slowest = 0
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            for s in (flood, deaf):
                for _ in range(50):
                    try:
                        s.sock.send(msg)
                    except OSError:
                        break
            begin = time.monotonic()
            third.hello()
            slowest = max(slowest, time.monotonic() - begin)
            time.sleep(0.02)
        assert slowest < 0.5, slowest
        for s in (flood, deaf, third):
            s.close()


class Asker:
    """Asks netmapd as fast as it is answered, with a new connection each time the old one's burst is used up."""

    def __init__(self, isolate):
        self.isolate = isolate
        self.connect()

    def connect(self):
        self.s = self.isolate.session(hello=False)
        self.s.send(u.HELLO, u.HELLO_BODY.pack(u.VERSION, 0, 0, os.getpid(), 0, b"test", b""))
        self.left = 14
        self.desc = None

    def answered(self):
        """Take an answer, and go on. Return: was it netmapd's?"""
        kind, ans = self.s.recv()
        u.expect(ans.error, 0, "message %d" % kind)
        if self.left == 0:
            self.close()
            self.connect()
            return True
        if kind == u.HELLO:
            self.desc = u.Desc()
            self.s.send(u.OPEN, self.desc.id, self.desc.both())
            return False
        blob = struct.pack("<HHI64sQQ", 14, u.PORT_INFO_GET, 0, b"vale0:x", 0, 0) + bytes(32)
        self.s.send(u.CTRL, self.desc.id + struct.pack("<QIIII160s", 0, 0, 0, len(blob), 0, b"") + blob, [self.desc.d.fileno()])
        self.left -= 1
        return kind == u.CTRL

    def close(self):
        self.s.close()
        if self.desc:
            self.desc.close()


def a_flood_of_connections(daemon):
    """What reaches netmapd is limited for all connections together; whoever comes has his turn."""
    with Isolate(daemon, "allow=vale0:*") as i:
        askers = [Asker(i) for _ in range(30)]
        ready = select.poll()
        for a in askers:
            ready.register(a.s.sock, select.POLLIN)

        def count(seconds):
            n, end = 0, time.monotonic() + seconds
            while time.monotonic() < end:
                fds = {fd for fd, _ in ready.poll(20)}
                for a in askers:
                    fd = a.s.sock.fileno()
                    if fd in fds:
                        n += a.answered()
                        if a.s.sock.fileno() != fd:
                            ready.unregister(fd)
                        ready.register(a.s.sock, select.POLLIN)
            return n

        burst, n = count(2), count(3)
        print("# %d answers in the first two seconds, %d in the next three" % (burst, n), flush=True)
        assert 100 < n < 1000, n
        others = []
        t0 = time.monotonic()

        def another():
            s = i.session()
            d = s.open()
            u.expect(s.register(d, "vale0:y").error, 0, "another client")
            others.append(time.monotonic() - t0)
            d.close()
            s.close()

        thread = threading.Thread(target=another)
        thread.start()
        while thread.is_alive():
            count(0.1)
        assert others, "another client was not served"
        print("# another client had its port after %d ms" % (others[0] * 1000), flush=True)
        assert others[0] < 5, others
        for a in askers:
            a.close()


def many_start_at_once(daemon):
    """The programs of a container, each with a few requests: none of them is held back."""
    with Isolate(daemon, "allow=vale0:*", "ports=40", "memory=1G") as i:
        begin = time.monotonic()
        sessions, descs = [i.session() for _ in range(20)], []
        for n, s in enumerate(sessions):
            for k in range(2):
                name = "vale0:p%d_%d" % (n, k)
                descs.append(s.open())
                for reqtype, size in ((u.PORT_INFO_GET, 32), (u.PORT_HDR_GET, 8)):
                    r = s.ctrl(descs[-1], reqtype, name, bytes(size))
                    u.expect(r.error, 0 if reqtype == u.PORT_INFO_GET else errno.ENXIO, r.text)
                r = s.register(descs[-1], name, tx_slots=64, rx_slots=64)
                u.expect(r.error, 0, r.text)
                r.close()
        waited = 0
        for s in sessions:
            t0 = time.monotonic()
            u.expect(s.ctrl(descs[0], u.PORT_INFO_GET, "vale0:p0_0", bytes(32)).error, 0, "one more")
            waited = max(waited, time.monotonic() - t0)
        print("# all had their ports after %d ms, and then waited for %d ms at most"
              % ((time.monotonic() - begin) * 1000, waited * 1000), flush=True)
        assert waited < 0.25, waited
        for x in descs + sessions:
            x.close()


def garbage(daemon):
    """What is no message ends the session that sent it, and no other."""
    with Isolate(daemon, "allow=vale0:*") as i:
        s = i.session()
        for data in (b"x", bytes(23), bytes(24), bytes(65536),
                     u.HDR.pack(u.MAGIC, u.HELLO, 0, 1 << 30, 1, 0, 0), u.HDR.pack(u.MAGIC, u.HELLO, 5, 24, 1, 0, 0)):
            t = i.session(hello=False)
            t.send_raw(data)
            try:
                assert t.sock.recv(100) == b"", "hung up"
            except ConnectionResetError:
                pass
            t.close()
        silent = [i.session(hello=False) for _ in range(20)]
        u.expect(s.hello().error, 0, "the other one")
        for t in silent + [s]:
            t.close()


def descriptors_of_all_kinds(daemon):
    """What is handed over as D must be a socket that bears its name."""
    with Isolate(daemon, "allow=vale0:*") as i:
        s = i.session()
        d, other = u.Desc(), u.Desc()
        r, w = os.pipe()
        for fd in (0, r, w, d.c.fileno(), other.d.fileno(), s.sock.fileno()):
            u.expect(s.request(u.OPEN, d.id, [fd, d.c.fileno()]).error, errno.EINVAL, "fd %d" % fd)
        u.expect(s.request(u.OPEN, d.id, d.both()).error, 0, "the right one")
        u.expect(s.request(u.OPEN, d.id, d.both()).error, errno.EEXIST, "twice")
        many, err = [], 0
        for _ in range(400):
            x = u.Desc()
            many.append(x)
            err = s.request(u.OPEN, x.id, x.both()).error
            if err:
                break
        u.expect(err, errno.EMFILE, "descriptors that are never registered")
        for x in many + [d, other, s]:
            x.close()
        os.close(r)
        os.close(w)


def answers_at_once(s, what):
    begin = time.monotonic()
    u.expect(s.hello().error, 0, what)
    took = time.monotonic() - begin
    assert took < 1, "%s: another client was answered after %.1f s" % (what, took)


def end_of(s):
    """Until it is hung up on."""
    try:
        while s.sock.recv(70000):
            pass
    except ConnectionResetError:
        pass


SWAPPER = """
import os, stat, sys
os.chdir(sys.argv[1])
os.setgid(65534)
os.setuid(int(sys.argv[3]))
print("ready", flush=True)
os.symlink(sys.argv[2], "link")
while True:
    for path in ("s.n", "s.new", ".s.new/s"):
        try:
            os.rename("link", path) if stat.S_ISSOCK(os.lstat(path).st_mode) else None
            os.symlink(sys.argv[2], "link")
        except OSError:
            pass
"""


def links_in_a_directory_of_its_clients(daemon):
    """Who may write where the socket lies, as another user or as root of a container, gets no other file's mode or owner changed."""
    s = daemon.session()
    for uid in (65534, 0):
        where = tempfile.mkdtemp(prefix="unm-place-")
        os.chmod(where, 0o755)
        target = os.path.join(where, "d")
        os.mkdir(target)
        os.chown(target, 65534, 65534)
        victim = os.path.join(where, "victim")
        with open(victim, "w"):
            os.chmod(victim, 0o600)
        before = os.stat(victim)
        swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, target, victim, str(uid)], stdout=subprocess.PIPE)
        try:
            swapper.stdout.readline()
            n_made = 0
            for _ in range(200):
                words = ("socket=" + target + "/s", "allow=vale0:x", "mode=0666", "owner=65534:65534")
                n_made += s.admin("isolate", "create", "l", *words)[0] == 0
                s.admin("isolate", "remove", "l")
            assert uid == 0 or n_made > 100, "%d sockets made" % n_made
            after = os.stat(victim)
            u.expect((after.st_mode, after.st_uid, after.st_gid), (before.st_mode, before.st_uid, before.st_gid), "mode and owner")
        finally:
            swapper.kill()
            swapper.wait()
            swapper.stdout.close()
            shutil.rmtree(where)
    where = tempfile.mkdtemp(prefix="unm-place-")  # and without any of that it is as it is said, whatever was left there
    path = os.path.join(where, 70 * "s")
    os.mkdir(os.path.join(where, "." + 70 * "s" + ".new"), 0o700)
    u.expect(s.admin("isolate", "create", "l", "socket=" + path, "allow=vale0:x", "mode=0640", "owner=65534:65533")[0], 0, "create")
    st = os.stat(path)
    u.expect((st.st_mode & 0o777, st.st_uid, st.st_gid), (0o640, 65534, 65533), "mode and owner")
    u.expect(" ".join(os.listdir(where)), os.path.basename(path), "what lies beside it")
    u.Session(path).close()
    s.admin("isolate", "remove", "l")
    shutil.rmtree(where)
    s.close()


def sockets_of(pid):
    """How many it has open. (Of other kinds its threads may just be making some.)"""
    n = 0
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            n += os.readlink("/proc/%d/fd/%s" % (pid, fd)).startswith("socket:")
        except FileNotFoundError:
            pass
    return n


def what_can_not_be_closed(daemon):
    """A descriptor whose close() waits for an hour, wherever it lies: nobody else waits, and it stays for a moment only."""
    with Isolate(daemon, "allow=vale0:*", "clients=4") as i:
        other = i.session()
        broker = i.note_broker()["broker_pid"]
        before = sockets_of(broker)
        peers = []

        def linger(wraps=False):
            fd, peer = u.lingering(wraps)
            peers.append(peer)
            return fd

        for wraps in (False, True):
            for data, n in ((u.open_message(2), 2), (u.open_message(1), 1), (b"garbage", 1), (b"", 1), (u.open_message(200), 200),
                            (u.open_message(253), 253), (u.open_message(72), 253)):
                s, fd = i.admitted(), linger(wraps)
                with u.Stopped(broker):
                    s.send_raw(data, [0] * (n - 1) + [fd])
                    os.close(fd)
                answers_at_once(other, "%d bytes, %d descriptors" % (len(data), n))
                s.close()
        s, fd = i.admitted(), linger()  # in what is not read any more
        with u.Stopped(broker):
            for _ in range(45):  # more than are read at once
                s.send_raw(u.HDR.pack(u.MAGIC, u.HELLO, 0, u.HDR.size, 1, 0, 0))
            s.send_raw(u.open_message(2), [fd, fd])
            os.close(fd)
            s.close()
        answers_at_once(other, "left in the connection")
        many, fd = [i.admitted() for _ in range(3)], linger()  # and of one who is refused
        with u.Stopped(broker):
            s = i.session(hello=False)
            s.send_raw(u.open_message(2), [fd, fd])
            os.close(fd)
        answers_at_once(other, "refused")
        for t in many + [s, other]:
            t.close()
        wait_for(lambda: sockets_of(broker) < before, 30)
        for peer in peers:
            peer.close()


def a_file_whose_server_is_deaf(daemon):
    """It keeps who has sent it, until it can be closed, and nobody else."""
    where = tempfile.mkdtemp(prefix="unm-fuse-")
    try:
        deaf = deaffuse.DeafFile(where)
    except OSError as e:
        shutil.rmtree(where)
        print("# " + str(e))
        return
    fd = deaf.open()
    try:
        with Isolate(daemon, "allow=vale0:*", "clients=3") as i:
            s, t, other = i.session(), i.session(), i.session()
            deaf.deafen()
            for x in (s, t):
                x.send(u.OPEN, bytes(16), [fd, fd])
            answers_at_once(other, "a deaf file")
            s.sock.settimeout(0.3)
            try:
                s.recv()
                raise AssertionError("answered before it is closed")
            except socket.timeout:
                pass
            t.close()
            answers_at_once(other, "of one who has gone")
            refused = i.session(hello=False)
            u.expect(struct.unpack_from("<i", refused.sock.recv(1000), 16)[0], errno.EUSERS, "which counts as a client")
            refused.close()
            deaf.close()
            s.sock.settimeout(10)
            u.expect(s.recv()[1].error, errno.EINVAL, "answered at last")
            for x in (s, other):
                x.close()
    finally:
        deaf.close()
        try:
            os.close(fd)
        except OSError:
            pass  # its server has gone
        shutil.rmtree(where, ignore_errors=True)


def sessions_end(daemon):
    """No client has the broker keep its own connection, or a descriptor, from hanging up."""
    with Isolate(daemon, "allow=vale0:*", "clients=2") as i:
        broker = i.note_broker()["broker_pid"]
        i.check_alive()
        time.sleep(0.2)
        fds = len(os.listdir("/proc/%d/fd" % broker))

        def name_of(desc_id):
            return b"\0unetmap-" + desc_id.hex().encode()

        def own_end(s, bound):
            """D is the client's end of the session."""
            if bound:
                u.expect(s.request(u.OPEN, bound, [s.sock.fileno(), s.sock.fileno()]).error, errno.EINVAL, "its own end")

        def in_the_queue(flags, is_taken):
            """D has the client's end in its queue, and C."""
            def do(s, _):
                d = u.Desc()
                u.hide([s.sock.fileno(), d.c.fileno()], d.c, flags)
                if is_taken:
                    d.d.recv(1, socket.MSG_OOB)  # the byte, not the descriptors
                s.open(d)
                u.expect(s.register(d, "vale0:q").error, 0, "register")
                for how in (0, socket.MSG_OOB):
                    try:
                        u.hide([s.sock.fileno()], d.c, how)
                        raise AssertionError("something can be put into it afterwards")
                    except BrokenPipeError:
                        pass
                d.close()
            return do

        def in_its_own_queue(s, _):
            """The client's end is in a message that is read late."""
            for _ in range(45):
                s.send_raw(u.HDR.pack(u.MAGIC, u.HELLO, 0, u.HDR.size, 1, 0, 0))
            s.send_raw(u.open_message(1), [s.sock.fileno()])

        def two_ends(s, _):
            """Both ends of a pair are D."""
            a, b = socket.socketpair()
            ids = [os.urandom(16), os.urandom(16)]
            a.bind(name_of(ids[0]))
            u.expect(s.request(u.OPEN, ids[0], [a.fileno(), b.fileno()]).error, 0, "one")
            b.bind(name_of(ids[1]))
            u.expect(s.request(u.OPEN, ids[1], [b.fileno(), a.fileno()]).error, errno.EINVAL, "the other one")
            a.close()
            b.close()

        def no_pair(s, _):
            """Nobody can hang up on D."""
            for listens in (False, True):
                d = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                desc_id = os.urandom(16)
                d.bind(name_of(desc_id))
                if listens:
                    d.listen()
                u.expect(s.request(u.OPEN, desc_id, [d.fileno()] * 2).error, errno.EINVAL, "not connected")
                d.close()

        def others_server(s, _):
            """D is a connection to somebody's server."""
            server, d = (socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(2))
            desc_id = os.urandom(16)
            server.bind("")
            server.listen()
            d.bind(name_of(desc_id))
            d.connect(server.getsockname())
            u.expect(s.request(u.OPEN, desc_id, [d.fileno()] * 2).error, errno.EINVAL, "a connection")
            server.close()
            d.close()

        for act in (own_end, in_the_queue(0, False), in_the_queue(socket.MSG_OOB, False), in_the_queue(socket.MSG_OOB, True),
                    in_its_own_queue, two_ends, no_pair, others_server):
            for _ in range(3):
                bound = os.urandom(16)
                s = i.admitted(name_of(bound))
                act(s, bound)
                s.close()
            wait_for(lambda: len(os.listdir("/proc/%d/fd" % broker)) <= fds, 5)
        i.session().close()


def ids_are_no_secret(daemon):
    """Who knows a descriptor's id, and does not hold it, gets nothing by it; who has made one of that name, only its own."""
    with Isolate(daemon, "allow=vale0:*") as i:
        s, t = i.session(), i.session()
        d, e, mine = s.open(), s.open(), t.open()
        u.expect(s.register(d, "vale0:a").error, 0, "register")

        def is_refused(t, victim, proof):
            ans = t.get_binding(victim, proof)
            assert (ans.error, ans.fds, any(ans.body[16:])) == (errno.ENXIO, [], False), (ans.error, ans.fds)
            u.expect(t.unbind(victim, proof).error, errno.EBADF, "unbind")
            u.expect(t.ctrl(victim, u.PORT_INFO_GET, "", bytes(32), proof=proof).error, errno.EBADF, "question")
            r = t.register(victim, "vale0:b", proof=proof)
            assert (r.error, r.fds, r.info) == (errno.EBADF, [], None), (r.error, r.text)

        for victim in (d, e):
            for proof in (mine.c, mine.d, t.sock):
                is_refused(t, victim, proof)
                time.sleep(0.05)
        with open("/dev/null") as null:
            is_refused(t, d, null)

        def in_another_namespace():
            """Where the name is free."""
            v = i.session()
            fake = u.Desc(e.id)
            for victim in (d, e):
                is_refused(v, victim, fake.c)
            v.open(fake)
            ans = v.get_binding(fake)
            assert (ans.error, ans.body[16], len(ans.fds)) == (errno.ENXIO, 1, 1)
            assert os.fstat(ans.fds[0]).st_ino == os.fstat(fake.d.fileno()).st_ino, "the D of somebody else"
            r = v.register(fake, "vale0:fake")
            u.expect(r.error, 0, r.text)
            is_refused(v, d, fake.d)
            assert u.BindInfo(v.get_binding(fake).body[24:]).region_uid == r.info.region_uid
            ready.send(b"x")
            done.recv(1)
            return True

        done, finish = socket.socketpair()
        ready, is_ready = socket.socketpair()

        def meanwhile():
            is_ready.recv(1)
            ans = s.get_binding(e)
            assert os.fstat(ans.fds[0]).st_ino == os.fstat(e.d.fileno()).st_ino, "the D of somebody else"
            ans.close()
            r = s.register(e, "vale0:b")
            u.expect(r.error, 0, "the descriptor that was there first: " + r.text)
            finish.send(b"x")

        thread = threading.Thread(target=meanwhile)
        thread.start()
        if u.elsewhere(u.CLONE_NEWNET, in_another_namespace) is None:
            print("# no other network namespace")
            ready.send(b"x")
        thread.join()
        ans = t.get_binding(d)
        u.expect((ans.error, len(ans.fds)), (0, BIND_FDS), "who holds C")
        ans.close()
        for x in (done, finish, ready, is_ready, d, e, mine, s, t):
            x.close()


def a_proof_does_not_stay(daemon):
    """A descriptor that was shown, and then closed, is gone for whoever asks next."""
    with Isolate(daemon, "allow=vale0:*") as i:
        for n in range(20):
            s, t = i.admitted(), i.admitted()
            d = s.open()
            u.expect(s.register(d, "vale0:x", tx_slots=8, rx_slots=8, flags=u.EXCLUSIVE).error, 0, "exclusive")
            d.d.close()
            if n == 0:  # behind what takes its time
                fd, peer = u.lingering()
                with u.Stopped(i.note_broker()["broker_pid"]):
                    t.send(u.OPEN, bytes(16), [fd, fd])
                    os.close(fd)
                u.expect(t.recv()[1].error, errno.EINVAL, "a TCP socket")
                peer.close()
            t.get_binding(d).close()
            d.c.close()
            e = t.open()
            r = t.register(e, "vale0:x", tx_slots=8, rx_slots=8, flags=u.EXCLUSIVE)
            u.expect(r.error, 0, "exclusive again: " + r.text)
            for x in (r, e, s, t):
                x.close()


def removed_with_somebody_waiting(daemon):
    """netmapd does not close what clients have sent whom nobody has accepted."""
    i = Isolate(daemon, "allow=vale0:*")
    os.kill(i.note_broker()["broker_pid"], signal.SIGSTOP)
    s = i.session(hello=False)
    fd, peer = u.lingering()
    s.send_raw(u.open_message(2), [fd, fd])
    os.close(fd)
    begin = time.monotonic()
    u.expect(i.admin.admin("isolate", "remove", "i")[0], 0, "remove")
    daemon.check_alive()
    took = time.monotonic() - begin
    assert took < 2, took
    end_of(s)
    for x in (s, peer, i.admin):
        x.close()


def commands(daemon):
    """isolate create, show and remove: what is wrong is said."""
    s = daemon.session()
    path = os.path.join(daemon.dir, "c.sock")
    for words in (("create",), ("create", "x"), ("create", "x", "socket=" + path), ("create", "x", "allow=v"),
                  ("create", "x/y", "socket=" + path, "allow=v"), ("create", "x", "socket=rel", "allow=v"),
                  ("create", "x", "socket=" + path, "allow=v", "ports=0"), ("remove",), ("show", "a", "b"), ("what",)):
        err, text = s.admin("isolate", *words)
        u.expect(err, errno.EINVAL, " ".join(words))
        assert text, words
    u.expect(s.admin("isolate", "remove", "x")[0], errno.ENOENT, "remove what is not there")
    with open(path, "w"):
        pass
    u.expect(s.admin("isolate", "create", "x", "socket=" + path, "allow=v")[0], errno.EEXIST, "a file is there")
    os.unlink(path)
    u.expect(s.admin("isolate", "create", "x", "socket=" + daemon.path, "allow=v")[0], errno.EEXIST, "netmapd's own")
    err, text = s.admin("isolate", "create", "x", "socket=%s/./%s" % os.path.split(daemon.path), "allow=v")
    assert err == errno.EEXIST and "is netmapd's own socket" in text, (err, text)
    u.expect(s.admin("isolate", "create", "x", "socket=/no/such/dir/s", "allow=v")[0], errno.ENOENT, "no directory")
    with Isolate(daemon, "allow=vale0:*", "mode=0620", "owner=12345:23456") as i:
        st = os.stat(i.path)
        assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (12345, 23456, 0o620), st
        u.expect(s.admin("isolate", "create", "i", "socket=" + path, "allow=v")[0], errno.EEXIST, "name in use")
        u.expect(s.admin("isolate", "create", "j", "socket=" + i.path, "allow=v")[0], errno.EEXIST, "path in use")
        err, text = s.admin("isolate", "create", "j", "socket=%s//%s" % os.path.split(i.path), "allow=v")
        assert err == errno.EEXIST and "is the socket of isolate i" in text, (err, text)
    mode = os.stat(i.path).st_mode
    assert stat.S_ISSOCK(mode) and mode & stat.S_ISVTX, "the socket stays, and says what it was"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as c:
        assert c.connect_ex(i.path) == errno.ECONNREFUSED, "but nobody serves it"
    s.close()


def a_broker_is_who_was_started_as_one(daemon):
    """BROKER from anybody else is refused."""
    with Isolate(daemon, "allow=vale0:*") as i:
        s = daemon.session()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.bind(i.path + "x")
        sock.listen()
        for name in (b"i", b"j", b""):
            body = struct.pack("<32sII", name, 0, 0)
            u.expect(s.request(u.BROKER, body, [sock.fileno()]).error, errno.EPERM, "as %s" % name)
        sock.close()
        os.unlink(i.path + "x")
        s.close()


class Piped:
    """A netmapd with an isolate, whose standard output and error are a pipe."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="unm-proto-")
        self.path, self.isolate = os.path.join(self.dir, "s"), os.path.join(self.dir, "i")
        self.conf = os.path.join(self.dir, "c")
        with open(self.conf, "w") as f:
            f.write("[isolate i]\nsocket=%s\nallow=vale0:*\n" % self.isolate)
        self.start()

    def start(self):
        self.proc = subprocess.Popen([u.program(), "--foreground", "--socket", self.path, "-c", self.conf],
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.broker = wait_for(self.find_broker)
        brokers.add(self.broker)

    def find_broker(self):
        """Its process, once it serves."""
        try:
            u.Session(self.isolate).close()
            s = u.Session(self.path)
            text = s.admin("isolate", "show", "i")[1]
            s.close()
            return json.loads(text)["isolates"][0]["broker_pid"]
        except OSError:
            return 0

    def end(self, sig):
        """End netmapd; its output ends with it."""
        self.proc.send_signal(sig)
        out, _ = self.proc.communicate(timeout=5)
        return out

    def close(self):
        s = u.Session(self.path)
        s.admin("stop")
        s.close()
        self.proc.communicate(timeout=5)
        shutil.rmtree(self.dir)


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return condition()


def is_gone(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def an_idle_broker_ends_with_netmapd(_daemon):
    """At once if netmapd is told to end, after a while if it is killed; the next one has another."""
    p = Piped()
    p.end(signal.SIGTERM)
    assert is_gone(p.broker)
    p.start()
    p.end(signal.SIGKILL)
    assert not is_gone(p.broker)
    wait_for(lambda: is_gone(p.broker))
    p.start()
    p.close()


def a_broker_with_clients_outlives_netmapd(_daemon):
    """Without keeping netmapd's output open."""
    p = Piped()
    c = u.Session(p.isolate)
    d = c.open()
    r = c.register(d, "vale0:a")
    u.expect(r.error, 0, r.text)
    for sig in (signal.SIGTERM, signal.SIGKILL):
        broker = p.broker
        p.end(sig)
        time.sleep(12 if sig == signal.SIGKILL else 0)
        assert not is_gone(broker)
        p.start()
        u.expect(p.broker, broker, "the same broker")
    r.close()
    d.close()
    c.close()
    p.close()


if __name__ == "__main__":
    u.run([hello, lengths, forbidden, only_its_own, no_huge_pages, policy, pipes_are_copied, told_of_the_link, limits, refused_before_it_is_made,
           memory_is_counted_once, binding_by_others,
           list_shows_what_is_allowed, headers_of_its_own_ports, a_flood_is_the_flooders_own, a_flood_of_connections,
           many_start_at_once, garbage, descriptors_of_all_kinds, links_in_a_directory_of_its_clients, what_can_not_be_closed, a_file_whose_server_is_deaf, sessions_end,
           ids_are_no_secret, a_proof_does_not_stay, removed_with_somebody_waiting, commands,
           a_broker_is_who_was_started_as_one, an_idle_broker_ends_with_netmapd, a_broker_with_clients_outlives_netmapd])
