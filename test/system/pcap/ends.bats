#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: what a port carried before its end is read, however late the reader is; an interface that is down is waited for, as the system's
# libpcap does; a full ring has room again without a call but the next send; a time limit is kept whatever the filter refuses.

load ../tools/tools

# Meson has it lead to our library, but what is not run by nm-pcap is to have the system's.
unset LD_LIBRARY_PATH

NETNS=unmpends$$

eval "tools_$(declare -f teardown)"

teardown()
{
	local status=0

	tools_teardown || status=1
	ip netns del "$NETNS" 2>/dev/null || :
	return "$status"
}

# sender N: pkt-gen on vale0:a, which sends N frames a second after it is open, and ends; the process id is in TX
sender()
{
	start tx 'Wait 1 secs' "$PKT_GEN" -i vale0:a -f tx -w 1 -n "$1"
	TX=$PID
}

@test "a monitored port ends: what its program sent before is all read, by one frame at a time" {
	mkfifo "$DIR/go"
	exec 9<>"$DIR/go"
	sender 5000
	start late '^open' "$NM_PCAP" "$PCAP_ENDS" late vale0:a/rt <"$DIR/go"
	wait_for 10 grep -q '^first' "$DIR/late.out"
	wait_for 10 is_gone "$TX"
	wait_for 10 eval '! "$NMCTL" show ports | grep -q "^vale0:a "'
	echo >&9
	wait_for 10 is_gone "$PID"
	cat "$DIR/late.out"
	grep '^read 5000, dropped 0, then -1: vale0:a/rt has gone: the port that was monitored was closed' "$DIR/late.out"
}

@test "the same of a program that is killed, and a tcpdump that was stopped" {
	start tx 'Ready' "$PKT_GEN" -i vale0:a -f tx -w 0 -n 5000 -R 100
	TX=$PID
	start td 'listening on' "$NM_PCAP" tcpdump -Z root -n -i vale0:a -w "$DIR/f.pcap"
	kill -STOP "$PID"
	sleep 1
	kill -KILL "$TX"
	wait "$TX" || :
	kill -CONT "$PID"
	wait_for 10 is_gone "$PID"
	cat "$DIR/td.err"
	[ "$(tcpdump -n -r "$DIR/f.pcap" 2>/dev/null | wc -l)" -ge 90 ]
}

@test "an interface that is taken down for a while" {
	local ns=$NETNS td

	[ "$(id -u)" = 0 ] && ip netns add "$ns" 2>/dev/null || skip "needs root for a network namespace"
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	ip -n "$ns" link add v0 up type veth peer name v1
	ip -n "$ns" link set v1 up
	start td 'listening on' "$NM_PCAP" tcpdump -Z root -n --immediate-mode -i "netmap:v0%$ns" -c 6 -U -w "$DIR/f.pcap"
	td=$PID
	"$PKT_GEN" -i "netmap:v1%$ns" -f tx -n 3 -w 0
	ip -n "$ns" link set v0 down
	sleep 0.5
	kill -0 "$td"
	ip -n "$ns" link set v0 up
	wait_for 10 "$PKT_GEN" -i "netmap:v1%$ns" -f tx -n 3 -w 0
	wait_for 10 is_gone "$td"
	wait "$td"
	[ "$(tcpdump -n -r "$DIR/f.pcap" 2>/dev/null | wc -l)" -eq 6 ]
	start gone 'listening on' "$NM_PCAP" tcpdump -Z root -n -i "netmap:v0%$ns" # nobody waits for what does not come back
	ip -n "$ns" link del v0
	wait_for 10 is_gone "$PID"
	grep -q 'has gone: the port has been removed' "$DIR/gone.err"
}

@test "a full ring in non-blocking mode has room again by the next send" {
	run -0 timeout 20 "$NM_PCAP" "$PCAP_ENDS" full 'netmap:q{1' 'netmap:q}1'
	[ "$output" = $'all read: 1\nas many again: 1' ]
}

@test "the time limit of a read is kept while the filter refuses steady traffic" {
	local ms

	start_rx rx vale0:rx
	start tx 'Ready' "$PKT_GEN" -i vale0:tx -f tx -w 0 -b 60 -R 400000 -n 100000000
	ms=$(timeout 60 "$NM_PCAP" "$PCAP_ENDS" refused vale0:rx)
	echo "10 times 100 ms took $ms ms"
	[ "$ms" -ge 1000 ]
	[ "$ms" -lt 2000 ]
}
