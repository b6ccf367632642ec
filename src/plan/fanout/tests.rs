//! The count law against servers that are one function: connections in, bytes per second out.

use super::collapse::COLLAPSED_MAX;
use super::*;

const TICK: Duration = Duration::from_millis(50);
const MB: f64 = 1e6;

struct Bench {
    count: Count,
    now: Duration,
    tau: Duration,
    remaining_bytes: u64,
    is_disk_bound: bool,
    is_rate_limited: bool,
    is_lossy: bool,
    is_uneven: bool,
    awaits_source: bool,
    queueing: f64,
    /// Most connections that bytes flow on.
    flowing_max: u32,
    changes: Vec<Change>,
}

impl Bench {
    fn new(tau_ms: u64) -> Self {
        let tau = Duration::from_millis(tau_ms);
        let mut count = Count::new(Fanout::Auto { max: 64 });
        let remaining_bytes = 1 << 40;
        count.on_start(Duration::ZERO, tau, remaining_bytes, 1, u32::MAX);
        let now = Duration::ZERO;
        Self {
            count,
            now,
            tau,
            remaining_bytes,
            is_disk_bound: false,
            is_rate_limited: false,
            is_lossy: false,
            is_uneven: false,
            awaits_source: false,
            queueing: 1.0,
            flowing_max: u32::MAX,
            changes: Vec::new(),
        }
    }

    /// Runs on; the connections are there at once and bring `rate` together.
    fn run(&mut self, seconds: f64, rate: impl Fn(u32) -> f64) -> u32 {
        let end = self.now + Duration::from_secs_f64(seconds);
        while self.now < end {
            self.now += TICK;
            let flowing = self.count.target().min(self.flowing_max);
            let bytes = |flowing| u64::from(ceil(rate(flowing) * TICK.as_secs_f64()));
            let sample = Sample {
                now: self.now,
                elapsed: TICK,
                bytes: bytes(flowing),
                bytes_most: bytes(1),
                flowing,
                reach: 2 * self.tau,
                tau: self.tau,
                knows_tau: true,
                remaining_bytes: self.remaining_bytes,
                is_disk_bound: self.is_disk_bound,
                is_rate_limited: self.is_rate_limited,
                is_uneven: self.is_uneven,
                is_lossy: self.is_lossy,
                queueing: self.queueing,
                awaits_source: self.awaits_source,
            };
            self.changes.extend(self.count.on_tick(&sample));
        }
        self.count.target()
    }
}

/// A path that gives each connection `each` bytes per second, and all together no more than `all`.
fn capped(each: f64, all: f64) -> impl Fn(u32) -> f64 {
    move |connections| (f64::from(connections) * each).min(all)
}

#[test]
fn a_fixed_count_never_moves() {
    let mut bench = Bench::new(20);
    bench.count = Count::new(Fanout::Fixed(7));
    assert_eq!(bench.run(30.0, capped(MB, 1000.0 * MB)), 7);
    assert!(bench.changes.is_empty() && !bench.count.is_auto());
    assert_eq!(bench.count.on_push_back(bench.now, 3, false), None);
    assert_eq!(bench.count.target(), 7);
}

#[test]
fn the_start_grows_with_the_distance() {
    let starts = [0, 1, 20, 150].map(|tau_ms| Bench::new(tau_ms).count.target());
    assert_eq!(starts, [2, 2, 2, 16]);
}

#[test]
fn a_short_file_starts_with_more() {
    let start = |tau_ms, bytes, addresses| {
        let mut count = Count::new(Fanout::Auto { max: 64 });
        count.on_start(Duration::ZERO, Duration::from_millis(tau_ms), bytes, addresses, u32::MAX);
        count.target()
    };
    assert_eq!([64 << 20, 16 << 20].map(|bytes| start(100, bytes, 1)), [8, 32]);
    assert_eq!([64 << 20, 16 << 20].map(|bytes| start(45, bytes, 1)), [8, 32]);
    assert_eq!([80 << 20, 40 << 20].map(|bytes| start(20, bytes, 1)), [2, 4]);
    assert_eq!([1, 2, 9].map(|addresses| start(20, 1 << 40, addresses)), [2, 4, 4]);
}

#[test]
fn what_was_settled_on_is_the_start_of_the_next_file() {
    let mut bench = Bench::new(20);
    assert_eq!(bench.count.settled(), None);
    bench.run(5.0, capped(5.0 * MB, 60.0 * MB));
    let settled = bench.count.settled().expect("five seconds are enough");
    assert!((12..=24).contains(&settled), "{settled}");
    let mut next = Bench::new(20);
    next.count.start_with(Duration::ZERO, settled);
    assert_eq!(next.run(1.5, capped(5.0 * MB, 60.0 * MB)), settled);
    assert!(next.changes.is_empty(), "{:?}", next.changes);
}

#[test]
fn the_first_of_two_shows_whether_the_other_brings_anything() {
    let mut bench = Bench::new(20);
    assert_eq!(bench.run(3.0, capped(125.0 * MB, 125.0 * MB)), 2);
    assert!(bench.changes.is_empty(), "{:?}", bench.changes);
}

#[test]
fn many_that_begin_before_a_queue_that_stays_are_enough() {
    let mut bench = Bench::new(60);
    (bench.is_uneven, bench.queueing) = (true, 1.5);
    let shared = capped(12.0 * MB, 36.0 * MB);
    assert_eq!(bench.run(3.0, &shared), 8);
    assert!(bench.changes.is_empty() && bench.count.settled() == Some(8), "{:?}", bench.changes);
}

/// Slow start doubles the rate up to `rate`, bytes per second of that number of connections.
/// Packets are lost from then on, or have been all the time.
fn begin(bench: &mut Bench, has_own_losses: bool, rate: impl Fn(u32) -> f64) {
    bench.is_lossy = has_own_losses;
    for share in [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64] {
        bench.run(0.05, |connections| share * rate(connections));
    }
    bench.run(0.05, &rate);
    bench.is_lossy = true;
    bench.run(0.3, rate);
}

#[test]
fn many_whose_rate_stands_are_enough_unless_losses_take_it() {
    let first = |has_own_losses, rest: f64| {
        let mut bench = Bench::new(60);
        bench.is_uneven = true;
        begin(&mut bench, has_own_losses, |_| 40.0 * MB);
        let before = bench.changes.len();
        bench.run(6.0, |_| rest * 40.0 * MB);
        (before, bench.changes.first().map(|change| change.1.clone()))
    };
    let doubled = Some("16 after 8: growth may pay".to_owned());
    assert_eq!(first(false, 1.0), (0, None));
    assert_eq!(first(false, 0.7), (0, doubled.clone()));
    assert_eq!(first(true, 1.0), (1, doubled), "it will fall");
}

/// Connections that share a path start alike and part; those with a limit each never do.
#[test]
fn many_that_part_after_slow_start_share_a_path() {
    let changes = |part| {
        let mut bench = Bench::new(60);
        begin(&mut bench, false, capped(5.0 * MB, 40.0 * MB));
        assert!(bench.changes.is_empty(), "not yet: {:?}", bench.changes);
        bench.is_uneven = part;
        bench.run(3.0, capped(5.0 * MB, 40.0 * MB));
        bench.changes.first().map(|change| change.1.clone())
    };
    assert_eq!(changes(true), None);
    assert_eq!(changes(false), Some("16 after 8: growth may pay".to_owned()));
}

#[test]
fn two_that_have_filled_a_queue_are_enough() {
    let run = |has_own_losses, queueing| {
        let mut bench = Bench::new(20);
        bench.queueing = queueing;
        let rate = capped(60.0 * MB, 90.0 * MB);
        begin(&mut bench, has_own_losses, &rate);
        let before = bench.count.target();
        (before, bench.run(0.45, rate))
    };
    assert_eq!(run(false, 1.4), (2, 2));
    assert_eq!(run(false, 1.0), (2, 4), "there is no queue");
    assert_eq!(run(true, 1.0).0, 4, "nor is one waited for");
}

#[test]
fn a_limit_for_each_has_a_queue_for_each() {
    let mut bench = Bench::new(60);
    bench.queueing = 1.5;
    assert!(bench.run(3.0, capped(3.0 * MB, 96.0 * MB)) > 8);
}

#[test]
fn the_first_step_waits_for_connections_that_come_one_after_the_other() {
    let mut bench = Bench::new(70);
    bench.count = Count::new(Fanout::Auto { max: 64 });
    bench.count.on_start(bench.now, bench.tau, bench.remaining_bytes, 3, u32::MAX);
    let rate = capped(10.0 * MB, 80.0 * MB);
    bench.flowing_max = 2;
    assert_eq!(bench.run(0.5, &rate), 8, "two of eight say nothing of the rate of eight");
    bench.flowing_max = u32::MAX;
    assert_eq!(bench.run(0.7, &rate), 16);
    bench.run(1.5, &rate);
    assert!(bench.changes.iter().all(|(_, text)| !text.starts_with("32 after")));
    assert_eq!(bench.count.target(), 8, "the late six were no gain: {:?}", bench.changes);
}

#[test]
fn no_more_are_tried_while_a_queue_stands() {
    for (tau_ms, is_tried) in [(70, false), (1, true)] {
        let mut bench = Bench::new(tau_ms);
        bench.run(3.0, capped(5.0 * MB, 40.0 * MB));
        let settled = bench.count.settled().expect("three seconds are enough");
        bench.changes.clear();
        bench.queueing = 1.4;
        bench.run(30.0, capped(5.0 * MB, 40.0 * MB));
        let more = |(_, text): &Change| text.contains("whether more pay");
        assert_eq!(bench.changes.iter().any(more), is_tried, "{tau_ms} ms: {:?}", bench.changes);
        assert!(bench.count.target() <= settled);
        bench.queueing = 1.1;
        bench.run(60.0, capped(5.0 * MB, 40.0 * MB));
        assert!(bench.changes.iter().any(more), "it has drained: {:?}", bench.changes);
    }
}

#[test]
fn a_dip_in_the_queue_is_not_its_end() {
    let mut bench = Bench::new(70);
    bench.run(3.0, capped(5.0 * MB, 40.0 * MB));
    bench.changes.clear();
    for tick in 0..600 {
        bench.queueing = if tick % 7 == 0 { 0.9 } else { 1.6 };
        bench.run(0.05, capped(5.0 * MB, 40.0 * MB));
    }
    let more = |(_, text): &Change| text.contains("whether more pay");
    assert!(!bench.changes.iter().any(more), "{:?}", bench.changes);
    // Nor is it where there are two, of which one may have had bad luck.
    let mut bench = Bench::new(20);
    bench.is_uneven = true;
    for tick in 0..200 {
        bench.queueing = if tick % 7 == 0 { 0.9 } else { 1.6 };
        bench.run(0.05, capped(40.0 * MB, 40.0 * MB));
    }
    assert!(bench.changes.is_empty(), "{:?}", bench.changes);
}

#[test]
fn a_rate_that_has_fallen_is_not_restored_while_a_queue_stands() {
    for (queueing, is_restored) in [(1.4, false), (1.0, true)] {
        let mut bench = Bench::new(70);
        bench.run(3.0, capped(5.0 * MB, 40.0 * MB));
        bench.changes.clear();
        bench.queueing = queueing;
        bench.run(3.0, capped(5.0 * MB, 28.0 * MB));
        let restored = |(_, text): &Change| text.contains("of the best rate are left");
        assert_eq!(bench.changes.iter().any(restored), is_restored, "{:?}", bench.changes);
    }
}

/// The first doubling has brought much; the queue shows that the second one cannot.
#[test]
fn the_ramp_ends_where_a_queue_stands_unless_connections_keep_their_rates() {
    let most = |queueing, all| {
        let mut bench = Bench::new(70);
        bench.queueing = queueing;
        let targets = (0..40).map(|_| bench.run(TICK.as_secs_f64(), capped(5.0 * MB, all)));
        targets.max()
    };
    assert_eq!([1.0, 1.4].map(|queueing| most(queueing, 60.0 * MB)), [Some(32), Some(16)]);
    assert_eq!([1.0, 1.4].map(|queueing| most(queueing, 1000.0 * MB)), [Some(64), Some(64)]);
}

#[test]
fn the_ramp_ends_at_a_sudden_knee_and_goes_on_where_gains_shrink() {
    let goes_on = |rate: &dyn Fn(u32) -> f64| {
        let mut bench = Bench::new(30);
        bench.run(1.5, rate);
        assert!(bench.changes.iter().any(|change| change.1.starts_with("32 after 16")));
        bench.changes.iter().any(|change| change.1.starts_with("64 after 32"))
    };
    // Sixteen have kept their rates, and 32 bring 30 % more.
    assert!(!goes_on(&capped(3.0 * MB, 62.4 * MB)));
    // Sixteen others share the path: 16 bring half of it, and 32 a third more.
    assert!(goes_on(&|n| 100.0 * MB * f64::from(n) / f64::from(n + 16)));
}

/// Sixteen show that they keep their rates while they still grow, and 32 start meanwhile.
#[test]
fn a_step_is_compared_with_what_those_before_it_have_grown_to() {
    let goes_on = |grown: f64| {
        let mut bench = Bench::new(30);
        let each = capped(2.5 * MB, 40.0 * MB);
        while bench.count.target() < 32 {
            bench.run(0.05, &each);
        }
        bench.flowing_max = 16;
        bench.run(0.1, |_| grown * MB);
        bench.flowing_max = u32::MAX;
        bench.run(1.0, |_| 60.0 * MB);
        bench.changes.iter().any(|change| change.1.starts_with("64 after 32"))
    };
    assert_eq!([40.0, 48.0].map(goes_on), [true, false]);
}

#[test]
fn what_losses_take_is_restored() {
    let mut bench = Bench::new(70);
    bench.is_lossy = true;
    // Slow start has filled the path; then each connection falls back to an eighth of it.
    bench.run(2.0, |_| 100.0 * MB);
    let before = bench.count.target();
    let each = 100.0 * MB / 24.0;
    assert!(before < 20, "{before}");
    let after = bench.run(6.0, capped(each, 100.0 * MB));
    assert!((20..=48).contains(&after), "{after} connections: {:?}", bench.changes);
}

/// As BBR does, to see how short the path is: for 200 ms and a round trip, every ten seconds.
#[test]
fn senders_that_drain_the_queue_for_a_moment_get_no_company() {
    let mut bench = Bench::new(46);
    bench.count.start_with(Duration::ZERO, 8);
    bench.run(1.0, |_| 36.0 * MB);
    for wait in 0..20 {
        bench.run(0.25, |_| 7.0 * MB);
        bench.run(1.0 + 0.05 * f64::from(wait), |_| 36.0 * MB);
    }
    let restored = |change: &&Change| change.1.contains("of the best rate are left");
    assert_eq!(bench.changes.iter().find(restored), None);
}

#[test]
fn at_the_end_nothing_is_restored_and_no_fewer_are_tried() {
    let changes = |seconds: f64| {
        let mut bench = Bench::new(70);
        bench.count.start_with(Duration::ZERO, 8);
        bench.remaining_bytes = u64::from(ceil(seconds * 40.0 * MB));
        bench.run(1.0, |_| 40.0 * MB);
        bench.run(1.0, |_| 30.0 * MB);
        let restored = bench.changes.first().map(|change| change.1.clone());
        bench.run(20.0, |_| 30.0 * MB);
        let fewer = |change: &Change| change.1.contains("whether fewer do");
        (restored, bench.changes.iter().any(fewer))
    };
    assert_eq!(changes(0.8), (None, false));
    let doubled = Some("16 after 8: 77 % of the best rate are left".to_owned());
    assert_eq!(changes(5.0), (doubled.clone(), false));
    assert_eq!(changes(60.0), (doubled, true));
}

#[test]
fn where_more_have_failed_they_are_tried_again_soon_only_if_the_rate_has_fallen() {
    let tries = [false, true].map(|falls| {
        let mut bench = Bench::new(20);
        bench.run(2.0, capped(10.0 * MB, 200.0 * MB));
        let before = bench.changes.len();
        // By a tenth: too little to be restored at once.
        bench.run(6.0, capped(10.0 * MB, if falls { 180.0 * MB } else { 200.0 * MB }));
        let text = |change: &Change| change.1.contains("to see whether more pay");
        bench.changes[before..].iter().filter(|change| text(change)).count()
    });
    assert_eq!(tries.map(|tries| tries > 0), [false, true]);
}

#[test]
fn a_try_that_fails_says_what_the_path_carries_now() {
    let mut bench = Bench::new(20);
    bench.run(2.0, capped(10.0 * MB, 200.0 * MB));
    let ramped = bench.changes.len();
    while bench.changes.len() < ramped + 2 {
        bench.run(0.05, capped(10.0 * MB, 180.0 * MB));
    }
    let peak = bench.count.peak.rate / MB;
    assert!((peak - 180.0).abs() < 5.0, "{peak} after {:?}", bench.changes);
}

#[test]
fn a_try_of_more_is_half_as_many_and_of_many_a_quarter() {
    let up = |connections, each| {
        let mut bench = Bench::new(20);
        bench.count.start_with(Duration::ZERO, connections);
        bench.run(3.5, capped(each, 1000.0 * MB));
        bench.changes.into_iter().map(|change| change.1).collect::<Vec<_>>()
    };
    let tried = [up(8, 1000.0 * MB), up(32, 1000.0 * MB)];
    let expected = ["12 after 8: to see whether more pay", "40 after 32: to see whether more pay"];
    assert_eq!(tried.each_ref().map(|all| all[0].as_str()), expected);
    // Connections that keep their rates are doubled then, others grow by half.
    assert_eq!(up(8, 10.0 * MB)[1], "24 after 12: brought +50 %");
    let mut bench = Bench::new(20);
    bench.count.start_with(Duration::ZERO, 8);
    bench.run(3.5, |connections| 10.0 * MB * f64::from(connections).powf(0.4));
    assert_eq!(bench.changes[1].1, "18 after 12: brought +18 %");
}

#[test]
fn a_rate_that_falls_back_is_no_sign_that_more_are_worse() {
    let mut bench = Bench::new(70);
    bench.is_lossy = true;
    // While eight become sixteen, losses take what slow start had reached.
    bench.run(5.0, |connections| if connections > 8 { 90.0 * MB } else { 100.0 * MB });
    let fewer = |change: &Change| change.1.contains("fewer");
    assert_eq!(bench.count.target(), 16, "{:?}", bench.changes);
    assert!(!bench.changes.iter().any(fewer), "{:?}", bench.changes);
}

#[test]
fn two_that_are_no_worse_than_one_stay() {
    let mut bench = Bench::new(20);
    bench.run(60.0, capped(125.0 * MB, 125.0 * MB));
    let fewer = |change: &Change| change.1.contains("fewer");
    assert!(!bench.changes.iter().any(fewer), "{:?}", bench.changes);
}

/// What is closed and opened again costs the server as much as what stays.
#[test]
fn a_path_that_swings_is_not_followed_for_ever() {
    let mut bench = Bench::new(70);
    bench.is_lossy = true;
    let opened = |bench: &mut Bench, seconds, all: f64| {
        let before = bench.count.target();
        bench.run(seconds, capped(4.0 * MB, all)).saturating_sub(before)
    };
    let mut all = bench.count.target();
    for _ in 0..30 {
        all += opened(&mut bench, 4.0, 300.0 * MB);
        all += opened(&mut bench, 4.0, 40.0 * MB);
    }
    let earned = u32::try_from(bench.now.as_secs() / REGROWTH_TIME.as_secs()).unwrap();
    assert!(all <= 64 + REGROWTH + earned, "{all} opened: {:?}", bench.changes);
    assert!(bench.changes.len() > 10, "the path swings: {:?}", bench.changes);
}

#[test]
fn an_outage_is_no_throttle() {
    let mut bench = Bench::new(20);
    bench.run(5.0, capped(10.0 * MB, 200.0 * MB));
    bench.run(10.0, |_| 0.0);
    assert!(!bench.count.was_throttled(), "{:?}", bench.changes);
}

#[test]
fn a_cap_per_connection_is_met_with_many_within_two_seconds() {
    for tau_ms in [1, 20, 150] {
        let found = Bench::new(tau_ms).run(2.0, capped(5.0 * MB, 125.0 * MB));
        assert!((25..=64).contains(&found), "{found} connections at {tau_ms} ms");
    }
}

#[test]
fn what_one_connection_fills_gets_few() {
    let mut bench = Bench::new(2);
    let found = bench.run(2.0, capped(1000.0 * MB, 125.0 * MB));
    assert!(found <= 8, "{found} connections");
    assert!(bench.run(120.0, capped(1000.0 * MB, 125.0 * MB)) <= 4);
    assert!(bench.count.trial().is_some_and(|trial| trial.gain < 1.1));
}

#[test]
fn the_knee_is_found_from_both_sides() {
    let mut bench = Bench::new(2);
    bench.run(120.0, capped(25.0 * MB, 200.0 * MB));
    let found = bench.count.target();
    assert!((8..=11).contains(&found), "{found} connections");
    // The link widens.
    bench.run(60.0, capped(25.0 * MB, 800.0 * MB));
    assert!(bench.count.target() >= 24, "{} connections", bench.count.target());
}

#[test]
fn a_disk_that_is_the_bound_gets_no_more_connections() {
    let mut bench = Bench::new(2);
    bench.is_disk_bound = true;
    bench.run(20.0, capped(5.0 * MB, 125.0 * MB));
    assert!(bench.count.target() <= START_NEAR, "{:?}", bench.changes);
}

#[test]
fn at_the_callers_own_limit_the_count_stands_and_then_grows_again() {
    let mut bench = Bench::new(2);
    bench.is_rate_limited = true;
    bench.run(60.0, capped(5.0 * MB, 200.0 * MB));
    assert_eq!(bench.count.target(), START_NEAR, "{:?}", bench.changes);
    bench.is_rate_limited = false;
    bench.run(60.0, capped(5.0 * MB, 200.0 * MB));
    assert!(bench.count.target() >= 24, "{:?}", bench.changes);
    // What little comes of a limit is no throttling of the origin.
    bench.is_rate_limited = true;
    let before = bench.count.target();
    bench.run(60.0, capped(MB, 2.0 * MB));
    assert!(bench.count.target() <= before && !bench.count.was_throttled());
}

#[test]
fn the_end_is_no_time_for_growth() {
    let mut bench = Bench::new(5);
    bench.remaining_bytes = 8 << 20;
    assert_eq!(bench.run(1.0, capped(50.0 * MB, 1000.0 * MB)), START_NEAR, "{:?}", bench.changes);
}

#[test]
fn push_back_caps_until_it_is_forgotten() {
    let mut bench = Bench::new(20);
    let rate = capped(5.0 * MB, 1000.0 * MB);
    bench.run(0.4, &rate);
    let change = bench.count.on_push_back(bench.now, 4, false).expect("the server refused");
    assert_eq!((change.0, bench.count.target()), (Choice::Cap, 4));
    assert_eq!(bench.run(50.0, &rate), 4);
    assert!(bench.run(15.0, &rate) > 4, "a minute later it is tried again");
}

#[test]
fn a_collapse_leaves_four_and_freezes() {
    let mut bench = Bench::new(20);
    bench.run(5.0, capped(10.0 * MB, 200.0 * MB));
    assert!(bench.count.target() >= 16);
    // A hundredth is left, whoever asks.
    bench.run(20.0, |_| 2.0 * MB);
    assert_eq!(bench.count.target(), COLLAPSED_MAX);
    assert!(bench.count.was_throttled());
    assert!(bench.changes.iter().any(|change| change.0 == Choice::Collapse));
    // It is over, and not tried again soon.
    bench.run(60.0, capped(10.0 * MB, 200.0 * MB));
    assert_eq!(bench.count.target(), COLLAPSED_MAX);
}

#[test]
fn a_path_that_became_slow_is_no_collapse() {
    let mut bench = Bench::new(20);
    bench.run(5.0, capped(10.0 * MB, 200.0 * MB));
    let before = bench.count.target();
    // Each connection brings a twentieth: fewer are worse.
    bench.run(10.0, capped(0.5 * MB, 200.0 * MB));
    assert!(bench.count.target() >= before, "{:?}", bench.changes);
    assert!(!bench.count.was_throttled());
}

#[test]
fn noise_alone_adds_few() {
    let mut bench = Bench::new(2);
    let noise = |tick: u128| 1.0 + 0.3 * f64::from((tick * 7919 % 13) as u8) / 6.0 - 0.3;
    for _ in 0..400 {
        let tick = bench.now.as_millis() / 50;
        bench.run(0.05, |_| 100.0 * MB * noise(tick));
    }
    assert!(bench.count.target() <= 12, "{:?}", bench.changes);
}

#[test]
fn where_more_are_worse_there_is_one() {
    let mut bench = Bench::new(15);
    // Each connection beyond the first costs four percent.
    let crowded = |connections: u32| 80.0 * MB / (1.0 + 0.04 * f64::from(connections - 1));
    bench.run(20.0, crowded);
    assert_eq!(bench.count.target(), 1, "{:?}", bench.changes);
}

#[test]
fn a_count_grows_when_its_limit_is_raised_and_never_beyond_it() {
    let rate = capped(10.0 * MB, 1000.0 * MB);
    let mut bench = Bench::new(20);
    bench.count.set_max(bench.now, 2);
    assert_eq!(bench.run(20.0, &rate), 2);
    assert_eq!(bench.count.settled(), None, "nobody knows whether more would pay");
    for max in [4, 1, 32, 1, 32, 1, 32] {
        bench.count.set_max(bench.now, max);
        assert_eq!(bench.run(5.0, &rate), max, "each one more pays: {:?}", bench.changes);
    }
    bench.count.set_max(bench.now, u32::MAX);
    assert!(bench.run(20.0, &rate) > 32, "what was closed for the limit is not held against it");
    assert!(bench.run(20.0, &rate) <= 64, "the settings' own limit stands");
}

#[test]
fn a_lower_limit_is_no_collapse() {
    let mut bench = Bench::new(20);
    bench.run(20.0, capped(MB, 1000.0 * MB));
    let change = bench.count.set_max(bench.now, 1).expect("it is lowered");
    assert_eq!((change.0, bench.count.target()), (Choice::Connections, 1));
    bench.run(20.0, capped(MB, 1000.0 * MB));
    assert!(!bench.changes.iter().any(|(what, _)| *what == Choice::Collapse));
    bench.count.set_max(bench.now, 64);
    assert!(bench.run(20.0, capped(MB, 1000.0 * MB)) > 8, "{:?}", bench.changes);
}

#[test]
fn a_limit_may_change_in_every_phase() {
    for seed in 0..200u32 {
        let mut bench = Bench::new(if seed % 2 == 0 { 1 } else { 40 });
        for step in 0..40u32 {
            let mix = seed.wrapping_mul(2_654_435_761).wrapping_add(step.wrapping_mul(40_503));
            let max = 1 + (mix >> 7) % 64;
            bench.count.set_max(bench.now, max);
            // A collapse now and then.
            let each = if (mix >> 13) % 5 == 0 { 0.01 * MB } else { 10.0 * MB };
            assert!(bench.run(f64::from((mix >> 17) % 40) / 10.0, capped(each, 300.0 * MB)) <= max);
        }
    }
}

#[test]
fn each_source_brings_a_connection_and_takes_it_along() {
    let mut bench = Bench::new(20);
    for (sources, wanted) in [(2, 3), (5, 6), (4, 5), (1, 2), (1, 2)] {
        bench.count.set_min(bench.now, sources);
        assert_eq!(bench.count.target(), wanted, "{sources} sources");
    }
    // Each server sends 20 MB/s to whomever.
    bench.count.set_min(bench.now, 4);
    assert_eq!(bench.run(5.0, |_| 80.0 * MB), 5);
    bench.count.set_min(bench.now, 2);
    assert_eq!(bench.run(1.9, |_| 40.0 * MB), 3, "half of the rate is no reason for more");
}

#[test]
fn a_source_that_has_brought_nothing_yet_is_waited_for() {
    let mut bench = Bench::new(20);
    bench.count.set_min(bench.now, 4);
    bench.awaits_source = true;
    assert_eq!(bench.run(0.6, |_| 20.0 * MB), 5);
    bench.awaits_source = false;
    assert_eq!(bench.run(0.3, |_| 80.0 * MB), 10, "growth may pay");
    let gain = bench.run(2.0, |_| 80.0 * MB);
    assert_eq!(gain, 5, "the late source was no gain of more connections: {:?}", bench.changes);
}

#[test]
fn a_fixed_count_does_not_follow_sources() {
    let mut bench = Bench::new(20);
    bench.count = Count::new(Fanout::Fixed(2));
    assert_eq!(bench.count.set_min(bench.now, 4), None);
    assert_eq!(bench.count.target(), 2);
}
