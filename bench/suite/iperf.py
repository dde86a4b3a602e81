# SPDX-License-Identifier: BSD-2-Clause
"""
The kernel's own TCP and UDP between two network namespaces: over TAP ports of a VALE switch, over a
Linux bridge and two veth pairs, and over one veth pair, as it is or with nm-bridge between an end and its
host's stack; by iperf3.

All sides share the CPUs of the run, as the scheduler likes. Frames are what the receiving interface counts: with
offloads on either way, a TCP frame is a segment of up to 64 KiB.
"""

import contextlib
import json
import os
import time

from measure import CannotRun, busy_s, command
from peers import Wires, cpu_seconds, namespace, with_daemon
from processes import heard

SENDER, RECEIVER = "10.77.0.1", "10.77.0.2"
OFFERED_KPPS = (100, 150, 200, 0)  # UDP: tried in turn, 0 as fast as it goes; the best counts
DATAGRAM = 18  # bytes, for a frame of 60


class Net:
    """Two namespaces, each with an interface that has an address."""

    def __init__(self, env, holders, names):
        self.env = env
        self.holders = holders
        self.names = names
        for holder, name, address in zip(holders, names, (SENDER, RECEIVER)):
            self.inside(holder, "ip", "address", "add", f"{address}/24", "dev", name)
            self.inside(holder, "ip", "link", "set", name, "up")
        self.inside(holders[0], "ping", "-q", "-c", "1", "-w", "10", RECEIVER)

    @staticmethod
    def inside(holder, *argv):
        return command("nsenter", "--net", "--target", str(holder.pid), *argv)

    def counter(self, name):
        """Of the receiving interface."""
        out = self.inside(self.holders[1], "ip", "-j", "-s", "link", "show", "dev", self.names[1])
        return json.loads(out)[0]["stats64"]["rx"][name]

    def start(self, holder, *argv):
        return heard(self.env, "nsenter", "--net", "--target", holder.pid, "taskset", "-c",
                     ",".join(map(str, self.env.cpus)), "iperf3", *argv)

    def workers(self):
        """Process ids of those who forward."""
        return []

    def run(self, seconds, *options):
        """One transfer. What iperf3 has to say about it, and the processor time of all sides."""
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(self.start(self.holders[1], "-s", "-1", "--forceflush"))
            for line in server.stdout:
                if "listening" in line:
                    break
            else:
                raise CannotRun(f"iperf3 does not run: {server.stderr.read().strip()}; "
                                "scripts/deps bench installs it")
            workers = self.workers()
            before = [cpu_seconds(pid) for pid in workers]
            busy, begin, frames = busy_s(self.env.cpus), time.monotonic(), self.counter("packets")
            client = stack.enter_context(self.start(self.holders[0], "-c", RECEIVER, "-t",
                                                    max(1, round(seconds)), "-J", *options))
            out = client.stdout.read()
            _, _, sender = os.wait4(client.pid, 0)
            frames = self.counter("packets") - frames
            elapsed, busy = time.monotonic() - begin, busy_s(self.env.cpus) - busy
            sides = [{"name": "worker", "cpu_s": round(cpu_seconds(p) - b, 3)}
                     for p, b in zip(workers, before)]
            server.stdout.read()
            _, _, receiver = os.wait4(server.pid, 0)
        document = json.loads(out)
        if "error" in document:
            raise CannotRun(f"iperf3: {document['error']}")
        for name, usage in (("sender", sender), ("receiver", receiver)):
            sides.append({"name": name, "cpu_s": round(usage.ru_utime + usage.ru_stime, 3)})
        return document["end"], {"seconds": elapsed, "busy_s": busy, "sides": sides, "frames": frames}


class Taps(Net):
    """Two TAPs on a VALE switch, each with its worker."""

    def __init__(self, env):
        holders = [namespace(env) for _ in range(2)]
        self.nmctl = ["taskset", "-c", ",".join(map(str, env.cpus)), env.tool("nmctl")]
        self.environ = env.environ
        for holder in holders:
            self.ask("attach", "valebench", "tap:bench0", f"netns=pid:{holder.pid}")
        super().__init__(env, holders, ("bench0", "bench0"))

    def ask(self, *words):
        return command(*self.nmctl, *words, env=self.environ)

    def workers(self):
        ports = json.loads(self.ask("-j", "show", "ports", "valebench"))["ports"]
        return [p["worker_pid"] for p in ports if p.get("worker_pid")]


class Veth(Net):
    """One veth pair: its ends are bench2 in both namespaces."""

    offloads = True

    def __init__(self, env):
        holders = [namespace(env) for _ in range(2)]
        command("ip", "link", "add", "bench2", "netns", str(holders[0].pid), "type", "veth", "peer", "name",
                "bench2", "netns", str(holders[1].pid))
        super().__init__(env, holders, ("bench2", "bench2"))
        if not self.offloads:
            for holder in holders:
                self.inside(holder, "ethtool", "-K", "bench2", "tso", "off", "gso", "off")


class PlainVeth(Veth):
    """Frames of the MTU on it, as on a wire."""

    offloads = False


def behind_rings(side):
    """TCP over the veth pair, with the stack of one side (0 sends, 1 receives) behind its host rings."""
    def measure(env, seconds):
        veth = env.keep(Veth)
        port = f"netmap:bench2%pid:{veth.holders[side].pid}"
        with heard(env, "taskset", "-c", ",".join(map(str, env.cpus)), env.tool("nm-bridge"), "-w", "0", "-i",
                   port) as child:
            for line in child.stderr:
                if "Ready to go" in line:
                    break
            else:
                raise CannotRun("nm-bridge does not run")
            before = cpu_seconds(child.pid)
            figures = tcp(Veth)(env, seconds)
            return with_daemon(figures, "nm-bridge", child.pid, before)
    return measure


def bridge(env):
    wires = Wires(env, "ip")
    command("ip", "link", "add", "bench1", "type", "bridge")
    command("ip", "link", "set", "bench1", "up")
    for port in (wires.tx, wires.rx):
        command("ip", "link", "set", port, "master", "bench1")
    return Net(env, wires.holders, (f"{wires.tx}0", f"{wires.rx}0"))


def net(env, make):
    return env.keep(make)


def figures_of(usage, frames, bits, seconds):
    rate = frames / seconds
    return {"mpps": rate / 1e6, "ns_per_packet": 1e9 / rate if rate else 0, "gbit_s": bits / seconds / 1e9,
            "seconds": usage["seconds"], "busy_s": usage["busy_s"], "sides": usage["sides"]}


def tcp(make):
    def measure(env, seconds):
        end, usage = net(env, make).run(seconds)
        got = end["sum_received"]
        return figures_of(usage, usage["frames"], got["bytes"] * 8, got["seconds"])

    return measure


def udp(make):
    """The highest rate received of several that are offered."""
    def measure(env, seconds):
        best = None
        for kpps in OFFERED_KPPS:
            end, usage = net(env, make).run(seconds, "-u", "-l", str(DATAGRAM), "-b",
                                            str(kpps * 1000 * DATAGRAM * 8))
            got = end["sum"]
            n = got["packets"] - got["lost_packets"]
            figures = figures_of(usage, n, n * 60 * 8, got["seconds"])
            figures["offered_kpps"] = kpps
            if best is None or figures["mpps"] > best["mpps"]:
                best = figures
        return best

    return measure
