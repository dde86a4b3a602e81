# SPDX-License-Identifier: BSD-2-Clause
"""
All measurements, in the order in which a round runs them.

What is compared stands side by side: a change of the machine between two neighbours is least likely.
Names are group/subject-frame; the report and the targets refer to them.
"""

import dataclasses
import fnmatch
import typing

import capture
import guests
import iperf
import isolated
import nic
import peers
import vm


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    what: str
    measure: typing.Callable  # (env, seconds) -> figures, or raises CannotRun
    latency: bool = False  # figures are times, else rates
    once: bool = False  # too long for every round
    rounds: int = None  # in the first ones only, and not repeated when disturbed: it takes long

    @property
    def group(self):
        return self.name.split("/")[0]


def program(name, *args):
    """A measurement by one of our own C programs."""
    return lambda env, seconds: env.program(name, *args, seconds=seconds)


PACED = ("--interval", 1)

CASES = [
    # Handing over without copying.
    Case("limit/handover-60", "bare ring, 60-byte frames handed over, batches of 256",
         program("limit_handover")),
    Case("ours/pipe-60", "pipe, both sides in poll", program("ours_pair", "--kind", "pipe")),
    Case("ours/pipe-spin-60", "pipe, both sides sync by ioctl",
         program("ours_pair", "--kind", "pipe", "--spin")),
    Case("ours/veth-60", "both ends of a veth pair, joined, both sides in poll", peers.veth()),
    Case("ours/veth-spin-60", "both ends of a veth pair, joined, both sides sync by ioctl",
         peers.veth("--spin")),
    Case("peer/packet-veth-60", "from one end of a veth pair to the other by AF_PACKET rings",
         nic.packet_pair),
    Case("ours/veth-kernel-60", "both ends of a veth pair, not joined: AF_XDP to AF_XDP",
         peers.veth("--receiver-slots", 512)),
    Case("limit/numbered-60", "bare ring, each frame written before it is handed over",
         program("limit_handover", "--numbered")),
    Case("ours/pipe-numbered-60", "pipe in poll, each frame written",
         program("ours_pair", "--kind", "pipe", "--numbered")),
    Case("peer/testpmd-ring", "DPDK testpmd, mbufs circling through two net_ring ports",
         peers.testpmd_ring),
    # Copying through a switch.
    Case("limit/copy-60", "bare learning look-up and copy, 60-byte frames",
         program("limit_copy")),
    Case("ours/vale-60", "VALE in poll, one sender, one receiver", program("ours_pair")),
    Case("ours/vale-spin-60", "VALE, both sides sync by ioctl", program("ours_pair", "--spin")),
    Case("ours/isolated-60", "the same in poll, both sides isolated: a broker forwards",
         isolated.program("ours_pair")),
    Case("ours/vale-250-ports-60", "VALE in poll, with 248 idle ports more",
         program("ours_pair", "--idle-ports", 248)),
    Case("ours/vale-4-senders-60", "VALE in poll, four senders share a CPU, one receiver",
         program("ours_pair", "--senders", 4)),
    Case("ours/vale-64-receivers-60", "VALE in poll, 64 receiving ports in turn, one process",
         program("ours_pair", "--receivers", 64, "--one-process")),
    Case("ours/vale-64-processes-60", "VALE in poll, 64 receiving processes in turn",
         program("ours_pair", "--receivers", 64)),
    Case("peer/testpmd-memif-60", "DPDK testpmd over memif, txonly to rxonly",
         peers.testpmd_memif(60)),
    Case("limit/copy-1500", "bare learning look-up and copy, 1500-byte frames",
         program("limit_copy", "--frame", 1500, "--prefetch")),
    Case("ours/vale-1500", "VALE in poll, 1500-byte frames", program("ours_pair", "--frame", 1500)),
    Case("peer/testpmd-memif-1500", "DPDK testpmd over memif, 1500-byte frames",
         peers.testpmd_memif(1500)),
    # Under a monitor. Sender and receiver share a CPU, so that the monitor has one.
    Case("ours/vale-one-core-60", "VALE, one core for both sides",
         program("ours_pair", "--one-core")),
    Case("ours/vale-monitored-60", "the same, and a copy monitor of the receiver reads on the other core",
         program("ours_pair", "--one-core", "--monitors", 1)),
    Case("ours/pipe-one-core-60", "pipe, one core for both sides",
         program("ours_pair", "--one-core", "--kind", "pipe")),
    Case("ours/pipe-monitored-60", "the same under a copy monitor",
         program("ours_pair", "--one-core", "--kind", "pipe", "--monitors", 1)),
    # TCP super-frames of 64 KiB.
    Case("ours/vale-cut-1514", "VALE, 64-KiB TCP frames cut into 45 and summed, one core for both sides",
         program("ours_gso")),
    Case("ours/vale-partial-1514", "the same, checksums left to the receiver",
         program("ours_gso", "--partial")),
    Case("ours/vale-whole-65226", "the same frames to a receiver that takes them whole",
         program("ours_gso", "--pass")),
    # Through the kernel.
    Case("peer/bridge-60", "Linux bridge, two veth pairs, AF_PACKET rings", peers.bridge(60)),
    Case("peer/bridge-1500", "the same with 1500-byte frames", peers.bridge(1500)),
    Case("peer/ovs-60", "Open vSwitch in user space, two veth pairs, AF_PACKET rings",
         peers.open_vswitch(60)),
    Case("peer/vde-60", "vde_switch and two clients", peers.vde(60)),
    Case("peer/vde-1500", "the same with 1500-byte frames", peers.vde(1500)),
    Case("peer/socketpair-60", "UNIX datagram socket pair, sendmmsg and recvmmsg",
         program("peer_socketpair")),
    Case("peer/socketpair-1500", "the same with 1500-byte frames",
         program("peer_socketpair", "--frame", 1500)),
    Case("peer/seqpacket-60", "UNIX seqpacket socket pair, sendmmsg and recvmmsg",
         program("peer_socketpair", "--seqpacket")),
    # Sockets of the kernel in two namespaces.
    Case("ours/tap-tcp", "iperf3 TCP between two TAPs on a VALE switch", iperf.tcp(iperf.Taps)),
    Case("peer/bridge-tcp", "the same over a Linux bridge and two veth pairs, offloads on",
         iperf.tcp(iperf.bridge)),
    Case("ours/tap-udp-60", "iperf3 UDP between the TAPs, 60-byte frames, best of four offered rates",
         iperf.udp(iperf.Taps)),
    Case("peer/bridge-udp-60", "the same over the bridge", iperf.udp(iperf.bridge)),
    Case("peer/veth-tcp", "iperf3 TCP over one veth pair, offloads on", iperf.tcp(iperf.Veth)),
    Case("peer/veth-mtu-tcp", "the same with frames of the MTU, as on a wire: no TSO, no GSO",
         iperf.tcp(iperf.PlainVeth)),
    Case("ours/host-tx-tcp", "iperf3 TCP over a veth pair, the sender's stack behind nm-bridge and host rings",
         iperf.behind_rings(0)),
    Case("ours/host-rx-tcp", "the same, the receiver's stack behind them", iperf.behind_rings(1)),
    # Latency.
    Case("limit/wake-rtt", "eventfd there and back, both sides in poll", program("limit_wake"),
         latency=True),
    Case("ours/vale-rtt", "one frame through VALE and back, both sides in poll",
         program("ours_rtt"), latency=True),
    Case("ours/isolated-rtt", "the same, both sides isolated", isolated.program("ours_rtt"),
         latency=True),
    Case("ours/pipe-rtt", "one frame through a pipe and back, both sides in poll",
         program("ours_rtt", "--kind", "pipe"), latency=True),
    Case("limit/wake-rtt-idle", "the same with 1 ms of rest before each",
         program("limit_wake", "--gap", 0.001), latency=True),
    Case("ours/vale-rtt-idle", "VALE there and back in poll, 1 ms of rest before each",
         program("ours_rtt", "--gap", 0.001), latency=True),
    Case("ours/isolated-rtt-idle", "the same, both sides isolated",
         isolated.program("ours_rtt", "--gap", 0.001), latency=True),
    Case("ours/pipe-rtt-idle", "pipe there and back in poll, 1 ms of rest before each",
         program("ours_rtt", "--kind", "pipe", "--gap", 0.001), latency=True),
    Case("limit/line-rtt", "one word of shared memory there and back, both sides spin",
         program("limit_wake", "--spin"), latency=True),
    Case("ours/vale-rtt-spin", "one frame through VALE and back, both sides spin",
         program("ours_rtt", "--spin"), latency=True),
    Case("ours/pipe-rtt-spin", "one frame through a pipe and back, both sides spin",
         program("ours_rtt", "--kind", "pipe", "--spin"), latency=True),
    Case("limit/wake-paced", "one eventfd a second, time until poll returns",
         program("limit_wake", *PACED), latency=True, once=True),
    Case("ours/vale-paced", "one frame a second through VALE, time until it is in hand",
         program("ours_rtt", *PACED), latency=True, once=True),
    Case("ours/pipe-paced", "one frame a second through a pipe, time until it is in hand",
         program("ours_rtt", "--kind", "pipe", *PACED), latency=True, once=True),
]


# From guest to guest through a device server (vm.py).
CASES += [
    Case("ours/vm-60", "two guests on VALE, a server process each, 60-byte frames",
         vm.ours(vm.frames(60))),
    Case("ours/vm-one-server-60", "the same, both served by one process",
         vm.ours(vm.frames(60), one_process=True)),
    Case("ours/vm-copied-60", "a server process each, which copies what it sends first",
         vm.ours(vm.frames(60), memory="copy")),
    Case("ours/vm-copied-one-server-60", "the same, both served by one process",
         vm.ours(vm.frames(60), one_process=True, memory="copy")),
    Case("peer/vm-testpmd-60", "the same guests on DPDK testpmd, net_vhost, io forwarding",
         vm.dpdk_testpmd(vm.frames(60))),
    Case("peer/vm-ovs-60", "the same guests on Open vSwitch with DPDK",
         vm.open_vswitch(vm.frames(60))),
    Case("ours/vm-both-60", "both directions at once, figures per direction",
         vm.ours(vm.both_ways(60))),
    Case("peer/vm-testpmd-both-60", "the same on testpmd", vm.dpdk_testpmd(vm.both_ways(60))),
    Case("ours/vm-1500", "two guests, 1500-byte frames", vm.ours(vm.frames(1500))),
    Case("ours/vm-one-server-1500", "the same, both served by one process",
         vm.ours(vm.frames(1500), one_process=True)),
    Case("ours/vm-copied-1500", "a server process each, which copies what it sends first",
         vm.ours(vm.frames(1500), memory="copy")),
    Case("ours/vm-copied-one-server-1500", "the same, both served by one process",
         vm.ours(vm.frames(1500), one_process=True, memory="copy")),
    Case("peer/vm-testpmd-1500", "the same on testpmd", vm.dpdk_testpmd(vm.frames(1500))),
    Case("peer/vm-ovs-1500", "the same on Open vSwitch", vm.open_vswitch(vm.frames(1500))),
    Case("ours/vm-64k", "two guests, 64-KiB TCP segments", vm.ours(vm.segments())),
    Case("ours/vm-one-server-64k", "the same, both served by one process",
         vm.ours(vm.segments(), one_process=True)),
    Case("ours/vm-copied-64k", "a server process each, which copies what it sends first",
         vm.ours(vm.segments(), memory="copy")),
    Case("ours/vm-copied-one-server-64k", "the same, both served by one process",
         vm.ours(vm.segments(), one_process=True, memory="copy")),
    Case("peer/vm-testpmd-64k", "the same on testpmd", vm.dpdk_testpmd(vm.segments())),
    Case("ours/vm-rtt", "request and response between guests, one after the other",
         vm.ours(vm.requests(0)), latency=True),
    Case("peer/vm-testpmd-rtt", "the same on testpmd", vm.dpdk_testpmd(vm.requests(0)),
         latency=True),
    Case("peer/vm-ovs-rtt", "the same on Open vSwitch", vm.open_vswitch(vm.requests(0)),
         latency=True),
    Case("ours/vm-rtt-1000", "1000 requests a second", vm.ours(vm.requests(1000)), latency=True),
    Case("peer/vm-testpmd-rtt-1000", "the same on testpmd", vm.dpdk_testpmd(vm.requests(1000)),
         latency=True),
    Case("ours/vm-paced", "one request a second, time until the answer", vm.ours(vm.requests(1)),
         latency=True, once=True),
]

# Between two guests under QEMU's software emulation (guests.py).
for _name, _make, _what in (
        ("ours/guest", guests.ours, "two QEMU guests (TCG), nm-vhost-user each, on VALE"),
        ("peer/guest-bridge", guests.bridge, "the same, QEMU's tap on a Linux bridge"),
        ("peer/guest-stream", guests.stream, "the same, -netdev stream from QEMU to QEMU")):
    CASES += [
        Case(f"{_name}-tcp", f"{_what}: iperf3 TCP", guests.measured(_make, guests.tcp)),
        Case(f"{_name}-udp-60", f"{_what}: iperf3 UDP, 60-byte frames received",
             guests.measured(_make, guests.udp)),
        Case(f"{_name}-rtt", f"{_what}: ping, 50 a second", guests.measured(_make, guests.ping),
             latency=True),
    ]

# Capturing without loss (capture.py).
CASES += [
    Case("ours/capture-vale-60", "tcpdump with a filter on a VALE port, highest rate without loss",
         capture.measure(capture.Vale), rounds=2),
    Case("ours/capture-monitor-60", "the same on a port in use, by a copy monitor",
         capture.measure(capture.Monitor), rounds=2),
    Case("peer/capture-packet-60", "stock tcpdump on a veth pair, AF_PACKET",
         capture.measure(capture.Packet), rounds=2),
    Case("ours/capture-vale-1mpps", "tcpdump on a VALE port, 1 Mpps offered",
         capture.fixed(capture.Vale, 1000)),
    Case("ours/capture-monitor-1mpps", "tcpdump on a port in use, 1 Mpps offered",
         capture.fixed(capture.Monitor, 1000)),
    Case("ours/stream-1mpps", "what a receiver on VALE gets of 1 Mpps", capture.stream(1000, False)),
    Case("ours/stream-1mpps-monitored", "the same while tcpdump has a copy monitor on it",
         capture.stream(1000, True)),
]

# One end of a veth pair, through the kernel (nic.py).
CASES += [
    Case("ours/nic-tx-60", "pkt-gen sends into a veth pair, AF_XDP below", nic.pkt_gen_tx),
    Case("peer/xsk-tx-60", "the same by a minimal AF_XDP program", nic.xsk("--tx", nic.OUT)),
    Case("peer/packet-tx-60", "the same by trafgen, AF_PACKET", nic.trafgen),
    Case("ours/nic-rx-60", "pkt-gen receives from a veth pair what a redirecting XDP program sends",
         nic.pkt_gen_rx()),
    Case("peer/xsk-rx-60", "the same by a minimal AF_XDP program",
         nic.xsk("--rx", nic.IN)),
    Case("ours/nic-rx-spin-60", "pkt-gen --busy-wait", nic.pkt_gen_rx("--busy-wait")),
    Case("peer/xsk-rx-spin-60", "the same by a minimal AF_XDP program",
         nic.xsk("--rx", nic.IN, "--spin")),
    Case("peer/packet-rx-60", "the same by tcpdump -w /dev/null, AF_PACKET", nic.tcpdump),
    Case("ours/nic-forward-60", "nm-bridge between two veth pairs, zero copy", nic.nm_bridge),
    Case("peer/xsk-forward-60", "the same by a minimal AF_XDP program",
         nic.xsk("--in", nic.IN, "--out", nic.OUT)),
    Case("peer/xsk-forward-spin-60", "the minimal AF_XDP program without poll",
         nic.xsk("--in", nic.IN, "--out", nic.OUT, "--spin")),
    Case("ours/bridge-joined-60", "nm-bridge, all ends of both veth pairs are ports: joined, frames written",
         nic.joined_bridge),
    Case("ours/nic-paced", "one frame a second into an interface that is attached to a switch",
         nic.paced, latency=True, once=True),
]


def select(patterns):
    """The cases whose name matches one of the shell patterns; all without patterns."""
    if not patterns:
        return list(CASES)
    return [c for c in CASES if any(fnmatch.fnmatchcase(c.name, p) for p in patterns)]
