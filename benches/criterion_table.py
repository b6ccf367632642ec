#!/usr/bin/env python3
"""The last figures of the criterion suites as one Markdown table per group.

Criterion keeps them as JSON below target/criterion; this reads the medians with their intervals and
sets rates beside them. Run the suites first:

    cargo bench --bench tls && benches/criterion_table.py > parts.md
"""

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns"))
RATES = {"Bytes": ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1, "B/s")),
         "Elements": ((1e9, "G/s"), (1e6, "M/s"), (1e3, "k/s"), (1, "/s"))}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "target/criterion")
    groups = {}
    for place, _, files in sorted(os.walk(folder)):
        if os.path.basename(place) == "new" and "benchmark.json" in files:
            bench = read(place, "benchmark.json")
            groups.setdefault(bench["group_id"], []).append(line(bench, read(place, "estimates.json")))
    if not groups:
        print(f"criterion_table.py: nothing below {folder}; run cargo bench first", file=sys.stderr)
        return 1
    for group, lines in groups.items():
        print(f"## {group}\n\n| | median | interval | rate |\n|---|--:|--:|--:|")
        print("\n".join(lines) + "\n")
    return 0


def read(place, name):
    with open(os.path.join(place, name), encoding="utf-8") as file:
        return json.load(file)


def line(bench, estimates):
    median = estimates["median"]
    interval = median["confidence_interval"]
    name = "/".join(part for part in (bench["function_id"], bench["value_str"]) if part)
    low, high = time(interval["lower_bound"]), time(interval["upper_bound"])
    return (f"| {name} | {time(median['point_estimate'])} | {low} to {high} "
            f"| {rate(bench['throughput'], median['point_estimate'])} |")


def time(nanoseconds):
    return scaled(nanoseconds, UNITS)


def rate(throughput, nanoseconds):
    if not isinstance(throughput, dict):
        return "-"
    kind, count = next(iter(throughput.items()))
    return scaled(count / nanoseconds * 1e9, RATES[kind]) if kind in RATES else "-"


def scaled(value, units):
    factor, unit = next(((f, u) for f, u in units if value >= f), units[-1])
    return f"{value / factor:.3g} {unit}"


if __name__ == "__main__":
    sys.exit(main())
