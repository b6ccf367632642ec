//! One file from several sources: shared by what each delivers, whichever of them fails or lies.

mod common;

use common::{Place, SEED, Site, serve, slowed, status};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, Metalink, Mirror, Paths, Rule, Server, When, content};
use ringhaul::{Algorithm, Checksum, ErrorKind, Level, MirrorPolicy, Part, Report, Url};
use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::time::Duration;

const SIZE: u64 = 10 * MIB + 5;
/// Bytes that a source has sent when it fails, in the middle of its share.
const AMID: u64 = MIB + 512 * KIB;
/// Of one server, bytes per second.
const RATE: u64 = 16 * MIB;

/// Several servers, the first of which is the site's own.
struct Mirrors {
    site: Site,
    others: Vec<Server>,
}

impl Mirrors {
    /// Retries are of no use here: what one source fails to give comes from another one.
    fn start(first: Config, others: Vec<Config>) -> Self {
        let others: Vec<Server> = others.into_iter().map(serve).collect();
        let site = Site::start(first).with(|options| {
            options.mirrors = others.iter().map(|server| url(server, "/file.bin")).collect();
            options.retries = 0;
        });
        Self { site, others }
    }

    fn equal(count: usize) -> Self {
        Self::start(good(), vec![good(); count - 1])
    }

    #[track_caller]
    fn succeeds(&self) -> Report {
        let report = self.site.run().expect("the sources have the file between them");
        self.site.assert_whole(SEED, SIZE);
        report
    }

    /// What was said, and the report.
    #[track_caller]
    fn succeeds_aloud(&self) -> (Report, String) {
        let (result, told) = self.site.run_aloud(Level::Note);
        let report = result.expect("the sources have the file between them");
        self.site.assert_whole(SEED, SIZE);
        (report, told)
    }
}

fn url(server: &Server, path: &str) -> Url {
    Url::parse(&server.url(path)).expect("a URL")
}

fn good() -> Config {
    slowed(Config::new(SEED, SIZE), RATE)
}

fn with(script: Vec<Rule>) -> Config {
    Config { script, ..good() }
}

/// Serves another file of the same size.
fn liar() -> Config {
    slowed(Config::new(SEED + 1, SIZE), RATE)
}

/// A port where nobody listens.
fn dead() -> Url {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("a bound socket has an address");
    Url::parse(&format!("http://{address}/file.bin")).expect("a URL")
}

fn shares(report: &Report) -> Vec<u64> {
    report.sources.iter().map(|source| source.bytes * 100 / SIZE).collect()
}

// --- sharing the work ---

#[test]
fn equal_sources_bring_equal_shares() {
    let slow = slowed(good(), 3 * MIB);
    let mirrors = Mirrors::start(slow.clone(), vec![slow; 2]);
    let report = mirrors.succeeds();
    assert!(shares(&report).iter().all(|share| (20..=50).contains(share)), "{report:#?}");
    assert!(report.is_compared && report.retries == 0, "{report:#?}");
    // Beside the file: the first answer of each, and samples of what each has brought.
    let sent: u64 = mirrors.others.iter().map(|server| server.stats().body_bytes).sum();
    let sent = sent + mirrors.site.stats().body_bytes;
    assert!(sent <= SIZE + 3 * (2 * MIB), "{sent} bytes for {SIZE}");
}

#[test]
fn a_slow_source_is_used_for_what_it_brings_and_holds_nobody_up() {
    let at = |rate| slowed(good(), rate);
    let mirrors = Mirrors::start(at(4 * MIB), vec![at(4 * MIB), at(MIB / 2)]);
    let report = mirrors.succeeds();
    let ideal = SIZE as f64 / (8.5 * MIB as f64);
    assert!(report.elapsed.as_secs_f64() < ideal + 2.0, "{ideal} s: {report:#?}");
    assert!(shares(&report)[2] < 20, "{report:#?}");
}

#[test]
fn with_one_connection_one_source_is_asked() {
    let mirrors = Mirrors::equal(3);
    let site = mirrors.site.with(|options| options.connections = Some(1));
    let report = site.run().expect("one source is enough");
    site.assert_whole(SEED, SIZE);
    assert_eq!(report.sources.iter().filter(|source| source.bytes > 0).count(), 1, "{report:#?}");
    assert!(!report.is_compared);
}

#[test]
fn failover_asks_the_next_one_only_once_the_first_has_failed() {
    let policy = |options: &mut ringhaul::Options| options.mirror_policy = MirrorPolicy::Failover;
    let mirrors = Mirrors::equal(2);
    let site = mirrors.site.with(policy);
    site.run().expect("the first one is enough");
    assert_eq!(mirrors.others[0].stats().requests, 0);

    let gone = Rule::new(When::FromBodyBytes(AMID), Fault::ServerGone);
    let mut mirrors = Mirrors::start(with(vec![gone]), vec![good()]);
    mirrors.site = mirrors.site.with(policy).with(|options| options.retries = 3);
    let report = mirrors.succeeds();
    assert!(shares(&report).iter().all(|share| *share > 0), "{report:#?}");
}

#[test]
fn the_best_one_is_kept_after_a_trial() {
    let slow = slowed(good(), MIB / 2);
    let mut mirrors = Mirrors::start(slow.clone(), vec![slowed(good(), 3 * MIB), slow]);
    mirrors.site = mirrors.site.with(|options| options.mirror_policy = MirrorPolicy::Best);
    let report = mirrors.succeeds();
    assert!(shares(&report)[1] > 60, "{report:#?}");
}

// --- failing over ---

/// The source fails so after a part of its share; the others bring the rest.
#[track_caller]
fn outlives(fault: Fault) -> Report {
    let rule = Rule::new(When::FromBodyBytes(AMID), fault);
    let mirrors = Mirrors::start(good(), vec![with(vec![rule]), good()]);
    let report = mirrors.succeeds();
    let failed = &report.sources[1];
    assert!(failed.bytes > 0 && failed.failures > 0 && failed.error.is_some(), "{report:#?}");
    let again: u64 = mirrors.others.iter().map(|server| server.stats().body_bytes).sum();
    let sent = again + mirrors.site.stats().body_bytes;
    // What was on its way when it failed, the first answers and the samples.
    assert!(sent <= SIZE + 8 * MIB, "{sent} bytes for {SIZE}: {report:#?}");
    report
}

#[test]
fn a_source_that_is_gone() {
    outlives(Fault::ServerGone);
}

#[test]
fn a_source_that_forgets_the_file() {
    outlives(status(404, "gone"));
}

#[test]
fn a_source_that_refuses() {
    outlives(status(403, "no"));
}

#[test]
fn a_source_that_breaks_down() {
    outlives(status(503, "overloaded"));
}

#[test]
fn a_source_whose_file_changes() {
    outlives(Fault::Replaced { seed: SEED + 7, size_bytes: SIZE });
}

#[test]
fn a_source_whose_file_gets_another_size() {
    outlives(Fault::WrongTotal(SIZE - 1));
}

#[test]
fn a_source_that_stops_to_serve_ranges() {
    outlives(Fault::IgnoreRange);
}

#[test]
fn a_source_that_falls_silent() {
    let rule = Rule::new(When::FromBodyBytes(AMID), Fault::ServerSilent);
    let mirrors = Mirrors::start(good(), vec![with(vec![rule]), good()]);
    let report = mirrors.succeeds();
    assert!(report.elapsed < Duration::from_secs(12), "{report:#?}");
}

#[test]
fn the_first_source_may_fail_like_any_other() {
    let gone = Rule::new(When::FromBodyBytes(AMID), Fault::ServerGone);
    Mirrors::start(with(vec![gone]), vec![good(), good()]).succeeds();
}

#[test]
fn sources_that_are_dead_from_the_start_cost_nothing() {
    let mut mirrors = Mirrors::equal(3);
    let options = &mut mirrors.site.options;
    options.mirrors = [vec![dead(), dead(), dead()], options.mirrors.clone()].concat();
    let report = mirrors.succeeds();
    assert!(report.elapsed < Duration::from_secs(8), "{report:#?}");

    // The first one as well.
    let mirrors = Mirrors::equal(2);
    let download = ringhaul::Download::new(&dead().to_string()).expect("a URL");
    let options = ringhaul::Options {
        mirrors: vec![url(&mirrors.site.server, "/file.bin"), url(&mirrors.others[0], "/file.bin")],
        ..mirrors.site.options.clone()
    };
    let path = mirrors.site.home.path().join("out/file.bin");
    let report = download.output(path).options(options).run().expect("two are alive");
    assert_eq!(report.bytes, SIZE);
}

#[test]
fn a_source_that_failed_is_used_again_once_it_is_back() {
    // It answers 503 to two requests in the middle of the transfer.
    let refused = (4..6).map(|n| Rule::new(When::Request(n), status(503, "later")));
    let slow = |config: Config| slowed(config, MIB);
    let mirrors = Mirrors::start(slow(with(refused.collect())), vec![slow(good())]);
    let report = mirrors.succeeds();
    mirrors.site.assert_fired();
    assert!(shares(&report)[0] > 20, "{report:#?}");
}

#[test]
fn once_all_are_gone_the_error_names_each_cause() {
    let first = Config { script: vec![Rule::new(When::All, status(404, "no"))], ..good() };
    let second = Config { script: vec![Rule::new(When::All, status(410, "gone"))], ..good() };
    let mirrors = Mirrors::start(first, vec![second]);
    let port = mirrors.others[0].address().port().to_string();
    mirrors.site.fails(ErrorKind::Status(404), 8, &["no source", "404", "410", &port]);

    // In the middle.
    let gone = |bytes| vec![Rule::new(When::FromBodyBytes(bytes), Fault::ServerGone)];
    let mirrors = Mirrors::start(with(gone(AMID)), vec![with(gone(AMID))]);
    let error = mirrors.site.run().expect_err("nobody is left");
    let line = error.to_string();
    let ports = [&mirrors.site.server, &mirrors.others[0]].map(|s| s.address().port().to_string());
    assert!(line.contains("no source") && ports.iter().all(|p| line.contains(p)), "{line}");
    mirrors.site.assert_nothing_left();
}

// --- the same file? ---

#[test]
fn the_only_one_with_another_file_is_left_out_and_named() {
    let mirrors = Mirrors::start(good(), vec![liar(), good()]);
    let (report, told) = mirrors.succeeds_aloud();
    let port = mirrors.others[0].address().port().to_string();
    assert!(told.lines().any(|line| line.contains(&port) && line.contains("left out")), "{told}");
    assert!(report.sources.iter().all(|s| s.bytes == 0 || !s.url.to_string().contains(&port)));
}

#[test]
fn the_first_one_is_outvoted() {
    // It is the fastest, so that the transfer begins with it.
    let mirrors = Mirrors::start(liar(), {
        let mut late = good();
        late.shape.first_byte_delay = Duration::from_millis(60);
        vec![late; 3]
    });
    let (report, told) = mirrors.succeeds_aloud();
    let port = mirrors.site.port().to_string();
    assert!(told.contains(&port) && told.contains("serves another file"), "{told}");
    assert!(!report.sources.iter().any(|source| source.url.to_string().contains(&port)));
}

#[test]
fn where_nobody_can_say_who_is_right_there_is_no_file() {
    let mirrors = Mirrors::start(good(), vec![liar()]);
    let ports = [&mirrors.site.server, &mirrors.others[0]].map(|s| s.address().port().to_string());
    mirrors.site.fails(ErrorKind::Changed, 10, &["two files", "--checksum", &ports[0], &ports[1]]);
}

#[test]
fn a_digest_says_who_is_right() {
    for is_first in [true, false] {
        let (first, other) = if is_first { (liar(), good()) } else { (good(), liar()) };
        let mut mirrors = Mirrors::start(first, vec![other]);
        mirrors.site.options.checksum = Some(common::checksum(SEED, SIZE));
        let report = mirrors.succeeds();
        assert!(report.verified.is_some() && !report.is_compared, "{report:#?}");
    }
}

#[test]
fn a_source_of_another_size_is_left_out() {
    let shorter = slowed(Config::new(SEED, SIZE - 1), RATE);
    let mirrors = Mirrors::start(good(), vec![shorter, good()]);
    let (report, told) = mirrors.succeeds_aloud();
    let port = mirrors.others[0].address().port().to_string();
    assert!(told.lines().any(|line| line.contains(&port) && line.contains("left out")), "{told}");
    assert!(report.sources.iter().all(|s| s.bytes == 0 || !s.url.to_string().contains(&port)));
}

#[test]
fn a_file_that_differs_further_on_is_found_by_samples() {
    // What is compared at first is right.
    let spoilt = with(vec![Rule::new(When::All, Fault::FlipBytes(2 * MIB..SIZE))]);
    let mirrors = Mirrors::start(good(), vec![spoilt, good()]);
    let (report, told) = mirrors.succeeds_aloud();
    let port = mirrors.others[0].address().port().to_string();
    assert!(told.contains(&port) && told.contains("serves another file"), "{told}");
    assert!(report.sources.iter().all(|source| !source.url.to_string().contains(&port)));
}

#[test]
fn one_wrong_byte_is_found_by_the_digest_and_one_source_alone_is_asked() {
    let spoilt = with(vec![Rule::new(When::All, Fault::FlipBytes(2 * MIB..SIZE))]);
    let mut mirrors = Mirrors::start(good(), vec![spoilt]);
    mirrors.site.options.checksum = Some(common::checksum(SEED, SIZE));
    let (report, told) = mirrors.succeeds_aloud();
    assert!(told.contains("alone"), "{told}");
    assert!(report.verified.is_some());
}

/// The bytes of a file that ranges name, and the digest of these.
fn picked(ranges: &[Range<u64>]) -> (Vec<u8>, Checksum) {
    let mut bytes = Vec::new();
    for Range { start, end } in ranges {
        let mut range = vec![0; usize::try_from(end - start).expect("it fits the memory")];
        content::fill(SEED, *start, &mut range);
        bytes.append(&mut range);
    }
    let mut hasher = Algorithm::Sha256.hasher();
    hasher.update(&bytes);
    let digest = format!("sha256:{}", hasher.finish());
    (bytes, digest.parse().expect("a digest"))
}

/// The ranges of a part, by the words of the command line and as spans.
const PART: &str = "1000001-8999999,5-9";
const PART_SPANS: [Range<u64>; 2] = [1_000_001..9_000_000, 5..10];

#[test]
fn a_part_comes_right_though_one_source_lies_or_dies() {
    let (bytes, digest) = picked(&PART_SPANS);
    let dying = |fault| with(vec![Rule::new(When::FromBodyBytes(AMID), fault)]);
    // Which other sources there are, and whether the digest says who is right.
    for (first, others, is_told) in [
        (good(), vec![liar(), good()], false),
        (liar(), vec![good()], true),
        (dying(Fault::ServerGone), vec![good()], true),
        (good(), vec![dying(Fault::ServerSilent), good()], false),
    ] {
        let mirrors = Mirrors::start(first, others);
        let site = mirrors.site.with(|options| {
            options.part = PART.parse().map(Part::packed).ok();
            options.checksum = is_told.then(|| digest.clone());
            options.stall_timeout = Duration::from_millis(300);
        });
        let report = site.run().expect("the sources have the part between them");
        assert_eq!((report.bytes, report.verified.is_some()), (bytes.len() as u64, is_told));
        assert!(fs::read(site.target()).expect("the file") == bytes, "{report:#?}");
    }
}

#[test]
fn a_part_at_its_place_comes_right_though_one_source_lies() {
    let (bytes, digest) = picked(&PART_SPANS);
    for is_first in [true, false] {
        let (first, other) = if is_first { (liar(), good()) } else { (good(), liar()) };
        let mirrors = Mirrors::start(first, vec![other]);
        let site = mirrors.site.with(|options| {
            options.part = PART.parse().map(Part::of).ok();
            options.checksum = Some(digest.clone());
        });
        fs::write(site.target(), vec![0; usize::try_from(SIZE).expect("it fits")]).expect("a file");
        let download = site.download().output_in_place(site.target());
        let report = common::bounded("the download", move || download.run());
        assert!(report.expect("one is right").verified.is_some());
        let file = fs::read(site.target()).expect("the file");
        assert!(file[1_000_001..9_000_000] == bytes[..bytes.len() - 5]);
        // What is rounded up to is not in the digest, and is right all the same.
        assert_eq!(content::verify(SEED, 999_424, &file[999_424..9_003_008]), Ok(()));
        assert_eq!(content::verify(SEED, 0, &file[..4096]), Ok(()));
    }
}

#[test]
fn a_part_of_one_source_is_gone_on_with_from_another() {
    let mirrors = Mirrors::equal(1);
    let mut site = mirrors.site;
    site.server.stop();
    let gone = Rule::new(When::FromBodyBytes(5 * MIB), Fault::ServerGone);
    site.replace_server(with(vec![gone]));
    site.run().expect_err("the only source is gone");
    let other = serve(good());
    site.options.mirrors = vec![url(&other, "/file.bin")];
    let report = site.run().expect("the mirror has the rest");
    site.assert_whole(SEED, SIZE);
    assert!(report.resumed_bytes > 2 * MIB, "{report:#?}");
}

// --- mirrors that a server names ---

/// Describes itself and `others` in its answers.
fn naming(others: &[&Server]) -> Config {
    let mirror = |root: String| Mirror { root, priority: 1, location: None };
    let mirrors = others.iter().map(|server| mirror(server.url("").trim_end_matches('/').into()));
    let metalink = Metalink { pieces: None, ..Metalink::new(mirrors.collect()) };
    Config { metalink: Some(metalink), ..good() }
}

#[test]
fn mirrors_that_the_server_names_are_used_unless_that_is_not_wanted() {
    let other = serve(good());
    let site = Site::start(naming(&[&other]));
    let report = site.run().expect("two sources");
    site.assert_whole(SEED, SIZE);
    assert_eq!(report.sources.len(), 2, "{report:#?}");
    assert!(report.sources[1].bytes > SIZE / 5, "{report:#?}");

    let requests = other.stats().requests;
    let site = site.with(|options| (options.links, options.force) = (false, true));
    site.run().expect("one source");
    assert_eq!(other.stats().requests, requests);
}

#[test]
fn mirrors_named_by_a_server_never_outvote_it() {
    let liars = [serve(liar()), serve(liar())];
    let site = Site::start(naming(&[&liars[0], &liars[1]]));
    let (result, told) = site.run_aloud(Level::Note);
    result.expect("the server itself is right");
    site.assert_whole(SEED, SIZE);
    assert_eq!(told.matches("left out").count(), 2, "{told}");
}

#[test]
fn secrets_stay_with_the_first_origin() {
    let mirrors = Mirrors::equal(2);
    let headers = [("Authorization", "Bearer secret"), ("X-Tag", "harmless")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let site = mirrors.site.with(|options| options.headers = headers.to_vec());
    site.run().expect("two sources");
    assert!(site.heads().iter().all(|head| head.contains("Bearer secret")));
    let heads: Vec<String> =
        mirrors.others[0].stats().log.into_iter().map(|entry| entry.head).collect();
    assert!(!heads.is_empty());
    assert!(heads.iter().all(|head| head.contains("harmless") && !head.contains("secret")));
}

#[test]
fn ten_thousand_urls_are_not_all_asked() {
    let mut mirrors = Mirrors::equal(2);
    let server = &mirrors.others[0];
    let many = (0..10_000).map(|n| url(server, &format!("/file.bin?{n}")));
    mirrors.site.options.mirrors = many.collect();
    let report = mirrors.succeeds();
    let used = report.sources.iter().filter(|source| source.bytes > 0).count();
    assert!((2..=8).contains(&used), "{used}");
}

#[test]
fn small_files_have_mirrors_too() {
    let size = 100 * KIB;
    let config = Config { paths: Paths::Alike, ..Config::new(SEED, size) };
    let mirrors = Mirrors::start(config.clone(), vec![config]);
    mirrors.site.succeeds(size);
}

#[test]
fn a_large_file_of_a_list_is_fetched_from_all_its_sources() {
    let scene = common::Scene::new();
    let size = 40 * MIB;
    let servers = [SEED, SEED].map(|seed| serve(slowed(Config::new(seed, size), 16 * MIB)));
    let line = servers.each_ref().map(|server| server.url("/big.bin")).join("\t");
    std::fs::write(scene.path().join("list"), line).expect("a list");
    scene.run(&["-i", "list"]).success();
    common::assert_content(&scene.path().join("big.bin"), SEED, size);
    let sent = servers.each_ref().map(|server| server.stats().body_bytes);
    assert!(sent.iter().all(|sent| *sent > size / 5), "{sent:?}");
}
