# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of this directory share: nm-vhost-user processes on a private netmapd, and guests
that vm-fe plays.

A Rig is a badluck.Domain (a netmapd in a directory of its own, started by whoever needs it first)
with device servers and front ends. Front ends are told what to do, and asked how things stand,
through vm-fe's standard input. Nothing is waited for without a deadline.

The environment names the programs: NETMAPD, NM_VHOST_USER, VM_FE, VM_HOSTILE. VHOST_MEMORY, if set,
is the --memory of all servers.
"""
import json
import os
import select
import subprocess
import time

from badluck import Domain, Failure, check, run, wait_until

SOON_S = 20
EVERY_FEATURE = ("event", "indirect", "merge", "inorder")
CONTROL = "status,slots,ack,mq,reset"

__all__ = [
    "CONTROL",
    "EVERY_FEATURE",
    "Failure",
    "Process",
    "Rig",
    "check",
    "expect_intact",
    "run",
    "wait_until",
]


class Process:
    """A program with a log file; standard output is a pipe, read by lines."""

    def __init__(self, rig, name, argv):
        rig.n_started += 1
        self.rig, self.name, self.argv = rig, name, argv
        self.log = open(os.path.join(rig.dir, "%s%d.log" % (name, rig.n_started)), "w+")
        self.proc = subprocess.Popen(
            argv, env=rig.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log
        )
        self.pending = b""
        rig.processes.append(self)

    @property
    def pid(self):
        return self.proc.pid

    def messages(self):
        with open(self.log.name) as f:
            return f.read().strip()

    def state(self):
        return "%s: %s %s" % (
            " ".join(self.argv),
            "running" if self.proc.poll() is None else "ended with %d" % self.proc.returncode,
            self.messages(),
        )

    def expect_alive(self):
        if self.proc.poll() is not None:
            raise Failure("has ended by itself: " + self.state())

    def read_line(self, seconds=SOON_S):
        deadline = time.monotonic() + seconds
        while b"\n" not in self.pending:
            left = deadline - time.monotonic()
            if left < 0 or not select.select([self.proc.stdout], [], [], left)[0]:
                raise Failure("no answer within %g s: %s" % (seconds, self.state()))
            data = os.read(self.proc.stdout.fileno(), 65536)
            if not data:
                self.proc.wait(SOON_S)
                raise Failure("has ended: " + self.state())
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return line

    def kill(self):
        """Without a look at anything before."""
        self.proc.kill()
        self.bury()

    def end(self):
        """In order: end of input for a front end, SIGTERM for a server."""
        self.proc.stdin.close()
        self.proc.terminate()
        self.bury()

    def bury(self):
        self.proc.wait(SOON_S)
        for f in (self.proc.stdout, self.proc.stdin):
            f.close()
        if self in self.rig.processes:
            self.rig.processes.remove(self)

    def forget(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.bury()
        self.log.close()


class FrontEnd(Process):
    """A running vm-fe. Each NIC is named by its place among the specs."""

    def __init__(self, rig, specs, *options):
        argv = [os.environ["VM_FE"], "--control", *map(str, options)]
        for spec in specs:
            argv += ["--nic", spec]
        super().__init__(rig, "vm-fe", argv)
        self.stats()  # answered once all NICs are up

    def command(self, text, seconds=SOON_S):
        try:
            self.proc.stdin.write(text.encode() + b"\n")
            self.proc.stdin.flush()
        except BrokenPipeError:
            self.proc.wait(SOON_S)
            raise Failure("has ended by itself: " + self.state()) from None
        return json.loads(self.read_line(seconds))

    def order(self, text):
        answer = self.command(text)
        check(answer["ret"] == 0, "%s: %s; %s" % (text, answer, self.state()))
        return answer

    def stats(self):
        self.last = self.command("stats")
        return self.last["nics"]

    def nic(self, i):
        n = self.stats()[i]
        check(n["fault"] is None, "NIC %d: %s" % (i, n["fault"]))
        return n

    def received(self, i):
        return self.nic(i)["received"]

    def wait_received(self, i, n, seconds=SOON_S):
        wait_until(
            lambda: self.received(i) >= n,
            lambda: "NIC %d has received %d of %d: %s" % (i, self.received(i), n, self.last),
            seconds,
        )

    def wait_progress(self, i, n=200, seconds=SOON_S):
        """Until n frames more have come."""
        self.wait_received(i, self.received(i) + n, seconds)

    def quit(self):
        self.proc.stdin.write(b"quit\n")
        self.proc.stdin.flush()
        self.proc.wait(SOON_S)
        check(self.proc.returncode == 0, self.state())
        self.bury()


def expect_intact(nic, losses=False):
    """Of all streams that this NIC has received: nothing twice, late, damaged or with another
    header; nothing missing.
    """
    check(nic["streams"], "no stream at all: %s" % nic)
    for s in nic["streams"]:
        bad = {k: s[k] for k in ("doubled", "late", "damaged", "header_changed") if s[k]}
        if not losses and s["missing"]:
            bad["missing"] = s["missing"]
        check(not bad, "stream %d: %s of %d frames" % (s["stream"], bad, s["next"]))
    check(
        nic["odd"] == 0,
        "used elements of what was read have a length, or num_buffers is not 1: %s" % nic,
    )


class Rig(Domain):
    """Device servers on VALE ports vale0:PORT, with sockets named after the ports."""

    def __init__(self):
        super().__init__()
        self.processes = []

    def path(self, port):
        return os.path.join(self.dir, port)

    def server(self, *ports, options=(), switch="vale0"):
        """One process that serves these ports; returns when all sockets are there."""
        argv = [os.environ["NM_VHOST_USER"], *map(str, options)]
        if os.environ.get("VHOST_MEMORY"):
            argv += ["--memory", os.environ["VHOST_MEMORY"]]
        for port in ports:
            if os.path.exists(self.path(port)):
                os.unlink(self.path(port))
            argv += ["--socket", self.path(port), "--port", "%s:%s" % (switch, port)]
        p = Process(self, "server", argv)

        def listens():
            p.expect_alive()
            return all(os.path.exists(self.path(port)) for port in ports)

        wait_until(listens, p.state)
        return p

    def program(self, argv):
        return Process(self, os.path.basename(argv[0]), argv)

    def front_end(self, specs, *options):
        """specs: (port, role) or (port, role, "key=value", ...)."""
        return FrontEnd(
            self,
            [",".join([self.path(port), "role=" + role, *more]) for port, role, *more in specs],
            *options
        )

    def describe(self):
        for p in self.processes:
            print("# " + p.state().replace("\n", "\n#   "))
        super().describe()

    def close(self):
        for p in list(self.processes):
            p.forget()
        super().close()
