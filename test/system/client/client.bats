#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: the client library is /dev/netmap for its process, whatever the process does: every file
# operation, every wait, requests and their errors, fork, exec, passing descriptors on, closing
# everything, netmapd's death; and that a program without netmap does not notice the library.
#
# Environment: BUILD_DIR with the ct_* programs, NETMAPD, NMRUN, NMCTL. Each test has a netmapd of its
# own, which starts itself (or is started by ct_restart).

setup()
{
	bats_require_minimum_version 1.5.0
	DIR=$(mktemp -d)
	export UNETMAP_SOCKET="$DIR/netmapd.sock"
	export UNETMAP_NETMAPD="$NETMAPD" CT_NETMAPD="$NETMAPD"
}

# The daemon ends by itself once nobody uses it; here it is told to.
teardown()
{
	end_netmapd "$DIR/netmapd.sock" 2>/dev/null || :
	rm -rf "$DIR"
}

end_netmapd()
{
	UNETMAP_SOCKET=$1 "$NMCTL" stop
}

ct()
{
	timeout 300 "$BUILD_DIR/$@" 3>&-
}

@test "file operations" { ct ct_device; }
@test "waits" { ct ct_waits; }
@test "requests, legacy requests, external memory" { ct ct_requests; }
@test "CSB mode and the sync loop" { ct ct_csb; }
@test "monitors" { ct ct_monitor; }
@test "fork, exec, passing on, closing, dying" { ct ct_life; }
@test "waits that bypass the C library" { ct ct_rawwait; }
@test "netmapd dies and comes back under traffic" { ct ct_restart; }

@test "the same without being linked with the library" {
	timeout 300 "$NMRUN" "$BUILD_DIR/ct_device_plain" 3>&-
	timeout 300 "$NMRUN" "$BUILD_DIR/ct_waits_plain" 3>&-
	run ! env -u LD_PRELOAD "$BUILD_DIR/ct_device_plain" open_flags
}

@test "a program without netmap makes the same system calls" {
	command -v strace >/dev/null || skip "strace is not installed"
	cd "$DIR"
	strace -f -o plain ls / >out1
	strace -f -o ours "$NMRUN" ls / >out2
	cmp out1 out2
	# From the end of loading on, the lists must be the same
	for f in plain ours; do
		awk '{ sub(/^[0-9]+ +/, ""); name = $0; sub(/\(.*/, "", name) }
			/^execve/ { n = loaded = 0 }
			loaded { call[n++] = name }
			/RLIMIT_STACK/ { loaded = 1 }
			END { for (i = 0; i < n; i++) print call[i] }' "$f" >"$f.calls"
	done
	[ -s plain.calls ]
	cmp plain.calls ours.calls
}

@test "no netmapd, and none may be started" {
	UNETMAP_NO_AUTOSTART=1 run "$BUILD_DIR/ct_device" open_flags
	[ "$status" -ne 0 ]
	UNETMAP_NO_AUTOSTART=1 UNETMAP_VERBOSE=1 run "$BUILD_DIR/ct_device" unbound
	[[ "$output" == *"no netmapd is running"* ]]
	[[ "$output" == *"No such file or directory"* ]]
}

@test "autostart leaves no child behind" {
	ct ct_device open_flags
	ct ct_autostart
}

@test "a relative socket is one below the program's own directory" {
	cd "$DIR"
	UNETMAP_SOCKET=mine.sock ct ct_device open_flags
	[ -S "$DIR/mine.sock" ]
	end_netmapd "$DIR/mine.sock"
}

@test "a user gets a netmapd of his own while the system's directory is root's only" {
	[ "$(id -u)" -eq 0 ] || skip "mounting over /run takes root"
	cp "$BUILD_DIR/ct_static" "$DIR/program"
	cp "$NETMAPD" "$DIR/netmapd"
	chmod 755 "$DIR" "$DIR/program" "$DIR/netmapd"
	mkdir -m 700 "$DIR/run"
	chown 65534:65534 "$DIR/run"
	export UNETMAP_SOCKET= XDG_RUNTIME_DIR="$DIR/run" UNETMAP_NETMAPD="$DIR/netmapd"
	timeout 60 unshare --mount sh -c 'mount -t tmpfs none /run; mkdir -m 700 /run/unetmap
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$1" open_flags' sh "$DIR/program" 3>&-
	end_netmapd "$DIR/run/unetmap/netmapd.sock"
}

# In a mount namespace of its own, with an empty /run: hold a descriptor, kill netmapd, look for the next one. $1: how
# netmapd is started first, if not on demand.
kill_on_default_path()
{
	timeout 60 unshare --mount bash -ec '
		mount -t tmpfs none /run
		pid() { "$NMCTL" -j show daemon 2>/dev/null | sed "s/.*\"pid\":\([0-9]*\).*/\1/"; }
		await() { for i in {1..100}; do "$@" && return; sleep 0.05; done; false; }
		is_new() { now=$(pid); [ -n "$now" ] && [ "$now" != "$first" ]; }
		[ -z "$1" ] || { mkdir -m 700 /run/unetmap; "$NETMAPD" $1 2>/dev/null & await test -n "$(pid)" || await is_new; }
		coproc "$NMRUN" bash -c "exec 7<>/dev/netmap; echo; read"
		read -t 10 <&"${COPROC[0]}"
		first=$(pid)
		[ -n "$first" ]
		kill -9 "$first"
		ended=0
		await is_new || ended=1
		eval "exec ${COPROC[1]}>&-"
		[ -z "$(pid)" ] || "$NMCTL" stop
		exit "$ended"' bash "$1" 3>&-
}

@test "root's netmapd on the default path comes back by itself if it was started on demand, and only then" {
	[ "$(id -u)" -eq 0 ] || skip "mounting over /run takes root"
	export UNETMAP_SOCKET= NMCTL NETMAPD NMRUN
	kill_on_default_path ""
	run -1 kill_on_default_path --foreground
}

@test "nmrun: errors" {
	run -2 "$NMRUN"
	[[ "$output" == *"which program?"* ]]
	run -127 "$NMRUN" no-such-program-here
	run -126 "$NMRUN" /etc/passwd
	run -2 "$NMRUN" --library /no/such/file true
	run -126 "$NMRUN" "$BUILD_DIR/ct_static"
	[[ "$output" == *"statically linked"* ]]
	LD_PRELOAD= run -0 "$NMRUN" sh -c 'echo "$LD_PRELOAD"'
	[[ "$output" == *libnetmap.so.1* ]]
	run -3 "$NMRUN" sh -c 'exit 3'
}

@test "the archive interposes in a static program" {
	ct ct_static
}
