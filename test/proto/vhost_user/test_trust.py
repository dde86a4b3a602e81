# SPDX-License-Identifier: BSD-2-Clause
"""--memory: whose memory the switch may read by itself. Front ends of this user and of another one, in another user
namespace, and those that have got their connection from somebody else."""
import contextlib
import ctypes
import json
import os
import signal
import socket
import time

import vuproto as v

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PATIENCE_S = 0.5  # a verdict that does not come by then is none
OPEN = ("--socket-mode", "666")


def with_server(*args, **kwargs):
    """The same, where others may come to its sockets."""
    return v.with_server(*args, ready=lambda server: os.chmod(server.dir, 0o711), **kwargs)


def status(server):
    server.proc.send_signal(signal.SIGUSR1)
    lines = [json.loads(server.proc.stdout.readline()) for _ in server.nics]
    return {nic: line for nic, line in zip(server.nics, lines)}


def memory(server, nic="a"):
    return status(server)[nic]["memory"]


def expect(server, want, nic="a"):
    """Soon, or still after a while. None: no front end is there."""
    deadline = time.monotonic() + (PATIENCE_S if want == "copy" else v.TIMEOUT)
    while time.monotonic() < deadline:
        if want != "copy" and memory(server, nic) == want:
            return
        time.sleep(0.02)
    assert memory(server, nic) == want, server.messages()


@contextlib.contextmanager
def elsewhere(become, function, *args):
    """function(*args) in a process that has called become(), which ends with the block; entered once it is done."""
    ready, end = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.close(end[1])
            become()
            kept = function(*args)
            os.write(ready[1], b"x")
            os.read(end[0], 1)
            kept.close()
        os._exit(0)
    for fd in (ready[1], end[0]):
        os.close(fd)
    try:
        assert os.read(ready[0], 1) == b"x", "the other process has failed"
        yield
    finally:
        os.close(ready[0])
        os.close(end[1])
        os.waitpid(pid, 0)


def as_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def in_another_namespace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def can_leave_the_namespace():
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            in_another_namespace()
            os._exit(0)
        os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def unchanged():
    pass


def guest_at(path):
    return v.Guest(path).start()


@with_server()
def ours_is_direct(server):
    expect(server, None)
    for _ in range(3):
        a, b = server.guest("a").start(), server.guest("b").start()
        expect(server, "direct", "a")
        expect(server, "direct", "b")
        before = status(server)["b"]["rx_direct"]
        v.pass_frame(a, b)
        assert status(server)["b"]["rx_direct"] > before
        a.close()
        b.close()
        v.settle(server)
        expect(server, None)
    assert "copied" not in server.messages(), server.messages()


@with_server("--client", nics=("a",), wait=False, before=lambda server: listen(server))
def ours_that_listens(server):
    server.listener.settimeout(v.TIMEOUT)
    sock, _ = server.listener.accept()
    g = v.Guest(None, sock=sock).start()
    expect(server, "direct")
    g.close()
    server.listener.close()


def listen(server):
    server.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.listener.bind(os.path.join(server.dir, "a"))
    server.listener.listen()


@with_server(*OPEN)
def another_users_is_copied(server):
    for _ in range(2):
        with elsewhere(as_nobody, guest_at, server.path("a")):
            expect(server, "copy")
    assert server.messages().count("user %d's" % NOBODY) == 1, server.messages()
    a = server.guest("a").start()
    expect(server, "direct")
    a.close()


@with_server(*OPEN)
def in_a_container_it_is_copied(server):
    """The same user, but who knows whose that is out here."""
    with elsewhere(in_another_namespace, guest_at, server.path("a")):
        expect(server, "copy")
    assert "another user namespace" in server.messages(), server.messages()


@with_server()
def handed_on_it_is_copied(server):
    """A front end that we trust, until another process speaks for it."""
    a = server.guest("a").start()
    expect(server, "direct")
    with elsewhere(unchanged, lambda: a if a.get_u64(v.GET_FEATURES) else None):
        expect(server, "copy")
    a.get_u64(v.GET_FEATURES)
    expect(server, "copy")
    b = server.guest("b").start()
    v.pass_frame(a, b)
    assert "another process" in server.messages(), server.messages()
    a.close()
    b.close()


@with_server(nics=("a",))
def who_connected_has_ended(server):
    """Its number may be anybody's by now."""
    pair = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        fe = v.FrontEnd(server.path("a"))
        socket.send_fds(pair[1], [b"x"], [fe.sock.fileno()])
        os._exit(0)
    fds = socket.recv_fds(pair[0], 1, 1)[1]
    os.waitpid(pid, 0)
    a = v.Guest(None, sock=socket.socket(fileno=fds[0])).start()
    expect(server, "copy")
    a.close()
    for s in pair:
        s.close()


@with_server(*OPEN, nic_args={"a": ("--memory", "direct"), "b": ("--memory", "copy")})
def as_it_is_told(server):
    expect(server, None, "a")
    expect(server, None, "b")
    if os.geteuid() == 0:
        with elsewhere(as_nobody, guest_at, server.path("a")):
            expect(server, "direct", "a")
    a, b = server.guest("a").start(), server.guest("b").start()
    expect(server, "copy", "b")
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    counted = status(server)
    # Who is written to directly is its own affair, under the lock of its own ring.
    assert counted["b"]["rx_direct"] == 0 and counted["a"]["rx_direct"] > 0, counted
    a.close()
    b.close()
    assert server.messages() == "", server.messages()


@with_server("--memory", "direct", nic_args={"b": ("--features", "no-offload")}, nics=("a", "b", "c"))
def by_the_ring_if_headers_differ(server):
    """With a header on one side only nothing goes from guest to guest, but all arrives."""
    a, b, c = (server.guest(nic).start() for nic in "abc")
    for src, dst in ((a, b), (b, a), (b, c), (a, c)):
        v.pass_frame(src, dst)
    counted = status(server)
    assert counted["b"]["rx_frames"] > 0 and counted["b"]["rx_direct"] == 0, counted
    assert counted["c"]["rx_direct"] > 0, counted  # from a
    for g in (a, b, c):
        g.close()


def witness_of(server):
    pid = server.proc.pid
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        for child in map(int, f.read().split()):
            with open("/proc/%d/comm" % child) as comm:
                if comm.read().strip() == "vhost-witness":
                    return child
    return None


def wait_ended(pid):
    """Also a process that nobody has waited for."""
    deadline = time.monotonic() + v.TIMEOUT
    while time.monotonic() < deadline:
        try:
            with open("/proc/%d/stat" % pid) as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError("process %d lives" % pid)


@with_server()
def without_a_witness(server):
    witness = witness_of(server)
    assert v.count_fds(witness) == 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):  # the server's
        os.kill(witness, number)
    a = server.guest("a").start()
    expect(server, "direct")
    a.close()
    v.settle(server)
    os.kill(witness, signal.SIGKILL)
    wait_ended(witness)
    a, b = server.guest("a").start(), server.guest("b").start()
    expect(server, "copy")
    v.pass_frame(a, b)
    assert "can't be told" in server.messages(), server.messages()
    a.close()
    b.close()


@with_server("--memory", "copy")
def none_is_needed(server):
    assert witness_of(server) is None


def it_ends_with_the_server():
    server = v.Server()
    witness = witness_of(server)
    server.kill()
    try:
        wait_ended(witness)
    finally:
        server.stop()


TESTS = [ours_is_direct, ours_that_listens, handed_on_it_is_copied, who_connected_has_ended, as_it_is_told, by_the_ring_if_headers_differ,
         without_a_witness, none_is_needed, it_ends_with_the_server]
if can_leave_the_namespace():
    TESTS.append(in_a_container_it_is_copied)
else:
    print("# no user namespace can be made")
if os.geteuid() == 0:
    TESTS.append(another_users_is_copied)
else:
    print("# not root: nobody of another user")

raise SystemExit(1 if v.u.run_each(TESTS) else 0)
