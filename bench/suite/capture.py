# SPDX-License-Identifier: BSD-2-Clause
"""
tcpdump -w /dev/null with a filter: the highest rate that is captured without loss.

The same tcpdump as it comes, with its own buffer; the same frames, from the same sender on the first CPU; the
same rates offered one after the other, each twice the one before, until frames are lost, then in between. What is
captured from: a VALE port that is tcpdump's own, one in use by a receiver (a copy monitor), and a veth pair
through AF_PACKET, as tcpdump does it by itself.

Lost is what whoever is on the other side counts (the sender; with a monitor the receiver, as a switch drops what that
one has no room for) and tcpdump does not. "Without loss" allows one frame or 0.01 %, whichever is more, and a rate at
which more are lost has a second try, as one that the sender did not reach: other programs take the CPU away now and then.
"""

import contextlib
import json
import os
import re
import subprocess
import time

import nic
from measure import CannotRun, busy_s, command
from peers import cpu_seconds, wait_until
from processes import heard, interrupt, session_seconds

FIRST_KPPS, LAST_KPPS = 12.5, 12800  # offered: each time twice as much, then two steps in between
STEPS_BETWEEN = 2
FILTER = ("udp", "dst", "port", "9")
REACHED = 0.9  # of the offered rate: with less the sender was held up, or that is its limit
GAIN = 1.1  # by which a sender that is not at its limit gets on when twice as much is offered
TRIES = 2  # of a rate at which frames are lost, or that the sender did not reach
MAX_LOSS = 1e-4  # of the frames; one is allowed in any case
ARRIVE_S = 1.3  # AF_PACKET gives a block that is not full to tcpdump after a second


class Vale:
    """A port of a switch that tcpdump opens itself."""

    capture = "valecap:c"
    load = ("--port", "valecap:t")
    wrapped = True

    def receivers(self, env):
        return contextlib.nullcontext([])

    def is_ready(self, env):
        done = subprocess.run([env.tool("nmctl"), "show", "ports", self.capture], env=env.environ,
                              capture_output=True, text=True, check=False)
        return self.capture in done.stdout


class Monitor(Vale):
    """A port that a receiver uses; tcpdump gets a copy."""

    @contextlib.contextmanager
    def receivers(self, env):
        with heard(env, env.tool("pkt-gen"), "-i", self.capture, "-f", "rx", "-w", "0", "--json",
                   cpu=env.cpus[-1]) as child:
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
        argv.insert(0, env.tool("nm-pcap"))
    with heard(env, *argv, cpu=env.cpus[-1]) as child:
        for line in child.stderr:
            if "listening on" in line:
                break
        else:
            raise CannotRun(f"tcpdump does not capture from {way.capture}")
        yield child


def offer(env, way, kpps, seconds):
    """The figures of one rate, with what passed and what of that was lost."""
    with way.receivers(env) as others, tcpdump(env, way) as child:
        sides = {"tcpdump": child.pid, **{"receiver": o.pid for o in others}}
        before = {name: cpu_seconds(pid) for name, pid in sides.items()}
        busy, begin = busy_s(env.cpus), time.monotonic()
        load = json.loads(command(os.path.join(env.build, "bench", "load"), *way.load, "--pps",
                                  str(kpps * 1000), "--seconds", str(seconds), "--cpu", str(env.cpus[0]),
                                  env=env.environ))
        elapsed, busy = time.monotonic() - begin, busy_s(env.cpus) - busy
        time.sleep(ARRIVE_S)
        used = [{"name": name, "cpu_s": round(cpu_seconds(pid) - before[name], 3)}
                for name, pid in sides.items()]
        got = re.search(r"(\d+) packets? captured", interrupt(child)[1])
        passed = nic.pkt_gen_count(interrupt(others[0])) if others else load["sent"]
    if not got:
        raise CannotRun("tcpdump did not say what it captured")
    rate = passed / load["seconds"]
    figures = {"mpps": rate / 1e6, "ns_per_packet": 1e9 / rate if rate else 0,
               "gbit_s": rate * 60 * 8 / 1e9, "seconds": elapsed,
               "busy_s": busy, "offered_kpps": kpps, "passed": passed,
               "lost": max(0, passed - int(got.group(1))),
               "sides": [*used, {"name": "sender", "cpu_s": round(load["cpu_s"], 3)}]}
    return figures


def lossless(env, way, kpps, seconds):
    """The best figures of a rate without loss, or None if frames are lost at it each time."""
    best = None
    for _ in range(TRIES):
        best = better(best, offer(env, way, kpps, seconds))
        if best is not None and reaches(best):
            break
    return best


def better(best, figures):
    """One of the two, either of which may be no figures; frames were lost is as good as none."""
    if figures is None or figures["lost"] > max(1, figures["passed"] * MAX_LOSS):
        return best
    return figures if best is None or figures["mpps"] > best["mpps"] else best


def reaches(figures):
    return figures["mpps"] * 1000 >= REACHED * figures["offered_kpps"]


def measure(way):
    def best(env, seconds):
        found, good, kpps = None, 0, FIRST_KPPS
        while kpps <= LAST_KPPS:
            figures = lossless(env, way(), kpps, seconds)
            if figures is None:
                break
            if found is not None and not reaches(figures) and figures["mpps"] < GAIN * found["mpps"]:
                return better(found, figures)  # the sender's limit
            found, good = better(found, figures), kpps
            kpps *= 2
        if found is None:
            raise CannotRun(f"frames are lost at {FIRST_KPPS} kpps already")
        step = (kpps - good) / 2
        for _ in range(STEPS_BETWEEN if kpps <= LAST_KPPS else 0):
            figures = lossless(env, way(), good + step, seconds)
            if figures is not None:
                found, good = better(found, figures), good + step
            step /= 2
        return found

    return best


def fixed(way, kpps):
    """The share of one rate that is captured, as field captured."""
    def run(env, seconds):
        figures = offer(env, way(), kpps, seconds)
        figures["captured"] = 1 - figures["lost"] / figures["passed"] if figures["passed"] else 0
        return figures

    return run


def stream(kpps, watched):
    """What a receiver gets of a rate, alone or while tcpdump has a copy monitor on it."""
    def run(env, seconds):
        way = Monitor()
        with contextlib.ExitStack() as stack:
            child = stack.enter_context(heard(env, env.tool("pkt-gen"), "-i", way.capture, "-f", "rx",
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
