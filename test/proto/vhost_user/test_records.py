# SPDX-License-Identifier: BSD-2-Clause
"""Packed rings of a front end that has no in-flight region and says, as QEMU does, that a ring in use is fresh.

The server goes on where its own record says, after a hang-up as after its death, and if the record does not count (another
guest's, garbage) it says so, and does not touch a ring whose place is lost.
"""
import os
import select
import time

import vuproto as v

FEATURES = v.F_VERSION_1 | v.F_PROTOCOL | v.F_MRG_RXBUF | v.F_PACKED
LOST = "its place in the ring is lost"


class Pair:
    """A server of two NICs, and two guests with packed rings that have passed frames."""

    def __init__(self, n_frames=75, **kwargs):
        self.server = v.Server(**kwargs)
        self.a, self.b = (self.guest(nic).start() for nic in "ab")
        self.frames(n_frames)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] is not None:
            print("# " + self.server.messages().replace("\n", "\n# "))
        self.a.close()
        self.b.close()
        self.server.stop()

    def guest(self, nic):
        return self.server.guest(nic, kind=v.PackedRing, features=FEATURES)

    def frames(self, n=1):
        for _ in range(n):
            v.pass_frame(self.a, self.b)
            v.pass_frame(self.b, self.a)

    def hang_up(self, *guests):
        for g in guests:
            g.sock.close()

    def kill_server(self):
        self.server.kill()
        self.server.start()

    def again(self, g, base=None):
        """The guest is where it was, its front end connects anew."""
        g.sock.close()
        g.sock = v.FrontEnd(self.server.path("a" if g is self.a else "b")).sock
        g.negotiate(features=FEATURES)
        g.good(v.SET_MEM_TABLE, g.table(), [g.memfd])
        g.rx.set_up(base)
        g.tx.set_up(base)
        g.enable(1)

    def lost(self):
        return self.server.messages().count(LOST)

    def reset(self, g):
        """The guest's driver makes its rings anew."""
        g.rx.reset()
        g.tx.reset()


def after_a_hang_up(_):
    with Pair() as p:
        for n in range(1, 20):
            p.again(p.a)
            p.again(p.b)
            p.frames(n)
        assert p.lost() == 0


def after_a_death(_):
    with Pair() as p:
        for n in range(1, 10):
            p.kill_server()
            p.again(p.a)
            p.again(p.b)
            assert p.a.tx.get_used(0) is None, "a frame was completed twice"
            p.frames(7 * n)
        assert p.lost() == 0


def idle_rings(_):
    """Never used, but offered; or stopped where a lap begins."""
    with Pair(0) as p:
        p.kill_server()
        p.again(p.a)
        p.again(p.b)
        p.frames(3)
        p.kill_server()
        p.again(p.a)
        p.again(p.b)
        p.frames(100)
        assert p.lost() == 0


def a_stop_in_order(_):
    """What GET_VRING_BASE has told is believed, by the next server too."""
    with Pair() as p:
        for is_killed in (False, True, True):
            bases = [v.struct.unpack("<II", p.a.get(v.GET_VRING_BASE, v.state(i, 0)))[1] for i in (0, 1)]
            if is_killed:
                p.kill_server()
                p.again(p.b)
                p.a.sock.close()
                p.a.sock = v.FrontEnd(p.server.path("a")).sock
                p.a.negotiate(features=FEATURES)
                p.a.good(v.SET_MEM_TABLE, p.a.table(), [p.a.memfd])
            p.a.rx.set_up(bases[0])
            p.a.tx.set_up(bases[1])
            p.a.enable(1)
            p.frames(9)
        assert p.lost() == 0


def a_reboot_meanwhile(_):
    """The rings are where they were, and new."""
    for is_killed in (False, True):
        with Pair() as p:
            if is_killed:
                p.kill_server()
            p.hang_up(p.a)
            p.reset(p.a)
            p.again(p.a)
            p.again(p.b)
            p.a.post()
            p.frames(80)
            assert p.lost() == 0


def expect_lost(p, g):
    """It is said, signalled, and nothing is touched until the guest makes its rings anew."""
    p.again(g)
    deadline = time.monotonic() + v.TIMEOUT
    while p.lost() < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert p.lost() == 2, p.server.messages()
    for r in (g.rx, g.tx):
        assert select.select([r.err_fd], [], [], v.TIMEOUT)[0], "the err descriptor was not signalled"
    before = bytes(g.mem[0x1000:0x5000])
    g.send_frame(v.make_frame())
    g.tx.avail_at, g.n_sent = g.tx.used_at, g.n_sent - 1
    time.sleep(0.1)
    assert g.mem[g.rx.desc:g.rx.used] == before[:g.rx.used - g.rx.desc], "the ring was written to"
    p.reset(g)
    p.again(g)
    g.post()
    p.frames(80)
    assert p.lost() == 2


def another_guest(_):
    """With the same addresses, and rings that are in use."""
    with Pair(20) as p:
        other = v.Guest(p.server.path("b"), negotiate=False, kind=v.PackedRing)
        other.sock.close()
        for r, of in ((other.rx, p.a.rx), (other.tx, p.a.tx)):
            r.avail_at, r.used_at = of.avail_at, of.used_at
        other.n_sent = p.a.n_sent
        other.mem[:] = p.a.mem[:]
        p.a.close()
        p.a = other
        expect_lost(p, other)


def records_of(p, nic):
    return p.server.path(nic) + ".rings"


def no_record_or_garbage(_):
    for contents in (None, b"", b"x", os.urandom(100), os.urandom(40000), bytes(40000)):
        with Pair(20) as p:
            p.server.kill()
            size = os.stat(records_of(p, "a")).st_size
            assert size > 1000
            os.unlink(records_of(p, "a"))
            if contents is not None:
                with open(records_of(p, "a"), "wb", opener=lambda n, f: os.open(n, f, 0o600)) as f:
                    f.write(contents[:size])
            p.server.start()
            p.again(p.b)
            expect_lost(p, p.a)


def noise_in_the_record(_):
    """Of the right ring, but of nonsense: the NIC may stop, nobody else notices, the next connection works."""
    for seed in range(10):
        with Pair(20) as p:
            p.server.kill()
            with open(records_of(p, "a"), "r+b") as f:
                for at in range(0, os.fstat(f.fileno()).st_size, 16448):
                    f.seek(at + 48)
                    f.write(os.urandom(6) + b"\1\0" + os.urandom(16000))
            p.server.start()
            p.again(p.b)
            p.again(p.a)
            p.a.send_frame(v.make_frame())
            p.a.tx.get_used(0.05)
            p.reset(p.a)
            p.a.get(v.GET_VRING_BASE, v.state(0, 0))
            p.a.get(v.GET_VRING_BASE, v.state(1, 0))
            p.again(p.a)
            p.a.post()
            p.frames(3)


def truncated(_):
    """By the server's own user: it costs that connection."""
    with Pair(20) as p:
        os.truncate(records_of(p, "a"), 0)
        p.a.send_frame(v.make_frame())
        p.a.expect_end()
        p.reset(p.a)
        p.again(p.a)
        p.a.post()
        p.frames(9)
        p.again(p.a)  # without a file a hang-up does no harm
        p.frames(9)
        assert "a.rings can't be used" in p.server.messages()


def somebody_elses_file(_):
    """Through a link, of a directory's, or one that others may write to: not used, and said."""

    def directory(path):
        os.mkdir(path)

    def link(path):
        with open(path + "-target", "wb"):
            pass
        os.symlink(path + "-target", path)

    def second_name(path):
        with open(path + "-target", "wb"):
            pass
        os.link(path + "-target", path)

    def writable(path):
        with open(path, "wb"):
            pass
        os.chmod(path, 0o666)

    def fifo(path):
        os.mkfifo(path, 0o600)

    for make in (directory, link, second_name, writable, fifo):

        def before(server):
            make(server.path("a") + ".rings")

        with Pair(5, before=before) as p:
            assert "no file %s.rings:" % p.server.path("a") in p.server.messages()
            p.again(p.a)
            p.frames(9)
            if os.path.exists(records_of(p, "a") + "-target"):
                assert os.stat(records_of(p, "a") + "-target").st_size == 0


def no_file_without_packed(_):
    server = v.Server(("--features", "no-packed"))
    assert not os.path.exists(server.path("a") + ".rings")
    server.stop()
    server = v.Server()
    assert os.stat(server.path("a") + ".rings").st_mode & 0o777 == 0o600
    server.stop()


v.run([after_a_hang_up, after_a_death, idle_rings, a_stop_in_order, a_reboot_meanwhile, another_guest, no_record_or_garbage,
       noise_in_the_record, truncated, somebody_elses_file, no_file_without_packed])
