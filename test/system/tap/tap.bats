#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: tap:NAME is a netmap port whose other side is a kernel interface, in whatever network namespace, with one queue or several;
# frames pass whole in both directions up to what a buffer holds, and in several slots; an interface that was made goes with the port
# and one that was there stays; what can't be opened fails with the documented errno and a text that says what to do.

load tap

# refuses ERRNO-TEXT REASON COMMAND...: fails, and says both
refuses()
{
	local errno=$1 reason=$2

	shift 2
	run ! env UNETMAP_VERBOSE=1 "$@" 3>&-
	echo "$output"
	[[ $output == *"$errno"* && $output == *"$reason"* ]]
}

@test "ping and UDP up to the buffer size; the interface goes with the port" {
	make_ns a
	start_peer peer "tap:t0@netns=$ns_a" 10.9.0.9
	peer=$PID
	address "$ns_a" t0 10.9.0.1/24
	ip -n "$ns_a" link set t0 mtu 2034
	ping_from "$ns_a" 10.9.0.9
	ping_from "$ns_a" 10.9.0.9 -s 1472 -M do
	py "$ns_a" ns_udp.py ask 10.9.0.9 7 3 1:1000:1472:2006
	[ "$(port_field "tap:t0%$ns_a" kind)" = tap ]
	stop "$peer"
	grep -qx 'longest 2048' "$DIR/peer.out"
	grep -qx 'broken 0' "$DIR/peer.out"
	wait_for 10 lacks_if "$ns_a" t0
	[ "$(json "len(d['ports'])" show ports)" = 0 ]
}

@test "several slots a frame towards the kernel" {
	make_ns a
	start_peer peer -s 100 "tap:t0@netns=$ns_a" 10.9.0.9
	address "$ns_a" t0 10.9.0.1/24
	ping_from "$ns_a" 10.9.0.9 -s 1400
	py "$ns_a" ns_udp.py ask 10.9.0.9 7 2 1:600:1472
	stop "$PID"
}

@test "through nm_open: netmap:tap:NAME" {
	make_ns a
	# An nm_open name has no room for a namespace: netmapd's own is used.
	start_in "$ns_a" daemon 'serves at' "$UNETMAP_NETMAPD" --foreground
	start_peer peer -o netmap:tap:t0 10.9.0.9
	address "$ns_a" t0 10.9.0.1/24
	py "$ns_a" ns_udp.py ask 10.9.0.9 7 2 100:1472
	stop "$PID"
	wait_for 10 lacks_if "$ns_a" t0
}

@test "pkt-gen sends to and receives from the kernel" {
	make_ns a
	start pkt 'Ready\.\.\.' "$PKT_GEN" -i "tap:t0%$ns_a" -f rx -w 0 -n 3
	address "$ns_a" t0 10.9.0.1/24
	py "$ns_a" ns_udp.py ask 10.9.0.9 7 1 64 2>/dev/null & # asks in vain: for ARP requests
	PIDS+=($!)
	finish "$PID"
	ip -n "$ns_a" tuntap add t1 mode tap
	ip -n "$ns_a" link set t1 up
	"$PKT_GEN" -i "tap:t1%$ns_a" -f tx -w 0 -n 500 -R 5000 3>&- >"$DIR/tx.out" 2>&1
	[ "$(in_ns "$ns_a" cat /sys/class/net/t1/statistics/rx_packets)" = 500 ]
}

@test "namespace by path and by pid" {
	make_ns a b
	start_peer one "tap:t0@netns=/run/netns/$ns_a" 10.9.0.9
	start_in "$ns_b" holder ready sh -c 'echo ready; exec sleep 120'
	start_peer two "tap:t0@netns=pid:$PID" 10.9.0.9
	for ns in "$ns_a" "$ns_b"; do
		address "$ns" t0 10.9.0.1/24
		ping_from "$ns" 10.9.0.9
	done
}

@test "one TAP under several names of its namespace is one port" {
	local first

	make_ns a
	start_in "$ns_a" holder ready sh -c 'echo ready; exec sleep 120'
	by_pid=pid:$PID
	start_peer one "tap:t0%$by_pid" 10.9.0.9
	first=$PID
	start seen Ready "$PKT_GEN" -i "tap:t0%$ns_a/rt" -f rx -w 0 -W
	start also Ready "$PKT_GEN" -i "netmap:tap:t0@netns=/run/netns/$ns_a" -f tx -w 0 -n 1
	[ "$(json "len([p for p in d['ports'] if p['kind'] == 'tap'])" show ports)" -eq 1 ]
	run -1 nmctl attach vale0 tap:t0 "netns=$ns_a"
	[[ $output == *"'tap:t0%$by_pid' is open: close it first"* ]]
	stop "$first"

	nmctl attach vale0 tap:t1 "netns=$by_pid"
	run -1 nmctl attach vale0 tap:t1 "netns=$ns_a"
	[[ $output == *"attached already"* ]]
	nmctl detach vale0 "tap:t1%$ns_a"
}

@test "a persistent TAP is used as it is, and stays" {
	make_ns a
	ip -n "$ns_a" tuntap add t0 mode tap
	address "$ns_a" t0 10.9.0.1/24
	for round in 1 2; do
		start_peer "peer$round" "tap:t0%$ns_a" 10.9.0.9
		ping_from "$ns_a" 10.9.0.9
		stop "$PID"
	done
	has_if "$ns_a" t0
	ip -n "$ns_a" addr show dev t0 | grep -q 10.9.0.1
}

@test "an interface that is down costs frames, and works again when it is up" {
	make_ns a
	start_peer peer "tap:t0%$ns_a" 10.9.0.9
	"$PKT_GEN" -i "tap:t0%$ns_a" -f tx -w 0 -n 50 3>&- >"$DIR/tx.out" 2>&1
	[ "$(port_field "tap:t0%$ns_a" dropped | tr -d "{}' ")" != '' ]
	[ "$(json "sum(d['ports'][0]['dropped'].values())" show ports)" = 50 ]
	address "$ns_a" t0 10.9.0.1/24
	ping_from "$ns_a" 10.9.0.9
	ip -n "$ns_a" link set t0 down
	ip -n "$ns_a" link set t0 up
	ping_from "$ns_a" 10.9.0.9
}

@test "a frame that is larger than a buffer is not passed on cut off" {
	make_ns a
	start_peer peer "tap:t0%$ns_a" 10.9.0.9
	peer=$PID
	address "$ns_a" t0 10.9.0.1/24
	ip -n "$ns_a" link set t0 mtu 9000
	ping_from "$ns_a" 10.9.0.9
	py "$ns_a" ns_udp.py ask 10.9.0.9 7 2 3000:8000:8972
	stop "$peer"
	grep -qx 'longest 9014' "$DIR/peer.out"
	grep -qx 'broken 0' "$DIR/peer.out"
}

@test "several queues" {
	make_ns a
	start_peer peer -r 4 "tap:t0%$ns_a" 10.9.0.9
	address "$ns_a" t0 10.9.0.1/24
	[ "$(port_field "tap:t0%$ns_a" rx_rings)" = 4 ]
	py "$ns_a" ns_udp.py flows 10.9.0.9 7 60
	stop "$PID"
	# Each flow has its queue; 60 flows do not fall into one.
	[ "$(awk '/^rx/ && $3 > 0' "$DIR/peer.out" | wc -l)" -ge 2 ]
	[ "$(awk '/^rx/ { n += $3 } END { print n }' "$DIR/peer.out")" -ge 60 ]
}

@test "not permitted: EPERM, and what to do" {
	make_ns a
	setpriv --bounding-set -net_admin,-sys_admin --inh-caps -net_admin,-sys_admin "$UNETMAP_NETMAPD" --foreground >"$DIR/d.out" 2>&1 3>&- &
	PIDS+=($!)
	wait_for 10 test -S "$UNETMAP_SOCKET"
	refuses 'not permitted' 'CAP_NET_ADMIN' "$TAP_PEER" tap:t0 10.9.0.9
	refuses 'not permitted' 'run netmapd as root' "$TAP_PEER" "tap:t0%$ns_a" 10.9.0.9
	run ! "$PKT_GEN" -i tap:t0 -f rx 3>&-
	[[ $output == *'ip tuntap add t0 mode tap user USER'* ]]
	run -1 nmctl attach vale0 tap:t0
	[[ $output == *CAP_NET_ADMIN* ]]
}

@test "bad names, missing namespaces, busy and foreign interfaces" {
	make_ns a
	refuses 'no port name' '' "$TAP_PEER" tap: 10.9.0.9
	refuses 'Invalid argument' '1 to 15 characters' "$TAP_PEER" netmap:tap: 10.9.0.9
	refuses 'Invalid argument' '1 to 15 characters' "$TAP_PEER" tap:sixteen_letters0 10.9.0.9
	refuses 'Invalid argument' '1 to 15 characters' "$TAP_PEER" netmap:tap:a:b 10.9.0.9
	refuses 'Invalid argument' 'its name, a path, or pid:N' "$TAP_PEER" tap:t0% 10.9.0.9
	refuses 'No such device' "no network namespace 'nosuch'" "$TAP_PEER" tap:t0%nosuch 10.9.0.9
	refuses 'No such device' "no network namespace '/no/such'" "$TAP_PEER" tap:t0@netns=/no/such 10.9.0.9
	refuses 'No such device' "no network namespace 'pid:x' (pid:N takes" "$TAP_PEER" tap:t0%pid:x 10.9.0.9
	refuses 'No such device' "no network namespace '/etc/passwd' (a path is" "$TAP_PEER" tap:t0@netns=/etc/passwd 10.9.0.9
	# A name with what ends a name: said, and how to write it.
	refuses 'Invalid argument' 'is given as an option: tap:t0@netns=my-ns' "$TAP_PEER" tap:t0%my-ns 10.9.0.9
	refuses 'No such device' "no network namespace '//run/x'" "$TAP_PEER" netmap:tap:t0%//run/x 10.9.0.9
	refuses 'No such device' "programs take a name with - as @netns=NAME" "$TAP_PEER" tap:t0%nosuch-0 10.9.0.9
	refuses 'No such device' "no network namespace 'no-such'" "$TAP_PEER" tap:t0@netns=no-such 10.9.0.9
	refuses 'Invalid argument' 'is no TAP' "$TAP_PEER" "tap:lo%$ns_a" 10.9.0.9
	ip -n "$ns_a" tuntap add tun0 mode tun
	refuses 'Invalid argument' 'is no TAP' "$TAP_PEER" "tap:tun0%$ns_a" 10.9.0.9
	start_peer peer -r 1 "tap:t0%$ns_a" 10.9.0.9
	UNETMAP_SOCKET="$DIR/other.sock" refuses 'busy' 'another program has the interface open' "$TAP_PEER" "tap:t0%$ns_a" 10.9.0.9
	[ "$(json "len(d['ports'])" show ports)" = 1 ]
}
