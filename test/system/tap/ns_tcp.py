# SPDX-License-Identifier: BSD-2-Clause
"""Bytes over TCP, checked at both ends, by the kernel's sockets of the namespace it is started in.

ns_tcp.py serve ADDRESS PORT            one connection: send back the SHA-256 of what came; "ready" when it listens
ns_tcp.py send ADDRESS PORT MIB [SECS]  send so many MiB of random bytes, over SECS seconds if given; 0 if the sum comes back right
"""
import hashlib
import os
import signal
import socket
import sys
import time

PIECE = 65536


def serve(address, port):
    listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    print("ready", flush=True)
    s, _ = listener.accept()
    digest = hashlib.sha256()
    while True:
        data = s.recv(PIECE)
        if not data:
            break
        digest.update(data)
    s.sendall(digest.digest())
    s.close()


def send(address, port, mib, seconds):
    s = socket.create_connection((address, port), timeout=30)
    digest = hashlib.sha256()
    block = os.urandom(PIECE)
    n = mib * 16
    start = time.monotonic()
    print("sending", flush=True)
    for i in range(n):
        data = i.to_bytes(8, "little") + block[8:]
        digest.update(data)
        s.sendall(data)
        ahead = start + seconds * i / n - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    s.shutdown(socket.SHUT_WR)
    got = b""
    while len(got) < digest.digest_size:
        data = s.recv(digest.digest_size)
        if not data:
            break
        got += data
    sys.exit(0 if got == digest.digest() else "the bytes that arrived are not those that were sent")


signal.alarm(120)
if sys.argv[1] == "serve":
    serve(sys.argv[2], int(sys.argv[3]))
else:
    send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]) if len(sys.argv) > 5 else 0)
