#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A REGISTER for hundreds of thousands of buffers goes on in steps: others are served in between, and whoever asked may die midway."""
import errno
import json
import mmap
import os
import select
import signal
import struct
import threading
import time

import unmproto as u

N_EXTRA = 300000
TRIES = 10
LEAST = 3  # answers to others meanwhile; each step takes 10 ms, and a quick machine needs few


def pools(s, region):
    for m in json.loads(s.admin("show", "memory")[1])["memory"]:
        if m["id"] == region:
            return {key: m[key]["used"] for key in ("interfaces", "rings", "buffers")}
    return None


def send_register(s, desc, name, extra=0, rings=0, slots=0):
    body = u.REG_BODY.pack(0, 0, slots, slots, rings, rings, 0, 0, 0, 0, u.ALL_NIC, extra, 0)
    blob = struct.pack("<HHI64sQQ", 14, u.REGISTER, 0, name.encode(), 0, 0) + body
    s.send(u.CTRL, desc.id + struct.pack("<QIIII160s", 0, 0, 0, len(blob), 0, b"") + blob, [desc.d.fileno()])
    return body


def readable(s):
    return bool(select.select([s.sock], [], [], 0)[0])


def ask_until(other, done):
    """Ask netmapd again and again until @done(); return how often it answered before, and the longest wait."""
    n, longest, deadline = 0, 0.0, time.monotonic() + 60
    while not done():
        t0 = time.monotonic()
        u.expect(other.admin("show", "daemon")[0], 0, "another client's request")
        longest = max(longest, time.monotonic() - t0)
        n += 1
        assert t0 < deadline, "never done"
    return n, longest


def open_meanwhile(daemon, s, other, name, kw):
    """REGISTER @name on @s while @other asks. Return: (descriptor, answer, how often others were answered before)."""
    d = s.open()
    t0 = time.monotonic()
    os.kill(daemon.proc.pid, signal.SIGSTOP)  # so that it can't be through before the other one asks, however busy the machine is
    send_register(s, d, name, **kw)
    threading.Timer(0.05, os.kill, (daemon.proc.pid, signal.SIGCONT)).start()
    n, longest = ask_until(other, lambda: readable(s))
    print("# %s: %d ms, %d answers to others meanwhile, the slowest after %d ms"
          % (name, (time.monotonic() - t0) * 1000, n, longest * 1000))
    return d, s.recv()[1], n


def others_are_served_meanwhile(daemon):
    """Who does it in one go answers others once at most; on a busy machine the other one may not get to ask more often either."""
    s, other = daemon.session(), daemon.session()
    for name, kw, n_bufs, least in (("vale0:extra", {"extra": N_EXTRA}, N_EXTRA + 2048 + 2, LEAST),
                             ("vale0:rings", {"rings": 32, "slots": 4096}, 32 * (4096 + 2048) + 2, LEAST),
                             ("vale0:deep", {"rings": 1, "slots": 65536}, 4096 + 65536 + 2, 2),
                             ("pipe{1", {"rings": 128, "slots": 2048}, 2 * 128 * 2048 + 2, LEAST)):
        for _ in range(TRIES):
            d, ans, n = open_meanwhile(daemon, s, other, name, kw)
            u.expect(ans.error, 0, name)
            info = u.BindInfo(ans.body[-u.BIND_INFO_SIZE:])
            reg = json.loads(other.admin("show", "ports", name)[1])["ports"][0]["memory"]
            u.expect(pools(other, reg)["buffers"], n_bufs, "buffers in use")
            if "extra" in kw:
                u.expect(info.n_extra, N_EXTRA, "extra buffers")
                check_list(ans.fds[1], info)
            ans.close()
            t0 = time.monotonic()
            d.close()
            u.expect(other.admin("show", "daemon")[0], 0, "after the close")
            print("# closed after %d ms" % ((time.monotonic() - t0) * 1000))
            wait_closed(other, name)
            if n >= least:
                break
        assert n >= least, "%d answers to others while %s was opened, in the last of %d runs" % (n, name, TRIES)
    s.close()
    other.close()


def wait_closed(other, name):
    deadline = time.monotonic() + 30
    while name in other.admin("show", "ports")[1]:
        assert time.monotonic() < deadline, name
        time.sleep(0.01)


def check_list(fd, info):
    """Every extra buffer once, and an end."""
    with mmap.mmap(fd, info.region_size, prot=mmap.PROT_READ) as m:
        nxt, = struct.unpack_from("<I", m, info.nifp_ofs + 32)
        seen = set()
        while nxt:
            assert nxt not in seen and 2 <= nxt < info.buf_num, nxt
            seen.add(nxt)
            nxt, = struct.unpack_from("<I", m, info.buf_ofs + nxt * info.buf_size)
    u.expect(len(seen), N_EXTRA, "length of the list")


def who_asked_may_die(daemon):
    """All that the steps had done is undone: no port, no region, nothing left in a shared region."""
    other = daemon.session()
    keep = other.open()
    u.expect(other.register(keep, "keep{1").error, 0, "port in the shared region")
    before = pools(other, region_of(other, "keep{1"))
    for name, kw in (("vale0:dies", {"extra": N_EXTRA}), ("keep{2", {"extra": N_EXTRA}),
                     ("keep{3", {"rings": 128, "slots": 2048})):
        s = daemon.session()
        d = s.open()
        send_register(s, d, name, **kw)
        for _ in range(3):
            other.admin("show", "daemon")
        d.close()
        s.close()
        deadline = time.monotonic() + 30
        while pools(other, region_of(other, "keep{1")) != before or name in other.admin("show", "ports")[1]:
            assert time.monotonic() < deadline, (before, pools(other, region_of(other, "keep{1")))
            time.sleep(0.01)
    keep.close()
    other.close()


def region_of(s, name):
    return json.loads(s.admin("show", "ports", name)[1])["ports"][0]["memory"]


def a_list_comes_back_in_steps(daemon):
    """Closing a port with many extra buffers in a region that others use: they are served, and all buffers come back."""
    s, other = daemon.session(), daemon.session()
    keep, d = s.open(), s.open()
    u.expect(s.register(keep, "keep{1").error, 0, "port in the shared region")
    region = region_of(s, "keep{1")
    before = pools(other, region)
    r = s.register(d, "keep{2", extra=N_EXTRA)
    u.expect((r.error, r.info.n_extra), (0, N_EXTRA), "register")
    r.close()
    d.close()
    n, longest = ask_until(other, lambda: pools(other, region) == before)
    print("# freed while others got %d answers, the slowest after %d ms" % (n, longest * 1000))
    # A list that runs in a circle, and one that leads to nonsense, end too.
    for patch in (lambda head, info: head, lambda head, info: 0xfffffff0):
        d = s.open()
        r = s.register(d, "keep{2", extra=20000)
        with mmap.mmap(r.fds[1], r.info.region_size) as m:
            head, = struct.unpack_from("<I", m, r.info.nifp_ofs + 32)
            nxt = head
            for _ in range(15000):
                nxt, = struct.unpack_from("<I", m, r.info.buf_ofs + nxt * r.info.buf_size)
            struct.pack_into("<I", m, r.info.buf_ofs + nxt * r.info.buf_size, patch(head, r.info))
        r.close()
        d.close()
        u.expect(other.admin("show", "daemon")[0], 0, "after a bad list")
    keep.close()
    s.close()
    other.close()


def two_want_the_same_port(daemon):
    """Two that open one port in steps at once both get it."""
    s, t = daemon.session(), daemon.session()
    d, e = s.open(), t.open()
    send_register(s, d, "vale0:both", extra=N_EXTRA // 2)
    send_register(t, e, "vale0:both", extra=N_EXTRA // 2)
    a, b = s.recv()[1], t.recv()[1]
    u.expect((a.error, b.error), (0, 0), "both")
    assert u.BindInfo(a.body[-u.BIND_INFO_SIZE:]).port == u.BindInfo(b.body[-u.BIND_INFO_SIZE:]).port
    for x in (a, b, d, e):
        x.close()
    s.close()
    t.close()


def two_want_a_pipe(daemon):
    """Each opens an end, and both at once all rings of both. One may die at it."""
    other = daemon.session()
    keep = other.open()
    u.expect(other.register(keep, "keep{1").error, 0, "port in the shared region")
    before = pools(other, region_of(other, "keep{1"))
    for one_dies in (False, True):
        s, t = daemon.session(), daemon.session()
        d, e = s.open(), t.open()
        send_register(s, d, "both{1", rings=128, slots=2048)
        send_register(t, e, "both}1", rings=128, slots=2048)
        other.admin("show", "daemon")
        if one_dies:
            d.close()
            s.close()
        a = [t.recv()[1]] if one_dies else [s.recv()[1], t.recv()[1]]
        for x in a:
            u.expect(x.error, 0, "an end")
            x.close()
        ring, = [p for p in json.loads(other.admin("show", "ports", "both}1")[1])["ports"]]
        u.expect((ring["tx_rings"], ring["rx_rings"]), (128, 128), "rings")
        used = pools(other, region_of(other, "keep{1"))["buffers"] - before["buffers"]
        u.expect(used, 2 * 128 * 2048, "buffers in use")
        for x in (e, t) if one_dies else (d, e, s, t):
            x.close()
        deadline = time.monotonic() + 30
        while pools(other, region_of(other, "keep{1")) != before:
            assert time.monotonic() < deadline, (before, pools(other, region_of(other, "keep{1")))
            time.sleep(0.01)
    keep.close()
    other.close()


def no_memory_midway(_):
    """Fewer extra buffers than wanted are no error; rings that do not fit are, and nothing of them stays."""
    daemon = u.Daemon(config="[limits]\nmemory_mib = 64\n")
    s = daemon.session()
    d = s.open()
    r = s.register(d, "vale0:x", extra=N_EXTRA)
    u.expect(r.error, 0, "register")
    assert 8192 < r.info.n_extra < 64 << 9, r.info.n_extra
    r.close()
    d.close()
    d = s.open()
    for name in ("vale0:y", "y{1", "vale0:y}1"):
        r = s.register(d, name, tx_rings=32, rx_rings=32, tx_slots=4096, rx_slots=4096)
        u.expect(r.error, errno.ENOMEM, "rings of " + name)
        assert "memory_mib" in r.text, r.text
    u.expect(s.admin("show", "ports")[1], '{"ports":[]}', "ports left behind")
    r = s.register(d, "vale0:y")
    u.expect(r.error, 0, "the descriptor can still be used: " + r.text)
    r.close()
    d.close()
    s.close()
    daemon.stop()


u.run([others_are_served_meanwhile, who_asked_may_die, a_list_comes_back_in_steps, two_want_the_same_port, two_want_a_pipe,
       no_memory_midway])
