//! What a look at a server finds, without a connection of the transfer. Owns how long it takes and
//! what comes of it; must not know when anybody looks.

use super::World;
use super::network::Network;
use crate::base::ErrorKind;
use crate::base::limits::{CONNECT_TIMEOUT, CONNECTION_ATTEMPT_DELAY};
use crate::plan::Unopened;
use crate::sim::scenario::{Ending, Health};

/// A connection that a look has left is closed after this number of seconds.
const LEFT_S_MAX: f64 = 4.0;

impl World {
    /// When the server will have shown this number of `bytes`, or that it does not.
    pub(in crate::sim) fn look(&mut self, now_s: f64, source: usize, bytes: u64) -> f64 {
        self.hosts[source].looked_bytes = bytes as f64;
        let server = self.scenario.source(source);
        let mut at_s = now_s;
        let mut was_silent = false;
        for address in 0..server.addresses.len() {
            let rtt_s = self.rtt_s(source, address);
            match self.health(now_s, source, address) {
                Health::Up => {
                    let others = self.open_at(source) as f64;
                    let rate = server.total_bytes_per_s / (1.0 + others);
                    let body_s = bytes as f64 / rate.min(server.connection_bytes_per_s);
                    return at_s + (server.setup_rtts + 1.0) * rtt_s + server.think_s + body_s;
                }
                Health::Refuses => at_s += rtt_s,
                Health::Silent => {
                    at_s += CONNECTION_ATTEMPT_DELAY.as_secs_f64();
                    was_silent = true;
                }
            }
        }
        if was_silent { now_s + CONNECT_TIMEOUT.as_secs_f64() } else { at_s }
    }

    /// What a look that ends now has found: the number of addresses, or why the server is of no
    /// use. Its connection is left for the transfer.
    pub(in crate::sim) fn seen(&mut self, now_s: f64, source: usize) -> Result<u32, Unopened> {
        let seen = self.found(now_s, source);
        self.hosts[source].left_at_s = seen.is_ok().then_some(now_s);
        seen
    }

    /// The connection that a look has left at the server takes the slot, which is free. Its address
    /// and the time, in seconds, that it took to make it; `None`: there is none any more.
    pub(in crate::sim) fn take_over(
        &mut self,
        now_s: f64,
        slot: usize,
        source: usize,
    ) -> Option<(u32, f64)> {
        let left_at_s = self.hosts[source].left_at_s.take()?;
        if now_s - left_at_s > LEFT_S_MAX {
            return None;
        }
        let addresses = 0..self.scenario.source(source).addresses.len();
        let is_up = |it: &usize| self.health(now_s, source, *it) == Health::Up;
        let address = addresses.into_iter().find(is_up)?;
        let rtt_s = self.rtt_s(source, address);
        let setup_s = self.scenario.source(source).setup_rtts * rtt_s;
        let number = u32::try_from(address).expect("a few addresses");
        let dial = self.accept(now_s - setup_s, slot, source, number, rtt_s);
        dial.outcome.ok()?;
        if let Network::Fluid(fluid) = &mut self.network {
            fluid.warm(slot, self.hosts[source].looked_bytes);
        }
        Some((number, setup_s))
    }

    fn found(&self, now_s: f64, source: usize) -> Result<u32, Unopened> {
        let server = self.scenario.source(source);
        match self.ending(now_s, source) {
            Some(Ending::Status(code)) => {
                return Err(Unopened::Failed(ErrorKind::Status(code)));
            }
            Some(Ending::Changed) => return Err(Unopened::Useless),
            Some(Ending::Reset | Ending::Silence) | None => {}
        }
        if server.lies && self.has_faults(now_s) {
            return Err(Unopened::Useless);
        }
        let healths = || (0..server.addresses.len()).map(|it| self.health(now_s, source, it));
        if healths().any(|health| health == Health::Up) {
            return Ok(u32::try_from(server.addresses.len()).expect("a few addresses"));
        }
        let is_silent = healths().any(|health| health == Health::Silent);
        let kind = if is_silent { ErrorKind::TimedOut } else { ErrorKind::Connect };
        Err(Unopened::Failed(kind))
    }
}
