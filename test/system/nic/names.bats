#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: an interface is one port, whatever its namespace or itself is called by those who open, watch, attach, ask for and set it, and
# a name is that of the interface which has it now, whatever was renamed since.

load nic

# called: ma in ns_m, which a process holds too and which has another name, mc0
called()
{
	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	ip netns exec "$ns_m" sleep 300 3>&- &
	HOLDER=$!
	PIDS+=("$HOLDER")
	wait_for 5 holds
	ip -n "$ns_m" link property add dev ma altname mc0
	by_name="ma%$ns_m" by_pid="ma%pid:$HOLDER" by_path="ma%/run/netns/$ns_m"
}

holds()
{
	[ "/proc/$HOLDER/ns/net" -ef "/run/netns/$ns_m" ]
}

# listen NAME SPEC...
listen()
{
	start "$1" Ready "$PKT_GEN" -i "$2" -f rx -w 0 -W
}

n_ports()
{
	json "len([p for p in d['ports'] if p['kind'] == 'nic'])" show ports
}

has_ports()
{
	[ "$(n_ports)" -eq "$1" ]
}

gro_is()
{
	in_ns "$ns_m" ethtool -k ma | grep -q "^generic-receive-offload: $1"
}

@test "opened by several names it is one port" {
	local first

	called
	in_ns "$ns_m" ethtool -K ma gro on
	"$UNETMAP_NETMAPD" --autostart 3>&-
	nmctl set "$by_name" mode packet
	listen first "netmap:$by_pid"
	first=$PID
	[ "$(interface_field "$by_pid" mode)" = packet ]
	gro_is off
	listen second "netmap:$by_name"
	listen third "netmap:ma@netns=/run/netns/$ns_m"
	[ "$(n_ports)" -eq 1 ]
	[ "$(json "d['ports'][0]['users']" show ports)" -eq 3 ]
	[ "$(json "d['ports'][0]['name']" show ports "$by_name")" = "$by_pid" ]
	listen monitor "netmap:$by_name/rt"
	run timeout 20 "$PKT_GEN" -i "netmap:$by_name/x" -f rx -w 0
	[[ $status -ne 0 && $output == *"busy"* ]]
	[[ $output != *"XDP program"* ]]
	run nmctl attach vale0 "$by_path"
	[[ $status -ne 0 && $output == *"$by_pid' is open"* ]]
	stop "$first" INT || :
	has_ports 1
	gro_is off
	for first in "${PIDS[@]:2}"; do
		stop "$first" INT || :
	done
	wait_for 5 has_ports 0
	gro_is on
}

@test "exclusive by one name is exclusive by all" {
	called
	listen first "netmap:$by_name/x"
	run timeout 20 "$PKT_GEN" -i "netmap:$by_pid" -f rx -w 0
	[[ $status -ne 0 && $output == *"busy"* ]]
	[ "$(n_ports)" -eq 1 ]
}

@test "attached by one name, detached by another" {
	called
	address "$ns_a" w0 10.7.0.1/24
	nmctl attach vale0 "$by_path"
	run nmctl attach vale0 "$by_pid"
	[[ $status -ne 0 && $output == *"attached already"* ]]
	run timeout 20 "$PKT_GEN" -i "netmap:$by_name" -f rx -w 0
	[[ $status -ne 0 && $output == *busy* ]]
	nmctl detach vale0 "$by_name"
	wait_for 5 has_ports 0
}

@test "what is set by one name holds for all, and the last word counts" {
	called
	"$UNETMAP_NETMAPD" --autostart 3>&-
	nmctl set "$by_pid" mode packet
	listen rx "netmap:$by_name"
	[ "$(interface_field "$by_name" mode)" = packet ]
	stop "$PID" INT || :
	wait_for 5 has_ports 0
	nmctl set "$by_path" mode xdp-generic
	rm -f "$DIR"/rx.*
	listen rx "netmap:$by_pid"
	[ "$(interface_field "$by_pid" mode)" = xdp-generic ]
	listen alias "netmap:mc0%$ns_m"
	[ "$(n_ports)" -eq 1 ]
}

@test "settings of interfaces are few, and default forgets one" {
	local i

	for i in $(seq 256); do
		nmctl set "no$i" mode xdp 2>/dev/null
	done
	run -1 nmctl set no257 uplink yes
	[[ "$output" == *"settings for 256 interfaces"*"mode default"* ]]
	nmctl set no7 mode packet 2>/dev/null
	nmctl set no8 uplink yes 2>/dev/null
	nmctl set no8 mode default
	run -1 nmctl set no257 uplink yes
	run -0 nmctl set no8 uplink default
	[ -z "$output" ]
	nmctl set no257 uplink yes 2>/dev/null
	run -2 nmctl set no257 mode fast
	[[ "$output" == *"'fast' is no mode"* ]]
	[ "$(grep -c '^interface ' "$UNETMAP_SOCKET.state")" -eq 256 ]
	nmctl stop
}

@test "nmctl set starts netmapd, takes netmap:, and tells what there is not" {
	called
	nmctl set "netmap:$by_name" mode packet 2>"$DIR/set.err"
	[ ! -s "$DIR/set.err" ]
	nmctl set "netmap:mz%$ns_m" mode packet 2>"$DIR/set.err"
	grep -q "'mz%$ns_m': no such interface now; kept for when it comes" "$DIR/set.err"
	nmctl stop
	nmctl set nosuch0 uplink no 2>"$DIR/set.err"
	grep -q "'nosuch0': no such interface now" "$DIR/set.err"
	nmctl stop
	listen rx "netmap:$by_name"
	[ "$(interface_field "$by_name" mode)" = packet ]
	ip -n "$ns_m" link add mz type veth peer name my
	listen later "netmap:mz%$ns_m"
	[ "$(interface_field "mz%$ns_m" mode)" = packet ]
	for name in "ma*" "ma^" "netmap:ma@2" "an interface" "netmap:" "ma/x" "ma%pid:-1" "ma%pid:x" "vale0:ma" "tap:ma" "ma{1" "a-name-of-17-bytes" "ma%b%c" "ma-1%$ns_m"; do
		run nmctl set "$name" mode xdp
		[ "$status" -ne 0 ]
	done
	run nmctl set "ma%pid:-1" mode xdp
	[[ $output == *"no network namespace 'pid:-1'"* ]]
	nmctl set "mb-1%$ns_m" mode xdp # it may come
	run nmctl set vale0: ageing 3
	[ "$status" -ne 0 ]
}

@test "the next netmapd is where the one before was, whoever starts it" {
	local home round

	make_ns h e
	ip -n "$ns_h" link add vs type veth peer name vt
	ip -n "$ns_h" link set vs up
	ip -n "$ns_h" link set vt up
	ip -n "$ns_e" link add vs type veth peer name vt # the same names and numbers
	home=$(ip netns exec "$ns_h" stat -L -c %i /proc/self/ns/net)
	start_in "$ns_h" rx Ready "$PKT_GEN" -i netmap:vs -f rx -w 0 -W
	start_in "$ns_e" away Ready "$PKT_GEN" -i vale0:x -f rx -w 0 -W
	for round in 1 2 3; do
		kill -KILL "$(daemon_pid)"
		ip netns exec "$ns_e" "$BUILD/tools/nmctl/nmctl" create "p$round" 3>&-
		[ "$(json "d['daemon'][0]['netns_inode']" show daemon)" = "$home" ]
		[ "$(json "[p['interface']['up'] for p in d['ports'] if p['name'] == 'vs']" show ports)" = "[True]" ]
	done
	# Nor does somebody elsewhere detach it by the name that he has for another
	ip -n "$ns_h" link add own type veth peer name own2
	ip -n "$ns_e" link add own type veth peer name own2
	ip netns exec "$ns_h" "$BUILD/tools/nmctl/nmctl" attach vale0 own 3>&-
	run -1 ip netns exec "$ns_e" "$BUILD/tools/nmctl/nmctl" detach vale0 own
	[[ $output == *"'own' is in your network namespace, netmapd is in another one"* ]]
	ip netns exec "$ns_h" "$BUILD/tools/nmctl/nmctl" detach vale0 own 3>&-
	# It watches the right one
	ip -n "$ns_e" link del vs
	sleep 0.5
	[ "$(json "len([p for p in d['ports'] if p['name'] == 'vs'])" show ports)" -eq 1 ]
	ip -n "$ns_h" link del vs
	wait_for 5 eval '[ "$(json "len([p for p in d[\"ports\"] if p[\"name\"] == \"vs\"])" show ports)" -eq 0 ]'
}

@test "names that mean nothing, and host rings that there are not, are explained" {
	called
	run timeout 20 "$PKT_GEN" -i "netmap:$by_name+" -f rx -w 0
	[[ $status -ne 0 && $output == *"no network namespace '$ns_m+' (a + at the end chooses no rings"* ]]
	run timeout 20 "$PKT_GEN" -i "netmap:nosuch0+" -f rx -w 0
	[[ $status -ne 0 && $output == *"'nosuch0+': a + at the end chooses no rings"* ]]
	run timeout 20 "$PKT_GEN" -i "netmap:ma%pid:-1" -f rx -w 0
	[[ $status -ne 0 && $output == *"netmap:ma%pid:-1: pid: needs the number of a process"* ]]
	in_ns "$ns_m" sh -c 'for i in "" 1 2 3 4 5 6 7 8 9; do ip link add "ma^$i" type veth; done'
	run timeout 20 "$PKT_GEN" -i "netmap:$by_name^" -f rx -w 0
	[[ $status -ne 0 && $output == *"'ma' has no host rings: interfaces named ma^, ma^1, ... exist already"* ]]
}

# reason COMMAND...: the sentence that a command of nmctl fails with
reason()
{
	local text

	if text=$("$BUILD/tools/nmctl/nmctl" "$@" 2>&1 3>&-); then
		echo "nmctl $* went well" >&2
		return 1
	fi
	echo "${text% (try nmctl --help)}"
}

@test "one wrong name, one reason, whatever is asked for it" {
	local name want

	called
	"$UNETMAP_NETMAPD" --autostart 3>&-
	while read -r name want; do
		[[ "$(reason attach vale0 "$name")" == "nmctl: '$name'"*"$want"* ]]
		[ "$(reason attach vale0 "$name")" = "$(reason set "$name" mode auto)" ]
		[ "$(reason attach vale0 "$name")" = "$(reason set "$name" forward on)" ]
	done <<-END
		lo-0 is no interface: its name alone is expected, without rings and options
		ma-0%$ns_m is no interface: its name alone is expected, without rings and options
		ma^%$ns_m is no interface: its name alone is expected, without rings and options
		lo/x is no interface: its name alone is expected, without rings and options
		nosuch* is no interface: its name alone is expected, without rings and options
		ma%b%c there is no network namespace 'b%c' (the first % ends the interface's name,
		ma%$ns_m^ there is no network namespace '$ns_m^'
		vale0:x is no network interface
	END
	[ "$(reason attach vale0 "a b")" = "$(reason set "a b" mode auto)" ]
}

@test "what xdp-generic loses is said" {
	called
	nmctl set "$by_name" mode xdp-generic
	listen rx "netmap:$by_name"
	nmctl show ports | grep -q 'mode xdp-generic.*, loses TSO frames'
	nmctl doctor >"$DIR/doctor" || :
	grep -q 'segmentation offload' "$DIR/doctor"
	grep -q 'tso off gso off' "$DIR/doctor"
}

# refused_in NS COMMAND...: what to write is said
refused_in()
{
	local ns=$1

	shift
	run in_ns "$ns" timeout 20 "$@"
	[ "$status" -ne 0 ]
	[[ $output == *"is in your network namespace, netmapd is in another one: write $WRITE"* ]]
}

@test "from another namespace an interface's plain name is not taken for netmapd's" {
	called
	wire "$ns_a" both "$ns_m" peer
	ip -n "$ns_m" link add both type veth peer name other
	in_ns "$ns_a" "$UNETMAP_NETMAPD" --autostart 3>&-
	WRITE="ma%$ns_m" refused_in "$ns_m" "$PKT_GEN" -i netmap:ma -f rx -w 0
	WRITE="ma%$ns_m" refused_in "$ns_m" "$BUILD/tools/nmctl/nmctl" set ma mode packet
	WRITE="ma%$ns_m" refused_in "$ns_m" "$BUILD/tools/nmctl/nmctl" attach vale0 ma
	WRITE="both%$ns_m" refused_in "$ns_m" "$PKT_GEN" -i netmap:both -f rx -w 0
	WRITE="ma%$ns_m" refused_in "$ns_m" "$BUILD/tools/vale-ctl/vale-ctl" -g netmap:ma
	WRITE="ma%$ns_m" refused_in "$ns_m" "$BUILD/tools/vale-ctl/vale-ctl" -g ma
	in_ns "$ns_m" "$BUILD/tools/vale-ctl/vale-ctl" -g "netmap:ma%$ns_m" # as told
	[ "$(n_ports)" -eq 0 ]
	in_ns "$ns_m" ip tuntap add mt mode tap
	WRITE="tap:mt%$ns_m" refused_in "$ns_m" "$PKT_GEN" -i netmap:tap:mt -f rx -w 0
	# As told; then the plain name leads to that port, but not to one that netmapd has as well
	start first Ready ip netns exec "$ns_m" "$PKT_GEN" -i "netmap:$by_name" -f rx -w 0 -W
	start second Ready ip netns exec "$ns_m" "$PKT_GEN" -i netmap:ma -f rx -w 0 -W
	start third Ready ip netns exec "$ns_m" "$PKT_GEN" -i "netmap:both%$ns_m" -f rx -w 0 -W
	WRITE="both%$ns_m" refused_in "$ns_m" "$PKT_GEN" -i netmap:both -f rx -w 0
	[ "$(n_ports)" -eq 2 ]
	# What the client's namespace has not is netmapd's
	start shared Ready ip netns exec "$ns_m" "$PKT_GEN" -i netmap:w0 -f rx -w 0 -W
	[ "$(n_ports)" -eq 3 ]
	in_ns "$ns_m" "$BUILD/tools/nmctl/nmctl" doctor >"$DIR/doctor" || :
	grep -q "namespace .*you are in another network namespace than netmapd" "$DIR/doctor"
	in_ns "$ns_a" "$BUILD/tools/nmctl/nmctl" doctor >"$DIR/doctor" || :
	run ! grep -q "another network namespace" "$DIR/doctor"
}

@test "what to write for a namespace without a name, or with an odd one" {
	called
	"$UNETMAP_NETMAPD" --autostart 3>&-
	run timeout 20 unshare --net sh -c 'ip link add u0 type veth peer name u1; exec "$1" -i netmap:u0 -f rx -w 0' sh "$PKT_GEN"
	[[ $status -ne 0 && $output == *"write u0%pid:N, N being a process of yours"* ]]
	NS+=("$TAG-x")
	ip netns add "$TAG-x"
	ip -n "$TAG-x" link add u0 type veth peer name u1
	WRITE="u0@netns=$TAG-x" refused_in "$TAG-x" "$PKT_GEN" -i netmap:u0 -f rx -w 0
	WRITE="u0%$TAG-x" refused_in "$TAG-x" "$BUILD/tools/nmctl/nmctl" attach vale0 u0
	start rx Ready ip netns exec "$TAG-x" "$PKT_GEN" -i "netmap:u0@netns=$TAG-x" -f rx -w 0 -W
}

# renamed OLD:NEW...: interfaces of ns_m, all of them while netmapd is stopped, so that it hears of them at once; through another name
renamed()
{
	local pair

	kill -STOP "$DAEMON"
	for pair; do
		echo "link set dev ${pair%:*} name t-${pair#*:}"
	done >"$DIR/batch"
	for pair; do
		echo "link set dev t-${pair#*:} name ${pair#*:}"
	done >>"$DIR/batch"
	ip -n "$ns_m" -batch "$DIR/batch"
	kill -CONT "$DAEMON"
}

# pairs NAME...: veth pairs of ns_m, NAME and pNAME, all up
pairs()
{
	local name

	for name; do
		ip -n "$ns_m" link add "$name" type veth peer name "p$name"
		ip -n "$ns_m" link set dev "$name" up
		ip -n "$ns_m" link set dev "p$name" up
	done
}

# all_named N: N interfaces are open, each port named as its interface is
all_named()
{
	[ "$(json "len([p for p in d['ports'] if p['kind'] == 'nic' and p['name'] == p['interface']['name'] + '%$ns_m'])" show ports)" -eq "$1" ]
}

@test "open, and renamed into each other while netmapd does not run: each has its own name" {
	local round

	make_ns m
	start_daemon
	pairs v0 x0 y0
	for name in v0 x0 y0; do
		listen "$name" "netmap:$name%$ns_m"
	done
	for round in 1 2 3; do
		renamed v0:x0 x0:v0
		wait_for 2 all_named 3
		renamed v0:x0 x0:y0 y0:v0
		wait_for 2 all_named 3
		renamed v0:x0 x0:y0 y0:w0
		wait_for 2 all_named 3
		renamed w0:v0
		wait_for 2 all_named 3
	done
	stop "$PID" INT || :
	wait_for 5 all_named 2
	# The same when netmapd is killed meanwhile
	renamed v0:x0 x0:v0
	wait_for 2 all_named 2
	kill -KILL "$DAEMON"
	ip -n "$ns_m" -batch - <<-END
		link set dev v0 name t0
		link set dev x0 name v0
		link set dev t0 name x0
	END
	start_daemon
	wait_for 10 all_named 2
}

@test "a name that has gone to another interface leads to that" {
	local index

	make_ns m
	start_daemon
	pairs v0 x0
	index=$(in_ns "$ns_m" cat /sys/class/net/v0/ifindex)
	listen first "netmap:v0%$ns_m"
	kill -STOP "$DAEMON"
	"$PKT_GEN" -i "netmap:v0%$ns_m" -f rx -w 0 -W >"$DIR/second" 2>&1 3>&- &
	PIDS+=($!)
	sleep 0.5 # it has asked
	kill -CONT "$DAEMON"
	wait_for 5 eval '[ "$(port_field "v0%$ns_m" users)" = 2 ]'
	kill -STOP "$DAEMON"
	"$PKT_GEN" -i "netmap:v0%$ns_m" -f rx -w 0 -W >"$DIR/third" 2>&1 3>&- &
	PIDS+=($!)
	sleep 0.5
	renamed v0:x0 x0:v0
	wait_for 5 all_named 2
	[ "$(port_field "v0%$ns_m" users)" = 1 ]
	[ "$(port_field "x0%$ns_m" users)" = 2 ]
	ip -n "$ns_m" -o link show dev x0 | grep -q "^$index: "
	# Nor is one given away that has no such name any more
	kill -STOP "$DAEMON"
	timeout 20 "$PKT_GEN" -i "netmap:v0%$ns_m" -f rx -w 0 >"$DIR/fourth" 2>&1 3>&- &
	PIDS+=($!)
	sleep 0.5
	renamed v0:w0
	wait_for 5 grep -q "there is no network interface 'v0%$ns_m'" "$DIR/fourth"
	wait_for 5 all_named 2
}

@test "attached and renamed: its name is what it was, which another interface may have" {
	make_ns m
	start_daemon
	pairs v0 x0
	nmctl attach vale0 "v0%$ns_m"
	wait_for 5 eval '[ "$(port_field "v0%$ns_m" users)" = 1 ]'
	ip -n "$ns_m" link set dev v0 name w0
	wait_for 5 eval '[ "$(interface_field "v0%$ns_m" name)" = w0 ]'
	listen own "netmap:v0%$ns_m/r" # which is no other's
	stop "$PID" INT || :
	ip -n "$ns_m" link add v0 type veth peer name pn
	for name in "v0%$ns_m" "v0%$ns_m/r" "v0%$ns_m{1"; do
		run timeout 20 "$PKT_GEN" -i "netmap:$name" -f rx -w 0
		[[ $status -ne 0 && $output == *"'v0%$ns_m': by this name vale0 has what is 'w0%$ns_m' now: write that, or detach it first (nmctl detach vale0 v0%$ns_m)"* ]]
	done
	run nmctl attach vale1 "v0%$ns_m"
	[[ $status -ne 0 && $output == *"by this name vale0 has what is 'w0%$ns_m' now"* ]]
	run nmctl set "v0%$ns_m" forward on
	[[ $status -ne 0 && $output == *"by this name vale0 has what is 'w0%$ns_m' now"* ]]
	nmctl set "w0%$ns_m" forward on
	listen monitor "netmap:w0%$ns_m/r"
	stop "$PID" INT || :
	# Its worker, and the next netmapd, have the same as before
	kill -KILL "$(worker_pid "vale0:v0%$ns_m")"
	wait_for 5 eval '[ "$(port_field "v0%$ns_m" users)" = 0 ]'
	wait_for 10 eval '[ "$(port_field "v0%$ns_m" users)" = 1 ]'
	[ "$(interface_field "v0%$ns_m" name)" = w0 ]
	kill -KILL "$DAEMON"
	start_daemon
	wait_for 10 eval '[ "$(port_field "v0%$ns_m" users)" = 1 ]'
	wait_for 5 eval '[ "$(interface_field "v0%$ns_m" name)" = w0 ]'
	# One that is open and gets its name has that as soon as it is free
	ip -n "$ns_m" link del v0
	listen other "netmap:x0%$ns_m"
	ip -n "$ns_m" link set dev x0 name v0
	wait_for 5 eval '[ "$(interface_field "x0%$ns_m" name)" = v0 ]'
	ip -n "$ns_m" link add x0 type veth peer name px
	run timeout 20 "$PKT_GEN" -i "netmap:x0%$ns_m" -f rx -w 0
	[[ $status -ne 0 && $output == *"'x0%$ns_m': by this name what is 'v0%$ns_m' now is still open: close that first"* ]]
	listen shared "netmap:v0%$ns_m"
	[ "$(port_field "x0%$ns_m" users)" = 2 ]
	nmctl detach vale0 "w0%$ns_m"
	wait_for 5 all_named 1
}

@test "attached by an alternative name, it is found by each" {
	called
	nmctl attach vale0 "mc0%$ns_m" host
	wait_for 5 eval '[ "$(port_field "ma%$ns_m" users)" = 1 ]'
	wait_for 5 eval '[ "$(port_field "tap:ma^%$ns_m" users)" = 1 ]'
	run nmctl attach vale1 "mc0%$ns_m"
	[[ $status -ne 0 && $output == *"is attached as 'vale0:ma%$ns_m'"* ]]
	nmctl detach vale0 "mc0%$ns_m"
	wait_for 5 has_ports 0
	nmctl attach vale0 "mc0%$ns_m"
	nmctl detach vale0 "ma%$ns_m"
	wait_for 5 has_ports 0
}
