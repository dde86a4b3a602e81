#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: vale-ctl lists, asks, makes, attaches, detaches and deletes as its manual says, in upstream's
# output format and as JSON; what it changes is there for other programs; errors end with status 1, the
# documented line and a hint; and listing ends with 0.

load tools/tools

# ok OUTPUT ARG...: status 0, and exactly that on standard output
ok()
{
	local expected=$1

	shift
	run -0 --separate-stderr "$VALE_CTL" "$@"
	[ "$output" = "$expected" ]
}

# fails TEXT ARG...: status 1, nothing on standard output, and that text on standard error
fails()
{
	local expected=$1

	shift
	run -1 --separate-stderr "$VALE_CTL" "$@"
	[ -z "$output" ]
	[[ $stderr == *"$expected"* ]]
}

# field NAME ARG...: member of the JSON object that vale-ctl prints
field()
{
	local name=$1

	shift
	"$VALE_CTL" -j "$@" | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$name"
}

# sent_until_gone PORT PID: send some packets there; true when the process has ended
sent_until_gone()
{
	send "$1" 200 -R 10000
	is_gone "$2"
}

@test "nothing to list: nothing printed, status 0" {
	ok ''
	ok '' -l
	ok '{"ports":[]}' -j
	fails 'failed to list vale0: No such file or directory' -l vale0
	fails 'failed to list vale0:a: No such file or directory' -l vale0:a
	fails 'failed to list eth0:a: Invalid argument' -l eth0:a
	[[ $stderr == *"('eth0:a' is no VALE port: these begin with vale)"* ]]
}

@test "ports of open programs are listed, with the indices of each" {
	start_rx a vale0:a
	a=$PID
	start_rx b vale0:b
	start_rx c valex_1:c
	run -0 "$VALE_CTL"
	[ "${#lines[@]}" -eq 3 ]
	[ "$(grep -cE '^(vale0:[ab]|valex_1:c) bridge_idx [0-9]+ port_idx [0-9]+$' <<<"$output")" -eq 3 ]
	run -0 "$VALE_CTL" -l vale0
	[ "${#lines[@]}" -eq 2 ]
	bridge=$(field bridge_idx -l vale0:b)
	port=$(field port_idx -l vale0:b)
	ok "bridge_idx: $bridge"$'\n'"port_idx:   $port" -l vale0:b
	"$VALE_CTL" | grep -qx "vale0:b bridge_idx $bridge port_idx $port"
	fails 'failed to list vale0:c' -l vale0:c
	# A switch goes with its last port.
	stop "$a"
	run -0 "$VALE_CTL" -l vale0
	[ "${#lines[@]}" -eq 1 ]
	ok "$("$VALE_CTL" | grep valex_1)" -l valex_1
}

@test "a persistent port: create, ask, attach, use, detach, delete" {
	ok '' -n up0
	fails 'failed to create up0: File exists' -n up0
	ok '' -a vale0:up0
	ok $'memsize:    '"$(field memsize -g up0)"$'\ntx_slots:   1024\nrx_slots:   1024\ntx_rings:   1\nrx_rings    1\nmem_id:     '"$(field mem_id -g up0)" -g up0
	fails 'failed to attach vale0:up0: Device or resource busy' -a vale0:up0
	fails 'failed to delete up0: Device or resource busy' -r up0
	[[ $stderr == *'vale-ctl -d'* ]]
	run -0 "$VALE_CTL"
	[[ $output =~ ^vale0:up0\ bridge_idx\ [0-9]+\ port_idx\ [0-9]+$ ]]
	# Packets reach it by either name.
	start_rx rx netmap:up0 -n 1000
	send vale0:x 1000 -R 10000
	finish "$PID"
	start_rx rx vale0:up0 -n 1000
	send vale0:x 1000 -R 10000
	fails 'failed to delete up0: Device or resource busy' -r up0
	finish "$PID"
	ok '' -d vale0:up0
	fails 'failed to detach vale0:up0: No such device or address' -d vale0:up0
	ok '' -r up0
	fails 'failed to delete up0: No such device or address' -r up0
	ok ''
}

@test "a port that is detached while a program receives from it: the program stays, and gets it back" {
	"$VALE_CTL" -n up0
	"$VALE_CTL" -a vale0:up0
	start_rx rx netmap:up0
	rx=$PID
	send vale0:x 1000 -R 10000
	"$VALE_CTL" -d vale0:up0
	fails 'failed to attach vale0:up0: Device or resource busy' -a vale0:up0
	[[ $stderr == *"'up0' is open"* ]]
	# Nobody hears what is sent there now, and nothing comes from there.
	start_rx other vale0:y -n 500
	other=$PID
	timeout 30 "$PKT_GEN" -i vale0:x -f tx -w 0 -n 500 -R 10000 -D 02:00:00:00:00:01
	timeout 30 "$PKT_GEN" -i netmap:up0 -f tx -w 0 -n 500
	finish "$other"
	stop "$rx"
	[ "$(received rx)" = 1000 ]
	[ "$(received other)" = 500 ]
	"$VALE_CTL" -a vale0:up0
	start_rx rx vale0:up0 -n 1000
	send vale0:x 1000 -R 10000
	finish "$PID"
}

@test "a port on two switches forwards between them, and no program may have it" {
	"$VALE_CTL" -n link0
	"$VALE_CTL" -a vale0:link0
	"$VALE_CTL" -a vale1:link0
	run -1 --separate-stderr "$PKT_GEN" -i vale0:link0 -f rx -w 0
	start_rx left vale0:a -n 1000
	left=$PID
	start_rx right vale1:b -n 1000
	right=$PID
	# Until the worker has opened both ports what is sent is lost: so send until it has arrived.
	wait_for 20 sent_until_gone vale0:c "$right"
	wait_for 20 sent_until_gone vale1:d "$left"
	finish "$left"
	finish "$right"
	fails 'failed to detach vale0:link0: Device or resource busy' -d vale0:link0
	ok '' -d vale1:link0
	ok '' -d vale0:link0
	ok '' -r link0
}

@test "-v prints results, and says what was done" {
	run -0 --separate-stderr "$VALE_CTL" -v -n up0 -C 256,512,2,3 -m 1
	[ "$output" = $'tx_slots:   256\nrx_slots:   512\ntx_rings:   2\nrx_rings    3\nmem_id:     1' ]
	[ "$stderr" = 'up0: created' ]
	run -0 --separate-stderr "$VALE_CTL" -v -a vale0:up0
	[[ $output =~ ^port_index:\ [0-9]+$ ]]
	[ "$stderr" = 'vale0:up0: attached' ]
	run -0 --separate-stderr "$VALE_CTL" -v -d vale0:up0
	[[ $output =~ ^port_index:\ [0-9]+$ ]]
	run -0 --separate-stderr "$VALE_CTL" -v -r up0
	[ -z "$output" ]
	[ "$stderr" = 'up0: deleted' ]
}

@test "-C: what is left out follows from the rest" {
	"$VALE_CTL" -n a0 -C 64
	"$VALE_CTL" -n a1 -C 64,128,4
	"$VALE_CTL" -n a2 -C 0,0,0,2
	[ "$(field tx_slots -g a0)/$(field rx_slots -g a0)" = 64/64 ]
	[ "$(field tx_rings -g a0)/$(field rx_rings -g a0)" = 1/1 ]
	[ "$(field tx_slots -g a1)/$(field rx_slots -g a1)" = 64/128 ]
	[ "$(field tx_rings -g a1)/$(field rx_rings -g a1)" = 4/4 ]
	[ "$(field tx_slots -g a2)/$(field rx_slots -g a2)" = 1024/1024 ]
	[ "$(field tx_rings -g a2)/$(field rx_rings -g a2)" = 1/2 ]
}

@test "-m: a region by number, or that of a port" {
	"$VALE_CTL" -n own0
	[ "$(field mem_id -n shared0 -m "$(field mem_id -g own0)")" = "$(field mem_id -g own0)" ]
	[ "$(field mem_id -n shared1 -m netmap:own0)" = "$(field mem_id -g own0)" ]
	[ "$(field mem_id -n own1)" != "$(field mem_id -g own0)" ]
	fails 'failed to create x0: Invalid argument' -n x0 -m 60000
	fails "no memory region 'nosuch'" -n x0 -m nosuch
	fails "no memory region '65536'" -n x0 -m 65536
	fails "no memory region 'netmap:nosuch0'" -n x0 -m netmap:nosuch0
}

@test "more ports than netmap's 254: all are listed and found" {
	for ((i = 0; i < 300; i++)); do
		"$VALE_CTL" -n "p$i" -m 1
		"$VALE_CTL" -a "vale0:p$i"
	done
	run -0 "$VALE_CTL"
	[ "${#lines[@]}" -eq 300 ]
	# Number 255 says "no such port" in netmap's protocol, so none has it.
	[ "$(awk '$5 == 255' <<<"$output")" = '' ]
	ok "$(awk '$5 == 299 { printf "bridge_idx: %s\nport_idx:   299", $3 }' <<<"$output")" \
		-l "$(awk '$5 == 299 { print $1 }' <<<"$output")"
	fails 'failed to list vale0:nosuch' -l vale0:nosuch
	[ "$("$VALE_CTL" -j | python3 -c 'import json, sys; print(len({p["port_idx"] for p in json.load(sys.stdin)["ports"]}))')" = 300 ]
}

@test "requests that cannot be: the documented line, a hint, status 1" {
	fails 'failed to get info of nosuch0: No such device or address' -g nosuch0
	fails 'failed to attach vale0:nosuch0: Invalid argument' -a vale0:nosuch0
	fails 'failed to attach vale0:nosuch0: Invalid argument' -h vale0:nosuch0
	fails 'failed to attach eth0: Invalid argument' -a eth0
	[[ $stderr == *"('eth0': the port's name must begin with its switch, like vale0:eth0)"* ]]
	fails 'failed to detach vale0:a: No such device or address' -d vale0:a
	fails 'failed to create vale0:a: Invalid argument' -n vale0:a
	fails 'failed to create abcdefghijklmnop: Invalid argument' -n abcdefghijklmnop
	fails 'failed to start polling vale0:a: ' -p vale0:a -C 0,0
	[[ $stderr == *"(there is no port 'vale0:a')"* ]]
	# What this machine itself needs is only taken when that is confirmed.
	fails 'failed to attach vale5:lo: Operation not permitted' -a vale5:lo
	[[ $stderr == *'nmctl set lo uplink yes'* ]]
	fails 'failed to stop polling vale0:a: ' -P vale0:a
	# netmap's errno for these is ENOMEM, which is no word about the name.
	fails 'failed to attach vale0: Invalid argument' -a vale0
	[[ $stderr == *"('vale0': a VALE port is named valeSWITCH:PORT, like vale0:a)"* ]]
	fails 'failed to attach vale0: Invalid argument' -h vale0
	fails 'failed to attach vale0:: Invalid argument' -a vale0:
	[[ $stderr == *"('vale0:': the port's name must have 1 to 15 characters)"* ]]
	fails 'failed to attach vale0:abcdefghijklmnop: Invalid argument' -a vale0:abcdefghijklmnop
	fails 'failed to attach vale-0:a: Invalid argument' -a vale-0:a
	fails 'failed to get info of vale0:: Invalid argument' -g vale0:
	run -2 "$VALE_CTL" -a vale0:x -d vale0:x
	run -1 sh -c '"$0" -j >/dev/full' "$VALE_CTL"
	[[ $output == *'cannot write to standard output'* ]]
}

@test "detaching the port of a program does nothing, and succeeds" {
	start_rx rx vale0:a
	ok '' -d vale0:a
	run -0 "$VALE_CTL" -l vale0:a
}

@test "no netmapd to be had: the device cannot be opened" {
	run -1 env UNETMAP_SOCKET="$DIR/nosuch.sock" UNETMAP_NO_AUTOSTART=1 "$VALE_CTL"
	[[ $output == *'vale-ctl: cannot open /dev/netmap: No such file or directory: no netmapd is running'* ]]
}
