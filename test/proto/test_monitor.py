#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Monitors (spec 15): every refusal, what REGISTER answers, the lists that the data path follows (looked at in the segment),
and that they are right again when monitors, watched ports and netmapd have come and gone in any order.
"""
import errno
import mmap
import os
import random
import struct

import unmproto as u

NONE = 0xFFFFFFFF
PORT_MONITOR, STATE_ACTIVE, ORPHAN = 8, 1, 0x40
TX, RX, BOTH = u.MONITOR_TX, u.MONITOR_RX, u.MONITOR_TX | u.MONITOR_RX
OF_TX, OF_RX = 0, 1


class Held:
    """A binding with its descriptors, as a client keeps them, and a view of its segment."""

    def __init__(self, session, name, **kw):
        self.desc = session.open()
        r = session.register(self.desc, name, **kw)
        u.expect(r.error, 0, "register %s %s: %s" % (name, kw, r.text))
        self.info, self.fds, self.reg = r.info, r.fds, r.reg()
        self.seg = Segment(self.fds[3])

    def restore(self, session):
        message = struct.pack("<II", 1, 0) + self.info.raw
        u.expect(session.request(u.RESTORE, message, [self.desc.d.fileno()] + self.fds[1:] + [self.desc.c.fileno()]).error,
                 0, "restore")

    def rings(self, is_rx):
        """Numbers of the krings of one direction."""
        base, n_tx, n_rx = self.seg.geometry(self.info.port)
        return range(base + n_tx, base + n_tx + n_rx) if is_rx else range(base, base + n_tx)

    def is_orphan(self):
        return bool(self.seg.u32(self.seg.port_ofs + 576 * self.info.port + 12) & ORPHAN)

    def watchers(self, is_rx, ring=0):
        """Port numbers of the monitors on a ring's list; of a zero-copy one also those behind it, in brackets."""
        return self.seg.walk(self.rings(is_rx)[ring])

    def close(self):
        self.desc.close()
        self.seg.close()
        for fd in self.fds:
            os.close(fd)


class Segment:
    def __init__(self, fd):
        self.map = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        self.port_ofs, _, self.kring_ofs = struct.unpack_from("<QQQ", self.map, 88)

    def u32(self, ofs):
        return struct.unpack_from("<I", self.map, ofs)[0]

    def geometry(self, port):
        n_tx, n_rx, htx, hrx, base = struct.unpack_from("<5I", self.map, self.port_ofs + 576 * port + 92)
        return base, n_tx + htx, n_rx + hrx

    def walk(self, kring):
        at = self.kring_ofs + 512 * kring
        direction = OF_RX if self.u32(at + 8) else OF_TX
        out, k = [], self.u32(at + 32)
        while k != NONE:
            assert len(out) < 300, "a circle"
            m = self.kring_ofs + 512 * k
            u.expect(self.u32(m + 64 + 4 * direction), kring, "the ring that is watched")
            out.append(self.u32(m))
            if self.u32(m + 32) != NONE:
                out.append(self.walk(k))
            k = self.u32(m + 56 + 4 * direction)
        return out

    def close(self):
        self.map.close()


def refused(s, name, want, **kw):
    d = s.open()
    r = s.register(d, name, **kw)
    u.expect(r.error, want, "%s %s (%s)" % (name, kw, r.text))
    assert r.text, "no reason"
    d.close()
    return r


def refusals(daemon):
    s = daemon.session()
    for name in ("vale0:a", "p{1", "nosuch", "tap:nosuch"):
        refused(s, name, errno.EINVAL, flags=TX)  # nobody has it open
    refused(s, "vale0", errno.ENOMEM, flags=TX)
    c = s.open()
    newif = struct.pack("<IIHHHH", 0, 0, 0, 0, 0, 0)
    u.expect(s.ctrl(c, u.VALE_NEWIF, "p0", newif).error, 0, "newif")
    refused(s, "p0", errno.EINVAL, flags=RX)  # it exists, but is not open
    u.expect(s.ctrl(c, u.VALE_DELIF, "p0").error, 0, "delif")
    a = Held(s, "vale0:a", tx_rings=2)
    for kw, want in ((dict(mode=u.SW), errno.EINVAL), (dict(mode=u.ONE_SW), errno.EINVAL), (dict(mode=0), errno.EINVAL),
                     (dict(mode=u.ONE_NIC, ringid=2), errno.EINVAL), (dict(mem_id=999), errno.EINVAL),
                     (dict(csb=1), errno.EINVAL)):
        refused(s, "vale0:a", want, flags=BOTH, **kw)
    offsets = u.option(u.OPT_OFFSETS, struct.pack("<QQIIQ", 128, 0, 16, 0, 0))
    r = refused(s, "vale0:a", errno.EOPNOTSUPP, flags=u.ZCOPY, options=[offsets])
    u.expect(r.status(0), errno.EOPNOTSUPP, "status of the option")
    u.expect(s.ctrl(c, u.PORT_HDR_SET, "vale0:a", struct.pack("<II", 12, 0)).error, 0, "header")
    refused(s, "vale0:a", errno.EIO, flags=RX)
    m = Held(s, "vale0:a", flags=RX | u.ACCEPT_VNET)
    refused(s, "vale0:a/r#0", errno.EINVAL, flags=RX)  # a monitor has no name that can be opened
    m.close()
    a.close()
    u.expect(s.admin("show", "ports")[1], '{"ports":[]}', "ports left behind")
    s.close()


def answers(daemon):
    """Geometry, memory, flags and name."""
    s = daemon.session()
    a = Held(s, "vale0:a", tx_rings=2, rx_rings=3, tx_slots=100, rx_slots=200)
    p = Held(s, "x{1", tx_slots=64)
    copy = Held(s, "vale0:a", flags=TX)
    r = copy.reg
    u.expect((r["tx_rings"], r["rx_rings"], r["rx_slots"], r["flags"]), (1, 3, 200, TX), "copy monitor")
    assert r["mem_id"] not in (a.reg["mem_id"], 1), "a copy monitor has a region of its own"
    u.expect((copy.info.kind, copy.info.rx_lo, copy.info.rx_hi), (PORT_MONITOR, 0, 3), "rings bound")
    zero = Held(s, "vale0:a", flags=u.ZCOPY, mem_id=1, rx_slots=9999)
    u.expect((zero.reg["mem_id"], zero.reg["flags"], zero.reg["rx_slots"]),
             (a.reg["mem_id"], u.ZCOPY | BOTH, 4096), "zero-copy monitor")
    shared = Held(s, "vale0:a", flags=RX, mem_id=p.reg["mem_id"])
    u.expect(shared.reg["mem_id"], p.reg["mem_id"], "a copy monitor in a region of its choice")
    one = Held(s, "vale0:a", flags=BOTH, mode=u.ONE_NIC, ringid=2)
    u.expect((one.info.rx_lo, one.info.rx_hi, one.info.tx_lo, one.info.tx_hi), (2, 3, 0, 1), "one ring")
    of_pipe = Held(s, "x{1", flags=u.ZCOPY)
    u.expect(of_pipe.reg["mem_id"], p.reg["mem_id"], "zero-copy on a pipe")
    names = s.admin("show", "ports")[1]
    for name in ("vale0:a/t#0", "vale0:a/zrt#1", "vale0:a/r#2", "vale0:a/rt#3", "x{1/zrt#0"):
        assert '"name":"%s"' % name in names, (name, names)
    d = s.open()
    r = s.ctrl(d, u.VALE_LIST, "vale0:a/t#0", struct.pack("<HHII", 0, 0, 0, 0))
    assert r.error != 0, "a monitor in the switch's list"
    extra = Held(s, "vale0:a", flags=TX, extra=5000)
    u.expect(extra.reg["extra"], 5000, "extra buffers")
    for h in (a, p, copy, zero, shared, one, of_pipe, extra):
        h.close()
    s.close()


def lists(daemon):
    s = daemon.session()
    a = Held(s, "vale0:a", tx_rings=2, rx_rings=1)
    t = Held(s, "vale0:a", flags=TX)
    r = Held(s, "vale0:a", flags=RX)
    z = [Held(s, "vale0:a", flags=u.ZCOPY) for _ in range(3)]
    one = Held(s, "vale0:a", flags=BOTH, mode=u.ONE_NIC, ringid=1)
    T, R, ONE = t.info.port, r.info.port, one.info.port
    Z = [h.info.port for h in z]
    u.expect(a.watchers(False, 0), [Z[0], [Z[1], [Z[2]]], T], "tx ring 0")
    u.expect(a.watchers(False, 1), [ONE, Z[0], [Z[1], [Z[2]]], T], "tx ring 1")
    u.expect(a.watchers(True, 0), [Z[0], [Z[1], [Z[2]]], R], "rx ring 0")
    z[1].close()
    u.expect(s.admin("show", "daemon")[0], 0, "sees the close")
    u.expect(a.watchers(False, 0), [Z[0], [Z[2]], T], "the middle one left")
    z[0].close()
    t.close()
    u.expect(s.admin("show", "daemon")[0], 0, "sees the close")
    u.expect(a.watchers(False, 1), [Z[2], ONE], "the first one left")
    u.expect(a.watchers(True, 0), [Z[2], R], "the first one left")
    more = Held(s, "vale0:a", flags=u.ZCOPY)
    u.expect(a.watchers(True, 0), [Z[2], [more.info.port], R], "one came")
    for h in (a, r, z[2], one, more):
        h.close()
    s.close()


def orphans(daemon):
    """Closed means that the last user has gone, whether the port stays or not; nobody comes back to life."""
    s = daemon.session()
    a, again = Held(s, "vale0:a"), Held(s, "vale0:a")
    b = Held(s, "vale0:b")
    p, q = Held(s, "x{1"), Held(s, "x}1")
    mons = [Held(s, "vale0:a", flags=BOTH), Held(s, "vale0:a", flags=u.ZCOPY), Held(s, "vale0:a", flags=u.ZCOPY)]
    of_p, of_q = Held(s, "x{1", flags=BOTH), Held(s, "x}1", flags=u.ZCOPY)
    a.close()
    s.admin("show", "daemon")
    assert not any(m.is_orphan() for m in mons)
    again.close()
    p.close()
    s.admin("show", "daemon")
    assert all(m.is_orphan() for m in mons)
    assert of_p.is_orphan() and not of_q.is_orphan()
    for m in mons:
        u.expect(m.seg.u32(m.seg.port_ofs + 576 * m.info.port + 4), STATE_ACTIVE, "it can still be read")
    a = Held(s, "vale0:a")
    u.expect(a.watchers(False), [], "watchers of the new one")
    refused(s, "vale9:a", errno.EINVAL, flags=TX)
    for h in mons + [of_p, of_q, q, b, a]:
        h.close()
    s.admin("show", "daemon")
    u.expect(s.admin("show", "ports")[1], '{"ports":[]}', "ports left behind")
    s.close()


def limit(daemon):
    s = daemon.session()
    a, p = Held(s, "vale0:a", tx_slots=4, rx_slots=4), Held(s, "x{1")
    mons = [Held(s, "vale0:a", flags=TX, mem_id=p.reg["mem_id"]) for _ in range(256)]
    u.expect(len(a.watchers(False)), 256, "monitors")
    refused(s, "vale0:a", errno.ENOMEM, flags=TX)
    mons.pop().close()
    mons.append(Held(s, "vale0:a", flags=TX, mem_id=p.reg["mem_id"]))
    for h in mons + [a, p]:
        h.close()
    s.close()


def restart(daemon):
    """Whatever of a group comes back, the lists hold that and nothing else."""
    rnd = random.Random(5)
    for turn in range(6):
        s = daemon.session()
        a, b = Held(s, "vale%d:a" % turn), Held(s, "y%d{1" % turn)
        mons = [Held(s, "vale%d:a" % turn, flags=f) for f in (TX, u.ZCOPY, RX, u.ZCOPY, u.ZCOPY)]
        mons += [Held(s, "y%d{1" % turn, flags=f) for f in (u.ZCOPY, BOTH)]
        if turn == 5:
            a.close()
            s.admin("show", "daemon")
        daemon.kill()
        slot = s.slot
        s.close()
        daemon.start()
        n = daemon.session(hello=False)
        n.request(u.HELLO, u.HELLO_BODY.pack(u.VERSION, slot, 12345, os.getpid(), 0, b"test", b""))
        back = [m for m in mons if turn == 0 or turn == 5 or rnd.random() < 0.6]
        group = back + [b] + ([a] if turn < 4 else [])
        if turn == 4:
            a.close()
        rnd.shuffle(group)
        for h in group:
            h.restore(n)
        for m in mons:
            if m not in back:
                m.close()
        u.expect(n.request(u.RESTORE_DONE).error, 0, "done")
        n.register(n.open(), "vale_other:x").close()  # waits for the end of the phase
        of_a = [m for m in back if m in mons[:5]]
        if turn < 4:
            def numbers(flags):
                return sorted(m.info.port for m in of_a if m.info.nr_flags & flags and not m.info.nr_flags & u.ZCOPY)

            def flat(x):
                return [y for e in x for y in (flat(e) if isinstance(e, list) else [e])]
            zero = sorted(m.info.port for m in of_a if m.info.nr_flags & u.ZCOPY)
            u.expect(sorted(flat(a.watchers(False))), sorted(numbers(TX) + zero), "tx list after a restart")
            u.expect(sorted(flat(a.watchers(True))), sorted(numbers(RX) + zero), "rx list after a restart")
            assert not any(m.is_orphan() for m in of_a)
        else:
            assert all(m.is_orphan() for m in of_a), "the watched port has not come back"
        for h in group:
            h.close()
        n.close()


u.run([refusals, answers, lists, orphans, limit, restart])
