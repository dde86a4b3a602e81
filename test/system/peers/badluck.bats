#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: a TCP stream through a whole chain goes on, and no byte of it is lost or changed, when netmapd, a bridge or an interface in
# the middle ends and begins anew.

load chain

MIB=9
STREAM_S=3 # of a stream that nothing disturbs

begin_stream()
{
	start_in "$ns_b" sink ready python3 "$TOP/test/system/tap/ns_tcp.py" serve "$ADDR_B" 5000
	SINK_PID=$PID
	start_in "$ns_a" source sending python3 "$TOP/test/system/tap/ns_tcp.py" send "$ADDR_B" 5000 "$MIB" "$STREAM_S"
	SOURCE_PID=$PID
}

# Bytes that the stream's receiver has acknowledged
acked()
{
	in_ns "$ns_a" ss -tinH dst "$ADDR_B" | sed -n 's/.*bytes_acked:\([0-9]*\).*/\1/p' | head -n 1
}

# passes SECONDS BYTES: the stream gets on by so much
passes()
{
	local more=$(($(acked) + $2))

	wait_for "$1" eval "(( \$(acked) > $more )) || is_gone $SOURCE_PID"
}

end_stream()
{
	finish "$SOURCE_PID" 60
	finish "$SINK_PID"
}

chain()
{
	make_chain
	end_a_veth
	end_b_tap vale0
	bridge ba netmap:ma 'netmap:x{1'
	BRIDGE_A=$PID
	bridge bb 'netmap:x}1' vale0:p
	ping_from "$ns_a" "$ADDR_B"
	begin_stream
	passes 10 500000
}

@test "netmapd is killed and started again, twice" {
	local round

	chain
	for round in 1 2; do
		stop "$DAEMON_PID" KILL || :
		passes 10 500000 # without any
		start_middle_daemon "$round"
		passes 10 500000
	done
	end_stream
	# And what it knows again is enough for another one.
	MIB=1 STREAM_S=0
	begin_stream
	end_stream
}

@test "a bridge is killed and started again" {
	chain
	stop "$BRIDGE_PID" KILL || :
	wait_for 10 lacks_port vale0:p
	bridge bb 'netmap:x}1' vale0:p
	end_stream
}

lacks_port()
{
	[ "$(json "[p for p in d['ports'] if p['name'] == '$1']" show ports)" = '[]' ]
}

# An interface that is down stops its rings, and a bridge that sees that ends: whoever runs it starts it again.
gets_on()
{
	if is_gone "$BRIDGE_A"; then
		bridge ba netmap:ma 'netmap:x{1'
		BRIDGE_A=$PID
	fi
	(($(acked) > $1)) || is_gone "$SOURCE_PID"
}

@test "the interface in the middle goes down and up" {
	local round

	chain
	for round in 1 2; do
		ip -n "$ns_m" link set dev ma down
		ip -n "$ns_m" link set dev ma up
		wait_for 20 gets_on $(($(acked) + 100000))
	done
	end_stream
}
