#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: where AF_XDP, bpf(2) or a part of it is forbidden (a filter, a missing capability, an unprivileged user namespace) or not in
# the kernel, and where a driver can't run programs, interfaces work in the best mode that is left, which "show" and "doctor" name
# together with the reason, also when netmapd was killed meanwhile; a mode that was demanded and can't be had is refused with that
# reason; and where nothing is left, that is said.

load nic

EPERM=1 EBUSY=16 EINVAL=22 EAFNOSUPPORT=97

# denied WHAT=ERRNO...: hosts a and b, and a netmapd in m that lives without
denied()
{
	bridged
	end_a=ma end_b=mb
	start_in "$ns_m" daemon 'serves at' "$DENY" "$@" -- "$UNETMAP_NETMAPD" --foreground
}

# falls_back MODE REASON: both interfaces work, in that mode, for that reason
falls_back()
{
	start_bridge
	[ "$(interface_field ma mode)" = "$1" ]
	[[ "$(interface_field ma slower_because)" == *"$2"* ]]
	nmctl show ports | tee "$DIR/show"
	grep -q "mode $1.*$2" "$DIR/show"
	nmctl doctor >"$DIR/doctor" || :
	grep "ma: mode $1.*$2" "$DIR/doctor"
	ping_from "$ns_a" 10.7.0.2
	ping_from "$ns_b" 10.7.0.1 -s 1472 -M do
	stop "$BRIDGE" || :
}

# refuses MODE REASON
refuses()
{
	nmctl set ma mode "$1"
	run timeout 20 "$PKT_GEN" -i netmap:ma -f tx -n 1 -w 0
	echo "$output"
	[ "$status" -ne 0 ]
	[[ "$output" == *ma*"$1: "*"$2"* ]]
	nmctl set ma mode auto
}

@test "sockets of AF_XDP are forbidden" {
	denied "xdp=$EPERM"
	falls_back packet 'socket: Operation not permitted'
	refuses xdp 'socket: Operation not permitted'
	refuses xdp-generic 'socket: Operation not permitted'
}

@test "a kernel without AF_XDP" {
	denied "xdp=$EAFNOSUPPORT"
	falls_back packet 'socket: Address family not supported'
	refuses xdp 'socket: Address family not supported'
}

@test "a kernel where the rings of a bound socket can't be mapped, as before Linux 6.4" {
	denied "map=$EBUSY"
	falls_back packet 'rings of a bound socket: Function not implemented'
	refuses xdp 'rings of a bound socket: Function not implemented'
}

@test "bpf is forbidden: the stack has a copy of what is received, which is said" {
	denied "bpf=$EPERM"
	falls_back packet 'reach the stack too: Operation not permitted'
	refuses xdp 'table of sockets: Operation not permitted'
	nmctl set ma mode packet
	nmctl set mb mode packet
	falls_back packet 'reach the stack too: Operation not permitted'
}

@test "a kernel that has no links for XDP programs" {
	denied "link=$EINVAL"
	falls_back packet 'program on the interface: Invalid argument'
	refuses xdp-generic 'program on the interface: Invalid argument'
}

@test "netmapd lacks capabilities" {
	bridged
	end_a=ma end_b=mb
	start_in "$ns_m" daemon 'serves at' setpriv --bounding-set=-sys_admin,-bpf --inh-caps=-sys_admin,-bpf \
		"$UNETMAP_NETMAPD" --foreground
	falls_back packet 'Operation not permitted'
	refuses xdp 'Operation not permitted'
	stop "$PID" || :
	nmctl stop || :
	wait_for 10 no_strays
	start_in "$ns_m" daemon2 'serves at' setpriv --bounding-set=-net_raw --inh-caps=-net_raw \
		"$UNETMAP_NETMAPD" --foreground
	run timeout 20 "$PKT_GEN" -i netmap:ma -f tx -n 1 -w 0
	echo "$output"
	[ "$status" -ne 0 ]
	[[ "$output" == *"'ma': netmapd may not: "*"packet: socket: Operation not permitted"* ]]
}

@test "in an unprivileged user namespace" {
	unshare --user --map-root-user --net true 2>/dev/null || skip "no user namespaces"
	run unshare --user --map-root-user --net sh -euc '
		ip link add dev ma type veth peer name mb
		ip link set dev ma up
		ip link set dev mb up
		"$1" --foreground & daemon=$!
		until "$3" show >/dev/null 2>&1; do sleep 0.1; done # or pkt-gen starts one
		"$2" -i netmap:mb -f rx -n 100 -w 0 & rx=$!
		until "$3" show ports | grep -q "mode packet.*Operation not permitted"; do sleep 0.1; done
		timeout 20 "$2" -i netmap:ma -f tx -n 100 -w 0
		wait $rx
		kill $daemon
		wait $daemon || :' sh "$UNETMAP_NETMAPD" "$PKT_GEN" "$BUILD/tools/nmctl/nmctl"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" == *"eceived 100 packets"* ]]
}

@test "a driver that can't run programs" {
	make_ns m
	ip -n "$ns_m" link add d0 type dummy 2>/dev/null || ip -n "$ns_m" link add d0 type bridge || skip "no such interfaces"
	ip -n "$ns_m" link set d0 up
	start rx Ready "$PKT_GEN" -i "netmap:d0%$ns_m" -f rx -w 0 -W
	[ "$(interface_field "d0%$ns_m" mode)" = xdp-generic ]
	[[ "$(interface_field "d0%$ns_m" slower_because)" == *"xdp: program on the interface: "* ]]
	stop "$PID" || :
	nmctl set "d0%$ns_m" mode xdp
	run timeout 20 "$PKT_GEN" -i "netmap:d0%$ns_m" -f tx -n 1 -w 0
	[ "$status" -ne 0 ]
	[[ "$output" == *"can't be had in mode xdp, but maybe after nmctl set d0%$ns_m mode auto: "* ]]
	nmctl set "d0%$ns_m" mode auto
	run -0 timeout 20 "$PKT_GEN" -i "netmap:d0%$ns_m" -f tx -n 1 -w 0
}

# guarded: with an interface in mode packet that a program has open, the stack has nothing of what it receives, and has it again when the
# program or everybody is killed
guarded()
{
	local n

	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	address "$ns_a" w0 10.7.0.1/24
	address "$ns_m" ma 10.7.0.2/24
	export UNETMAP_NO_AUTOSTART=1
	start_in "$ns_m" daemon 'serves at' "$UNETMAP_NETMAPD" --foreground
	nmctl set ma mode packet
	for n in 1 2; do
		ping_from "$ns_a" 10.7.0.2
		start "rx$n" Ready "$PKT_GEN" -i netmap:ma -f rx -w 0 -W
		[ "$(interface_field ma slower_because)" = "" ]
		run in_ns "$ns_a" ping -c 3 -i 0.2 -W 1 10.7.0.2
		[ "$status" -ne 0 ]
		if [ "$n" -eq 2 ]; then
			kill -KILL "$(daemon_pid)"
		fi
		stop "$PID" KILL || :
		wait_for 2 in_ns "$ns_a" ping -c 1 -W 1 10.7.0.2
		[ "$n" -eq 2 ] || ! in_ns "$ns_m" tc filter show dev ma ingress | grep unetmap
	done
}

@test "in mode packet the stack has nothing of what is received" {
	guarded
}

@test "the same on a kernel without TCX" {
	export UNETMAP_ATTACH=clsact
	guarded
}

@test "the reason outlives netmapd" {
	local before

	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	"$UNETMAP_NETMAPD" --autostart 3>&-
	start rx Ready "$PKT_GEN" -i "netmap:ma%$ns_m" -f rx -w 0 -W
	before=$(interface_field "ma%$ns_m" slower_because)
	[[ "$before" == "xdp-zerocopy: "*": "* ]]
	kill -KILL "$(daemon_pid)"
	wait_for 10 nmctl show >/dev/null # pkt-gen has started the next one
	wait_for 10 eval '[ "$(json "len(d[\"ports\"])" show ports)" -eq 1 ]'
	[ "$(interface_field "ma%$ns_m" slower_because)" = "$before" ]
}

@test "modes and leave to take an uplink outlive netmapd" {
	make_ns a m
	wire "$ns_a" w0 "$ns_m" ma
	address "$ns_m" ma 10.7.0.2/24
	ip -n "$ns_m" route add default via 10.7.0.1
	start_in "$ns_m" daemon 'serves at' "$UNETMAP_NETMAPD" --foreground
	nmctl set ma mode packet
	nmctl set ma uplink yes
	nmctl set mb mode xdp-generic
	kill -KILL "$PID"
	wait_for 5 is_gone "$PID"
	start_in "$ns_m" daemon2 'serves at' "$UNETMAP_NETMAPD" --foreground
	nmctl stop
	finish "$PID" 10
	start_in "$ns_m" daemon3 'serves at' "$UNETMAP_NETMAPD" --foreground
	start rx Ready "$PKT_GEN" -i netmap:ma -f rx -w 0 -W
	[ "$(interface_field ma mode)" = packet ]
	stop "$PID" || :
	nmctl set ma mode auto
	start rx2 Ready "$PKT_GEN" -i netmap:ma -f rx -w 0 -W
	[ "$(interface_field ma mode)" != packet ]
}

@test "a namespace that netmapd may not look at is not one that is not there" {
	local name

	need_root
	chown 65534 "$DIR"
	start daemon 'serves at' setpriv --reuid 65534 --regid 65534 --clear-groups "$UNETMAP_NETMAPD" --foreground
	for name in netmap:lo%pid:1 netmap:tap:t0%pid:1; do
		run timeout 20 "$PKT_GEN" -i "$name" -f rx -n 1 -w 0
		echo "$output"
		[[ $status -ne 0 && $output == *"runs as user 65534, has no permission for network namespace 'pid:1' (Permission denied)"* ]]
	done
	run timeout 20 "$PKT_GEN" -i netmap:lo%pid:4194305 -f rx -n 1 -w 0
	[[ $status -ne 0 && $output == *"there is no network namespace 'pid:4194305'"* ]]
}
