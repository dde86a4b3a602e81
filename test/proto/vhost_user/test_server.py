# SPDX-License-Identifier: BSD-2-Clause
"""The program: command line, sockets, sandbox, sleep, status; restarts of each in any order."""
import errno
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import tempfile
import time

import vuproto as v


def status_of(pid, thread, key):
    with open("/proc/%d/task/%s/status" % (pid, thread)) as f:
        return next(line.split()[1] for line in f if line.startswith(key + ":"))


@v.with_server()
def sandboxed(server):
    """All threads: no privileges, no new ones, system calls filtered."""
    pid = server.proc.pid
    threads = os.listdir("/proc/%d/task" % pid)
    assert len(threads) >= 2, "the library's thread is there as well"
    for t in threads:
        for key, want in (("CapEff", "0" * 16), ("CapPrm", "0" * 16), ("NoNewPrivs", "1"),
                          ("Seccomp", "2")):
            got = status_of(pid, t, key)
            assert got == want, "thread %s: %s is %s" % (t, key, got)
    server.check_alive()


@v.with_server("--no-sandbox")
def not_sandboxed(server):
    assert status_of(server.proc.pid, server.proc.pid, "Seccomp") == "0"
    server.check_alive()


def ticks(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def wake_ups(pid):
    tasks = os.listdir("/proc/%d/task" % pid)
    return sum(int(status_of(pid, t, "voluntary_ctxt_switches")) for t in tasks)


@v.with_server()
def asleep_when_idle(server):
    """With guests connected and nothing to do there is no wake-up at all."""
    a, b = server.guest("a").start(), server.guest("b").start()
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    deadline = time.monotonic() + v.TIMEOUT
    quiet = False
    while not quiet and time.monotonic() < deadline:
        before = ticks(server.proc.pid), wake_ups(server.proc.pid)
        time.sleep(1)
        quiet = (ticks(server.proc.pid), wake_ups(server.proc.pid)) == before
    assert quiet, "still busy"
    v.pass_frame(a, b)
    a.close()
    b.close()


@v.with_server()
def status_lines(server):
    a, b = server.guest("a").start(), server.guest("b").start()
    v.pass_frame(a, b)
    server.proc.send_signal(signal.SIGUSR1)
    lines = [json.loads(server.proc.stdout.readline()) for _ in range(2)]
    assert [n["port"] for n in lines] == ["valevu:a", "valevu:b"]
    assert [n["socket"] for n in lines] == [server.path("a"), server.path("b")]
    assert all(n["state"] == "connected" and n["connections"] == 2 for n in lines), lines
    assert lines[0]["tx_frames"] >= 1 and lines[1]["rx_frames"] >= 1 and lines[0]["tx_bytes"] >= 100
    a.close()
    b.close()
    v.settle(server)
    bad = server.front_end("a")
    bad.send(v.GET_FEATURES, flags=3)
    bad.expect_end()
    bad.close()
    server.proc.send_signal(signal.SIGUSR1)
    lines = [json.loads(server.proc.stdout.readline()) for _ in range(2)]
    assert all(n["state"] == "listening" for n in lines), lines
    assert lines[0]["failures"] == 1 and lines[1]["failures"] == 0, lines


@v.with_server("--interval", "1")
def status_by_itself(server):
    for _ in range(4):
        assert json.loads(server.proc.stdout.readline())["state"] in ("listening", "connected")


@v.with_server("--mac", "02:aa:bb:cc:dd:ee", "--mtu", "9000", "--queues", "2",
             "--moderation", "200,16", "--features",
             "no-packed,no-in-order,no-offload,no-inflight,no-migration,in-order", nics=("a",))
def what_is_asked_for(server):
    fe = server.front_end("a").negotiate(protocol=v.PF_REPLY_ACK | v.PF_CONFIG | v.PF_MQ)
    features = fe.get_u64(v.GET_FEATURES)
    refused = v.F_PACKED | v.F_LOG_ALL | 0xFF83 & ~(1 << 15 | 1 << 5 | 1 << 3)
    assert features & refused == 0, "0x%x" % features
    assert features & 1 << 35 and features & v.F_MQ and features & 1 << 3
    protocol = fe.get_u64(v.GET_PROTOCOL_FEATURES)
    assert protocol & (v.PF_INFLIGHT_SHMFD | v.PF_LOG_SHMFD | v.PF_RARP) == 0
    space = fe.get(v.GET_CONFIG, struct.pack("<III", 0, 12, 0) + bytes(12))[12:]
    assert space[:6] == bytes.fromhex("02aabbccddee")
    assert struct.unpack_from("<HH", space, 8) == (2, 9000)
    fe.close()


@v.with_server()
def second_front_end_waits(server):
    """One at a time: the second is served when the first has gone."""
    first = server.guest("a").start()
    second = server.front_end("a")
    second.send(v.GET_FEATURES)
    second.sock.settimeout(0.3)
    try:
        second.recv(v.GET_FEATURES)
        raise AssertionError("two at once")
    except TimeoutError:
        pass
    first.close()
    second.sock.settimeout(v.TIMEOUT)
    assert second.recv(v.GET_FEATURES)[0]
    second.close()


@v.with_server()
def who_says_nothing(server):
    """It keeps the NIC from others; that is said once, and only if it is so."""
    text = "a front end waits, as the one that is connected (process %d) has sent nothing yet" % os.getpid()
    for n in (1, 2):
        silent, second = server.front_end("a"), server.front_end("a")
        second.send(v.GET_FEATURES)
        wait_message(server, "valevu:a: " + text, times=n)
        third = server.front_end("a")
        time.sleep(1.2)
        wait_message(server, text, times=n)
        silent.close()
        assert second.recv(v.GET_FEATURES)[0]
        second.close()
        third.close()
        server.check_alive()
    for spoken in (False, True):  # nobody waits; or it is somebody who speaks
        first = server.front_end("a")
        if spoken:
            other = server.front_end("a")
            first.get_u64(v.GET_FEATURES)
        time.sleep(1.2)
        first.close()
        if spoken:
            other.close()
    server.check_alive()
    wait_message(server, text, times=2)


def wait_message(server, text, times=1):
    """It comes in the log so often, and not more often."""
    deadline = time.monotonic() + v.TIMEOUT
    while server.messages().count(text) < times:
        assert time.monotonic() < deadline, server.messages()
        time.sleep(0.02)
    assert server.messages().count(text) == times, server.messages()


def leave_descriptors(server, n):
    """So many may the server still open, more or less than it has."""
    used = {int(fd) for fd in os.listdir("/proc/%d/fd" % server.proc.pid)}
    free = (fd for fd in range(1 << 20) if fd not in used)
    limit = [next(free) for _ in range(n + 1)][n]
    hard = resource.prlimit(server.proc.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(server.proc.pid, resource.RLIMIT_NOFILE, (limit, hard))


@v.with_server()
def out_of_descriptors(server):
    """Who can't be accepted waits, without work for the server, and is served once that is possible."""
    a = server.guest("a").start()
    v.settle(server)
    leave_descriptors(server, 0)
    b = server.front_end("b")
    b.send(v.GET_FEATURES)
    b.sock.settimeout(0.5)
    try:
        b.recv(v.GET_FEATURES)
        raise AssertionError("it was accepted")
    except TimeoutError:
        pass
    before = ticks(server.proc.pid)
    time.sleep(1)
    busy = ticks(server.proc.pid) - before
    assert busy < os.sysconf("SC_CLK_TCK") / 4, "%d ticks in a second" % busy
    reason = "valevu:b: can't accept a connection: Too many open files"
    assert server.messages().count(reason) == 1, server.messages()
    leave_descriptors(server, 500)
    b.sock.settimeout(v.TIMEOUT)
    assert b.recv(v.GET_FEATURES)[0]
    b.close()
    b = server.guest("b").start()
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    a.close()
    b.close()


@v.with_server()
def one_descriptor_left(server):
    """Too few for a connection: it ends, with the true reason, and nothing else is closed with it."""
    v.settle(server)
    stdin = os.readlink("/proc/%d/fd/0" % server.proc.pid)
    leave_descriptors(server, 1)
    for _ in range(2):
        fe = server.front_end("a")
        fe.expect_end()
        fe.close()
    wait_message(server, "valevu:a: can't serve a connection: Too many open files", 2)
    assert os.readlink("/proc/%d/fd/0" % server.proc.pid) == stdin
    leave_descriptors(server, 500)
    server.check_alive()


@v.with_server()
def netmapd_restarts(server):
    """The switch dies and comes back under traffic; guests notice nothing but some lost frames."""
    a, b = server.guest("a").start(), server.guest("b").start()
    v.pass_frame(a, b)
    for _ in range(3):
        server.daemon.kill()
        v.pass_frame(a, b)  # traffic goes on without netmapd
        server.daemon.start()
        v.pass_frame(a, b)
        v.pass_frame(b, a)
    a.close()
    b.close()
    deadline = time.monotonic() + v.TIMEOUT
    while time.monotonic() < deadline:
        s = server.daemon.session()
        error, text = s.admin("show", "ports")[:2]
        s.close()
        if error == 0 and b"valevu:a" in (text if isinstance(text, bytes) else text.encode()):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the port is not in the new netmapd: %s" % text)


@v.with_server()
def server_restarts(server):
    """
    Killed under traffic, started again: guests reconnect with what their rings say, no frame is
    completed twice.
    """
    a, b = server.guest("a").start(), server.guest("b").start()
    v.pass_frame(a, b)
    for _ in range(5):
        a.send_frame(v.make_frame())
        server.kill()
        server.start(wait=False)
        for g, nic in ((a, "a"), (b, "b")):
            g.sock.close()
            g.sock = reconnect(server, nic).sock
            g.negotiate()
            g.good(v.SET_MEM_TABLE, g.table(), [g.memfd])
            # As QEMU does it: from the used index in guest memory.
            for r in (g.rx, g.tx):
                r.set_up(base=g.words[r.used // 2 + 1])
            g.enable(1)
        while a.tx.used_idx != a.tx.avail_idx:
            assert a.tx.get_used() is not None, "a frame from before was not taken"
        v.pass_frame(a, b)
        v.pass_frame(b, a)
        assert a.tx.used_idx == a.tx.avail_idx, "a frame was completed twice"
    a.close()
    b.close()


@v.with_server()
def port_of_another(server):
    """A second server for the same port is refused, after a while; the first one goes on."""
    a, b = server.guest("a").start(), server.guest("b").start()
    p = run_program("--socket", server.path("again"), "--port", "valevu:a", env=server.env())
    assert p.returncode == 1 and b"valevu:a" in p.stderr and b"exclusive" in p.stderr, p.stderr
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    a.close()
    b.close()


def reconnect(server, nic):
    deadline = time.monotonic() + v.TIMEOUT
    while True:
        try:
            return v.FrontEnd(server.path(nic))
        except (ConnectionRefusedError, FileNotFoundError):
            assert time.monotonic() < deadline and server.proc.poll() is None, server.messages()
            time.sleep(0.01)


@v.with_server("--client", wait=False)
def as_client(server):
    """The server connects, whenever the front end begins to listen, and again after it has gone."""
    for _ in range(3):
        listeners = {}
        for nic in ("a", "b"):
            listeners[nic] = socket.socket(socket.AF_UNIX)
            listeners[nic].bind(server.path(nic))
            listeners[nic].listen()
            listeners[nic].settimeout(v.TIMEOUT)
        guests = {}
        for nic, listener in listeners.items():
            sock = listener.accept()[0]
            sock.settimeout(v.TIMEOUT)
            guests[nic] = v.Guest(None, sock=sock).start()
        v.pass_frame(guests["a"], guests["b"])
        v.pass_frame(guests["b"], guests["a"])
        for nic in ("a", "b"):
            listeners[nic].close()
            os.unlink(server.path(nic))
            guests[nic].close()


@v.with_server("--client", wait=False, nics=("a",))
def why_not_connected(server):
    """A client says why the front end can't be reached, once as long as that stays the same."""
    path = server.path("a")
    deadline = time.monotonic() + v.TIMEOUT
    while not os.path.exists(path + ".rings"):  # what is there at the start is refused
        assert time.monotonic() < deadline, server.messages()
        time.sleep(0.01)
    with open(path, "w") as f:
        f.write("keep")
    begin = "valevu:a: can't connect to %s: " % path
    wait_message(server, begin + "Socket operation on non-socket; trying again")
    os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        wait_message(server, begin + "Protocol wrong type for socket; trying again")
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(v.TIMEOUT)
        listener.bind(path)
        time.sleep(1.1)  # an attempt, at least: nobody listens yet, which is not said
        os.chmod(path, 0)
        listener.listen()
        wait_message(server, begin + "Permission denied; trying again")
        time.sleep(1.1)
        os.chmod(path, 0o600)
        fe = v.FrontEnd(None, listener.accept()[0])
        fe.get(v.GET_FEATURES)
        fe.close()
    assert server.messages().count(begin) == 3, server.messages()


@v.with_server(nics=("a",))
def port_taken_meanwhile(server):
    """
    The port is gone, and another program has it when it is looked for: the reason is said once, and
    the port taken as soon as it can be.
    """
    server.guest("a").start().close()
    give_back = v.take_port_of(server, "a")
    wait_message(server, "valevu:a: the port has gone")
    wait_message(server, "valevu:a: cannot open valevu:a: ")
    time.sleep(4)  # an attempt takes 2 s, with one between two of them
    wait_message(server, "; trying again")
    give_back()
    wait_message(server, "valevu:a: the port is back")


def wait_state(proc, want):
    """Until the server of one NIC says that this is the NIC's state."""
    deadline = time.monotonic() + v.TIMEOUT
    while True:
        proc.send_signal(signal.SIGUSR1)
        state = json.loads(proc.stdout.readline())["state"]
        if state == want:
            return
        assert time.monotonic() < deadline, (state, want)
        time.sleep(0.01)


@v.with_server(nics=("b",))
def in_an_isolate(server):
    """Behind a socket of its own, where the broker can't read what lies in the server's memory: frames of all lengths pass."""
    s = server.daemon.session()
    sock, path = os.path.join(server.dir, "isolated.sock"), server.path("i")
    error, text = s.admin("isolate", "create", "i", "socket=" + sock, "allow=valevu:*")[:2]
    assert error == 0, text
    isolated = subprocess.Popen([v.program(), "--socket", path, "--port", "valevu:i"],
                                env=dict(server.env(), UNETMAP_SOCKET=sock), stderr=server.log, stdout=subprocess.PIPE)
    try:
        deadline = time.monotonic() + v.TIMEOUT
        while not os.path.exists(path):
            assert time.monotonic() < deadline and isolated.poll() is None, server.messages()
            time.sleep(0.01)
        a, b = v.Guest(path).start(), server.guest("b").start()
        v.pass_frame(a, b)
        v.pass_frame(b, a)
        for size in (60, 300, 1514):
            frame = v.make_frame(size=size)
            a.send_frame(frame)
            assert a.tx.get_used() is not None and b.recv_frame(v.TIMEOUT) == frame, size
        a.close()
        b.close()
    finally:
        isolated.terminate()
        isolated.wait(v.TIMEOUT)
        isolated.stdout.close()


@v.with_server(nics=("b",))
def taken_from_its_switch(server):
    """
    A persistent port that is detached while it is open, and attached again: the server says so, and
    frames pass again.
    """
    s = server.daemon.session()
    for words in ("create", "vup"), ("attach", "valevu", "vup"):
        assert s.admin(*words)[0] == 0, words
    path = server.path("p")
    other = subprocess.Popen([v.program(), "--socket", path, "--port", "valevu:vup"],
                             env=server.env(), stderr=server.log, stdout=subprocess.PIPE)
    try:
        deadline = time.monotonic() + v.TIMEOUT
        while not os.path.exists(path):
            assert time.monotonic() < deadline and other.poll() is None, server.messages()
            time.sleep(0.01)
        a, b = v.Guest(path).start(), server.guest("b").start()
        for _ in range(3):
            v.pass_frame(a, b)
            v.pass_frame(b, a)
            assert s.admin("detach", "valevu", "vup")[0] == 0
            wait_state(other, "port detached")
            b.send_frame(v.make_frame())
            a.send_frame(v.make_frame())
            assert a.tx.get_used() is not None and b.tx.get_used() is not None
            assert a.recv_frame(0.2) is None and b.recv_frame(0.2) is None, "detached, but heard"
            error, text = s.admin("attach", "valevv", "vup")[:2]
            assert error == errno.EBUSY and "nmctl attach valevu vup" in text, (error, text)
            error, text = s.admin("attach", "valevu", "vup")[:2]
            assert error == 0, text
            wait_state(other, "connected")
        v.pass_frame(b, a)
        a.close()
        wait_state(other, "listening")
        assert s.admin("detach", "valevu", "vup")[0] == 0  # also when nobody is connected
        wait_state(other, "port detached")
        wait_message(server, "the port was taken from its switch: link down", 4)
        assert s.admin("attach", "valevu", "vup")[0] == 0
        wait_state(other, "listening")
        b.close()
    finally:
        other.terminate()
        other.wait(v.TIMEOUT)
        s.close()


@v.with_server(nics=("{1", "}1"), ports="netmap:vupipe%s")
def on_a_pipe(server):
    """
    Two NICs at the ends of a pipe, which has no header to hand offloads over, and makes the sender
    wait.
    """
    a, b = server.guest("{1").start(), server.guest("}1").start()
    assert a.get_u64(v.GET_FEATURES) & 1 == 0, "checksums are offered"
    for _ in range(20):
        v.pass_frame(a, b)
        v.pass_frame(b, a)
    a.close()
    b.close()


def cpu_ticks(pid):
    with open("/proc/%d/stat" % pid) as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))


def fill_and_empty(server, a, b, size):
    """
    Frames from @a until the pipe and @a's ring are full, then @b reads slowly: all of them come, in
    order.
    """
    sent, room, at = [], a.tx.num, 0x100000

    def send():
        i = len(sent) % a.tx.num
        frame = v.make_frame(size=size)
        a.mem[at + 12288 * i:at + 12288 * i + 12 + size] = bytes(12) + frame
        a.tx.descriptor(i, v.GPA + at + 12288 * i, 12 + size, 0)
        a.tx.add(i)
        a.tx.kick()
        sent.append(frame)

    while room > 0:
        send()
        room -= 1
        while a.tx.get_used(0 if room > 0 else 0.3) is not None:
            room += 1
    assert len(sent) > a.tx.num, "no room in the pipe"
    ticks = cpu_ticks(server.proc.pid)
    time.sleep(0.5)
    assert cpu_ticks(server.proc.pid) - ticks <= 5, "it does not sleep while the pipe is full"
    n_bufs = (12 + size + 2047) // 2048
    n_posted = 0
    for n, frame in enumerate(sent):
        for _ in range(n_bufs):
            i = n_posted % b.rx.num
            b.rx.descriptor(i, v.GPA + 0x10000 + 2048 * i, 2048, 2)
            b.rx.add(i)
            n_posted += 1
        b.rx.kick()
        got = b""
        for k in range(n_bufs):
            element = b.rx.get_used()
            assert element is not None, "frame %d of %d, of %d bytes, does not come" % (n, len(sent), size)
            i, length = element
            start = 0x10000 + 2048 * i
            got += bytes(b.mem[start + (12 if k == 0 else 0):start + length])
        assert got == frame, "frame %d of %d, of %d bytes: another one came" % (n, len(sent), size)
    while room < a.tx.num:
        assert a.tx.get_used() is not None, "a frame that came is not given back"
        room += 1


@v.with_server(nics=("{1", "}1"), ports="netmap:vupipe%s")
def a_full_pipe(server):
    """A guest sends until nobody takes more, and another one reads slowly."""
    for size in 60, 1400, 9000:
        a, b = server.guest("{1"), server.guest("}1")
        b.post = lambda: None
        a.start(), b.start()
        fill_and_empty(server, a, b, size)
        a.close()
        b.close()


def in_another_process(server):
    """A front end that is not this process: is it answered, and hung up on once its rings run?"""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            fe = server.guest("a").start()
            status = 2
            fe.expect_end()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1]


@v.with_server("--hang-up")
def hangs_up(server):
    """
    While the link is down a front end that has no channel for it, and was hung up on, is turned
    away.
    """
    for _ in range(2):
        a, b = server.guest("a").start(), server.guest("b").start()
        v.pass_frame(a, b)
        v.admin(server, "link", "valevu:a", "down")
        a.expect_end()
        b.expect_silence()
        for _ in range(3):
            try:
                fe = server.front_end()
                fe.send(v.GET_FEATURES)
                fe.expect_end()
                fe.close()
            except v.Ended:
                pass
        server.proc.send_signal(signal.SIGUSR1)
        assert json.loads(server.proc.stdout.readline())["state"] == "hung up"
        assert json.loads(server.proc.stdout.readline())["state"] == "connected"
        status = in_another_process(server)
        assert status == 0, "another front end: 0x%x" % status
        a.close()
        v.admin(server, "link", "valevu:a", "up")
        a = server.guest("a").start()
        v.pass_frame(a, b)
        v.pass_frame(b, a)
        a.close()
        b.close()


@v.with_server("--hang-up")
def tells_rather_than_hangs_up(server):
    a = server.guest("a", protocol=v.PF_REPLY_ACK | v.PF_CONFIG | v.PF_BACKEND_REQ).start()
    ours, theirs = socket.socketpair()
    a.good(v.SET_BACKEND_REQ_FD, b"", [theirs.fileno()])
    theirs.close()
    ours.settimeout(v.TIMEOUT)
    v.admin(server, "link", "valevu:a", "down")
    assert ours.recv(100) == v.HDR.pack(2, v.VERSION, 0), "CONFIG_CHANGE"
    time.sleep(0.5)  # longer than it would take to hang up
    a.expect_silence()
    v.admin(server, "link", "valevu:a", "up")
    ours.close()
    a.close()


@v.with_server("--hang-up", "--client", wait=False)
def hangs_up_as_client(server):
    """The same when the front end listens."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(server.path("a"))
    listener.listen()
    listener.settimeout(v.TIMEOUT)

    def connection():
        sock = listener.accept()[0]
        sock.settimeout(v.TIMEOUT)
        return sock
    for _ in range(2):
        a = v.Guest(None, sock=connection()).start()
        v.admin(server, "link", "valevu:a", "down")
        a.expect_end()
        a.close()
        for _ in range(2):
            sock = connection()
            assert sock.recv(1) == b"", "served"
            sock.close()
        v.admin(server, "link", "valevu:a", "up")
        sock = connection()
        while True:  # those that were turned away meanwhile come first
            try:
                fe = v.FrontEnd(None, sock)
                fe.get(v.GET_FEATURES)
                break
            except v.Ended:
                sock.close()
                sock = connection()
        fe.close()
    listener.close()


def run_program(*args, env=None):
    return subprocess.run([v.program(), *args], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=20, env=env)


def command_line():
    """What is wrong is named, with status 2."""
    for args, text in (
            ((), b"no --socket"), (("--socket", "/tmp/x"), b"has no --port"),
            (("--socket", ""), b"1 to 107"),
            (("--socket", "/" + "x" * 108), b"1 to 107"),
            (("--socket", "/tmp/x", "--port", "vale0:a", "--socket", "/tmp/x"), b"named twice"),
            (("--socket", "/tmp/x", "--port", "vale0:a", "--socket", "/tmp/y", "--port", "vale0:a"),
             b"named twice"),
            (("--mac", "1:2"), b"--mac"), (("--mac", "01:00:00:00:00:00"), b"group"),
            (("--mac", "02:0:0:0:0:a", "--socket", "/tmp/x", "--port", "vale0:a", "--socket", "/tmp/y", "--port", "vale0:b"),
             b"two NICs would have 02:00:00:00:00:0a"),
            (("--mtu", "67"), b"--mtu"), (("--mtu", "65536"), b"--mtu"),
            (("--queues", "0"), b"--queues"), (("--queues", "65"), b"--queues"),
            (("--features", "no-such"), b"'no-such' is no feature"),
            (("--features", "packed,"), b"is no feature"),
            (("--memory", "x"), b"'x' is not auto, direct or copy"), (("--memory", ""), b"--memory"),
            (("--moderation", "x"), b"--moderation"), (("--moderation", "1,2,3"), b"--moderation"),
            (("--moderation", "1,99999"), b"--moderation"),
            (("--moderation", "0,16"), b"no number of frames"),
            (("--socket-mode", "8"), b"--socket-mode"),
            (("--socket-mode", "1777"), b"--socket-mode"), (("--interval", "0"), b"--interval"),
            (("extra",), b"unexpected"),
            (("--nonsense",), b"nonsense")):
        p = run_program(*args)
        assert p.returncode == 2, (args, p.returncode, p.stderr)
        assert text in p.stderr and p.stderr.count(b"\n") == 1, (args, p.stderr)


@v.with_server("--socket-mode", "0640")
def sockets(server):
    """A stale one is replaced; one in use, or no socket, is not. Permissions are as asked."""
    assert os.stat(server.path("a")).st_mode & 0o777 == 0o640
    p = run_program("--socket", server.path("a"), "--port", "valevu:c", env=server.env())
    assert p.returncode == 1 and b"another program serves" in p.stderr, p.stderr
    p = run_program("--socket", server.path("d"), "--port", "valevu:d", "--socket",
                    server.dir + "/./d", "--port", "valevu:e", env=server.env())
    assert p.returncode == 1 and b"/./d is the socket of another NIC" in p.stderr, p.stderr
    other = os.path.join(server.dir, "other")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:  # somebody's, of another type
        sock.bind(other)
        inode = os.stat(other).st_ino
        p = run_program("--socket", other, "--port", "valevu:c", env=server.env())
        assert p.returncode == 1 and b"another program serves" in p.stderr, p.stderr
        assert os.stat(other).st_ino == inode
    plain = os.path.join(server.dir, "plain")
    with open(plain, "w") as f:
        f.write("keep")
    p = run_program("--socket", plain, "--port", "valevu:c", env=server.env())
    assert p.returncode == 1 and b"not a socket" in p.stderr, p.stderr
    with open(plain) as f:
        assert f.read() == "keep"
    p = run_program("--socket", server.dir + "/none/none/x", "--port", "valevu:c", env=server.env())
    assert p.returncode == 1 and b"/none/none/x" in p.stderr, p.stderr
    for extra in (), ("--client",):  # the directory itself is made, whoever is to listen there
        name = os.path.join(server.dir, "new" + "".join(extra))
        run_program("--socket", name + "/x", "--port", "nonsense:c", *extra, env=server.env())
        assert os.stat(name).st_mode & 0o777 == 0o700, extra
    p = run_program("--socket", server.path("d"), "--port", "valevu:d", "--client", "--socket",
                    server.dir + "/./d", "--port", "valevu:e", "--client", env=server.env())
    assert p.returncode == 1 and b"/./d is the socket of another NIC" in p.stderr, p.stderr
    p = run_program("--client", "--socket", plain, "--port", "valevu:c", env=server.env())
    assert p.returncode == 1 and b"plain is there and is not a socket" in p.stderr, p.stderr
    assert not os.path.exists(plain + ".rings")
    p = run_program("--socket", server.path("c"), "--port", "nonsense:c", env=server.env())
    assert p.returncode == 1 and b"nonsense:c" in p.stderr, p.stderr
    server.kill()
    server.start()
    server.check_alive()


@v.with_server(nics=("a",))
def nothing_is_left_by_a_failure(server):
    """A start that fails, inside the sandbox or before it, removes what it has made, and nothing else."""
    there = sorted(os.listdir(server.dir))
    old = server.path("c") + ".rings"
    no_netmapd = dict(os.environ, UNETMAP_SOCKET=server.dir + "/none/nmd")
    for extra, env, what in (((), server.env(), "nonsense:d"), (("--no-sandbox",), server.env(), "nonsense:d"),
                             (("--client",), server.env(), "nonsense:d"), ((), no_netmapd, "/none")):
        with open(old, "wb", opener=lambda n, f: os.open(n, f, 0o600)) as f:
            f.write(b"record")
        p = run_program(*extra, "--socket", server.path("c"), "--port", "valevu:c", "--socket", server.path("d"),
                        "--port", "nonsense:d", env=env)
        assert p.returncode == 1 and what.encode() in p.stderr, p.stderr
        assert os.path.exists(old), "another's records are gone"
        os.unlink(old)
        assert sorted(os.listdir(server.dir)) == there, os.listdir(server.dir)
    p = run_program("--socket", server.path("d"), "--port", "valevu:d", "--socket", server.path("a"),
                    "--port", "valevu:e", env=server.env())
    assert p.returncode == 1 and b"another program serves" in p.stderr, p.stderr
    assert sorted(os.listdir(server.dir)) == there, os.listdir(server.dir)
    server.guest("a").start().close()


def why_no_netmapd():
    """At once, whole, and once: what its starter would have said, not what the sandbox makes of it."""
    with tempfile.TemporaryDirectory() as d:
        long = os.path.join(d, "x" * (100 - len(d)))
        netmapd = os.environ["NETMAPD"]
        for path, program, reason in (
                (d + "/none/nmd", netmapd, d + "/none: No such file or directory (make the directory of the socket first)"),
                (long, "/nonexistent/netmapd",
                 "no netmapd listens on %s, and none can be started (No such file or directory): set UNETMAP_NETMAPD to the "
                 "program, or start it by hand" % long)):
            start = time.monotonic()
            p = run_program("--socket", d + "/s", "--port", "valevu:a",
                            env=dict(os.environ, UNETMAP_SOCKET=path, UNETMAP_NETMAPD=program))
            assert time.monotonic() - start < 5, "it took %.0f s" % (time.monotonic() - start)
            assert p.returncode == 1 and p.stderr.decode() == "nm-vhost-user: %s\n" % reason, p.stderr


def left_behind(path):
    """A socket that nobody listens on, as a server leaves it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()


@v.with_server(nics=("a",))
def started_at_once(server):
    """Several servers for one stale socket: one replaces it and is reached by it, the others end."""
    path = server.path("many")
    ports = ["valevu:m%d" % i for i in range(6)]
    for _ in range(25):
        left_behind(path)
        servers = [subprocess.Popen([v.program(), "--socket", path, "--port", p], env=server.env(),
                                    stderr=subprocess.PIPE) for p in ports]
        deadline = time.monotonic() + v.TIMEOUT
        while sum(p.poll() is None for p in servers) > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        alive = [p for p in servers if p.poll() is None]
        try:
            assert len(alive) == 1, "%d serve one socket" % len(alive)
            fe = v.FrontEnd(path)
            fe.get(v.GET_FEATURES)
            fe.close()
        finally:
            for p in alive:
                p.terminate()
                p.wait(v.TIMEOUT)
            said = [p.stderr.read() for p in servers]
            for p in servers:
                p.stderr.close()
        for p, text in zip(servers, said):
            assert p in alive or (p.returncode == 1 and b"another program serves" in text), text
        os.unlink(path)


tests = [sandboxed, not_sandboxed, asleep_when_idle, status_lines, status_by_itself,
         what_is_asked_for, second_front_end_waits, who_says_nothing, out_of_descriptors,
         one_descriptor_left, netmapd_restarts, server_restarts,
         port_of_another, as_client, why_not_connected, port_taken_meanwhile,
         taken_from_its_switch, in_an_isolate,
         hangs_up, tells_rather_than_hangs_up, hangs_up_as_client,
         on_a_pipe, a_full_pipe, command_line, why_no_netmapd, sockets, nothing_is_left_by_a_failure,
         started_at_once]
raise SystemExit(1 if v.u.run_each(tests) else 0)
