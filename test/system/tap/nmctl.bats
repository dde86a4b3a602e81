#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: every command of nmctl does what its manual says, as text and as JSON that parses; what is set has its effect on
# traffic; rates are those of the traffic; wrong arguments, a missing netmapd and one that belongs to somebody else give the
# documented exit status and a text that says what to do.

load tap

start_rx()
{
	start "$1" 'Ready\.\.\.' "$PKT_GEN" -f rx -w 0 -i "${@:2}"
}

# All clients of the netmapd before have come back.
is_ready_again()
{
	[ "$(json "d['daemon'][0]['restoring']" show daemon)" = False ]
}

@test "bad arguments: a message, and exit status 2" {
	says 'a command is needed' 2
	says "there is no command 'frobnicate'" 2 frobnicate
	says 'show: too many words' 2 show ports a b
	says 'stats: too many words' 2 stats a b
	says 'create: too few words' 2 create
	says 'delete: too few words' 2 delete
	says 'attach: too few words' 2 attach vale0
	says 'only netns=NETNS, queues=N and host can follow' 2 attach vale0 tap:t0 foo=bar
	says 'only netns=NETNS, queues=N and host can follow' 2 attach vale0 up0 netns=a netns=b
	says 'only netns=NETNS, queues=N and host can follow' 2 attach vale0 tap:t0 queues=1 queues=2
	says 'detach: too few words' 2 detach vale0
	says 'only netns=NETNS can follow' 2 detach vale0 tap:t0 foo
	says 'set: too few words' 2 set vale0:a lossless
	says 'doctor: too many words' 2 doctor now
	says 'stop: too many words' 2 stop now
	says '-i' 2 -i 0 stats
	says '-i' 2 -i soon stats
	says '-n' 2 -n 0 stats
	says '-n' 2 -n -1 stats
	says "frob" 2 --frob show
	says 'usage: nmctl' 0 --help
	says 'nmctl (unetmap) ' 0 --version
	[ ! -e "$UNETMAP_SOCKET" ] # nobody was started for that
}

@test "no netmapd: said so, not started; create starts one" {
	for command in show stats 'delete p0' 'detach vale0 p0' 'set vale0 ageing 1' stop; do
		says "no netmapd answers at $UNETMAP_SOCKET" 1 $command
		[[ $output == *'start it with'* ]]
	done
	run nmctl doctor
	[[ $output == *'no netmapd answers'* && $output == *note*netmapd* ]]
	[ ! -e "$UNETMAP_SOCKET" ]
	nmctl create p0
	[ "$(json "[p['name'] for p in d['ports']]" show ports)" = "['p0']" ]
	nmctl delete p0
	nmctl -s "$UNETMAP_SOCKET" show daemon
	UNETMAP_SOCKET=/nonexistent nmctl -s "$UNETMAP_SOCKET" show daemon
}

@test "somebody else's netmapd" {
	[ "$(id -u)" -eq 0 ] || skip "being somebody else takes root"
	start_daemon
	chmod 755 "$DIR"
	refusal="you may not use the netmapd at $UNETMAP_SOCKET: run as its user, as root, or become a member of its group"
	says_other "$refusal" 1 show # the socket's mode
	chmod 777 "$UNETMAP_SOCKET"
	says_other "$refusal" 1 show # the peer's credentials
	says_other "$refusal" 1 set vale0 ageing 1
	says_other "$refusal" 1 stop
	says_other "$refusal" 1 doctor
	grep -q '^problem *netmapd' <<<"$output"
	nmctl show daemon
}

# As says, as another user. The program is copied to where that user may run it.
says_other()
{
	local text=$1 status=$2

	shift 2
	[ -e "$DIR/nmctl" ] || {
		cp "$BUILD/tools/nmctl/nmctl" "$DIR/nmctl"
		cp -L "$BUILD/src/client/libnetmap.so.1" "$DIR/"
	}
	LD_LIBRARY_PATH="$DIR" run "-$status" setpriv --reuid 65534 --regid 65534 --clear-groups "$DIR/nmctl" "$@"
	echo "$output"
	[[ $output == *"$text"* ]]
}

@test "create, attach, detach, delete" {
	start_daemon
	nmctl create p0 slots=256 rings=2
	[ "$(port_field p0 tx_slots)/$(port_field p0 rx_slots)/$(port_field p0 tx_rings)/$(port_field p0 rx_rings)" = 256/256/2/2 ]
	[ "$(port_field p0 persistent)" = True ]
	says "'p0' exists already" 1 create p0
	says "'lo' is the name of a network interface" 1 create lo
	says "'a:b': a persistent port's name has 1 to 15 characters" 2 create a:b
	says 'not a number' 2 create p1 slots=0x
	says 'not a number' 2 create p1 slots=
	says 'rings=1' 2 create p1 rings=65
	says 'rings=1' 2 create p1 colour=1
	says 'key=value' 2 create p1 slots
	says '1 to 15 characters' 2 create vale0:x
	says '1 to 15 characters' 2 create a-name-that-is-too-long
	says 'memory' 2 create p1 memory=4711
	nmctl create p1 memory="$(port_field p0 memory)"
	[ "$(port_field p1 memory)" = "$(port_field p0 memory)" ]
	nmctl attach vale0 p0
	[ "$(port_field vale0:p0 switch)" = vale0 ]
	says 'attached already' 1 attach vale0 p0
	nmctl attach vale1 p0
	says 'on two switches already' 1 attach vale2 p0
	says 'detach that one first' 1 detach vale0 p0
	nmctl detach vale1 p0
	says 'detach it first' 1 delete p0
	start_rx rx netmap:p0
	says 'detach it first' 1 delete p0
	stop "$PID" INT
	nmctl detach vale0 p0
	says 'there is no port' 1 detach vale0 p0
	nmctl delete p0
	says 'there is no persistent port' 1 delete p0
	start_rx rx vale0:a
	says 'there is no persistent port' 1 delete a
	[ "$(nmctl -j create p2)" = '{}' ]
	[ "$(json "sorted(p['name'] for p in d['ports'])" show ports)" = "['p1', 'p2', 'vale0:a']" ]
}

@test "show: each table as text and JSON, whole and for one name" {
	start_daemon
	start_rx a vale0:a
	a=$PID
	start_rx b vale1:b -C 512,512,2,2
	send vale0:a/T 1000 -S 02:00:00:00:00:07
	while read -r table head expr; do
		nmctl -j show "$table" | python3 -m json.tool >/dev/null
		nmctl show "$table" | grep -qe "$head"
		nmctl show all | grep -qe "$head"
		[ "$(json "$expr" show "$table")" = True ]
		[ "$(json "$expr" show all)" = True ]
	done <<-END
		daemon   ^netmapd.*pid.$DAEMON,  d['daemon'][0]['pid']==$DAEMON
		switches ^vale1.*1               sorted(s['name'] for s in d['switches'])==['vale0','vale1']
		ports    ^vale0:a.*1.00K         [p['sent'] for p in d['ports'] if p['name']=='vale0:a']==[1000]
		rings    ^vale1:b.*tx1           len([r for r in d['rings'] if r['port']=='vale1:b'])==4
		mac      02:00:00:00:00:07       [m['mac'] for m in d['mac']]==['02:00:00:00:00:07']
		memory   private                 any(m['kind']=='private' and m['buffers']['used']>=2048 for m in d['memory'])
		clients  $a.*pkt-gen.*vale0:a    any(c['pid']==$a and c['descriptors']==['vale0:a'] for c in d['clients'])
	END
	[ "$(json "[p['name'] for p in d['ports']]" show ports vale1)" = "['vale1:b']" ]
	[ "$(json "[p['name'] for p in d['ports']]" show ports vale1:b)" = "['vale1:b']" ]
	[ "$(json "{r['port'] for r in d['rings']}" show rings vale0:a)" = "{'vale0:a'}" ]
	[ "$(json "d['mac']" show mac vale1)" = '[]' ]
	[ "$(json "[p['name'] for p in d['ports']]" show ports vale1:)" = "['vale1:b']" ]
	[ "$(json "d['ports']" show ports nosuch)" = '[]' ]
	says "there is no port or switch 'nosuch'" 1 show ports netmap:nosuch
	says "there is no table 'weather'" 2 show weather
}

@test "counters tell why frames were dropped" {
	start_daemon
	start_rx slow vale0:slow
	slow=$PID
	kill -STOP "$slow"
	send vale0:x 5000
	[ "$(port_field vale0:slow received)" = 1023 ]
	[ "$(port_field vale0:slow missed)" = 3977 ]
	nmctl show ports | grep -q 'vale0:slow.* 1.02K *3.98K'
	run nmctl doctor
	[[ $output == *'3977 frames found its rings full'* ]]
	# The sender's own counters, while it is there
	start tx 'Sending' "$PKT_GEN" -i vale0:y -f tx -w 0 -R 1000
	wait_for 10 eval 'json "sum(p[\"dropped\"][\"rx_full\"] for p in d[\"ports\"] if p[\"name\"] == \"vale0:y\") > 0" show ports | grep -q True'
	nmctl show ports | grep -q 'dropped: rx_full [1-9]'
	kill -CONT "$slow"
	stop "$slow" INT
}

@test "set lossless: the sender waits for a slow receiver, and loses nothing" {
	start_daemon
	start_peer slow -p 200 vale0:slow 10.9.0.9
	slow=$PID
	says "there is no VALE port 'vale0:nosuch'" 1 set vale0:nosuch lossless on
	says "on or off, not 'maybe'" 2 set vale0:slow lossless maybe
	says "'colour' can't be set" 2 set vale0:slow colour red
	send vale0:x 4000
	[ "$(port_field vale0:slow missed)" -gt 0 ]
	nmctl set vale0:slow lossless on
	[ "$(port_field vale0:slow lossless)" = True ]
	nmctl show ports | grep -q 'vale0:slow.*lossless'
	before=$(port_field vale0:slow received) missed=$(port_field vale0:slow missed)
	send vale0:x 4000
	[ $(($(port_field vale0:slow received) - before)) -eq 4000 ]
	[ "$(port_field vale0:slow missed)" = "$missed" ]
	# It waited: 4000 frames, less what the rings hold, take the receiver 200 us each.
	seconds=$(sed -n 's/^Sent 4000 packets.* in \([0-9.]*\) seconds.*/\1/p' "$DIR/tx.out")
	awk "BEGIN { exit !($seconds > 0.2) }"
	nmctl set vale0:slow lossless off
	[ "$(port_field vale0:slow lossless)" = False ]
	send vale0:x 4000
	[ "$(port_field vale0:slow missed)" -gt "$missed" ]
	stop "$slow"
}

@test "set ageing: an address that was not heard is forgotten" {
	start_daemon
	start_rx a vale0:a
	start_rx b vale0:b
	says 'not a number from 0 to 400' 2 set vale0 ageing 401
	says "there is no switch 'vale7'" 1 set vale7 ageing 10
	send vale0:a/T 1 -S 02:00:00:00:00:07
	[ "$(json "[m['mac'] for m in d['mac']]" show mac)" = "['02:00:00:00:00:07']" ]
	nmctl set vale0 ageing 2
	[ "$(json "d['switches'][0]['ageing_s']" show switches)" = 2 ]
	wait_for 15 eval 'json "d[\"mac\"]" show mac | grep -qx "\[\]"'
	nmctl set vale0 ageing 0
	send vale0:a/T 1 -S 02:00:00:00:00:08
	nmctl show mac vale0 | grep -q 02:00:00:00:00:08
}

@test "stats: rates are those of the traffic" {
	start_daemon
	start_rx rx vale0:rx
	start tx 'Sending' "$PKT_GEN" -i vale0:tx -f tx -w 0 -R 20000 -l 100
	nmctl -j -i 1 -n 3 stats >"$DIR/stats"
	python3 - "$DIR/stats" <<-END
		import json, sys
		lines = [json.loads(line) for line in open(sys.argv[1])]
		assert len(lines) == 3, lines
		p = {q["name"]: q for q in lines[-1]["ports"]}
		rate = sum(q["sent_pps"] for l in lines for q in l["ports"] if q["name"] == "vale0:tx") / 3
		assert 14000 < rate < 22000, rate
		assert abs(p["vale0:rx"]["received_pps"] - p["vale0:tx"]["sent_pps"]) < 0.2 * rate, p
		assert abs(p["vale0:rx"]["received_bps"] / p["vale0:rx"]["received_pps"] - 800) < 1, p
		assert p["vale0:tx"]["received_pps"] == 0 and p["vale0:rx"]["sent_pps"] == 0, p
		assert lines[0]["seconds"] >= 1, lines
	END
	run -0 nmctl -i 200ms -n 2 stats vale0:rx
	[ "$(grep -c ^PORT <<<"$output")" = 2 ]
	[ "$(grep -c '^vale0:rx ' <<<"$output")" = 2 ]
	[ "$(grep -c '^vale0:tx ' <<<"$output")" = 0 ]
}

@test "doctor: findings, as text and JSON; exit status by problems" {
	start_daemon
	start_rx rx vale0:rx
	run nmctl doctor
	[ "$status" -eq 0 ]
	for what in kernel memfd memory CPUs TAP netmapd port socket; do
		grep -Eq "^(ok|note) +$what" <<<"$output"
	done
	[[ $output == *"pid $DAEMON, at $UNETMAP_SOCKET"* ]]
	[[ $output == *'vale0:rx: vale, memory'* ]]
	nmctl -j doctor | python3 -c 'import json, sys
d = json.load(sys.stdin)
assert all({"check", "status", "text", "remedy"} <= set(f) and f["status"] in ("ok", "note", "problem") for f in d), d
assert any(f["check"] == "netmapd" and f["status"] == "ok" for f in d), d'
	run prlimit --nofile=512:512 "$BUILD/tools/nmctl/nmctl" doctor
	[[ $output == *'at most 512 per process'* && $output == *'raise the hard limit'* ]]
	run prlimit --fsize=10485760 "$BUILD/tools/nmctl/nmctl" doctor
	[[ $output == *'ulimit -f unlimited'* ]]
}

has_problem()
{
	run nmctl doctor
	[ "$status" -eq 1 ]
}

@test "doctor: an attached TAP without its worker is a problem" {
	make_ns a
	nmctl attach vale0 tap:t0 "netns=$ns_a"
	port="vale0:tap:t0%$ns_a"
	run -0 nmctl doctor
	[[ $output == *"$port: vale"*"driven by a worker"* ]]
	# It is started again after a second, and later each time: in one of these pauses there is time to look.
	for ((i = 0; i < 4; i++)); do
		kill -KILL "$(worker_pid "$port")"
		! wait_for 2 has_problem || break
		wait_for 20 eval '[ "$(worker_pid "$port")" != 0 ]'
	done
	[ "$status" -eq 1 ]
	[[ $output == *"$port: its worker does not run"* && $output == *"see netmapd's log"* ]]
	wait_for 20 eval '[ "$(worker_pid "$port")" != 0 ]'
	run -0 nmctl doctor
}

@test "a persistent port survives netmapd, with what was set" {
	start_daemon
	nmctl create p0 slots=128 rings=3
	nmctl create p1
	nmctl attach vale0 p1
	nmctl set vale0:p1 lossless on
	nmctl stop
	finish "$DAEMON" 10
	start_daemon
	wait_for 20 is_ready_again
	[ "$(port_field p0 tx_slots)/$(port_field p0 rx_rings)" = 128/3 ]
	[ "$(port_field vale0:p1 lossless)" = True ]
	kill -KILL "$DAEMON"
	wait_for 5 is_gone "$DAEMON"
	start_daemon
	wait_for 20 is_ready_again
	start_rx rx netmap:p1 -n 100
	send vale0:x 100 -R 1000
	finish "$PID"
	nmctl delete p0
}

@test "set ageing survives netmapd, however it ends" {
	start_daemon
	start_rx rx vale0:rx
	nmctl set vale0 ageing 7
	nmctl stop
	finish "$DAEMON" 10
	start_daemon
	wait_for 20 is_ready_again
	[ "$(json "d['switches'][0]['ageing_s']" show switches)" = 7 ]
	nmctl set vale0 ageing 0
	DAEMON=$(daemon_pid) # the receiver may have been the first to start one
	kill -KILL "$DAEMON"
	wait_for 5 is_gone "$DAEMON"
	start_daemon
	wait_for 20 is_ready_again
	[ "$(json "d['switches'][0]['ageing_s']" show switches)" = 0 ]
}

@test "stop: netmapd ends, clients go on and find the next one" {
	start_daemon
	start_rx rx vale0:rx
	nmctl stop
	finish "$DAEMON" 10
	kill -0 "$PID"
	send vale0:x 100 # starts the next one, which gets the receiver handed back
	wait_for 10 eval '[ "$(port_field vale0:rx received)" = 100 ]'
	[ "$(daemon_pid)" != "$DAEMON" ]
}

has_receiver()
{
	[ "$(json "len([c for c in d['clients'] if c['pid'] == $PID and c['descriptors']])" show clients)" = 1 ]
}

@test "netmapd was killed: what changes something waits for its clients, as programs do" {
	start_daemon
	start_rx rx vale0:rx # comes back some 50 ms later
	nmctl create p0
	for change in 'create p1' 'attach vale0 p1' 'set vale0 ageing 9' 'link vale0:rx down' 'detach vale0 p1' 'delete p0'; do
		kill -KILL "$(daemon_pid)"
		nmctl $change
		has_receiver
	done
	kill -KILL "$(daemon_pid)"
	vale_ctl -n p2
	has_receiver
}
