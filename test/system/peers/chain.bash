# SPDX-License-Identifier: BSD-2-Clause
#
# Chains from namespace a to namespace b through ports of ours, and what unmodified programs have to do across them. Namespace m holds
# what lies between; netmapd runs there. A chain leaves the end's interfaces in IF_A and IF_B, with addresses, and offloads as the
# kernel has them by default.

load ../tap/tap

ADDR_A=10.9.0.1 ADDR_B=10.9.0.2
LAST_BYTES=12M # of a stream

start_middle_daemon()
{
	start_in "$ns_m" "daemon$1" 'serves at' "$UNETMAP_NETMAPD" --foreground
	DAEMON_PID=$PID
}

make_chain()
{
	make_ns a m b
	start_middle_daemon
}

# veth LETTER NS: a pair from namespace NS to m; its ends are vLETTER and mLETTER
veth()
{
	# "dev": ip would take ma for "master"
	ip link add "v$1" netns "$2" type veth peer name "m$1" netns "$ns_m"
	ip -n "$ns_m" link set dev "m$1" up
}

# bridge NAME PORT PORT
bridge()
{
	start "$1" 'Ready to go' "$BUILD/tools/nm-bridge/nm-bridge" -w 0 "$2" "$3"
	BRIDGE_PID=$PID
}

end_a_veth()
{
	veth a "$ns_a"
	IF_A=va
	address "$ns_a" va "$ADDR_A/24"
}

end_b_veth()
{
	veth b "$ns_b"
	IF_B=vb
	address "$ns_b" vb "$ADDR_B/24"
}

# end_b_tap SWITCH
end_b_tap()
{
	nmctl attach "$1" tap:tb "netns=$ns_b"
	IF_B=tb
	address "$ns_b" tb "$ADDR_B/24"
}

# For who reads why a test failed
step()
{
	echo "$SECONDS s: $*"
}

iperf()
{
	in_ns "$ns_a" timeout 60 iperf3 -c "$ADDR_B" --connect-timeout 10000 -i 0 "$@"
}

# Both directions of TCP, and UDP. Datagrams may be lost when the machine has other things to do, but not most of them.
prove_iperf()
{
	local server

	start_in "$ns_b" iperf 'listening' iperf3 -s --forceflush
	server=$PID
	step TCP
	iperf -n "$LAST_BYTES"
	step TCP back
	iperf -n "$LAST_BYTES" -R
	step UDP
	iperf -u -b 20M -n 500K | tee "$DIR/udp"
	awk -F'[(%]' '/receiver$/ { n++; lost = $(NF - 1) } END { exit !(n == 1 && lost != "" && lost < 50) }' "$DIR/udp"
	stop "$server" KILL || :
}

prove_ping()
{
	step ping
	ping_from "$ns_a" "$ADDR_B"
	ping_from "$ns_a" "$ADDR_B" -s 1472 -M do
	ping_from "$ns_b" "$ADDR_A" -s 1472 -M do
	step arping
	in_ns "$ns_a" arping -q -c 1 -w 20 -I "$IF_A" "$ADDR_B"
}

# udhcpd in b gives dhclient in a an address. Both write their packets by themselves and look at checksums by themselves.
prove_dhcp()
{
	step dhcp
	cat >"$DIR/udhcpd.conf" <<-END
		start 10.9.0.100
		end 10.9.0.110
		interface $IF_B
		lease_file $DIR/leases
		pidfile $DIR/udhcpd.pid
		option subnet 255.255.255.0
		option lease 600
	END
	printf '#!/bin/sh\n[ -z "$new_ip_address" ] || echo "$new_ip_address" >%s/address\n' "$DIR" >"$DIR/script"
	chmod +x "$DIR/script"
	touch "$DIR/leases"
	start_in "$ns_b" udhcpd 'started' udhcpd -f -a 50 "$DIR/udhcpd.conf"
	start_in "$ns_a" dhclient 'bound to 10.9.0.1' dhclient -4 -d -1 -sf "$DIR/script" -lf "$DIR/dhclient.leases" \
		-pf "$DIR/dhclient.pid" "$IF_A"
	grep -q '^10\.9\.0\.1..$' "$DIR/address"
}

# capture_at NAME NS IF: what the interface receives; of a stream's segments one of 16. What is longer was joined on the way, as by the
# kernel's own GRO, and has no checksum then.
capture_at()
{
	start_in "$2" "$1" 'listening on' tcpdump -Z root -i "$3" -Q in -n -U -w "$DIR/$1.pcap" \
		'less 1514 and (not tcp or tcp[13] & 7 != 0 or ip[5] & 15 = 0)'
}

# no_bad_sums FILE...: in what was captured, which is not nothing. TCP sums of 0xffff are right, and are what the kernel writes when it
# completes one that comes to 0; tshark would have 0.
no_bad_sums()
{
	local verify=(-o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE)
	local is_bad='ip.checksum.status == 0 || udp.checksum.status == 0 || (tcp.checksum.status == 0 && tcp.checksum != 0xffff)'

	mergecap -w "$DIR/captured" "$@"
	tshark -n -r "$DIR/captured" "${verify[@]}" -Y "$is_bad" -x >"$DIR/bad" 2>/dev/null
	tshark -n -r "$DIR/captured" "${verify[@]}" -Y 'ip.checksum.status == 1' 2>/dev/null >"$DIR/good"
	echo "$(wc -l <"$DIR/good") packets, $(grep -c '^0000' "$DIR/bad") with bad checksums"
	head -60 "$DIR/bad"
	[[ $(wc -l <"$DIR/good") -gt 100 && ! -s $DIR/bad ]]
}

# All of it, over one chain
prove()
{
	local dump_a dump_b ns

	ping_from "$ns_a" "$ADDR_B"
	capture_at at_a "$ns_a" "$IF_A"
	dump_a=$PID
	capture_at at_b "$ns_b" "$IF_B"
	dump_b=$PID
	prove_ping
	prove_dhcp
	prove_iperf
	step captures
	stop "$dump_a" INT
	stop "$dump_b" INT
	no_bad_sums "$DIR/at_a.pcap" "$DIR/at_b.pcap"
	step counters
	for ns in "$ns_a" "$ns_b"; do
		[ "$(in_ns "$ns" python3 "$TOP/test/system/tap/ns_offload.py" errors)" = 0 ]
	done
}
