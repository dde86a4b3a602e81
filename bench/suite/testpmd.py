# SPDX-License-Identifier: BSD-2-Clause
"""
Driving DPDK's testpmd by its command line.

No huge pages, no hardware, no files outside the run's directory. The first lcore only waits for
commands, so it shares a CPU with a forwarding one. Rates are testpmd's own: packets between two
"show port stats" by its own clock, so that delays of this program do not enter.
"""

import contextlib
import os
import re
import select
import subprocess
import time

from measure import CannotRun, busy_s
from processes import started

START_S = 20
WARM_UP_S = 0.5  # the link of a memif comes up in the background
BURST = 64  # memif and ring copy their bursts; larger ones gave no more
MBUFS = 8192


class Testpmd:
    def __init__(self, env, name, lcores, vdevs, *options, memory_mb=128):
        self.name = name
        self.output = ""
        argv = ["stdbuf", "-oL", "dpdk-testpmd", "--no-huge", "-m", str(memory_mb), "--no-pci", "--no-telemetry",
                "--log-level=3", f"--file-prefix={name}", f"--lcores={lcores}",
                *(f"--vdev={v}" for v in vdevs), "--", "-i", "--no-mlockall",
                f"--total-num-mbufs={MBUFS}", f"--burst={BURST}", *options]
        environ = dict(env.environ, RUNTIME_DIRECTORY=env.directory)
        self.stack = contextlib.ExitStack()
        self.child = self.stack.enter_context(started(*argv, env=environ, stdin=subprocess.PIPE,
                                                      stdout=subprocess.PIPE,
                                                      stderr=subprocess.STDOUT))

    def __enter__(self):
        try:
            self.expect(r"Checking link statuses")
        except CannotRun:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with self.stack, contextlib.suppress(CannotRun, OSError, subprocess.TimeoutExpired):
            self.command("quit")
            self.child.stdin.close()
            self.child.wait(timeout=5)

    def command(self, line):
        try:
            self.child.stdin.write(f"{line}\n".encode())
            self.child.stdin.flush()
        except BrokenPipeError:
            raise CannotRun(self.last_words()) from None

    def last_words(self):
        lines = [l.strip() for l in self.output.splitlines() if l.strip()]
        error = [l for l in lines if re.search("rror|ause|annot", l)]
        return f"dpdk-testpmd ended: {(error or lines or ['no message'])[-1]}"

    def expect(self, pattern):
        """Wait for output that matches, drop all up to its end, return the match."""
        limit = time.monotonic() + START_S
        while True:
            match = re.search(pattern, self.output, re.DOTALL)
            if match:
                self.output = self.output[match.end():]
                return match
            if not select.select([self.child.stdout], [], [], limit - time.monotonic())[0]:
                raise CannotRun(f"dpdk-testpmd ({self.name}) did not answer within {START_S} s")
            data = os.read(self.child.stdout.fileno(), 65536)
            if not data:
                raise CannotRun(self.last_words())
            self.output += data.decode(errors="replace")

    def receive_rates(self):
        """Packets received per second on each port since this was last called."""
        self.command("show port stats all")
        self.command("show fwd stats all")  # its output ends that of the former
        text = self.expect(r"(.*)Accumulated forward statistics.*?\+{40}").group(1)
        return [int(n) for n in re.findall(r"Rx-pps:\s+(\d+)", text)]

    def cpu_seconds(self):
        from peers import cpu_seconds
        return cpu_seconds(self.child.pid)


def rates(env, receivers, all_of_them, frame, seconds):
    """Let them run, and make figures like those of our own programs."""
    time.sleep(WARM_UP_S)
    for pmd in receivers:
        pmd.receive_rates()
    start, busy = time.monotonic(), busy_s(env.cpus)
    cpu = [pmd.cpu_seconds() for pmd in all_of_them]
    time.sleep(seconds)
    elapsed, busy = time.monotonic() - start, busy_s(env.cpus) - busy
    used = [pmd.cpu_seconds() - before for pmd, before in zip(all_of_them, cpu)]
    pps = sum(sum(pmd.receive_rates()) for pmd in receivers)
    if pps == 0:
        raise CannotRun("dpdk-testpmd received nothing")
    sides = [{"name": f"testpmd {pmd.name}", "cpu_s": round(s, 3)}
             for pmd, s in zip(all_of_them, used)]
    return {"bench": "dpdk-testpmd", "options": {"frame": frame, "burst": BURST},
            "packets": round(pps * elapsed), "seconds": elapsed, "busy_s": busy, "ns_per_packet": 1e9 / pps,
            "mpps": pps / 1e6, "gbit_s": pps * frame * 8 / 1e9, "sides": sides}
