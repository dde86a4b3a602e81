#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""rename.py STEP...: rename interfaces all the time, each STEP from OLD:NEW, all of them over and over, until SIGTERM; the round is ended."""
import fcntl
import signal
import socket
import struct
import sys

SIOCSIFNAME = 0x8923

steps = [[n.encode() for n in step.split(":")] for step in sys.argv[1:]]
ends = []
signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("renaming", flush=True)
while not ends:
    for old, new in steps:
        fcntl.ioctl(sock, SIOCSIFNAME, struct.pack("16s16s8x", old, new))
