//! Addresses of hosts, looked up once a minute at most and kept with what is known of each: which
//! ones answered last.

use crate::base::limits::{NAMES_KEPT, ORIGINS_MAX};
use crate::base::size::format_wait;
use crate::base::{Error, ErrorKind, Result};
use crate::io::connect::Remote;
use crate::net::callee::Callee;
use crate::net::dial::Dialer;
use crate::net::dns;
use crate::net::route::Route;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The addresses a client knows.
#[derive(Default)]
pub(in crate::engine) struct Names {
    known: Mutex<HashMap<Key, Known>>,
}

/// A callee, and how sockets get there.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    callee: Callee,
    route: Arc<Route>,
}

struct Known {
    since: Instant,
    dialer: Arc<Dialer>,
}

impl Names {
    /// The addresses of `callee`, which a lookup may take `time_max` to find.
    pub(in crate::engine) async fn resolve(
        &self,
        callee: &Callee,
        route: &Arc<Route>,
        time_max: Duration,
    ) -> Result<Arc<Dialer>> {
        let now = Instant::now();
        let key = Key { callee: callee.clone(), route: route.clone() };
        if let Some(known) = self.lock().get(&key).filter(|known| known.is_fresh(now)) {
            return Ok(known.dialer.clone());
        }
        let addresses = match &route.unix_socket {
            Some(path) => vec![Remote::Unix(path.clone())],
            None => look_up(callee, route, time_max).await?,
        };
        let dialer = Arc::new(Dialer::new(callee.clone(), addresses, route.clone()));
        self.keep(key, &dialer, now);
        Ok(dialer)
    }

    /// None of the addresses answers, so the name is to be looked up again.
    pub(in crate::engine) fn forget(&self, callee: &Callee, route: &Arc<Route>) {
        self.lock().remove(&Key { callee: callee.clone(), route: route.clone() });
    }

    fn keep(&self, key: Key, dialer: &Arc<Dialer>, now: Instant) {
        let mut known = self.lock();
        if known.len() >= ORIGINS_MAX {
            known.retain(|_, known| known.is_fresh(now));
        }
        if known.len() < ORIGINS_MAX {
            known.insert(key, Known { since: now, dialer: dialer.clone() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses that are given, or that the resolver says.
async fn look_up(callee: &Callee, route: &Route, time_max: Duration) -> Result<Vec<Remote>> {
    let found = match route.given(&callee.at) {
        Some(given) => given,
        None => tokio::time::timeout(time_max, dns::resolve(callee)).await.map_err(|_| {
            let (host, time) = (&callee.at.host, format_wait(time_max));
            let what = format!("the host name '{host}' was not found within {time}");
            Error::new(ErrorKind::Resolve, what).advise(
                "check this machine's name service, or allow more time with --connect-timeout",
            )
        })??,
    };
    Ok(route.usable(callee, found)?.into_iter().map(Remote::Ip).collect())
}

impl Known {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < NAMES_KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Url;
    use crate::io::driver::{Driver, DriverKind};

    #[test]
    fn a_name_is_looked_up_again_only_once_forgotten() {
        let origin = Url::parse("http://localhost/").unwrap().origin();
        let (names, callee) = (Names::default(), Callee::server(&origin));
        let (route, other) = (Arc::default(), Arc::new(Route { mptcp: true, ..Route::default() }));
        Driver::new(DriverKind::Epoll).unwrap().run(async {
            let find =
                async || names.resolve(&callee, &route, Duration::from_secs(20)).await.unwrap();
            let first = find().await;
            assert!(Arc::ptr_eq(&first, &find().await));
            let else_ = names.resolve(&callee, &other, Duration::from_secs(20)).await.unwrap();
            assert!(!Arc::ptr_eq(&first, &else_), "of another route");
            names.forget(&callee, &route);
            assert!(!Arc::ptr_eq(&first, &find().await));
        });
    }
}
