#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs the recipes of docs/containers.md, line by line as they stand there, and looks at what each does. Meant to be the first process of
# its own PID and mount namespaces, as root: /run is empty at first, so netmapd and its sockets are at their usual places, and all that
# was started ends with this script. "podman" and "docker" are plain namespaces here, with user namespace and without capabilities.
#
# Environment: DOC, and PATH with the tools.
set -um
source "${0%/*}/../wait.bash"
mount -t tmpfs none /run
mkdir -p /run/unetmap /run/netns
export UNETMAP_NO_AUTOSTART=1
unset UNETMAP_SOCKET XDG_RUNTIME_DIR
N=0

fail()
{
	echo "failed: $*"
	exit 1
}

# number PORT FIELD: of "nmctl show ports", 0 without the port
number()
{
	nmctl -j show ports | python3 -c 'import json, sys
print(next((p[sys.argv[2]] for p in json.load(sys.stdin)["ports"] if p["name"] == sys.argv[1]), 0))' "$1" "$2"
}

more_than()
{
	[ "$(number "$1" "$2")" -gt "$3" ]
}

# run -v OUTSIDE:INSIDE IMAGE COMMAND...
container()
{
	local volume

	[ "$1 $2" = "run -v" ] || fail "what would $1 $2 be?"
	volume=$3
	shift 4
	exec unshare --user --map-root-user --net --mount --pid --uts --ipc --fork --kill-child sh -c '
		mount --bind "$1" "$2" && shift 2 && exec setpriv --bounding-set=-all --inh-caps=-all "$@"' sh "${volume%:*}" "${volume#*:}" "$@"
}

podman()
{
	container "$@"
}

docker()
{
	container "$@"
}

# recipe WORDS: the one line of the document that begins so, without its comment; PID and IMAGE are what they are here
recipe()
{
	local line

	line=$(sed -n "s/^    //p" "$DOC" | grep -F -- "$1")
	[ "$(wc -l <<<"$line")" -eq 1 ] && [ -n "$line" ] || fail "no line, or several, with '$1' in $DOC"
	echo "$line" | sed -e 's/ *#.*//' -e "s/PID/${PID:-0}/"
}

# in_background WORDS: such a line
in_background()
{
	local line

	line=$(recipe "$1") || fail "$line"
	N=$((N + 1))
	echo "+ $line"
	(set +m; eval "$line") >/run/out 2>&1 &
	JOB=$!
}

at_once()
{
	local line

	line=$(recipe "$1") || fail "$line"
	N=$((N + 1))
	echo "+ $line"
	eval "$line" || fail "$line"
}

# The line in the background and its children, which are a process group
end_job()
{
	kill -KILL -- "-$JOB" 2>/dev/null
	wait "$JOB" 2>/dev/null
}

# sends WORDS: vale0:web1 sends, and somebody on the switch gets it
sends()
{
	local before

	before=$(number vale0:peer received)
	in_background "$1"
	wait_for 20 more_than vale0:peer received "$before" || fail "nothing came: $(cat /run/out)"
	end_job
	wait_for 20 eval '[ "$(nmctl -j isolate show web | python3 -c "import json, sys
print(json.load(sys.stdin)[\"isolates\"][0][\"ports_used\"])")" -eq 0 ]' || fail "the port stays"
}

netmapd --foreground &
wait_for 10 test -S /run/unetmap/netmapd.sock || fail "no netmapd"

# A socket for a container
at_once 'mkdir /run/unetmap/web'
at_once 'nmctl isolate create'
pkt-gen -i vale0:peer -f rx -w 0 >/dev/null 2>&1 &
wait_for 10 eval 'nmctl show ports | grep -q vale0:peer' || fail "no receiver"
sends 'podman run'
sends 'docker run'
sends 'unshare --user'

# A container's own interface on a switch
unshare --user --map-root-user --net --mount sleep 1000 &
PID=$!
wait_for 10 eval '[ "$(readlink /proc/$PID/ns/net)" != "$(readlink /proc/self/ns/net)" ]' || fail "no container"
at_once 'netns=pid:PID'
nsenter -t "$PID" -n ip addr add 10.9.0.1/24 dev eth0 || fail "no eth0 in the container"
nsenter -t "$PID" -n ip link set eth0 up
before=$(number vale0:peer received)
nsenter -t "$PID" -n ping -q -c 1 -W 1 10.9.0.2 >/dev/null
wait_for 10 more_than vale0:peer received "$before" || fail "its interface is not on the switch"
nmctl detach vale0 "tap:eth0%pid:$PID" || fail "detach"
ip netns add web || fail "ip netns"
at_once 'nmctl attach vale0 tap:eth0 netns=/run/netns/web'
ip netns exec web ip addr add 10.9.0.3/24 dev eth0 || fail "no eth0 in the namespace"
nmctl detach vale0 "tap:eth0%/run/netns/web" || fail "detach"

# A container's veth, opened from outside
ip link add dev unmrecipe0 type veth peer name eth0 netns "$PID" || fail "veth"
nsenter -t "$PID" -n ip link set dev eth0 up
ip link set dev unmrecipe0 netns web
ip -n web link set dev unmrecipe0 name eth0
ip -n web link set dev eth0 up
in_background 'eth0%pid:PID'
inside=$JOB
wait_for 10 more_than "eth0%pid:$PID" users 0 || fail "not opened: $(cat /run/out)"
ip netns exec web ip addr add 10.9.1.3/24 dev eth0
ip netns exec web ping -q -c 1 -W 1 10.9.1.2 >/dev/null
wait_for 10 more_than "eth0%pid:$PID" received 0 || fail "nothing received"
in_background 'netns=/run/netns/web -f rx'
wait_for 10 more_than "eth0%/run/netns/web" users 0 || fail "not opened: $(cat /run/out)"
[ "$(number "eth0%pid:$PID" veth_peer)" = "eth0%/run/netns/web" ] || fail "the ends do not know each other"
end_job
JOB=$inside
end_job
[ "$(sed -n 's/^    //p' "$DOC" | wc -l)" -eq "$N" ] || fail "$DOC has lines that this script does not run"
echo "all recipes work"
