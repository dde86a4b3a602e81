# SPDX-License-Identifier: BSD-2-Clause

# wait_for SECONDS COMMAND...: until the command succeeds, at most that long
wait_for()
{
	local deadline=$((SECONDS + $1))

	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.02
	done
}
