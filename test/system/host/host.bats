#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: what the kernel sends on an interface comes out of its host rings and what is written there is received on it, offloads and
# all; it is so only while somebody has the interface's own tx rings, and whoever is killed, the kernel has its interface back; netmapd
# may die meanwhile; transparent mode; when the interface is renamed, moved or deleted or goes down, the program is told or goes on, and
# nothing of ours stays behind. The interface is one end of a veth pair, the other end is in a namespace of its own.

load ../tap/tap

# wire: a0 in ns_a with 10.9.0.1, b0 in ns_b with 10.9.0.2, nothing else between them
wire()
{
	make_ns a b
	ip -n "$ns_a" link add a0 type veth peer name b0 netns "$ns_b"
	address "$ns_a" a0 10.9.0.1/24
	address "$ns_b" b0 10.9.0.2/24
}

# bridge: the interface's rings joined with its host rings; BRIDGE is its process id
bridge()
{
	start bridge 'Ready to go' "$BUILD/tools/nm-bridge/nm-bridge" -w 0 "netmap:a0@netns=$ns_a"
	BRIDGE=$PID
}

# the port's rx frames on host rings so far
from_stack()
{
	json "sum(r['packets'] for r in d['rings'] if r['host'] and r['direction'] == 'rx')" show rings
}

is_plain()
{
	lacks_if "$ns_a" a0^ && ping_from "$ns_a" 10.9.0.2
}

@test "nm-bridge eth0 eth0^: ping, UDP, TCP with default offloads both ways" {
	wire
	bridge
	has_if "$ns_a" a0^
	ping_from "$ns_a" 10.9.0.2
	ping_from "$ns_b" 10.9.0.1 -s 1472 -M do
	ping_from "$ns_a" 10.9.0.2 -s 9000 # in fragments
	[ "$(from_stack)" -gt 0 ]
	[ "$(port_field "a0%$ns_a" host_rx_rings)" = 1 ]
	pass_tcp "$ns_a" "$ns_b" 10.9.0.2 20
	[ "$(joined_segments "a0%$ns_a")" -gt 1000 ] # they were sent as the stack had them
	pass_tcp "$ns_b" "$ns_a" 10.9.0.1 20
	stop "$BRIDGE"
	wait_for 5 is_plain
}

@test "IPv6, and several host rings" {
	V6=1 make_ns a b
	ip -n "$ns_a" link add a0 type veth peer name b0 netns "$ns_b"
	address "$ns_a" a0 fd09::1/64
	address "$ns_b" b0 fd09::2/64
	start bridge 'Ready to go' "$BUILD/tools/nm-bridge/nm-bridge" -w 0 \
		-i "netmap:a0@netns=$ns_a@conf:host-rings=4" -i "netmap:a0^@netns=$ns_a"
	[ "$(port_field "a0%$ns_a" host_rx_rings)" = 4 ]
	ping_from "$ns_a" fd09::2
	pass_tcp "$ns_b" "$ns_a" fd09::1 5
	pass_tcp "$ns_a" "$ns_b" fd09::2 5
}

@test "VLAN tags and DHCP pass" {
	wire
	bridge
	for pair in "$ns_a a0 $ns_b b0" "$ns_b b0 $ns_a a0"; do
		set -- $pair
		start_in "$3" vlan '^ready' python3 "$TOP/test/system/host/ns_vlan.py" receive "$4" 7
		receiver=$PID
		in_ns "$1" python3 "$TOP/test/system/host/ns_vlan.py" send "$2" 7
		finish "$receiver" 60
		rm -f "$DIR/vlan.out"
	done
	command -v busybox >/dev/null || skip "DHCP takes busybox"
	printf 'interface b0\nstart 10.9.0.50\nend 10.9.0.60\nlease_file %s\n' "$DIR/leases" >"$DIR/udhcpd.conf"
	touch "$DIR/leases"
	start_in "$ns_b" dhcpd 'started' busybox udhcpd -f "$DIR/udhcpd.conf"
	in_ns "$ns_a" busybox udhcpc -i a0 -n -q -t 10 -T 1 -s /bin/true 2>&1 | tee "$DIR/lease"
	grep -q 'lease of 10\.9\.0\.' "$DIR/lease"
}

@test "nothing is intercepted for host rings alone, or for rx rings" {
	wire
	start rx 'Ready\.\.\.' "$PKT_GEN" -f rx -w 0 -i "netmap:a0^@netns=$ns_a"
	ping_from "$ns_a" 10.9.0.2
	stop "$PID" INT || :
	start rx 'Ready\.\.\.' "$PKT_GEN" -f rx -w 0 -i "netmap:a0/R@netns=$ns_a"
	in_ns "$ns_b" ping -c 1 -W 1 10.9.0.1 >/dev/null && false
	start_in "$ns_b" vlan '^ready' python3 "$TOP/test/system/host/ns_vlan.py" receive b0 9
	in_ns "$ns_a" python3 "$TOP/test/system/host/ns_vlan.py" send a0 9
	finish "$PID" 60
}

kill_tests()
{
	wire
	bridge
	ping_from "$ns_a" 10.9.0.2
	stop "$BRIDGE" KILL || :
	wait_for 2 is_plain
	bridge
	ping_from "$ns_a" 10.9.0.2
	[ "$(from_stack)" -gt 0 ]
	# netmapd dies, frames go on; then whoever forwards them
	kill -KILL "$(daemon_pid)"
	ping_from "$ns_b" 10.9.0.1
	kill -STOP "$BRIDGE"
	in_ns "$ns_a" ping -c 1 -W 1 10.9.0.2 >/dev/null && false
	kill -CONT "$BRIDGE"
	ping_from "$ns_a" 10.9.0.2
	wait_for 10 nmctl show daemon >/dev/null # the next one has taken everything back
	wait_for 10 takes_back
	ping_from "$ns_a" 10.9.0.2
	stop "$BRIDGE" KILL || :
	wait_for 2 is_plain
}

takes_back()
{
	[ "$(json "len(d['ports'])" show ports)" = 1 ] && [ "$(from_stack)" -gt 0 ]
}

@test "killed: the bridge, netmapd" {
	kill_tests
}

@test "the same on a kernel without TCX" {
	export UNETMAP_ATTACH=clsact
	kill_tests
}

@test "both are killed: the interface is free" {
	for how in "" clsact; do
		export UNETMAP_ATTACH=$how
		wire
		# no next netmapd
		start daemon 'serves at' "$UNETMAP_NETMAPD" --foreground
		daemon=$PID
		UNETMAP_NO_AUTOSTART=1 bridge
		ping_from "$ns_a" 10.9.0.2
		stop "$daemon" KILL || :
		stop "$BRIDGE" KILL || :
		wait_for 2 is_plain
		ip netns del "$ns_a"
		ip netns del "$ns_b"
		rm -f "$DIR"/*.out "$DIR"/*.err
	done
}

@test "transparent mode, by frame and for all" {
	wire
	start forward '^ready 1 1' "$HOST_FORWARD" "netmap:a0*@netns=$ns_a"
	forward=$PID
	ping_from "$ns_a" 10.9.0.2
	pass_tcp "$ns_b" "$ns_a" 10.9.0.1 2
	stop "$forward" || :
	wait_for 5 lacks_if "$ns_a" a0^
	start rx 'Ready\.\.\.' "$PKT_GEN" -f rx -w 0 -i "netmap:a0*@netns=$ns_a"
	in_ns "$ns_a" ping -c 1 -W 1 10.9.0.2 >/dev/null && false
	nmctl set "a0%$ns_a" forward on
	ping_from "$ns_a" 10.9.0.2
	nmctl set "a0%$ns_a" forward off
	in_ns "$ns_a" ping -c 1 -W 1 10.9.0.2 >/dev/null && false
	stop "$PID" INT || :
}

@test "its name is taken; it goes down, and away" {
	wire
	ip -n "$ns_a" link add a0^ type bridge
	bridge
	has_if "$ns_a" a0^1
	ping_from "$ns_a" 10.9.0.2
	ip -n "$ns_a" link set a0 down
	ip -n "$ns_a" link set a0 up
	ping_from "$ns_a" 10.9.0.2
	ip -n "$ns_b" link del b0 # and with it a0
	stop "$BRIDGE" || :
	wait_for 5 lacks_if "$ns_a" a0^1
}

# leaves_nothing NS IF: no program and no filter of ours at the interface, whose stack has it for itself
leaves_nothing()
{
	[ -z "$(in_ns "$1" tc filter show dev "$2" egress)" ] && [ -z "$(in_ns "$1" tc filter show dev "$2" ingress)" ] &&
		! ip -n "$1" -d link show dev "$2" | grep -q xdp && lacks_if "$1" a0^
}

# ended: the program has ended or was ended, and said why if it ended by itself
ended()
{
	wait_for 5 is_gone "$BRIDGE" || stop "$BRIDGE" || :
	cat "$DIR/bridge.err"
}

changed_tests()
{
	wire
	bridge
	ping_from "$ns_a" 10.9.0.2
	# Another name: the port has it, and everything goes on.
	ip -n "$ns_a" link set dev a0 name z0
	wait_for 5 has_port "z0%$ns_a"
	ping_from "$ns_a" 10.9.0.2
	ping_from "$ns_b" 10.9.0.1
	ip -n "$ns_a" link set dev z0 name a0
	wait_for 5 has_port "a0%$ns_a"
	ping_from "$ns_a" 10.9.0.2
	stop "$BRIDGE" || :
	wait_for 5 leaves_nothing "$ns_a" a0
	ping_from "$ns_a" 10.9.0.2

	# It goes down: the program is told, nothing is left when it ends, and the next one begins when it is up.
	bridge
	ping_from "$ns_a" 10.9.0.2
	ip -n "$ns_a" link set dev a0 down
	ended
	wait_for 5 leaves_nothing "$ns_a" a0
	ip -n "$ns_a" link set dev a0 up
	ping_from "$ns_a" 10.9.0.2
	bridge
	ping_from "$ns_a" 10.9.0.2

	# It moves, while the program is stopped and lets go of nothing by itself: there it is an interface as any other.
	kill -STOP "$BRIDGE"
	make_ns c
	ip -n "$ns_a" link set dev a0 netns "$ns_c"
	address "$ns_c" a0 10.9.0.1/24
	in_ns "$ns_c" ping -q -c 1 -w 2 -i 0.2 10.9.0.2
	kill -CONT "$BRIDGE"
	ended
	wait_for 5 leaves_nothing "$ns_c" a0
	wait_for 5 lacks_if "$ns_a" a0^
	ping_from "$ns_b" 10.9.0.1

	# And away.
	start bridge2 'Ready to go' "$BUILD/tools/nm-bridge/nm-bridge" -w 0 "netmap:a0@netns=$ns_c"
	BRIDGE=$PID
	ping_from "$ns_c" 10.9.0.2
	ip -n "$ns_c" link del dev a0
	ended
	wait_for 5 lacks_if "$ns_c" a0^
	wait_for 5 eval '[ "$(json "len(d[\"ports\"])" show ports)" = 0 ]'
}

has_port()
{
	port_field "$1" name >/dev/null 2>&1
}

@test "another name, down, another namespace, gone: nothing of ours is left" {
	changed_tests
}

@test "the same on a kernel without TCX: other name, down, namespace, gone" {
	export UNETMAP_ATTACH=clsact
	changed_tests
}
