# SPDX-License-Identifier: BSD-2-Clause
"""Our C programs behind a socket for isolated clients: the same measurement, with a broker in between."""

import contextlib
import json
import os

from measure import CannotRun, command
from peers import cpu_seconds, with_daemon


@contextlib.contextmanager
def socket_of(env):
    """A socket that allows everything on VALE, and its broker, which shares the CPUs of the measurement."""
    path = env.path("isolated.sock")
    nmctl = env.tool("nmctl")
    command(nmctl, "isolate", "create", "bench", f"socket={path}", "allow=vale*", "ports=256",
            "memory=4G", env=env.environ)
    shown = json.loads(command(nmctl, "-j", "isolate", "show", "bench", env=env.environ))
    broker = shown["isolates"][0]["broker_pid"]
    if broker == 0:
        raise CannotRun("there is no broker")
    for task in os.listdir(f"/proc/{broker}/task"):
        os.sched_setaffinity(int(task), set(env.cpus))
    yield path, broker
    command(nmctl, "isolate", "remove", "bench", env=env.environ)


def broker(env):
    return env.stack.enter_context(socket_of(env))


def program(name, *args):
    """As cases.program(), both sides isolated."""
    def measure(env, seconds):
        path, pid = env.keep(broker)
        before = cpu_seconds(pid)
        figures = env.program(name, *args, seconds=seconds, environ=dict(env.environ, UNETMAP_SOCKET=path))
        return with_daemon(figures, "broker", pid, before)
    return measure
