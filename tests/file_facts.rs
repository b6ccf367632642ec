//! What a server says of a file beside its bytes: in the report of a download.

mod common;

use common::{SEED, Site};
use ringhaul::FileValidator;
use ringhaul::server::{Config, EntityTag, Fault, Rule, When};

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
