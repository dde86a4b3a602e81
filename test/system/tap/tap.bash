# SPDX-License-Identifier: BSD-2-Clause
#
# For tests with the kernel's sockets on one side. Each test gets a directory DIR, a netmapd of its own, started by who needs it first,
# and network namespaces that it makes by make_ns, with names of its own. teardown ends whatever runs on the test's socket and takes the
# namespaces away, also after a failure. Processes that do not end with netmapd fail the test.
#
# Environment: BUILD (the build directory), TOP (the source), TAP_PEER.

source "${BASH_SOURCE[0]%/*}/../wait.bash"

setup()
{
	bats_require_minimum_version 1.5.0
	: "${BUILD:?}" "${TOP:?}" "${TAP_PEER:?}"
	DIR=$(mktemp -d)
	export UNETMAP_SOCKET="$DIR/netmapd.sock" UNETMAP_NETMAPD="$BUILD/tools/netmapd/netmapd"
	PKT_GEN="$BUILD/tools/pkt-gen/pkt-gen"
	TAG="$$n$BATS_TEST_NUMBER"
	NS=()
	PIDS=()
}

teardown()
{
	local pid ns status=0

	for pid in "${PIDS[@]}"; do
		kill -KILL "$pid" 2>/dev/null || :
	done
	wait_for 15 all_stopped || for pid in $(strays); do
		echo "left behind: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
		kill -KILL "$pid" 2>/dev/null || :
		status=1
	done
	for ns in "${NS[@]}"; do
		ip netns del "$ns" 2>/dev/null || :
	done
	rm -rf "$DIR"
	return "$status"
}

nmctl()
{
	"$BUILD/tools/nmctl/nmctl" "$@" 3>&-
}

vale_ctl()
{
	"$BUILD/tools/vale-ctl/vale-ctl" "$@" 3>&-
}

need_root()
{
	[ "$(id -u)" -eq 0 ] || skip "making network namespaces takes root"
	[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
}

# strays: processes that were started with this test's socket in their environment
strays()
{
	local f

	for f in $(env -u UNETMAP_SOCKET grep -lsz "^UNETMAP_SOCKET=$UNETMAP_SOCKET\$" /proc/[0-9]*/environ); do
		basename "${f%/environ}"
	done
}

no_strays()
{
	[ -z "$(strays)" ]
}

# A client that saw its netmapd die may have started another one just before its own end.
all_stopped()
{
	nmctl stop >/dev/null 2>&1 || :
	no_strays
}

is_gone()
{
	[[ ! -e /proc/$1 || $(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null) == Z ]]
}

# make_ns LETTER...: namespaces "unm_TAG_LETTER", in the variables ns_LETTER. No IPv6 in them unless V6=1, so that they are silent.
make_ns()
{
	local letter name

	need_root
	for letter; do
		name="unm_${TAG}_$letter"
		ip netns add "$name"
		NS+=("$name")
		declare -g "ns_$letter=$name"
		ip -n "$name" link set lo up
		in_ns "$name" sh -c "echo $((1 - ${V6:-0})) >/proc/sys/net/ipv6/conf/default/disable_ipv6"
	done
}

in_ns()
{
	ip netns exec "$@" 3>&-
}

# address NS IF ADDRESS/LEN...: give the interface addresses and bring it up
address()
{
	local ns=$1 if=$2 a

	shift 2
	for a; do
		ip -n "$ns" addr add "$a" dev "$if" $([[ $a == *:* ]] && echo nodad)
	done
	ip -n "$ns" link set dev "$if" up
}

has_if()
{
	ip -n "$1" link show dev "$2" >/dev/null 2>&1
}

lacks_if()
{
	! has_if "$1" "$2"
}

# start NAME READY COMMAND...: run in the background with output in $DIR/NAME.out and $DIR/NAME.err;
# return when one of them matches READY. The process id is in PID.
start()
{
	local name=$1 ready=$2

	shift 2
	"$@" >"$DIR/$name.out" 2>"$DIR/$name.err" 3>&- &
	PID=$!
	PIDS+=("$PID")
	wait_for 15 grep -qs -e "$ready" "$DIR/$name.out" "$DIR/$name.err" || not_ready "$name" "$ready"
}

# stop PID [SIGNAL]: end it and return its exit status
stop()
{
	kill "-${2:-TERM}" "$1"
	wait_for 10 is_gone "$1" || return 99
	wait "$1"
}

# finish PID [SECONDS]: it ends by itself, with status 0
finish()
{
	wait_for "${2:-30}" is_gone "$1" || return 99
	wait "$1"
}

# start_in NS NAME READY COMMAND...: the same in a namespace. "ip netns exec" becomes the command, so PID is its own.
start_in()
{
	local ns=$1 name=$2 ready=$3

	shift 3
	start "$name" "$ready" ip netns exec "$ns" "$@"
}

# start_peer NAME [OPTION...] PORT IPV4: a tap-peer
start_peer()
{
	local name=$1

	shift
	start "$name" '^ready' "$TAP_PEER" "$@"
}

# py NS SCRIPT ARG...: ns_udp.py or ns_tcp.py in a namespace
py()
{
	local ns=$1 script=$2

	shift 2
	in_ns "$ns" python3 "$TOP/test/system/tap/$script" "$@"
}

# ping_from NS ADDRESS [ARG...]: answered within 20 s, however often it is lost or late
ping_from()
{
	local ns=$1 to=$2

	shift 2
	in_ns "$ns" ping -q -c 1 -w 20 -i 0.2 "$@" "$to" >/dev/null
}

# json EXPRESSION COMMAND...: a Python expression over the JSON "d" that nmctl -j COMMAND prints
json()
{
	local expr=$1

	shift
	nmctl -j "$@" | python3 -c 'import json, sys
d = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$expr"
}

# says TEXT STATUS COMMAND...: nmctl ends with that status and says so
says()
{
	local text=$1 status=$2

	shift 2
	run "-$status" nmctl "$@"
	echo "$output"
	[[ $output == *"$text"* ]]
}

start_daemon()
{
	start daemon 'serves at' "$UNETMAP_NETMAPD" --foreground
	DAEMON=$PID
}

# send PORT N [ARGUMENT...]: N frames by pkt-gen
send()
{
	timeout 30 "$PKT_GEN" -i "$1" -f tx -w 0 -n "$2" "${@:3}" >"$DIR/tx.out" 2>&1 3>&-
}

# port_field PORT FIELD
port_field()
{
	json "next(p for p in d['ports'] if p['name'] == '$1')['$2']" show ports
}

# joined_segments PORT: those of an interface that were joined again for sending
joined_segments()
{
	json "next(p for p in d['ports'] if p['name'] == '$1')['interface']['joined_segments']" show ports
}

# worker_pid PORT; 0 if it has none
worker_pid()
{
	port_field "$1" worker_pid
}

daemon_pid()
{
	json "d['daemon'][0]['pid']" show daemon
}

# cpu_ticks PID: user and system time used, in clock ticks
cpu_ticks()
{
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# pass_tcp NS_FROM NS_TO ADDRESS MIB: from one namespace to the other, whole
pass_tcp()
{
	local server

	start_in "$2" serve '^ready' python3 "$TOP/test/system/tap/ns_tcp.py" serve "$3" 5001
	server=$PID
	py "$1" ns_tcp.py send "$3" 5001 "$4"
	finish "$server"
	rm -f "$DIR/serve.out"
}
