#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The requests about switches and persistent ports, header lengths and queries (spec 6.2 to 6.4, 16.5 to 16.8)."""
import errno
import json
import struct

import unmproto as u

ATTACH = u.REG_BODY.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, u.ALL_NIC, 0, 0) + bytes(8)


def newif(slots=0, rings=0, mem_id=0):
    return struct.pack("<IIHHHH", slots, slots, rings, rings, mem_id, 0)


def hdr(length=0):
    return struct.pack("<II", length, 0)


def persistent_ports(daemon):
    s = daemon.session()
    c, d = s.open(), s.open()
    for name in ("vale0:x", "vale", "x" * 16, "", "tap:x", "a{1", "a b"):
        u.expect(s.ctrl(c, u.VALE_NEWIF, name, newif()).error, errno.EINVAL, "newif '%s'" % name)
    u.expect(s.ctrl(c, u.VALE_NEWIF, "lo", newif()).error, errno.EEXIST, "newif of an interface")
    u.expect(s.ctrl(c, u.VALE_NEWIF, "p0", newif(mem_id=77)).error, errno.EINVAL, "unknown region")
    r = s.ctrl(c, u.VALE_NEWIF, "p0", newif(slots=99999, rings=99))
    u.expect(r.error, 0, "newif")
    u.expect(struct.unpack("<IIHHHH", r.body)[:4], (4096, 1024, 64, 64), "limits are silent")
    u.expect(s.ctrl(c, u.VALE_NEWIF, "p0", newif()).error, errno.EEXIST, "twice")
    u.expect(s.register(d, "vale0:p0").error, errno.EINVAL, "opened on a switch before it is attached")
    r = s.register(d, "p0")
    u.expect((r.error, r.info.kind), (0, 5), "opened alone")
    for req, name, body, want in ((u.VALE_DELIF, "p0", b"", errno.EBUSY), (u.VALE_ATTACH, "vale0:p0", ATTACH, errno.EBUSY)):
        u.expect(s.ctrl(c, req, name, body).error, want, "while it is open")
    d.close()
    r = s.ctrl(c, u.VALE_ATTACH, "vale0:p0", ATTACH)
    u.expect((r.error, struct.unpack_from("<I", r.body, 56)[0]), (0, 0), "attach")
    u.expect(s.ctrl(c, u.VALE_ATTACH, "vale0:p0", ATTACH).error, errno.EBUSY, "attach twice")
    u.expect(s.ctrl(c, u.VALE_DELIF, "p0").error, errno.EBUSY, "delete while attached")
    ports = []
    for name in ("p0", "vale0:p0"):
        d = s.open()
        r = s.register(d, name)
        u.expect((r.error, r.info.kind), (0, 1), "open attached as " + name)
        ports.append((r.info.seg_uid, r.info.port))
        r.close()
        d.close()
    u.expect(ports[0], ports[1], "one port by both names")
    u.expect(s.ctrl(c, u.VALE_DETACH, "vale0:p0", bytes(8)).error, 0, "detach")
    u.expect(s.ctrl(c, u.VALE_DETACH, "vale0:p0", bytes(8)).error, errno.ENXIO, "detach twice")
    u.expect(s.ctrl(c, u.VALE_DELIF, "p0").error, 0, "delete")
    u.expect(s.ctrl(c, u.VALE_DELIF, "p0").error, errno.ENXIO, "delete twice")
    d = s.open()
    u.expect(s.register(d, "auto{1").error, 0, "pipe over a name")
    u.expect(s.ctrl(c, u.VALE_DELIF, "auto").error, errno.EINVAL, "delete the base of a pipe")
    d.close()
    u.expect(s.ctrl(c, u.VALE_DELIF, "auto").error, errno.ENXIO, "the base ended with its pipe")
    u.expect(s.admin("show", "ports")[1], '{"ports":[]}', "ports left behind")
    c.close()
    s.close()


def port_of(s, name):
    ports = json.loads(s.admin("show", "ports", name)[1])["ports"]
    assert len(ports) == 1, (name, ports)
    return ports[0]


def detach_while_open(daemon):
    s = daemon.session()
    c, d, e = s.open(), s.open(), s.open()
    u.expect(s.ctrl(c, u.VALE_NEWIF, "p0", newif()).error, 0, "newif")
    u.expect(s.ctrl(c, u.VALE_ATTACH, "vale0:p0", ATTACH).error, 0, "attach")
    held = s.register(d, "p0")
    u.expect(held.error, 0, "open")
    u.expect(s.ctrl(c, u.VALE_DETACH, "vale0:p0", bytes(8)).error, 0, "detach")
    port = port_of(s, "p0")
    u.expect((port["users"], port["closing"], port["switch"]), (1, False, ""), "the client keeps it")
    u.expect(s.ctrl(c, u.VALE_DETACH, "vale0:p0", bytes(8)).error, errno.ENXIO, "detach twice")
    u.expect(s.ctrl(c, u.VALE_LIST, "vale0:p0", bytes(8)).error, errno.ENOENT, "no port on that switch any more")
    u.expect(s.ctrl(c, u.VALE_LIST, "", bytes(8)).error, errno.ENOENT, "nothing to list")
    u.expect(s.admin("show", "switches")[1], '{"switches":[]}', "no switch to show")
    for name in ("vale0:p0", "vale1:p0"):
        u.expect(s.ctrl(c, u.VALE_ATTACH, name, ATTACH).error, errno.EBUSY, "attach to %s while open" % name)
        u.expect(s.register(e, name).error, errno.EINVAL, "open on a switch as " + name)
    u.expect(s.ctrl(c, u.VALE_DELIF, "p0").error, errno.EBUSY, "delete while open")
    again = s.register(e, "p0")
    u.expect((again.error, again.info.seg_uid, again.info.port, again.info.port_gen),
             (0, held.info.seg_uid, held.info.port, held.info.port_gen), "a second client gets the same port")
    e.close()
    # Another port makes the switch visible again, without the detached one.
    e = s.open()
    u.expect(s.register(e, "vale0:x").error, 0, "open another port of the switch")
    u.expect(s.ctrl(c, u.VALE_LIST, "vale0:p0", bytes(8)).error, 0, "the switch is there")
    u.expect(struct.unpack("<HHI", s.ctrl(c, u.VALE_LIST, "vale0:p0", bytes(8)).body)[2], 255, "without the port")
    e.close()
    # nmctl puts it back on its switch while it is open, and on no other one.
    e = s.open()
    for _ in range(2):
        u.expect(s.admin("attach", "vale1", "p0")[0], errno.EBUSY, "attach to another switch")
        error, text = s.admin("attach", "vale0", "p0")[:2]
        u.expect(error, 0, "attach again: %s" % text)
        u.expect(s.admin("attach", "vale0", "p0")[0], errno.EBUSY, "attach twice")
        port = port_of(s, "vale0:p0")
        u.expect((port["users"], port["switch"], port["kind"]), (1, "vale0", "vale"), "on the switch")
        u.expect(struct.unpack("<HHI", s.ctrl(c, u.VALE_LIST, "vale0:p0", bytes(8)).body)[2], held.info.port, "listed")
        for name in ("p0", "vale0:p0"):
            again = s.register(e, name)
            u.expect((again.error, again.info.seg_uid, again.info.port, again.info.port_gen),
                     (0, held.info.seg_uid, held.info.port, held.info.port_gen), "the same port as " + name)
            again.close()
            e.close()
            e = s.open()
        u.expect(s.ctrl(c, u.VALE_DETACH, "vale0:p0", bytes(8)).error, 0, "detach again")
        u.expect(port_of(s, "p0")["switch"], "", "off the switch")
    e.close()
    d.close()
    r = s.ctrl(c, u.VALE_ATTACH, "vale1:p0", ATTACH)
    u.expect(r.error, 0, "attach after the last close: " + r.text)
    u.expect(port_of(s, "vale1:p0")["switch"], "vale1", "on the new switch")
    u.expect(s.ctrl(c, u.VALE_DETACH, "vale1:p0", bytes(8)).error, 0, "detach while closed")
    u.expect(port_of(s, "p0")["kind"], "base", "alone")
    u.expect(s.ctrl(c, u.VALE_DELIF, "p0").error, 0, "delete")
    u.expect(s.admin("show", "ports")[1], '{"ports":[]}', "ports left behind")
    c.close()
    s.close()


def two_switches(daemon):
    s = daemon.session()
    c, d = s.open(), s.open()
    u.expect(s.ctrl(c, u.VALE_NEWIF, "p0", newif()).error, 0, "newif")
    for name in ("vale0:p0", "vale1:p0"):
        r = s.ctrl(c, u.VALE_ATTACH, name, ATTACH)
        u.expect(r.error, 0, "attach to %s: %s" % (name, r.text))
    for name in ("vale0:p0", "vale1:p0", "vale2:p0"):
        u.expect(s.ctrl(c, u.VALE_ATTACH, name, ATTACH).error, errno.EBUSY, "attach again to " + name)
    for name in ("p0", "vale0:p0", "vale1:p0"):
        u.expect(s.register(d, name).error, errno.EBUSY, "open %s, which links two switches" % name)
    u.expect(s.ctrl(c, u.VALE_DELIF, "p0").error, errno.EBUSY, "delete while attached")
    u.expect(s.ctrl(c, u.VALE_DETACH, "vale0:p0", bytes(8)).error, errno.EBUSY, "detach the first of two")
    u.expect(s.ctrl(c, u.VALE_DETACH, "vale1:p0", bytes(8)).error, 0, "detach the second")
    u.expect(s.register(d, "p0").error, 0, "open again")
    u.expect(s.ctrl(c, u.VALE_ATTACH, "vale1:p0", ATTACH).error, errno.EBUSY, "a second attachment of an open port")
    d.close()
    for req, name, body in ((u.VALE_DETACH, "vale0:p0", bytes(8)), (u.VALE_DELIF, "p0", b"")):
        u.expect(s.ctrl(c, req, name, body).error, 0, "undo")
    u.expect(s.admin("show", "ports")[1], '{"ports":[]}', "ports left behind")
    c.close()
    s.close()


def attach_and_detach(daemon):
    s = daemon.session()
    c, d = s.open(), s.open()

    def mode(m, ring=0):
        return u.REG_BODY.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, ring, m, 0, 0) + bytes(8)

    for name, body, want in (("eth0", ATTACH, errno.EINVAL), ("vale0:nosuch", ATTACH, errno.EINVAL), ("vale0:lo", ATTACH, errno.EPERM),
                             ("vale0:lo", mode(u.NIC_SW), errno.EPERM), ("vale0:lo", mode(u.ONE_NIC), errno.EINVAL),
                             ("vale0:lo", mode(u.ALL_NIC, 1), errno.EINVAL), ("vale0", ATTACH, errno.ENOMEM)):
        r = s.ctrl(c, u.VALE_ATTACH, name, body)
        u.expect(r.error, want, "attach %s: %s" % (name, r.text))
    u.expect(s.register(d, "vale0:e").error, 0, "ephemeral port")
    u.expect(s.ctrl(c, u.VALE_ATTACH, "vale0:e", ATTACH).error, errno.EBUSY, "attach over an ephemeral port")
    u.expect(s.ctrl(c, u.VALE_DETACH, "vale0:e", bytes(8)).error, 0, "detach of an ephemeral port")
    u.expect(s.admin("show", "ports")[1].count("vale0:e"), 1, "which changes nothing")
    for name, want in (("vale0:x", errno.ENXIO), ("vale9:x", errno.ENXIO), ("x", errno.EINVAL), ("vale0", errno.ENXIO)):
        u.expect(s.ctrl(c, u.VALE_DETACH, name, bytes(8)).error, want, "detach " + name)
    for name, want in (("vale0:e", errno.EOPNOTSUPP), ("vale0:x", errno.ENXIO), ("x", errno.EINVAL)):
        for req in (u.POLLING_ENABLE, u.POLLING_DISABLE):
            u.expect(s.ctrl(c, req, name, bytes(16)).error, want, "polling " + name)
    c.close()
    d.close()
    s.close()


def listing(daemon):
    s = daemon.session()
    ask = lambda name, bridge=0, port=0: s.ctrl(ds[0], u.VALE_LIST, name, struct.pack("<HHI", bridge, 0, port))
    names = ["vale0:a", "vale0:b", "valeX:c"]
    ds = [s.open() for _ in range(4)]
    u.expect(ask("").error, errno.ENOENT, "empty list")
    for d, n in zip(ds[1:], names):
        u.expect(s.register(d, n).error, 0, n)
    found, bridge, port = [], 0, 0
    while True:
        r = ask("", bridge, port)
        if r.error:
            u.expect(r.error, errno.ENOENT, "end of the list")
            break
        found.append(r.name)
        bridge, _, port = struct.unpack("<HHI", r.body)
        port += 1
        assert len(found) < 10
    u.expect(found, names, "list")
    u.expect(struct.unpack("<HHI", ask("vale0:b").body), (0, 0, 1), "by name")
    u.expect(struct.unpack("<HHI", ask("valeX:nosuch").body), (1, 0, 255), "no such port")
    for name, want in (("vale7:a", errno.ENOENT), ("eth0", errno.EINVAL)):
        u.expect(ask(name).error, want, name)
    for d in ds:
        d.close()
    s.close()


def header_length(daemon):
    s = daemon.session()
    c, d, e = s.open(), s.open(), s.open()
    u.expect(s.register(d, "vale0:a").error, 0, "open")
    for name, length, want in (("vale0:a", 11, errno.EINVAL), ("vale0:b", 10, errno.ENXIO), ("a", 10, errno.ENXIO),
                               ("p{1", 10, errno.ENXIO), ("vale0:a", 12, 0)):
        u.expect(s.ctrl(c, u.PORT_HDR_SET, name, hdr(length)).error, want, "set %s %d" % (name, length))
    r = s.ctrl(d, u.PORT_HDR_GET, "vale0:a", hdr())
    u.expect((r.error, struct.unpack("<II", r.body)), (0, (12, 0)), "get")
    for lacks, want in ((0x80, errno.EINVAL), (0x7f, 0), (2, 0)):  # offloads that it can't take
        u.expect(s.ctrl(c, u.PORT_HDR_SET, "vale0:a", struct.pack("<II", 12, lacks)).error, want, "lacks %d" % lacks)
    u.expect(struct.unpack("<II", s.ctrl(d, u.PORT_HDR_GET, "vale0:a", hdr()).body), (12, 2), "get what it lacks")
    for name, want in (("vale0:b", errno.ENXIO), ("nosuch", errno.ENXIO), ("p{1", errno.ENODEV), ("vale:", errno.ENXIO)):
        u.expect(s.ctrl(c, u.PORT_HDR_GET, name, hdr()).error, want, "get " + name)
    u.expect(s.register(e, "vale0:a").error, errno.EIO, "open without accepting headers")
    u.expect(s.register(e, "vale0:a", flags=u.ACCEPT_VNET).error, 0, "open with them")
    for x in (c, d, e):
        x.close()
    s.close()


def queries(daemon):
    s = daemon.session()
    c, d = s.open(), s.open()
    r = s.ctrl(c, u.PORT_INFO_GET, "", bytes(32))
    u.expect((r.error, struct.unpack_from("<Q", r.body)[0], struct.unpack_from("<H", r.body, 24)[0]), (0, 2965442560, 1), "global region")
    u.expect(s.ctrl(c, u.PORT_INFO_GET, "", bytes(24) + struct.pack("<H", 99) + bytes(6)).error, errno.EINVAL, "unknown region")
    r = s.ctrl(c, u.PORT_INFO_GET, "vale0:q", bytes(8) + struct.pack("<IIHH", 64, 0, 3, 0) + bytes(12))
    u.expect(struct.unpack_from("<IIHHHH", r.body, 8), (64, 1024, 3, 1, 1, 1), "port made for an instant")
    u.expect(s.ctrl(c, u.PORT_INFO_GET, "nosuch", bytes(32)).error, errno.ENXIO, "no interface")
    u.expect(s.ctrl(c, u.POOLS_INFO_GET, "", bytes(64)).error, errno.ENXIO, "pools without a name")
    reg = s.register(d, "vale0:a")
    r = s.ctrl(c, u.POOLS_INFO_GET, "vale0:a", bytes(64))
    size, mem, if_ofs, _, _, ring_ofs, _, ring_size, buf_ofs, n_bufs, buf_size = struct.unpack("<QH6xQIIQIIQII", r.body)
    u.expect((size, mem, if_ofs, ring_ofs, ring_size, buf_ofs, n_bufs, buf_size),
             (reg.info.region_size, reg.info.region_id, reg.info.if_ofs, reg.info.ring_ofs, reg.info.ring_size,
              reg.info.buf_ofs, reg.info.buf_num, reg.info.buf_size), "pools")
    d.close()
    c.close()
    u.expect(s.admin("show", "ports")[1], '{"ports":[]}', "ports left behind")
    s.close()


def admin(daemon):
    s = daemon.session(hello=False)
    for what in ("all", "daemon", "ports", "rings", "switches", "mac", "memory", "clients"):
        err, text = s.admin("show", what)
        u.expect(err, 0, what)
        json.loads(text)
    for words, want in ((("nosuch",), errno.EINVAL), (("show", "nosuch"), errno.EINVAL), (("set",), errno.EINVAL),
                        (("set", "vale0:a", "lossless", "on"), errno.ENOENT), (("set", "vale0", "ageing", "1"), errno.ENOENT),
                        (("create",), errno.EINVAL), (("create", "x", "slots=0x"), errno.EINVAL),
                        (("create", "x", "slots=5000"), errno.EINVAL), (("create", "x", "what=1"), errno.EINVAL),
                        (("create", "x" * 70), errno.EINVAL), (("delete", "x"), errno.ENXIO),
                        (("attach", "vale0", "x"), errno.EINVAL), (("detach", "vale0", "x"), errno.ENXIO),
                        (("a",) * 13, errno.EINVAL)):
        err, text = s.admin(*words)
        u.expect(err, want, " ".join(words))
        assert text, "no reason"
    for body in (struct.pack("<II", 5, 0) + b"show", struct.pack("<II", 4, 0) + b"show", struct.pack("<II", 0, 0)):
        want = errno.EINVAL if struct.unpack_from("<I", body)[0] == len(body) - 8 else errno.EPROTO
        u.expect(s.request(u.ADMIN, body).error, want, "cut off")
    t = daemon.session()
    ds = [t.open() for _ in range(120)]
    for i, d in enumerate(ds):
        u.expect(t.register(d, "vale%d:p%d" % (i % 10, i), tx_slots=8, rx_slots=8).error, 0, "register")
    err, text = s.admin("show", "all")
    assert len(text) > 65536 and len(json.loads(text)["ports"]) == 120, "an answer longer than a message"
    u.expect(s.admin("set", "vale3:p3", "lossless", "on")[0], 0, "lossless")
    u.expect(json.loads(s.admin("show", "ports", "vale3:p3")[1])["ports"][0]["lossless"], True, "lossless")
    u.expect(s.admin("set", "vale3", "ageing", "7")[0], 0, "ageing")
    u.expect(json.loads(s.admin("show", "switches", "vale3")[1])["switches"][0]["ageing_s"], 7, "ageing")
    u.expect(s.admin("set", "vale3", "ageing", "401")[0], errno.EINVAL, "ageing")
    for d in ds:
        d.close()
    for x in (s, t):
        x.close()


u.run([persistent_ports, detach_while_open, two_switches, attach_and_detach, listing, header_length, queries, admin])
