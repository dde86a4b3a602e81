# SPDX-License-Identifier: BSD-2-Clause
"""
Namespaces for a whole run.

The driver starts itself again inside new network, mount and process namespaces. The second instance
is process 1 of its process namespace: when it ends, or when its parent is killed, the kernel ends
every process that it started, and with the last of them go the interfaces and bridges. So nothing can
be left behind, not even after kill -9. Without root a user namespace gives the rights that are needed.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

from processes import listed

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REPORT_S = 60  # for a run that is told to end: tables, and a chart

NAMESPACES = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]


def unshare_command():
    """The command that makes the namespaces, or None and why there are none."""
    command = ["unshare", *NAMESPACES]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    try:
        probe = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None, "the program unshare (package util-linux) is missing"
    if probe.returncode != 0:
        return None, probe.stderr.strip() or "the kernel refused"
    return command, None


def enter(script, args):
    """Run the script again with --inside and return its exit status."""
    command, reason = unshare_command()
    if command is None:
        sys.exit(f"bench/run: cannot make namespaces: {reason}; run as root, or allow "
                 "unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1)")
    directory = tempfile.mkdtemp(prefix="bench-")
    try:
        # setpriv: should this process be killed, unshare goes too, and --kill-child does the rest.
        # A session of its own: a terminal's ^C comes to us only.
        child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command, sys.executable, script,
                                  *args, "--inside", directory], start_new_session=True)
        return wait(child)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def wait(child):
    """Wait for the child. The first signal that ends a program is passed on to the one inside, which reports what it
    has; after a second one, or if it takes too long, it is killed.
    """
    def stop(signum, _frame):
        for s in SIGNALS:
            signal.signal(s, kill)
        signal.signal(signal.SIGALRM, kill)
        signal.alarm(REPORT_S)
        inside = [p.pid for p in listed() if p.parent == child.pid]
        if not inside:
            raise SystemExit(128 + signum)
        os.kill(inside[0], signum)

    def kill(signum, _frame):
        raise SystemExit(128 + signum)

    for s in SIGNALS:
        if signal.getsignal(s) != signal.SIG_IGN:  # nohup
            signal.signal(s, stop)
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
