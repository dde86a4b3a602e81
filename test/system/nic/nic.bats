#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: a netmap program sends and receives on a network interface, in every mode; a bridge between two of them moves buffers and copies
# nothing, with the kernel's own programs on both sides, VLAN tags included; an interface on a switch forwards at once and costs nothing
# while idle; whoever is killed, the interface works as before.

load nic

# Not more than a veth's queue holds: what a busy machine's receiver is late for would be lost there.
@test "pkt-gen sends and receives every frame" {
	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	start rx Ready "$PKT_GEN" -i "netmap:ma%$ns_m" -f rx -w 0 -n 200 -W
	RX=$PID
	start tx Ready "$PKT_GEN" -i "netmap:w0%$ns_a" -f tx -w 0 -n 200 -R 50000 -l 60
	finish "$PID" 20
	finish "$RX" 20
	[ "$(moved_by tx)" -eq 200 ]
	[ "$(moved_by rx)" -ge 200 ]
}

@test "a bridge between two interfaces copies nothing" {
	bridged
	start_bridge
	ping_from "$ns_a" 10.7.0.2
	ping_from "$ns_b" 10.7.0.1 -s 1472 -M do
	start_in "$ns_b" iperf 'Server listening' iperf3 -s -1 --forceflush
	in_ns "$ns_a" timeout 30 iperf3 -c 10.7.0.2 -t 1 -J >"$DIR/iperf.json"
	grep -q sum_received "$DIR/iperf.json"
	[ "$(interface_field "$end_a" copied)" -eq 0 ]
	[ "$(interface_field "$end_b" copied)" -eq 0 ]
	[ "$(port_field "$end_a" received)" -gt 500 ]
}

@test "every mode carries ARP, IP and VLAN tags" {
	local mode

	bridged
	start_in "$ns_a" tagged '^ready' python3 "$TOP/test/system/nic/tagged.py" w0
	"$UNETMAP_NETMAPD" --autostart 3>&-
	for mode in packet xdp-generic xdp; do
		nmctl set "$end_a" mode "$mode"
		nmctl set "$end_b" mode "$mode"
		start_bridge
		[ "$(interface_field "$end_a" mode)" = "$mode" ]
		ip -n "$ns_a" neigh flush dev w0
		ping_from "$ns_a" 10.7.0.2
		ping_from "$ns_b" 10.7.0.1 -s 1472 -M do
		in_ns "$ns_b" timeout 10 tcpdump -i w0 -lnnexx -c 1 vlan 7 and ether proto 0x88b5 >"$DIR/tcpdump.out"
		grep -q 'vlan 7, p 3' "$DIR/tcpdump.out"
		stop "$BRIDGE" || :
		wait_for 5 lacks_port "$end_a"
	done
}

lacks_port()
{
	[ "$(json "len([p for p in d['ports'] if p['name'] == '$1'])" show ports)" -eq 0 ]
}

@test "an interface on a switch forwards at once and costs nothing when idle" {
	local before

	bridged
	nmctl attach vale0 "$end_a"
	vale_ctl -a "vale0:$end_b"
	ping_from "$ns_a" 10.7.0.2
	run vale_ctl -a "vale1:$end_a"
	[ "$status" -ne 0 ]
	before=$(($(cpu_ticks "$(worker_pid "vale0:$end_a")") + $(cpu_ticks "$(worker_pid "vale0:$end_b")")))
	sleep 1
	[ $(($(cpu_ticks "$(worker_pid "vale0:$end_a")") + $(cpu_ticks "$(worker_pid "vale0:$end_b")") - before)) -le 1 ]
	in_ns "$ns_a" ping -q -c 3 -i 0.5 -W 1 10.7.0.2
	vale_ctl -d "vale0:$end_a"
	nmctl detach vale0 "$end_b"
	[ "$(json "len(d['ports'])" show ports)" -eq 0 ]
}

@test "an attached interface can be polled" {
	(($(nproc) > 1)) || skip "polling leaves one core"
	bridged
	nmctl attach vale0 "$end_a"
	nmctl attach vale0 "$end_b"
	vale_ctl -p "vale0:$end_a" -C 0,1
	ping_from "$ns_a" 10.7.0.2
	run vale_ctl -d "vale0:$end_a"
	[ "$status" -ne 0 ]
	run vale_ctl -p "vale0:$end_a" -C 0,1
	[[ $status = 1 && $output == *"Device or resource busy"*"('vale0:$end_a' is polled already)"* ]]
	vale_ctl -P "vale0:$end_a"
	run vale_ctl -P "vale0:$end_a"
	[[ $status = 1 && $output == *"Invalid argument"*"('vale0:$end_a' is not polled)"* ]]
	ping_from "$ns_b" 10.7.0.1
	vale_ctl -d "vale0:$end_a"
}

@test "a killed client leaves the interface as it was, in every mode" {
	local mode

	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	address "$ns_a" w0 10.7.0.1/24
	address "$ns_m" ma 10.7.0.2/24
	ping_from "$ns_a" 10.7.0.2
	start daemon 'serves at' "$UNETMAP_NETMAPD" --foreground
	for mode in packet xdp-generic xdp; do
		nmctl set "ma%$ns_m" mode "$mode"
		rm -f "$DIR"/rx.*
		start rx Ready "$PKT_GEN" -i "netmap:ma%$ns_m" -f rx -w 0
		[ "$(interface_field "ma%$ns_m" mode)" = "$mode" ]
		in_ns "$ns_a" ping -q -c 1 -W 1 10.7.0.2 && return 1
		kill -KILL "$PID"
		in_ns "$ns_a" ping -q -c 1 -w 1 -i 0.1 10.7.0.2
		wait_for 5 lacks_port "ma%$ns_m"
	done
	[ "$(json "d['memory'][0]['buffers']['used']" show memory)" -le 2 ] || wait_for 5 memory_is_free
}

memory_is_free()
{
	[ "$(json "sum(m['buffers']['used'] for m in d['memory'])" show memory)" -le 2 ]
}

@test "traffic goes on without netmapd, and the next one takes over" {
	bridged
	start_bridge
	ping_from "$ns_a" 10.7.0.2
	kill -KILL "$(daemon_pid)"
	in_ns "$ns_a" ping -q -c 3 -i 0.2 -W 1 10.7.0.2
	wait_for 10 nmctl show
	wait_for 10 is_restored
	ping_from "$ns_a" 10.7.0.2
	[ "$(interface_field "$end_a" copied)" -eq 0 ]
	stop "$BRIDGE" || :
	wait_for 5 lacks_port "$end_a"
}

is_restored()
{
	[ "$(json "len(d['ports'])" show ports)" -eq 2 ]
}

@test "who may not open interfaces is told so" {
	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	chmod 777 "$DIR"
	run ip netns exec "$ns_m" setpriv --reuid=65534 --regid=65534 --clear-groups env "UNETMAP_SOCKET=$DIR/netmapd.sock" \
		timeout 10 "$PKT_GEN" -i netmap:ma -f tx -n 1 -w 0
	[ "$status" -ne 0 ]
	[[ "$output" == *root* ]]
}
