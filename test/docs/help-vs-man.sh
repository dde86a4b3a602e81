#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# help-vs-man.sh PROG MAN - do PROG --help and its manual page name the same options?
#
# From --help: the options in the first column, that is on lines that begin with white space and a
# dash, up to the first two blanks in a row. From the manual page, which has to be mdoc(7) source: the
# flags of ".It Fl" lines. Also proves that --help prints to standard output and exits with 0.
# Exit status: 0 same, 1 different, 2 usage.

set -u
LC_ALL=C
export LC_ALL

if [ $# -ne 2 ] || [ ! -r "$2" ]; then
	echo "usage: help-vs-man.sh PROG MAN" >&2
	exit 2
fi
prog=$1
man=$2
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT

if ! "$prog" --help >"$dir/help" 2>"$dir/err" </dev/null; then
	echo "$prog --help: exit status is not 0" >&2
	exit 1
fi
if [ -s "$dir/err" ]; then
	echo "$prog --help: something was printed to standard error:" >&2
	cat "$dir/err" >&2
	exit 1
fi

awk '
	/^[ \t]+-/ {
		sub(/^[ \t]+/, "")
		sub(/(  |\t).*/, "")
		n = split($0, words, /[ ,=|\[\]]+/)
		for (i = 1; i <= n; i++)
			if (words[i] ~ /^--?[A-Za-z0-9][A-Za-z0-9-]*$/)
				print words[i]
	}
' "$dir/help" | sort -u >"$dir/help.options"

awk '
	$1 == ".It" && $2 == "Fl" {
		in_flag = 0
		for (i = 2; i <= NF; i++) {
			if ($i == "Fl")
				in_flag = 1
			else if ($i ~ /^[A-Z][a-z]$/) # another macro ends the flags
				in_flag = 0
			else if (in_flag && $i ~ /^-?[A-Za-z0-9][A-Za-z0-9-]*$/)
				print "-" $i
		}
	}
' "$man" | sort -u >"$dir/man.options"

for side in help man; do
	if [ ! -s "$dir/$side.options" ]; then
		echo "no options found in the $side text of $prog" >&2
		exit 1
	fi
done
if ! diff "$dir/help.options" "$dir/man.options" >"$dir/diff"; then
	echo "$prog: --help (<) and $man (>) name different options:" >&2
	grep '^[<>]' "$dir/diff" >&2
	exit 1
fi
