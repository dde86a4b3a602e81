# SPDX-License-Identifier: BSD-2-Clause
"""The NIC's messages: configuration space, MTU, RARP, and the channel from the back end."""
import os
import socket
import struct

import vuproto as v

CONFIG = v.PF_REPLY_ACK | v.PF_CONFIG | v.PF_NET_MTU | v.PF_BACKEND_REQ


def config_space(server):
    fe = server.front_end().negotiate(protocol=CONFIG)
    whole = v.read_config(fe, 0, 256)
    mac, link, pairs = whole[:6], struct.unpack_from("<H", whole, 6)[0], struct.unpack_from("<H", whole, 8)[0]
    assert mac[0] & 1 == 0 and mac != bytes(6), mac.hex()
    assert link & 1 and pairs == 1, (link, pairs)
    for ofs, size in ((0, 0), (0, 6), (6, 2), (3, 10), (250, 6), (256, 0), (255, 1)):
        assert v.read_config(fe, ofs, size) == whole[ofs:ofs + size], (ofs, size)
    other = server.front_end("b").negotiate(protocol=CONFIG)
    assert v.read_config(other, 0, 6) != mac, "two NICs with one address"
    other.close()
    fe.close()


def config_outside(server):
    """An answer without payload is the refusal; the connection goes on."""
    fe = server.front_end().negotiate(protocol=CONFIG)
    for payload in (v.config(256, 1), v.config(1, 256), v.config(250, 7), v.config(0xFFFFFFFF, 1), v.config(0xFFFFFFFF, 0),
                    v.config(1, 0xFFFFFFFF, data=b"x"), v.config(0, 10, data=bytes(9)), v.config(0, 10, data=bytes(11)), v.config(0, 4, data=b"")):
        assert fe.get(v.GET_CONFIG, payload) == b"", payload[:12]
    assert len(v.read_config(fe, 0, 6)) == 6
    fe.close()


def config_is_not_written_outside(server):
    fe = server.front_end().negotiate(protocol=CONFIG)
    for payload in (v.config(256, 1), v.config(1, 256), v.config(0xFFFFFFFF, 4), v.config(0, 10, data=bytes(9))):
        fe.bad(v.SET_CONFIG, payload)
    before = v.read_config(fe, 0, 256)
    fe.ack(v.SET_CONFIG, v.config(8, 2, data=b"\xff\xff"))
    assert v.read_config(fe, 0, 256)[6:] == before[6:], "the driver writes at most its address"
    fe.close()


def mtu(server):
    fe = server.front_end().negotiate(protocol=CONFIG)
    for val in (0, 67, 65536, 1 << 63):
        fe.bad(v.NET_SET_MTU, v.u64(val))
    for val in (68, 1500, 9000, 65535):
        fe.good(v.NET_SET_MTU, v.u64(val))
    fe.send(v.NET_SET_MTU, v.u64(3))
    fe.expect_end()
    fe.close()


def rarp(server):
    """SEND_RARP makes the switch learn where the guest is now, with a frame that all others see."""
    a = server.guest("a", protocol=v.PF_REPLY_ACK | v.PF_RARP).start()
    b = server.guest("b").start()
    v.pass_frame(a, b)
    mac = bytes([0x02, 1, 2, 3, 4, 5])
    a.good(v.SEND_RARP, mac + bytes(2))
    frame = b.recv_frame()
    while frame is not None and frame[12:14] != b"\x80\x35":
        frame = b.recv_frame()
    assert frame is not None, "no RARP came"
    assert frame[:6] == b"\xff" * 6 and frame[6:12] == mac, frame[:14].hex()
    assert frame[14:22] == bytes([0, 1, 8, 0, 6, 4, 0, 3]), "not a RARP request: " + frame[14:22].hex()
    assert frame[22:28] == mac and frame[32:38] == mac
    a.bad(v.SEND_RARP, b"\x01" + bytes(7))
    a.close()
    b.close()


def rarp_before_rings(server):
    fe = server.front_end().negotiate(protocol=v.PF_REPLY_ACK | v.PF_RARP)
    fe.good(v.SEND_RARP, bytes([0x02, 9, 9, 9, 9, 9, 0, 0]))
    fe.close()


def backend_channel(server):
    fe = server.front_end().negotiate(protocol=CONFIG)
    pair, dgram = socket.socketpair(), socket.socketpair(type=socket.SOCK_DGRAM)
    inet = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    pipe = os.pipe()
    for fd in (pipe[0], dgram[0].fileno(), inet.fileno()):
        fe.bad(v.SET_BACKEND_REQ_FD, b"", [fd])
    fe.good(v.SET_BACKEND_REQ_FD, b"", [pair[0].fileno()])
    fe.good(v.SET_BACKEND_REQ_FD, b"", [pair[0].fileno()])
    for s in (*pair, *dgram, inet):
        s.close()
    for fd in pipe:
        os.close(fd)
    assert len(v.read_config(fe, 0, 6)) == 6, "a channel whose other end has gone"
    fe.close()


def link(server):
    """nmctl link: frames stop, the configuration space says so, and a message on the back end's channel tells."""
    a, b = server.guest("a", protocol=CONFIG).start(), server.guest("b").start()
    ours, theirs = socket.socketpair()
    a.good(v.SET_BACKEND_REQ_FD, b"", [theirs.fileno()])
    theirs.close()
    ours.settimeout(v.TIMEOUT)
    v.pass_frame(a, b)
    for up in (0, 1, 0, 1):
        v.admin(server, "link", "valevu:a", "up" if up else "down")
        assert ours.recv(100) == v.HDR.pack(2, v.VERSION, 0), "CONFIG_CHANGE"
        assert v.read_config(a, 6, 2) == struct.pack("<H", up)
        if not up:
            a.send_frame(v.make_frame())
            assert a.tx.get_used() is not None, "a frame is not taken"
            b.send_frame(v.make_frame())
            assert b.recv_frame(0.2) is None and a.recv_frame(0.2) is None
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    ours.close()
    a.close()
    b.close()


v.run([config_space, config_outside, config_is_not_written_outside, mtu, rarp, rarp_before_rings, backend_channel, link])
