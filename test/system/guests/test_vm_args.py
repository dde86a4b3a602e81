#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
nmctl vm-args: what it prints survives the shell, QEMU's commas and XML, whatever the names are; and
a guest boots from it.
"""
import json
import os
import shlex
import subprocess
import xml.etree.ElementTree

import guest
import vmtest as t

AWKWARD = "/tmp/a b'c,d&e\"<f>$g.sock"


def nmctl(*words, status=0):
    done = subprocess.run([os.environ["NMCTL"], *words], capture_output=True, text=True, timeout=30)
    t.check(done.returncode == status, "nmctl %s: %d: %s" % (words, done.returncode, done.stderr))
    return done.stdout if status == 0 else done.stderr


def commands(text):
    """The command lines among the comments, as the shell splits them."""
    return [
        shlex.split(part)
        for part in text.replace("\\\n", " ").splitlines()
        if part and not part.startswith("#")
    ]


def words_are_quoted(_):
    server, qemu = commands(
        nmctl(
            "vm-args",
            "vale0:vm1",
            "path=" + AWKWARD,
            "queues=4",
            "memory=512",
            "mac=02:00:00:00:00:09",
            "mtu=9000",
        )
    )
    t.check(
        server
        == [
            "nm-vhost-user",
            "--socket",
            AWKWARD,
            "--port",
            "vale0:vm1",
            "--queues",
            "4",
            "--mtu",
            "9000",
            "--hang-up",
        ],
        server,
    )
    t.check("memory-backend-memfd,id=mem,size=512M,share=on" in qemu, qemu)
    t.check("socket,id=nic0,path=%s,reconnect=1" % AWKWARD.replace(",", ",,") in qemu, qemu)
    t.check("vhost-user,id=net0,chardev=nic0,queues=4" in qemu, qemu)
    card = "virtio-net-pci,netdev=net0,mac=02:00:00:00:00:09,mq=on,vectors=%d,host_mtu=9000"
    t.check(any(card % n in qemu for n in (0, 10)), qemu)  # see without_kvm()
    for word, mib in (("256M", 256), ("2G", 2048), ("64m", 64), ("1g", 1024), ("16777216", 1 << 24)):
        qemu = commands(nmctl("vm-args", "vale0:vm1", "path=" + AWKWARD, "memory=" + word))[1]
        t.check("memory-backend-memfd,id=mem,size=%dM,share=on" % mib in qemu, qemu)
    server, qemu = commands(
        nmctl("vm-args", "netmap:x{1", "path=" + AWKWARD, "mode=client", "vectors=3")
    )
    t.check(qemu[-1].endswith("mq=off,vectors=3"), qemu)
    t.check(server[-2:] == ["--client", "--hang-up"] and server[4] == "netmap:x{1", server)
    t.check("socket,id=nic0,path=%s,server=on,wait=off" % AWKWARD.replace(",", ",,") in qemu, qemu)
    data = json.loads(nmctl("-j", "vm-args", "vale0:vm1", "path=" + AWKWARD))
    t.check(
        data["socket"] == AWKWARD
        and data["server"][2] == AWKWARD
        and data["qemu"][0].startswith("qemu"),
        data,
    )
    server, uml = commands(nmctl("--uml", "vm-args", "vale0:vm1", "path=/tmp/u.sock", "memory=128"))
    t.check("--mtu" not in server, server)
    t.check("--hang-up" not in server, server)  # it is told, and would not come back
    t.check(uml == ["linux.uml", "mem=128M", "virtio_uml.device=/tmp/u.sock:1"], uml)


def libvirt_is_xml(_):
    for mode, theirs in ("server", "client"), ("client", "server"):
        text = nmctl(
            "-j", "--libvirt", "vm-args", "vale0:vm1", "path=" + AWKWARD, "queues=2", "mode=" + mode
        )
        domain = xml.etree.ElementTree.fromstring(json.loads(text)["libvirt"])
        nic = domain.find("devices/interface")
        t.check(nic.get("type") == "vhostuser" and nic.find("driver").get("queues") == "2", text)
        t.check(
            nic.find("source").get("path") == AWKWARD and nic.find("source").get("mode") == theirs,
            text,
        )
        t.check(domain.find("memoryBacking/access").get("mode") == "shared", text)
        t.check(nic.find("mtu") is None, text)
    done = json.loads(nmctl("-j", "--libvirt", "vm-args", "vale0:vm1", "mtu=1400"))
    nic = xml.etree.ElementTree.fromstring(done["libvirt"]).find("devices/interface")
    t.check(nic.find("mtu").get("size") == "1400" and "1400" in done["server"], done)


def ports_differ(_):
    names = ["vale0:vm%d" % i for i in range(50)] + [
        "netmap:x{1",
        "netmap:x}1",
        "netmap:x-1",
        "vale0:a'b",
        'vale0:a"b',
        "vale0:a,b",
        "vale0:a%b",
        "vale0:a.b",
        "vale0:a_b",
    ]
    seen = [json.loads(nmctl("-j", "vm-args", name)) for name in names]
    for key in "mac", "socket":
        t.check(len({s[key] for s in seen}) == len(seen), "two ports have the same %s" % key)
    t.check(nmctl("vm-args", "vale0:vm1") == nmctl("vm-args", "vale0:vm1"), "not the same twice")


# A machine whose /dev and /sys/module have what the test says. It sees nobody else's.
ELSEWHERE = """
mount -t tmpfs none /dev; mount -t tmpfs none /sys/module
[ "$KVM" = none ] || : >/dev/kvm
[ "$KVM" != pvm ] || mkdir /sys/module/kvm_pvm
exec "$NMCTL" "$@"
"""


def nmctl_with(kvm, *words):
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", ELSEWHERE, "sh", *words],
        env=dict(os.environ, KVM=kvm),
        capture_output=True,
        text=True,
        timeout=30,
    )
    t.check(done.returncode == 0, (kvm, words, done.stderr))
    return done.stdout


def without_kvm(_):
    """Where there is no KVM, or one with which guests do not boot, it says so and has no vectors."""
    for kvm, words, accel, vectors, texts in (
        ("usable", (), "kvm:tcg", 4, ()),
        ("usable", ("vectors=0",), "kvm:tcg", 0, ()),
        ("none", (), "kvm:tcg", 0, ("vectors=0: one interrupt line",)),
        ("none", ("vectors=0",), "kvm:tcg", 0, ("vectors=0: one interrupt line",)),
        ("none", ("vectors=4",), "kvm:tcg", 4, ("crashes then with vectors other than 0",)),
        ("pvm", ("queues=3",), "tcg", 0, ("kvm_pvm", "vectors=0: one interrupt line")),
        ("pvm", ("vectors=4",), "tcg", 4, ("kvm_pvm", "crashes then with vectors other than 0")),
    ):
        said = nmctl_with(kvm, "vm-args", "vale0:vm1", *words)
        qemu = commands(said)[1]
        t.check("q35,accel=%s,memory-backend=mem" % accel in qemu, (kvm, qemu))
        t.check(qemu[-1].endswith("vectors=%d" % vectors), (kvm, words, qemu))
        comments = [c for c in said.splitlines() if c[0] == "#" and ("vectors" in c or "kvm" in c)]
        t.check(len(comments) == len(texts), (kvm, words, comments))
        t.check(all(text in c for text, c in zip(texts, comments)), (kvm, words, comments))


def libvirt_vectors(_):
    """libvirt's domain has no word for the vectors: they go to QEMU as they are."""
    space = "{http://libvirt.org/schemas/domain/qemu/1.0}"
    for kvm, words, vectors in (
        ("usable", (), None),
        ("usable", ("queues=2",), None),
        ("usable", ("vectors=0",), 0),
        ("usable", ("vectors=3",), 3),
        ("none", (), 0),
        ("pvm", (), 0),
        ("pvm", ("queues=2",), None),
    ):
        said = nmctl_with(kvm, "--libvirt", "vm-args", "vale0:vm1", *words)
        domain = xml.etree.ElementTree.fromstring(said[said.index("\n<domain") + 1 :])
        args = [a.get("value") for a in domain.iterfind("%scommandline/%sarg" % (space, space))]
        want = [] if vectors is None else ["-global", "virtio-net-pci.vectors=%d" % vectors]
        t.check(args == want, (kvm, words, said))
        t.check(("type='qemu'" in said) == (kvm == "pvm"), (kvm, said))
        t.check(("libvirt gives" in said) == (kvm == "pvm" and vectors is None), (kvm, said))


def foreign_directory(_):
    """
    Who has no run-time directory gets one below /tmp, but not one that somebody else has made
    first: its owner could put a socket of his own there.
    """
    uid = 900000000 + os.getpid()
    path = "/tmp/unetmap-%d" % uid
    if os.geteuid() != 0:
        print("# foreign_directory: takes root to become somebody else", flush=True)
        return

    def run():
        # Another user may not reach the program: it is root that opens it.
        exe = os.open(os.environ["NMCTL"], os.O_RDONLY)
        done = subprocess.run(
            ["/proc/self/fd/%d" % exe, "-j", "vm-args", "vale0:vm1"],
            env={},
            user=uid,
            group=uid,
            extra_groups=[],
            pass_fds=[exe],
            capture_output=True,
            text=True,
            timeout=30,
        )
        os.close(exe)
        return done

    done = run()
    t.check(json.loads(done.stdout)["socket"] == path + "/vale0-vm1.sock", done)
    os.mkdir(path, 0o777)
    try:
        done = run()
        t.check(done.returncode == 2 and path + " is not yours alone" in done.stderr, done)
        os.chown(path, uid, uid)
        os.chmod(path, 0o700)
        t.check(run().returncode == 0, "its own directory is refused")
    finally:
        os.rmdir(path)


def bad_words(_):
    for words, text in (
        (["vm-args"], "too few words"),
        (["vm-args", ""], "a port's name"),
        (["vm-args", "x" * 64], "a port's name"),
        (["vm-args", "foo"], "a port name begins with"),
        (["vm-args", "vale0"], "a port name begins with"),
        (["vm-args", "vale0:"], "no port name after the colon"),
        (["vm-args", "vale-0:a"], "a switch is named vale with letters, digits and _"),
        (["vm-args", "netmap:x{"], "needs a pipe id"),
        (["vm-args", "vale0:a/q"], "unknown flag"),
        (["vm-args", "vale0:p", "queues"], "key=value"),
        (["vm-args", "vale0:p", "queues=0"], "queues"),
        (["vm-args", "vale0:p", "queues=65"], "queues"),
        (["vm-args", "vale0:p", "memory=0"], "memory: '0' is not 1 to 16777216 MiB"),
        (["vm-args", "vale0:p", "memory=0M"], "MiB"),
        (["vm-args", "vale0:p", "memory=16385G"], "MiB"),
        (["vm-args", "vale0:p", "memory=1T"], "MiB"),
        (["vm-args", "vale0:p", "memory=1.5G"], "MiB"),
        (["vm-args", "vale0:p", "memory=1MB"], "MiB"),
        (["vm-args", "vale0:p", "memory=M"], "MiB"),
        (["vm-args", "vale0:p", "memory="], "MiB"),
        (["vm-args", "vale0:p", "colour=red"], "is expected"),
        (["vm-args", "vale0:p", "queue=2"], "is expected"),
        (["vm-args", "vale0:p", "=2"], "is expected"),
        (["vm-args", "vale0:p", "queues=2", "queues=4"], "queues is there twice"),
        (["vm-args", "vale0:p", "path=/tmp/a", "mtu=1400", "path=/tmp/a"], "path is there twice"),
        (["--libvirt", "vm-args", "vale0:p", "queues=2", "vectors=0"], "libvirt chooses"),
        (["--uml", "vm-args", "vale0:p", "vectors=0"], "no vectors"),
        (["vm-args", "vale0:p", "mode=both"], "server or client"),
        (["vm-args", "vale0:p", "mac=01:00:00:00:00:00"], "group"),
        (["vm-args", "vale0:p", "mac=1"], "mac"),
        (["vm-args", "vale0:p", "mtu=67"], "mtu"),
        (["vm-args", "vale0:p", "mtu=65536"], "mtu"),
        (["vm-args", "vale0:p/r"], "only monitors"),
        (["vm-args", "vale0:p/t"], "only monitors"),
        (["vm-args", "vale0:p/z"], "only monitors"),
        (["vm-args", "vale0:p", "path=x.sock"], "must begin with /"),
        (["vm-args", "vale0:p", "path=/" + "x" * 107], "at most 107"),
        (["--uml", "vm-args", "vale0:p", "queues=2"], "one queue pair"),
        (["--uml", "vm-args", "vale0:p", "path=/tmp/a:b"], "colon"),
        (["--uml", "--libvirt", "vm-args", "vale0:p"], "not both"),
    ):
        said = nmctl(*words, status=2)
        t.check(text in said, "%s: %r" % (words, said))


class AsPrinted(guest.Qemu):
    """Started from what vm-args has printed, by the shell."""

    printed = ""

    def command(self):
        kernel = [
            "-display",
            "none",
            "-nodefaults",
            "-serial",
            "stdio",
            "-kernel",
            self.images.kernel,
            "-initrd",
            self.images.initramfs,
            "-append",
            "console=ttyS0 panic=-1 quiet",
            "-cpu",
            "max",
        ]
        return ["sh", "-c", "exec " + self.printed.rstrip() + " " + shlex.join(kernel)]


def a_guest_boots_from_it(boot):
    with t.guests(boot) as (site, _, _, _):
        server = site.server("vale0:vm1", options=["--mtu", "1400"])
        text = nmctl(
            "vm-args",
            "vale0:vm1",
            "path=" + server.socket("vale0:vm1"),
            "memory=256",
            "vectors=0",
            "mtu=1400",
        )
        AsPrinted.printed = text[text.index("qemu-system") :].replace(
            "accel=kvm:tcg", "accel=tcg"
        )  # as the other tests
        with AsPrinted(boot, "vm1", [], site.dir) as a:
            a.boot()
            mtu = a.run("cat /sys/class/net/eth0/mtu").strip()
            t.check(mtu == "1400", "the guest's MTU is " + mtu)
            a.address(t.ip(1) + "/24")
            t.ping(a, t.NS_IP)


t.main(words_are_quoted, libvirt_is_xml, ports_differ, without_kvm, libvirt_vectors, foreign_directory, bad_words, a_guest_boots_from_it)
