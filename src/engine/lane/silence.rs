//! How long an answer in a lane has brought nothing, and when that is too long for the files that
//! were asked for behind it. Owns that judgement. Must not know what an answer is: it sees the
//! bytes that the kernel has received.
//!
//! The connection itself is waited for as any other is (`io::patience`), which is much longer.

use crate::base::limits::{LANE_SILENCE, LANE_SILENCE_FACTOR};
use crate::io::socket::SocketHandle;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Looks that make [`LANE_SILENCE`].
const LOOKS_MIN: u32 = 4;

const _: () = assert!(LOOK.as_millis() * LOOKS_MIN as u128 == LANE_SILENCE.as_millis());

/// The silence of the answers of one lane.
pub(super) struct Silence {
    looks: Interval,
    /// Bytes that the connection had brought at the last look, which was of the present answer.
    received_bytes: Option<u64>,
    /// Looks in a row that saw nothing new.
    quiet: u32,
    /// The longest such row of the present answer.
    longest: u32,
    /// What `longest` was for answers that came; fades from answer to answer.
    usual: u32,
}

impl Silence {
    /// Of a lane that has had no answer. To be called where time runs.
    pub(super) fn new() -> Self {
        let mut looks = interval_at(Instant::now() + LOOK, LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { looks, received_bytes: None, quiet: 0, longest: 0, usual: 0 }
    }

    /// Another answer is waited for.
    pub(super) fn begin(&mut self) {
        (self.received_bytes, self.quiet, self.longest) = (None, 0, 0);
    }

    /// The answer has come.
    pub(super) fn end(&mut self) {
        self.usual = self.longest.max(self.usual - self.usual.div_ceil(8));
    }

    /// Completes when the next look is due. May be dropped before.
    pub(super) async fn due(&mut self) {
        self.looks.tick().await;
    }

    /// Looks; whether nothing has come for too long. Where what has come waits to be read, as we
    /// are held back by something of our own (`is_held_back`) or by a limit of the rate, that says
    /// nothing of the peer.
    pub(super) fn look(&mut self, socket: &SocketHandle, is_held_back: bool) -> bool {
        let is_unread = is_held_back || socket.is_throttled();
        socket.tcp_info().is_some_and(|info| self.see(info.received_bytes, is_unread))
    }

    fn see(&mut self, received_bytes: u64, is_unread: bool) -> bool {
        if is_unread {
            self.received_bytes = None;
        }
        let is_quiet = self.received_bytes.replace(received_bytes) == Some(received_bytes);
        self.quiet = if is_quiet { self.quiet + 1 } else { 0 };
        self.longest = self.longest.max(self.quiet);
        self.quiet >= LOOKS_MIN.max(LANE_SILENCE_FACTOR * self.usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::driver::{Driver, DriverKind};

    /// That of a new lane.
    fn new() -> Silence {
        Driver::new(DriverKind::Epoll).unwrap().run(async { Silence::new() })
    }

    /// Looks for one answer until it was too long, `most` times at most; then the answer comes.
    fn looks(silence: &mut Silence, most: u32, received: impl Fn(u32) -> u64) -> Option<u32> {
        silence.begin();
        let found = (0..most).find(|look| silence.see(received(*look), false));
        silence.end();
        found
    }

    #[test]
    fn a_second_without_a_byte_is_too_long() {
        assert_eq!(looks(&mut new(), 100, |_| 5), Some(4), "the first look is a first sight");
        assert_eq!(looks(&mut new(), 100, u64::from), None, "it comes slowly");
        assert_eq!(looks(&mut new(), 100, |look| u64::from(look / 4)), None, "with pauses");
        assert_eq!(looks(&mut new(), 100, |look| u64::from(look.min(9))), Some(13), "or stops");
    }

    /// Behind a slow disk the socket is full, and nothing more can come.
    #[test]
    fn what_we_do_not_read_is_not_the_peers_silence() {
        let mut silence = new();
        silence.begin();
        assert!((0..100).all(|_| !silence.see(5, true)));
        let found = (0..100).find(|_| silence.see(5, false));
        assert_eq!(found, Some(3), "from then on");
    }

    #[test]
    fn where_answers_take_their_time_they_are_given_more() {
        let mut silence = new();
        let three_seconds = |look: u32| u64::from(look >= 12);
        assert_eq!(looks(&mut silence, 13, three_seconds), Some(4));
        assert_eq!(looks(&mut silence, 13, three_seconds), None);
        assert_eq!(looks(&mut silence, 100, |_| 5), Some(44), "four times as long");
        (0..40).for_each(|_| assert_eq!(looks(&mut silence, 1, |_| 5), None));
        assert_eq!(looks(&mut silence, 100, |_| 5), Some(4), "that fades");
    }
}
