#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: what the stack sends behind host rings leaves as its super-frames where nobody can tell the difference, and as the frames that the
# client has sent wherever somebody could: another end that is a netmap port, or cuts by itself, or has several queues. Data arrives as
# it was sent in each case. And whatever the stack sends on an interface, its host rings have it, also what came to the stack by the
# host rings of another interface.

load ../tap/tap

# wire [ARG...]: a0 in ns_a with 10.9.0.1, b0 in ns_b with 10.9.0.2; ARGs are for both ends
wire()
{
	ip -n "$ns_a" link add a0 "$@" type veth peer name b0 "$@" netns "$ns_b"
	address "$ns_a" a0 10.9.0.1/24 fd09::1/64
	address "$ns_b" b0 10.9.0.2/24 fd09::2/64
}

# bridge NAME PORT: its rings joined with its host rings; BRIDGE is its process id
bridge()
{
	start "$1" 'Ready to go' "$BUILD/tools/nm-bridge/nm-bridge" -w 0 -i "$2" -i "${2/@/^@}"
	BRIDGE=$PID
}

# rx_of PORT true|false: frames that came on its host rx rings, or its others
rx_of()
{
	json "sum(r['packets'] for r in d['rings'] if r['port'] == '$1' and r['host'] == ${2^} and r['direction'] == 'rx')" show rings
}

leave_joined()
{
	local before

	before=$(joined_segments "a0%$ns_a")
	pass_tcp "$ns_a" "$ns_b" 10.9.0.2 2
	[ "$(joined_segments "a0%$ns_a")" -gt "$before" ]
}

@test "IPv6 and several host rings: segments leave joined" {
	V6=1 make_ns a b
	wire
	bridge a "netmap:a0@netns=$ns_a@conf:host-rings=4"
	pass_tcp "$ns_a" "$ns_b" fd09::2 5
	[ "$(joined_segments "a0%$ns_a")" -gt 1000 ]
}

@test "another end that is a port too gets frames, in each mode" {
	local mode first

	V6=1 make_ns a b
	wire
	for mode in xdp xdp-generic; do
		nmctl set "b0%$ns_b" mode "$mode"
		bridge a "netmap:a0@netns=$ns_a"
		first=$BRIDGE
		# Other rings than a0's: so the two are not joined in memory.
		bridge b "netmap:b0@netns=$ns_b@conf:slots=512"
		pass_tcp "$ns_a" "$ns_b" 10.9.0.2 5
		[ "$(rx_of "b0%$ns_b" false)" -gt 3500 ]
		[ "$(joined_segments "a0%$ns_a")" -eq 0 ]
		stop "$BRIDGE"
		# It has gone: its stack takes super-frames again.
		wait_for 10 leave_joined
		stop "$first"
		wait_for 5 lacks_if "$ns_a" a0^
	done
}

@test "an interface that cuts no segments, and one of several queues" {
	V6=1 make_ns a b
	wire
	in_ns "$ns_a" ethtool -K a0 tso off gso off
	bridge a "netmap:a0@netns=$ns_a"
	pass_tcp "$ns_a" "$ns_b" 10.9.0.2 5
	[ "$(joined_segments "a0%$ns_a")" -eq 0 ]
	stop "$BRIDGE"
	wait_for 5 lacks_if "$ns_a" a0^
	ip -n "$ns_a" link del a0
	wire numtxqueues 4 numrxqueues 4
	bridge a "netmap:a0@netns=$ns_a"
	pass_tcp "$ns_a" "$ns_b" 10.9.0.2 5
	[ "$(joined_segments "a0%$ns_a")" -eq 0 ]
}

@test "what the stack forwards from one interface's host rings is on the other's" {
	local mode sent

	V6=1 make_ns a b c
	wire
	ip -n "$ns_a" link add c0 type veth peer name c1 netns "$ns_c"
	address "$ns_a" c0 10.8.0.1/24
	address "$ns_c" c1 10.8.0.2/24
	in_ns "$ns_c" ethtool -K c1 tso off gso off # or xdp-generic loses them
	in_ns "$ns_a" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	ip -n "$ns_b" route add 10.8.0.0/24 via 10.9.0.1
	ip -n "$ns_c" route add 10.9.0.0/24 via 10.8.0.1
	bridge a "netmap:a0@netns=$ns_a"
	for mode in packet xdp-generic xdp; do
		nmctl set "c0%$ns_a" mode "$mode"
		bridge c "netmap:c0@netns=$ns_a"
		sent=$(rx_of "a0%$ns_a" true)
		in_ns "$ns_c" ping -q -c 20 -w 20 -i 0.05 10.9.0.2 >/dev/null
		[ "$(($(rx_of "a0%$ns_a" true) - sent))" -ge 20 ]
		pass_tcp "$ns_c" "$ns_b" 10.9.0.2 1
		stop "$BRIDGE"
		wait_for 5 lacks_if "$ns_a" c0^
	done
}
