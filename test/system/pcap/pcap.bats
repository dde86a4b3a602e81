#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: unmodified tcpdump, tshark, dumpcap and p0f capture from netmap ports by their names, with
# filters, snapshot lengths and counts that are exact; other interfaces are as before; and what can
# go wrong ends with a sentence and a status, not with a hang.

load ../tools/tools

# Meson has it lead to our library, but what is not run by nm-pcap is to have the system's.
unset LD_LIBRARY_PATH

# dump NAME ARG...: tcpdump in the background, ready to capture; the process id is in PID
dump()
{
	local name=$1

	shift
	start "$name" 'listening on' "$NM_PCAP" tcpdump -Z root --immediate-mode -n "$@"
}

# frames FILE: how many are in it
frames()
{
	tcpdump -n -r "$1" 2>/dev/null | wc -l
}

@test "tcpdump prints what a switch brings" {
	dump td -i vale0:a -c 3
	send vale0:b 3 -d 10.9.8.7:5001 -s 10.1.2.3:5002
	finish "$PID"
	[ "$(grep -c '10.1.2.3.5002 > 10.9.8.7.5001: UDP' "$DIR/td.out")" = 3 ]
	grep -q '^3 packets captured' "$DIR/td.err"
	grep -q '^0 packets dropped by kernel' "$DIR/td.err"
}

@test "tcpdump by LD_LIBRARY_PATH, without a wrapper" {
	LD_LIBRARY_PATH=$(dirname "$LIBPCAP") start td 'listening on' tcpdump -Z root --immediate-mode -n -i vale0:a -c 3
	send vale0:b 3
	finish "$PID"
	grep -q '^3 packets captured' "$DIR/td.err"
}

@test "one end of a pipe" {
	dump td -i 'netmap:x}1' -c 4
	send 'netmap:x{1' 4
	finish "$PID"
	grep -q '^4 packets captured' "$DIR/td.err"
}

@test "a filter chooses, and only what it chose is counted" {
	dump td -i vale0:a -U -w "$DIR/f.pcap" 'udp dst port 7'
	send vale0:b 10 -d 10.1.0.1:7
	send vale0:b 20 -d 10.1.0.1:8
	send vale0:b 5 -d 10.1.0.1:7
	wait_for 10 eval '[ "$(frames "$DIR/f.pcap")" = 15 ]'
	stop "$PID"
	[ "$(frames "$DIR/f.pcap")" = 15 ]
	grep -q '^15 packets received by filter' "$DIR/td.err"
}

@test "frames are cut at the snapshot length, and say how long they were" {
	dump td -i vale0:a -s 64 -c 2 -w "$DIR/s.pcap"
	send vale0:b 2 -l 500
	finish "$PID"
	run -0 tshark -r "$DIR/s.pcap" -T fields -e frame.cap_len -e frame.len
	[[ $output == *$'64\t500\n64\t500'* ]]
}

@test "a frame of several slots is put together" {
	dump td -i vale0:a -c 2 -w "$DIR/m.pcap" 'greater 4000'
	send vale0:b 2 -l 4500 -F 3
	finish "$PID"
	run -0 tshark -r "$DIR/m.pcap" -T fields -e frame.cap_len -e frame.len
	[[ $output == *$'4500\t4500\n4500\t4500'* ]]
}

# As a guest's port has it (nm-vhost-user).
@test "a monitored port's virtio-net headers are no part of its frames" {
	start_rx rx vale0:rx -H 12
	local rx=$PID
	dump td -i vale0:rx -c 3 -w "$DIR/v.pcap"
	send vale0:tx 3 -l 500 -d 10.9.8.7:5001 -s 10.1.2.3:5002
	finish "$PID"
	run -0 tshark -r "$DIR/v.pcap" -Y 'udp.dstport == 5001' -T fields -e frame.cap_len -e frame.len -e ip.dst
	[ "$(grep -c $'^500\t500\t10.9.8.7$' <<<"$output")" = 3 ]
	dump td -i vale0:rx/r -s 64 -c 2 -w "$DIR/w.pcap"
	send vale0:tx 2 -l 500
	finish "$PID"
	run -0 tshark -r "$DIR/w.pcap" -T fields -e frame.cap_len -e frame.len -e udp.length
	[[ $output == *$'64\t500\t466\n64\t500\t466'* ]]
	stop "$rx"
}

@test "time stamps of nanoseconds, in order and of now" {
	local before after

	before=$(date +%s)
	dump td -i vale0:a -c 50 --nano -w "$DIR/n.pcap"
	send vale0:b 50 -R 1000
	finish "$PID"
	after=$(date +%s)
	tshark -r "$DIR/n.pcap" -T fields -e frame.time_epoch >"$DIR/times" 2>/dev/null
	sort -n -c "$DIR/times"
	awk -v a="$before" -v b="$after" '{ if ($1 < a || $1 > b + 1) exit 1 }' "$DIR/times"
	# 50 stamps that all end in three zeroes are of microseconds
	grep -qv '000$' "$DIR/times"
}

@test "a port in use is monitored, both ways or one, and its traffic is not disturbed" {
	start_rx rx vale0:rx
	local rx=$PID
	start_rx other vale0:other
	local other=$PID
	dump both -i vale0:rx -U -w "$DIR/both.pcap"
	local both=$PID
	dump in -i vale0:rx -Q in -U -w "$DIR/in.pcap"
	local in=$PID
	dump r -i vale0:rx/r -U -w "$DIR/r.pcap"
	local r=$PID
	dump t -i vale0:rx/t -U -w "$DIR/t.pcap"
	local t=$PID
	send vale0:tx 300 -R 5000
	wait_for 10 eval '[ "$(frames "$DIR/both.pcap")" = 300 ]'
	wait_for 10 eval '[ "$(frames "$DIR/in.pcap")" = 300 ]'
	wait_for 10 eval '[ "$(frames "$DIR/r.pcap")" = 300 ]'
	for pid in "$both" "$in" "$r" "$t"; do
		stop "$pid"
	done
	[ "$(frames "$DIR/t.pcap")" = 0 ]
	stop "$rx"
	stop "$other"
	[ "$(received rx)" = 300 ]
	[ "$(received other)" = 300 ]
}

@test "what a monitored port sends" {
	start_rx rx vale0:rx
	local rx=$PID
	start tx 'Ready' "$PKT_GEN" -i vale0:tx -f tx -w 0 -R 200 -n 100000
	local tx=$PID
	dump out -i vale0:tx -Q out -c 5
	local out=$PID
	dump in -i vale0:tx -Q in -c 1
	finish "$out"
	[ "$(grep -c 'UDP' "$DIR/out.out")" = 5 ]
	stop "$PID"
	[ "$(grep -c 'UDP' "$DIR/in.out")" = 0 ]
	stop "$tx"
	stop "$rx"
	[ "$(received rx)" = "$(sed -n 's/^Sent \([0-9]*\) packets.*/\1/p' "$DIR/tx.out" "$DIR/tx.err")" ]
}

# What it received and sent is told apart by what the two filters of libpcap ask Linux for.
@test "filters by direction, alone and with others, and one that no port can answer" {
	start_rx rx vale0:rx
	local rx=$PID
	dump in -i vale0:rx -U -w "$DIR/in.pcap" inbound
	local in=$PID
	dump out -i vale0:rx -U -w "$DIR/out.pcap" outbound
	local out=$PID
	dump port -i vale0:rx -U -w "$DIR/port.pcap" 'udp port 7 and not outbound'
	local port=$PID
	start tx 'Ready' "$PKT_GEN" -i vale0:tx -f tx -w 0 -R 200 -n 400 -d 10.1.0.1:8
	local tx=$PID
	dump sent -i vale0:tx -c 5 'udp port 8 and not inbound'
	finish "$PID"
	[ "$(grep -c UDP "$DIR/sent.out")" = 5 ]
	finish "$tx"
	send vale0:tx 30 -d 10.1.0.1:7
	wait_for 10 eval '[ "$(frames "$DIR/in.pcap")" = 430 ]'
	wait_for 10 eval '[ "$(frames "$DIR/port.pcap")" = 30 ]'
	[ "$(frames "$DIR/out.pcap")" = 0 ]
	for pid in "$in" "$out" "$port" "$rx"; do
		stop "$pid"
	done
	run -1 timeout 20 "$NM_PCAP" tcpdump -i vale0:rx 'udp and ifindex 3'
	[[ $output == *'a filter by interface number (ifindex): a netmap port has none'* ]]
}

# one_udp FILE TAG...: a capture of one UDP datagram behind these tags, in hexadecimal
one_udp()
{
	python3 - "$@" <<-'END'
		import struct, sys

		tags = bytes.fromhex("".join("8100" + tag for tag in sys.argv[2:]))
		ip = bytes.fromhex("4500001c00010000401166ce0a0000010a000002" "0007000800080000")
		frame = bytes.fromhex("020000000002020000000001") + tags + b"\x08\0" + ip + bytes(32)
		with open(sys.argv[1], "wb") as f:
		    f.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
		    f.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
	END
}

@test "filters by VLAN find the tag in the frame" {
	one_udp "$DIR/none.pcap"
	one_udp "$DIR/five.pcap" 0005
	one_udp "$DIR/six.pcap" 2006
	dump any -i vale0:a -U -w "$DIR/any.pcap" vlan
	local any=$PID
	dump five -i vale0:b -U -w "$DIR/vlan5.pcap" 'vlan 5 and udp and inbound'
	local five=$PID
	dump all -i vale0:c -U -w "$DIR/all.pcap"
	local all=$PID
	for name in none five six five; do
		timeout 30 "$NMREPLAY" -f "$DIR/$name.pcap" -i vale0:tx --loops 1 -B 1M
	done
	wait_for 10 eval '[ "$(frames "$DIR/all.pcap")" = 4 ]'
	wait_for 10 eval '[ "$(frames "$DIR/any.pcap")" = 3 ]'
	wait_for 10 eval '[ "$(frames "$DIR/vlan5.pcap")" = 2 ]'
	for pid in "$any" "$five" "$all"; do
		stop "$pid"
	done
}

@test "a monitored port that goes away ends the capture with a sentence" {
	start_rx rx vale0:rx
	local rx=$PID
	dump td -i vale0:rx
	stop "$rx"
	wait_for 10 is_gone "$PID"
	grep -q 'vale0:rx has gone: the port that was monitored was closed' "$DIR/td.err"
	run -1 "$NM_PCAP" tcpdump -i vale0:rx/rt
	[[ $output == *'nobody has it open'* ]]
}

@test "what cannot be done on a monitor or a port of one's own says so" {
	start_rx rx vale0:rx
	run -0 "$NM_PCAP" "$PCAP_API" send vale0:rx
	[[ $output == *"monitored: nothing can be sent from it"* ]]
	run -1 "$NM_PCAP" tcpdump -i vale0:own -Q out
	[[ $output == *"this program's own port"* ]]
}

@test "-D lists ports behind the system's interfaces, and starts no netmapd" {
	start_rx rx vale0:listed
	run -0 "$NM_PCAP" tcpdump -D
	[[ $output == *'(netmap port of switch vale0, in use)'* ]]
	[[ $output == *lo*vale0:listed* ]]
	stop "$PID"
	UNETMAP_SOCKET="$DIR/none.sock" run -0 "$NM_PCAP" tcpdump -D
	[[ $output == *lo* && $output != *netmap* ]]
	[ ! -e "$DIR/none.sock" ]
}

# listed_soon COMMAND...: within ten seconds (opening a port would take twenty), though netmapd does not answer; what it says is in LISTED and WHY
listed_soon()
{
	local began=$EPOCHREALTIME

	timeout 60 "$@" >"$DIR/list.out" 2>"$DIR/list.err"
	awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { exit b - a > 10 }'
	LISTED=$(cat "$DIR/list.out")
	WHY=$(cat "$DIR/list.err")
}

@test "a list does not wait for a netmapd that is stopped, and says that it lacks ports" {
	start_rx rx vale0:rx
	kill -STOP "$NETMAPD_PID"
	listed_soon "$NM_PCAP" tcpdump -D
	[[ $LISTED == *lo* && $LISTED != *vale0* ]]
	[ "$WHY" = "nm-pcap: netmap ports are not listed: netmapd at $UNETMAP_SOCKET: it does not answer" ]
	listed_soon "$NM_EXTCAP" --extcap-interfaces
	[[ $LISTED == *'interface {value=netmap}{'* && $LISTED != *vale0* ]]
	[ "$WHY" = "nm-extcap: ports are not listed: netmapd at $UNETMAP_SOCKET: it does not answer" ]
	# Nor where so many wait in its queue that nobody else can connect.
	python3 -c 'import socket, sys, time
s = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK) for i in range(1000)]
try:
	for one in s: one.connect(sys.argv[1])
except BlockingIOError: print("full", flush=True)
time.sleep(100)' "$UNETMAP_SOCKET" >"$DIR/queue.out" 3>&- &
	PIDS+=("$!")
	wait_for 10 grep -q full "$DIR/queue.out"
	listed_soon "$NM_EXTCAP" --extcap-interfaces
	[[ $LISTED == *'interface {value=netmap}{'* && $WHY == *': it does not answer' ]]
	kill "${PIDS[-1]}"
	kill -CONT "$NETMAPD_PID"
}

@test "ports in namespaces are listed, recorded and opened by the names that they have" {
	local ns=unm-p-$$ port

	[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
	[ "$(id -u)" = 0 ] && ip netns add "$ns" 2>/dev/null || skip "needs root for a network namespace"
	OWN_NETNS=$ns
	ip -n "$ns" link add v0 up type veth peer name v1 || skip "no veth here"
	"$NMCTL" attach vale0 tap:by_path "netns=/run/netns/$ns"
	"$NMCTL" attach vale0 tap:by_name "netns=$ns"
	start_rx rx "netmap:v0%/run/netns/$ns"
	run -0 "$NM_PCAP" tcpdump -D
	for port in "vale0:tap:by_path%/run/netns/$ns" "vale0:tap:by_name@netns=$ns" "netmap:v0%/run/netns/$ns"; do
		[[ $output == *"$port (netmap port"* ]]
		start td 'listening on' "$NM_PCAP" tcpdump -Z root -i "$port" -c 1
		stop "$PID" INT
	done
	[[ $output != */r[t0-9]* ]]
	run -0 "$NM_EXTCAP" --extcap-interfaces
	[[ $output == *"{value=netmap:v0%25/run/netns/$ns}"* ]]
	# A file has what is recorded of all ports of the switch.
	start rec 'recording' "$NM_RECORD" -w "$DIR/auto" vale0:
	wait_for 10 eval '[ "$("$NM_RECORD" -j status | grep -o "\"recorded\":true" | wc -l)" = 2 ]'
	send vale0:b 5
	wait_for 10 eval '"$NM_RECORD" -j status | grep -q "\"kept_frames\":10,"'
	stop "$PID" TERM
	# Rings and flags with a namespace
	start td 'listening on' "$NM_PCAP" tcpdump -Z root -i "vale0:tap:by_name/t@netns=$ns" -c 1
	stop "$PID" INT
}

@test "dumpcap and tshark" {
	start dc 'File:' "$NM_PCAP" dumpcap -i vale0:a -c 3 -f 'udp port 9' -w "$DIR/dc.pcapng"
	send vale0:b 5 -d 10.1.0.1:10
	send vale0:b 3 -d 10.1.0.1:9
	finish "$PID"
	[ "$(frames "$DIR/dc.pcapng")" = 3 ]
	# tshark takes its time to start, on a busy machine more than start() gives it.
	start ts '' "$NM_PCAP" tshark -i vale0:a -c 3
	wait_for 60 eval '"$NMCTL" show ports vale0:a 2>/dev/null | grep -q vale0:a'
	send vale0:b 3
	finish "$PID" 60
	[ "$(grep -c 'UDP' "$DIR/ts.out")" = 3 ]
}

@test "capturing goes on when netmapd is killed" {
	dump td -i vale0:a -c 20 -w "$DIR/k.pcap"
	send vale0:b 10
	kill -KILL "$NETMAPD_PID"
	wait_for 10 is_gone "$NETMAPD_PID"
	send vale0:b 10 # starts another
	NETMAPD_PID=$("$NMCTL" -j show daemon | sed 's/.*"pid":\([0-9]*\).*/\1/')
	finish "$PID"
	[ "$(frames "$DIR/k.pcap")" = 20 ]
}

@test "a capture that gave up root's privileges is not waited for by the next netmapd" {
	local begin

	[ "$(id -u)" = 0 ] || skip "needs root, to give it up"
	start td 'listening on' "$NM_PCAP" tcpdump --immediate-mode -n -i vale0:a
	[ "$(awk '/^Uid:/ { print $2 }' "/proc/$PID/status")" != 0 ] || skip "this tcpdump keeps root's privileges"
	kill -KILL "$NETMAPD_PID"
	wait_for 10 is_gone "$NETMAPD_PID"
	begin=$SECONDS
	send vale0:b 1 # starts another
	((SECONDS - begin < 12))
	NETMAPD_PID=$("$NMCTL" -j show daemon | sed 's/.*"pid":\([0-9]*\).*/\1/')
}

@test "a capture that is killed leaves nothing behind" {
	dump td -i vale0:a
	kill -KILL "$PID"
	wait_for 10 eval '! "$NMCTL" show ports 2>/dev/null | grep -q vale0:a'
	dump td -i vale0:a -c 1
	send vale0:b 1
	finish "$PID"
}

@test "the interface behaves as the system's does on a veth pair, call by call" {
	local ns=unm-pcap-$$

	[ "$(id -u)" = 0 ] && ip netns add "$ns" 2>/dev/null || skip "needs root for a network namespace"
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	if ! ip -n "$ns" link add v0 up type veth peer name v1; then
		ip netns del "$ns"
		skip "no veth here"
	fi
	ip -n "$ns" link set v1 up
	timeout 60 ip netns exec "$ns" "$PCAP_API" v0 v1 >"$DIR/system" || :
	ip netns del "$ns"
	timeout 60 "$NM_PCAP" "$PCAP_API" vale0:a vale0:b >"$DIR/ours"
	diff "$DIR/system" "$DIR/ours"
	[ "$(wc -l <"$DIR/ours")" -gt 100 ]
}

@test "the time limit of a read is kept" {
	timeout 60 "$NM_PCAP" "$PCAP_API" vale0:a vale0:b timeouts >"$DIR/ours"
	sed -n '/^-- time limit/,$p' "$DIR/ours" >"$DIR/limit"
	[ "$(grep -c ' = 0$' "$DIR/limit")" = 2 ]
	[ "$(grep -c ' = 1$' "$DIR/limit")" = 3 ]
}

@test "names, filters and files that are wrong" {
	run -1 "$NM_PCAP" tcpdump -i vale0:
	[[ $output == *'vale0:'* ]]
	run -1 "$NM_PCAP" tcpdump -i netmap:a-
	[[ $output == *'cannot open netmap:a-'* ]]
	run -1 "$NM_PCAP" tcpdump -i vale0:a 'no such filter'
	[[ $output == *'syntax error'* ]]
	run -1 "$NM_PCAP" tcpdump -I -i vale0:a
	[[ $output == *'monitor mode'* ]]
	run -1 "$NM_PCAP" tcpdump -i no-such-interface
	[[ $output == *'no-such-interface'* && $output != *netmap* ]]
}

# tcpdump itself goes on without a word when a disk is full.
@test "a full disk ends dumpcap with its message" {
	[ "$(id -u)" = 0 ] || skip "needs root for a tmpfs"
	mkdir "$DIR/full"
	start full 'File:' unshare -m sh -c \
		"mount -t tmpfs -o size=64k none $DIR/full && exec $NM_PCAP dumpcap -i vale0:a -w $DIR/full/f.pcapng"
	send vale0:b 2000
	wait_for 10 is_gone "$PID"
	grep -qi 'space' "$DIR/full.err"
}

# That it says nothing is its own way; what matters is that it goes on, and that nobody else suffers.
@test "a full disk under tcpdump does not disturb the stream" {
	[ "$(id -u)" = 0 ] || skip "needs root for a tmpfs"
	mkdir "$DIR/full"
	start_rx rx vale0:rx
	local rx=$PID
	"$NMCTL" set vale0:rx lossless on
	start td 'listening on' unshare -m sh -c \
		"mount -t tmpfs -o size=64k none $DIR/full && exec $NM_PCAP tcpdump -Z root -n -U -i vale0:rx -w $DIR/full/f.pcap"
	send vale0:tx 50000
	wait_for 20 eval '"$NMCTL" -j show ports vale0:rx | grep -q "\"received\":50000"'
	kill -0 "$PID"
	stop "$PID" INT || :
	grep -q 'packets captured' "$DIR/td.err"
	stop "$rx" || :
	[ "$(received rx)" = 50000 ]
	run ! grep -q '"name":"vale0:rx/' <("$NMCTL" -j show ports)
}

# hello FILE: a capture of what two systems say first: Linux, Windows; and a frame that is none of p0f's
hello()
{
	python3 - "$1" <<-'END'
		import socket, struct, sys

		def words(data):
		    data += b"\0" * (len(data) % 2)
		    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
		    while total >> 16:
		        total = (total & 0xffff) + (total >> 16)
		    return total ^ 0xffff

		def frame(src, ttl, proto, body):
		    ends = socket.inet_aton(src) + socket.inet_aton("10.9.8.7")
		    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 77, 0x4000, ttl, proto, 0) + ends
		    ip = ip[:10] + struct.pack("!H", words(ip)) + ip[12:]
		    return bytes.fromhex("020000000002020000000001" "0800") + ip + body

		def syn(src, ttl, window, options):
		    tcp = struct.pack("!HHIIBBHHH", 40000, 80, 1, 0, (5 + len(options) // 4) << 4, 2, window, 0, 0) + options
		    pseudo = socket.inet_aton(src) + socket.inet_aton("10.9.8.7") + struct.pack("!HH", 6, len(tcp))
		    tcp = tcp[:16] + struct.pack("!H", words(pseudo + tcp)) + tcp[18:]
		    return frame(src, ttl, 6, tcp)

		mss, sok, nop = bytes.fromhex("020405b4"), bytes.fromhex("0402"), b"\1"
		frames = [
		    syn("10.1.0.1", 64, 29200, mss + sok + b"\x08\x0a" + struct.pack("!II", 5, 0) + nop + b"\3\3\7"),
		    syn("10.1.0.2", 128, 8192, mss + nop + b"\3\3\x08" + nop + nop + sok),
		    frame("10.1.0.3", 64, 17, struct.pack("!HHHH", 1, 2, 8, 0)),
		]
		with open(sys.argv[1], "wb") as f:
		    f.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
		    for i, data in enumerate(frames):
		        f.write(struct.pack("<IIII", i, 0, len(data), len(data)) + data)
	END
}

# recognises LOG: p0f has said whose the two first frames are
recognises()
{
	grep -q 'mod=syn|cli=10.1.0.1/40000|srv=10.9.8.7/80|subj=cli|os=Linux' "$1" &&
		grep -q 'mod=syn|cli=10.1.0.2/40000|srv=10.9.8.7/80|subj=cli|os=Windows 7' "$1"
}

# Its filter chooses TCP, so the third frame is none that it has processed.
@test "p0f knows systems by their first segments, on a port of its own and on one in use" {
	command -v p0f >/dev/null || skip "p0f is not installed"
	hello "$DIR/hello.pcap"
	start_rx rx vale0:rx
	local rx=$PID
	start own 'Entered main event loop' "$NM_PCAP" p0f -i vale0:own -o "$DIR/own.log"
	local own=$PID
	start watch 'Entered main event loop' "$NM_PCAP" p0f -i vale0:rx -o "$DIR/watch.log"
	local watch=$PID
	timeout 30 "$NMREPLAY" -f "$DIR/hello.pcap" -i vale0:tx --loops 1 -B 1M
	wait_for 10 recognises "$DIR/own.log"
	wait_for 10 recognises "$DIR/watch.log"
	stop "$own" || :
	stop "$watch" || :
	grep -q 'Processed 2 packets' "$DIR/own.out"
	grep -q 'Processed 2 packets' "$DIR/watch.out"
	stop "$rx"
	[ "$(received rx)" = 3 ]
}

# depth SLOTS [OPTION...]: a capture on a port of its own has so many
depth()
{
	dump td -i vale0:a "${@:2}"
	[ "$("$NMCTL" -j show ports vale0:a | sed 's/.*"rx_slots":\([0-9]*\).*/\1/')" -eq "$1" ]
	stop "$PID" INT || :
	wait_for 10 eval '! "$NMCTL" show ports 2>/dev/null | grep -q vale0:a'
}

# What a capture has if nobody says, in DEFAULT
default_depth()
{
	local kb

	DEFAULT=65536
	kb=$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)
	while [ $((DEFAULT * 2 * 32)) -gt "$kb" ]; do
		DEFAULT=$((DEFAULT / 2))
	done
}

@test "the depth of a capture follows its buffer size, as far as a ring goes" {
	default_depth
	depth 512 -B 64
	depth 16384 -B 2048
	depth 65536 -B 1000000
	depth "$DEFAULT"
}

@test "the rings of a port share what a capture takes" {
	default_depth
	start_rx user vale0:m@conf:rings=4
	dump td -i vale0:m
	"$NMCTL" -j show ports | python3 -c '
import json, sys
m = [p for p in json.load(sys.stdin)["ports"] if p["kind"] == "monitor"]
assert [p["rx_slots"] * p["rx_rings"] for p in m] == [int(sys.argv[1])], m' "$DEFAULT"
}

# Make a memory cgroup for BYTES; its directory is in CGROUP, which teardown() removes.
make_cgroup()
{
	local memory=/sys/fs/cgroup limit=memory.max

	if [ -d /sys/fs/cgroup/memory ]; then
		memory=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
	fi
	mkdir "$memory/unetmap-test-$$" 2>/dev/null || skip "memory cgroups can't be made here"
	CGROUP="$memory/unetmap-test-$$"
	echo "$1" 2>/dev/null >"$CGROUP/$limit" || skip "memory cgroups can't be limited here"
}

# A netmapd and a capture in the cgroup, and how deep the capture is
deep_in_cgroup()
{
	echo "$BASHPID" >"$CGROUP/cgroup.procs"
	export UNETMAP_SOCKET="$DIR/cgroup.sock" UNETMAP_NETMAPD="$NETMAPD"
	unset UNETMAP_NO_AUTOSTART
	timeout 20 "$NM_PCAP" tcpdump -Z root -n -i vale0:c -c 1 2>"$DIR/cgroup.err" >/dev/null &
	wait_for 10 grep -q 'listening on' "$DIR/cgroup.err"
	"$NMCTL" -j show ports vale0:c | sed 's/.*"rx_slots":\([0-9]*\).*/\1/'
	kill $!
	wait
	"$NMCTL" stop >/dev/null 2>&1 || : # it may have ended by itself, as nobody uses it
}

@test "in a memory cgroup that has no room for so many a capture has fewer, and netmapd lives" {
	make_cgroup 125829120
	run -0 --separate-stderr deep_in_cgroup
	[ "$output" -le 32768 ] && [ "$output" -ge 4096 ]
}

@test "where there is no memory for so many slots a capture has fewer" {
	"$NMCTL" isolate create small "socket=$DIR/small.sock" 'allow=vale0:*' memory=20M
	UNETMAP_SOCKET="$DIR/small.sock" dump td -i vale0:b
	[ "$("$NMCTL" -j show ports vale0:b | sed 's/.*"rx_slots":\([0-9]*\).*/\1/')" -eq 2048 ]
	# Its own port it may have; monitors it may not, and is told so where only that would do
	UNETMAP_SOCKET="$DIR/small.sock" run ! timeout 20 "$NM_PCAP" tcpdump -i vale0:b -c 1
	[[ $output == *"vale0:b/rt': monitors are not allowed by name"* ]]
	stop "$PID" INT || :
}
