#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest moves from one QEMU, and device server, to another, and back.

The first time it is silent: the switch learns from the announcement alone where it is now. The
second time it sends a TCP stream, whose bytes come right. That no changed page is left unmarked is
shown, page by page, by test/system/vhost/test_migration.py.
"""
import json
import os
import socket

import guest
import host
import vmtest as t


class Movable(guest.Qemu):
    """A guest with a QMP socket; with incoming=True one that begins as another's copy."""

    def __init__(self, *args, incoming=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.incoming = incoming

    def path(self, kind):
        return os.path.join(self.dir, "%s.%s" % (self.name, kind))

    def command(self):
        words = ["-qmp", "unix:%s,server=on,wait=off" % self.path("qmp")]
        if self.incoming:
            words += ["-incoming", "unix:" + self.path("incoming")]
        return super().command() + words

    def tell(self, command, **arguments):
        """One QMP command. Return: what it returns."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(self.path("qmp"))
            with sock.makefile("rw") as f:
                f.readline()  # the greeting
                for name, args in ("qmp_capabilities", {}), (command, arguments):
                    f.write(json.dumps({"execute": name, "arguments": args}) + "\n")
                    f.flush()
                    answer = {}
                    while not answer.keys() & {"return", "error"}:  # the rest are events
                        answer = json.loads(f.readline())
                    t.check("return" in answer, "%s: %s" % (name, answer))
                return answer["return"]


def move(site, a, b):
    """What runs in @a goes on in @b."""
    b.start()
    host.wait_until(lambda: os.path.exists(b.path("incoming")), "QEMU waits for the guest")
    a.tell("migrate", uri="unix:" + b.path("incoming"))

    def has_moved():
        status = a.tell("query-migrate").get("status")
        t.check(status not in ("failed", "cancelled"), "the migration has %s" % status)
        return status == "completed" and b.tell("query-status")["status"] == "running"

    host.wait_until(has_moved, "the guest has moved", 60)
    a.kill()
    b.n_commands = a.n_commands


def is_at(site, port):
    """Until the switch looks for the guest there."""
    host.wait_until(
        lambda: any(e["mac"] == t.mac(1) and e["port"] == port for e in site.show("mac")),
        lambda: "the guest is at %s: %s" % (port, site.show("mac")),
    )


def there_and_back(boot):
    with t.guests(boot, {}, kind=Movable) as (site, netns, (a,), (here,)):
        there = site.server("vale0:vm2")
        # Neither IPv6 nor answers to ARP: silent means silent.
        a.run("echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        site.run(netns, "ip", "neigh", "replace", t.ip(1), "lladdr", t.mac(1), "dev", "t0")
        t.ping(a, t.NS_IP)
        is_at(site, "vale0:vm1")
        with Movable(boot, "there", [there.nic(t.mac(1))], site.dir, incoming=True) as b:
            move(site, a, b)
            is_at(site, "vale0:vm2")
            t.ping(b, t.NS_IP)
            stream = t.Transfer(site, netns, b, 8, 300000)
            with Movable(boot, "back", [here.nic(t.mac(1))], site.dir, incoming=True) as c:
                move(site, b, c)
                stream.vm = c
                stream.finish(90)
                is_at(site, "vale0:vm1")


t.main(there_and_back)
