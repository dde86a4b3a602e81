# SPDX-License-Identifier: BSD-2-Clause
"""The control queue, by which a driver sets the number of queue pairs and its address: each command, good and bad.

No front end that the other tests run leaves this queue to the server, except User-Mode Linux, whose driver sends what is right.
"""
import select
import struct
import time

import vuproto as v

MAC, OTHER, MTU = bytes([0x02, 0, 0, 0, 0x0C, 0x01]), bytes([0x02, 0, 0, 0, 0x0C, 0x02]), 1400
FEATURES = v.F_VERSION_1 | v.F_PROTOCOL | v.F_MRG_RXBUF | v.F_INDIRECT | v.F_MQ | v.F_CTRL_VQ | v.F_CTRL_MAC_ADDR
PROTOCOL = v.PF_REPLY_ACK | v.PF_CONFIG | v.PF_NET_MTU
UML = v.PF_REPLY_ACK | v.PF_CONFIG | v.PF_MQ | v.PF_BACKEND_REQ
RESETS = PROTOCOL | v.PF_STATUS | v.PF_RESET_DEVICE | v.PF_MEM_SLOTS

OK, ERR, UNTOUCHED = 0, 1, 0xEE
COMMANDS, ANSWERS, TABLE = 0xB000, 0xD000, 0xE000  # in the guest's memory
NEXT, WRITE, INDIRECT = 1, 2, 4


def set_pairs(n):
    return b"\x04\x00" + struct.pack("<H", n)


def set_mac(mac):
    return b"\x01\x01" + mac


class Driver(v.Guest):
    """A guest with two queue pairs, or one without MQ, and a control queue, unless its front end has one of its own."""

    def __init__(self, server, nic="a", has_control=True, features=FEATURES, protocol=PROTOCOL, kind=v.Ring):
        features |= v.F_PACKED if kind is v.PackedRing else 0
        super().__init__(server.path(nic), negotiate=False, kind=kind)
        if protocol == UML:
            self.send(v.SET_OWNER)
        self.negotiate(features, protocol)
        self.protocol, self.kind = protocol, kind
        self.pairs = [(self.rx, self.tx), (kind(self, 2, 0x5000), kind(self, 3, 0x7000))]
        index = 4
        if features & v.F_CTRL_VQ and not features & v.F_MQ:
            index = 2
            for r in self.pairs.pop():
                r.close()
        self.control = kind(self, index, 0x9000) if has_control else None
        self.start()

    def start(self):
        self.good(v.SET_MEM_TABLE, self.table(), [self.memfd])
        self.start_rings()
        for k, (rx, _) in enumerate(self.pairs):
            for i in range(32):
                self.give(k, i)
        return self

    def rings(self):
        return [r for pair in self.pairs for r in pair] + ([self.control] if self.control else [])

    def start_rings(self):
        for r in self.rings():
            if self.protocol == UML:
                self.good(v.SET_VRING_CALL, v.u64(r.index), [r.call_fd])
            r.set_up()
            self.good(v.SET_VRING_ENABLE, v.state(r.index, 1))
        if self.protocol & v.PF_STATUS:
            self.good(v.SET_STATUS, v.u64(15))

    def give(self, k, i):
        """Receive buffer @i of pair @k."""
        rx = self.pairs[k][0]
        rx.descriptor(i, v.GPA + 0x10000 + 0x10000 * k + 2048 * i, 2048, WRITE)
        rx.add(i)
        rx.kick()

    def new_rings(self):
        """As another driver makes them."""
        for r in self.rings():
            r.close()
        self.mem[0x1000:COMMANDS] = bytes(COMMANDS - 0x1000)
        self.n_sent = 0
        rings = [self.kind(self, r.index, r.desc) for r in self.rings()]
        self.rx, self.tx, self.control = rings[0], rings[1], rings[-1]
        self.pairs = list(zip(rings[0:-1:2], rings[1::2]))
        self.start()

    def connect_again(self, path):
        """The front end does, and its guest has noticed nothing."""
        self.sock.close()
        self.sock = v.FrontEnd(path).sock
        self.negotiate(self.features, self.protocol)
        self.good(v.SET_MEM_TABLE, self.table(), [self.memfd])
        self.start_rings()

    def submit(self, pieces, table=False):
        """A chain of @pieces (address, length, flags), in the ring or in a table beside it."""
        is_packed = self.kind is v.PackedRing
        table |= is_packed  # our rings of that kind have no chains
        last = len(pieces) - 1
        for i, (at, size, flags) in enumerate(pieces):
            tail = (flags | NEXT, i + 1) if i < last else (flags, 0)
            if is_packed:
                tail = 0, flags
            if table:
                struct.pack_into("<QIHH", self.mem, TABLE + 16 * i, v.GPA + at, size, *tail)
            else:
                self.control.descriptor(i, v.GPA + at, size, *tail)
        if table:
            self.control.descriptor(0, v.GPA + TABLE, 16 * len(pieces), INDIRECT)
        self.control.add(0)
        self.control.kick()

    def command(self, *parts, room=(1,), **kwargs):
        """Have a command served whose bytes lie in @parts, with @room for the answer. Return: that room, and the used length."""
        pieces, at = [], COMMANDS
        for p in parts:
            self.mem[at:at + len(p)] = p
            pieces.append((at, len(p), 0))
            at += len(p)
        at = ANSWERS
        for size in room:
            pieces.append((at, size, WRITE))
            at += size
        self.mem[ANSWERS:at] = bytes([UNTOUCHED]) * (at - ANSWERS)
        self.submit(pieces, **kwargs)
        used = self.control.get_used()
        assert used is not None, "no answer to %s" % b"".join(parts)[:16].hex()
        assert used[0] == 0, used
        return self.mem[ANSWERS:at], used[1]

    def answer_to(self, command):
        answer, used = self.command(command)
        assert used == 1, used
        return answer[0]

    def expect(self, command, want):
        got = self.answer_to(command)
        assert got == want, "%s: answered %d" % (command[:16].hex(), got)

    def config(self):
        """The address and the MTU in the configuration space."""
        return v.read_config(self, 0, 6), struct.unpack("<H", v.read_config(self, 10, 2))[0]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        for r in self.rings():
            if r not in (self.rx, self.tx):
                r.close()
        super().close()


def spread(src, dst):
    """How many of 32 frames of different flows, sent on all tx queues of @src, come to each rx queue of @dst."""
    v.pass_frame(src, dst)
    v.pass_frame(dst, src)  # so the switch has learned where that address is
    for i in range(32):
        tx = src.pairs[i % len(src.pairs)][1]
        frame = bytes(12) + v.make_frame(src=0x40 + i, dst=b"\x02\0\0\0\0\x02")
        at = 0xA0000 + 2048 * i
        src.mem[at:at + len(frame)] = frame
        tx.descriptor(i, v.GPA + at, len(frame), 0)
        tx.add(i)
        tx.kick()
        assert tx.get_used() is not None, "a frame was not taken"
    count = [0] * len(dst.pairs)
    deadline = time.monotonic() + v.TIMEOUT
    while sum(count) < 32 and time.monotonic() < deadline:
        for k, (rx, _) in enumerate(dst.pairs):
            element = rx.get_used(0.01)
            while element is not None:
                count[k] += 1
                dst.give(k, element[0])
                element = rx.get_used(0)
    assert sum(count) == 32, "of 32 frames there came %s" % count
    return count


def expect_pairs(src, dst, pairs):
    """The driver behind @dst uses so many."""
    got = spread(src, dst)
    assert sum(n > 0 for n in got) == pairs and got[0] > 0, "frames by queue %s, expected %d of them" % (got, pairs)


def what_is_offered(server):
    """What is tested here is all that there is: no receive modes, VLAN filter, announcement, offloads at run time, or RSS."""
    with Driver(server) as d:
        offered = d.get_u64(v.GET_FEATURES)
        for bit in (17, 22, 23):  # CTRL_VQ, MQ, CTRL_MAC_ADDR
            assert offered & 1 << bit, "bit %d is not offered" % bit
        for bit in (2, 18, 19, 20, 21, 52, 53, 57, 60):
            assert not offered & 1 << bit, "bit %d is offered, and not tested" % bit


def pairs(server):
    """1 to as many as there are; all else is refused, and the number stays."""
    with Driver(server, "b") as b, Driver(server) as a:
        expect_pairs(b, a, 1)
        have = 1
        for n, want in ((0, ERR), (1, OK), (3, ERR), (2, OK), (0, ERR), (3, ERR), (4, ERR), (0x8001, ERR), (0xFFFF, ERR), (0x0100, ERR),
                        (1, OK), (0x0200, ERR), (2, OK), (2, OK), (1, OK)):
            a.expect(set_pairs(n), want)
            have = n if want == OK else have
            expect_pairs(b, a, have)


def other_commands(server):
    """What was not offered is refused, as a good driver would send it and with other bytes, and changes nothing."""
    table = struct.pack("<I", 1) + OTHER + struct.pack("<I", 0)
    with Driver(server, "b") as b, Driver(server) as a:
        a.expect(set_pairs(2), OK)
        for command in (*(bytes([0, mode, on]) for mode in range(6) for on in (0, 1)),  # receive modes
                        b"\x01\x00" + table,  # MAC_TABLE_SET
                        b"\x02\x00" + struct.pack("<H", 7), b"\x02\x01" + struct.pack("<H", 7),  # VLAN
                        b"\x03\x00",  # ANNOUNCE_ACK
                        b"\x04\x01" + struct.pack("<IHHHHHB", 0, 0, 0, 0, 0, 1, 0), b"\x04\x02" + bytes(12),  # RSS, hashes
                        b"\x05\x00" + v.u64(0),  # offloads
                        b"\x06\x00" + bytes(8), b"\x06\x01" + bytes(8)):  # coalescing
            a.expect(command, ERR)
        for kind in range(256):
            for number in (0, 1, 2, 3, 255):
                for data in (b"", b"\x01\x00", OTHER):
                    if (kind, number, len(data)) not in ((1, 1, 6), (4, 0, 2)):
                        a.expect(bytes([kind, number]) + data, ERR)
        assert a.config() == (MAC, MTU)
        expect_pairs(b, a, 2)


def lengths(server):
    """A command is as long as it has to be."""
    with Driver(server, "b") as b, Driver(server) as a:
        for command in set_mac(OTHER), set_pairs(2):
            size = len(command)
            for bad in (*(command[:n] for n in range(1, size)), *(command + bytes(n) for n in (1, 2, 3, 8, 100, 4000))):
                a.expect(bad, ERR)
        answer, used = a.command()  # nothing to read
        assert (answer[0], used) == (ERR, 1), (answer, used)
        assert a.config() == (MAC, MTU)
        expect_pairs(b, a, 1)


def pieces(server):
    """How a command lies in descriptors does not matter, nor whether these are in a table."""
    for kind in (v.Ring, v.PackedRing):
        with Driver(server, kind=kind) as d:
            for n, table in enumerate((False, True) * 2):
                for cut in range(9):
                    mac = bytes([0x02, 0, 0, n, 0, cut])
                    command = set_mac(mac)
                    answer, used = d.command(command[:cut], command[cut:], table=table)
                    assert (answer[0], used, d.config()[0]) == (OK, 1, mac), (cut, table, d.config())
                mac = bytes([0x02, 0, 1, n, 0, 0])
                answer, used = d.command(*(bytes([b]) for b in set_mac(mac)), room=(0, 1), table=table)
                assert (answer[0], used, d.config()[0]) == (OK, 1, mac), (table, d.config())


def no_room(server):
    """A command without room for the answer comes back, and is not obeyed."""
    with Driver(server, "b") as b, Driver(server) as a:
        for room in ((), (0,), (0, 0)):
            for table in (False, True):
                for command in (set_mac(OTHER), set_pairs(2), b"\x00\x00\x01", b""):
                    answer, used = a.command(command, room=room, table=table)
                    assert (answer, used) == (b"", 0), (answer, used)
        assert a.config() == (MAC, MTU)
        expect_pairs(b, a, 1)
        a.expect(set_pairs(2), OK)


def wrong_order(server):
    """The room before the command breaks the rules: the ring stops, and only it. A new driver has its queue again."""
    for kind in (v.Ring, v.PackedRing):
        with Driver(server, "b") as b, Driver(server, kind=kind) as a:
            for table in (False, True):
                a.expect(set_pairs(2), OK)
                a.mem[COMMANDS:COMMANDS + 8] = set_mac(OTHER)
                a.submit([(ANSWERS, 1, WRITE), (COMMANDS, 8, 0)], table=table)
                assert select.select([a.control.err_fd], [], [], v.TIMEOUT)[0], "the err descriptor was not signalled"
                assert a.control.get_used(0) is None, "an answer"
                assert a.config() == (MAC, MTU), a.config()
                expect_pairs(b, a, 2)
                for r in a.rings():
                    a.get(v.GET_VRING_BASE, v.state(r.index, 0))
                a.new_rings()
                expect_pairs(b, a, 1)


def many_at_once(server):
    """As many as the ring holds, in one kick: each has its answer, and the last one holds."""
    with Driver(server) as d:
        n = d.control.num // 2
        for i in range(n):
            command = set_mac(bytes([0x02, 0, 0, 0, 1, i])) if i % 3 else set_mac(bytes(6))
            at = COMMANDS + 16 * i
            d.mem[at:at + 9] = command + bytes([UNTOUCHED])
            d.control.descriptor(2 * i, v.GPA + at, 8, NEXT, 2 * i + 1)
            d.control.descriptor(2 * i + 1, v.GPA + at + 8, 1, WRITE)
            d.control.add(2 * i)
        d.control.kick()
        for i in range(n):
            assert d.control.get_used() == (2 * i, 1), i
            assert d.mem[COMMANDS + 16 * i + 8] == (OK if i % 3 else ERR), i
        assert d.config()[0] == bytes([0x02, 0, 0, 0, 1, n - 1]), d.config()


def answers(server):
    """One byte, the first one of the room for it; what is behind is not touched."""
    with Driver(server) as d:
        for command, want in ((set_pairs(1), OK), (set_mac(MAC), OK), (set_pairs(0), ERR), (b"\x09\x00", ERR)):
            for room in ((1,), (2,), (4,), (2, 2), (1, 300), (4096,)):
                for table in (False, True):
                    answer, used = d.command(command, room=room, table=table)
                    assert used == 1, "used length %d" % used
                    rest = bytes([UNTOUCHED]) * (sum(room) - 1)
                    assert answer == bytes([want]) + rest, "%s, room %s: %s" % (command.hex(), room, answer[:16].hex())


def not_negotiated(server):
    """A command whose feature the driver has not accepted is refused, and changes nothing."""
    with Driver(server, "b") as b:
        for without, has_mac, has_pairs in ((0, True, True), (v.F_CTRL_MAC_ADDR, False, True), (v.F_MQ, True, False),
                                            (v.F_CTRL_VQ, False, False), (v.F_CTRL_VQ | v.F_MQ, False, False)):
            with Driver(server, features=FEATURES & ~without) as a:
                a.expect(set_mac(OTHER), OK if has_mac else ERR)
                assert a.config()[0] == (OTHER if has_mac else MAC), a.config()
                a.expect(set_pairs(1), OK if has_pairs else ERR)
                a.expect(set_pairs(2), OK if has_pairs else ERR)
                expect_pairs(b, a, 2 if has_pairs else 1)


def enabled_before_the_features(server):
    """Which queue ring 2 is can change with them; enabled or not is the ring's, whatever it was when that was said."""
    with Driver(server, "b") as b, Driver(server) as a:
        for r in a.rings():
            a.get(v.GET_VRING_BASE, v.state(r.index, 0))
        a.good(v.SET_FEATURES, v.u64(a.features & ~v.F_MQ))
        a.good(v.SET_VRING_ENABLE, v.state(2, 0))
        a.good(v.SET_FEATURES, v.u64(a.features))
        for r in a.rings():
            r.set_up()
        a.expect(set_pairs(2), OK)
        expect_pairs(b, a, 1)
        a.good(v.SET_VRING_ENABLE, v.state(2, 1))
        expect_pairs(b, a, 2)


def addresses(server):
    """What a card can have is taken, and is in the configuration space; a group's address and zero are not."""
    with Driver(server) as d:
        for mac, want in (("020000000c02", OK), ("010000000c02", ERR), ("ffffffffffff", ERR), ("000000000000", ERR),
                          ("01005e000001", ERR), ("feffffffffff", OK), ("000000000001", OK), ("33330000beef", ERR), (MAC.hex(), OK)):
            before = d.config()[0].hex()
            d.expect(set_mac(bytes.fromhex(mac)), want)
            assert d.config()[0].hex() == (mac if want == OK else before), mac


def nothing_is_left_to_the_next(server):
    """A reset, and the end of a connection however it comes, put back the address and the MTU that were configured."""
    def status(d):
        d.good(v.SET_STATUS, v.u64(0))

    def device(d):
        d.good(v.RESET_DEVICE)

    def hang_up(d):
        d.sock.close()

    def fault(d):
        d.send(v.SET_FEATURES, v.u64(1 << 33))
        d.expect_end()

    for reset, protocol in ((status, v.PF_STATUS), (device, v.PF_RESET_DEVICE), (hang_up, 0), (fault, 0)):
        with Driver(server, protocol=PROTOCOL | protocol) as d:
            d.expect(set_mac(OTHER), OK)
            d.good(v.NET_SET_MTU, v.u64(68))
            for r in d.rings():  # not a reset
                d.get(v.GET_VRING_BASE, v.state(r.index, 0))
            assert d.config() == (OTHER, 68), d.config()
            reset(d)
            if reset in (status, device):
                assert d.config() == (MAC, MTU), "after %s: %s" % (reset.__name__, d.config())
        with Driver(server) as d:
            assert d.config() == (MAC, MTU), "the next one, after %s: %s" % (reset.__name__, d.config())


def pairs_outlive_a_halt(server):
    """The driver is the same as long as its control ring goes on, and knows nothing of halts and pauses."""
    def new_memory(d):
        d.good(v.SET_MEM_TABLE, d.table(), [d.memfd])

    def more_memory(d):
        fd = v.memfd(v.PAGE)
        region = v.u64(0) + v.REGION.pack(v.GPA + v.MEM_SIZE, v.PAGE, v.UADDR + v.MEM_SIZE, 0)
        d.good(v.ADD_MEM_REG, region, [fd])
        d.good(v.REM_MEM_REG, region)
        v.os.close(fd)

    def kick(d):
        d.good(v.SET_VRING_KICK, v.u64(4), [d.control.kick_fd])

    def address(d):
        d.good(v.SET_VRING_ADDR, d.control.addr())

    def pause(d):
        for r in d.rings():
            base = struct.unpack("<II", d.get(v.GET_VRING_BASE, v.state(r.index, 0)))[1]
            r.set_up(base)

    def pause_of_qemu(d):
        bases = [struct.unpack("<II", d.get(v.GET_VRING_BASE, v.state(r.index, 0)))[1] for r in d.rings()]
        d.good(v.SET_STATUS, v.u64(0))
        for r, base in zip(d.rings(), bases):
            r.set_up(base)
        d.good(v.SET_STATUS, v.u64(15))

    for kind in (v.Ring, v.PackedRing):
        with Driver(server, "b") as b, Driver(server, kind=kind, protocol=RESETS) as a:
            expect_pairs(b, a, 1)
            for n in (2, 1, 2):
                a.expect(set_pairs(n), OK)
                for halt in (new_memory, more_memory, kick, address, pause, pause_of_qemu):
                    halt(a)
                    expect_pairs(b, a, n)
                    a.expect(set_pairs(3), ERR)
                    expect_pairs(b, a, n)


def a_new_driver_has_one_pair(server):
    """Its control ring is new, whether the front end has told of a reset or not."""
    def stop(d):
        for r in d.rings():
            d.get(v.GET_VRING_BASE, v.state(r.index, 0))

    def status(d):
        d.good(v.SET_STATUS, v.u64(0))

    def device(d):
        d.good(v.RESET_DEVICE)

    for kind in (v.Ring, v.PackedRing):
        with Driver(server, "b") as b, Driver(server, kind=kind, protocol=RESETS) as a:
            for reset in (stop, status, device):
                a.expect(set_pairs(2), OK)
                while kind is v.PackedRing and a.control.used_at != (0, True):  # two laps: as if it was new
                    a.expect(set_pairs(2), OK)
                expect_pairs(b, a, 2)
                reset(a)
                a.new_rings()
                expect_pairs(b, a, 1)


def a_front_end_with_a_queue_of_its_own(server):
    """It starts no control ring, and enables the pairs that are in use: QEMU."""
    with Driver(server, "b", has_control=False) as b:
        for n in (1, 2):
            with Driver(server, has_control=False) as a:
                expect_pairs(b, a, 2)
                a.good(v.SET_VRING_ENABLE, v.state(2, 0))
                expect_pairs(b, a, 1)
            with Driver(server) as a:
                a.expect(set_pairs(n), OK)
                expect_pairs(b, a, n)


def a_driver_taken_away(server):
    """User-Mode Linux only disables the rings then, as for a guest that sleeps: they rest, and the memory may be another's."""
    def rest(d):
        for r in reversed(d.rings()):
            d.good(v.SET_VRING_ENABLE, v.state(r.index, 0))

    for kind in (v.Ring, v.PackedRing):
        with Driver(server, "b") as b, Driver(server, protocol=UML, kind=kind) as a:
            for _ in range(2):
                a.expect(set_mac(OTHER), OK)
                a.expect(set_pairs(2), OK)
                expect_pairs(b, a, 2)
                rest(a)
                a.send_frame(v.make_frame())
                a.good(v.SET_MEM_TABLE, a.table(), [a.memfd])
                assert a.tx.get_used(0.1) is None, "a ring that rests was served"
                for r in a.rings():
                    a.good(v.SET_VRING_ENABLE, v.state(r.index, 1))
                assert a.tx.get_used() is not None, "it does not go on"
                expect_pairs(b, a, 2)
                rest(a)
                assert a.config() == (MAC, MTU), a.config()
                others = bytes([0xA5]) * (COMMANDS - 0x1000)
                a.mem[0x1000:COMMANDS] = others
                for r in a.rings():
                    r.kick()
                a.good(v.SET_FEATURES, v.u64(a.features))
                a.good(v.SET_MEM_TABLE, a.table(), [a.memfd])
                time.sleep(0.05)
                assert a.mem[0x1000:COMMANDS] == others, "memory of rings that are no more was written to"
                assert not select.select([r.err_fd for r in a.rings()], [], [], 0)[0], "a ring was read"
                a.new_rings()
                expect_pairs(b, a, 1)


def after_a_death(server):
    """The next server does not know what the driver has asked the one before it for: one pair always is right."""
    with Driver(server, "b") as b, Driver(server) as a:
        a.expect(set_mac(OTHER), OK)
        a.expect(set_pairs(2), OK)
        expect_pairs(b, a, 2)
        server.kill()
        server.start()
        for d, nic in ((a, "a"), (b, "b")):
            d.connect_again(server.path(nic))
        assert a.config() == (MAC, MTU), a.config()
        expect_pairs(b, a, 1)
        a.expect(set_pairs(2), OK)
        expect_pairs(b, a, 2)


v.run([what_is_offered, pairs, other_commands, lengths, pieces, no_room, wrong_order, many_at_once, answers, not_negotiated,
       enabled_before_the_features, addresses, nothing_is_left_to_the_next, pairs_outlive_a_halt, a_new_driver_has_one_pair,
       a_front_end_with_a_queue_of_its_own, a_driver_taken_away, after_a_death],
      ("--queues", "2", "--mtu", str(MTU)), nic_args={"a": ("--mac", ":".join("%02x" % b for b in MAC))})
