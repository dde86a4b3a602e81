#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: nm-lb takes each flow to one pipe, both directions to the same, none is lost and none
# overtaken; groups are visited one after the other; packets wait in extra buffers while a consumer
# is slow or absent, and all of these buffers are given back; reports are JSON with the documented
# members; it sleeps when idle and spins with -W; ends with its last line when told to; names what it
# cannot open; and consumers may come, go and be killed.
#
# Packets come through a pipe, which loses none, and there are no more of them than buffers where
# none may be dropped. So all counts are exact, however busy the machine.

load tools/tools

N_FLOWS=99

# send_flows COUNT [ARG...]: COUNT packets, the flows in turn
send_flows()
{
	local count=$1

	shift
	send 'netmap:in{1' "$count" -s 10.0.0.1:1000-10.0.0.$N_FLOWS:1000 -d 10.1.0.1:80 "$@"
}

# send_flows_back COUNT: the same flows in the other direction
send_flows_back()
{
	send 'netmap:in{1' "$1" -d 10.0.0.1:1000-10.0.0.$N_FLOWS:1000 -s 10.1.0.1:80
}

# last_line: what nm-lb said at its end
last_line()
{
	tail -n 1 "$DIR/lb.out"
}

# report OUTPUT_RING MEMBER: of the last report, "None" is the line of all pipes
report()
{
	python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1]) if line.startswith("{")]
print([o for o in lines if str(o["output_ring"]) == sys.argv[2]][-1][sys.argv[3]])' "$DIR/lb.out" "$@"
}

# report_is OUTPUT_RING MEMBER VALUE
report_is()
{
	[ "$(report "$1" "$2" 2>/dev/null)" = "$3" ]
}

# write_arp FILE: a capture with one ARP request
write_arp()
{
	python3 -c '
import struct, sys
arp = bytes(6 * [255] + [2, 0, 0, 0, 0, 1]) + struct.pack(">HHHBBH", 0x806, 1, 0x800, 6, 4, 1) + bytes(38)
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    f.write(struct.pack("<IIII", 0, 0, len(arp), len(arp)) + arp)' "$1"
}

# lb_has_received COUNT: all packets have been distributed (nm-lb -o 1)
lb_has_received()
{
	wait_for 20 report_is None packets_received "$1"
}

@test "every flow has its pipe, the same for both directions and in every run" {
	local direction first

	for direction in send_flows send_flows_back send_flows; do
		start_lb -i 'netmap:in}1' -p out:3 -o 1
		# 33 flows of 10 packets a pipe: all find room, and are read afterwards.
		$direction $((N_FLOWS * 10))
		lb_has_received $((N_FLOWS * 10))
		for k in 0 1 2; do
			got[k]=$(report "$k" packets_forwarded)
			start_rx rx "netmap:out}$k" -n "${got[k]}"
			finish "$PID"
			# Whole flows only, and no pipe goes without.
			[ $((got[k] % 10)) -eq 0 ]
			[ "${got[k]}" -gt 0 ]
		done
		stop "$LB_PID"
		[ "$(last_line)" = '990 packets forwarded.  0 packets dropped. Total 990' ]
		[ -z "$first" ] && first=${got[*]}
		[ "${got[*]}" = "$first" ]
	done
}

@test "full load: nothing is lost, order is kept" {
	start_lb -i 'netmap:in}1' -p out:1 -B 100000
	start rx 'Ready\.\.\.' "$PKT_GEN" -i 'netmap:out}0' -f rxseq -w 0 -n 100000
	timeout 30 "$PKT_GEN" -i 'netmap:in{1' -f txseq -w 0 -n 100000
	finish "$PID"
	run ! grep 'Sequence GAP' "$DIR/rx.err"
	stop "$LB_PID"
	[ "$(last_line)" = '100000 packets forwarded.  0 packets dropped. Total 100000' ]
}

@test "groups: each packet visits one pipe of each, in turn" {
	start_lb -i 'netmap:in}1' -p a:2 -p b:1 -B 50000
	start_rx a0 'netmap:a}0'
	a0=$PID
	start_rx a1 'netmap:a}1'
	a1=$PID
	start_rx b0 'netmap:b}0' -n $((N_FLOWS * 300))
	send_flows $((N_FLOWS * 300))
	finish "$PID"
	stop "$a0"
	stop "$a1"
	[ $(($(received a0) + $(received a1))) -eq $((N_FLOWS * 300)) ]
	stop "$LB_PID"
	[ "$(last_line)" = '59400 packets forwarded.  0 packets dropped. Total 59400' ]
}

@test "groups of the same name share the numbers" {
	start_lb -i 'netmap:in}1' -p 'a:2' -p 'a:1'
	grep -q 'opened netmap:a{2/xT@' "$DIR/lb.err"
	start_lb -i vale0:x -p 1
	grep -q 'opened vale0:x{0/xT@' "$DIR/lb.err"
}

@test "an absent consumer: packets wait, in order, and then all arrive" {
	start_lb -i 'netmap:in}1' -p out:1 -B 5000 -o 1
	timeout 30 "$PKT_GEN" -i 'netmap:in{1' -f txseq -w 0 -n 6000
	wait_for 10 report_is 0 overflow_queue_size 4977
	report_is None free_buffer_slots 23
	start rx 'Ready\.\.\.' "$PKT_GEN" -i 'netmap:out}0' -f rxseq -w 0 -n 6000
	finish "$PID"
	run ! grep 'Sequence GAP' "$DIR/rx.err"
	wait_for 10 report_is None free_buffer_slots 5000
	stop "$LB_PID"
	[ "$(last_line)" = '6000 packets forwarded.  0 packets dropped. Total 6000' ]
}

@test "no consumer and no buffers: what does not fit is dropped and counted" {
	start_lb -i 'netmap:in}1' -p out:1 -o 1
	send_flows 5000
	lb_has_received 5000
	stop "$LB_PID"
	[ "$(last_line)" = '1023 packets forwarded.  3977 packets dropped. Total 5000' ]
}

# send_flow HOST COUNT: one flow only. That of host 2 belongs to pipe 0 of two, that of host 1 to pipe 1
send_flow()
{
	send 'netmap:in{1' "$2" -s "10.0.0.$1:1000" -d 10.1.0.1:80
}

@test "out of buffers: the longest queue pays, with its oldest packets" {
	start_lb -i 'netmap:in}1' -p out:2 -B 1000 -o 1
	# A ring takes 1023, the buffers 1000 more, for which the 977 before them go.
	send_flow 2 3000
	lb_has_received 3000
	report_is 0 packets_dropped 977
	report_is 0 overflow_queue_size 1000
	# 77 of these need buffers, and get them from the other queue.
	send_flow 1 1100
	lb_has_received 4100
	report_is 1 packets_dropped 0
	report_is 1 overflow_queue_size 77
	report_is 0 packets_dropped $((977 + 77))
	report_is 0 overflow_queue_size $((1000 - 77))
	report_is None free_buffer_slots 0
	# Whoever reads now gets all the rest.
	start_rx rx1 'netmap:out}1' -n 1100
	finish "$PID"
	start_rx rx0 'netmap:out}0' -n 1946
	finish "$PID"
	stop "$LB_PID"
	[ "$(last_line)" = '3046 packets forwarded.  1054 packets dropped. Total 4100' ]
}

# buffers_used: in the region that pipes share
buffers_used()
{
	"$NMCTL" -j show memory | python3 -c '
import json, sys
print([r["buffers"]["used"] for r in json.load(sys.stdin)["memory"] if r["id"] == 1][0])'
}

buffers_used_are()
{
	[ "$(buffers_used)" -eq "$1" ]
}

@test "all extra buffers are given back" {
	local before

	# This pipe keeps the region in use, or its buffers would come back in any case.
	start_rx keeper 'netmap:keeper}0'
	before=$(buffers_used)
	for _ in 1 2 3; do
		start_lb -i 'netmap:in}1' -p out:2 -B 20000
		grep -q 'obtained 20000 extra buffers of 20000' "$DIR/lb.err"
		[ "$(buffers_used)" -ge $((before + 20000)) ]
		start_rx rx 'netmap:out}0'
		send_flows 9900
		stop "$LB_PID" # with packets in the queue of pipe 1
		stop "$PID"
		wait_for 5 buffers_used_are "$before"
	done
}

@test "killed: everything can be opened again, and has as many buffers" {
	for _ in 1 2 3; do
		start_lb -i 'netmap:in}1' -p out:2 -B 20000
		grep -q 'obtained 20000 extra buffers of 20000' "$DIR/lb.err"
		send_flows 9900
		kill -KILL "$LB_PID"
		wait_for 5 is_gone "$LB_PID"
	done
}

@test "consumers are killed and come back: it goes on forwarding" {
	start_lb -i 'netmap:in}1' -p out:1 -B 50000 -o 1
	for _ in 1 2 3; do
		start_rx rx 'netmap:out}0'
		send_flows 2000
		kill -KILL "$PID"
		wait_for 5 is_gone "$PID"
	done
	# Those that arrive now are read by the next one.
	send_flows 1000
	start_rx rx 'netmap:out}0'
	wait_for 10 report_is 0 packets_forwarded 7000
	stop "$LB_PID"
	[ "$(last_line)" = '7000 packets forwarded.  0 packets dropped. Total 7000' ]
}

@test "packets of many slots stay whole" {
	start_lb -i 'netmap:in}1' -p out:1 -B 5000
	"$REPLAY_PEER" make "$DIR/sent.pcap" ns 300 100 60 9000
	start sink ready "$REPLAY_PEER" sink 'netmap:out}0' "$DIR/got.pcap" 300 30
	run -0 timeout 30 "$NMREPLAY" -f "$DIR/sent.pcap" -i 'netmap:in{1' --loops 1
	finish "$PID"
	run -0 "$REPLAY_PEER" compare "$DIR/sent.pcap" "$DIR/got.pcap" 1
}

@test "a VALE port as source" {
	start_lb -i vale0:lb -p 2 -o 1
	start_rx rx0 'vale0:lb}0'
	rx0=$PID
	start_rx rx1 'vale0:lb}1'
	send vale0:x 990 -R 10000 -s 10.0.0.1:1000-10.0.0.$N_FLOWS:1000
	lb_has_received 990
	stop "$LB_PID"
	[ "$(last_line)" = '990 packets forwarded.  0 packets dropped. Total 990' ]
	stop "$PID"
	stop "$rx0"
	[ $(($(received rx0) + $(received rx1))) -eq 990 ]
}

@test "-o: JSON lines with the documented members, rates and non-IP packets" {
	write_arp "$DIR/arp.pcap"
	start_lb -i 'netmap:in}1' -p out:2 -o 1
	start_rx rx0 'netmap:out}0'
	start_rx rx1 'netmap:out}1'
	wait_for 10 report_is None packets_received 0
	send_flows 990
	send 'netmap:in{1' 7 -P "$DIR/arp.pcap"
	lb_has_received 997
	report_is None non_ip_packets 7
	stop "$LB_PID"
	python3 - "$DIR/lb.out" <<-'PYTHON'
		import json, sys, time

		common = {"ts", "interface", "output_ring", "packets_forwarded", "packets_dropped",
		          "data_forward_rate_Mbps", "data_drop_rate_Mbps", "packet_forward_rate_kpps",
		          "packet_drop_rate_kpps"}
		lines = [json.loads(l) for l in open(sys.argv[1]) if l.startswith("{")]
		assert len(lines) % 3 == 0
		for i, l in enumerate(lines):
		    if i % 3 < 2:
		        assert set(l) == common | {"overflow_queue_size"}, l
		        assert l["interface"] == "out" and l["output_ring"] == i % 3, l
		    else:
		        assert set(l) == common | {"packets_received", "non_ip_packets", "free_buffer_slots"}, l
		        assert l["interface"] == "in" and l["output_ring"] is None, l
		    assert abs(l["ts"] - time.time()) < 60, l
		# Rates, each over the time since the report before, add up to what was forwarded.
		all_pipes = lines[2::3]
		total = sum(l["packet_forward_rate_kpps"] * 1000 * (l["ts"] - before["ts"])
		            for before, l in zip(all_pipes, all_pipes[1:]))
		assert 900 < total < 1100, total
	PYTHON
}

@test "-s: the same to syslog" {
	unshare -m mount -t tmpfs none /dev || skip "no mount namespace for a syslog of our own"
	python3 - "$DIR/log" >"$DIR/syslog" <<-'PYTHON' 3>&- &
		import socket, sys

		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		s.settimeout(30)
		while True:
		    print(s.recv(65536).decode(), flush=True)
	PYTHON
	PIDS+=($!)
	wait_for 5 test -S "$DIR/log"
	start lb 'Ready, ' unshare -m sh -c 'mount -t tmpfs none /dev && ln -s "$1" /dev/log && shift && exec "$@"' sh \
		"$DIR/log" "$LB" -w 0 -i vale0:lb -p out:1 -s 1
	wait_for 10 grep -q 'nm-lb\[[0-9]*\]: {"ts":.*"interface":"vale0:lb","output_ring":null' "$DIR/syslog"
	grep -q '"interface":"out","output_ring":0' "$DIR/syslog"
}

# has_used PID TICKS: of CPU time, or more
has_used()
{
	[ "$(cpu_ticks "$1")" -ge "$2" ]
}

@test "idle: asleep; with -W: awake, and forwarding all the same" {
	start_lb -i 'netmap:in}1' -p out:1
	before=$(cpu_ticks "$LB_PID")
	sleep 1
	[ $(($(cpu_ticks "$LB_PID") - before)) -le 1 ]
	stop "$LB_PID" TERM
	start_lb -i 'netmap:in}1' -p out:1 -W
	start_rx rx 'netmap:out}0' -n 990
	send_flows 990
	finish "$PID"
	wait_for 10 has_used "$LB_PID" 5
	stop "$LB_PID"
	[ "$(last_line)" = '990 packets forwarded.  0 packets dropped. Total 990' ]
}

@test "packets that nobody reads do not keep it awake" {
	start_lb -i 'netmap:in}1' -p a:1 -p b:1 -B 1000
	send_flows 1500
	sleep 0.5
	before=$(cpu_ticks "$LB_PID")
	sleep 1
	[ $(($(cpu_ticks "$LB_PID") - before)) -le 1 ]
}

@test "what cannot be opened is named" {
	run -1 "$LB" -w 0 -i netmap:nosuch0
	[[ $output == *'cannot open netmap:nosuch0: No such device or address'* ]]
	start_lb -i 'netmap:in}1' -p out:2
	run -1 "$LB" -w 0 -i vale0:other -p out:1
	[[ $output == *'cannot open netmap:out{0/xT@'* ]]
	run -1 "$LB" -w 0 -i 'netmap:in2}1' -p out:1
	[[ $output == *'cannot open netmap:out{0/xT@'*'another program has this end of the pipe'* ]]
	# A pipe that lives in another region than the port.
	start_rx rx 'vale5:y}0'
	run -1 "$LB" -w 0 -i 'netmap:in3}1' -p vale5:y:1
	[[ $output == *'vale5:y{0'* ]]
	start_rx headers vale6:h -H 12
	run -1 "$LB" -w 0 -i vale6:h
	[[ $output == *'it carries virtio-net headers'* ]]
	run -2 "$LB"
	[[ $output == *'-i PORT is missing'* ]]
}

@test "a full disk, or nobody, behind standard output ends it" {
	run -1 timeout 20 sh -c 'exec "$0" -w 0 -i vale0:x -o 1 >/dev/full' "$LB"
	[[ $output == *'cannot write to standard output'* ]]
	# A reader that goes away is the same, and not a silent death.
	run -0 timeout 20 sh -c '{ "$0" -w 0 -i vale0:x -o 1; echo "status $?" >&2; } | true' "$LB"
	[[ $output == *'cannot write to standard output'*'status 1'* ]]
}
