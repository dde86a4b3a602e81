#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: what the switch makes of frames that ask for checksums, segmentation or fragments is what
# the kernel makes of them, byte by byte, and tshark finds no wrong checksum in it.

bats_require_minimum_version 1.5.0

# kernel_gso ARGUMENT...: skip where it can't run
kernel_gso()
{
	run timeout -k 5 50 "$KERNEL_GSO" "$@"
	echo "$output"
	[ "$status" -ne 77 ] || skip "$output"
	[ "$status" -eq 0 ]
}

@test "random frames: the same as the kernel's" {
	kernel_gso 400 1
	[[ $output == *'400 frames, 0 differ' ]]
}

@test "tshark finds every checksum right, and datagrams whole" {
	command -v tshark >/dev/null || skip "tshark is not installed"
	kernel_gso 100 2 "$BATS_TEST_TMPDIR/ours.pcap"
	tshark -r "$BATS_TEST_TMPDIR/ours.pcap" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE \
		-o ip.defragment:TRUE -o ipv6.defragment:TRUE -T fields -e ip.checksum.status -e tcp.checksum.status \
		-e udp.checksum.status -e ip.reassembled.length -e ipv6.reassembled.length \
		-E separator=, >"$BATS_TEST_TMPDIR/fields" 2>"$BATS_TEST_TMPDIR/errors" 3>&-
	[ "$(wc -l <"$BATS_TEST_TMPDIR/fields")" -gt 300 ]
	awk -F, '
		$1 == 0 || $2 == 0 || $3 == 0 { print "bad checksum in frame", NR; bad = 1 }
		$1 == 1 { ip++ } $2 == 1 { tcp++ } $3 == 1 { udp++ } $4 $5 != "" { whole++ }
		END {
			print ip " IPv4 headers, " tcp " TCP, " udp " UDP, " whole " reassembled"
			exit bad || ip < 100 || tcp < 100 || udp < 30 || whole < 10
		}' "$BATS_TEST_TMPDIR/fields"
}
