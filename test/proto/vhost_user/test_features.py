# SPDX-License-Identifier: BSD-2-Clause
"""Features, protocol features, the session, the number of queues, status and reset."""
import vuproto as v


def what_is_offered(server):
    fe = server.front_end()
    features = fe.get_u64(v.GET_FEATURES)
    for bit in (v.F_VERSION_1, v.F_PROTOCOL, v.F_MRG_RXBUF, v.F_LOG_ALL, v.F_PACKED):
        assert features & bit, "0x%x lacks 0x%x" % (features, bit)
    assert features & (1 << 33 | 1 << 40) == 0, "what needs an IOTLB or resets single rings is not there"
    v.u.expect(fe.get_u64(v.GET_PROTOCOL_FEATURES), v.PF_ALL, "protocol features")
    fe.close()


def only_what_is_offered(server):
    fe = server.front_end().negotiate(protocol=v.PF_ALL)
    offered = fe.get_u64(v.GET_FEATURES)
    for bit in range(64):
        if not offered & 1 << bit:
            fe.bad(v.SET_FEATURES, v.u64(v.F_VERSION_1 | 1 << bit))
    for bit in range(64):
        if not v.PF_ALL & 1 << bit:
            fe.bad(v.SET_PROTOCOL_FEATURES, v.u64(v.PF_REPLY_ACK | 1 << bit))
    fe.good(v.SET_FEATURES, v.u64(offered & ~v.F_LOG_ALL))
    fe.good(v.SET_FEATURES, v.u64(v.F_VERSION_1 | v.F_PROTOCOL))
    fe.close()


def refusal_without_answer_ends(server):
    fe = server.front_end()
    fe.send(v.SET_FEATURES, v.u64(1 << 33))
    fe.expect_end()
    fe.close()
    fe = server.front_end()
    fe.send(v.SET_PROTOCOL_FEATURES, v.u64(1 << 63))
    fe.expect_end()
    fe.close()


def answer_to_what_turns_answers_on(server):
    """User-Mode Linux wants one for the SET_PROTOCOL_FEATURES that acks REPLY_ACK."""
    fe = server.front_end()
    fe.good(v.SET_PROTOCOL_FEATURES, v.u64(v.PF_REPLY_ACK))
    fe.good(v.SET_PROTOCOL_FEATURES, v.u64(0))
    fe.close()


def not_under_traffic(server):
    """With rings running only the dirty log may go on and off."""
    g = server.guest("a").start()
    g.bad(v.SET_FEATURES, v.u64(v.F_VERSION_1 | v.F_PROTOCOL), want=v.errno.EBUSY)
    g.good(v.SET_FEATURES, v.u64(g.features))
    g.good(v.SET_FEATURES, v.u64(g.features | v.F_LOG_ALL))
    other = server.guest("b").start()
    v.pass_frame(g, other)
    g.good(v.SET_FEATURES, v.u64(g.features))
    v.pass_frame(g, other)
    for i in (0, 1):
        g.get(v.GET_VRING_BASE, v.state(i, 0))
    g.good(v.SET_FEATURES, v.u64(v.F_VERSION_1 | v.F_PROTOCOL))
    other.close()
    g.close()


def owner(server):
    """SET_OWNER may come any number of times (QEMU: for each pair); RESET_OWNER changes nothing that runs."""
    a, b = server.guest("a").start(), server.guest("b").start()
    a.good(v.SET_OWNER)
    a.good(v.SET_OWNER)
    a.good(v.RESET_OWNER)
    v.pass_frame(a, b)
    b.close()
    a.close()


def number_of_queues(server):
    """QEMU asks before SET_OWNER and means pairs; User-Mode Linux asks after it and means rings."""
    fe = server.front_end()
    fe.send(v.SET_PROTOCOL_FEATURES, v.u64(v.PF_MQ))
    pairs = fe.get_u64(v.GET_QUEUE_NUM)
    fe.send(v.SET_OWNER)
    rings = fe.get_u64(v.GET_QUEUE_NUM)
    assert pairs == 1 and rings in (2, 3), (pairs, rings)
    fe.close()


def status(server):
    fe = server.front_end().negotiate(protocol=v.PF_REPLY_ACK | v.PF_STATUS)
    assert fe.get_u64(v.GET_STATUS) == 0
    for val in (1, 3, 11, 15):
        fe.good(v.SET_STATUS, v.u64(val))
        assert fe.get_u64(v.GET_STATUS) == val
    fe.bad(v.SET_STATUS, v.u64(256))
    fe.bad(v.SET_STATUS, v.u64(1 << 63))
    assert fe.get_u64(v.GET_STATUS) == 15
    fe.good(v.SET_STATUS, v.u64(0))
    assert fe.get_u64(v.GET_STATUS) == 0
    fe.close()


def driver_ok(server):
    """With STATUS negotiated frames flow once DRIVER_OK has come, and stop when status becomes 0."""
    a = server.guest("a", protocol=v.PF_REPLY_ACK | v.PF_STATUS).start()
    b = server.guest("b").start()
    a.good(v.SET_STATUS, v.u64(15))
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    a.good(v.SET_STATUS, v.u64(0))
    b.send_frame(v.make_frame())
    assert a.recv_frame(0.3) is None, "a frame after the reset"
    a.close()
    b.close()


def nothing_is_left_to_the_next(server):
    """What one front end has enabled, acked and announced does not hold for the next one."""
    first = server.guest("a", negotiate=False)
    first.send(v.SET_OWNER)
    first.send(v.SET_FEATURES, v.u64(v.F_VERSION_1))  # without protocol features: rings are enabled
    first.expect_silence()
    first.close()
    first = server.guest("a", protocol=v.PF_REPLY_ACK | v.PF_STATUS).start()
    first.good(v.SET_STATUS, v.u64(15))
    first.close()
    b = server.guest("b").start()
    a = server.guest("a", protocol=v.PF_REPLY_ACK | v.PF_STATUS)
    assert a.get_u64(v.GET_STATUS) == 0
    a.good(v.SET_MEM_TABLE, a.table(), [a.memfd])
    a.rx.set_up()
    a.tx.set_up()
    a.post()
    for driver_ok, enabled in ((False, False), (True, False), (False, True)):
        a.good(v.SET_STATUS, v.u64(15 if driver_ok else 11))
        a.enable(enabled)
        b.send_frame(v.make_frame())
        assert a.recv_frame(0.2) is None, "driver_ok %s, enabled %s: a frame" % (driver_ok, enabled)
    a.good(v.SET_STATUS, v.u64(15))
    v.pass_frame(b, a)
    a.close()
    b.close()


def reset_device(server):
    """Rings are forgotten and disabled, memory stays: they can be set up again without a table."""
    a = server.guest("a", protocol=v.PF_REPLY_ACK | v.PF_RESET_DEVICE).start()
    b = server.guest("b").start()
    v.pass_frame(a, b)
    a.good(v.RESET_DEVICE)
    a.good(v.RESET_DEVICE)
    a.send_frame(v.make_frame())
    assert a.tx.get_used(0.2) is None, "a ring was served after the reset"
    a.rx.close()
    a.tx.close()
    a.rx, a.tx = v.Ring(a, 0, 0x5000), v.Ring(a, 1, 0x7000)
    a.n_sent = 0
    a.rx.set_up()
    a.tx.set_up()
    a.post()
    a.send_frame(v.make_frame())
    assert a.tx.get_used() is not None, "a disabled ring consumes"
    assert b.recv_frame(0.3) is None, "a disabled ring drops"
    a.enable(1)
    v.pass_frame(a, b)
    v.pass_frame(b, a)
    a.close()
    b.close()


def bits(*numbers):
    return sum(1 << n for n in numbers)


# What each word of --features takes away: bits of virtio-net, bits of the protocol
WORDS = {
    "packed": (bits(34), 0),
    "in-order": (bits(35), 0),
    "event-idx": (bits(29), 0),
    "indirect": (bits(28), 0),
    "mrg-rxbuf": (bits(15), 0),
    "offload": (bits(0, 1, 7, 8, 9, 11, 12, 13, 54, 55, 56), 0),
    "mq": (bits(22), 0),
    "ctrl-vq": (bits(17, 23), 0),
    "mtu": (bits(3), v.PF_NET_MTU),
    "status": (0, v.PF_STATUS),
    "config": (0, v.PF_CONFIG),
    "mem-slots": (0, v.PF_MEM_SLOTS),
    "inflight": (0, v.PF_INFLIGHT_SHMFD),
    "migration": (bits(26), v.PF_LOG_SHMFD | v.PF_RARP),
}
# Of a driver that completes each buffer by itself, in split rings, with one pair
NOT_OURS = bits(22, 26, 34, 35)


def nic_of(word):
    return word.replace("-", "")  # no - in the name of a port


def all_guest(server, nic):
    """A guest that acks all that is offered and that it can do."""
    g = server.guest(nic, negotiate=False)
    features = g.get_u64(v.GET_FEATURES)
    protocol = g.get_u64(v.GET_PROTOCOL_FEATURES)
    g.negotiate(features=features & ~NOT_OURS, protocol=protocol)
    g.start()
    if protocol & v.PF_STATUS:
        g.good(v.SET_STATUS, v.u64(15))
    return g, features, protocol


@v.with_server("--queues", "2", "--mtu", "1500", nics=("all", *map(nic_of, WORDS)),
               nic_args={nic_of(w): ("--features", "no-" + w) for w in WORDS})
def words(server):
    """no-WORD takes away what belongs to it, and nothing else; frames pass without it, both ways."""
    a, features, protocol = all_guest(server, "all")
    for word, (virtio, proto) in WORDS.items():
        assert features & virtio == virtio and protocol & proto == proto, (word, hex(features), hex(protocol))
        b, f, p = all_guest(server, nic_of(word))
        assert (features & ~f, f & ~features) == (virtio, 0), "no-%s: 0x%x" % (word, features ^ f)
        assert (protocol & ~p, p & ~protocol) == (proto, 0), "no-%s: protocol 0x%x" % (word, protocol ^ p)
        v.pass_frame(a, b)
        v.pass_frame(b, a)
        b.close()
    a.close()


def each_word(_):
    words()


v.run([what_is_offered, only_what_is_offered, refusal_without_answer_ends, answer_to_what_turns_answers_on, not_under_traffic, owner, number_of_queues, status,
       driver_ok, nothing_is_left_to_the_next, reset_device, each_word])
