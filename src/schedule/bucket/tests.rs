//! The bucket in virtual time, with connections of any speed on its other side.

use super::*;
use crate::base::rng::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The share by which what comes in ten seconds may exceed the rate: a tenth of a second's worth.
const EXCESS: f64 = 0.01;
const SEEDS: u64 = 1000;

/// A connection that receives by grants.
#[derive(Debug, Clone)]
struct Connection {
    /// Bytes per second that its peer brings.
    path: f64,
    /// Most bytes of one receive.
    receive_bytes: u64,
    /// Time by which it wakes late.
    late: Duration,
    /// Bytes that have come.
    received: u64,
}

/// What came when, in the order of time.
type Arrivals = Vec<(Duration, u64)>;

/// When, in which order at that time, to which connection, and which bytes have come if it does not
/// only ask.
type Event = (Duration, usize, usize, Option<u64>);

/// All connections want more for this time.
fn run(bucket: &mut Bucket, connections: &mut [Connection], time: Duration) -> Arrivals {
    let mut arrivals = Vec::new();
    // A connection asks, or what it was granted has come.
    let mut events: BinaryHeap<Reverse<Event>> =
        (0..connections.len()).map(|index| Reverse((Duration::ZERO, 0, index, None))).collect();
    // Timers that end at the same time ring in the order in which they were set.
    let mut timers = 0;
    while let Some(Reverse((now, _, index, granted))) = events.pop() {
        if now > time {
            break;
        }
        let connection = &mut connections[index];
        if let Some(bytes) = granted {
            bucket.settle(bytes, bytes);
            connection.received += bytes;
            arrivals.push((now, bytes));
        }
        let wanted = bucket.grantable(connection.receive_bytes);
        let Grant { bytes, at } = bucket.grant(now, wanted);
        assert!(at >= now && bytes <= connection.receive_bytes, "{bytes} at {at:?}");
        let wakes = if at > now { at + connection.late } else { now };
        let comes = wakes + Duration::from_secs_f64(bytes as f64 / connection.path);
        timers += 1;
        events.push(Reverse((comes, timers, index, Some(bytes))));
    }
    arrivals
}

fn connection(path: f64) -> Connection {
    let late = Duration::from_millis(1);
    Connection { path, receive_bytes: 1 << 20, late, received: 0 }
}

fn bytes_in(arrivals: &Arrivals, from: Duration, to: Duration) -> u64 {
    arrivals.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, bytes)| bytes).sum()
}

/// Most bytes in a window of this length.
fn most_in(arrivals: &Arrivals, window: Duration) -> u64 {
    let (mut most, mut sum, mut first) = (0, 0, 0);
    for (at, bytes) in arrivals {
        sum += bytes;
        while arrivals[first].0 + window <= *at {
            sum -= arrivals[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

/// A rate with `digits` decimal digits at most.
fn rate(random: &mut Rng, digits: u64) -> u64 {
    let scale = 10u64.pow(u32::try_from(random.below(digits)).unwrap());
    (1 + random.below(9)) * scale + random.below(scale)
}

#[test]
fn any_ten_seconds_keep_the_rate_and_no_burst_exceeds_a_tenth_of_a_second() {
    for seed in 0..SEEDS {
        let mut random = Rng::new(seed);
        let limit = rate(&mut random, 8).max(20);
        let count = 1 + random.index(24);
        let mut connections: Vec<_> = (0..count)
            .map(|_| Connection {
                // Some are slower than their share, and some very much faster.
                path: limit as f64 * 10f64.powf(random.unit() * 4.0 - 1.5),
                receive_bytes: (1 << 10) << random.below(11),
                late: Duration::from_millis(random.below(6)),
                received: 0,
            })
            .collect();
        let is_fed = connections.iter().map(|it| it.path).sum::<f64>() > 1.5 * limit as f64;
        let mut bucket = Bucket::new(limit);
        let time = Duration::from_secs(12);
        // Many small receives take long to simulate, and show no more.
        connections.iter_mut().for_each(|it| {
            it.receive_bytes = it.receive_bytes.max(limit / 400);
        });
        let arrivals = run(&mut bucket, &mut connections, time);
        let ten = Duration::from_secs(10);
        let most = most_in(&arrivals, ten) as f64 / (10.0 * limit as f64);
        // Each connection may have been granted one byte, however small its part is.
        let single = count as f64 / (10.0 * limit as f64);
        assert!(
            most <= 1.0 + EXCESS + 1e-3 + single,
            "seed {seed}: {most} of {limit} B/s in ten seconds"
        );
        let burst = most_in(&arrivals, Duration::from_millis(1)) as f64 / limit as f64;
        assert!(
            burst <= 0.101 + 10.0 * single + 1.0 / limit as f64,
            "seed {seed}: {burst} s worth of {limit} B/s at once"
        );
        if is_fed {
            let from = Duration::from_secs(2);
            let share = bytes_in(&arrivals, from, from + ten) as f64 / (10.0 * limit as f64);
            assert!(share >= 0.98 - single, "seed {seed}: {share} of {limit} B/s, {connections:?}");
        }
    }
}

#[test]
fn connections_that_want_more_get_equal_parts_whoever_is_slow() {
    for seed in 0..200 {
        let mut random = Rng::new(seed);
        let limit = rate(&mut random, 8).max(100_000);
        let count = 2 + random.index(14);
        let mut connections = vec![connection(limit as f64 * 100.0); count];
        // One that brings a hundredth of its part takes nothing from the others.
        connections[0].path = limit as f64 / count as f64 / 100.0;
        run(&mut Bucket::new(limit), &mut connections, Duration::from_secs(10));
        let others: Vec<u64> = connections[1..].iter().map(|it| it.received).collect();
        let (least, most) = (others.iter().min().unwrap(), others.iter().max().unwrap());
        assert!(*least as f64 >= 0.95 * *most as f64, "seed {seed}: {others:?}");
        let sum: u64 = connections.iter().map(|it| it.received).sum();
        assert!(sum as f64 >= 9.8 * limit as f64, "seed {seed}: {sum} of {limit} B/s");
    }
}

#[test]
fn one_byte_per_second_is_one_byte_per_second() {
    let mut connections = [connection(1e6)];
    let arrivals = run(&mut Bucket::new(1), &mut connections, Duration::from_secs(100));
    assert!((100..=101).contains(&connections[0].received), "{}", connections[0].received);
    assert!(arrivals.iter().all(|(_, bytes)| *bytes == 1));
    assert!(most_in(&arrivals, Duration::from_millis(500)) == 1);
}

#[test]
fn a_rate_that_nobody_reaches_makes_nobody_wait() {
    for limit in [u64::MAX, 1 << 50] {
        let mut bucket = Bucket::new(limit);
        let mut now = Duration::from_secs(1 << 30);
        for _ in 0..1000 {
            let bytes = bucket.grantable(1 << 20);
            assert_eq!(bytes, 1 << 20);
            let grant = bucket.grant(now, bytes);
            assert_eq!(grant, Grant { bytes, at: now });
            bucket.settle(bytes, bytes);
            now += Duration::from_micros(100);
        }
    }
}

#[test]
fn what_is_not_used_is_there_for_others() {
    let (mut bucket, now) = (Bucket::new(1_000_000), Duration::from_secs(5));
    let wanted = bucket.grantable(u64::MAX);
    assert_eq!(wanted, 10_000, "half of what may be on its way");
    for _ in 0..100 {
        let grant = bucket.grant(now, wanted);
        assert_eq!(grant.at, now, "nothing has come");
        bucket.settle(grant.bytes, 0);
    }
    // Those that come without a grant are paid for later.
    bucket.charge(now, 1_040_000);
    assert_eq!(bucket.open_at(now), now + Duration::from_secs(1));
    assert_eq!(bucket.open_at(now + 9 * now), 10 * now);
}

#[test]
fn a_pause_earns_no_more_than_a_burst() {
    let mut bucket = Bucket::new(1_000_000);
    let mut connections = [connection(1e9)];
    run(&mut bucket, &mut connections, Duration::from_secs(1));
    let idle = Duration::from_secs(100);
    let mut at_once = 0;
    loop {
        let bytes = bucket.grantable(1 << 20);
        let grant = bucket.grant(idle, bytes);
        if grant.at > idle {
            break;
        }
        at_once += bytes;
        bucket.settle(bytes, bytes);
    }
    assert!(at_once <= 60_000, "what may be ahead, and a slot: {at_once}");
}
