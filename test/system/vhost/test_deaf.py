#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whoever reads the status lines or the log of a server, and stops reading, stops nobody: guests
exchange frames, signals are obeyed, and lines are whole once they are read again.
"""
import fcntl
import json
import os
import select
import signal
import socket
import time

from vhost import Process, Rig, check, run

PAGE = 4096
MEMBERS = {"port", "socket", "state", "tx_frames", "sleeps"}


def is_full(out):
    """No room for a line: lines are sent whole, so the last one may not have fitted."""
    return not select.select([], [out], [], 0)[1]


def writer_of(fd):
    """A description of our own of the other end of a pipe; it blocks nobody but us."""
    return os.open("/proc/self/fd/%d" % fd, os.O_WRONLY | os.O_NONBLOCK)


def test_status():
    for options in ((), ("--interval", 1)):
        with Rig() as rig:
            server = rig.server("a", "b", options=options)
            out = server.proc.stdout.fileno()
            fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, PAGE)
            fe = rig.front_end([("a", "both", "id=0", "dst=1"), ("b", "both", "id=1", "dst=0")])
            end = writer_of(out)
            for _ in range(400):
                server.proc.send_signal(signal.SIGUSR1)
                time.sleep(0.002)
            check(is_full(end), "the test has not filled the pipe")
            os.close(end)
            time.sleep(1.5 if options else 0)  # a line by itself
            for i in (0, 1):
                fe.wait_progress(i)
            n = 0
            while select.select([out], [], [], 0)[0] and n < 10000:
                check(MEMBERS <= set(json.loads(server.read_line())), "not a whole line")
                n += 1
            server.proc.send_signal(signal.SIGUSR1)
            check(MEMBERS <= set(json.loads(server.read_line())), "not a whole line")
            fe.quit()
            server.end()
            check(server.proc.returncode == 0, "SIGTERM: %s" % server.proc.returncode)


def test_full_when_told_to_end():
    with Rig() as rig:
        server = rig.server("a")
        rig.front_end([("a", "recv")]).quit()  # it is through with its start
        end = writer_of(server.proc.stdout.fileno())
        try:
            while True:
                os.write(end, b"x" * PAGE)
        except BlockingIOError:
            pass
        os.close(end)
        for _ in range(3):
            server.proc.send_signal(signal.SIGUSR1)
            time.sleep(0.05)
        server.end()
        check(server.proc.returncode == 0, "SIGTERM: %s" % server.proc.returncode)


def complain(rig, port):
    """Have the server log a line."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(rig.path(port))
        sock.sendall(b"nonsense" * 8)
        sock.settimeout(20)
        try:
            sock.recv(1)
        except ConnectionResetError:
            pass


def test_log():
    with Rig() as rig:
        reader, log = os.pipe()
        argv = [os.environ["NM_VHOST_USER"]]
        for port in ("a", "b"):
            argv += ["--socket", rig.path(port), "--port", "vale0:" + port]
        # Process has the log in a file: here a shell gives it to the server as a pipe.
        os.set_inheritable(log, True)
        command = 'exec "$@" 2>/proc/%d/fd/%d' % (os.getpid(), log)
        server = Process(rig, "server", ["sh", "-c", command, "sh", *argv])
        fe = rig.front_end([("b", "recv")])
        complain(rig, "a")
        check(os.read(reader, PAGE).count(b"\n") >= 1, "no line in the log")
        end = writer_of(log)
        try:
            while True:
                os.write(end, b"x" * PAGE)
        except BlockingIOError:
            pass
        for _ in range(3):
            complain(rig, "a")
        fe.stats()
        while select.select([reader], [], [], 0)[0]:
            os.read(reader, 65536)
        time.sleep(1.1)  # a token of the log's limit
        complain(rig, "a")
        text = os.read(reader, PAGE)
        check(b"messages left out" in text, text)
        fe.quit()
        server.end()
        check(server.proc.returncode == 0, "SIGTERM: %s" % server.proc.returncode)
        for fd in (end, log, reader):
            os.close(fd)


if __name__ == "__main__":
    run(test_status, test_full_when_told_to_end, test_log)
