#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write the seeds of fuzz_vhost_user to a directory: conversations of front ends, with rings in memory."""
import os
import struct
import sys

MEM, EVENT, PIPE_W, SOCK, TWO = 1, 2, 5, 6, 7
ACK = 0x80
VERSION_1, PROTOCOL, PACKED, EVENT_IDX, INDIRECT, LOG = 1 << 32, 1 << 30, 1 << 34, 1 << 29, 1 << 28, 1 << 26
PF_ALL = 0x1b23f
DESC, AVAIL, USED, TABLE = 0x100, 0x200, 0x280, 0x380
SIZE = 256 * 1024
INFLIGHT, PART = 0x400, 576  # of rings with 16 descriptors


def message(request, payload=b"", fds=0, ack=False):
    return bytes([request, fds | (ACK if ack else 0), len(payload)]) + payload


def u64(val):
    return struct.pack("<Q", val)


def state(index, num):
    return struct.pack("<II", index, num)


def region(gpa=0, size=SIZE, uaddr=0, ofs=0):
    return struct.pack("<QQQQ", gpa, size, uaddr, ofs)


def begin(features, protocol=PF_ALL):
    return (message(1) + message(15) + message(16, u64(protocol)) + message(17) + message(3) +
            message(2, u64(features), ack=True))


def table():
    return message(5, struct.pack("<II", 1, 0) + region(), MEM, ack=True)


def ring(index, num=16, base=0, flags=0, at=0):
    return (message(8, state(index, num)) + message(10, state(index, base)) +
            message(9, struct.pack("<IIQQQQ", index, flags, at + DESC, at + USED, at + AVAIL, at + USED), ack=True) +
            message(13, u64(index), EVENT) + message(14, u64(index), EVENT) + message(12, u64(index), EVENT, ack=True) +
            message(18, state(index, 1)))


def split_image(indirect=False):
    image = bytearray(0x400)
    for i in range(4):
        struct.pack_into("<QIHH", image, DESC + 16 * i, 0x8000 + 0x800 * i, 100, (1 if i % 2 == 0 else 0) | (2 if i >= 2 else 0), i + 1)
    if indirect:
        struct.pack_into("<QIHH", image, DESC, TABLE, 32, 4, 0)
        struct.pack_into("<QIHHQIHH", image, TABLE, 0x8000, 12, 1, 1, 0x9000, 60, 0, 0)
    struct.pack_into("<HHHH", image, AVAIL, 0, 2, 0, 2)
    return bytes(image)


def packed_image():
    image = bytearray(0x400)
    for i in range(4):
        struct.pack_into("<QIHH", image, DESC + 16 * i, 0x8000 + 0x800 * i, 100, i, 1 << 7)
    return bytes(image)


def inflight_image(image, is_packed):
    """An in-flight region behind the rings: ring 1 has two chains in flight."""
    region = bytearray(4 * PART)
    if is_packed:
        struct.pack_into("<QHHHHHHBB", region, PART, 0, 1, 16, 2, 2, 0, 0, 1, 1)
        for i in range(16):
            struct.pack_into("<BBHHHQHHIQ", region, PART + 32 + 32 * i, i < 2, 0, i + 1, i, 1, i + 1, i, 1 << 7, 100, 0x8000 + 0x800 * i)
    else:
        struct.pack_into("<QHHHH", region, PART, 0, 1, 16, 0, 0)
        for i in (0, 2):
            struct.pack_into("<B5xHQ", region, PART + 16 + 16 * i, 1, 0, i + 1)
    return image.ljust(INFLIGHT, b"\0") + bytes(region)


def recover(base):
    return message(32, struct.pack("<QQHHI", 4 * PART, INFLIGHT, 4, 16, 0), MEM, ack=True) + ring(1, base=base) + message(11, state(1, 0))


def seed(image, conversation):
    return struct.pack("<H", len(image)) + image + conversation


SPLIT = VERSION_1 | PROTOCOL | EVENT_IDX | INDIRECT
SEEDS = {
    "split": seed(split_image(), begin(SPLIT) + table() + ring(0) + ring(1) + message(11, state(0, 0)) + ring(0, base=2)),
    "indirect": seed(split_image(True), begin(SPLIT) + table() + ring(1) + message(11, state(1, 0))),
    "packed": seed(packed_image(), begin(VERSION_1 | PROTOCOL | PACKED | EVENT_IDX) + table() + ring(0, 16, 0x80008000) +
                   message(11, state(0, 0))),
    "slots": seed(split_image(), begin(SPLIT) + message(36) + message(37, bytes(8) + region(), MEM, ack=True) + ring(1) +
                  message(38, bytes(8) + region(), ack=True) + message(37, bytes(8) + region(), MEM, ack=True)),
    "two-regions": seed(split_image(), begin(SPLIT) + message(5, struct.pack("<II", 2, 0) + region(0, 0x8000) +
                                                              region(0x8000, 0x8000, 0x8000, 0x8000), TWO, ack=True) + ring(1)),
    "log": seed(split_image(), begin(SPLIT | LOG) + table() + message(6, struct.pack("<QQ", 64, 0x3000), MEM) + message(7, b"", EVENT) +
                ring(1, flags=1) + message(2, u64(SPLIT), ack=True)),
    "inflight": seed(split_image(), begin(SPLIT) + table() + message(31, struct.pack("<QQHHI", 0, 0, 4, 16, 0)) + ring(1) +
                     message(11, state(1, 0)) + message(32, struct.pack("<QQHHI", 4 * 576, 0x4000, 4, 16, 0), MEM, ack=True) +
                     ring(1, base=2)),
    "recover-split": seed(inflight_image(split_image(), False), begin(SPLIT) + table() + recover(2)),
    "recover-packed": seed(inflight_image(packed_image(), True), begin(VERSION_1 | PROTOCOL | PACKED) + table() + recover(0x80008000)),
    "reset": seed(split_image(), begin(SPLIT) + message(39, u64(8)) + table() + ring(1) + message(39, u64(15)) + message(40) +
                  message(39, u64(0)) + message(34, ack=True) + ring(1)),
    "net": seed(b"", begin(SPLIT) + message(19, bytes([2, 0, 0, 0, 0, 1, 0, 0])) + message(20, u64(1500)) + message(21, b"", SOCK) +
                message(24, struct.pack("<III", 0, 12, 0) + bytes(12)) + message(25, struct.pack("<III", 0, 6, 0) + bytes(6), ack=True)),
    "without-protocol": seed(split_image(), message(3) + message(2, u64(VERSION_1)) + table() + ring(1)),
}


def main():
    directory = sys.argv[1]
    for name, data in SEEDS.items():
        with open(os.path.join(directory, name), "wb") as f:
            f.write(data)


main()
