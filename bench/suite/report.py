# SPDX-License-Identifier: BSD-2-Clause
"""Figures to tables and JSON. The middle is the median over the rounds, the spread least to greatest."""

import json
import os
import statistics


class Result:
    """A case and what its rounds gave. The reason is why it failed, the last time that it did."""

    def __init__(self, case):
        self.case = case
        self.rounds = []
        self.reason = None
        self.failures = 0
        self.is_bug = False  # was one of them the bench's own fault?

    def values(self):
        return [value(self.case, r) for r in self.rounds]


def value(case, figures):
    """The one number that stands for a measurement: Mpps, or the median time in us."""
    if not case.latency:
        return figures["mpps"]
    kind = "max" if case.once else "median"  # of a paced run the worst is what counts
    return figures["latency_ns"][kind] / 1000


def short(case, figures):
    """One measurement for the progress line."""
    if case.latency:
        t = figures["latency_ns"]
        return (f"median {t['median'] / 1000:.2f} us, 99 % {t['p99'] / 1000:.2f} us, "
                f"worst {t['max'] / 1000:.1f} us, {figures['lost']} lost")
    return f"{figures['mpps']:.3f} Mpps, {figures['ns_per_packet']:.2f} ns a frame"


def cores(figures):
    """CPUs kept busy by all sides together."""
    seconds = figures.get("seconds")
    return sum(s["cpu_s"] for s in figures["sides"]) / seconds if seconds else None


def cpu_ns(figures):
    """CPU time of all sides for one frame."""
    return 1000 * cores(figures) / figures["mpps"] if figures["mpps"] else 0


def middle(values):
    return statistics.median(values)


def number(x):
    """Four significant digits, without exponent."""
    digits = 3 if abs(x) < 10 else 2 if abs(x) < 100 else 1 if abs(x) < 1000 else 0
    return f"{x:.{digits}f}"


def columns(rows, right):
    """Rows of text to aligned lines; right says which columns are numbers."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right)]
        lines.append("  ".join(cells).rstrip())
    return lines


def lines(result):
    """Least and greatest distance of the CPUs while the case was measured, in ns."""
    all_of_them = [ns for f in result.rounds for ns in f["line_ns"] if ns]
    return f"{min(all_of_them)}-{max(all_of_them)}" if all_of_them else "-"


def rate_rows(results):
    rows = [("throughput", "Mpps", "least", "greatest", "ns/frame", "CPU ns", "copies", "Gbit/s", "CPUs",
             "others", "line ns")]
    for r in results:
        if r.case.latency or not r.rounds:
            continue
        v = r.values()
        gbit = middle([f["gbit_s"] for f in r.rounds])
        rows.append((r.case.name, number(middle(v)), number(min(v)), number(max(v)),
                     number(1000 / middle(v)),
                     number(middle([cpu_ns(f) for f in r.rounds])),
                     f"{middle([f['copies'] for f in r.rounds]):.1f}" if "copies" in r.rounds[0] else "-",
                     number(gbit) if gbit else "-",
                     f"{middle([cores(f) for f in r.rounds]):.2f}",
                     f"{middle([f['others'] for f in r.rounds]):.0%}", lines(r)))
    return rows


def latency_rows(results):
    rows = [("latency, us", "median", "least", "greatest", "99 %", "worst", "lost", "samples")]
    for r in results:
        if not r.case.latency or not r.rounds:
            continue
        t = [f["latency_ns"] for f in r.rounds]
        medians = [x["median"] / 1000 for x in t]
        rows.append((r.case.name, number(middle(medians)), number(min(medians)), number(max(medians)),
                     number(middle([x["p99"] / 1000 for x in t])),
                     number(max(x["max"] for x in t) / 1000), str(sum(f["lost"] for f in r.rounds)),
                     str(sum(f["samples"] for f in r.rounds))))
    return rows


def table(results):
    lines = []
    for rows in (rate_rows(results), latency_rows(results)):
        if len(rows) > 1:
            lines += columns(rows, [False] + [True] * (len(rows[0]) - 1)) + [""]
    failed = [r for r in results if r.reason]
    if failed:
        lines.append("not run, or not in all rounds")
        lines += [f"  {r.case.name}: {r.reason}" for r in failed] + [""]
    return "\n".join(lines)


def verdict_table(verdicts):
    """What was compared, against what is wanted."""
    rows = [("target", "wanted", "median", "least", "greatest", "")]
    for v in verdicts:
        if v["value"] is None:
            rows.append((v["name"], v["wanted"], "-", "-", "-", f"not measured: {v['missing']}"))
        else:
            rows.append((v["name"], v["wanted"], number(v["value"]), number(v["least"]),
                         number(v["greatest"]),
                         {True: "reached", False: "missed", None: v["missing"] or ""}[v["reached"]]))
    return "\n".join(columns(rows, [False, True, True, True, True, False])) if verdicts else ""


def document(machine, args, results, verdicts, incomplete):
    """Everything, for --json. incomplete: why there are not all rounds, or None."""
    listed = []
    for r in results:
        entry = {"name": r.case.name, "group": r.case.group, "what": r.case.what,
                 "unit": "us" if r.case.latency else "Mpps", "reason": r.reason, "bug": r.is_bug,
                 "rounds": r.rounds}
        if r.rounds:
            v = r.values()
            entry.update(median=middle(v), least=min(v), greatest=max(v))
        listed.append(entry)
    return {"machine": machine, "rounds": args.rounds, "seconds": args.seconds, "cpus": args.cpu_list,
            "incomplete": incomplete, "measurements": listed, "targets": verdicts}


def save(path, what):
    """Write JSON; whoever reads meanwhile finds the former text, whole."""
    is_device = os.path.exists(path) and not os.path.isfile(path)
    written = path if is_device else f"{path}.new"
    with open(written, "w", encoding="utf-8") as f:
        json.dump(what, f, indent=1)
        f.write("\n")
    if not is_device:
        os.replace(written, path)
