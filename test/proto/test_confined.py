#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What netmapd leaves behind when it starts: privileges, system calls, and what it inherited from whoever started it."""
import json
import os
import resource
import signal
import subprocess
import sys
import time

import unmproto as u

# NET_ADMIN, NET_RAW, IPC_LOCK, SYS_ADMIN, SYS_PTRACE, DAC_OVERRIDE, CHOWN
KEPT = 1 << 12 | 1 << 13 | 1 << 14 | 1 << 21 | 1 << 19 | 1 << 1 | 1 << 0


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def daemon_json(s):
    return json.loads(s.admin("show", "daemon")[1])["daemon"][0]


def gives_up_privileges():
    mine = status(os.getpid())
    d = u.Daemon()
    s = d.session()  # it answers once it is through with that
    st = status(d.proc.pid)
    u.expect(st["NoNewPrivs"], "1", "no new privileges")
    if os.geteuid() == 0:
        u.expect(int(st["CapEff"], 16), int(mine["CapEff"], 16) & KEPT, "capabilities")
        u.expect(int(st["CapPrm"], 16), int(mine["CapEff"], 16) & KEPT, "permitted capabilities")
    if daemon_json(s)["syscall_filter"]:
        u.expect(int(st["Seccomp_filters"]), int(mine["Seccomp_filters"]) + 2, "filters")  # what is allowed, and some ioctls
    else:
        print("# a sanitized build: no filter")
    s.close()
    d.stop()


def filter_can_be_switched_off():
    d = u.Daemon(config="[daemon]\nseccomp = no\n")
    s = d.session()
    doc = daemon_json(s)
    u.expect((doc["syscall_filter"], doc["syscall_filter_wanted"]), (False, False), "what it says")
    u.expect(status(d.proc.pid)["Seccomp_filters"], status(os.getpid())["Seccomp_filters"], "filters")
    s.close()
    d.stop()


def inherit_nonsense():
    """In the starter, as a client might be: limited, polite, pinned, and deaf."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    resource.setrlimit(resource.RLIMIT_CPU, (2, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    os.nice(5)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.umask(0)


def autostarted_inherits_nothing():
    """What a first client had set for itself is not what netmapd runs with; and it has no part in its files and terminal."""
    path = os.path.join(u.tempfile.mkdtemp(prefix="unm-proto-"), "s")
    out = subprocess.run([u.program(), "--autostart", "--socket", path], preexec_fn=inherit_nonsense,
                         stdin=subprocess.DEVNULL, capture_output=True, timeout=20, cwd="/usr", pass_fds=[])
    u.expect((out.returncode, out.stdout, out.stderr), (0, b"", b""), "start")
    s = u.Session(path)
    doc = daemon_json(s)
    pid = doc["pid"]
    st = status(pid)
    blocked = int(st["SigBlk"], 16)
    ignored = int(st["SigIgn"], 16)
    # Blocked on purpose, to be read from a descriptor: INT, TERM, CHLD. Ignored on purpose: PIPE, XFSZ.
    u.expect([n for n in range(1, 32) if blocked >> (n - 1) & 1], [signal.SIGINT, signal.SIGTERM, signal.SIGCHLD], "blocked")
    u.expect([n for n in range(1, 32) if ignored >> (n - 1) & 1], [signal.SIGPIPE, signal.SIGXFSZ], "ignored")
    with open("/proc/%d/limits" % pid) as f:
        limits = {line[:26].strip(): line[26:].split()[:2] for line in f}
    for name in ("Max open files", "Max file size", "Max cpu time"):
        u.expect(limits[name][0], limits[name][1], name + ": soft limit and hard limit")
    assert doc["max_fds"] > 32, doc["max_fds"]
    u.expect(os.sched_getaffinity(pid), os.sched_getaffinity(0), "CPUs")
    if os.geteuid() == 0:
        u.expect(os.getpriority(os.PRIO_PROCESS, pid), 0, "niceness")
    u.expect(os.readlink("/proc/%d/cwd" % pid), "/", "directory")
    u.expect(int(st["Umask"], 8), 0o077, "umask")
    for fd in (0, 1, 2):
        u.expect(os.readlink("/proc/%d/fd/%d" % (pid, fd)), "/dev/null", "descriptor %d" % fd)
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    assert os.getsid(pid) != os.getsid(0) and fields[4] == "0", "session and terminal"
    s.close()
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while os.path.exists("/proc/%d" % pid) and status(pid).get("State", "Z")[0] != "Z":
        assert time.monotonic() < deadline, "did not end"
        time.sleep(0.02)
    u.shutil.rmtree(os.path.dirname(path))


def out_of_descriptors_says_how_many():
    """A hard limit can't be raised without privilege; then the error says what it is, and what to do."""
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

    directory = u.tempfile.mkdtemp(prefix="unm-proto-")
    os.chmod(directory, 0o777)
    d = u.Daemon(preexec=few, directory=directory)
    s = d.session()
    doc = daemon_json(s)
    u.expect(doc["max_fds"], 40, "limit")
    err, text, descs = 0, "", []
    while not err and len(descs) < 60:
        descs.append(s_open(s))
        if descs[-1] is None:
            break
        r = s.register(descs[-1], "vale0:p%d" % len(descs), tx_slots=8, rx_slots=8)
        err, text = r.error, r.text
        r.close()
    if descs[-1] is not None:
        u.expect(err, u.errno.EMFILE, "register: " + text)
        assert "descriptors" in text and ("nmctl doctor" in text or "ulimit" in text), text
    assert "used up its 40 descriptors" in d.messages() or "nmctl doctor" in text, d.messages()
    for x in descs:
        if x is not None:
            x.close()
    s.close()
    d.stop()
    u.shutil.rmtree(directory, ignore_errors=True)


def workers_leave_a_pipe():
    """A worker outlives netmapd, but who reads netmapd's output through a pipe sees the end of it. In a file it writes on."""
    directory = u.tempfile.mkdtemp(prefix="unm-proto-")
    path = os.path.join(directory, "s")
    proc = subprocess.Popen([u.program(), "--foreground", "--socket", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 10
    while not os.path.exists(path):
        assert time.monotonic() < deadline, "did not start"
        time.sleep(0.02)
    s = u.Session(path)
    for words in (["create", "p"], ["attach", "vale0", "p"], ["attach", "vale1", "p"]):
        u.expect(s.admin(*words)[0], 0, " ".join(words))

    def worker():
        ports = json.loads(s.admin("show", "ports")[1])["ports"]
        return next((p["worker_pid"] for p in ports if p.get("worker_pid") and p["users"] > 0), 0)
    while not worker():
        assert time.monotonic() < deadline, "no worker"
        time.sleep(0.02)
    pid = worker()
    s.close()
    proc.terminate()
    proc.communicate(timeout=5)
    assert status(pid)["Name"] == "nm-worker", "the worker has ended"
    d = u.Daemon(directory=directory)
    s = d.session()
    while worker() != pid:
        assert time.monotonic() < deadline + 10, "another worker"
        time.sleep(0.02)
    u.expect(s.admin("stop")[0], 0, "stop")
    s.close()
    d.stop()
    u.shutil.rmtree(directory)


def s_open(s):
    try:
        return s.open()
    except AssertionError:
        return None


sys.exit(1 if u.run_each([gives_up_privileges, filter_can_be_switched_off, autostarted_inherits_nothing,
                          out_of_descriptors_says_how_many, workers_leave_a_pipe]) else 0)
