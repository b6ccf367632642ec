//! What a few noisy runs allow to be said: median, spread, bootstrap intervals, winner or tie.
//! Pure functions of numbers and a seed; knows no unit and nothing of downloads.

use crate::base::rng::Rng;
use crate::bench::INTERVAL_RUNS_MIN;
use serde::Serialize;

/// Samples drawn for one interval: its ends move by less than a percent of its width from seed to
/// seed.
const RESAMPLES: usize = 4000;
/// How sure every interval is. Where there are too few runs for it there is none, and what is not
/// apart at this level is a tie.
pub const CONFIDENCE: f64 = 0.95;
/// Medians closer than this part of the better one are a tie, however well they are measured:
/// nobody should choose by it.
const TIE_PART: f64 = 0.01;
/// An entry with too few runs for an interval is apart from the leader only if the leader's slowest
/// run has at least this multiple of its fastest: what a sweep has given up is that far behind.
const FAR_FACTOR: f64 = 2.0;

/// Where a value lies, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Probability that it covers the value: 0.95.
    pub confidence: f64,
}

/// Several values in short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many there are, at least one.
    pub count: usize,
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Distance of the quartiles as a part of the median.
    pub spread: f64,
    /// Of the median; `None` below six values.
    pub interval: Option<Interval>,
}

/// Who is best, of several that were measured more than once.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing was measured.
    Nothing,
    /// The first is ahead, but has too few runs for an interval.
    Unclaimed(usize),
    /// Better than each of the others, at 95 %.
    Winner(usize),
    /// The first has the best median, but is not apart from the others at 95 %.
    Tie(Vec<usize>),
}

/// The summary of `values`, none of which may be NaN; `None` if there are none.
pub fn summarize(values: &[f64], seed: u64) -> Option<Summary> {
    let sorted = sorted(values);
    let (&min, &max) = (sorted.first()?, sorted.last()?);
    let median = quantile(&sorted, 0.5);
    let quartiles = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
    let interval = has_interval(values).then(|| {
        let mut rng = Rng::new(seed);
        interval(|| resampled_median(&sorted, &mut rng))
    });
    let spread = if median == 0.0 { 0.0 } else { quartiles / median };
    Some(Summary { count: sorted.len(), median, min, max, spread, interval })
}

/// The interval of how much the median of `a` is above the median of `b`; `None` where one of them
/// has too few values.
pub fn difference(a: &[f64], b: &[f64], seed: u64) -> Option<Interval> {
    let mut rng = Rng::new(seed);
    let both = has_interval(a) && has_interval(b);
    both.then(|| interval(|| resampled_median(a, &mut rng) - resampled_median(b, &mut rng)))
}

/// Whose values are the largest. Entries without values take no part.
pub fn verdict(entries: &[Vec<f64>], seed: u64) -> Verdict {
    let medians = entries.iter().enumerate().filter(|(_, values)| !values.is_empty());
    let mut ranked: Vec<(usize, f64)> =
        medians.map(|(index, values)| (index, quantile(&sorted(values), 0.5))).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some(&(leader, best)) = ranked.first() else { return Verdict::Nothing };
    if !has_interval(&entries[leader]) {
        return Verdict::Unclaimed(leader);
    }
    let mut level = vec![leader];
    for &(index, median) in &ranked[1..] {
        let apart = is_apart(&entries[leader], &entries[index], seed);
        if !apart || median >= best * (1.0 - TIE_PART) {
            level.push(index);
        }
    }
    if level.len() == 1 { Verdict::Winner(leader) } else { Verdict::Tie(level) }
}

/// Indicates whether `ahead` is better than `behind`, whose median is smaller.
fn is_apart(ahead: &[f64], behind: &[f64], seed: u64) -> bool {
    match difference(ahead, behind, seed) {
        Some(difference) => difference.low > 0.0,
        None => {
            let worst = ahead.iter().copied().fold(f64::INFINITY, f64::min);
            worst >= FAR_FACTOR * behind.iter().copied().fold(0.0, f64::max)
        }
    }
}

fn has_interval(values: &[f64]) -> bool {
    values.len() >= INTERVAL_RUNS_MIN as usize
}

/// The percentile bootstrap: what is left of many draws without the tails.
fn interval(mut draw: impl FnMut() -> f64) -> Interval {
    let mut draws: Vec<f64> = (0..RESAMPLES).map(|_| draw()).collect();
    draws.sort_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let (low, high) = (quantile(&draws, tail), quantile(&draws, 1.0 - tail));
    Interval { low, high, confidence: CONFIDENCE }
}

fn resampled_median(values: &[f64], rng: &mut Rng) -> f64 {
    let drawn: Vec<f64> = values.iter().map(|_| values[rng.index(values.len())]).collect();
    quantile(&sorted(&drawn), 0.5)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Between the values it falls in between of; `sorted` is not empty.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the slice")]
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use proptest::prelude::*;

    #[test]
    fn a_summary_of_known_values() {
        let summary = summarize(&[5.0, 1.0, 3.0, 2.0, 4.0], 1).unwrap();
        assert_eq!((summary.median, summary.min, summary.max), (3.0, 1.0, 5.0));
        assert!((summary.spread - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(summary.interval, None);
        let interval = summarize(&[5.0, 1.0, 3.0, 2.0, 4.0, 3.0], 1).unwrap().interval.unwrap();
        assert!(interval.low >= 1.0 && interval.high <= 5.0 && interval.confidence == 0.95);
        assert_eq!(summarize(&[1.0, 2.0], 1).unwrap().median, 1.5);
        assert_eq!(summarize(&[], 1), None);
    }

    #[test]
    fn few_runs_claim_nothing() {
        assert_eq!(summarize(&[1.0], 1).unwrap().interval, None);
        assert_eq!(summarize(&[1.0; 5], 1).unwrap().interval, None);
        // The range of three values covers their median at 75 %, which is no winner's level.
        assert_eq!(verdict(&[vec![1.0; 3], vec![9.0; 3]], 1), Verdict::Unclaimed(1));
        assert_eq!(verdict(&[vec![1.0; 5], vec![9.0; 5]], 1), Verdict::Unclaimed(1));
        assert_eq!(verdict(&[vec![4.0; 5], vec![9.0; 6]], 1), Verdict::Winner(1));
        assert_eq!(verdict(&[vec![8.0; 5], vec![9.0; 6]], 1), Verdict::Tie(vec![1, 0]));
        assert_eq!(verdict(&[vec![8.0; 6], vec![9.0; 6]], 1), Verdict::Winner(1));
        assert_eq!(verdict(&[vec![], vec![]], 1), Verdict::Nothing);
    }

    #[test]
    fn winner_and_tie_are_told_apart() {
        let slow = vec![10.0, 10.5, 9.5, 10.2, 9.9, 10.1];
        let fast: Vec<f64> = slow.iter().map(|v| v + 5.0).collect();
        let noisy = vec![9.0, 15.6, 15.4, 11.0, 16.0, 14.0];
        assert_eq!(verdict(&[slow.clone(), fast.clone()], 1), Verdict::Winner(1));
        assert_eq!(verdict(&[slow.clone(), fast.clone(), noisy], 1), Verdict::Tie(vec![1, 2]));
        let barely: Vec<f64> = (0..6).map(|n| 15.0 - f64::from(n) * 1e-6).collect();
        let above = vec![15.1; 6];
        assert_eq!(verdict(&[slow.clone(), barely, above], 1), Verdict::Tie(vec![2, 1]));
        assert_eq!(verdict(&[fast, vec![3.0]], 1), Verdict::Winner(0), "given up after a run");
    }

    #[test]
    fn intervals_cover_the_truth_about_as_often_as_they_say() {
        for (count, least) in [(6, 0.90), (11, 0.90), (25, 0.91)] {
            let mut rng = Rng::new(7);
            let mut covered = 0;
            for trial in 0..400 {
                // Skewed, as rates of a busy machine are.
                let values: Vec<f64> = (0..count).map(|_| 1.0 - rng.unit().powi(3)).collect();
                let interval = summarize(&values, trial).unwrap().interval.unwrap();
                covered += usize::from((interval.low..=interval.high).contains(&0.875));
            }
            assert!(
                f64::from(u32::try_from(covered).unwrap()) / 400.0 >= least,
                "{count} {covered}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            cases: 32,
            ..Default::default()
        })]
        #[test]
        fn the_interval_lies_within_the_values(
            values in proptest::collection::vec(0.0f64..1e9, 6..15), seed: u64) {
            let summary = summarize(&values, seed).unwrap();
            let interval = summary.interval.unwrap();
            prop_assert!(summary.min <= interval.low && interval.low <= interval.high);
            prop_assert!(interval.high <= summary.max);
            prop_assert_eq!(summarize(&values, seed), Some(summary), "the seed decides");
        }
    }
}
