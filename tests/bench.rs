//! `ringhaul bench` end to end on the tiniest grids: what it prints, what it leaves, how it fails.

mod common;

use common::scene::{ended, stop, wait};
use common::tools::find_program;
use common::{Ended, Place, SEED, Scene, paced, serve, skipped};
use ringhaul::server::{Config, Fault, Paths, Route, Rule, Served, Server, When};
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command};

/// A grid that takes a fraction of a second.
const TINY: [&str; 8] = [
    "bench",
    "--size=1M",
    "--chunks=64K,256K",
    "--connections=1,2",
    "--seed=1",
    "--out=r",
    "--unpublished",
    "--runs",
];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    TINY.iter().copied().chain(more.iter().copied()).collect()
}

/// The one folder of results below `r`.
fn results(scene: &Scene) -> PathBuf {
    let mut folders = fs::read_dir(scene.path().join("r")).expect("results");
    folders.next().expect("a folder").expect("its entry").path()
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn fails(ended: &Ended, code: i32, words: &str) {
    let line = ended.error_line(code);
    assert!(line.contains(words), "{words}\n{line}");
}

#[test]
fn a_sweep_prints_its_table_and_leaves_its_folder() {
    let scene = Scene::new();
    let ended = scene.run(&with(&["6"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for words in ["goodput in MB/s", "\nauto ", "\nsingle stream ", "\n256K x 2 ", "95 % confid"] {
        assert!(ended.stdout.contains(words), "{words}\n{}", ended.stdout);
    }
    assert!(ended.stderr.contains("order and intervals by seed 1\n"), "{ended:?}");
    assert_eq!(scene.names(), ["r"], "nothing else stays");
    let folder = results(&scene);
    let csv = read(&folder, "raw.csv");
    let runs = csv.lines().count() - 1;
    // A cell may be given up after the first round.
    assert!((6 + 7..=36).contains(&runs), "{csv}");
    assert!(csv.lines().skip(1).all(|line| line.split(',').nth(21) != Some("0")), "spans\n{csv}");
    for name in ["heatmap.svg", "goodput.svg", "latency.svg", "timeline.svg", "summary.json"] {
        assert!(read(&folder, name).len() > 500, "{name}");
    }
    let readme = read(&folder, "README.md");
    assert!(readme.contains("    ringhaul bench --size=1M --chunks=64K,256K"), "{readme}");
}

#[test]
fn one_run_claims_nothing_and_https_is_trusted() {
    let scene = Scene::new();
    let ended = scene.run(&with(&["1", "--tls"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("no winner") && !ended.stdout.contains("confidence"),
        "{ended:?}"
    );
    assert!(read(&results(&scene), "summary.json").contains("\"interval\": null"));
}

/// What `raw.csv` says of the one cell of a bench of 256 KiB in requests of 64 KiB.
#[derive(Debug)]
struct Cell {
    seconds: f64,
    /// The longest wait for a first byte.
    first_byte_ms: f64,
    requests: f64,
}

fn shaped(options: &[&str]) -> Cell {
    let scene = Scene::new();
    let grid = [
        "bench",
        "--size=256K",
        "--chunks=64K",
        "--runs=1",
        "--seed=1",
        "--out=r",
        "--unpublished",
    ];
    // What is published with a figure is the command line alone.
    let environment = [("RINGHAUL_SERVE_RATE", "128K"), ("RINGHAUL_SERVE_LISTEN", "192.0.2.1:1")];
    let ended = scene.run_with(&[&grid, options].concat(), &environment);
    assert_eq!(ended.code, Some(0), "{options:?} {ended:?}");
    let csv = read(&results(&scene), "raw.csv");
    let cell = csv.lines().find(|line| line.contains(",64K x ")).expect("a cell");
    let fields: Vec<&str> = cell.split(',').collect();
    let number =
        |column: usize| fields[column].parse().unwrap_or_else(|e| panic!("{column} {e}: {csv}"));
    Cell { seconds: number(7), first_byte_ms: number(16), requests: number(21) }
}

/// Each bound is most of what the shape takes at least; the path without a shape is far below it.
#[test]
fn the_path_of_the_built_in_server_is_the_one_asked_for() {
    let slow = |cell: &Cell| cell.seconds > 0.6;
    let late = |cell: &Cell| cell.first_byte_ms > 200.0;
    let lossy = |cell: &Cell| cell.requests > 4.0;
    type Shows = fn(&Cell) -> bool;
    let shapes: [(&[&str], Shows); 7] = [
        (&["--connections=1", "--rate=256K"], slow),
        (&["--connections=1", "--rate-per-connection=256K"], slow),
        (&["--connections=1", "--first-byte=300ms"], late),
        (&["--connections=1", "--jitter=600ms"], late),
        (&["--connections=2", "--lose-connections=2"], lossy),
        (&["--connections=1", "--throttle-after=64K", "--throttle-rate=256K"], slow),
        (&["--connections=1", "--slow-every=1", "--slow-rate=256K"], slow),
    ];
    std::thread::scope(|scope| {
        for (options, shows) in shapes {
            scope.spawn(move || {
                let cell = shaped(options);
                assert!(shows(&cell), "{options:?} {cell:?}");
            });
        }
    });
    // Or else these bounds would show nothing. A busy machine may be slow once.
    for connections in ["--connections=1", "--connections=2"] {
        let is_plain = |cell: &Cell| !slow(cell) && !late(cell) && !lossy(cell);
        let mut tries: Vec<Cell> = Vec::new();
        while tries.len() < 3 && !tries.last().is_some_and(is_plain) {
            tries.push(shaped(&[connections]));
        }
        assert!(tries.last().is_some_and(is_plain), "{connections} {tries:?}");
    }
}

#[test]
fn a_server_that_pushes_back_is_asked_for_less() {
    let scene = Scene::new();
    let ended = scene.run(&[
        "bench",
        "--size=1M",
        "--chunks=64K",
        "--connections=8,9",
        "--runs=1",
        "--refuse-beyond=6",
        "--rate-per-connection=8M",
        "--seed=3",
    ]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = "note: the server pushed back at ";
    assert!(ended.stdout.contains(said) && ended.stderr.contains(said), "{ended:?}");
    assert!(ended.stdout.contains("note: the server answered 429 or 503 to "), "{ended:?}");
}

#[test]
fn peers_run_beside_ringhaul_and_missing_ones_are_named() {
    let scene = Scene::new();
    // A path with one of the tools only.
    let tools = scene.path().join("tools");
    fs::create_dir(&tools).expect("a folder");
    let curl = find_program("curl").expect("curl is installed");
    std::os::unix::fs::symlink(curl, tools.join("curl")).expect("a link");
    let program = env!("CARGO_BIN_EXE_ringhaul");
    let arguments = ["bench", "--size=1M", "--runs=1", "--against=curl,axel,curl"];
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", &tools).current_dir(scene.path());
    let ended = ended(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("note: axel is not installed and left out"), "{ended:?}");
    for words in ["\nringhaul ", "\nringhaul -c 4 ", "\ncurl ", "\nringhaul -c 4 / curl "] {
        assert!(ended.stdout.contains(words), "{words}\n{}", ended.stdout);
    }
    assert_eq!(ended.stdout.matches("\ncurl ").count(), 1, "named twice, run once: {ended:?}");
    assert!(!ended.stdout.contains("\naxel") && !ended.stdout.contains("failed"), "{ended:?}");
}

/// What `raw.csv` says of the runs of `tool`.
fn runs_of(csv: &str, tool: &str, heading: &str) -> Vec<String> {
    let tools = column(csv, "tool");
    let runs = tools.iter().zip(column(csv, heading)).filter(|(is, _)| **is == tool);
    runs.map(|(_, value)| value.to_owned()).collect()
}

#[test]
fn lists_of_files_are_fetched_by_tools_too() {
    let scene = Scene::new();
    let ended = scene.run(&[
        "bench",
        "--files=20",
        "--size=16K",
        "--runs=2",
        "--against=curl,curl-null,axel,aria2c,wget2,rclone",
        "--out=r",
        "--unpublished",
    ]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(scene.names(), ["r"], "nothing else stays");
    let axel = ["note: axel is not installed and is left out", "note: axel takes no list of files"];
    assert!(axel.iter().any(|note| ended.stdout.contains(note) || ended.stderr.contains(note)));
    let folder = results(&scene);
    let csv = read(&folder, "raw.csv");
    assert_eq!(runs_of(&csv, "ringhaul", "failure"), ["", ""], "{csv}");
    for tool in ["curl", "curl-null", "aria2c", "wget2", "rclone"] {
        if find_program(tool.trim_end_matches("-null")).is_none() {
            continue;
        }
        assert_eq!(runs_of(&csv, tool, "failure"), ["", ""], "{tool}\n{csv}");
        assert_eq!(runs_of(&csv, tool, "bytes"), ["327680"; 2], "{tool}\n{csv}");
        assert_eq!(runs_of(&csv, tool, "files"), ["20"; 2], "{tool}\n{csv}");
    }
    for own in [("curl", "50"), ("aria2c", "16"), ("wget2", "5")] {
        let counts = runs_of(&csv, own.0, "connections");
        assert!(counts.iter().all(|count| count == own.1), "{own:?}\n{csv}");
    }
    for words in [" files/s ", "\ncurl -Z --parallel-max 50 ", " -o /dev/null / curl -Z "] {
        assert!(ended.stdout.contains(words), "{words}\n{}", ended.stdout);
    }
    let readme = read(&folder, "README.md");
    assert!(readme.contains("| files | 20 files of 16.00 KiB, over HTTP, sink auto |"), "{readme}");
}

/// The files of another server are known by what they were at first.
#[test]
fn lists_of_another_server_are_compared_with_their_first_state() {
    if find_program("curl").is_none() {
        return skipped("curl is not installed");
    }
    let bench = |change: Option<When>| {
        let replaced = |when| Rule::new(when, Fault::Replaced { seed: 99, size_bytes: 4096 });
        let script = change.map(replaced).into_iter().collect();
        let paths = Paths::Numbered(4);
        let server = serve(Config { paths, script, ..Config::new(SEED, 4096) });
        let url = server.url("");
        let list = ["bench", "--files=4", "--size=4K", "--against=curl", "--runs=1"];
        Scene::new().run(&[&list[..], &[&url]].concat())
    };
    let ended = bench(None);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("\ncurl -Z --parallel-max 50 "), "{ended:?}");
    // Each of the four is fetched once before the first run.
    let ended = bench(Some(When::FromRequest(5)));
    assert_eq!(ended.code, Some(13), "{ended:?}");
    assert!(ended.stderr.contains("is wrong from byte 0 on"), "{ended:?}");
}

#[test]
fn mistakes_are_one_line_each() {
    let run = |arguments: &[&str]| Scene::new().run(arguments);
    fails(
        &run(&["bench", "--against=wget"]),
        2,
        "choose from curl, curl-null, aria2c, axel, wget2, rclone",
    );
    fails(&run(&["bench", "--runs=0"]), 2, "1..=1000");
    fails(&run(&["bench", "--tls", "http://127.0.0.1:9/x"]), 2, "built-in server");
    fails(&run(&["bench", "--size=64K", "--chunks=1M"]), 2, "too small for the grid: 1M x 1");
    fails(&run(&["bench", "--dir=missing"]), 14, "mkdir -p 'missing'");
    fails(&run(&["bench", "--out=/proc/x", "--unpublished"]), 14, "--out");
    fails(&run(&["bench", "--size=1T"]), 15, "the first download");
    fails(&run(&["bench", "--files=9"]), 2, "--size");
    fails(&run(&["bench", "--files=0", "--size=4K"]), 2, "1..=1000000");
    fails(&run(&["bench", "--files=9", "--size=4K", "--sink=null"]), 2, "--sink memory");
    fails(&run(&["bench", "--files=9", "--size=4K", "--profile", "http://h/"]), 2, "--profile");
    fails(&run(&["bench", "--files=9", "--size=4K", "--tls", "http://h/"]), 2, "built-in server");
}

#[test]
fn a_url_needs_ranges_unless_tools_are_compared() {
    let routes = vec![Route { path: "/missing".to_owned(), what: Served::Missing }];
    let script = vec![Rule::new(When::All, Fault::NoRangeSupport)];
    let config = Config { script, routes, ..Config::new(SEED, 100_000) };
    let server = serve(config);
    let url = server.url("/f?token=secret");
    let ended = Scene::new().run(&["bench", &url]);
    fails(&ended, 2, "the server offers no ranges");
    let ended = Scene::new().run(&["bench", &server.url("/missing")]);
    fails(&ended, 8, "missing: the server answered 404");
    let scene = Scene::new();
    let ended =
        scene.run(&["bench", "--runs=1", "--against=curl", "--out=r", "--unpublished", &url]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let folder = results(&scene);
    for name in ["README.md", "raw.csv", "summary.json", "summary.md"] {
        assert!(!read(&folder, name).contains("secret"), "{name}");
    }
}

#[test]
fn a_file_that_changes_is_not_measured() {
    for (size_bytes, words) in [
        (100_000, "the file is wrong from byte 0 on"),
        (90_000, "its file has 90000 bytes instead of 100000"),
    ] {
        let replaced = Fault::Replaced { seed: SEED + 1, size_bytes };
        let script = vec![Rule::new(When::FromRequest(2), replaced)];
        let config = Config { script, ..Config::new(SEED, 100_000) };
        let server = serve(config);
        let scene = Scene::new();
        let grid =
            ["bench", "--runs=1", "--chunks=64K", "--connections=1", "--out=r", "--unpublished"];
        let ended = scene.run(&[&grid[..], &[&server.url("/f")]].concat());
        fails(&ended, 13, words);
        assert_eq!(fs::read_dir(scene.path().join("r")).expect("it was made").count(), 0);
    }
}

/// A bench without end, in its second round.
fn in_round_two(scene: &Scene) -> (Child, BufReader<ChildStderr>) {
    let mut arguments = with(&["1000"]);
    arguments.push("--rate=20M");
    let mut child = scene.spawn(&arguments);
    let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.starts_with("round 2, ") {
        line.clear();
        assert_ne!(said.read_line(&mut line).expect("a line"), 0, "it ended early");
    }
    (child, said)
}

#[test]
fn results_that_can_no_longer_be_written_are_printed() {
    let scene = Scene::new();
    let (child, mut said) = in_round_two(&scene);
    fs::rename(scene.path().join("r"), scene.path().join("moved")).expect("a folder");
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    let ended = wait(child);
    assert_eq!(ended.code, Some(14), "{rest}");
    let last = rest.lines().last().unwrap_or_default();
    assert!(last.starts_with("ringhaul: error: cannot write the results to 'r/"), "{rest}");
    let note = "note: the bench ended early: cannot write the results";
    assert!(ended.stdout.contains("\nauto ") && ended.stdout.contains(note), "{ended:?}");
}

#[test]
fn a_stopped_bench_keeps_what_it_has() {
    let scene = Scene::new();
    let (child, mut said) = in_round_two(&scene);
    let ended = stop(child, Signal::TERM);
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    assert_eq!(ended.code, Some(143), "{rest}");
    assert!(rest.contains("the bench was stopped"), "{rest}");
    assert_eq!(scene.names(), ["r"], "the scratch folder is gone");
    assert!(read(&results(&scene), "raw.csv").lines().count() > 6);
}

/// The rows of the table are what `raw.csv` has to say of them.
fn column<'a>(csv: &'a str, heading: &str) -> Vec<&'a str> {
    let mut lines = csv.lines();
    let place = lines.next().expect("headings").split(',').position(|name| name == heading);
    let place = place.unwrap_or_else(|| panic!("{heading}\n{csv}"));
    lines.map(|line| line.split(',').nth(place).expect("a field")).collect()
}

#[test]
fn bytes_go_where_they_are_sent() {
    let run = |sink: &'static str| {
        let scene = Scene::new();
        let ended = scene.run(&with(&["1", "--sink", sink]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(scene.names(), ["r"]);
        let folder = results(&scene);
        assert!(column(&read(&folder, "raw.csv"), "failure").iter().all(|f| f.is_empty()));
        (ended.stdout, read(&folder, "README.md"))
    };
    let (table, readme) = run("null");
    assert!(table.contains("note: nothing was written and compared"), "{table}");
    assert!(readme.contains("sink null"), "{readme}");
    let (table, readme) = run("memory");
    assert!(!table.contains("nothing was written"), "{table}");
    assert!(readme.contains("| file system | tmpfs "), "{readme}");
    for sink in ["buffered", "direct"] {
        let (_, readme) = run(sink);
        assert!(readme.contains(&format!("sink {sink}")), "{readme}");
    }
    fails(&Scene::new().run(&["bench", "--sink=tape"]), 2, "null, memory, buffered, direct");
}

/// 1 MiB at 8 MiB/s per connection: the more of them the better, and too short for auto to see it.
fn capped() -> Server {
    serve(paced(Config::new(SEED, 1 << 20), 8 << 20))
}

#[test]
fn the_winner_is_kept_and_later_downloads_use_it() {
    let (scene, server) = (Scene::new(), capped());
    let url = server.url("/f?token=secret").replace("http://", "http://me:secret@");
    let origin = server.url("");
    let environment = [("XDG_CONFIG_HOME", scene.path().to_str().expect("plain"))];
    let run = |arguments: &[&str]| scene.run_with(arguments, &environment);

    let ended = run(&["-v", "--profile", "-oa", &url]);
    assert!(ended.success().stderr.contains(&format!("no profile of {origin} in ")), "{ended:?}");

    let bench = ["bench", "--chunks=64K", "--connections=8", "--seed=1", "--profile"];
    let ended = run(&[&bench[..], &["--runs=1", &url]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("no profile is saved"), "{ended:?}");
    let ended = run(&[&bench[..], &["--runs=6", &url]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let saved = format!("profile of {origin} saved");
    let setting = "8 connections, requests of 64K";
    assert!(ended.stderr.contains(&saved) && ended.stderr.contains(setting), "{ended:?}");
    let text = read(&scene.path().join("ringhaul"), "profiles.json");
    assert!(text.contains(&format!("\"{origin}\": {{")) && !text.contains("secret"), "{text}");

    let used = format!("profile of {origin}: {setting} (saved ");
    let ended = run(&["-v", "--profile", "-ob", &url]);
    assert!(ended.success().stderr.contains(&used), "{ended:?}");
    assert!(ended.stderr.contains(", 8 connections, "), "the closing line: {ended:?}");
    let ended = run(&["-v", "--profile", "-c2", "-oc", &url]);
    assert!(ended.success().stderr.contains("; but -c as given"), "{ended:?}");
    assert!(ended.stderr.contains(", 2 connections, "), "{ended:?}");
    let ended = run(&["-v", "-od", &url]);
    assert!(!ended.success().stderr.contains("profile"), "{ended:?}");

    let file = scene.path().join("ringhaul/profiles.json");
    let named = ("RINGHAUL_PROFILE", file.to_str().expect("plain"));
    let ended = scene.run_with(&["-v", "-oe", &url], &[named]);
    assert!(ended.success().stderr.contains(&used), "{ended:?}");
}

#[test]
fn a_profile_that_cannot_be_kept_is_said_before_anything_is_measured() {
    let scene = Scene::new();
    // Nobody listens there: whoever measures first fails otherwise.
    let url = "http://127.0.0.1:9/x";
    let bench = |arguments: &[&str]| scene.run(&[&["bench"], arguments].concat());
    let new = r#"{"schema": 2, "origins": {}}"#;
    for (name, text, words) in [("damaged", "{", "no JSON"), ("new", new, "a newer ringhaul")] {
        fs::write(scene.path().join(name), text).expect("a file");
        let option = format!("--profile={name}");
        fails(&bench(&[&option, url]), 2, words);
        assert!(scene.run(&[&option, url]).one_error_line(2).contains(words));
        assert_eq!(read(scene.path(), name), text);
    }
    fails(&bench(&["--profile=/proc/x", url]), 14, "cannot write the profiles to '/proc/x'");
    fails(&bench(&["--profile=no/x", url]), 14, "cannot write the profiles to 'no/x'");
    fails(&bench(&["--profile"]), 2, "nothing to save of the built-in server");
    fails(&bench(&["--profile", "--against=curl", url]), 2, "leave out --against");
    let ended = scene.run(&["--profile=no", url]);
    assert!(ended.one_error_line(2).contains("cannot read the profiles in 'no'"), "{ended:?}");
    assert_eq!(scene.names(), ["damaged", "new"]);
}

#[test]
fn engines_have_rows_of_their_own() {
    let scene = Scene::new();
    let ended = scene.run(&with(&["1", "--engine=io_uring,epoll"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let csv = read(&results(&scene), "raw.csv");
    let settings = column(&csv, "setting");
    for row in ["auto", "\"auto, epoll\"", "ringhaul -c 2", "\"ringhaul -c 2, epoll\""] {
        // Names with commas are quoted, and the fields behind them have moved.
        assert!(csv.contains(&format!(",1,{row},ringhaul,")), "{row}\n{settings:?}");
    }
    fails(&Scene::new().run(&["bench", "--engine=steam"]), 2, "io_uring, epoll");
}
