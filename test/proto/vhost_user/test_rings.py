# SPDX-License-Identifier: BSD-2-Clause
"""One ring's messages: size, addresses, base, kick, call, err, enable; in any order, and wrong."""
import array
import fcntl
import os
import select
import signal
import socket
import struct
import time

import vuproto as v

E = v.errno


def wrong_indices(server):
    fe = server.front_end().negotiate()
    rings = fe.get_u64(v.GET_QUEUE_NUM)
    fd = os.eventfd(0)
    for index in (rings, rings + 1, 200, 255, 0xFFFFFFFF):
        fe.bad(v.SET_VRING_NUM, v.state(index, 64))
        fe.bad(v.SET_VRING_BASE, v.state(index, 0))
        fe.bad(v.SET_VRING_ADDR, v.ADDR.pack(index, 0, 0, 0, 0, 0))
        fe.bad(v.SET_VRING_ENABLE, v.state(index, 1))
        fe.bad(v.GET_VRING_BASE, v.state(index, 0))
        for request in (v.SET_VRING_KICK, v.SET_VRING_CALL, v.SET_VRING_ERR):
            fe.bad(request, v.u64(index & 0xFF), [fd])
    for val in (1 << 9, 1 << 32, 1 << 63):
        fe.bad(v.SET_VRING_CALL, v.u64(val), [fd])
    fe.send(v.GET_VRING_BASE, v.state(rings, 0))
    fe.expect_end()
    os.close(fd)
    fe.close()


def wrong_sizes_of_rings(server):
    g = server.guest("a")
    for num in (0, 32769, 65536, 0xFFFFFFFF):
        g.bad(v.SET_VRING_NUM, v.state(0, num))
    g.good(v.SET_MEM_TABLE, g.table(), [g.memfd])
    for num in (3, 63, 32767):  # a split ring has a power of two
        g.good(v.SET_VRING_NUM, v.state(0, num))
        g.good(v.SET_VRING_ADDR, g.rx.addr())
        g.bad(v.SET_VRING_KICK, v.u64(0), [g.rx.kick_fd])
    g.rx.set_up()
    g.close()


def wrong_addresses(server):
    g = server.guest("a")
    g.good(v.SET_MEM_TABLE, g.table(), [g.memfd])
    r = g.rx
    good = [v.UADDR + r.desc, v.UADDR + r.used, v.UADDR + r.avail]
    end = v.UADDR + v.MEM_SIZE
    g.good(v.SET_VRING_NUM, v.state(0, r.num))
    for which, val, want in ((0, 0, E.EFAULT), (1, 0, E.EFAULT), (2, 0, E.EFAULT), (0, v.GPA, E.EFAULT),
                             (0, end - 16 * r.num + 16, E.EFAULT), (1, end - 8 * r.num, E.EFAULT), (2, end - 2 * r.num, E.EFAULT),
                             (0, (1 << 64) - 16, E.EFAULT), (0, good[0] + 8, E.EINVAL), (1, good[1] + 2, E.EINVAL),
                             (2, good[2] + 1, E.EINVAL)):
        addresses = list(good)
        addresses[which] = val
        g.good(v.SET_VRING_ADDR, v.ADDR.pack(0, 0, *addresses, 0))
        g.bad(v.SET_VRING_KICK, v.u64(0), [r.kick_fd], want=want)
    r.set_up()
    g.close()


def wrong_descriptors(server):
    """Only what can be slept on, or signalled, and never makes us wait."""
    fe = server.front_end().negotiate()
    pair = socket.socketpair()
    pipe = os.pipe()
    others = [v.memfd(v.PAGE), os.open("/", os.O_RDONLY), os.open("/dev/null", os.O_RDWR), pair[0].fileno()]
    epoll = select.epoll()
    for request in (v.SET_VRING_KICK, v.SET_VRING_CALL, v.SET_VRING_ERR):
        for fd in others[:3] + [epoll.fileno()]:
            fe.bad(request, v.u64(0), [fd])
        fe.bad(request, v.u64(0))  # neither a descriptor nor the flag for none
        fe.bad(request, v.u64(v.NO_FD), [pipe[0]])  # both
        fe.good(request, v.u64(v.NO_FD))
    fe.bad(v.SET_VRING_KICK, v.u64(0), [pipe[1]])
    fe.bad(v.SET_VRING_CALL, v.u64(0), [pipe[0]])
    fe.good(v.SET_VRING_KICK, v.u64(0), [pipe[0]])
    fe.good(v.SET_VRING_CALL, v.u64(0), [pipe[1]])
    inet = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    fe.bad(v.SET_VRING_CALL, v.u64(0), [inet.fileno()])
    fe.bad(v.SET_VRING_KICK, v.u64(0), [pair[0].fileno()])
    fe.good(v.SET_VRING_CALL, v.u64(0), [pair[0].fileno()])  # what User-Mode Linux has for a pipe
    inet.close()
    for fd in others[:3] + list(pipe):
        os.close(fd)
    pair[0].close()
    pair[1].close()
    epoll.close()
    fe.close()


def hide(sock, inside, flags=0):
    """Where no process finds it: sent, and not received."""
    inside.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))], flags)


def own_connections(server):
    """A server that holds the other end of a connection would wait for its end for ever: that of this NIC, or of another."""
    protocol = v.PF_REPLY_ACK | v.PF_BACKEND_REQ | v.PF_CONFIG
    requests = ((v.SET_VRING_CALL, v.u64(1)), (v.SET_VRING_ERR, v.u64(1)), (v.SET_VRING_KICK, v.u64(1)),
                (v.SET_BACKEND_REQ_FD, b""))
    for request, payload in requests:
        a, b = server.front_end("a").negotiate(protocol=protocol), server.front_end("b").negotiate(protocol=protocol)
        waits = server.front_end("a")
        for fe in (a, b, waits):
            a.bad(request, payload, [fe.sock.fileno()])
        for how in range(3):
            left, right = socket.socketpair()
            hide(a.sock, left, socket.MSG_OOB if how > 0 else 0)
            if how == 2:
                right.recv(1, socket.MSG_OOB)  # the byte, not the descriptor
            refused = a.ack(request, payload, [right.fileno()])
            assert how > 0 or refused == E.EINVAL, refused  # else it may have been thrown away as well
            left.close()
            right.close()
        left, right = socket.socketpair()
        if request != v.SET_VRING_KICK:  # what has been accepted has no room to hide anything in
            a.good(request, payload, [right.fileno()])
            b.good(request, payload, [left.fileno()])
            for s in (left, right):
                try:
                    hide(a.sock, s)
                    raise AssertionError("a socket of the server's takes descriptors")
                except BrokenPipeError:
                    pass
        for s in (left, right, a, b):
            s.close()
        waits.get(v.GET_FEATURES)
        waits.close()


def dead_kick_pipes(server):
    """What never can be kicked again is always readable: not to be slept on."""
    g = server.guest("a").start()
    b = server.guest("b").start()
    for ring in (g.tx, g.rx):
        ends = os.pipe()
        g.good(v.SET_VRING_KICK, v.u64(ring.index), [ends[0]])
        os.write(ends[1], b"12345678")
        v.pass_frame(b, g) if ring == g.tx else None
        os.close(ends[0])
        os.close(ends[1])
        assert ring != g.tx or select.select([ring.err_fd], [], [], v.TIMEOUT)[0], "the ring goes on"
    before = cpu_time(server)
    time.sleep(1)
    used = cpu_time(server) - before
    assert used < 0.5, "%.2f s of processor time in a second without work" % used
    g.close()
    b.close()


def descriptors_that_block(server):
    """Another process takes their O_NONBLOCK away again: that stops the server for a moment, once a connection and a second."""
    fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    os.eventfd_write(fd, (1 << 64) - 2)
    clearer = os.fork()
    while clearer == 0:
        fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    g = server.guest("b").start()  # of which nothing has been logged yet
    deadline = time.monotonic() + 10
    try:
        while True:
            g.ack(v.SET_VRING_CALL, v.u64(0), [fd])
            assert time.monotonic() < deadline, "it may go on for ever: " + server.messages()
    except v.Ended:
        pass
    finally:
        os.kill(clearer, signal.SIGKILL)
        os.waitpid(clearer, 0)
        os.close(fd)
    assert "kept the server waiting" in server.messages(), server.messages()
    start = time.monotonic()
    fe = server.front_end("b")
    fe.get(v.GET_FEATURES)
    assert time.monotonic() - start > 0.5, "the next one may do the same at once"
    fe.close()
    g.close()


def cpu_time(server):
    with open("/proc/%d/stat" % server.proc.pid) as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def semaphores(server):
    """A kick of which each read takes 1 could keep us busy for ever. The look at it loses no kick, and makes none."""
    fe = server.front_end().negotiate()
    full = (1 << 64) - 2
    for value in (0, 1, 2, 1 << 31):
        fd = os.eventfd(value, os.EFD_SEMAPHORE)
        fe.bad(v.SET_VRING_KICK, v.u64(0), [fd])
        fe.good(v.SET_VRING_CALL, v.u64(0), [fd])  # only written to
        os.close(fd)
    fd = os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
    os.eventfd_write(fd, full)
    fe.bad(v.SET_VRING_KICK, v.u64(0), [fd])
    os.close(fd)
    for value in (0, 1, 2, 3, full - 1, full):
        fd = os.eventfd(0, os.EFD_NONBLOCK)
        os.eventfd_write(fd, value)
        fe.good(v.SET_VRING_KICK, v.u64(0), [fd])
        try:
            assert os.eventfd_read(fd) == value, value
        except BlockingIOError:
            assert value == 0, value
        os.close(fd)
    fe.close()


def table_of_nothing(guest, entries, size):
    """A large guest, on a NIC's ring to send of @size, of whose descriptors each is a table of @entries without bytes."""
    g = guest(features=v.F_VERSION_1 | v.F_PROTOCOL | v.F_MRG_RXBUF | v.F_INDIRECT)
    at, table = 0x10000, 0x110000
    g.tx.close()
    g.tx = v.Ring(g, 1, at, size)
    for i in range(entries):
        struct.pack_into("<QIHH", g.mem, table + 16 * i, 0, 0, 1 if i + 1 < entries else 0, i + 1)
    for i in range(size):
        g.tx.descriptor(i, v.GPA + table, 16 * entries, 4)
        struct.pack_into("<H", g.mem, g.tx.avail + 4 + 2 * i, i)
    g.good(v.SET_MEM_TABLE, g.table(), [g.memfd])
    g.tx.set_up()
    g.enable(1)
    return g


def longer_than_the_ring(server):
    g = table_of_nothing(lambda **kw: server.guest("a", **kw), 32768, 1024)
    g.tx.publish(1024)
    g.tx.kick()
    assert select.select([g.tx.err_fd], [], [], v.TIMEOUT)[0], "the ring goes on"
    assert g.words[g.tx.used // 2 + 1] == 0
    g.close()


def neighbours_are_served(server):
    """A ring that is kept full of chains that are as long as may be, and bring nothing, costs the other NIC little time."""
    g = table_of_nothing(lambda **kw: server.guest("a", **kw), 1024, 32768)
    b = server.guest("b")
    g.tx.publish(32767)
    g.tx.kick()
    waits = []
    for _ in range(50):
        used = g.words[g.tx.used // 2 + 1]
        g.tx.publish((used + 32767) & 0xFFFF)
        time.sleep(0.003)  # or it looks at the socket still
        start = time.monotonic()
        b.get(v.GET_FEATURES)
        waits.append(time.monotonic() - start)
    assert 0 != g.words[g.tx.used // 2 + 1] != g.words[g.tx.avail // 2 + 1], "the ring does not go on, or ran empty"
    waits.sort()
    print("# waits: median %.2f ms, longest %.2f ms" % (waits[25] * 1e3, waits[-1] * 1e3))
    # Other programs may take the processor from the server: its own share is 1 ms, in the middle 5 are plenty.
    assert waits[25] < 0.005, "the neighbour waits for %.1f ms" % (waits[25] * 1e3)
    b.close()
    g.close()


def any_order(server):
    """KICK first, memory last: a ring starts when nothing is missing any more."""
    b = server.guest("b").start()
    a = server.guest("a")
    for r in (a.rx, a.tx):
        a.good(v.SET_VRING_ENABLE, v.state(r.index, 1))
        a.good(v.SET_VRING_KICK, v.u64(r.index), [r.kick_fd])
        a.good(v.SET_VRING_ADDR, r.addr())
        a.good(v.SET_VRING_NUM, v.state(r.index, r.num))
    a.good(v.SET_MEM_TABLE, a.table(), [a.memfd])
    for r in (a.rx, a.tx):
        a.good(v.SET_VRING_CALL, v.u64(r.index), [r.call_fd])
    a.post()
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    a.close()
    b.close()


def not_while_running(server):
    g = server.guest("a").start()
    g.bad(v.SET_VRING_NUM, v.state(0, 32), want=E.EBUSY)
    g.bad(v.SET_VRING_BASE, v.state(1, 5), want=E.EBUSY)
    b = server.guest("b").start()
    v.pass_frame(g, b)
    g.close()
    b.close()


def changes_while_running(server):
    """ADDR, KICK, CALL and ERR may come again: the ring goes on where it was."""
    a, b = server.guest("a").start(), server.guest("b").start()
    v.pass_frame(a, b)
    for _ in range(10):
        for r in (a.rx, a.tx):
            a.good(v.SET_VRING_ADDR, r.addr())
            v.pass_frame(a, b)
            for request, name in ((v.SET_VRING_KICK, "kick_fd"), (v.SET_VRING_CALL, "call_fd"), (v.SET_VRING_ERR, "err_fd")):
                os.close(getattr(r, name))
                setattr(r, name, os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
                a.good(request, v.u64(r.index), [getattr(r, name)])
            v.pass_frame(a, b)
            v.pass_frame(b, a)
    a.close()
    b.close()


def call_is_sent_anew(server):
    """Whoever swaps the call descriptor finds the new one signalled: the last signal may have gone to the old one."""
    g = server.guest("a").start()
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    g.good(v.SET_VRING_CALL, v.u64(1), [fd])
    assert os.eventfd_read(fd) >= 1
    os.close(fd)
    g.close()


def without_kick_descriptor(server):
    """With the flag for none the server looks by itself."""
    a, b = server.guest("a").start(), server.guest("b").start()
    a.good(v.SET_VRING_KICK, v.u64(1 | v.NO_FD))
    v.pass_frame(a, b)
    a.close()
    b.close()


def base(server):
    """GET_VRING_BASE says where the ring has come to, stops it, and a start with it goes on."""
    a, b = server.guest("a").start(), server.guest("b").start()
    for n in range(5):
        v.pass_frame(a, b)
    index, at = v.struct.unpack("<II", a.get(v.GET_VRING_BASE, v.state(1, 999)))
    assert (index, at) == (1, a.tx.avail_idx), (index, at, a.tx.avail_idx)
    assert a.tx.used_idx == a.tx.avail_idx
    frame = v.make_frame()
    a.send_frame(frame)
    assert a.tx.get_used(0.2) is None, "a stopped ring was served"
    again = v.struct.unpack("<II", a.get(v.GET_VRING_BASE, v.state(1, 0)))
    assert again == (1, at), "asked twice"
    while b.recv_frame(0.2) is not None:
        pass
    a.tx.set_up(base=at)
    assert b.recv_frame() == frame, "what was queued while it stood still"
    v.pass_frame(a, b)
    a.close()
    b.close()


def base_beyond_reason(server):
    g = server.guest("a")
    g.good(v.SET_MEM_TABLE, g.table(), [g.memfd])
    g.good(v.SET_VRING_NUM, v.state(0, g.rx.num))
    g.good(v.SET_VRING_ADDR, g.rx.addr())
    g.good(v.SET_VRING_BASE, v.state(0, 0x10000))
    g.bad(v.SET_VRING_KICK, v.u64(0), [g.rx.kick_fd])
    g.good(v.SET_VRING_BASE, v.state(0, 0))
    g.good(v.SET_VRING_KICK, v.u64(0), [g.rx.kick_fd])
    g.close()


def packed_bases(server):
    """A fresh packed ring as QEMU, DPDK and User-Mode Linux begin it; base 0 is a fresh one for the last only."""
    AVAIL, USED = 1 << 7, 1 << 15
    for base, owner_first, flags, taken in ((0x80008000, False, AVAIL, True), (0x8000, False, AVAIL, True), (0, True, AVAIL, True),
                                            (0, False, AVAIL, False), (0, False, USED, True), (0x80008000, False, USED, False)):
        g = server.guest("a", negotiate=False)
        if owner_first:
            g.send(v.SET_OWNER)
        g.negotiate(features=v.F_VERSION_1 | v.F_PROTOCOL | v.F_PACKED)
        g.good(v.SET_MEM_TABLE, g.table(), [g.memfd])
        v.struct.pack_into("<QIHH", g.mem, g.tx.desc, v.GPA + 0x80000, 112, 7, flags)
        g.mem[0x80000:0x80000 + 112] = bytes(12) + v.make_frame()
        g.tx.set_up(base=base)
        g.enable(1)
        g.tx.kick()
        deadline = v.time.monotonic() + (v.TIMEOUT if taken else 0.2)
        done = USED | AVAIL if flags == AVAIL else 0
        while g.words[g.tx.desc // 2 + 7] != done and v.time.monotonic() < deadline:
            v.time.sleep(0.01)
        got = g.words[g.tx.desc // 2 + 7] == done
        assert got == taken, "base 0x%x, owner first %s, flags 0x%x: taken %s" % (base, owner_first, flags, got)
        g.close()


def index_that_jumps(server):
    """An available index that is a ring's size ahead breaks the queue, is signalled, and hurts nobody else."""
    a, b = server.guest("a").start(), server.guest("b").start()
    v.pass_frame(a, b)
    a.tx.publish((a.tx.avail_idx + a.tx.num + 1) & 0xFFFF)
    a.tx.kick()
    ready = select.select([a.tx.err_fd], [], [], v.TIMEOUT)[0]
    assert ready, "the err descriptor was not signalled"
    a.expect_silence()
    v.pass_frame(b, a)
    a.get(v.GET_VRING_BASE, v.state(1, 0))
    a.tx.avail_idx = a.tx.used_idx
    a.tx.publish(a.tx.avail_idx)
    a.n_sent = 0
    a.tx.set_up()
    v.pass_frame(a, b)
    a.close()
    b.close()


def enable(server):
    g = server.guest("a").start()
    b = server.guest("b").start()
    for num in (2, 0xFFFFFFFF):
        g.bad(v.SET_VRING_ENABLE, v.state(0, num))
    v.pass_frame(b, g)
    g.good(v.SET_VRING_ENABLE, v.state(0, 0))
    b.send_frame(v.make_frame())
    assert g.recv_frame(0.3) is None, "a disabled ring receives"
    v.pass_frame(g, b)
    g.good(v.SET_VRING_ENABLE, v.state(0, 1))
    v.pass_frame(b, g)
    g.close()
    b.close()


def enabled_without_protocol_features(server):
    """A front end that has not acked the protocol's features has rings that are enabled from the start."""
    a, b = server.guest("a", negotiate=False), server.guest("b").start()
    a.send(v.SET_OWNER)
    a.send(v.SET_FEATURES, v.u64(v.F_VERSION_1))
    a.send(v.SET_MEM_TABLE, a.table(), [a.memfd])
    for r in (a.rx, a.tx):
        a.send(v.SET_VRING_NUM, v.state(r.index, r.num))
        a.send(v.SET_VRING_ADDR, r.addr())
        a.send(v.SET_VRING_CALL, v.u64(r.index), [r.call_fd])
        a.send(v.SET_VRING_KICK, v.u64(r.index), [r.kick_fd])
    a.post()
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    a.close()
    b.close()


def next_front_end(server):
    """A guest that dies, or is replaced, at any moment; the next one starts from 0."""
    b = server.guest("b").start()
    for n in range(20):
        a = server.guest("a").start()
        a.send_frame(v.make_frame())
        if n % 4 == 3:
            v.pass_frame(a, b)
            v.pass_frame(b, a)
        a.close()
    b.close()


v.run([wrong_indices, wrong_sizes_of_rings, wrong_addresses, wrong_descriptors, own_connections, dead_kick_pipes, descriptors_that_block, semaphores, longer_than_the_ring,
       neighbours_are_served, any_order, not_while_running,
       changes_while_running, call_is_sent_anew, without_kick_descriptor, base, base_beyond_reason, packed_bases, index_that_jumps, enable,
       enabled_without_protocol_features, next_front_end])
