# SPDX-License-Identifier: BSD-2-Clause
"""
What must be reached, as ratios within a run wherever something can be compared.

Each undisturbed measurement is divided by the nearest one, in rounds, that was undisturbed as well and
taken with the CPUs equally far apart; the median of these ratios is judged. Nothing here makes a run fail.
"""

import dataclasses

import report

# The time of a cache line's round trip is about 40 ns on one core and 400 ns across dies; within one
# state it varies by less than this factor.
SAME_STATE = 2.0

MAX_OTHERS = 0.05  # share of the CPUs that others may take before a measurement counts as disturbed

# The worst frame of a paced run may take as long as the worst bare eventfd of the same run, and one tick
# of a 250 Hz kernel more: both see the same scheduler, and the worst of sixty has a long tail.
PACED_TICK_US = 4000.0

IDLE_CPUS = 0.0005  # 0.05 %: what rounds to nothing


@dataclasses.dataclass(frozen=True)
class Target:
    name: str
    above: str  # case whose figure is judged
    below: str  # divided by that case's figure of the same round; "" to take it as it is
    at_least: float = None
    at_most: float = None
    field: str = None  # of the figures, instead of Mpps or us
    inverse: bool = False  # cost per frame instead of rate

    def wanted(self):
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return f"<= {self.at_most:g}" if self.at_most is not None else "-"

    def reached(self, value):
        if self.at_least is not None:
            return value >= self.at_least
        return value <= self.at_most if self.at_most is not None else None


TARGETS = [
    Target("pipe / bare hand-over, 60 bytes", "ours/pipe-60", "limit/handover-60", at_least=0.6),
    Target("pipe, spinning / bare hand-over", "ours/pipe-spin-60", "limit/handover-60", at_least=0.6),
    Target("pipe / bare hand-over, frames written", "ours/pipe-numbered-60", "limit/numbered-60"),
    Target("pipe, Mpps, 60 bytes", "ours/pipe-60", "", at_least=100),
    Target("pipe, spinning, Mpps, 60 bytes", "ours/pipe-spin-60", "", at_least=100),
    Target("joined veth / pipe, 60 bytes", "ours/veth-60", "ours/pipe-60", at_least=0.8),
    Target("joined veth, spinning / pipe", "ours/veth-spin-60", "ours/pipe-spin-60", at_least=0.8),
    Target("joined veth, Mpps, 60 bytes", "ours/veth-60", "", at_least=40),
    Target("joined veth / through the kernel", "ours/veth-60", "ours/veth-kernel-60"),
    Target("joined veth / AF_PACKET rings from end to end", "ours/veth-60", "peer/packet-veth-60",
           at_least=3),
    Target("pkt-gen tx on veth / minimal AF_XDP", "ours/nic-tx-60", "peer/xsk-tx-60", at_least=0.95),
    Target("pkt-gen rx on veth / minimal AF_XDP", "ours/nic-rx-60", "peer/xsk-rx-60", at_least=0.95),
    Target("pkt-gen rx on veth, spinning / minimal AF_XDP, spinning", "ours/nic-rx-spin-60",
           "peer/xsk-rx-spin-60", at_least=0.95),
    Target("nm-bridge between veths / minimal AF_XDP", "ours/nic-forward-60", "peer/xsk-forward-60",
           at_least=0.95),
    Target("pkt-gen tx on veth / trafgen", "ours/nic-tx-60", "peer/packet-tx-60", at_least=3),
    Target("pkt-gen rx on veth / tcpdump", "ours/nic-rx-60", "peer/packet-rx-60", at_least=3),
    Target("minimal AF_XDP tx / trafgen", "peer/xsk-tx-60", "peer/packet-tx-60"),
    Target("minimal AF_XDP rx, spinning / tcpdump", "peer/xsk-rx-spin-60", "peer/packet-rx-60"),
    Target("nm-bridge between veths, copies a frame", "ours/nic-forward-60", "", at_most=0,
           field="copies"),
    Target("nm-bridge between veths, its CPU ns a frame", "ours/nic-forward-60", "",
           field="forwarder_ns"),
    Target("nm-bridge between joined veths, copies a frame", "ours/bridge-joined-60", "", at_most=0,
           field="copies"),
    Target("nm-bridge between joined veths, its CPU ns a frame", "ours/bridge-joined-60", "",
           field="forwarder_ns"),
    Target("attached interface, idle: CPUs in use", "ours/nic-paced", "", at_most=IDLE_CPUS,
           field="idle_cpus"),
    Target("VALE / bare copy, 60 bytes", "ours/vale-60", "limit/copy-60", at_least=0.6),
    Target("VALE, spinning / bare copy, 60 bytes", "ours/vale-spin-60", "limit/copy-60", at_least=0.6),
    Target("VALE, Mpps, 60 bytes", "ours/vale-60", "", at_least=40),
    Target("VALE under a copy monitor that reads all / alone", "ours/vale-monitored-60",
           "ours/vale-one-core-60", at_least=0.8),
    Target("pipe under a copy monitor that reads all / alone", "ours/pipe-monitored-60",
           "ours/pipe-one-core-60"),
    Target("isolated clients through VALE, Mpps, 60 bytes", "ours/isolated-60", "", at_least=10),
    Target("cost per frame, isolated / trusted", "ours/isolated-60", "ours/vale-60", inverse=True),
    Target("round trip, isolated / trusted", "ours/isolated-rtt", "ours/vale-rtt"),
    Target("round trip after a rest, isolated / trusted", "ours/isolated-rtt-idle", "ours/vale-rtt-idle"),
    Target("VALE / bare copy, 1500 bytes", "ours/vale-1500", "limit/copy-1500"),
    Target("VALE, Gbit/s, 1500 bytes", "ours/vale-1500", "", at_least=150, field="gbit_s"),
    Target("segmentation on one core, Gbit/s", "ours/vale-cut-1514", "", at_least=10, field="gbit_s"),
    Target("cost per frame, 250 ports / 2 ports", "ours/vale-250-ports-60", "ours/vale-60",
           at_most=1.3, inverse=True),
    Target("four senders / one", "ours/vale-4-senders-60", "ours/vale-60"),
    Target("64 receiving ports / one", "ours/vale-64-receivers-60", "ours/vale-60"),
    Target("64 receiving processes / one", "ours/vale-64-processes-60", "ours/vale-60"),
    Target("pipe / testpmd over net_ring", "ours/pipe-60", "peer/testpmd-ring"),
    Target("pipe, spinning / testpmd over memif", "ours/pipe-spin-60", "peer/testpmd-memif-60",
           at_least=3),
    Target("pipe / testpmd over memif, 60 bytes", "ours/pipe-60", "peer/testpmd-memif-60", at_least=3),
    Target("VALE / testpmd over memif, 60 bytes", "ours/vale-60", "peer/testpmd-memif-60", at_least=3),
    Target("VALE / bridge, 60 bytes", "ours/vale-60", "peer/bridge-60", at_least=10),
    Target("VALE / bridge, 1500 bytes", "ours/vale-1500", "peer/bridge-1500", at_least=10),
    Target("VALE / Open vSwitch, 60 bytes", "ours/vale-60", "peer/ovs-60"),
    Target("VALE / VDE, 60 bytes", "ours/vale-60", "peer/vde-60"),
    Target("VALE / socket pair, 60 bytes", "ours/vale-60", "peer/socketpair-60"),
    Target("TAP to TAP / bridge, TCP in Gbit/s", "ours/tap-tcp", "peer/bridge-tcp", at_least=1,
           field="gbit_s"),
    Target("TAP to TAP / bridge, UDP", "ours/tap-udp-60", "peer/bridge-udp-60", at_least=1),
    Target("stack behind host rings / veth without TSO, TCP out", "ours/host-tx-tcp", "peer/veth-mtu-tcp",
           field="gbit_s"),
    Target("stack behind host rings / veth without TSO, TCP in", "ours/host-rx-tcp", "peer/veth-mtu-tcp",
           field="gbit_s"),
    Target("stack behind host rings / veth with TSO, TCP out", "ours/host-tx-tcp", "peer/veth-tcp",
           field="gbit_s"),
    Target("VALE / eventfd, round trip in poll", "ours/vale-rtt", "limit/wake-rtt", at_most=1.5),
    Target("VALE / eventfd, both asleep before", "ours/vale-rtt-idle", "limit/wake-rtt-idle", at_most=1.5),
    Target("VALE, us, round trip spinning", "ours/vale-rtt-spin", "", at_most=2),
    Target("guest to guest, Mpps, 60 bytes", "ours/vm-60", "", at_least=5),
    Target("guest to guest, both ways at once, Mpps each", "ours/vm-both-60", "", at_least=5),
    Target("guest to guest / testpmd, 60 bytes", "ours/vm-60", "peer/vm-testpmd-60", at_least=1),
    Target("guest to guest / testpmd, both ways", "ours/vm-both-60", "peer/vm-testpmd-both-60",
           at_least=1),
    Target("guest to guest / Open vSwitch, 60 bytes", "ours/vm-60", "peer/vm-ovs-60", at_least=1),
    Target("one server for both guests / two", "ours/vm-one-server-60", "ours/vm-60"),
    Target("guest to guest / testpmd, 1500 bytes", "ours/vm-1500", "peer/vm-testpmd-1500", at_least=1),
    Target("guest to guest / Open vSwitch, 1500 bytes", "ours/vm-1500", "peer/vm-ovs-1500", at_least=1),
    Target("guest to guest / testpmd, 64-KiB segments", "ours/vm-64k", "peer/vm-testpmd-64k", at_least=1),
    Target("guest to guest / testpmd, round trip", "ours/vm-rtt", "peer/vm-testpmd-rtt"),
    Target("guest to guest / testpmd, 1000 requests a second", "ours/vm-rtt-1000",
           "peer/vm-testpmd-rtt-1000"),
    Target("tcpdump on VALE / on AF_PACKET, without loss", "ours/capture-vale-60",
           "peer/capture-packet-60", at_least=5),
    Target("tcpdump on a monitor / on AF_PACKET, without loss", "ours/capture-monitor-60",
           "peer/capture-packet-60", at_least=5),
    Target("tcpdump on VALE at 1 Mpps, share captured", "ours/capture-vale-1mpps", "", at_least=1,
           field="captured"),
    Target("tcpdump on a monitor at 1 Mpps, share captured", "ours/capture-monitor-1mpps", "",
           at_least=1, field="captured"),
    Target("1 Mpps stream under tcpdump's copy monitor / alone", "ours/stream-1mpps-monitored",
           "ours/stream-1mpps", at_least=0.8),
    Target("emulated guests / tap and bridge, TCP in Gbit/s", "ours/guest-tcp", "peer/guest-bridge-tcp",
           field="gbit_s"),
    Target("emulated guests / stream, TCP in Gbit/s", "ours/guest-tcp", "peer/guest-stream-tcp", field="gbit_s"),
    Target("emulated guests / tap and bridge, 60 bytes", "ours/guest-udp-60", "peer/guest-bridge-udp-60"),
    Target("emulated guests / stream, 60 bytes", "ours/guest-udp-60", "peer/guest-stream-udp-60"),
    Target("emulated guests / tap and bridge, ping", "ours/guest-rtt", "peer/guest-bridge-rtt"),
    Target("emulated guests / stream, ping", "ours/guest-rtt", "peer/guest-stream-rtt"),
]

PACED = [("VALE", "ours/vale-paced"), ("pipe", "ours/pipe-paced"),
         ("guest to guest", "ours/vm-paced"), ("attached interface", "ours/nic-paced")]


def figure(target, case, figures):
    value = figures[target.field] if target.field else report.value(case, figures)
    return 1 / value if target.inverse else value


def alike(*measurements):
    """Were these undisturbed, with the CPUs equally far apart before and after each?"""
    all_of_them = [ns for figures in measurements for ns in figures["line_ns"]]
    return (None not in all_of_them and max(all_of_them) <= SAME_STATE * min(all_of_them)
            and all(figures["others"] <= MAX_OTHERS for figures in measurements))


def ratios(target, above, below, comparable):
    found = []
    for i, a in enumerate(above.rounds):
        partners = [(abs(i - j), b) for j, b in enumerate(below.rounds) if comparable(a, b)]
        if partners:
            b = min(partners, key=lambda p: p[0])[1]
            found.append(figure(target, above.case, a) / figure(target, below.case, b))
    return found


def values_of(target, by_name, comparable):
    above = by_name[target.above]
    if target.below:
        return ratios(target, above, by_name[target.below], comparable)
    return [figure(target, above.case, f) for f in above.rounds if comparable(f)]


def verdict(name, wanted, values=(), reached=None, missing=None):
    entry = {"name": name, "wanted": wanted, "value": None, "least": None, "greatest": None,
             "reached": reached, "missing": missing}
    if values:
        entry.update(value=report.middle(values), least=min(values), greatest=max(values))
    return entry


def judge_one(target, by_name):
    for name in filter(None, (target.above, target.below)):
        if name not in by_name or not by_name[name].rounds:
            return verdict(target.name, target.wanted(), missing=name)
    values = values_of(target, by_name, alike)
    if values:
        return verdict(target.name, target.wanted(), values, target.reached(report.middle(values)))
    values = values_of(target, by_name, lambda *_: True)  # for what they are worth
    return verdict(target.name, target.wanted(), values, missing="all disturbed")


def judge_paced(subject, name, by_name):
    """No frame may be lost, or come later than a scheduling latency of this machine explains."""
    title = f"{subject}, one frame a second, worst us"
    limit = by_name.get("limit/wake-paced")
    ours = by_name.get(name)
    if not ours or not ours.rounds:
        return verdict(title, "-", missing=name)
    if not limit or not limit.rounds:
        return verdict(title, "-", missing="limit/wake-paced")
    allowed = limit.values()[0] + PACED_TICK_US
    values = ours.values()
    wanted = f"<= {allowed:.0f}, 0 lost"
    if any(r.rounds[0]["others"] > MAX_OTHERS for r in (ours, limit)):
        return verdict(title, wanted, values, missing="all disturbed")
    reached = ours.rounds[0]["lost"] == 0 and values[0] <= allowed
    return verdict(title, wanted, values, reached)


def judge(results):
    """All targets of which both sides were selected for this run."""
    by_name = {r.case.name: r for r in results}
    verdicts = [judge_one(t, by_name) for t in TARGETS if {t.above, t.below or t.above} <= by_name.keys()]
    return verdicts + [judge_paced(s, n, by_name) for s, n in PACED if n in by_name]
