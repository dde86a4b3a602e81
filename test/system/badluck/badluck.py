# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of this directory share: a netmapd of their own, traffic programs, and the accounts afterwards.

Each test has a private directory with a socket in it. netmapd is started there by the first program that needs it, as
on a user's machine, and started again by whoever misses it after it was killed. Processes that lose their parent come to the
test (it is a subreaper), so that it can see them all end. Nothing is ever waited for without a deadline.

The environment names the programs: NETMAPD, BL_TRAFFIC, BL_SCRIBBLE, BL_CLIENT.
"""
import ctypes
import json
import mmap
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback

import unmproto

# In memory, as a runtime directory is: on a busy disk netmapd waited 20 s for the rename of a file.
RUN_DIR = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
STARVED_S = 1
SOON_S = 20  # for what takes milliseconds on an idle machine
FIELDS = ("mode", "filled", "accepted", "received", "missing", "torn", "late", "foreign", "run", "n_runs", "first",
          "next", "max_delay_us", "n_delays", "max_call_us", "n_errors", "n_idle", "bad_ring")
LAYOUT = struct.Struct("<%dQ" % len(FIELDS))  # struct bl_status
STARTING, PAUSED, RUNNING, ENDED = range(4)
PR_SET_CHILD_SUBREAPER = 36
EXIT_GONE = 3

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Failure(Exception):
    """What was expected did not happen."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def wait_until(condition, what, seconds=SOON_S):
    """Until condition() is true; what: text, or a function that says how things stand."""
    deadline = time.monotonic() + seconds
    look_at, watch = time.monotonic() + STARVED_S, {}
    while True:
        result = condition()
        if result:
            return result
        now = time.monotonic()
        if now > deadline:
            raise Failure("not within %g s: %s" % (seconds, what() if callable(what) else what))
        if now > look_at:
            look_at, watch = now + STARVED_S, help_the_starved(watch)
        time.sleep(0.002)


def let_run(pid):
    """Get a runnable process onto a CPU: past the fair scheduler, if we may, and for good, as it is starved again otherwise."""
    try:
        os.sched_setscheduler(pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        cpus = os.sched_getaffinity(pid)
        for cpu in cpus:
            os.sched_setaffinity(pid, {cpu})
        os.sched_setaffinity(pid, cpus)


def help_the_starved(before):
    """See that processes get on which could run but do not. Return: what each has had by now, for the next call.

    A netmapd that sleeps most of the time, in the scheduler's own group for its session, was seen runnable without a single
    tick for 20 to 40 s while other groups were busy (Linux 6.18). Nobody can serve like that, and no program is to blame.
    """
    seen = {}
    for pid in children():
        try:
            state, ticks = process_state(pid)
            if state == "R":
                seen[pid] = ticks
            if state == "R" and before.get(pid) == ticks:
                let_run(pid)
                print("# process %d was runnable for %g s without running" % (pid, STARVED_S), flush=True)
        except OSError:
            pass  # ended meanwhile
    return seen


def process_state(pid):
    """Its letter, and the clock ticks it has used."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return fields[0], int(fields[11]) + int(fields[12])


def is_alive(pid):
    try:
        return process_state(pid)[0] not in "ZX"
    except OSError:
        return False


def reap(pid):
    """Take leave of a child that has ended. False: it has not, or is none of ours."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False


def reap_all():
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def children():
    """Living children of this process."""
    pids = []
    for entry in os.listdir("/proc/self/task"):
        with open("/proc/self/task/%s/children" % entry) as f:
            pids += [int(p) for p in f.read().split()]
    return [p for p in pids if is_alive(p)]


def kernel_view(pid, name):
    """What the kernel says of a process; not everybody may know everything."""
    try:
        with open("/proc/%d/%s" % (pid, name)) as f:
            return "%s: %s" % (name, " ".join(f.read().replace("\0", " ").split()))
    except OSError as e:
        return "%s: %s" % (name, e.strerror)


class Traffic:
    """A running bl-traffic. Its counters are attributes, read from the status file."""

    def __init__(self, domain, role, port, *args):
        self.domain, self.role, self.port, self.args = domain, role, port, args
        domain.n_started += 1
        self.name = "%s %s (%d)" % (role, port, domain.n_started)
        path = os.path.join(domain.dir, "status%d" % domain.n_started)
        with open(path, "wb") as f:
            f.truncate(LAYOUT.size)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), LAYOUT.size, mmap.MAP_SHARED, mmap.PROT_READ)
        self.log = open(os.path.join(domain.dir, "log%d" % domain.n_started), "w+")
        self.proc = subprocess.Popen([os.environ["BL_TRAFFIC"], role, port, path, *map(str, args)], env=domain.env,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log)
        domain.traffic.append(self)

    def __getattr__(self, name):
        if name not in FIELDS:
            raise AttributeError(name)
        return LAYOUT.unpack_from(self.map)[FIELDS.index(name)]

    def state(self):
        values = dict(zip(FIELDS, LAYOUT.unpack_from(self.map)))
        return "%s: %s, %s %s" % (self.name, values, "running" if self.proc.poll() is None else
                                  "ended with %d" % self.proc.returncode, self.messages())

    def messages(self):
        with open(self.log.name) as f:
            return f.read().strip()

    def expect_alive(self):
        if self.proc.poll() is not None:
            raise Failure("has ended by itself: " + self.state())

    def wait_open(self, seconds=SOON_S):
        """Until its port is registered and mapped."""
        def is_open():
            self.expect_alive()
            return self.mode == PAUSED
        wait_until(is_open, self.state, seconds)
        return self

    def order(self, sig, mode):
        """A signal may arrive just before a sleep: so again until it was heeded."""
        def heeded():
            self.expect_alive()
            if self.mode == mode:
                return True
            self.proc.send_signal(sig)
            time.sleep(0.005)
            return False
        wait_until(heeded, self.state)
        return self

    def go(self):
        return self.order(signal.SIGUSR1, RUNNING)

    def pause(self):
        return self.order(signal.SIGUSR2, PAUSED)

    def quit(self, seconds=SOON_S):
        """End it in order. Return: what it printed."""
        def ended():
            if self.proc.poll() is not None:
                return True
            if self.mode != ENDED:
                self.proc.send_signal(signal.SIGTERM)
                time.sleep(0.005)
            return False
        wait_until(ended, self.state, seconds)
        out = self.proc.stdout.read()
        check(self.proc.returncode == 0, "exit status: " + self.state())
        self.forget()
        return json.loads(out)

    def kill(self):
        """As fast as can be: no look at anything before."""
        self.proc.kill()

    def bury(self):
        """After kill()."""
        self.proc.wait(SOON_S)
        check(self.proc.returncode == -signal.SIGKILL, "was ended by the test, but: " + self.state())
        self.forget()

    def forget(self):
        self.proc.stdout.close()
        self.log.close()
        if self in self.domain.traffic:
            self.domain.traffic.remove(self)

    def stop(self):
        self.proc.send_signal(signal.SIGSTOP)

    def cont(self):
        self.proc.send_signal(signal.SIGCONT)

    def wait_progress(self, counter, n=1, seconds=SOON_S):
        """Until a counter has grown."""
        before = getattr(self, counter)

        def grown():
            self.expect_alive()
            return getattr(self, counter) >= before + n
        wait_until(grown, lambda: "%s does not grow: %s" % (counter, self.state()), seconds)

    def fds(self):
        return os.listdir("/proc/%d/fd" % self.proc.pid)

    def mappings(self):
        with open("/proc/%d/maps" % self.proc.pid) as f:
            return sum("/memfd:unetmap" in line for line in f)


class Halted:
    """The main thread of a traffic program is halted where we want it, while its other threads go on (ptrace(2))."""

    CONT, DETACH, SEIZE, INTERRUPT, WALL = 7, 17, 0x4206, 0x4207, 0x40000000
    PATIENCE_S = 0.001

    def __init__(self, traffic):
        self.traffic, self.pid = traffic, traffic.proc.pid

    def ptrace(self, request):
        if libc.ptrace(request, self.pid, None, None) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def __enter__(self):
        self.ptrace(self.SEIZE)
        self.halt()
        return self

    def __exit__(self, *exc):
        self.ptrace(self.DETACH)

    def halt(self):
        self.ptrace(self.INTERRUPT)
        os.waitpid(self.pid, self.WALL)

    def halt_in_ring(self, port):
        """Where it is delivering to the first rx ring of the port."""
        self.traffic.domain.settled_daemon()
        row = next(r for r in self.traffic.domain.table("ports") if r["name"] == port)
        with self.segment() as seg:
            lock = unmproto.kring_ofs(seg, row["index"], row["tx_rings"]) + unmproto.KRING_LOCK

            def halted():
                if seg[lock:lock + 2] != bytes(2):
                    return True
                self.ptrace(self.CONT)
                time.sleep(self.PATIENCE_S)
                self.halt()
                return False
            wait_until(halted, "the sender is found in the ring")

    def segment(self):
        """The switch's, mapped: the only one that a client of one switch has."""
        for fd in self.traffic.fds():
            path = "/proc/%d/fd/%s" % (self.pid, fd)
            if os.readlink(path).startswith("/memfd:unetmap-segment"):
                with open(path, "r+b") as f:
                    return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        raise Failure("a client without a segment: " + self.traffic.state())


class Domain:
    """A netmapd in a directory of its own, and the programs that use it."""

    def __init__(self, config=None, env=None):
        self.dir = tempfile.mkdtemp(prefix="unm-bl-", dir=RUN_DIR)
        self.socket = os.path.join(self.dir, "s")
        self.env = dict(os.environ, UNETMAP_SOCKET=self.socket, UNETMAP_NETMAPD=os.environ["NETMAPD"], UNETMAP_VERBOSE="1",
                        **(env or {}))
        self.env.pop("XDG_RUNTIME_DIR", None)
        self.traffic, self.n_started = [], 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc):
        if kind not in (None, SystemExit):
            self.describe()
        self.close()

    def describe(self):
        """How things stand, after a failure."""
        for pid in children():
            print("# process %d: %s" % (pid, kernel_view(pid, "cmdline")))
            for task in os.listdir("/proc/%d/task" % pid):
                print("#   thread %s: %s" % (task, ", ".join(kernel_view(int(task), name)
                                                             for name in ("stat", "wchan", "syscall", "stack"))))
        for t in self.traffic:
            print("# " + t.state().replace("\n", "\n#   "))
        for what in ("daemon", "ports", "rings"):
            try:
                for row in json.loads(self.admin("show", what)[1])[what]:
                    print("# %s: %s" % (what, row))
            except (OSError, AssertionError, ValueError) as e:
                print("# netmapd does not say what is in table %s: %s" % (what, e))
                break
        if os.environ.get("UNM_BADLUCK_HOLD"):
            print("# everything is left running in %s until end of input" % self.dir, flush=True)
            sys.stdin.read()

    # Programs

    def start(self, role, port, *args):
        return Traffic(self, role, port, *args)

    def pair(self, tx_port, rx_port, stream, *args, lossless=False):
        """Receiver, then sender, both going; all that is sent is received."""
        rx = self.start("recv", rx_port, "-s", stream).wait_open()
        if lossless:
            self.lossless(rx_port)
        rx.go()
        tx = self.start("send", tx_port, "-s", stream, *args).wait_open()
        return tx.go(), rx

    def settle(self, tx, rx, seconds=SOON_S):
        """Pause the sender; what it has handed over must all be received, whole, in order."""
        tx.pause()
        wait_until(lambda: tx.accepted == tx.filled, lambda: "sender is left with frames: " + tx.state(), seconds)
        wait_until(lambda: rx.next == tx.filled, lambda: "%s\n%s" % (tx.state(), rx.state()), seconds)
        self.expect_clean(rx)

    @staticmethod
    def expect_clean(rx):
        check(rx.missing == 0 and rx.torn == 0 and rx.late == 0, "frames lost, torn or out of order: " + rx.state())

    # netmapd

    def start_daemon(self, *args):
        """As the library would; returns when it serves."""
        subprocess.run([os.environ["NETMAPD"], "--autostart", "--socket", self.socket, *args], check=True, timeout=SOON_S)
        return self.daemon()

    def session(self, hello=True):
        """A connection of our own."""
        return unmproto.Session(self.socket, hello)

    def admin(self, *words):
        s = self.session(hello=False)
        try:
            s.sock.settimeout(1)
            return s.admin(*words)
        finally:
            s.close()

    def table(self, what):
        """A table of nmctl's; waits for a netmapd that is just being started."""
        def ask():
            try:
                error, text = self.admin("show", what)
            except (OSError, AssertionError):
                return None
            return json.loads(text)[what] if error == 0 else None
        result = []

        def asked():
            answer = ask()
            if answer is not None:
                result.append(answer)
            return answer is not None
        wait_until(asked, "netmapd says what is in table " + what)
        return result[0]

    def expect_admin(self, *words):
        error, text = self.admin(*words)
        check(error == 0, "%s: %s" % (" ".join(words), text))

    def persistent_lossless(self, switch, name):
        """A port that outlives its users, on a switch, and for which senders wait."""
        self.expect_admin("create", name)
        self.expect_admin("attach", switch, name)
        self.lossless(switch + ":" + name)

    def lossless(self, port):
        self.expect_admin("set", port, "lossless", "on")

    def daemon(self):
        """The process id of the netmapd that serves now."""
        return self.table("daemon")[0]["pid"]

    def settled_daemon(self):
        """The same, once it is through with taking over from the previous one."""
        wait_until(lambda: not self.table("daemon")[0]["restoring"], "netmapd has taken over")
        return self.daemon()

    @staticmethod
    def bury_daemon(pid):
        wait_until(lambda: reap(pid), "netmapd %d has ended, and is a child of the test" % pid)

    def ports(self):
        return sorted(p["name"] for p in self.table("ports"))

    def wait_ports(self, names, seconds=SOON_S):
        wait_until(lambda: self.ports() == sorted(names), lambda: "ports %s, not %s" % (self.ports(), sorted(names)),
                   seconds)

    # The end

    def close(self):
        """End all that this domain has started; in order or not."""
        for t in list(self.traffic):
            if t.proc.poll() is None:
                t.proc.kill()
            t.proc.wait()
            t.forget()
        # Only netmapd is left: started by a client, it has become a child of ours.
        deadline = time.monotonic() + SOON_S
        while children() and time.monotonic() < deadline:
            for pid in children():
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
            reap_all()
        shutil.rmtree(self.dir, ignore_errors=True)


def run(*tests):
    """Run each test; the exit status tells whether all have passed. A test named in the arguments runs alone."""
    def ended(signum, frame):
        sys.exit(1)  # through the clean-up of whatever is running
    signal.signal(signal.SIGTERM, ended)
    signal.signal(signal.SIGINT, ended)
    failed = 0
    for n, test in enumerate(tests, 1):
        if len(sys.argv) > 1 and test.__name__ not in sys.argv[1:]:
            continue
        began = time.monotonic()
        try:
            test()
            check(not children(), "processes are left: %s" % children())
            print("ok %d - %s (%.1f s)" % (n, test.__name__, time.monotonic() - began), flush=True)
        except (Failure, AssertionError, OSError, subprocess.TimeoutExpired) as e:
            failed += 1
            print("not ok %d - %s: %s: %s" % (n, test.__name__, type(e).__name__, e), flush=True)
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)
    print("1..%d" % len(tests))
    sys.exit(1 if failed else 0)
