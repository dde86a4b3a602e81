#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check-libnetmap.sh - proves that the manual page of the library names every function of the header,
# under NAME and in the text, and none that does not exist.
#
# usage: check-libnetmap.sh HEADER PAGE

header=$1
page=$2
n_bad=0
n_names=0

# Declarations begin in the first column; so does the one macro that looks like a function.
names=$(sed -n 's/^[a-z#].*[ *]\(nm[a-z]*_[a-z_]*\)(.*/\1/p' "$header" | sort -u)

for name in $names; do
	n_names=$((n_names + 1))
	case $name in
	*cleanup) want=1 ;;	# for older programs: mentioned, no more
	*) want=2 ;;
	esac
	have=$(grep -cw "$name" "$page")
	if [ "$have" -lt $want ]; then
		echo "$name: $have lines of $page name it, not $want"
		n_bad=$((n_bad + 1))
	fi
done

for name in $(grep -owE '(nmport|nmreq|nmctx)_[a-z_]*' "$page" | sort -u); do
	if ! grep -qw "$name" "$header"; then
		echo "$name: not in $header"
		n_bad=$((n_bad + 1))
	fi
done

echo "$n_names functions, $n_bad errors"
[ $n_names -ge 40 ] && [ $n_bad -eq 0 ]
