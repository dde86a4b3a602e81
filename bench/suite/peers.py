# SPDX-License-Identifier: BSD-2-Clause
"""
The peers: packages of the distribution that carry frames between two processes as well.

Daemons run only while they are measured, so that they do not take time from others. Interfaces are
made once a run, for an idle veth pair costs nothing and removing one takes the kernel a while.
"""

import contextlib
import os
import sys
import time

import testpmd
from measure import CannotRun, command
from processes import process

START_S = 10  # a daemon that is not ready by then will not be


# ---- wires: what AF_PACKET sends into and receives from ------------------------------------------


def namespace(env):
    """A network namespace of its own. Return: the process that holds it, until env ends."""
    own = os.readlink("/proc/self/ns/net")
    holder = env.stack.enter_context(process("unshare", "--net", "sleep", "infinity"))
    wait_until(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != own, "a network namespace")
    return holder


class Wires:
    """Two veth pairs with their outer ends in namespaces of their own: inner ends {name}t, {name}r."""

    def __init__(self, env, name):
        self.name = name
        self.tx, self.rx = f"{name}t", f"{name}r"
        self.holders = []
        for end in (self.tx, self.rx):
            holder = namespace(env)
            self.holders.append(holder)
            outer = f"{end}0"
            command("ip", "link", "add", end, "type", "veth", "peer", "name", outer)
            command("ip", "link", "set", outer, "netns", str(holder.pid))
            command("ip", "link", "set", end, "up")
            command("nsenter", "--net", "--target", str(holder.pid), "ip", "link", "set", outer, "up")

    def measure(self, env, frame, seconds):
        namespaces = [f"/proc/{h.pid}/ns/net" for h in self.holders]
        return env.program("peer_packet", "--frame", frame, "--tx", f"{self.tx}0", "--rx",
                           f"{self.rx}0", "--tx-ns", namespaces[0], "--rx-ns", namespaces[1],
                           seconds=seconds)


def wait_until(ready, what):
    """Wait for a condition, with a deadline."""
    limit = time.monotonic() + START_S
    while not ready():
        if time.monotonic() > limit:
            raise CannotRun(f"{what} did not come up within {START_S} s")
        time.sleep(0.01)


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def with_daemon(figures, name, pid, before):
    """Add a daemon to the sides of a measurement; its CPU time includes the warm-up."""
    figures["sides"].append({"name": name, "cpu_s": round(cpu_seconds(pid) - before, 3)})
    return figures


# ---- our own ports on a veth pair ----------------------------------------------------------------


class VethPair:
    """The two ends of one veth pair, each in a namespace of its own."""

    def __init__(self, env):
        self.ports = []
        holders = [namespace(env) for _ in range(2)]
        command("ip", "link", "add", "joint", "type", "veth", "peer", "name", "joinr")
        for name, holder in zip(("joint", "joinr"), holders):
            inside = ("nsenter", "--net", "--target", str(holder.pid))
            # Before it comes: a frame of the stack's, which no receiver takes for the sender's.
            command(*inside, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
            command("ip", "link", "set", name, "netns", str(holder.pid))
            command(*inside, "ip", "link", "set", name, "up")
            self.ports.append(f"{name}%pid:{holder.pid}")


def veth(*args):
    def measure(env, seconds):
        pair = env.keep(VethPair)
        return env.program("ours_pair", "--kind", "nic", "--from", pair.ports[0], "--to",
                           pair.ports[1], *args, seconds=seconds)
    return measure


# ---- Linux bridge --------------------------------------------------------------------------------


class Bridge:
    """A bridge with two ports. The second CPU takes the frames from the sender's veth: with the
    default, all of the way would be the sending CPU's work, and the peer slower than it can be."""

    def __init__(self, env):
        self.wires = Wires(env, "br")
        command("ip", "link", "add", "bench0", "type", "bridge")
        command("ip", "link", "set", "bench0", "up")
        for port in (self.wires.tx, self.wires.rx):
            command("ip", "link", "set", port, "master", "bench0")
        sysfs = env.path("sys")
        os.makedirs(sysfs, exist_ok=True)
        command("mount", "-t", "sysfs", "sysfs", sysfs)  # /sys still shows the outer namespace
        try:
            with open(f"{sysfs}/class/net/{self.wires.tx}/queues/rx-0/rps_cpus", "w",
                      encoding="ascii") as f:
                f.write(f"{1 << env.cpus[-1]:x}")
        except PermissionError:
            print("bench/run: only root may spread the bridge's work over two CPUs (RPS): "
                  "its figures are those of one", file=sys.stderr)
        finally:
            command("umount", sysfs)


def bridge(frame):
    def measure(env, seconds):
        return env.keep(Bridge).wires.measure(env, frame, seconds)

    return measure


# ---- Open vSwitch --------------------------------------------------------------------------------


@contextlib.contextmanager
def running_open_vswitch(env, wires):
    """Its two daemons on a new database, with a bridge of the user-space datapath."""
    directory = env.path("ovs")
    os.makedirs(directory, exist_ok=True)
    files = {name: os.path.join(directory, name) for name in ("conf.db", "db.sock", "db.log", "sw.log")}
    for name in files.values():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    socket = f"unix:{files['db.sock']}"
    environ = dict(env.environ, OVS_RUNDIR=directory, OVS_LOGDIR=directory, OVS_DBDIR=directory,
                   OVS_SYSCONFDIR=directory)
    command("ovsdb-tool", "create", files["conf.db"], "/usr/share/openvswitch/vswitch.ovsschema")
    with process("ovsdb-server", files["conf.db"], f"--remote=p{socket}", env=environ,
                 log=files["db.log"]):
        wait_until(lambda: os.path.exists(files["db.sock"]), "ovsdb-server")
        command("ovs-vsctl", f"--db={socket}", "--no-wait", "init", env=environ)
        with process("ovs-vswitchd", socket, env=environ, cpus=env.cpus, log=files["sw.log"]) as switch:
            command("ovs-vsctl", f"--db={socket}", "--timeout=10", "--", "add-br", "ovs0", "--", "set",
                    "bridge", "ovs0", "datapath_type=netdev", "--", "add-port", "ovs0", wires.tx,
                    "--", "add-port", "ovs0", wires.rx, env=environ)
            yield switch


def open_vswitch(frame):
    def measure(env, seconds):
        wires = env.keep(Wires, "ovs")
        with running_open_vswitch(env, wires) as switch:
            before = cpu_seconds(switch.pid)
            figures = wires.measure(env, frame, seconds)
            return with_daemon(figures, "ovs-vswitchd", switch.pid, before)

    return measure


# ---- VDE -----------------------------------------------------------------------------------------


def vde(frame):
    def measure(env, seconds):
        sockets = env.path("vde")
        with process("vde_switch", "-s", sockets, cpus=env.cpus) as switch:
            wait_until(lambda: os.path.exists(f"{sockets}/ctl"), "vde_switch")
            before = cpu_seconds(switch.pid)
            figures = env.program("peer_vde", "--frame", frame, "--switch", sockets, seconds=seconds)
            return with_daemon(figures, "vde_switch", switch.pid, before)

    return measure


# ---- DPDK ----------------------------------------------------------------------------------------


def testpmd_ring(env, seconds):
    """Two ports, each a ring whose output is its own input. One core moves mbufs from the first to
    the second, the other back: each hand-over is one enqueue on one core and one dequeue on the
    other. Nobody looks into the mbufs. The figure is the number of hand-overs."""
    a, b = env.cpus[0], env.cpus[-1]
    with testpmd.Testpmd(env, "ring", f"0@{a},1@{a},2@{b}", ["net_ring0", "net_ring1"],
                         "--forward-mode=io", "--nb-cores=2") as pmd:
        pmd.command("start tx_first 8")
        return testpmd.rates(env, [pmd], [pmd], 0, seconds)


def testpmd_memif(frame):
    def measure(env, seconds):
        a, b = env.cpus[0], env.cpus[-1]
        memif = f"net_memif0,socket={env.path('memif.sock')},socket-abstract=no,role="
        with testpmd.Testpmd(env, "rx", f"0@{b},1@{b}", [memif + "server"],
                             "--forward-mode=rxonly") as rx, \
             testpmd.Testpmd(env, "tx", f"0@{a},1@{a}", [memif + "client"], "--forward-mode=txonly",
                             f"--txpkts={frame}") as tx:
            rx.command("start")
            tx.command("start")
            return testpmd.rates(env, [rx], [tx, rx], frame, seconds)

    return measure
