#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What is used up, missing or of the wrong kind, as a program with the library meets it.

Proves that a lack of descriptors, memory or room in the runtime directory, a netmapd of another version or one that does not
answer, is a clear error in bounded time and changes nothing; and that all goes on as soon as it is over. (What netmapd itself
does without descriptors, memory and room, and how it treats stale sockets, is held by test/proto/test_limits.py.)
"""
import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import unmproto
from badluck import SOON_S, Domain, check, children, process_state, run, wait_until

ANSWER_S = 20  # the library's patience with a netmapd that says nothing
INSIDE = "UNM_BADLUCK_INSIDE"  # set in the part that runs in a mount namespace


def client(d, *args):
    """A bl-client that runs in the background."""
    return subprocess.Popen([os.environ["BL_CLIENT"], *args], env=d.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def outcome(proc, seconds=SOON_S):
    """Its exit status and what it printed."""
    try:
        out, err = proc.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        proc.kill()
        proc.wait()
        raise
    return proc.returncode, out, err


def expect_success(proc, seconds=SOON_S):
    status, out, err = outcome(proc, seconds)
    check(status == 0, "status %d: %s" % (status, err))
    return out


def expect_failure(proc, code, text, seconds=SOON_S):
    status, out, err = outcome(proc, seconds)
    check(status == 1, "status %d, not 1: %s%s" % (status, out, err))
    check(os.strerror(code) in err, "not '%s': %s" % (os.strerror(code), err))
    check(text in err, "nothing about '%s': %s" % (text, err))


def can_open(d):
    expect_success(client(d, "open", "vale9:x"))


def few_descriptors():
    """The client has none, one, two, ... left."""
    for port in ("vale3:x", "a{3"):
        with Domain() as d:
            print("# %s: %s" % (port, expect_success(client(d, "fds", port), 60).strip()))
            d.wait_ports([])


def little_memory():
    """The client has no address space for the port's memory."""
    with Domain() as d:
        print("# " + expect_success(client(d, "memory", "vale3:x"), 60).strip())
        d.wait_ports([])


def set_fd_limit(t, n):
    hard = resource.prlimit(t.proc.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(t.proc.pid, resource.RLIMIT_NOFILE, (min(n, hard), hard))


def sender_without_descriptors():
    """A sender that can't get the descriptor to wake its peer by, or to map its memory with, keeps nobody asleep for ever."""
    with Domain() as d:
        tx, rx = d.pair("netmap:p{1", "netmap:p}1", 1, "-R", 2000)
        vale = d.start("send", "vale0:tx", "-s", 2, "-R", 2000).wait_open().go()
        sessions = {c["pid"]: c["slot"] for c in d.table("clients")}
        rx.wait_progress("received")
        for t in (tx, vale):
            set_fd_limit(t, 3)
        for _ in range(5):
            rx.kill()
            rx.bury()
            rx = d.start("recv", "netmap:p}1", "-s", 1).wait_open().go()
            rx.wait_progress("received", 200)  # at 2000 a second each of them has to wake the receiver
        other = d.start("recv", "vale0:rx", "-s", 2).wait_open().go()
        vale.wait_progress("accepted", 200)
        check(other.received == 0, "a sender has mapped a receiver's memory without a descriptor")
        for t in (tx, vale):
            check({c["pid"]: c["slot"] for c in d.table("clients")}.get(t.proc.pid) == sessions[t.proc.pid],
                  "the session was given up: " + t.state())
            set_fd_limit(t, 1 << 20)
        other.wait_progress("received")
        d.settle(tx, rx)


def memory_limit():
    """netmapd's limit is named by the library, together with what lifts it."""
    with Domain() as d:
        conf = os.path.join(d.dir, "conf")
        with open(conf, "w") as f:
            f.write("[limits]\nmemory_mib = 20\n")
        d.start_daemon("-c", conf)
        tx, rx = d.pair("vale0:tx", "vale0:rx", 1, lossless=True)
        ports = d.ports()
        hogs = []
        try:
            for n in range(10):
                hogs.append(client(d, "open", "vale1:%d" % n))
                if not hogs[-1].stdout.readline():
                    break
            expect_failure(hogs.pop(), errno.ENOMEM, "memory_mib")
            check(len(d.ports()) == len(ports) + len(hogs), "the port that was refused is there: %s" % d.ports())
            rx.wait_progress("received")
        finally:
            for hog in hogs:
                hog.communicate()
        d.wait_ports(ports)
        can_open(d)
        d.settle(tx, rx)


def silent_netmapd():
    """netmapd is stopped: traffic goes on, requests fail in bounded time, and work again once it runs."""
    with Domain() as d:
        d.env["UNETMAP_SPIN_US"] = "0"  # who has to wait sleeps
        tx, rx = d.pair("vale0:tx", "vale0:rx", 1, lossless=True)
        # While one is stopped the other has to sleep; who goes on gets from netmapd what wakes it
        for t in (rx, tx):
            os.kill(t.proc.pid, signal.SIGSTOP)
            time.sleep(0.2)
            os.kill(t.proc.pid, signal.SIGCONT)
            rx.wait_progress("received", 2000)
        pid = d.daemon()
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: process_state(pid)[0] == "T", "netmapd is stopped")
        waiting = [client(d, "open", "vale0:%d" % n) for n in range(3)]
        began = time.monotonic()
        for proc in waiting:
            expect_failure(proc, errno.EIO, "does not answer", ANSWER_S + SOON_S)
        print("# gave up after %.1f s" % (time.monotonic() - began))
        rx.wait_progress("received")
        os.kill(pid, signal.SIGCONT)
        can_open(d)
        d.wait_ports(["vale0:rx", "vale0:tx"])
        d.settle(tx, rx)


class Impostor:
    """Something that listens where netmapd should; answer(sock, message) says what each client gets."""

    def __init__(self, d, answer):
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(d.socket)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                try:
                    while self.answer(sock, sock.recv(70000)):
                        pass
                except OSError:
                    pass  # the client has given up

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(SOON_S)
        self.listener.close()


def answer_hello(message, error=0, text=b"", version=unmproto.VERSION, magic=unmproto.MAGIC, slot=7):
    _, kind, _, _, seq, _, _ = unmproto.HDR.unpack_from(message)
    body = unmproto.HELLO_BODY.pack(version, slot, 1, os.getpid(), 0, b"0.0", text)
    return unmproto.HDR.pack(magic, kind, 0, unmproto.HDR.size + len(body), seq, error, 0) + body


def another_version(sock, message):
    sock.send(answer_hello(message, errno.EPROTO, b"netmapd 9 speaks protocol 99: install both from one release", 99))
    return False


def not_for_you(sock, message):
    sock.send(answer_hello(message, errno.EPERM, b"user 0 may not use this netmapd"))
    return False


def nonsense(sock, message):
    sock.send(answer_hello(message, magic=0x12345678))
    return False


def too_short(sock, message):
    sock.send(answer_hello(message)[:30])
    return False


def no_slot(sock, message):
    sock.send(answer_hello(message, slot=0))
    return False


def hang_up(sock, message):
    return False


def impostors():
    """Not the netmapd that this library speaks with: an errno and a sentence, no second netmapd in its place."""
    for answer, code, text in ((another_version, errno.EPROTO, "install both from one release"),
                               (not_for_you, errno.EPERM, "may not use this netmapd"), (nonsense, errno.EPROTO, "netmapd"),
                               (too_short, errno.EPROTO, "netmapd"), (no_slot, errno.EPROTO, "netmapd"),
                               (hang_up, errno.EIO, "netmapd")):
        with Domain() as d:
            impostor = Impostor(d, answer)
            try:
                expect_failure(client(d, "open", "vale0:x"), code, text)
                check(not children(), "%s: a netmapd was started beside it" % answer.__name__)
            finally:
                impostor.close()
            # It is gone, its socket is still there: nothing that keeps anybody from starting the right one
            can_open(d)


def all_at_once():
    """Many clients find a stale socket and no netmapd: each starts one, one remains, all are served."""
    for stale in (False, True):
        with Domain() as d:
            if stale:
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                    s.bind(d.socket)
            clients = [client(d, "open", "vale0:%d" % n) for n in range(16)]
            try:
                for proc in clients:
                    check(proc.stdout.readline() == "open\n", "a client was not served")
                pids = {p.pid for p in clients}
                wait_until(lambda: len(set(children()) - pids) == 1, lambda: "netmapds: %s" % (set(children()) - pids))
                check(len(d.ports()) == 16, "ports: %s" % d.ports())
            finally:
                for proc in clients:
                    proc.communicate()


def full_directory():
    """No room for netmapd's files: a client that would start it says where to look, and can as soon as there is room."""
    with tempfile.TemporaryDirectory(prefix="unm-bl-") as base:
        script = "mount -t tmpfs -o size=64k,nr_inodes=8 none %s && exec %s %s" % (base, sys.executable, __file__)
        flags = ["-m"] if os.geteuid() == 0 else ["-r", "-m"]
        if subprocess.run(["unshare", *flags, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            print("# full_directory: skipped, as this machine grants no mount namespace")
            return
        result = subprocess.run(["unshare", *flags, "sh", "-c", script], env=dict(os.environ, **{INSIDE: base}), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        check(result.returncode == 0, result.stdout)


def inside_full_directory():
    base = os.environ[INSIDE]
    with Domain() as d:
        d.env["UNETMAP_SOCKET"] = d.socket = os.path.join(base, "s")
        names = []
        try:
            while True:
                names.append(os.path.join(base, "fill%d" % len(names)))
                with open(names[-1], "w"):
                    pass
        except OSError as e:
            check(e.errno == errno.ENOSPC, "full with " + str(e))
            names.pop()
        expect_failure(client(d, "open", "vale0:x"), errno.ENOENT, "netmapd --autostart")
        for name in names:
            os.unlink(name)
        can_open(d)


if INSIDE in os.environ:
    run(inside_full_directory)
run(few_descriptors, little_memory, sender_without_descriptors, memory_limit, silent_netmapd, impostors, all_at_once,
    full_directory)
