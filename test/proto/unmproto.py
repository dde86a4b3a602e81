# SPDX-License-Identifier: BSD-2-Clause
"""netmapd's control protocol spoken byte by byte, for the tests in this directory.

A Daemon runs a real netmapd on a socket of its own; a Session is one connection to it. The formats are those of
src/shm/proto.h and spec 3.4 to 3.6, written down once more on purpose: a test that used the C headers could not
notice that they had changed.
"""
import array
import atexit
import ctypes
import errno
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

MAGIC = 0x314D4E55
VERSION = 3
HELLO, OPEN, CTRL, GET_BINDING, GET_REGION, GET_WAKE, LOCK_STUCK, RESTORE, RESTORE_DONE, ADMIN, UNBIND, \
    GET_QUEUES, BROKER, FIRST_UNKNOWN = range(1, 15)

REGISTER, PORT_INFO_GET, VALE_ATTACH, VALE_DETACH, VALE_LIST, PORT_HDR_SET, PORT_HDR_GET, VALE_NEWIF, VALE_DELIF, \
    POLLING_ENABLE, POLLING_DISABLE, POOLS_INFO_GET = range(1, 13)
OPT_EXTMEM, OPT_EVENTFDS, OPT_CSB, OPT_MODE, OPT_OFFSETS = range(1, 6)
ALL_NIC, SW, NIC_SW, ONE_NIC, PIPE_MASTER, PIPE_SLAVE, NULL, ONE_SW = range(1, 9)
EXCLUSIVE, RX_ONLY, TX_ONLY, ACCEPT_VNET = 0x800, 0x2000, 0x4000, 0x8000
MONITOR_TX, MONITOR_RX, ZCOPY = 0x100, 0x200, 0x400

HDR = struct.Struct("<IHHIIiI")
HELLO_BODY = struct.Struct("<IIQiI32s128s")
REGION_INFO = struct.Struct("<QQQIIQIIQIIQII")
BIND_INFO = struct.Struct("<16sQQIIIIIIQQIIIIIIIIQQII")
REG_BODY = struct.Struct("<QQIIHHHHHHII4xQ")


# Of struct unm_kring: who delivers has the lock, and says by hwtail how far he got; who syncs has the busy word
KRING_SIZE = 512
KRING_BUSY, KRING_LOCK, KRING_HWTAIL = 128, 256, 260


def kring_ofs(seg, port, ring):
    """Where in a mapped segment the kring of a port's ring lies: tx rings come first."""
    port_ofs, _, kring = struct.unpack_from("<QQQ", seg, 88)
    base, = struct.unpack_from("<I", seg, port_ofs + port * 576 + 108)
    return kring + (base + ring) * KRING_SIZE


def ring_slots_ofs(seg, port, ring):
    """Where in its region the slots of a port's ring lie."""
    return struct.unpack_from("<Q", seg, kring_ofs(seg, port, ring) + 16)[0] + 256


class Answer:
    """What came back for one request: errno, body, descriptors (closed with the answer)."""

    def __init__(self, error, body, fds):
        self.error, self.body, self.fds = error, body, fds

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []


class BindInfo:
    """struct unm_bind_info."""

    def __init__(self, raw):
        (self.desc_id, self.seg_uid, self.seg_size, self.port, self.port_gen, self.binding, self.binding_gen,
         self.kind, self.n_port_fds, self.nifp_ofs, self.nr_flags, self.nr_mode, self.nr_ringid, self.tx_lo,
         self.tx_hi, self.rx_lo, self.rx_hi, self.n_extra, self.offset_bits, self.offset_max,
         self.offset_gap, self.host_fd, self.n_host_fds) = BIND_INFO.unpack_from(raw)
        (self.region_uid, self.region_size, self.file_ofs, self.region_id, self.region_flags, self.if_ofs,
         self.if_num, self.if_size, self.ring_ofs, self.ring_num, self.ring_size, self.buf_ofs, self.buf_num,
         self.buf_size) = REGION_INFO.unpack_from(raw, BIND_INFO.size)
        self.raw = raw


BIND_INFO_SIZE = BIND_INFO.size + REGION_INFO.size
GET_BINDING_SIZE = 24 + BIND_INFO_SIZE
assert BIND_INFO_SIZE == 208 and REGION_INFO.size == 80 and HELLO_BODY.size == 184 and REG_BODY.size == 56


class Desc:
    """An open of /dev/netmap: C for the application, D for netmapd."""

    def __init__(self, desc_id=None):
        self.id = desc_id or secrets.token_bytes(16)
        self.c, self.d = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.d.bind(b"\0unetmap-" + self.id.hex().encode())

    def both(self):
        """What goes with OPEN."""
        return [self.d.fileno(), self.c.fileno()]

    def close(self):
        """What the death of the application does."""
        self.c.close()
        self.d.close()


class Session:
    """One connection. hello() must come first, except in tests of what happens without."""

    def __init__(self, path, hello=True, name=None):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(10)
        if name:
            self.sock.bind(name)
        self.sock.connect(path)
        self.seq = 0
        self.slot = 0
        if hello:
            ans = self.hello()
            assert ans.error == 0, (ans.error, ans.body[56:])
            self.slot = HELLO_BODY.unpack(ans.body)[1]

    def send_raw(self, data, fds=()):
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([data], anc)

    def recv(self):
        data, anc, _, _ = self.sock.recvmsg(70000, socket.CMSG_SPACE(4 * 80))
        fds = []
        for level, kind, payload in anc:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                got = array.array("i")
                got.frombytes(payload[:len(payload) - len(payload) % 4])
                fds.extend(got)
        if not data:
            raise ConnectionResetError("netmapd hung up")
        magic, kind, n_fds, length, seq, error, _ = HDR.unpack_from(data)
        assert magic == MAGIC and length == len(data) and n_fds == len(fds)
        assert seq == self.seq, (seq, self.seq)
        return kind, Answer(error, data[HDR.size:], fds)

    def send(self, kind, body=b"", fds=()):
        self.seq += 1
        self.send_raw(HDR.pack(MAGIC, kind, len(fds), HDR.size + len(body), self.seq, 0, 0) + body, fds)

    def request(self, kind, body=b"", fds=()):
        self.send(kind, body, fds)
        got, ans = self.recv()
        assert got == kind, (got, kind)
        return ans

    def hello(self, version=VERSION, slot=0):
        return self.request(HELLO, HELLO_BODY.pack(version, slot, 0, os.getpid(), 0, b"test", b""))

    def open(self, desc=None):
        desc = desc or Desc()
        ans = self.request(OPEN, desc.id, desc.both())
        assert ans.error == 0, ans.error
        return desc

    def get_binding(self, desc, proof=None):
        """@proof: of holding it; C, if nothing else is said."""
        return self.request(GET_BINDING, desc.id + bytes(GET_BINDING_SIZE - 16), [(proof or desc.c).fileno()])

    def unbind(self, desc, proof=None):
        return self.request(UNBIND, desc.id, [(proof or desc.d).fileno()])

    def ctrl(self, desc, reqtype, name, body=b"", options=(), extmem=None, csb=0, version=14, reserved=0,
             proof=None):
        """Return (errno, text, header, body, options, BindInfo or None, fds)."""
        desc_id = desc.id if desc else bytes(16)
        if isinstance(name, str):
            name = name.encode()
        blob = struct.pack("<HHI64sQQ", version, reqtype, reserved, name, 0, 0) + body + b"".join(options)
        fds, ofs = ([extmem[0]], extmem[1]) if extmem else ([], 0)
        msg = desc_id + struct.pack("<QIIII160s", ofs, len(fds), csb, len(blob), 0, b"") + blob
        proof = (proof or (desc.d if desc else self.sock)).fileno()
        ans = self.request(CTRL, msg, [proof] + fds)
        if len(ans.body) < 200:
            return Ctrl(ans, blob, body, options)
        return Ctrl(ans, ans.body[200:], body, options)

    def register(self, desc, name, mode=ALL_NIC, ringid=0, flags=0, tx_slots=0, rx_slots=0, tx_rings=0, rx_rings=0,
                 mem_id=0, extra=0, **kw):
        body = REG_BODY.pack(0, 0, tx_slots, rx_slots, tx_rings, rx_rings, 0, 0, mem_id, ringid, mode, extra, flags)
        return self.ctrl(desc, REGISTER, name, body, **kw)

    def admin(self, *words):
        text = b"".join(w.encode() + b"\0" for w in words)
        ans = self.request(ADMIN, struct.pack("<II", len(text), 0) + text)
        n, = struct.unpack_from("<I", ans.body)
        if ans.fds:
            size = os.fstat(ans.fds[0]).st_size
            out = os.pread(ans.fds[0], size, 0).decode()
        else:
            out = ans.body[8:8 + n].decode()
        ans.close()
        return ans.error, out

    def close(self):
        self.sock.close()


class Ctrl:
    """Answer to a CTRL, taken apart."""

    def __init__(self, ans, blob, body, options):
        self.error, self.fds, self.ans = ans.error, ans.fds, ans
        self.text = ans.body[40:200].split(b"\0")[0].decode() if len(ans.body) >= 200 else ""
        self.header = blob[:88]
        self.name = blob[8:72].split(b"\0")[0].decode(errors="replace")
        self.body = blob[88:88 + len(body)]
        ofs = 88 + len(body)
        self.options = []
        for o in options:
            self.options.append(blob[ofs:ofs + len(o)])
            ofs += len(o)
        self.info = BindInfo(blob[ofs:ofs + BIND_INFO_SIZE]) if len(blob) >= ofs + BIND_INFO_SIZE else None

    def status(self, i):
        return struct.unpack_from("<I", self.options[i], 12)[0]

    def reg(self):
        """The register body as a dict."""
        keys = ("offset", "memsize", "tx_slots", "rx_slots", "tx_rings", "rx_rings", "host_tx_rings", "host_rx_rings",
                "mem_id", "ringid", "mode", "extra", "flags")
        return dict(zip(keys, REG_BODY.unpack(self.body)))

    def close(self):
        self.ans.close()


def lingering(wraps=False):
    """A descriptor whose last close() waits for an hour, or which has one in its queue; and what keeps it waiting."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    s = socket.create_connection(listener.getsockname())
    peer, _ = listener.accept()
    listener.close()
    s.setblocking(False)
    try:
        while True:
            s.send(bytes(65536))
    except BlockingIOError:
        pass
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    if not wraps:
        return s.detach(), peer
    left, right = socket.socketpair()
    hide([s.fileno()], left)
    left.close()
    s.close()
    return right.detach(), peer


def hide(fds, inside, flags=0):
    """Where no process finds them: sent, and not received."""
    inside.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))], flags)


class Stopped:
    """The process does not run within this: what it gets is closed by whoever has sent it, before it is received."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *exc):
        os.kill(self.pid, signal.SIGCONT)


def open_message(n_fds):
    return HDR.pack(MAGIC, OPEN, n_fds, HDR.size + 16, 1, 0, 0) + bytes(16)


CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def elsewhere(flags, do):
    """Run do() in a child in other namespaces. Return: its result, a bool; None if there are no such namespaces here."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            if libc.unshare(flags) == 0:
                code = 0 if do() else 1
        except Exception:
            traceback.print_exc()
            code = 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return None if code == 2 else code == 0


def option(kind, payload=b"", size=0):
    """One option: header and what follows it."""
    return struct.pack("<QIIQ", 0, kind, 0, size) + payload


# A netmapd that outlives its test would keep meson waiting for the end of the test's output.
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)
running = []


def kill_the_rest():
    for daemon in list(running):
        daemon.kill()


atexit.register(kill_the_rest)


class Daemon:
    """A netmapd of our own in a directory of our own. It ends with the test, at the latest."""

    def __init__(self, *args, config=None, preexec=None, directory=None, env=None):
        self.dir = directory or tempfile.mkdtemp(prefix="unm-proto-")
        self.owns_dir = directory is None
        self.path = os.path.join(self.dir, "s")
        self.args = list(args)
        if config is not None:
            conf = os.path.join(self.dir, "netmapd.conf")
            with open(conf, "w") as f:
                f.write(config)
            self.args += ["-c", conf]
        self.preexec = preexec
        self.env = env
        self.proc = None
        self.start()

    def start(self):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.proc = subprocess.Popen([program(), "--socket", self.path] + self.args, stderr=self.log,
                                     preexec_fn=self.prepare, env=self.env)
        running.append(self)
        deadline = time.monotonic() + 10
        while True:
            try:
                Session(self.path, hello=False).close()
                return
            except OSError:
                if self.proc.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("netmapd did not start: " + self.messages())
                time.sleep(0.01)

    def prepare(self):
        """In the child, before netmapd."""
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if self.preexec:
            self.preexec()

    def messages(self):
        with open(os.path.join(self.dir, "log")) as f:
            return f.read()

    def session(self, hello=True):
        return Session(self.path, hello)

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        self.log.close()
        running.remove(self)

    def check_alive(self):
        """netmapd still serves others."""
        s = self.session()
        d = s.open()
        r = s.register(d, "vale_alive:x")
        assert r.error == 0, (r.error, r.text)
        r.close()
        d.close()
        s.close()
        assert self.proc.poll() is None

    def stop(self):
        self.proc.terminate()
        self.proc.wait(10)
        self.log.close()
        running.remove(self)
        if self.owns_dir:
            shutil.rmtree(self.dir, ignore_errors=True)


def program():
    path = os.environ.get("NETMAPD")
    if not path:
        sys.exit("set NETMAPD to the netmapd to test")
    return path


def expect(got, want, what):
    if got != want:
        raise AssertionError("%s: got %s, expected %s" % (
            what, errno.errorcode.get(got, got), errno.errorcode.get(want, want)))


class Skip(Exception):
    """Raised by a test that this machine can't run, with the reason."""


def run_each(tests, *args, after=lambda: None):
    """Run test(*args), then after(), for each test, and report it. Return: how many failed."""
    failed = 0
    for n, test in enumerate(tests, 1):
        try:
            test(*args)
            after()
            print("ok %d - %s" % (n, test.__name__), flush=True)
        except Skip as e:
            print("ok %d - %s # SKIP %s" % (n, test.__name__, e), flush=True)
        except Exception as e:
            failed += 1
            print("not ok %d - %s: %s: %s" % (n, test.__name__, type(e).__name__, e), flush=True)
            if os.environ.get("PROTO_TRACE"):
                traceback.print_exc()
    print("1..%d" % len(tests))
    return failed


def run(tests, **daemon_args):
    """Run each test with one netmapd for all of them; after each one netmapd must still serve others."""
    daemon = Daemon(**daemon_args)
    failed = run_each(tests, daemon, after=daemon.check_alive)
    if failed:
        sys.stderr.write(daemon.messages())
    daemon.stop()
    sys.exit(1 if failed else 0)
