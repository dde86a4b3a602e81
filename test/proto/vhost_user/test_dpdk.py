# SPDX-License-Identifier: BSD-2-Clause
"""DPDK's virtio-user as the front end: somebody else's idea of the protocol, in each ring format."""
import os
import shutil
import subprocess
import tempfile
import time

import vuproto as v

N_FRAMES = 1000


def can_run():
    return shutil.which("dpdk-testpmd") is not None and os.geteuid() == 0


def sends(name, options):
    def test(server):
        b = server.guest("b").start()
        run_dir = tempfile.mkdtemp(prefix="unm-vu-dpdk-")
        log = open(os.path.join(run_dir, "log"), "w+b")
        cmd = ["dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry", "--file-prefix=" + os.path.basename(run_dir),
               "--vdev=virtio_user0,path=%s,%s" % (server.path("a"), options), "--", "--forward-mode=txonly", "--auto-start",
               "--total-num-mbufs=4096"]
        proc = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=log, stderr=log, env=dict(os.environ, XDG_RUNTIME_DIR=run_dir))
        n = 0
        deadline = time.monotonic() + 20
        while n < N_FRAMES and proc.poll() is None and time.monotonic() < deadline:
            frame = b.recv_frame(0.5)
            if frame is not None:
                assert len(frame) == 64 and frame[12:14] == b"\x08\x00", frame[:20].hex()
                n += 1
        proc.terminate()
        proc.communicate(timeout=10)
        log.seek(0)
        text = log.read().decode(errors="replace")
        log.close()
        shutil.rmtree(run_dir)
        shutil.rmtree(os.path.join("/var/run/dpdk", os.path.basename(run_dir)), ignore_errors=True)
        b.close()
        assert n >= N_FRAMES, "%d frames came\n%s" % (n, text[-2000:])
    test.__name__ = name
    return test


if not can_run():
    print("1..0 # SKIP dpdk-testpmd is not installed, or not root")
    raise SystemExit(0)
v.run([sends("split", "queues=1"), sends("split_in_order", "queues=1,in_order=1"),
       sends("split_plain_buffers", "queues=1,mrg_rxbuf=0,in_order=0"), sends("packed", "queues=1,packed_vq=1"),
       sends("packed_in_order", "queues=1,packed_vq=1,in_order=1")])
