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

# not_ready NAME READY: fail, and say what the program of start() has written instead, and where it is
not_ready()
{
	echo "$1 has not said '$2', but:"
	cat "$DIR/$1.out" "$DIR/$1.err"
	ps -o pid,ppid,stat,wchan:20,args --ppid "$PID" --pid "$PID" || :
	return 1
}
