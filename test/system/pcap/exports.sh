#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# exports.sh - proves that our libpcap has every name that the system's has, of the same kind
# (function or data) and, for data, with room for what the system's holds.
#
# usage: exports.sh OURS REAL

if ! command -v nm >/dev/null; then
	echo "nm (binutils) is not installed"
	exit 77
fi
if [ ! -e "$2" ]; then
	echo "the system has no $2"
	exit 77
fi

# Lines "WHOSE KIND SIZE NAME"
names()
{
	nm -D --defined-only -S -P "$2" | awk -v whose="$1" '{
		print whose, ($2 == "T" || $2 == "W" ? "function" : "data"), $4, $1 }'
}

{
	names ours "$1"
	names real "$2"
} | awk '
	$1 == "ours" { kind[$4] = $2; size[$4] = $3; next }
	!($4 in kind) { print "not exported: " $4; bad = 1; next }
	kind[$4] != $2 { print $4 " is " kind[$4] ", not " $2; bad = 1 }
	# hexadecimal numbers without leading zeroes: the longer one is larger
	$2 == "data" && (length(size[$4]) < length($3) ||
		(length(size[$4]) == length($3) && size[$4] "" < $3 "")) {
		print $4 " has 0x" size[$4] " bytes, not 0x" $3; bad = 1 }
	{ n++ }
	END { print n " names compared"; exit bad || n < 80 }'
