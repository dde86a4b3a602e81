#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""HELLO, and everything that is wrong with a message before its type matters."""
import errno
import os
import time

import unmproto as u


def gives_slots(daemon):
    """Each session has a slot of its own, from 1 on, and keeps it when it says HELLO twice."""
    sessions = [daemon.session() for _ in range(20)]
    slots = [s.slot for s in sessions]
    assert len(set(slots)) == 20 and all(0 < x < 65535 for x in slots)
    again = sessions[3].hello()
    u.expect(again.error, 0, "second HELLO")
    assert u.HELLO_BODY.unpack(again.body)[1] == slots[3]
    for s in sessions:
        s.close()


def refuses_another_version(daemon):
    s = daemon.session(hello=False)
    ans = s.hello(version=999)
    u.expect(ans.error, errno.EPROTO, "version")
    text = u.HELLO_BODY.unpack(ans.body)[6]
    assert b"999" in text and b"release" in text, text
    u.expect(s.hello().error, 0, "the right version on the same connection")
    s.close()


def wants_hello_first(daemon):
    s = daemon.session(hello=False)
    for kind, body, n_fds in ((u.OPEN, bytes(16), 2), (u.CTRL, bytes(288), 1), (u.GET_BINDING, bytes(u.GET_BINDING_SIZE), 1),
                              (u.GET_REGION, bytes(80), 0), (u.GET_WAKE, bytes(16), 0), (u.LOCK_STUCK, bytes(16), 0),
                              (u.RESTORE, bytes(208), 2), (u.RESTORE_DONE, b"", 0), (u.UNBIND, bytes(16), 1),
                              (u.GET_QUEUES, bytes(16), 0)):
        u.expect(s.request(kind, body, [0] * n_fds).error, errno.EPROTO, "type %d before HELLO" % kind)
    s.close()


def checks_lengths(daemon):
    """Every type, with every length around the right one."""
    sizes = {u.HELLO: 184, u.OPEN: 16, u.GET_BINDING: u.GET_BINDING_SIZE, u.GET_REGION: 80, u.GET_WAKE: 16, u.LOCK_STUCK: 16,
             u.RESTORE: 216, u.RESTORE_DONE: 0, u.UNBIND: 16, u.GET_QUEUES: 16}
    s = daemon.session()
    for kind, size in sizes.items():
        for wrong in {0, 1, size - 1, size + 1, size + 8, 60000} - {size}:
            if wrong < 0:
                continue
            fds = [0] * {u.OPEN: 2, u.RESTORE: 2, u.GET_BINDING: 1, u.UNBIND: 1}.get(kind, 0)
            u.expect(s.request(kind, bytes(wrong), fds).error, errno.EPROTO, "type %d, %d bytes" % (kind, wrong))
    s.close()


def checks_descriptors(daemon):
    """A wrong number of descriptors is refused, and none of them stays open in netmapd."""
    s = daemon.session()
    s.request(u.RESTORE_DONE)
    time.sleep(0.1)
    before = len(os.listdir("/proc/%d/fd" % daemon.proc.pid))
    for kind, size, right in ((u.HELLO, 184, 0), (u.OPEN, 16, 2), (u.GET_BINDING, u.GET_BINDING_SIZE, 1), (u.GET_REGION, 80, 0),
                              (u.GET_WAKE, 16, 0), (u.UNBIND, 16, 1), (u.GET_QUEUES, 16, 0), (u.RESTORE_DONE, 0, 0)):
        for n in {0, 1, 2, 40} - {right}:
            u.expect(s.request(kind, bytes(size), [0] * n).error, errno.EPROTO, "type %d, %d descriptors" % (kind, n))
    s.request(u.RESTORE_DONE)
    u.expect(len(os.listdir("/proc/%d/fd" % daemon.proc.pid)), before, "descriptors in netmapd")
    s.close()


def refuses_unknown_types(daemon):
    s = daemon.session()
    for kind in (0, u.FIRST_UNKNOWN, u.FIRST_UNKNOWN + 1, 255, 65535):
        u.expect(s.request(kind, b"").error, errno.EOPNOTSUPP, "type %d" % kind)
    s.close()


def hangs_up_on_garbage(daemon):
    """What has no proper header can't be answered: the connection ends."""
    good = u.HDR.pack(u.MAGIC, u.RESTORE_DONE, 0, u.HDR.size, 1, 0, 0)
    cases = [b"x", good[:-1], b"\0" * 24, good + b"more", u.HDR.pack(1, u.HELLO, 0, 24, 1, 0, 0),
             u.HDR.pack(u.MAGIC, u.HELLO, 0, 9999, 1, 0, 0), u.HDR.pack(u.MAGIC, u.HELLO, 3, 24, 1, 0, 0)]
    for case in cases:
        s = daemon.session()
        s.send_raw(case)
        try:
            s.recv()
            raise AssertionError("answered %r" % case)
        except ConnectionError:
            pass
        s.close()
    s = daemon.session()
    s.send_raw(u.HDR.pack(u.MAGIC, u.HELLO, 73, 24, 1, 0, 0), [0] * 73)
    try:
        s.recv()
        raise AssertionError("took 73 descriptors")
    except ConnectionError:
        pass
    s.close()


def survives_a_client_that_does_not_read(daemon):
    """Its answers fill the socket; then it is hung up on, and nobody else waits."""
    s = daemon.session()
    s.sock.settimeout(0.2)
    try:
        for _ in range(100000):
            s.send(u.RESTORE_DONE)
    except OSError:
        pass
    daemon.check_alive()
    s.close()


u.run([gives_slots, refuses_another_version, wants_hello_first, checks_lengths, checks_descriptors, refuses_unknown_types,
       hangs_up_on_garbage, survives_a_client_that_does_not_read])
