# SPDX-License-Identifier: BSD-2-Clause
#
# For tests of the programs: each test gets a directory DIR and a netmapd of its own. Programs
# started in the background are ended by teardown. No privilege needed, nothing leaves the ports of
# this netmapd.
#
# Environment: the programs, as test/system/tools/meson.build sets it.

source "${BASH_SOURCE[0]%/*}/../wait.bash"

setup()
{
	bats_require_minimum_version 1.5.0
	DIR=$(mktemp -d)
	export UNETMAP_SOCKET="$DIR/netmapd.sock"
	PIDS=()
	"$NETMAPD" --foreground >"$DIR/netmapd.out" 2>&1 3>&- &
	NETMAPD_PID=$!
	wait_for 10 test -S "$UNETMAP_SOCKET"
}

# A netmapd that died meanwhile is a failure of its own.
teardown()
{
	local pid status=0

	kill -0 "$NETMAPD_PID" || status=1
	for pid in "${PIDS[@]}" "$NETMAPD_PID"; do
		end_process "$pid"
	done
	[ -z "${CGROUP:-}" ] || wait_for 10 rmdir "$CGROUP" || status=1 # one that the test made
	[ -z "${OWN_NETNS:-}" ] || ip netns del "$OWN_NETNS" || status=1
	rm -rf "$DIR"
	return "$status"
}

end_process()
{
	kill "$1" 2>/dev/null || :
	wait_for 10 is_gone "$1" || kill -KILL "$1" 2>/dev/null || :
}

is_gone()
{
	! kill -0 "$1" 2>/dev/null
}

# start NAME READY COMMAND...: run in the background with output in $DIR/NAME.out and $DIR/NAME.err;
# return when one of them matches READY. The process id is in PID.
start()
{
	local name=$1 ready=$2

	shift 2
	# An earlier program of that name has left its own.
	rm -f "$DIR/$name.out" "$DIR/$name.err"
	"$@" >"$DIR/$name.out" 2>"$DIR/$name.err" 3>&- &
	PID=$!
	PIDS+=("$PID")
	wait_for 10 grep -qs -e "$ready" "$DIR/$name.out" "$DIR/$name.err" || not_ready "$name" "$ready"
}

# stop PID [SIGNAL]: end it and return its exit status; it has 5 seconds
stop()
{
	kill "-${2:-INT}" "$1"
	wait_for 5 is_gone "$1" || return 99
	wait "$1"
}

start_bridge()
{
	start bridge 'Ready to go' "$BRIDGE" -w 0 "$@"
	BRIDGE_PID=$PID
}

start_lb()
{
	start lb 'Ready, ' "$LB" -w 0 "$@"
	LB_PID=$PID
}

# start_rx NAME PORT [ARG...]: receive until told to stop
start_rx()
{
	local name=$1 port=$2

	shift 2
	start "$name" 'Ready\.\.\.' "$PKT_GEN" -i "$port" -f rx -w 0 "$@"
}

# send PORT COUNT [ARG...]: send that many packets; they have 30 seconds
send()
{
	local port=$1 count=$2

	shift 2
	timeout 30 "$PKT_GEN" -i "$port" -f tx -w 0 -n "$count" "$@" >"$DIR/tx.out" 2>"$DIR/tx.err"
}

# received NAME: how many packets a program of start_rx got in all, after its end
received()
{
	sed -n 's/^Received \([0-9]*\) packets.*/\1/p' "$DIR/$1.out" "$DIR/$1.err"
}

# finish PID [SECONDS]: it ends by itself, with status 0
finish()
{
	wait_for "${2:-20}" is_gone "$1" || return 99
	wait "$1"
}

# forwarded: what the bridge said at its end, "PACKETS DROPPED" for each direction
forwarded()
{
	sed -n 's/.* total \([0-9]*\) packets [0-9]* bytes \([0-9]*\) dropped$/\1 \2/p' "$DIR/bridge.err"
}

# cpu_ticks PID: user and system time used, in clock ticks
cpu_ticks()
{
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}
