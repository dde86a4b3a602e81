#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: when a program that netmapd needs can't be run, who asked for it is told so, which one and why, and nothing is left of what it was for;
# the log says how one has ended that could be run. None of it needs privilege: the worker is that of a port on two switches.

load tap

# start_with WORKER ISOLATOR: a netmapd beside which these are its programs; "real" is ours, - has none
start_with()
{
	local name what

	mkdir -p "$DIR/bin"
	cp "$UNETMAP_NETMAPD" "$DIR/bin/netmapd"
	UNETMAP_NETMAPD="$DIR/bin/netmapd"
	for name in nm-worker nm-isolator; do
		what=$1
		shift
		case $what in
		real) cp "$BUILD/tools/netmapd/$name" "$DIR/bin/" ;;
		-) ;;
		*) printf '%s\n' "$what" >"$DIR/bin/$name" && chmod 755 "$DIR/bin/$name" ;;
		esac
	done
	start daemon 'serves at' "$UNETMAP_NETMAPD" --foreground "${CONFIG[@]}"
}

two_switches()
{
	nmctl create p0
	nmctl attach vale0 p0
	nmctl attach vale1 p0
}

# fails TEXT COMMAND...: nmctl says so
fails()
{
	local text=$1

	shift
	run -1 nmctl "$@"
	echo "$output"
	[[ $output == *"$text"* ]]
}

no_program='#!/nonexistent/interpreter'

@test "attach: which program can't be run, and nothing is attached" {
	start_with "$no_program" "$no_program"
	nmctl create p0
	nmctl attach vale0 p0
	for round in 1 2; do
		fails "cannot run $DIR/bin/nm-worker: No such file or directory (install it there, or beside netmapd)" attach vale1 p0
		[ "$(json "sorted(p['name'] for p in d['ports'])" show ports)" = "['vale0:p0']" ]
	done
	run vale_ctl -a vale1:p0
	[[ $status -eq 1 && $output == *"cannot run $DIR/bin/nm-worker"* ]]
	echo garbage >"$DIR/bin/nm-worker"
	fails "cannot run $DIR/bin/nm-worker: Exec format error" attach vale1 p0
	cp "$BUILD/tools/netmapd/nm-worker" "$DIR/bin/nm-worker"
	nmctl attach vale1 p0
	wait_for 5 eval '[ "$(port_field vale0:p0 users)" -eq 1 ]'
	! grep "nm-worker has ended" "$DIR/daemon.err"
}

@test "a TAP and an interface, whose attachment fails so: they are as before" {
	make_ns a
	ip -n "$ns_a" link add w0 type veth peer name w1
	start_with "$no_program" -
	fails "cannot run $DIR/bin/nm-worker" attach vale0 "tap:t0%$ns_a"
	fails "cannot run $DIR/bin/nm-worker" attach vale0 "w0%$ns_a"
	fails "cannot run $DIR/bin/nm-worker" attach vale0 "w0%$ns_a" host
	[ "$(json "[p['name'] for p in d['ports']]" show ports)" = "[]" ]
	lacks_if "$ns_a" t0
	lacks_if "$ns_a" w0^
	! ip -n "$ns_a" -d link show dev w0 | grep xdp
}

@test "isolate: the same, and its socket goes" {
	start_with - "$no_program"
	fails "cannot run $DIR/bin/nm-isolator: No such file or directory" isolate create web "socket=$DIR/web" 'allow=vale0:*'
	[ ! -e "$DIR/web" ]
	[ "$(json "d['isolates']" isolate show)" = "[]" ]
	cp "$BUILD/tools/netmapd/nm-isolator" "$DIR/bin/nm-isolator"
	nmctl isolate create web "socket=$DIR/web" 'allow=vale0:*'
	[ -S "$DIR/web" ]
}

@test "isolates of the configuration wait for their program" {
	printf '[isolate web]\nsocket = %s\nallow = vale0:*\n' "$DIR/web" >"$DIR/conf"
	CONFIG=(--config "$DIR/conf")
	start_with - "$no_program"
	wait_for 5 grep -qF "web: cannot run $DIR/bin/nm-isolator: No such file or directory (install it there, or beside netmapd); again in" "$DIR/daemon.err"
	cp "$BUILD/tools/netmapd/nm-isolator" "$DIR/bin/next"
	mv "$DIR/bin/next" "$DIR/bin/nm-isolator"
	wait_for 20 eval '[ "$(json "d[\"isolates\"][0][\"broker_pid\"]" isolate show)" -gt 0 ]'
	[ -S "$DIR/web" ]
}

@test "one that goes missing later is said each time, and found again" {
	start_with real -
	two_switches
	wait_for 5 eval '[ "$(port_field vale0:p0 users)" -eq 1 ]'
	echo "$no_program" >"$DIR/bin/next"
	chmod 755 "$DIR/bin/next"
	mv "$DIR/bin/next" "$DIR/bin/nm-worker"
	kill -KILL "$(worker_pid vale1:p0)"
	wait_for 5 grep -qF "vale1:p0: its nm-worker has ended (SIGKILL); another one in 1 s" "$DIR/daemon.err"
	wait_for 5 grep -qF "vale1:p0: cannot run $DIR/bin/nm-worker: No such file or directory (install it there, or beside netmapd); again in 2 s" \
		"$DIR/daemon.err"
	cp "$BUILD/tools/netmapd/nm-worker" "$DIR/bin/next"
	mv "$DIR/bin/next" "$DIR/bin/nm-worker"
	wait_for 10 eval '[ "$(port_field vale0:p0 users)" -eq 1 ]'
}

@test "how one ended is said: its exit status, or the signal" {
	start_with $'#!/bin/sh\nexit 3' -
	two_switches
	wait_for 5 grep -qF "vale1:p0: its nm-worker has ended (exit status 3); another one in 1 s" "$DIR/daemon.err"
	printf '#!/bin/sh\nexit 127\n' >"$DIR/bin/nm-worker"
	wait_for 5 grep -qF "vale1:p0: its nm-worker has ended (exit status 127: it could not be loaded, try it with --version)" "$DIR/daemon.err"
}

@test "installed nowhere: where it was looked for" {
	local path

	start_with - -
	nmctl create p0
	nmctl attach vale0 p0
	run nmctl attach vale1 p0
	[ "$status" -eq 0 ] && skip "there is one installed"
	echo "$output"
	[[ $output == *"cannot run /"*"/nm-worker: No such file or directory"* ]]
}
