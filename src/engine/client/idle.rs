//! Connections of a shard that are open and have nothing to do, for the next transfer that wants
//! the same origin.
//!
//! They belong to the shard's driver, so shards do not exchange them. A connection that is here
//! counts against the budget; one that is wanted elsewhere is closed for it.

use super::budget::{Budget, Permit};
use super::trust::Trusted;
use crate::base::limits::{IDLE_CONNECTION_MAX, IDLE_CONNECTIONS_MAX};
use crate::base::url::Origin;
use crate::engine::options::reach::Reach;
use crate::engine::race::{First, race};
use crate::net::wire::Wire;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whom a connection leads to: what it may be used for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Peer {
    pub(in crate::engine) origin: Origin,
    /// What its TLS trusts; `None` without TLS.
    pub(in crate::engine) trusted: Option<Trusted>,
    /// How it is reached: through which proxy, and with whose credentials.
    pub(in crate::engine) reach: Arc<Reach>,
}

/// An open connection, whoever uses it.
pub(in crate::engine) struct Link {
    pub(in crate::engine) wire: Wire,
    /// Time it took to connect, TLS included.
    pub(in crate::engine) setup: Duration,
    /// The number of the address it leads to.
    pub(in crate::engine) address: u32,
    pub(in crate::engine) permit: Permit,
    /// The proxy it leads through, as it is called in messages.
    pub(in crate::engine) via: Option<Arc<str>>,
}

/// The idle connections of a shard, the oldest first.
#[derive(Default)]
pub(in crate::engine) struct IdleConnections {
    links: RefCell<VecDeque<Idle>>,
}

struct Idle {
    peer: Peer,
    link: Link,
    since: Instant,
}

impl IdleConnections {
    /// The connection to `peer` that was used last. The server may have closed it meanwhile.
    pub(in crate::engine) fn take(&self, peer: &Peer) -> Option<Link> {
        self.expire();
        let mut links = self.links.borrow_mut();
        let index = links.iter().rposition(|idle| idle.peer == *peer)?;
        links.remove(index).map(|idle| idle.link)
    }

    /// Keeps a connection that may carry another request.
    pub(in crate::engine) fn put(&self, peer: Peer, link: Link) {
        self.expire();
        let mut links = self.links.borrow_mut();
        if links.len() == IDLE_CONNECTIONS_MAX {
            links.pop_front();
        }
        links.push_back(Idle { peer, link, since: Instant::now() });
    }

    /// How many there are.
    pub(in crate::engine) fn count(&self) -> u32 {
        u32::try_from(self.links.borrow().len()).expect("their number is bounded")
    }

    /// Closes the connection that has been idle longest; `false` if there is none.
    pub(in crate::engine) fn close_oldest(&self) -> bool {
        self.links.borrow_mut().pop_front().is_some()
    }

    /// Completes when connections have been closed that nobody needs any more, or that somebody
    /// else needs the permits of. To be awaited anew whenever a task has ended.
    pub(super) async fn needless(&self, budget: &Budget) {
        let wanted = budget.wanted();
        if self.links.borrow().is_empty() {
            return pending().await;
        }
        if !budget.is_wanted() {
            let expiry = tokio::time::sleep(IDLE_CONNECTION_MAX);
            if let First::Right(()) = race(wanted, expiry).await {
                return self.expire();
            }
        }
        self.clear();
    }

    /// Closes all.
    pub(super) fn clear(&self) {
        self.links.borrow_mut().clear();
    }

    /// Closes those that servers are about to close.
    fn expire(&self) {
        let mut links = self.links.borrow_mut();
        while links.front().is_some_and(|idle| idle.since.elapsed() > IDLE_CONNECTION_MAX) {
            links.pop_front();
        }
    }
}
