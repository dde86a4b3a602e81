# SPDX-License-Identifier: BSD-2-Clause
"""A netmapd that is away, stopped or slow: no NIC waits for it, and it is told in the end what it was to be told.

Two NICs pass frames, one at a time, while front ends of a third one come, change features and leave; the longest that a
frame took is what most of the tests are about. A server that waits for netmapd makes it 2 to 20 seconds.
"""
import signal
import socket
import struct
import time

import vuproto as v

with_server = v.with_server(nics=("a", "b", "c"))

F_GUEST_CSUM = 1 << 1
MODERN = v.F_VERSION_1 | v.F_PROTOCOL | v.F_MRG_RXBUF
CONFIG = v.PF_REPLY_ACK | v.PF_CONFIG | v.PF_NET_MTU | v.PF_BACKEND_REQ
WAIT_S = 1.5  # a machine that is busy otherwise makes them wait as well
AWAY_S = 3


def come_and_go(server):
    """Each has other features than the one before."""
    deadline = time.monotonic() + AWAY_S
    n = 0
    while time.monotonic() < deadline:
        fe = server.front_end("a")
        fe.sock.settimeout(60)
        fe.negotiate(features=MODERN | (F_GUEST_CSUM if n % 2 else 0))
        fe.good(v.SET_FEATURES, v.u64(MODERN | (0 if n % 2 else F_GUEST_CSUM)))
        fe.close()
        n += 1
        time.sleep(0.1)


@with_server
def killed(server):
    with v.Neighbours(server, WAIT_S, 100):
        server.daemon.kill()
        come_and_go(server)
        server.daemon.start()
        come_and_go(server)
    server.check_alive()


@with_server
def stopped(server):
    with v.Neighbours(server, WAIT_S, 100):
        server.daemon.proc.send_signal(signal.SIGSTOP)
        try:
            come_and_go(server)
        finally:
            server.daemon.proc.send_signal(signal.SIGCONT)
    server.check_alive()


@with_server
def port_taken(server):
    """Another program has the port of one NIC, which is looked for again and again, also while netmapd is stopped."""
    give_back = v.take_port_of(server, "a")
    wait_message(server, "valevu:b: the port is back")
    wait_message(server, "valevu:c: the port is back")
    with v.Neighbours(server, WAIT_S, 100):
        server.daemon.proc.send_signal(signal.SIGSTOP)
        time.sleep(AWAY_S)
        server.daemon.proc.send_signal(signal.SIGCONT)
    give_back()
    wait_message(server, "valevu:a: the port is back")
    server.check_alive()


def wait_message(server, text):
    deadline = time.monotonic() + 2 * v.TIMEOUT
    while text not in server.messages():
        assert time.monotonic() < deadline, "%s: %s" % (text, server.messages())
        time.sleep(0.05)


def checksum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def send_unfinished(guest, n):
    """A UDP packet whose checksum is left to the receiver's side."""
    payload = struct.pack(">Q", n) * 3
    udp_len = 8 + len(payload)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + udp_len, n, 0, 64, 17, 0, b"\n\0\0\1", b"\n\0\0\2")
    ip = ip[:10] + struct.pack(">H", 0xFFFF ^ checksum(ip)) + ip[12:]
    pseudo = checksum(ip[12:20] + struct.pack(">HH", 17, udp_len))
    frame = (b"\xff" * 6 + b"\x02\0\0\0\0\x22" + b"\x08\0" + ip + struct.pack(">HHHH", 1, 2, udp_len, pseudo) + payload)
    i = guest.n_sent % guest.tx.num
    at = 0x80000 + 2048 * i
    guest.mem[at:at + 12 + len(frame)] = struct.pack("<BBHHHHH", 1, 0, 0, 0, 34, 6, 0) + frame
    guest.tx.descriptor(i, v.GPA + at, 12 + len(frame), 0)
    guest.tx.add(i)
    guest.tx.kick()
    guest.n_sent += 1
    assert guest.tx.get_used() is not None


def take_finished(guest):
    """How many of them are there; each must be one that a driver without offloads can take."""
    n = 0
    while True:
        element = guest.rx.get_used(0.3)
        if element is None:
            return n
        at = 0x10000 + 2048 * element[0]
        packet = guest.mem[at:at + element[1]]
        guest.rx.add(element[0])
        guest.rx.kick()
        if packet[24:26] != b"\x08\0":
            continue
        assert packet[:10] == bytes(10), "a header that was not agreed to: %s" % packet[:12].hex()
        udp_len = len(packet) - 12 - 34
        assert checksum(packet[12 + 26:] + struct.pack(">HH", 17, udp_len)) == 0xFFFF, "checksum not finished"
        n += 1


def expect_finished(server, sender):
    """A guest without GUEST_CSUM gets what the switch has finished for it."""
    a = server.guest("a", features=MODERN).start()
    v.pass_frame(sender, a)
    deadline = time.monotonic() + 2 * v.TIMEOUT
    n = 0
    while n < 3:
        assert time.monotonic() < deadline, "none comes: the switch thinks that they need not be finished"
        send_unfinished(sender, 1)
        n += take_finished(a)
    a.close()


@with_server
def told_after_a_death(server):
    """netmapd is away when a guest that takes unfinished checksums ends, and the next one does not take them."""
    b = server.guest("b", features=MODERN | 1).start()
    expect_finished(server, b)
    a = server.guest("a", features=MODERN | F_GUEST_CSUM).start()
    v.pass_frame(b, a)
    send_unfinished(b, 1)
    assert a.recv_frame() is not None
    server.daemon.kill()
    a.close()
    time.sleep(AWAY_S)  # longer than whoever asks waits
    server.daemon.start()
    expect_finished(server, b)
    b.close()


@with_server
def dropped_until_told(server):
    """The next guest is there before netmapd knows: what it can't take is not given to it."""
    b = server.guest("b", features=MODERN | 1).start()
    a = server.guest("a", features=MODERN | F_GUEST_CSUM).start()
    v.pass_frame(b, a)
    send_unfinished(b, 1)
    time.sleep(0.2)
    server.daemon.proc.send_signal(signal.SIGSTOP)
    a.close()
    a = server.guest("a", features=MODERN).start()
    v.pass_frame(b, a)
    for n in range(5):
        send_unfinished(b, n)
    take_finished(a)
    server.daemon.proc.send_signal(signal.SIGCONT)
    a.close()
    expect_finished(server, b)
    b.close()


@with_server
def new_port(server):
    """A port of another program that no NIC has sent to yet: who sends needs its memory, and netmapd is stopped."""
    s = server.daemon.session()
    v.u.expect(s.register(s.open(), "valevu:s").error, 0, "another port")
    a = server.guest("a").start()
    with v.Neighbours(server, WAIT_S, 100):
        server.daemon.proc.send_signal(signal.SIGSTOP)
        try:
            deadline = time.monotonic() + AWAY_S
            while time.monotonic() < deadline:
                a.send_frame(v.make_frame(src=0x33))
                assert a.tx.get_used(WAIT_S) is not None, "a frame was not taken"
                time.sleep(0.02)  # c gets them too, and is not to lose a neighbour's for want of room
        finally:
            server.daemon.proc.send_signal(signal.SIGCONT)
    a.close()
    server.check_alive()


def link_of(guest):
    return struct.unpack("<H", v.read_config(guest, 6, 2))[0]


@with_server
def missing(server):
    """The guest has no carrier while another program has its port; and it stays away when the link is down before."""
    give_back = v.take_port_of(server, "a")
    wait_message(server, "valevu:a: link down")
    a = server.guest("a", protocol=CONFIG).start()
    assert link_of(a) == 0
    give_back()
    wait_message(server, "valevu:a: the port is back")
    wait_message(server, "valevu:a: link up")
    assert link_of(a) == 1
    a.close()
    v.admin(server, "link", "valevu:b", "down")
    wait_message(server, "valevu:b: link down")
    give_back = v.take_port_of(server, "b")
    wait_message(server, "valevu:b: cannot open")
    assert "valevu:b: link up" not in server.messages(), server.messages()
    give_back()
    wait_message(server, "valevu:b: link up")  # the port is a new one, whose link is up
    server.check_alive()


def missing_hung_up():
    """With --hang-up the front end of a NIC whose port can't be had is left, is turned away until it can, and others are not."""
    server = v.Server(nics=("a", "b"), args=("--hang-up",))
    a = server.guest("a").start()
    b = server.guest("b").start()
    v.pass_frame(a, b)
    give_back = v.take_port_of(server, "a")
    wait_message(server, "valevu:a: link down")
    a.sock.settimeout(3)
    a.expect_end()
    a.close()
    wait_message(server, "valevu:b: the port is back")
    assert "valevu:b: link down" not in server.messages(), server.messages()
    fe = server.front_end("a")
    fe.sock.settimeout(3)
    try:
        fe.get(v.GET_FEATURES)
        raise AssertionError("it was not turned away")
    except v.Ended:
        fe.close()
    give_back()
    wait_message(server, "valevu:a: link up")
    a = server.guest("a").start()
    v.pass_frame(b, a)
    a.close()
    b.close()
    assert server.stop() == 0


@with_server
def forged_descriptor(server):
    """A front end sends what looks like a netmap descriptor: netmapd is not asked whether it is one."""
    name = b"\0unetmap-" + b"0123456789abcdef" * 2
    kind = socket.SOCK_STREAM
    with socket.socket(socket.AF_UNIX, kind) as named, socket.socket(socket.AF_UNIX, kind) as forged:
        named.bind(name)
        named.listen()
        forged.connect(name)
        with v.Neighbours(server, WAIT_S, 100):
            server.daemon.proc.send_signal(signal.SIGSTOP)
            try:
                fe = server.front_end("a").negotiate()
                fe.sock.settimeout(WAIT_S)
                fe.bad(v.SET_MEM_TABLE, struct.pack("<II", 1, 0) + v.REGION.pack(0, v.PAGE, 0, 0), [forged.fileno()] * 1)
                fe.close()
                time.sleep(1)
            finally:
                server.daemon.proc.send_signal(signal.SIGCONT)
    server.check_alive()


def fill_queue(path):
    """Connections until netmapd has no room for another."""
    made = []
    while True:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        made.append(s)
        try:
            s.connect(path)
        except BlockingIOError:
            return made


@with_server
def queue_is_full(server):
    """netmapd is stopped and takes no more connections; the server has to connect anew, and is to end."""
    server.check_alive()
    daemon = server.daemon
    server.proc.send_signal(signal.SIGSTOP)  # so that it does not find the next one before that is stopped
    daemon.kill()
    daemon.start()
    daemon.proc.send_signal(signal.SIGSTOP)
    made = fill_queue(daemon.path)
    server.proc.send_signal(signal.SIGCONT)
    a = server.guest("a", features=MODERN | F_GUEST_CSUM).start()  # which is to be told
    start = time.monotonic()
    try:
        server.proc.terminate()
        server.proc.wait(60)
    finally:
        daemon.proc.send_signal(signal.SIGCONT)
    assert time.monotonic() - start < 4, "took %.1f s" % (time.monotonic() - start)
    for s in made:
        s.close()
    a.close()


@with_server
def ends_in_time(server):
    """Each port has a header to put back, for which netmapd is asked."""
    server.check_alive()
    server.daemon.proc.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    try:
        server.proc.terminate()
        server.proc.wait(60)
    finally:
        server.daemon.proc.send_signal(signal.SIGCONT)
    assert time.monotonic() - start < 4, "took %.1f s" % (time.monotonic() - start)
    assert server.proc.returncode == 0


raise SystemExit(1 if v.u.run_each([killed, stopped, new_port, port_taken, missing, missing_hung_up, told_after_a_death, dropped_until_told,
                                    ends_in_time, queue_is_full, forged_descriptor]) else 0)
