# SPDX-License-Identifier: BSD-2-Clause
"""
A chart of the throughputs: a bar for each measurement, with a line from the least to the greatest.

The scale is logarithmic, for a switch in the kernel and the bare limit lie three orders of magnitude
apart. gnuplot draws PNG and SVG; without it, or for any other ending, the chart is text.
"""

import math
import shutil
import subprocess
import sys

import report

COLOURS = {"limit": "#9aa0a6", "ours": "#1a73e8", "peer": "#e8710a"}
TEXT_WIDTH = 50


def rates(results):
    """Name, group, median, least and greatest Mpps, fastest first."""
    rows = []
    for r in results:
        if not r.case.latency and r.rounds:
            v = r.values()
            rows.append((r.case.name, r.case.group, report.middle(v), min(v), max(v)))
    return sorted(rows, key=lambda row: -row[2])


def text(rows):
    """Bars from the power of ten below the slowest to the fastest."""
    low = math.floor(math.log10(rows[-1][2]))
    high = math.log10(rows[0][2])
    scale = TEXT_WIDTH / max(high - low, 0.1)
    width = max(len(row[0]) for row in rows)
    lines = [f"Mpps, logarithmic from {10 ** low:g}"]
    for name, _, median, _, _ in rows:
        bar = "#" * max(1, round((math.log10(median) - low) * scale))
        lines.append(f"{name:<{width}}  {bar} {report.number(median)}")
    return "\n".join(lines) + "\n"


def script(rows, terminal, path):
    """A gnuplot program with its data in it."""
    n = len(rows)
    out = [f"set terminal {terminal}", f'set output "{path}"',
           'set title "Throughput: median, least and greatest of the rounds"',
           'set xlabel "million frames a second"', "set logscale x", "set grid x",
           f"set yrange [{n - 0.5}:-0.5]", f"set xrange [{rows[-1][3] / 2}:{rows[0][4] * 2}]",
           "set style fill solid", "set key bottom right", "unset mouse",
           "set ytics (" + ", ".join(f'"{row[0]}" {i}' for i, row in enumerate(rows)) + ")"]
    plots = []
    for group, colour in COLOURS.items():
        block = [f"{median} {i} {least} {greatest}"
                 for i, (_, g, median, least, greatest) in enumerate(rows) if g == group]
        if not block:
            continue
        out += [f"${group} << END", *block, "END"]
        left = f"{rows[-1][3] / 2}"
        plots.append(f"${group} using ({left}):2:({left}):1:($2-0.4):($2+0.4) "
                     f'with boxxyerror lc rgb "{colour}" title "{group}"')
        plots.append(f'${group} using 1:2:3:4 with xerrorbars pt 0 lc rgb "black" notitle')
    return "\n".join(out) + "\nplot " + ", ".join(plots) + "\n"


def draw(results, path):
    rows = rates(results)
    if not rows:
        print("bench/run: no throughput was measured, so there is no chart", file=sys.stderr)
        return
    height = 120 + 22 * len(rows)
    terminal = {".png": f"pngcairo size 1000,{height}", ".svg": f"svg size 1000,{height}"}.get(path[-4:])
    if terminal and not shutil.which("gnuplot"):
        print(f"bench/run: gnuplot is not installed, so {path}.txt is a text chart", file=sys.stderr)
        terminal, path = None, path + ".txt"
    if terminal:
        subprocess.run(["gnuplot"], input=script(rows, terminal, path), text=True, check=True)
        return
    with open(path, "w", encoding="utf-8") as f:
        f.write(text(rows))
