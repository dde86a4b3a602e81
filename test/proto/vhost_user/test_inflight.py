# SPDX-License-Identifier: BSD-2-Clause
"""The in-flight region: GET_INFLIGHT_FD, SET_INFLIGHT_FD."""
import fcntl
import mmap
import os
import struct
import time

import vuproto as v

E = v.errno
PROTOCOL = v.PF_REPLY_ACK | v.PF_INFLIGHT_SHMFD
INFLIGHT = struct.Struct("<QQHH")
KEPT = 2 * 4  # regions that the server keeps for two NICs


def get_region(fe, n_queues=2, size=64, pad=0):
    fe.send(v.GET_INFLIGHT_FD, INFLIGHT.pack(0, 0, n_queues, size) + bytes(pad))
    answer, fds = fe.recv(v.GET_INFLIGHT_FD)
    assert len(fds) == 1 and len(answer) == INFLIGHT.size + pad, (fds, answer)
    return INFLIGHT.unpack_from(answer), fds[0]


def come_back(server, nic, guest, region, fd):
    """A front end that has gone connects again, with the in-flight region that it has kept."""
    again = v.FrontEnd(server.path(nic))
    guest.sock = again.sock
    guest.negotiate(protocol=PROTOCOL)
    guest.good(v.SET_INFLIGHT_FD, INFLIGHT.pack(*region), [fd])
    guest.good(v.SET_MEM_TABLE, guest.table(), [guest.memfd])
    guest.tx.set_up()
    guest.rx.set_up()


def the_same_reason_is_logged_once(server):
    fe = server.front_end().negotiate(protocol=PROTOCOL)
    for size in (0, 40000):
        for _ in range(4):
            fe.bad(v.GET_INFLIGHT_FD, INFLIGHT.pack(0, 0, 2, size))
    assert server.messages().count("GET_INFLIGHT_FD") == 2, server.messages()
    fe.close()


def made_as_asked(server):
    fe = server.front_end().negotiate(protocol=PROTOCOL)
    for n_queues, size in ((1, 1), (2, 256), (3, 1024)):
        (length, ofs, n, s), fd = get_region(fe, n_queues, size, pad=4 * (n_queues & 1))  # QEMU sends padding
        assert (n, s) == (n_queues, size)
        assert length >= n_queues * (32 + 32 * size), "room for either format"
        assert os.fstat(fd).st_size >= ofs + length
        assert os.pread(fd, 64, ofs) == bytes(64)
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        assert seals & fcntl.F_SEAL_SHRINK, "we must not be able to make the server fault"
        os.close(fd)
    fe.close()


def wrong_numbers(server):
    fe = server.front_end().negotiate(protocol=PROTOCOL)
    (length, ofs, n, s), fd = get_region(fe)
    for n_queues, size in ((0, 64), (2, 0), (0, 0), (1000, 64), (2, 40000), (65535, 65535)):
        fe.bad(v.GET_INFLIGHT_FD, INFLIGHT.pack(0, 0, n_queues, size))
        fe.bad(v.SET_INFLIGHT_FD, INFLIGHT.pack(length, ofs, n_queues, size), [fd])
    for got in ((length - 1, ofs, n, s), (length + 1, ofs, n, s), (0, ofs, n, s), (length, v.PAGE, n, s), (length, 8, n, s), (length, (1 << 64) - 1, n, s),
                (length, ofs, n + 1, s), (length, ofs, n, s - 1)):
        fe.bad(v.SET_INFLIGHT_FD, INFLIGHT.pack(*got), [fd])
    small, pipe = v.memfd(length - 1), os.pipe()
    fe.bad(v.SET_INFLIGHT_FD, INFLIGHT.pack(length, 0, n, s), [small])
    fe.bad(v.SET_INFLIGHT_FD, INFLIGHT.pack(length, 0, n, s), [pipe[1]])
    large = v.memfd(length + 64)
    fe.bad(v.SET_INFLIGHT_FD, INFLIGHT.pack(length, 23, n, s), [large])
    fe.good(v.SET_INFLIGHT_FD, INFLIGHT.pack(length, 64, n, s), [large])
    os.close(large)
    fe.good(v.SET_INFLIGHT_FD, INFLIGHT.pack(length, ofs, n, s), [fd])
    fe.good(v.SET_INFLIGHT_FD, INFLIGHT.pack(length, ofs, n, s) + bytes(4), [fd])  # with padding, as some send it
    for x in (small, fd, *pipe):
        os.close(x)
    fe.send(v.GET_INFLIGHT_FD, INFLIGHT.pack(0, 0, 0, 0))
    fe.expect_end()
    fe.close()


def no_more_than_the_nic_can_use(server):
    """What regions commit is bounded, whatever front ends ask for and keep; none of them can use it up for the next one."""
    limit = 2 * 3 * (32768 * 32 + v.PAGE)
    fe = server.front_end().negotiate(protocol=PROTOCOL)
    fe.bad(v.GET_INFLIGHT_FD, INFLIGHT.pack(0, 0, 4, 64))  # one pair and the control queue
    files, committed = {}, 0
    for size in range(32768, 32768 - 24, -1):
        fe.send(v.GET_INFLIGHT_FD, INFLIGHT.pack(0, 0, 3, size), flags=v.VERSION | v.NEED_REPLY)
        answer, fds = fe.recv(v.GET_INFLIGHT_FD)
        if not fds:
            u_errno, = struct.unpack("<Q", answer)
            assert u_errno == E.EDQUOT, u_errno
            break
        files[size] = fds[0]
        committed += os.fstat(fds[0]).st_blocks * 512
    assert len(files) >= 1 and committed <= limit, (len(files), committed)
    last = min(files)
    os.pwrite(files[last], b"\1" * 16, 0)
    for _ in range(100):
        _, fd = get_region(fe, 3, last)
        assert os.path.samestat(os.fstat(fd), os.fstat(files[last])), "the same numbers: the same file"
        assert os.pread(fd, 10, 0)[8:] == bytes(2), "version 0: nobody has used it"
        os.close(fd)
    fe.close()
    for i in range(3):  # the next one has it again, and one more, for which the oldest is given up
        began = time.monotonic()
        fe = server.front_end().negotiate(protocol=PROTOCOL)
        # It takes the server time, which is others' time too: so whoever comes after such a one waits.
        assert i == 0 or time.monotonic() - began > 0.8, time.monotonic() - began
        _, fd = get_region(fe, 3, last)
        assert os.path.samestat(os.fstat(fd), os.fstat(files[last])), "another connection: the same file"
        os.close(fd)
        _, files[last - 1] = get_region(fe, 3, last - 1)
        assert sum(os.fstat(f).st_blocks for f in files.values()) * 512 <= limit, "the memory of all, whoever keeps them"
        fe.bad(v.GET_INFLIGHT_FD, INFLIGHT.pack(0, 0, 3, last - 2), want=E.EDQUOT)
        fe.close()
        last -= 1
    fe = server.front_end().negotiate(protocol=PROTOCOL)
    _, files[64] = get_region(fe, 2, 64)  # as an honest one asks
    assert sum(os.fstat(f).st_blocks for f in files.values()) * 512 <= limit
    fe.close()
    for fd in files.values():
        os.close(fd)


def given_up(server):
    """A front end comes back with a region that was given up for others': it is empty, which does no harm."""
    b = server.guest("a").start()
    a = server.guest("b", protocol=PROTOCOL)  # a NIC of which nothing has been logged yet
    region, fd = get_region(a)
    a.start()
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    a.sock.close()
    taken = mmap.mmap(fd, region[0])
    assert any(taken[:]), "the server has used it"
    fe = server.front_end("b").negotiate(protocol=PROTOCOL)
    for size in (32768, 32767):
        os.close(get_region(fe, 3, size)[1])
    fe.close()
    assert not any(taken[:]), "it was not given up"
    assert "is given up" in server.messages()
    come_back(server, "b", a, region, fd)
    assert "it is empty" in server.messages()
    a.enable(1)
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    taken.close()
    os.close(fd)
    a.close()
    b.close()


def not_while_running(server):
    g = server.guest("a", protocol=PROTOCOL)
    (length, ofs, n, s), fd = get_region(g)
    g.start()
    g.bad(v.SET_INFLIGHT_FD, INFLIGHT.pack(length, ofs, n, s), [fd], want=E.EBUSY)
    g.bad(v.GET_INFLIGHT_FD, INFLIGHT.pack(0, 0, n, s), want=E.EBUSY)
    os.close(fd)
    g.close()


def rings_that_do_not_fit(server):
    for n_queues, size in ((1, 64), (2, 32)):
        g = server.guest("a", protocol=PROTOCOL)
        os.close(get_region(g, n_queues, size)[1])
        g.good(v.SET_MEM_TABLE, g.table(), [g.memfd])
        g.good(v.SET_VRING_NUM, v.state(1, 64))
        g.good(v.SET_VRING_ADDR, g.tx.addr())
        g.bad(v.SET_VRING_KICK, v.u64(1), [g.tx.kick_fd])
        g.close()


def over_a_restart(server):
    """Frames pass with a region, and with the same region at the next connection, which goes on where the first was."""
    b = server.guest("b").start()
    a = server.guest("a", protocol=PROTOCOL)
    region, fd = get_region(a)
    a.start()
    for _ in range(100):
        v.pass_frame(a, b)
    a.sock.close()
    come_back(server, "a", a, region, fd)
    a.enable(1)
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    assert a.tx.get_used(0.1) is None, "a frame was completed twice"
    os.close(fd)
    a.close()
    b.close()


def garbage_in_the_region(server):
    """What a front end writes into the region is not believed; the NIC may stop, the next connection works."""
    for pattern in (b"\xff", b"\x01", b"\x7f\x80", b"\x01\x00"):
        a, b = server.guest("a", protocol=PROTOCOL), server.guest("b").start()
        region, fd = get_region(a)
        length = region[0]
        os.pwrite(fd, (pattern * length)[:length], 0)
        a.good(v.SET_INFLIGHT_FD, INFLIGHT.pack(*region), [fd])
        a.good(v.SET_MEM_TABLE, a.table(), [a.memfd])
        for r in (a.rx, a.tx):
            a.good(v.SET_VRING_NUM, v.state(r.index, r.num))
            a.good(v.SET_VRING_ADDR, r.addr())
            a.ack(v.SET_VRING_KICK, v.u64(r.index), [r.kick_fd])
        a.send_frame(v.make_frame())
        a.tx.get_used(0.1)
        os.close(fd)
        a.close()
        b.close()


def truncated_region(server):
    """A region that is not ours, and so may shrink."""
    a = server.guest("a", protocol=PROTOCOL)
    (length, _, n, s), fd = get_region(a)
    os.close(fd)
    own = v.memfd(length)
    a.good(v.SET_INFLIGHT_FD, INFLIGHT.pack(length, 0, n, s), [own])
    a.start()
    os.ftruncate(own, 0)
    a.send_frame(v.make_frame())
    a.expect_end()
    os.close(own)
    a.close()


v.run([the_same_reason_is_logged_once, made_as_asked, wrong_numbers, no_more_than_the_nic_can_use, given_up, not_while_running, rings_that_do_not_fit,
       over_a_restart, garbage_in_the_region, truncated_region], kept=KEPT)
