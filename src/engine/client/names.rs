//! Addresses of hosts, looked up once a minute at most and kept with what is known of each: which
//! ones answered last.

use crate::base::limits::{NAMES_KEPT, ORIGINS_MAX};
use crate::base::size::format_wait;
use crate::base::{Error, ErrorKind, Result};
use crate::net::callee::Callee;
use crate::net::dial::Dialer;
use crate::net::dns;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The addresses a client knows.
#[derive(Default)]
pub(in crate::engine) struct Names {
    known: Mutex<HashMap<Callee, Known>>,
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
        time_max: Duration,
    ) -> Result<Arc<Dialer>> {
        let now = Instant::now();
        if let Some(known) = self.lock().get(callee).filter(|known| known.is_fresh(now)) {
            return Ok(known.dialer.clone());
        }
        let addresses =
            tokio::time::timeout(time_max, dns::resolve(callee)).await.map_err(|_| {
                let (host, time) = (&callee.at.host, format_wait(time_max));
                let what = format!("the host name '{host}' was not found within {time}");
                Error::new(ErrorKind::Resolve, what).advise(
                    "check this machine's name service, or allow more time with \
                             --connect-timeout",
                )
            })??;
        let dialer = Arc::new(Dialer::new(callee.clone(), addresses));
        self.keep(callee, &dialer, now);
        Ok(dialer)
    }

    /// None of the addresses answers, so the name is to be looked up again.
    pub(in crate::engine) fn forget(&self, callee: &Callee) {
        self.lock().remove(callee);
    }

    fn keep(&self, callee: &Callee, dialer: &Arc<Dialer>, now: Instant) {
        let mut known = self.lock();
        if known.len() >= ORIGINS_MAX {
            known.retain(|_, known| known.is_fresh(now));
        }
        if known.len() < ORIGINS_MAX {
            known.insert(callee.clone(), Known { since: now, dialer: dialer.clone() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Callee, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        Driver::new(DriverKind::Epoll).unwrap().run(async {
            let find = async || names.resolve(&callee, Duration::from_secs(20)).await.unwrap();
            let first = find().await;
            assert!(Arc::ptr_eq(&first, &find().await));
            names.forget(&callee);
            assert!(!Arc::ptr_eq(&first, &find().await));
        });
    }
}
