//! The limits of the rate that connections share, beside the budget of their number: a bucket in
//! total, and one for each origin that is asked. Owns the buckets; what they grant is decided in
//! `schedule`. Must not know what the bytes are for.

use crate::base::limits::ORIGINS_MAX;
use crate::base::url::Origin;
use crate::engine::options::rate::RateLimit;
use crate::io::throttle::{Purpose, Throttle};
use crate::schedule::bucket::{self, Bucket};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The options that set limits, as verdicts name them.
const TOTAL: &str = "--limit-rate";
const PER_HOST: &str = "--limit-rate-per-host";

/// Longer than anybody waits.
const FAR: Duration = Duration::from_secs(1 << 30);

/// The buckets of a client, or of one transfer that has limits of its own.
pub(in crate::engine) struct Rates {
    limit: RateLimit,
    total: Option<Arc<Shared>>,
    by_origin: Mutex<HashMap<Origin, Arc<Shared>>>,
}

/// A bucket, and the moment that its times are counted from.
#[derive(Debug)]
struct Shared {
    zero: Instant,
    bucket: Mutex<Bucket>,
    /// The last moment until which somebody waits for this limit and no other, in nanoseconds.
    waits_until_ns: AtomicU64,
}

/// How long the connections of a transfer have waited for a limit.
#[derive(Debug, Default)]
pub(in crate::engine) struct RateWaits {
    waiting: AtomicU32,
    has_waited: AtomicBool,
    /// Of all connections together, in nanoseconds.
    waited_ns: AtomicU64,
}

/// What one connection is below.
#[derive(Debug)]
struct Limited {
    /// One at least.
    buckets: Vec<Arc<Shared>>,
    waits: Arc<RateWaits>,
}

impl Rates {
    pub(in crate::engine) fn new(limit: &RateLimit) -> Self {
        let total = limit.total_bytes.map(Shared::new);
        Self { limit: limit.clone(), total, by_origin: Mutex::default() }
    }

    /// The least limit of what comes from `origin`, in bytes per second, and the option that sets
    /// it.
    pub(in crate::engine) fn least(&self, origin: &Origin) -> Option<(u64, &'static str)> {
        let total = self.limit.total_bytes.map(|bytes| (bytes, TOTAL));
        let of_host = self.limit.of_host(origin).map(|bytes| (bytes, PER_HOST));
        total.into_iter().chain(of_host).min()
    }

    /// The option that sets a limit that connections have waited for since this moment, or wait
    /// for: the one in total before others.
    pub(in crate::engine) fn waited_for_since(&self, since: Instant) -> Option<&'static str> {
        if self.total.as_ref().is_some_and(|shared| shared.was_waited_for(since)) {
            return Some(TOTAL);
        }
        let by_origin = lock(&self.by_origin);
        by_origin.values().any(|shared| shared.was_waited_for(since)).then_some(PER_HOST)
    }

    /// The buckets of connections to `origin`.
    fn of(&self, origin: &Origin) -> impl Iterator<Item = Arc<Shared>> {
        let of_host = self.limit.of_host(origin).map(|bytes| self.of_host(origin, bytes));
        self.total.clone().into_iter().chain(of_host)
    }

    fn of_host(&self, origin: &Origin, bytes_per_second: u64) -> Arc<Shared> {
        let mut by_origin = lock(&self.by_origin);
        if by_origin.len() >= ORIGINS_MAX {
            // Those that no connection uses.
            by_origin.retain(|_, shared| Arc::strong_count(shared) > 1);
        }
        let shared = by_origin.entry(origin.clone());
        shared.or_insert_with(|| Shared::new(bytes_per_second)).clone()
    }
}

/// What bounds connections to `origin`, if anything does: `all` are the limits that hold. `waits`
/// hears of waits for them.
pub(in crate::engine) fn throttle(
    all: [&Rates; 2],
    origin: &Origin,
    waits: &Arc<RateWaits>,
) -> Option<Arc<dyn Throttle>> {
    let buckets: Vec<_> = all.into_iter().flat_map(|rates| rates.of(origin)).collect();
    if buckets.is_empty() {
        return None;
    }
    Some(Arc::new(Limited { buckets, waits: waits.clone() }))
}

impl RateWaits {
    /// Whether a connection has waited since the last call, or waits.
    pub(in crate::engine) fn take(&self) -> bool {
        self.has_waited.swap(false, Ordering::Relaxed) || self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Time that all connections together have waited.
    pub(in crate::engine) fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited_ns.load(Ordering::Relaxed))
    }
}

impl Shared {
    fn new(bytes_per_second: u64) -> Arc<Self> {
        let bucket = Mutex::new(Bucket::new(bytes_per_second));
        Arc::new(Self { zero: Instant::now(), bucket, waits_until_ns: AtomicU64::default() })
    }

    /// Somebody waits until then.
    fn note_wait(&self, until: Instant) {
        let until_ns = u64::try_from((until - self.zero).as_nanos()).unwrap_or(u64::MAX);
        self.waits_until_ns.fetch_max(until_ns, Ordering::Relaxed);
    }

    fn was_waited_for(&self, since: Instant) -> bool {
        let waits_until = Duration::from_nanos(self.waits_until_ns.load(Ordering::Relaxed));
        waits_until > since.saturating_duration_since(self.zero)
    }

    fn now(&self) -> Duration {
        self.zero.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Bucket> {
        lock(&self.bucket)
    }

    /// A time of the bucket by the clock; what is too far away never comes.
    fn moment(&self, at: Duration) -> Instant {
        self.zero.checked_add(at).unwrap_or_else(|| Instant::now() + FAR)
    }
}

impl Throttle for Limited {
    fn grant(&self, purpose: Purpose, bytes: usize) -> (usize, Instant) {
        let (purpose, wanted) = (of_bucket(purpose), bytes as u64);
        let least = |bytes: u64, shared: &Arc<Shared>| shared.lock().grantable(purpose, bytes);
        let bytes = self.buckets.iter().fold(wanted, least);
        let begins = self.buckets.iter().map(|shared| {
            let at = shared.lock().grant(purpose, shared.now(), bytes).at;
            (shared.moment(at), shared)
        });
        let (at, latest) = begins.max_by_key(|(at, _)| *at).expect("there is a bucket");
        if at > Instant::now() {
            latest.note_wait(at);
        }
        (usize::try_from(bytes).expect("no more than was wanted"), at)
    }

    fn settle(&self, purpose: Purpose, granted: usize, received: usize) {
        let (granted, received) = (granted as u64, received as u64);
        for shared in &self.buckets {
            // The clock is read below the lock, so that times never go back.
            shared.lock().settle(of_bucket(purpose), shared.now(), granted, received);
        }
    }

    fn charge(&self, bytes: u64) {
        for shared in &self.buckets {
            shared.lock().charge(shared.now(), bytes);
        }
    }

    fn begin_wait(&self) {
        self.waits.waiting.fetch_add(1, Ordering::Relaxed);
        self.waits.has_waited.store(true, Ordering::Relaxed);
    }

    fn end_wait(&self, waited: Duration) {
        self.waits.waiting.fetch_sub(1, Ordering::Relaxed);
        let waited_ns = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.waits.waited_ns.fetch_add(waited_ns, Ordering::Relaxed);
    }
}

fn of_bucket(purpose: Purpose) -> bucket::Purpose {
    match purpose {
        Purpose::Body => bucket::Purpose::Body,
        Purpose::Head => bucket::Purpose::Head,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
