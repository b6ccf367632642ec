//! What a few noisy runs allow to be said: median, spread, bootstrap intervals, winner or tie.
//! Pure functions of numbers and a seed; knows no unit and nothing of downloads.

use crate::base::rng::Rng;
use crate::bench::INTERVAL_RUNS_MIN;
use serde::Serialize;

/// Samples drawn for one interval: its ends move by less than a percent of its width from seed to
/// seed.
const RESAMPLES: usize = 4000;
/// How sure an interval is where there are runs enough.
const CONFIDENCE: f64 = 0.95;
/// Medians closer than this part of the better one are a tie, however well they are measured:
/// nobody should choose by it.
const TIE_PART: f64 = 0.01;

/// Where a value lies, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Probability that it covers the value: 0.95 from six runs on. The range of five values covers
    /// the median with 0.94, of four with 0.88, of three with 0.75, and no method can promise more.
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
    /// Of the median; `None` below three values.
    pub interval: Option<Interval>,
}

/// Who is best, of several that were measured more than once.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing was measured.
    Nothing,
    /// The first is ahead, but there are too few runs to say that it is better.
    Unclaimed(usize),
    /// Better than each of the others.
    Winner(usize),
    /// The first has the best median; the intervals of its difference to the others cover zero.
    Tie(Vec<usize>),
}

/// The summary of `values`, none of which may be NaN; `None` if there are none.
pub fn summarize(values: &[f64], seed: u64) -> Option<Summary> {
    let sorted = sorted(values);
    let (&min, &max) = (sorted.first()?, sorted.last()?);
    let median = quantile(&sorted, 0.5);
    let quartiles = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
    let confidence = confidence(sorted.len());
    let interval = confidence.map(|confidence| {
        let mut rng = Rng::new(seed);
        interval(confidence, || resampled_median(&sorted, &mut rng))
    });
    let spread = if median == 0.0 { 0.0 } else { quartiles / median };
    Some(Summary { count: sorted.len(), median, min, max, spread, interval })
}

/// The interval of how much the median of `a` is above the median of `b`; `None` where one of them
/// has too few values.
pub fn difference(a: &[f64], b: &[f64], seed: u64) -> Option<Interval> {
    let confidence = confidence(a.len())?.min(confidence(b.len())?);
    let mut rng = Rng::new(seed);
    Some(interval(confidence, || resampled_median(a, &mut rng) - resampled_median(b, &mut rng)))
}

/// Whose values are the largest. Entries without values take no part.
pub fn verdict(entries: &[Vec<f64>], seed: u64) -> Verdict {
    let medians = entries.iter().enumerate().filter(|(_, values)| !values.is_empty());
    let mut ranked: Vec<(usize, f64)> =
        medians.map(|(index, values)| (index, quantile(&sorted(values), 0.5))).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some(&(leader, best)) = ranked.first() else { return Verdict::Nothing };
    if entries[leader].len() < INTERVAL_RUNS_MIN as usize {
        return Verdict::Unclaimed(leader);
    }
    let mut level = vec![leader];
    for &(index, median) in &ranked[1..] {
        // One that was given up after a run or two was given up because it is far behind.
        let apart = difference(&entries[leader], &entries[index], seed);
        let covers_zero = apart.is_some_and(|apart| apart.low <= 0.0);
        if covers_zero || median >= best * (1.0 - TIE_PART) {
            level.push(index);
        }
    }
    if level.len() == 1 { Verdict::Winner(leader) } else { Verdict::Tie(level) }
}

/// How sure an interval of the median of `count` values can be: the range of all of them misses it
/// only if all lie on one side, which happens once in 2^(count - 1).
fn confidence(count: usize) -> Option<f64> {
    let misses = 0.5f64.powi(i32::try_from(count).unwrap_or(i32::MAX).saturating_sub(1));
    (count >= INTERVAL_RUNS_MIN as usize).then(|| CONFIDENCE.min(1.0 - misses))
}

/// The percentile bootstrap: what is left of many draws without the tails.
fn interval(confidence: f64, mut draw: impl FnMut() -> f64) -> Interval {
    let mut draws: Vec<f64> = (0..RESAMPLES).map(|_| draw()).collect();
    draws.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Interval { low: quantile(&draws, tail), high: quantile(&draws, 1.0 - tail), confidence }
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
        let interval = summary.interval.unwrap();
        assert_eq!((interval.low, interval.high, interval.confidence), (1.0, 5.0, 0.9375));
        assert_eq!(summarize(&[1.0, 2.0], 1).unwrap().median, 1.5);
        assert_eq!(summarize(&[], 1), None);
    }

    #[test]
    fn few_runs_claim_nothing() {
        assert_eq!(summarize(&[1.0], 1).unwrap().interval, None);
        assert_eq!(summarize(&[1.0, 2.0], 1).unwrap().interval, None);
        assert_eq!(summarize(&[1.0, 2.0, 3.0], 1).unwrap().interval.unwrap().confidence, 0.75);
        assert_eq!(verdict(&[vec![1.0], vec![9.0]], 1), Verdict::Unclaimed(1));
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
        for (count, least) in [(3, 0.68), (5, 0.88), (11, 0.90)] {
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
            values in proptest::collection::vec(0.0f64..1e9, 3..12), seed: u64) {
            let summary = summarize(&values, seed).unwrap();
            let interval = summary.interval.unwrap();
            prop_assert!(summary.min <= interval.low && interval.low <= interval.high);
            prop_assert!(interval.high <= summary.max);
            prop_assert_eq!(summarize(&values, seed), Some(summary), "the seed decides");
        }
    }
}
