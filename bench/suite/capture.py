# SPDX-License-Identifier: BSD-2-Clause
"""
tcpdump -w /dev/null with a filter: the highest rate that is captured without loss.

The same tcpdump, the same frames, the same rates offered one after the other, each twice the one before,
until a frame is lost, then in between: of a VALE port that is tcpdump's own, of one in use by a receiver (a copy monitor), and of
a veth pair through AF_PACKET, as tcpdump does it by itself.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import time

import nic
from measure import CannotRun, busy_s, command
from peers import cpu_seconds, wait_until
from processes import heard, interrupt, process, session_seconds

FIRST_KPPS, LAST_KPPS = 100, 12800  # offered: each time twice as much, then two steps in between
STEPS_BETWEEN = 2
FILTER = ("udp", "dst", "port", "9")
REACHED = 0.9  # of the offered rate: less is the sender's limit


def tool(env, name):
    return os.path.join(env.build, "tools", name, name)


class Vale:
    """A port of a switch that tcpdump opens itself."""

    capture = "valecap:c"
    load = ("--port", "valecap:t")
    wrapped = True

    def receivers(self, env):
        return contextlib.nullcontext([])

    def is_ready(self, env):
        done = subprocess.run([tool(env, "nmctl"), "show", "ports", self.capture], env=env.environ,
                              capture_output=True, text=True, check=False)
        return self.capture in done.stdout


class Monitor(Vale):
    """A port that a receiver uses; tcpdump gets a copy."""

    @contextlib.contextmanager
    def receivers(self, env):
        with process(tool(env, "pkt-gen"), "-i", self.capture, "-f", "rx", env=env.environ,
                     cpus={env.cpus[-1]}) as child:
            wait_until(lambda: self.is_ready(env), "the receiver")
            yield [child]


class Packet:
    """One end of a veth pair, the kernel's way."""

    capture = "cap1"
    load = ("--if", "cap0")
    wrapped = False

    @contextlib.contextmanager
    def receivers(self, env):
        if not os.path.exists(f"/proc/sys/net/ipv4/conf/{self.capture}"):
            command("ip", "link", "add", "cap0", "type", "veth", "peer", "name", self.capture)
            command("ip", "link", "set", "cap0", "up")
            command("ip", "link", "set", self.capture, "up")
        yield []


@contextlib.contextmanager
def tcpdump(env, way):
    """Ready to capture, on the last CPU."""
    argv = ["tcpdump", "-Z", "root", "-n", "-i", way.capture, "-w", "/dev/null", *FILTER]
    if way.wrapped:
        argv.insert(0, tool(env, "nm-pcap"))
    with heard(env, *argv, cpu=env.cpus[-1]) as child:
        for line in child.stderr:
            if "listening on" in line:
                break
        else:
            raise CannotRun(f"tcpdump does not capture from {way.capture}")
        yield child


def offer(env, way, kpps, seconds):
    """Return the figures of one rate, and how many frames were lost."""
    with way.receivers(env) as others, tcpdump(env, way) as child:
        sides = {"tcpdump": child.pid, **{"receiver": o.pid for o in others}}
        before = {name: cpu_seconds(pid) for name, pid in sides.items()}
        busy, begin = busy_s(env.cpus), time.monotonic()
        load = json.loads(command(os.path.join(env.build, "bench", "load"), *way.load, "--pps",
                                  str(kpps * 1000), "--seconds", str(seconds), "--cpu", str(env.cpus[0]),
                                  env=env.environ))
        time.sleep(0.2)  # what is on its way arrives
        elapsed, busy = time.monotonic() - begin, busy_s(env.cpus) - busy
        used = [{"name": name, "cpu_s": round(cpu_seconds(pid) - before[name], 3)}
                for name, pid in sides.items()]
        child.send_signal(signal.SIGINT)
        said = child.stderr.read()
        got = re.search(r"(\d+) packets? captured", said)
        dropped = re.search(r"(\d+) packets? dropped by kernel", said)
    if not got or not dropped:
        raise CannotRun("tcpdump did not say what it captured")
    # What the receiver of a monitored port has no room for does not pass there.
    passed = int(got.group(1)) + int(dropped.group(1)) if others else load["sent"]
    rate = passed / load["seconds"]
    figures = {"mpps": rate / 1e6, "ns_per_packet": 1e9 / rate if rate else 0,
               "gbit_s": rate * 60 * 8 / 1e9, "seconds": elapsed,
               "busy_s": busy, "offered_kpps": kpps,
               "sides": [*used, {"name": "sender", "cpu_s": round(load["cpu_s"], 3)}]}
    return figures, passed - int(got.group(1))


def measure(way):
    def best(env, seconds):
        found, good, kpps = None, 0, FIRST_KPPS
        while kpps <= LAST_KPPS:
            figures, lost = offer(env, way(), kpps, seconds)
            if lost > 0:
                break
            found, good = figures, kpps
            if figures["mpps"] * 1000 < REACHED * kpps:
                return found  # the sender's limit
            kpps *= 2
        if found is None:
            raise CannotRun(f"frames are lost at {FIRST_KPPS} kpps already")
        step = (kpps - good) / 2
        for _ in range(STEPS_BETWEEN if kpps <= LAST_KPPS else 0):
            figures, lost = offer(env, way(), good + step, seconds)
            if lost == 0:
                found, good = figures, good + step
            step /= 2
        return found

    return best


def fixed(way, kpps):
    """The share of one rate that is captured, as field captured."""
    def run(env, seconds):
        figures, lost = offer(env, way(), kpps, seconds)
        sent = figures["mpps"] * 1e6 * seconds
        figures["captured"] = 1 - lost / sent if sent else 0
        return figures

    return run


def stream(kpps, watched):
    """What a receiver gets of a rate, alone or while tcpdump has a copy monitor on it."""
    def run(env, seconds):
        way = Monitor()
        with contextlib.ExitStack() as stack:
            child = stack.enter_context(heard(env, tool(env, "pkt-gen"), "-i", way.capture, "-f", "rx",
                                                 "-w", "0", "--json", cpu=env.cpus[-1]))
            wait_until(lambda: way.is_ready(env), "the receiver")
            if watched:
                stack.enter_context(tcpdump(env, way))
            busy, begin = busy_s(env.cpus), time.monotonic()
            load = json.loads(command(os.path.join(env.build, "bench", "load"), *way.load, "--pps",
                                      str(kpps * 1000), "--seconds", str(seconds), "--cpu",
                                      str(env.cpus[0]), env=env.environ))
            elapsed, busy = time.monotonic() - begin, busy_s(env.cpus) - busy
            used = session_seconds(child.pid)
            packets = nic.pkt_gen_count(interrupt(child))
        return nic.figures(packets, load["seconds"], [("sender", load["cpu_s"]), ("receiver", used)],
                           busy * load["seconds"] / elapsed)

    return run
