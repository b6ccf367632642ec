#!/usr/bin/env python3
"""Whether `ringhaul bench` finds the same again: three sweeps per path, and a long run of the best.

Over each shaped path of the built-in server it sweeps the same grid three times, with another order
each time. Then it measures the setting that came out best many times more. Printed are, per path:
the three winners or ties; whether some setting is winner, or tied with it, in two of three sweeps;
and whether the sweeps' intervals of that setting cover the median of the long run. Builds nothing.

    cargo build --release && benches/repeat.py --results bench-results
"""

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SWEEPS = 3
# The paths: what makes the choice matter on each of them is in its options.
PATHS = {
    "plain": ["--size=512M"],
    "capped": ["--size=128M", "--rate-per-connection=25M", "--rate=200M"],
    "first-byte": ["--size=128M", "--first-byte=50ms", "--rate-per-connection=60M"],
    "one-slow": ["--size=96M", "--rate-per-connection=25M", "--slow-every=4", "--slow-rate=1M"],
    "jitter-loss": ["--size=96M", "--rate-per-connection=25M", "--first-byte=10ms",
                    "--jitter=40ms", "--lose-connections=8"],
    "refusal": ["--size=128M", "--rate-per-connection=40M", "--refuse-beyond=6"],
}
GRID = ["--chunks=1M,4M,16M", "--connections=1,2,4,8"]

Line = collections.namedtuple("Line", "path winners shared found covers long")


class Failure(Exception):
    """Something outside of the measurement went wrong; its text is the message."""


def main():
    options = parse_arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="ringhaul-repeat-") as scratch:
            lines = [look(path, options, scratch) for path in options.paths]
    except (Failure, OSError) as error:
        print(f"repeat.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    table = [
        "| path | winners or ties of three sweeps | shared | in two of three | intervals that cover "
        "the long run | long run, MB/s |", "|---|---|---|---|---|--:|"]
    for line in lines:
        table.append(f"| {line.path} | {'; '.join(line.winners)} | {line.shared} | {line.found} "
                     f"| {line.covers} | {line.long:.1f} |")
    print("\n".join(table))
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ringhaul", default=os.path.join(ROOT, "target/release/ringhaul"),
                        metavar="PATH", help="(default: target/release/ringhaul)")
    parser.add_argument("--runs", default=6, type=int, metavar="N", help="of each cell (6)")
    parser.add_argument("--long", default=15, type=int, metavar="N", help="runs of the best (15)")
    parser.add_argument("--dir", default=ROOT, metavar="DIR", help="where files are written")
    parser.add_argument("--results", metavar="DIR",
                        help="keep the folder of each path's first sweep below DIR")
    parser.add_argument("--paths", default=",".join(PATHS), metavar="PATH,..",
                        help=f"some of {', '.join(PATHS)}")
    options = parser.parse_args()
    options.paths = options.paths.split(",")
    unknown = [path for path in options.paths if path not in PATHS]
    if unknown:
        parser.error(f"no such path: {', '.join(unknown)}")
    if shutil.which(options.ringhaul) is None:
        parser.error(f"no ringhaul at {options.ringhaul}; build it with cargo build --release")
    return options


def look(path, options, scratch):
    """Sweeps one path, and measures its best setting at length."""
    sweeps = []
    for number in range(1, SWEEPS + 1):
        keep = options.results if number == 1 else None
        sweeps.append(bench(path, GRID, options.runs, number, options, keep or scratch))
    contenders = [sweep["verdict"]["names"] for sweep in sweeps]
    everyone = [name for names in contenders for name in names]
    shared, count = collections.Counter(everyone).most_common(1)[0]
    long = bench(path, settings(shared, sweeps[0]), options.long, 4, options, scratch)
    median = goodput(long, shared)["median"]
    covers = sum(covering(sweep, shared, median) for sweep in sweeps)
    winners = [say(sweep["verdict"]) for sweep in sweeps]
    print(f"{path}: {'; '.join(winners)}; long run {median / 1e6:.1f} MB/s", file=sys.stderr)
    return Line(path, winners, shared, "yes" if count >= 2 else "**no**", f"{covers} of {SWEEPS}",
                median / 1e6)


def bench(path, grid, runs, seed, options, out):
    """One `ringhaul bench`; answers its summary.json."""
    before = set(os.listdir(out)) if os.path.isdir(out) else set()
    argv = [options.ringhaul, "bench", *PATHS[path], *grid, f"--runs={runs}", f"--seed={seed}",
            f"--out={out}", f"--name={path}", f"--dir={options.dir}"]
    if out != options.results:
        argv.append("--unpublished")
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.splitlines() or ["nothing said"])[-1]
        raise Failure(f"{' '.join(argv)} ended with status {done.returncode}: {last}")
    made = (set(os.listdir(out)) - before).pop()
    with open(os.path.join(out, made, "summary.json"), encoding="utf-8") as file:
        return json.load(file)


def settings(name, sweep):
    """The grid that has this row and as little else as possible."""
    row = next(row for row in sweep["rows"] if row["name"] == name)
    if " x " not in name:
        # auto and the single stream are in every sweep; the smallest cell comes with them.
        return ["--chunks=16M", "--connections=1"]
    return [f"--chunks={row['chunk_bytes']}", f"--connections={row['connections']}"]


def goodput(sweep, name):
    return next(row["goodput"] for row in sweep["rows"] if row["name"] == name)


def covering(sweep, name, median):
    interval = (goodput(sweep, name) or {}).get("interval")
    return interval is not None and interval["low"] <= median <= interval["high"]


def say(verdict):
    """The winner, or the first of a tie with the number of the others."""
    names = verdict["names"]
    return names[0] if len(names) == 1 else f"{names[0]} (tie of {len(names)})"


if __name__ == "__main__":
    sys.exit(main())
