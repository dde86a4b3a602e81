# SPDX-License-Identifier: BSD-2-Clause
"""
From virtual machine to virtual machine, without the machines: test/vm's vm-fe plays two guests with
virtio-net cards towards our device server and towards its peers, all by vhost-user.

The guests sleep when they have nothing to do, as real ones do, and have rings of 1024 descriptors.
A rate is what the receiving guest has got; what a full receiver makes a switch drop does not count.
With traffic in both directions it is the mean of the two.

On two CPUs four or more parties share: for ours each guest has a CPU together with its server.
DPDK's forwarding thread, which never sleeps, has a CPU for itself, and both guests have the other
one.
"""

import contextlib
import json
import os
import signal
import time

import peers
import testpmd
from measure import CannotRun, command
from processes import output, process

RING = 1024
RX_BUF = 1524  # with its header 1536 bytes, as a Linux guest posts for this MTU
GSO_SIZE = 1448
SEGMENT = 65226  # the longest frame that 45 full segments of TCP make
TESTPMD_MB = 512
OVS_EAL = "--no-huge --legacy-mem --no-pci --no-shconf --no-telemetry -m 512"
OVS_SWITCH = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
CONNECT_S = 3  # Open vSwitch looks for its clients once a second
FEATURES = "event,indirect,merge,ack,status,slots,mq"


class Guests:
    """How the two guests behave: vm-fe's options and the roles of the first and the second."""

    def __init__(
        self, frame=60, roles=("send", "recv"), options=(), features=FEATURES, latency=False
    ):
        self.frame, self.roles, self.latency = frame, roles, latency
        self.options = ["--ring", RING, "--rx-buf", RX_BUF, "--frame", frame]
        self.options += ["--with", features, *options]


def frames(size):
    return Guests(size)


def both_ways(size):
    return Guests(size, ("both", "both"))


def segments():
    """64 KiB at once, checksum and segmentation left to whoever wants them."""
    return Guests(SEGMENT, options=("--tso", GSO_SIZE), features=FEATURES + ",tso")


def requests(rate):
    """One frame there and back; rate 0: the next as soon as the answer is there."""
    return Guests(60, ("ping", "echo"), ("--rate", rate), latency=True)


# ---- running vm-fe -------------------------------------------------------------------------------


def run_guests(env, guests, sockets, cpus, processes, seconds, warm_up=0.3, listens=False):
    """Figures like those of our C programs. processes: (name, pid) of whoever moves the frames."""
    path = os.path.join(env.build, "test", "vm", "vm-fe")
    if not os.path.exists(path):
        raise CannotRun("vm-fe has not been built")
    argv = [
        path,
        *guests.options,
        "--seconds",
        seconds,
        "--warm-up",
        warm_up,
        "--busy",
        ",".join(map(str, sorted(set(env.cpus)))),
    ]
    for _, pid in processes:
        argv += ["--watch", pid]
    for socket, role, cpu in zip(sockets, guests.roles, cpus):
        argv += ["--nic", f"{socket},role={role},cpu={cpu}" + (",server=1" if listens else "")]
    said = output(argv, env.environ, seconds + warm_up + 60)
    return figures(guests, json.loads(said), processes)


def figures(guests, report, processes):
    nics, seconds = report["nics"], report["seconds"]
    sides = [{"name": f"guest {n}", "cpu_s": nic["cpu_s"]} for n, nic in enumerate(nics)]
    sides += [
        {"name": name, "cpu_s": used} for (name, _), used in zip(processes, report["watched_cpu_s"])
    ]
    result = {
        "bench": "vm-fe",
        "options": {"frame": guests.frame, "roles": guests.roles},
        "seconds": seconds,
        "busy_s": report["busy_s"],
        "sides": sides,
    }
    if guests.latency:
        times = nics[0]["rtt_ns"]
        if times["samples"] == 0:
            raise CannotRun("no answer came")
        return dict(result, samples=times["samples"], lost=nics[0]["pings_lost"], latency_ns=times)
    receivers = [nic for nic in nics if nic["window_received"] > 0]
    if not receivers:
        raise CannotRun("no frame arrived")
    packets = sum(nic["window_received"] for nic in receivers) / len(receivers)
    return dict(
        result,
        packets=round(packets),
        ns_per_packet=1e9 * seconds / packets,
        mpps=packets / seconds / 1e6,
        gbit_s=sum(nic["gbit_received"] for nic in receivers) / len(receivers),
    )


# ---- ours ----------------------------------------------------------------------------------------


class Servers:
    """Device servers for two guests on a switch, one for both or one each; a context manager.

    The names are those of sockets and ports: servers that run at the same time need different ones.
    """

    def __init__(self, env, one_process, switch="valevm", names=("vm0", "vm1"), memory="direct"):
        program = env.tool("nm-vhost-user")
        if not os.path.exists(program):
            raise CannotRun("nm-vhost-user has not been built")
        self.sockets = [env.path(name) for name in names]
        for socket in self.sockets:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(socket)
        nics = [
            ["--socket", socket, "--port", f"{switch}:{name}"]
            for socket, name in zip(self.sockets, names)
        ]
        groups = [nics[0] + nics[1]] if one_process else nics
        self.processes, self.logs = [], []
        self.stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            for group, cpu, name in zip(groups, (env.cpus[0], env.cpus[-1]), names):
                log = env.path(name + ".log")
                child = stack.enter_context(
                    process(
                        program, "--memory", memory, *group, env=env.environ, cpus={cpu}, log=log
                    )
                )
                self.processes.append((f"server of {'both' if one_process else name}", child.pid))
                self.logs.append(log)
            peers.wait_until(lambda: all(map(os.path.exists, self.sockets)), "nm-vhost-user")
            self.stack = stack.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def status(self):
        """What the servers have counted, summed over the NICs."""
        total = {}
        for (_, pid), log in zip(self.processes, self.logs):
            os.kill(pid, signal.SIGUSR1)
            peers.wait_until(lambda log=log: status_lines(log), "a server's status")
            for line in status_lines(log):
                for key, value in line.items():
                    if isinstance(value, int):
                        total[key] = total.get(key, 0) + value
        return total


def status_lines(log):
    with open(log, encoding="utf-8", errors="replace") as f:
        return [json.loads(line) for line in f if line.startswith("{") and line.endswith("}\n")]


def copies(status, memory):
    """How often each byte of a frame was copied between the two guests' memories.

    The switch copies it out of the sending guest's memory (of frames that ask for an offload, the
    headers once before; with --memory copy all of all frames once before); to a guest of the same
    process that is all, else the copy is in the receiving port's slots, and is copied once more.
    """
    first = 1 if memory == "copy" else 0
    return first + 2 - status["rx_direct"] / max(status["rx_frames"], 1)


def ours(guests, one_process=False, memory="direct"):
    def measure(env, seconds):
        # With one server both guests have the other CPU, as with the peers.
        cpus = [env.cpus[-1]] * 2 if one_process else [env.cpus[0], env.cpus[-1]]
        with Servers(env, one_process, memory=memory) as servers:
            found = run_guests(env, guests, servers.sockets, cpus, servers.processes, seconds)
            return dict(found, copies=round(copies(servers.status(), memory), 2))

    return measure


# ---- DPDK testpmd --------------------------------------------------------------------------------


def dpdk_testpmd(guests):
    def measure(env, seconds):
        forwarding, other = env.cpus[0], env.cpus[-1]
        sockets = [env.path("tp0"), env.path("tp1")]
        tso = ",tso=1" if "--tso" in guests.options else ""
        vdevs = [f"net_vhost{n},iface={socket},queues=1{tso}" for n, socket in enumerate(sockets)]
        with testpmd.Testpmd(
            env,
            "vhost",
            f"0@{other},1@{forwarding}",
            vdevs,
            "--forward-mode=io",
            "--nb-cores=1",
            memory_mb=TESTPMD_MB,
        ) as pmd:
            pmd.command("start")
            return run_guests(
                env, guests, sockets, [other, other], [("testpmd", pmd.child.pid)], seconds
            )

    return measure


# ---- Open vSwitch --------------------------------------------------------------------------------


@contextlib.contextmanager
def running_open_vswitch(env, sockets, tso):
    """Its daemons with DPDK ports. No huge pages, no devices; a database, sockets and a network
    namespace of this run.
    """
    if not os.path.exists(OVS_SWITCH):
        raise CannotRun(f"the program {OVS_SWITCH} is missing; scripts/deps bench installs it")
    directory = env.path("ovs-dpdk")
    os.makedirs(directory, exist_ok=True)
    files = {
        name: os.path.join(directory, name) for name in ("conf.db", "db.sock", "db.log", "sw.log")
    }
    for name in files.values():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    socket = f"unix:{files['db.sock']}"
    environ = dict(
        env.environ,
        OVS_RUNDIR=directory,
        OVS_LOGDIR=directory,
        OVS_DBDIR=directory,
        OVS_SYSCONFDIR=directory,
        RUNTIME_DIRECTORY=directory,
    )
    vsctl = ["ovs-vsctl", f"--db={socket}", "--timeout=20"]
    command("ovsdb-tool", "create", files["conf.db"], "/usr/share/openvswitch/vswitch.ovsschema")
    with process(
        "ovsdb-server", files["conf.db"], f"--remote=p{socket}", env=environ, log=files["db.log"]
    ):
        peers.wait_until(lambda: os.path.exists(files["db.sock"]), "ovsdb-server")
        # --legacy-mem keeps it from asking for --in-memory, which does not go without huge pages.
        command(
            *vsctl,
            "--no-wait",
            "init",
            "--",
            "set",
            "Open_vSwitch",
            ".",
            "other_config:dpdk-init=true",
            f"other_config:dpdk-extra={OVS_EAL}",
            f"other_config:pmd-cpu-mask={1 << env.cpus[0]:x}",
            f"other_config:dpdk-lcore-mask={1 << env.cpus[-1]:x}",
            "other_config:vhost-sock-dir=.",
            "other_config:per-port-memory=true",
            f"other_config:userspace-tso-enable={'true' if tso else 'false'}",
            env=environ,
        )
        with process(
            OVS_SWITCH, socket, env=environ, cpus=env.cpus, log=files["sw.log"]
        ) as switch:
            ports = []
            for n, path in enumerate(sockets):
                ports += [
                    "--",
                    "add-port",
                    "ovs0",
                    f"v{n}",
                    "--",
                    "set",
                    "Interface",
                    f"v{n}",
                    "type=dpdkvhostuserclient",
                    f"options:vhost-server-path={path}",
                ]
            command(
                *vsctl,
                "--",
                "add-br",
                "ovs0",
                "--",
                "set",
                "bridge",
                "ovs0",
                "datapath_type=netdev",
                *ports,
                env=environ,
            )
            yield switch


def open_vswitch(guests):
    def measure(env, seconds):
        sockets = [env.path("ovs-v0"), env.path("ovs-v1")]
        tso = "--tso" in guests.options
        with running_open_vswitch(env, sockets, tso) as switch:
            time.sleep(0.1)
            return run_guests(
                env,
                guests,
                sockets,
                [env.cpus[-1]] * 2,
                [("ovs-vswitchd", switch.pid)],
                seconds,
                warm_up=CONNECT_S,
                listens=True,
            )

    return measure
