//! How many connections the server tolerates, as far as it said so. Owns the memory of refusals;
//! must not know how many would pay.

use std::time::Duration;

/// Time for which the first push-back caps the connections; each later one does twice as long.
const CAP_TIME_MIN: Duration = Duration::from_secs(60);
/// Longest time for which a push-back caps the connections.
const CAP_TIME_MAX: Duration = Duration::from_secs(600);
/// Connections that were being made at a push-back are made or refused after this time.
const OPEN_TIME: Duration = Duration::from_secs(1);
/// Two weak signs of push-back within this time of each other are taken for one clear sign.
const SUSPICION_TIME: Duration = Duration::from_secs(5);

/// The server's tolerance.
#[derive(Debug, Default)]
pub(super) struct Tolerance {
    /// `None`: the server has not complained lately.
    cap: Option<Cap>,
    /// How often a cap was learned.
    lessons: u32,
    /// Signs of push-back so far, weak ones included.
    refusals: u32,
    /// When the last sign of push-back came.
    suspected_at: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Cap {
    /// Most connections that the server serves.
    connections: u32,
    /// When the cap is forgotten.
    until: Duration,
    /// Connections that were being made at the push-back may succeed until then, and raise the cap.
    open_until: Duration,
}

impl Tolerance {
    /// Most connections the server wants; `None`: it has not complained lately.
    pub(super) fn cap(&self) -> Option<u32> {
        self.cap.map(|cap| cap.connections)
    }

    pub(super) fn refusals(&self) -> u32 {
        self.refusals
    }

    /// The server would not serve a connection while `working` others stood. Returns the cap if
    /// that makes it lower; a weak sign needs a second one soon after.
    pub(super) fn on_refusal(&mut self, now: Duration, working: u32, is_weak: bool) -> Option<u32> {
        self.refusals += 1;
        let earlier = self.suspected_at.replace(now);
        let is_alone = earlier.is_none_or(|at| now.saturating_sub(at) > SUSPICION_TIME);
        let is_lower = self.cap.is_none_or(|cap| working < cap.connections);
        if working == 0 || !is_lower || (is_weak && is_alone) {
            return None;
        }
        if self.cap.is_none() {
            self.lessons += 1;
        }
        let factor = 1u32 << (self.lessons - 1).min(8);
        let until = now + CAP_TIME_MIN.saturating_mul(factor).min(CAP_TIME_MAX);
        self.cap = Some(Cap { connections: working, until, open_until: now + OPEN_TIME });
        Some(working)
    }

    /// More than `connections` were punished.
    pub(super) fn set(&mut self, now: Duration, connections: u32) {
        let until = now + CAP_TIME_MAX;
        self.cap = Some(Cap { connections, until, open_until: Duration::ZERO });
    }

    /// `flowing` connections are being served.
    pub(super) fn on_tick(&mut self, now: Duration, flowing: u32) {
        if let Some(cap) = self.cap.as_mut().filter(|cap| now < cap.open_until) {
            cap.connections = cap.connections.max(flowing);
        }
        self.cap = self.cap.filter(|cap| cap.until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(5);

    #[test]
    fn a_clear_refusal_caps_at_those_that_work() {
        let mut tolerance = Tolerance::default();
        assert_eq!(tolerance.on_refusal(NOW, 4, false), Some(4));
        assert_eq!(tolerance.on_refusal(NOW, 4, false), None, "nothing new");
        assert_eq!(tolerance.on_refusal(NOW, 3, false), Some(3));
        assert_eq!((tolerance.cap(), tolerance.refusals()), (Some(3), 3));
        assert_eq!(tolerance.on_refusal(NOW, 0, false), None, "it serves nobody");
    }

    #[test]
    fn connections_under_way_at_the_refusal_may_still_get_through() {
        let mut tolerance = Tolerance::default();
        tolerance.on_refusal(NOW, 2, false);
        tolerance.on_tick(NOW + OPEN_TIME / 2, 4);
        assert_eq!(tolerance.cap(), Some(4));
        tolerance.on_tick(NOW + OPEN_TIME, 7);
        assert_eq!(tolerance.cap(), Some(4), "leftovers of a larger workers prove nothing");
    }

    #[test]
    fn one_weak_sign_is_an_accident_two_are_a_refusal() {
        let mut tolerance = Tolerance::default();
        assert_eq!(tolerance.on_refusal(NOW, 4, true), None);
        assert_eq!(tolerance.on_refusal(NOW + 2 * SUSPICION_TIME, 4, true), None);
        assert_eq!(tolerance.on_refusal(NOW + 3 * SUSPICION_TIME, 4, true), Some(4));
    }

    #[test]
    fn a_cap_is_forgotten_later_each_time() {
        let mut tolerance = Tolerance::default();
        let mut now = NOW;
        for wait in [CAP_TIME_MIN, 2 * CAP_TIME_MIN, 4 * CAP_TIME_MIN] {
            tolerance.on_refusal(now, 4, false);
            tolerance.on_tick(now + wait - Duration::from_millis(1), 4);
            assert_eq!(tolerance.cap(), Some(4));
            now += wait;
            tolerance.on_tick(now, 4);
            assert_eq!(tolerance.cap(), None);
        }
    }
}
