#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: a copy monitor of a TAP or of a network interface sees what the kernel sends although the port's own program is stopped, and
# that program finds all of it afterwards; monitors of either kind on an interface, its host rings and an attached TAP see both
# directions of traffic that goes on undisturbed; what the switch hands over without a ring in between is seen too; frames have the
# port's virtio-net header. (What monitors of VALE ports and pipes see, and deaths: test/system/badluck/test_monitor.py.)

load ../tap/tap

# watch PORT NAME [OPTION...]: receives all from a port, or as a monitor; NAME: as it is listed. Its process is PID.
watch()
{
	local port=$1 name=$2

	shift 2
	start "watch$((++N))" '^Receiving from' "$PKT_GEN" -i "$port" -f rx -w 0 "$@"
	wait_for 5 has_port "$name"
}

has_port()
{
	port_field "$1" name >/dev/null 2>&1
}

# got PORT N [FIELD]: it has received so many frames
got()
{
	(($(port_field "$1" "${3:-received}") >= $2))
}

# hold PORT NAME: a program that has the port open, and is stopped. Its process is HOLDER.
hold()
{
	watch "$@"
	HOLDER=$PID
	wait_for 5 is_asleep "$HOLDER"
	kill -STOP "$HOLDER"
}

is_asleep()
{
	[ "$(awk '{ print $3 }' "/proc/$1/stat")" = S ]
}

# shout NS IF N: so many packets, to somebody who does not answer
shout()
{
	ip -n "$1" neigh replace 10.9.0.99 lladdr 02:00:00:00:00:99 dev "$2"
	in_ns "$1" ping -q -c "$3" -i 0.01 -W 0.1 10.9.0.99 >/dev/null || :
}

# given_back PORT N: its program has read so many
given_back()
{
	(($(json "sum(r['hwcur'] for r in d['rings'] if r['port'] == '$1' and r['direction'] == 'rx')" show rings) >= $2))
}

@test "a TAP whose program is stopped" {
	make_ns a
	local tap="tap:t0%$ns_a"

	hold "$tap" "$tap"
	watch "$tap/r" "$tap/r#0"
	address "$ns_a" t0 10.9.0.1/24
	shout "$ns_a" t0 50
	wait_for 10 got "$tap/r#0" 50
	got "$tap" 50 # they lie in its ring
	run ! given_back "$tap" 1
	kill -CONT "$HOLDER"
	wait_for 10 given_back "$tap" 50
	shout "$ns_a" t0 50 # now both are there to fetch them
	wait_for 10 got "$tap/r#0" 100
	wait_for 10 given_back "$tap" 100
}

@test "a TAP that sends: copies, and buffers for two in a row" {
	make_ns a
	local tap="tap:t0%$ns_a"

	hold "$tap" "$tap"
	address "$ns_a" t0 10.9.0.1/24
	watch "$tap/t" "$tap/t#0"
	watch "$tap/z" "$tap/zrt#1"
	watch "$tap/z" "$tap/zrt#2"
	start tx '^Sending' "$PKT_GEN" -i "$tap" -f tx -w 0 -n 5000 -R 5000 # a monitor may be kept from running for a while
	finish "$PID"
	wait_for 10 got "$tap/t#0" 5000
	wait_for 10 got "$tap/zrt#1" 5000
	wait_for 10 got "$tap/zrt#2" 5000
}

@test "a network interface whose program is stopped, and one that sends" {
	make_ns a b
	ip -n "$ns_a" link add v0 type veth peer name v1 netns "$ns_b"
	ip -n "$ns_a" link set v0 up
	address "$ns_b" v1 10.9.0.1/24
	local nic="v0%$ns_a" port="netmap:v0"

	start_in "$ns_a" daemon 'serves at' "$UNETMAP_NETMAPD" --foreground
	hold "$port" v0
	watch "$port/r" "v0/r#0"
	watch "$port/t" "v0/t#1"
	watch "$port/z" "v0/zrt#2"
	shout "$ns_b" v1 50
	wait_for 10 got "v0/r#0" 50
	got v0 50
	kill -CONT "$HOLDER"
	wait_for 10 got "v0/zrt#2" 50 # as they are given back
	start tx '^Sending' "$PKT_GEN" -i "$port" -f tx -w 0 -n 5000 -R 20000
	finish "$PID"
	wait_for 10 got "v0/t#1" 5000
	wait_for 10 got "v0/zrt#2" 5050
}

@test "host rings, with the bridge that joins them and their interface" {
	local f

	make_ns a b
	ip -n "$ns_a" link add v0 type veth peer name v1 netns "$ns_b"
	address "$ns_a" v0 10.9.0.1/24
	address "$ns_b" v1 10.9.0.2/24
	start_in "$ns_a" daemon 'serves at' "$UNETMAP_NETMAPD" --foreground
	start bridge 'Ready to go' "$BUILD/tools/nm-bridge/nm-bridge" -w 0 netmap:v0
	watch netmap:v0/rt "v0/rt#0"
	watch netmap:v0^/rt "v0/rt#1"
	watch netmap:v0/z "v0/zrt#2"
	watch netmap:v0^/z "v0/zrt#3"
	ping_from "$ns_a" 10.9.0.2 -c 20
	ping_from "$ns_b" 10.9.0.1 -c 20 -s 1400
	for f in rt#0 rt#1 zrt#2 zrt#3; do
		wait_for 10 got "v0/$f" 80 # requests and answers, of either
	done
	start_in "$ns_b" server '^ready' python3 "$TOP/test/system/tap/ns_tcp.py" serve 10.9.0.2 5000
	f=$PID
	py "$ns_a" ns_tcp.py send 10.9.0.2 5000 20
	finish "$f"
}

@test "TAPs attached to a switch, between which frames pass without a ring" {
	make_ns a b
	local port

	nmctl attach vale0 tap:t0 "netns=$ns_a"
	nmctl attach vale0 tap:t0 "netns=$ns_b"
	address "$ns_a" t0 10.9.0.1/24
	address "$ns_b" t0 10.9.0.2/24
	port="vale0:tap:t0%$ns_b"
	ping_from "$ns_a" 10.9.0.2
	watch "$port/rt" "$port/rt#0"
	ping_from "$ns_a" 10.9.0.2 -c 20
	wait_for 10 got "$port/rt#0" 40
	stop "$PID" INT
	ping_from "$ns_a" 10.9.0.2
}
