#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# man-lint.sh MAN - is the manual page free of mandoc's complaints, style included?
#
# Not counted: pages that are referred to and not installed, since ours are installed together, and
# remarks about mandoc's own database. Exit status: 0 clean, 1 not, 77 no mandoc here.

set -u

if [ $# -ne 1 ] || [ ! -r "$1" ]; then
	echo "usage: man-lint.sh MAN" >&2
	exit 2
fi
if ! command -v mandoc >/dev/null; then
	echo "mandoc is not installed" >&2
	exit 77
fi
if mandoc -Tlint "$1" 2>&1 |
	grep -v -e 'referenced manual not found' -e 'outdated mandoc.db'; then
	exit 1
fi
exit 0
