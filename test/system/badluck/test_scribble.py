#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A peer overwrites every shared word it can reach while others exchange frames.

Proves that it can spoil traffic and ports, but that no other program hangs or crashes (each of their calls returns soon),
that netmapd goes on serving, also when it is killed and takes over from such a mess, and that ports on a new switch work afterwards.

UNM_BADLUCK_TIMES multiplies the duration.
"""
import os
import signal
import subprocess
import time

from badluck import SOON_S, Domain, Failure, check, is_alive, run, wait_until

SECONDS = 6 * int(os.environ.get("UNM_BADLUCK_TIMES", "1"))
POLL_MS = 100
LONGEST_CALL_S = 5  # far from a hang, and more than a busy machine lets a process wait
LONGEST_ANSWER_S = 5


def start_scribbler(d, seconds, *ports):
    log = open(os.path.join(d.dir, "scribbler"), "w+")
    proc = subprocess.Popen([os.environ["BL_SCRIBBLE"], str(seconds), *ports], env=d.env, stdin=subprocess.DEVNULL,
                            stdout=log, stderr=log)

    def says():
        with open(log.name) as f:
            return f.read()
    log.close()
    try:
        wait_until(lambda: "scribbling" in says() or proc.poll() is not None, lambda: "scribbler starts: " + says())
        check(proc.poll() is None, "the scribbler has ended: " + says())
    except Failure:
        proc.kill()
        proc.wait()
        raise
    print("# " + says().strip(), flush=True)
    return proc


def victims(d):
    """Pairs of all kinds; they never give up, and never wait for longer than POLL_MS."""
    args = ("-k", "-t", POLL_MS, "-l", "60:4000")
    pairs = []
    for stream, (tx, rx, lossless) in enumerate((("vale0:tx", "vale0:rx", False), ("vale0:ltx", "vale0:lrx", True),
                                                 ("netmap:p{1", "netmap:p}1", False)), 1):
        r = d.start("recv", rx, "-s", stream, *args).wait_open()
        if lossless:
            d.lossless(rx)
        t = d.start("send", tx, "-s", stream, *args).wait_open()
        r.go()
        t.go()
        r.wait_progress("received")
        pairs.append((t, r))
    return pairs


def ask_around(d, pairs, scribbler):
    """While it lasts: everybody lives, netmapd answers."""
    longest = 0
    while scribbler.poll() is None:
        for t in [t for pair in pairs for t in pair]:
            t.expect_alive()
        for what in ("daemon", "ports", "rings", "mac", "memory", "clients"):
            began = time.monotonic()
            d.table(what)
            longest = max(longest, time.monotonic() - began)
        time.sleep(0.05)
    return longest


def expect_bounded_calls(pairs):
    for t in [t for pair in pairs for t in pair]:
        print("# %s: longest call %.3f s, %d errors, %d frames, %d torn, %d times a bad ring" % (
            t.name, t.max_call_us / 1e6, t.n_errors, t.filled + t.received, t.torn, t.bad_ring), flush=True)
        check(t.max_call_us < LONGEST_CALL_S * 1000000, "a call took too long: " + t.state())


def expect_service(d, pairs):
    """The victims can be told to end, their ports end with them, new ports work."""
    for t in [t for pair in pairs for t in pair]:
        t.expect_alive()
        t.kill()
        t.bury()
    d.wait_ports([])
    fresh = d.pair("vale7:tx", "vale7:rx", 9, "-l", "60:4000", lossless=True)
    fresh_pipe = d.pair("netmap:q{1", "netmap:q}1", 10, "-l", "60:4000")
    for tx, rx in fresh, fresh_pipe:
        rx.wait_progress("received", 1000)
        d.settle(tx, rx)
        tx.quit()
        rx.quit()
    d.wait_ports([])


def garbage_everywhere():
    with Domain() as d:
        pairs = victims(d)
        pid = d.daemon()
        scribbler = start_scribbler(d, SECONDS, "vale0:bad", "netmap:p{2")
        try:
            longest = ask_around(d, pairs, scribbler)
            check(scribbler.wait(SOON_S) == 0, "the scribbler's own end")
        finally:
            scribbler.kill()
            scribbler.wait()
        print("# netmapd answers within %.3f s" % longest, flush=True)
        check(longest < LONGEST_ANSWER_S, "netmapd took %.1f s to answer" % longest)
        expect_bounded_calls(pairs)
        check(d.daemon() == pid, "netmapd is the same as before")
        expect_service(d, pairs)
        check(d.daemon() == pid, "netmapd is the same as before")


def killed_in_the_mess():
    """Each netmapd that takes over finds tables that nobody can make sense of, and clients that hand such things back."""
    with Domain() as d:
        pairs = victims(d)
        scribbler = start_scribbler(d, SECONDS, "vale0:bad", "netmap:p{2")
        try:
            while scribbler.poll() is None:
                pid = d.settled_daemon()
                os.kill(pid, signal.SIGKILL)
                d.bury_daemon(pid)
                time.sleep(0.2)
            for t in [t for pair in pairs for t in pair]:
                t.expect_alive()
        finally:
            scribbler.kill()
            scribbler.wait()
        pid = d.settled_daemon()
        expect_bounded_calls(pairs)
        expect_service(d, pairs)
        check(d.daemon() == pid and is_alive(pid), "netmapd has not ended by itself")


run(garbage_everywhere, killed_in_the_mess)
