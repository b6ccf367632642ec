//! What one connection measures: time to first byte, goodput, silence. Owns the filters; must not
//! know what the numbers are used for.
//!
//! States: idle -> waiting (a request is out) -> receiving (bytes flow) -> idle or receiving ...

use super::Arrival;
use super::arrivals::Arrivals;
use crate::base::rate::smoothed;
use std::time::Duration;

/// Longest time for which the least time to first byte is remembered: paths change.
const TAU_WINDOW: Duration = Duration::from_secs(10);
/// Bytes must have flowed for this time before they make a rate: a first packet just before a tick
/// does not.
const SAMPLE_MIN: Duration = Duration::from_millis(40);
/// A loss keeps a sender slow for about this time: a cubic one that shared 300 Mbit/s at 45 ms with
/// few others takes ten seconds to get its window back (RFC 9438 4.2).
const LOSS_MEMORY: Duration = Duration::from_secs(5);
/// Time constant of the goodput when it falls: ten ticks.
const GOODPUT_MEMORY: Duration = Duration::from_millis(500);
/// Time constant of the goodput when it rises: slow start doubles it within a round trip.
const GOODPUT_MEMORY_RISING: Duration = Duration::from_millis(150);

/// Meters of one connection. They survive a reconnect, as the path mostly does.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// The request that was sent on an idle connection and has no byte of its answer yet: the
    /// offset of its first byte, and when it was sent.
    asked: Option<(u64, Duration)>,
    /// When the present span's bytes began to flow.
    flowing_since: Option<Duration>,
    /// Position in the span being received.
    position: u64,
    /// All body bytes so far.
    received_bytes: u64,
    /// The last time a byte was seen, or the wait for one began.
    moved_at: Duration,
    /// What the kernel has received.
    arrivals: Arrivals,
    /// Bytes of it that came since the last tick; `None`: nobody has looked.
    arrived_bytes: Option<u64>,
    /// When segments last came behind a hole.
    lost_at: Option<Duration>,
    /// The last time something had arrived that could not be read yet.
    arrived_at: Duration,
    /// Time to first byte; `None`: not measured.
    tau: Option<Tau>,
    /// Bytes per second while bytes flow; `None`: not measured.
    goodput: Option<f64>,
    /// Indicates whether the goodput is that of a span too short to be sure of.
    is_guess: bool,
    /// Bytes that are no rate yet, and the time they flowed in.
    pending: (u64, Duration),
    /// What had been counted at the last tick.
    last_tick: Tick,
}

/// Time to first byte: the least of two half windows, and how far samples stray above it.
#[derive(Debug, Clone, Copy)]
struct Tau {
    /// When the current half window began.
    since: Duration,
    /// The least sample of the half window before.
    previous: Duration,
    /// The least sample of the current half window.
    current: Duration,
    /// How far samples stray above the least one, smoothed.
    jitter: Duration,
}

/// What had been counted at the last tick.
#[derive(Debug, Clone, Copy, Default)]
struct Tick {
    at: Duration,
    received_bytes: u64,
}

impl Meter {
    /// A request for the bytes from `start` on was sent. `is_idle`: nothing else is on the wire.
    pub(super) fn on_requested(&mut self, now: Duration, start: u64, is_idle: bool) {
        if is_idle {
            self.asked = Some((start, now));
            self.position = start;
            self.flowing_since = None;
            self.moved_at = now;
        }
    }

    /// Returns whether the time to it was measured.
    pub(super) fn on_first_byte(&mut self, now: Duration, start: u64) -> bool {
        let asked = self.asked.take().filter(|asked| asked.0 == start);
        if let Some((_, at)) = asked {
            self.add_tau(now, now.saturating_sub(at));
        }
        self.position = start;
        self.flowing_since = Some(now);
        self.moved_at = now;
        asked.is_some()
    }

    /// Bytes up to `to` have arrived. Stale positions change nothing.
    pub(super) fn on_progress(&mut self, now: Duration, to: u64) {
        if to > self.position {
            self.received_bytes += to - self.position;
            self.position = to;
            self.moved_at = now;
            self.flowing_since.get_or_insert(now);
        }
    }

    /// What the kernel has received so far. More of it is a sign of life, read or not.
    pub(super) fn on_arrival(&mut self, now: Duration, arrival: Arrival) {
        let news = self.arrivals.add(arrival);
        if news.is_any {
            self.arrived_at = now;
        }
        if news.is_lossy {
            self.lost_at = Some(now);
        }
        self.arrived_bytes = Some(self.arrived_bytes.unwrap_or(0) + news.bytes);
    }

    /// A connection stands, new or used.
    pub(super) fn on_connected(&mut self) {
        self.arrivals.restart();
        self.lost_at = None;
    }

    /// The next connection leads to another server: what was measured is not of that path.
    pub(super) fn on_moved(&mut self) {
        (self.tau, self.goodput, self.is_guess) = (None, None, false);
        self.pending = (0, Duration::ZERO);
    }

    /// Nothing is read, for reasons of this machine.
    pub(super) fn on_held_back(&mut self, now: Duration) {
        if self.is_flowing() {
            self.moved_at = now;
        }
    }

    /// Another span takes the place of the present one, or none does.
    pub(super) fn on_span(&mut self, now: Duration, start: u64) {
        self.position = start;
        self.moved_at = now;
    }

    /// The present span has come to its end. One that was too short for a tick to measure makes a
    /// first rate all the same: the next request ahead is timed by it. It is a guess until a tick
    /// has measured: what had waited in the socket comes at any rate.
    pub(super) fn on_end(&mut self, now: Duration, start: u64) {
        let flowed = self.flowing_since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        if self.goodput.is_none() && !flowed.is_zero() {
            let bytes = self.position.saturating_sub(start);
            self.goodput = Some(bytes as f64 / flowed.as_secs_f64());
            self.is_guess = true;
        }
        self.on_idle();
    }

    /// The connection is free, or gone.
    pub(super) fn on_idle(&mut self) {
        self.asked = None;
        self.flowing_since = None;
    }

    /// Bytes since the last tick; updates the goodput by the time they flowed in.
    pub(super) fn tick(&mut self, now: Duration) -> u64 {
        let read_bytes = self.received_bytes - self.last_tick.received_bytes;
        let bytes = match self.arrived_bytes.take() {
            None => read_bytes,
            Some(arrived_bytes) if self.is_flowing() => arrived_bytes,
            // Between two answers it is a head that arrives, and what has been read may have waited
            // behind a hole: then it was counted when it came.
            Some(arrived_bytes) => arrived_bytes.min(read_bytes),
        };
        let since = self.flowing_since.map_or(now, |since| since.max(self.last_tick.at));
        // Spans that began and ended between two ticks leave bytes without a time of their own.
        let from = if bytes > 0 && since >= now { self.last_tick.at } else { since };
        let flowed = now.saturating_sub(from);
        self.pending = (self.pending.0 + bytes, self.pending.1 + flowed);
        let (pending, flowed) = self.pending;
        if flowed >= SAMPLE_MIN {
            let rate = pending as f64 / flowed.as_secs_f64();
            self.goodput = Some(match self.goodput.filter(|_| !self.is_guess) {
                Some(goodput) => {
                    let is_rising = rate > goodput;
                    let memory = if is_rising { GOODPUT_MEMORY_RISING } else { GOODPUT_MEMORY };
                    smoothed(goodput, rate, flowed, memory)
                }
                None => rate,
            });
            self.is_guess = false;
            self.pending = (0, Duration::ZERO);
        }
        self.last_tick = Tick { at: now, received_bytes: self.received_bytes };
        bytes
    }

    /// Bytes per second while bytes flow; `None` before anything flowed.
    pub(super) fn goodput(&self) -> Option<f64> {
        self.goodput.filter(|goodput| *goodput > 0.0)
    }

    /// Time from request to first byte on an idle connection.
    pub(super) fn tau(&self) -> Option<Duration> {
        self.tau.map(|tau| tau.previous.min(tau.current))
    }

    /// How much longer than that it usually takes.
    pub(super) fn jitter(&self) -> Duration {
        self.tau.map_or(Duration::ZERO, |tau| tau.jitter)
    }

    /// All body bytes that have come.
    pub(super) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Whether bytes of an answer have come that has not ended.
    pub(super) fn is_flowing(&self) -> bool {
        self.flowing_since.is_some()
    }

    /// Whether an answer is awaited or coming.
    pub(super) fn is_busy(&self) -> bool {
        self.asked.is_some() || self.is_flowing()
    }

    /// How long nothing has come.
    pub(super) fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.moved_at.max(self.arrived_at))
    }

    /// The round trip of the data that came last, queues included.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.arrivals
            .latest()
            .map(|arrival| arrival.round_trip)
            .filter(|round_trip| !round_trip.is_zero())
    }

    /// Whether packets were lost or overtaken on the way lately.
    pub(super) fn is_lossy(&self, now: Duration) -> bool {
        self.lost_at.is_some_and(|at| now.saturating_sub(at) < LOSS_MEMORY)
    }

    /// How long the present span's bytes have been flowing.
    pub(super) fn flowing_for(&self, now: Duration) -> Option<Duration> {
        self.flowing_since.map(|since| now.saturating_sub(since))
    }

    fn add_tau(&mut self, now: Duration, sample: Duration) {
        let Some(tau) = &mut self.tau else {
            let jitter = Duration::ZERO;
            self.tau = Some(Tau { since: now, previous: sample, current: sample, jitter });
            return;
        };
        if now.saturating_sub(tau.since) >= TAU_WINDOW / 2 {
            (tau.previous, tau.current, tau.since) = (tau.current, sample, now);
        }
        tau.current = tau.current.min(sample);
        let stray = sample.saturating_sub(tau.previous.min(tau.current));
        tau.jitter = (tau.jitter * 3 + stray) / 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// 1 MB/s from `from_ms` on, ticked every 50 ms for as long.
    fn flow(meter: &mut Meter, from_ms: u64, lasts_ms: u64, bytes_per_ms: u64) -> u64 {
        let start = meter.position;
        let ticks = (0..=lasts_ms).step_by(50).skip(1);
        ticks
            .map(|passed| {
                meter.on_progress(ms(from_ms + passed), start + passed * bytes_per_ms);
                meter.tick(ms(from_ms + passed))
            })
            .sum()
    }

    fn begun(tau_ms: u64) -> Meter {
        let mut meter = Meter::default();
        meter.on_requested(ms(0), 0, true);
        meter.on_first_byte(ms(tau_ms), 0);
        meter
    }

    #[test]
    fn the_wait_for_the_first_byte_is_no_part_of_the_rate() {
        let mut meter = begun(500);
        assert_eq!((meter.tau(), meter.goodput()), (Some(ms(500)), None));
        assert_eq!(flow(&mut meter, 500, 1000, 1000), 1_000_000);
        let goodput = meter.goodput().expect("bytes flowed");
        assert!((goodput - 1e6).abs() < 1e3, "{goodput}");
    }

    #[test]
    fn a_packet_just_before_a_tick_makes_no_rate() {
        let mut meter = begun(49);
        meter.on_progress(ms(50), 14_600);
        assert_eq!((meter.tick(ms(50)), meter.goodput()), (14_600, None));
    }

    #[test]
    fn a_rate_rises_faster_than_it_falls() {
        let mut meter = begun(0);
        flow(&mut meter, 0, 2000, 1000);
        flow(&mut meter, 2000, 200, 2000);
        let risen = meter.goodput().expect("bytes flowed");
        assert!(risen > 1.6e6, "{risen}");
        flow(&mut meter, 2200, 200, 1000);
        let falling = meter.goodput().expect("bytes flowed");
        assert!(falling > 1.3e6 && falling < risen, "{falling}");
    }

    #[test]
    fn the_least_time_to_first_byte_of_ten_seconds_counts_and_strays_are_jitter() {
        let mut meter = begun(40);
        for (at, tau) in [(100, 80), (200, 60)] {
            meter.on_requested(ms(at), at, true);
            meter.on_first_byte(ms(at + tau), at);
        }
        assert_eq!(meter.tau(), Some(ms(40)));
        assert!(meter.jitter() > ms(5) && meter.jitter() < ms(40), "{:?}", meter.jitter());
        for at in [6_000, 12_000, 18_000] {
            meter.on_requested(ms(at), at, true);
            meter.on_first_byte(ms(at + 90), at);
        }
        assert_eq!(meter.tau(), Some(ms(90)), "the path has changed");
    }

    #[test]
    fn a_request_ahead_says_nothing_of_the_distance() {
        let mut meter = begun(40);
        meter.on_requested(ms(100), 5000, false);
        meter.on_first_byte(ms(900), 5000);
        assert_eq!((meter.tau(), meter.jitter()), (Some(ms(40)), ms(0)));
    }

    #[test]
    fn a_span_shorter_than_a_tick_makes_a_first_rate() {
        let mut meter = begun(10);
        meter.on_progress(ms(30), 20_000);
        meter.on_end(ms(30), 0);
        assert_eq!(meter.goodput(), Some(1e6));
        assert!(!meter.is_busy());
    }

    #[test]
    fn a_guess_gives_way_to_the_first_measurement() {
        let mut meter = begun(50);
        // A mebibyte that had waited in the socket.
        meter.on_progress(ms(51), 1 << 20);
        meter.on_end(ms(51), 0);
        assert!(meter.goodput().expect("a guess") > 1e9);
        meter.tick(ms(60));
        meter.on_first_byte(ms(100), 1 << 20);
        flow(&mut meter, 100, 100, 60_000);
        let goodput = meter.goodput().expect("bytes flowed");
        assert!((30e6..=80e6).contains(&goodput), "{goodput}");
    }

    #[test]
    fn rates_are_those_of_arrival() {
        let mut meter = begun(0);
        for tick in 0..=40 {
            let received_bytes = 500 + tick * 50_000;
            meter.on_arrival(ms(tick * 50), Arrival { received_bytes, ..Arrival::default() });
            // Pieces of 400 ms.
            meter.on_progress(ms(tick * 50), tick / 8 * 400_000);
            assert!(tick == 0 || meter.tick(ms(tick * 50)) == 50_000);
        }
        let goodput = meter.goodput().expect("bytes flowed");
        assert!((goodput - 1e6).abs() < 1e3, "{goodput}");
        // Another connection: what it has received before is no rate.
        meter.on_connected();
        meter.on_arrival(ms(2050), Arrival { received_bytes: 1 << 40, ..Arrival::default() });
        assert_eq!(meter.tick(ms(2050)), 0);
    }

    #[test]
    fn what_has_waited_behind_a_hole_is_not_counted_again_where_it_ends_an_answer() {
        let mut meter = begun(0);
        let at = |received_bytes| Arrival { received_bytes, ..Arrival::default() };
        meter.on_arrival(ms(0), at(0));
        meter.on_arrival(ms(50), at(900_000));
        assert_eq!(meter.tick(ms(50)), 900_000, "nothing of it is read yet");
        meter.on_arrival(ms(100), at(1_000_000));
        meter.on_progress(ms(100), 1_000_000);
        meter.on_end(ms(100), 0);
        assert_eq!(meter.tick(ms(100)), 100_000);
        // The head of the next answer.
        meter.on_arrival(ms(150), at(1_000_300));
        assert_eq!(meter.tick(ms(150)), 0);
    }

    #[test]
    fn what_waits_behind_a_hole_or_for_this_machine_is_no_silence() {
        let mut meter = begun(10);
        meter.on_progress(ms(30), 1);
        let arrival = Arrival { received_bytes: 1, ..Arrival::default() };
        meter.on_arrival(ms(230), arrival);
        meter.on_arrival(ms(500), arrival);
        assert_eq!(meter.silence(ms(530)), ms(500));
        meter.on_arrival(ms(530), Arrival { out_of_order: 3, ..arrival });
        assert_eq!(meter.silence(ms(580)), ms(50));
        meter.on_held_back(ms(700));
        assert_eq!(meter.silence(ms(730)), ms(30));
        meter.on_idle();
        meter.on_held_back(ms(900));
        assert_eq!(meter.silence(ms(930)), ms(230), "it waits for an answer");
    }

    #[test]
    fn another_server_is_another_path() {
        let mut meter = begun(500);
        flow(&mut meter, 500, 1000, 1000);
        meter.on_moved();
        assert_eq!((meter.tau(), meter.goodput()), (None, None));
        assert_eq!(meter.received_bytes(), 1_000_000, "all of it counts");
    }

    #[test]
    fn silence_grows_from_the_last_byte() {
        let mut meter = begun(10);
        meter.on_progress(ms(30), 1);
        meter.on_progress(ms(500), 1);
        assert_eq!(meter.silence(ms(530)), ms(500));
    }
}
