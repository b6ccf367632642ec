//! Packets that travel together. Owns the words; must not know where they go.

/// A piece of a burst.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Bytes of the stream.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) packets: u32,
    pub(super) is_repeat: bool,
    pub(super) is_lost: bool,
    pub(super) sent_s: f64,
    /// When it arrives and when the sender knows, or would.
    pub(super) arrives_s: f64,
    pub(super) known_s: f64,
    /// Everything below had arrived when this did.
    pub(super) in_order_to: u64,
    /// For the rate: what had arrived when it was sent and when that was known.
    pub(super) delivered_before: u64,
    pub(super) delivered_before_s: f64,
    pub(super) sent_before_s: f64,
    pub(super) was_app_limited: bool,
}
