# SPDX-License-Identifier: BSD-2-Clause
"""What is no message, comes in pieces, is unknown, or carries descriptors that nobody asked for."""
import os
import time

import vuproto as v
from vuproto import u


def in_pieces(server):
    """A message may come byte by byte, over time, with its descriptor at the first one."""
    fe = server.front_end()
    for byte in v.HDR.pack(v.GET_FEATURES, v.VERSION, 0):
        fe.send_raw(bytes([byte]))
    assert fe.recv(v.GET_FEATURES)[0]
    fe.negotiate()
    data = v.HDR.pack(v.SET_VRING_CALL, v.VERSION | v.NEED_REPLY, 8) + v.u64(1)
    fd = os.eventfd(0)
    fe.send_raw(data[:1], [fd])
    for byte in data[1:]:
        fe.send_raw(bytes([byte]))
    assert fe.recv(v.SET_VRING_CALL)[0] == v.u64(0)
    os.close(fd)
    fe.close()


def half_a_message_stops_nobody(server):
    """A NIC whose front end has sent half a message waits; the other one goes on, and so does the next front end."""
    fe = server.front_end("a")
    fe.send_raw(v.HDR.pack(v.SET_FEATURES, v.VERSION, 8) + b"\1\2\3")
    other = server.front_end("b")
    assert other.get_u64(v.GET_FEATURES)
    other.close()
    fe.close()


def half_a_message_is_the_end(server):
    """It is not waited for long: its descriptors are the server's meanwhile, and one may be the connection's other end."""
    half = v.HDR.pack(v.GET_FEATURES, v.VERSION, 0)[:4]
    slow, holds_itself = server.front_end("a"), server.front_end("b")
    for byte in v.HDR.pack(v.GET_FEATURES, v.VERSION, 0):
        slow.send_raw(bytes([byte]))  # in time, and then another one
    assert slow.recv(v.GET_FEATURES)[0]
    slow.send_raw(half)
    holds_itself.send_raw(half, [holds_itself.sock.fileno()])
    holds_itself.close()
    slow.expect_end()
    slow.close()
    after = server.front_end("b")
    assert after.get_u64(v.GET_FEATURES)
    after.close()


def what_can_not_be_closed(server):
    """A descriptor whose close() waits for an hour, in a message or left in the connection: the other NIC goes on."""
    other = server.front_end("b")
    peers = []
    for wraps in (False, True):
        for first in (b"", v.HDR.pack(v.GET_FEATURES, 2, 0)):  # the latter ends the connection
            fe = server.front_end("a")
            fd, peer = u.lingering(wraps)
            peers.append(peer)
            with u.Stopped(server.proc.pid):
                if first:
                    fe.send_raw(first)
                fe.send_raw(v.HDR.pack(v.GET_FEATURES, v.VERSION, 0), [fd])
                os.close(fd)
            begin = time.monotonic()
            fe.expect_end()
            assert other.get_u64(v.GET_FEATURES)
            took = time.monotonic() - begin
            assert took < 1, took
            fe.close()
    other.close()
    for peer in peers:
        peer.close()


def several_at_once(server):
    fe = server.front_end()
    fe.send_raw(v.HDR.pack(v.GET_FEATURES, v.VERSION, 0) * 100)
    answers = [fe.recv(v.GET_FEATURES)[0] for _ in range(100)]
    assert len(set(answers)) == 1
    fe.close()


def wrong_version(server):
    for version in (0, 2, 3):
        fe = server.front_end()
        fe.send(v.GET_FEATURES, flags=version)
        fe.expect_end()
        fe.close()


def an_answer_to_nothing(server):
    fe = server.front_end()
    fe.send(v.GET_FEATURES, v.u64(1), flags=v.VERSION | v.REPLY)
    fe.expect_end()
    fe.close()


def too_long(server):
    for size in (4097, 0x7FFFFFFF, 0xFFFFFFFF):
        fe = server.front_end()
        fe.send_raw(v.HDR.pack(v.SET_MEM_TABLE, v.VERSION, size))
        fe.expect_end()
        fe.close()


def longest(server):
    """4096 bytes are a message, if an unknown one."""
    fe = server.front_end().negotiate()
    fe.bad(1000, bytes(4096), want=v.errno.ENOSYS)
    fe.close()


def unknown_requests(server):
    fe = server.front_end().negotiate()
    for request in (0, v.IOTLB_MSG, v.SET_VRING_ENDIAN, 26, 28, 33, 35, 41, 42, 43, 44, 100, 0xFFFFFFFF):
        fe.bad(request, b"12345678", want=v.errno.ENOSYS)
        fe.send(request, b"12345678")  # no answer wanted: ignored
        fe.expect_silence()
    fe.close()


def not_negotiated(server):
    """Requests of a protocol feature that was not acked are unknown."""
    fe = server.front_end().negotiate(protocol=v.PF_REPLY_ACK)
    for request, payload, fds in ((v.GET_QUEUE_NUM, b"", []), (v.SET_STATUS, v.u64(0), []), (v.GET_STATUS, b"", []),
                                  (v.GET_MAX_MEM_SLOTS, b"", []), (v.RESET_DEVICE, b"", []), (v.SEND_RARP, v.u64(0), []),
                                  (v.NET_SET_MTU, v.u64(1500), []), (v.GET_CONFIG, bytes(12), []),
                                  (v.GET_INFLIGHT_FD, bytes(20), [])):
        fe.bad(request, payload, fds, want=v.errno.ENOSYS)
    fe.close()


def no_answer_unless_negotiated(server):
    """need_reply means nothing before REPLY_ACK is acked; then a refusal is the end."""
    fe = server.front_end()
    fe.send(v.SET_OWNER, flags=v.VERSION | v.NEED_REPLY)
    fe.send(777, flags=v.VERSION | v.NEED_REPLY)
    fe.expect_silence()
    fe.send(v.SET_VRING_NUM, v.state(0, 0), flags=v.VERSION | v.NEED_REPLY)
    fe.expect_end()
    fe.close()


def wrong_sizes(server):
    """Each request with a payload one byte short and one byte long: refused, or the end if no answer is wanted."""
    fe = server.front_end().negotiate(protocol=v.PF_ALL)
    fd = os.eventfd(0)
    sizes = {v.GET_FEATURES: (0, 0), v.SET_FEATURES: (8, 0), v.SET_OWNER: (0, 0), v.RESET_OWNER: (0, 0), v.SET_LOG_BASE: (16, 1),
             v.SET_LOG_FD: (0, 1), v.SET_VRING_NUM: (8, 0), v.SET_VRING_ADDR: (40, 0), v.SET_VRING_BASE: (8, 0),
             v.GET_VRING_BASE: (8, 0), v.SET_VRING_KICK: (8, 1), v.SET_VRING_CALL: (8, 1), v.SET_VRING_ERR: (8, 1),
             v.GET_PROTOCOL_FEATURES: (0, 0), v.SET_PROTOCOL_FEATURES: (8, 0), v.GET_QUEUE_NUM: (0, 0),
             v.SET_VRING_ENABLE: (8, 0), v.SEND_RARP: (8, 0), v.NET_SET_MTU: (8, 0), v.SET_BACKEND_REQ_FD: (0, 1),
             v.RESET_DEVICE: (0, 0), v.GET_MAX_MEM_SLOTS: (0, 0), v.ADD_MEM_REG: (40, 1), v.REM_MEM_REG: (40, 0),
             v.SET_STATUS: (8, 0), v.GET_STATUS: (0, 0)}
    for request, (size, n_fds) in sizes.items():
        fe.bad(request, bytes(size + 1), [fd] * n_fds)
        if size > 0:
            fe.bad(request, bytes(size - 1), [fd] * n_fds)
    fe.send(v.SET_VRING_ADDR, bytes(39))
    fe.expect_end()
    os.close(fd)
    fe.close()


def wrong_numbers_of_descriptors(server):
    fe = server.front_end().negotiate(protocol=v.PF_ALL)
    fd = os.eventfd(0)
    for request, payload in ((v.GET_FEATURES, b""), (v.SET_FEATURES, v.u64(0)), (v.SET_VRING_NUM, v.state(0, 64)),
                             (v.GET_VRING_BASE, v.state(0, 0)), (v.SET_STATUS, v.u64(0)), (v.GET_CONFIG, bytes(12)),
                             (v.GET_INFLIGHT_FD, bytes(20))):
        fe.bad(request, payload, [fd])
    for request, payload in ((v.SET_VRING_KICK, v.u64(0)), (v.ADD_MEM_REG, bytes(40)), (v.SET_LOG_BASE, bytes(16)),
                             (v.SET_LOG_FD, b""), (v.SET_INFLIGHT_FD, bytes(20)), (v.SET_BACKEND_REQ_FD, b"")):
        fe.bad(request, payload, [fd] * 2)
        if request != v.SET_VRING_KICK:
            fe.bad(request, payload)
    fe.bad(v.SET_VRING_NUM, v.state(0, 64), [fd] * 253)
    fe.bad(555, b"", [fd] * 253, want=v.errno.ENOSYS)
    os.close(fd)
    fe.close()


def descriptors_without_end(server):
    """Descriptors with each byte of one message: more than a message can have."""
    fe = server.front_end()
    fd = os.eventfd(0)
    try:
        for byte in v.HDR.pack(v.SET_MEM_TABLE, v.VERSION, 8):
            fe.send_raw(bytes([byte]), [fd] * 250)
    except v.Ended:
        pass
    fe.expect_end()
    os.close(fd)
    fe.close()


def answers_that_nobody_reads(server):
    """The server does not wait for whoever asks and asks; it ends the connection."""
    fe = server.front_end()
    fe.sock.settimeout(5)
    try:
        for _ in range(10000):
            fe.send_raw(v.HDR.pack(v.GET_FEATURES, v.VERSION, 0) * 10)
    except (v.Ended, TimeoutError):
        pass
    other = server.front_end("b")
    assert other.get_u64(v.GET_FEATURES)
    other.close()
    fe.close()


def many_connections(server):
    for _ in range(200):
        fe = server.front_end()
        fe.send_raw(b"\x01")
        fe.close()


v.run([in_pieces, half_a_message_stops_nobody, half_a_message_is_the_end, what_can_not_be_closed, several_at_once, wrong_version,
       an_answer_to_nothing, too_long, longest, unknown_requests, not_negotiated, no_answer_unless_negotiated, wrong_sizes, wrong_numbers_of_descriptors,
       descriptors_without_end, answers_that_nobody_reads, many_connections])
