//! How long one connection is waited for: what counts as progress, and when it is stalled.
//!
//! Time counts only while the network is waited for, so a connection that we do not read, because
//! blocks or the disk are missing, never stalls. Owns the rules and the sums they need. Must not
//! know sockets, HTTP or the clock: whoever waits says for how long and what it saw.
//!
//! What is due is one of three things: anything (a TLS handshake, which has a time limit of its
//! own), something whole (a request and the head of its answer), or a body, of which the payload
//! has to keep a rate. Bytes without payload (session tickets, chunk sizes, trailers, interim
//! heads) move nothing.

use super::throttle::Throttle;
use crate::base::limits::STALL_BYTES;
use crate::base::size::{format_bytes, format_wait};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Looks at a running wait per stall limit, so that progress that sleeps in the kernel is seen in
/// time.
const LOOKS_PER_STALL: u32 = 4;

/// How long the connections of one transfer are waited for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Time without progress, and the time that a request and the head of its answer may take.
    pub stall: Duration,
    rate_min: PayloadRate,
    line: Arc<Line>,
    /// What bounds the rate at which they bring bytes, if the caller does.
    throttle: Option<Arc<dyn Throttle>>,
}

/// The least average rate at which a body has to bring payload.
#[derive(Debug, Clone, Copy)]
struct PayloadRate {
    /// Payload bytes that have to come within `time`.
    bytes: u64,
    /// The time over which the average is taken.
    time: Duration,
    /// Whether the caller asked for it. It then holds across the answers of a connection, waits for
    /// their heads included.
    is_asked: bool,
}

/// The least average speed of a connection, as the caller asks for it.
#[derive(Debug, Clone, Copy)]
pub struct SpeedLimit {
    /// Payload bytes per second.
    pub bytes_per_second: u64,
    /// The time over which the average is taken.
    pub time: Duration,
}

impl Limits {
    /// Waits of at most `stall` without progress. A body has to bring [`STALL_BYTES`] in each such
    /// time, or what `speed` asks for. `line` is shared by the connections of one transfer.
    pub fn new(stall: Duration, speed: Option<SpeedLimit>, line: Arc<Line>) -> Self {
        let rate_min = match speed {
            None => PayloadRate { bytes: STALL_BYTES, time: stall, is_asked: false },
            Some(SpeedLimit { bytes_per_second, time }) => {
                let bytes = u128::from(bytes_per_second) * time.as_millis() / 1000;
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).max(1);
                PayloadRate { bytes, time, is_asked: true }
            }
        };
        Self { stall, rate_min, line, throttle: None }
    }

    /// The same below a limit of the rate.
    pub fn below(self, throttle: Option<Arc<dyn Throttle>>) -> Self {
        Self { throttle, ..self }
    }

    /// What bounds the rate, if the caller does.
    pub fn throttle(&self) -> Option<&Arc<dyn Throttle>> {
        self.throttle.as_ref()
    }

    /// Whether there are connections on the line already.
    pub fn has_connections(&self) -> bool {
        self.line.connections.load(Ordering::Relaxed) > 0
    }

    /// The default rate, alone on its line.
    #[cfg(test)]
    pub(crate) fn alone(stall: Duration) -> Self {
        Self::new(stall, None, Arc::default())
    }
}

/// What the connections of one transfer bring together. They may share one slow path, and then it
/// is not the fault of any of them that each is slow.
#[derive(Debug, Default)]
pub struct Line {
    /// Payload bytes of all connections since the start.
    moved_bytes: AtomicU64,
    /// Number of connections that are open.
    connections: AtomicU32,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Any byte, in either direction, is progress.
    Anything,
    /// Only the end is progress.
    Whole,
    /// Payload is progress.
    Body,
}

/// Why a connection counts as stalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stall {
    /// No progress was made for this time, the stall limit.
    Silent(Duration),
    /// The head of an answer was not complete after this time, the stall limit.
    Unanswered(Duration),
    /// A body brought fewer payload bytes in a time than had to come.
    Slow {
        /// Payload bytes that came.
        bytes: u64,
        /// Payload bytes that had to come.
        bytes_min: u64,
        /// The time over which both are counted.
        time: Duration,
        /// Whether the caller asked for this rate.
        is_asked: bool,
    },
}

/// The patience with one connection.
#[derive(Debug)]
pub struct Patience {
    limits: Limits,
    due: Due,
    /// Payload bytes handed to the caller.
    paid_bytes: u64,
    /// Bytes received and not yet decrypted, which may turn out to be payload.
    staged_bytes: u64,
    /// The most that paid bytes and those behind them (staged, or in the kernel) came to. What
    /// turns out to be no payload leaves this mark where it is, and moves it no further.
    high_bytes: u64,
    /// Bytes of either direction, as the kernel counted them at the last look.
    traffic_bytes: Option<u64>,
    /// Time waited since the last progress.
    quiet: Duration,
    /// Time waited since `due` became due.
    waited: Duration,
    window: Window,
}

/// The stretch over which the rate is judged; another one begins once it has brought enough.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    /// Time waited since its start.
    waited: Duration,
    /// The connection's `high_bytes` at its start.
    high_bytes: u64,
    /// The payload bytes of all connections of the line at its start.
    line_bytes: u64,
}

impl Patience {
    /// With a new connection, from which anything is due.
    pub fn new(limits: Limits) -> Self {
        limits.line.connections.fetch_add(1, Ordering::Relaxed);
        let mut new = Self {
            limits,
            due: Due::Anything,
            paid_bytes: 0,
            staged_bytes: 0,
            high_bytes: 0,
            traffic_bytes: None,
            quiet: Duration::ZERO,
            waited: Duration::ZERO,
            window: Window::default(),
        };
        new.window = new.new_window();
        new
    }

    /// What is waited for.
    pub fn due(&self) -> Due {
        self.due
    }

    /// From here on this is waited for.
    pub fn expect(&mut self, due: Due) {
        self.due = due;
        self.quiet = Duration::ZERO;
        self.waited = Duration::ZERO;
        if due == Due::Body && !self.limits.rate_min.is_asked {
            self.high_bytes = self.paid_bytes;
            self.window = self.new_window();
        }
    }

    /// Counts `bytes` more bytes of payload as handed to the caller.
    pub fn pay(&mut self, bytes: u64) {
        self.paid_bytes += bytes;
        self.see(0);
    }

    /// Sets how many `bytes` are received and not yet decrypted.
    pub fn stage(&mut self, bytes: u64) {
        self.staged_bytes = bytes;
    }

    /// An operation has ended after this wait.
    pub fn ended(&mut self, wait: Duration) {
        self.add(wait);
        if self.due == Due::Anything {
            self.quiet = Duration::ZERO;
        }
        self.see(0);
    }

    /// An operation still runs after this `wait`. The kernel has received `unread` bytes that no
    /// operation has returned yet, and has moved `traffic` bytes in both directions since the
    /// connection was made, if it says so.
    pub fn look(&mut self, wait: Duration, unread: u64, traffic: Option<u64>) {
        self.add(wait);
        let traffic = Some(traffic.unwrap_or(0));
        if self.due == Due::Anything && self.traffic_bytes != traffic {
            self.traffic_bytes = traffic;
            self.quiet = Duration::ZERO;
        }
        self.see(unread);
    }

    /// How long to wait before the next look; `None` once the connection counts as stalled.
    pub fn next_look(&mut self) -> Option<Duration> {
        if self.stall().is_some() {
            return None;
        }
        if self.left().is_zero() {
            // The line is slow, not this connection.
            self.window = self.new_window();
        }
        let Limits { stall, .. } = self.limits;
        Some(self.left().min(stall / LOOKS_PER_STALL).max(Duration::from_nanos(1)))
    }

    /// Why the connection counts as stalled, if it does.
    pub fn stall(&self) -> Option<Stall> {
        let Limits { stall, rate_min, .. } = self.limits;
        let is_too_slow =
            self.has_rate_min() && self.window.waited >= rate_min.time && !self.is_line_slow();
        match self.due {
            Due::Whole if self.waited >= stall => Some(Stall::Unanswered(stall)),
            Due::Anything | Due::Body if self.quiet >= stall => Some(Stall::Silent(stall)),
            Due::Anything | Due::Whole | Due::Body => is_too_slow.then(|| {
                let PayloadRate { bytes: bytes_min, time, is_asked } = rate_min;
                let bytes = self.high_bytes - self.window.high_bytes;
                Stall::Slow { bytes, bytes_min, time, is_asked }
            }),
        }
    }

    /// Whether payload has to keep the least rate now.
    fn has_rate_min(&self) -> bool {
        match self.due {
            Due::Anything => false,
            Due::Whole => self.limits.rate_min.is_asked,
            Due::Body => true,
        }
    }

    /// Time until the connection counts as stalled if nothing comes.
    fn left(&self) -> Duration {
        let Limits { stall, rate_min, .. } = self.limits;
        let left = match self.due {
            Due::Whole => stall.saturating_sub(self.waited),
            Due::Anything | Due::Body => stall.saturating_sub(self.quiet),
        };
        let window = rate_min.time.saturating_sub(self.window.waited);
        if self.has_rate_min() { left.min(window) } else { left }
    }

    fn add(&mut self, wait: Duration) {
        self.quiet += wait;
        self.waited += wait;
        if self.has_rate_min() {
            self.window.waited += wait;
        }
    }

    /// Takes note of how far payload has come, counting what may become payload.
    fn see(&mut self, unread: u64) {
        if self.due != Due::Body {
            return;
        }
        let seen = self.paid_bytes + self.staged_bytes + unread;
        if seen <= self.high_bytes {
            return;
        }
        self.limits.line.moved_bytes.fetch_add(seen - self.high_bytes, Ordering::Relaxed);
        self.high_bytes = seen;
        self.quiet = Duration::ZERO;
        if seen - self.window.high_bytes >= self.limits.rate_min.bytes {
            self.window = self.new_window();
        }
    }

    /// Whether all connections together keep the rate, none of them could in an equal share, and
    /// this one brings something: more than that cannot be asked of it.
    fn is_line_slow(&self) -> bool {
        let bytes_min = self.limits.rate_min.bytes;
        let moved = self.line_bytes().saturating_sub(self.window.line_bytes);
        let connections = self.limits.line.connections.load(Ordering::Relaxed);
        self.high_bytes > self.window.high_bytes
            && moved >= bytes_min
            && moved / u64::from(connections.max(1)) < bytes_min
    }

    fn new_window(&self) -> Window {
        Window {
            waited: Duration::ZERO,
            high_bytes: self.high_bytes,
            line_bytes: self.line_bytes(),
        }
    }

    fn line_bytes(&self) -> u64 {
        self.limits.line.moved_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        self.limits.line.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stall {
    /// What the peer did, as the end of a sentence that begins with its address.
    pub fn describe(self) -> String {
        match self {
            Stall::Silent(time) => format!("sent nothing for {}", format_wait(time)),
            Stall::Unanswered(time) => {
                format!("did not send the head of its answer within {}", format_wait(time))
            }
            Stall::Slow { bytes, bytes_min, time, .. } => {
                let (bytes, bytes_min) = (format_bytes(bytes), format_bytes(bytes_min));
                let time = format_wait(time);
                format!("sent {bytes} of the file in {time}, and at least {bytes_min} were due")
            }
        }
    }

    /// What to do about it, where the general advice does not name the right option.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Stall::Slow { is_asked: true, .. } => {
                Some("try again, or ask for less with --speed-limit and --speed-time")
            }
            Stall::Silent(_) | Stall::Unanswered(_) | Stall::Slow { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const STALL: Duration = Duration::from_secs(8);

    fn due(due: Due) -> Patience {
        let mut patience = Patience::new(Limits::alone(STALL));
        patience.expect(due);
        patience
    }

    /// Seconds until `patience` is over, if each of them goes as `each` does; 1000 if it is not.
    fn lasts(patience: &mut Patience, mut each: impl FnMut(&mut Patience)) -> u32 {
        for second in 0..1000 {
            if patience.next_look().is_none() {
                return second;
            }
            each(patience);
        }
        1000
    }

    #[test]
    fn any_byte_of_a_handshake_is_progress() {
        let mut traffic = 0;
        let drips = |patience: &mut Patience| {
            traffic += 1;
            patience.look(SECOND, 1, Some(traffic));
        };
        assert_eq!(lasts(&mut due(Due::Anything), drips), 1000);
        assert_eq!(lasts(&mut due(Due::Anything), |it| it.ended(SECOND)), 1000);
        let silent = |patience: &mut Patience| patience.look(SECOND, 7, Some(7));
        assert_eq!(lasts(&mut due(Due::Anything), silent), 9, "the first look is a first sight");
        assert_eq!(lasts(&mut due(Due::Anything), |it| it.look(SECOND, 0, None)), 9);
    }

    #[test]
    fn a_head_that_trickles_is_over_after_its_time() {
        let mut patience = due(Due::Whole);
        assert_eq!(lasts(&mut patience, |it| it.ended(SECOND)), 8);
        assert_eq!(patience.stall(), Some(Stall::Unanswered(STALL)));
        patience.expect(Due::Whole);
        assert_eq!(patience.stall(), None, "the next answer has its own time");
    }

    #[test]
    fn a_body_keeps_the_rate_or_is_over() {
        let pays = |bytes| {
            move |patience: &mut Patience| {
                patience.ended(SECOND);
                patience.pay(bytes);
            }
        };
        assert_eq!(lasts(&mut due(Due::Body), pays(STALL_BYTES / 7)), 1000);
        assert_eq!(lasts(&mut due(Due::Body), pays(STALL_BYTES / 9)), 8);
        assert_eq!(lasts(&mut due(Due::Body), pays(0)), 8);
        let mut patience = due(Due::Body);
        lasts(&mut patience, pays(1));
        let Some(Stall::Slow { bytes: 8, .. }) = patience.stall() else {
            panic!("{:?}", patience.stall());
        };
    }

    /// A large receive sleeps in the kernel, which counts.
    #[test]
    fn what_the_kernel_has_is_progress_and_counts_once() {
        let mut unread = 0;
        let mut patience = due(Due::Body);
        let fills = |patience: &mut Patience| {
            unread += STALL_BYTES / 4;
            patience.look(SECOND, unread, None);
        };
        assert_eq!(lasts(&mut patience, fills), 1000);
        // The receive ends, and what it brought is paid: that is old news.
        patience.ended(Duration::ZERO);
        patience.pay(unread);
        assert_eq!(lasts(&mut patience, |it| it.look(SECOND, 0, None)), 8);
    }

    /// As session tickets are: received, staged, used up, and nothing comes of them.
    #[test]
    fn ciphertext_without_payload_moves_nothing_for_long() {
        let mut patience = due(Due::Body);
        let mut staged = 0;
        let tickets = |patience: &mut Patience| {
            staged = (staged + 1500) % 15_000;
            patience.stage(staged);
            patience.ended(SECOND);
        };
        let lasted = lasts(&mut patience, tickets);
        assert!((8..30).contains(&lasted), "{lasted}");
    }

    #[test]
    fn only_waits_count() {
        let mut patience = due(Due::Body);
        assert_eq!(lasts(&mut patience, |it| it.ended(Duration::ZERO)), 1000);
    }

    #[test]
    fn connections_that_share_a_slow_line_are_borne() {
        let line = Arc::new(Line::default());
        let limits = Limits::new(STALL, None, line.clone());
        let mut shared: Vec<Patience> = (0..8).map(|_| Patience::new(limits.clone())).collect();
        shared.iter_mut().for_each(|it| it.expect(Due::Body));
        // Together they bring one and a half times the rate, each of them a fifth of it.
        let each = STALL_BYTES * 3 / 16 / 8;
        let round = |shared: &mut [Patience], skip: usize| {
            let lasted: Vec<bool> = shared.iter_mut().map(|it| it.next_look().is_some()).collect();
            for patience in &mut shared[skip..] {
                patience.ended(SECOND);
                patience.pay(each);
            }
            shared[..skip].iter_mut().for_each(|it| it.ended(SECOND));
            lasted
        };
        for _ in 0..100 {
            assert_eq!(round(&mut shared, 0), [true; 8]);
        }
        // One that brings nothing is not.
        for _ in 0..17 {
            round(&mut shared, 1);
        }
        let over: Vec<bool> = round(&mut shared, 1);
        assert_eq!(over.iter().filter(|lasts| **lasts).count(), 7, "{over:?}");
        // Nor is one that brings little while the others bring much.
        drop(shared);
        let mut shared: Vec<Patience> = (0..8).map(|_| Patience::new(limits.clone())).collect();
        shared.iter_mut().for_each(|it| it.expect(Due::Body));
        for _ in 0..8 {
            shared[1..].iter_mut().for_each(|it| it.pay(STALL_BYTES));
            shared[0].ended(SECOND);
            shared[0].pay(1);
        }
        assert!(shared[0].next_look().is_none());
        drop(shared);
        assert_eq!(line.connections.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_asked_rate_holds_across_answers() {
        let speed = |bytes_per_second| Some(SpeedLimit { bytes_per_second, time: 4 * SECOND });
        let limits = |rate| Limits::new(STALL, speed(rate), Arc::default());
        let answers = |patience: &mut Patience| {
            patience.expect(Due::Whole);
            patience.ended(SECOND / 2);
            patience.expect(Due::Body);
            patience.ended(SECOND / 2);
            patience.pay(1000);
        };
        let mut patience = Patience::new(limits(900));
        assert_eq!(lasts(&mut patience, answers), 1000);
        let mut patience = Patience::new(limits(1100));
        assert_eq!(lasts(&mut patience, answers), 4);
        assert!(patience.stall().and_then(Stall::advice).is_some());
        // However long the time is: silence is still silence.
        let speed = Some(SpeedLimit { bytes_per_second: 1, time: 3600 * SECOND });
        let mut patience = Patience::new(Limits::new(STALL, speed, Arc::default()));
        patience.expect(Due::Body);
        assert_eq!(lasts(&mut patience, |it| it.ended(SECOND)), 8);
    }
}
