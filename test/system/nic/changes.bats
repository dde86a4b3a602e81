#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: what happens to an open interface is seen by its port and its programs: carrier, down and up, a new name, another MTU, removal,
# another namespace, somebody else's XDP program; and the only way out of a host is not taken unasked.

load nic

opened()
{
	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	port="ma%$ns_m"
	start rx Ready "$PKT_GEN" -i "netmap:$port" -f rx -w 0 -W
}

is_so()
{
	[ "$("$1" "$2" "$3")" = "$4" ]
}

has_port()
{
	[ "$(json "len([p for p in d['ports'] if p['name'] == '$1'])" show ports)" -eq 1 ]
}

no_ports()
{
	[ "$(json "len([p for p in d['ports'] if not p['closing']])" show ports)" -eq 0 ]
}

@test "carrier, MTU and name" {
	opened
	ip -n "$ns_a" link set dev w0 down
	wait_for 5 is_so port_field "$port" link False
	ip -n "$ns_a" link set dev w0 up
	wait_for 5 is_so port_field "$port" link True
	ip -n "$ns_m" link set dev ma mtu 1400
	wait_for 5 is_so port_field "$port" max_frame 1418
	ip -n "$ns_m" link set dev ma name mz
	wait_for 5 has_port "mz%$ns_m"
	start tx Ready "$PKT_GEN" -i "netmap:w0%$ns_a" -f tx -w 0 -n 100
	wait_for 5 arrived "mz%$ns_m"
}

@test "queues that are added to an open interface are told of" {
	make_ns a m
	ip -n "$ns_a" link add w0 numtxqueues 1 numrxqueues 1 type veth peer name ma netns "$ns_m" numtxqueues 4 numrxqueues 4
	in_ns "$ns_m" ethtool -L ma rx 1 tx 1
	ip -n "$ns_a" link set dev w0 up
	ip -n "$ns_m" link set dev ma up
	port="ma%$ns_m"
	start rx Ready "$PKT_GEN" -i "netmap:$port" -f rx -w 0 -W
	[ "$(interface_field "$port" queues_without_ring)" -eq 0 ]
	in_ns "$ns_m" ethtool -L ma rx 4
	[ "$(interface_field "$port" queues_without_ring)" -eq 3 ]
	[[ "$(nmctl show ports)" == *'3 queues added since it was opened'* ]]
	[[ "$(nmctl doctor)" == *"$port: it has 3 more queues than when it was opened"*'open it again'* ]]
	in_ns "$ns_m" ethtool -L ma rx 1
	[ "$(interface_field "$port" queues_without_ring)" -eq 0 ]
}

@test "what becomes of other interfaces is not taken for its own" {
	local round

	opened
	for ((round = 0; round < 200; round++)); do
		echo "link add other type veth peer name another"
		echo "link del other"
	done >"$DIR/others"
	ip -n "$ns_m" -batch "$DIR/others"
	has_port "$port"
	[ "$(port_field "$port" link)" = True ]
	kill -0 "$PID" # of pkt-gen, which ends when its interface is down
}

arrived()
{
	[ "$(port_field "$1" received)" -ge 100 ]
}

@test "taken down, the rings stop; removed or moved, they end" {
	opened
	ip -n "$ns_m" link set dev ma down
	finish "$PID" 10 || :
	wait_for 5 no_ports
	ip -n "$ns_m" link set dev ma up
	start rx Ready "$PKT_GEN" -i "netmap:$port" -f rx -w 0 -W
	ip -n "$ns_m" link set dev ma netns "$ns_a"
	finish "$PID" 10 || :
	wait_for 5 no_ports
	start rx Ready "$PKT_GEN" -i "netmap:w0%$ns_a" -f rx -w 0 -W
	ip -n "$ns_a" link del w0
	finish "$PID" 10 || :
	wait_for 5 no_ports
}

bridge_is_up()
{
	grep -q "is up again" "$DIR/bridge.err" "$DIR/bridge.out"
}

@test "taken down and up: nm-bridge and a switch wait, and go on" {
	local before

	bridged
	start_bridge
	ping_from "$ns_a" 10.7.0.2
	ip -n "$ns_m" link set dev ma down
	wait_for 5 grep -q "is down" "$DIR/bridge.err" "$DIR/bridge.out"
	before=$(cpu_ticks "$BRIDGE")
	sleep 1
	[ $(($(cpu_ticks "$BRIDGE") - before)) -le 5 ]
	ip -n "$ns_m" link set dev ma up
	wait_for 5 bridge_is_up
	ping_from "$ns_a" 10.7.0.2
	stop "$BRIDGE"
	wait_for 5 no_ports
	nmctl attach vale0 "$end_a"
	nmctl attach vale0 "$end_b"
	ping_from "$ns_a" 10.7.0.2
	before=$(worker_pid "vale0:$end_a")
	ip -n "$ns_m" link set dev ma down
	in_ns "$ns_b" ping -q -c 2 -i 0.5 -W 1 10.7.0.1 && return 1
	ip -n "$ns_m" link set dev ma up
	in_ns "$ns_b" ping -q -c 1 -w 3 -i 0.2 10.7.0.1
	[ "$(worker_pid "vale0:$end_a")" -eq "$before" ]
}

# captured N: so many frames are in the file
captured()
{
	[ "$(tshark -r "$DIR/out.pcapng" 2>/dev/null | wc -l)" -eq "$1" ]
}

# hand_over N: so many frames come to nm-extcap at once, and most of them stay in its ring: nobody reads the FIFO
hand_over()
{
	kill -STOP "$READER" "$EXTCAP"
	rm -f "$DIR"/tx.*
	start tx Sent "$PKT_GEN" -i "netmap:w0%$ns_a" -f tx -w 0 -n "$1" -l 1000
	kill -CONT "$EXTCAP"
	wait_for 5 fifo_is_full
}

fifo_is_full()
{
	python3 -c 'import os, select, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
sys.exit(len(select.select([], [fd], [], 0)[1]))' "$DIR/fifo"
}

recorder()
{
	"$BUILD/tools/nm-record/nm-record" "$@" 3>&-
}

@test "taken down and up, and removed: nm-extcap and nm-record wait, and have all that came before" {
	local before port recorder status=0

	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	port="netmap:ma%$ns_m"
	mkfifo "$DIR/fifo"
	cat "$DIR/fifo" >"$DIR/out.pcapng" 3>&- &
	READER=$!
	start_daemon
	"$BUILD/tools/nm-extcap/nm-extcap" --extcap-interface="$port" --capture --fifo="$DIR/fifo" 2>"$DIR/extcap.err" 3>&- &
	EXTCAP=$!
	PIDS+=("$READER" "$EXTCAP")
	wait_for 10 test -s "$DIR/out.pcapng"
	start recorder recording "$BUILD/tools/nm-record/nm-record" -e port -w "$DIR/auto" "$port"
	recorder=$PID
	wait_for 10 eval 'recorder -j status | grep -q "\"recorded\":true"'
	hand_over 300
	ip -n "$ns_m" link set dev ma down
	kill -CONT "$READER"
	wait_for 10 captured 300
	before=$(($(cpu_ticks "$EXTCAP") + $(cpu_ticks "$recorder")))
	sleep 1
	[ $(($(cpu_ticks "$EXTCAP") + $(cpu_ticks "$recorder") - before)) -le 10 ]
	ip -n "$ns_m" link set dev ma up
	hand_over 300
	ip -n "$ns_m" link del dev ma
	kill -CONT "$READER"
	wait_for 10 is_gone "$EXTCAP"
	wait "$EXTCAP" || status=$?
	[ "$status" -eq 1 ]
	captured 600
	grep -q "$port has gone" "$DIR/extcap.err"
	wait_for 10 grep -q "wrote 600 frames" "$DIR/recorder.err"
}

# asks_for IF ROUTE: what carries the interface of the only default route is not opened, with that reason
asks_for()
{
	run timeout 10 "$PKT_GEN" -i "netmap:$1%$ns_m" -f tx -n 1 -w 0
	echo "$output"
	[[ $status -ne 0 && $output == *"carries $2, which has the only default route"*"nmctl set $1%$ns_m uplink yes"* ]]
}

opens()
{
	timeout 10 "$PKT_GEN" -i "netmap:$1%$ns_m" -f tx -n 1 -w 0
}

@test "the only default route is not taken unasked" {
	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	address "$ns_m" ma 10.7.0.2/24
	ip -n "$ns_m" route add default via 10.7.0.1
	run timeout 10 "$PKT_GEN" -i "netmap:ma%$ns_m" -f tx -n 1 -w 0
	[ "$status" -ne 0 ]
	[[ "$output" == *uplink* ]]
	nmctl set "ma%$ns_m" uplink yes
	start tx Sent "$PKT_GEN" -i "netmap:ma%$ns_m" -f tx -n 1 -w 0
}

@test "nor is what carries it: under a bridge, under a macvlan; what a guest is plugged into is not asked about" {
	local route=(route add default via 10.7.0.1)

	make_ns a m
	wire "$ns_a" w0 "$ns_m" out
	wire "$ns_a" w1 "$ns_m" guest
	ip -n "$ns_m" link add lan type bridge
	ip -n "$ns_m" link set out master lan
	ip -n "$ns_m" link set lan up
	ip -n "$ns_m" addr add 10.7.0.2/24 dev lan
	ip -n "$ns_m" "${route[@]}"
	asks_for out lan
	ip -n "$ns_m" link set guest master lan # now no port of the bridge is known to lead out
	opens out
	ip -n "$ns_m" link set out nomaster
	ip -n "$ns_m" link set guest nomaster
	ip -n "$ns_m" link add wire type ifb # as good as a device: no veth, no TAP
	ip -n "$ns_m" link set wire up
	ip -n "$ns_m" link set wire master lan
	ip -n "$ns_m" link set guest master lan
	asks_for wire lan
	opens guest
	ip -n "$ns_m" link del lan

	ip -n "$ns_m" link add link out name upper type macvlan
	ip -n "$ns_m" link set upper up
	ip -n "$ns_m" addr add 10.7.0.2/24 dev upper
	ip -n "$ns_m" "${route[@]}"
	asks_for out upper
	opens guest
	ip -n "$ns_m" route add default dev guest metric 9 # another way out
	opens out
}

@test "two XDP programs: the second is refused with the first one's name" {
	local object

	command -v xdp-loader >/dev/null || skip "xdp-loader is not installed"
	object=$(ls /usr/lib/*/bpf/xsk_def_xdp_prog.o 2>/dev/null | head -1)
	[ -n "$object" ] || skip "there is no XDP program to load"
	opened
	run in_ns "$ns_m" xdp-loader load -m native ma "$object"
	[ "$status" -ne 0 ]
	stop "$PID" || :
	wait_for 5 no_ports
	in_ns "$ns_m" xdp-loader load -m native ma "$object" || skip "xdp-loader can't load here"
	run timeout 10 "$PKT_GEN" -i "netmap:$port" -f tx -n 1 -w 0
	[ "$status" -ne 0 ]
	[[ "$output" == *"XDP program"*"nmctl set $port mode packet"* ]]
	nmctl set "$port" mode packet # what it says helps
	run timeout 10 "$PKT_GEN" -i "netmap:$port" -f tx -n 1 -w 0
	in_ns "$ns_m" xdp-loader unload -a ma || ip -n "$ns_m" link set dev ma xdp off
	[ "$status" -eq 0 ]
}

# away: vale0:ma is attached, and ma is no more
away()
{
	[ -n "${ns_m:-}" ] || make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	nmctl attach vale0 "ma%$ns_m"
	"$@"
	ip -n "$ns_m" link del dev ma
	wait_for 5 lacks_port "ma%$ns_m"
}

lacks_port()
{
	! has_port "$1"
}

@test "attached, polled and removed: polling can be ended, and so can the attachment" {
	(($(nproc) > 1)) || skip "polling leaves one core"
	away vale_ctl -p "vale0:ma%unm_${TAG}_m" -C 0,1
	vale_ctl -P "vale0:ma%$ns_m"
	run vale_ctl -P "vale0:ma%$ns_m"
	[[ $status = 1 && $output == *"its interface is not there now"* ]]
	vale_ctl -d "vale0:ma%$ns_m"
	away vale_ctl -p "vale0:ma%unm_${TAG}_m" -C 0,1
	vale_ctl -d "vale0:ma%$ns_m"
	no_ports
}

@test "a plain name that is away is still that of an interface" {
	make_ns m
	ip -n "$ns_m" link add name ma type veth peer name mb
	start_in "$ns_m" daemon 'serves at' "$UNETMAP_NETMAPD" --foreground
	nmctl attach vale0 ma
	ip -n "$ns_m" link del dev ma
	wait_for 10 grep -q "vale0:ma: its interface has gone; it is back" "$DIR/daemon.err"
	run ! grep "tap:" "$DIR/daemon.err"
	[ "$(port_field vale0:ma worker_pid)" -le 0 ] # none is started in vain
	ip -n "$ns_m" link add name ma type veth peer name mb
	wait_for 2 is_so port_field ma users 1
	ip -n "$ns_m" link del dev ma
	run nmctl create ma # is not for a persistent port meanwhile
	[[ $status -eq 1 && $output == *"'ma' is attached as 'vale0:ma'"* ]]
	nmctl detach vale0 ma
	no_ports
}

@test "a pipe of the name of one that is away: no TAP takes its place, and it is back on its switch" {
	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	start_in "$ns_m" daemon 'serves at' "$UNETMAP_NETMAPD" --foreground
	nmctl attach vale0 ma
	wait_for 2 is_so port_field ma users 1
	ip -n "$ns_m" link del dev ma
	wait_for 10 grep -q "vale0:ma: its interface has gone; it is back" "$DIR/daemon.err"
	start pipe 'ma{2' "$PKT_GEN" -f rx -w 0 -i 'netmap:ma{2'
	sleep 6 # it is looked for every five seconds
	run ! ip -n "$ns_m" link show dev ma
	ip -n "$ns_m" link add name ma type veth peer name mb
	wait_for 10 is_so port_field vale0:ma users 1
	[ "$(json "next(p for p in d['ports'] if p['name'] == 'ma' and p['kind'] == 'nic')['users']" show ports)" = 1 ]
	run ! grep "tap:" "$DIR/daemon.err"
	stop "$PID" INT
}

@test "attached and removed: its switch has it, and no other one gets it" {
	local name there

	away true
	ip -n "$ns_m" link add name other type veth peer name mb
	for there in no yes; do
		for name in "ma%$ns_m" "ma%/run/netns/$ns_m"; do
			run nmctl attach vale1 "$name"
			[ "$status" -eq 1 ]
			echo "$output"
			[[ $output == *"is attached "*"vale0"*"(nmctl detach vale0 ma%$ns_m)"* ]]
			[[ $there = yes || $output == *"'$name' is attached as 'vale0:ma%$ns_m'"* ]]
			run vale_ctl -a "vale1:$name"
			[[ $status -eq 1 && $output == *busy*"detach it first"* ]]
		done
		[ "$there" = no ] || continue
		wire "$ns_a" w0 "$ns_m" ma
		wait_for 5 is_so port_field "ma%$ns_m" users 1
	done
	nmctl attach vale1 "other%$ns_m"
	nmctl detach vale0 "ma%$ns_m"
	nmctl attach vale1 "ma%$ns_m"
	has_port "vale1:ma%$ns_m"
}

is_away()
{
	has_port "vale0:ma%$ns_m" && lacks_port "ma%$ns_m"
}

@test "attached and removed, netmapd dies: it is attached again when it is back" {
	start_daemon
	away true
	stop "$DAEMON" KILL || :
	start_daemon
	wait_for 10 is_away
	wire "$ns_a" w0 "$ns_m" ma
	wait_for 20 has_port "ma%$ns_m"
	nmctl stop # ends attachments
	start_daemon
	no_ports
}

# polled: ma is attached to vale0, and a worker polls it on both cores
polled()
{
	(($(nproc) > 1)) || skip "polling leaves one core"
	start_daemon
	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	nmctl attach vale0 "ma%$ns_m"
	vale_ctl -p "vale0:ma%$ns_m" -C 0,1
	wait_for 10 is_so port_field "ma%$ns_m" users 1
}

@test "how an interface is polled survives netmapd" {
	polled
	stop "$DAEMON" KILL || :
	start_daemon
	wait_for 10 has_port "ma%$ns_m"
	run vale_ctl -p "vale0:ma%$ns_m" -C 0,1
	[[ $status = 1 && $output == *"is polled already"* ]]
	vale_ctl -P "vale0:ma%$ns_m"
}

is_settled()
{
	[ "$(json "d['daemon'][0]['restoring']" show daemon)" = False ]
}

@test "so does how one is polled whose worker comes back late" {
	local worker

	polled
	worker=$(worker_pid "vale0:ma%$ns_m")
	kill -STOP "$worker"
	stop "$DAEMON" KILL || :
	start_daemon
	wait_for 20 is_settled
	lacks_port "ma%$ns_m"
	kill -CONT "$worker"
	wait_for 10 has_port "ma%$ns_m"
	[ "$(worker_pid "vale0:ma%$ns_m")" -eq "$worker" ]
	run vale_ctl -p "vale0:ma%$ns_m" -C 0,1
	[[ $status = 1 && $output == *"is polled already"* ]]
	vale_ctl -P "vale0:ma%$ns_m"
}

# tags_are on|off: does the driver of ma take VLAN tags out of frames?
tags_are()
{
	in_ns "$ns_m" ethtool -k ma | grep -q "^rx-vlan-offload: $1"
}

# left_behind: RX has ma open and is stopped; netmapd is another one, which does not wait for it any more
left_behind()
{
	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	tags_are on || skip "the driver of veth takes no tags out of frames"
	start_daemon
	start rx Ready "$PKT_GEN" -i "netmap:ma%$ns_m" -f rx -w 0
	RX=$PID
	tags_are off
	kill -STOP "$RX"
	stop "$DAEMON" KILL || :
	start_daemon
	wait_for 20 is_settled
	tags_are off
}

@test "who is stopped over a restart keeps its interface as it was, and is named" {
	left_behind
	[ "$(json "[(c['pid'], c['program'], c['stopped']) for c in d['daemon'][0]['late_clients']]" show daemon)" = \
		"[($RX, 'pkt-gen', True)]" ]
	[[ $(nmctl show daemon) == *"pkt-gen, pid $RX, stopped: not back"* ]]
	[[ $(nmctl doctor) == *"pid $RX, which is stopped, has not come back"* ]]
	run timeout 20 "$PKT_GEN" -i "netmap:ma%$ns_m" -f rx -w 0 -n 1
	[[ $status -ne 0 && $output == *"process $RX: kill -CONT $RX"* && $output != *"mode packet"* ]]
	# opened in another way meanwhile, and closed again
	nmctl set "ma%$ns_m" mode packet
	start other Ready "$PKT_GEN" -i "netmap:ma%$ns_m" -f rx -w 0
	stop "$PID" INT || :
	wait_for 10 lacks_port "ma%$ns_m"
	tags_are off
	kill -CONT "$RX"
	wait_for 10 has_port "ma%$ns_m"
	wait_for 10 is_settled
	[ "$(json "d['daemon'][0]['late_clients']" show daemon)" = '[]' ]
	tags_are off
	stop "$RX" INT || :
	wait_for 10 tags_are on
}

@test "who is stopped over two restarts and ends: its interface's offloads are on again at once" {
	left_behind
	stop "$DAEMON" KILL || :
	start_daemon
	wait_for 20 is_settled
	tags_are off
	kill -KILL "$RX"
	wait_for 5 tags_are on
	[ "$(json "d['daemon'][0]['late_clients']" show daemon)" = '[]' ]
	run timeout 20 "$PKT_GEN" -i "netmap:ma%$ns_m" -f tx -w 0 -n 1
	[ "$status" -eq 0 ]
}

# flap: ma is taken away, and comes back
flap()
{
	ip -n "$ns_m" link del dev ma
	sleep 0.2
	wire "$ns_a" w0 "$ns_m" ma
}

n_starts()
{
	grep -c "its interface has gone; it is back" "$DIR/daemon.err" || :
}

both_run()
{
	[ "$(port_field "ma%$ns_m" users)" = 1 ] && [ "$(port_field "tap:ma^%$ns_m" users)" = 1 ]
}

@test "attached with its host's side, removed and back again and again: on its switch within two seconds each time" {
	local round

	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	start_daemon
	nmctl attach vale0 "ma%$ns_m" host
	wait_for 5 both_run
	for round in 1 2 3 4 5 6; do
		flap
		wait_for 2 both_run
	done
	run ! grep -e "another one in" -e "virtio-net" "$DIR/daemon.err"
	grep -q "vale0:ma^%$ns_m: its interface has gone" "$DIR/daemon.err"
	address "$ns_a" w0 10.7.0.1/24
	address "$ns_m" ma 10.7.0.2/24
	ping_from "$ns_a" 10.7.0.2
	# its worker is one that crashes all the same
	kill -KILL "$(worker_pid "vale0:ma%$ns_m")"
	wait_for 5 grep -q "vale0:ma%$ns_m: its nm-worker has ended (SIGKILL); another one in 1 s" "$DIR/daemon.err"
	wait_for 5 both_run
	kill -KILL "$(worker_pid "vale0:ma%$ns_m")"
	wait_for 5 grep -q "vale0:ma%$ns_m: its nm-worker has ended (SIGKILL); another one in 2 s" "$DIR/daemon.err"
	wait_for 5 both_run
}

@test "its namespace is made anew by the same name: it is on its switch" {
	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	start_daemon
	nmctl attach vale0 "ma%$ns_m"
	wait_for 5 is_so port_field "ma%$ns_m" users 1
	ip -n "$ns_m" link del dev ma
	wait_for 5 lacks_port "ma%$ns_m"
	ip netns del "$ns_m"
	ip netns add "$ns_m"
	wire "$ns_a" w0 "$ns_m" ma
	wait_for 10 is_so port_field "ma%$ns_m" users 1
}

@test "flapping all the time: workers come at a bounded rate, and it is on its switch afterwards" {
	local before end n

	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	start_daemon
	nmctl attach vale0 "ma%$ns_m"
	wait_for 5 is_so port_field "ma%$ns_m" users 1
	printf 'link del dev ma\nlink add name ma type veth peer name w0\n%.0s' {1..500} >"$DIR/batch"
	before=$(cpu_ticks "$DAEMON")
	SECONDS=0
	ip -n "$ns_m" -batch "$DIR/batch"
	end=$SECONDS
	n=$(n_starts)
	echo "# 500 times in $end s: $n ends, $(($(cpu_ticks "$DAEMON") - before)) ticks" >&3
	[ "$n" -le $((2 * end + 4)) ]
	wait_for 5 is_so port_field "ma%$ns_m" users 1
}
