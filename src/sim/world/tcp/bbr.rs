//! A sender that goes by the rate at which its packets arrive (draft-ietf-ccwg-bbr, in the form of
//! Linux's first version): it sends at the best rate of the last ten round trips, keeps twice the
//! bandwidth x round trip under way, and no loss tells it anything. Owns the model of the path;
//! must not know what is sent.
//!
//! States: startup (the rate doubles each round trip until it no longer grows) -> drain -> probing
//! (eight phases of a round trip, one faster, one slower) <-> a look at the empty queue every ten
//! seconds.

use super::INITIAL_PACKETS;
use super::ack::{Ack, RateSample};

/// Gain that doubles the rate each round trip: 2 / ln 2.
const STARTUP_GAIN: f64 = 2.885;
/// Windows are this multiple of bandwidth x round trip.
const WINDOW_GAIN: f64 = 2.0;
/// Gains of the pace in the eight phases of probing.
const CYCLE: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
/// Rounds whose best rate counts.
const ROUNDS: usize = 10;
/// Startup ends after this number of rounds in which the rate grew by less than a quarter.
const FULL_ROUNDS: u32 = 3;
const FULL_GROWTH: f64 = 1.25;
/// A shortest round trip older than this, in seconds, is measured anew.
const SHORTEST_S_MAX: f64 = 10.0;
/// For this time, in seconds, with so few packets.
const LOOK_S: f64 = 0.2;
const LOOK_PACKETS: f64 = 4.0;

/// One sender's model of its path.
#[derive(Debug, Clone)]
pub(super) struct Bbr {
    state: State,
    /// Best rates of the last rounds, in packets per second; the present round's is at `round`.
    rates: [f64; ROUNDS],
    round: usize,
    /// The round ends with the first packet sent after this number had arrived.
    round_ends_at: u64,
    full_rate: f64,
    full_rounds: u32,
    shortest_s: f64,
    shortest_at_s: f64,
    /// The phase of probing and when it began.
    phase: usize,
    phase_from_s: f64,
    /// Indicates whether a retransmission time has passed and nothing arrived since.
    is_collapsed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Startup,
    Drain,
    Probe,
    Look { until_s: f64 },
}

impl Bbr {
    pub(super) fn new() -> Self {
        Self {
            state: State::Startup,
            rates: [0.0; ROUNDS],
            round: 0,
            round_ends_at: 0,
            full_rate: 0.0,
            full_rounds: 0,
            shortest_s: f64::INFINITY,
            shortest_at_s: 0.0,
            phase: 2,
            phase_from_s: 0.0,
            is_collapsed: false,
        }
    }

    pub(super) fn window(&self) -> f64 {
        if self.is_collapsed {
            return 1.0;
        }
        match self.state {
            State::Look { .. } => LOOK_PACKETS,
            _ if self.rate() == 0.0 => INITIAL_PACKETS,
            State::Startup => (STARTUP_GAIN * self.product()).max(INITIAL_PACKETS),
            // Three packets more, for what a burst holds back.
            State::Drain | State::Probe => (WINDOW_GAIN * self.product() + 3.0).max(LOOK_PACKETS),
        }
    }

    /// Packets per second.
    pub(super) fn pace(&self) -> f64 {
        let rate = self.rate();
        if rate == 0.0 {
            return f64::INFINITY;
        }
        match self.state {
            State::Startup => STARTUP_GAIN * rate,
            State::Drain => rate / STARTUP_GAIN,
            State::Probe => CYCLE[self.phase] * rate,
            State::Look { .. } => rate,
        }
    }

    pub(super) fn learn(&mut self, ack: &Ack, sample: RateSample) {
        self.is_collapsed = false;
        let is_new_round = sample.delivered_before >= self.round_ends_at;
        if is_new_round {
            self.round_ends_at = ack.delivered;
            self.round = (self.round + 1) % ROUNDS;
            self.rates[self.round] = 0.0;
        }
        if !sample.is_app_limited || sample.packets_per_s > self.rate() {
            let best = &mut self.rates[self.round];
            *best = best.max(sample.packets_per_s);
        }
        self.learn_shortest(ack);
        self.go_on(ack, is_new_round && !sample.is_app_limited);
    }

    pub(super) fn collapse(&mut self) {
        self.is_collapsed = true;
    }

    fn rate(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }

    /// Bandwidth x round trip, in packets.
    fn product(&self) -> f64 {
        self.rate() * self.shortest_s
    }

    fn learn_shortest(&mut self, ack: &Ack) {
        let Some(rtt_s) = ack.rtt_s else { return };
        let is_old = ack.now_s - self.shortest_at_s > SHORTEST_S_MAX;
        if rtt_s <= self.shortest_s || is_old {
            let looks = is_old && self.shortest_s.is_finite() && self.state == State::Probe;
            if looks && rtt_s > self.shortest_s {
                let until_s = ack.now_s + LOOK_S.max(rtt_s);
                self.state = State::Look { until_s };
            }
            self.shortest_s = rtt_s;
            self.shortest_at_s = ack.now_s;
        }
    }

    fn go_on(&mut self, ack: &Ack, is_full_round: bool) {
        match self.state {
            State::Startup if is_full_round => {
                if self.rate() >= self.full_rate * FULL_GROWTH {
                    (self.full_rate, self.full_rounds) = (self.rate(), 0);
                } else {
                    self.full_rounds += 1;
                }
                if self.full_rounds >= FULL_ROUNDS {
                    self.state = State::Drain;
                }
            }
            State::Startup => {}
            State::Drain => {
                if ack.under_way <= self.product() {
                    self.probe(ack.now_s);
                }
            }
            State::Probe => {
                if ack.now_s - self.phase_from_s > self.shortest_s {
                    self.phase = (self.phase + 1) % CYCLE.len();
                    self.phase_from_s = ack.now_s;
                }
            }
            State::Look { until_s } => {
                if ack.now_s >= until_s {
                    self.shortest_at_s = ack.now_s;
                    self.probe(ack.now_s);
                }
            }
        }
    }

    fn probe(&mut self, now_s: f64) {
        (self.state, self.phase, self.phase_from_s) = (State::Probe, 2, now_s);
    }
}
