#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# tagged.py IF - send a frame with VLAN tag 7, priority 3, ten times a second, until killed; "ready" on standard output.
import socket
import sys
import time

s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
frame = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x81\0\x60\x07" + b"\x88\xb5" + b"tagged" + bytes(40)
print("ready", flush=True)
while True:
    s.send(frame)
    time.sleep(0.1)
