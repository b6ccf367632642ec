//! What is done about bytes that are late when nothing is left to hand out: spans ahead are taken
//! back, running ones are cut, stuck ones are fetched twice, slow connections replaced. Owns these
//! choices, all by expected times; must not know the ledger.

use super::ConnectionId;
use crate::base::limits::STEAL_BLOCKS_MIN;
use crate::base::size::{KIB, MIB};
use crate::base::span::Span;
use std::time::Duration;

/// Least time that a cut has to save: it closes a connection; and at least a round trip, which is
/// what an estimate of the rest is uncertain by.
const SAVING_MIN: Duration = Duration::from_millis(50);
/// Least share of the victim's remaining time that a cut has to save.
const SAVING_SHARE: f64 = 0.2;
/// A helper that has to connect first has to save this multiple of the time until its first byte,
const CONNECT_FACTOR: u32 = 3;
/// and this time.
const CONNECT_SAVING_MIN: Duration = Duration::from_millis(250);
/// Fewest bytes that a cut hands over, which need a request of their own; or two blocks, where
/// those are smaller.
const CUT_BYTES_MIN: u64 = 64 * KIB;
/// Bytes are fetched twice where the second connection is expected to be at least this many times
/// faster than the first.
const HEDGE_FACTOR: f64 = 2.0;
/// Least time that fetching twice has to save: it costs bytes.
const HEDGE_SAVING_MIN: Duration = Duration::from_millis(100);
/// What a new connection's first round trip brings (RFC 6928); each one after doubles it.
pub(super) const FIRST_WINDOW_BYTES: f64 = 14_600.0;
/// Larger rests are not fetched twice: a new connection for them comes first.
const HEDGE_BYTES_EACH_MAX: u64 = 16 * MIB;
/// A connection whose goodput is below this share of the median is slow.
const SLOW_SHARE: f64 = 0.25;
/// Bytes must have been flowing for this time before a connection is called slow.
const SLOW_TIME: Duration = Duration::from_secs(2);

/// A connection at work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Runner {
    pub(super) id: ConnectionId,
    /// What it has not claimed of its span.
    pub(super) rest: Span,
    /// Bytes per second, an expectation where nothing is measured.
    pub(super) goodput: f64,
    /// The round trip of one that is in its slow start, and the goodput that it will come to;
    /// `None`: it goes on as it does.
    pub(super) growth: Option<(Duration, f64)>,
    /// Time until its first byte comes; 0 while its bytes flow.
    pub(super) wait: Duration,
}

/// A connection that could help.
#[derive(Debug, Clone, Copy)]
pub(super) struct Helper {
    /// Bytes per second, an expectation where nothing is measured.
    pub(super) goodput: f64,
    /// Time from now to its first byte.
    pub(super) reach: Duration,
    /// The round trip of a connection that has to start slowly; `None`: its window is open.
    pub(super) cold: Option<Duration>,
    /// Indicates whether it has to connect first.
    pub(super) must_connect: bool,
}

/// What closing a connection throws away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Price {
    /// The connection's round trip: what is on the way at the time of a cut arrives in vain.
    pub(super) rtt: Duration,
    /// Bytes per second of all connections together, which carry that too.
    pub(super) pace: f64,
}

/// Where a victim's span would end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Whose span is cut.
    pub(super) victim: ConnectionId,
    /// The new end of its span, an offset in the file.
    pub(super) at: u64,
}

/// The units cuts round to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Units {
    /// Bytes of a full write: what large cuts round to.
    pub(super) block_bytes: u64,
    /// What every cut is a multiple of.
    pub(super) align_bytes: u64,
}

/// Whether enough of a span is unclaimed to be worth a worker for half of it: at least
/// [`STEAL_BLOCKS_MIN`] blocks of `block_bytes`.
pub(super) fn worth_splitting(unclaimed: Span, block_bytes: u64) -> bool {
    unclaimed.len() >= STEAL_BLOCKS_MIN.saturating_mul(block_bytes)
}

impl Helper {
    /// Seconds until it has fetched this number of `bytes`.
    fn takes(&self, bytes: f64) -> f64 {
        let steady = bytes / self.goodput.max(1.0);
        let slow_start = self
            .cold
            .map_or(0.0, |rtt| rtt.as_secs_f64() * (1.0 + bytes / FIRST_WINDOW_BYTES).log2());
        self.reach.as_secs_f64() + steady.max(slow_start)
    }

    /// Least time in seconds that its help has to save, `least` if that is more.
    fn saving_min(&self, least: Duration) -> f64 {
        let connecting = (CONNECT_FACTOR * self.reach).max(CONNECT_SAVING_MIN);
        let own = if self.must_connect { connecting } else { self.reach };
        own.max(least).as_secs_f64()
    }
}

impl Price {
    /// Bytes that are on their way to a connection.
    fn in_flight(&self, runner: &Runner) -> f64 {
        (runner.goodput * self.rtt.as_secs_f64()).min(runner.rest.len() as f64)
    }
}

impl Runner {
    /// Seconds until its rest has come.
    fn takes(&self) -> f64 {
        self.takes_for(self.rest.len())
    }

    /// Seconds until `bytes` more have come.
    fn takes_for(&self, bytes: u64) -> f64 {
        let (bytes, goodput) = (bytes as f64, self.goodput.max(1.0));
        let wait = self.wait.as_secs_f64();
        let steady = bytes / goodput;
        let Some((rtt, expected)) = self.growth else { return wait + steady };
        // Slow start doubles what a round trip brings.
        let rtt = rtt.as_secs_f64().max(1e-4);
        let doubling = rtt * (1.0 + bytes / (goodput * rtt)).log2();
        wait + steady.min(doubling.max(bytes / expected.max(goodput)))
    }
}

/// The cut that saves most, where both sides of it end together, and the seconds it saves.
/// `runners` are paired with what closing their connections costs.
pub(super) fn best_cut(
    runners: impl Iterator<Item = (Runner, Price)>,
    helper: Helper,
    units: Units,
) -> Option<(f64, Cut)> {
    let cuts = runners.filter_map(|(runner, price)| cut(&runner, helper, units, price));
    cuts.max_by(|a, b| a.0.total_cmp(&b.0))
}

/// A cut of one runner's rest, and the seconds it saves.
fn cut(runner: &Runner, helper: Helper, units: Units, price: Price) -> Option<(f64, Cut)> {
    let reach = helper.reach.max(price.rtt).as_secs_f64();
    let contested = runner.rest.len() as f64 - runner.goodput * reach;
    let share = helper.goodput / (helper.goodput + runner.goodput).max(1.0);
    let taken = whole(contested * share);
    // Full blocks where they are small beside the cut.
    let unit = if taken >= 4 * units.block_bytes { units.block_bytes } else { units.align_bytes };
    // The victim keeps a unit at least: its span may shrink, not vanish.
    let at = runner.rest.end().saturating_sub(taken).max(runner.rest.start() + 1);
    let at = at.checked_next_multiple_of(unit).filter(|at| *at < runner.rest.end())?;
    let taken = runner.rest.end() - at;
    let ends = runner.takes_for(at - runner.rest.start()).max(helper.takes(taken as f64));
    // What is in flight to the victim at the cut takes its time on the path, for nothing.
    let wasted = price.in_flight(runner).min(taken as f64) / price.pace.max(1.0);
    let saving = runner.takes() - ends - wasted;
    let is_worth_it = taken >= CUT_BYTES_MIN.min(2 * units.block_bytes)
        && saving >= helper.saving_min(SAVING_MIN)
        && saving >= SAVING_SHARE * runner.takes();
    is_worth_it.then_some((saving, Cut { victim: runner.id, at }))
}

/// The owner of the span ahead that an idle helper should get: the one that would start last.
/// `aheads` pairs each runner with the bytes of what it holds ahead.
pub(super) fn best_take_back(
    aheads: impl Iterator<Item = (Runner, u64)>,
    helper: Helper,
) -> Option<ConnectionId> {
    let savings = aheads.filter_map(|(runner, ahead_bytes)| {
        let ahead_bytes = ahead_bytes as f64;
        let with_owner = runner.takes() + ahead_bytes / runner.goodput.max(1.0);
        let with_helper = helper.takes(ahead_bytes);
        let saving = with_owner - with_helper.max(runner.takes());
        let is_worth_it =
            saving >= helper.saving_min(SAVING_MIN) && saving >= SAVING_SHARE * with_owner;
        is_worth_it.then_some((saving, runner.id))
    });
    savings.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, id)| id)
}

/// Whose rest an idle helper should fetch as well, and the seconds that saves: the latest one, if
/// it is so late that somebody else would be done long before. `rest` of a runner is what is
/// undelivered here.
pub(super) fn best_hedge(
    runners: impl Iterator<Item = Runner>,
    helper: Helper,
    bytes_max: u64,
) -> Option<(f64, ConnectionId)> {
    let savings = runners.filter_map(|runner| {
        let bytes = runner.rest.len();
        let doubled = helper.takes(bytes as f64);
        let saving = runner.takes() - doubled;
        let is_worth_it = bytes > 0
            && bytes <= bytes_max.min(HEDGE_BYTES_EACH_MAX)
            && saving >= helper.saving_min(HEDGE_SAVING_MIN)
            && runner.takes() >= HEDGE_FACTOR * doubled;
        is_worth_it.then_some((saving, runner.id))
    });
    savings.max_by(|a, b| a.0.total_cmp(&b.0))
}

/// How one connection compares with its siblings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Bytes per second; 0 if nothing is measured.
    pub(super) goodput: f64,
    /// The median goodput of all that are at work, in bytes per second.
    pub(super) median: f64,
    /// How long its present bytes have been flowing; `None`: they have not begun to.
    pub(super) flowing_for: Option<Duration>,
    /// Indicates whether it has lost packets lately: it is slow for that reason, and a new
    /// connection would lose as many.
    pub(super) is_lossy: bool,
    /// How long nothing has come.
    pub(super) silent_for: Duration,
    /// Longest silence before the connection is given up.
    pub(super) patience: Duration,
    /// Expected time to first byte, jitter included.
    pub(super) tau: Duration,
    /// Seconds until its rest has come.
    pub(super) takes: f64,
    /// Seconds until the others have fetched what is unassigned.
    pub(super) others_take: f64,
}

/// Why a connection should be given up for a new one.
pub(super) fn why_replace(standing: &Standing) -> Option<String> {
    if standing.silent_for >= standing.patience {
        return Some(format!("silent for {:.1} s", standing.silent_for.as_secs_f64()));
    }
    let has_settled = standing.flowing_for.is_some_and(|time| time >= SLOW_TIME);
    let is_slow =
        has_settled && !standing.is_lossy && standing.goodput < SLOW_SHARE * standing.median;
    let would_be_last = standing.takes > standing.others_take + standing.tau.as_secs_f64();
    (is_slow && would_be_last).then(|| {
        let share = standing.goodput / standing.median * 100.0;
        format!("at {share:.0} % of the median, and the last")
    })
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates; below zero nothing is taken"
)]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnectionId = ConnectionId(1);
    const B: ConnectionId = ConnectionId(2);
    const UNITS: Units = Units { block_bytes: MIB, align_bytes: 4096 };
    const MB_PER_S: f64 = MIB as f64;
    /// Nothing is in flight.
    const FREE: Price = Price { rtt: Duration::ZERO, pace: 1e9 };

    fn runner(id: ConnectionId, start: u64, end: u64, rate: f64) -> Runner {
        let (rest, wait) = (Span::new(start, end), Duration::ZERO);
        Runner { id, rest, goodput: rate * MB_PER_S, growth: None, wait }
    }

    fn helper(rate: f64, ms: u64) -> Helper {
        let reach = Duration::from_millis(ms);
        Helper { goodput: rate * MB_PER_S, reach, cold: None, must_connect: false }
    }

    fn cut(runners: &[Runner], helper: Helper) -> Option<Cut> {
        best_cut(runners.iter().map(|it| (*it, FREE)), helper, UNITS).map(|(_, cut)| cut)
    }

    #[test]
    fn equals_share_what_is_left() {
        let whole = runner(A, 0, 16 * MIB, 10.0);
        assert_eq!(cut(&[whole], helper(10.0, 0)), Some(Cut { victim: A, at: 8 * MIB }));
        // The time until the helper's first byte belongs to the victim.
        assert_eq!(cut(&[whole], helper(10.0, 400)), Some(Cut { victim: A, at: 10 * MIB }));
    }

    #[test]
    fn a_slow_victim_keeps_what_it_can_do_in_the_same_time() {
        let slow = runner(A, 0, 16 * MIB, 1.0);
        assert_eq!(cut(&[slow], helper(15.0, 0)), Some(Cut { victim: A, at: MIB }));
        let stuck = runner(A, 0, 16 * MIB, 0.0);
        assert_eq!(cut(&[stuck], helper(15.0, 0)), Some(Cut { victim: A, at: MIB }));
    }

    #[test]
    fn the_latest_is_helped_not_the_largest() {
        let (large, late) = (runner(A, 0, 64 * MIB, 64.0), runner(B, 64 * MIB, 72 * MIB, 2.0));
        assert_eq!(cut(&[large, late], helper(10.0, 0)).map(|cut| cut.victim), Some(B));
    }

    #[test]
    fn who_has_to_connect_needs_a_better_reason() {
        let late = runner(A, 0, 16 * MIB, 20.0);
        let stranger = Helper { must_connect: true, ..helper(20.0, 150) };
        assert!(cut(&[late], helper(20.0, 150)).is_some(), "0.3 s of 0.8 are saved");
        assert_eq!(cut(&[late], stranger), None, "3 x 150 ms are not");
        let later = runner(A, 0, 64 * MIB, 20.0);
        assert!(cut(&[later], stranger).is_some(), "1.5 s are");
    }

    #[test]
    fn what_is_in_flight_is_a_part_of_the_price() {
        let late = runner(A, 0, 4 * MIB, 10.0);
        let cut = |price| best_cut([(late, price)].into_iter(), helper(10.0, 50), UNITS);
        assert!(cut(FREE).is_some());
        let rtt = Duration::from_millis(150);
        assert_eq!(cut(Price { rtt, pace: 10.0 * MB_PER_S }), None, "a third of it comes in vain");
    }

    #[test]
    fn slow_start_is_not_taken_for_a_slow_connection() {
        let young = Runner {
            growth: Some((Duration::from_millis(100), 10.0 * MB_PER_S)),
            ..runner(A, 0, 4 * MIB, 1.0)
        };
        // 100, 200, 400, 800 KiB … come in round trips, not 100 each time.
        assert!((0.5..0.6).contains(&young.takes()), "{}", young.takes());
        assert!((3.9..4.1).contains(&Runner { growth: None, ..young }.takes()));
        assert_eq!(cut(&[young], helper(10.0, 150)), None);
    }

    #[test]
    fn less_than_a_block_is_cut_where_it_saves_time() {
        let crawling = runner(A, 0, MIB, 0.1);
        let at = cut(&[crawling], helper(10.0, 50)).expect("ten seconds are at stake").at;
        assert!(at > 0 && at < 64 * 1024 && at.is_multiple_of(4096), "{at}");
        assert_eq!(cut(&[runner(A, 0, MIB, 50.0)], helper(50.0, 0)), None, "10 ms saved");
    }

    #[test]
    fn every_cut_lies_inside() {
        for start in 0..40 {
            for len in 0..40 {
                let rest = Span::new(start, start + len);
                for rate in [1.0, 3.0] {
                    let slow = Runner { goodput: 1.0, ..runner(A, rest.start(), rest.end(), 0.0) };
                    let helper = Helper { goodput: rate, ..helper(0.0, 0) };
                    let units = Units { block_bytes: 4, align_bytes: 2 };
                    let cut =
                        best_cut([(slow, FREE)].into_iter(), helper, units).map(|(_, cut)| cut);
                    let at = cut.map_or(start + 1, |cut| cut.at);
                    assert!(start < at && (at < rest.end() || cut.is_none()), "{rest:?} {at}");
                    assert!(cut.is_none() || at.is_multiple_of(2));
                }
            }
        }
    }

    #[test]
    fn a_span_ahead_goes_to_who_starts_sooner() {
        let busy = runner(A, 0, 10 * MIB, 10.0);
        let nearly_done = runner(B, 10 * MIB, 10 * MIB + 4096, 10.0);
        let both = [(nearly_done, 4 * MIB), (busy, 4 * MIB)];
        assert_eq!(best_take_back(both.into_iter(), helper(10.0, 50)), Some(A));
        assert_eq!(best_take_back([both[0]].into_iter(), helper(10.0, 50)), None);
    }

    #[test]
    fn stuck_bytes_are_fetched_twice_within_the_budget() {
        let stuck = runner(A, 0, 4 * MIB, 0.2);
        let hedge =
            |budget| best_hedge([stuck].into_iter(), helper(10.0, 50), budget).map(|(_, id)| id);
        assert_eq!(hedge(32 * MIB), Some(A));
        assert_eq!(hedge(4 * MIB - 1), None);
        let healthy = runner(A, 0, 4 * MIB, 8.0);
        assert_eq!(best_hedge([healthy].into_iter(), helper(10.0, 50), MIB * 32), None);
    }

    #[test]
    fn the_slow_and_the_silent_are_replaced() {
        let second = Duration::from_secs(1);
        let well = Standing {
            goodput: 10e6,
            median: 10e6,
            flowing_for: Some(2 * second),
            is_lossy: false,
            silent_for: Duration::ZERO,
            patience: second,
            tau: second / 20,
            takes: 5.0,
            others_take: 1.0,
        };
        assert_eq!(why_replace(&well), None);
        let slow = Standing { goodput: 2e6, ..well };
        assert!(why_replace(&slow).expect("it is slow").contains("20 %"));
        assert_eq!(why_replace(&Standing { others_take: 6.0, ..slow }), None, "others are later");
        assert_eq!(why_replace(&Standing { flowing_for: Some(second / 2), ..slow }), None);
        assert_eq!(why_replace(&Standing { is_lossy: true, ..slow }), None);
        let silent = Standing { silent_for: second, ..well };
        assert!(why_replace(&silent).expect("it is silent").contains("1.0 s"));
        assert_eq!(why_replace(&Standing { patience: 2 * second, ..silent }), None);
    }
}
