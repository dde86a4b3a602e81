#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: TAPs attached to a switch let the kernel's programs in several namespaces talk to each other and to netmap programs, over IPv4, IPv6,
# ARP, broadcast, UDP and TCP, all bytes intact; the worker in between may be killed, and so may netmapd, without taking the interface or its
# addresses away; what can't be attached is refused at once and changes nothing; detach and stop leave nothing behind.

load tap

# two_hosts: namespaces a and b with 10.9.0.1 and 10.9.0.2 on t0, both on vale0
two_hosts()
{
	make_ns a b
	nmctl attach vale0 netmap:tap:t0 "netns=$ns_a"
	vale_ctl -a "vale0:tap:t0%$ns_b"
	port_a="vale0:tap:t0%$ns_a" port_b="vale0:tap:t0%$ns_b"
	address "$ns_a" t0 10.9.0.1/24 "$@"
	address "$ns_b" t0 10.9.0.2/24
}

# tcp MIB [SECONDS]: start a transfer from a to b; SENDER and SERVER are the processes
tcp()
{
	start_in "$ns_b" server '^ready' python3 "$TOP/test/system/tap/ns_tcp.py" serve 10.9.0.2 5000
	SERVER=$PID
	start_in "$ns_a" sender '^sending' python3 "$TOP/test/system/tap/ns_tcp.py" send 10.9.0.2 5000 "$@"
	SENDER=$PID
}

tcp_arrives()
{
	finish "$SENDER" 60
	finish "$SERVER" 10
}

is_new_worker()
{
	local pid

	pid=$(worker_pid "$1")
	((pid != 0 && pid != $2))
}

@test "ping, ARP, UDP and TCP between two namespaces" {
	two_hosts
	ping_from "$ns_a" 10.9.0.2
	ip -n "$ns_b" neigh show dev t0 | grep -q '^10.9.0.1 lladdr'
	ping_from "$ns_b" 10.9.0.1 -s 1472 -M do
	[ "$(json "len([m for m in d['mac'] if m['switch'] == 'vale0'])" show mac)" -ge 2 ]
	start_in "$ns_b" echo '^ready' python3 "$TOP/test/system/tap/ns_udp.py" echo 10.9.0.2 7
	py "$ns_a" ns_udp.py ask 10.9.0.2 7 5 1:100:1472:4000
	tcp 8
	tcp_arrives
}

@test "iperf3" {
	command -v iperf3 >/dev/null || skip "iperf3 is not installed"
	two_hosts
	start_in "$ns_b" iperf 'Server listening' iperf3 -s -1 --forceflush
	in_ns "$ns_a" timeout 30 iperf3 -c 10.9.0.2 -t 2 -J >"$DIR/iperf.json"
	python3 -c 'import json, sys
end = json.load(open(sys.argv[1]))["end"]
print(end)
sys.exit(end["sum_received"]["bytes"] < 1 << 20)' "$DIR/iperf.json"
	finish "$PID"
}

@test "IPv6, large MTU, broadcast" {
	V6=1
	two_hosts fd09::1/64
	address "$ns_b" t0 fd09::2/64
	in_ns "$ns_a" ping -q -6 -c 1 -w 20 -i 0.2 fd09::2 >/dev/null
	start_in "$ns_b" echo '^ready' python3 "$TOP/test/system/tap/ns_udp.py" echo fd09::2 7
	py "$ns_a" ns_udp.py ask fd09::2 7 2 1:1400:5000
	ip -n "$ns_a" link set t0 mtu 9000
	ip -n "$ns_b" link set t0 mtu 9000
	py "$ns_a" ns_udp.py ask fd09::2 7 3 3000:8952
	start_in "$ns_b" hear '^ready' python3 "$TOP/test/system/tap/ns_udp.py" hear '' 99
	for ((i = 0; i < 40; i++)); do # the network may lose one
		in_ns "$ns_a" python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.bind(("10.9.0.1", 0))
s.sendto(b"x", ("255.255.255.255", 99))'
		! wait_for 1 is_gone "$PID" || break
	done
	finish "$PID" 0
	grep -qx '10.9.0.1' "$DIR/hear.out"
}

@test "TAPs and netmap programs on the same switch" {
	two_hosts
	start_peer peer vale0:host 10.9.0.9
	peer=$PID
	for ns in "$ns_a" "$ns_b"; do
		ping_from "$ns" 10.9.0.9
		py "$ns" ns_udp.py ask 10.9.0.9 7 2 1:1472
	done
	ping_from "$ns_a" 10.9.0.2
	stop "$peer"
	grep -qx 'broken 0' "$DIR/peer.out"
}

@test "an interface that was there, made for several queues" {
	two_hosts
	vale_ctl -d "$port_a"
	wait_for 10 lacks_if "$ns_a" t0
	ip -n "$ns_a" tuntap add t0 mode tap multi_queue
	vale_ctl -a "$port_a"
	address "$ns_a" t0 10.9.0.1/24
	start_in "$ns_b" echo '^ready' python3 "$TOP/test/system/tap/ns_udp.py" echo 10.9.0.2 7
	py "$ns_a" ns_udp.py flows 10.9.0.2 7 40
	tcp 2
	tcp_arrives
	nmctl detach vale0 "tap:t0%$ns_a"
	has_if "$ns_a" t0 # it was there before
}

@test "the worker is killed: another one, addresses kept, TCP goes on" {
	two_hosts
	ping_from "$ns_a" 10.9.0.2
	tcp 4 3
	old=$(worker_pid "$port_a")
	((old > 0))
	kill -KILL "$old"
	wait_for 20 is_new_worker "$port_a" "$old"
	ip -n "$ns_a" addr show dev t0 | grep -q 10.9.0.1
	tcp_arrives
	ping_from "$ns_a" 10.9.0.2
}

# ended_for PAUSE: how often port_a's worker has ended, and the next one was to come in so many seconds
ended_for()
{
	grep -c "^netmapd: $port_a: its nm-worker has ended (SIGKILL); another one in $1 s" "$DIR/daemon.err"
}

@test "a worker that ran for some seconds is replaced after a second, one that did not later" {
	start_daemon
	two_hosts
	for n in 1 2; do
		wait_for 10 ping_from "$ns_a" 10.9.0.2
		sleep 3.5
		worker=$(worker_pid "$port_a")
		kill -KILL "$worker"
		wait_for 10 is_new_worker "$port_a" "$worker"
		[ "$(ended_for 1)" -eq "$n" ]
	done
	kill -KILL "$(worker_pid "$port_a")"
	wait_for 5 eval '[ "$(ended_for 2)" -eq 1 ]'
}

@test "a dead worker's port can be detached, and attached again" {
	two_hosts
	kill -KILL "$(worker_pid "$port_a")"
	vale_ctl -d "$port_a"
	wait_for 10 lacks_if "$ns_a" t0
	[ "$(json "[p['name'] for p in d['ports'] if 'tap:t0%$ns_a' in p['name']]" show ports)" = '[]' ]
	vale_ctl -a "$port_a"
	address "$ns_a" t0 10.9.0.1/24
	ping_from "$ns_a" 10.9.0.2
}

@test "netmapd is killed: traffic goes on without it; the next one takes all over" {
	two_hosts
	ping_from "$ns_a" 10.9.0.2
	worker=$(worker_pid "$port_a")
	tcp 4 4
	kill -KILL "$(daemon_pid)"
	start_in "$ns_b" pings 'packets transmitted' ping -c 20 -i 0.1 -W 10 10.9.0.1
	grep -q ' 0% packet loss' "$DIR/pings.out"
	tcp_arrives
	# The workers' library started the next netmapd, or this client does.
	vale_ctl -n up0
	[ "$(worker_pid "$port_a")" = "$worker" ]
	[ "$(port_field "$port_a" attached)" = True ]
	ip -n "$ns_a" addr show dev t0 | grep -q 10.9.0.1
	ping_from "$ns_a" 10.9.0.2
	# The new one looks after the worker as the old one did.
	kill -KILL "$worker"
	wait_for 20 is_new_worker "$port_a" "$worker"
	ping_from "$ns_a" 10.9.0.2
	nmctl detach vale0 "tap:t0%$ns_a"
	wait_for 10 lacks_if "$ns_a" t0
	nmctl delete up0
}

@test "netmapd is killed and its socket's directory removed: workers end when nothing moves any more" {
	mkdir "$DIR/run"
	export UNETMAP_SOCKET="$DIR/run/netmapd.sock"
	two_hosts
	ping_from "$ns_a" 10.9.0.2
	kill -KILL "$(daemon_pid)"
	rm -r "$DIR/run"
	start_in "$ns_b" pings 'packets transmitted' ping -c 24 -i 0.5 -W 10 10.9.0.1
	grep -q ' 0% packet loss' "$DIR/pings.out"
	wait_for 30 no_strays
	wait_for 10 lacks_if "$ns_a" t0
	wait_for 10 lacks_if "$ns_b" t0
}

@test "the socket's directory is removed: an instance that was started on demand ends, with what it had attached" {
	mkdir "$DIR/run"
	export UNETMAP_SOCKET="$DIR/run/netmapd.sock"
	two_hosts
	daemon=$(daemon_pid)
	rm -r "$DIR/run"
	wait_for 15 is_gone "$daemon"
	wait_for 10 no_strays
	wait_for 10 lacks_if "$ns_a" t0
}

@test "attach twice: EBUSY; errors are the request's, and change nothing" {
	two_hosts
	before=$(json "sorted(p['name'] for p in d['ports'])" show ports)
	for attach in "vale_ctl -a $port_a" "vale_ctl -a vale1:tap:t0%$ns_a" "nmctl attach vale0 tap:t0 netns=$ns_a"; do
		run -1 $attach
		echo "$output"
		[[ $output == *"attached already"* || $output == *"close it first"* ]]
	done
	run -1 vale_ctl -a "$port_a"
	[[ $output == *'Device or resource busy'* ]]
	run -1 nmctl attach vale0 tap:t1 netns=nosuch
	[[ $output == *"no network namespace 'nosuch'"* ]]
	run -1 nmctl attach vale0 tap:sixteen-letters0
	[[ $output == *'1 to 15 characters'* ]]
	run -1 nmctl attach vale0 tap:lo "netns=$ns_a"
	[[ $output == *'is no TAP'* ]]
	run -1 nmctl attach 'vale/0' tap:t1 "netns=$ns_a"
	[[ $output == *"letters, digits and _"* ]]
	run -1 nmctl attach vale0 nosuch0
	[[ $output == *'neither an interface nor a persistent port'* ]]
	run -1 nmctl attach eth tap:t1 "netns=$ns_a"
	[[ $output == *'must begin with its switch'*"like vale0:tap:t1%"* ]]
	run -1 nmctl attach vale0: tap:t1
	[[ $output == *"'vale0:' is no switch"*"without a colon"* ]]
	run -1 nmctl detach vale0: tap:t1
	[[ $output == *"'vale0:' is no switch"* ]]
	for name in 'lo*' 'lo^' 'lo@2' ':tap:t1' 'a-name-of-17-bytes'; do
		run -1 nmctl attach vale0 "$name"
		echo "$output"
		[[ $output != *makes* && $output == *[Nn]ame* ]]
	done
	run -1 nmctl attach vale0 'lo{1'
	[[ $output == *"'vale0:lo{1' is a pipe"* ]]
	run -2 nmctl attach vale0 "tap:t1%$ns_a" "netns=$ns_a"
	[[ $output == *"tap:t1%$ns_a names a network namespace already"* ]]
	start_peer peer "tap:t1%$ns_a" 10.9.0.9
	run -1 nmctl attach vale0 tap:t1 "netns=$ns_a"
	[[ $output == *'is open: close it first'* ]]
	stop "$PID"
	wait_for 10 lacks_if "$ns_a" t1
	[ "$(json "sorted(p['name'] for p in d['ports'])" show ports)" = "$before" ]
	[ "$(json "[s['name'] for s in d['switches']]" show switches)" = "['vale0']" ]
	ping_from "$ns_a" 10.9.0.2
}

@test "idle: worker and netmapd use no processor time" {
	two_hosts
	ping_from "$ns_a" 10.9.0.2
	worker=$(worker_pid "$port_a") daemon=$(daemon_pid)
	sleep 1 # the neighbours' tables calm down
	before=$(($(cpu_ticks "$worker") + $(cpu_ticks "$daemon")))
	switches=$(awk '/ctxt/ { n += $2 } END { print n }' "/proc/$worker/task/$worker/status")
	sleep 3
	[ $(($(cpu_ticks "$worker") + $(cpu_ticks "$daemon") - before)) -le 1 ]
	[ $(($(awk '/ctxt/ { n += $2 } END { print n }' "/proc/$worker/task/$worker/status") - switches)) -le 20 ]
}

@test "detach ends the worker and takes the interface away; stop leaves nothing" {
	two_hosts
	worker=$(worker_pid "$port_a")
	nmctl detach vale0 "tap:t0%$ns_a"
	wait_for 10 is_gone "$worker"
	wait_for 10 lacks_if "$ns_a" t0
	has_if "$ns_b" t0
	run -1 nmctl detach vale0 "tap:t0%$ns_a"
	[[ $output == *'there is no port'* ]]
	nmctl attach vale0 tap:t0 "netns=$ns_a"
	nmctl detach vale0 tap:t0 "netns=$ns_a"
	wait_for 10 lacks_if "$ns_a" t0
	nmctl attach vale0 tap:t0 "netns=$ns_a"
	nmctl stop
	wait_for 10 no_strays
	lacks_if "$ns_a" t0
	lacks_if "$ns_b" t0
	[ ! -e "$UNETMAP_SOCKET" ]
}
