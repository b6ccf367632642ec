//! Servers without ranges, and the shapes a legal answer can have: chunked, until close, shorter
//! than asked for, with interim heads before it.

use super::common::{Run, SEED, Site, checksum};
use ringhaul::ErrorKind;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, Rule, When};
use ringhaul::{DirectMode, Options};

const ODD: u64 = 3 * MIB + 17;
/// Registered and spread over several blocks.
const LARGER: u64 = 20 * MIB + 5;

fn config(size_bytes: u64, tls: bool) -> Config {
    if tls { Config::new_tls(SEED, size_bytes) } else { Config::new(SEED, size_bytes) }
}

fn with_faults(size_bytes: u64, tls: bool, faults: &[Fault]) -> Site {
    let config = config(size_bytes, tls);
    Site::start(faults.iter().fold(config, |config, fault| config.rule(When::All, fault.clone())))
}

/// What every one-stream download has in common.
fn expect_one_stream(run: &Run, size_bytes: u64, hashed: bool) {
    let report = run.expect_file(SEED, size_bytes);
    assert_eq!((report.connections, report.threads), (1, 1), "{report:?}");
    assert_eq!(report.retries, 0, "{report:?}");
    assert_eq!(report.verified.is_some(), hashed, "{report:?}");
    // Nothing can be had of an empty file, in ranges or otherwise.
    if size_bytes > 0 {
        assert!(!report.ranges, "{report:?}");
        assert!(run.texts().iter().any(|text| text.contains("does not serve ranges")));
    }
}

#[test]
fn without_ranges_there_is_one_stream() {
    let faults: [&[Fault]; 5] = [
        &[Fault::NoRangeSupport],
        &[Fault::IgnoreRange],
        &[Fault::NoRangeSupport, Fault::Chunked],
        &[Fault::NoRangeSupport, Fault::NoLength],
        &[Fault::IgnoreRange, Fault::Chunked, Fault::Interim(3)],
    ];
    for (turn, faults) in faults.into_iter().enumerate() {
        for size_bytes in [0, 1, 4096, 100_000, MIB, ODD] {
            for tls in [false, true] {
                let hashed = (turn + usize::from(tls)) % 2 == 0;
                let site = with_faults(size_bytes, tls, faults);
                let checksum = hashed.then(|| checksum(SEED, size_bytes));
                let run = site.fetch("/f", Options { checksum, ..site.options.clone() });
                expect_one_stream(&run, size_bytes, hashed);
                assert_eq!(site.stats().requests, 1, "{faults:?}: one answer is all it takes");
            }
        }
    }
}

/// An error for every request that has a range, and the file for all others.
fn refusing_ranges(code: u16, total: Option<&str>) -> Rule {
    let headers = total.map(|total| ("Content-Range".to_owned(), format!("bytes */{total}")));
    let body = b"no ranges\n".to_vec();
    let refused = Fault::Status { code, headers: headers.into_iter().collect(), body };
    Rule::new(When::RangeStartFrom(0), refused)
}

#[test]
fn refused_ranges_lead_to_one_stream_after_one_plain_request() {
    for (code, total) in [(400, None), (403, None), (416, None), (416, Some("9")), (501, None)] {
        for tls in [false, true] {
            let mut config = config(ODD, tls);
            config.script.push(refusing_ranges(code, total));
            let site = Site::start(config);
            let run = site.fetch("/f", site.options.clone());
            expect_one_stream(&run, ODD, false);
            let log = site.stats().log;
            assert_eq!(log.len(), 2, "{code}");
            assert!(log[0].range.is_some() && log[1].range.is_none(), "{code}");
        }
    }
}

#[test]
fn refused_ranges_behind_a_redirect_lead_to_one_stream() {
    let mut config = config(ODD, false);
    config.script.push(Rule::new(
        When::PathPrefix("/f".into()),
        Fault::Redirect { status: 302, location: "/real".into() },
    ));
    config.script.push(refusing_ranges(403, None));
    let site = Site::start(config);
    expect_one_stream(&site.fetch("/f", site.options.clone()), ODD, false);
}

/// `none` is no registered coding and means none; a folded line is read as one (RFC 9112 5.2).
#[test]
fn odd_heads_that_say_nothing_wrong_are_read() {
    let folded = |name: &str, value: &str| Fault::Fields(vec![(name.into(), value.into())]);
    for fault in [
        Fault::ContentEncoding("none".into()),
        Fault::ContentEncoding(String::new()),
        folded("X-Long", "one\r\n two\r\n\tthree"),
        folded("Content-Encoding", "\r\n identity"),
    ] {
        for tls in [false, true] {
            let site = with_faults(ODD, tls, std::slice::from_ref(&fault));
            let run = site.fetch("/f", site.options.clone());
            let report = run.expect_file(SEED, ODD);
            assert!(report.ranges && report.retries == 0, "{fault:?}: {report:?}");
        }
    }
}

#[test]
fn one_stream_takes_direct_and_buffered_writes() {
    let site = with_faults(LARGER, false, &[Fault::NoRangeSupport]);
    for direct in [DirectMode::On, DirectMode::Off] {
        let checksum = Some(checksum(SEED, LARGER));
        let run = site.fetch("/f", Options { direct, checksum, ..site.options.clone() });
        expect_one_stream(&run, LARGER, true);
        assert_eq!(run.expect_file(SEED, LARGER).direct, direct == DirectMode::On);
    }
}

#[test]
fn an_unknown_size_cannot_be_written_direct() {
    let site = with_faults(ODD, false, &[Fault::NoRangeSupport, Fault::NoLength]);
    let options = |direct| Options { direct, ..site.options.clone() };
    let error = site.fetch("/f", options(DirectMode::On));
    let error = error.expect_error(ErrorKind::DiskIo).to_string();
    assert!(error.contains("size is not known"), "{error}");
    let run = site.fetch("/f", options(DirectMode::Auto));
    assert!(!run.expect_file(SEED, ODD).direct);
}

#[test]
fn chunked_ranges_are_ranges() {
    for (tls, size_bytes) in [(false, ODD), (true, ODD), (false, LARGER)] {
        let site = with_faults(size_bytes, tls, &[Fault::Chunked, Fault::Interim(2)]);
        let chunk_bytes = 512 * KIB;
        let checksum = Some(checksum(SEED, size_bytes));
        let run = site.fetch(
            "/f",
            Options {
                connections: Some(3),
                chunk_bytes: Some(chunk_bytes),
                checksum,
                ..site.options.clone()
            },
        );
        let report = run.expect_file(SEED, size_bytes);
        assert!(report.ranges && report.retries == 0, "{report:?}");
        let stats = site.stats();
        assert!(stats.connections <= 3, "connections outlive chunked bodies: {stats:?}");
    }
}

#[test]
fn ranges_that_end_with_the_connection() {
    for tls in [false, true] {
        let site = with_faults(ODD, tls, &[Fault::NoLength]);
        let run =
            site.fetch("/f", Options { chunk_bytes: Some(700 * KIB), ..site.options.clone() });
        let report = run.expect_file(SEED, ODD);
        assert!(report.ranges && report.retries == 0, "{report:?}");
        assert_eq!(site.stats().connections, site.stats().requests, "one answer for each");
    }
}

#[test]
fn a_server_may_send_less_than_asked_for() {
    for (bytes_max, direct) in [
        (4096, DirectMode::On),
        (5000, DirectMode::On),
        (70_001, DirectMode::Off),
        (MIB, DirectMode::On),
        (MIB + 1, DirectMode::On),
    ] {
        let site = with_faults(ODD, bytes_max == 70_001, &[Fault::ShorterRange(bytes_max)]);
        let checksum = Some(checksum(SEED, ODD));
        let run = site.fetch("/f", Options { direct, checksum, ..site.options.clone() });
        let report = run.expect_file(SEED, ODD);
        assert!(report.ranges && report.retries == 0, "at most {bytes_max}: {report:?}");
    }
}

#[test]
fn an_answer_too_short_to_get_on_with_is_refused() {
    let site = with_faults(ODD, false, &[Fault::ShorterRange(100)]);
    let run = site.fetch("/f", Options { retries: 0, ..site.options.clone() });
    run.expect_error(ErrorKind::RangeMismatch);
}

#[test]
fn a_head_in_single_bytes_is_a_head() {
    let pause = std::time::Duration::from_micros(50);
    for tls in [false, true] {
        let site = with_faults(ODD, tls, &[Fault::SlowHead(pause), Fault::HugeHead(600)]);
        let run = site.fetch("/f", Options { chunk_bytes: Some(MIB), ..site.options.clone() });
        assert_eq!(run.expect_file(SEED, ODD).retries, 0);
    }
}
