#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check.sh MODEL.pml holds|fails [DEFINE...] - search a model exhaustively with spin
#
# "holds": no assertion may fail and the search must be complete. "fails": spin must find the failure, which shows that the model
# could have told.
set -eu

model=$1 expected=$2
shift 2
if ! command -v spin >/dev/null; then
	echo "spin is not installed (package spin)"
	exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$model" "$dir/model.pml"
cd "$dir"
defines=""
for d in "$@"; do defines="$defines -D$d"; done
# shellcheck disable=SC2086
spin $defines -a model.pml >spin.log 2>&1 || { cat spin.log && exit 1; }
cc -O2 -w -DSAFETY -DVECTORSZ=2048 -o pan pan.c
./pan -m2000000 >pan.log 2>&1
grep -E "errors:|State-vector|max search depth|states, stored" pan.log
if grep -q "max search depth too small\|out of memory" pan.log; then
	echo "the search was not complete"
	exit 1
fi
if [ "$expected" = holds ]; then
	grep -q "errors: 0" pan.log
else
	grep -q "assertion violated" pan.log
fi
