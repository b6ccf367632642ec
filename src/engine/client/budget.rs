//! The budget of connections: a permit for each one, held from before it is dialled until it is
//! closed, bounded in total and for each origin.
//!
//! Whoever gets no permit waits, and holds no span meanwhile. Owns the counts; must not know what a
//! connection is for.

use crate::base::url::Origin;
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Permits of a client.
pub(in crate::engine) struct Budget {
    /// Most connections in total; `None` for any number.
    total_max: Option<u32>,
    /// Most connections to one origin; `None` for any number.
    per_origin_max: Option<u32>,
    /// Bounds of single origins, in the place of `per_origin_max`.
    own_max: Vec<(Origin, u32)>,
    held: Mutex<Held>,
    freed: Notify,
    /// How many wait for a permit.
    waiting: AtomicU32,
    wanted: Notify,
}

/// Permits that are held.
#[derive(Default)]
struct Held {
    total: u32,
    by_origin: HashMap<Origin, u32>,
}

/// The right to have one connection to an origin; given back when dropped.
pub(in crate::engine) struct Permit {
    budget: Arc<Budget>,
    origin: Origin,
}

impl Budget {
    pub(super) fn new(
        total_max: Option<u32>,
        per_origin_max: Option<u32>,
        own_max: Vec<(Origin, u32)>,
    ) -> Self {
        Self {
            total_max,
            per_origin_max,
            own_max,
            held: Mutex::default(),
            freed: Notify::new(),
            waiting: AtomicU32::new(0),
            wanted: Notify::new(),
        }
    }

    /// A permit for a connection to `origin`; `None` says to wait for [`Budget::freed`].
    pub(in crate::engine) fn try_acquire(self: &Arc<Self>, origin: &Origin) -> Option<Permit> {
        (self.available(origin) > 0).then(|| self.acquire_over(origin))
    }

    /// A permit for a connection to `origin`, waited for. To be called by who holds no permit:
    /// holders that wait for each other would wait for ever.
    pub(in crate::engine) async fn acquire(self: &Arc<Self>, origin: &Origin) -> Permit {
        loop {
            let freed = self.freed();
            if let Some(permit) = self.try_acquire(origin) {
                return permit;
            }
            freed.await;
        }
    }

    /// Completes when a permit has been given back after this call. Whoever awaits it wants one,
    /// so that connections without a use are closed.
    pub(in crate::engine) fn freed(&self) -> impl Future<Output = ()> {
        let freed = self.freed.notified();
        async move {
            let _waiting = Waiting::new(self);
            freed.await;
        }
    }

    /// Whether somebody waits for a permit.
    pub(in crate::engine) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Completes when somebody begins to wait for a permit after this call.
    pub(super) fn wanted(&self) -> Notified<'_> {
        self.wanted.notified()
    }

    /// A permit beyond the bounds, for who holds one already and cannot wait for another.
    pub(in crate::engine) fn acquire_over(self: &Arc<Self>, origin: &Origin) -> Permit {
        let mut held = self.lock();
        held.total += 1;
        *held.by_origin.entry(origin.clone()).or_default() += 1;
        Permit { budget: self.clone(), origin: origin.clone() }
    }

    /// Permits that could be had for `origin` now.
    pub(in crate::engine) fn available(&self, origin: &Origin) -> u32 {
        let held = self.lock();
        let to_origin = held.by_origin.get(origin).copied().unwrap_or_default();
        let left =
            |max: Option<u32>, held: u32| max.map_or(u32::MAX, |max| max.saturating_sub(held));
        let own = self.own_max.iter().find(|(known, _)| known == origin);
        let origin_max = own.map(|(_, max)| *max).or(self.per_origin_max);
        left(self.total_max, held.total).min(left(origin_max, to_origin))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts who waits, as long as it lives.
struct Waiting<'a> {
    budget: &'a Budget,
}

impl<'a> Waiting<'a> {
    fn new(budget: &'a Budget) -> Self {
        budget.waiting.fetch_add(1, Ordering::Relaxed);
        budget.wanted.notify_waiters();
        Self { budget }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.budget.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut held = self.budget.lock();
        held.total -= 1;
        if let Some(count) = held.by_origin.get_mut(&self.origin) {
            *count -= 1;
            if *count == 0 {
                held.by_origin.remove(&self.origin);
            }
        }
        drop(held);
        self.budget.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Url;
    use crate::io::driver::{Driver, DriverKind};

    fn origin(url: &str) -> Origin {
        Url::parse(url).unwrap().origin()
    }

    #[test]
    fn both_bounds_hold_and_permits_come_back() {
        let budget = Arc::new(Budget::new(Some(3), Some(2), Vec::new()));
        let (one, other) = (origin("http://one/"), origin("http://other/"));
        let first = budget.try_acquire(&one).unwrap();
        let _second = budget.try_acquire(&one).unwrap();
        assert!(budget.try_acquire(&one).is_none(), "two for each origin");
        let _third = budget.try_acquire(&other).unwrap();
        assert!(budget.try_acquire(&other).is_none(), "three in total");
        drop(first);
        assert_eq!(budget.available(&other), 1);
        let over = [budget.acquire_over(&one), budget.acquire_over(&one)];
        assert_eq!(budget.available(&other), 0);
        drop(over);
        assert_eq!((budget.available(&one), budget.available(&other)), (1, 1));
    }

    #[test]
    fn whoever_waits_gets_what_is_given_back() {
        let budget = Arc::new(Budget::new(Some(1), None, Vec::new()));
        let one = origin("http://one/");
        let held = budget.try_acquire(&one).unwrap();
        let own = budget.clone();
        let waiting = async {
            tokio::task::spawn_local(async move {
                assert!(own.is_wanted());
                drop(held);
            });
            budget.acquire(&one).await
        };
        let _permit = Driver::new(DriverKind::Epoll).unwrap().run(waiting);
        assert_eq!(budget.available(&one), 0);
        assert!(!budget.is_wanted());
    }

    #[test]
    fn without_bounds_nobody_waits() {
        let budget = Arc::new(Budget::new(None, None, Vec::new()));
        let one = origin("http://one/");
        let permits: Vec<Permit> = (0..1000).map(|_| budget.try_acquire(&one).unwrap()).collect();
        drop(permits);
        assert!(budget.lock().by_origin.is_empty(), "origins without a connection are forgotten");
    }
}
