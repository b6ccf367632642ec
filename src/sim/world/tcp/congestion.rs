//! The two ways a sender decides how much may be under way. Owns the choice between them; must not
//! know what is sent nor how losses are found.

use super::ack::{Ack, RateSample};
use super::bbr::Bbr;
use super::cubic::Cubic;
use crate::sim::scenario::Control;

/// Cubic or BBR.
#[derive(Debug, Clone)]
pub(super) enum Congestion {
    Cubic(Cubic),
    Bbr(Bbr),
}

impl Congestion {
    pub(super) fn new(control: Control) -> Self {
        match control {
            Control::Cubic => Congestion::Cubic(Cubic::new()),
            Control::Bbr => Congestion::Bbr(Bbr::new()),
        }
    }

    /// Packets that may be under way.
    pub(super) fn window(&self) -> f64 {
        match self {
            Congestion::Cubic(cubic) => cubic.window(),
            Congestion::Bbr(bbr) => bbr.window(),
        }
    }

    /// Packets per second that may be sent.
    pub(super) fn pace(&self) -> f64 {
        match self {
            Congestion::Cubic(_) => f64::INFINITY,
            Congestion::Bbr(bbr) => bbr.pace(),
        }
    }

    /// Packets are acknowledged. `may_grow`: the window limited, and no loss is being recovered.
    pub(super) fn acknowledged(&mut self, ack: &Ack, sample: RateSample, may_grow: bool) {
        match self {
            Congestion::Cubic(cubic) if may_grow => cubic.grow(ack),
            Congestion::Cubic(_) => {}
            Congestion::Bbr(bbr) => bbr.learn(ack, sample),
        }
    }

    /// A packet of the present window was lost.
    pub(super) fn lost(&mut self) {
        if let Congestion::Cubic(cubic) = self {
            cubic.cut();
        }
    }

    /// Nothing came back for the retransmission time.
    pub(super) fn timed_out(&mut self) {
        match self {
            Congestion::Cubic(cubic) => cubic.collapse(),
            Congestion::Bbr(bbr) => bbr.collapse(),
        }
    }

    /// There was nothing to send for this number of retransmission times.
    pub(super) fn was_idle(&mut self, timeouts: f64) {
        if let Congestion::Cubic(cubic) = self {
            cubic.decay(timeouts);
        }
    }
}
