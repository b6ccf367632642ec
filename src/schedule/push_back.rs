//! An origin that answers 429 or 503. Owns until when it is asked for nothing new, and how many
//! connections it bears afterwards; must not know statuses.
//!
//! States: calm (no cap) -> blocked (until the time it asked for; the cap is half of what was open)
//! -> capped (a connection more after each `RAISE_INTERVAL`) -> calm.

use crate::base::limits::RETRY_AFTER_MAX;
use std::time::Duration;

/// Time without push-back after which the cap grows by one connection: a server's load passes in
/// minutes, and trying every second would be what it complained of.
const RAISE_INTERVAL: Duration = Duration::from_secs(5);
/// Refusals within this time are about the same load, and halve the cap once: they answer requests
/// that were under way together.
const EPISODE: Duration = Duration::from_secs(1);

/// What an origin has refused.
#[derive(Debug, Default)]
pub(super) struct PushBack {
    episode: Option<Episode>,
}

#[derive(Debug)]
struct Episode {
    halved_at: Duration,
    until: Duration,
    /// Connections it bears, at least 1.
    cap: u32,
    raise_at: Duration,
}

impl PushBack {
    /// The origin refused at `now`, with `granted` connections open, and wants nothing before
    /// `until`.
    pub(super) fn refused(&mut self, now: Duration, until: Duration, granted: u32) {
        let until = until.clamp(now, now + RETRY_AFTER_MAX);
        match &mut self.episode {
            Some(last) if now < last.until.max(last.halved_at + EPISODE) => {
                last.until = last.until.max(until);
                last.raise_at = last.until + RAISE_INTERVAL;
            }
            _ => {
                let before = self.cap(granted.max(1));
                let cap = (before / 2).max(1);
                let raise_at = until + RAISE_INTERVAL;
                self.episode = Some(Episode { halved_at: now, until, cap, raise_at });
            }
        }
    }

    /// Lets time pass: the cap grows, and is forgotten at `bound` connections.
    pub(super) fn pass(&mut self, now: Duration, bound: u32) {
        let Some(episode) = &mut self.episode else { return };
        while episode.raise_at <= now && episode.cap < bound {
            episode.cap += 1;
            episode.raise_at += RAISE_INTERVAL;
        }
        if episode.cap >= bound && now >= episode.until.max(episode.halved_at + EPISODE) {
            self.episode = None;
        }
    }

    /// Indicates whether the origin is to be left alone.
    pub(super) fn is_blocked(&self, now: Duration) -> bool {
        self.episode.as_ref().is_some_and(|episode| now < episode.until)
    }

    /// Connections it bears, at most `bound`.
    pub(super) fn cap(&self, bound: u32) -> u32 {
        self.episode.as_ref().map_or(bound, |episode| episode.cap.min(bound))
    }

    /// The next time something changes by itself.
    pub(super) fn changes_at(&self, now: Duration) -> Option<Duration> {
        let episode = self.episode.as_ref()?;
        Some(if now < episode.until { episode.until } else { episode.raise_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn one_episode_halves_once_and_the_cap_comes_back_slowly() {
        let mut origin = PushBack::default();
        (0..8).for_each(|_| origin.refused(secs(1), secs(3), 8));
        assert_eq!(origin.cap(16), 4);
        assert!(origin.is_blocked(secs(2)) && !origin.is_blocked(secs(3)));
        origin.pass(secs(7), 16);
        assert_eq!(origin.cap(16), 4);
        origin.pass(secs(8), 16);
        assert_eq!(origin.cap(16), 5);
        origin.refused(secs(9), secs(10), 5);
        assert_eq!(origin.cap(16), 2);
        origin.pass(secs(10 + 5 * 14), 16);
        assert_eq!((origin.cap(16), origin.changes_at(secs(100))), (16, None));
    }

    #[test]
    fn a_wait_without_end_is_cut() {
        let mut origin = PushBack::default();
        origin.refused(secs(0), Duration::MAX, 1);
        assert_eq!(origin.changes_at(secs(0)), Some(RETRY_AFTER_MAX));
        assert_eq!(origin.cap(16), 1);
    }
}
