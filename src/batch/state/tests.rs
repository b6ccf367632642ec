//! A state over several runs: cut anywhere, compacted, shared, or another's.

use super::*;
use crate::base::rng::Rng;
use crate::base::{ErrorKind, Url};
use crate::batch::validator::{Form, Validator};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::process::Command;
use std::time::Instant;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
}

fn key(number: u64) -> Key {
    Key::of(Path::new(&format!("pool/{number:07}.bin")))
}

fn done(number: u64) -> Done {
    Done {
        source: Source::of(&Url::parse(&format!("http://h/{number:07}.bin?sig=1")).unwrap()),
        bytes: number,
        modified: FileTime { seconds: 1_800_000_000, nanoseconds: 5 },
        validator: Validator::new(Form::Etag, &format!("\"{number:x}-4000\"")),
        digest: Some(format!("sha256:{number:064x}").parse().unwrap()),
    }
}

fn failed(number: u64) -> Failed {
    let text = format!("the server answered 404 for {number}");
    let target = format!("pool/{number:07}.bin");
    Failed { source: done(number).source, kind: ErrorKind::Status(404), target, text }
}

/// What earlier runs have done of the first files.
fn known(state: &State, count: u64) -> Vec<Option<Done>> {
    (0..count).map(|number| state.done(&key(number))).collect()
}

#[test]
fn the_next_run_knows_what_was_recorded_last_and_forgets_it_when_something_newer_is() {
    let folder = scratch();
    let path = folder.path().join("list.state");
    let mut state = State::open(&path).unwrap();
    state.append(&key(0), &Record::Failed(failed(0)));
    state.append(&key(1), &Record::Done(done(1)));
    state.append(&key(2), &Record::Done(done(7)));
    state.flush().unwrap();
    state.append(&key(0), &Record::Done(done(0)));
    state.append(&key(1), &Record::Failed(failed(1)));
    state.append(&key(2), &Record::Done(done(2)));
    assert_eq!(known(&state, 4), [const { None }; 4], "it speaks of earlier runs");
    state.sync().unwrap();
    drop(state);
    let mut state = State::open(&path).unwrap();
    assert_eq!(known(&state, 4), [Some(done(0)), None, Some(done(2)), None]);
    assert_eq!((state.done_count(), state.cut_bytes()), (2, 0));
    state.append(&key(0), &Record::Done(done(9)));
    state.append(&key(2), &Record::Failed(failed(2)));
    assert_eq!(known(&state, 3), [const { None }; 3], "out of date");
    state.sync().unwrap();
    drop(state);
    let state = State::open(&path).unwrap();
    assert_eq!(known(&state, 3), [Some(done(9)), None, None]);
}

/// Runs that are killed at random: of what one has recorded a prefix is there in the next, in the
/// order in which it was recorded, and nothing else.
#[test]
fn a_state_cut_at_any_byte_is_a_prefix_of_what_was_recorded() {
    let folder = scratch();
    let path = folder.path().join("list.state");
    let mut state = State::open(&path).unwrap();
    let mut rng = Rng::new(5);
    // What is known after each record, and where that record ends.
    let mut history = vec![(24, known(&state, 4))];
    for _ in 0..12 {
        let number = rng.below(4);
        let mut now = history.last().expect("the first one").1.clone();
        let slot = &mut now[usize::try_from(number).unwrap()];
        *slot = (rng.below(3) > 0).then(|| Done { bytes: rng.next_u64(), ..done(number) });
        let failure = Record::Failed(failed(number));
        let record = slot.clone().map_or(failure, Record::Done);
        state.append(&key(number), &record);
        state.flush().unwrap();
        history.push((fs::metadata(&path).unwrap().len(), now));
    }
    drop(state);
    let image = fs::read(&path).unwrap();
    for cut in 0..=image.len() {
        fs::write(&path, &image[..cut]).unwrap();
        let state = State::open(&path).unwrap();
        let whole = history.iter().rev().find(|(end, _)| *end <= cut as u64);
        let (end, expected) = whole.unwrap_or(&history[0]);
        assert_eq!(known(&state, 4), *expected, "cut at {cut}");
        assert_eq!(state.cut_bytes(), (cut as u64).saturating_sub(*end));
    }
}

#[test]
fn a_state_of_which_more_than_half_is_out_of_date_is_written_anew() {
    let folder = scratch();
    let path = folder.path().join("list.state");
    let bytes = || fs::metadata(&path).unwrap().len();
    let files = STATE_RECORDS_COMPACT_MIN;
    let record = |numbers: std::ops::Range<u64>, record: &dyn Fn(u64) -> Record| {
        let mut state = State::open(&path).unwrap();
        numbers.for_each(|number| state.append(&key(number), &record(number)));
        state.sync().unwrap();
        drop(state);
        bytes()
    };
    let all_done = |number| Record::Done(done(number));
    record(0..files, &|number| Record::Failed(failed(number)));
    let twice = record(0..files, &all_done);
    assert_eq!(record(0..0, &all_done), twice, "half of it is not more than half");
    let more = record(7..8, &|number| Record::Failed(failed(number)));
    let state = State::open(&path).unwrap();
    assert!(more > twice && bytes() < twice, "written anew");
    let check = |state: &State| {
        assert_eq!(state.done_count() as u64, files - 1);
        for number in 0..files {
            let expected = (number != 7).then(|| done(number));
            assert_eq!(state.done(&key(number)), expected);
        }
    };
    check(&state);
    drop(state);
    // It goes on behind what was kept.
    record(files..files + 1, &|number| Record::Failed(failed(number)));
    check(&State::open(&path).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn another_runs_state_and_other_files_are_refused() {
    let folder = scratch();
    let path = folder.path().join("list.state");
    let state = State::open(&path).unwrap();
    let busy = State::open(&path).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    assert!(busy.to_string().contains("another ringhaul is using"), "{busy}");
    drop(state);
    fs::write(&path, "http://h/a\nhttp://h/b\n").unwrap();
    let foreign = State::open(&path).unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::Usage);
    assert!(foreign.to_string().contains("cannot be used as the state of a batch"), "{foreign}");
    assert!(foreign.advice().contains("--state"), "{foreign}");
    assert_eq!(fs::read(&path).unwrap(), b"http://h/a\nhttp://h/b\n");
}

/// The part of the test below that runs in a process of its own, where it holds the state until
/// its input ends.
#[test]
fn holder_of_a_state() {
    let Some(path) = std::env::var_os("RINGHAUL_TEST_STATE") else { return };
    let mut state = State::open(Path::new(&path)).unwrap();
    state.append(&key(1), &Record::Done(done(1)));
    state.flush().unwrap();
    state.append(&key(2), &Record::Done(done(2)));
    fs::write(Path::new(&path).with_extension("held"), "").unwrap();
    let _ = std::io::read_to_string(std::io::stdin());
}

#[test]
fn another_process_is_told_and_its_flushed_records_outlive_its_kill() {
    let folder = scratch();
    let path = folder.path().join("list.state");
    let name = "batch::state::tests::holder_of_a_state";
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env("RINGHAUL_TEST_STATE", &path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !path.with_extension("held").exists() {
        assert!(started.elapsed().as_secs() < 60, "the holder has not begun");
        std::thread::yield_now();
    }
    assert_eq!(State::open(&path).unwrap_err().kind(), ErrorKind::Busy);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let state = State::open(&path).unwrap();
    assert_eq!(known(&state, 3), [None, Some(done(1)), None]);
}

#[test]
fn records_that_say_nothing_are_passed_over() {
    let folder = scratch();
    let path = folder.path().join("list.state");
    let mut log = RecordLog::open(&path, &PURPOSE, |_, _| ()).unwrap();
    let good = Record::Done(done(1)).encode(&key(1));
    for payload in [&good[..], b"x", &[9; 80], &good[..40], &[&good[..], b"x"].concat()] {
        log.append(payload);
    }
    log.append(&Record::Done(done(2)).encode(&key(2)));
    log.sync().unwrap();
    drop(log);
    let state = State::open(&path).unwrap();
    assert_eq!(state.done(&key(1)), None, "its newest record is damaged, so it is fetched again");
    assert_eq!(state.done(&key(2)), Some(done(2)));
}

/// 50,000 of 10^6 files in a twentieth of the time, in a test build too. CPU time, as others use
/// the machine as well.
#[test]
fn a_state_is_read_in_no_time() {
    let files = 50_000;
    let (seconds, _) = cpu_and_wall_to_open(files);
    // A twentieth of what the release build takes, and less of a busy machine's.
    assert!(seconds < 1.0, "{seconds:.3} s for {files} files");
}

#[test]
#[ignore = "a measurement: cargo test --release --lib batch::state -- --ignored --nocapture"]
fn a_million_files_are_read_in_two_seconds() {
    let (cpu, wall) = cpu_and_wall_to_open(1_000_000);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!("{wall:.3} s, {cpu:.3} s of CPU, {memory}");
    assert!(wall < 2.0, "{wall:.3} s");
}

/// Makes a state of these files and opens it: the seconds that this takes, the best of three.
fn cpu_and_wall_to_open(files: u64) -> (f64, f64) {
    let folder = scratch();
    let path = folder.path().join("list.state");
    let mut state = State::open(&path).unwrap();
    for number in 0..files {
        state.append(&key(number), &Record::Done(done(number)));
        if number % 1000 == 0 {
            state.flush().unwrap();
        }
    }
    state.sync().unwrap();
    drop(state);
    let cpu = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let times = (0..3).map(|_| {
        let (wall_before, cpu_before) = (Instant::now(), cpu());
        let state = State::open(&path).unwrap();
        assert_eq!(state.done_count() as u64, files);
        (cpu() - cpu_before, wall_before.elapsed().as_secs_f64())
    });
    times.fold((f64::MAX, f64::MAX), |best, time| (best.0.min(time.0), best.1.min(time.1)))
}
