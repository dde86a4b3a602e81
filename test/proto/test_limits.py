#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Bad luck: no memory, no descriptors, a full directory, stale sockets, two daemons at once; and what an idle netmapd costs."""
import errno
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import unmproto as u


def status_kib(pid, key):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise KeyError(key)


def cpu_ticks(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def small_and_asleep():
    """Below 8 MiB before ports exist (the build says how much), and no CPU time at all while nobody asks."""
    d = u.Daemon()
    s = d.session()
    rss = status_kib(d.proc.pid, "VmRSS")
    assert rss < int(os.environ["MAX_RSS_KIB"]), "%d KiB resident" % rss
    port = s.open()
    u.expect(s.register(port, "vale0:a").error, 0, "register")
    time.sleep(0.2)  # until it has gone to sleep after the answer
    before, switches = cpu_ticks(d.proc.pid), status_kib(d.proc.pid, "voluntary_ctxt_switches")
    time.sleep(1.5)
    u.expect(cpu_ticks(d.proc.pid), before, "CPU ticks while idle")
    u.expect(status_kib(d.proc.pid, "voluntary_ctxt_switches"), switches, "wake-ups while idle")
    port.close()
    s.close()
    d.stop()


def memory_limit():
    """The configured limit is an ENOMEM that names it; what was taken by then goes on; closing gives it back."""
    d = u.Daemon(config="[limits]\nmemory_mib = 20\n")
    s = d.session()
    ports, r = [], None
    while len(ports) < 50:
        p = s.open()
        r = s.register(p, "vale0:p%d" % len(ports))
        if r.error:
            p.close()
            break
        r.close()
        ports.append(p)
    u.expect(r.error, errno.ENOMEM, "beyond the limit")
    assert "memory_mib" in r.text and "20" in r.text, r.text
    assert 2 <= len(ports) <= 5
    for p in ports:
        p.close()
    for n in range(20):
        p = s.open()
        u.expect(s.register(p, "vale0:again").error, 0, "after the close")
        p.close()
    s.close()
    d.stop()


def file_size_limit():
    """ulimit -f bounds memory files: an ENOMEM with a reason, not netmapd's end by SIGXFSZ."""
    d = u.Daemon(preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20)))
    s = d.session()
    p = s.open()
    r = s.register(p, "vale0:a")
    u.expect(r.error, errno.ENOMEM, "register")
    assert r.text
    u.expect(s.request(u.GET_REGION, bytes(80)).error, errno.ESTALE, "it still answers")
    s.close()
    d.stop()


def port_limit():
    d = u.Daemon(config="[limits]\nports = 3\nclients = 2\n")
    a, b = d.session(), d.session()
    c = d.session(hello=False)
    ans = c.hello()
    u.expect(ans.error, errno.EAGAIN, "third client")
    assert b"[limits] clients" in ans.body
    ports = [a.open() for _ in range(4)]
    for i in range(3):
        u.expect(a.register(ports[i], "vale0:%d" % i).error, 0, "port")
    r = a.register(ports[3], "vale0:3")
    u.expect(r.error, errno.ENOMEM, "fourth port")
    assert "[limits] ports" in r.text
    u.expect(a.register(ports[3], "vale0:2").error, 0, "an existing port")
    b.close()
    time.sleep(0.05)
    u.expect(c.hello().error, 0, "when another client has gone")
    for x in ports:
        x.close()
    d.stop()


def descriptor_limit():
    """Out of descriptors: an error for whoever asks, service for those who are there, and recovery."""
    d = u.Daemon(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60)))
    s = d.session()
    ports, error = [], 0
    while not error and len(ports) < 100:
        p = u.Desc()
        error = s.request(u.OPEN, p.id, p.both()).error
        if not error:
            error = s.register(p, "vale0:a").error
        ports.append(p)
    assert error in (errno.EMFILE, errno.ENFILE), error
    extra = []
    for _ in range(80):  # fill what is left, then be refused with a message
        c = u.Session(d.path, hello=False)
        c.sock.settimeout(2)
        extra.append(c)
    c = extra[-1]
    kind, ans = (lambda data: (data[4], data))(c.sock.recv(1000))
    assert b"descriptors" in ans, ans
    u.expect(s.admin("show", "daemon")[0], 0, "those who are connected are served")
    for x in extra + ports:
        x.close()
    time.sleep(0.2)
    d.check_alive()
    s.close()
    d.stop()


def two_at_once():
    """Many started on one socket: one serves, the others end with status 0."""
    base = tempfile.mkdtemp(prefix="unm-two-")
    path = os.path.join(base, "s")
    procs = [subprocess.Popen([u.program(), "--socket", path], stderr=subprocess.PIPE) for _ in range(8)]
    deadline = time.monotonic() + 10
    while sum(p.poll() is None for p in procs) > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    alive = [p for p in procs if p.poll() is None]
    u.expect(len(alive), 1, "daemons left")
    for p in procs:
        if p is not alive[0]:
            u.expect(p.returncode, 0, "exit status of the others")
            assert b"nothing to do" in p.stderr.read()
    u.Session(path).close()
    alive[0].terminate()
    u.expect(alive[0].wait(10), 0, "exit status")
    for p in procs:
        p.stderr.close()
    assert not os.path.exists(path), "the socket was left behind"
    shutil.rmtree(base)


def has_socket(pid):
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            if os.readlink("/proc/%d/fd/%s" % (pid, fd)).startswith("socket:"):
                return True
        except OSError:
            pass  # closed meanwhile
    return False


def waiting_netmapd(path):
    """One started while another has the lock, once it asks that one."""
    p = subprocess.Popen([u.program(), "--socket", path], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 5
    while p.poll() is None and not has_socket(p.pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return p


def successor_of_one_that_ends():
    """Started while another netmapd still listens but is about to end: it takes over. It ends only when that one answers."""
    for how in ("stop", "signal", "killed", "alive"):
        d = u.Daemon()
        s = d.session()
        os.kill(d.proc.pid, signal.SIGSTOP)
        if how == "stop":
            text = b"stop\0"
            s.send(u.ADMIN, struct.pack("<II", len(text), 0) + text)
        elif how == "signal":
            os.kill(d.proc.pid, signal.SIGTERM)
        p = waiting_netmapd(d.path)
        assert p.poll() is None, (how, p.stderr.read())
        os.kill(d.proc.pid, signal.SIGKILL if how == "killed" else signal.SIGCONT)
        if how == "alive":
            u.expect(p.wait(10), 0, "exit status of the second")
            assert b"nothing to do" in p.stderr.read()
            d.check_alive()
            s.close()
            p.stderr.close()
            d.stop()
            continue
        d.proc.wait(10)
        deadline = time.monotonic() + 10
        while True:
            try:
                other = u.Session(d.path)
                break
            except (OSError, ConnectionResetError):
                assert p.poll() is None, (how, p.stderr.read())
                assert time.monotonic() < deadline, how
                time.sleep(0.02)
        u.expect(other.admin("show", "daemon")[0], 0, how)
        other.close()
        s.close()
        p.terminate()
        u.expect(p.wait(10), 0, "exit status of the successor")
        p.stderr.close()
        d.log.close()
        u.running.remove(d)
        shutil.rmtree(d.dir)


def stopped_one():
    """One that holds the lock and does not answer: a second one says so, after a while, and leaves it alone."""
    d = u.Daemon()
    os.kill(d.proc.pid, signal.SIGSTOP)
    p = subprocess.run([u.program(), "--socket", d.path], stderr=subprocess.PIPE, timeout=30)
    os.kill(d.proc.pid, signal.SIGCONT)
    u.expect(p.returncode, 1, "exit status")
    assert b"(process %d)" % d.proc.pid in p.stderr and b"does not answer" in p.stderr, p.stderr
    d.check_alive()
    d.stop()


def runs(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def child_that_has_not_begun():
    """A program of netmapd's that has not come to its own code when netmapd is killed does not outlive it."""
    base = tempfile.mkdtemp(prefix="unm-child-")
    shutil.copy(u.program(), os.path.join(base, "netmapd"))
    slow, pid_file = os.path.join(base, "nm-isolator"), os.path.join(base, "pid")
    with open(slow, "w") as f:
        f.write("#!/bin/sh\necho $$ >%s.new; mv %s.new %s; exec sleep 60\n" % (pid_file, pid_file, pid_file))
    os.chmod(slow, 0o755)
    real, os.environ["NETMAPD"] = u.program(), os.path.join(base, "netmapd")
    try:
        d = u.Daemon(config="[daemon]\nseccomp = no\n")
    finally:
        os.environ["NETMAPD"] = real
    s = d.session()
    err, text = s.admin("isolate", "create", "i", "socket=" + os.path.join(base, "i"), "allow=vale0:*")
    u.expect(err, 0, text)
    deadline = time.monotonic() + 10
    while not os.path.exists(pid_file):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with open(pid_file) as f:
        pid = int(f.read())
    assert runs(pid)
    d.kill()
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    outlived = runs(pid)
    if outlived:
        os.kill(pid, signal.SIGKILL)
    s.close()
    shutil.rmtree(d.dir)
    shutil.rmtree(base)
    assert not outlived


def stale_socket():
    """A socket that nobody serves is replaced; one that another program serves is not, nor is a file that is no socket."""
    base = tempfile.mkdtemp(prefix="unm-stale-")
    path = os.path.join(base, "s")
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stale.bind(path)
    stale.close()
    d = u.Daemon(directory=base)
    d.check_alive()
    d.stop()
    other = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other.bind(path)
    other.listen(5)
    p = subprocess.run([u.program(), "--socket", path], stderr=subprocess.PIPE, timeout=10)
    assert b"another program" in p.stderr, p.stderr
    other.close()
    path = os.path.join(base, "file")
    with open(path, "w") as f:
        f.write("keep")
    p = subprocess.run([u.program(), "--socket", path], stderr=subprocess.PIPE, timeout=10)
    u.expect(p.returncode, 1, "a file in the socket's place")
    assert b"not a socket" in p.stderr, p.stderr
    with open(path) as f:
        u.expect(f.read(), "keep", "the file")
    p = subprocess.run([u.program(), "--socket", "/x" * 100], stderr=subprocess.PIPE, timeout=10)
    u.expect(p.returncode, 1, "path too long")
    p = subprocess.run([u.program(), "--socket", "/proc/nosuch/s"], stderr=subprocess.PIPE, timeout=10)
    u.expect(p.returncode, 1, "no such directory")
    assert b"/proc/nosuch" in p.stderr
    shutil.rmtree(base)


def full_directory():
    """No room beside the socket: netmapd serves, and takes over; what it knows is written where its file is, or later."""
    if os.geteuid() != 0:
        print("# skipped: needs root to mount a small tmpfs")
        return
    for fill_and_restart in ("fill_before_the_first_file", "fill_after_the_first_file"):
        base = tempfile.mkdtemp(prefix="unm-full-")
        script = "mount -t tmpfs -o size=64k,nr_inodes=8 none %s && exec %s %s" % (base, sys.executable, __file__)
        env = dict(os.environ, UNM_FULL_DIR=base, UNM_FULL_HOW=fill_and_restart)
        p = subprocess.run(["unshare", "-m", "sh", "-c", script], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        os.rmdir(base)
        assert p.returncode == 0, p.stdout.decode()


def inside_full_directory(base):
    d = u.Daemon(directory=base)
    try:
        globals()[os.environ["UNM_FULL_HOW"]](d, base)
    finally:
        d.stop()


def top_up(path, size=1):
    """Write pieces of that size to the file until there is no room for one."""
    with open(path, "ab", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * size)
        except OSError as e:
            u.expect(e.errno, errno.ENOSPC, "fill")


def fill(base):
    """All bytes, then all names. Return the file that has the bytes."""
    path = os.path.join(base, "fill")
    for size in (4096, 512, 1):
        top_up(path, size)
    open(os.path.join(base, "s.state.new"), "w").close()  # as one leaves it who is killed meanwhile: the next one's socket takes its place
    try:
        for n in range(10):
            open(os.path.join(base, "more%d" % n), "w").close()
        raise AssertionError("there is always room")
    except OSError as e:
        u.expect(e.errno, errno.ENOSPC, "more names")
    return path


def state(d):
    with open(d.path + ".state") as f:
        return f.read()


def is_written(session):
    return json.loads(session.admin("show", "daemon")[1])["daemon"][0]["state_file"]


def wait_until(what, condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def new_port(session, p, name):
    u.expect(session.ctrl(p, u.VALE_NEWIF, name, struct.pack("<IIHHI", 64, 64, 1, 1, 0)).error, 0, "port " + name)


def fill_before_the_first_file(d, base):
    """There is none until there is room, of which netmapd learns by itself."""
    full = fill(base)
    s = d.session()
    p = s.open()
    u.expect(s.register(p, "vale0:a").error, 0, "register")
    assert not os.path.exists(d.path + ".state"), "a state file without room for it"
    u.expect(is_written(s), False, "what is shown")
    s.close()
    d.kill()
    d.start()
    t0 = time.monotonic()
    s = d.session()
    u.expect(s.register(s.open(), "vale0:b").error, 0, "register after the restart")
    assert time.monotonic() - t0 < 2.5
    os.unlink(full)
    os.unlink(os.path.join(base, "more0"))
    wait_until("it is not tried again", lambda: is_written(s))
    assert "sessions 1" in state(d), state(d)
    s.close()


def fill_after_the_first_file(d, base):
    """What is set when the disk is full holds after a crash; what outgrows the file is told, and written later."""
    s = d.session()
    p = s.open()
    u.expect(s.register(p, "vale0:a").error, 0, "register")
    full = fill(base)
    new_port(s, p, "kept")
    assert " kept " in state(d), state(d)
    u.expect(is_written(s), True, "what is shown")
    top_up(full)  # somebody takes all that netmapd may have given back
    for i in range(1, 201):  # more than a page of them
        new_port(s, p, "kept%d" % i)
        top_up(full)
    u.expect(is_written(s), True, "what is shown of more")
    s.close()
    wait_until("its clients", lambda: "sessions 0" in state(d))
    d.kill()
    d.start()
    s = d.session()
    b, p = s.open(), s.open()
    u.expect(s.register(b, "vale0:b").error, 0, "register after the restart")
    assert "kept" in [x["name"] for x in json.loads(s.admin("show", "ports")[1])["ports"]], "a persistent port is forgotten"
    n = 201
    while is_written(s):
        n += 1
        new_port(s, p, "port-of-name%d" % n)
        assert n < 1000, "there is always room"
    assert n > 250, "room for %d ports" % n
    assert not os.path.exists(d.path + ".state"), "a wrong state file"
    os.unlink(full)
    os.unlink(os.path.join(base, "more0"))
    wait_until("it is not tried again", lambda: is_written(s))
    assert state(d).count("\nport ") == n, state(d)
    s.close()


BOM = "\ufeff"
WEB = "[isolate web]\nsocket = /nowhere/a\nallow = vale0:*\n"


def configuration():
    """Bad lines are named by file and line; the program does not start with them."""
    base = tempfile.mkdtemp(prefix="unm-conf-")
    path = os.path.join(base, "c")
    os.mkdir(os.path.join(base, "d"))
    for text, want in (("[limits]\nmemory_mib = lots\n", "c:2"), ("[limits]\n\nnosuch = 1\n", "c:3"), ("[nosuch]\na = 1\n", "c:1: there is no section"),
                       ("[vale]\nslots = 0\n", "c:2"), ("[vale]\nslots = 5000\n", "4096"), ("[vale]\nageing = -1\n", "c:2"),
                       ("[access]\ngroup = no_such_group_here\n", "groupadd"), ("[daemon]\nhuge_pages = maybe\n", "yes or no"),
                       ("[daemon]\nlog_level = loud\n", "warning"), ("just words\n", "c:1"),
                       (WEB + "rate = 1\n\nrate = 2\n", "c:6: rate is given twice"), (WEB + WEB, "c:4: there is a section [isolate web]"),
                       (WEB + "[vale]\n" + WEB.replace("/a", "/b"), "c:5: there is a section [isolate web] in line 1"),
                       (WEB + WEB.replace("web", "app"), "c:5: isolate web has this socket already"),
                       (WEB + WEB.replace("web", "app").replace("/a", "//a"), "c:5: isolate web has this socket already"),
                       (WEB.replace("/nowhere/", base + "/") + WEB.replace("web", "app").replace("/nowhere/", base + "/d/../"),
                        "c:5: isolate web has this socket already"),
                       (WEB.replace("/nowhere/a", base + "/d/.././s"), "isolate web: %s/d/.././s is netmapd's own socket" % base),
                       ("[isolate a]\n", "c:1: isolate a: socket=PATH is needed"), (WEB + "[isolate a]\n[vale]\n", "c:4: isolate a:"),
                       ("[isolate ]\n", "c:1: the name must have"), (BOM + "[vale]\nslots = 0\n", "c:2"),
                       (BOM + "  " + WEB + WEB, "c:4: there is a section [isolate web] in line 1"),
                       ("[vale]\n" + BOM + "[nic]\n", "c:2: not a section"), ("[nic\nmode = xdp\n", "c:1: a section's line ends with a ]"),
                       ("[nic]\nmode = xdp\n[vale]\n[nic]\nmode = auto\n", "c:5: mode is given in line 2 already"),
                       ("[vale]\n[isolate web]\nallow = vale0:a\n", "c:2: isolate web: socket=PATH is needed")):
        with open(path, "w") as f:
            f.write(text)
        p = subprocess.run([u.program(), "--check-config", "-c", path, "--socket", os.path.join(base, "s")],
                           stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        u.expect(p.returncode, 1, text)
        assert want in p.stderr.decode(), p.stderr
    with open(path, "w") as f:
        f.write(BOM + "; all keys\n[access]\ngroup = root\n[limits]\nmemory_mib = 100\nclients = 10\nports = 5\n[vale]\nslots = 64\nageing = 60\n"
                "[daemon]\nhuge_pages = no\nidle_exit = 5\nlog_level = debug\n" + WEB + "allow = vale1:*\n" +
                WEB.replace("web", "app").replace("/a", "/b"))
    p = subprocess.run([u.program(), "--check-config", "-c", path], stdout=subprocess.PIPE)
    u.expect(p.returncode, 0, "good file")
    p = subprocess.run([u.program(), "--check-config", "-c", path + "x"], stderr=subprocess.PIPE)
    u.expect(p.returncode, 1, "missing file")
    for args in (["--nosuch"], ["word"], ["--socket"]):
        p = subprocess.run([u.program()] + args, stderr=subprocess.PIPE)
        u.expect(p.returncode, 2, " ".join(args))
    d = u.Daemon(config="[vale]\nslots = 64\n")
    s = d.session()
    u.expect(s.register(s.open(), "vale0:a").reg()["tx_slots"], 64, "default slots")
    d.stop()
    shutil.rmtree(base)


def refuses_strangers():
    """Another user gets EPERM and a sentence, whatever it asks; a member of the group is let in."""
    if os.geteuid() != 0:
        print("# skipped: needs root to become somebody else")
        return
    for config, gid, want in ((None, 12345, errno.EPERM), ("[access]\ngroup = daemon\n", 12345, errno.EPERM),
                              ("[access]\ngroup = daemon\n", 1, 0)):
        d = u.Daemon(config=config)
        os.chmod(d.dir, 0o755)
        os.chmod(d.path, 0o666)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setgroups([gid])
                os.setgid(54321)
                os.setuid(54321)
                s = u.Session(d.path, hello=False)
                u.expect(s.request(u.ADMIN, bytes(8)).error, errno.EINVAL if want == 0 else want, "ADMIN")
                ans = s.hello()
                u.expect(ans.error, want, "HELLO")
                assert want == 0 or len(u.HELLO_BODY.unpack(ans.body)[6].strip(b"\0")) > 20
                code = 0
            except BaseException as e:
                print("#", e)
            os._exit(code)
        u.expect(os.waitpid(pid, 0)[1], 0, "as another user, group %d, config %r" % (gid, config))
        d.check_alive()
        d.stop()


def ends_when_unused():
    """An instance started on demand ends by itself; not while somebody is connected."""
    base = tempfile.mkdtemp(prefix="unm-auto-")
    path, conf = os.path.join(base, "s"), os.path.join(base, "c")
    with open(conf, "w") as f:
        f.write("[daemon]\nidle_exit = 1\n")
    p = subprocess.run([u.program(), "--autostart", "--socket", path, "-c", conf], timeout=10)
    u.expect(p.returncode, 0, "start")
    s = u.Session(path)  # at once: the parent's end means that it listens
    time.sleep(2)
    u.expect(s.admin("show", "daemon")[0], 0, "while a client is connected")
    s.close()
    deadline = time.monotonic() + 5
    while os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(path), "still there"
    shutil.rmtree(base)


def directories():
    """That of a default socket is made; that of another one has to be there."""
    base = tempfile.mkdtemp(prefix="unm-dir-")
    path = os.path.join(base, "no", "s")
    p = subprocess.run([u.program(), "--socket", path], timeout=10, stderr=subprocess.PIPE, text=True)
    u.expect(p.returncode, 1, "no directory")
    assert "make the directory of the socket first" in p.stderr, p.stderr
    u.expect(os.listdir(base), [], "made")
    if os.geteuid() != 0:
        env = {**os.environ, "XDG_RUNTIME_DIR": base}
        env.pop("UNETMAP_SOCKET", None)
        u.expect(subprocess.run([u.program(), "--autostart"], env=env, timeout=10).returncode, 0, "a default one")
        s = u.Session(os.path.join(base, "unetmap", "netmapd.sock"))
        s.admin("stop")
        s.close()
    shutil.rmtree(base)


if os.environ.get("UNM_FULL_DIR"):
    inside_full_directory(os.environ["UNM_FULL_DIR"])
    sys.exit(0)

tests = [small_and_asleep, memory_limit, file_size_limit, port_limit, descriptor_limit, two_at_once, successor_of_one_that_ends,
         stopped_one, child_that_has_not_begun, stale_socket, full_directory,
         configuration, refuses_strangers, ends_when_unused, directories]
sys.exit(1 if u.run_each(tests) else 0)
