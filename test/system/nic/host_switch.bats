#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: vale-ctl -h puts an interface and its host's stack on a switch as two ports. The stack talks with default offloads over the wire and
# to the switch's other ports; programs do not get its rings meanwhile; whichever worker is killed, it goes on; netmapd may die; detaching gives
# everything back, and so does the death of all. Ports are captured by the names that are printed, also those whose frames have virtio-net headers.

load nic

# h0 in ns_h (10.9.0.1) is attached with its host's stack; w0 in ns_w (10.9.0.2) is the other end of its wire; t0 in ns_t (10.9.0.3) a TAP on the
# switch
attached()
{
	make_ns h w t
	ip -n "$ns_h" link add h0 type veth peer name w0 netns "$ns_w"
	address "$ns_h" h0 10.9.0.1/24
	address "$ns_w" w0 10.9.0.2/24
	nmctl attach vale0 "tap:t0%$ns_t"
	address "$ns_t" t0 10.9.0.3/24
	vale_ctl -h "vale0:h0%$ns_h"
}

# tcp_from NS ADDRESS NS2: a second of it, default offloads; bits a second in BPS
tcp_from()
{
	start_in "$3" iperf 'Server listening' iperf3 -s -1 --forceflush
	in_ns "$1" timeout 60 iperf3 -c "$2" -t 1 -J >"$DIR/iperf.json"
	finish "$PID" 20
	rm -f "$DIR"/iperf.out "$DIR"/iperf.err
	BPS=$(python3 -c 'import json,sys; print(int(json.load(open(sys.argv[1]))["end"]["sum_received"]["bits_per_second"]))' "$DIR/iperf.json")
	echo "# $1 -> $2: $BPS bit/s" >&3
	[ "$BPS" -gt 20000000 ]
}

all_reach()
{
	ping_from "$ns_h" 10.9.0.2 && ping_from "$ns_h" 10.9.0.3 && ping_from "$ns_w" 10.9.0.3 && ping_from "$ns_t" 10.9.0.1
}

# statistic IF NAME, in ns_h
statistic()
{
	in_ns "$ns_h" cat "/sys/class/net/$1/statistics/$2"
}

is_plain()
{
	lacks_if "$ns_h" h0^ && ping_from "$ns_h" 10.9.0.2
}

@test "the stack, the wire and a TAP of one switch: ping and TCP" {
	attached
	vale_ctl -l | tee "$DIR/list"
	grep -q "vale0:h0^%$ns_h " "$DIR/list"
	all_reach
	ping_from "$ns_h" 10.9.0.2 -s 1472 -M do
	ping_from "$ns_t" 10.9.0.1 -s 9000 # in fragments
	tcp_from "$ns_h" 10.9.0.2 "$ns_w"
	[ "$(joined_segments "h0%$ns_h")" -gt 1000 ] # they were sent as the stack had them
	tcp_from "$ns_w" 10.9.0.1 "$ns_h"
	# Straight from the interface's worker to the stack, joined, not through the ring of the stack's port
	[ "$(port_field "tap:h0^%$ns_h" sent)" -eq 0 ]
	[ "$(port_field "vale0:h0^%$ns_h" received)" -gt 1000 ]
	rx_mean=$(($(statistic h0^ rx_bytes) / $(statistic h0^ rx_packets)))
	echo "# mean of what the stack got: $rx_mean bytes" >&3
	((rx_mean > 2000))
	tcp_from "$ns_h" 10.9.0.3 "$ns_t"
	tcp_from "$ns_t" 10.9.0.1 "$ns_h"
	tcp_from "$ns_t" 10.9.0.2 "$ns_w"
	[ "$(port_field "vale0:h0^%$ns_h" sent)" -gt 0 ]
}

@test "nobody else has its rings; its ports come and go together" {
	attached
	ping_from "$ns_h" 10.9.0.2
	for name in "netmap:h0@netns=$ns_h" "netmap:h0^@netns=$ns_h" "netmap:tap:h0^%$ns_h" "vale0:h0^%$ns_h"; do
		run timeout 10 "$PKT_GEN" -i "$name" -f rx -n 1 -w 0
		[ "$status" -ne 0 ]
		[[ "$output" != *"Ready..."* ]]
	done
	run timeout 10 "$PKT_GEN" -i "netmap:h0@netns=$ns_h" -f rx -n 1 -w 0
	[[ $output == *"attached to switch vale0: detach it first (nmctl detach vale0 h0%$ns_h)"* ]]
	run timeout 10 "$PKT_GEN" -i "netmap:tap:t0@netns=$ns_t" -f rx -n 1 -w 0
	[[ $output == *"attached to switch vale0: detach it first (nmctl detach vale0 tap:t0%$ns_t)"* ]]
	run vale_ctl -h "vale0:h0%$ns_h"
	[ "$status" -ne 0 ]
	run vale_ctl -d "vale0:h0^%$ns_h"
	[ "$status" -ne 0 ]
	all_reach
	vale_ctl -d "vale0:h0%$ns_h"
	[ "$(json "len([p for p in d['ports'] if 'h0' in p['name']])" show ports)" -eq 0 ]
	wait_for 5 is_plain
	ping_from "$ns_w" 10.9.0.1
	nmctl attach vale0 h0 "netns=$ns_h" host
	all_reach
	vale_ctl -d "vale0:h0%$ns_h"
	vale_ctl -a "vale0:h0%$ns_h"
	wait_for 5 reaches "$ns_t" 10.9.0.2
	in_ns "$ns_h" ping -q -c 1 -W 1 10.9.0.2 && return 1
	run vale_ctl -h "vale0:tap:t0%$ns_t"
	[ "$status" -ne 0 ]
}

reaches()
{
	ping_from "$@"
}

# dump NAME PORT ARG...: tcpdump on it, ready, with the system's library for all else; the process id is in PID
dump()
{
	local name=$1 port=$2

	shift 2
	start "$name" 'listening on' env -u LD_LIBRARY_PATH "$BUILD/tools/nm-pcap/nm-pcap" tcpdump -Z root -n -U -i "$port" "$@"
}

# fields FILE FIELD...: of the TCP segments in it
fields()
{
	local file=$1 args=()

	shift
	for f; do args+=(-e "$f"); done
	env -u LD_LIBRARY_PATH tshark -r "$file" -Y tcp -T fields "${args[@]}" 2>/dev/null
}

# is_whole FILE MAX: segments in it are as long as their IP headers say, some longer than a wire's, and no more than MAX bytes of any are kept
is_whole()
{
	fields "$1" frame.len frame.cap_len ip.len | awk -v max="$2" '
		$1 != $3 + 14 && $1 != 60 || $2 != ($1 < max ? $1 : max) { bad++; print "# " $0 }
		$1 > 4096 { large++ }
		END { print "# " NR " segments, " large " large"; exit NR == 0 || bad > 0 || large == 0 }'
}

@test "ports are captured by the names that are printed: segments whole, without their virtio-net headers" {
	local name tap host list record extcap

	command -v tcpdump >/dev/null && command -v tshark >/dev/null || skip "tcpdump or tshark is missing"
	attached
	tap="vale0:tap:t0%$ns_t" host="vale0:h0^%$ns_h"
	start record recording "$BUILD/tools/nm-record/nm-record" -w "$DIR/auto" -n 100000 vale0:
	record=$PID
	list=$(env -u LD_LIBRARY_PATH "$BUILD/tools/nm-pcap/nm-pcap" tcpdump -D)
	for name in $(vale_ctl -l | sed 's/ .*//'); do
		grep -qF "$name (" <<<"$list"
		wait_for 10 eval '"$BUILD/tools/nm-record/nm-record" -j status | grep -qF "\"name\":\"$name\",\"recorded\":true"'
	done
	for name in $(sed -n 's/^[0-9]*\.\([^ ]*\) (netmap port.*/\1/p' <<<"$list"); do
		dump any "$name"
		stop "$PID" INT
		dump any "$name/r"
		stop "$PID" INT
		rm "$DIR"/any.*
	done
	dump t "$tap" -w "$DIR/t.pcap"
	dump h "$host" -s 100 -w "$DIR/h.pcap"
	dump r "$host/r" -w "$DIR/r.pcap"
	"$BUILD/tools/nm-extcap/nm-extcap" --extcap-interface="${tap//%/%25}" --capture --fifo="$DIR/x.pcapng" >"$DIR/x.out" 2>&1 3>&- &
	extcap=$!
	PIDS+=("$extcap")
	wait_for 10 test -s "$DIR/x.pcapng"
	pass_tcp "$ns_h" "$ns_t" 10.9.0.3 4
	wait_for 10 is_whole "$DIR/t.pcap" 262144
	wait_for 10 is_whole "$DIR/h.pcap" 100
	wait_for 10 is_whole "$DIR/x.pcapng" 262144
	wait_for 10 eval '[ "$(fields "$DIR/r.pcap" ip.src | sort -u)" = 10.9.0.3 ]'
	"$BUILD/tools/nm-record/nm-record" dump "$DIR/rec.pcapng"
	is_whole "$DIR/rec.pcapng" 262144
	[ "$(fields "$DIR/rec.pcapng" frame.interface_name | sort -u)" = "$(printf '%s\n' "$host" "$tap" | sort)" ]
	stop "$record"
	stop "$extcap"
	run timeout 10 "$PKT_GEN" -i 'vale0:none^' -f rx -n 1 -w 0 # no port of such a name is made
	[ "$status" -ne 0 ]
	[[ "$output" == *"no interface's host side"* ]]
}

# Workers, confined as they are, can't start one. $1: the killed one, whose place is free when it has gone.
next_netmapd()
{
	wait_for 5 is_gone "$1"
	"$UNETMAP_NETMAPD" --autostart 3>&-
	wait_for 10 nmctl show >/dev/null
	wait_for 20 has_workers
}

has_workers()
{
	[ "$(json "len([p for p in d['ports'] if p.get('worker_pid', 0) > 0])" show ports)" -eq 3 ]
}

@test "killed: either worker, netmapd, all of them" {
	local daemon pid which before

	attached
	all_reach
	kill -KILL "$(worker_pid "vale0:h0^%$ns_h")"
	wait_for 10 all_reach
	kill -KILL "$(worker_pid "vale0:h0%$ns_h")"
	wait_for 10 all_reach
	daemon=$(daemon_pid)
	kill -KILL "$daemon"
	all_reach
	next_netmapd "$daemon"
	wait_for 10 all_reach
	before=$(joined_segments "h0%$ns_h")
	tcp_from "$ns_h" 10.9.0.2 "$ns_w"
	[ "$(joined_segments "h0%$ns_h")" -gt $((before + 1000)) ]
	# netmapd and one of the two
	for which in "h0" "h0^"; do
		pid=$(worker_pid "vale0:$which%$ns_h")
		daemon=$(daemon_pid)
		kill -STOP "$daemon" # so that it does not start the next worker
		kill -KILL "$pid" "$daemon"
		next_netmapd "$daemon"
		wait_for 20 all_reach
	done
	daemon=$(daemon_pid)
	pid="$(worker_pid "vale0:h0%$ns_h") $(worker_pid "vale0:h0^%$ns_h") $(worker_pid "vale0:tap:t0%$ns_t")"
	kill -STOP "$daemon"
	kill -KILL $pid "$daemon"
	wait_for 5 is_plain
}

@test "the interface goes away while it is attached" {
	attached
	all_reach
	ip -n "$ns_w" link del w0
	wait_for 5 lacks_if "$ns_h" h0^
	vale_ctl -d "vale0:h0%$ns_h"
	[ "$(json "len([p for p in d['ports'] if 'h0' in p['name']])" show ports)" -eq 0 ]
}

@test "names of 15 letters that differ in the last: both are attached, and opening one leaves the other's host side alone" {
	local one=abcdefghijklmn1 two=abcdefghijklmn2 name

	make_ns m
	wire "$ns_m" "$one" "$ns_m" "$two"
	vale_ctl -h "vale0:$one%$ns_m"
	wait_for 5 host_side_is_open "$one" # its worker is on its way
	run timeout 10 "$PKT_GEN" -i "netmap:$two%$ns_m" -f tx -n 1 -w 0
	[ "$status" -eq 0 ]
	host_side_is_open "$one"
	vale_ctl -h "vale1:$two%$ns_m"
	host_side_is_open "$one"
	wait_for 5 host_side_is_open "$two"
	vale_ctl -l | tee "$DIR/list"
	grep -q "vale0:$one^%$ns_m " "$DIR/list"
	grep -q "vale1:$two^%$ns_m " "$DIR/list"
	run timeout 10 "$PKT_GEN" -i "netmap:tap:${one%?}3^%$ns_m" -f rx -n 1 -w 0 # no TAP may have this name
	[ "$status" -ne 0 ]
	[[ "$output" != *"Ready..."* ]]
	# each stack talks on its own wire's end: one asks, the other one's switch port sees the question
	for name in "$one" "$two"; do
		address "$ns_m" "$name" "10.9.${#name}.${name: -1}/32"
		ip -n "$ns_m" route replace 10.9.9.9/32 dev "$name"
		in_ns "$ns_m" ping -q -c 1 -W 1 10.9.9.9 || :
		[ "$(port_field "tap:$name^%$ns_m" received)" -gt 0 ]
	done
	vale_ctl -d "vale0:$one%$ns_m"
	host_side_is_open "$two"
	vale_ctl -d "vale1:$two%$ns_m"
	wait_for 5 eval '[ "$(json "len(d[\"ports\"])" show ports)" -eq 0 ]'
}

# host_side_is_open IF: its TAP is there, with the worker that serves it
host_side_is_open()
{
	[ "$(json "[p['users'] for p in d['ports'] if p['name'] == 'tap:$1^%$ns_m']" show ports)" = '[1]' ]
}
