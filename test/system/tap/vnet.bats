#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: between TAPs of a switch the kernel's TCP segments go whole (tens of kilobytes a frame), over IPv4, IPv6 and VLANs, with one queue
# and several, and all bytes arrive; nobody meets a bad checksum, neither a kernel behind a TAP without offloads nor a netmap program on the
# same switch; what the kernel leaves to others is switched on while somebody takes it and off again after detach and death.

load tap

two_hosts()
{
	make_ns a b
	nmctl attach vale0 tap:t0 "netns=$ns_a" "$@"
	nmctl attach vale0 tap:t0 "netns=$ns_b" "$@"
	port_a="vale0:tap:t0%$ns_a" port_b="vale0:tap:t0%$ns_b"
	address "$ns_a" t0 10.9.0.1/24
	address "$ns_b" t0 10.9.0.2/24
}

# tcp ADDRESS MIB [SECONDS]: start a transfer from a to b; SENDER and SERVER are the processes
tcp()
{
	start_in "$ns_b" server '^ready' python3 "$TOP/test/system/tap/ns_tcp.py" serve "$1" 5000
	SERVER=$PID
	start_in "$ns_a" sender '^sending' python3 "$TOP/test/system/tap/ns_tcp.py" send "$1" 5000 "${@:2}"
	SENDER=$PID
}

tcp_arrives()
{
	finish "$SENDER" 60
	finish "$SERVER" 10
}

# statistic NS IF NAME
statistic()
{
	in_ns "$1" cat "/sys/class/net/$2/statistics/$3"
}

# mean_frame NS: bytes a frame that the interface t0 of the namespace has sent
mean_frame()
{
	echo $(($(statistic "$1" t0 tx_bytes) / $(statistic "$1" t0 tx_packets)))
}

features()
{
	py "$1" ns_offload.py features t0
}

has_features()
{
	[ "$(features "$1")" = "$2" ]
}

no_errors()
{
	local ns

	for ns; do
		[ "$(py "$ns" ns_offload.py errors)" = 0 ]
	done
}

is_new_worker()
{
	local pid

	pid=$(worker_pid "$1")
	((pid != 0 && pid != $2))
}

@test "TCP in segments of tens of kilobytes, IPv4, IPv6 and on a VLAN" {
	V6=1
	two_hosts
	address "$ns_a" t0 fd09::1/64
	address "$ns_b" t0 fd09::2/64
	for ns in "$ns_a" "$ns_b"; do
		has_features "$ns" 'tso 1 csum 1'
		vlan=10.8.0.2
		ip -n "$ns" link add link t0 name t0.7 type vlan id 7 2>/dev/null || vlan= # not in every kernel
	done
	if [ -n "$vlan" ]; then
		address "$ns_a" t0.7 10.8.0.1/24
		address "$ns_b" t0.7 10.8.0.2/24
	fi
	for to in 10.9.0.2 fd09::2 $vlan; do
		before=$(port_field "$port_b" received_bytes)
		ping_from "$ns_a" "$to"
		tcp "$to" 16
		tcp_arrives
		(($(port_field "$port_b" received_bytes) - before > 16 << 20))
	done
	(($(mean_frame "$ns_a") > 4000))
	# What the switch counted are the same frames.
	(($(port_field "$port_b" received_bytes) / $(port_field "$port_b" received) > 4000))
	no_errors "$ns_a" "$ns_b"
}

@test "a tagged frame keeps its tag" {
	two_hosts
	start_in "$ns_b" hear '^ready' python3 "$TOP/test/system/tap/ns_offload.py" hear-tagged t0
	hear=$PID
	for ((i = 0; i < 40; i++)); do # the network may lose one
		py "$ns_a" ns_offload.py send-tagged t0
		! wait_for 1 is_gone "$hear" || break
	done
	finish "$hear" 0
	grep -qx 'vlan 7, 200 bytes' "$DIR/hear.out"
}

@test "UDP: small, large, and a train of datagrams in one send" {
	two_hosts
	start_in "$ns_b" echo '^ready' python3 "$TOP/test/system/tap/ns_udp.py" echo 10.9.0.2 7
	py "$ns_a" ns_udp.py ask 10.9.0.2 7 3 1:18:1472:1473:9000:60000
	py "$ns_a" ns_offload.py train 10.9.0.2 7
	no_errors "$ns_a" "$ns_b"
}

@test "several queues: a thread each, flows on all of them" {
	two_hosts queues=3
	[ "$(port_field "$port_a" rx_rings)" = 3 ]
	[ "$(port_field "tap:t0%$ns_a" rx_rings)" = 3 ]
	# The library has a thread of its own.
	[ "$(find "/proc/$(worker_pid "$port_a")/task" -mindepth 1 -maxdepth 1 | wc -l)" = 4 ]
	start_in "$ns_b" echo '^ready' python3 "$TOP/test/system/tap/ns_udp.py" echo 10.9.0.2 7
	py "$ns_a" ns_udp.py flows 10.9.0.2 7 60
	[ "$(json "sum(r['packets'] > 0 for r in d['rings'] if r['port'] == 'tap:t0%$ns_a' and r['direction'] == 'rx')" show rings)" -ge 2 ]
	tcp 10.9.0.2 16
	tcp_arrives
	no_errors "$ns_a" "$ns_b"
	run -1 nmctl attach vale0 tap:t1 "netns=$ns_a" queues=9
	[[ $output == *'not a number from 0 to 8'* ]]
	run -1 nmctl attach vale0 tap:t1 "netns=$ns_a" queues=0
	[[ $output == *'at least one queue'* ]]
}

@test "a netmap program and a TAP without offloads on the same switch" {
	two_hosts
	start_peer peer vale0:host 10.9.0.9
	peer=$PID
	py "$ns_a" ns_udp.py ask 10.9.0.9 7 3 1:1472
	# A TAP as an ordinary port, joined to the switch by a program that knows nothing of headers.
	make_ns c
	start bridge 'Ready to go' "$BUILD/tools/nm-bridge/nm-bridge" -w 0 -i vale0:plain -i "tap:t0%$ns_c"
	address "$ns_c" t0 10.9.0.3/24
	has_features "$ns_c" 'tso 0 csum 0'
	ping_from "$ns_a" 10.9.0.3
	ns_b=$ns_c
	tcp 10.9.0.3 8
	tcp_arrives
	# The switch has cut them for that program; the TAP, which has no receive offload, gets them joined again.
	rx_mean=$(($(statistic "$ns_c" t0 rx_bytes) / $(statistic "$ns_c" t0 rx_packets)))
	echo "# mean of what the TAP without offloads got: $rx_mean bytes" >&3
	((rx_mean > 2000))
	(($(mean_frame "$ns_a") > 4000))
	# And back: what has no header passes as it is.
	ns_b=$ns_a ns_a=$ns_c
	tcp 10.9.0.1 4
	tcp_arrives
	no_errors "$ns_a" "$ns_b"
	stop "$peer"
	grep -qx 'broken 0' "$DIR/peer.out"
}

@test "workers killed, netmapd killed, with 64-KiB segments on their way" {
	two_hosts
	ping_from "$ns_a" 10.9.0.2
	tcp 10.9.0.2 32 4
	for port in "$port_b" "$port_a"; do
		old=$(worker_pid "$port")
		kill -KILL "$old"
		wait_for 20 is_new_worker "$port" "$old"
		wait_for 10 has_features "$ns_a" 'tso 1 csum 1'
	done
	kill -KILL "$(daemon_pid)"
	tcp_arrives
	no_errors "$ns_a" "$ns_b"
	(($(mean_frame "$ns_a") > 4000))
}

@test "a persistent TAP has its offloads off after detach, and after the death of who used them" {
	make_ns a
	ip -n "$ns_a" tuntap add t0 mode tap
	nmctl attach vale0 tap:t0 "netns=$ns_a"
	address "$ns_a" t0 10.9.0.1/24
	wait_for 10 has_features "$ns_a" 'tso 1 csum 1'
	nmctl detach vale0 "tap:t0%$ns_a"
	has_features "$ns_a" 'tso 0 csum 0'
	nmctl attach vale0 tap:t0 "netns=$ns_a"
	wait_for 10 has_features "$ns_a" 'tso 1 csum 1'
	kill -KILL "$(worker_pid "vale0:tap:t0%$ns_a")"
	nmctl detach vale0 "tap:t0%$ns_a"
	has_features "$ns_a" 'tso 0 csum 0'
	# A netmap program that takes headers.
	start pkt 'Ready\.\.\.' "$PKT_GEN" -i "tap:t0%$ns_a" -f rx -w 0 -H 12
	has_features "$ns_a" 'tso 1 csum 1'
	[ "$(port_field "tap:t0%$ns_a" vnet_hdr_len)" = 12 ]
	kill -KILL "$PID"
	wait_for 10 has_features "$ns_a" 'tso 0 csum 0'
	# One that takes none keeps others from having them.
	start_peer peer "tap:t0%$ns_a" 10.9.0.9
	run ! timeout 20 "$PKT_GEN" -i "tap:t0%$ns_a" -f rx -w 0 -H 12 3>&-
	[[ $output == *'does not take a virtio header of 12 bytes'* ]]
	has_features "$ns_a" 'tso 0 csum 0'
	ping_from "$ns_a" 10.9.0.9
}

@test "a TAP is detached while its neighbour's worker sleeps: it goes, and can come back at once" {
	two_hosts
	ping_from "$ns_a" 10.9.0.2
	nmctl detach vale0 "tap:t0%$ns_b"
	wait_for 10 lacks_if "$ns_b" t0
	for round in 1 2; do
		nmctl attach vale0 tap:t0 "netns=$ns_b"
		address "$ns_b" t0 10.9.0.2/24
		ip -n "$ns_a" neigh flush all # the new interface has another address
		ping_from "$ns_a" 10.9.0.2
		nmctl detach vale0 "tap:t0%$ns_b"
	done
}
