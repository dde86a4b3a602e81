#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# syscalls.sh - the system calls that source files say they make, as initialisers of a C array.
#
# usage: syscalls.sh FILE...
#
# A file says so beside its code, in a comment of its own: "Syscalls: NAME ...", as often as needed.
# So the list of what is allowed goes with the code: what nobody claims is not in it.
set -eu

cat "$@" | sed -n 's|^.*Syscalls: \([a-z0-9_ ]*[a-z0-9_]\).*$|\1|p' | tr ' ' '\n' | sort -u |
	sed 's|.*|{"&", SCMP_SYS(&)},|'
