#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: netmapd and its workers are killed together, by whatever kills whole groups of processes, and the next netmapd attaches all again as
# it was: interfaces with and without their host's side, polled ones, TAPs, persistent ports on two switches, also what is gone by then. None of
# it is there twice, and what was detached stays so.

load nic

# kill_all [PID...]: netmapd and all workers at once, or those alone
kill_all()
{
	local daemon workers

	daemon=$(daemon_pid)
	workers=${*:-$(json "' '.join(str(p['worker_pid']) for p in d['ports'] if p.get('worker_pid', 0) > 0)" show ports)}
	kill -STOP "$daemon" # so that it does not start the next worker
	kill -KILL $workers "$daemon"
	for pid in $workers "$daemon"; do
		wait_for 10 is_gone "$pid"
	done
}

# attached PORT...: these, each with a worker, and no others
attached()
{
	local are

	are=$(json "' '.join(sorted(p['name'] for p in d['ports'] if p['attached'] and p['worker_pid'] > 0))" show ports)
	[ "$are" = "$(printf '%s\n' "$@" | LC_ALL=C sort | paste -sd ' ')" ] || { echo "attached: $are"; return 1; }
}

# uses PORT N: it is open N times
uses()
{
	[ "$(port_field "$1" users 2>/dev/null)" = "$2" ]
}

@test "interfaces, one with its host's side: they talk again, and can be detached" {
	local pid

	bridged
	start_daemon
	nmctl attach vale0 "$end_a"
	nmctl attach vale0 "$end_b" host
	ping_from "$ns_a" 10.7.0.2
	kill_all
	start_daemon
	wait_for 15 attached "vale0:$end_a" "vale0:$end_b" "vale0:mb^%$ns_m"
	wait_for 5 uses "$end_a" 1
	address "$ns_m" mb 10.7.0.3/24
	ping_from "$ns_a" 10.7.0.2
	ping_from "$ns_m" 10.7.0.2
	ping_from "$ns_m" 10.7.0.1
	grep -q "vale0:$end_a: attached again" "$DIR/daemon.err"
	run nmctl attach vale1 "$end_a"
	[[ $status -eq 1 && $output == *"attached"* ]]
	nmctl detach vale0 "$end_b"
	nmctl detach vale0 "$end_a"
	kill_all
	start_daemon
	attached
}

@test "a second time, before its workers have done anything" {
	bridged
	start_daemon
	nmctl attach vale0 "$end_a"
	nmctl attach vale0 "$end_b" host
	kill_all
	start_daemon
	attached "vale0:$end_a" "vale0:$end_b" "vale0:mb^%$ns_m"
	kill_all
	start_daemon
	attached "vale0:$end_a" "vale0:$end_b" "vale0:mb^%$ns_m"
	ping_from "$ns_a" 10.7.0.2
}

@test "one of two workers and netmapd, with a client on the switch: the other one goes on" {
	local other

	bridged
	start_daemon
	nmctl attach vale0 "$end_a"
	nmctl attach vale0 "$end_b"
	start rx Ready "$PKT_GEN" -i vale0:rx -f rx -w 0 -W
	other=$(worker_pid "vale0:$end_b")
	kill_all "$(worker_pid "vale0:$end_a")"
	start_daemon
	wait_for 15 attached "vale0:$end_a" "vale0:$end_b"
	ping_from "$ns_a" 10.7.0.2
	[ "$(worker_pid "vale0:$end_b")" -eq "$other" ]
	kill_all
	start_daemon
	wait_for 15 attached "vale0:$end_a" "vale0:$end_b"
	ping_from "$ns_a" 10.7.0.2
	kill -0 "$PID"
}

@test "polled: it is again; its interface gone too: it is on its switch, and polled once it is back" {
	(($(nproc) > 1)) || skip "polling leaves one core"
	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	start_daemon
	vale_ctl -h "vale0:ma%$ns_m"
	vale_ctl -p "vale0:ma%$ns_m" -C 0,1
	wait_for 10 uses "ma%$ns_m" 1
	kill_all
	start_daemon
	wait_for 10 uses "ma%$ns_m" 1
	run vale_ctl -p "vale0:ma%$ns_m" -C 0,1
	[[ $status = 1 && $output == *"is polled already"* ]]
	kill_all
	ip -n "$ns_m" link del dev ma
	start_daemon
	[ "$(port_field "vale0:ma%$ns_m" attached)" = True ]
	wire "$ns_a" w0 "$ns_m" ma
	wait_for 20 uses "ma%$ns_m" 1
	wait_for 20 uses "tap:ma^%$ns_m" 1
	run vale_ctl -p "vale0:ma%$ns_m" -C 0,1
	[[ $status = 1 && $output == *"is polled already"* ]]
	vale_ctl -P "vale0:ma%$ns_m"
	vale_ctl -d "vale0:ma%$ns_m"
	attached
}

@test "TAPs: the interface is made anew, with its queues; one that was there keeps its addresses" {
	make_ns a b
	ip -n "$ns_b" tuntap add dev t0 mode tap
	start_daemon
	nmctl attach vale0 "tap:t0%$ns_a" queues=2
	nmctl attach vale0 "tap:t0%$ns_b"
	address "$ns_a" t0 10.9.0.1/24
	address "$ns_b" t0 10.9.0.2/24
	ping_from "$ns_a" 10.9.0.2
	[ "$(port_field "tap:t0%$ns_a" tx_rings)" -eq 2 ]
	kill_all
	lacks_if "$ns_a" t0
	start_daemon
	wait_for 15 attached "vale0:tap:t0%$ns_a" "vale0:tap:t0%$ns_b"
	wait_for 10 uses "tap:t0%$ns_a" 2
	[ "$(port_field "tap:t0%$ns_a" tx_rings)" -eq 2 ]
	[ "$(port_field "tap:t0%$ns_a" tx_slots)" -eq 128 ]
	[ "$(port_field "vale0:tap:t0%$ns_a" rx_slots)" -eq 1024 ]
	address "$ns_a" t0 10.9.0.1/24
	ping_from "$ns_a" 10.9.0.2
	# a namespace that is gone by then is waited for
	kill_all
	ip netns del "$ns_a"
	start_daemon
	[ "$(port_field "vale0:tap:t0%$ns_a" attached)" = True ]
	grep -q "there is no network namespace '$ns_a'" "$DIR/daemon.err"
	ip netns add "$ns_a"
	wait_for 20 uses "tap:t0%$ns_a" 2
	nmctl detach vale0 "tap:t0%$ns_a"
	lacks_if "$ns_a" t0
}

@test "a persistent port that two switches share" {
	start_daemon
	nmctl create p0
	vale_ctl -a vale0:p0
	vale_ctl -a vale1:p0
	wait_for 5 uses vale0:p0 1
	kill_all
	start_daemon
	wait_for 15 attached vale1:p0
	wait_for 5 uses vale0:p0 1
	start rx Ready "$PKT_GEN" -i vale1:rx -f rx -w 0 -n 10
	send vale0:tx 1000 -R 100
	finish "$PID"
	nmctl detach vale1 p0
	nmctl detach vale0 p0
	nmctl delete p0
}

# with_stopped SWITCH: of two TAPs' workers the one of a on vale0 is stopped, OLD; netmapd and that of b on SWITCH die
with_stopped()
{
	make_ns a b
	start_daemon
	nmctl attach vale0 "tap:t0%$ns_a"
	nmctl attach "$1" "tap:t0%$ns_b"
	address "$ns_a" t0 10.9.0.1/24
	address "$ns_b" t0 10.9.0.2/24
	[ "$1" != vale0 ] || ping_from "$ns_a" 10.9.0.2
	OLD=$(worker_pid "vale0:tap:t0%$ns_a")
	kill -STOP "$OLD"
	kill_all "$(worker_pid "$1:tap:t0%$ns_b")"
	rm "$DIR/daemon.err"
	start_daemon
	wait_for 20 grep -q "took over" "$DIR/daemon.err"
}

has_address()
{
	[[ $(ip -n "$1" addr show dev t0) == *" $2/"* ]]
}

both_run()
{
	uses "tap:t0%$ns_a" 1 && uses "tap:t0%$ns_b" 1 && attached "vale0:tap:t0%$ns_a" "$1:tap:t0%$ns_b"
}

@test "a worker that was stopped meanwhile keeps its TAP, and hands it back" {
	with_stopped vale1
	attached "vale1:tap:t0%$ns_b"
	kill -CONT "$OLD"
	wait_for 20 both_run vale1
	[ "$(worker_pid "vale0:tap:t0%$ns_a")" -eq "$OLD" ]
	has_address "$ns_a" 10.9.0.1
}

@test "a worker that was stopped meanwhile, and its switch has been made anew: it gives way" {
	with_stopped vale0
	kill -CONT "$OLD"
	wait_for 20 both_run vale0
	has_address "$ns_a" 10.9.0.1 || address "$ns_a" t0 10.9.0.1/24
	has_address "$ns_b" 10.9.0.2 || address "$ns_b" t0 10.9.0.2/24
	ping_from "$ns_a" 10.9.0.2
}

@test "a worker that was stopped meanwhile, and dies: another one" {
	with_stopped vale0
	kill -KILL "$OLD"
	wait_for 20 both_run vale0
	address "$ns_a" t0 10.9.0.1/24
	address "$ns_b" t0 10.9.0.2/24
	ping_from "$ns_a" 10.9.0.2
}

@test "a worker that was stopped meanwhile, and nmctl stop: nothing is attached again" {
	with_stopped vale0
	nmctl stop
	kill -KILL "$OLD"
	start_daemon
	attached
}
