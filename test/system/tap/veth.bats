#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: the two ends of a veth pair, open in two namespaces, are joined in memory; when one closes
# or dies the other goes on through the kernel, and they join again, however busy sender and machine
# are; a link that is down stops them;
# netmapd's death changes nothing; other ring sizes stay with the kernel; and no buffer is lost. So it
# is with monitors on both ends, with several queues, with one end on a switch, and in an unprivileged
# user namespace; what a sender had handed over before it was killed arrives; and somebody else's XDP
# program is refused while they are joined.

load tap

QUEUES= # of each end, as ip wants it

# make_pair: namespaces a and b, each with its end of a veth pair, named va and vb
make_pair()
{
	make_ns a b
	ip link add va netns "$ns_a" $QUEUES type veth peer name vb netns "$ns_b" $QUEUES 2>/dev/null ||
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

# goes_on_joined: frames still arrive by memory; then end both programs
goes_on_joined()
{
	local n

	is_joined "$B"
	n=$(received)
	wait_for 10 receives_more "$n"
	stop "$TX" INT
	stop "$RX" INT || :
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
	nmctl show | grep -qF "not joined with $A: other number of slots"
	n=$(received)
	wait_for 10 receives_more "$n"
	run ! is_joined "$B"
	stop "$TX" INT
	stop "$RX" INT
}

@test "the receiver comes while the sender is at full speed and all processors are busy" {
	local i

	make_pair
	for ((i = 0; i < 2 * $(nproc) + 1; i++)); do
		sh -c 'while :; do :; done' 3>&- &
		PIDS+=("$!")
	done
	start tx 'Sending' "$PKT_GEN" -f tx -w 0 -i "netmap:$A"
	for i in 1 2 3; do
		receiver "$B"
		wait_for 30 is_joined "$B"
		stop "$RX" INT || :
		wait_for 15 state_is "$A" '' # no port of the receiver is left
	done
}

# no_less PORT PORT: the second has received what the first has sent, but for what the kernel lost before they were joined
no_less()
{
	[ $(($(port_field "$2" received) + $(json "d['ports'][0]['interface']['kernel_missed']" show ports "$2"))) -ge \
		"$(port_field "$1" sent)" ]
}

@test "monitors on both ends" {
	local n

	make_pair
	receiver "$B"
	sender "$A"
	wait_for 10 is_joined "$B"
	start mon_t 'Receiving' "$PKT_GEN" -f rx -w 0 -i "netmap:va/t@netns=$ns_a"
	start mon_r 'Receiving' "$PKT_GEN" -f rx -w 0 -i "netmap:vb/r@netns=$ns_b"
	start mon_z 'Receiving' "$PKT_GEN" -f rx -w 0 -i "netmap:vb/z@netns=$ns_b"
	for n in "$A/t#0" "$B/r#0" "$B/zrt#1"; do
		wait_for 10 eval '[ "$(port_field "$n" received)" -gt 1000 ]'
	done
	goes_on_joined
}

@test "several queues" {
	QUEUES='numtxqueues 4 numrxqueues 4'
	make_pair
	start rx Ready "$PKT_GEN" -f rx -w 0 -p 4 -i "netmap:$B"
	RX=$PID
	start tx Sending "$PKT_GEN" -f tx -w 0 -p 4 -i "netmap:$A" -R 20000
	TX=$PID
	wait_for 10 eval '[ "$(port_field "$B" joined_rings)" -ge 4 ]'
	[ "$(port_field "$B" rx_rings)" -ge 4 ]
	wait_for 10 eval '[ "$(json "sum(r[\"packets\"] > 100 for r in d[\"rings\"] if r[\"port\"] == \"$B\" and r[\"direction\"] == \"rx\")" show rings)" -eq 4 ]'
	kill -KILL "$TX"
	wait_for 10 state_is "$B" ''
	stop "$RX" INT || :
	wait_for 10 used_is 2
}

@test "one end on a switch" {
	make_pair
	nmctl attach vale0 "$A"
	receiver "$B"
	start tx Sending "$PKT_GEN" -f tx -w 0 -i vale0:x -R 100000
	TX=$PID
	wait_for 10 is_joined "$B"
	[ "$(port_field "$B" veth_peer)" = "$A" ]
	wait_for 10 receives_more 1000
	kill -KILL "$(worker_pid "vale0:$A")"
	wait_for 20 is_joined "$B" # the next worker's
	wait_for 10 receives_more "$(received)"
	stop "$TX" INT
	vale_ctl -d "vale0:$A"
	wait_for 10 state_is "$B" ''
	stop "$RX" INT || :
}

@test "one end in an unprivileged user namespace" {
	unshare --user --map-root-user --net true 2>/dev/null || skip "no user namespaces"
	make_pair
	start holder ready unshare --user --map-root-user --net sh -c 'echo ready; exec sleep 1000'
	ip -n "$ns_b" link set dev vb netns "$PID"
	nsenter -t "$PID" -n ip link set dev vb up
	B="vb%pid:$PID"
	wait_for 10 has_carrier "$ns_a" va
	receiver "$B"
	sender "$A"
	wait_for 10 is_joined "$B"
	wait_for 10 receives_more 1000
	stop "$TX" INT
	wait_for 10 state_is "$B" ''
	stop "$RX" INT || :
}

@test "what a sender had handed over before it was killed arrives; then the kernel's way" {
	local n round

	make_pair
	# so that the port, with its counters, outlives its sender
	start other Ready "$PKT_GEN" -f rx -w 0 -i "netmap:va/R@netns=$ns_a"
	receiver "$B"
	for round in 1 2 3; do
		start "tx$round" Sending "$PKT_GEN" -f tx -w 0 -i "netmap:va/T@netns=$ns_a" -R 200000
		TX=$PID
		wait_for 10 is_joined "$B"
		n=$(received)
		wait_for 10 receives_more $((n + 10000))
		kill -KILL "$TX"
		wait_for 10 is_gone "$TX"
		wait_for 10 no_less "$A" "$B"
		[ "$(json "sum(sum(p[\"dropped\"].values()) for p in d[\"ports\"])" show ports)" -eq 0 ]
		n=$(received)
		in_ns "$ns_a" arping -q -c 3 -w 1 -I va 10.7.0.2 || : # no answer
		wait_for 10 receives_more "$n"
	done
	stop "$RX" INT || :
}

@test "somebody else's XDP program is refused, and changes nothing" {
	local object mode

	command -v xdp-loader >/dev/null || skip "xdp-loader is not installed"
	object=$(ls /usr/lib/*/bpf/xsk_def_xdp_prog.o 2>/dev/null | head -1)
	[ -n "$object" ] || skip "there is no XDP program to load"
	make_pair
	receiver "$B"
	sender "$A"
	wait_for 10 is_joined "$B"
	for mode in native skb; do
		run in_ns "$ns_a" xdp-loader load -m "$mode" va "$object"
		[ "$status" -ne 0 ]
		run in_ns "$ns_b" xdp-loader load -m "$mode" vb "$object"
		[ "$status" -ne 0 ]
	done
	goes_on_joined
}
