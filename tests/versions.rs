//! Answers of different versions of a file: never joined, whichever field gives them away; and
//! whoever lacks its proof is asked for it.

mod common;

use common::{Place, SEED, Site, distant};
use ringhaul::ErrorKind;
use ringhaul::OnChange;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, EntityTag, Fault, Rule, When};
use std::time::Duration;

/// Twelve spans and a tail.
const SIZE: u64 = 3 * MIB + 7;

type Field = (&'static str, &'static str);
const OLD: Field = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
const NEW: Field = ("Last-Modified", "Sun, 06 Nov 1994 08:49:38 GMT");
/// Less than a minute after the dates above: they are weak.
const CLOSE: Field = ("Date", "Sun, 06 Nov 1994 08:50:00 GMT");
/// Long after them: they are strong.
const LATER: Field = ("Date", "Sun, 06 Nov 2022 08:49:37 GMT");

fn site(config: Config, connections: u32) -> Site {
    Site::strict(config).with(|options| {
        options.connections = Some(connections);
        options.chunk_bytes = Some(256 * KIB);
        options.retry_wait = Duration::from_millis(1);
    })
}

fn fields(when: When, fields: &[Field]) -> Rule {
    let owned = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Rule::new(when, Fault::Fields(owned.collect()))
}

/// A server that says nothing of its file by itself.
fn mute(script: Vec<Rule>) -> Config {
    Config { etag: EntityTag::Absent, script, ..Config::new(SEED, SIZE) }
}

fn replaced_from(request: u64) -> Rule {
    let replaced = Fault::Replaced { seed: SEED + 1, size_bytes: SIZE };
    Rule::new(When::FromRequest(request), replaced)
}

/// The first two answers say this of one file, and all later ones that of another of its size.
fn two_versions(first: &[Field], later: &[Field]) -> Config {
    mute(vec![
        fields(When::Request(1), first),
        fields(When::Request(2), first),
        fields(When::FromRequest(3), later),
        replaced_from(3),
    ])
}

/// The change is an error, or a new start with the new file; never a file of both.
#[track_caller]
fn is_noticed(config: &Config) {
    let strict = site(config.clone(), 1).with(|options| options.request_ahead = false);
    strict.fails(ErrorKind::Changed, 10, &["127.0.0.1", "(server side)"]);

    let lenient = site(config.clone(), 1).with(|options| options.on_change = OnChange::Restart);
    let report = lenient.run().expect("the new file is there for whoever starts over");
    assert_eq!(report.bytes, SIZE);
    lenient.assert_whole(SEED + 1, SIZE);
}

// --- what gives another version away ---

#[test]
fn a_weak_date_that_changes() {
    is_noticed(&two_versions(&[OLD], &[NEW]));
    is_noticed(&two_versions(&[OLD, CLOSE], &[NEW, CLOSE]));
}

#[test]
fn a_strong_date_that_goes() {
    is_noticed(&two_versions(&[OLD, LATER], &[]));
}

#[test]
fn a_strong_date_that_gives_way_to_a_tag() {
    is_noticed(&two_versions(&[OLD, LATER], &[("ETag", "\"b\""), LATER]));
}

#[test]
fn a_strong_date_beside_tags_that_change() {
    is_noticed(&mute(vec![
        fields(When::All, &[OLD, LATER]),
        fields(When::Request(2), &[("ETag", "\"a\"")]),
        fields(When::FromRequest(3), &[("ETag", "\"b\"")]),
        replaced_from(3),
    ]));
}

#[test]
fn nothing_first_and_then_tags_that_change() {
    is_noticed(&mute(vec![
        fields(When::Request(2), &[("ETag", "\"a\"")]),
        fields(When::FromRequest(3), &[("ETag", "\"b\"")]),
        replaced_from(3),
    ]));
}

#[test]
fn a_weak_tag_that_goes() {
    is_noticed(&two_versions(&[("ETag", "W/\"a\"")], &[]));
}

#[test]
fn a_weak_tag_that_stays_while_the_date_changes() {
    is_noticed(&two_versions(&[("ETag", "W/\"a\""), OLD], &[("ETag", "W/\"a\""), NEW]));
}

#[test]
fn tags_without_quotes_that_change() {
    is_noticed(&two_versions(&[("ETag", "a")], &[("ETag", "b")]));
}

#[test]
fn digests_that_change() {
    const A: Field = ("Repr-Digest", "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:");
    const B: Field = ("Repr-Digest", "sha-256=:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:");
    let script =
        vec![fields(When::Request(2), &[A]), fields(When::FromRequest(3), &[B]), replaced_from(3)];
    let strict = site(mute(script.clone()), 1).with(|options| options.request_ahead = false);
    strict.fails(ErrorKind::Changed, 10, &["sha256", "Repr-Digest", "--no-verify"]);
    // Whoever distrusts the server's digests is not stopped by them.
    let script = script[..2].to_vec();
    site(mute(script), 1).with(|options| options.verify = false).succeeds(SIZE);
}

// --- who lacks its proof is asked for it ---

/// From the third request on nothing is said of the version.
fn hiding(config: Config) -> Config {
    config.rule(When::FromRequest(3), Fault::HideValidators)
}

fn dated(config: Config) -> Config {
    let last_modified = Some(OLD.1.to_owned());
    let script = vec![fields(When::All, &[LATER])];
    Config { etag: EntityTag::Absent, last_modified, script, ..config }
}

#[test]
fn a_validator_that_is_missing_is_asked_for() {
    let plain = || Config::new(SEED, SIZE);
    for config in [plain(), dated(plain()), Config::new_tls(SEED, SIZE), distant(plain())] {
        for connections in [1, 3] {
            let site = site(hiding(config.clone()), connections);
            let report = site.succeeds(SIZE);
            assert!(report.ranges && report.retries == 0, "{report:?}");
            let log = site.server.stats().log;
            let is_asked: Vec<bool> =
                log.iter().map(|request| request.head.contains("If-Range: ")).collect();
            assert!(!is_asked[0] && !is_asked[1], "not before it is needed");
            // Each connection may have one answer under way and one request ahead by then.
            let unasked = is_asked.iter().filter(|is_asked| !**is_asked).count();
            assert!(unasked <= 2 + 2 * connections as usize, "{is_asked:?}");
        }
    }
}

#[test]
fn what_is_asked_for_and_denied_is_a_change() {
    for config in [Config::new(SEED, SIZE), dated(Config::new(SEED, SIZE))] {
        let mut config = hiding(config);
        config.script.push(replaced_from(3));
        if config.last_modified.is_some() {
            // The date of what is there now; the first two answers have another one.
            config.last_modified = Some(NEW.1.to_owned());
            for request in 1..3 {
                config.script.push(Rule::new(When::Request(request), Fault::HideValidators));
                config.script.push(fields(When::Request(request), &[OLD]));
            }
        }
        is_noticed(&config);
    }
}

#[test]
fn a_server_that_knows_no_conditions_vouches_with_each_part() {
    let config = hiding(Config::new(SEED, SIZE)).rule(When::All, Fault::IgnoreConditions);
    site(config, 3).succeeds(SIZE);
}

#[test]
fn the_answers_of_a_new_url_are_held_against_the_first_one() {
    let expiring = Fault::ExpiringRedirect { requests: 4 };
    let expiring = Rule::new(When::PathPrefix("/file".into()), expiring);
    let at = When::Signature;
    let replaced = Fault::Replaced { seed: SEED + 1, size_bytes: SIZE };
    // All URLs but the first one, each of which is good for four of some thirteen spans.
    let later = |fault: Fault| (2..9).map(move |number| Rule::new(at(number), fault.clone()));
    for connections in [1, 3] {
        let script = [expiring.clone()].into_iter().chain(later(Fault::HideValidators));
        let config = Config { script: script.collect(), ..Config::new(SEED, SIZE) };
        site(config.clone(), connections).succeeds(SIZE);

        let mut other = config;
        other.script.extend(later(replaced.clone()));
        site(other, connections).fails(ErrorKind::Changed, 10, &["another one by now"]);

        let weak = |number, field| fields(at(number), &[field]);
        let mut script = vec![expiring.clone(), weak(1, OLD)];
        script.extend((2..9).map(|number| weak(number, NEW)).chain(later(replaced.clone())));
        site(mute(script), connections).fails(ErrorKind::Changed, 10, &["Last-Modified"]);
    }
}

#[test]
fn servers_that_never_agree_are_asked_for_one_stream_in_the_end() {
    // Two nodes behind one name, with tags of their own for the same file.
    let tag = |n: u64| format!("\"{}\"", n % 2);
    let nodes = (1..100).map(|n| Rule::new(When::Request(n), Fault::ETag(tag(n))));
    let config = Config { script: nodes.collect(), ..Config::new(SEED, SIZE) };
    let site = site(config, 1).with(|options| options.on_change = OnChange::Restart);
    let report = site.succeeds(SIZE);
    assert!(!report.ranges, "{report:?}");
}
