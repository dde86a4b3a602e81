#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves the recipes of docs/containers.md with plain namespaces: a program in a container without any capability (other user, network,
# mount, pid, UTS and IPC namespaces) exchanges packets with a TAP in another namespace and with its like; programs that were not linked
# with the library do so under nmrun; the socket may be mounted where the library looks by itself; another user may be given one; what is
# not allowed is refused with a sentence; netmapd's own socket admits nobody from another user namespace; a container that is killed
# leaves nothing behind.

load ../tap/tap

# container COMMAND...: no capability, no mapping of users, the socket SOCK
container()
{
	env "UNETMAP_SOCKET=${SOCK:-$DIR/web/netmapd.sock}" UNETMAP_NO_AUTOSTART=1 LC_ALL=C \
		unshare --user --net --mount --pid --uts --ipc --fork --kill-child "$@" 3>&-
}

# start_container NAME READY COMMAND...: as start of tap.bash
start_container()
{
	local name=$1 ready=$2

	shift 2
	start "$name" "$ready" env "UNETMAP_SOCKET=$DIR/web/netmapd.sock" UNETMAP_NO_AUTOSTART=1 LC_ALL=C \
		unshare --user --net --mount --pid --uts --ipc --fork --kill-child "$@"
}

# ports_used N
ports_used()
{
	[ "$(json "d['isolates'][0]['ports_used']" isolate show web)" -eq "$1" ]
}

need_userns()
{
	unshare --user --net --mount --pid --uts --ipc --fork true 2>/dev/null || skip "no user namespaces"
}

# isolate WORD...: the socket "web"
isolate()
{
	mkdir -p "$DIR/web"
	nmctl isolate create web "socket=$DIR/web/netmapd.sock" "$@"
}

@test "ping from a TAP in one namespace to a program in a container without capabilities" {
	need_userns
	make_ns a
	nmctl attach vale0 tap:t0 "netns=$ns_a"
	address "$ns_a" t0 10.9.0.1/24
	isolate 'allow=vale0:web*'
	container grep -q '^CapEff:.0000000000000000$' /proc/self/status
	start_container peer '^ready' "$TAP_PEER" vale0:web1 10.9.0.2
	ping_from "$ns_a" 10.9.0.2
	ping_from "$ns_a" 10.9.0.2 -s 1400
	ports_used 1

	# Killed as a whole: the port ends, and can be had again
	kill -KILL "$PID"
	wait_for 10 ports_used 0
	start_container again '^ready' "$TAP_PEER" vale0:web1 10.9.0.2
	ping_from "$ns_a" 10.9.0.2
	kill -KILL "$PID"
}

@test "two containers, pkt-gen to pkt-gen, under nmrun; what the socket does not allow" {
	need_userns
	isolate 'allow=vale0:*' ports=2
	start_container rx 'waiting for initial packets' "$NMRUN" "$PKT_GEN" -i vale0:rx -f rx -T 200
	rx=$PID
	container "$NMRUN" "$PKT_GEN" -i vale0:tx -f tx -n 100000 -b 64 >"$DIR/tx.out" 2>&1
	grep -q '^Sent 100000 packets' "$DIR/tx.out"
	wait_for 10 grep -qE '[1-9][0-9.]* *[KM]?pps' "$DIR/rx.err"
	for what in vale1:x "netmap:p{1" netmap:lo tap:t0; do
		run ! container timeout 20 "$PKT_GEN" -i "$what" -f rx -w 0
		echo "$output"
		[[ $output == *"cannot open $what"*": "*"isolate"* ]]
	done
	run -1 container "$BUILD/tools/nmctl/nmctl" show ports
	[[ $output == *"isolated clients"* ]]
	kill -KILL "$rx"
}

@test "a client too many, a program and nmctl: refused at once, with the limit's name" {
	need_userns
	isolate 'allow=vale0:*' clients=1
	start_container rx Ready "$PKT_GEN" -i vale0:rx -f rx -w 0 -W
	for _ in 1 2 3 4 5; do
		SECONDS=0
		run ! container timeout 20 "$PKT_GEN" -i vale0:tx -f tx -n 10 -w 0
		echo "$output"
		[[ $output == *"Too many users"*"clients="* ]]
		run -1 container "$BUILD/tools/nmctl/nmctl" show ports
		echo "$output"
		[[ $output == *"clients="* ]]
		((SECONDS < 5))
	done
	kill -KILL "$PID"
}

# maps PID: inodes of the memory files that a process maps
maps()
{
	awk '$6 ~ /memfd:/ { print $5 }' "/proc/$1/maps" | sort -u
}

# What it can take away while others use it: holes punched into a file block, or charge, whoever has it mapped.
@test "no memory that an isolated client has is mapped by trusted programs" {
	isolate 'allow=vale0:*' 'allow=netmap:p{*'
	inside=(env "UNETMAP_SOCKET=$DIR/web/netmapd.sock" UNETMAP_NO_AUTOSTART=1)
	start rx 'waiting for initial packets' "${inside[@]}" "$PKT_GEN" -i vale0:web -f rx
	rx=$PID
	start piped 'waiting for initial packets' "${inside[@]}" "$PKT_GEN" -i 'netmap:p{1' -f rx
	piped=$PID
	start tx Ready "$PKT_GEN" -i vale0:t -f tx -w 0 -R 1000
	tx=$PID
	start pipe Ready "$PKT_GEN" -i 'netmap:p}1' -f tx -w 0 -R 1000
	wait_for 10 grep -q ' [1-9][0-9.]* [KM]*pps' "$DIR/rx.err"
	wait_for 10 grep -q ' [1-9][0-9.]* [KM]*pps' "$DIR/piped.err"
	for pid in "$rx" "$piped"; do
		[ "$(maps "$pid" | wc -l)" -gt 1 ]
		for other in "$tx" "$PID" "$(daemon_pid)"; do
			comm -12 <(maps "$pid") <(maps "$other") >"$DIR/common"
			cat "$DIR/common"
			[ ! -s "$DIR/common" ]
		done
	done
}

# port_of MAC: where vale0 would send a frame for it
port_of()
{
	json "[m['port'] for m in d['mac'] if m['mac'] == '$1']" show mac
}

@test "a container that sends with another's address does not get its frames, a trusted program does" {
	make_ns a b
	nmctl attach vale0 tap:t0 "netns=$ns_a"
	nmctl attach vale0 tap:t1 "netns=$ns_b"
	address "$ns_a" t0 10.9.0.1/24
	address "$ns_b" t1 10.9.0.2/24
	isolate 'allow=vale0:web*'
	inside=(env "UNETMAP_SOCKET=$DIR/web/netmapd.sock" UNETMAP_NO_AUTOSTART=1)
	victim=$(ip netns exec "$ns_b" cat /sys/class/net/t1/address)
	ping_from "$ns_a" 10.9.0.2
	owner=$(port_of "$victim")
	[[ $owner == *t1* ]]
	"${inside[@]}" "$PKT_GEN" -i vale0:web1 -f tx -n 1000 -w 0 -S "$victim" -D 02:00:00:00:00:99 3>&-
	[ "$(port_of "$victim")" = "$owner" ]
	ping_from "$ns_a" 10.9.0.2
	"$PKT_GEN" -i vale0:trusted -f tx -n 1000 -w 0 -S "$victim" -D 02:00:00:00:00:99 3>&-
	[ "$(port_of "$victim")" != "$owner" ]

	# What nobody has been heard with, it may use
	start rx 'waiting for initial packets' "${inside[@]}" "$PKT_GEN" -i vale0:web2 -f rx -T 200
	"${inside[@]}" "$PKT_GEN" -i vale0:web3 -f tx -n 1000 -w 0 -S 02:00:00:00:00:77 -D 02:00:00:00:00:88 3>&-
	wait_for 10 grep -qE '[1-9][0-9.]* *[KM]?pps' "$DIR/rx.err"
}

@test "a program that was not linked with the library, the socket at its usual place" {
	need_userns
	[ "$(id -u)" -eq 0 ] || skip "mounting over /run takes root"
	isolate 'allow=vale*' ports=64
	env -u UNETMAP_SOCKET UNETMAP_NO_AUTOSTART=1 unshare --user --map-root-user --net --mount --pid --fork --kill-child sh -euc '
		mount -t tmpfs none /run
		mkdir /run/unetmap
		mount --bind "$1" /run/unetmap
		"$2" "$3"' sh "$DIR/web" "$NMRUN" "$PLAIN" 3>&-
}

@test "the socket's file is removed: it is shown, and made anew as it is said" {
	isolate 'allow=vale0:web*'
	[ "$(json "d['isolates'][0]['socket_removed']" isolate show web)" = False ]
	rm "$DIR/web/netmapd.sock"
	run -0 nmctl isolate show web
	[[ "$output" == *"has been removed"*"isolate remove, then create"* ]]
	nmctl isolate remove web
	isolate 'allow=vale0:web*'
	[ "$(json "d['isolates'][0]['socket_removed']" isolate show web)" = False ]
	env "UNETMAP_SOCKET=$DIR/web/netmapd.sock" UNETMAP_NO_AUTOSTART=1 "$PKT_GEN" -i vale0:web1 -f tx -n 10 -w 0 3>&-
}

@test "an interface with its host rings, bridged behind the socket; a monitor; what is not named is refused" {
	make_ns a b
	ip -n "$ns_a" link add v0 type veth peer name v1 netns "$ns_b"
	address "$ns_a" v0 10.9.0.1/24
	address "$ns_b" v1 10.9.0.2/24
	isolate "allow=netmap:v0%$ns_a" "allow=netmap:v0%$ns_a^" 'allow=netmap:p*' 'allow=p}*/r'
	inside=(env "UNETMAP_SOCKET=$DIR/web/netmapd.sock" UNETMAP_NO_AUTOSTART=1)
	start bridge 'Ready to go' "${inside[@]}" "$BUILD/tools/nm-bridge/nm-bridge" -w 0 -i "netmap:v0%$ns_a" -i "netmap:v0%$ns_a^"
	ping_from "$ns_a" 10.9.0.2
	ping_from "$ns_b" 10.9.0.1 -s 1400
	[ "$(json "[p['kind'] for p in d['ports']]" show ports)" = "['nic']" ]

	# A broker sleeps while nothing passes, and wakes for one packet
	broker=$(json "d['isolates'][0]['broker_pid']" isolate show web)
	sleep 1
	before=$(awk '{ print $14 + $15 }' "/proc/$broker/stat")
	sleep 1
	(($(awk '{ print $14 + $15 }' "/proc/$broker/stat") - before <= 1))
	ping_from "$ns_a" 10.9.0.2

	# Down, and up: poll and syncs say so behind the socket too
	ip -n "$ns_a" link set dev v0 down
	wait_for 5 grep -q "is down" "$DIR/bridge.err" "$DIR/bridge.out"
	ip -n "$ns_a" link set dev v0 up
	wait_for 5 grep -q "is up again" "$DIR/bridge.err" "$DIR/bridge.out"
	ping_from "$ns_a" 10.9.0.2

	# Killed, and the interface is the kernel's again
	kill -KILL "$PID"
	wait_for 5 ping_from "$ns_a" 10.9.0.2

	start rx 'waiting for initial packets' "${inside[@]}" "$PKT_GEN" -i 'netmap:p}1' -f rx -T 200
	start seen 'waiting for initial packets' "${inside[@]}" "$PKT_GEN" -i 'netmap:p}1/r' -f rx -T 200
	"${inside[@]}" "$PKT_GEN" -i 'netmap:p{1' -f tx -n 100000 -w 0 3>&-
	wait_for 10 grep -qE '[1-9][0-9.]* *[KM]?pps' "$DIR/seen.err"
	for what in 'netmap:p}1/t' 'netmap:p{1/r' "netmap:v1%$ns_b" "netmap:v1%$ns_b^"; do
		run ! timeout 20 "${inside[@]}" "$PKT_GEN" -i "$what" -f rx -w 0 3>&-
		echo "$output"
		[[ $output == *"cannot open $what"*": that takes allow="* ]]
	done
}

@test "another user, by owner and mode" {
	[ "$(id -u)" -eq 0 ] || skip "becoming somebody else takes root"
	isolate 'allow=vale0:*' owner=12345:23456 mode=0600
	chmod 711 "$DIR" "$DIR/web"
	as=(env "UNETMAP_SOCKET=$DIR/web/netmapd.sock" UNETMAP_NO_AUTOSTART=1 setpriv --clear-groups --inh-caps=-all)
	timeout 20 "${as[@]}" --reuid=12345 --regid=23456 "$PKT_GEN" -i vale0:tx -f tx -n 1000 3>&-
	run ! timeout 20 "${as[@]}" --reuid=12346 --regid=23456 "$PKT_GEN" -i vale0:tx -f tx -n 1000 -w 0
	[[ $output == *"Permission denied"* ]]
}

@test "netmapd's own socket admits nobody from another user namespace" {
	need_userns
	nmctl create p0
	SOCK=$UNETMAP_SOCKET run ! container timeout 20 "$PKT_GEN" -i vale0:x -f rx -w 0
	echo "$output"
	[[ $output == *"another user namespace"*"nmctl isolate create"* ]]
	# The same user out here is served
	timeout 20 "$PKT_GEN" -i vale0:tx -f tx -n 1000 -w 0
}

@test "docs/containers.md, line by line" {
	need_userns
	[ "$(id -u)" -eq 0 ] || skip "mounting over /run takes root"
	[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
	run env -u UNETMAP_SOCKET "DOC=$TOP/docs/containers.md" \
		"PATH=$BUILD/tools/netmapd:$BUILD/tools/nmctl:$BUILD/tools/pkt-gen:$PATH" \
		timeout 100 unshare --mount --net --pid --fork --kill-child --mount-proc "$TOP/test/system/containers/recipes.sh" 3>&-
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"all recipes work"* ]]
}
