#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: nm-extcap tells Wireshark what it asks, in its syntax, and tshark captures through it from
# ports that are there and from one that is not, with filter and direction; it ends when it is told
# to or when nobody reads any more, whatever it waits for; of a port that has gone it writes all.

load ../tools/tools

unset LD_LIBRARY_PATH

# with_extcap COMMAND...: with nm-extcap alone in Wireshark's directory for such programs. (What
# runs as root does not look at WIRESHARK_EXTCAP_DIR.)
with_extcap()
{
	local where

	mkdir -p "$DIR/extcap"
	ln -sf "$NM_EXTCAP" "$DIR/extcap/nm-extcap"
	where=$(tshark -G folders 2>/dev/null | sed -n 's/^Extcap path:[[:space:]]*//p')
	unshare -m sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$DIR/extcap" "$where" "$@"
}

# background NAME COMMAND...: as start(), of a program that does not say when it is ready
background()
{
	local name=$1

	shift
	"$@" >"$DIR/$name.out" 2>"$DIR/$name.err" 3>&- &
	PID=$!
	PIDS+=("$PID")
}

@test "the list, link types, options" {
	start_rx rx vale0:rx
	start_rx pipe 'netmap:p}1'
	run -0 "$NM_EXTCAP" --extcap-interfaces --extcap-version=4.0
	[[ ${lines[0]} == 'extcap {version='*'}{help='*'}'* ]]
	[[ $output == *'interface {value=vale0:rx}{display=netmap port of switch vale0, in use}'* ]]
	[[ $output == *'interface {value=netmap:p%7D1}'* ]]
	[[ $output == *'interface {value=netmap}{'* ]]
	run -0 "$NM_EXTCAP" --extcap-interface=vale0:rx --extcap-dlts
	[ "$output" = 'dlt {number=1}{name=EN10MB}{display=Ethernet}' ]
	run -0 "$NM_EXTCAP" --extcap-interface vale0:rx --extcap-config
	[[ $output == *'{call=--direction}'*'{call=--snaplen}'* && $output != *--port* ]]
	run -0 "$NM_EXTCAP" --extcap-interface=netmap --extcap-config
	[[ $output == *'{call=--port}'* ]]
	run -0 "$NM_EXTCAP" --extcap-interface=vale0:rx --extcap-capture-filter='tcp port 80'
	[ -z "$output" ]
	run -0 "$NM_EXTCAP" --extcap-interface=vale0:rx --extcap-capture-filter='tcp prt 80'
	[[ $output == *'syntax error'* ]]
}

@test "tshark lists and captures" {
	[ "$(id -u)" = 0 ] || skip "needs root for a mount namespace"
	start_rx rx vale0:rx
	start_rx pipe 'netmap:p}1'
	run -0 with_extcap tshark -D
	[[ $output == *'vale0:rx (netmap port of switch vale0, in use)'* ]]
	[[ $output == *'netmap:p%7D1'* ]]
	background ts with_extcap tshark -i netmap -o extcap.netmap.port:vale0:new -c 3 -f 'udp port 4007'
	wait_for 60 eval '"$NMCTL" show ports vale0:new 2>/dev/null | grep -q vale0:new'
	send vale0:tx 5 -d 10.0.0.9:8
	send vale0:tx 5 -d 10.0.0.9:4007
	finish "$PID" 60
	[ "$(grep -c 'UDP' "$DIR/ts.out")" = 3 ]
}

@test "a file of its own: names, directions, counters" {
	start_rx rx vale0:rx
	background x "$NM_EXTCAP" --extcap-interface=vale0:rx --capture --fifo="$DIR/x.pcapng" --direction=in --snaplen=50
	wait_for 10 test -s "$DIR/x.pcapng"
	send vale0:tx 5
	wait_for 10 eval '[ "$(tshark -r "$DIR/x.pcapng" 2>/dev/null | wc -l)" = 5 ]'
	stop "$PID" TERM
	[ "$(tshark -r "$DIR/x.pcapng" -T fields -e frame.interface_name -e frame.packet_flags_direction -e frame.cap_len 2>/dev/null | sort -u)" = \
		$'vale0:rx\t0x00000001\t50' ]
	capinfos "$DIR/x.pcapng" | grep -q 'Number of stat entries = 1'
	capinfos "$DIR/x.pcapng" | grep -q 'Time precision = nanoseconds'
}

@test "a filter by direction, and one that no port can answer" {
	start_rx rx vale0:rx
	for filter in inbound outbound; do
		background "$filter" "$NM_EXTCAP" --extcap-interface=vale0:rx --capture \
			--fifo="$DIR/$filter.pcapng" --extcap-capture-filter="$filter"
		wait_for 10 test -s "$DIR/$filter.pcapng"
	done
	send vale0:tx 5
	wait_for 10 eval '[ "$(tshark -r "$DIR/inbound.pcapng" 2>/dev/null | wc -l)" = 5 ]'
	[ "$(tshark -r "$DIR/outbound.pcapng" 2>/dev/null | wc -l)" = 0 ]
	run -0 "$NM_EXTCAP" --extcap-interface=vale0:rx --extcap-capture-filter='ifindex 3'
	[[ $output == 'a filter by interface number (ifindex): a netmap port has none' ]]
	run -1 timeout 20 "$NM_EXTCAP" --extcap-interface=vale0:rx --capture --fifo=/no/such/file --extcap-capture-filter='ifindex 3'
	[[ $output == *'(ifindex): a netmap port has none'* ]]
}

@test "frames behind virtio-net headers" {
	start_rx rx vale0:rx -H 12
	background x "$NM_EXTCAP" --extcap-interface=vale0:rx --capture --fifo="$DIR/x.pcapng"
	wait_for 10 test -s "$DIR/x.pcapng"
	send vale0:tx 5 -l 300
	wait_for 10 eval '[ "$(tshark -r "$DIR/x.pcapng" 2>/dev/null | wc -l)" = 5 ]'
	stop "$PID" TERM
	[ "$(tshark -r "$DIR/x.pcapng" -T fields -e frame.len -e udp.length 2>/dev/null | sort -u)" = $'300\t266' ]
}

# capture PORT [ARG...]: into a FIFO that $READER reads into $DIR/out.pcapng; it runs
capture()
{
	local port=$1

	shift
	rm -f "$DIR/fifo" "$DIR/out.pcapng"
	mkfifo "$DIR/fifo"
	cat "$DIR/fifo" >"$DIR/out.pcapng" 3>&- &
	READER=$!
	PIDS+=("$READER")
	background x "$NM_EXTCAP" --extcap-interface="$port" --capture --fifo="$DIR/fifo" "$@"
	wait_for 10 test -s "$DIR/out.pcapng"
}

no_port()
{
	! "$NMCTL" show ports "$1" >/dev/null 2>&1
}

has_port()
{
	! no_port "$1"
}

is_full()
{
	python3 - "$1" <<-'END'
		import os, select, sys
		fd = os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
		sys.exit(len(select.select([], [fd], [], 0)[1]))
	END
}

@test "it ends when nobody reads any more, though it has nothing to write" {
	capture vale0:new
	has_port vale0:new
	kill "$READER"
	finish "$PID" 5
	no_port vale0:new
	start_rx rx vale0:rx
	start tx '^Sending' "$PKT_GEN" -i vale0:tx -f tx -w 0 -R 50000
	capture vale0:rx --extcap-capture-filter='udp port 1'
	kill "$READER"
	finish "$PID" 5
}

@test "it ends when it is told to: while frames come, while nobody reads, and while nobody goes on reading" {
	local status=0

	start_rx rx vale0:rx
	start tx '^Sending' "$PKT_GEN" -i vale0:tx -f tx -w 0 -R 50000
	capture vale0:rx
	stop "$PID" TERM
	finish "$READER"
	tshark -r "$DIR/out.pcapng" 2>&1 >/dev/null | grep 'cut short' && return 1
	capinfos "$DIR/out.pcapng" | grep -q 'Number of stat entries = 1'
	rm "$DIR/fifo"
	mkfifo "$DIR/fifo"
	background x "$NM_EXTCAP" --extcap-interface=vale0:new --capture --fifo="$DIR/fifo"
	wait_for 10 has_port vale0:new
	stop "$PID" TERM
	no_port vale0:new
	capture vale0:rx
	kill -STOP "$READER"
	wait_for 10 is_full "$DIR/fifo"
	stop "$PID" TERM || status=$?
	[ "$status" = 1 ]
	grep -q "cannot write to $DIR/fifo: it is full, and nobody reads it" "$DIR/x.err"
	kill -CONT "$READER"
}

@test "when the port goes, all that it has brought is written" {
	local status=0

	start_rx rx vale0:rx
	local rx=$PID
	"$NMCTL" set vale0:rx lossless on # what it has no room for, nobody captures
	capture vale0:rx
	kill -STOP "$READER"
	send vale0:tx 2000 -l 1000
	wait_for 10 is_full "$DIR/fifo"
	stop "$rx"
	wait_for 10 no_port vale0:rx
	kill -CONT "$READER"
	finish "$READER"
	wait "$PID" || status=$?
	[ "$status" = 1 ]
	grep -q 'vale0:rx has gone' "$DIR/x.err"
	[ "$(tshark -r "$DIR/out.pcapng" 2>/dev/null | wc -l)" = 2000 ]
}

@test "it ends when nobody reads, when the port goes, and when it can't begin" {
	local status=0

	start_rx rx vale0:rx
	local rx=$PID
	mkfifo "$DIR/fifo"
	background x "$NM_EXTCAP" --extcap-interface=vale0:rx --capture --fifo="$DIR/fifo"
	head -c 100 "$DIR/fifo" >/dev/null
	send vale0:tx 5
	finish "$PID"
	background y "$NM_EXTCAP" --extcap-interface=vale0:rx --capture --fifo="$DIR/y.pcapng"
	wait_for 10 test -s "$DIR/y.pcapng"
	stop "$rx"
	finish "$PID" || status=$? # here: a subshell may not know yet
	[ "$status" -eq 1 ]
	grep -q 'vale0:rx has gone' "$DIR/y.err"
	run -1 "$NM_EXTCAP" --extcap-interface=eth0 --capture --fifo="$DIR/z"
	[[ $output == *'cannot open eth0'* ]]
	run -1 "$NM_EXTCAP" --extcap-interface=vale0:z --capture --fifo=/no/such/file
	[[ $output == *'cannot open /no/such/file'* ]]
	run -2 "$NM_EXTCAP" --extcap-interface=vale0:z --capture
	run -2 "$NM_EXTCAP" --capture --fifo=x
	run -2 "$NM_EXTCAP"
}
