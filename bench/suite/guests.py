# SPDX-License-Identifier: BSD-2-Clause
"""
Two real guests under QEMU's software emulation, beside QEMU's own ways to connect them: our device
servers on a VALE switch, tap devices on a Linux bridge, and -netdev stream from one QEMU to the
other.

The emulated processors are the limit, so only the ratios say something: how much of a guest's time
a frame costs. The guests of each kind boot once a run and are stopped (SIGSTOP) while others are
measured. The rig is test/vm/guests; its images must be there, as a run has no network:
test/vm/guests/images.py BUILD/guest-cache.
"""

import os
import re
import signal
import statistics
import sys
import time

import peers
from measure import CannotRun, busy_s, command
from vm import Servers

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "test", "vm", "guests"))

import guest  # noqa: E402
import images  # noqa: E402

DATAGRAM = 18  # bytes, for a frame of 60
MAC = ("02:00:00:00:00:01", "02:00:00:00:00:02")
ADDRESS = ("10.78.0.1", "10.78.0.2")
COUNTER = "cat /sys/class/net/eth0/statistics/rx_packets"


def ours(env):
    """Cards of two nm-vhost-user, and those who move the frames."""
    servers = env.stack.enter_context(Servers(env, False, "valeguest", ("guest0", "guest1")))
    return [guest.Nic(socket=s, mac=m) for s, m in zip(servers.sockets, MAC)], servers.processes


def bridge(_):
    """Cards on two taps of a Linux bridge, in the network namespace of the run."""
    command("ip", "link", "add", "gbridge", "type", "bridge")
    command("ip", "link", "set", "gbridge", "up")
    nics = []
    for n, mac in enumerate(MAC):
        command("ip", "tuntap", "add", f"gtap{n}", "mode", "tap", "vnet_hdr")
        command("ip", "link", "set", f"gtap{n}", "master", "gbridge", "up")
        nics.append(guest.Nic(mac=mac, backend=f"tap,ifname=gtap{n},script=no,downscript=no"))
    return nics, []


def stream(env):
    """Cards joined by a UNIX stream between the two QEMUs; the first one listens."""
    address = f"addr.type=unix,addr.path={env.path('gstream')}"
    return [
        guest.Nic(mac=m, backend=f"stream,server={on},{address}")
        for m, on in zip(MAC, ("on", "off"))
    ], []


class Pair:
    """Two guests that can ping each other. Stopped unless within a with."""

    def __init__(self, env, make):
        try:
            boot = images.Images(os.path.join(env.build, "guest-cache"))
            nics, self.processes = make(env)
            self.vms = [
                env.stack.enter_context(
                    guest.Qemu(boot, f"{make.__name__}{n}", [nic], env.directory)
                )
                for n, nic in enumerate(nics)
            ]
            for vm in self.vms:
                vm.start()
                time.sleep(0.5)  # one QEMU of a stream has to listen first
            for vm, address in zip(self.vms, ADDRESS):
                vm.wait_up()
                vm.address(address + "/24")
            self.vms[0].run(f"ping -q -c 10 -A {ADDRESS[1]}", timeout=40)
            self.vms[1].run(
                "iperf3 -s -D; until grep -q :1451 /proc/net/tcp /proc/net/tcp6; do usleep 50000; done"
            )
        except (images.Missing, guest.GuestError) as e:
            raise CannotRun(str(e).strip().splitlines()[0]) from None
        for vm in self.vms:
            self.processes = [*self.processes, (vm.name, vm.proc.pid)]
        self.signal(signal.SIGSTOP)

    def signal(self, sig):
        for vm in self.vms:
            vm.proc.send_signal(sig)

    def __enter__(self):
        self.signal(signal.SIGCONT)
        for vm in self.vms:
            vm.run("true")
        return self

    def __exit__(self, *_):
        self.signal(signal.SIGSTOP)


def measured(make, what):
    """A measurement: what(sender, seconds) gives the figures of its own."""

    def measure(env, seconds):
        pair = env.keep(Pair, make)
        with pair:
            try:
                before = [peers.cpu_seconds(pid) for _, pid in pair.processes]
                busy, begin = busy_s(env.cpus), time.monotonic()
                frames = int(pair.vms[1].run(COUNTER))
                found = what(pair.vms[0], max(1, round(seconds)))
                frames = int(pair.vms[1].run(COUNTER)) - frames
                elapsed = time.monotonic() - begin
            except guest.GuestError as e:
                raise CannotRun(str(e).strip().splitlines()[0]) from None
            sides = [
                {"name": name, "cpu_s": round(peers.cpu_seconds(pid) - b, 3)}
                for (name, pid), b in zip(pair.processes, before)
            ]
            return with_rate(
                found,
                frames,
                elapsed,
                {"seconds": elapsed, "busy_s": busy_s(env.cpus) - busy, "sides": sides},
            )

    return measure


def with_rate(found, frames, elapsed, usage):
    if "latency_ns" in found:
        return {**usage, **found}
    frames = found.pop("frames", frames)
    rate = frames / found.pop("window", elapsed)
    if rate == 0:
        raise CannotRun("no frame arrived")
    return {**usage, "packets": frames, "mpps": rate / 1e6, "ns_per_packet": 1e9 / rate, **found}


def received(text):
    """(seconds, bit/s, lost, all) of iperf3's line about the receiver."""
    for line in text.splitlines():
        match = re.search(r"([\d.]+)-([\d.]+) +sec .* ([\d.]+) Kbits/sec", line)
        if match and "receiver" in line:
            lost = re.search(r"(\d+)/(\d+) \(", line)
            lost, total = map(int, lost.groups()) if lost else (0, 0)
            return (
                float(match.group(2)) - float(match.group(1)),
                float(match.group(3)) * 1e3,
                lost,
                total,
            )
    raise CannotRun("iperf3 says nothing of the receiver")


def tcp(vm, seconds):
    text = vm.run(f"iperf3 -f k -c {ADDRESS[1]} -t {seconds}", timeout=seconds + 30)
    return {"gbit_s": received(text)[1] / 1e9}


def udp(vm, seconds):
    """Small datagrams, as fast as the guest sends: what the other one got."""
    text = vm.run(
        f"iperf3 -f k -c {ADDRESS[1]} -t {seconds} -u -b 0 -l {DATAGRAM}", timeout=seconds + 30
    )
    window, _, lost, total = received(text)
    return {
        "frames": total - lost,
        "window": window,
        "gbit_s": (total - lost) * 60 * 8 / window / 1e9,
    }


def ping(vm, seconds):
    text = vm.run(
        f"ping -c {50 * seconds} -i 0.02 {ADDRESS[1]}", timeout=seconds + 30, check=False
    )[1]
    times = sorted(float(t) * 1e6 for t in re.findall(r"time=([\d.]+) ms", text))
    if not times:
        raise CannotRun("no answer came")
    return {
        "samples": len(times),
        "lost": 50 * seconds - len(times),
        "latency_ns": {
            "median": statistics.median(times),
            "p99": times[len(times) * 99 // 100],
            "min": times[0],
            "max": times[-1],
        },
    }
