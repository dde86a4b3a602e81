#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The unit allows what netmapd needs: the address families and capabilities in it are exactly those of the code, nothing that
# would take away bpf(2) or the namespaces is set, and systemd understands every line.
# usage: unit-vs-code.sh SOURCE-ROOT UNIT
set -eu
root=$1 unit=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

words() # KEY: its values in the unit, one a line, sorted
{
	sed -n "s/^$1=//p" "$unit" | tr ' ' '\n' | sort -u
}

{
	echo AF_UNIX
	grep -rhoE 'socket\(AF_[A-Z]+' "$root"/src/daemon | sed 's/socket(//'
} | sort -u >"$tmp/families"
words RestrictAddressFamilies | diff "$tmp/families" - || { echo "address families differ (<: code, >: unit)"; exit 1; }

sed -n '/^static const unsigned int kept_capabilities/,/^}/p' "$root/tools/netmapd/confine.c" |
	grep -oE 'CAP_[A-Z_]+' | sort -u >"$tmp/capabilities"
words CapabilityBoundingSet | diff "$tmp/capabilities" - || { echo "capabilities differ (<: code, >: unit)"; exit 1; }

if grep -nE '^(SystemCallFilter|RestrictNamespaces|PrivateNetwork|PrivateDevices|PrivateUsers|ProtectProc|ProcSubset)=' "$unit"; then
	echo "these take away what netmapd needs"
	exit 1
fi
grep -q '^ReadWritePaths=.*/proc/sys/net' "$unit" # src/daemon/hoststack.c

command -v systemd-analyze >/dev/null || exit 0
# Verified where the program that it names is there.
mkdir "$tmp/units"
sed 's#^ExecStart=[^ ]*#ExecStart=/bin/true#' "$unit" >"$tmp/units/netmapd.service"
cp "$root/packaging/systemd/netmapd.socket" "$tmp/units/"
SYSTEMD_UNIT_PATH="$tmp/units:" systemd-analyze verify --man=no "$tmp/units/netmapd.service" 2>"$tmp/says" || true
if grep -E 'netmapd\.(service|socket)' "$tmp/says" | grep -v 'Failed to (connect|create|add)'; then
	exit 1
fi
