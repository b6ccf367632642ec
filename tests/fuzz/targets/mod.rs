//! Fuzz targets: each takes any bytes and panics where a promise of the library is broken.
//!
//! Owns the table of targets. Must not know who makes the bytes: `tests/fuzz.rs` mutates the seeds
//! in `cargo test`, the package in `tests/fuzz/` hands the same functions to libFuzzer. A target
//! depends on its bytes alone, but for the keys of a TLS handshake.

#![allow(unreachable_pub, reason = "public for the libFuzzer package, whose library this is")]

mod checksums;
mod chunked;
mod content_range;
mod digest_fields;
mod dispositions;
mod exchange;
mod head;
mod input;
mod journal;
mod links;
mod lists;
mod metalinks;
mod piece_lists;
mod proxies;
mod request;
mod sizes;
mod state;
mod tls_garbage;
mod tls_wire;
mod url;

/// One target.
pub struct Target {
    /// As `RINGHAUL_FUZZ_TARGET` and `cargo fuzz run` know it.
    pub name: &'static str,
    /// Panics on a broken promise, and only then.
    pub run: fn(&[u8]),
    /// Good inputs and known hard ones: what mutation starts from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words of the format, which chance would not find.
    pub words: &'static [&'static str],
    /// Runs in `cargo test`: the file's seconds divided by what one run costs.
    pub smoke_runs: u32,
}

/// Every target; each has a file of its name in `fuzz_targets/` and a test in `tests/fuzz.rs`.
pub const TARGETS: &[Target] = &[
    head::TARGET,
    exchange::TARGET,
    chunked::TARGET,
    content_range::TARGET,
    request::TARGET,
    url::TARGET,
    sizes::TARGET,
    digest_fields::TARGET,
    links::TARGET,
    dispositions::TARGET,
    checksums::TARGET,
    lists::TARGET,
    metalinks::TARGET,
    piece_lists::TARGET,
    journal::TARGET,
    tls_garbage::TARGET,
    tls_wire::TARGET,
    state::TARGET,
    proxies::TARGET,
];

/// The target called `name`; panics if there is none.
pub fn target(name: &str) -> &'static Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("no fuzz target is called '{name}'"))
}
