#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: the two ends of a veth pair, open in two namespaces, are joined in memory; when one closes
# or dies the other goes on through the kernel, and they join again; a link that is down stops them;
# netmapd's death changes nothing; other ring sizes stay with the kernel; and no buffer is lost.

load tap

# make_pair: namespaces a and b, each with its end of a veth pair, named va and vb
make_pair()
{
	make_ns a b
	ip link add va netns "$ns_a" type veth peer name vb netns "$ns_b" 2>/dev/null ||
		skip 'the kernel has no veth'
	address "$ns_a" va 10.7.0.1/24
	address "$ns_b" vb 10.7.0.2/24
	wait_for 10 has_carrier "$ns_a" va
	wait_for 10 has_carrier "$ns_b" vb
	A="va%$ns_a"
	B="vb%$ns_b"
	start daemon 'serves at' "$UNETMAP_NETMAPD" --foreground
	DAEMON=$PID
}

has_carrier()
{
	ip -n "$1" link show dev "$2" | grep -q LOWER_UP
}

# The port's own ends of the name's namespace: netmap:IF%NETNS
receiver()
{
	start rx 'Ready' "$PKT_GEN" -f rx -w 0 -i "netmap:$1"
	RX=$PID
}

sender()
{
	start tx 'Sending' "$PKT_GEN" -f tx -w 0 -i "netmap:$1" -R 100000
	TX=$PID
}

is_joined()
{
	[ "$(port_field "$1" joined_rings 2>/dev/null)" -ge 1 ]
}

state_is()
{
	[ "$(port_field "$1" veth_state)" = "$2" ]
}

received()
{
	port_field "$B" received
}

receives_more()
{
	[ "$(received)" -gt "$1" ]
}

buffers_used()
{
	json "next((m['buffers']['used'] for m in d['memory'] if m['kind'] == 'global'), 0)" show memory
}

used_is()
{
	[ "$(buffers_used)" = "$1" ]
}

@test "joined, parted, joined again" {
	make_pair
	receiver "$B"
	sender "$A"
	wait_for 10 is_joined "$B"
	state_is "$A" joined
	[ "$(port_field "$A" veth_peer)" = "$B" ]
	[ "$(port_field "$B" veth_peer)" = "$A" ]
	n=$(received)
	wait_for 10 receives_more "$n"
	stop "$TX" INT
	wait_for 10 state_is "$B" ''
	in_ns "$ns_a" arping -q -c 1 -w 1 -I va 10.7.0.2 || :  # through the kernel, no answer
	sender "$A"
	wait_for 10 is_joined "$B"
	kill -KILL "$TX"
	wait_for 10 state_is "$B" ''
	sender "$A"
	wait_for 10 is_joined "$B"
	kill -KILL "$RX"
	wait_for 10 is_gone "$RX"
	receiver "$B"
	wait_for 10 is_joined "$B"
	stop "$TX" INT
	stop "$RX" INT
	wait_for 10 used_is 2 # the reserved ones
}

@test "every frame arrives, and netmapd's death is not noticed" {
	make_pair
	receiver "$B"
	sender "$A"
	wait_for 10 is_joined "$B"
	kill -KILL "$DAEMON"
	wait_for 10 is_gone "$DAEMON"
	start daemon2 'serves at' "$UNETMAP_NETMAPD" --foreground
	wait_for 15 is_joined "$B"
	state_is "$A" joined
	n=$(received)
	wait_for 10 receives_more "$n"
	stop "$TX" INT
	sent=$(sed -n 's/^Sent \([0-9]*\) packets.*/\1/p' "$DIR/tx.out" "$DIR/tx.err")
	wait_for 10 eval '[ "$(received)" -ge "$sent" ]'
	stop "$RX" INT
	got=$(sed -n 's/^Received \([0-9]*\) packets.*/\1/p' "$DIR/rx.out" "$DIR/rx.err")
	[ "$got" -ge "$sent" ]
	[ "$got" -le $((sent + 20)) ] # a frame or two of the host stacks
	wait_for 10 used_is 2
}

@test "named by a process and by a file of its namespace" {
	make_pair
	start_in "$ns_a" holder ready sh -c 'echo ready; exec sleep 1000'
	A="va%pid:$PID"
	receiver "vb@netns=/run/netns/$ns_b"
	B="vb%/run/netns/$ns_b" # as it is shown
	sender "$A"
	wait_for 10 is_joined "$B"
	[ "$(port_field "$B" veth_peer)" = "$A" ]
	stop "$TX" INT
	stop "$RX" INT
}

@test "a link that is down parts them, an interface that moves ends its port" {
	make_pair
	receiver "$B"
	sender "$A"
	wait_for 10 is_joined "$B"
	ip -n "$ns_a" link set va down
	wait_for 10 state_is "$B" ''  # pkt-gen has ended on its error, as it does for netmap
	ip -n "$ns_a" link set va up
	wait_for 10 has_carrier "$ns_b" vb
	sender "$A"
	wait_for 10 is_joined "$B"
	ip -n "$ns_b" link set vb netns "$ns_a"
	wait_for 10 state_is "$A" ''
	wait_for 10 is_gone "$RX"
	stop "$TX" INT || :
	wait_for 10 used_is 2
}

@test "other numbers of slots: through the kernel" {
	make_pair
	receiver "$B@conf:slots=512"
	sender "$A"
	state_is "$B" 'other number of slots'
	n=$(received)
	wait_for 10 receives_more "$n"
	run ! is_joined "$B"
	stop "$TX" INT
	stop "$RX" INT
}
