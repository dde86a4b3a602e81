#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: offloads of an interface that would change received frames are off while it is open, and as before when it is not, whoever is
# killed in between, and wherever it is moved to; a VLAN tag that its sender left to an offload arrives in the slot, and leaves again as a tag; where it can't, that is said.

load nic

# opened [MODE]: ma in ns_m, with GRO on, is open by pkt-gen
opened()
{
	make_ns a m
	ip -n "$ns_a" link add w0 type veth peer name ma netns "$ns_m"
	ip -n "$ns_a" link set dev w0 up
	ip -n "$ns_m" link set dev ma up
	in_ns "$ns_m" ethtool -K ma gro on
	port="ma%$ns_m"
	before=$(features)
	"$UNETMAP_NETMAPD" --autostart 3>&-
	nmctl set "$port" mode "${1:-auto}"
	start rx Ready "$PKT_GEN" -i "netmap:$port" -f rx -w 0 -W
}

features()
{
	in_ns "$ns_m" ethtool -k ma
}

is_off()
{
	features | grep -q "^$1: off"
}

is_as_before()
{
	[ "$(features)" = "$before" ]
}

@test "while it is open, and when it is closed" {
	opened xdp
	is_off rx-vlan-offload
	run ! is_off generic-receive-offload # the driver hands frames over before
	[[ "$(interface_field "$port" offloads_off)" == *rx-vlan-hw-parse* ]]
	nmctl show ports | grep -q 'off: .*rx-vlan-hw-parse'
	stop "$PID" INT || :
	wait_for 5 is_as_before
	for mode in xdp-generic packet; do
		nmctl set "$port" mode "$mode"
		rm -f "$DIR"/rx.*
		start rx Ready "$PKT_GEN" -i "netmap:$port" -f rx -w 0 -W
		is_off rx-vlan-offload
		is_off generic-receive-offload
		stop "$PID" INT || :
		wait_for 5 is_as_before
	done
	# what had been off stays off
	in_ns "$ns_m" ethtool -K ma gro off rxvlan off
	before=$(features)
	rm -f "$DIR"/rx.*
	start rx Ready "$PKT_GEN" -i "netmap:$port" -f rx -w 0 -W
	stop "$PID" INT || :
	wait_for 5 lacks_port
	is_as_before
}

@test "moved to another namespace: one with a name, one of a process" {
	local holder

	opened packet
	is_off generic-receive-offload
	make_ns b
	ip -n "$ns_b" link add x0 type veth peer name x1 # so that its number there is another one, if numbers are taken in turn
	ip -n "$ns_m" link set dev ma netns "$ns_b"
	ns_m=$ns_b
	wait_for 5 is_as_before
	wait_for 5 lacks_port
	finish "$PID" 10 || :
	port="ma%$ns_m"
	nmctl set "$port" mode xdp-generic
	ip -n "$ns_m" link set dev ma up
	rm -f "$DIR"/rx.*
	start rx Ready "$PKT_GEN" -i "netmap:$port" -f rx -w 0 -W
	is_off generic-receive-offload
	unshare --net sleep 60 3>&- &
	holder=$!
	PIDS+=("$holder")
	wait_for 5 is_elsewhere "$holder"
	ip -n "$ns_m" link set dev ma netns "$holder"
	wait_for 5 is_as_before_at "$holder"
	wait_for 5 lacks_port
	stop "$holder" KILL || :
}

is_elsewhere()
{
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink "/proc/$$/ns/net")" ]
}

is_as_before_at()
{
	[ "$(nsenter --net --target "$1" ethtool -k ma)" = "$before" ]
}

lacks_port()
{
	[ "$(json "len(d['ports'])" show ports)" -eq 0 ]
}

@test "killed: the client, netmapd, both" {
	local daemon

	opened packet
	stop "$PID" KILL || :
	wait_for 5 is_as_before
	rm -f "$DIR"/rx.*
	start rx Ready "$PKT_GEN" -i "netmap:$port" -f rx -w 0 -W
	is_off generic-receive-offload
	kill -KILL "$(daemon_pid)"
	wait_for 10 nmctl show >/dev/null # pkt-gen has started the next one
	wait_for 10 has_port
	is_off generic-receive-offload
	[[ "$(interface_field "$port" offloads_off)" == *rx-gro* ]]
	[ "$(interface_field "$port" keeps_vlan_tags)" = True ]
	daemon=$(daemon_pid)
	kill -STOP "$daemon"
	kill -KILL "$PID" "$daemon"
	wait_for 5 is_gone "$PID"
	wait_for 5 is_gone "$daemon" # while it goes, the next one would say that there is one
	is_off generic-receive-offload # nobody may switch it on
	"$UNETMAP_NETMAPD" --autostart 3>&-
	wait_for 10 is_as_before
}

# one_is_late: netmapd waits no more for one client of its last run, which lives
one_is_late()
{
	[ "$(json "len(d['daemon'][0]['late_clients'])" show daemon)" -eq 1 ]
}

@test "off as long as a client that was stopped over a restart may come back" {
	opened xdp-generic
	start other Ready "$PKT_GEN" -i vale0:x -f rx -w 0 -W
	kill -STOP "${PIDS[0]}"
	kill -KILL "$(daemon_pid)"
	wait_for 15 one_is_late
	is_off generic-receive-offload
	start second Ready "$PKT_GEN" -i "netmap:w0%$ns_a" -f rx -w 0 -W # with memory of its own
	kill -CONT "${PIDS[0]}"
	is_off generic-receive-offload
	is_off rx-vlan-offload
	run timeout 20 "$PKT_GEN" -i "netmap:w0%$ns_a" -f tx -w 0 -n 10
	wait_for 5 grep -q "Received 10 packets" "$DIR/rx.out" "$DIR/rx.err"
	stop "$PID" INT || : # a program on a veth's other end takes offloads away as well
	wait_for 5 is_as_before
}

@test "killed with the process that the namespace was named by" {
	local holder daemon

	opened packet
	stop "$PID" INT || :
	wait_for 5 lacks_port
	start_in "$ns_m" holder ready sh -c 'echo ready; exec sleep 120'
	holder=$PID
	nmctl set "ma%pid:$holder" mode packet
	rm -f "$DIR"/rx.*
	start rx Ready "$PKT_GEN" -i "netmap:ma%pid:$holder" -f rx -w 0 -W
	is_off generic-receive-offload
	daemon=$(daemon_pid)
	kill -STOP "$daemon"
	kill -KILL "$PID" "$daemon" "$holder"
	wait_for 5 is_gone "$PID"
	wait_for 5 is_gone "$daemon" # while it goes, the next one would say that there is one
	is_off generic-receive-offload
	"$UNETMAP_NETMAPD" --autostart 3>&-
	wait_for 10 is_as_before
}

has_port()
{
	[ "$(json "len(d['ports'])" show ports)" -eq 1 ]
}

@test "attached, detached; attached when netmapd is told to end" {
	opened packet
	stop "$PID" INT || :
	wait_for 5 is_as_before
	nmctl attach vale0 "$port"
	is_off generic-receive-offload
	nmctl detach vale0 "$port"
	is_as_before
	nmctl attach vale0 "$port"
	is_off generic-receive-offload
	nmctl stop
	wait_for 5 is_as_before
	# an interface that is gone when it is the next netmapd's turn, and one of the same name
	"$UNETMAP_NETMAPD" --autostart 3>&-
	wait_for 20 nmctl set "$port" mode packet
	nmctl attach vale0 "$port"
	is_off generic-receive-offload
	ip -n "$ns_a" link del w0
	nmctl detach vale0 "$port"
}

@test "a VLAN tag that was left to an offload" {
	local mode

	bridged
	in_ns "$ns_a" ethtool -K w0 txvlan on
	start_in "$ns_a" tagger '^ready' "$VLAN_TAGGER" w0 || skip "$(cat "$DIR/tagger.err")"
	start_in "$ns_a" ping PING ping -i 0.2 10.7.0.2
	"$UNETMAP_NETMAPD" --autostart 3>&-
	for mode in packet xdp; do
		nmctl set "$end_a" mode "$mode"
		nmctl set "$end_b" mode "$mode"
		rm -f "$DIR"/rx.*
		start rx Ready "$PKT_GEN" -i "netmap:$end_a" -f rx -w 0 -X
		if [ "$(interface_field "$end_a" keeps_vlan_tags)" != True ]; then
			[ "$mode" = xdp ]
			skip "this kernel does not tell XDP programs of tags"
		fi
		wait_for 10 grep -q '81 00 60 07' "$DIR/rx.out" "$DIR/rx.err"
		stop "$PID" INT || :
		wait_for 5 lacks_port
		rm -f "$DIR"/bridge.*
		start_bridge
		in_ns "$ns_b" timeout 20 tcpdump -i w0 -lnnexx -c 1 vlan 7 >"$DIR/tcpdump.out"
		grep -q 'vlan 7, p 3' "$DIR/tcpdump.out"
		stop "$BRIDGE" || :
		wait_for 5 lacks_port
	done
	nmctl set "$end_a" mode xdp-generic
	rm -f "$DIR"/rx.*
	start rx Ready "$PKT_GEN" -i "netmap:$end_a" -f rx -w 0
	[ "$(interface_field "$end_a" keeps_vlan_tags)" = False ]
	nmctl doctor >"$DIR/doctor" || :
	grep -q 'VLAN tags' "$DIR/doctor"
}

# closed_while STEP...: ma is opened, and closed while rename.py does these
closed_while()
{
	local client

	rm -f "$DIR"/rx.* "$DIR"/rename.*
	start rx Ready "$PKT_GEN" -i "netmap:$port" -f rx -w 0 -W
	client=$PID
	is_off generic-receive-offload
	start_in "$ns_m" rename renaming python3 "$TOP/test/system/nic/rename.py" "$@"
	stop "$client" KILL || :
	wait_for 10 lacks_port
	stop "$PID"
	is_as_before
}

@test "given back while it is renamed all the time, and exchanges its name with another interface" {
	local other round

	opened packet
	stop "$PID" KILL || :
	wait_for 5 is_as_before
	ip -n "$ns_m" link add name mb type veth peer name mc
	ip -n "$ns_m" link set dev mb up
	in_ns "$ns_m" ethtool -K mb gro off rxvlan off
	other=$(in_ns "$ns_m" ethtool -k mb)
	for ((round = 0; round < 5; round++)); do
		closed_while ma:mt mt:ma
	done
	for ((round = 0; round < 5; round++)); do
		closed_while ma:mt mb:ma mt:mb mb:mt ma:mb mt:ma
		[ "$(in_ns "$ns_m" ethtool -k mb)" = "$other" ]
	done
}
