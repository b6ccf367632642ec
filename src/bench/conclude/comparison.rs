//! ringhaul beside another tool, as ratios. The runs of one round are close in time, so their ratio
//! leaves out what the machine did to both; the median is of those ratios.

use super::statistics::{self, Summary};
use crate::bench::measure::entry::Entry;
use crate::bench::measure::record::Record;
use crate::bench::measure::sweep::Measured;
use serde::Serialize;

/// One of ringhaul's rows by one of another tool; of lists also another tool's by the first one's.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The row that is divided, ringhaul's first of all.
    pub ours: String,
    /// The other tool's that it is divided by.
    pub theirs: String,
    /// Time from start to end.
    pub wall: Summary,
    /// Processor time.
    pub cpu: Summary,
}

/// Each of ringhaul's rows by each other tool's, and of lists each other tool's by the first one's;
/// `name` is a row's name.
pub(in crate::bench) fn comparisons(
    measured: &[Measured],
    name: impl Fn(usize) -> String,
    seed: u64,
) -> Vec<Comparison> {
    let is_peer = |row: &Measured| row.entry.peer().is_some();
    let (theirs, ours): (Vec<_>, Vec<_>) =
        measured.iter().enumerate().partition(|(_, row)| is_peer(row));
    let pairs = ours.iter().flat_map(|ours| theirs.iter().map(move |other| (ours, other)));
    let lists = theirs.iter().filter(|(_, row)| matches!(row.entry, Entry::PeerList(..)));
    let first = theirs.first();
    let beside_first = lists.skip(1).filter_map(|row| Some((row, first?)));
    let mut comparisons = Vec::new();
    for ((place, row), (other_place, other)) in pairs.chain(beside_first) {
        let wall = ratios(row, other, |record| record.usage.wall.as_secs_f64());
        let cpu = ratios(row, other, |record| record.cpu().as_secs_f64());
        let summed = |ratios: &[f64]| statistics::summarize(ratios, seed);
        if let (Some(wall), Some(cpu)) = (summed(&wall), summed(&cpu)) {
            let (ours, theirs) = (name(*place), name(*other_place));
            comparisons.push(Comparison { ours, theirs, wall, cpu });
        }
    }
    comparisons
}

/// Of the rounds in which both gave their file.
fn ratios(ours: &Measured, theirs: &Measured, value: impl Fn(&Record) -> f64) -> Vec<f64> {
    let good = |record: &&Record| record.failure.is_none();
    let of_round = |round| theirs.records.iter().filter(good).find(|r| r.round == round);
    let pairs = ours
        .records
        .iter()
        .filter(good)
        .filter_map(|r| Some((value(r), value(of_round(r.round)?))));
    // A tool that ends within a tick of the kernel's clock has no processor time to divide by.
    pairs.filter(|(_, theirs)| *theirs > 0.0).map(|(ours, theirs)| ours / theirs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::peer::Peer;
    use crate::bench::measure::record::{Detail, tests::record};

    #[test]
    fn rounds_are_paired_and_failures_left_out() {
        let peer = Entry::Peer(Peer::Curl, 1);
        let (mut ours, mut theirs) = (Measured::new(Entry::Auto), Measured::new(peer));
        // The machine slows down; the ratio does not change.
        for (round, seconds) in [(1, 1.0), (2, 2.0), (3, 8.0)] {
            ours.add(record(Entry::Auto, round, seconds), Detail::default());
            theirs.add(record(peer, round, seconds * 4.0), Detail::default());
        }
        ours.records[2].failure = Some("no".to_owned());
        let name = |place: usize| ["r", "c"][place].to_owned();
        let found = comparisons(&[ours, theirs.clone()], name, 1);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].ours.as_str(), found[0].theirs.as_str()), ("r", "c"));
        assert_eq!((found[0].wall.count, found[0].wall.median), (2, 0.25));
        assert_eq!((found[0].cpu.min, found[0].cpu.max), (0.25, 0.25));
        assert!(comparisons(&[theirs], name, 1).is_empty());
    }

    #[test]
    fn of_lists_the_other_tools_stand_beside_the_first_one() {
        let entries = [
            (Entry::Auto, 1.0),
            (Entry::PeerList(Peer::Curl, 50), 2.0),
            (Entry::PeerList(Peer::Wget2, 50), 6.0),
        ];
        let measured = entries.map(|(entry, seconds)| {
            let mut row = Measured::new(entry);
            row.add(record(entry, 1, seconds), Detail::default());
            row
        });
        let name = |place: usize| ["r", "c", "w"][place].to_owned();
        let found = comparisons(&measured, name, 1);
        let found: Vec<(&str, &str, f64)> =
            found.iter().map(|c| (c.ours.as_str(), c.theirs.as_str(), c.wall.median)).collect();
        assert_eq!(found, [("r", "c", 0.5), ("r", "w", 1.0 / 6.0), ("w", "c", 3.0)]);
    }
}
