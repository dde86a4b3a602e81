#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Proves: the demo runs to its end, all its parts work, and it leaves no process, namespace or file behind.

load tap

demo_files()
{
	find /tmp -maxdepth 1 -name 'unetmap-demo.*' | sort
}

demo_namespaces()
{
	ip netns list | awk '/^unm_demo_/ { print $1 }' | sort
}

@test "demo/run" {
	need_root
	command -v tcpdump >/dev/null && command -v iperf3 >/dev/null || skip "tcpdump or iperf3 is not installed"
	files=$(demo_files) namespaces=$(demo_namespaces)
	mkdir "$DIR/tmp"
	# It uses a socket of its own; what it starts is known by the mark.
	run env -u UNETMAP_SOCKET -u UNETMAP_NETMAPD UNM_TEST_MARK="$DIR" TMPDIR="$DIR/tmp" \
		timeout -k 10 240 "$TOP/demo/run" --build "$BUILD" 3>&-
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${lines[-1]}" = 'demo: all parts worked' ]
	[[ $output != *PROBLEM* && $output != *skipped* ]]
	[ "$(demo_files)" = "$files" ]
	[ "$(demo_namespaces)" = "$namespaces" ]
	[ -z "$(ls -A "$DIR/tmp")" ]
	wait_for 10 no_marked
}

no_marked()
{
	! env -u UNM_TEST_MARK grep -qsz "^UNM_TEST_MARK=$DIR\$" /proc/[0-9]*/environ
}
