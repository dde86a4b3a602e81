#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: when a port can't be opened, every program says why and what to do, in one line: no
# netmapd, one that may not be used (EACCES from its socket, EPERM from itself), no descriptors, no
# memory (with the limit and what lifts it), a name that is wrong.

load tools/tools

# each TEXT PORT: every program that opens a port fails with that text, once, and says nothing twice
each()
{
	local text=$1 port=$2 program

	for program in pkt-gen nm-bridge nm-lb nmreplay; do
		run -1 --separate-stderr as_asked "$program" "$port"
		[[ $stderr == *"cannot open "*"$port"*": $text"* ]] || {
			echo "$program: $stderr"
			return 1
		}
		[ "$(grep -c 'cannot open' <<<"$stderr")" -eq 1 ]
	done
}

# as_asked PROGRAM PORT: run it, after LIMIT and by WHO
as_asked()
{
	local capture="$DIR/one.pcap"

	case $1 in
	pkt-gen) set -- "$PKT_GEN" -i "$2" -f rx -w 0 ;;
	nm-bridge) set -- "$BRIDGE" -i "$2" -i vale9:other -w 0 ;;
	nm-lb) set -- "$LB" -i "$2" -p other:2 -w 0 ;;
	nmreplay) set -- "$NMREPLAY" -f "$capture" -B 10M -i "$2" ;;
	esac
	timeout 20 ${WHO:-} bash -c "${LIMIT:-:};"' exec "$0" "$@"' "$@" 3>&-
}

# A capture of one frame, readable for all.
make_capture()
{
	python3 - "$DIR/one.pcap" <<'EOF'
import struct, sys
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    f.write(struct.pack("<IIII", 0, 0, 60, 60) + bytes(60))
EOF
}

# restart_netmapd CONFIG: with these lines
restart_netmapd()
{
	end_process "$NETMAPD_PID"
	printf '%s\n' "$1" >"$DIR/netmapd.conf"
	"$NETMAPD" --foreground -c "$DIR/netmapd.conf" >>"$DIR/netmapd.out" 2>&1 3>&- &
	NETMAPD_PID=$!
	wait_for 10 "$NMCTL" show daemon
}

@test "a name that is wrong" {
	make_capture
	each "No such device or address: no interface or port 'nosuch0'" netmap:nosuch0
	each "Invalid argument: 'lo' is an interface: attach it to the switch first (vale-ctl -a vale0:lo)" vale0:lo
	each "Invalid argument: '@nosuch=1': there is no such option" vale0:x@nosuch=1
}

@test "no netmapd" {
	make_capture
	export UNETMAP_NO_AUTOSTART=1
	real=$UNETMAP_SOCKET
	export UNETMAP_SOCKET="$DIR/nobody"
	each "No such file or directory: no netmapd is running" vale0:x
	export UNETMAP_SOCKET=$real
}

@test "no directory for the socket: said at once by clients too, whether they may start a netmapd or not" {
	local text="$DIR/none: No such file or directory (make the directory of the socket first)"

	make_capture
	real=$UNETMAP_SOCKET
	export UNETMAP_SOCKET="$DIR/none/s"
	for UNETMAP_NO_AUTOSTART in 1 ''; do
		[ -n "$UNETMAP_NO_AUTOSTART" ] && export UNETMAP_NO_AUTOSTART || unset UNETMAP_NO_AUTOSTART
		each "No such file or directory: $text" vale0:x
		run -1 --separate-stderr "$VALE_CTL"
		[[ $stderr == *": $text (nmctl doctor says more)" ]]
		for command in show 'create p0' 'set vale0 ageing 1' stop; do
			run -1 --separate-stderr "$NMCTL" $command
			[ "$stderr" = "nmctl: $text" ]
		done
	done
	unset UNETMAP_SOCKET
	run -1 --separate-stderr "$NMCTL" -s "$DIR/none/s" create p0
	[ "$stderr" = "nmctl: $text" ]
	export UNETMAP_SOCKET=$real
}

@test "memory: the limit, and what lifts it" {
	make_capture
	restart_netmapd $'[limits]\nmemory_mib = 8'
	each "Cannot allocate memory: out of memory: netmapd may use 8 MiB; raise [limits] memory_mib in netmapd.conf" vale0:x@conf:rings=16
	LIMIT='ulimit -v 2000000' each "Cannot allocate memory: no memory, or no room for a mapping: this process may have 1953 MiB of addresses (ulimit -v unlimited lifts that)" netmap:pipe{1
	restart_netmapd $'[limits]\nmemory_mib = 4'
	"$VALE_CTL" -n big -C 4096,4096,64,64 # its rings have their memory when they are opened
	run -1 --separate-stderr timeout 20 "$PKT_GEN" -i netmap:big -f tx -n 1 -w 0
	[[ $stderr == *'Cannot allocate memory'*'raise [limits] memory_mib'* ]]
}

@test "descriptors: how many there may be, and what raises that" {
	make_capture
	LIMIT='ulimit -n 4' each "Too many open files: no descriptor left: this process may have 4 (ulimit -n raises that)" vale0:x
}

@test "another user: EACCES from the socket, EPERM from netmapd" {
	[ "$(id -u)" -eq 0 ] || skip "being somebody else takes root"
	export UNETMAP_NO_AUTOSTART=1
	make_capture
	export WHO="setpriv --reuid 65534 --regid 65534 --clear-groups"
	$WHO "$PKT_GEN" --version || skip "the programs are where that user can't run them"
	chmod 755 "$DIR"
	each "Permission denied: $UNETMAP_SOCKET does not let this user in: netmapd's own socket is for its user" vale0:x
	chmod 777 "$UNETMAP_SOCKET"
	each "Operation not permitted: user 65534 may not use this netmapd" vale0:x
}
