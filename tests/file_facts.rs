//! What a server says of a file beside its bytes: in the report of a download, and as the file's
//! time.

mod common;

use common::run::{listen, told};
use common::{Place, SEED, Site, status};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, EntityTag, Fault, Rule, When};
use ringhaul::{DirectMode, FileValidator, Level};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SIZE: u64 = 300_000;
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn config() -> Config {
    let last_modified = Some(DATE.to_owned());
    let etag = EntityTag::Fixed("\"v1\"".to_owned());
    Config { last_modified, etag, ..Config::new(SEED, SIZE) }
}

/// A file that comes in ranges, in one stream, and in one stream of unknown length.
fn all_ways(config: &Config) -> [Config; 3] {
    let with = |faults: &[Fault]| {
        let rules = faults.iter().map(|fault| Rule::new(When::All, fault.clone()));
        let script = config.script.iter().cloned().chain(rules).collect();
        Config { script, ..config.clone() }
    };
    [with(&[]), with(&[Fault::NoRangeSupport]), with(&[Fault::NoRangeSupport, Fault::Chunked])]
}

#[test]
fn the_report_says_which_version_of_the_file_came() {
    let fixed = |tag: &str| EntityTag::Fixed(tag.to_owned());
    let etag = |tag: &str| Some(FileValidator::Etag(tag.to_owned()));
    let date = Some(FileValidator::LastModified(DATE.to_owned()));
    for (tag, last_modified, expected) in [
        (fixed("\"v1\""), Some(DATE), etag("\"v1\"")),
        (fixed("W/\"v1\""), Some(DATE), etag("W/\"v1\"")),
        (fixed("no tag"), Some(DATE), date.clone()),
        (EntityTag::Absent, Some(DATE), date),
        (fixed("\"v1\""), None, etag("\"v1\"")),
        (EntityTag::Absent, None, None),
    ] {
        let last_modified = last_modified.map(str::to_owned);
        let is_dated = last_modified.is_some();
        for config in all_ways(&Config { etag: tag.clone(), last_modified, ..config() }) {
            let site = Site::strict(config);
            let report = site.run().expect("a good server");
            assert_eq!(report.validator, expected, "{tag:?}");
            assert_eq!(report.last_modified.as_deref(), is_dated.then_some(DATE));
            assert_eq!(report.url.to_string(), site.url(&site.path));
        }
    }
}

#[test]
fn the_report_says_where_redirects_have_led() {
    for config in all_ways(&config()) {
        let location = "/there/file".to_owned();
        let redirect = Fault::Redirect { status: 302, location };
        let site = Site::strict(config.rule(When::PathPrefix("/file.bin".into()), redirect));
        assert_eq!(site.run().expect("a good server").url.to_string(), site.url("/there/file"));
    }
}

#[test]
fn an_empty_file_has_a_version_too() {
    for config in all_ways(&Config { size_bytes: 0, ..config() }) {
        let report = Site::strict(config).run().expect("a good server");
        assert_eq!((report.bytes, report.last_modified.as_deref()), (0, Some(DATE)));
        assert_eq!(report.validator, Some(FileValidator::Etag("\"v1\"".to_owned())));
    }
}

/// When the site's file was last changed.
fn time_of(site: &Site) -> SystemTime {
    let meta = fs::metadata(site.target()).expect("the file is there");
    meta.modified().expect("files have times")
}

/// What [`DATE`] names.
fn date() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

#[test]
fn the_files_time_is_the_servers_if_wanted() {
    for direct in [DirectMode::Off, DirectMode::On] {
        for size_bytes in [0, SIZE] {
            for config in all_ways(&Config { size_bytes, ..config() }) {
                // Nobody writes directly where the size is not known beforehand.
                let knows_size = !config.script.iter().any(|rule| rule.what == Fault::Chunked);
                let direct = if knows_size { direct } else { DirectMode::Off };
                let site = Site::strict(config).with(|options| options.direct = direct);
                let began = SystemTime::now() - Duration::from_secs(2);
                site.run().expect("a good server");
                assert!(time_of(&site) > began, "nobody has asked for another time");
                let site = site.with(|options| (options.remote_time, options.force) = (true, true));
                let (result, told) = site.run_aloud(Level::Detail);
                result.expect("a good server");
                assert_eq!(time_of(&site), date(), "{told}");
                site.assert_whole(SEED, size_bytes);
                assert!(!told.contains("time of its download"), "{told}");
            }
        }
    }
}

#[test]
fn without_a_date_the_time_stays_and_only_details_say_so() {
    for (last_modified, words) in [
        (None, "the server sends no Last-Modified"),
        (Some("yesterday".to_owned()), "the server's Last-Modified is no date"),
    ] {
        for config in all_ways(&Config { last_modified, ..config() }) {
            let site = Site::strict(config).with(|options| options.remote_time = true);
            let began = SystemTime::now() - Duration::from_secs(2);
            let (result, events) = listen(site.download());
            result.expect("a good server");
            assert!(time_of(&site) > began);
            let line = format!("{words}: the file keeps the time of its download");
            assert!(told(&events, Level::Detail).contains(&line), "{line}");
            assert!(!told(&events, Level::Note).contains(&line), "only who wants to know much");
        }
    }
}

#[test]
fn a_resumed_file_gets_the_servers_time_too() {
    let size_bytes = 4 * MIB;
    let good = Config { size_bytes, ..config() };
    let gone = Rule::new(When::RangeStartFrom(2 * MIB), status(404, ""));
    let mut site = Site::strict(Config { script: vec![gone], ..good.clone() }).with(|options| {
        (options.connections, options.chunk_bytes) = (Some(1), Some(512 * KIB));
        options.remote_time = true;
    });
    site.run().expect_err("its end is gone");
    site.assert_left_for_later();
    site.replace_server(good.clone());
    let report = site.run().expect("all of it is there now");
    assert!(report.resumed_bytes > 0);
    assert_eq!(time_of(&site), date());
    site.assert_whole(SEED, size_bytes);
}
