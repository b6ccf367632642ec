//! Which address the next connection goes to. Owns the scores; must not know what an address is:
//! mirrors are addresses of another source.

use super::ConnectionId;
use crate::base::rate::smoothed;
use std::collections::BTreeMap;
use std::time::Duration;

/// Time for which an address that is bad for the first time rests; each later rest is twice as
/// long.
const REST_MIN: Duration = Duration::from_secs(10);
/// Longest rest of an address.
const REST_MAX: Duration = Duration::from_secs(300);
/// An address whose connections run below this share of the best one's is bad.
const BAD_SHARE: f64 = 0.25;
/// Time constant of an address's goodput.
const MEMORY: Duration = Duration::from_secs(2);
/// Connects in a row that are lost or fail until the address is bad.
const FAILURES_MAX: u32 = 2;

/// The addresses of one source.
#[derive(Debug)]
pub(super) struct Addresses {
    addresses: Vec<Address>,
    /// The address that each connection is at.
    at: BTreeMap<ConnectionId, u32>,
    /// The address that each connection being made was told to try first.
    tried: BTreeMap<ConnectionId, u32>,
    /// The address where a connection met a failure that sends it elsewhere.
    avoided: BTreeMap<ConnectionId, u32>,
}

#[derive(Debug, Clone, Default)]
struct Address {
    /// Connections to it.
    connections: u32,
    /// Goodput of one connection there, bytes per second; `None`: not measured.
    goodput: Option<f64>,
    /// Since when connections are at work there; `None`: none has been.
    measured_since: Option<Duration>,
    /// Connects in a row that were lost or failed.
    failures: u32,
    /// How often it was bad.
    rests: u32,
    /// It is not tried before this time, unless all others rest too.
    resting_until: Duration,
}

impl Addresses {
    pub(super) fn new(addresses: u32) -> Self {
        assert!(addresses > 0, "a source has an address");
        let addresses = vec![Address::default(); addresses as usize];
        Self { addresses, at: BTreeMap::new(), tried: BTreeMap::new(), avoided: BTreeMap::new() }
    }

    /// Addresses to race, best first; behind them the one the connection has reason to avoid, this
    /// once. Resting ones come last, in the order they will wake, so that a source whose addresses
    /// are all bad is still tried.
    pub(super) fn order(&mut self, now: Duration, connection: ConnectionId) -> Vec<u32> {
        self.leave(connection);
        self.tried.remove(&connection);
        let avoided = self.avoided.remove(&connection);
        let mut order: Vec<u32> = (0..).take(self.addresses.len()).collect();
        let best = self.best_goodput();
        order.sort_by(|&a, &b| {
            // Attempts weigh like connections, or all workers that start together would meet.
            let tries = |id: u32| self.tried.values().filter(|&&tried| tried == id).count() as f64;
            let load = |id: u32| self.addresses[id as usize].load(best, tries(id));
            let resting = |id: u32| self.addresses[id as usize].resting_until.max(now);
            let is_avoided = |id: u32| avoided == Some(id);
            let by_rest = resting(a).cmp(&resting(b)).then(is_avoided(a).cmp(&is_avoided(b)));
            by_rest.then(load(a).total_cmp(&load(b)))
        });
        self.tried.insert(connection, order[0]);
        order
    }

    /// The connection reached `address`. Returns an address that is now known to be bad: the one it
    /// was to try first has lost too many races.
    pub(super) fn on_connected(
        &mut self,
        now: Duration,
        connection: ConnectionId,
        address: u32,
    ) -> Option<u32> {
        self.leave(connection);
        let reached = self.addresses.get_mut(address as usize)?;
        reached.connections += 1;
        reached.failures = 0;
        self.at.insert(connection, address);
        let first = self.tried.remove(&connection).filter(|first| *first != address)?;
        self.fail(now, first).then_some(first)
    }

    /// The connection broke or could not be made; returns an address that is now bad. If the
    /// failure `sends_elsewhere`, its next try begins at another address.
    pub(super) fn on_failed(
        &mut self,
        now: Duration,
        connection: ConnectionId,
        while_connecting: bool,
        sends_elsewhere: bool,
    ) -> Option<u32> {
        let tried = self.tried.remove(&connection);
        let was_at = self.leave(connection);
        let blamed = if while_connecting { tried } else { was_at }?;
        if sends_elsewhere {
            self.avoided.insert(connection, blamed);
        }
        self.fail(now, blamed).then_some(blamed)
    }

    /// Whether the connection avoids an address and there is another one that does not rest.
    pub(super) fn has_elsewhere(&self, now: Duration, connection: ConnectionId) -> bool {
        let Some(&avoided) = self.avoided.get(&connection) else { return false };
        let mut addresses = (0..).zip(&self.addresses);
        addresses.any(|(id, address)| id != avoided && address.resting_until <= now)
    }

    /// Bytes have come from where the connection is: whatever failed there before is over.
    pub(super) fn on_delivered(&mut self, connection: ConnectionId) {
        if let Some(&address) = self.at.get(&connection) {
            self.addresses[address as usize].failures = 0;
        }
    }

    pub(super) fn address_of(&self, connection: ConnectionId) -> Option<u32> {
        self.at.get(&connection).copied()
    }

    pub(super) fn connections_at(&self, address: u32) -> Vec<ConnectionId> {
        self.at.iter().filter(|(_, at)| **at == address).map(|(&id, _)| id).collect()
    }

    /// The connection is closed.
    pub(super) fn leave(&mut self, connection: ConnectionId) -> Option<u32> {
        let address = self.at.remove(&connection)?;
        self.addresses[address as usize].connections -= 1;
        Some(address)
    }

    /// The goodput of a connection at work over the last `tick`.
    pub(super) fn sample(
        &mut self,
        now: Duration,
        connection: ConnectionId,
        goodput: f64,
        tick: Duration,
    ) {
        let Some(&address) = self.at.get(&connection) else { return };
        let address = &mut self.addresses[address as usize];
        address.measured_since.get_or_insert(now);
        let old = address.goodput.unwrap_or(goodput);
        address.goodput = Some(smoothed(old, goodput, tick, MEMORY));
    }

    /// Addresses that have just turned out to be slow, with their share of the best one's goodput.
    /// None is judged before it has been at work for `settling`.
    pub(super) fn drop_slow(&mut self, now: Duration, settling: Duration) -> Vec<(u32, f64)> {
        if self.addresses.len() == 1 {
            return Vec::new();
        }
        let best = self.best_goodput();
        let mut dropped = Vec::new();
        for (id, address) in (0..).zip(&mut self.addresses) {
            let share = address.goodput.map_or(1.0, |goodput| goodput / best);
            let since = address.measured_since;
            let is_known = since.is_some_and(|since| now.saturating_sub(since) >= settling);
            if is_known && share < BAD_SHARE && address.resting_until <= now {
                address.rest(now);
                dropped.push((id, share));
            }
        }
        dropped
    }

    fn best_goodput(&self) -> f64 {
        self.addresses.iter().filter_map(|address| address.goodput).fold(1.0, f64::max)
    }

    fn fail(&mut self, now: Duration, address: u32) -> bool {
        let is_only = self.addresses.len() == 1;
        let address = &mut self.addresses[address as usize];
        address.failures += 1;
        if is_only || address.failures < FAILURES_MAX || address.resting_until > now {
            return false;
        }
        address.rest(now);
        true
    }
}

impl Address {
    /// What one more connection there would weigh: connections for what each of them brings.
    fn load(&self, best: f64, tries: f64) -> f64 {
        (f64::from(self.connections + 1) + tries) / (self.goodput.unwrap_or(best) / best)
    }

    fn rest(&mut self, now: Duration) {
        let factor = 1u32 << self.rests.min(8);
        self.resting_until = now + REST_MIN.saturating_mul(factor).min(REST_MAX);
        self.rests += 1;
        // It wakes with a clean slate, and is measured anew.
        (self.failures, self.goodput, self.measured_since) = (0, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);
    const TICK: Duration = Duration::from_millis(50);

    fn connect(addresses: &mut Addresses, id: u32) -> u32 {
        let address = addresses.order(NOW, ConnectionId(id))[0];
        assert_eq!(addresses.on_connected(NOW, ConnectionId(id), address), None);
        address
    }

    #[test]
    fn connections_spread_over_the_addresses() {
        let mut addresses = Addresses::new(3);
        let at: Vec<u32> = (0..6).map(|id| connect(&mut addresses, id)).collect();
        assert_eq!(at, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_slow_address_rests_and_comes_back() {
        let mut addresses = Addresses::new(2);
        assert_eq!([0, 1].map(|id| connect(&mut addresses, id)), [0, 1]);
        for (id, goodput) in [(0, 1e6), (1, 1e5)] {
            addresses.sample(NOW, ConnectionId(id), goodput, TICK);
        }
        assert_eq!(addresses.drop_slow(NOW + TICK, 2 * TICK), [], "the evidence is thin");
        assert_eq!(addresses.drop_slow(NOW + 2 * TICK, 2 * TICK), [(1, 0.1)]);
        assert_eq!(addresses.connections_at(1), [ConnectionId(1)]);
        assert_eq!(addresses.order(NOW, ConnectionId(1)), [0, 1]);
        let later = NOW + 2 * TICK + REST_MIN;
        assert_eq!(addresses.order(later, ConnectionId(3))[0], 1, "nobody is there");
    }

    #[test]
    fn a_dead_address_is_left_out_after_two_lost_races() {
        let mut addresses = Addresses::new(2);
        for id in [0, 1] {
            let connection = ConnectionId(id);
            assert_eq!(addresses.order(NOW, connection)[0], 0);
            let bad = addresses.on_connected(NOW, connection, 1);
            assert_eq!(bad, (id == 1).then_some(0));
        }
        assert_eq!(addresses.order(NOW, ConnectionId(2)), [1, 0]);
    }

    #[test]
    fn a_single_address_is_never_bad() {
        let mut addresses = Addresses::new(1);
        for _ in 0..9 {
            addresses.order(NOW, ConnectionId(0));
            assert_eq!(addresses.on_failed(NOW, ConnectionId(0), true, true), None);
            assert!(!addresses.has_elsewhere(NOW, ConnectionId(0)));
        }
        assert_eq!(addresses.order(NOW, ConnectionId(0)), [0]);
    }

    #[test]
    fn a_failure_may_send_a_connection_elsewhere_once() {
        let mut addresses = Addresses::new(2);
        let connection = ConnectionId(0);
        assert_eq!(connect(&mut addresses, 0), 0);
        assert_eq!(addresses.on_failed(NOW, connection, false, true), None);
        assert!(addresses.has_elsewhere(NOW, connection));
        assert_eq!(addresses.order(NOW, connection), [1, 0]);
        assert!(!addresses.has_elsewhere(NOW, connection), "it is on its way there");
        assert_eq!(addresses.on_connected(NOW, connection, 1), None);
        assert_eq!(addresses.on_failed(NOW, connection, false, false), None);
        assert_eq!(addresses.order(NOW, connection), [0, 1], "the connection is to blame");
    }
}
