//! Faults a download survives, one at a time, each with the right bytes in the end, and what a
//! checksum finds. Many at once: `storm.rs`.

mod common;

use common::{
    Place, SEED, Site, assert_content, both_schemes, checksum, expect_error, paced, status,
};
use ringhaul::ErrorKind;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, Rule, When, content};
use std::time::Duration;

/// Thirteen spans and a tail that fits nothing.
const SIZE: u64 = 3 * MIB + 3 * KIB + 7;

/// Three connections, small spans, few retries.
fn site(config: Config) -> Site {
    Site::strict(config).with(|options| {
        options.connections = Some(3);
        options.chunk_bytes = Some(256 * KIB);
        options.retries = 3;
    })
}

/// Both schemes, with one rule.
fn both(rule: &Rule) -> [Site; 2] {
    both_schemes(SIZE).map(|mut config| {
        config.script.push(rule.clone());
        site(config)
    })
}

/// The fault happens, and the file is right.
fn survives(rule: &Rule) {
    for site in both(rule) {
        site.succeeds(SIZE);
        site.assert_fired();
    }
}

// --- one fault at a time ---

#[test]
fn a_reset_after_any_number_of_bytes() {
    for bytes in [0, 1, 4095, 4096, 4097, 65_536, 100_000, 256 * KIB - 1, 256 * KIB] {
        // In the first answer, and in one of a later span.
        for when in [When::Request(1), When::Request(5)] {
            survives(&Rule::once(when, Fault::ResetAfter(bytes)));
        }
    }
}

#[test]
fn a_close_after_any_number_of_bytes() {
    for (bytes, close_notify) in [(0, true), (1, false), (4096, false), (100_000, true)] {
        for when in [When::Request(1), When::Request(4)] {
            survives(&Rule::once(when, Fault::CloseAfter { bytes, close_notify }));
        }
    }
}

#[test]
fn a_close_or_a_reset_within_the_head() {
    for head in ["", "H", "HTTP/1.1 206 Partial Content\r\nContent-Le"] {
        for when in [When::Request(1), When::Request(4)] {
            survives(&Rule::once(when, Fault::Garbage(head.into())));
        }
    }
}

#[test]
fn a_connection_that_ends_before_its_first_byte() {
    for fault in [Fault::ResetOnAccept, Fault::CloseOnAccept] {
        for when in [When::Connection(1), When::Connection(2)] {
            survives(&Rule::once(when, fault.clone()));
        }
    }
}

#[test]
fn one_stall() {
    for fault in [Fault::StallAfter(70_000), Fault::StallBeforeHead, Fault::StallAfter(0)] {
        for site in both(&Rule::once(When::Request(3), fault.clone())) {
            // Alone, as others would fetch its bytes before the limit is reached.
            let site = site.with(|options| {
                options.connections = Some(1);
                options.request_ahead = false;
                options.stall_timeout = Duration::from_millis(300);
            });
            assert!(site.succeeds(SIZE).retries >= 1, "silence ends a connection: {fault:?}");
            site.assert_fired();
        }
    }
}

#[test]
fn a_slow_head_is_no_stall() {
    // About 200 bytes, all of them together within the stall limit.
    let rule = Rule::once(When::Request(1), Fault::SlowHead(Duration::from_millis(3)));
    let site = site(Config { script: vec![rule], ..Config::new(SEED, SIZE) });
    assert_eq!(site.succeeds(SIZE).retries, 0);
    site.assert_fired();
}

#[test]
fn a_head_that_takes_for_ever_is_a_time_out() {
    // No pause is a stall, and all of them together are 38 s. Storm seed 1888 met it first.
    let mut config = Config::new(SEED, SIZE);
    for fault in [Fault::SlowHead(Duration::from_micros(635)), Fault::HugeHead(60_000)] {
        config.script.push(Rule::once(When::Connection(1), fault));
    }
    let site = site(config).with(|options| options.stall_timeout = Duration::from_millis(200));
    assert_eq!(site.succeeds(SIZE).retries, 1);
}

#[test]
fn others_take_over_from_a_slow_connection() {
    // The slow one alone would take 8 s for its span: most of it must be taken over.
    let slow = Rule::once(When::Request(1), Fault::Rate(MIB));
    let site = site(Config { script: vec![slow], ..Config::new(SEED, 16 * MIB) });
    let site = site.with(|options| options.chunk_bytes = Some(8 * MIB));
    let report = site.succeeds(16 * MIB);
    site.assert_fired();
    assert!(report.elapsed < Duration::from_secs(7), "{:?}", report.elapsed);
    assert!(site.server.stats().requests > 2, "two spans, and what was taken over");
}

#[test]
fn one_status_that_may_pass() {
    for code in [500, 503, 429, 408] {
        let fault = status(code, "later\n");
        for when in [When::Request(1), When::Request(3)] {
            let rule = Rule::once(when, fault.clone());
            let site = site(Config { script: vec![rule], ..Config::new(SEED, SIZE) });
            assert_eq!(site.succeeds(SIZE).retries, 1, "{code}");
            site.assert_fired();
        }
    }
}

#[test]
fn one_wrong_answer() {
    for fault in [
        Fault::WrongRange { shift: 4096 },
        Fault::IgnoreRange,
        Fault::Garbage(b"garbage\r\n\r\n".to_vec()),
        Fault::HugeHead(100_000),
        Fault::LongBody(9),
    ] {
        survives(&Rule::once(When::Request(3), fault));
    }
}

#[test]
fn a_close_behind_each_answer() {
    for announce in [true, false] {
        let rule = Rule::new(When::All, Fault::CloseAfterReply { announce });
        for site in both(&rule) {
            let report = site.succeeds(SIZE);
            site.assert_fired();
            assert!(report.connects > 12, "one connection for each span: {}", report.connects);
            assert_eq!(report.retries, 0, "a connection that ends behind its answer is no failure");
        }
    }
}

#[test]
fn what_is_odd_but_legal() {
    for fault in [
        Fault::Interim(3),
        Fault::ShorterRange(100_000),
        Fault::ShorterRange(8192),
        Fault::Chunked,
        Fault::NoLength,
        Fault::HugeHead(60_000),
        Fault::DelayHead(Duration::from_millis(20)),
    ] {
        for site in both(&Rule::new(When::All, fault.clone())) {
            assert_eq!(site.succeeds(SIZE).retries, 0, "{fault:?}");
            site.assert_fired();
        }
    }
}

#[test]
fn a_server_that_takes_fewer_connections_than_asked_for() {
    for connections_max in [1, 2] {
        for config in both_schemes(SIZE) {
            // Slow enough that the others do come while the first one is at work.
            let site = site(Config { connections_max, ..paced(config, 4 * MIB) });
            site.succeeds(SIZE);
            let stats = site.server.stats();
            assert!(stats.connections_refused > 0, "the limit was met");
            assert_eq!(stats.connections_peak, connections_max);
        }
    }
}

#[test]
fn a_stream_that_breaks_starts_over() {
    for framing in [Fault::NoRangeSupport, Fault::Chunked] {
        let mut config = Config::new(SEED, SIZE);
        config.script = vec![
            Rule::new(When::All, Fault::NoRangeSupport),
            Rule::new(When::All, framing),
            Rule::once(When::Request(1), Fault::ResetAfter(MIB + 77)),
            Rule::once(When::Request(2), Fault::CloseAfter { bytes: 5000, close_notify: true }),
        ];
        let site = site(config).with(|options| options.checksum = Some(checksum(SEED, SIZE)));
        let report = site.succeeds(SIZE);
        assert_eq!((report.retries, report.ranges, report.connections), (2, false, 1));
    }
}

#[test]
fn progress_is_kept_across_more_failures_than_retries() {
    // Each answer breaks, but each brings something: retries count failures without progress.
    let rule = Rule::new(When::All, Fault::ResetAfter(100_000));
    let site = site(Config { script: vec![rule], ..Config::new(SEED, SIZE) });
    let site = site.with(|options| options.retries = 1);
    let report = site.succeeds(SIZE);
    assert!(report.retries > 10, "{}", report.retries);
    let asked_twice = site.server.stats().body_bytes;
    assert!(asked_twice < 2 * SIZE, "{asked_twice} bytes were sent for {SIZE}");
}

// --- checksums ---

#[test]
fn a_wrong_digest_keeps_the_part_file_and_names_it() {
    let site = site(Config::new(SEED, SIZE)).with(|options| {
        options.checksum = Some(checksum(SEED, SIZE - 1));
    });
    let words = ["sha256", "file.bin.part", "(server side)"];
    expect_error(site.run(), ErrorKind::ChecksumMismatch, 13, &words);
    assert_eq!(site.names(), ["file.bin.part"], "the final name is not taken");
    assert_content(&site.part(), SEED, SIZE);
    site.assert_disconnected();
}

#[test]
fn one_wrong_byte_is_found() {
    for offset in [0, SIZE / 2, SIZE - 1] {
        for site in both(&Rule::new(When::All, Fault::FlipByte(offset))) {
            let site = site.with(|options| options.checksum = Some(checksum(SEED, SIZE)));
            expect_error(site.run(), ErrorKind::ChecksumMismatch, 13, &["(server side)"]);
            site.assert_fired();
            site.assert_nothing_left();
        }
    }
}

#[test]
fn without_a_checksum_the_wrong_byte_is_the_servers_word() {
    let site = site(Config::new(SEED, SIZE).rule(When::All, Fault::FlipByte(5)));
    site.run().unwrap();
    let bytes = std::fs::read(site.target()).unwrap();
    assert_eq!(content::verify(SEED, 0, &bytes), Err(5), "this test's server does lie");
}

#[test]
fn a_right_digest_passes_whatever_the_order() {
    // The start of the file comes last, long after what follows it.
    let late = Fault::DelayHead(Duration::from_millis(300));
    let rules = [
        Rule::once(When::Request(2), late.clone()),
        Rule::once(When::Request(2), Fault::ResetAfter(50_000)),
        Rule::once(When::Request(1), Fault::Rate(400 * KIB)),
    ];
    for mut config in both_schemes(SIZE) {
        config.script = rules.to_vec();
        let site = site(config).with(|options| options.checksum = Some(checksum(SEED, SIZE)));
        let verified = site.succeeds(SIZE).verified.unwrap();
        site.assert_fired();
        assert!(verified.digest.starts_with("sha256:"), "{}", verified.digest);
    }
}
