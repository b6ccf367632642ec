#!/usr/bin/env python3
"""ringhaul beside other downloaders over emulated wide-area paths, with the targets.

Drives a WAN emulator with scenarios.py's interface: a folder with a program `scenarios.py` that
joins two network namespaces by an emulated link, serves a file with nginx, runs downloaders by
turns (`--scenarios`, `--downloaders`, `-n`, `-s`, `--timeout`, `--json`) and marks runs INVALID
that measured the machine instead of the downloader. Its folder is named by --rig or WAN_RIG; what
it writes goes below WAN_HOME. It needs root, nginx, and little else running. Scenarios are in
wan.json beside this file; those marked `extra` only run if named with -s, or with --all.

Measured are ringhaul by itself and with fixed counts of connections, and the peers that are
installed. The table has share of capacity, CPU time, bytes on the wire by file size, connections
and peak memory. A run folder has raw.json, README.md and plots. Runs that the emulator marks
invalid do not count, and are named.

    cargo build --release && WAN_RIG=... WAN_HOME=... benches/wan.py --runs 3 --judge
    benches/wan.py --from bench-results/wan/2026-01-02-0304 --judge   # of an earlier run

--judge prints the targets row by row, PASS, MISS or OPEN (not enough valid runs); its status is 1
after a MISS. --build-peers installs the peers of the crate registry into WAN_HOME/peers first.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import shutil
import signal
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
COUNTS = (1, 4, 8, 16, 32, 64)
CRATES = ("fast-down-cli", "ripget")
# Each peer as its documentation says it is fastest, or as it is used; no configuration is read, as
# HOME is empty. {peers} is the folder of --build-peers, the other words are the emulator's.
PEERS = {
    "curl": "curl -sS -f -o {out} {url}",
    "aria2c-x4": "aria2c -q -x4 -s4 --file-allocation=none -d {dir} -o {name} {url}",
    "aria2c-x16": "aria2c -q -x16 -s16 -k1M --file-allocation=none -d {dir} -o {name} {url}",
    "axel-8": "axel -q -n 8 -o {out} {url}",
    "rclone-8": "rclone copyurl {url} {out} --multi-thread-streams 8 --multi-thread-cutoff 10M -q",
    "wget2-8": "wget2 -q -O {out} --chunk-size=16M --max-threads=8 {url}",
    "fast-down": "{peers}/bin/fd download -f -y --no-resume -p '' -d {dir} -o {name} {url}",
    "ripget": "{peers}/bin/ripget --silent {url} {out}",
}
AUTO = "ringhaul"
RIVAL = "aria2c-x16"
# The targets; what each is about stands in `judge`.
PEER_MIN, PEER_FULL_MIN, FULL = 1.00, 0.97, 0.90
FIXED_MIN, WITHIN = 0.95, 0.95
OPENED_MAX, OPENED_EVER_MAX, FIXED_OPENED_MAX = 2.0, 80, 1.25
WIRE_MAX, WIRE_LOSSY_MAX, WIRE_PEER_PLUS = 1.05, 1.10, 0.02
CPU_MAX = 0.5
MEMORY_MIB_MAX = 96


class Failure(Exception):
    """Something outside of the measurement went wrong; its text is the message."""


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.source:
            session = read_sessions(options.source, dict(r.split("=", 1) for r in options.rename))
        else:
            session = measure(options)
        cells = Cells(session)
        if not options.source or options.publish:
            folder = publish(options, session, cells)
            print(f"results are in {folder}", file=sys.stderr)
        print(tables(cells))
        lines = judge(cells)
        if options.judge:
            print(judgement(lines))
    except (Failure, OSError, ValueError) as error:
        print(f"wan.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return int(options.judge and any(line.verdict == "MISS" for line in lines))


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rig", default=os.environ.get("WAN_RIG"), metavar="DIR",
                        help="folder of the emulator (default: WAN_RIG)")
    parser.add_argument("--ringhaul", default=os.path.join(ROOT, "target/release/ringhaul"),
                        metavar="PATH", help="(default: target/release/ringhaul)")
    parser.add_argument("-n", "--runs", default=3, type=int, metavar="N",
                        help="rounds of each scenario (3)")
    parser.add_argument("--scenarios", default=os.path.join(HERE, "wan.json"), metavar="FILE",
                        help="(default: wan.json beside this file)")
    parser.add_argument("-s", "--scenario", action="append", metavar="NAME",
                        help="this scenario; repeatable (default: those that are not extra)")
    parser.add_argument("--all", action="store_true", help="the extra scenarios as well")
    parser.add_argument("-d", "--downloader", action="append", metavar="NAME",
                        help="this downloader; repeatable (default: all that are there)")
    parser.add_argument("--rate-scale", default=1.0, type=float, metavar="X",
                        help="multiply every rate and size, for a machine that is too slow (1)")
    parser.add_argument("--timeout", default=90.0, type=float, metavar="SECONDS",
                        help="a run over it counts at the rate it reached (90)")
    parser.add_argument("--results", default=os.path.join(ROOT, "bench-results/wan"),
                        metavar="DIR", help="make the run folder below DIR (bench-results/wan)")
    parser.add_argument("--unpublished", action="store_true",
                        help="measure a tree with uncommitted changes; the folder's name says so")
    parser.add_argument("--build-peers", action="store_true",
                        help=f"install {' and '.join(CRATES)} into WAN_HOME/peers first")
    parser.add_argument("--judge", action="store_true", help="print the targets row by row")
    parser.add_argument("--from", dest="source", nargs="+", metavar="FILE",
                        help="measure nothing: read these run folders or JSON files")
    parser.add_argument("--publish", action="store_true",
                        help="with --from: put them together into one new run folder")
    parser.add_argument("--rename", action="append", default=[], metavar="OLD=NEW",
                        help="with --from: downloader OLD is called NEW there; repeatable")
    options = parser.parse_args()
    if not options.source:
        if options.rig is None:
            parser.error("name the folder of the emulator with --rig or WAN_RIG")
        if os.environ.get("WAN_HOME") is None:
            parser.error("name a folder outside of the repository with WAN_HOME")
    return options


# --- measuring ------------------------------------------------------------------------------------


def measure(options):
    """Runs the emulator; answers what it wrote, with the conditions."""
    program = os.path.join(os.path.abspath(options.rig), "scenarios.py")
    if not os.access(program, os.X_OK):
        raise Failure(f"no program at {program}")
    ringhaul = shutil.which(options.ringhaul)
    if ringhaul is None:
        raise Failure(f"no ringhaul at {options.ringhaul}; build it with cargo build --release")
    commit = describe(os.path.dirname(os.path.abspath(ringhaul)))
    if commit.endswith("-dirty") and not options.unpublished:
        raise Failure(f"results of uncommitted changes are not published ({commit}); commit them "
                      "and build, or say --unpublished for a look")
    home = os.path.abspath(os.environ["WAN_HOME"])
    os.makedirs(home, exist_ok=True)
    peers = os.path.join(home, "peers")
    if options.build_peers:
        build_peers(peers)
    scenarios = choose_scenarios(options)
    downloaders = choose_downloaders(options, os.path.abspath(ringhaul), peers)
    before = machine_load()
    stamp = datetime.datetime.now(datetime.timezone.utc)
    raw = os.path.join(home, "wan-raw.json")
    with open(os.path.join(home, "wan-scenarios.json"), "w", encoding="utf-8") as file:
        json.dump(scenarios, file)
    with open(os.path.join(home, "wan-downloaders.json"), "w", encoding="utf-8") as file:
        json.dump(downloaders, file)
    argv = [program, "-n", str(options.runs), "--timeout", str(options.timeout), "--json", raw,
            "--scenarios", os.path.join(home, "wan-scenarios.json"),
            "--downloaders", os.path.join(home, "wan-downloaders.json")]
    if os.path.exists(raw):
        os.remove(raw)
    status = run_emulator(argv, home)
    if status != 0 or not os.path.exists(raw):
        raise Failure(f"the emulator ended with status {status}; what it has measured is in {raw}")
    with open(raw, encoding="utf-8") as file:
        session = json.load(file)
    # Where programs lie on this machine helps nobody.
    session["downloaders"] = {
        name: line.replace(shlex.quote(os.path.abspath(ringhaul)), "ringhaul")
                  .replace(shlex.quote(peers) + "/bin/", "")
        for name, line in downloaders.items()}
    session["conditions"] = conditions(options, stamp, commit, before, downloaders)
    return session


def run_emulator(argv, folder):
    """Its status; whoever ends this program gives it the time to take its link down."""
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          cwd=folder) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise


def choose_scenarios(options):
    with open(options.scenarios, encoding="utf-8") as file:
        known = json.load(file)
    unknown = [name for name in options.scenario or [] if name not in known]
    if unknown:
        raise Failure(f"no such scenario: {', '.join(unknown)}; there are {', '.join(known)}")

    def is_chosen(name):
        if options.scenario:
            return name in options.scenario
        return options.all or not known[name].get("extra")

    chosen = {name: dict(scenario) for name, scenario in known.items() if is_chosen(name)}
    for scenario in chosen.values():
        scenario.pop("extra", None)
        if options.rate_scale != 1:
            for key in ("rate_mbit", "flow_mbit"):
                if key in scenario:
                    scenario[key] = scenario[key] * options.rate_scale
            scenario["size_mb"] = max(1, round(scenario["size_mb"] * options.rate_scale))
            # The emulator passes it on; whoever reads the figures has to know.
            scenario["rate_scale"] = options.rate_scale
    return chosen


def choose_downloaders(options, ringhaul, peers):
    """Name to command line, of what is there; who is missing is said."""
    own = shlex.quote(ringhaul)
    lines = {AUTO: f"{own} -q -o {{out}} {{url}}"}
    lines |= {f"{AUTO} -c {count}": f"{own} -q -c {count} -o {{out}} {{url}}" for count in COUNTS}
    lines |= {name: line.replace("{peers}", shlex.quote(peers)) for name, line in PEERS.items()}
    # The emulator makes file names of these.
    lines = {name.replace(" ", ""): line for name, line in lines.items()}
    unknown = [name for name in options.downloader or [] if name not in lines]
    if unknown:
        raise Failure(f"no such downloader: {', '.join(unknown)}; there are {', '.join(lines)}")
    chosen = {}
    for name, line in lines.items():
        if options.downloader and name not in options.downloader:
            continue
        if shutil.which(shlex.split(line)[0]) is None:
            print(f"wan.py: {name} is not installed and left out", file=sys.stderr)
            continue
        chosen[name] = line
    if not chosen:
        raise Failure("no downloader is left")
    return chosen


def build_peers(folder):
    for crate in CRATES:
        argv = ["cargo", "install", "--locked", "--root", folder, crate]
        if subprocess.run(argv, check=False, stdin=subprocess.DEVNULL).returncode != 0:
            print(f"wan.py: {crate} does not build and is left out", file=sys.stderr)


def conditions(options, stamp, commit, before, downloaders):
    words = ["benches/wan.py", f"--runs={options.runs}"]
    words += [f"--scenario={name}" for name in options.scenario or []]
    words += [f"--downloader={name}" for name in options.downloader or []]
    words += ["--all"] if options.all else []
    words += [f"--rate-scale={options.rate_scale:g}"] if options.rate_scale != 1 else []
    words += [f"--timeout={options.timeout:g}"] if options.timeout != 90 else []
    return {
        "date": stamp.strftime("%Y-%m-%d %H:%M UTC"), "stamp": stamp.strftime("%Y-%m-%d-%H%M"),
        "command": " ".join(words), "commit": commit, "runs": options.runs,
        "kernel": f"Linux {platform.release()}",
        "processor": processor(), "processors": len(os.sched_getaffinity(0)),
        "congestion_control": first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
        "governor": first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_before": before[0], "load_after": machine_load()[0],
        "stolen": stolen(before[1], machine_load()[1]), "versions": versions(downloaders),
    }


def describe(folder):
    """The commit of the tree that the program lies in, with `-dirty` behind it if there are
    changes; a program that was installed has none."""
    done = subprocess.run(["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=12",
                           "--exclude=*"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def versions(downloaders):
    found = {}
    for name, line in downloaders.items():
        program = shlex.split(line)[0]
        flag = "version" if os.path.basename(program) == "rclone" else "--version"
        done = subprocess.run([program, flag], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        words = (done.stdout.splitlines() or [name])[0].split()[:3]
        found[os.path.basename(program)] = " ".join(words)
    return found


def machine_load():
    """The load average of the last minute, and the processors' ticks in all and stolen."""
    average = float(first_line("/proc/loadavg").split()[0])
    ticks = [int(field) for field in first_line("/proc/stat").split()[1:9]]
    return average, (sum(ticks), ticks[7])


def stolen(before, after):
    return round((after[1] - before[1]) / max(1, after[0] - before[0]), 4)


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return models[0] if models else "unknown"


def first_line(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip() or "unknown"
    except OSError:
        return "unknown"


def read_sessions(sources, names):
    """Earlier results, put together: later ones add scenarios and runs. Where a scenario has other
    figures, such as a lower rate, than in an earlier one, it takes that one's place. `names` are
    new names of downloaders."""
    sessions = []
    for source in sources:
        path = os.path.join(source, "raw.json") if os.path.isdir(source) else source
        with open(path, encoding="utf-8") as file:
            sessions.append(json.load(file))
    merged = {"scenarios": {}, "downloaders": {}, "checks": {}, "results": []}
    for session in sessions:
        changed = {name for name, what in session["scenarios"].items()
                   if merged["scenarios"].get(name, what) != what}
        merged["results"] = [run for run in merged["results"] if run["scenario"] not in changed]
        for key in ("scenarios", "downloaders", "checks"):
            merged[key] |= session.get(key, {})
        merged["results"] += session["results"]
        known = session.get("conditions")
        first = merged.setdefault("conditions", known)
        if known and first and known["commit"] != first["commit"]:
            raise Failure(f"results of two commits: {first['commit']}, {known['commit']}")
        if known and first and known is not first:
            first["command"] += f"\n    {known['command']}"
            first["load_after"], first["stolen"] = known["load_after"], max(
                first["stolen"], known["stolen"])
    merged["downloaders"] = {names.get(name, name): line
                             for name, line in merged["downloaders"].items()}
    for run in merged["results"]:
        run["downloader"] = names.get(run["downloader"], run["downloader"])
    return merged


# --- what the runs came to ------------------------------------------------------------------------


class Cell:
    """The runs of one downloader in one scenario; medians are of the runs that count."""

    def __init__(self, runs, scenario):
        self.runs = runs
        self.counted = [run for run in runs
                        if run["status"] in ("ok", "timeout") and not run.get("invalid")]
        self.invalid = [run for run in runs if run.get("invalid")]
        self.failed = [run for run in runs if run["status"] not in ("ok", "timeout")]
        self.capacity = scenario["rate_mbit"]

    def values(self, key):
        return [run[key] for run in self.counted]

    def median(self, key):
        values = self.values(key)
        return statistics.median(values) if values else None

    @property
    def mbit(self):
        return self.median("mbit")

    @property
    def share(self):
        """Part of the path's capacity; None where there is no cap or no run."""
        return self.mbit / self.capacity if self.counted and self.capacity else None


class Cells:
    """All cells of a session, by scenario and downloader."""

    def __init__(self, session):
        self.session = session
        self.scenarios = session["scenarios"]
        self.names = list(dict.fromkeys(run["downloader"] for run in session["results"]))
        self.names.sort(key=list(session["downloaders"]).index)
        self.cells = {}
        for scenario, what in self.scenarios.items():
            for name in self.names:
                runs = [run for run in session["results"]
                        if (run["scenario"], run["downloader"]) == (scenario, name)]
                if runs:
                    self.cells[scenario, name] = Cell(runs, what)

    @property
    def rounds(self):
        """The most runs that any downloader had in any scenario."""
        return max(len(cell.runs) for cell in self.cells.values())

    def of(self, scenario):
        """Name to cell."""
        return {name: self.cells[scenario, name] for name in self.names
                if (scenario, name) in self.cells}

    def peers(self, scenario):
        return {name: cell for name, cell in self.of(scenario).items()
                if not name.startswith(AUTO) and cell.counted}

    def fixed(self, scenario):
        """Count to cell, of ringhaul with fixed counts."""
        cells = {count: self.cells.get((scenario, f"{AUTO}-c{count}")) for count in COUNTS}
        return {count: cell for count, cell in cells.items() if cell and cell.counted}

    def auto(self, scenario):
        cell = self.cells.get((scenario, AUTO))
        return cell if cell and cell.counted else None


def path_line(scenario):
    """The path in words."""
    line = f"RTT {2 * scenario['delay_ms']:g} ms"
    line += f", {scenario['rate_mbit']:g} Mbit/s" if scenario["rate_mbit"] else ", no rate cap"
    line += f", loss {100 * scenario['loss']:g} %"
    if scenario.get("flow_mbit"):
        line += f", {scenario['flow_mbit']:g} Mbit/s per connection"
    if scenario.get("jitter_ms"):
        line += f", jitter {scenario['jitter_ms']:g} ms"
    if "queue_bdp" in scenario:
        line += f", queue {scenario['queue_bdp']:g} BDP"
    line += f", sender {scenario['cc']}" if scenario.get("cc") else ""
    if "rate_scale" in scenario:
        line += f", rates and size are {scenario['rate_scale']:g} times the scenario's"
    return f"{line}, {scenario['size_mb']:g} MB"


HEADINGS = ["downloader", "counted", "Mbit/s", "range", "of capacity", "CPU s", "peak MiB",
            "wire / size", "connections", "requests"]


def tables(cells):
    """Every scenario as Markdown, the best first, with the runs that do not count."""
    text = []
    for scenario, what in cells.scenarios.items():
        rows = cells.of(scenario)
        if not rows:
            continue
        text += [f"### {scenario}: {path_line(what)}", ""]
        text += [f"| {' | '.join(HEADINGS)} |", "|---|" + "--:|" * (len(HEADINGS) - 1)]
        order = sorted(rows, key=lambda name: -(rows[name].mbit or 0))
        text += [row(name, rows[name]) for name in order]
        text.append("")
        check = cells.session.get("checks", {}).get(scenario, {}).get("invalid")
        if check:
            text.append(f"- the machine was not fit for it before the runs: {check}")
        for name in order:
            for run in rows[name].invalid:
                text.append(f"- invalid, not counted: {name} #{run['run']}: {run['invalid']}")
            for run in rows[name].failed:
                text.append(f"- failed: {name} #{run['run']}: {run['status']}")
        if text[-1]:
            text.append("")
    return "\n".join(text)


def row(name, cell):
    fields = [name, f"{len(cell.counted)} of {len(cell.runs)}"]
    if not cell.counted:
        return f"| {' | '.join(fields + ['-'] * (len(HEADINGS) - 2))} |"
    mbit = cell.values("mbit")
    fields += [f"{cell.mbit:.1f}", f"{min(mbit):.1f} .. {max(mbit):.1f}",
               f"{100 * cell.share:.1f} %" if cell.share is not None else "-",
               f"{cell.median('cpu_s'):.2f}", f"{cell.median('maxrss_mb'):.0f}",
               f"{cell.median('wire_ratio'):.3f}", f"{cell.median('tcp_conns'):.0f}",
               f"{cell.median('requests'):.0f}"]
    return f"| {' | '.join(fields)} |"


# --- the targets ----------------------------------------------------------------------------------


class Line:
    """One target in one scenario."""

    def __init__(self, scenario, target, value, limit, at_least, note=""):
        self.scenario, self.target, self.note = scenario, target, note
        self.value, self.limit, self.at_least = value, limit, at_least

    @property
    def verdict(self):
        if self.value is None or self.limit is None:
            return "OPEN"
        # Targets are said with two digits.
        value, limit = round(self.value, 2), round(self.limit, 2)
        return "PASS" if (value >= limit if self.at_least else value <= limit) else "MISS"

    def fields(self):
        sign = ">=" if self.at_least else "<="
        value = "-" if self.value is None else f"{self.value:.2f}"
        limit = "-" if self.limit is None else f"{sign} {self.limit:.2f}"
        return [self.scenario, self.target, value, limit, self.verdict, self.note]


def judge(cells):
    """Every target in every scenario that was measured."""
    lines = []
    for scenario, what in cells.scenarios.items():
        if cells.of(scenario):
            lines += judge_speed(cells, scenario)
            lines += judge_connections(cells, scenario)
            lines += judge_cost(cells, scenario, what)
    return lines


def judge_speed(cells, scenario):
    auto, peers, fixed = cells.auto(scenario), cells.peers(scenario), cells.fixed(scenario)
    value = limit = None
    note = "no valid run"
    if auto and peers:
        best = max(peers, key=lambda name: peers[name].mbit)
        value = auto.mbit / peers[best].mbit
        is_full = peers[best].share is not None and peers[best].share > FULL
        limit = PEER_FULL_MIN if is_full else PEER_MIN
        note = f"best peer: {best}"
    lines = [Line(scenario, "auto / best peer, goodput", value, limit, True, note)]
    value, note = None, "no valid run"
    if auto and fixed:
        best = max(fixed, key=lambda count: fixed[count].mbit)
        value, note = auto.mbit / fixed[best].mbit, f"best: -c {best}"
    lines.append(Line(scenario, "auto / best fixed -c, goodput", value, FIXED_MIN, True, note))
    return lines


def judge_connections(cells, scenario):
    auto, fixed = cells.auto(scenario), cells.fixed(scenario)
    value, note = None, "no valid run"
    if auto and fixed:
        best = max(cell.mbit for cell in fixed.values())
        enough = min(count for count, cell in fixed.items() if cell.mbit >= WITHIN * best)
        opened = auto.median("tcp_conns")
        value, note = opened / enough, f"{opened:.0f} opened, -c {enough} is enough"
    lines = [Line(scenario, "opened by auto / enough", value, OPENED_MAX, False, note)]
    most = max(auto.values("tcp_conns")) if auto else None
    lines.append(Line(scenario, "opened by auto, most", most, OPENED_EVER_MAX, False))
    value, note = None, "no valid run"
    if fixed:
        worst = max(fixed, key=lambda count: fixed[count].median("tcp_conns") / count)
        value = fixed[worst].median("tcp_conns") / worst
        note = f"-c {worst} opened {fixed[worst].median('tcp_conns'):.0f}"
    lines.append(Line(scenario, "opened by -c N / N, worst", value, FIXED_OPENED_MAX, False, note))
    return lines


def judge_cost(cells, scenario, what):
    auto, peers = cells.auto(scenario), cells.peers(scenario)
    limit, note = WIRE_MAX, "loss-free"
    if what["loss"] > 0:
        limit, note = WIRE_LOSSY_MAX, "lossy"
        if peers:
            best = max(peers, key=lambda name: peers[name].mbit)
            of_best = peers[best].median("wire_ratio") + WIRE_PEER_PLUS
            if of_best > limit:
                limit, note = of_best, f"{best} + {WIRE_PEER_PLUS}"
    wire = auto.median("wire_ratio") if auto else None
    lines = [Line(scenario, "bytes on the wire / size", wire, limit, False, note)]
    rival = peers.get(RIVAL)
    is_known = auto and rival and rival.median("cpu_s") > 0
    value = auto.median("cpu_s") / rival.median("cpu_s") if is_known else None
    note = "" if is_known else "no valid run"
    lines.append(Line(scenario, f"CPU, auto / {RIVAL}", value, CPU_MAX, False, note))
    own = [cell for name, cell in cells.of(scenario).items() if name.startswith(AUTO)]
    memory = [value for cell in own for value in cell.values("maxrss_mb")]
    lines.append(Line(scenario, "peak memory of any run, MiB", max(memory, default=None),
                      MEMORY_MIB_MAX, False))
    wrong = [f"{run['downloader']} #{run['run']}: {run['status']}"
             for cell in own for run in cell.failed]
    lines.append(Line(scenario, "failed runs of ringhaul", len(wrong), 0, False, "; ".join(wrong)))
    return lines


def judgement(lines):
    text = ["| scenario | target | value | limit | verdict | |", "|---|---|--:|--:|---|---|"]
    text += [f"| {' | '.join(line.fields())} |" for line in lines]
    count = {word: sum(line.verdict == word for line in lines) for word in ("PASS", "MISS", "OPEN")}
    total = ", ".join(f"{number} {word}" for word, number in count.items())
    return "\n".join(text + ["", f"{total}. The simulator's and loopback's targets are not "
                                 "judged here."])


# --- the run folder -------------------------------------------------------------------------------


def publish(options, session, cells):
    """Writes raw.json, README.md and the plots into a new folder."""
    if not session.get("conditions"):
        raise Failure("these results do not say how they were made")
    name = session["conditions"]["stamp"] + ("-unpublished" if options.unpublished else "")
    folder = os.path.join(options.results, name)
    number = 1
    while os.path.exists(folder):
        number += 1
        folder = os.path.join(options.results, f"{name}-{number}")
    os.makedirs(folder)
    plots = {"overview.svg": overview(cells)}
    for scenario in cells.scenarios:
        if cells.of(scenario):
            plots[f"{scenario}.svg"] = bars(cells, scenario)
    files = {"raw.json": json.dumps(session, indent=1) + "\n",
             "README.md": readme(session, cells, list(plots))} | plots
    for name, text in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    return folder


def readme(session, cells, plots):
    known = session["conditions"]
    rows = [("ringhaul", f"commit {known['commit']}"), ("kernel", known["kernel"]),
            ("processor", f"{known['processor']}, {known['processors']} usable"),
            ("governor", known["governor"]),
            ("load average", f"{known['load_before']} before, {known['load_after']} after (with "
                             "the bench's own work)"),
            ("time stolen by the hypervisor", f"{100 * known['stolen']:.1f} %"),
            ("congestion control", f"{known['congestion_control']}, unless a scenario says more"),
            ("peers", "; ".join(known["versions"].values()))]
    invalid = sum(len(cell.invalid) for cell in cells.cells.values())
    runs = sum(len(cell.runs) for cell in cells.cells.values())
    text = [f"# {known['date']}, emulated wide-area paths", "", f"    {known['command']}", "",
            "| | |", "|---|---|"]
    text += [f"| {name} | {value} |" for name, value in rows]
    text += ["", f"HTTP over an emulated link between two network namespaces, nginx at the far "
             f"end, into a memory file system; rounds in which all downloaders take turns: "
             f"{cells.rounds} of them. Every file is checked by its SHA-256. {invalid} of {runs} "
             "runs were invalid, as the machine was too busy for them: they are in no median, and "
             "named below their table. Figures are medians; `range` is from the slowest to the fastest "
             "run. CPU time is the downloader's own, user and system. `wire / size` is the bytes "
             "that the link delivered to the client by the file's size: headers alone make 1.036. "
             "`connections` are those that the server accepted.", "",
             f"![Overview]({plots[0]})", "", "## Targets", "", judgement(judge(cells)), "",
             "## Scenarios", "", tables(cells)]
    text += [f"![{plot[:-4]}]({plot})\n" for plot in plots[1:]]
    return "\n".join(text)


# --- plots ----------------------------------------------------------------------------------------

# Viridis (van der Walt, Smith 2015) at nine places, dark to bright.
VIRIDIS = ("440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725")
INK, GREY, FAINT = "#222222", "#777777", "#d8d8d8"
OWN, OTHER = 0.45, 0.8


def viridis(part):
    place = min(max(part, 0.0), 1.0) * (len(VIRIDIS) - 1)
    below = min(int(place), len(VIRIDIS) - 2)
    ends = [[int(VIRIDIS[at][i:i + 2], 16) for i in (0, 2, 4)] for at in (below, below + 1)]
    return "#" + "".join(f"{round(a + (b - a) * (place - below)):02x}" for a, b in zip(*ends))


class Sheet:
    """An SVG document with title and two lines of subtitle; coordinates are pixels."""

    def __init__(self, width, height, title, subtitle):
        self.size = (width, height)
        self.body = [f"<title>{escaped(title)}</title>"]
        self.rect(0, 0, width, height, "#ffffff")
        self.text(16, 28, title, size=17)
        self.text(16, 47, subtitle[0], fill=GREY)
        self.text(16, 63, subtitle[1], fill=GREY)

    def rect(self, x, y, width, height, fill):
        self.body.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0, width):.1f}" '
                         f'height="{height:.1f}" fill="{fill}"/>')

    def line(self, x1, y1, x2, y2, stroke=INK, width=1.0):
        self.body.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                         f'stroke="{stroke}" stroke-width="{width}"/>')

    def text(self, x, y, text, anchor="start", size=12, fill=INK, turn=None):
        turn = "" if turn is None else f' transform="rotate({turn} {x:.1f} {y:.1f})"'
        self.body.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
                         f'font-size="{size}" fill="{fill}"{turn}>{escaped(text)}</text>')

    def finish(self):
        width, height = self.size
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
                f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
                'font-family="DejaVu Sans, Helvetica, Arial, sans-serif">\n'
                + "\n".join(self.body) + "\n</svg>\n")


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def runs_line(cells):
    """Protocol, sink and runs: what every plot has to say of itself."""
    return (f"HTTP, into a memory file system, up to {cells.rounds} runs of each; medians of the "
            "valid ones, too few for intervals")


def overview(cells):
    """Share of capacity of every downloader in every scenario, as a map."""
    left, top, width, height = 150, 170, 66, 32
    scenarios = [name for name in cells.scenarios if cells.of(name)]
    sheet = Sheet(left + width * len(cells.names) + 60, top + height * len(scenarios) + 20,
                  "Share of the path's capacity, %",
                  [runs_line(cells), "colour by the best of the scenario; 96.5 % is the ceiling "
                                     "of what a path can carry"])
    for column, name in enumerate(cells.names):
        x = left + (column + 0.5) * width
        sheet.text(x - 4, top - 8, name, size=11, turn=-40)
    for line, scenario in enumerate(scenarios):
        y = top + line * height
        sheet.text(left - 8, y + height / 2 + 4, scenario, anchor="end")
        shares = {name: cell.share for name, cell in cells.of(scenario).items()}
        best = max((share for share in shares.values() if share), default=1)
        for column, name in enumerate(cells.names):
            share, x = shares.get(name), left + column * width
            part = share / best if share else 0
            sheet.rect(x, y, width - 1, height - 1, viridis(part) if share else FAINT)
            text = f"{100 * share:.1f}" if share else "-"
            ink = "#111111" if not share or part > 0.55 else "#ffffff"
            sheet.text(x + width / 2, y + height / 2 + 4, text, anchor="middle", fill=ink)
    return sheet.finish()


PANELS = (("of capacity, %", "mbit", lambda cell, value: 100 * value / cell.capacity),
          ("CPU seconds", "cpu_s", lambda _, value: value),
          ("wire / size", "wire_ratio", lambda _, value: value),
          ("connections opened", "tcp_conns", lambda _, value: value),
          ("peak MiB", "maxrss_mb", lambda _, value: value))


def bars(cells, scenario):
    """The cost and gain of every downloader in one scenario, a bar each."""
    rows = {name: cell for name, cell in cells.of(scenario).items() if cell.counted}
    what = cells.scenarios[scenario]
    left, top, panel, gap, lane = 130, 108, 150, 56, 24
    bottom = top + lane * len(rows)
    sheet = Sheet(left + len(PANELS) * (panel + gap), bottom + 24,
                  f"{scenario}: {path_line(what)}",
                  [runs_line(cells), "whiskers from the least to the most of any run; ringhaul is "
                                     "darker; every axis begins at zero"])
    for number, name in enumerate(rows):
        sheet.text(left - 8, top + (number + 0.5) * lane + 4, name, anchor="end")
    for place, (heading, key, scaled) in enumerate(PANELS):
        x = left + place * (panel + gap)
        if key == "mbit" and not what["rate_mbit"]:
            continue
        values = {name: sorted(scaled(cell, value) for value in cell.values(key))
                  for name, cell in rows.items()}
        most = max((each[-1] for each in values.values()), default=1) or 1
        sheet.text(x, top - 12, heading)
        for number, (name, each) in enumerate(values.items()):
            y, middle = top + number * lane, statistics.median(each)
            colour = viridis(OWN if name.startswith(AUTO) else OTHER)
            sheet.rect(x, y + 4, middle / most * panel, lane - 8, colour)
            low, high = x + each[0] / most * panel, x + each[-1] / most * panel
            sheet.line(low, y + lane / 2, high, y + lane / 2, width=1.5)
            digits = 0 if middle >= 100 else 1 if middle >= 10 else 2
            text = f"{middle:.0f}" if key == "tcp_conns" else f"{middle:.{digits}f}"
            sheet.text(high + 5, y + lane / 2 + 4, text, size=11)
        sheet.line(x, top, x, bottom)
    return sheet.finish()


if __name__ == "__main__":
    sys.exit(main())
