# SPDX-License-Identifier: BSD-2-Clause
"""A FUSE file system with one file, whose server answers until it is told not to: what then asks it waits, for ever.

For tests of who must not be kept waiting by a descriptor. Needs root and /dev/fuse. The mount is in a namespace of its own.
"""
import os
import stat
import struct
import subprocess
import sys

LOOKUP, FORGET, GETATTR, OPEN, RELEASE, INIT, OPENDIR = 1, 2, 3, 14, 18, 26, 27
FILE = b"file"
SIZE = 1 << 20


def attributes(node):
    mode = stat.S_IFDIR | 0o755 if node == 1 else stat.S_IFREG | 0o666
    return struct.pack("<QQQQQQIIIIIIIIII", node, SIZE, SIZE // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(op, node, body):
    """Return: what is answered, or a negative errno."""
    if op == INIT:
        minor = min(struct.unpack_from("<II", body)[1], 31)
        return struct.pack("<IIIIHHIIHHI", 7, minor, 65536, 0, 16, 12, 65536, 1, 16, 0, 0) + bytes(24)
    if op == LOOKUP:
        if node != 1 or body.rstrip(b"\0") != FILE:
            return -2
        return struct.pack("<QQQQII", 2, 0, 0, 0, 0, 0) + attributes(2)
    if op == GETATTR:
        return struct.pack("<QII", 0, 0, 0) + attributes(node)
    if op in (OPEN, OPENDIR):
        return struct.pack("<QII", node, 0, 0)
    if op == RELEASE:
        return b""
    return -38


def serve(fuse, deaf):
    while True:
        request = os.read(fuse, 1 << 20)
        _, op, unique, node = struct.unpack_from("<IIQQ", request)
        if op == FORGET or os.path.exists(deaf):
            continue
        got = answer(op, node, request[40:])
        if isinstance(got, int):
            os.write(fuse, struct.pack("<IiQ", 16, got, unique))
        else:
            os.write(fuse, struct.pack("<IiQ", 16 + len(got), 0, unique) + got)


def main(where):
    import ctypes
    fuse = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = b"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % fuse
    if libc.mount(b"deaf", where.encode() + b"/m", b"fuse", 0, options) != 0:
        sys.exit("can't mount: " + os.strerror(ctypes.get_errno()))
    print("ready", flush=True)
    serve(fuse, where + "/deaf")


class DeafFile:
    """open() gives descriptors of the file; after deafen() nobody who asks its server gets an answer until close()."""

    def __init__(self, where):
        self.where = where
        os.mkdir(where + "/m")
        self.proc = subprocess.Popen(["unshare", "-m", sys.executable, __file__, where], stdout=subprocess.PIPE)
        if self.proc.stdout.readline() != b"ready\n":
            self.close()
            raise OSError("no FUSE file system can be mounted here")

    def open(self):
        return os.open("/proc/%d/root%s/m/file" % (self.proc.pid, self.where), os.O_RDWR)

    def deafen(self):
        open(self.where + "/deaf", "w").close()

    def close(self):
        """Whoever waits gets an error: the connection with the kernel ends with its server."""
        self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()


if __name__ == "__main__":
    main(sys.argv[1])
