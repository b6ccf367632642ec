//! The folder of results: `DIR/YYYY-MM-DD-HHMM-name/`, rewritten after every run.
//!
//! * `README.md`: what was measured, on what machine, with which command; the plots
//! * `summary.md`: the tables and the verdict
//! * `raw.csv`: every run, one line each, in the order they were made
//! * `summary.json`: the schema below
//! * `*.svg`: the plots
//!
//! `summary.json` is one object. `schema` is 1; a field that changes its meaning changes it.
//! `conditions` and `rows` are [`Conditions`] and a list of [`Row`], field by field: sizes in
//! bytes, rates in bytes per second, times in seconds unless the name says `ms`. Of a figure with
//! several values there are `count`, `median`, `min`, `max`, `spread` (interquartile range as a
//! part of the median) and `interval` (`low`, `high`, `confidence`; null below six runs). Of
//! latencies there are `count`, `p50`, `p90`, `p99`, and `max`. `verdict` has `kind` (`nothing`,
//! `unclaimed`, `winner`, `tie`) and `names`, the best one first. `comparisons` are
//! [`Comparison`]s, one of ringhaul's rows by one of another tool: `ours`, `theirs`, and the ratios
//! of `wall` and `cpu` within the rounds; of lists of files also each further tool's row by the
//! first tool's. `notes` are lines for people.

mod csv;
pub(super) mod table;

use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result, calendar};
use crate::bench::conclude::comparison::Comparison;
use crate::bench::conclude::results::{Conditions, Results, Row};
use crate::bench::conclude::statistics::Verdict;
use crate::bench::measure::load::Load;
use crate::bench::measure::record::SAMPLES_BEYOND_MIN;
use crate::bench::plot;
use crate::io::whole;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What `git describe` puts behind a commit whose tree has changes.
const DIRTY: &str = "-dirty";

/// How one file is measured.
const METHOD: &str = "\nEvery run is a process of its own that ends with the whole file under its \
                      name; goodput is the file's size by the time from its start to its end. \
                      Each file that was kept was compared byte for byte. One download before the \
                      first run is not counted.\n\n";
/// How a list of files is measured.
const LIST_METHOD: &str = "\nEvery run is a process of its own that ends with all files of the \
                           list under their names, in a new folder; goodput is their size by the \
                           time from its start to its end. Number and length of the files were \
                           checked after each run, and their bytes compared: all of them if the \
                           server is ringhaul's own, else those of up to 16 files. Before the \
                           first run some of the files are fetched, which is not counted.\n\n";

/// An open folder of results.
pub(super) struct Export {
    folder: PathBuf,
}

/// `summary.json`.
#[derive(Serialize)]
struct Summary<'a> {
    schema: u32,
    conditions: &'a Conditions,
    verdict: VerdictNames<'a>,
    rows: &'a [Row],
    comparisons: &'a [Comparison],
    notes: &'a [String],
}

#[derive(Serialize)]
struct VerdictNames<'a> {
    kind: &'static str,
    names: Vec<&'a str>,
}

impl Export {
    /// Makes the folder below `out`, before anything is measured. Others can repeat what a clean
    /// commit has measured, so results of a tree with changes are `unpublished` or refused.
    ///
    /// # Errors
    /// `Usage` if `commit` is one with changes; `TargetUnusable` or `DiskFull` if the folder cannot
    /// be made or written to.
    pub(super) fn create(
        out: &Path,
        name: &str,
        commit: Option<&str>,
        unpublished: bool,
    ) -> Result<Self> {
        if let Some(commit) = commit.filter(|commit| is_dirty(commit) && !unpublished) {
            let what = format!("results of uncommitted changes are not published ({commit})");
            return Err(Error::new(ErrorKind::Usage, what)
                .advise("commit the changes and build, or say --unpublished for a look"));
        }
        let name: String = name.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
        let name = if unpublished { format!("{name}-unpublished") } else { name };
        let stamp = calendar::stamp(SystemTime::now());
        fs::create_dir_all(out).map_err(|cause| failed(out, cause))?;
        let folder = (1..100)
            .map(|number| match number {
                1 => out.join(format!("{stamp}-{name}")),
                more => out.join(format!("{stamp}-{name}-{more}")),
            })
            .find(|folder| !folder.exists())
            .unwrap_or_else(|| out.join(format!("{stamp}-{name}")));
        fs::create_dir(&folder).map_err(|cause| failed(&folder, cause))?;
        Ok(Self { folder })
    }

    /// Where the results go.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Replaces all files. Each one is whole at any time.
    pub(super) fn write(&self, results: &Results) -> Result<()> {
        let plots = plot::all(results);
        let mut files = vec![
            ("README.md", readme(results, &plots)),
            ("summary.md", summary(results)),
            ("summary.json", json(results)),
            ("raw.csv", csv::csv(&results.records)),
        ];
        files.extend(plots.into_iter().map(|plot| (plot.file, plot.svg)));
        for (name, text) in files {
            let path = self.folder.join(name);
            // Not synced: it is written anew after every run, and the next one is being measured.
            let written = whole::replace(&path, whole::FILE_MODE, text.as_bytes(), false);
            written.map_err(|cause| failed(&path, cause))?;
        }
        Ok(())
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // Succeeds only if nothing was measured.
        let _ = fs::remove_dir(&self.folder);
    }
}

fn is_dirty(commit: &str) -> bool {
    commit.ends_with(DIRTY)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn failed(path: &Path, cause: io::Error) -> Error {
    let (kind, advice) = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::DiskFull, "free space or choose another folder with --out")
        }
        _ => (ErrorKind::TargetUnusable, "choose a folder you may write to with --out"),
    };
    let what = format!("cannot write the results to '{}'", path.display());
    Error::new(kind, what).caused_by(cause).advise(advice)
}

fn json(results: &Results) -> String {
    let (kind, places) = match &results.verdict {
        Verdict::Nothing => ("nothing", Vec::new()),
        Verdict::Unclaimed(place) => ("unclaimed", vec![*place]),
        Verdict::Winner(place) => ("winner", vec![*place]),
        Verdict::Tie(places) => ("tie", places.clone()),
    };
    let names = places.iter().map(|&place| results.rows[place].name.as_str()).collect();
    let summary = Summary {
        schema: 1,
        conditions: &results.conditions,
        verdict: VerdictNames { kind, names },
        rows: &results.rows,
        comparisons: &results.comparisons,
        notes: &results.notes,
    };
    serde_json::to_string_pretty(&summary).expect("plain data has a JSON form") + "\n"
}

fn summary(results: &Results) -> String {
    let mut text = format!("# {}\n\n", results.verdict_line());
    text += &warning(results);
    let grid = table::markdown_grid(results);
    if !grid.is_empty() {
        text += "Median goodput in MB/s, request size (down) by connections (across):\n\n";
        text += &format!("{grid}\n");
    }
    text += &format!("{}.\n\n", results.conditions_line());
    text += &format!(
        "Medians; MB are 10^6 bytes. `first byte` is the time from request to first byte; a \
         percentile with fewer than {SAMPLES_BEYOND_MIN} samples beyond it is left out.\n\n"
    );
    text += &table::markdown(results);
    let beside = table::markdown_comparisons(results);
    if !beside.is_empty() {
        text += "\nringhaul by each other tool, the medians of the rounds' ratios:\n\n";
        text += &beside;
    }
    let notes = table::notes(results);
    if !notes.is_empty() {
        text += "\nNotes:\n\n";
    }
    for note in notes {
        text += &format!("- {note}\n");
    }
    text
}

/// What a reader has to know before the figures; empty if the machine was quiet.
fn warning(results: &Results) -> String {
    let complaint = results.conditions.load.complaint();
    complaint.map_or_else(String::new, |text| format!("**{text}**\n\n"))
}

/// The machine's other work, as lines of the table of conditions.
fn load_lines(load: &Load) -> String {
    let figure = |value: Option<f64>| {
        value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.2}"))
    };
    let percent = |part: Option<f64>| {
        part.map_or_else(|| "unknown".to_owned(), |part| format!("{:.1} %", part * 100.0))
    };
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), format_bytes);
    format!(
        "| load average | {} before, {} after |\n\
         | processors busy with other work | {} before, {} after |\n\
         | time stolen by the hypervisor | {} |\n\
         | memory | {}, {} available before |\n\
         | governor | {} |\n",
        figure(load.load_before),
        figure(load.load_after),
        percent(load.busy_before),
        percent(load.busy_after),
        percent(load.stolen),
        size(load.memory_bytes),
        size(load.memory_available_bytes),
        load.governor,
    )
}

fn readme(results: &Results, plots: &[plot::Plot]) -> String {
    let conditions = &results.conditions;
    let machine = &conditions.machine;
    let commit = machine.commit.as_deref().map_or(String::new(), |c| format!(", commit {c}"));
    let server = if conditions.own_server {
        ", in a process of its own on the same machine, whose processors it shares"
    } else {
        ""
    };
    let mut text = format!(
        "# {}, {}\n\n    {}\n\n\
         | | |\n|---|---|\n\
         | server | {}{server} |\n\
         | {} | {}, over {}, sink {} |\n\
         | runs | {} of each, in rounds shuffled with seed {} |\n\
         | ringhaul | {}{commit} |\n\
         | kernel | {} |\n\
         | processor | {}, {} usable |\n\
         | interface | {}, MTU {}, {} |\n\
         | file system | {} |\n\
         {}",
        conditions.date,
        conditions.url,
        conditions.command,
        conditions.url,
        if conditions.files.is_some() { "files" } else { "file" },
        conditions.what(),
        conditions.protocol,
        conditions.sink,
        conditions.runs,
        conditions.seed,
        machine.ringhaul,
        machine.kernel,
        machine.cpu,
        machine.cores,
        machine.interface,
        machine.mtu,
        machine.congestion_control,
        machine.file_system,
        load_lines(&conditions.load),
    );
    if !conditions.peers.is_empty() {
        text += &format!("| peers | {} |\n", conditions.peers.join("; "));
    }
    text += if conditions.files.is_some() { LIST_METHOD } else { METHOD };
    text += &format!("**{}**\n\n", results.verdict_line());
    text += &warning(results);
    text += "Tables are in [summary.md](summary.md), every run in [raw.csv](raw.csv), all figures \
             in [summary.json](summary.json).\n";
    for plot in plots {
        text += &format!("\n![{}]({})\n", plot.title, plot.file);
    }
    text
}

#[cfg(test)]
mod tests;
