#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
bench/run works: all cases that take no package beyond `scripts/deps check` have figures in two short
rounds, and no case fails but for a program that is missing; a run that is told to end writes what it
has; and an exception that nobody foresaw is one case's failure. Nothing here is about speed.

Left out: real guests, which take minutes, and the search for the highest rate of a capture. Who has no figure in
so short a time has a second try with more of it, as the machine may be loaded; two rounds again, as
what one round leaves behind shows in the next.
"""
import importlib.machinery
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

BUILD, ROOT = os.environ["BUILD"], os.environ["ROOT"]
RUN = os.path.join(ROOT, "bench", "run")
PATTERNS = ["limit/*", "ours/[!cg]*", "ours/capture-*-1mpps", "peer/packet-*", "peer/xsk-*",
            "peer/bridge-[16t]*", "peer/socketpair-*", "peer/seqpacket-*"]
MUST_RUN = ("limit/", "ours/")
SKIP = 77


def check(good, text):
    if not good:
        raise AssertionError(text)


def bench(directory, patterns, seconds, *options):
    """Run it. Return: exit status, what it wrote to stderr, its JSON."""
    path = os.path.join(directory, "figures.json")
    argv = [sys.executable, RUN, "--build", BUILD, "--json", path, "--seconds", seconds, *options]
    for pattern in patterns:
        argv += ["--only", pattern]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600)
    if "cannot make namespaces" in done.stderr:
        print("no namespaces:", done.stderr.strip())
        sys.exit(SKIP)
    print(done.stderr, flush=True)
    with open(path, encoding="utf-8") as f:
        return done.returncode, done.stderr, json.load(f)


def faults(document):
    """Names and reasons of cases that should have had no trouble."""
    found = {}
    for m in document["measurements"]:
        reason = m["reason"] or ""
        is_missing = " is missing" in reason or "has not been built" in reason
        if reason and not is_missing:
            found[m["name"]] = reason
        elif not m["rounds"] and m["name"].startswith(MUST_RUN):
            found[m["name"]] = reason or "no figure"
    return found


def all_cases(directory):
    status, said, document = bench(directory, PATTERNS, "0.05", "--rounds", "2",
                                   "--paced-seconds", "1", "--tries", "1")
    check(status == 0 and document["incomplete"] is None, "status %d" % status)
    found = faults(document)
    if found:
        print("second try: %s" % found, flush=True)
        status, said, document = bench(directory, found, "0.5", "--rounds", "2",
                                       "--paced-seconds", "2", "--tries", "1")
        check(status == 0, "status %d" % status)
        found = faults(document)
    check(not found, found)


def told_to_end(directory):
    """SIGTERM: the figures there are, and that they are not all."""
    path = os.path.join(directory, "ended.json")
    run = subprocess.Popen([sys.executable, RUN, "--build", BUILD, "--json", path, "--rounds", "1000",
                            "--seconds", "0.05", "--tries", "1", "--only", "limit/line-rtt"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.05)  # it is there after the first round
    run.send_signal(signal.SIGTERM)
    said = run.communicate(timeout=60)[0]
    check(run.returncode == 128 + signal.SIGTERM, run.returncode)
    with open(path, encoding="utf-8") as f:
        document = json.load(f)
    check("SIGTERM" in document["incomplete"] and document["measurements"][0]["rounds"], document)
    check("limit/line-rtt" in said and "stopped by SIGTERM" in said, said)


def bugs(_):
    """What nobody foresaw is one case's failure, and what is kept cannot be confused."""
    loader = importlib.machinery.SourceFileLoader("bench_run", RUN)
    run = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_run", loader))
    loader.exec_module(run)

    def breaks(env, seconds):
        return {}["key"]

    case = run.cases.Case("ours/broken", "", breaks)
    results = {case.name: run.report.Result(case)}
    with run.Env(BUILD, "/nonexistent", [0], 1, 1) as env:
        env.line_ns = lambda: 1
        run.run_case(env, case, results, print, 1)
        result = results[case.name]
        check(result.is_bug and "KeyError" in result.reason and not result.rounds, result.reason)
        check(env.keep(made, "a") == "a" and env.keep(made, "b") == "b", "kept things are confused")
        for _ in range(2):
            try:
                env.keep(made, "")
                check(False, "it was made")
            except run.CannotRun as e:
                check(str(e) == "first time", e)
        try:
            env.keep(lambda env: None)
            check(False, "a function that is another one each time is taken")
        except TypeError:
            pass


attempts = []


def made(env, what):
    from processes import CannotRun
    attempts.append(what)
    if what == "":
        raise CannotRun("first time" if attempts.count("") == 1 else "again")
    return what


def main():
    failed = 0
    for test in bugs, told_to_end, all_cases:
        try:
            with tempfile.TemporaryDirectory() as directory:
                test(directory)
            print("ok - %s" % test.__name__, flush=True)
        except Exception as e:
            failed += 1
            print("not ok - %s: %s: %s" % (test.__name__, type(e).__name__, e), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
