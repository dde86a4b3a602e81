# SPDX-License-Identifier: BSD-2-Clause
"""What guests boot from: a Debian kernel and an initramfs of our own, made from packages as they
are.

Nothing is installed: packages are downloaded (apt-get download) and unpacked into a cache
directory, so neither root nor a change to the machine is needed. The cache is kept by name of the
package file, and used again by later runs.

    images = Images(cache)        raises Missing with the reason if this machine can't have them
    images.kernel                 path of the kernel for QEMU
    images.initramfs              path of the initramfs for QEMU
    images.uml()                  (kernel, initramfs) for User-Mode Linux
    Images(cache, backports(cache, "trixie"), programs, modules)
                                  another kernel, and more in the initramfs

    python3 images.py CACHE       makes them beforehand, for runs without a network

The initramfs has busybox, iperf3 with its libraries, the modules of virtio-net, and an init that
reads commands from the serial console (guest.py). It is written here in cpio's "newc" format, as
that takes no root for the device nodes.
"""
import contextlib
import fcntl
import gzip
import os
import pathlib
import re
import subprocess
import sys

from packages import Missing, Packages, run

MODULES = ("virtio_pci", "virtio_net")
PROGRAMS = ("/usr/bin/iperf3",)

# The shell reads one command after another from the console; guest.py marks where each answer ends.
INIT = """#!/bin/sh
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null || mount -t tmpfs dev /dev
mount -t tmpfs tmp /tmp
for m in $(cat /modules/order 2>/dev/null); do insmod /modules/$m; done
ip link set lo up
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
stty -echo 2>/dev/null
echo guest-is-up
while read -r line; do eval "$line"; done
"""


class Newc:
    """A cpio archive in the format that the kernel unpacks."""

    def __init__(self):
        self.data = bytearray()
        self.n = 0

    def add(self, name, content=b"", mode=0o100755, rdev=(0, 0)):
        self.n += 1
        path = name.encode() + b"\0"
        fields = (self.n, mode, 0, 0, 1, 0, len(content), 0, 0, rdev[0], rdev[1], len(path), 0)
        self.data += b"070701" + b"".join(b"%08x" % f for f in fields) + path
        self.data += bytes(-len(self.data) % 4) + content
        self.data += bytes(-len(self.data) % 4)

    def add_dir(self, name):
        self.add(name, mode=0o040755)

    def finish(self):
        self.add("TRAILER!!!", mode=0)
        return bytes(self.data)


def needed_modules(roots, names):
    """Contents of modules by name, those that they depend on first; some are part of the kernel."""

    def name_of(path):
        return re.sub(r"\.ko.*", "", path.name).replace("-", "_")

    files = {name_of(p): p for root in roots for p in root.rglob("*.ko*")}
    builtin = {
        name_of(pathlib.Path(line))
        for root in roots
        for listing in root.rglob("modules.builtin")
        for line in listing.read_text().splitlines()
    }
    ordered = {}

    def visit(name):
        if name in ordered or name in builtin:
            return
        if name not in files:
            raise Missing("the kernel package has no module %s" % name)
        data = files[name].read_bytes()
        if files[name].suffix == ".xz":
            data = subprocess.run(
                ["xz", "-dc"], input=data, stdout=subprocess.PIPE, check=True
            ).stdout
        found = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in found.group(1).decode().split(",") if found else ():
            if other:
                visit(other.replace("-", "_"))
        ordered[name] = data

    for name in names:
        visit(name)
    return ordered


def libraries(program):
    """The files that a program's dynamic linker maps."""
    return sorted(set(re.findall(r"(/\S+) \(0x", run("ldd", program))))


class Images:
    """
    @packages: where the kernel is from
    @programs: more for the initramfs, which go to its /usr/bin
    @modules:  more that init loads
    """

    def __init__(self, cache, packages=None, programs=(), modules=()):
        self.own = Packages(cache)
        self.packages = packages or self.own
        self.cache = self.packages.cache
        self.programs = {p: p for p in PROGRAMS}
        self.programs.update({p: "/usr/bin/" + os.path.basename(p) for p in programs})
        self.modules = (*MODULES, *modules)
        if os.uname().machine != "x86_64":
            raise Missing("the guests are for x86-64, this machine is %s" % os.uname().machine)
        with self.lock():
            package = self.packages.newest_kernel()
            roots = [self.packages.unpack(p) for p in self.packages.parts_of_kernel(package)]
            self.busybox = self.program("busybox-static", "busybox")
            self.kernel = str(next(p for root in roots for p in root.rglob("vmlinuz*")))
            self.initramfs = self.make_initramfs(package, roots, self.modules)

    @contextlib.contextmanager
    def lock(self):
        """Two tests may begin at once."""
        with open(self.cache / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def program(self, package, name):
        """Path of a package's program: Debian 13 has all in /usr."""
        root = self.own.unpack(package)
        places = [root / place / name for place in ("bin", "usr/bin")]
        return next((p for p in places if p.exists()), places[0])

    def make_initramfs(self, package, roots, modules):
        """Path of an initramfs with these modules of the package's kernel."""
        sources = [pathlib.Path(__file__), self.busybox, *map(pathlib.Path, self.programs)]
        absent = [str(p) for p in sources if not p.exists()]
        if absent:
            raise Missing("%s is not there: scripts/deps check" % absent[0])
        more = "-%d" % len(self.programs) if len(self.programs) > len(PROGRAMS) else ""
        out = self.cache / ("initramfs-%s%s.gz" % (package, more))
        if not out.exists() or any(p.stat().st_mtime > out.stat().st_mtime for p in sources):
            out.write_bytes(gzip.compress(self.archive(needed_modules(roots, modules)), 6))
        return str(out)

    def archive(self, modules):
        a = Newc()
        for d in (
            "bin",
            "dev",
            "proc",
            "sys",
            "tmp",
            "modules",
            "usr",
            "usr/bin",
            "lib",
            "lib64",
            "etc",
        ):
            a.add_dir(d)
        a.add("dev/console", mode=0o020600, rdev=(5, 1))
        a.add("dev/null", mode=0o020666, rdev=(1, 3))
        a.add("etc/protocols", b"ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\n", mode=0o100644)
        a.add("init", INIT.encode())
        a.add("bin/busybox", self.busybox.read_bytes())
        for applet in run(str(self.busybox), "--list").split():
            if applet != "busybox":
                a.add("bin/" + applet, b"busybox", mode=0o120777)
        libs = set()
        for program, place in self.programs.items():
            a.add(place.lstrip("/"), pathlib.Path(program).read_bytes())
            libs.update(libraries(program))
        for lib in sorted(libs):
            self.add_library(a, lib)
        for name, data in modules.items():
            a.add("modules/%s.ko" % name, data, mode=0o100644)
        a.add("modules/order", "".join("%s.ko\n" % m for m in modules).encode(), mode=0o100644)
        return a.finish()

    @staticmethod
    def add_library(a, path):
        """
        Where the linker looks for it in the guest: flat in /lib, the linker itself under its own
        name.
        """
        name = path.lstrip("/") if "ld-linux" in path else "lib/" + os.path.basename(path)
        a.add(name, pathlib.Path(path).read_bytes())

    def uml(self):
        """(kernel, initramfs) of User-Mode Linux."""
        with self.lock():
            root = self.own.unpack("user-mode-linux")
            return str(root / "usr/bin/linux.uml"), self.make_initramfs(
                "user-mode-linux", [root], ("virtio_net",)
            )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: images.py CACHE")
    try:
        print(Images(sys.argv[1]).initramfs)
    except Missing as e:
        sys.exit(str(e))
