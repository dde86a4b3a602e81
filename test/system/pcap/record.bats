#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: nm-record keeps the last frames of a port or of all ports of a switch, within its limits,
# with what they were cut to and where they came from; it writes them on command, by a signal, and
# when a port, netmapd, a process or it itself ends, with what came just before; all that is being
# written or due then is waited for, but a FIFO that nobody reads does not hold it; a full disk is
# said and does not end it; and it waits for ports that are not there.

load ../tools/tools

unset LD_LIBRARY_PATH

# record ARG...: a recorder, with its files in $DIR
record()
{
	start rec 'recording' "$NM_RECORD" -w "$DIR/auto" "$@"
	REC_PID=$PID
}

# kept NUMBER: so many frames are kept
kept()
{
	[ "$("$NM_RECORD" -j status | sed 's/.*"kept_frames":\([0-9]*\),.*/\1/')" = "$1" ]
}

# recorded PORT: it is open
recorded()
{
	"$NM_RECORD" -j status | grep -q "\"name\":\"$1\",\"recorded\":true"
}

frames()
{
	tshark -r "$1" 2>/dev/null | wc -l
}

autos()
{
	compgen -G "$DIR/auto-*.pcapng" | wc -l
}

@test "the last frames of a port, on command and by a signal" {
	start_rx rx vale0:rx
	record -n 50 -s 64 vale0:rx
	wait_for 10 recorded vale0:rx
	send vale0:tx 200 -l 100
	wait_for 10 kept 50
	run -0 "$NM_RECORD" dump "$DIR/now.pcapng"
	[[ $output == "wrote 50 frames to $DIR/now.pcapng" ]]
	[ "$(tshark -r "$DIR/now.pcapng" -T fields -e frame.interface_name -e frame.cap_len -e frame.len 2>/dev/null | sort -u)" = $'vale0:rx\t64\t100' ]
	capinfos "$DIR/now.pcapng" | grep -q 'nm-record (unetmap)'
	kill -USR1 "$REC_PID"
	wait_for 10 grep -q "wrote 50 frames to $DIR/auto-" "$DIR/rec.err"
	[ "$(autos)" = 1 ]
	(cd "$DIR" && "$NM_RECORD" dump relative.pcapng)
	[ "$(frames "$DIR/relative.pcapng")" = 50 ]
	run -0 "$NM_RECORD" status
	[[ $output == *'kept     50 frames, 3200 bytes'* ]]
	"$NM_RECORD" -j status | python3 -m json.tool >/dev/null
	stop "$REC_PID" TERM
	[ ! -e "$DIR/nm-record.sock" ]
	[ "$(autos)" = 1 ]
}

@test "all ports of a switch, those of later too, with directions" {
	start_rx one vale0:one
	start_rx elsewhere vale1:one
	record vale0:
	wait_for 10 recorded vale0:one
	start_rx two vale0:two
	wait_for 10 recorded vale0:two
	send vale0:tx 10
	wait_for 10 kept 20
	"$NM_RECORD" dump "$DIR/now.pcapng"
	run -0 tshark -r "$DIR/now.pcapng" -T fields -e frame.interface_name -e frame.packet_flags_direction
	[ "$(grep -c $'vale0:one\t0x00000001' <<<"$output")" = 10 ]
	[ "$(grep -c $'vale0:two\t0x00000001' <<<"$output")" = 10 ]
	stop "$REC_PID" TERM
}

@test "frames behind virtio-net headers, and why a port is not recorded" {
	start_rx rx vale0:rx -H 12
	record vale0: netmap:none netmap:a-
	wait_for 10 recorded vale0:rx
	send vale0:tx 5 -l 300
	wait_for 10 kept 5
	"$NM_RECORD" dump "$DIR/now.pcapng"
	[ "$(tshark -r "$DIR/now.pcapng" -T fields -e frame.len -e udp.length 2>/dev/null | sort -u)" = $'300\t266' ]
	wait_for 10 grep -q 'netmap:none is not recorded yet: .*nobody has it open' "$DIR/rec.err"
	wait_for 10 grep -q 'netmap:a- is not recorded yet: .*a ring number is missing' "$DIR/rec.err"
	sleep 2.5 # it has tried again
	[ "$(grep -c 'not recorded yet' "$DIR/rec.err")" = 2 ]
	stop "$REC_PID" TERM
}

@test "a filter, and frames that are too old" {
	start_rx rx vale0:rx
	record -f 'udp port 7' -t 2 vale0:rx
	wait_for 10 recorded vale0:rx
	send vale0:tx 5 -d 10.0.0.9:7
	send vale0:tx 5 -d 10.0.0.9:8
	wait_for 10 kept 5
	"$NM_RECORD" -j status | grep -q '"filtered_out":5'
	"$NM_RECORD" dump "$DIR/early.pcapng"
	[ "$(frames "$DIR/early.pcapng")" = 5 ]
	wait_for 10 eval '"$NM_RECORD" dump "$DIR/late.pcapng" | grep -q "wrote 0 frames"'
	stop "$REC_PID" TERM
}

# counters FILE: of each of its ports in turn, frames that it had and those that the filter wanted
counters()
{
	python3 - "$1" <<'END'
import struct, sys
data, pos = open(sys.argv[1], "rb").read(), 0
while pos < len(data):
    kind, size = struct.unpack_from("=II", data, pos)
    if kind == 5: # interface statistics: number, time, options
        at, found = pos + 20, {}
        while True:
            code, n = struct.unpack_from("=HH", data, at)
            if code == 0:
                break
            found[code] = data[at + 4:at + 4 + n]
            at += 4 + (n + 3) // 4 * 4
        print(struct.unpack("=Q", found[4])[0], struct.unpack("=Q", found[6])[0])
    pos += size
END
}

@test "a file's counters tell what the filter wanted, of each port" {
	local rx

	start_rx one vale0:one
	start_rx two vale0:two
	rx=$PID
	record -n 3 -f 'udp port 7' vale0:one vale0:two
	wait_for 10 recorded vale0:one
	wait_for 10 recorded vale0:two
	send vale0:tx 5 -d 10.0.0.9:7
	send vale0:tx 8 -d 10.0.0.9:9
	wait_for 10 eval '"$NM_RECORD" -j status | grep -q "\"filtered_out\":16"'
	"$NM_RECORD" dump "$DIR/both.pcapng"
	[ "$(frames "$DIR/both.pcapng")" = 3 ] # wanted ones need not be kept
	[ "$(counters "$DIR/both.pcapng")" = $'13 5\n13 5' ]
	kill "$rx" # and what a port had before it went counts
	wait_for 10 eval '! recorded vale0:two'
	send vale0:tx 1 -d 10.0.0.9:7
	start_rx two vale0:two
	wait_for 10 recorded vale0:two
	send vale0:tx 2 -d 10.0.0.9:7
	wait_for 10 eval '"$NM_RECORD" dump "$DIR/later.pcapng" && [ "$(counters "$DIR/later.pcapng")" = $'"'16 8\n15 7'"' ]'
	stop "$REC_PID" TERM
}

@test "a filter by direction" {
	start_rx rx vale0:rx
	record -f 'inbound and udp port 7' vale0:
	wait_for 10 recorded vale0:rx
	send vale0:tx 5 -d 10.0.0.9:7
	wait_for 10 kept 5
	stop "$REC_PID" TERM
	record -f outbound vale0:rx
	wait_for 10 recorded vale0:rx
	send vale0:tx 5
	wait_for 10 eval '"$NM_RECORD" -j status | grep -q "\"filtered_out\":5"'
	kept 0
	stop "$REC_PID" TERM
	start tx 'Ready' "$PKT_GEN" -i vale0:tx -f tx -w 0 -R 200 -n 400
	record -f outbound vale0:tx vale0:rx
	wait_for 10 eval '[ "$("$NM_RECORD" -j status | sed "s/.*\"kept_frames\":\([0-9]*\),.*/\1/")" -ge 5 ]'
	"$NM_RECORD" dump "$DIR/sent.pcapng"
	[ "$(tshark -r "$DIR/sent.pcapng" -T fields -e frame.interface_name -e frame.packet_flags_direction 2>/dev/null | sort -u)" = \
		$'vale0:tx\t0x00000002' ]
	stop "$REC_PID" TERM
}

@test "it writes when a port goes away, and records it again when it is back" {
	start_rx rx vale0:rx
	local rx=$PID
	record -e port vale0:rx
	wait_for 10 recorded vale0:rx
	send vale0:tx 5
	wait_for 10 kept 5
	kill -KILL "$rx"
	wait_for 10 grep -q "wrote 5 frames to $DIR/auto-" "$DIR/rec.err"
	start_rx rx vale0:rx
	wait_for 10 recorded vale0:rx
	send vale0:tx 5
	wait_for 10 kept 10
	"$NM_RECORD" -j status | grep -q '"frames":10,.*"gone":1'
	stop "$REC_PID" TERM
	[ "$(autos)" = 1 ]
}

@test "frames that came just before are in the file" {
	local rx process

	start_rx rx vale0:rx
	rx=$PID
	start_rx other vale0:other
	sleep 1000 3>&- &
	process=$!
	PIDS+=("$process")
	record -e port -p "$process" vale0:rx vale0:other
	wait_for 10 recorded vale0:rx
	wait_for 10 recorded vale0:other
	kill -STOP "$REC_PID"
	send vale0:tx 5
	kill "$process"
	kill -CONT "$REC_PID"
	wait_for 10 grep -q "process $process has ended" "$DIR/rec.err"
	wait_for 10 grep -q "wrote 10 frames to $DIR/auto-" "$DIR/rec.err"
	kill -STOP "$REC_PID"
	send vale0:tx 5
	kill "$rx"
	wait_for 10 is_gone "$rx"
	wait_for 10 eval '! "$NMCTL" show ports vale0:rx'
	kill -CONT "$REC_PID"
	wait_for 10 grep -q "wrote 20 frames to $DIR/auto-" "$DIR/rec.err"
	stop "$REC_PID" TERM
}

@test "it writes when netmapd dies, and goes on" {
	start_rx rx vale0:rx
	record -e netmapd vale0:rx
	wait_for 10 recorded vale0:rx
	send vale0:tx 5
	wait_for 10 kept 5
	kill -KILL "$NETMAPD_PID"
	wait_for 10 grep -q "wrote 5 frames to $DIR/auto-" "$DIR/rec.err"
	send vale0:tx 5 # starts another, if nobody has
	NETMAPD_PID=$("$NMCTL" -j show daemon | sed 's/.*"pid":\([0-9]*\).*/\1/')
	wait_for 10 kept 10
	stop "$REC_PID" TERM
}

# waits_in_queue SECONDS: who connects to netmapd's socket meanwhile is never answered, as by a netmapd that dies
waits_in_queue()
{
	python3 - "$UNETMAP_SOCKET" "$1" 3>&- <<-'END'
		import os, socket, sys, time
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.bind(sys.argv[1] + ".fake")
		s.listen(8)
		os.rename(sys.argv[1] + ".fake", sys.argv[1])
		time.sleep(float(sys.argv[2]))
		os.unlink(sys.argv[1])
	END
}

lives()
{
	"$NM_RECORD" -j status | grep -q '"netmapd":true'
}

@test "one death of netmapd is one, also for who is in its queue by then" {
	export UNETMAP_NO_AUTOSTART=1
	record -n 100 -e netmapd vale0:
	start_rx rx vale0:rx
	wait_for 10 recorded vale0:rx
	kill -KILL "$NETMAPD_PID"
	wait_for 5 is_gone "$NETMAPD_PID"
	waits_in_queue 2.5
	wait_for 10 grep -q "wrote .* frames to $DIR/auto-" "$DIR/rec.err"
	"$NETMAPD" --foreground >"$DIR/netmapd.out" 2>&1 3>&- &
	NETMAPD_PID=$!
	wait_for 10 test -S "$UNETMAP_SOCKET"
	wait_for 10 lives
	[ "$(grep -c "netmapd has died" "$DIR/rec.err")" = 1 ]
	[ "$(autos)" = 1 ]
	run ! grep "not all ports" "$DIR/rec.err"
	kill -KILL "$NETMAPD_PID" # and that of the next one is the next
	wait_for 10 eval '[ "$(grep -c "netmapd has died" "$DIR/rec.err")" = 2 ]'
	NETMAPD_PID=$REC_PID # what teardown wants alive
	kill -0 "$REC_PID"
}

@test "behind a socket for isolated clients it records named ports, and says what it can't do" {
	"$NMCTL" isolate create web "socket=$DIR/web.sock" 'allow=vale0:web*' 'allow=vale0:web*/rt' clients=2
	UNETMAP_SOCKET="$DIR/web.sock" start_rx rx vale0:web1
	UNETMAP_SOCKET="$DIR/web.sock" record -S "$DIR/r.sock" -e netmapd vale0:web1 vale0:
	wait_for 10 eval '"$NM_RECORD" -S "$DIR/r.sock" -j status | grep -q "\"name\":\"vale0:web1\",\"recorded\":true"'
	send vale0:tx 5
	wait_for 10 eval '"$NM_RECORD" -S "$DIR/r.sock" -j status | grep -q "\"kept_frames\":5,"'
	"$NM_RECORD" -S "$DIR/r.sock" dump "$DIR/now.pcapng"
	[ "$(frames "$DIR/now.pcapng")" = 5 ]
	wait_for 5 grep -q 'when netmapd dies (-e netmapd): isolated clients do not see it' "$DIR/rec.err"
	grep -q 'not all ports of vale0: are recorded: isolated clients get no list: give names' "$DIR/rec.err"
	run -0 "$NM_RECORD" -S "$DIR/r.sock" status
	[[ $output != *'does not answer'* ]]
	[[ $output == *"netmapd's death (-e netmapd): isolated clients do not see it"* ]]
	[[ $output == *'vale0: '*'not all ports are recorded: isolated clients get no list'* ]]
	"$NM_RECORD" -S "$DIR/r.sock" -j status | python3 -m json.tool >"$DIR/status.json"
	grep -q '"isolated": true' "$DIR/status.json"
	UNETMAP_SOCKET="$DIR/web.sock" run -0 --separate-stderr "$NM_PCAP" tcpdump -D
	[[ $output == *lo* && $stderr == 'nm-pcap: netmap ports are not listed: isolated clients get no list'* ]]
	UNETMAP_SOCKET="$DIR/web.sock" run -0 --separate-stderr "$NM_EXTCAP" --extcap-interfaces
	[[ $stderr == 'nm-extcap: ports are not listed: isolated clients get no list'* ]]
	stop "$REC_PID" TERM
	# What may not be monitored, and who can't be asked
	UNETMAP_SOCKET="$DIR/web.sock" record -S "$DIR/r.sock" vale0:other
	wait_for 10 grep -q 'vale0:other is not recorded yet: .*not among the ports that this socket allows' "$DIR/rec.err"
	"$NM_RECORD" -S "$DIR/r.sock" status | grep -q 'waiting: .*not among the ports'
	stop "$REC_PID" TERM
	UNETMAP_SOCKET="$DIR/none.sock" record -S "$DIR/r.sock" vale0:web1
	wait_for 10 grep -q 'vale0:web1 is not recorded yet: no netmapd answers at' "$DIR/rec.err"
	"$NM_RECORD" -S "$DIR/r.sock" status | grep -q 'waiting: no netmapd answers at'
	stop "$REC_PID" TERM
}

@test "it writes when a process ends, and at its own end" {
	start_rx rx vale0:rx
	sleep 1000 3>&- &
	local process=$!
	PIDS+=("$process")
	record -p "$process" -e exit vale0:rx
	wait_for 10 recorded vale0:rx
	send vale0:tx 5
	wait_for 10 kept 5
	kill "$process"
	wait_for 10 grep -q "wrote 5 frames to $DIR/auto-" "$DIR/rec.err"
	"$NM_RECORD" stop
	finish "$REC_PID"
	[ "$(autos)" = 2 ]
}

# stuck_dump FIFO: a command that the recorder can't obey until somebody reads
stuck_dump()
{
	mkfifo "$1"
	"$NM_RECORD" dump "$1" >"$DIR/dump.out" 2>&1 3>&- &
	DUMP_PID=$!
	PIDS+=("$DUMP_PID")
	wait_for 10 is_writing
}

is_writing()
{
	"$NM_RECORD" -j status | grep -q '"writing":true'
}

wrote()
{
	grep -c "wrote .* frames to $1" "$DIR/rec.err"
}

@test "at its end it waits for the file that is being written, and for what is due then" {
	local status=0

	mkdir "$DIR/auto"
	start_rx rx vale0:rx
	record -w "$DIR/auto/a" -e exit vale0:rx
	wait_for 10 recorded vale0:rx
	stuck_dump "$DIR/fifo"
	send vale0:tx 5
	wait_for 10 kept 5
	kill -USR1 "$REC_PID"
	"$NM_RECORD" stop
	cat "$DIR/fifo" >"$DIR/read.pcapng"
	finish "$REC_PID"
	finish "$DUMP_PID"
	[ "$(frames "$DIR/read.pcapng")" = 0 ]
	[ "$(wrote "$DIR/fifo")" = 1 ]
	[ "$(wrote "$DIR/auto/a")" = "$(ls "$DIR/auto" | wc -l)" ]
	[ "$(frames "$DIR/auto/"*)" = 5 ] # one for both
}

@test "a file that can't be written at its end is its exit status" {
	local status=0

	mkdir "$DIR/gone"
	record -w "$DIR/gone/a" vale0:rx
	stuck_dump "$DIR/fifo"
	kill -USR1 "$REC_PID"
	rmdir "$DIR/gone"
	"$NM_RECORD" stop
	cat "$DIR/fifo" >"$DIR/read.pcapng"
	wait_for 10 is_gone "$REC_PID"
	wait "$REC_PID" || status=$?
	[ "$status" = 1 ]
	grep -q "cannot create $DIR/gone/a-.*No such file or directory\$" "$DIR/rec.err"
}

# fails PID: it ends by itself within 5 seconds, with status 1
fails()
{
	local status=0

	wait_for 5 is_gone "$1"
	wait "$1" || status=$?
	[ "$status" = 1 ]
}

writer()
{
	ps -o pid= --ppid "$REC_PID" | tr -d ' '
}

@test "a file that nobody takes: it ends at a signal after it has said that it waits" {
	local writer

	record -e exit vale0:rx
	stuck_dump "$DIR/fifo"
	writer=$(writer)
	run -1 "$NM_RECORD" dump "$DIR/other"
	[[ $output == *'another file is being written'* ]]
	"$NM_RECORD" stop
	kill "$REC_PID" # as systemd does after a command to stop
	wait_for 10 grep -q 'still being written: SIGTERM or SIGINT gives it up' "$DIR/rec.err"
	"$NM_RECORD" stop
	run -0 "$NM_RECORD" status
	[[ $output == *'one more now'* ]]
	kill -INT "$REC_PID"
	fails "$REC_PID"
	fails "$DUMP_PID"
	is_gone "$writer"
	grep -q "cannot write $DIR/fifo: the process that wrote it was killed\$" "$DIR/dump.out"
	grep -q "not written: the file that was due next" "$DIR/rec.err"
	[ ! -e "$DIR/nm-record.sock" ]
}

@test "a file that nobody takes is given up after a while, and the one that is due is written" {
	start_rx rx vale0:rx
	record -e exit vale0:rx
	wait_for 10 recorded vale0:rx
	send vale0:tx 5
	wait_for 10 kept 5
	stuck_dump "$DIR/fifo"
	kill "$REC_PID"
	wait_for 40 is_gone "$REC_PID"
	fails "$REC_PID"
	grep -q 'nothing has been written for 20 s' "$DIR/rec.err"
	grep -q "cannot write $DIR/fifo: the process that wrote it was killed\$" "$DIR/rec.err"
	[ "$(frames "$DIR/auto-"*)" = 5 ]
}

@test "signals that all processes get do not end the one that writes" {
	record vale0:rx
	stuck_dump "$DIR/fifo"
	kill -USR1 "$(writer)"
	kill -INT "$(writer)"
	kill -TERM "$(writer)" "$REC_PID"
	wait_for 10 grep -q 'still being written' "$DIR/rec.err"
	cat "$DIR/fifo" >"$DIR/read.pcapng"
	finish "$REC_PID"
	finish "$DUMP_PID"
	[ "$(frames "$DIR/read.pcapng")" = 0 ]
	record vale0:rx
	rm "$DIR/fifo"
	stuck_dump "$DIR/fifo"
	# One of several: two that come together are one.
	wait_for 10 eval 'kill -TERM "$(writer)" 2>/dev/null; ! is_writing'
	fails "$DUMP_PID"
	grep -q "cannot write $DIR/fifo: the process that wrote it was killed; recording goes on" "$DIR/rec.err"
	stop "$REC_PID" TERM
}

@test "by itself it writes so many files at most" {
	start_rx rx vale0:rx
	record --max-dumps 2 vale0:rx
	for i in 1 2 3; do
		kill -USR1 "$REC_PID"
		wait_for 10 eval '[ "$(grep -c -e wrote -e "not written" "$DIR/rec.err")" -ge "$i" ]'
	done
	[ "$(autos)" = 2 ]
	grep -q 'not written: --max-dumps 2 files' "$DIR/rec.err"
	"$NM_RECORD" dump "$DIR/asked.pcapng"
	stop "$REC_PID" TERM
}

@test "a full disk is said, leaves no half file, and recording goes on" {
	[ "$(id -u)" = 0 ] || skip "needs root for a tmpfs"
	mkdir "$DIR/full"
	start_rx rx vale0:rx
	start rec 'recording' unshare -m sh -c \
		"mount -t tmpfs -o size=64k none $DIR/full && exec $NM_RECORD -w $DIR/full/auto vale0:rx"
	REC_PID=$PID
	wait_for 10 recorded vale0:rx
	"$NMCTL" set vale0:rx lossless on # what it has no room for, nobody keeps
	send vale0:tx 2000
	wait_for 10 kept 2000
	run -1 "$NM_RECORD" dump "$DIR/full/now.pcapng"
	[[ $output == *"cannot write $DIR/full/now.pcapng: No space left on device; recording goes on"* ]]
	run -1 "$NM_RECORD" dump
	[[ $output == *'No space left on device'* ]] # not "exists": the first one was removed
	send vale0:tx 10
	wait_for 10 kept 2010
	run -0 "$NM_RECORD" status
	[[ $output == *'No space left'* ]]
	run -1 "$NM_RECORD" dump /no/such/directory/x
	[[ $output == *'cannot create /no/such/directory/x: No such file or directory'* ]]
	run -0 "$NM_RECORD" dump "$DIR/elsewhere.pcapng"
	[ "$(frames "$DIR/elsewhere.pcapng")" = 2010 ]
	stop "$REC_PID" TERM
}

@test "what is there is replaced by a whole file only, and no special file is removed" {
	[ "$(id -u)" = 0 ] || skip "needs root for a tmpfs"
	mkdir "$DIR/full"
	start_rx rx vale0:rx
	start rec 'recording' unshare -m sh -c \
		"mount -t tmpfs -o size=64k none $DIR/full && echo old >$DIR/full/keep && exec $NM_RECORD -w $DIR/auto vale0:rx"
	REC_PID=$PID
	wait_for 10 recorded vale0:rx
	"$NMCTL" set vale0:rx lossless on
	send vale0:tx 2000
	wait_for 10 kept 2000
	run -1 "$NM_RECORD" dump "$DIR/full/keep"
	[[ $output == *"cannot write $DIR/full/keep: No space left on device; recording goes on"* ]]
	[ "$(nsenter -m -t "$REC_PID" ls "$DIR/full")" = keep ]
	[ "$(nsenter -m -t "$REC_PID" cat "$DIR/full/keep")" = old ]
	mkfifo "$DIR/fifo"
	head -c 100 "$DIR/fifo" >/dev/null 3>&- &
	run -1 "$NM_RECORD" dump "$DIR/fifo"
	[[ $output == *"cannot write $DIR/fifo: Broken pipe"* ]]
	[ -p "$DIR/fifo" ]
	run -1 "$NM_RECORD" dump /dev/full
	[[ $output == *"cannot write /dev/full: No space left on device"* ]]
	[ -c /dev/full ]
	# A whole one takes the place of the old one, behind a link too, and nothing else is left.
	mkdir "$DIR/files"
	echo old >"$DIR/files/a"
	ln -s files/a "$DIR/link"
	chmod 640 "$DIR/files/a"
	"$NM_RECORD" dump "$DIR/link"
	[ "$(stat -L -c %a "$DIR/link")" = 640 ]
	[ -L "$DIR/link" ]
	[ "$(frames "$DIR/files/a")" = 2000 ]
	[ "$(ls "$DIR/files")" = a ]
	run -1 "$NM_RECORD" dump "$DIR/files"
	[[ $output == *"cannot create $DIR/files: Is a directory"* ]]
	stop "$REC_PID" TERM
}

@test "half a file is removed below /dev/shm as well" {
	local shm left

	shm=$(mktemp -d /dev/shm/nm-record-test-XXXXXX)
	start_rx rx vale0:rx
	start rec 'recording' sh -c "ulimit -f 64; trap '' XFSZ; exec $NM_RECORD -w $DIR/auto vale0:rx"
	REC_PID=$PID
	wait_for 10 recorded vale0:rx
	"$NMCTL" set vale0:rx lossless on
	send vale0:tx 2000
	wait_for 10 kept 2000
	run -1 "$NM_RECORD" dump "$shm/now"
	left=$(ls "$shm")
	rm -r "$shm"
	[[ $output == *"cannot write $shm/now: File too large"* ]]
	[ -z "$left" ]
	stop "$REC_PID" TERM
}

# drips SECONDS: a request that comes byte by byte, and has no end
drips()
{
	python3 - "$DIR/nm-record.sock" "$1" 3>&- <<'END'
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
print("connected", flush=True)
end = time.monotonic() + float(sys.argv[2])
try:
    while time.monotonic() < end:
        s.send(b"x")
        time.sleep(0.03)
except BrokenPipeError:
    print("hung up on", flush=True)
END
}

@test "who asks byte by byte holds nobody up" {
	local began

	record vale0:rx
	drips 20 >"$DIR/drips.out" &
	PIDS+=("$!")
	wait_for 10 grep -q connected "$DIR/drips.out"
	began=$EPOCHREALTIME
	"$NM_RECORD" status
	awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { exit b - a > 3 }'
	wait_for 5 grep -q 'hung up on' "$DIR/drips.out"
	# An answer that does not fit into the socket at once comes whole to who takes it.
	stop "$REC_PID" TERM
	record $(printf 'vale0:p%d ' {1..4000})
	"$NM_RECORD" -j status | python3 -c 'import json, sys; sys.exit(len(json.load(sys.stdin)["ports"]) != 4000)'
	kill -KILL "$REC_PID" # it is still asking for them
}

@test "a recorder that was killed leaves a socket that the next one takes" {
	record vale0:rx
	kill -KILL "$REC_PID"
	wait_for 10 is_gone "$REC_PID"
	run -1 "$NM_RECORD" status
	[[ $output == *'no recorder answers'* ]]
	record vale0:rx
	run -1 "$NM_RECORD" vale0:b
	[[ $output == *'another recorder has the socket'* ]]
	run -0 "$NM_RECORD" status
	[[ $output == *"vale0:rx"*"waiting"* ]]
	stop "$REC_PID" TERM
}

@test "wrong words" {
	run -2 "$NM_RECORD"
	run -2 "$NM_RECORD" eth0
	[[ $output == *"'eth0' is no port"* ]]
	run -2 "$NM_RECORD" -e rain vale0:a
	[[ $output == *"'rain' is not one of port, netmapd, exit"* ]]
	run -2 "$NM_RECORD" -f 'no such filter' vale0:a
	[[ $output == *'syntax error'* ]]
	run -2 timeout 20 "$NM_RECORD" -f 'ifindex 3' vale0:a
	[[ $output == *'-f: a filter by interface number (ifindex): a netmap port has none'* ]]
	run -2 "$NM_RECORD" -b 10 vale0:a
	run -2 timeout 20 "$NM_RECORD" -b 1023K vale0:a
	[[ $output == *'-b: 1023K is out of range'* ]]
	record -b 1M vale0:a # the least, 2^20
	"$NM_RECORD" -j status | grep -q '"memory":1048576,'
	stop "$REC_PID" TERM
	run -2 "$NM_RECORD" dump a b
	run -2 "$NM_RECORD" dump ''
	[[ $output == *'dump: the name of the file is empty'* ]]
	run -2 "$NM_RECORD" -j vale0:a
	run -2 "$NM_RECORD" -w "$DIR/nosuch/x" vale0:a
	[[ $output == *"-w: no files can be made in $DIR/nosuch/: No such file"* ]]
	run -1 "$NM_RECORD" -p 99999999 vale0:a
	[[ $output == *'No such process'* && $output != *recording* ]]
}
