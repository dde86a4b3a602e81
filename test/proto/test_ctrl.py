#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""CTRL: the common checks of a request, REGISTER in all its forms, and the errno of each thing that can be wrong with it."""
import errno
import mmap
import os
import struct

import unmproto as u


def common_checks(daemon):
    s = daemon.session()
    d = s.open()
    body = bytes(32)
    for what, want, kw in (("version 13", errno.EINVAL, {"version": 13}), ("version 16", errno.EINVAL, {"version": 16}),
                           ("version 15", 0, {"version": 15}), ("reserved", errno.EINVAL, {"reserved": 1})):
        r = s.ctrl(d, u.PORT_INFO_GET, "vale0:a", body, **kw)
        u.expect(r.error, want, what)
        assert (r.error == 0) == (r.text == ""), r.text
    for kind in (0, 13, 14, 15, 16, 200, 65535):
        u.expect(s.ctrl(d, kind, "vale0:a", body).error, errno.EINVAL, "request type %d" % kind)
    u.expect(s.ctrl(d, u.PORT_INFO_GET, "vale0:a", bytes(24)).error, errno.EINVAL, "short body")
    u.expect(s.ctrl(d, u.PORT_INFO_GET, "vale0:a", body + bytes(4096)).error, errno.EMSGSIZE, "too large")
    u.expect(s.ctrl(u.Desc(), u.PORT_INFO_GET, "vale0:a", body).error, errno.EBADF, "unknown descriptor")
    r = s.ctrl(d, u.PORT_INFO_GET, "vale0:a", body, options=[u.option(0)])
    u.expect((r.error, r.status(0)), (errno.EINVAL, errno.EINVAL), "option type 0")
    r = s.ctrl(d, u.PORT_INFO_GET, "vale0:a", body, options=[u.option(77), u.option(78), u.option(77)])
    u.expect((r.error, r.status(0), r.status(1), r.status(2)),
             (errno.EINVAL, errno.EINVAL, errno.EOPNOTSUPP, errno.EINVAL), "same option twice")
    r = s.ctrl(d, u.PORT_INFO_GET, "vale0:a", body, options=[u.option(77)])
    u.expect((r.error, r.status(0)), (0, errno.EOPNOTSUPP), "unknown option on a query")
    r = s.ctrl(d, u.PORT_INFO_GET, "vale0:a", body, options=[u.option(u.OPT_OFFSETS)[:16]])
    u.expect(r.error, errno.EMSGSIZE, "option cut off")
    for ofs, value in ((24, 7), (28, 4000), (28, 96)):  # has_extmem without a descriptor; wrong blob lengths
        msg = bytearray(d.id + struct.pack("<QIIII160s", 0, 0, 0, 120, 0, b"") + struct.pack("<HHI64sQQ", 14, 2, 0, b"", 0, 0)
                        + body)
        struct.pack_into("<I", msg, ofs + (0 if ofs == 24 else 4), value)
        u.expect(s.request(u.CTRL, bytes(msg), [d.d.fileno()]).error, errno.EPROTO, "message field at %d" % ofs)
    d.close()
    s.close()


def register_checks(daemon):
    """In the order of spec 6.1."""
    s = daemon.session()
    cases = [
        ("vale0:a", dict(mode=u.PIPE_MASTER), errno.EINVAL), ("vale0:a", dict(mode=u.PIPE_SLAVE), errno.EINVAL),
        ("vale0:a", dict(mode=0), errno.EINVAL), ("vale0:a", dict(mode=99), errno.EINVAL),
        ("vale0:a", dict(mode=u.SW), errno.EINVAL), ("vale0:a", dict(mode=u.NIC_SW), errno.EINVAL),
        ("vale0:a", dict(mode=u.ONE_SW), errno.EINVAL), ("vale0:a", dict(mode=u.ONE_NIC, ringid=1), errno.EINVAL),
        ("vale0:a", dict(mem_id=999), errno.EINVAL), ("vale0:a", dict(csb=1), errno.EINVAL),
        ("vale0:a", dict(flags=u.MONITOR_TX), errno.EINVAL), ("nosuch", {}, errno.ENXIO), ("", {}, errno.ENXIO),
        ("lo", {}, errno.EPERM), ("vale0:lo", {}, errno.EINVAL), ("x" * 40, {}, errno.ENXIO),
        ("vale0", {}, errno.ENOMEM), ("vale0:", {}, errno.ENOMEM), ("vale-0:a", {}, errno.ENOMEM),
        ("vale" + "1" * 12 + ":a", {}, errno.ENOMEM), ("vale0:" + "p" * 16, {}, errno.ENOMEM),
        ("{1", {}, errno.EINVAL), ("p{", {}, errno.EINVAL), ("p}", {}, errno.EINVAL), ("a{b{c", {}, errno.EINVAL),
        ("p{1", dict(mode=u.SW), errno.EINVAL), ("x", dict(mode=u.NULL), errno.EINVAL),
        ("x", dict(mode=u.NULL, mem_id=1, tx_slots=5000), errno.ENOMEM), ("tap:", {}, errno.EINVAL),
        ("tap:a/b", {}, errno.EINVAL), ("tap:" + "x" * 16, {}, errno.EINVAL), ("tap:x%", {}, errno.EINVAL),
        ("tap:x%nosuchns", {}, errno.ENXIO), ("tap:lo", {}, errno.EINVAL),
        (b"\xff\xfe\n" * 21, {}, errno.ENXIO), (b"vale0:" + b"y" * 58, {}, errno.ENOMEM),
    ]
    for name, kw, want in cases:
        d = s.open()
        r = s.register(d, name, **kw)
        u.expect(r.error, want, "%s %s (%s)" % (name, kw, r.text))
        assert r.text and r.text.isprintable(), "no reason for " + str(name)
        d.close()
    u.expect(s.admin("show", "ports")[1], '{"ports":[]}', "ports left behind")
    u.expect(s.admin("show", "switches")[1], '{"switches":[]}', "switches left behind")
    s.close()


def sharing(daemon):
    """Who may have a ring together with whom."""
    s = daemon.session()
    ds = [s.open() for _ in range(12)]
    u.expect(s.register(ds[0], "vale0:a", tx_rings=4, rx_rings=2).error, 0, "first")
    u.expect(s.register(ds[0], "vale0:a").error, errno.EBUSY, "already registered")
    u.expect(s.register(ds[1], "vale0:a").error, 0, "shared")
    u.expect(s.register(ds[2], "vale0:a", flags=u.EXCLUSIVE).error, errno.EBUSY, "exclusive on used rings")
    u.expect(s.register(ds[2], "vale0:b", tx_rings=4, rx_rings=2, mode=u.ONE_NIC, ringid=3, flags=u.EXCLUSIVE).error, 0,
             "one ring exclusively")
    r = s.register(ds[3], "vale0:b", mode=u.ONE_NIC, ringid=2)
    u.expect(r.error, errno.EBUSY, "rx falls back to ring 0, which is held: " + r.text)
    r = s.register(ds[3], "vale0:b", mode=u.ONE_NIC, ringid=2, flags=u.TX_ONLY)
    u.expect((r.error, r.info.tx_lo, r.info.tx_hi, r.info.rx_lo, r.info.rx_hi), (0, 2, 3, 0, 0), "another tx ring")
    u.expect(s.register(ds[4], "vale0:b").error, errno.EBUSY, "all of it")
    r = s.register(ds[5], "vale0:b", mode=u.ONE_NIC, ringid=1, flags=u.RX_ONLY)
    u.expect((r.error, r.info.tx_lo, r.info.tx_hi, r.info.rx_lo, r.info.rx_hi), (0, 0, 0, 1, 2), "another rx ring")
    u.expect(s.register(ds[6], "vale0:b", mode=u.ONE_NIC, ringid=4).error, errno.EINVAL, "no such ring")
    ds[2].close()
    u.expect(s.register(ds[7], "vale0:b", mode=u.ONE_NIC, ringid=3).error, 0, "after the close")
    for d in ds:
        d.close()
    s.close()


def read_if(region, info, n_tx, n_rx):
    raw = region[info.nifp_ofs:info.nifp_ofs + 56 + 8 * (n_tx + n_rx + 2)]
    return struct.unpack_from("<10I", raw, 16), struct.unpack_from("<%dq" % (n_tx + n_rx + 2), raw, 56)


def memory_layout(daemon):
    """Interfaces and rings as applications find them; only bound rings have an offset."""
    s = daemon.session()
    d = s.open()
    r = s.register(d, "vale0:a", tx_rings=3, rx_rings=2, tx_slots=64, rx_slots=128, extra=5, mode=u.ONE_NIC, ringid=1)
    reg = r.reg()
    u.expect((r.error, reg["tx_rings"], reg["rx_rings"], reg["tx_slots"], reg["rx_slots"], reg["host_tx_rings"],
              reg["host_rx_rings"], reg["extra"], reg["memsize"], reg["offset"]),
             (0, 3, 2, 64, 128, 1, 1, 5, r.info.region_size, r.info.nifp_ofs), "results")
    m = mmap.mmap(r.fds[1], r.info.region_size)
    fields, ofs = read_if(m, r.info, 3, 2)
    u.expect(fields[1:4] + fields[5:7], (1, 3, 2, 1, 1), "flags, rings, host rings")
    u.expect([o != 0 for o in ofs], [False, True, False, False, False, True, False], "bound rings")
    seen = set()
    for at, is_rx, slots in ((1, 0, 64), (5, 1, 128)):
        ring = r.info.nifp_ofs + ofs[at]
        buf_ofs, n, size, rid, direction, head, cur, tail = struct.unpack_from("<qIIHHIII", m, ring)
        u.expect((buf_ofs, n, size, rid, direction, head, cur, tail),
                 (r.info.buf_ofs - ring, slots, r.info.buf_size, 1, is_rx, 0, 0, 0 if is_rx else slots - 1), "ring")
        for i in range(slots):
            idx, length, flags, ptr = struct.unpack_from("<IHHQ", m, ring + 256 + 16 * i)
            assert 2 <= idx < r.info.buf_num and idx not in seen and (length, flags, ptr) == (size, 0, 0)
            seen.add(idx)
    idx, n = fields[4], 0
    while idx:
        assert idx not in seen
        seen.add(idx)
        idx, = struct.unpack_from("<I", m, r.info.buf_ofs + idx * r.info.buf_size)
        n += 1
    u.expect(n, 5, "extra buffers")
    # what the client leaves in the list may be anything: a cycle, a wild index
    head, = struct.unpack_from("<I", m, r.info.nifp_ofs + 32)
    struct.pack_into("<I", m, r.info.buf_ofs + head * r.info.buf_size, head)
    d2 = s.open()
    r2 = s.register(d2, "vale0:a", extra=3)
    struct.pack_into("<I", m, r2.info.nifp_ofs + 32, 0xfffffff0)
    d.close()
    daemon.check_alive()
    d2.close()
    m.close()
    r.close()
    r2.close()
    s.close()


def region_choice(daemon):
    s = daemon.session()
    ds = [s.open() for _ in range(8)]
    a = s.register(ds[0], "vale0:a")
    b = s.register(ds[1], "vale0:b", mem_id=a.reg()["mem_id"])
    c = s.register(ds[2], "vale0:c")
    u.expect(a.info.region_uid, b.info.region_uid, "joined region")
    assert c.info.region_uid != a.info.region_uid and c.reg()["mem_id"] > 1
    g = s.register(ds[3], "q{1")
    u.expect(g.reg()["mem_id"], 1, "pipe without a base port")
    p = s.register(ds[4], "vale0:a{1")
    u.expect(p.info.region_uid, a.info.region_uid, "pipe over a port")
    n = s.register(ds[5], "label", mode=u.NULL, mem_id=1, tx_rings=2, rx_rings=0, tx_slots=7, extra=4)
    u.expect((n.error, n.info.kind, n.reg()["tx_rings"], n.reg()["rx_rings"], n.reg()["tx_slots"], n.reg()["extra"]),
             (0, 3, 2, 0, 7, 4), "null port")
    z = s.register(ds[6], "label", mode=u.NULL, mem_id=1)
    u.expect((z.error, z.reg()["tx_rings"], z.reg()["rx_rings"]), (0, 0, 0), "null port without rings")
    for d in ds:
        d.close()
    s.close()


def pipes(daemon):
    """Geometry, and what is kept when one end is closed."""
    s = daemon.session()
    m, sl, again = s.open(), s.open(), s.open()
    a = s.register(m, "vale0:base{p", tx_rings=2, rx_rings=1, tx_slots=32, rx_slots=64)
    b = s.register(sl, "vale0:base}p")
    ra, rb = a.reg(), b.reg()
    u.expect((ra["tx_rings"], ra["rx_rings"], ra["tx_slots"], ra["rx_slots"]), (2, 1, 32, 64), "master")
    u.expect((rb["tx_rings"], rb["rx_rings"], rb["tx_slots"], rb["rx_slots"]), (1, 2, 64, 32), "slave")
    mem = mmap.mmap(a.fds[1], a.info.region_size)
    _, ofs = read_if(mem, b.info, 1, 2)
    rx = b.info.nifp_ofs + ofs[2]
    u.expect(struct.unpack_from("<I", mem, rx + 256)[0], 0, "buffer in a fresh rx slot")
    struct.pack_into("<I", mem, rx + 256, 0x1234)
    sl.close()
    b2 = s.register(again, "vale0:base}p")
    u.expect((b2.error, b2.info.port, b2.info.port_gen), (0, b.info.port, b.info.port_gen), "the same end")
    u.expect(struct.unpack_from("<I", mem, rx + 256)[0], 0x1234, "what was in the ring")
    u.expect(s.ctrl(again, u.PORT_HDR_GET, "vale0:base}nope", bytes(8)).error, errno.ENODEV, "absent pipe")
    m.close()
    again.close()
    u.expect(s.admin("show", "ports")[1], '{"ports":[]}', "ports left behind")
    mem.close()
    s.close()


def offsets(daemon):
    s = daemon.session()

    def opt(maximum, initial, bits, gap=0):
        return u.option(u.OPT_OFFSETS, struct.pack("<QQIIQ", maximum, initial, bits, 0, gap))

    for o, want in ((opt(128, 64, 65), errno.EINVAL), (opt(1 << 20, 0, 0), errno.EINVAL), (opt(128, 0, 7), errno.EINVAL),
                    (opt(128, 129, 16), errno.EINVAL)):
        d = s.open()
        r = s.register(d, "vale0:a", options=[o])
        u.expect((r.error, r.status(0)), (want, want), "offsets")
        d.close()
    d, d2, d3 = s.open(), s.open(), s.open()
    r = s.register(d, "vale0:a", options=[opt(128, 64, 16)])
    u.expect((r.error, r.status(0), r.info.offset_bits, r.info.offset_max), (0, 0, 16, 128), "offsets")
    m = mmap.mmap(r.fds[1], r.info.region_size)
    _, ofs = read_if(m, r.info, 1, 1)
    ring = r.info.nifp_ofs + ofs[0]
    u.expect(struct.unpack_from("<Q", m, ring + 56)[0], 0xffff, "mask")
    u.expect(struct.unpack_from("<Q", m, ring + 256 + 8)[0], 64, "initial offset")
    u.expect(s.register(d2, "vale0:a", options=[opt(256, 0, 16)]).error, errno.EBUSY, "larger maximum")
    u.expect(s.register(d2, "vale0:a", options=[opt(128, 0, 32)]).error, errno.EBUSY, "more bits")
    u.expect(s.register(d2, "vale0:a", options=[opt(64, 0, 8)]).error, 0, "less of both")
    u.expect(s.register(d3, "vale0:a", options=[u.option(99)]).error, errno.EOPNOTSUPP, "unknown option")
    u.expect(s.register(d3, "vale0:a").error, 0, "not registered by the failure")
    m.close()
    for x in (d, d2, d3):
        x.close()
    s.close()


def extmem(daemon):
    s = daemon.session()
    size = 8 << 20
    fd = os.memfd_create("x")
    os.ftruncate(fd, size + 4096)

    def opt(memsize, ifs=(0, 0), rings=(0, 0), bufs=(0, 0)):
        info = struct.pack("<QH6xQIIQIIQII", memsize, 0, 0, *ifs, 0, *rings, 0, *bufs)
        return u.option(u.OPT_EXTMEM, struct.pack("<Q", 0) + info)

    cases = [("too short", opt(size * 2), fd, errno.EFAULT), ("too many buffers", opt(size, bufs=(900000, 2048)), fd, errno.ENOMEM),
             ("buffer size", opt(size, bufs=(100, 32)), fd, errno.EINVAL), ("ring count", opt(size, rings=(1, 4096)), fd, errno.EINVAL),
             ("interface size", opt(size, ifs=(2, 8192)), fd, errno.EINVAL)]
    null = os.open("/dev/null", os.O_RDWR)
    cases.append(("not a file", opt(size), null, errno.EFAULT))
    ro = os.open("/proc/self/fd/%d" % fd, os.O_RDONLY)
    cases.append(("read only", opt(size), ro, errno.EFAULT))
    for what, o, f, want in cases:
        d = s.open()
        r = s.register(d, "vale0:a", options=[o], extmem=(f, 0))
        u.expect((r.error, r.status(0)), (want, want), what + ": " + r.text)
        d.close()
    d = s.open()
    r = s.register(d, "vale0:a", options=[opt(size)])
    u.expect((r.error, r.status(0)), (errno.EFAULT, errno.EFAULT), "no descriptor")
    small = opt(size, ifs=(4, 1024), rings=(8, 20480), bufs=(2100, 2048))
    r = s.register(d, "vale0:a", tx_slots=256, rx_slots=256, options=[small], extmem=(fd, 4096))
    u.expect((r.error, r.status(0), r.info.file_ofs, r.info.region_size), (0, 0, 4096, size), "extmem: " + r.text)
    assert r.info.buf_num > 2100, "surplus memory did not become buffers"
    mem_id = r.reg()["mem_id"]
    d2, d3 = s.open(), s.open()
    r2 = s.register(d2, "vale0:b", tx_slots=64, rx_slots=64, options=[small], extmem=(fd, 4096))
    u.expect((r2.error, r2.info.region_uid), (0, r.info.region_uid), "the same memory")
    r3 = s.register(d3, "n", mode=u.NULL, mem_id=mem_id)
    u.expect((r3.error, r3.info.region_uid), (0, r.info.region_uid), "joined by id: " + r3.text)
    os.ftruncate(fd, 4096)  # the client takes its memory away: netmapd must not fault
    for x in (d, d2, d3):
        x.close()
    daemon.check_alive()
    for f in (fd, null, ro):
        os.close(f)
    s.close()


u.run([common_checks, register_checks, sharing, memory_layout, region_choice, pipes, offsets, extmem])
