//! Going on after a run that failed: what is fetched again, what is not, and when nothing of it may
//! be used.

mod common;

use common::{Place, SEED, Site, assert_content, bounded, checksum, expect_error, slowed, status};
use ringhaul::ErrorKind;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::internal::base::{Span, SpanSet};
use ringhaul::server::{
    Config, DigestField, EntityTag, Fault, RangeAsked, Route, Rule, Served, Server, When, content,
};
use ringhaul::{Algorithm, DirectMode, OnChange, Options};
use ringhaul::{Level, Phase, Report};
use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

const SIZE: u64 = 8 * MIB + 3 * KIB + 7;

/// Nobody gets bytes from here on.
fn refused_from(offset: u64) -> Rule {
    let gone = status(404, "");
    Rule::new(When::RangeStartFrom(offset), gone)
}

/// A server that refuses everything behind 5 MiB, and a client with small spans. It has a single
/// connection, so that all that was served before is in the file then.
fn broken_site() -> Site {
    let config = Config { script: vec![refused_from(5 * MIB)], ..Config::new(SEED, SIZE) };
    site(config).with(|options| options.connections = Some(1))
}

fn site(config: Config) -> Site {
    Site::strict(config).with(|options| {
        options.connections = Some(3);
        options.on_change = OnChange::Restart;
        options.chunk_bytes = Some(512 * KIB);
    })
}

/// The first run, which fails and leaves something.
fn begin(site: &Site) {
    expect_error(site.run(), ErrorKind::Status(404), 8, &["are kept", "the next run"]);
    site.assert_left_for_later();
}

/// A run against another server in the place of the first one, which has to end well; its report,
/// how many bytes of the file it asked for, and what the user was told.
fn finish(
    site: &mut Site,
    config: Config,
    change: impl FnOnce(&mut Options),
) -> (Report, u64, String) {
    let (size, seed) = (config.size_bytes, config.seed);
    site.replace_server(config);
    site.options.connections = Some(3);
    change(&mut site.options);
    let (result, told) = site.run_aloud(Level::Note);
    let report = result.expect("the second run ends well");
    site.assert_whole(seed, size);
    (report, asked_bytes(&site.server, size), told)
}

/// Bytes of the file that were asked for, each counted once.
fn asked_bytes(server: &Server, size: u64) -> u64 {
    let mut asked = SpanSet::new();
    for request in server.stats().log {
        let Some(RangeAsked::FromTo { first, last }) = request.range else { return size };
        asked.insert(Span::checked(first, (last + 1).min(size)).unwrap_or(Span::new(0, 0)));
    }
    asked.covered()
}

fn whole() -> Config {
    Config::new(SEED, SIZE)
}

#[test]
fn a_second_run_fetches_only_what_is_missing() {
    let mut site = broken_site();
    begin(&site);
    let (report, asked, told) = finish(&mut site, whole(), |_| ());
    assert!(report.resumed_bytes >= 2 * MIB, "{}", report.resumed_bytes);
    assert_eq!(report.bytes, SIZE);
    assert_eq!(asked, SIZE - report.resumed_bytes, "what was here is not asked for");
    assert!(told.contains("resuming: "), "{told}");
}

#[test]
fn progress_begins_with_what_is_here() {
    let site = broken_site();
    begin(&site);
    let site = site.moved(slowed(whole(), 8 * MIB));
    let snapshots = Arc::new(Mutex::new(Vec::new()));
    let own = snapshots.clone();
    let download = site.download().on_progress(move |progress| {
        own.lock().expect("nobody panics with it").push(progress.clone());
    });
    bounded("the second run", move || download.run()).expect("it ends well");
    let snapshots = snapshots.lock().expect("nobody panics with it").clone();
    let under_way: Vec<_> = snapshots.iter().filter(|it| it.phase == Phase::Downloading).collect();
    assert!(!under_way.is_empty(), "{snapshots:?}");
    for progress in under_way {
        assert!(progress.resumed_bytes >= 2 * MIB, "{progress:?}");
        assert!(progress.bytes_done >= progress.resumed_bytes, "{progress:?}");
        assert!(progress.rate_bytes_per_second < 64e6, "what was here has no rate: {progress:?}");
    }
}

#[test]
fn other_settings_change_nothing() {
    for (connections, chunk_bytes) in [(1, 4 * KIB), (8, 96 * KIB), (2, 64 * MIB)] {
        let mut site = broken_site();
        begin(&site);
        let (report, asked, _) = finish(&mut site, whole(), |options| {
            options.connections = Some(connections);
            options.chunk_bytes = Some(chunk_bytes);
        });
        assert_eq!(asked, SIZE - report.resumed_bytes);
    }
}

#[test]
fn it_may_fail_again_and_again() {
    let mut site = broken_site();
    begin(&site);
    for offset in [6 * MIB, 7 * MIB, 15 * MIB / 2] {
        site.replace_server(Config { script: vec![refused_from(offset)], ..whole() });
        site.options.connections = Some(1 + u32::try_from(offset / MIB).expect("small"));
        expect_error(site.run(), ErrorKind::Status(404), 8, &["are kept"]);
        assert!(asked_bytes(&site.server, SIZE) <= 5 * MIB, "it does not start from zero");
    }
    let (report, asked, _) = finish(&mut site, whole(), |_| ());
    assert!(report.resumed_bytes >= 2 * MIB, "{}", report.resumed_bytes);
    assert_eq!(asked, SIZE - report.resumed_bytes);
}

/// A run that has fetched everything, but somebody takes the name meanwhile.
fn complete_without_its_name() -> Site {
    let site = site(whole());
    let target = site.target();
    let download = site.download().on_event(move |_| fs::write(&target, "mine").expect("a file"));
    let result = bounded("the first run", move || download.run());
    expect_error(result, ErrorKind::TargetExists, 14, &["appeared"]);
    fs::remove_file(site.target()).expect("it is there");
    site.assert_left_for_later();
    site
}

#[test]
fn a_complete_part_file_takes_one_small_request() {
    let site = complete_without_its_name().moved(whole());
    assert_eq!(site.succeeds(SIZE).resumed_bytes, SIZE);
    let stats = site.server.stats();
    assert_eq!(stats.requests, 1);
    assert_eq!(stats.log[0].range, Some(RangeAsked::FromTo { first: 0, last: 4 * KIB - 1 }));
}

#[test]
fn what_an_earlier_run_has_left_is_verified_too() {
    let mut site = complete_without_its_name();
    let (report, ..) =
        finish(&mut site, whole(), |options| options.checksum = Some(checksum(SEED, SIZE)));
    assert_eq!(report.resumed_bytes, SIZE);
    assert_eq!(report.verified.expect("it was verified").read_back_bytes, SIZE);
}

#[test]
fn wrong_bytes_that_an_earlier_run_has_fetched_are_fetched_anew() {
    // The first server's bytes are wrong, and so are the CRCs of them.
    let mut config = Config { script: vec![refused_from(5 * MIB)], ..whole() };
    config.script.push(Rule::new(When::All, Fault::FlipByte(MIB)));
    let mut site = site(config);
    begin(&site);
    let (report, _, told) =
        finish(&mut site, whole(), |options| options.checksum = Some(checksum(SEED, SIZE)));
    assert_eq!(report.resumed_bytes, 0);
    assert!(told.contains("an earlier run may have left wrong bytes"), "{told}");
}

#[test]
fn a_changed_file_starts_over_and_says_so() {
    let mut site = broken_site();
    begin(&site);
    let config = Config { seed: SEED + 1, etag: EntityTag::Fixed("\"new\"".into()), ..whole() };
    let (report, asked, told) = finish(&mut site, config, |_| ());
    assert_eq!((report.resumed_bytes, report.bytes), (0, SIZE));
    assert!(asked >= SIZE);
    assert!(told.contains("another one") && told.contains("starting over"), "{told}");
}

#[test]
fn another_size_starts_over() {
    for size in [4 * MIB, 20 * MIB + 1] {
        let mut site = broken_site();
        begin(&site);
        let (report, ..) = finish(&mut site, Config::new(SEED, size), |_| ());
        assert_eq!((report.resumed_bytes, report.bytes), (0, size));
    }
}

#[test]
fn a_changed_file_may_be_an_error_that_loses_nothing() {
    let mut site = broken_site();
    begin(&site);
    site.replace_server(Config { etag: EntityTag::Fixed("\"new\"".into()), ..whole() });
    site.options.on_change = OnChange::Fail;
    expect_error(site.run(), ErrorKind::Changed, 10, &["another one"]);
    let (report, ..) = finish(&mut site, whole(), |_| ());
    assert!(report.resumed_bytes >= 2 * MIB, "the old one is still to be had");
}

#[test]
fn a_file_that_changes_meanwhile_starts_over_once() {
    let mut config = whole();
    config.script = vec![Rule::new(When::FromRequest(4), Fault::ETag("\"new\"".into()))];
    let site = site(config);
    assert_eq!(site.succeeds(SIZE).resumed_bytes, 0);
}

#[test]
fn a_file_that_never_holds_still_is_had_in_one_answer_or_not_at_all() {
    let mut config = whole();
    for request in 1..200 {
        let tag = format!("\"{request}\"");
        config.script.push(Rule::once(When::Request(request), Fault::ETag(tag)));
    }
    let strict = site(config.clone()).with(|options| options.on_change = OnChange::Fail);
    expect_error(strict.run(), ErrorKind::Changed, 10, &["ETag"]);
    let (result, told) = site(config).run_aloud(Level::Trace);
    let report = result.expect("one answer is of one version");
    assert!(!report.ranges && told.contains("starting over in one stream"), "{told}");
}

#[test]
fn without_proof_nothing_is_kept() {
    for etag in [EntityTag::Absent, EntityTag::Fixed("W/\"weak\"".into())] {
        let mut config = Config { etag, last_modified: None, ..whole() };
        config.script = vec![refused_from(5 * MIB)];
        let site = site(config);
        site.fails(ErrorKind::Status(404), 8, &[]);
    }
}

#[test]
fn a_digest_is_proof_enough() {
    let none = || Config { etag: EntityTag::Absent, last_modified: None, ..whole() };
    let site = site(Config { script: vec![refused_from(5 * MIB)], ..none() });
    let mut site = site.with(|options| options.checksum = Some(checksum(SEED, SIZE)));
    begin(&site);
    let (report, asked, _) = finish(&mut site, none(), |_| ());
    assert!(report.resumed_bytes >= 2 * MIB, "{}", report.resumed_bytes);
    assert_eq!(asked, SIZE - report.resumed_bytes);
}

#[test]
fn no_resume_and_no_journal_do_as_they_say() {
    let mut site = broken_site();
    begin(&site);
    let (report, asked, _) = finish(&mut site, whole(), |options| options.resume = false);
    assert_eq!((report.resumed_bytes, asked), (0, SIZE));

    let site = broken_site().with(|options| options.journal = false);
    site.fails(ErrorKind::Status(404), 8, &[]);
}

/// Changes a byte of the part file at each of these offsets.
fn damage(site: &Site, offsets: &[u64]) {
    let file = fs::OpenOptions::new().read(true).write(true).open(site.part());
    let file = file.expect("the part file can be written");
    for &offset in offsets {
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).expect("it has this byte");
        file.write_all_at(&[byte[0] ^ 1], offset).expect("it can be written");
    }
    file.sync_all().expect("it can be synced");
}

#[test]
fn damage_on_the_disk_is_found_and_fetched_again() {
    for checksum in [None, Some(checksum(SEED, SIZE))] {
        for direct in [DirectMode::On, DirectMode::Off] {
            // In more runs than there are attempts: all are found in one go.
            for offsets in [&[2 * MIB + 5][..], &[1, MIB, 2 * MIB, 3 * MIB, 4 * MIB - 1]] {
                let mut site = broken_site();
                begin(&site);
                damage(&site, offsets);
                let (report, asked, told) = finish(&mut site, whole(), |options| {
                    (options.checksum, options.direct) = (checksum.clone(), direct);
                });
                assert_eq!(report.verified.is_some(), checksum.is_some());
                assert!(told.contains("not what an earlier run has written"), "{told}");
                assert_eq!(told.matches("fetching them again").count(), 1, "{told}");
                let runs = offsets.len() as u64;
                let missing = SIZE - report.resumed_bytes;
                assert!(asked >= missing, "what is not resumed was fetched");
                assert!(missing <= SIZE - 4 * MIB + 2 * runs * MIB, "not much else: {missing}");
            }
        }
    }
}

#[test]
fn damage_is_found_where_one_stream_goes_on() {
    for checksum in [None, Some(checksum(SEED, SIZE))] {
        let mut site = broken_site();
        begin(&site);
        damage(&site, &[2 * MIB + 5]);
        let config = whole().rule(When::All, Fault::NoRangeSupport);
        let (.., told) = finish(&mut site, config, |options| options.checksum = checksum);
        let is_found = ["not what an earlier run has written", "not those fetched before"];
        assert!(is_found.iter().any(|words| told.contains(words)), "{told}");
    }
}

/// The same size and validator at two paths.
fn two_paths(seeds: [u64; 2]) -> Config {
    let route = |(path, seed): (&str, u64)| Route {
        path: path.into(),
        what: Served::File { seed, size_bytes: SIZE },
    };
    let routes = ["/v1/file.bin", "/v2/file.bin"].into_iter().zip(seeds).map(route).collect();
    Config { routes, etag: EntityTag::Fixed("\"5e-1\"".into()), ..whole() }
}

fn begin_at_v1(config: Config) -> Site {
    let script = vec![refused_from(5 * MIB)];
    let mut site = site(Config { script, ..config.clone() });
    site.path = "/v1/file.bin".into();
    begin(&site);
    site.replace_server(config);
    site.path = "/v2/file.bin".into();
    site
}

#[test]
fn two_resources_with_one_validator_are_not_joined() {
    for seeds in [[SEED, SEED + 1], [SEED + 1, SEED]] {
        let mut site = begin_at_v1(two_paths(seeds));
        site.options.on_change = OnChange::Fail;
        expect_error(site.run(), ErrorKind::Changed, 10, &["two files"]);
        site.options.on_change = OnChange::Restart;
        let (result, told) = site.run_aloud(Level::Note);
        assert_eq!(result.expect("it starts over").resumed_bytes, 0);
        assert_content(&site.target(), seeds[1], SIZE);
        assert!(told.contains("two files") && told.contains("starting over"), "{told}");
    }
}

#[test]
fn one_file_at_two_urls_is_joined_after_a_comparison() {
    for faults in [vec![], vec![Fault::Chunked], vec![Fault::ShorterRange(10_000)]] {
        let mut config = two_paths([SEED, SEED]);
        config.script = faults.iter().map(|fault| Rule::new(When::All, fault.clone())).collect();
        let site = begin_at_v1(config);
        let (result, told) = site.run_aloud(Level::Note);
        let report = result.expect("the same file");
        assert!(report.resumed_bytes >= 2 * MIB, "{}", report.resumed_bytes);
        assert_content(&site.target(), SEED, SIZE);
        assert!(told.contains("samples of what is here are the same there"), "{told}");
        let again = asked_bytes(&site.server, SIZE) - (SIZE - report.resumed_bytes);
        // Two places may overlap.
        assert!((640 * KIB..=MIB).contains(&again), "sixteen samples: {again}");
    }
}

#[test]
fn a_digest_saves_the_comparison_of_two_urls() {
    let config = Config { digests: vec![DigestField::ReprDigestSha256], ..two_paths([SEED, SEED]) };
    let site = begin_at_v1(config);
    let report = site.run().expect("the same file");
    assert!(report.resumed_bytes >= 2 * MIB && report.verified.is_some());
    assert_eq!(asked_bytes(&site.server, SIZE), SIZE - report.resumed_bytes);
}

#[test]
fn a_stream_that_begins_otherwise_changes_no_byte_that_is_here() {
    let config = |flipped: u64| {
        whole()
            .rule(When::FromRequest(6), Fault::NoRangeSupport)
            .rule(When::FromRequest(6), Fault::FlipByte(flipped))
    };
    let site = site(config(10)).with(|options| {
        (options.retries, options.on_change) = (5, OnChange::Fail);
        options.retry_wait = std::time::Duration::from_millis(1);
    });
    expect_error(site.run(), ErrorKind::Changed, 10, &["not those fetched before"]);
    // Started over, all of it is the file that the server has now.
    let site = site.moved(config(10)).with(|options| options.on_change = OnChange::Restart);
    site.run().expect("it starts over");
    let bytes = fs::read(site.target()).unwrap();
    assert_eq!(content::verify(SEED, 0, &bytes), Err(10), "the first byte that differs");
    assert_eq!(content::verify(SEED, 11, &bytes[11..]), Ok(()), "the only one");
}

#[test]
fn a_part_file_that_is_gone_starts_over() {
    let mut site = broken_site();
    begin(&site);
    fs::remove_file(site.part()).unwrap();
    let (report, _, told) = finish(&mut site, whole(), |_| ());
    assert_eq!(report.resumed_bytes, 0);
    assert!(told.contains("the part file is gone"), "{told}");
}

#[test]
fn a_journal_that_is_gone_starts_over() {
    let mut site = broken_site();
    begin(&site);
    fs::remove_file(site.journal()).unwrap();
    assert_eq!(finish(&mut site, whole(), |_| ()).0.resumed_bytes, 0);
}

#[test]
fn a_part_file_that_was_copied_is_checked_and_used() {
    let mut site = broken_site();
    begin(&site);
    let copy = site.folder().join("copy");
    fs::copy(site.part(), &copy).unwrap();
    fs::rename(&copy, site.part()).unwrap();
    let (report, _, told) = finish(&mut site, whole(), |_| ());
    assert!(report.resumed_bytes >= 2 * MIB);
    assert!(told.contains("is not the file the journal was made for"), "{told}");
}

#[test]
fn a_part_file_that_was_cut_short_gives_what_it_has() {
    let mut site = broken_site();
    begin(&site);
    fs::OpenOptions::new().write(true).open(site.part()).unwrap().set_len(2 * MIB).unwrap();
    let (report, ..) = finish(&mut site, whole(), |_| ());
    assert!((MIB..=2 * MIB).contains(&report.resumed_bytes), "{}", report.resumed_bytes);
}

#[test]
fn journals_that_cannot_be_read_are_left_alone() {
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damage: [(&str, Damage); 4] = [
        ("damaged", |mut bytes| {
            bytes.truncate(100);
            bytes
        }),
        ("damaged", |mut bytes| {
            bytes[40] ^= 1;
            bytes
        }),
        ("no journal of ringhaul|is not a journal of ringhaul", |_| b"my diary\n".to_vec()),
        ("damaged|not a journal", |_| Vec::new()),
    ];
    for (words, change) in damage {
        let site = broken_site();
        begin(&site);
        let bytes = change(fs::read(site.journal()).unwrap());
        fs::write(site.journal(), &bytes).unwrap();
        let line = expect_error(site.run(), ErrorKind::TargetUnusable, 14, &[]);
        assert!(words.split('|').any(|word| line.contains(word)), "{line}");
        assert_eq!(fs::read(site.journal()).unwrap(), bytes, "it is as it was");
        assert_eq!(fs::metadata(site.part()).unwrap().len(), SIZE, "so is the part file");
    }
}

#[test]
fn a_server_that_stops_serving_ranges_leads_to_one_stream() {
    let mut config = whole();
    config.script = vec![Rule::new(When::FromRequest(6), Fault::NoRangeSupport)];
    let site = site(config).with(|options| {
        options.retries = 5;
        options.retry_wait = std::time::Duration::from_millis(1);
    });
    let report = site.succeeds(SIZE);
    assert_eq!(report.bytes, SIZE);
    assert!(!report.ranges, "it ended in one stream");
}

#[test]
fn a_resumed_file_may_come_in_one_stream() {
    let mut site = broken_site();
    begin(&site);
    let mut config = whole();
    config.script = vec![Rule::new(When::All, Fault::NoRangeSupport)];
    let (report, ..) =
        finish(&mut site, config, |options| options.checksum = Some(checksum(SEED, SIZE)));
    assert!(report.resumed_bytes >= 2 * MIB && !report.ranges);
}

#[test]
fn a_resumed_file_may_come_from_a_server_that_refuses_ranges() {
    for (code, total) in [(400, None), (403, None), (416, None), (416, Some(SIZE)), (501, None)] {
        let mut site = broken_site();
        begin(&site);
        let mut config = whole();
        let headers = total.map(|total| ("Content-Range".into(), format!("bytes */{total}")));
        let headers = headers.into_iter().collect();
        let refused = Fault::Status { code, headers, body: Vec::new() };
        config.script = vec![Rule::new(When::RangeStartFrom(0), refused)];
        let (report, ..) = finish(&mut site, config, |_| ());
        assert!(report.resumed_bytes >= 2 * MIB && !report.ranges, "{code}: {report:?}");
    }
}

#[test]
fn crc32c_needs_no_reading_back() {
    let site = site(whole()).with(|options| options.digests = vec![Algorithm::Crc32c]);
    let report = site.succeeds(SIZE);
    assert_eq!(report.digests.len(), 1);
    assert!(report.digests[0].starts_with("crc32c:"), "{:?}", report.digests);
}
