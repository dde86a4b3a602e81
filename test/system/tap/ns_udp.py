# SPDX-License-Identifier: BSD-2-Clause
"""UDP by the kernel's sockets, in the namespace it is started in.

ns_udp.py ask ADDRESS PORT COUNT LEN[:LEN]...   send datagrams, COUNT of each length, and expect each of them back unchanged;
                                                every one is sent again, up to 20 times half a second apart: the network may lose some
ns_udp.py flows ADDRESS PORT COUNT              one datagram from each of COUNT sockets, all answered
ns_udp.py echo ADDRESS PORT                     send back what comes, until ended ("ready" when it can)
ns_udp.py hear ADDRESS PORT                     print "ready", then the sender's address of one datagram, and end

Byte 0 of a datagram counts, byte i is byte 0 + i. Exit status 0, or 1 with what was missing.
"""
import signal
import socket
import sys
import time

TRIES = 20


def content(n, length):
    return bytes((n + i) & 255 for i in range(length))


def open_socket(address):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.5)
    return s


def ask_one(s, to, data):
    for _ in range(TRIES):
        try:
            s.sendto(data, to)
            while True:  # ends by the timeout: nobody sends but for us
                if s.recv(65536) == data:
                    return
        except TimeoutError:
            pass
        except OSError:  # nobody answers ARP so far, or the interface has just come up
            time.sleep(0.5)
    sys.exit("no answer of %d bytes from %s" % (len(data), to[0]))


def main():
    what, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    signal.alarm(120)
    if what == "ask":
        s = open_socket(address)
        n = 0
        for length in sys.argv[5].split(":"):
            for _ in range(int(sys.argv[4])):
                ask_one(s, (address, port), content(n, int(length)))
                n += 1
    elif what == "flows":
        for n in range(int(sys.argv[4])):
            ask_one(open_socket(address), (address, port), content(n, 64))
    else:
        s = open_socket(address)
        s.settimeout(None)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.bind((address, port))
        print("ready", flush=True)
        while what == "echo":
            data, sender = s.recvfrom(65536)
            s.sendto(data, sender)
        print(s.recvfrom(65536)[1][0], flush=True)


main()
