# SPDX-License-Identifier: BSD-2-Clause
"""
One end of a veth pair as a port, through the kernel: pkt-gen and nm-bridge beside the least that AF_XDP
takes (peer_xsk) and beside AF_PACKET's programs.

    namespace a        namespace b (measured)        namespace c
    nicin0 --veth-- nicin1   ...   nicout0 --veth-- nicout1

Whatever sends or forwards: what leaves nicout0 is counted, by the interface itself. What comes in is
made by bench/flood, which is faster than whoever receives. Nothing listens on nicout1; frames are for
another host's address, so the stack there drops them first thing.
"""

import contextlib
import json
import os
import re
import subprocess
import time

from measure import CannotRun, busy_s, command
from peers import namespace, wait_until
from processes import OURS, cpu_seconds, heard, interrupt, listed, process, session_seconds

IN, IN_PEER, OUT, OUT_PEER = "nicin1", "nicin0", "nicout0", "nicout1"
WARM_UP_S = 0.3
BATCH = 256
OTHER_HOST, SOURCE = "02:00:00:00:00:02", "02:00:00:00:00:01"


def figures(packets, seconds, sides, busy):
    """Of a window: sides are pairs of a name and CPU time."""
    rate = packets / seconds
    if rate == 0:
        raise CannotRun("no frame passed")
    return {"mpps": rate / 1e6, "ns_per_packet": 1e9 / rate, "gbit_s": rate * 60 * 8 / 1e9,
            "seconds": seconds, "busy_s": busy,
            "sides": [{"name": name, "cpu_s": round(cpu_s, 4)} for name, cpu_s in sides]}


def window(env, seconds, sides, count):
    """Wait until frames pass, let things settle, and measure. sides: name to process."""
    first = count()

    def passes():
        for name, child in sides.items():
            if child.poll() is not None:
                raise CannotRun(f"the {name} ended with {child.returncode}")
        return count() > first

    wait_until(passes, "traffic")
    time.sleep(WARM_UP_S)
    cpu = {name: session_seconds(child.pid) for name, child in sides.items()}
    begin, busy, before = time.monotonic(), busy_s(env.cpus), count()
    time.sleep(seconds)
    passed, elapsed = count() - before, time.monotonic() - begin
    busy = busy_s(env.cpus) - busy
    return figures(passed, elapsed,
                   [(name, session_seconds(child.pid) - cpu[name]) for name, child in sides.items()], busy)


class Wire:
    """Three namespaces with two veth pairs between them."""

    def __init__(self, env):
        self.holders = []
        for _ in range(3):
            holder = namespace(env)
            self.holders.append(holder)
            command(*self.inside(holder), "sh", "-c",
                    "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
        a, b, c = self.holders
        for left, there, right, here in ((IN_PEER, a, IN, b), (OUT, b, OUT_PEER, c)):
            command("ip", "link", "add", left, "type", "veth", "peer", "name", right)
            for name, holder in ((left, there), (right, here)):
                command("ip", "link", "set", name, "netns", str(holder.pid))
                command(*self.inside(holder), "ip", "link", "set", name, "up")
        # Without a program on it, an end takes redirected frames only in NAPI.
        command(*self.inside(b), "ethtool", "-K", IN, "gro", "on")
        self.namespace = f"/proc/{b.pid}/ns/net"

    @staticmethod
    def inside(holder):
        return ["nsenter", "--net", "--target", str(holder.pid)]

    def port(self, interface):
        return f"netmap:{interface}%pid:{self.holders[1].pid}"

    def here(self, *argv):
        """A command of the middle namespace."""
        return [*self.inside(self.holders[1]), *argv]

    def transmitted(self):
        """Frames that have left OUT."""
        with open(f"/proc/{self.holders[1].pid}/net/dev", encoding="ascii") as f:
            for line in f:
                name, _, rest = line.partition(":")
                if name.strip() == OUT:
                    return int(rest.split()[9])
        raise CannotRun(f"{OUT} has gone")

    def flood(self, env, seconds):
        """Frames into IN, from the first CPU."""
        return heard(env, *self.inside(self.holders[0]), os.path.join(env.build, "bench", "flood"), "--if",
                     IN_PEER, "--seconds", seconds, "--cpu", env.cpus[0], cpu=env.cpus[0])


def wire(env):
    return env.keep(Wire)


def pkt_gen_count(said):
    """Packets of a run with --json."""
    for line in said[0].splitlines():
        entry = json.loads(line)
        if entry.get("type") == "final":
            return entry["packets"]
    raise CannotRun("pkt-gen did not say what it received")


# ---- sending -------------------------------------------------------------------------------------


def sending(env, seconds, *argv):
    w = wire(env)
    with process(*argv, env=env.environ, cpus={env.cpus[0]}) as child:
        return window(env, seconds, {"sender": child}, w.transmitted)


def pkt_gen_tx(env, seconds):
    return sending(env, seconds, env.tool("pkt-gen"), "-i", wire(env).port(OUT), "-f", "tx", "-w", "0",
                   "-b", str(BATCH), "-S", SOURCE, "-D", OTHER_HOST)


def xsk(*args):
    """peer_xsk, which counts for itself."""
    def measure(env, seconds):
        w = wire(env)
        where = {"--tx": "--tx-ns", "--rx": "--rx-ns", "--in": "--mid-ns"}[args[0]]
        argv = ["--batch", BATCH, "--unaligned", *args, where, w.namespace]
        with contextlib.ExitStack() as stack:
            if args[0] != "--tx":
                stack.enter_context(w.flood(env, seconds + 10))
            # Its program is attached while frames come: a while until they come there.
            found = env.program("peer_xsk", *argv, "--warm-up", 3 * WARM_UP_S, seconds=seconds)
        if args[0] == "--in":
            found["forwarder_ns"] = forwarder_ns(found)
        if args[0] != "--tx":
            found["sides"].append({"name": "flood", "cpu_s": found["seconds"]})
        return found
    return measure


def trafgen(env, seconds):
    frame = "{ 2,0,0,0,0,2, 2,0,0,0,0,1, 8,0, fill(0x41, 46) }"
    return sending(env, seconds, *wire(env).here("trafgen", "--dev", OUT, "--cpus", "1",
                                                 "--no-cpu-stats", frame))


def is_open(env, port):
    """Is there such a port? netmapd says so by its name, without the prefix."""
    done = subprocess.run([env.tool("nmctl"), "show", "ports", port.removeprefix("netmap:")],
                          env=env.environ, capture_output=True, text=True, check=False)
    return done.returncode == 0 and port.removeprefix("netmap:") in done.stdout


# ---- receiving -----------------------------------------------------------------------------------


def receiving(env, seconds, ready, count, *argv):
    """A receiver on the last CPU; count() finds in what it said at the end how many frames it had."""
    w = wire(env)
    with heard(env, *argv, cpu=env.cpus[-1]) as child:
        ready(child)
        with w.flood(env, seconds) as sender:
            begin, busy = time.monotonic(), busy_s(env.cpus)
            said, complaint = sender.communicate(timeout=seconds + 10)
            busy = (busy_s(env.cpus) - busy) / (time.monotonic() - begin)
            if sender.returncode != 0:
                raise CannotRun(complaint.strip() or "the sender failed")
            elapsed = json.loads(said)["seconds"]
            cpu = cpu_seconds(child.pid)
        received = count(interrupt(child))
    return figures(received, elapsed, [("receiver", cpu), ("sender", elapsed)], busy * elapsed)


def pkt_gen_rx(*args):
    def measure(env, seconds):
        port = wire(env).port(IN)

        def ready(_child):
            wait_until(lambda: is_open(env, port), "the receiver")

        return receiving(env, seconds, ready, pkt_gen_count, env.tool("pkt-gen"), "-i",
                         port, "-f", "rx", "-w", "0", "-b", str(BATCH), "--json", *args)
    return measure


def tcpdump(env, seconds):
    def ready(child):
        for line in child.stderr:
            if "listening on" in line:
                return
        raise CannotRun("tcpdump does not capture")

    def count(said):
        got = re.search(r"(\d+) packets? captured", said[1])
        if not got:
            raise CannotRun("tcpdump did not say what it captured")
        return int(got.group(1))

    return receiving(env, seconds, ready, count,
                     *wire(env).here("tcpdump", "-Z", "root", "-n", "-i", IN, "-w", "/dev/null"))


# ---- forwarding ----------------------------------------------------------------------------------


def copied(env, port):
    """Frames that we had to copy, and system calls, on both sides of a port."""
    shown = json.loads(command(env.tool("nmctl"), "-j", "show", "ports", port.removeprefix("netmap:"),
                               env=env.environ))
    return shown["ports"][0]["interface"]["copied"]


def forwarder_ns(found):
    """CPU time of the forwarder for a frame."""
    cpu_s = sum(side["cpu_s"] for side in found["sides"] if side["name"] == "forwarder")
    return 1e3 * cpu_s / found["seconds"] / found["mpps"]


def forwarding(env, seconds, *argv, counted=()):
    """A forwarder on the last CPU."""
    w = wire(env)
    with process(*argv, env=env.environ, cpus={env.cpus[-1]}) as child, w.flood(env, seconds + 10):
        found = window(env, seconds, {"forwarder": child}, w.transmitted)
        if counted:
            found["copies"] = sum(copied(env, p) for p in counted) / (found["mpps"] * 1e6 * seconds)
    found["forwarder_ns"] = forwarder_ns(found)
    found["sides"].append({"name": "sender", "cpu_s": found["seconds"]})
    return found


def nm_bridge(env, seconds):
    w = wire(env)
    ports = [w.port(IN), w.port(OUT)]
    return forwarding(env, seconds, env.tool("nm-bridge"), "-i", ports[0], "-i", ports[1], "-w", "0",
                      counted=ports)


def joined_bridge(env, seconds):
    """All four ends are ports: both pairs are joined, and frames never see the kernel."""
    w = wire(env)
    first, last = w.holders[0].pid, w.holders[2].pid
    ports = [w.port(IN), w.port(OUT)]
    with process(env.tool("nm-bridge"), "-i", ports[0], "-i", ports[1], "-w", "0", env=env.environ,
                 cpus={env.cpus[-1]}) as child:
        wait_until(lambda: all(is_open(env, p) for p in ports), "nm-bridge")
        before = cpu_seconds(child.pid)
        found = env.program("ours_pair", "--kind", "nic", "--numbered", "--from", f"{IN_PEER}%pid:{first}", "--to",
                            f"{OUT_PEER}%pid:{last}", seconds=seconds)
        found["sides"].append({"name": "forwarder", "cpu_s": round(cpu_seconds(child.pid) - before, 4)})
        found["copies"] = sum(copied(env, p) for p in ports) / (found["mpps"] * 1e6 * seconds)
        found["forwarder_ns"] = forwarder_ns(found)
    return found


# ---- both ends by AF_PACKET ----------------------------------------------------------------------


def packet_pair(env, seconds):
    """From one end of a veth pair to the other, as ours/veth-60, by rings of AF_PACKET."""
    w = wire(env)
    return env.program("peer_packet", "--tx", OUT, "--tx-ns", w.namespace, "--rx", OUT_PEER, "--rx-ns",
                       f"/proc/{w.holders[2].pid}/ns/net", seconds=seconds)


# ---- attached and idle ---------------------------------------------------------------------------

SWITCH = "valenic"
IDLE_S = 2.0


def daemons_seconds():
    """CPU time so far of netmapd and its workers."""
    return sum(cpu_seconds(p.pid) for p in listed() if p.name.startswith(OURS))


def paced(env, seconds):
    """An interface that is attached to a switch: asleep for a while, then one frame a second."""
    w = wire(env)
    attached = w.port(IN).removeprefix("netmap:")
    nmctl = env.tool("nmctl")
    command(nmctl, "attach", SWITCH, attached, env=env.environ)
    try:
        time.sleep(0.5)
        begin, before = time.monotonic(), daemons_seconds()
        time.sleep(IDLE_S)
        idle = (daemons_seconds() - before) / (time.monotonic() - begin)
        before = daemons_seconds()
        found = env.program("paced_wire", "--if", IN_PEER, "--ns", f"/proc/{w.holders[0].pid}/ns/net",
                            "--port", f"{SWITCH}:r", "--interval", 1, seconds=seconds)
        found["sides"].append({"name": "netmapd and worker",
                               "cpu_s": round(daemons_seconds() - before, 4)})
        found["idle_cpus"] = idle
        return found
    finally:
        command(nmctl, "detach", SWITCH, attached, env=env.environ)
