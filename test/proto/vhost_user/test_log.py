# SPDX-License-Identifier: BSD-2-Clause
"""The dirty log of a live migration: SET_LOG_BASE, SET_LOG_FD, and which pages it shows."""
import mmap
import os
import struct

import vuproto as v

PROTOCOL = v.PF_REPLY_ACK | v.PF_LOG_SHMFD
LOG_SIZE = 0x100000  # bytes; a bit a page, so it reaches past GPA + MEM_SIZE
LOG_OFS = v.PAGE


def set_log(fe, fd, size=LOG_SIZE, ofs=LOG_OFS):
    assert fe.get(v.SET_LOG_BASE, struct.pack("<QQ", size, ofs), [fd]) == v.u64(0)


def dirty_pages(log):
    """Numbers of the pages that are marked; the log is cleared."""
    first = v.GPA // v.PAGE // 8
    area = slice(LOG_OFS + first, LOG_OFS + first + v.MEM_SIZE // v.PAGE // 8)
    marked = {8 * i + bit for i, byte in enumerate(log[area]) for bit in range(8) if byte & 1 << bit}
    assert log[LOG_OFS:LOG_OFS + first].count(0) == first, "pages in front of the guest's memory"
    log[area] = bytes(area.stop - area.start)
    return marked


def wrong_logs(server):
    fe = server.front_end().negotiate(protocol=PROTOCOL)
    fd = v.memfd(v.PAGE)
    pipe = os.pipe()
    for size, ofs, got in ((0, 0, fd), (v.PAGE + 1, 0, fd), (v.PAGE, 1, fd), (8, (1 << 64) - 8, fd), ((1 << 64) - 1, 1, fd),
                           (8, 0, pipe[1])):
        fe.bad(v.SET_LOG_BASE, struct.pack("<QQ", size, ofs), [got])
    set_log(fe, fd, 8, 0)
    set_log(fe, fd, v.PAGE - 1, 1)
    fe.send(v.SET_LOG_BASE, struct.pack("<QQ", 0, 0), [fd])
    fe.expect_end()
    for n in (fd, *pipe):
        os.close(n)
    fe.close()


def log_fd_is_taken(server):
    fe = server.front_end().negotiate(protocol=PROTOCOL)
    fd = os.eventfd(0)
    fe.good(v.SET_LOG_FD, b"", [fd])
    os.close(fd)
    fe.close()


def marks_what_is_written(server):
    """On under traffic: pages of received frames and, if asked for, of used rings; off again: nothing."""
    a, b = server.guest("a", protocol=PROTOCOL).start(), server.guest("b").start()
    fd = v.memfd(LOG_SIZE + LOG_OFS, "log")
    log = mmap.mmap(fd, LOG_SIZE + LOG_OFS)
    v.pass_frame(b, a)
    set_log(a, fd)
    v.pass_frame(b, a)
    assert dirty_pages(log) == set(), "before LOG_ALL was acked"

    a.good(v.SET_FEATURES, v.u64(a.features | v.F_LOG_ALL))
    for r in (a.rx, a.tx):
        a.good(v.SET_VRING_ADDR, r.addr(flags=1, log=v.GPA + r.used))
    v.pass_frame(b, a)
    marked = dirty_pages(log)
    assert a.rx.used // v.PAGE in marked, "the used ring of rx: %s" % marked
    buffers = set(range(0x10000 // v.PAGE, (0x10000 + 32 * 2048) // v.PAGE))
    assert marked & buffers, "the buffer of the frame: %s" % marked
    assert not marked - buffers - {a.rx.used // v.PAGE, a.tx.used // v.PAGE}, "what was not written: %s" % marked
    v.pass_frame(a, b)
    assert a.tx.used // v.PAGE in dirty_pages(log)

    a.good(v.SET_FEATURES, v.u64(a.features))
    for r in (a.rx, a.tx):
        a.good(v.SET_VRING_ADDR, r.addr())
    dirty_pages(log)
    v.pass_frame(b, a)
    v.pass_frame(a, b)
    assert dirty_pages(log) == set(), "after the log was turned off"
    a.close()
    b.close()
    log.close()
    os.close(fd)


def replaced_log(server):
    """A second log in place of the first, under traffic."""
    a, b = server.guest("a", protocol=PROTOCOL).start(), server.guest("b").start()
    a.good(v.SET_FEATURES, v.u64(a.features | v.F_LOG_ALL))
    for _ in range(3):
        fd = v.memfd(LOG_SIZE + LOG_OFS, "log")
        log = mmap.mmap(fd, LOG_SIZE + LOG_OFS)
        set_log(a, fd)
        v.pass_frame(b, a)
        assert dirty_pages(log)
        log.close()
        os.close(fd)
    a.close()
    b.close()


def short_log(server):
    """A log that does not reach to the pages that are written."""
    a, b = server.guest("a", protocol=PROTOCOL).start(), server.guest("b").start()
    fd = v.memfd(v.PAGE, "log")
    set_log(a, fd, 8, 0)
    a.good(v.SET_FEATURES, v.u64(a.features | v.F_LOG_ALL))
    v.pass_frame(b, a)
    assert os.pread(fd, v.PAGE, 0) == bytes(v.PAGE)
    a.close()
    b.close()
    os.close(fd)


def truncated_log(server):
    a, b = server.guest("a", protocol=PROTOCOL).start(), server.guest("b").start()
    fd = v.memfd(LOG_SIZE + LOG_OFS, "log")
    set_log(a, fd)
    a.good(v.SET_FEATURES, v.u64(a.features | v.F_LOG_ALL))
    os.ftruncate(fd, 0)
    b.send_frame(v.make_frame())
    a.expect_end()
    a.close()
    b.close()
    os.close(fd)


v.run([wrong_logs, log_fd_is_taken, marks_what_is_written, replaced_log, short_log, truncated_log])
