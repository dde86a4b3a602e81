# SPDX-License-Identifier: BSD-2-Clause
"""What measurements share: the environment of a run, and running our own C programs in it."""

import contextlib
import json
import os
import subprocess

from processes import CannotRun, output

SKIP = 77  # BENCH_SKIP of bench.h


class Env:
    """The state of one run; a context manager that ends what was started within it."""

    def __init__(self, build, directory, cpus, seconds, paced_seconds):
        self.build = os.path.abspath(build)
        self.directory = directory
        self.cpus = cpus
        self.seconds = seconds
        self.paced_seconds = paced_seconds
        self.stack = contextlib.ExitStack()
        self.kept = {}
        os.environ["PATH"] += ":/usr/sbin:/sbin"  # where users do not look for ip and daemons
        self.environ = dict(os.environ)
        # The netmapd of this build, whatever else runs on this machine, and files in our own directory.
        self.environ["UNETMAP_NETMAPD"] = self.tool("netmapd")
        self.environ["UNETMAP_SOCKET"] = os.path.join(directory, "netmapd.sock")
        self.environ["XDG_RUNTIME_DIR"] = directory

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def tool(self, name):
        """One of our programs."""
        return os.path.join(self.build, "tools", name, name)

    def keep(self, make, *args):
        """What make(env, *args) gives, made once a run; what has to be ended it leaves to env.stack.

        The function itself is what it is known by, so two things cannot be taken for each other. If it fails,
        half of what it makes may be there: each later call fails for the same reason.
        """
        if "<lambda>" in make.__qualname__ or "<locals>" in make.__qualname__:
            raise TypeError(f"{make.__qualname__} is another function each time")
        key = (make, *args)
        if key not in self.kept:
            try:
                self.kept[key] = make(self, *args)
            except Exception as e:
                self.kept[key] = e
        if isinstance(self.kept[key], Exception):
            raise self.kept[key]
        return self.kept[key]

    def path(self, name):
        """A path for a temporary file of this run."""
        return os.path.join(self.directory, name)

    def program(self, name, *args, seconds, environ=None):
        """Run one of our C programs and return the figures that it prints."""
        path = os.path.join(self.build, "bench", name)
        if not os.path.exists(path):
            raise CannotRun(f"{name} has not been built")
        argv = [path, *args, "--seconds", seconds, "--cpus", ",".join(map(str, self.cpus))]
        return json.loads(output(argv, environ or self.environ, seconds + 120))

    def line_ns(self):
        """Time in which a cache line goes from one CPU to the other and back, just now.

        The host of a virtual machine moves its CPUs about. Whether they share a core or sit on
        different dies changes all that is measured here by a factor of three, and happens many
        times a minute. None if the two sides never ran at the same time.
        """
        try:
            figures = self.program("limit_wake", "--spin", "--warm-up", 0, seconds=0.02)
        except CannotRun:
            return None
        return figures["latency_ns"]["median"]


def busy_s(cpus):
    """What all programs on these CPUs have used since boot, and the host taken: as bench.c has it."""
    total = 0
    with open("/proc/stat", encoding="ascii") as f:
        for line in f:
            name, *fields = line.split()
            if name in {f"cpu{c}" for c in cpus}:
                total += sum(int(fields[i]) for i in (0, 1, 2, 7))  # user, nice, system, steal
    return total / os.sysconf("SC_CLK_TCK")


def others(figures, cpus):
    """The share of the CPUs that was not the measurement's, within its window."""
    own = sum(side["cpu_s"] for side in figures["sides"])
    return round(max(0.0, figures["busy_s"] - own) / figures["seconds"] / len(set(cpus)), 3)


def command(*argv, **kwargs):
    """Run a system command; its failure is a reason not to measure."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, **kwargs)
    except FileNotFoundError:
        raise CannotRun(f"the program {argv[0]} is missing; scripts/deps bench installs it") from None
    if done.returncode != 0:
        raise CannotRun(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout
