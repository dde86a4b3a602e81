# SPDX-License-Identifier: BSD-2-Clause
"""vhost-user spoken byte by byte to a real nm-vhost-user, for the tests in this directory.

A Server runs netmapd and nm-vhost-user with two NICs, a and b, on one VALE switch. A FrontEnd is one connection to a NIC;
a Guest is a FrontEnd with memory, rings and a driver that is good enough to send and receive frames. The formats are
written down here once more on purpose: a test that used the C headers could not notice that they had changed.
"""
import array
import errno
import fcntl
import mmap
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import unmproto as u  # noqa: E402

GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD = range(1, 8)
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = range(8, 12)
SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR = range(12, 15)
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE = range(15, 19)
SEND_RARP, NET_SET_MTU, SET_BACKEND_REQ_FD, IOTLB_MSG, SET_VRING_ENDIAN, GET_CONFIG, SET_CONFIG = range(19, 26)
GET_INFLIGHT_FD, SET_INFLIGHT_FD = 31, 32
RESET_DEVICE, GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG, SET_STATUS, GET_STATUS = 34, 36, 37, 38, 39, 40

F_MRG_RXBUF, F_MQ, F_LOG_ALL, F_PROTOCOL, F_VERSION_1, F_PACKED = 1 << 15, 1 << 22, 1 << 26, 1 << 30, 1 << 32, 1 << 34
F_GUEST_ANNOUNCE, F_INDIRECT, F_CTRL_VQ, F_CTRL_MAC_ADDR = 1 << 21, 1 << 28, 1 << 17, 1 << 23
PF_MQ, PF_LOG_SHMFD, PF_RARP, PF_REPLY_ACK, PF_NET_MTU, PF_BACKEND_REQ = (1 << n for n in range(6))
PF_CONFIG, PF_INFLIGHT_SHMFD, PF_RESET_DEVICE, PF_MEM_SLOTS, PF_STATUS = (1 << n for n in (9, 12, 13, 15, 16))
PF_ALL = (PF_MQ | PF_LOG_SHMFD | PF_RARP | PF_REPLY_ACK | PF_NET_MTU | PF_BACKEND_REQ | PF_CONFIG | PF_INFLIGHT_SHMFD |
          PF_RESET_DEVICE | PF_MEM_SLOTS | PF_STATUS)

HDR = struct.Struct("<III")
VERSION, REPLY, NEED_REPLY, NO_FD = 1, 4, 8, 0x100
REGION = struct.Struct("<QQQQ")
ADDR = struct.Struct("<IIQQQQ")

MEM_SIZE = 2 << 20
GPA, UADDR = 0x40000000, 0x7F1200000000
PAGE = 4096
TIMEOUT = 10


def u64(val):
    return struct.pack("<Q", val)


def state(index, num):
    return struct.pack("<II", index, num)


def memfd(size, name="guest"):
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    return fd


class Ended(Exception):
    """The server has ended the connection."""


class FrontEnd:
    """One connection; sends what it is told to send."""

    def __init__(self, path, sock=None):
        self.sock = sock
        if sock is None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(path)  # waits while the backlog is full
        self.sock.settimeout(TIMEOUT)

    def send_raw(self, data, fds=()):
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([data], anc)
        except (BrokenPipeError, ConnectionResetError):
            raise Ended from None

    def send(self, request, payload=b"", fds=(), flags=VERSION):
        self.send_raw(HDR.pack(request, flags, len(payload)) + payload, fds)

    def recv_exact(self, size, fds):
        data = b""
        while len(data) < size:
            try:
                piece, anc, _, _ = self.sock.recvmsg(size - len(data), socket.CMSG_SPACE(16 * 4))
            except ConnectionResetError:
                raise Ended from None
            for level, kind, raw in anc:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(raw[:len(raw) - len(raw) % 4])
            if not piece:
                raise Ended
            data += piece
        return data

    def recv(self, request):
        """The payload and descriptors of the answer to @request."""
        fds = array.array("i")
        got, flags, size = HDR.unpack(self.recv_exact(HDR.size, fds))
        payload = self.recv_exact(size, fds)
        assert got == request, "answer to %d, asked %d" % (got, request)
        assert flags == VERSION | REPLY, "flags 0x%x" % flags
        return payload, list(fds)

    def get(self, request, payload=b"", fds=()):
        """A request that always has an answer; the answer's payload. No descriptors may come."""
        self.send(request, payload, fds)
        answer, got = self.recv(request)
        assert not got
        return answer

    def get_u64(self, request):
        answer = self.get(request)
        assert len(answer) == 8, len(answer)
        return struct.unpack("<Q", answer)[0]

    def ack(self, request, payload=b"", fds=()):
        """A request with need_reply: 0, or the errno."""
        self.send(request, payload, fds, VERSION | NEED_REPLY)
        answer, got = self.recv(request)
        assert len(answer) == 8 and not got, (len(answer), got)
        return struct.unpack("<Q", answer)[0]

    def good(self, request, payload=b"", fds=()):
        got = self.ack(request, payload, fds)
        assert got == 0, "request %d: refused with %s" % (request, errno.errorcode.get(got, got))

    def bad(self, request, payload=b"", fds=(), want=errno.EINVAL):
        u.expect(self.ack(request, payload, fds), want, "request %d" % request)

    def expect_end(self):
        """The server has hung up, without an answer."""
        try:
            data = self.sock.recv(1)
        except ConnectionResetError:
            data = b""
        assert data == b"", "an answer, not the end"

    def expect_silence(self):
        """Still connected, and nothing was sent that we have not read."""
        self.get(GET_FEATURES)

    def negotiate(self, features=F_VERSION_1 | F_PROTOCOL | F_MRG_RXBUF, protocol=PF_REPLY_ACK | PF_MQ):
        offered = self.get_u64(GET_FEATURES)
        assert offered & F_PROTOCOL
        assert protocol & ~self.get_u64(GET_PROTOCOL_FEATURES) == 0
        self.send(SET_PROTOCOL_FEATURES, u64(protocol))
        self.send(SET_OWNER)
        self.features = features & offered
        self.good(SET_FEATURES, u64(self.features))
        return self

    def close(self):
        self.sock.close()


class Ring:
    """A split ring in the guest's memory, driven the simple way."""

    def __init__(self, guest, index, at, num=64):
        self.guest, self.index, self.num = guest, index, num
        self.desc, self.avail, self.used = at, at + 16 * num, (at + 18 * num + 8 + 3) & ~3
        self.avail_idx = self.used_idx = 0
        self.heads = 0
        self.kick_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.call_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.err_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def addr(self, flags=0, log=0):
        return ADDR.pack(self.index, flags, UADDR + self.desc, UADDR + self.used, UADDR + self.avail, log)

    def set_up(self, base=None):
        g = self.guest
        g.good(SET_VRING_NUM, state(self.index, self.num))
        g.good(SET_VRING_BASE, state(self.index, self.used_idx if base is None else base))
        g.good(SET_VRING_ADDR, self.addr())
        g.good(SET_VRING_CALL, u64(self.index), [self.call_fd])
        g.good(SET_VRING_ERR, u64(self.index), [self.err_fd])
        g.good(SET_VRING_KICK, u64(self.index), [self.kick_fd])

    def descriptor(self, i, gpa, size, flags, after=0):
        struct.pack_into("<QIHH", self.guest.mem, self.desc + 16 * i, gpa, size, flags, after)

    def add(self, head):
        struct.pack_into("<H", self.guest.mem, self.avail + 4 + 2 * (self.avail_idx % self.num), head)
        self.avail_idx = (self.avail_idx + 1) & 0xFFFF
        self.publish(self.avail_idx)

    def publish(self, idx):
        """One store, as the other side may look at any time: struct.pack_into() clears the bytes first."""
        self.guest.words[self.avail // 2 + 1] = idx

    def kick(self):
        os.eventfd_write(self.kick_fd, 1)

    def get_used(self, timeout=TIMEOUT):
        """The next used element (id, length), or None."""
        deadline = time.monotonic() + timeout
        while self.guest.words[self.used // 2 + 1] == self.used_idx:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if select.select([self.call_fd], [], [], min(left, 0.05))[0]:
                os.eventfd_read(self.call_fd)
        element = struct.unpack_from("<II", self.guest.mem, self.used + 4 + 8 * (self.used_idx % self.num))
        self.used_idx = (self.used_idx + 1) & 0xFFFF
        return element

    def close(self):
        for fd in (self.kick_fd, self.call_fd, self.err_fd):
            os.close(fd)


class PackedRing(Ring):
    """The same, packed: chains of one descriptor, whose id is the number of their buffer."""

    FRESH = 0x80008000
    AVAIL, USED, WRITE = 1 << 7, 1 << 15, 2

    def __init__(self, guest, index, at, num=64):
        super().__init__(guest, index, at, num)
        self.avail, self.used = at + 16 * num, at + 16 * num + 4  # event areas of driver and device
        self.reset()

    def reset(self):
        """As a driver makes it."""
        self.guest.mem[self.desc:self.used + 4] = bytes(self.used + 4 - self.desc)
        self.avail_at, self.used_at = (0, True), (0, True)
        self.todo = None

    def next(self, at):
        return (at[0] + 1, at[1]) if at[0] + 1 < self.num else (0, not at[1])

    def set_up(self, base=None):
        super().set_up(self.FRESH if base is None else base)

    def descriptor(self, i, gpa, size, flags, after=0):
        self.todo = (gpa, size, flags)

    def add(self, head):
        slot, wrap = self.avail_at
        gpa, size, flags = self.todo if self.todo else (GPA + 0x10000 + 2048 * head, 2048, self.WRITE)
        self.todo = None
        struct.pack_into("<QIH", self.guest.mem, self.desc + 16 * slot, gpa, size, head)
        self.guest.words[(self.desc + 16 * slot + 14) // 2] = flags | (self.AVAIL if wrap else self.USED)
        self.avail_at = self.next(self.avail_at)

    def get_used(self, timeout=TIMEOUT):
        slot, wrap = self.used_at
        deadline = time.monotonic() + timeout
        want = self.AVAIL | self.USED if wrap else 0
        while self.guest.words[(self.desc + 16 * slot + 14) // 2] & (self.AVAIL | self.USED) != want or self.used_at == self.avail_at:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if select.select([self.call_fd], [], [], min(left, 0.05))[0]:
                os.eventfd_read(self.call_fd)
        size, i = struct.unpack_from("<IH", self.guest.mem, self.desc + 16 * slot + 8)
        self.used_at = self.next(self.used_at)
        return i, size


class Guest(FrontEnd):
    """A front end whose guest sends and receives frames through rings 0 and 1."""

    def __init__(self, path, negotiate=True, sock=None, kind=Ring, **kwargs):
        super().__init__(path, sock)
        self.memfd = memfd(MEM_SIZE)
        self.mem = mmap.mmap(self.memfd, MEM_SIZE)
        self.words = memoryview(self.mem).cast("H")
        self.rx, self.tx = kind(self, 0, 0x1000), kind(self, 1, 0x3000)
        self.n_sent = 0
        if negotiate:
            self.negotiate(**kwargs)

    def table(self, regions=None):
        regions = [(GPA, MEM_SIZE, UADDR, 0)] if regions is None else regions
        return struct.pack("<II", len(regions), 0) + b"".join(REGION.pack(*r) for r in regions)

    def start(self):
        self.good(SET_MEM_TABLE, self.table(), [self.memfd])
        self.rx.set_up()
        self.tx.set_up()
        self.enable(1)
        self.post()
        return self

    def enable(self, on):
        self.good(SET_VRING_ENABLE, state(0, on))
        self.good(SET_VRING_ENABLE, state(1, on))

    def post(self, n=32):
        """Give @n receive buffers of 2 KiB."""
        for i in range(n):
            self.rx.descriptor(i, GPA + 0x10000 + 2048 * i, 2048, 2)
            self.rx.add(i)
        self.rx.kick()

    def send_frame(self, frame):
        i = self.n_sent % self.tx.num
        at = 0x80000 + 2048 * i
        self.mem[at:at + 12 + len(frame)] = bytes(12) + frame
        self.tx.descriptor(i, GPA + at, 12 + len(frame), 0)
        self.tx.add(i)
        self.tx.kick()
        self.n_sent += 1

    def recv_frame(self, timeout=TIMEOUT):
        element = self.rx.get_used(timeout)
        if element is None:
            return None
        i, size = element
        at = 0x10000 + 2048 * i
        frame = self.mem[at + 12:at + size]
        self.rx.add(i)
        self.rx.kick()
        return frame

    def close(self):
        super().close()
        self.rx.close()
        self.tx.close()
        self.words.release()
        self.mem.close()
        os.close(self.memfd)


LAZY_FDS = 3  # the library may have to learn about a peer's sleep at any time; leaks of several tests add up to more
counter = 0


def make_frame(src=0x02, dst=b"\xff" * 6, size=100):
    """A frame that no other is like."""
    global counter
    counter += 1
    head = dst + b"\x02\x00\x00\x00\x00" + bytes([src]) + b"\x88\xb5" + struct.pack(">Q", counter)
    return head + bytes(i & 0xFF for i in range(size - len(head)))


def pass_frame(src, dst):
    """Send frames at @src until one arrives at @dst, for rings that have just been started are not ready at once."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        frame = make_frame()
        src.send_frame(frame)
        assert src.tx.get_used() is not None, "a frame was not taken"
        got = dst.recv_frame(0.5)
        while got is not None:
            if got == frame:
                return
            got = dst.recv_frame(0.5)
    raise AssertionError("no frame came through")


class Server:
    """netmapd, and nm-vhost-user with NICs a and b on one switch."""

    def __init__(self, args=(), nics=("a", "b"), wait=True, ports="valevu:%s", before=lambda server: None,
                 nic_args=None):
        self.daemon = u.Daemon()
        self.dir = tempfile.mkdtemp(prefix="unm-vu-")
        self.log = open(os.path.join(self.dir, "log"), "w+b")
        self.args, self.nics, self.ports = args, nics, ports
        self.nic_args = nic_args or {}
        before(self)
        self.start(wait)

    def start(self, wait=True):
        cmd = [program(), *self.args]
        if os.environ.get("VHOST_MEMORY"):
            cmd += ["--memory", os.environ["VHOST_MEMORY"]]
        for nic in self.nics:
            cmd += ["--socket", self.path(nic), "--port", self.ports % nic, *self.nic_args.get(nic, ())]
        self.proc = subprocess.Popen(cmd, env=self.env(), stdout=subprocess.PIPE, stderr=self.log)
        if wait:
            self.wait_ready()

    def env(self):
        return dict(os.environ, UNETMAP_SOCKET=self.daemon.path)

    def kill(self):
        """End it as a crash would."""
        self.proc.kill()
        self.proc.wait(TIMEOUT)
        self.proc.stdout.close()

    def path(self, nic):
        return os.path.join(self.dir, nic)

    def wait_ready(self):
        for nic in self.nics:
            fe = None
            deadline = time.monotonic() + TIMEOUT
            while fe is None:
                assert self.proc.poll() is None and time.monotonic() < deadline, "did not start: " + self.messages()
                try:
                    fe = FrontEnd(self.path(nic))
                except (FileNotFoundError, ConnectionRefusedError):
                    time.sleep(0.01)
            fe.get(GET_FEATURES)
            fe.close()

    def messages(self):
        self.log.flush()
        with open(self.log.name, errors="replace") as f:
            return f.read()

    def front_end(self, nic="a"):
        return FrontEnd(self.path(nic))

    def guest(self, nic="a", **kwargs):
        return Guest(self.path(nic), **kwargs)

    def check_alive(self):
        """Both NICs serve the next front ends, and frames pass."""
        assert self.proc.poll() is None, "the server has ended with %s" % self.proc.returncode
        a, b = self.guest("a").start(), self.guest("b").start()
        pass_frame(a, b)
        pass_frame(b, a)
        a.close()
        b.close()

    def stop(self):
        self.proc.terminate()
        status = self.proc.wait(TIMEOUT)
        self.proc.stdout.close()
        self.log.close()
        self.daemon.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
        return status


class Neighbours:
    """
    Frames from NIC b to NIC c, until the end of the with statement: at least so many, and none of them takes @wait_s. A machine
    that is busy otherwise makes them wait as well.
    """

    def __init__(self, server, wait_s, at_least):
        self.server, self.wait_s, self.at_least = server, wait_s, at_least

    def __enter__(self):
        self.b, self.c = self.server.guest("b").start(), self.server.guest("c").start()
        pass_frame(self.b, self.c)
        self.longest, self.n, self.stopped = 0.0, 0, False
        self.thread = threading.Thread(target=self.probe)
        self.thread.start()

    def probe(self):
        while not self.stopped:
            start = time.monotonic()
            frame = make_frame(src=0x22)
            self.b.send_frame(frame)
            if self.b.tx.get_used(60) is None:
                break
            while self.c.recv_frame(60) not in (frame, None):
                pass
            self.longest = max(self.longest, time.monotonic() - start)
            self.n += 1
            time.sleep(0.002)

    def __exit__(self, kind, value, trace):
        self.stopped = True
        self.thread.join()
        self.b.close()
        self.c.close()
        if kind is None:
            assert self.n > self.at_least and self.longest < self.wait_s, "%d frames, one took %.1f s" % (self.n, self.longest)


def admin(server, *words):
    """A request of nmctl's, which is to be granted."""
    s = server.daemon.session()
    error = s.admin(*words)[0]
    s.close()
    assert error == 0, (words, error)


def config(ofs, size, flags=0, data=None):
    return struct.pack("<III", ofs, size, flags) + (bytes(size) if data is None else data)


def read_config(fe, ofs, size):
    answer = fe.get(GET_CONFIG, config(ofs, size))
    assert struct.unpack_from("<II", answer) == (ofs, size), answer[:8]
    assert len(answer) == 12 + size
    return answer[12:]


def take_port_of(server, nic):
    """A new netmapd, and another program that has the port before the server sees either. Return: a call that ends the program."""
    server.proc.send_signal(signal.SIGSTOP)
    server.daemon.kill()
    os.unlink(server.daemon.path + ".state")  # the next netmapd waits for nobody
    server.daemon.start()
    s = server.daemon.session()
    d = s.open()
    got = s.register(d, server.ports % nic, flags=u.EXCLUSIVE)
    assert got.error == 0, got.text
    server.proc.send_signal(signal.SIGCONT)

    def give_back():
        got.close()
        d.close()
        s.close()

    return give_back


def program():
    path = os.environ.get("NM_VHOST_USER")
    if not path:
        sys.exit("set NM_VHOST_USER to the nm-vhost-user to test")
    return path


def count_fds(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def with_server(*args, ready=lambda server: None, **kwargs):
    """Run the test with a server of its own, of which @ready is told, and which must end well."""
    def wrap(test):
        def run_it():
            server = Server(args, **kwargs)
            ready(server)
            try:
                test(server)
            except Exception:
                print("# " + server.messages().strip().replace("\n", "\n# "))
                raise
            finally:
                status = server.stop()
            assert status == 0, "ended with %d" % status
        run_it.__name__ = test.__name__
        return run_it
    return wrap


def run(tests, server_args=(), kept=0, **kwargs):
    """Run each test on one server; after each the server must serve others and must not have kept more than @kept descriptors."""
    server = Server(server_args, **kwargs)
    server.check_alive()
    n_fds = settle(server) + kept

    def keeps_nothing():
        server.check_alive()
        now = settle(server, n_fds)
        assert now <= n_fds + LAZY_FDS, "%d descriptors before, %d after" % (n_fds, now)

    failed = u.run_each(tests, server, after=keeps_nothing)
    if failed:
        sys.stderr.write(server.messages())
    status = server.stop()
    if status != 0:
        sys.stderr.write("nm-vhost-user ended with %d\n" % status)
    sys.exit(1 if failed or status != 0 else 0)


def settle(server, want=None):
    """How many descriptors the server has once the last connection is done with."""
    deadline = time.monotonic() + TIMEOUT
    seen = [count_fds(server.proc.pid)]
    while time.monotonic() < deadline:
        time.sleep(0.05)
        seen.append(count_fds(server.proc.pid))
        is_stable = seen[-3:] == [seen[-1]] * 3
        if seen[-1] == want or (is_stable and (want is None or seen[-1] <= want + LAZY_FDS)):
            break
    return seen[-1]
