#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# exports.sh - proves that a shared library of the nmport_*, nmreq_* and nmctx_* objects exports what
# libnetmap.h declares, and nothing else, although it is built with hidden visibility.
#
# usage: exports.sh HEADER LIBRARY

header=$1
library=$2
bad=

if ! command -v nm >/dev/null; then
	echo "nm (binutils) is not installed"
	exit 77
fi

# Declarations begin in the first column.
declared=$(sed -n 's/^[a-z].*[ *]\(nm[a-z]*_[a-z_]*\)(.*/\1/p' "$header" | sort)
# The sanitizers and the compiler's profiling add names of their own, with two underscores.
exported=$(nm -D --defined-only "$library" | awk '$2 ~ /[TBDR]/ { print $3 }' | grep -v '^__' | sort)

for name in $declared nmctx_threadsafe; do
	echo "$exported" | grep -qx "$name" || { echo "not exported: $name"; bad=1; }
done
for name in $exported; do
	case $name in
	nmctx_threadsafe | _init | _fini) continue ;;
	esac
	echo "$declared" | grep -qx "$name" || { echo "not declared: $name"; bad=1; }
done
echo "$(echo "$declared" | wc -l) functions declared"
[ -z "$bad" ] && [ "$(echo "$declared" | wc -l)" -ge 40 ]
