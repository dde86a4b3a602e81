# SPDX-License-Identifier: BSD-2-Clause
"""Frames with a VLAN tag, from and to an interface of the namespace it is started in.

ns_vlan.py send IF ID      until it is killed or 5 s have passed
ns_vlan.py receive IF ID   "ready", then 0 when one has come, with its tag, as received on the interface
"""
import socket
import struct
import sys
import time

ETH_P_ALL, TYPE, SOL_PACKET, PACKET_AUXDATA, OUTGOING = 3, 0x88B5, 263, 8, 4


def send(ifname, vid):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.bind((ifname, 0))
    for _ in range(20):
        s.send(b"\xff" * 6 + b"\x02\0\0\0\0\x05" + struct.pack(">HHH", 0x8100, 0x6000 | vid, TYPE) + bytes(80))
        time.sleep(0.05)


def receive(ifname, vid):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.bind((ifname, ETH_P_ALL))
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    s.settimeout(40)
    print("ready", flush=True)
    while True:
        data, anc, _, addr = s.recvmsg(2000, 100)
        if addr[2] == OUTGOING or data[6:12] != b"\x02\0\0\0\0\x05":
            continue
        tci = struct.unpack_from("=IIIHHHH", anc[0][2])[5]  # the kernel takes the tag out of the frame
        if data[12:14] == struct.pack(">H", TYPE) and tci == 0x6000 | vid:
            return


if sys.argv[1] == "send":
    send(sys.argv[2], int(sys.argv[3]))
else:
    receive(sys.argv[2], int(sys.argv[3]))
