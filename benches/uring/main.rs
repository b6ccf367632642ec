//! What newer io_uring features would bring: today's receive path beside a small ring of its own,
//! and writes that leave nothing in the page cache.
//!
//! Processor time and context switches of the receiving process for the same bodies from the same
//! server (another process, on another processor if there are two), all variants in turn in every
//! round; no disk, no plan. Then 2 GiB of blocks into a file, through the page cache, with
//! RWF_DONTCACHE and with O_DIRECT.
//!
//! `cargo bench --bench uring`; `-- --only four` for a part of it, `-- --help` for the
//! rest. Some minutes; seconds with `--test`, which checks every byte instead.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tables are the product")]

mod args;
mod disk;
mod kernel;
mod load;
mod own;
mod sender;
#[path = "../common/ring.rs"]
mod shard;
mod table;
mod today;

use args::Args;
use disk::Mode;
use load::{Cost, Load};
use own::{Setting, Way};
use ringhaul::internal::base::size::MIB;
use ringhaul::internal::base::{Span, Url};
use ringhaul::internal::http::Request;
use sender::Sender;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use table::{Row, median};

/// What a request asks for of a large file, and of a small one.
const LARGE_BYTES: usize = 16 << 20;
const SMALL_BYTES: usize = 16 << 10;
/// At a fixed rate, all connections together.
const PACED_BYTES: usize = 64 << 20;
/// Under `--test`: more than a block and a half.
const LARGE_BYTES_SMALLEST: usize = (1 << 20) + (700 << 10) + 13;
/// Blocks of a written file.
const BLOCKS: usize = 2048;
const BLOCKS_SMALLEST: usize = 16;
/// Where the receiver runs, if it is kept in one place; the sender has the other one.
const PROCESSOR: usize = 1;

/// A part: connections, requests of each, bytes of each answer.
struct Part {
    name: &'static str,
    connections: usize,
    requests: usize,
    body_bytes: usize,
    /// Indicates whether the server sends at a fixed rate.
    is_paced: bool,
}

const fn part(name: &'static str, connections: usize, requests: usize, body_bytes: usize) -> Part {
    Part { name, connections, requests, body_bytes, is_paced: false }
}

/// 64 MiB as they come over a line of one gigabit per second.
const fn paced(name: &'static str, connections: usize) -> Part {
    let body_bytes = PACED_BYTES / connections;
    Part { name, connections, requests: 1, body_bytes, is_paced: true }
}

const PARTS: [Part; 8] = [
    part("one connection", 1, 64, LARGE_BYTES),
    part("four connections", 4, 16, LARGE_BYTES),
    part("sixteen connections", 16, 4, LARGE_BYTES),
    part("sixty-four connections", 64, 1, LARGE_BYTES),
    part("small files over 4", 4, 2500, SMALL_BYTES),
    part("small files over 64", 64, 157, SMALL_BYTES),
    paced("1 Gbit/s over 4", 4),
    paced("1 Gbit/s over 16", 16),
];

/// `None` is today's path.
const VARIANTS: [(&str, Option<Setting>); 12] = [
    ("a: today", None),
    ("b0: own loop", Some(setting(Way::OneShot, false, false))),
    ("b0p: ... below poll", Some(below_poll(false))),
    ("b1p: ... and deferred", Some(below_poll(true))),
    ("b1: own loop, deferred", Some(setting(Way::OneShot, true, false))),
    ("b1b: ... and batched", Some(setting(Way::OneShot, true, true))),
    ("b2: multishot, dropped", Some(setting(shared(false, false), true, true))),
    ("b3: bundles, dropped", Some(setting(shared(true, false), true, true))),
    ("b4: multishot, copied", Some(setting(shared(false, true), true, true))),
    ("b5: bundles, copied", Some(setting(shared(true, true), true, true))),
    ("b6: multishot into blocks", Some(setting(Way::Lent, true, true))),
    ("b6n: ... and no low water", Some(NO_LOW_WATER)),
];

const NO_LOW_WATER: Setting = Setting { has_low_water: false, ..setting(Way::Lent, true, true) };

/// How blocks are written, and how many of them at a time.
const MODES: [(&str, Mode, usize); 6] = [
    ("page cache", Mode::Buffered, 8),
    ("RWF_DONTCACHE", Mode::DontCache, 8),
    ("O_DIRECT", Mode::Direct, 8),
    ("page cache, one at a time", Mode::Buffered, 1),
    ("RWF_DONTCACHE, one at a time", Mode::DontCache, 1),
    ("O_DIRECT, one at a time", Mode::Direct, 1),
];

const fn setting(way: Way, is_deferred: bool, is_batched: bool) -> Setting {
    Setting { way, is_deferred, is_batched, has_low_water: true, waits_in_poll: false }
}

const fn below_poll(is_deferred: bool) -> Setting {
    Setting { waits_in_poll: true, ..setting(Way::OneShot, is_deferred, false) }
}

const fn shared(bundled: bool, copied: bool) -> Way {
    Way::Shared { bundled, copied }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    if words.peek().is_some_and(|word| word == sender::SERVE) {
        sender::serve(Path::new(&words.nth(1).expect("the folder")));
        return ExitCode::SUCCESS;
    }
    match Args::parse(words) {
        Ok(args) => measure(&args),
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn measure(args: &Args) {
    if let Err(error) = io_uring_7::IoUring::new(4) {
        println!("SKIPPED: uring: no io_uring here: {error}");
        return;
    }
    if args.has("disk") {
        measure_disk(args);
    }
    let largest = if args.is_smallest { LARGE_BYTES_SMALLEST } else { LARGE_BYTES };
    let senders = [false, true].map(|is_paced| {
        Sender::start(largest, args.is_pinned, is_paced).expect("a server on loopback")
    });
    if args.is_pinned {
        kernel::pin(PROCESSOR);
    }
    for part in PARTS.iter().filter(|part| args.has(part.name)) {
        measure_part(args, part, &senders[usize::from(part.is_paced)]);
    }
}

fn measure_part(args: &Args, part: &Part, sender: &Sender) {
    let load = load(args, part, sender);
    let requests = load.connections * load.requests;
    let mut rows = VARIANTS.map(|(name, _)| Row { name, costs: Vec::new() });
    for round in 0..args.rounds {
        for at in 0..VARIANTS.len() {
            // Another one begins every time.
            let at = (at + round) % VARIANTS.len();
            let (name, setting) = VARIANTS[at];
            match receive(load, setting) {
                Ok(cost) => rows[at].costs.push(cost),
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    println!("SKIPPED: uring: {name}: this kernel lacks it");
                }
                Err(error) => panic!("{}, {name}: {error}", part.name),
            }
        }
    }
    print!("{}", table::table(part.name, load.bytes(), requests, &rows));
    append(args, &table::lines(part.name, load.bytes(), requests, &rows));
}

fn receive(load: &'static Load, setting: Option<Setting>) -> io::Result<Cost> {
    match setting {
        None => today::receive(load),
        Some(setting) => own::receive(load, setting),
    }
}

/// What a part receives. It lives until the bench ends, as tasks refer to it.
fn load(args: &Args, part: &Part, sender: &Sender) -> &'static Load {
    let (connections, requests, body_bytes) = if args.is_smallest {
        let body_bytes = part.body_bytes.min(LARGE_BYTES_SMALLEST);
        (part.connections.min(3), 3, body_bytes)
    } else {
        (part.connections, part.requests, part.body_bytes)
    };
    let url = Url::parse(&format!("http://{}/file", sender.address())).expect("an address");
    let request = Request::get(&url).range(Span::new(0, body_bytes as u64));
    Box::leak(Box::new(Load {
        address: sender.address(),
        connections,
        requests,
        body_bytes,
        request: request.encode().expect("a short request").leak(),
        content: args.is_smallest.then(|| sender.content()),
    }))
}

fn measure_disk(args: &Args) {
    let blocks = if args.is_smallest { BLOCKS_SMALLEST } else { BLOCKS };
    let gib = blocks as f64 / 1024.0;
    let mut results = MODES.map(|_| Vec::new());
    for round in 0..args.rounds {
        for at in 0..MODES.len() {
            let at = (at + round) % MODES.len();
            let (name, mode, depth) = MODES[at];
            match disk::write(&args.disk, blocks, mode, depth) {
                Ok(written) => results[at].push(written),
                Err(error) if disk::is_lacking(&error) => {
                    println!("SKIPPED: uring: {name}: not to be had here");
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
    println!(
        "\n## disk\n\n{blocks} MiB in blocks of 1 MiB, to be durable.\n\n\
         | mode | handed over, s | durable, s | CPU s/GiB | kernel threads s/GiB | \
         switches/GiB | cached then, MiB | at the end |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    );
    for ((name, ..), all) in MODES.iter().zip(&results).filter(|(_, all)| !all.is_empty()) {
        let middle = |what: fn(&disk::Written) -> f64| median(all.iter().map(what).collect());
        println!(
            "| {name} | {:.2} | {:.2} | {:.3} | {:.3} | {:.0} | {:.0} | {:.0} |",
            middle(|it| it.cost.wall_s),
            middle(|it| it.durable_s),
            middle(|it| it.cost.cpu_s) / gib,
            middle(|it| it.kernel_s) / gib,
            middle(|it| it.cost.switches) / gib,
            middle(|it| it.cached[0] as f64) / MIB as f64,
            middle(|it| it.cached[1] as f64) / MIB as f64,
        );
        let bytes = blocks << 20;
        let costs = all.iter().map(|it| Cost { wall_s: it.durable_s, ..it.cost }).collect();
        append(args, &table::lines("disk", bytes, blocks, &[Row { name, costs }]));
    }
}

fn append(args: &Args, lines: &str) {
    let Some(path) = &args.raw else { return };
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(lines.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
