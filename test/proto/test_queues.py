#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""GET_QUEUES: TAP queues are for workers of the same switch, and for nobody else."""
import errno
import struct

import unmproto as u


def ask(session, seg_uid, port, gen):
    ans = session.request(u.GET_QUEUES, struct.pack("<QII", seg_uid, port, gen))
    n = len(ans.fds)
    ans.close()
    return ans.error, n


def gives_nothing_to_others(daemon):
    s = daemon.session()
    desc = u.Desc()
    s.open(desc)
    info = s.register(desc, "vale0:a").info
    u.expect(ask(s, info.seg_uid, info.port, info.port_gen), (errno.EPERM, 0), "a client that is no worker")
    u.expect(ask(s, info.seg_uid, info.port, info.port_gen + 2), (errno.EPERM, 0), "the same, of another port's generation")
    u.expect(ask(s, info.seg_uid, info.port + 1, info.port_gen), (errno.ESTALE, 0), "no such port")
    u.expect(ask(s, info.seg_uid, 0xffffffff, info.port_gen), (errno.ESTALE, 0), "no such index")
    u.expect(ask(s, info.seg_uid + 1, info.port, info.port_gen), (errno.ESTALE, 0), "no such segment")
    desc.close()
    s.close()


def gives_nothing_of_other_kinds(daemon):
    s = daemon.session()
    desc = u.Desc()
    s.open(desc)
    info = s.register(desc, "p{1").info
    u.expect(ask(s, info.seg_uid, info.port, info.port_gen), (errno.EPERM, 0), "a pipe")
    desc.close()
    s.close()


if __name__ == "__main__":
    u.run([gives_nothing_to_others, gives_nothing_of_other_kinds])
