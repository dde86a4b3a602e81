# SPDX-License-Identifier: BSD-2-Clause
"""Debian packages, downloaded and unpacked into a cache directory: nothing is installed, and neither
root nor a change to the machine is needed.

    packages = Packages(cache)              of the machine's own sources
    packages = backports(cache, "trixie")   of that release's backports, by the same mirror
    packages.unpack("busybox-static")       directory with its files

What can't be had raises Missing with the reason.
"""
import os
import pathlib
import re
import shutil
import subprocess

DOWNLOAD_S = 180


class Missing(Exception):
    """This machine can't have what a guest needs; the text says why."""


def run(*cmd, cwd=None):
    """Output of a command; Missing if it fails."""
    try:
        done = subprocess.run(
            cmd,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_S,
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Missing("%s: %s" % (cmd[0], e)) from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["status %d" % done.returncode]
        raise Missing("%s: %s" % (" ".join(cmd[:3]), lines[-1]))
    return done.stdout


class Packages:
    """@options: of apt's commands, to have other sources"""

    def __init__(self, cache, options=()):
        self.cache = pathlib.Path(cache)
        self.cache.mkdir(parents=True, exist_ok=True)
        self.options = tuple(options)

    def depends(self, package):
        return re.findall(
            r"Depends: (\S+)", run("apt-cache", *self.options, "depends", "--important", package)
        )

    def newest_kernel(self):
        """The package behind the newest stock kernel for virtual machines, or for all."""
        for meta in ("linux-image-cloud-amd64", "linux-image-amd64"):
            try:
                found = [p for p in self.depends(meta) if re.match(r"linux-image-[0-9]", p)]
            except Missing:  # no package of that name
                continue
            if found:
                return found[0]
        raise Missing(
            "apt knows no linux-image-cloud-amd64: Debian's kernel packages are needed (apt-get update?)"
        )

    def parts_of_kernel(self, package):
        """Since Linux 6.19 the kernel and its modules have packages of their own."""
        return [
            package,
            *(p for p in self.depends(package) if re.match(r"linux-(base|binary|modules)-[0-9]", p)),
        ]

    def unpack(self, package):
        """Directory with a package's files."""
        target = self.cache / package
        if target.exists():
            return target
        for f in self.cache.glob(package + "_*.deb"):
            f.unlink()
        run(
            "apt-get",
            *self.options,
            "-o",
            "APT::Sandbox::User=",
            "download",
            package,
            cwd=self.cache,
        )
        deb = next(self.cache.glob(package + "_*.deb"))
        partial = self.cache / (package + ".new")
        shutil.rmtree(partial, ignore_errors=True)
        run("dpkg-deb", "-x", str(deb), str(partial))
        deb.unlink()
        partial.rename(target)
        return target


def mirror():
    """Where this machine has its Debian packages from."""
    for line in run(
        "apt-get",
        "indextargets",
        "--format",
        "$(SITE) $(ORIGIN) $(LABEL)",
        "Identifier: Packages",
    ).splitlines():
        site, *who = line.split()
        if who == ["Debian", "Debian"]:
            return site
    raise Missing("apt has no source of Debian's own packages")


def backports(cache, release):
    """Packages of a Debian release's backports, whatever this machine's release is."""
    cache = pathlib.Path(cache) / (release + "-backports")
    lists = cache / "lists"
    sources = cache / "sources.list"
    os.makedirs(lists / "partial", exist_ok=True)
    sources.write_text("deb %s %s-backports main\n" % (mirror(), release))
    options = (
        "-o",
        "Dir::Etc::sourcelist=%s" % sources,
        "-o",
        "Dir::Etc::sourceparts=-",
        "-o",
        "Dir::State::lists=%s" % lists,
        "-o",
        "Dir::Cache::pkgcache=",
        "-o",
        "Dir::Cache::srcpkgcache=",
    )
    run("apt-get", *options, "-o", "APT::Sandbox::User=", "update")
    return Packages(cache, options)
