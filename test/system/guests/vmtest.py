# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of this directory share: a runner, two guests and a namespace on one switch, and
checks of traffic.

The rig itself is test/vm/guests. Addresses: guest i has 10.9.0.i and 02:00:00:00:00:0i, the
namespace 10.9.0.100. A test file is a list of functions that take the images; a machine that can't
have guests ends it with 77 and the reason.
"""
import contextlib
import hashlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import traceback

import guest
import host
import images

NS_IP = "10.9.0.100"
SINK = r"""
import hashlib, socket, sys
s = socket.create_server((sys.argv[1], int(sys.argv[2])))
s.settimeout(60)
print("listening", flush=True)
c, _ = s.accept()
c.settimeout(60)
h, n = hashlib.md5(), 0
while True:
    data = c.recv(1 << 16)
    if not data:
        break
    h.update(data)
    n += len(data)
print("got", n, h.hexdigest(), flush=True)
"""


class Failure(Exception):
    """What was expected did not happen."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def main(*tests):
    """Run the tests that were named, or all; end the process with the status that meson knows."""
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(1)
    )  # a time limit: guests and namespaces end with us all the same
    chosen = sys.argv[1:] or [t.__name__ for t in tests]
    if os.geteuid() != 0:
        print("network namespaces and TAPs take root")
        sys.exit(77)
    try:
        boot = images.Images(os.environ["GUEST_CACHE"])
    except images.Missing as e:
        print(e)
        sys.exit(77)
    failed = skipped = 0
    for test in tests:
        if test.__name__ not in chosen:
            continue
        begin = time.monotonic()
        try:
            test(boot)
            print("ok %s (%.0f s)" % (test.__name__, time.monotonic() - begin), flush=True)
        except images.Missing as e:
            print("skipped %s: %s" % (test.__name__, e), flush=True)
            skipped += 1
        except Exception:
            traceback.print_exc(file=sys.stdout)
            print("FAILED %s" % test.__name__, flush=True)
            failed += 1
    sys.exit(1 if failed else 77 if skipped else 0)


def mac(i):
    return "02:00:00:00:00:%02x" % i


def ip(i):
    return "10.9.0.%d" % i


@contextlib.contextmanager
def guests(boot, *specs, kind=guest.Qemu):
    """A site with a namespace and as many guests as there are specs: keywords for site.server(),
    and "nic" and "guest" for these.

    All boot at once. Yields (site, name of the namespace, guests, servers).
    """
    with host.Site() as site, contextlib.ExitStack() as stack:
        netns = site.namespace(NS_IP + "/24")
        vms, servers = [], []
        for i, spec in enumerate(specs, 1):
            nic, options = spec.pop("nic", {}), spec.pop("guest", {})
            servers.append(site.server("vale0:vm%d" % i, **spec))
            vms.append(
                stack.enter_context(
                    kind(boot, "vm%d" % i, [servers[-1].nic(mac(i), **nic)], site.dir, **options)
                )
            )
            vms[-1].start()
        for i, vm in enumerate(vms, 1):
            vm.wait_up()
            vm.address(ip(i) + "/24")
        yield site, netns, vms, servers


def ping(vm, target, count=2, seconds=20):
    """Until @count answers in a row came."""

    def answers():
        return (
            vm.run("ping -q -c %d -W 2 %s" % (count, target), timeout=10 + 3 * count, check=False)[
                0
            ]
            == 0
        )

    host.wait_until(answers, "%s can't ping %s" % (vm.name, target), seconds)


def carrier(vm, up):
    """Until the guest sees its card's carrier, or sees that it has none."""
    host.wait_until(
        lambda: vm.run("cat /sys/class/net/eth0/carrier").strip() == "%d" % up,
        "%s: carrier is not %s" % (vm.name, "up" if up else "down"),
    )


def serve(vm):
    """Start iperf3's server, and wait until it listens on port 5201."""
    vm.run("iperf3 -s -D; until grep -q :1451 /proc/net/tcp /proc/net/tcp6; do usleep 50000; done")


def iperf(run, target, *options, seconds=1):
    """One iperf3 client. Return: (bit/s as received, fraction of datagrams lost).

    Between two tests the server does not listen for a moment: hence the second try.
    """
    duration = () if "-n" in options else ("-t", "%d" % seconds)
    command = "iperf3 -f k -c %s %s" % (target, " ".join(duration + options))
    text = run("%s || { sleep 1; %s; }" % (command, command))
    lines = [
        line
        for line in text.splitlines()
        if "receiver" in line and ("SUM" in line or "-P" not in options)
    ]
    check(lines, "iperf3 says nothing of a receiver: " + text)
    rate = float(re.search(r"([\d.]+) Kbits/sec", lines[-1]).group(1)) * 1000
    lost = re.search(r"(\d+)/(\d+) \(", lines[-1])
    check(rate > 0, "nothing arrived: " + text)
    return rate, int(lost.group(1)) / max(int(lost.group(2)), 1) if lost else 0


def in_netns(site, netns):
    """run() as a guest's, for a namespace."""
    return lambda command, timeout=30: site.run(netns, "sh", "-c", command, timeout=timeout)


class Transfer:
    """A TCP stream of known bytes from a guest to the namespace, under which other things happen.

    A piece is 2 MB, and takes an emulated nc about a second.
    """

    def __init__(self, site, netns, vm, n_pieces, pause_us=100000, port=5000):
        self.vm, self.n_pieces = vm, n_pieces
        self.sink = site.program(
            "sink-%s-%d" % (vm.name, port), [sys.executable, "-c", SINK, NS_IP, str(port)], netns
        )
        self.sink.wait_for("listening")
        self.piece = pathlib.Path(vm.images.busybox).read_bytes()
        self.tag = vm.begin(
            "{ i=0; while [ $i -lt %d ]; do cat /bin/busybox; usleep %d; i=$((i+1)); done; } | nc %s %d"
            % (n_pieces, pause_us, NS_IP, port)
        )

    def finish(self, seconds=60):
        """All bytes came, and came right."""
        self.vm.finish(self.tag, seconds)
        text = self.sink.finish(seconds)
        whole = hashlib.md5()
        for _ in range(self.n_pieces):
            whole.update(self.piece)
        want = "got %d %s" % (self.n_pieces * len(self.piece), whole.hexdigest())
        check(want in text, "sent %s, but %s" % (want, text))


class Capture:
    """What arrives at the namespace's TAP, for tshark to check."""

    def __init__(self, site, netns, n_bytes=2000):
        self.file = os.path.join(site.dir, "capture-%s.pcap" % netns)
        self.program = site.program(
            "tcpdump-" + netns,
            ["tcpdump", "-n", "-U", "-Q", "in", "-i", "t0", "-s", str(n_bytes), "-w", self.file],
            netns,
        )
        self.program.wait_for("listening on")

    def finish(self):
        """Return: (number of TCP and UDP packets, those with a bad checksum)."""
        time.sleep(0.5)  # the kernel's ring to tcpdump is emptied in batches
        self.program.stop()
        return self.count("tcp or udp"), self.count(
            # Segments that were joined for the TAP have a sum that is to be completed. A TCP sum of
            # 0xffff is what the kernel writes for 0; tshark would have 0.
            "frame.len <= 1514 and (ip.checksum.status == 0 or udp.checksum.status == 0 or "
            "(tcp.checksum.status == 0 and tcp.checksum != 0xffff))"
        )

    def count(self, what):
        out = subprocess.run(
            [
                "tshark",
                "-r",
                self.file,
                "-o",
                "ip.check_checksum:TRUE",
                "-o",
                "tcp.check_checksum:TRUE",
                "-o",
                "udp.check_checksum:TRUE",
                "-Y",
                what,
                "-T",
                "fields",
                "-e",
                "frame.number",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return len(out.stdout.split())


class Later(threading.Thread):
    """Run a function beside the test; join() raises what it raised."""

    def __init__(self, fn, *args):
        super().__init__(daemon=True)
        self.fn, self.args, self.error, self.result = fn, args, None, None
        self.start()

    def run(self):
        try:
            self.result = self.fn(*self.args)
        except Exception as e:  # handed over to who joins
            self.error = e

    def join(self, timeout=60):
        super().join(timeout)
        check(not self.is_alive(), "%s does not end" % self.fn)
        if self.error:
            raise self.error
        return self.result
