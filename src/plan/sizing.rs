//! How many bytes one request asks for, and when the next one goes out. Owns the size law; must not
//! know who asks.

use super::{Fanout, RequestSize, Settings};
use crate::base::size::{KIB, MIB};
use std::time::Duration;

/// The first request of a transfer whose size nobody knows yet: small enough that its end is no
/// straggler, large enough to fill the slow start of a connection.
const FIRST_BYTES: u64 = MIB;
/// A connection that has measured nothing asks for its share, but for no more than this.
const START_BYTES_MAX: u64 = 2 * MIB;
/// Below this a request costs more than it balances.
const AUTO_BYTES_MIN: u64 = 256 * KIB;
/// Without request ahead each span pays a round trip: at most its time divided by this.
const OVERHEAD_SHARE: f64 = 50.0;
/// With request ahead a span lasts at least this long, so that there are few requests.
const PIPELINED_TIME: Duration = Duration::from_millis(500);
/// Fewest bytes of a span with request ahead, however slow the connection.
const PIPELINED_BYTES_MIN: u64 = 4 * MIB;
/// No span is expected to last longer: it is what a reset or a slow-down puts at stake.
const SPAN_TIME_MAX: Duration = Duration::from_secs(4);
/// Least slack in the lead, for scheduling here and there; it is twice the time to first byte.
const LEAD_SLACK_MIN: Duration = Duration::from_millis(1);
/// Most slack in the lead. More would only let the answer grow cold in the socket: with 20 ms on
/// loopback the copy out of it cost half as much CPU again (measured).
const LEAD_SLACK_MAX: Duration = Duration::from_millis(20);
/// Least share of its span's time that a request ahead has to save.
const AHEAD_GAIN_MIN: f64 = 0.01;
/// The same where the server is near: other connections fill the gap there, and what waits in the
/// socket costs.
const AHEAD_GAIN_NEAR_MIN: f64 = 0.25;
/// Time to first byte below which a server is near.
const NEAR: Duration = Duration::from_millis(4);
/// A request asks for no more than this multiple of its connection's last one, as a first rate is
/// a guess;
const GROWTH_MAX: f64 = 2.0;
/// and for this multiple where each request leaves a gap, so that there are few of them.
const GROWTH_GAP_MAX: f64 = 4.0;
/// Towards the end a request asks for its connection's part of what is left, divided by this, so
/// that all end together whatever their rates do meanwhile;
const GUIDED_PARTS: f64 = 2.0;
/// and by this where each request costs a connection.
const GUIDED_PARTS_DEAR: f64 = 1.1;
/// Where each request costs a connection, it lasts at least this number of times as long as making
/// that one does: what a connection that is made for the end game has to save.
const DEAR_GAPS_MIN: f64 = 3.0;
/// A connection may speed up before its lead is due: slow start doubles within a round trip.
const LEAD_FACTOR: f64 = 1.5;

/// Bytes the first request of a transfer asks for, before anything is known of file or path.
pub fn first_request_bytes(request: RequestSize) -> u64 {
    match request {
        RequestSize::Auto => FIRST_BYTES,
        RequestSize::Fixed(bytes) => bytes,
    }
}

/// The request size of one transfer.
#[derive(Debug)]
pub(super) struct Sizing {
    /// Bytes of each request as the caller set them; `None`: by the law.
    fixed_bytes: Option<u64>,
    /// What every request is a multiple of.
    align_bytes: u64,
    /// Bytes of one write: what large requests round to.
    block_bytes: u64,
    /// Largest request of the law.
    span_bytes_max: u64,
}

/// What a connection and the transfer look like when a request is sized.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Bytes per second of this connection while bytes flow; `None`: not measured.
    pub(super) goodput: Option<f64>,
    /// Time to first byte on an idle connection.
    pub(super) tau: Duration,
    /// How far the time to first byte strays above its least.
    pub(super) jitter: Duration,
    /// Time between two answers where the next request cannot go out before this span ends: that
    /// of the request, and of a new connection where the server keeps none.
    pub(super) gap: Duration,
    /// Indicates whether each answer costs a connection.
    pub(super) is_reconnecting: bool,
    /// Indicates whether the next request can go out before this span ends.
    pub(super) is_pipelined: bool,
    /// Bytes of the connection's last request; `None`: its first.
    pub(super) previous_bytes: Option<u64>,
    /// Bytes that nobody fetches, no more than may be assigned at a time.
    pub(super) unassigned_bytes: u64,
    /// Goodput of all connections together, bytes per second.
    pub(super) goodput_all: f64,
    /// Connections that want a share.
    pub(super) connections: u32,
}

impl Sizing {
    /// A fixed size is never more than an equal share of what is to be fetched, or of what may be
    /// assigned at a time, in whole blocks: less than connections x chunk is still spread over all
    /// connections.
    pub(super) fn new(missing_bytes: u64, settings: &Settings) -> Self {
        let fixed_bytes = match (settings.request, settings.fanout) {
            (RequestSize::Auto, _) => None,
            (RequestSize::Fixed(bytes), Fanout::Auto { .. }) => {
                Some(align_up(bytes, settings.align_bytes))
            }
            (RequestSize::Fixed(bytes), Fanout::Fixed(connections)) => {
                let shared_bytes = missing_bytes.min(settings.ahead_bytes_max.unwrap_or(u64::MAX));
                let share_bytes = shared_bytes.div_ceil(u64::from(connections)).max(1);
                let share_bytes = align_up(share_bytes, settings.block_bytes);
                Some(align_up(bytes, settings.align_bytes).min(share_bytes))
            }
        };
        Self {
            fixed_bytes,
            align_bytes: settings.align_bytes,
            block_bytes: settings.block_bytes,
            span_bytes_max: settings.span_bytes_max,
        }
    }

    pub(super) fn is_auto(&self) -> bool {
        self.fixed_bytes.is_none()
    }

    /// The least that is handed out at a time, a multiple of the alignment.
    pub(super) fn piece_bytes(&self) -> u64 {
        self.fixed_bytes.unwrap_or_else(|| align_up(AUTO_BYTES_MIN, self.align_bytes))
    }

    /// Bytes of the next request, a multiple of the alignment; a stretch may end earlier.
    pub(super) fn request_bytes(&self, view: &View) -> u64 {
        self.fixed_bytes.unwrap_or_else(|| self.round(self.auto_bytes(view)))
    }

    fn auto_bytes(&self, view: &View) -> u64 {
        let share = view.unassigned_bytes as f64 / f64::from(view.connections.max(1));
        let Some(goodput) = view.goodput else {
            return bytes(share).clamp(AUTO_BYTES_MIN, START_BYTES_MAX);
        };
        let lead = lead(goodput, view);
        let low = if view.is_pipelined {
            let lasting = goodput * PIPELINED_TIME.as_secs_f64();
            (2.0 * lead).max(lasting).max(PIPELINED_BYTES_MIN as f64)
        } else {
            goodput * view.gap.as_secs_f64() * (OVERHEAD_SHARE - 1.0)
        };
        let high = (goodput * SPAN_TIME_MAX.as_secs_f64()).min(self.span_bytes_max as f64);
        let all = view.goodput_all.max(goodput);
        let parts = if view.is_reconnecting { GUIDED_PARTS_DEAR } else { GUIDED_PARTS };
        let guided = view.unassigned_bytes as f64 / (parts * all) * goodput;
        let factor = if view.is_pipelined { GROWTH_MAX } else { GROWTH_GAP_MAX };
        let grown = view.previous_bytes.map_or(f64::MAX, |previous| factor * previous as f64);
        let worth_it = match (view.is_pipelined, view.is_reconnecting) {
            (true, _) => lead,
            (false, true) => goodput * view.gap.as_secs_f64() * DEAR_GAPS_MIN,
            (false, false) => 0.0,
        };
        let floor = worth_it.max(AUTO_BYTES_MIN as f64);
        // Whatever a rate promises: a first one is a guess, and a lead by it was half the file.
        let most = grown.max(AUTO_BYTES_MIN as f64).min(self.span_bytes_max as f64);
        bytes(low.min(high).min(guided).max(floor).min(most))
    }

    /// Whole blocks where they are small beside the span, so that writes are full ones.
    fn round(&self, bytes: u64) -> u64 {
        let unit = if bytes >= 4 * self.block_bytes { self.block_bytes } else { self.align_bytes };
        align_up(bytes, unit)
    }
}

/// Unreceived bytes of a span at which the next request has to go out, so that its answer follows
/// without a gap; 0 while nothing is measured, and where the gap is too small to matter.
pub(super) fn lead_bytes(view: &View, span_bytes: u64) -> u64 {
    let Some(goodput) = view.goodput.filter(|_| view.is_pipelined) else { return 0 };
    let gap_bytes = goodput * view.tau.as_secs_f64();
    let gain_min = if view.tau < NEAR { AHEAD_GAIN_NEAR_MIN } else { AHEAD_GAIN_MIN };
    if gap_bytes < gain_min * span_bytes as f64 {
        return 0;
    }
    bytes(LEAD_FACTOR * lead(goodput, view)).max(1)
}

fn lead(goodput: f64, view: &View) -> f64 {
    let slack = (2 * view.tau).clamp(LEAD_SLACK_MIN, LEAD_SLACK_MAX);
    goodput * (view.tau + slack + 2 * view.jitter).as_secs_f64()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, which is what is wanted of a size"
)]
fn bytes(bytes: f64) -> u64 {
    bytes as u64
}

/// The next multiple of `unit`, or the last one where there is no next one in 64 bits.
fn align_up(bytes: u64, unit: u64) -> u64 {
    bytes.checked_next_multiple_of(unit).unwrap_or(u64::MAX / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::size::GIB;

    const MS_50: Duration = Duration::from_millis(50);

    fn fixed(missing_bytes: u64, chunk_bytes: u64, connections: u32) -> u64 {
        let (request, fanout) = (RequestSize::Fixed(chunk_bytes), Fanout::Fixed(connections));
        let settings = Settings { request, fanout, ..Settings::default() };
        Sizing::new(missing_bytes, &settings).request_bytes(&view())
    }

    /// 25 MB/s of 200, 50 ms away, on a connection that asked for 64 MiB last; 100 GiB are left.
    fn view() -> View {
        View {
            goodput: Some(25e6),
            tau: MS_50,
            gap: MS_50,
            is_reconnecting: false,
            jitter: Duration::ZERO,
            is_pipelined: true,
            previous_bytes: Some(64 * MIB),
            unassigned_bytes: 100 * GIB,
            goodput_all: 200e6,
            connections: 8,
        }
    }

    fn auto(view: View) -> u64 {
        Sizing::new(GIB, &Settings::default()).request_bytes(&view)
    }

    #[test]
    fn a_large_file_is_cut_into_chunks() {
        assert_eq!(fixed(2 * GIB, 8 * MIB, 4), 8 * MIB);
        assert_eq!(fixed(2 * GIB, 8 * MIB + 1, 4), 8 * MIB + 4096);
        assert_eq!(fixed(2 * GIB, 1, 4), 4096);
    }

    #[test]
    fn a_small_file_gives_each_connection_a_share_in_blocks() {
        assert_eq!(fixed(16 * MIB, 8 * MIB, 4), 4 * MIB);
        assert_eq!(fixed(64 * MIB + 1, 8 * MIB, 16), 5 * MIB);
        assert_eq!(fixed(1000, 8 * MIB, 4), MIB);
        assert_eq!(fixed(0, 8 * MIB, 4), MIB);
        assert_eq!(fixed(1000, 4096, 4), 4096);
    }

    #[test]
    fn the_largest_numbers_do_not_wrap() {
        assert_eq!(fixed(u64::MAX, u64::MAX, 1) % 4096, 0);
        assert!(fixed(u64::MAX, u64::MAX, 1) > u64::MAX - MIB - 1);
        let endless = View { unassigned_bytes: u64::MAX, goodput: Some(1e300), ..view() };
        assert_eq!(auto(endless), 64 * MIB);
    }

    #[test]
    fn an_unpipelined_round_trip_costs_two_percent_at_most() {
        let unpipelined = View { is_pipelined: false, goodput: Some(5e6), ..view() };
        let idle = MS_50.as_secs_f64();
        let receiving = auto(unpipelined) as f64 / 5e6;
        assert!(idle / (idle + receiving) < 0.0201, "{receiving} s");
        assert_eq!(auto(View { goodput: Some(1e9), ..unpipelined }), 64 * MIB);
    }

    #[test]
    fn a_pipelined_span_covers_its_lead_twice() {
        for goodput in [1e6, 25e6, 400e6] {
            let view = View { goodput: Some(goodput), goodput_all: 8.0 * goodput, ..view() };
            assert!(auto(view) >= bytes(2.0 * lead(goodput, &view)), "{goodput}");
            assert!(auto(view) <= 64 * MIB && auto(view) as f64 <= 4.1 * goodput, "{goodput}");
        }
    }

    #[test]
    fn sizes_double_at_most() {
        let first = View { goodput: None, previous_bytes: None, ..view() };
        assert_eq!(auto(first), START_BYTES_MAX);
        assert_eq!(auto(View { previous_bytes: Some(MIB), ..view() }), 2 * MIB);
        let hasty = View { goodput: Some(1.5e9), goodput_all: 1.5e9, ..view() };
        assert_eq!(auto(View { previous_bytes: Some(MIB), ..hasty }), 2 * MIB);
    }

    #[test]
    fn all_connections_finish_together() {
        // 8 of 8 connections are equally fast: each takes a sixteenth of what is left.
        let late = View { unassigned_bytes: 64 * MIB, ..view() };
        assert_eq!(auto(late), 4 * MIB);
        // One that runs at a fifth of their rate takes a fifth of that.
        assert!(auto(View { goodput: Some(5e6), ..late }) <= MIB);
        let last = View { unassigned_bytes: 1, goodput: Some(1e3), ..view() };
        assert_eq!(auto(last), AUTO_BYTES_MIN);
    }

    #[test]
    fn a_request_that_costs_a_connection_is_worth_it_up_to_the_end() {
        let gap = Duration::from_millis(120);
        let late = View { unassigned_bytes: MIB, is_pipelined: false, gap, ..view() };
        assert_eq!(auto(late), AUTO_BYTES_MIN);
        let received = auto(View { is_reconnecting: true, ..late }) as f64 / 25e6;
        assert!((0.36..0.41).contains(&received), "{received} s");
    }

    #[test]
    fn the_law_is_monotone_in_rate_and_distance() {
        let mut sizes = [1e5, 1e6, 1e7, 1e8, 1e9]
            .map(|goodput| auto(View { goodput: Some(goodput), goodput_all: 2e9, ..view() }));
        assert!(sizes.is_sorted());
        sizes = [1, 10, 50, 200, 500]
            .map(|ms| auto(View { gap: Duration::from_millis(ms), is_pipelined: false, ..view() }));
        assert!(sizes.is_sorted());
    }

    #[test]
    fn the_lead_covers_distance_and_jitter() {
        let lead_bytes = |view: &View| lead_bytes(view, 8 * MIB);
        let steady = lead_bytes(&view());
        assert!(steady as f64 >= 25e6 * 0.070);
        assert!(lead_bytes(&View { jitter: MS_50, ..view() }) > steady);
        assert_eq!(lead_bytes(&View { is_pipelined: false, ..view() }), 0);
        assert_eq!(lead_bytes(&View { goodput: None, ..view() }), 0);
        // 0.1 ms of 320 is nothing to save.
        let near = View { tau: Duration::from_micros(100), ..view() };
        assert_eq!(lead_bytes(&near), 0);
    }
}
