//! A transfer and its end, as the tests of this room show them.

use crate::base::Url;
use crate::base::size::{GIB, MIB};
use crate::engine::progress::{Engine, Phase, Progress, Report};
use std::time::Duration;

/// Half of a file, after a minute.
pub(super) fn progress() -> Progress {
    Progress {
        phase: Phase::Downloading,
        bytes_done: GIB,
        bytes_total: Some(2 * GIB),
        elapsed: Duration::from_millis(61_500),
        rate_bytes_per_second: 512.0 * MIB as f64,
        steady_rate_bytes_per_second: Some(512.0 * MIB as f64),
        connections: 4,
        ..Progress::default()
    }
}

/// The same file, whole.
pub(super) fn report() -> Report {
    Report {
        path: "out/x.iso".into(),
        url: Url::parse("https://example.org/x.iso").expect("a URL"),
        validator: None,
        last_modified: None,
        content_type: None,
        bytes: 2 * GIB,
        resumed_bytes: 0,
        elapsed: Duration::from_secs(2),
        connections: 4,
        connects: 4,
        engine: Engine::IoUring,
        threads: 1,
        cpu: Duration::from_millis(420),
        discarded: false,
        is_ordered: false,
        direct: true,
        registered: true,
        lacks_locked_memory: false,
        ranges: true,
        retries: 0,
        limiter: None,
        verified: None,
        pieces: None,
        repaired: None,
        slice: None,
        sources: Vec::new(),
        is_compared: false,
        digests: Vec::new(),
    }
}
