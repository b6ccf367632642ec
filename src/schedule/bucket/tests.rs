//! The bucket in virtual time, with connections of any speed on its other side.

use super::*;
use crate::base::rng::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The share by which what comes in ten seconds may exceed the rate: a tenth of a second's worth.
const EXCESS: f64 = 0.01;
const SEEDS: u64 = 1000;
const TENTH: Duration = Duration::from_millis(100);
/// Seconds whose worth may come in a tenth of a second, smallest grants aside.
const BURST: f64 = 0.16;
/// From when on a sudden rise has settled.
const SETTLED: Duration = Duration::from_secs(2);
const ENDLESS: u64 = u64::MAX / 2;

/// A connection that receives by grants.
#[derive(Debug, Clone)]
struct Connection {
    /// When it is there.
    begins: Duration,
    /// Payload of each answer; what it wants is endless.
    body_bytes: u64,
    /// Time from asking to the head of an answer.
    answers_after: Duration,
    /// Bytes per second that its peer brings.
    path: f64,
    /// Most bytes of one receive.
    receive_bytes: u64,
    /// Time by which it wakes late.
    late: Duration,
    /// What would come in this time comes at its end.
    outage: (Duration, Duration),
    /// Payload that has come.
    received: u64,
    /// What is missing of the head and of the body that are being received.
    missing: (u64, u64),
}

/// Bytes of the head of each answer.
const HEAD_BYTES: u64 = 300;

/// What came when, in the order of time.
type Arrivals = Vec<(Duration, u64)>;

/// When, in which order at that time, to which connection, and what came if it does not only begin.
type Event = (Duration, usize, usize, Option<Came>);

/// What came by a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Came {
    is_head: bool,
    granted: u64,
    received: u64,
}

/// All connections want more for this time. Heads are among the arrivals.
fn run(bucket: &mut Bucket, connections: &mut [Connection], time: Duration) -> Arrivals {
    let mut arrivals = Vec::new();
    let begin = |(index, it): (usize, &Connection)| Reverse((it.begins, 0, index, None));
    let mut events: BinaryHeap<Reverse<Event>> =
        connections.iter().enumerate().map(begin).collect();
    // Timers that end at the same time ring in the order in which they were set.
    let mut timers = 0;
    while let Some(Reverse((now, _, index, came))) = events.pop() {
        if now > time {
            break;
        }
        let connection = &mut connections[index];
        if let Some(came) = came {
            connection.take(bucket, now, came);
            arrivals.push((now, came.received));
        }
        let (comes, came) = connection.ask(bucket, now);
        timers += 1;
        events.push(Reverse((comes, timers, index, Some(came))));
    }
    arrivals
}

impl Connection {
    /// Asks for a grant: what will have come by it, and when.
    fn ask(&mut self, bucket: &mut Bucket, now: Duration) -> (Duration, Came) {
        let mut waits = Duration::ZERO;
        if self.missing == (0, 0) {
            (self.missing, waits) = ((HEAD_BYTES, self.body_bytes), self.answers_after);
        }
        let (head, body) = self.missing;
        let is_head = head > 0;
        let purpose = if is_head { Purpose::Head } else { Purpose::Body };
        let wanted = bucket.grantable(purpose, self.receive_bytes);
        let Grant { bytes: granted, at } = bucket.grant(purpose, now, wanted);
        assert!(at >= now && granted <= self.receive_bytes, "{granted} at {at:?}");
        let wakes = if at > now { at + self.late } else { now };
        let received = granted.min(head + body);
        let on_the_way = Duration::from_secs_f64(received as f64 / self.path);
        let comes = wakes.max(now + waits) + on_the_way;
        let (from, until) = self.outage;
        let comes = if (from..until).contains(&comes) { until } else { comes };
        (comes, Came { is_head, granted, received })
    }

    fn take(&mut self, bucket: &mut Bucket, now: Duration, came: Came) {
        let Came { is_head, granted, received } = came;
        let purpose = if is_head { Purpose::Head } else { Purpose::Body };
        bucket.settle(purpose, now, granted, received);
        let of_head = received.min(self.missing.0);
        let payload = received - of_head;
        if is_head {
            bucket.charge(now, payload);
        }
        self.missing = (self.missing.0 - of_head, self.missing.1 - payload);
        self.received += payload;
    }
}

fn connection(path: f64) -> Connection {
    Connection {
        begins: Duration::ZERO,
        body_bytes: ENDLESS,
        answers_after: Duration::ZERO,
        path,
        receive_bytes: 1 << 20,
        late: Duration::from_millis(1),
        outage: (Duration::ZERO, Duration::ZERO),
        received: 0,
        // A body is on its way.
        missing: (0, ENDLESS),
    }
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
fn any_ten_seconds_keep_the_rate() {
    for seed in 0..SEEDS {
        let mut random = Rng::new(seed);
        let limit = rate(&mut random, 8).max(20);
        let count = 1 + random.index(24);
        let mut connections: Vec<_> = (0..count)
            .map(|_| Connection {
                receive_bytes: (1 << 10) << random.below(11),
                late: Duration::from_millis(random.below(6)),
                // Some are slower than their share, and some very much faster.
                ..connection(limit as f64 * 10f64.powf(random.unit() * 4.0 - 1.5))
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
        let burst = most_in(&arrivals, TENTH) as f64 / limit as f64;
        let bound = BURST + 10.0 * single;
        assert!(burst <= bound, "seed {seed}: {burst} s worth of {limit} B/s in a tenth");
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
            let bytes = bucket.grantable(Purpose::Body, 1 << 20);
            assert_eq!(bytes, 1 << 20);
            let grant = bucket.grant(Purpose::Body, now, bytes);
            assert_eq!(grant, Grant { bytes, at: now });
            bucket.settle(Purpose::Body, now, bytes, bytes);
            now += Duration::from_micros(100);
        }
    }
}

#[test]
fn what_is_not_used_is_there_for_others() {
    let (mut bucket, now) = (Bucket::new(1_000_000), Duration::from_secs(5));
    let wanted = bucket.grantable(Purpose::Body, u64::MAX);
    assert_eq!(wanted, 10_000, "half of what may be on its way");
    for _ in 0..100 {
        let grant = bucket.grant(Purpose::Body, now, wanted);
        assert_eq!(grant.at, now, "nothing has come");
        bucket.settle(Purpose::Body, now, grant.bytes, 0);
    }
    // Those that come without a grant are paid for later.
    bucket.charge(now, 1_040_000);
    assert_eq!(bucket.open_at(now), now + Duration::from_secs(1));
    assert_eq!(bucket.open_at(now + 9 * now), 10 * now);
}

#[test]
fn heads_that_are_due_together_hold_little() {
    for limit in [100_000, 10_000_000, u64::MAX] {
        let mut bucket = Bucket::new(limit);
        let granted: Vec<u64> = (0..256)
            .map(|_| {
                let bytes = bucket.grantable(Purpose::Head, u64::MAX);
                bucket.grant(Purpose::Head, Duration::ZERO, bytes).bytes
            })
            .collect();
        assert!(granted.iter().sum::<u64>() <= limit / 100 + 256 * HEAD_BYTES_MIN, "{granted:?}");
        assert!(granted[0] >= (limit / 200).max(HEAD_BYTES_MIN), "{granted:?}");
        // They wait for a server, and none of the rate is spent meanwhile.
        let wanted = bucket.grantable(Purpose::Body, u64::MAX);
        assert_eq!(bucket.grant(Purpose::Body, Duration::ZERO, wanted).at, Duration::ZERO);
        assert_eq!(wanted, limit / 100);
    }
}

#[test]
fn a_pause_earns_no_more_than_a_burst() {
    let mut bucket = Bucket::new(1_000_000);
    let mut connections = [connection(1e9)];
    run(&mut bucket, &mut connections, Duration::from_secs(1));
    let idle = Duration::from_secs(100);
    let mut at_once = 0;
    loop {
        let bytes = bucket.grantable(Purpose::Body, 1 << 20);
        let grant = bucket.grant(Purpose::Body, idle, bytes);
        if grant.at > idle {
            break;
        }
        at_once += bytes;
        bucket.settle(Purpose::Body, idle, bytes, bytes);
    }
    assert!(at_once <= 60_000, "what may be ahead, and a slot: {at_once}");
}

/// A few connections receive, and many more come within one slot, each of which waits for its
/// answer while the others ask.
#[test]
fn many_at_once_bring_no_burst_and_keep_the_rate_in_equal_parts() {
    for seed in 0..50 {
        let mut random = Rng::new(seed);
        let limit = rate(&mut random, 8).max(100_000);
        let (few, many) = (1 + random.index(3), 1 + random.index(253));
        let mut connections = rise(&mut random, limit, few, many);
        let mut early = connections.clone();
        run(&mut Bucket::new(limit), &mut early, SETTLED);
        let arrivals = run(&mut Bucket::new(limit), &mut connections, 3 * SETTLED);
        let seconds = |bytes| bytes as f64 / limit as f64;
        let burst = seconds(most_in(&arrivals, TENTH));
        let heads = seconds(HEAD_BYTES_MIN * connections.len() as u64);
        let case = format!("seed {seed}: {limit} B/s, {few} and {many} connections");
        assert!(burst <= BURST + heads, "{case}: {burst:.3} s worth in a tenth");
        if connections[few].body_bytes < ENDLESS {
            // What their servers think of costs more than the limit.
            continue;
        }
        let received = connections[few..].iter().zip(&early[few..]);
        let each: Vec<u64> = received.map(|(now, early)| now.received - early.received).collect();
        let sum = seconds(each.iter().sum()) / 2.0 / SETTLED.as_secs_f64();
        assert!((0.98..1.02).contains(&sum), "{case}: {sum} of it by the many");
        // What the few leave of their parts may go to any of the many.
        let all = connections.len() as f64;
        let least = seconds(*each.iter().min().unwrap()) * all / 2.0 / SETTLED.as_secs_f64();
        assert!(least >= 0.85, "{case}: {least} of an equal part");
    }
}

/// A few connections, some of which hold a large grant for long, and many more that come later.
fn rise(random: &mut Rng, limit: u64, few: usize, many: usize) -> Vec<Connection> {
    let at = Duration::from_secs(1) + Duration::from_micros(random.below(40_000));
    let answers_after = Duration::from_millis(random.below(60));
    // Small ones come with their heads in part.
    let body_bytes = [ENDLESS, ENDLESS, 1 << 20, 1 << 13][random.index(4)];
    // The way of all fails soon after, and what it holds back comes at once.
    let fails = at + Duration::from_micros(random.below(200_000));
    let outage = (fails, fails + Duration::from_millis(random.below(500)));
    let few = (0..few).map(|_| connection(limit as f64 / 1000.0));
    let many = (0..many).map(|_| Connection {
        begins: at + Duration::from_micros(random.below(20_000)),
        late: Duration::from_millis(random.below(3)),
        body_bytes,
        answers_after,
        outage,
        missing: (0, 0),
        ..connection(limit as f64 * 10f64.powf(random.unit() * 3.0))
    });
    few.chain(many).collect()
}
