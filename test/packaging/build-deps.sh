#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# build-deps.sh SOURCE-ROOT - does what "scripts/deps build" installs suffice to configure the product?
#
# The machine that tests has far more, so meson sees only what pkg-config finds in those packages and in what they
# depend on, and nothing by way of cmake. Exit status: 0 yes, 1 no, 77 not to be told here (no dpkg).
set -euo pipefail

root=$1
command -v dpkg-query >/dev/null || {
	echo "no dpkg here"
	exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Every package that the named ones lead to, among those that are installed.
closure() {
	local -A seen=()
	local queue=("$@") package

	while [ ${#queue[@]} -gt 0 ]; do
		package=${queue[0]}
		queue=("${queue[@]:1}")
		[ -z "${seen[$package]:-}" ] || continue
		seen[$package]=1
		mapfile -t -O ${#queue[@]} queue < <(dpkg-query -W -f '${Depends}\n' "$package" 2>/dev/null |
			tr ',|' '\n\n' | sed 's/(.*//; s/:any//; s/ //g; /^$/d')
	done
	printf '%s\n' "${!seen[@]}"
}

mapfile -t packages < <("$root/scripts/deps" --list build | tr ' ' '\n')
mkdir "$work/pc"
for package in $(closure "${packages[@]}"); do
	dpkg-query -L "$package" 2>/dev/null | grep '\.pc$' | xargs -r ln -sf -t "$work/pc" || true
done
mkdir "$work/bin"
printf '#!/bin/sh\nexit 1\n' >"$work/bin/cmake"
chmod +x "$work/bin/cmake"

if ! PATH="$work/bin:$PATH" PKG_CONFIG_LIBDIR="$work/pc" PKG_CONFIG_PATH='' meson setup "$work/build" "$root" >"$work/log" 2>&1; then
	tail -n 20 "$work/log"
	exit 1
fi
if ! grep -q 'Run-time dependency libpcap found: YES' "$work/log"; then
	echo "libpcap is not found: the capture tools would be missing"
	exit 1
fi
if ! grep -Eq 'tests *: NO' "$work/log"; then
	echo "the tests are built although cmocka is hidden: this test tests nothing"
	exit 1
fi
