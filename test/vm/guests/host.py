# SPDX-License-Identifier: BSD-2-Clause
"""The host's side of a test with guests: a private netmapd, device servers, namespaces on TAP
ports, captures.

    with Site() as site:
        vm1 = site.server("vale0:vm1")              nm-vhost-user, listening; vm1.nic(...) is the
        guest's card ns = site.namespace("10.9.0.100/24")        a network namespace whose t0 is a
        TAP on vale0 site.nmctl("link", "vale0:vm1", "down")

All processes have a socket and a directory of their own and end with the site, by their process
ids. The environment names the programs: NETMAPD, NMCTL, NM_VHOST_USER (full paths of the build).
"""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from guest import Nic


class SiteError(Exception):
    """A program on the host's side failed."""


def wait_until(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise SiteError("not within %g s: %s" % (seconds, what() if callable(what) else what))
        time.sleep(0.02)


class Program:
    """A process in the background, its output in a file."""

    def __init__(self, site, name, cmd, netns=None):
        self.site, self.name = site, name
        self.path = os.path.join(site.dir, name + ".out")
        cmd = ["ip", "netns", "exec", netns, *cmd] if netns else cmd
        with open(self.path, "ab") as out:
            self.proc = subprocess.Popen(
                cmd, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=site.env
            )

    def output(self):
        with open(self.path, errors="replace") as f:
            return f.read()

    def wait_for(self, pattern, seconds=20):
        def said():
            if re.search(pattern, self.output()):
                return True
            if self.proc.poll() is not None:
                raise SiteError(
                    "%s has ended with %d: %s" % (self.name, self.proc.returncode, self.output())
                )
            return False

        wait_until(
            said, lambda: "%s does not say %r: %s" % (self.name, pattern, self.output()), seconds
        )

    def finish(self, seconds=30):
        """It ends by itself, with status 0. Return: its output."""
        try:
            status = self.proc.wait(seconds)
        except subprocess.TimeoutExpired:
            raise SiteError("%s does not end: %s" % (self.name, self.output())) from None
        if status != 0:
            raise SiteError("%s: status %d: %s" % (self.name, status, self.output()))
        return self.output()

    def stop(self, sig=signal.SIGTERM):
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait(10)
        return self.proc.returncode


class Server:
    """nm-vhost-user for one port, or for several in one process."""

    def __init__(self, site, ports, is_client=False, options=()):
        self.site, self.is_client, self.ports = site, is_client, ports
        self.args = [*options]
        for port in ports:
            self.args += [
                "--socket",
                self.socket(port),
                "--port",
                port,
                *(["--client"] if is_client else []),
            ]
        self.program = None
        self.n_runs = 0
        self.start()

    def socket(self, port):
        return os.path.join(self.site.dir, port.replace(":", "-") + ".sock")

    def nic(self, mac, port=None, **kwargs):
        return Nic(
            socket=self.socket(port or self.ports[0]), mac=mac, is_server=self.is_client, **kwargs
        )

    def start(self):
        self.n_runs += 1
        name = "server-%s-%d" % (self.ports[0].replace(":", "-"), self.n_runs)
        self.program = self.site.program(name, [os.environ["NM_VHOST_USER"], *self.args])
        wait_until(self.is_ready, lambda: "%s: %s" % (name, self.program.output()))

    def is_ready(self):
        if self.program.proc.poll() is not None:
            raise SiteError("nm-vhost-user has ended: " + self.program.output())
        known = {p["name"] for p in self.site.show("ports") if p["users"] > 0}
        names = {p.removeprefix("netmap:") for p in self.ports}
        return known.issuperset(names) and (
            self.is_client or all(os.path.exists(self.socket(p)) for p in self.ports)
        )

    def restart(self, sig=signal.SIGKILL):
        self.program.stop(sig)
        self.start()


class Site:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="unm-vm-")
        self.env = dict(
            os.environ,
            UNETMAP_SOCKET=os.path.join(self.dir, "netmapd.sock"),
            UNETMAP_NETMAPD=os.environ["NETMAPD"],
        )
        self.tag = "unmvm%d" % os.getpid()
        self.programs, self.namespaces, self.servers = [], [], []
        self.n_daemons = 0
        self.daemon = None

    def __enter__(self):
        try:
            self.start_daemon()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        self.close(keep=exc[0] is not None)

    def start_daemon(self):
        self.n_daemons += 1
        self.daemon = self.program(
            "netmapd%d" % self.n_daemons, [os.environ["NETMAPD"], "--foreground"]
        )
        self.daemon.wait_for("serves at")

    def restart_daemon(self, sig=signal.SIGKILL):
        self.daemon.stop(sig)
        self.start_daemon()
        wait_until(lambda: not self.show("daemon")[0]["restoring"], "netmapd has its clients back")

    def program(self, name, cmd, netns=None):
        p = Program(self, name, cmd, netns)
        self.programs.append(p)
        return p

    def nmctl(self, *words):
        done = subprocess.run(
            [os.environ["NMCTL"], *words], env=self.env, capture_output=True, text=True, timeout=30
        )
        if done.returncode != 0:
            raise SiteError("nmctl %s: %s" % (" ".join(words), done.stderr.strip()))
        return done.stdout

    def show(self, table, *name):
        return json.loads(self.nmctl("-j", "show", table, *name))[table]

    def port(self, name):
        return next(p for p in self.show("ports") if p["name"] == name)

    def server(self, *ports, **kwargs):
        s = Server(self, ports, **kwargs)
        self.servers.append(s)
        return s

    def ip(self, *words, check=True):
        done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30)
        if check and done.returncode != 0:
            raise SiteError("ip %s: %s" % (" ".join(words), done.stderr.strip()))
        return done.stdout

    def bare_namespace(self):
        """A network namespace without interfaces, silent (no IPv6 of its own accord)."""
        name = "%sn%d" % (self.tag, len(self.namespaces))  # as ports can have it behind a %
        self.ip("netns", "add", name)
        self.namespaces.append(name)
        self.ip("-n", name, "link", "set", "lo", "up")
        self.run(name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        return name

    def namespace(self, address, switch="vale0", mtu=None):
        """A network namespace with a TAP, t0, that is a port of the switch. Return: its name."""
        name = self.bare_namespace()
        self.nmctl("attach", switch, "tap:t0", "netns=" + name)
        self.ip("-n", name, "addr", "add", address, "dev", "t0")
        if mtu:
            self.ip("-n", name, "link", "set", "t0", "mtu", str(mtu))
        self.ip("-n", name, "link", "set", "t0", "up")
        return name

    def run(self, netns, *cmd, timeout=30):
        """A command in a namespace. Return: its output."""
        try:
            done = subprocess.run(
                ["ip", "netns", "exec", netns, *cmd],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise SiteError("%s: more than %g s" % (" ".join(cmd), timeout)) from None
        if done.returncode != 0:
            raise SiteError(
                "%s: status %d: %s%s" % (" ".join(cmd), done.returncode, done.stdout, done.stderr)
            )
        return done.stdout

    def stop_daemon(self):
        """End netmapd, and with it the workers of TAPs.

        A time limit may have killed it before us; then whoever the workers have started since is
        told, or one that is started for that.
        """
        try:
            try:
                self.nmctl("stop")
            except SiteError:
                self.start_daemon()
                self.nmctl("stop")
            self.daemon.proc.wait(10)
        except (SiteError, OSError, subprocess.TimeoutExpired) as e:
            print("# %s" % e, flush=True)
        self.daemon.stop()

    def close(self, keep=False):
        if keep:
            for p in self.programs:
                print(
                    "# %s: %s" % (p.name, "\n#   ".join(p.output().splitlines()[-8:])), flush=True
                )
        for p in reversed(self.programs):
            if p is not self.daemon:
                p.stop()
        if self.daemon is not None:
            self.stop_daemon()
        for name in self.namespaces:
            self.ip("netns", "del", name, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)
