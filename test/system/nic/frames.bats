#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: frames that are larger than a buffer (jumbo frames, TCP segments of up to 64 KiB that the kernel leaves to offloads) pass
# interfaces and their host rings in every mode, in as many slots as they need; on a kernel whose AF_XDP has one buffer a frame they
# are refused or dropped, counted, and doctor says what to do, while smaller ones go on.

load nic

# jumbo: as bridged(), with an MTU of 9000 everywhere and the kernel's default offloads
jumbo()
{
	local pair

	make_ns a m b
	for pair in "$ns_a ma" "$ns_b mb"; do
		set -- $pair
		ip -n "$1" link add w0 type veth peer name "$2" netns "$ns_m"
		ip -n "$1" link set dev w0 mtu 9000 up
		ip -n "$ns_m" link set dev "$2" mtu 9000 up
	done
	address "$ns_a" w0 10.7.0.1/24
	address "$ns_b" w0 10.7.0.2/24
	end_a="ma%$ns_m" end_b="mb%$ns_m"
}

# traffic [MIB]: both ways, small and large
traffic()
{
	local mib=${1:-5}

	ping_from "$ns_a" 10.7.0.2
	ping_from "$ns_a" 10.7.0.2 -s 2100 -M do
	ping_from "$ns_b" 10.7.0.1 -s 8972 -M do
	pass_tcp "$ns_a" "$ns_b" 10.7.0.2 "$mib"
	pass_tcp "$ns_b" "$ns_a" 10.7.0.1 "$mib"
}

lacks_port()
{
	[ "$(json "len([p for p in d['ports'] if p['name'] == '$1'])" show ports)" -eq 0 ]
}

in_mode()
{
	jumbo
	"$UNETMAP_NETMAPD" --autostart 3>&-
	nmctl set "$end_a" mode "$1"
	nmctl set "$end_b" mode "$1"
	start_bridge
	[ "$(interface_field "$end_a" mode)" = "$1" ]
	if [ "$1" = xdp-generic ]; then
		# The kernel drops what a veth's other end leaves to TSO before this mode sees it; the remedy is doctor's
		nmctl doctor | grep -q 'tso off'
		ip netns exec "$ns_a" ethtool -K w0 tso off gso off >/dev/null
		ip netns exec "$ns_b" ethtool -K w0 tso off gso off >/dev/null
	fi
	traffic
}

@test "between two interfaces: AF_PACKET" {
	in_mode packet
}

@test "between two interfaces: generic XDP" {
	in_mode xdp-generic
}

@test "between two interfaces: XDP in the driver" {
	in_mode xdp
}

# host_rings MODE [MIB]: a's own stack behind its host rings
host_rings()
{
	make_ns a b
	ip -n "$ns_a" link add w0 type veth peer name w1 netns "$ns_b"
	ip -n "$ns_a" link set dev w0 mtu 9000
	ip -n "$ns_b" link set dev w1 mtu 9000
	address "$ns_a" w0 10.7.0.1/24
	address "$ns_b" w1 10.7.0.2/24
	"$UNETMAP_NETMAPD" --autostart 3>&-
	nmctl set "w0%$ns_a" mode "$1"
	start bridge 'Ready to go' "$BUILD/tools/nm-bridge/nm-bridge" -w 0 "netmap:w0@netns=$ns_a"
	[ "$(interface_field "w0%$ns_a" mode)" = "$1" ]
	traffic "${2:-5}"
	# Frames of more than a buffer did come from the stack
	json "[r for r in d['rings'] if r['host'] and r['direction'] == 'rx'][0]" show rings
}

@test "host rings: AF_PACKET" {
	host_rings packet
}

@test "host rings: generic XDP" {
	host_rings xdp-generic 1 # TCP is slow this way
}

@test "host rings: XDP in the driver" {
	host_rings xdp
}

missed()
{
	[ "$(interface_field "$end_a" kernel_missed)" -ge "$1" ] && [ "$(port_field "$end_a" missed)" -ge "$1" ]
}

@test "a kernel without frames of several buffers" {
	local end

	jumbo
	export ASAN_OPTIONS=verify_asan_link_order=0 # of an instrumented netmapd
	start daemon 'serves at' env "LD_PRELOAD=$NOSG" "$UNETMAP_NETMAPD" --foreground
	run timeout 20 "$PKT_GEN" -i "netmap:$end_a" -f tx -n 1 -w 0
	[ "$status" -ne 0 ]
	[[ "$output" == *"frames of up to 9018 bytes, a buffer here takes 2048: lower its MTU"* ]]
	for end in ma mb; do
		ip -n "$ns_m" link set dev "$end" mtu 1500
	done
	start_bridge
	[ "$(interface_field "$end_a" multi_buffer)" = False ]
	ping_from "$ns_a" 10.7.0.2 -s 1472 -M do
	nmctl doctor >"$DIR/doctor" || :
	run ! grep -q "lower its MTU" "$DIR/doctor"
	ip -n "$ns_m" link set dev ma mtu 9000
	wait_for 5 eval '[ "$(port_field "$end_a" max_frame)" = 9018 ]'
	nmctl doctor >"$DIR/doctor" || :
	cat "$DIR/doctor"
	grep -A1 "$end_a.*frames of up to 9018 bytes" "$DIR/doctor" | grep "lower its MTU"
	grep "$end_a.*9018 bytes" "$DIR/daemon.err"
	in_ns "$ns_a" ping -q -c 3 -i 0.1 -W 0.2 -s 8000 -M do 10.7.0.2 && return 1
	wait_for 5 missed 3
	ping_from "$ns_a" 10.7.0.2 -s 1472
}
