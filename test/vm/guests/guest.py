# SPDX-License-Identifier: BSD-2-Clause
"""Guests: real kernels with their own virtio-net driver, in QEMU's software emulation or as
User-Mode Linux.

    nic = Nic(socket="/tmp/x/vm1.sock", mac="02:00:00:00:00:01")
    with Qemu(images, "vm1", [nic], directory) as g:
        g.boot()
        g.run("ip addr add 10.0.0.1/24 dev eth0; ip link set eth0 up")
        g.run("ping -c 3 10.0.0.2", timeout=20)

run() sends a line to the shell on the guest's console and returns what it printed; a status other
than 0, a guest that died and a deadline that passed raise GuestError with the last lines of the
console. Nothing waits without a deadline. A boot that fails is tried once more: emulated kernels
stumble over their timers on a loaded machine.

QEMU 7.2 without KVM crashes when a guest with vhost-user uses MSI-X: so its NICs have vectors=0, an
interrupt line, unless told otherwise.
"""
import os
import platform
import re
import shutil
import signal
import subprocess
import threading
import time

from packages import Missing, backports, run

QEMU = "qemu-system-x86_64"
BOOT_S = 60
UP = "guest-is-up"


class GuestError(Exception):
    """A guest did not do what it was told."""


class Nic:
    """A network card.

    backend: None for vhost-user over @socket, else the text of a -netdev after its id.
    """

    def __init__(
        self,
        socket=None,
        mac="02:00:00:00:00:01",
        queues=1,
        is_server=False,
        backend=None,
        model="virtio-net-pci",
        options="",
        vectors=0,
    ):
        self.socket, self.mac, self.queues, self.is_server = socket, mac, queues, is_server
        self.backend, self.model, self.options, self.vectors = backend, model, options, vectors


class Guest:
    """What both kinds have in common: a process, and a console to talk to."""

    def __init__(self, images, name, nics, directory, memory_mib=256):
        self.images, self.name, self.nics, self.dir, self.memory_mib = (
            images,
            name,
            nics,
            directory,
            memory_mib,
        )
        self.proc = None
        self.text = ""
        self.changed = threading.Condition()
        self.n_commands = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.kill()

    def command(self):
        raise NotImplementedError

    def start(self):
        """Begin to boot."""
        self.kill()
        self.text = ""
        with open(os.path.join(self.dir, self.name + ".log"), "ab") as log:
            self.proc = subprocess.Popen(
                self.command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.dir,
                start_new_session=True,
            )
        threading.Thread(target=self.read, args=(self.proc,), daemon=True).start()

    def boot(self, timeout=BOOT_S):
        """Boot and wait for the shell, with a second try."""
        self.start()
        self.wait_up(timeout)
        return self

    def wait_up(self, timeout=BOOT_S):
        try:
            self.expect(UP + r"\r?\n", timeout)
        except GuestError as e:
            print("# %s: second try to boot (%s)" % (self.name, str(e).splitlines()[0]), flush=True)
            self.start()
            self.expect(UP + r"\r?\n", timeout)

    def read(self, proc):
        while True:
            data = os.read(proc.stdout.fileno(), 65536)
            with self.changed:
                if proc is self.proc:
                    self.text += data.decode(errors="replace")
                    self.changed.notify_all()
            if not data:
                return

    def last_lines(self):
        return "\n".join(self.text.splitlines()[-25:])

    def expect(self, pattern, timeout):
        """Wait for @pattern on the console.

        Return: the match; what came up to its end is forgotten.
        """
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                found = re.search(pattern, self.text, re.S)
                if found:
                    self.text = self.text[found.end() :]
                    return found
                if self.proc is None or self.proc.poll() is not None:
                    status = self.proc.returncode if self.proc else None
                    raise GuestError(
                        "%s has ended (%s)\n%s" % (self.name, status, self.last_lines())
                    )
                left = deadline - time.monotonic()
                if left <= 0:
                    raise GuestError(
                        "%s: no %r within %g s\n%s"
                        % (self.name, pattern, timeout, self.last_lines())
                    )
                self.changed.wait(min(left, 1))

    def send(self, line):
        try:
            self.proc.stdin.write(line.encode() + b"\n")
            self.proc.stdin.flush()
        except OSError as e:
            raise GuestError(
                "%s takes no input: %s\n%s" % (self.name, e, self.last_lines())
            ) from None

    def begin(self, command):
        """Send a command without waiting for its end: to be passed to finish(). One at a time."""
        self.n_commands += 1
        tag = "done-%d" % self.n_commands
        # The tag is put together by the shell, so that an echo of the line can't be taken for it.
        self.send('{ %s; } 2>&1; echo "<"%s=$?">"' % (command, tag))
        return tag

    def finish(self, tag, timeout=30, check=True):
        """Wait for a begun command. Return: its output, or with check=False (status, output)."""
        found = self.expect(r"(.*?)<%s=(\d+)>\r?\n" % tag, timeout)
        output, status = found.group(1).replace("\r", ""), int(found.group(2))
        if not check:
            return status, output
        if status != 0:
            raise GuestError("%s: status %d\n%s" % (self.name, status, output))
        return output

    def run(self, command, timeout=30, check=True):
        """Run a shell command in the guest."""
        return self.finish(self.begin(command), timeout, check)

    def address(self, *addresses, dev="eth0", mtu=None):
        """Give an interface its addresses and bring it up."""
        words = ["ip addr add %s dev %s" % (a, dev) for a in addresses]
        if mtu:
            words.append("ip link set %s mtu %d" % (dev, mtu))
        self.run(" && ".join(words + ["ip link set %s up" % dev]))

    def reboot(self, timeout=BOOT_S):
        """As the guest's user does it; the process stays."""
        self.send("reboot -f")
        self.wait_up(timeout)

    def kill(self):
        """Pull the plug."""
        if self.proc is not None and self.proc.poll() is None:
            self.proc.kill()
        if self.proc is not None:
            self.proc.wait(30)
            self.proc.stdin.close()


def newer_qemu(cache, version):
    """Command of a QEMU of at least that version: this machine's, or of its release's backports."""
    if shutil.which(QEMU):
        found = re.search(r"version (\d+)", run(QEMU, "--version"))
        if found and int(found.group(1)) >= version:
            return [QEMU]
    packages = backports(cache, platform.freedesktop_os_release().get("VERSION_CODENAME", "?"))
    program, data, bios = (
        packages.unpack(p) for p in ("qemu-system-x86", "qemu-system-data", "seabios")
    )
    binary = str(program / "usr/bin" / QEMU)
    absent = re.findall(r"(\S+) => not found", run("ldd", binary))
    if absent:
        raise Missing("%s of backports takes %s" % (QEMU, absent[0]))
    return [binary, "-L", str(data / "usr/share/qemu"), "-L", str(bios / "usr/share/seabios")]


class Qemu(Guest):
    def __init__(self, images, name, nics, directory, memory_mib=256, cpus=1, qemu=(QEMU,)):
        super().__init__(images, name, nics, directory, memory_mib)
        self.cpus = cpus
        self.qemu = qemu
        if shutil.which(qemu[0]) is None:
            raise Missing("%s is not installed: scripts/deps check" % qemu[0])

    def nic_args(self, i, nic):
        args = []
        backend = nic.backend
        if backend is None:
            mode = "server=on,wait=off" if nic.is_server else "reconnect=1"
            args += ["-chardev", "socket,id=c%d,path=%s,%s" % (i, nic.socket, mode)]
            backend = "vhost-user,chardev=c%d,queues=%d" % (i, nic.queues)
        kind, _, rest = backend.partition(",")
        device = "%s,netdev=n%d,mac=%s" % (nic.model, i, nic.mac)
        if nic.model.startswith("virtio"):
            if nic.vectors is not None:  # None: QEMU's choice
                device += ",vectors=%d" % nic.vectors
            if nic.queues > 1:
                device += ",mq=on"
        return args + [
            "-netdev",
            "%s,id=n%d%s" % (kind, i, "," + rest if rest else ""),
            "-device",
            device + ("," + nic.options if nic.options else ""),
        ]

    def command(self):
        cmd = [
            *self.qemu,
            "-accel",
            "tcg,thread=multi",
            "-machine",
            "q35,memory-backend=mem",
            "-cpu",
            "max",
            "-smp",
            str(self.cpus),
            "-m",
            str(self.memory_mib),
            "-object",
            "memory-backend-memfd,id=mem,size=%dM,share=on" % self.memory_mib,
            "-nodefaults",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-kernel",
            self.images.kernel,
            "-initrd",
            self.images.initramfs,
            "-append",
            "console=ttyS0 panic=-1 quiet",
        ]
        for i, nic in enumerate(self.nics):
            cmd += self.nic_args(i, nic)
        return cmd


class Uml(Guest):
    """User-Mode Linux: a kernel as a process.

    Its memory is a file that its back ends map; its interfaces get their MAC from the back end.
    UML_PRELOAD names what uml_xstate.c was made into, without which it does not boot everywhere.
    """

    def __init__(self, images, name, nics, directory, memory_mib=128):
        super().__init__(images, name, nics, directory, memory_mib)
        self.kernel, self.initramfs = images.uml()

    def command(self):
        preload = os.environ.get("UML_PRELOAD")
        return [
            *(["env", "LD_PRELOAD=" + preload] if preload else []),
            self.kernel,
            "mem=%dM" % self.memory_mib,
            "initrd=" + self.initramfs,
            "umid=%s-%d" % (self.name, os.getpid()),
            "uml_dir=" + self.dir,
            "con=null",
            "con0=fd:0,fd:1",
            "con1=null",
            "quiet",
            "panic=-1",
            *("virtio_uml.device=%s:1" % nic.socket for nic in self.nics),
        ]

    def kill(self):
        """Its threads are processes of their own, in its process group."""
        if self.proc is not None and self.proc.poll() is None:
            os.killpg(self.proc.pid, signal.SIGKILL)
        super().kill()
