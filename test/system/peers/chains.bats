#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: ping, arping, udhcpd, dhclient, iperf3, tcpdump and tshark, unmodified, work across chains of every kind of port, with the
# kernel's default offloads, and no checksum is wrong at either end.

load chain

@test "veth - nm-bridge - VALE - TAP" {
	make_chain
	end_a_veth
	end_b_tap vale0
	bridge ba netmap:ma vale0:p
	prove
}

@test "veth - nm-bridge - veth: two interfaces, one region" {
	make_chain
	end_a_veth
	end_b_veth
	bridge ba netmap:ma netmap:mb
	prove
	grep -q 'zerocopy supported' "$DIR/ba.err"
}

@test "veth - nm-bridge - pipe - nm-bridge - VALE - nm-bridge - VALE - TAP" {
	make_chain
	end_a_veth
	end_b_tap vale1
	bridge ba netmap:ma 'netmap:x{1'
	bridge bb 'netmap:x}1' vale0:p
	bridge bc vale0:q vale1:r
	prove
}

# A monitor on each port in the middle sees the same frames, complete.
@test "veth - nm-bridge - VALE - TAP, with tcpdump on the ports between" {
	local on_nic on_vale

	make_chain
	end_a_veth
	end_b_tap vale0
	bridge ba netmap:ma vale0:p
	start on_nic 'listening on' "$BUILD/tools/nm-pcap/nm-pcap" tcpdump -Z root -i netmap:ma -n -U -w "$DIR/on_nic.pcap" icmp or udp
	on_nic=$PID
	start on_vale 'listening on' "$BUILD/tools/nm-pcap/nm-pcap" tcpdump -Z root -i vale0:p -n -U -w "$DIR/on_vale.pcap" icmp or udp
	on_vale=$PID
	prove_ping
	prove_dhcp
	prove_iperf
	stop "$on_nic" INT
	stop "$on_vale" INT
	no_bad_sums "$DIR/on_nic.pcap" "$DIR/on_vale.pcap"
	for f in on_nic on_vale; do
		# 6 packets of ping, 4 of DHCP, and UDP of iperf3
		[ "$(tcpdump -n -r "$DIR/$f.pcap" 2>/dev/null | wc -l)" -gt 50 ]
	done
}

@test "veth - VALE - TAP: the interface is attached" {
	make_chain
	end_a_veth
	end_b_tap vale0
	vale_ctl -a vale0:ma
	prove
	vale_ctl -d vale0:ma
}

@test "veth - VALE - veth: both interfaces are attached" {
	make_chain
	end_a_veth
	end_b_veth
	vale_ctl -a vale0:ma
	vale_ctl -a vale0:mb
	prove
}

# The other end is the interface's own host stack, behind its host rings.
@test "veth - nm-bridge - host rings" {
	make_chain
	end_a_veth
	ns_b=$ns_m IF_B=ma
	address "$ns_b" ma "$ADDR_B/24"
	start ba 'Ready to go' "$BUILD/tools/nm-bridge/nm-bridge" -w 0 netmap:ma
	prove
}
