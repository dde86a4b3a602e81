#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# help-vs-completion.sh PROG BASH-FILE ZSH-FILE - do both completions know every option of --help?
#
# The options are those that help-vs-man.sh reads from --help. Each has to occur as a word in both
# files, and both files have to be free of syntax errors, as far as the shells are there to tell.
# Exit status: 0 yes, 1 no, 2 usage.

set -u
LC_ALL=C
export LC_ALL

if [ $# -ne 3 ] || [ ! -r "$2" ] || [ ! -r "$3" ]; then
	echo "usage: help-vs-completion.sh PROG BASH-FILE ZSH-FILE" >&2
	exit 2
fi
prog=$1
bash_file=$2
zsh_file=$3
status=0

options=$("$prog" --help </dev/null | awk '
	/^[ \t]+-/ {
		sub(/^[ \t]+/, "")
		sub(/(  |\t).*/, "")
		n = split($0, words, /[ ,=|\[\]]+/)
		for (i = 1; i <= n; i++)
			if (words[i] ~ /^--?[A-Za-z0-9][A-Za-z0-9-]*$/)
				print words[i]
	}')
if [ -z "$options" ]; then
	echo "$prog --help names no options" >&2
	exit 1
fi
for option in $options; do
	for file in "$bash_file" "$zsh_file"; do
		if ! grep -qE -e "(^|[^-A-Za-z0-9])$option([^-A-Za-z0-9]|\$)" "$file"; then
			echo "$file: $option of $prog is missing" >&2
			status=1
		fi
	done
done
if command -v bash >/dev/null; then
	bash -n "$bash_file" || status=1
fi
if command -v zsh >/dev/null; then
	zsh -n "$zsh_file" || status=1
fi
exit $status
