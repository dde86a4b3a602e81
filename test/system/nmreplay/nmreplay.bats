#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: what nmreplay plays arrives byte for byte, in order and on time, on VALE switches and
# pipes, from every capture format; rates, losses and rounds are those asked for; a slow or absent
# reader loses nothing; broken captures, ports and signals end as the manual says.
#
# Environment: NMREPLAY, REPLAY_PEER and NETMAPD are the programs. Each test has a netmapd of its own.
# No privilege and no namespace needed: nothing leaves its ports.
#
# Nothing may be early. What may be late, is: a machine that is doing something else gets several
# attempts at being on time, and seconds of grace at the end of a run. The unit tests of the schedule
# and the transmitter are exact.

load ../tools/tools

# Started by hand, so that it can be ended at once: one that started by itself stays for a while.
setup()
{
	bats_require_minimum_version 1.5.0
	DIR=$(mktemp -d)
	export UNETMAP_SOCKET="$DIR/netmapd.sock"
	PIDS=()
	"$NETMAPD" --foreground --socket "$UNETMAP_SOCKET" >"$DIR/netmapd.log" 2>&1 3>&- &
	NETMAPD_PID=$!
	wait_for 10 test -S "$UNETMAP_SOCKET"
}

teardown()
{
	local pid

	for pid in "${PIDS[@]}" "$NETMAPD_PID"; do
		kill -INT "$pid" 2>/dev/null || :
		wait_for 10 is_gone "$pid" || kill -KILL "$pid"
	done
	rm -rf "$DIR"
}

# start_sink PORT COUNT: receive in the background into $DIR/got; returns when the port is open
start_sink()
{
	rm -f "$DIR/sink.out" # of the one before, or start() might find it ready
	start sink ready "$REPLAY_PEER" sink "$1" "$DIR/got" "$2" 30
	SINK=$PID
}

# play FILE PORT ARG...: status, output (JSON) and $DIR/err
play()
{
	local file=$1 port=$2

	shift 2
	run -0 --separate-stderr "$NMREPLAY" -f "$file" -i "$port" -j "$@"
}

# field TYPE NAME: of the last JSON object of that type in $output
field()
{
	python3 -c '
import json, sys
objects = [json.loads(line) for line in sys.stdin]
print([o for o in objects if o["type"] == sys.argv[1]][-1][sys.argv[2]])' "$@" <<<"$output"
}

# is_on_time: of what the peer has just compared, packets arrived at the times of the capture
is_on_time()
{
	local span_us spread_us

	read -r _ _ _ span_us _ spread_us <<<"$output"
	((spread_us < span_us / 8))
}

# check_on_time FILE COUNT SINK-PORT PLAYER-PORT LOOPS: played as recorded, the COUNT packets arrive
# byte for byte, in each of at most five attempts, and on time in one of them
check_on_time()
{
	local attempt

	for attempt in 1 2 3 4 5; do
		start_sink "$3" "$2"
		play "$1" "$4" --loops "$5"
		[ "$(field end tx)" -eq "$2" ]
		[ "$(field end rounds)" -eq "$5" ]
		finish "$SINK"
		run -0 "$REPLAY_PEER" compare "$DIR/a" "$DIR/got" "$5"
		is_on_time && return 0
		echo "attempt $attempt: $output"
	done
	return 1
}

@test "VALE: byte for byte and at the times of the capture" {
	"$REPLAY_PEER" make "$DIR/a" us 500 1000 60 1514
	check_on_time "$DIR/a" 1000 vale0:rx vale0:tx 2
}

@test "pipe: byte for byte and at the times of the capture" {
	"$REPLAY_PEER" make "$DIR/a" us 500 1000 60 1514
	check_on_time "$DIR/a" 1000 'netmap:p}1' 'netmap:p{1' 2
}

# check_formats SINK-PORT PLAYER-PORT MAX-LENGTH
check_formats()
{
	for format in us us-be ns ns-be ng ng-be; do
		"$REPLAY_PEER" make "$DIR/a" "$format" 30 2000 60 "$3"
		start_sink "$1" 90
		play "$DIR/a" "$2" --loops 3
		[ "$(field start recorded_ns)" -eq 58000000 ]
		[ "$(field start round_ns)" -eq 60000000 ]
		[ "$(field end undelivered_slots)" -eq 0 ]
		finish "$SINK"
		run -0 "$REPLAY_PEER" compare "$DIR/a" "$DIR/got" 3
	done
}

@test "VALE: every capture format, packets of many slots, several rounds" {
	check_formats vale0:rx vale0:tx 20000
}

@test "pipe: every capture format, packets of many slots, several rounds" {
	check_formats 'netmap:p}1' 'netmap:p{1' 65000
}

@test "files written by other programs" {
	command -v editcap mergecap || skip "editcap and mergecap (wireshark-common) are not installed"
	"$REPLAY_PEER" make "$DIR/a" us 40 25000 60 1514
	"$REPLAY_PEER" make "$DIR/b" ns 40 25000 60 1514
	for format in pcap nsecpcap pcapng; do
		editcap -F "$format" "$DIR/a" "$DIR/converted"
		check_on_time "$DIR/converted" 40 vale0:rx vale0:tx 1
	done
	# One file behind the other: two interfaces, the second with times of its own resolution.
	mergecap -a -F pcapng -w "$DIR/merged" "$DIR/a" "$DIR/b"
	start_sink vale0:rx 80
	play "$DIR/merged" vale0:tx --loops 1 -B 10M
	finish "$SINK"
	run -0 "$REPLAY_PEER" compare "$DIR/merged" "$DIR/got" 1
}

@test "standard input" {
	"$REPLAY_PEER" make "$DIR/a" ng 100 1000 60 1514
	start_sink vale0:rx 100
	run -0 "$NMREPLAY" -f - -i vale0:tx --loops 1 <"$DIR/a"
	[[ $output == *"Sent 100 packets "* ]]
	finish "$SINK"
	run -0 "$REPLAY_PEER" compare "$DIR/a" "$DIR/got" 1
}

@test "speed: four times as fast as recorded" {
	"$REPLAY_PEER" make "$DIR/a" us 1001 1000 60 60
	play "$DIR/a" vale0:tx --loops 1 -B real,4
	[ "$(field start round_ns)" -eq 250250000 ]
	python3 -c "assert 0.25 <= $(field end time_s) < 5"
}

@test "bandwidth: the rate asked for, with and without framing" {
	"$REPLAY_PEER" make "$DIR/a" us 100 0 1250 1250
	# 100 packets of 10000 bits at 2 Mbit/s: half a second, the last one begins 5 ms before.
	play "$DIR/a" vale0:tx --loops 1 -B 2M
	[ "$(field start round_ns)" -eq 500000000 ]
	python3 -c "assert 0.495 <= $(field end time_s) < 5"
	play "$DIR/a" vale0:tx --loops 1 -B ether,2M
	[ "$(field start round_ns)" -eq 509600000 ]
	python3 -c "assert 0.504 <= $(field end time_s) < 5"
	# Ten rounds take ten times as long.
	play "$DIR/a" vale0:tx --loops 10 -B 20M
	python3 -c "assert 0.499 <= $(field end time_s) < 5"
	[ "$(field end rounds)" -eq 10 ]
}

@test "no limit: as fast as the port takes packets" {
	"$REPLAY_PEER" make "$DIR/a" us 1000 1000000 60 60
	play "$DIR/a" vale0:tx --loops 100 -B 0
	[ "$(field end tx)" -eq 100000 ]
	[ "$(field end late_max_ns)" = None ]
	python3 -c "assert $(field end time_s) < 5"
}

@test "loss: the packets that the seed says, and what is not lost arrives" {
	"$REPLAY_PEER" make "$DIR/a" us 1000 0 60 500
	for attempt in 1 2; do
		start_sink 'netmap:p}1' 1000
		play "$DIR/a" 'netmap:p{1' --loops 1 -B 20M -L 0.3 --seed 5
		lost[attempt]=$(field end lost)
		[ "$(field end tx)" -eq $((1000 - lost[attempt])) ]
		kill "$SINK"
		wait_for 5 is_gone "$SINK"
		start_sink 'netmap:p}1' $((1000 - lost[attempt]))
		play "$DIR/a" 'netmap:p{1' --loops 1 -B 20M -L 0.3 --seed 5
		finish "$SINK"
		run -0 "$REPLAY_PEER" subset "$DIR/a" "$DIR/got"
		[ "$output" = "received $((1000 - lost[attempt])) of 1000" ]
		cp "$DIR/got" "$DIR/got.$attempt"
	done
	# 1000 drawings at 0.3: a deviation of 14.5, so this is five of them.
	((lost[1] > 227 && lost[1] < 373))
	[ "${lost[1]}" -eq "${lost[2]}" ]
	run -0 "$REPLAY_PEER" subset "$DIR/got.1" "$DIR/got.2"
	play "$DIR/a" vale0:tx --loops 1 -B 20M -L 0.3 --seed 6
	[ "$(field end lost)" -ne "${lost[1]}" ]
}

@test "delay: packets stay in order" {
	"$REPLAY_PEER" make "$DIR/a" us 300 1000 60 500
	for delay in 50m uniform,0,50m exp,0,20m; do
		start_sink vale0:rx 300
		play "$DIR/a" vale0:tx --loops 1 -D "$delay" --seed 1
		finish "$SINK"
		run -0 "$REPLAY_PEER" compare "$DIR/a" "$DIR/got" 1
	done
}

@test "pipe without a reader: waits, then nothing is missing" {
	"$REPLAY_PEER" make "$DIR/a" us 20000 10 60 60
	# The ring is full, and packets are due.
	start player ' -> .* maxq [1-9]' "$NMREPLAY" -f "$DIR/a" -i 'netmap:p{1' --loops 1
	player=$PID
	start_sink 'netmap:p}1' 20000
	finish "$player"
	finish "$SINK"
	run -0 "$REPLAY_PEER" compare "$DIR/a" "$DIR/got" 1
}

@test "end: a pipe that nobody reads keeps the last packets, with a warning" {
	"$REPLAY_PEER" make "$DIR/a" us 10 0 60 60
	play "$DIR/a" 'netmap:p{1' --loops 1
	[ "$(field end undelivered_slots)" -eq 10 ]
	[[ $stderr == *"warning: 10 slots were still waiting in the port"* ]]
}

@test "SIGINT and SIGTERM end the run with the final report" {
	"$REPLAY_PEER" make "$DIR/a" us 100 1000 60 60
	for signal in INT TERM; do
		# A shell starts background programs with SIGINT ignored; this undoes it.
		start "player$signal" 'round [1-9][0-9]' python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$NMREPLAY" -f "$DIR/a" -i vale0:tx
		stop "$PID" "$signal"
		grep -Eq '^Sent [0-9]+ packets [0-9]+ bytes in [0-9.]+ seconds, 0 lost by the model\.$' "$DIR/player$signal.out"
		grep -Eq '^Speed: [0-9.]+ [KMG]?pps Bandwidth: [0-9.]+ [KMG]?bps$' "$DIR/player$signal.out"
	done
}

@test "reports: the two lines of each second, and objects that say the same" {
	"$REPLAY_PEER" make "$DIR/a" us 100 1000 60 60
	play "$DIR/a" vale0:tx --loops 25
	[[ $stderr =~ [0-9]{3}\.[0-9]{6}\ [a-z_]+\ \[[0-9]+\]\ ([0-9]+)\ -\>\ ([0-9]+)\ maxq\ [0-9]+\ round\ ([0-9]+) ]]
	[[ $stderr =~ "plr nominal 0.000000e+00 actual 0.000000e+00" ]]
	python3 - "$DIR/a" <<-END
	import json, sys
	objects = [json.loads(line) for line in '''$output'''.splitlines()]
	start, *reports, end = objects
	assert start["type"] == "start" and end["type"] == "end"
	assert len(reports) >= 1 and all(o["type"] == "report" for o in reports)
	assert start["packets"] == 100 and start["loops"] == 25 and start["file"] == sys.argv[1]
	assert start["recorded_ns"] == 99000000 and start["round_ns"] == 100000000
	assert all(o["tx"] == o["rx"] and o["tx_bytes"] == 60 * o["tx"] for o in reports)
	assert 0 < sum(o["tx"] for o in reports) <= end["tx"]
	assert end["tx"] == 2500 and end["tx_bytes"] == 150000 and end["rounds"] == 25
	assert 2.499 <= end["time_s"] < 10
	END
}

@test "a capture cut in its last record is played up to there, with a warning" {
	"$REPLAY_PEER" make "$DIR/a" us 20 1000 60 60
	head -c -7 "$DIR/a" >"$DIR/cut"
	start_sink vale0:rx 19
	play "$DIR/cut" vale0:tx --loops 1
	[ "$(field end tx)" -eq 19 ]
	[ "$(field start truncated)" = True ]
	[[ $stderr == *"warning: $DIR/cut: offset 1468: the file ends at offset 1537, in the middle of a packet; playing the 19 packets before"* ]]
	finish "$SINK"
	run -0 "$REPLAY_PEER" subset "$DIR/a" "$DIR/got"
}

@test "captures that are refused: file, offset and reason are named" {
	# A netmapd would start here if a port were opened.
	export UNETMAP_SOCKET="$DIR/other.sock"
	"$REPLAY_PEER" make "$DIR/a" us 20 1000 60 60
	# The length field of the third packet.
	{ head -c 184 "$DIR/a"; printf '\377\377\377\177'; tail -c +189 "$DIR/a"; } >"$DIR/bad"
	run -1 "$NMREPLAY" -f "$DIR/bad" -i vale0:tx
	[ "$output" = "nmreplay: $DIR/bad: offset 176: packet header claims 2147483647 captured bytes, more than a packet can have (262144)" ]
	# Link type 113 in the file header.
	{ head -c 20 "$DIR/a"; printf '\161\0\0\0'; tail -c +25 "$DIR/a"; } >"$DIR/bad"
	run -1 "$NMREPLAY" -f "$DIR/bad" -i vale0:tx
	[ "$output" = "nmreplay: $DIR/bad: offset 24: a packet of link type 113 (interface 0); only Ethernet (1) can be sent" ]
	run -1 "$NMREPLAY" -f "$DIR/none" -i vale0:tx
	[ "$output" = "nmreplay: $DIR/none: cannot open: No such file or directory" ]
	gzip -c "$DIR/a" >"$DIR/a.gz"
	run -1 "$NMREPLAY" -f "$DIR/a.gz" -i vale0:tx
	[[ $output == *"compressed with gzip"* ]]
	run -1 "$NMREPLAY" -f "$DIR/a" -i vale0:tx --max-memory 1000
	[[ $output == *"raise the limit with --max-memory"* ]]
	"$REPLAY_PEER" make "$DIR/still" us 20 0 60 60
	run -1 "$NMREPLAY" -f "$DIR/still" -i vale0:tx
	[[ $output == *"$DIR/still: all its packets have the same time"*"--loops 1"* ]]
	[ ! -e "$UNETMAP_SOCKET" ]
}

@test "ports that cannot be used" {
	"$REPLAY_PEER" make "$DIR/a" us 20 1000 60 20000
	run -1 "$NMREPLAY" -f "$DIR/a" -i vale0
	[[ $output == *"nmreplay: cannot open netmap:vale0: "* ]]
	run -1 "$NMREPLAY" -f "$DIR/a" -i nothere
	[[ $output == *"nmreplay: cannot open netmap:nothere: "* ]]
	run -1 "$NMREPLAY" -f "$DIR/a" -i 'vale0:tx/R'
	[[ $output == *"nmreplay: vale0:tx/R has no transmit ring; open it without /R"* ]]
	run -1 "$NMREPLAY" -f "$DIR/a" -i 'vale0:tx@conf:slots=4'
	[[ $output =~ "vale0:tx@conf:slots=4 takes "[0-9]+" at most; give it more slots" ]]
}
