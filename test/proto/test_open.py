#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""OPEN: who may claim a descriptor; what its hang-up does; GET_BINDING, GET_REGION and GET_WAKE."""
import errno
import os
import socket
import struct
import time

import unmproto as u


def open_raw(s, desc_id, fd):
    return s.request(u.OPEN, desc_id, [fd, fd]).error


def checks_identity(daemon):
    """D must be a stream-like UNIX socket bound to the name that its id makes."""
    s = daemon.session()
    d, other = u.Desc(), u.Desc()
    u.expect(open_raw(s, other.id, d.d.fileno()), errno.EINVAL, "somebody else's id")
    u.expect(open_raw(s, d.id, d.c.fileno()), errno.EINVAL, "the other end")
    with open("/dev/null") as null:
        u.expect(open_raw(s, d.id, null.fileno()), errno.EINVAL, "not a socket")
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    a.bind(b"\0unetmap-" + (b"\1" * 16).hex().encode())
    u.expect(open_raw(s, b"\1" * 16, a.fileno()), errno.EINVAL, "datagram socket")
    e, f = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    e.bind(b"\0unetmap-" + (b"\2" * 16).hex().encode())
    u.expect(open_raw(s, b"\2" * 16, e.fileno()), errno.EINVAL, "of the kind that sessions are")
    u.expect(open_raw(s, d.id, d.d.fileno()), 0, "the right one")
    u.expect(open_raw(s, d.id, d.d.fileno()), errno.EEXIST, "twice")
    for x in (a, b, e, f):
        x.close()
    d.close()
    other.close()
    u.expect(open_raw(s, d.id, 0), errno.EINVAL, "standard input")
    s.close()


def close_is_seen_by_the_next_request(daemon):
    """The port of a closed descriptor is gone for whoever asks next, however fast."""
    s = daemon.session()
    for _ in range(200):
        a, b = s.open(), s.open()
        u.expect(s.register(a, "vale0:x", flags=u.EXCLUSIVE).error, 0, "exclusive")
        a.close()
        r = s.register(b, "vale0:x", flags=u.EXCLUSIVE)
        u.expect(r.error, 0, "exclusive again: " + r.text)
        r.close()
        b.close()
    s.close()


def unbind_undoes_a_register(daemon):
    """The descriptor is as if newly opened; the port is there for the next one, exclusively."""
    s, t = daemon.session(), daemon.session()
    a, b = s.open(), t.open()
    u.expect(s.request(u.UNBIND, b"\1" * 16, [a.d.fileno()]).error, errno.EBADF, "no such descriptor")
    u.expect(s.unbind(a).error, 0, "not registered: nothing to undo")
    for name in ("vale0:x", "p{1"):
        u.expect(s.register(a, name, flags=u.EXCLUSIVE).error, 0, "exclusive")
        u.expect(s.unbind(a).error, 0, "undone")
        u.expect(s.get_binding(a).error, errno.ENXIO, "not registered any more")
        u.expect(t.register(b, name, flags=u.EXCLUSIVE).error, 0, "exclusive, by another")
        u.expect(t.unbind(b).error, 0, "undone")
    u.expect(s.register(a, "vale0:x").error, 0, "the same descriptor again")
    for x in (a, b, s, t):
        x.close()


def another_process_finds_the_binding(daemon):
    s, t = daemon.session(), daemon.session()
    d = s.open()
    ans = t.get_binding(d)
    u.expect(ans.error, errno.ENXIO, "not registered")
    u.expect((struct.unpack_from("<I", ans.body, 16)[0], len(ans.fds)), (1, 1), "is open, with D")
    ans.close()
    ans = t.request(u.GET_BINDING, bytes(u.GET_BINDING_SIZE), [d.c.fileno()])
    u.expect((ans.error, len(ans.fds)), (errno.ENXIO, 0), "unknown")
    r = s.register(d, "vale0:x")
    ans = t.get_binding(d)
    u.expect((ans.error, len(ans.fds)), (0, 5), "registered")
    assert ans.body[24:] == r.info.raw
    for a, b in zip(ans.fds, r.fds):
        assert os.path.sameopenfile(a, b) or os.readlink("/proc/self/fd/%d" % a) == os.readlink("/proc/self/fd/%d" % b)
    ans.close()
    t.close()
    u.expect(s.get_binding(d, d.d).error, 0, "a session that ends takes nothing with it")
    r.close()
    d.close()
    s.close()


def asking_takes_the_descriptor(daemon):
    """Who knows the id only, which everybody may read, gets nothing by it."""
    s, t = daemon.session(), daemon.session()
    d, mine = s.open(), t.open()
    r = s.register(d, "vale0:x")
    for proof in (mine.c, mine.d, t.sock):
        ans = t.get_binding(d, proof)
        assert (ans.error, ans.fds, any(ans.body[16:])) == (errno.ENXIO, [], False), (ans.error, ans.fds)
        u.expect(t.unbind(d, proof).error, errno.EBADF, "unbind")
        u.expect(t.ctrl(d, u.PORT_INFO_GET, "vale0:x", bytes(32), proof=proof).error, errno.EBADF, "request")
    for proof in (d.c, d.d):
        ans = t.get_binding(d, proof)
        u.expect((ans.error, len(ans.fds)), (0, 5), "binding")
        ans.close()
        u.expect(t.ctrl(d, u.PORT_INFO_GET, "vale0:x", bytes(32), proof=proof).error, 0, "request")
    for x in (r, d, mine, s, t):
        x.close()


def a_proof_does_not_stay(daemon):
    """A descriptor that was shown, and then closed, is gone for whoever asks next."""
    s, t = daemon.session(), daemon.session()
    for _ in range(100):
        d = s.open()
        u.expect(s.register(d, "vale0:x", flags=u.EXCLUSIVE).error, 0, "exclusive")
        d.d.close()
        t.get_binding(d).close()
        d.c.close()
        e = t.open()
        r = t.register(e, "vale0:x", flags=u.EXCLUSIVE)
        u.expect(r.error, 0, "exclusive again: " + r.text)
        r.close()
        e.close()
    s.close()
    t.close()


def a_stranger_keeps_nobody(daemon):
    """Who may not use netmapd sends it what can't be closed: nobody else waits."""
    peers = []

    def stranger(data, n, fd):
        s = daemon.session(hello=False)
        s.send_raw(data, [0] * (n - 1) + [fd])
        return True

    for data, n in ((u.open_message(2), 2), (b"garbage", 1), (u.open_message(253), 253), (u.open_message(72), 253)):
        fd, peer = u.lingering()
        peers.append(peer)
        with u.Stopped(daemon.proc.pid):
            done = u.elsewhere(u.CLONE_NEWUSER, lambda: stranger(data, n, fd))
            os.close(fd)
        begin = time.monotonic()
        daemon.check_alive()
        took = time.monotonic() - begin
        assert took < 1, "%d descriptors: %.1f s" % (n, took)
        if done is None:
            print("# no other user namespace")
            break
        assert done
    for peer in peers:
        peer.close()


def regions_and_wakes(daemon):
    s = daemon.session()
    d = s.open()
    r = s.register(d, "vale0:x")
    region = struct.pack("<Q", r.info.region_uid) + bytes(72)
    wake = struct.pack("<QII", r.info.seg_uid, r.info.binding, r.info.binding_gen)
    for kind, good, bad in ((u.GET_REGION, region, [bytes(80), b"\xff" * 80]),
                            (u.GET_WAKE, wake, [bytes(16), struct.pack("<QII", r.info.seg_uid, 99999, 2),
                                                struct.pack("<QII", r.info.seg_uid, 4000, 2),
                                                struct.pack("<QII", r.info.seg_uid, r.info.binding, 3)])):
        ans = s.request(kind, good)
        u.expect((ans.error, len(ans.fds)), (0, 1), "type %d" % kind)
        ans.close()
        for b in bad:
            ans = s.request(kind, b)
            u.expect((ans.error, len(ans.fds)), (errno.ESTALE, 0), "type %d of nothing" % kind)
    ans = s.request(u.GET_REGION, region)
    size = os.fstat(ans.fds[0]).st_size
    u.expect(size, r.info.region_size, "size")
    for change in (lambda: os.ftruncate(ans.fds[0], 4096), lambda: os.ftruncate(ans.fds[0], size * 2)):
        try:
            change()
            raise AssertionError("a region is not sealed")
        except PermissionError:
            pass
    ans.close()
    r.close()
    d.close()
    u.expect(s.request(u.GET_REGION, region).error, errno.ESTALE, "region after the close")
    u.expect(s.request(u.GET_WAKE, wake).error, errno.ESTALE, "wake after the close")
    s.close()


def ends_of_a_pipe_go_together(daemon):
    """While somebody is in a ring of one end, which has others write to rings of the other, neither's are used again."""
    import mmap
    import time
    s, holder = daemon.session(), daemon.session()
    for held in range(2):
        descs = [s.open(), s.open()]
        regs = [s.register(d, name) for d, name in zip(descs, ("together{1", "together}1"))]
        seg = mmap.mmap(regs[0].fds[3], regs[0].info.seg_size)
        rings = [u.kring_ofs(seg, r.info.port, i) for r in regs for i in range(2)]
        busy = u.kring_ofs(seg, regs[held].info.port, 0) + u.KRING_BUSY
        struct.pack_into("<I", seg, busy, holder.slot)
        for d in descs:
            d.close()
        deadline = time.monotonic() + 10
        while s.admin("show", "ports")[1].count('"closing":true') < 2:
            assert time.monotonic() < deadline, "the ends do not wait"
        ends = [s.open(), s.open()]
        new = [s.register(d, name) for d, name in zip(ends, ("other{1", "other}1"))]
        taken = [u.kring_ofs(seg, r.info.port, i) for r in new for i in range(2)]
        assert not set(rings) & set(taken), "rings used again while end %d is held" % held
        struct.pack_into("<I", seg, busy, 0)
        while s.admin("show", "ports")[1].count('"closing":true'):
            assert time.monotonic() < deadline, "the ends never go"
        seg.close()
        for d in ends:
            d.close()
        for r in regs + new:
            r.close()
    s.close()
    holder.close()


def death_frees_locks_and_wakes(daemon):
    """Locks of a session that ends are broken, and every sleeper's eventfd is signalled."""
    import mmap
    s, victim = daemon.session(), daemon.session()
    d = s.open()
    r = s.register(d, "vale0:x")
    seg = mmap.mmap(r.fds[3], r.info.seg_size)
    _, bind_ofs, kring_ofs = struct.unpack_from("<QQQ", seg, 88)
    rx = u.kring_ofs(seg, r.info.port, 1)
    struct.pack_into("<I", seg, rx + u.KRING_BUSY, victim.slot)
    struct.pack_into("<I", seg, rx + u.KRING_LOCK, victim.slot | 0x80000000)
    struct.pack_into("<I", seg, bind_ofs + r.info.binding * 128 + 64, 1)
    victim.close()
    u.expect(s.request(u.RESTORE_DONE).error, 0, "any request")
    deadline = 100
    while struct.unpack_from("<I", seg, rx + u.KRING_LOCK)[0] and deadline:
        s.request(u.RESTORE_DONE)
        deadline -= 1
    u.expect(struct.unpack_from("<I", seg, rx + u.KRING_BUSY)[0], 0, "busy word")
    u.expect(struct.unpack_from("<I", seg, rx + u.KRING_LOCK)[0], 0, "lock word")
    u.expect(struct.unpack("<Q", os.read(r.fds[4], 8))[0], 1, "eventfd")
    # a word that names nobody is freed when somebody complains, one of the living is not
    idx = (rx - kring_ofs) // u.KRING_SIZE
    for word, after in ((0x1234 if s.slot != 0x1234 else 0x1235, 0), (s.slot, s.slot)):
        struct.pack_into("<I", seg, rx + u.KRING_LOCK, word)
        u.expect(s.request(u.LOCK_STUCK, struct.pack("<QII", r.info.seg_uid, idx, word)).error, 0, "stuck")
        u.expect(struct.unpack_from("<I", seg, rx + u.KRING_LOCK)[0], after, "lock word %x" % word)
    u.expect(s.request(u.LOCK_STUCK, struct.pack("<QII", r.info.seg_uid, 40000, 1)).error, errno.ESTALE, "no such ring")
    # the port is closed while its ring is held: memory is kept until the holder is gone
    holder = daemon.session()
    struct.pack_into("<I", seg, rx + u.KRING_LOCK, holder.slot)
    d.close()
    u.expect(s.admin("show", "ports")[1].count('"closing":true'), 1, "waits for the lock")
    d2 = s.open()
    u.expect(s.register(d2, "vale0:x").error, 0, "the name is free at once")
    holder.close()
    deadline = 200
    while '"closing":true' in s.admin("show", "ports")[1] and deadline:
        deadline -= 1
        time.sleep(0.01)
    assert deadline, "never freed"
    seg.close()
    r.close()
    d2.close()
    s.close()


u.run([checks_identity, close_is_seen_by_the_next_request, unbind_undoes_a_register, another_process_finds_the_binding,
       asking_takes_the_descriptor, a_proof_does_not_stay, a_stranger_keeps_nobody, regions_and_wakes, ends_of_a_pipe_go_together, death_frees_locks_and_wakes])
