//! A batch without the command line: any iterator of items, who hears of it, and how it is stopped.

use crate::common::{bounded, eventually, scratch, status};
use crate::farm::{Farm, SIZE, at, many, sized};
use ringhaul::internal::base::size::MIB;
use ringhaul::internal::batch::progress::Progress;
use ringhaul::internal::batch::result::LogLine;
use ringhaul::server::Fault;
use ringhaul::{Batch, BatchOptions, Error, ErrorKind, Item, Observer, Outcome, Result, Status};
use std::sync::{Arc, mpsc};
use std::thread;

/// All that an observer was told.
#[derive(Default)]
struct Heard {
    /// Names and how they ended.
    results: Vec<(String, &'static str)>,
    logged: usize,
    progress: Option<Progress>,
}

impl Observer for Heard {
    fn on_result(&mut self, outcome: &Outcome) {
        let word = match &outcome.status {
            Status::Done => "done",
            Status::Unchanged => "unchanged",
            Status::Failed(_) => "failed",
        };
        let name = outcome.path.file_name().map(|name| name.to_string_lossy().into_owned());
        self.results.push((name.unwrap_or_default(), word));
    }

    fn on_log(&mut self, _: &LogLine<'_>) {
        self.logged += 1;
    }

    fn on_progress(&mut self, progress: &Progress) {
        self.progress = Some(progress.clone());
    }
}

fn options(farm: &Farm) -> BatchOptions {
    BatchOptions { dir: farm.out(), max_connections: 4, ..BatchOptions::default() }
}

fn items(farm: &Farm, paths: &[&str]) -> Vec<Result<Item>> {
    paths.iter().map(|path| Ok(Item::new(farm.url(path)))).collect()
}

#[test]
fn an_observer_hears_of_every_file() {
    let mut config = sized(many(), &[("/large", 3 * MIB)]);
    config.script = vec![at("/gone", status(404, "no"), None)];
    let farm = Farm::new(config);
    let mut items = items(&farm, &["/a", "/large", "/gone"]);
    items.push(Err(Error::new(ErrorKind::Usage, "no item")));
    let mut named = Item::new(farm.url("/b"));
    named.asked.out = Some("x/c".into());
    items.push(Ok(named));
    let batch = Batch::new(options(&farm)).expect("usable options");
    let (summary, mut heard) = bounded("the batch", move || {
        let mut heard = Heard::default();
        (batch.run(items, &mut heard).expect("files fail, not the batch"), heard)
    });
    assert_eq!((summary.done, summary.failed, summary.files()), (3, 2, 5));
    assert_eq!(summary.bytes, 2 * SIZE + 3 * MIB);
    heard.results.sort();
    let of = |name: &str, word| (name.to_owned(), word);
    let gone = of("gone", "failed");
    let expected = [of("", "failed"), of("a", "done"), of("c", "done"), gone, of("large", "done")];
    assert_eq!(heard.results, expected);
    let last = heard.progress.expect("it is told at the end");
    assert_eq!((last.files_done, last.files_failed, last.is_list_read), (3, 2, true));
    assert!(heard.logged >= 5);
    farm.holds(&[("a", "/a", SIZE), ("x/c", "/b", SIZE), ("large", "/large", 3 * MIB)]);
}

#[test]
fn connections_are_counted_though_a_batch_is_over_soon() {
    for (path, size) in [("/small", SIZE), ("/large", 3 * MIB)] {
        let paths: Vec<String> = (0..12).map(|number| format!("{path}-{number}")).collect();
        let sizes: Vec<(&str, u64)> = paths.iter().map(|path| (path.as_str(), size)).collect();
        let mut config = sized(many(), &sizes);
        // One connection could have brought all small ones before the batch looks for more to do.
        config.shape.connection_bytes_per_second = (size == SIZE).then_some(MIB);
        let farm = Farm::new(config);
        let item = |path: &String| {
            let mut item = Item::new(farm.url(path));
            item.asked.size = Some(size);
            Ok(item)
        };
        let items: Vec<Result<Item>> = paths.iter().map(item).collect();
        let batch = Batch::new(options(&farm)).expect("usable options");
        let summary = bounded("the batch", move || batch.run(items, &mut ())).expect("it is done");
        let peak = farm.stats().connections_peak;
        assert!(summary.connections >= 2, "{size}: {summary}");
        assert!(summary.connections as usize <= peak, "{summary}, {peak} at the server");
    }
}

#[test]
fn items_may_come_late() {
    let farm = Arc::new(Farm::new(many()));
    let batch = Batch::new(options(&farm)).expect("usable options");
    let (sender, receiver) = mpsc::channel::<Result<Item>>();
    let running = thread::spawn(move || batch.run(receiver, &mut ()));
    for path in ["/a", "/b", "/c"] {
        sender.send(Ok(Item::new(farm.url(path)))).expect("the batch reads on");
        eventually("it is there before the next one comes", || {
            farm.files().iter().any(|name| *name == path[1..])
        });
    }
    drop(sender);
    let summary = bounded("the batch", || running.join().expect("no panic")).expect("it is done");
    assert_eq!((summary.done, summary.failed), (3, 0));
    farm.has(&["/a", "/b", "/c"]);
}

#[test]
fn a_stop_keeps_what_is_whole() {
    let mut config = sized(many(), &[("/stuck-large", 3 * MIB)]);
    config.script = vec![at("/stuck", Fault::StallAfter(1000), None)];
    let farm = Farm::new(config);
    let mut options = options(&farm);
    // Nothing is to wait behind what is stuck.
    options.options.request_ahead = false;
    let batch = Batch::new(options).expect("usable options");
    let (stop, (sender, receiver)) = (batch.stop_handle(), mpsc::channel());
    for item in items(&farm, &["/a", "/b", "/c", "/stuck", "/stuck-large"]) {
        sender.send(item).expect("it is not read yet");
    }
    // The list does not end: the batch does not wait for it.
    let running = thread::spawn(move || batch.run(receiver, &mut ()));
    eventually("two are stuck, the others there", || {
        ["a", "b", "c"].iter().all(|name| farm.files().contains(&(*name).to_owned()))
    });
    stop.stop();
    let result = bounded("the batch", || running.join().expect("no panic"));
    assert_eq!(result.expect_err("it was stopped").kind(), ErrorKind::Interrupted);
    drop(sender);
    let mut left = farm.files();
    left.retain(|name| !name.starts_with("stuck-large."));
    assert_eq!(left, ["a", "b", "c"]);
    farm.assert_disconnected();
}

#[test]
fn a_folder_that_is_missing_is_said() {
    let folder = scratch();
    let farm = Farm::new(many());
    let dir = folder.path().join("missing");
    let run = |options: BatchOptions| {
        let batch = Batch::new(options).expect("usable options");
        let items = items(&farm, &["/a"]);
        bounded("the batch", move || batch.run(items, &mut ()))
    };
    let error = run(BatchOptions { dir, ..options(&farm) }).expect_err("there is no folder");
    assert_eq!(error.kind(), ErrorKind::TargetUnusable, "{error}");
    assert_eq!(farm.requests(), 0);
    assert_eq!(run(options(&farm)).expect("it is there").done, 1);
}

#[test]
fn an_iterator_that_panics_ends_the_batch_and_keeps_what_is_whole() {
    let farm = Arc::new(Farm::new(many()));
    let batch = Batch::new(options(&farm)).expect("usable options");
    let (first, looked_at) = (Ok(Item::new(farm.url("/a"))), farm.clone());
    let panics = move || -> Result<Item> {
        eventually("the first is there", || looked_at.files() == ["a"]);
        panic!("an iterator of the caller's");
    };
    let items = std::iter::once(first).chain(std::iter::once_with(panics));
    let result = bounded("the batch", move || batch.run(items, &mut ()));
    let error = result.expect_err("its items have not all come");
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(error.to_string().contains("the iterator of the items panicked"), "{error}");
    farm.has(&["/a"]);
}
