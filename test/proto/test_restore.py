#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""RESTORE: a netmapd that was killed is started again and takes back what its clients hold; what does not fit is refused."""
import errno
import json
import mmap
import os
import struct
import threading
import time

import unmproto as u


class Held:
    """A binding with its descriptors, as a client keeps them."""

    def __init__(self, session, name, **kw):
        self.desc = session.open()
        r = session.register(self.desc, name, **kw)
        u.expect(r.error, 0, "register " + name + ": " + r.text)
        self.info, self.fds, self.reg = r.info, r.fds, r.reg()

    def message(self, registered=1, info=None):
        return struct.pack("<II", registered, 0) + (info or self.info.raw)

    def restore(self, session, **kw):
        return session.request(u.RESTORE, self.message(**kw), [self.desc.d.fileno()] + self.fds[1:] + [self.desc.c.fileno()])

    def close(self):
        self.desc.close()
        for fd in self.fds:
            os.close(fd)


def restart(daemon, sessions=()):
    daemon.kill()
    for s in sessions:
        s.close()
    daemon.start()


def returning(daemon, slot=0):
    s = daemon.session(hello=False)
    ans = s.request(u.HELLO, u.HELLO_BODY.pack(u.VERSION, slot, 12345, os.getpid(), 0, b"test", b""))
    u.expect(ans.error, 0, "hello")
    s.slot = u.HELLO_BODY.unpack(ans.body)[1]
    return s


def takes_back_everything(daemon):
    """Same ports, same memory, same bindings; new ports do not collide with the old ones."""
    s = daemon.session()
    held = [Held(s, "vale1:a"), Held(s, "vale1:b", tx_rings=2, rx_rings=2), Held(s, "vale1:b", mode=u.ONE_NIC, ringid=1),
            Held(s, "q{1"), Held(s, "q}1"), Held(s, "vale1:a{x", extra=3)]
    before = [(h.info.port, h.info.binding, h.info.nifp_ofs) for h in held]
    header = struct.pack("<II", 12, 0x22)  # of virtio-net, and the offloads that it comes without
    u.expect(s.ctrl(held[1].desc, u.PORT_HDR_SET, "vale1:b", header).error, 0, "header")
    restart(daemon, [s])
    n = returning(daemon, s.slot)
    u.expect(n.slot, s.slot, "slot")
    for h in held:
        u.expect(h.restore(n).error, 0, "restore")
    u.expect(held[0].restore(n).error, 0, "restore of the same binding by another process")
    u.expect(n.request(u.RESTORE_DONE).error, 0, "done")
    for h, want in zip(held, before):
        ans = n.get_binding(h.desc)
        u.expect(ans.error, 0, "binding after the restart")
        info = u.BindInfo(ans.body[24:])
        assert (info.port, info.binding, info.nifp_ofs) == want
        assert os.fstat(ans.fds[1]).st_ino == os.fstat(h.fds[1]).st_ino, "another region"
        ans.close()
    u.expect(n.ctrl(held[1].desc, u.PORT_HDR_GET, "vale1:b", bytes(8)).body, header, "header after the restart")
    again = Held(n, "vale1:a")
    assert again.info.seg_uid == held[0].info.seg_uid and again.info.port == held[0].info.port
    assert again.info.nifp_ofs != held[0].info.nifp_ofs, "an object was given out twice"
    other = Held(n, "vale1:c")
    assert other.info.port not in (held[0].info.port, held[1].info.port)
    for h in held + [again, other]:
        h.close()
    ans = n.request(u.GET_REGION, struct.pack("<Q", held[0].info.region_uid) + bytes(72))
    u.expect(ans.error, errno.ESTALE, "region after the last close")
    n.close()


def requests_wait_for_the_others(daemon):
    """A new client's REGISTER is answered only when the old clients are back, and finds their port."""
    s1, s2 = daemon.session(), daemon.session()
    held = Held(s1, "vale2:a")
    idle = Held(s2, "vale2:b")
    restart(daemon, [s1, s2])
    new = daemon.session()
    late = new.open()
    got = []
    t = threading.Thread(target=lambda: got.append(new.register(late, "vale2:a")))
    t.start()
    nmctl, created = daemon.session(hello=False), []
    u.expect(nmctl.admin("show", "daemon")[0], 0, "show does not wait")
    u.expect(nmctl.admin("frob")[0], errno.EINVAL, "nor does what is wrong")
    t2 = threading.Thread(target=lambda: created.append(nmctl.admin("create", "p2")))
    t2.start()
    b1, b2 = returning(daemon), returning(daemon)
    u.expect(held.restore(b1).error, 0, "restore 1")
    b1.request(u.RESTORE_DONE)
    time.sleep(0.2)
    assert not got and not created, "answered before the second client was back"
    u.expect(idle.restore(b2).error, 0, "restore 2")
    b2.request(u.RESTORE_DONE)
    t.join(10)
    t2.join(10)
    u.expect(created, [(0, "{}")], "create after the phase")
    u.expect(nmctl.admin("delete", "p2")[0], 0, "delete")
    nmctl.close()
    u.expect(got[0].error, 0, "register after the phase")
    assert got[0].info.seg_uid == held.info.seg_uid and got[0].info.port == held.info.port
    for h in (held, idle):
        h.close()
    late.close()
    for s in (new, b1, b2):
        s.close()


def missing_clients_are_reaped(daemon):
    """Who does not come back loses its port and its locks; the others go on after a bounded wait."""
    s1, s2 = daemon.session(), daemon.session()
    stays, goes = Held(s1, "vale3:stays"), Held(s2, "vale3:goes")
    seg = mmap.mmap(stays.fds[3], stays.info.seg_size)
    lock = u.kring_ofs(seg, stays.info.port, 1) + u.KRING_LOCK  # of its rx ring
    struct.pack_into("<I", seg, lock, s2.slot)
    restart(daemon, [s1, s2])
    goes.close()
    b = returning(daemon, s1.slot)
    u.expect(stays.restore(b).error, 0, "restore")
    b.request(u.RESTORE_DONE)
    t0 = time.monotonic()
    d = b.open()
    r = b.register(d, "vale3:goes")
    u.expect(r.error, 0, "register in the place of the missing")
    assert time.monotonic() - t0 < 5
    assert r.info.seg_uid == stays.info.seg_uid
    u.expect(struct.unpack_from("<I", seg, lock)[0], 0, "lock of the missing client")
    seg.close()
    d.close()
    stays.close()
    b.close()


def a_late_delivery_stays_in_the_old_ring(daemon):
    """Who was delivering to a port that is gone may finish, and spoils no ring that has been made since."""
    s1, s2 = daemon.session(), daemon.session()
    stays, goes = Held(s1, "vale9:stays"), Held(s2, "vale9:goes")
    seg = mmap.mmap(stays.fds[3], stays.info.seg_size)
    old = [u.kring_ofs(seg, goes.info.port, i) for i in range(2)]
    struct.pack_into("<I", seg, old[1] + u.KRING_LOCK, s1.slot)
    restart(daemon, [s1, s2])
    goes.close()
    b = returning(daemon, s1.slot)
    u.expect(stays.restore(b).error, 0, "restore")
    b.request(u.RESTORE_DONE)
    new = Held(b, "vale9:goes")
    rx = u.kring_ofs(seg, new.info.port, 1)
    assert rx not in old, "a ring was used again while somebody was in it"
    assert struct.unpack_from("<I", seg, old[1] + u.KRING_LOCK)[0] & 0xffff == s1.slot, "the lock of a living client"
    struct.pack_into("<I", seg, old[1] + u.KRING_HWTAIL, 877)  # the frames are there ...
    struct.pack_into("<I", seg, old[1] + u.KRING_LOCK, 0)
    u.expect(struct.unpack_from("<I", seg, rx + u.KRING_HWTAIL)[0], 0, "frames in the new ring")
    deadline = time.monotonic() + 10
    while True:  # ... and then the ring can be had again
        again = Held(b, "vale9:again")
        found = u.kring_ofs(seg, again.info.port, 0) in old
        again.close()
        if found:
            break
        assert time.monotonic() < deadline, "the ring is never used again"
        time.sleep(0.02)
    seg.close()
    for h in (new, stays):
        h.close()
    b.close()


def used_buffers(session):
    """Of the global region."""
    return next(m for m in json.loads(session.admin("show", "memory")[1])["memory"] if m["id"] == 1)["buffers"]["used"]


def swapped_buffers_of_a_pipe_are_freed(daemon):
    """Both ends are gone with netmapd: what the receiver had put into a slot that it still had was the sender's."""
    s1, s2 = daemon.session(), daemon.session()
    stays = Held(s1, "stays{1")
    before = used_buffers(s1)
    a, b = Held(s2, "goes{1"), Held(s2, "goes}1")
    seg = mmap.mmap(a.fds[3], a.info.seg_size)
    memory = a.fds[1]
    sent, own = (u.ring_slots_ofs(seg, h.info.port, i) for h, i in ((b, 1), (b, 0)))
    first = os.pread(memory, 4, u.ring_slots_ofs(seg, a.info.port, 0))
    # a sends its first slot, and b puts the buffer of its own first one there
    os.pwrite(memory, os.pread(memory, 4, own), sent)
    os.pwrite(memory, first, own)
    struct.pack_into("<I", seg, u.kring_ofs(seg, b.info.port, 1) + u.KRING_HWTAIL, 1)
    seg.close()
    restart(daemon, [s1, s2])
    a.close()
    b.close()
    n = returning(daemon, s1.slot)
    u.expect(stays.restore(n).error, 0, "restore")
    n.request(u.RESTORE_DONE)
    Held(n, "stays}1").close()  # answered when all is settled
    assert used_buffers(n) == before, "%d buffers are in use, were %d" % (used_buffers(n), before)
    stays.close()
    n.close()


def region_numbers_go_on(daemon):
    """What a run that is killed has given last is not given again by the next one, though nobody has brought it back."""
    s = daemon.session()
    held = Held(s, "vale10:a")
    restart(daemon, [s])
    b = returning(daemon, s.slot)
    u.expect(b.request(u.RESTORE_DONE).error, 0, "done")
    held.close()
    new = Held(b, "vale10:a")
    assert new.reg["mem_id"] > held.reg["mem_id"], "region %d, then %d" % (held.reg["mem_id"], new.reg["mem_id"])
    new.close()
    b.close()


def nonsense_is_refused(daemon):
    """Each damaged field of a RESTORE is refused, and the honest one after it is still taken."""
    s = daemon.session()
    held = Held(s, "vale4:a")
    other = Held(s, "vale5:b")
    restart(daemon, [s])
    b = returning(daemon, s.slot)
    raw = bytearray(held.info.raw)

    def patched(fmt, ofs, value):
        c = bytearray(raw)
        struct.pack_into(fmt, c, ofs, value)
        return bytes(c)

    region = u.BIND_INFO.size
    cases = [("segment uid", "<Q", 16, 1, errno.EINVAL), ("port", "<I", 32, 99999, errno.EINVAL),
             ("port generation", "<I", 36, 77, errno.ESTALE), ("binding", "<I", 40, 16000, errno.ESTALE),
             ("binding generation", "<I", 44, 9, errno.ESTALE), ("kind", "<I", 48, 2, errno.ESTALE),
             ("interface offset", "<Q", 56, 7, errno.EINVAL), ("interface beyond", "<Q", 56, 1 << 40, errno.EINVAL),
             ("tx_hi", "<I", 84, 50, errno.EINVAL), ("mode", "<I", 72, 99, errno.EINVAL),
             ("region size", "<Q", region + 8, 1 << 40, errno.EINVAL),
             ("region buffers", "<I", region + 72, 1 << 31, errno.EINVAL),
             ("region rings at", "<Q", region + 48, (1 << 63) + 64, errno.EINVAL),
             ("region id", "<I", region + 24, 0, errno.EINVAL)]
    for what, fmt, ofs, value, want in cases:
        u.expect(held.restore(b, info=patched(fmt, ofs, value)).error, want, what)
    d, c, fds = held.desc.d.fileno(), held.desc.c.fileno(), held.fds
    with open("/dev/null") as null:
        for i in range(5):
            use = [d] + fds[1:] + [c]
            use[i] = null.fileno()
            u.expect(b.request(u.RESTORE, held.message(), use).error, errno.EINVAL, "descriptor %d is /dev/null" % i)
    u.expect(b.request(u.RESTORE, held.message(), [d] + fds[1:4] + [c]).error, errno.EPROTO, "too few descriptors")
    u.expect(b.request(u.RESTORE, held.message(), [d] + fds[1:] + [fds[1], c]).error, errno.EPROTO, "too many descriptors")
    u.expect(b.request(u.RESTORE, held.message()[:-8], [d] + fds[1:] + [c]).error, errno.EPROTO, "short")
    u.expect(held.restore(b).error, 0, "honest restore")
    mixed = [other.desc.d.fileno()] + other.fds[1:] + [other.desc.c.fileno()]
    mixed[3] = held.fds[3]
    u.expect(b.request(u.RESTORE, other.message(), mixed).error, errno.EINVAL, "segment of another switch")
    u.expect(other.restore(b).error, 0, "honest restore of the other")
    b.request(u.RESTORE_DONE)
    held.close()
    other.close()
    b.close()


def persistent_ports_come_back(daemon):
    """Ports made by NEWIF exist after a restart although nobody had them open."""
    s = daemon.session()
    d = s.open()
    newif = struct.pack("<IIHHHH", 128, 256, 2, 1, 0, 0)
    u.expect(s.ctrl(d, u.VALE_NEWIF, "keep1", newif).error, 0, "newif")
    u.expect(s.ctrl(d, u.VALE_NEWIF, "keep2", newif).error, 0, "newif 2")
    att = u.REG_BODY.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, u.ALL_NIC, 0, 0) + bytes(8)
    u.expect(s.ctrl(d, u.VALE_ATTACH, "vale7:keep2", att).error, 0, "attach")
    d.close()
    s.close()
    time.sleep(0.05)
    restart(daemon)
    s = daemon.session()
    h = Held(s, "keep1")
    assert (h.reg["tx_slots"], h.reg["rx_slots"], h.reg["tx_rings"], h.reg["rx_rings"]) == (128, 256, 2, 1)
    h.close()
    h = Held(s, "vale7:keep2")
    h.close()
    d = s.open()
    u.expect(s.ctrl(d, u.VALE_DETACH, "vale7:keep2", bytes(8)).error, 0, "detach")
    for name in ("keep1", "keep2"):
        u.expect(s.ctrl(d, u.VALE_DELIF, name).error, 0, "delif " + name)
    d.close()
    s.close()


def detached_ports_come_back(daemon):
    """
    A port that was taken from its switch while open is still off it after a restart, under its plain name; put
    there again, it is on it after the next one.
    """
    s = daemon.session()
    d = s.open()
    att = u.REG_BODY.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, u.ALL_NIC, 0, 0) + bytes(8)
    u.expect(s.ctrl(d, u.VALE_NEWIF, "off1", struct.pack("<IIHHHH", 0, 0, 0, 0, 0, 0)).error, 0, "newif")
    u.expect(s.ctrl(d, u.VALE_ATTACH, "vale8:off1", att).error, 0, "attach")
    held = Held(s, "off1")
    u.expect(s.ctrl(d, u.VALE_DETACH, "vale8:off1", bytes(8)).error, 0, "detach")
    d.close()
    restart(daemon, [s])
    b = returning(daemon, s.slot)
    u.expect(held.restore(b).error, 0, "restore")
    u.expect(b.request(u.RESTORE_DONE).error, 0, "done")
    d = b.open()
    u.expect(b.ctrl(d, u.VALE_ATTACH, "vale8:off1", att).error, errno.EBUSY, "attach while open")
    u.expect(b.ctrl(d, u.VALE_LIST, "vale8:off1", bytes(8)).error, errno.ENOENT, "on no switch")
    again = Held(b, "off1")
    assert (again.info.seg_uid, again.info.port) == (held.info.seg_uid, held.info.port)
    again.close()
    u.expect(b.admin("attach", "vale8", "off1")[0], 0, "attach again while open, by nmctl")
    d.close()
    restart(daemon, [b])
    b = returning(daemon, b.slot)
    u.expect(held.restore(b).error, 0, "restore")
    u.expect(b.request(u.RESTORE_DONE).error, 0, "done")
    d = b.open()
    u.expect(b.ctrl(d, u.VALE_LIST, "vale8:off1", bytes(8)).error, 0, "on its switch")
    again = Held(b, "vale8:off1")
    assert (again.info.seg_uid, again.info.port) == (held.info.seg_uid, held.info.port)
    again.close()
    u.expect(b.ctrl(d, u.VALE_DETACH, "vale8:off1", bytes(8)).error, 0, "detach")
    held.close()
    u.expect(b.ctrl(d, u.VALE_ATTACH, "vale8:off1", att).error, 0, "attach after the last close")
    u.expect(b.ctrl(d, u.VALE_DETACH, "vale8:off1", bytes(8)).error, 0, "detach")
    u.expect(b.ctrl(d, u.VALE_DELIF, "off1").error, 0, "delif")
    u.expect(b.admin("show", "ports")[1], '{"ports":[]}', "ports left behind")
    d.close()
    b.close()


def unregistered_descriptors_come_back(daemon):
    """D alone is taken back too, and can be registered afterwards."""
    s = daemon.session()
    d = s.open()
    restart(daemon, [s])
    b = returning(daemon)
    info = d.id + bytes(u.BIND_INFO_SIZE - 16)
    u.expect(b.request(u.RESTORE, struct.pack("<II", 0, 0) + info, d.both()).error, 0, "restore")
    b.request(u.RESTORE_DONE)
    r = b.register(d, "vale6:x")
    u.expect(r.error, 0, "register")
    r.close()
    d.close()
    b.close()


u.run([takes_back_everything, requests_wait_for_the_others, missing_clients_are_reaped,
       a_late_delivery_stays_in_the_old_ring, swapped_buffers_of_a_pipe_are_freed, region_numbers_go_on,
       nonsense_is_refused, persistent_ports_come_back, detached_ports_come_back, unregistered_descriptors_come_back])
