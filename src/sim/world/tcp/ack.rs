//! What a sender learns from acknowledgements. Owns the words; must not know what follows.

/// What acknowledgements of one instant say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ack {
    pub(super) now_s: f64,
    /// Packets that are newly known to have arrived.
    pub(super) packets: f64,
    /// The latest round trip of a packet that was sent once.
    pub(super) rtt_s: Option<f64>,
    pub(super) shortest_rtt_s: f64,
    pub(super) smooth_rtt_s: f64,
    /// Packets known to have arrived since the beginning.
    pub(super) delivered: u64,
    /// Packets under way.
    pub(super) under_way: f64,
}

/// How fast packets arrived, measured between the sending of one and its acknowledgement.
#[derive(Debug, Clone, Copy)]
pub(super) struct RateSample {
    pub(super) packets_per_s: f64,
    /// Indicates whether there was nothing more to send meanwhile.
    pub(super) is_app_limited: bool,
    /// Packets that had arrived when the measured one was sent.
    pub(super) delivered_before: u64,
}
