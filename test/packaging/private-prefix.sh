#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# private-prefix.sh SOURCE-ROOT - does everything stay in a prefix of one's own, and does it run from there as it is?
set -euo pipefail

root=$1
work=$(mktemp -d)
netmapd=
clean_up() {
	[ -z "$netmapd" ] || kill "$netmapd" 2>/dev/null || :
	rm -rf "$work"
}
trap clean_up EXIT
prefix=$work/own

meson setup "$work/build" "$root" -Dtests=disabled -Dbuildtype=plain -Dprefix="$prefix" >"$work/log" 2>&1 || {
	tail -n 20 "$work/log"
	exit 1
}
DESTDIR=$work/stage meson install -C "$work/build" >>"$work/log" 2>&1 || {
	tail -n 20 "$work/log"
	exit 1
}
outside=$(find "$work/stage" ! -type d ! -path "$work/stage$prefix/*" -printf '%P\n')
[ -z "$outside" ] || {
	echo "installed outside of the prefix:"
	echo "$outside"
	exit 1
}
mv "$work/stage$prefix" "$prefix"

unset LD_LIBRARY_PATH UNETMAP_NETMAPD
export UNETMAP_SOCKET=$work/run/netmapd.sock
mkdir "$work/run"
"$prefix/sbin/netmapd" --foreground >"$work/netmapd.log" 2>&1 &
netmapd=$!
timeout 30 "$prefix/bin/pkt-gen" -i vale0:rx -f rx -n 100 -w 0 >"$work/rx" 2>&1 &
rx=$!
timeout 30 "$prefix/bin/pkt-gen" -i vale0:tx -f tx -n 100000 -R 10000 -w 0 >"$work/tx" 2>&1 || {
	cat "$work/tx" "$work/netmapd.log"
	exit 1
}
wait "$rx" || {
	cat "$work/rx" "$work/netmapd.log"
	exit 1
}
"$prefix/bin/nmctl" show >/dev/null
for program in "$prefix"/bin/* "$prefix"/sbin/* "$prefix"/libexec/unetmap/*; do
	[ -f "$program" ] && head -c 4 "$program" | grep -q ELF || continue
	if ldd "$program" | grep 'not found'; then
		echo "$program does not find its libraries"
		exit 1
	fi
done
