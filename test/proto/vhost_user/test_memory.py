# SPDX-License-Identifier: BSD-2-Clause
"""SET_MEM_TABLE, ADD_MEM_REG, REM_MEM_REG: right, wrong, under traffic, and memory that goes away."""
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import deaffuse
import vuproto as v

E = v.errno
TOP = 1 << 64


def table(*regions):
    return struct.pack("<II", len(regions), 0) + b"".join(v.REGION.pack(*r) for r in regions)


def one(*region):
    return bytes(8) + v.REGION.pack(*region)


def wrong_tables(server):
    fe = server.front_end().negotiate()
    fd = v.memfd(1 << 20)
    size = 1 << 20
    good = (0, size, 0, 0)
    cases = [
        ("no descriptor", table(good), 0, E.EINVAL),
        ("two descriptors", table(good), 2, E.EINVAL),
        ("nine regions", struct.pack("<II", 9, 0) + b"".join(v.REGION.pack(n * size, size, n * size, 0) for n in range(9)), 9, E.EINVAL),
        ("a number without regions", struct.pack("<II", 1, 0), 1, E.EINVAL),
        ("room for more, as UML has it", struct.pack("<II", 1, 0) + v.REGION.pack(*good) * 2, 1, 0),
        ("a huge number", struct.pack("<II", 0xFFFFFFFF, 0) + v.REGION.pack(*good), 1, E.EINVAL),
        ("empty region", table((0, 0, 0, 0)), 1, E.EINVAL),
        ("past the file", table((0, size + v.PAGE, 0, 0)), 1, E.EINVAL),
        ("offset past the file", table((0, v.PAGE, 0, size)), 1, E.EINVAL),
        ("offset wraps", table((0, 2 * v.PAGE, 0, TOP - v.PAGE)), 1, E.EINVAL),
        ("guest address wraps", table((TOP - v.PAGE, 2 * v.PAGE, 0, 0)), 1, E.EINVAL),
        ("user address wraps", table((0, 2 * v.PAGE, TOP - v.PAGE, 0)), 1, E.EINVAL),
        ("everything", table((0, TOP - 1, 0, 0)), 1, E.EINVAL),
        ("not aligned alike", table((0, v.PAGE, 16, 0)), 1, E.EINVAL),
        ("guest addresses overlap", table(good, (size - v.PAGE, v.PAGE, size, 0)), 2, E.EEXIST),
        ("user addresses overlap", table(good, (size, v.PAGE, size - v.PAGE, 0)), 2, E.EEXIST),
        ("twice the same", table(good, good), 2, E.EEXIST),
    ]
    for what, payload, n_fds, want in cases:
        got = fe.ack(v.SET_MEM_TABLE, payload, [fd] * n_fds)
        assert got == want, "%s: %s" % (what, E.errorcode.get(got, got))
    fe.good(v.SET_MEM_TABLE, table())
    fe.good(v.SET_MEM_TABLE, table(*((n * size, size, n * size, 0) for n in range(8))), [fd] * 8)
    os.close(fd)
    fe.close()


def wrong_descriptors(server):
    fe = server.front_end().negotiate(protocol=v.PF_REPLY_ACK | v.PF_MEM_SLOTS)
    small, sealed = v.memfd(v.PAGE - 1), v.memfd(v.PAGE)
    fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    pair = socket.socketpair()
    pipe = os.pipe()
    page = v.memfd(v.PAGE)
    read_only = os.open("/proc/self/fd/%d" % page, os.O_RDONLY)
    fds = [*pipe, page, os.eventfd(0), os.open("/", os.O_RDONLY), os.open("/dev/null", os.O_RDWR),
           os.open("/dev/zero", os.O_RDWR), small, sealed, read_only]
    for fd in fds + [pair[0].fileno()]:
        if fd == page:
            continue
        fe.bad(v.SET_MEM_TABLE, table((0, v.PAGE, 0, 0)), [fd])
        fe.bad(v.ADD_MEM_REG, one(0, v.PAGE, 0, 0), [fd])
    fe.good(v.ADD_MEM_REG, one(0, v.PAGE, 0, 0), [page])
    for fd in fds:
        os.close(fd)
    pair[0].close()
    pair[1].close()
    fe.close()


def overlay_file():
    """A file of a page on an overlayfs in a mount namespace of its own: the descriptor, and who keeps the namespace."""
    script = """set -e
mount -t tmpfs none "$1"
mkdir "$1/l" "$1/u" "$1/w" "$1/m"
mount -t overlay none -o lowerdir="$1/l",upperdir="$1/u",workdir="$1/w" "$1/m"
truncate -s %d "$1/m/file"
echo ready
exec sleep 1000""" % v.PAGE
    where = tempfile.mkdtemp(prefix="unm-overlay-")
    keeper = subprocess.Popen(["unshare", "-m", "sh", "-c", script, "sh", where], stdout=subprocess.PIPE)
    try:
        assert keeper.stdout.readline() == b"ready\n", "no overlayfs"
        return os.open("/proc/%d/root%s/m/file" % (keeper.pid, where), os.O_RDWR), keeper
    except Exception:
        keeper.kill()
        raise
    finally:
        os.rmdir(where)


def wrong_file_system(server):
    """What lies on overlayfs may be served by anybody, who could keep us waiting for a page."""
    fd, keeper = overlay_file()
    time.sleep(4.5)  # the tests before have used up what may be logged: a line a second comes back
    try:
        fe = server.front_end().negotiate(protocol=v.PF_REPLY_ACK | v.PF_MEM_SLOTS | v.PF_LOG_SHMFD)
        fe.bad(v.SET_MEM_TABLE, table((0, v.PAGE, 0, 0)), [fd])
        fe.bad(v.ADD_MEM_REG, one(0, v.PAGE, 0, 0), [fd])
        fe.bad(v.SET_LOG_BASE, struct.pack("<QQ", 8, 0), [fd])
        assert "a region is not in a file in memory" in server.messages(), server.messages()
        fe.close()
    finally:
        os.close(fd)
        keeper.kill()
        keeper.wait()
        keeper.stdout.close()


def deaf_file(_):
    """A file whose server never answers: in no message does it keep the server, nor the neighbours. 64 are taken at once, no more."""
    server = v.Server(nics=("a", "b", "c"))
    where = tempfile.mkdtemp(prefix="unm-fuse-")
    deaf = deaffuse.DeafFile(where)
    try:
        fd = deaf.open()
        deaf.deafen()
        with v.Neighbours(server, 2, 50):
            fe = server.front_end().negotiate(protocol=v.PF_REPLY_ACK | v.PF_MEM_SLOTS | v.PF_LOG_SHMFD)
            fe.bad(v.SET_MEM_TABLE, table((0, v.PAGE, 0, 0)), [fd])
            fe.bad(v.ADD_MEM_REG, one(0, v.PAGE, 0, 0), [fd])
            fe.bad(v.SET_LOG_BASE, struct.pack("<QQ", 8, 0), [fd])
            for message in (v.SET_VRING_KICK, v.SET_VRING_CALL, v.SET_VRING_ERR):
                fe.bad(message, v.u64(0), [fd])
            fe.close()
            for _ in range(4):
                fe = server.front_end()
                try:
                    for _ in range(3):
                        fe.send(v.GET_FEATURES, b"", [fd] * 20)  # which takes none
                        fe.sock.recv(100)
                except (ConnectionError, v.Ended):
                    pass
                fe.close()
            time.sleep(1)
            held = len(os.listdir("/proc/%d/fd" % server.proc.pid))
        assert held < 64 + 20 + 100, "%d descriptors are open" % held
    finally:
        deaf.close()
        shutil.rmtree(where, ignore_errors=True)
    deadline = time.monotonic() + v.TIMEOUT
    while len(os.listdir("/proc/%d/fd" % server.proc.pid)) >= held - 50:
        assert time.monotonic() < deadline, "they are not closed when that has become possible"
        time.sleep(0.05)
    server.check_alive()
    server.stop()


def broken_once(server):
    """A ring that breaks again and again with each memory table: that is said once."""
    a = server.guest("a").start()
    time.sleep(4.5)
    before = server.messages().count("queue stopped")
    a.tx.publish(1000)
    for _ in range(10):
        a.tx.kick()
        time.sleep(0.05)
        a.good(v.SET_MEM_TABLE, a.table(), [a.memfd])
    assert server.messages().count("queue stopped") == before + 1, server.messages()
    a.close()


def refusal_keeps_the_old_table(server):
    a, b = server.guest("a").start(), server.guest("b").start()
    v.pass_frame(a, b)
    a.bad(v.SET_MEM_TABLE, table((0, 0, 0, 0)), [a.memfd])
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    a.close()
    b.close()


def refusal_without_answer_ends(server):
    g = server.guest("a").start()
    g.send(v.SET_MEM_TABLE, table((0, 0, 0, 0)), [g.memfd])
    g.expect_end()
    g.close()


def replaced_under_traffic(server):
    """The same memory again and again, while frames pass: none is lost or comes twice."""
    a, b = server.guest("a").start(), server.guest("b").start()
    v.pass_frame(a, b)
    while b.recv_frame(0.2) is not None:
        pass
    for n in range(100):
        frame = v.make_frame()
        a.send_frame(frame)
        g = a if n % 2 else b
        g.good(v.SET_MEM_TABLE, g.table(), [g.memfd])
        got = b.recv_frame()
        assert got == frame, "frame %d: %r" % (n, got)
    assert b.recv_frame(0.1) is None
    a.close()
    b.close()


def in_pieces_and_reordered(server):
    """Two regions that are adjacent for the guest and swapped in the file: frames that cross the border are whole."""
    a, b = server.guest("a"), server.guest("b").start()
    half = v.MEM_SIZE // 2
    border = v.GPA + 0x80000
    a.good(v.SET_MEM_TABLE, a.table([(v.GPA, 0x80000, v.UADDR, 0), (border, half, v.UADDR + 0x80000, half)]), [a.memfd] * 2)
    a.rx.set_up()
    a.tx.set_up()
    a.enable(1)
    frame = v.make_frame(size=1000)
    raw = bytes(12) + frame
    for split in (5, 12, 13, 26, 500):
        a.mem[0x80000 - split:0x80000] = raw[:split]
        a.mem[half:half + len(raw) - split] = raw[split:]
        a.tx.descriptor(0, border - split, len(raw), 0)
        a.tx.add(0)
        a.tx.kick()
        assert a.tx.get_used() is not None
        got = b.recv_frame()
        assert got == frame, "split at %d" % split
    a.close()
    b.close()


def slots(server):
    """Regions come and go one by one; a ring whose memory has gone waits, and goes on when it is back."""
    a = server.guest("a", protocol=v.PF_REPLY_ACK | v.PF_MEM_SLOTS)
    b = server.guest("b").start()
    n_slots = a.get_u64(v.GET_MAX_MEM_SLOTS)
    assert n_slots >= 32, n_slots
    region = (v.GPA, v.MEM_SIZE, v.UADDR, 0)
    a.good(v.ADD_MEM_REG, one(*region), [a.memfd])
    a.bad(v.ADD_MEM_REG, one(v.GPA, v.MEM_SIZE - v.PAGE, v.UADDR, 0), [a.memfd], want=E.EEXIST)
    a.good(v.ADD_MEM_REG, one(*region), [a.memfd])  # QEMU 7.2 repeats everything for each queue pair
    a.rx.set_up()
    a.tx.set_up()
    a.enable(1)
    a.post()
    v.pass_frame(a, b)
    extra = v.memfd(v.PAGE)
    for n in range(n_slots - 1):
        a.good(v.ADD_MEM_REG, one(n * v.PAGE, v.PAGE, n * v.PAGE, 0), [extra])
    a.bad(v.ADD_MEM_REG, one(n_slots * v.PAGE, v.PAGE, n_slots * v.PAGE, 0), [extra], want=E.ENOSPC)
    v.pass_frame(b, a)
    a.bad(v.REM_MEM_REG, one(0, v.PAGE, v.PAGE, 0), want=E.ENOENT)
    for n in range(n_slots - 1):
        a.good(v.REM_MEM_REG, one(n * v.PAGE, v.PAGE, n * v.PAGE, 12345), [extra] if n % 2 else [])
    v.pass_frame(a, b)
    a.good(v.REM_MEM_REG, one(*region))
    v.pass_frame(a, b)
    a.good(v.REM_MEM_REG, one(*region))
    a.send_frame(v.make_frame())
    assert a.tx.get_used(0.2) is None
    a.good(v.ADD_MEM_REG, one(*region), [a.memfd])
    assert a.tx.get_used() is not None, "the ring did not go on"
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    os.close(extra)
    a.close()
    b.close()


def truncated(server):
    """Memory that is truncated after it was mapped: that connection ends, the other NIC goes on."""
    for ring_only in (False, True):
        a, b = server.guest("a").start(), server.guest("b").start()
        v.pass_frame(a, b)
        if ring_only:
            os.ftruncate(a.memfd, 0x80000)  # rings stay, frames go
            a.tx.descriptor(0, v.GPA + 0x90000, 200, 0)
            a.tx.add(0)
        else:
            os.ftruncate(a.memfd, 0)
        a.tx.kick()
        a.expect_end()
        a.close()
        c = server.guest("a").start()
        v.pass_frame(c, b)
        v.pass_frame(b, c)
        c.close()
        b.close()


def truncated_rx(server):
    """The same for buffers that the server writes to."""
    a, b = server.guest("a").start(), server.guest("b").start()
    v.pass_frame(a, b)
    os.ftruncate(b.memfd, 0x10000)
    a.send_frame(v.make_frame())
    b.expect_end()
    assert a.tx.get_used() is not None
    a.close()
    b.close()


v.run([wrong_tables, wrong_descriptors, wrong_file_system, deaf_file, broken_once, refusal_keeps_the_old_table, refusal_without_answer_ends,
       replaced_under_traffic, in_pieces_and_reordered, slots, truncated, truncated_rx])
