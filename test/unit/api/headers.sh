#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# headers.sh - proves that the public headers compile without a warning in every language standard
# that programs use, and that their layout is the same in all of them (test_abi.c).
#
# usage: headers.sh INCLUDE_DIR TEST_DIR
#
# C++98 knows no variadic macros, which the message macros are: there without -pedantic.
# Exit: 0, 1 something did not compile, 77 none of the compilers is installed.

include=$1
tests=$2
warnings="-Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wundef"
n_bad=0
n_done=0
n_compilers=0

# compile COMPILER LANGUAGE STANDARD FILE [OPTION...]
compile() {
	cc=$1 lang=$2 std=$3 file=$4
	shift 4
	pedantic=-pedantic
	case $std in *++98) pedantic= ;; esac
	# $warnings and $pedantic are lists of words.
	if ! $cc -x "$lang" -std="$std" $warnings $pedantic "$@" -I"$include" -O2 -c \
		-o /dev/null "$tests/$file"; then
		echo "FAILED: $cc -std=$std $* $file"
		n_bad=$((n_bad + 1))
	fi
	n_done=$((n_done + 1))
}

# all COMPILER LANGUAGE STANDARD...
all() {
	cc=$1 lang=$2
	shift 2
	if ! command -v "$cc" >/dev/null; then
		echo "not installed: $cc"
		return
	fi
	n_compilers=$((n_compilers + 1))
	for std; do
		compile "$cc" "$lang" "$std" test_abi.c
		compile "$cc" "$lang" "$std" test_includes.c
		compile "$cc" "$lang" "$std" test_includes.c -DNETMAP_WITH_LIBS
		compile "$cc" "$lang" "$std" test_late_libs.c
	done
	# Depends on libc's extensions, so not on a strict standard.
	compile "$cc" "$lang" "$std" test_linux_if.c -D_GNU_SOURCE
}

for cc in gcc clang; do
	all "$cc" c c99 c11 c17 c2x gnu99 gnu11
done
for cc in g++ clang++; do
	all "$cc" c++ c++98 c++11 c++14 c++17 c++20 gnu++98 gnu++17
done

echo "$n_done compilations with $n_compilers compilers, $n_bad failed"
[ $n_compilers -gt 0 ] || exit 77
[ $n_bad -eq 0 ]
