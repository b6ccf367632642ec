#!/usr/bin/env python3
"""The speed table: ringhaul beside other tools, and what its own parts cost, with the targets.

Starts nginx on loopback with a file on a memory file system. The groups http, https and small are
`ringhaul bench --against`, whose folders --results keeps; the others are runs of this script, for
which bench has no words, in shuffled rounds to the disk. Prints the ratios with their targets, then
the medians behind those of this script. Builds nothing. Needs nginx, curl, aria2c, openssl, cmp and
sha256sum.

    cargo build --release && benches/peers.py --results bench-results --out peers.csv
"""

import argparse
import base64
import collections
import contextlib
import csv
import hashlib
import json
import os
import random
import resource
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
GROUPS = ("http", "https", "small", "checksum", "price", "memory")
SMALL_BYTES = 1 * KIB
# One start of a process is noisy; thirty bring the median of a few milliseconds to rest.
SMALL_RUNS = 30
# Far above any healthy run: a tool that hangs ends the session instead of holding it.
RUN_SECONDS_MAX = 900
# How often a running tool's high-water mark of memory is read: a few microseconds each time.
PEAK_READ_SECONDS = 0.02
SERVER_START_SECONDS_MAX = 10
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Groups that `ringhaul bench` measures: what of the site, and what else it is told.
Bench = collections.namedtuple("Bench", "scheme path options")
BENCHES = {
    "http": Bench("http", "big", ["--against=curl,curl-null,aria2c,axel,wget2,rclone"]),
    "https": Bench("https", "big", ["--against=curl,curl-null,aria2c,wget2,rclone"]),
    "small": Bench("http", "small", ["--against=curl"]),
}
# Groups, what is compared, measure, tool, peers, target. Of the bench's groups tool and peer are
# its rows; of the others they are cases (the slowest peer counts; several together are added up).
Row = collections.namedtuple("Row", "group title measure tool peers target")
TABLE = (
    Row("http", "HTTP, 4 connections: client CPU against `curl -o`",
        "cpu", "ringhaul -c 4", ["curl"], 0.22),
    Row("http", "HTTP: wall against `curl -o`",
        "wall", "ringhaul -c 4", ["curl"], 0.55),
    Row("http", "HTTP: wall against `curl -o /dev/null`",
        "wall", "ringhaul -c 4", ["curl -o /dev/null"], 1.45),
    Row("http", "HTTP: client CPU against `aria2c -x4 -s4 --file-allocation=none`",
        "cpu", "ringhaul -c 4", ["aria2c -x4 -s4"], 0.18),
    Row("https", "HTTPS: client CPU against `curl -o`",
        "cpu", "ringhaul -c 4", ["curl"], 0.30),
    Row("https", "HTTPS: wall against `curl -o`",
        "wall", "ringhaul -c 4", ["curl"], 0.70),
    Row("small", "1 KiB file: wall against `curl -o`",
        "wall", "ringhaul", ["curl"], 1.5),
    Row("price", "journal on against `--no-journal`: client CPU",
        "cpu", "ringhaul http", ["ringhaul bare"], 1.03),
    Row("price", "a barrier every 100 ms against `--no-journal`: wall",
        "wall", "ringhaul barriers", ["ringhaul bare"], 1.05),
    Row("price", "CRC-32C of every byte (`--print-digest crc32c`) against none: client CPU",
        "cpu", "ringhaul crc32c", ["ringhaul bare"], 1.03),
    Row("price", "1 GB/s path, journal and the server's SHA-256 against neither: wall",
        "wall", "ringhaul verified", ["ringhaul paced"], 1.05),
    Row("price", "the same: client CPU against that without, and `openssl dgst -sha256`",
        "cpu", "ringhaul verified", [("ringhaul paced", "openssl sha256")], 1.05),
    Row("checksum",
        "with `--checksum sha256:`: wall against max(download alone, `sha256sum` alone)",
        "wall", "ringhaul checksum", ["ringhaul http", "sha256sum"], 1.15),
)
MEMORY_MIB_MAX = 64

# A command and what it leaves behind: output is None when nothing is written.
Case = collections.namedtuple("Case", "name argv output served payload_bytes")
Run = collections.namedtuple("Run", "round case wall user sys peak_kib payload_bytes")
Site = collections.namedtuple("Site", "http https ca big small digest")


class Failure(Exception):
    """Something outside of the measurement went wrong; its text is the message."""


def main():
    options = parse_arguments()
    # A plain kill also has to stop nginx and to free the gigabytes on the memory file system.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with contextlib.ExitStack() as stack:
            runs, benches = session(options, stack)
    except (Failure, OSError) as error:
        print(f"peers.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print_table(options, runs, benches)
    if runs:
        print_medians(runs)
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ringhaul", default=os.path.join(ROOT, "target/release/ringhaul"),
                        metavar="PATH", help="(default: target/release/ringhaul)")
    parser.add_argument("--size", default=2 * GIB, type=size, metavar="SIZE",
                        help="bytes of the large file, with K, M or G (default 2G)")
    parser.add_argument("--runs", default=6, type=count, metavar="N",
                        help="measured rounds; one more round before them is thrown away (6)")
    parser.add_argument("--dir", metavar="DIR",
                        help="where the tools write, on a disk (default: a new one in target/)")
    parser.add_argument("--memory-dir", default="/dev/shm", metavar="DIR",
                        help="where nginx serves from (/dev/shm)")
    parser.add_argument("--only", default=",".join(GROUPS), type=groups, metavar="GROUP,..",
                        help=f"some of {', '.join(GROUPS)}")
    parser.add_argument("--seed", type=int, help="seed of the order of runs (default: random)")
    parser.add_argument("--out", metavar="FILE", help="write this script's measured runs as CSV")
    parser.add_argument("--results", metavar="DIR",
                        help="keep the folders that `ringhaul bench` writes below DIR")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    return options


def size(text):
    units = {"K": KIB, "M": MIB, "G": GIB}
    unit = units.get(text[-1:].upper(), 1)
    digits = text[:-1] if text[-1:].upper() in units else text
    return count(digits) * unit


def count(text):
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no positive number")
    return int(text)


def groups(text):
    chosen = set(text.split(","))
    if not chosen <= set(GROUPS):
        raise argparse.ArgumentTypeError(f"'{text}': choose from {','.join(GROUPS)}")
    return chosen


def session(options, stack):
    """Sets the stage, measures, and answers all measured runs and what the benches came to."""
    ringhaul = shutil.which(options.ringhaul)
    if ringhaul is None:
        raise Failure(f"no ringhaul at {options.ringhaul}; build it with cargo build --release")
    require(["nginx", "openssl", "curl", "aria2c", "cmp", "sha256sum"])
    memory = scratch(stack, options.memory_dir)
    if options.dir is None:
        options.dir = os.path.join(ROOT, "target")
        os.makedirs(options.dir, exist_ok=True)
    disk = scratch(stack, options.dir)
    require_space(memory, options.size)
    # One download at a time, and the file that sha256sum reads.
    require_space(disk, 2 * options.size)
    site = build_site(stack, memory, options.size)
    ringhaul = os.path.abspath(ringhaul)
    large = make_cases(options.only, [ringhaul], site, disk)
    if any("sha256" in case.name for case in large):
        # It is read where the downloads would have put it, from the page cache.
        shutil.copyfile(site.big, os.path.join(disk, "reference"))
    os.sync()
    print_setting(options, ringhaul, disk)
    environment = {"PATH": os.environ["PATH"], "HOME": memory, "LC_ALL": "C"}
    stage = Stage(environment, os.path.join(memory, "stderr"))
    runs = stage.rounds(large, options.runs, random.Random(options.seed))
    if options.out and runs:
        write_csv(options.out, runs)
    results = options.results or os.path.join(memory, "results")
    benches = {group: bench(group, options, ringhaul, site, disk, results)
               for group in BENCHES if group in options.only}
    return runs, benches


def bench(group, options, ringhaul, site, disk, results):
    """One `ringhaul bench --against`; answers its summary.json."""
    what = BENCHES[group]
    url = f"{getattr(site, what.scheme)}/{what.path}"
    runs = SMALL_RUNS if what.path == "small" else options.runs
    before = set(os.listdir(results)) if os.path.isdir(results) else set()
    argv = [ringhaul, "bench", *what.options, f"--runs={runs}", f"--seed={options.seed}",
            f"--dir={disk}", f"--out={results}", f"--name=against-{group}", f"--ca-cert={site.ca}",
            url]
    if options.results is None:
        argv.append("--unpublished")
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False, stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failure(f"{shlex.join(argv)} ended with status {done.returncode}")
    made = (set(os.listdir(results)) - before).pop()
    with open(os.path.join(results, made, "summary.json"), encoding="utf-8") as file:
        return json.load(file)


def require(tools):
    # Debian keeps nginx in sbin, which an ordinary user's PATH lacks.
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise Failure(f"not installed: {', '.join(missing)}")


def require_space(folder, wanted):
    free = shutil.disk_usage(folder).free
    if free < wanted + 64 * MIB:
        raise Failure(f"{folder} has {free // MIB} MiB free, the files need {wanted // MIB}")


def scratch(stack, parent):
    """A folder that disappears with the session."""
    if not os.path.isdir(parent):
        raise Failure(f"{parent} is no folder")
    folder = tempfile.mkdtemp(prefix="ringhaul-peers-", dir=os.path.abspath(parent))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    # nginx started as root reads the files as another user.
    os.chmod(folder, 0o755)
    return folder


# --- the server ---------------------------------------------------------------------------------


def build_site(stack, memory, big_bytes):
    """Makes the files and certificates in the memory folder and serves them."""
    big, small = os.path.join(memory, "big"), os.path.join(memory, "small")
    digest = write_random(big, big_bytes)
    write_random(small, SMALL_BYTES)
    make_certificates(memory)
    http_port, https_port = start_nginx(stack, memory, digest)
    return Site(http=f"http://127.0.0.1:{http_port}", https=f"https://127.0.0.1:{https_port}",
                ca=os.path.join(memory, "ca.pem"), big=big, small=small, digest=digest)


def write_random(path, length):
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for start in range(0, length, MIB):
            block = os.urandom(min(MIB, length - start))
            digest.update(block)
            file.write(block)
    os.chmod(path, 0o644)
    return digest.hexdigest()


def make_certificates(folder):
    """An authority and a certificate of its own for 127.0.0.1: some clients refuse an authority as
    the server's certificate."""
    extensions = os.path.join(folder, "extensions")
    with open(extensions, "w", encoding="ascii") as file:
        file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n"
                   "extendedKeyUsage=serverAuth\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for command in (
            ["req", "-x509", *key, "-days", "2", "-subj", "/CN=ringhaul peers authority",
             "-keyout", "ca.key", "-out", "ca.pem"],
            ["req", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"],
            ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
             "-set_serial", "2", "-days", "2", "-extfile", extensions, "-out", "server.pem"]):
        done = subprocess.run(["openssl", *command], cwd=folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"openssl {command[0]} failed: {done.stderr.strip()}")


NGINX = """
worker_processes 2;
daemon off;
pid "{folder}/nginx.pid";
error_log "{folder}/nginx.log" error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    # TLS goes through user space, in reads of this size.
    output_buffers 2 512k;
    client_body_temp_path "{folder}/tmp-body";
    proxy_temp_path "{folder}/tmp-proxy";
    fastcgi_temp_path "{folder}/tmp-fastcgi";
    uwsgi_temp_path "{folder}/tmp-uwsgi";
    scgi_temp_path "{folder}/tmp-scgi";
    server {{
        listen 127.0.0.1:{http};
        listen 127.0.0.1:{https} ssl;
        ssl_certificate "{folder}/server.pem";
        ssl_certificate_key "{folder}/server.key";
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:peers:1m;
        location = /big {{ root "{folder}"; }}
        location = /small {{ root "{folder}"; }}
        # The same file over a path of 4 x 250 MB/s, with a digest (RFC 9530) beside it.
        location = /paced {{
            alias "{folder}/big";
            limit_rate 250m;
            add_header Repr-Digest "sha-256=:{digest}:";
        }}
        location / {{ return 404; }}
    }}
}}
"""


def start_nginx(stack, folder, digest):
    ports = free_ports(2)
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w", encoding="utf-8") as file:
        in_base64 = base64.b64encode(bytes.fromhex(digest)).decode("ascii")
        file.write(NGINX.format(folder=folder, http=ports[0], https=ports[1], digest=in_base64))
    log = os.path.join(folder, "nginx.log")
    server = subprocess.Popen(
        ["nginx", "-p", folder, "-e", log, "-c", config], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    stack.callback(stop, server)
    deadline = time.monotonic() + SERVER_START_SECONDS_MAX
    for port in ports:
        while not accepts(port):
            if server.poll() is not None or time.monotonic() > deadline:
                with open(log, encoding="utf-8", errors="replace") as file:
                    raise Failure(f"nginx does not start: {file.read().strip()}")
            time.sleep(0.02)
    return ports


def free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def stop(server):
    server.terminate()
    try:
        server.wait(5)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


# --- what is run --------------------------------------------------------------------------------


def make_cases(only, ringhaul, site, disk):
    """The cases of this script's own rounds, as far as `only` needs them."""
    bytes_big = os.path.getsize(site.big)

    def case(name, argv, output="out", served=site.big):
        path = output and os.path.join(disk, output)
        filled = [word.replace("{out}", path or "") for word in argv]
        return Case(name, filled, path, served, os.path.getsize(served))

    haul = [*ringhaul, "-c", "4", "-q", "-o", "{out}"]
    reference = os.path.join(disk, "reference")
    http, https = f"{site.http}/big", f"{site.https}/big"
    cases = {
        "checksum": [
            case("ringhaul http", [*haul, http]),
            case("ringhaul checksum", [*haul, "--checksum", f"sha256:{site.digest}", http]),
            case("sha256sum", ["sha256sum", reference], output=None),
        ],
        "price": [
            case("ringhaul http", [*haul, http]),
            case("ringhaul bare", [*haul, "--no-journal", http]),
            case("ringhaul barriers", [*haul, "--journal-interval", "100ms", http]),
            case("ringhaul crc32c", [*haul, "--no-journal", "--print-digest", "crc32c", http]),
            case("ringhaul verified", [*haul, f"{site.http}/paced"]),
            case("ringhaul paced", [*haul, "--no-journal", "--no-verify", f"{site.http}/paced"]),
            case("openssl sha256", ["openssl", "dgst", "-sha256", reference], output=None),
        ],
        "memory": [
            case("ringhaul http", [*haul, http]),
            case("ringhaul https", [*haul, "--ca-cert", site.ca, https]),
        ],
    }
    chosen = [case for group in GROUPS if group in only for case in cases.get(group, [])]
    large = list({case.name: case for case in chosen}.values())
    assert all(case.payload_bytes == bytes_big for case in large)
    return large


class Stage:
    """Runs cases one at a time and takes their measures."""

    def __init__(self, environment, stderr_path):
        self.environment = environment
        self.stderr_path = stderr_path

    def rounds(self, cases, number, order):
        """Round 0 warms up and checks the content; rounds 1 to `number` are answered."""
        runs = []
        for turn in range(number + 1 if cases else 0):
            shuffled = list(cases)
            order.shuffle(shuffled)
            for case in shuffled:
                run = self.measure(case, turn)
                if turn > 0:
                    runs.append(run)
                print(f"round {turn}: {case.name}: {run.wall:.3f} s wall, "
                      f"{run.user + run.sys:.3f} s CPU", file=sys.stderr)
        return runs

    def measure(self, case, turn):
        wall, status, usage, peak_kib = self.run(case.argv)
        if status != 0:
            with open(self.stderr_path, encoding="utf-8", errors="replace") as file:
                said = file.read().strip()
            how = f"signal {-status}" if status < 0 else f"status {status}"
            raise Failure(f"{shlex.join(case.argv)} ended with {how}: {said or 'nothing said'}")
        if case.output is not None:
            if turn == 0:
                same = subprocess.run(["cmp", case.output, case.served], capture_output=True,
                                      text=True, check=False)
                if same.returncode != 0:
                    raise Failure(f"{case.name}: wrong content: {same.stdout}{same.stderr}".strip())
            os.unlink(case.output)
        # Dirty pages that a buffered tool leaves behind must not burden the next one.
        os.sync()
        return Run(turn, case.name, wall, usage.ru_utime, usage.ru_stime, peak_kib,
                   case.payload_bytes)

    def run(self, argv):
        """Wall seconds, exit status (negative: signal), resource usage, peak memory in KiB."""
        quiet = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                 (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                 (os.POSIX_SPAWN_OPEN, 2, self.stderr_path,
                  os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
        path = shutil.which(argv[0])
        started = time.perf_counter()
        # Python ignores SIGPIPE and would hand that on.
        child = os.posix_spawn(path, argv, self.environment, file_actions=quiet,
                               setsigdef=[signal.SIGPIPE])
        watch = Watch(child)
        watch.start()
        try:
            _, status, usage = os.wait4(child, 0)
            wall = time.perf_counter() - started
        except BaseException:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.wait4(child, 0)
            raise
        finally:
            watch.end()
        # Up to exec the kernel counts the parent's memory: below ours, its figure says nothing.
        exact = usage.ru_maxrss > own_peak_kib()
        peak_kib = usage.ru_maxrss if exact else watch.peak_kib or usage.ru_maxrss
        return wall, os.waitstatus_to_exitcode(status), usage, peak_kib


class Watch(threading.Thread):
    """Reads the high-water mark of a child's memory now and then, and ends a child that hangs."""

    def __init__(self, child):
        super().__init__(daemon=True)
        self.child = child
        self.peak_kib = None
        self.ended = threading.Event()

    def run(self):
        deadline = time.monotonic() + RUN_SECONDS_MAX
        while not self.ended.wait(PEAK_READ_SECONDS):
            with contextlib.suppress(OSError):
                with open(f"/proc/{self.child}/status", encoding="ascii") as file:
                    marks = [line for line in file if line.startswith("VmHWM:")]
                # A child that has ended and is not yet waited for has no memory any more.
                if marks:
                    self.peak_kib = int(marks[0].split()[1])
            if time.monotonic() > deadline:
                os.kill(self.child, signal.SIGKILL)
                return

    def end(self):
        self.ended.set()
        self.join()


# --- what is printed ----------------------------------------------------------------------------


def print_setting(options, ringhaul, disk):
    print(f"- {first_line([ringhaul, '--version'])}; {first_line(['curl', '--version'])}; "
          f"{first_line(['aria2c', '--version'])}; {first_line(['nginx', '-v'])}")
    print(f"- Linux {os.uname().release}, {processor()}, {os.cpu_count()} cores; output on "
          f"{file_system(disk)}, served from {file_system(options.memory_dir)}")
    print(f"- {options.size / GIB:g} GiB of random bytes, nginx with 2 workers on loopback; one "
          f"warm-up round, then {options.runs} rounds in shuffled order (seed {options.seed}), "
          f"{SMALL_RUNS} for the 1 KiB file")
    print("- after each run its output is deleted and `sync` waited for, outside of the time "
          "taken; writeback that a buffered tool leaves to the kernel is in nobody's time")
    print("- `sha256sum` reads from the page cache")
    print(flush=True)


def first_line(argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    lines = done.stdout.splitlines() or ["(no version)"]
    return lines[0].split(" (")[0]


def processor():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else os.uname().machine


def file_system(path):
    done = subprocess.run(["df", "--output=fstype", path], stdout=subprocess.PIPE, text=True,
                          check=False)
    return (done.stdout.split() or ["unknown"])[-1]


def own_peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def print_table(options, runs, benches):
    print("| | measured | (min .. max) | must | met |\n|---|---|---|---|---|")
    for row in TABLE:
        if row.group in options.only:
            ratio, ratios = bench_ratio(benches[row.group], row) if row.group in benches \
                else ratio_of(runs, row)
            met = "yes" if ratio <= row.target else "**no**"
            print(f"| {row.title} | {ratio:.3f} | {min(ratios):.3f} .. {max(ratios):.3f} "
                  f"| <= {row.target:.2f} | {met} |")
    if "memory" in options.only:
        peaks = [run.peak_kib / KIB for run in runs if run.case.startswith("ringhaul ")]
        met = "yes" if max(peaks) <= MEMORY_MIB_MAX else "**no**"
        print(f"| peak resident memory of all large ringhaul runs, MiB | {max(peaks):.1f} "
              f"| {min(peaks):.1f} .. {max(peaks):.1f} | <= {MEMORY_MIB_MAX} | {met} |")
    print()


def bench_ratio(summary, row):
    """The median of the rounds' ratios, and the least and largest of them."""
    found = [pair[row.measure] for pair in summary["comparisons"]
             if pair["ours"] == row.tool and pair["theirs"] in row.peers]
    if not found:
        raise Failure(f"{row.title}: no round in which both gave their file")
    return found[0]["median"], [found[0]["min"], found[0]["max"]]


def ratio_of(runs, row):
    """Median over median, and the ratio of each round."""
    tool = values(runs, row.tool, row.measure)
    peers = [values(runs, peer, row.measure) for peer in row.peers]
    ratio = statistics.median(tool) / max(statistics.median(peer) for peer in peers)
    return ratio, [mine / max(theirs) for mine, *theirs in zip(tool, *peers)]


def values(runs, case, measure):
    """The measure of each run of a case, or of several together, in order of rounds."""
    if isinstance(case, tuple):
        return [sum(parts) for parts in zip(*(values(runs, part, measure) for part in case))]
    chosen = [run for run in runs if run.case == case]
    # A process that ends below the clock's tick reports no CPU time at all.
    return [run.wall if measure == "wall" else max(run.user + run.sys, 1e-6) for run in chosen]


def print_medians(runs):
    print("| run | wall s | (min .. max) | MB/s | CPU s | CPU s/GiB | peak MiB |\n"
          "|---|---|---|---|---|---|---|")
    for name in dict.fromkeys(sorted(run.case for run in runs)):
        of_case = [run for run in runs if run.case == name]
        walls = values(runs, name, "wall")
        wall, cpu = statistics.median(walls), statistics.median(values(runs, name, "cpu"))
        payload = of_case[0].payload_bytes
        rate, per_gib = f"{payload / 1e6 / wall:.0f}", f"{cpu * GIB / payload:.3f}"
        peak = statistics.median(run.peak_kib for run in of_case) / KIB
        print(f"| {name} | {wall:.4f} | {min(walls):.4f} .. {max(walls):.4f} | {rate} "
              f"| {cpu:.4f} | {per_gib} | {peak:.1f} |")


def write_csv(path, runs):
    with open(path, "w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["round", "case", "wall_s", "user_s", "sys_s", "peak_kib", "bytes"])
        for run in runs:
            writer.writerow([run.round, run.case, f"{run.wall:.6f}", f"{run.user:.6f}",
                             f"{run.sys:.6f}", run.peak_kib, run.payload_bytes])


if __name__ == "__main__":
    sys.exit(main())
