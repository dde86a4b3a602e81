# SPDX-License-Identifier: BSD-2-Clause
"""
Starting programs so that all they start ends with them, and finding what was left all the same.

Each program leads a session of its own, and with it ends the whole session: some programs fork, and
leave their children behind when they are told to end (trafgen does). netmapd and its workers, whom the
first client of a run starts, lead sessions as well and stay.

The run is process 1 of its process namespace, so all pids are its own or its descendants'.
"""

import collections
import contextlib
import os
import signal
import subprocess
import time

GENTLE_S = 5  # for a program to end by itself when it is asked to
KILL_S = 5

LOOK_S = 0.05  # how long what is left is watched, and how often it may still be busy: daemons put away
LOOKS = 20     # what their clients had
MAX_SHARE = 0.02  # of a CPU
OURS = ("netmapd", "nm-worker")  # not ended, however busy they are

Process = collections.namedtuple("Process", "pid name state parent session")

started_sessions, kept_sessions = set(), set()


class CannotRun(Exception):
    """A measurement could not be taken; the text says why, for the table."""


# ---- what runs -----------------------------------------------------------------------------------


def listed():
    """What runs in this process namespace."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as f:
                    head, _, rest = f.read().rpartition(")")
                state, parent, _, session = rest.split()[:4]
                yield Process(int(entry), head.partition("(")[2], state, int(parent), int(session))


def cpu_seconds(pid):
    """User and system time so far of a process's threads, to the nanosecond."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
    return total / 1e9


def session_seconds(pid):
    """The same of a program and all that it has started."""
    total = 0
    for process in listed():
        if process.session == pid:
            with contextlib.suppress(OSError):
                total += cpu_seconds(process.pid)
    return total


# ---- starting and ending -------------------------------------------------------------------------


def end_session(child):
    """Kill what is left of a program's session, and take away the children that it left to us."""
    limit = time.monotonic() + KILL_S
    while time.monotonic() < limit:
        alive = False
        for process in listed():
            if process.session != child.pid:
                continue
            if process.state != "Z":
                alive = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            elif process.parent == os.getpid() and process.pid != child.pid:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
        child.poll()
        if not alive:
            break
        time.sleep(0.002)
    child.wait()


@contextlib.contextmanager
def started(*argv, cpus=None, gentle=False, **popen):
    """A program that ends with the block, and with it all that it started."""
    def pin():
        if cpus is not None:
            os.sched_setaffinity(0, cpus)

    try:
        child = subprocess.Popen(list(map(str, argv)), start_new_session=True, preexec_fn=pin, **popen)
    except FileNotFoundError as e:
        raise CannotRun(f"the program {e.filename} is missing; scripts/deps bench installs it") from None
    started_sessions.add(child.pid)
    kept_sessions.add(child.pid)
    try:
        yield child
    finally:
        if gentle and child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=GENTLE_S)
        end_session(child)
        kept_sessions.discard(child.pid)
        for stream in filter(None, (child.stdin, child.stdout, child.stderr)):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@contextlib.contextmanager
def process(*argv, env=None, cpus=None, log=None):
    """Asked to end with the block. Its stdin is a pipe that stays open as long."""
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(open(log, "wb")) if log else subprocess.DEVNULL
        yield stack.enter_context(started(*argv, env=env, cpus=cpus, gentle=True,
                                          stdin=subprocess.PIPE, stdout=out,
                                          stderr=subprocess.STDOUT))


def heard(env, *argv, cpu=None):
    """Killed with the block; what it says is kept, for interrupt()."""
    return started(*argv, env=env.environ, cpus=None if cpu is None else {cpu}, text=True,
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def interrupt(child):
    """End what prints its results then. Return: what it wrote to stdout and stderr."""
    child.send_signal(signal.SIGINT)
    try:
        return child.communicate(timeout=GENTLE_S)
    except subprocess.TimeoutExpired:
        raise CannotRun(f"{child.args[0]} did not end") from None


def output(argv, environ, timeout):
    """What a measuring program prints; the last line of its complaint becomes the reason."""
    name = os.path.basename(str(argv[0]))
    with started(*argv, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            out, complaint = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise CannotRun(f"{name} did not end") from None
    if child.returncode != 0:
        lines = complaint.strip().splitlines()
        raise CannotRun(lines[-1] if lines else f"{name} ended with {child.returncode}")
    return out


# ---- what was left -------------------------------------------------------------------------------


def usage():
    """CPU time so far of all but ourselves."""
    found = {}
    for process in listed():
        if process.pid != os.getpid() and process.state != "Z":
            with contextlib.suppress(OSError):
                found[process] = cpu_seconds(process.pid)
    return found


def busy_ones():
    """Shares of a CPU, of those that should be idle between two cases and do not become so."""
    for _ in range(LOOKS):
        before, begin = {p.pid: t for p, t in usage().items()}, time.monotonic()
        time.sleep(LOOK_S)
        after, elapsed = usage(), time.monotonic() - begin
        shares = {p: (t - before[p.pid]) / elapsed for p, t in after.items() if p.pid in before}
        found = {p: share for p, share in shares.items() if share > MAX_SHARE}
        if not found:
            break
    return found


def is_stray(process):
    """Of our own session (a helper's child), or of a program that has been ended."""
    return process.state != "Z" and process.pid != os.getpid() and (
        process.session == os.getsid(0) or process.session in started_sessions - kept_sessions)


def leftovers():
    """End what a case has left running. Return: a text for each, empty if all is as it should be."""
    found = {p: f"{p.name} (pid {p.pid}) is still there" for p in listed() if is_stray(p)}
    for p, share in busy_ones().items():
        found[p] = f"{p.name} (pid {p.pid}) goes on with {share:.0%} of a CPU"
    for p in found:
        if not p.name.startswith(OURS):
            with contextlib.suppress(ProcessLookupError):
                os.kill(p.pid, signal.SIGKILL)
    return list(found.values())
