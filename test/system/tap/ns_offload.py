# SPDX-License-Identifier: BSD-2-Clause
"""What the kernel thinks of checksums and segments, in the namespace it is started in.

ns_offload.py features IF               "tso 0|1 csum 0|1": what the interface leaves to others
ns_offload.py errors                    frames with bad checksums that TCP, UDP and ICMP have met
ns_offload.py train ADDRESS PORT        one UDP send of 20 datagrams of 1000 bytes (UDP_SEGMENT), all echoed unchanged;
                                        sent again, up to 20 times, as the network may lose some
ns_offload.py send-tagged IF            a broadcast frame of 200 bytes after the tag of VLAN 7, past the kernel's own VLANs
ns_offload.py hear-tagged IF            "ready", then the VLAN and length of such a frame, and end
"""
import array
import fcntl
import os
import signal
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
ETHTOOL_GTXCSUM = 0x16
ETHTOOL_GTSO = 0x1E
UDP_SEGMENT = 103
ETH_P_ALL = 3
ETH_P_TEST = 0x88B5  # for experiments: IEEE 802
SOL_PACKET = 263
PACKET_AUXDATA = 8
TAGGED = b"\xff" * 6 + b"\x02unmtp" + bytes([0x81, 0, 0, 7]) + struct.pack(">H", ETH_P_TEST)


def feature(s, name, command):
    value = array.array("I", [command, 0])
    fcntl.ioctl(s, SIOCETHTOOL, struct.pack("16sP", name.encode(), value.buffer_info()[0]))
    return value[1]


def errors():
    n = 0
    with open("/proc/self/net/snmp") as f:
        lines = [line.split() for line in f]
    for names, values in zip(lines[::2], lines[1::2]):
        n += sum(int(v) for k, v in zip(names, values) if k == "InCsumErrors")
    if os.path.exists("/proc/self/net/snmp6"):
        with open("/proc/self/net/snmp6") as f:
            n += sum(int(line.split()[1]) for line in f if "InCsumErrors" in line)
    return n


def train(address, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.5)
    s.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 1000)
    want = {bytes([i]) * 1000 for i in range(20)}
    for _ in range(20):
        got = set()
        s.sendto(b"".join(sorted(want)), (address, port))
        try:
            while got != want:
                got.add(s.recv(2000))
            return
        except TimeoutError:
            pass
    sys.exit("%d of %d datagrams came back" % (len(got & want), len(want)))


def packet_socket(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    s.bind((name, 0))
    return s


def hear_tagged(s):
    print("ready", flush=True)
    while True:
        data, control, _, _ = s.recvmsg(2048, 256)
        if data[12:14] != struct.pack(">H", ETH_P_TEST):
            continue
        # The kernel takes the tag out of the frame: struct tpacket_auxdata has it at the end.
        tci = [struct.unpack("IIIHHHH", c[2][:20])[5] for c in control]
        print("vlan %d, %d bytes" % (tci[0], len(data) - 14))
        return


signal.alarm(60)
if sys.argv[1] == "features":
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print("tso %d csum %d" % (feature(sock, sys.argv[2], ETHTOOL_GTSO), feature(sock, sys.argv[2], ETHTOOL_GTXCSUM)))
elif sys.argv[1] == "errors":
    print(errors())
elif sys.argv[1] == "send-tagged":
    packet_socket(sys.argv[2]).send(TAGGED + bytes(range(200)))
elif sys.argv[1] == "hear-tagged":
    hear_tagged(packet_socket(sys.argv[2]))
else:
    train(sys.argv[2], int(sys.argv[3]))
