#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: nm-bridge takes every packet across, unchanged and in order, between pipes (by exchange of
# buffers), switches (by copying) and any of both, in both directions at once; echoes with -L; sleeps
# when there is nothing to do; ends at once and with status 0 when told to; names what it cannot open;
# and when it is killed, the ports on both sides live on.

load tools/tools

# Content is checked by nmreplay's peer: it makes captures and compares what arrives.
start_sink()
{
	start "$1" ready "$REPLAY_PEER" sink "$2" "$DIR/$1.pcap" "$3" 30
}

play()
{
	run -0 timeout 30 "$NMREPLAY" -f "$1" -i "$2" --loops 1
}

# cross FROM TO: 300 packets of 60 to 9000 bytes arrive byte for byte
cross()
{
	"$REPLAY_PEER" make "$DIR/sent.pcap" ns 300 100 60 9000
	start_sink sink "$2" 300
	play "$DIR/sent.pcap" "$1"
	finish "$PID"
	run -0 "$REPLAY_PEER" compare "$DIR/sent.pcap" "$DIR/sink.pcap" 1
}

@test "pipes: buffers are exchanged, both directions" {
	start_bridge 'netmap:a}1' 'netmap:b{1'
	grep -q -e '------- zerocopy supported' "$DIR/bridge.err"
	grep -q 'Ready to go, a}1 0x0/1 <-> b{1 0x0/1\.' "$DIR/bridge.err"
	cross 'netmap:a{1' 'netmap:b}1'
	cross 'netmap:b}1' 'netmap:a{1'
	stop "$BRIDGE_PID"
	[ "$(forwarded)" = $'300 0\n300 0' ]
}

@test "pipes with -c: copied" {
	start_bridge -c -i 'netmap:a}1' -i 'netmap:b{1'
	grep -q -e '------- zerocopy NOT supported' "$DIR/bridge.err"
	cross 'netmap:a{1' 'netmap:b}1'
}

@test "switches with regions of their own: copied" {
	start_bridge vale0:up vale1:up
	grep -q -e '------- zerocopy NOT supported' "$DIR/bridge.err"
	cross vale0:x vale1:y
	cross vale1:y vale0:x
}

@test "switches in one region: exchanged" {
	start_bridge vale0:up@1 vale1:up@1
	grep -q -e '------- zerocopy supported' "$DIR/bridge.err"
	cross vale0:x vale1:y
}

@test "a switch and a pipe with buffers of other sizes" {
	start_bridge vale0:up 'netmap:b{1'
	cross vale0:x 'netmap:b}1'
	cross 'netmap:b}1' vale0:x
}

@test "burst of one slot, and rings of other sizes" {
	start_bridge -b 1 'netmap:a}1' 'netmap:b{1@conf:slots=64'
	cross 'netmap:a{1' 'netmap:b}1'
}

@test "full load, both directions at once: nothing is lost, and it ends at once" {
	local rx_a rx_b sender

	start_bridge 'netmap:a}1' 'netmap:b{1'
	start_rx rx_a 'netmap:a{1/R' -n 1000000
	rx_a=$PID
	start_rx rx_b 'netmap:b}1/R' -n 1000000
	rx_b=$PID
	send 'netmap:b}1/T' 1000000 &
	sender=$!
	send 'netmap:a{1/T' 1000000
	finish "$sender"
	finish "$rx_a"
	finish "$rx_b"
	stop "$BRIDGE_PID"
	[ "$(forwarded)" = $'1000000 0\n1000000 0' ]
}

@test "a reader that is slow or absent holds the sender up, nothing is lost" {
	local sender

	start_bridge 'netmap:a}1' 'netmap:b{1'
	# More than the rings on the way hold: the rest comes when somebody reads.
	send 'netmap:a{1' 20000 &
	sender=$!
	wait_for 10 grep -q 'poll timeout' "$DIR/bridge.err"
	[ "$(cpu_ticks "$BRIDGE_PID")" -lt 20 ] # full, and asleep
	start_rx rx 'netmap:b}1' -n 20000
	finish "$PID"
	finish "$sender"
}

@test "-L: what arrives goes back" {
	start_bridge -L 'netmap:a}1'
	grep -q 'same interface, loopbacking traffic' "$DIR/bridge.err"
	run -0 timeout 20 "$PKT_GEN" -i 'netmap:a{1' -f ping -n 20 -R 100 -w 0 -S 2:0:0:0:0:1 -D 2:0:0:0:0:1
	[[ $output == *'Sent 20 packets, 0 not answered'* ]]
	stop "$BRIDGE_PID"
	[ "$(forwarded)" = '20 0' ]
}

@test "one direction only, as the port names say" {
	start_bridge 'netmap:a}1/R' 'netmap:b{1/T'
	cross 'netmap:a{1' 'netmap:b}1'
	stop "$BRIDGE_PID"
	[ "$(forwarded)" = '300 0' ]
}

@test "idle: asleep, with a line every 2.5 seconds" {
	local before

	start_bridge vale0:a vale1:b
	before=$(cpu_ticks "$BRIDGE_PID")
	wait_for 10 grep -q 'poll timeout \[0\] ev 1 0 rx 0@0 tx [0-9]*, \[1\] ev 1 0 rx 0@0 tx' "$DIR/bridge.err"
	[ $(($(cpu_ticks "$BRIDGE_PID") - before)) -le 2 ]
	stop "$BRIDGE_PID" TERM
}

@test "-v and -vv: a line for each poll, move and packet" {
	start_bridge -vv vale0:a vale1:b
	send vale0:x 3
	wait_for 5 grep -q 'vale0:a:nic --> vale1:b:nic fwd 3 packets: rxring 0 --> txring 0' "$DIR/bridge.err"
	grep -q 'poll ok \[0\] ev 1 1 rx 3@0 tx' "$DIR/bridge.err"
	[ "$(grep -c 'vale0:a:nic --> vale1:b:nic fwd len 60, tx slot [0-2] buf idx ' "$DIR/bridge.err")" -eq 3 ]
}

@test "a signal while it waits for the link ends it" {
	start bridge 'Wait 4 secs for link to come up\.\.\.' "$BRIDGE" vale0:a vale1:b
	stop "$PID"
	[ "$(forwarded)" = $'0 0\n0 0' ]
}

@test "a signal under load ends it" {
	start_bridge 'netmap:a}1' 'netmap:b{1'
	start_rx rx 'netmap:b}1'
	start tx 'Sending ' "$PKT_GEN" -i 'netmap:a{1' -f tx -w 0
	wait_for 10 grep -q 'Mpps\|Kpps' "$DIR/rx.err"
	stop "$BRIDGE_PID" TERM
}

@test "ports that cannot be opened are named" {
	run -1 "$BRIDGE" -w 0 netmap:nosuch0 vale0:b
	[[ $output == *'cannot open netmap:nosuch0: No such device or address'* ]]
	run -1 "$BRIDGE" -w 0 vale0:a 'vale0:b/q'
	[[ $output == *'cannot open vale0:b/q: '* ]]
	start_bridge vale0:a/x vale1:b
	run -1 "$BRIDGE" -w 0 vale0:a vale1:c
	[[ $output == *'cannot open vale0:a: Device or resource busy'* ]]
	run -1 "$BRIDGE" -w 0 vale0:d/T vale1:e/T
	[[ $output == *'nothing to forward'* ]]
	start_rx headers vale6:h -H 12
	run -1 "$BRIDGE" -w 0 vale6:h vale1:g
	[[ $output == *'it carries virtio-net headers'* ]]
	run -2 "$BRIDGE" vale0:a
	[[ $output == *"'vale0:a' has no host rings"* ]]
}

@test "killed: both sides live on, and the next one goes on where it left" {
	start_bridge 'netmap:a}1' 'netmap:b{1'
	start_rx rx 'netmap:b}1'
	start tx 'Sending ' "$PKT_GEN" -i 'netmap:a{1' -f tx -R 1000 -w 0
	for _ in 1 2 3; do
		wait_for 10 grep -q '[1-9][.0-9]* K*pps' "$DIR/rx.err"
		kill -KILL "$BRIDGE_PID"
		wait_for 5 is_gone "$BRIDGE_PID"
		start_bridge 'netmap:a}1' 'netmap:b{1'
		: >"$DIR/rx.err"
	done
	wait_for 10 grep -q '[1-9][.0-9]* K*pps' "$DIR/rx.err"
}
