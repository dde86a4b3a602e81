#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: nmctl link takes a port's link down and up again: frames of both directions are lost and
# counted as such, a sleeping client is woken and told, a TAP loses its carrier, the state is shown,
# and survives netmapd's death; what has no link is refused.

load tap

carrier()
{
	ip netns exec "$1" cat "/sys/class/net/$2/carrier" 2>/dev/null || echo none
}

# lost_to_link PORT N: at least so many
lost_to_link()
{
	local expr="next(p for p in d['ports'] if p['name'] == '$1')['dropped']['link_down']"

	[ "$(json "$expr" show ports)" -ge "$2" ]
}

is_down()
{
	[ "$(port_field "$1" link 2>/dev/null)" = False ]
}

says_lines()
{
	[ "$(wc -l <"$DIR/watch.out")" -eq "$1" ]
}

carrier_is()
{
	[ "$(carrier "$1" "$2")" = "$3" ]
}

@test "bad arguments" {
	says 'link: too few words' 2 link vale0:a
	says 'link: too many words' 2 link vale0:a up now
	start_daemon
	says "there is no port 'vale0:nosuch'" 1 link vale0:nosuch down
	start pipe 'Ready' "$PKT_GEN" -f rx -w 0 -i 'netmap:x{1'
	says 'has no link' 1 link 'x{1' down
	nmctl create p0
	says 'has no link' 1 link p0 down
	says 'up or down' 2 link p0 sideways
}

@test "frames both ways are lost and counted; persistent ports keep the state" {
	start_daemon
	nmctl create p0
	nmctl attach vale0 p0
	start rx 'Ready' "$PKT_GEN" -f rx -w 0 -i vale0:p0
	[ "$(port_field vale0:p0 link)" = True ]
	run ! grep -q 'vale0:p0.* down' <(nmctl show ports)
	nmctl link vale0:p0 down
	[ "$(port_field vale0:p0 link)" = False ]
	nmctl show ports vale0:p0 | grep -q 'vale0:p0.* down'
	start tx 'Sending' "$PKT_GEN" -i vale0:y -f tx -w 0 -R 1000
	wait_for 10 lost_to_link vale0:y 1
	[ "$(port_field vale0:p0 received)" = 0 ]
	nmctl link vale0:p0 up
	wait_for 10 eval '[ "$(port_field vale0:p0 received)" -gt 0 ]'
	stop "$PID" INT
	# The other direction
	start rx2 'Ready' "$PKT_GEN" -f rx -w 0 -i vale0:z
	nmctl link vale0:p0 down
	send vale0:p0 100
	[ "$(port_field vale0:z received)" = 0 ]
	lost_to_link vale0:p0 100
	# A port that nobody holds is made anew by the next netmapd, from its notes
	kill -KILL "$DAEMON"
	wait_for 10 is_gone "$DAEMON"
	stop "$PID" INT
	start_daemon
	wait_for 15 is_down vale0:p0
}

@test "a sleeping client is woken and told" {
	start_daemon
	start watch '^link up' "$LINK_WATCH" vale0:w
	nmctl link vale0:w down
	wait_for 10 grep -qx 'link down' "$DIR/watch.out"
	nmctl link vale0:w up
	wait_for 10 says_lines 3 # up, down, up
	nmctl link vale0:w down
	wait_for 10 says_lines 4
	kill -KILL "$DAEMON"
	wait_for 10 is_gone "$DAEMON"
	wait_for 15 is_down vale0:w # the client has started another one, and come back to it
	wait_for 15 nmctl link vale0:w up
	wait_for 10 says_lines 5
	[ "$(tr '\n' ' ' <"$DIR/watch.out")" = 'link up link down link up link down link up ' ]
}

@test "an attached TAP loses its carrier" {
	make_ns a b
	start_daemon
	nmctl attach vale0 tap:t0 "netns=$ns_a"
	nmctl attach vale0 tap:t0 "netns=$ns_b"
	address "$ns_a" t0 10.9.0.1/24
	address "$ns_b" t0 10.9.0.2/24
	in_ns "$ns_a" ping -c 1 -W 10 10.9.0.2
	nmctl link "vale0:tap:t0%$ns_b" down
	carrier_is "$ns_b" t0 0
	carrier_is "$ns_a" t0 1
	run ! in_ns "$ns_a" ping -c 1 -W 1 10.9.0.2
	nmctl link "vale0:tap:t0%$ns_b" up
	carrier_is "$ns_b" t0 1
	wait_for 10 in_ns "$ns_a" ping -c 1 -W 1 10.9.0.2
	nmctl link "vale0:tap:t0%$ns_b" down
	nmctl detach vale0 tap:t0 "netns=$ns_b"
	nmctl attach vale0 tap:t0 "netns=$ns_b" # a new port, with its link up
	ip -n "$ns_b" link set t0 up
	carrier_is "$ns_b" t0 1
}
