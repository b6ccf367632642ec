//! Metalinks on the command line: what they describe is fetched, from all that they name.

mod common;

use common::{Ended, SEED, Scene, assert_content, names, serve, sha256_digits, slowed, status};
use ringhaul::Algorithm;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{
    Config, DigestField, Fault, LinksOn, Metalink, Mirror, RangeAsked, Rule, Server, Stats, When,
    content,
};
use std::fs;

const SIZE: u64 = 4 * MIB + 3;

/// `count` servers of one file, each of which describes it.
fn mirrors(count: usize) -> Vec<Server> {
    let config = Config {
        metalink: Some(Metalink::new(Vec::new())),
        ..slowed(Config::new(SEED, SIZE), 8 * MIB)
    };
    Server::start_mirrors(vec![config; count]).expect("the servers start")
}

/// A Metalink of one file, with what is given inside of it.
fn describing(name: &str, inside: &str) -> String {
    let namespace = "urn:ietf:params:xml:ns:metalink";
    format!("<metalink xmlns=\"{namespace}\"><file name=\"{name}\">{inside}</file></metalink>")
}

fn url(server: &Server, path: &str) -> String {
    format!("<url>{}</url>", server.url(path))
}

#[test]
fn a_url_that_ends_like_a_metalink_is_acted_on() {
    let (scene, servers) = (Scene::new(), mirrors(2));
    for version in ["meta4", "metalink"] {
        let described = servers[0].url(&format!("/model.bin.{version}"));
        let ended = scene.run(&[&described, "-o", version]);
        ended.success();
        assert!(ended.stderr.contains("of 2 sources"), "{}", ended.stderr);
        let digits = sha256_digits(SEED, SIZE);
        assert!(ended.stderr.contains(&format!("verified sha256:{digits}")), "{}", ended.stderr);
        assert_content(&scene.path().join(version), SEED, SIZE);
    }
}

#[test]
fn who_wants_the_metalink_itself_can_have_it() {
    let (scene, servers) = (Scene::new(), mirrors(1));
    let described = servers[0].url("/model.bin.meta4");
    scene.run(&[&described, "--metalink", "off"]).success();
    scene.run(&[&described, "-o", "mine.meta4"]).success();
    for name in ["model.bin.meta4", "mine.meta4"] {
        let text = fs::read_to_string(scene.path().join(name)).expect("the Metalink");
        assert!(text.contains("<metalink") && text.contains("<pieces"), "{text}");
    }
    assert_eq!(names(scene.path()), ["mine.meta4", "model.bin.meta4"]);
}

#[test]
fn a_file_that_turns_out_to_be_a_metalink_is_acted_on() {
    let (scene, server) = (Scene::new(), Server::start(Config::new(SEED, SIZE)).expect("starts"));
    let text = describing("a.bin", &url(&server, "/a.bin"));
    let answer = |content_type: &str| {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        let answer = Fault::Status { code: 200, headers, body: text.clone().into() };
        Config { script: vec![Rule::new(When::All, answer)], ..Config::new(SEED, SIZE) }
    };
    let typed = Server::start(answer("application/metalink4+xml")).expect("starts");
    scene.run(&[&typed.url("/latest")]).success();
    assert_content(&scene.path().join("a.bin"), SEED, SIZE);
    assert_eq!(names(scene.path()), ["a.bin", "latest"], "the Metalink stays, too");

    let plain = Server::start(answer("text/plain")).expect("starts");
    scene.run(&[&plain.url("/plain")]).success();
    assert_eq!(names(scene.path()), ["a.bin", "latest", "plain"]);
}

#[test]
fn a_local_metalink_is_one_too_be_it_beside_a_url() {
    let (scene, servers) = (Scene::new(), mirrors(2));
    fs::write(scene.path().join("d.meta4"), describing("x.bin", &url(&servers[0], "/x"))).unwrap();
    scene.run(&["d.meta4"]).success();
    let beside = servers[1].url("/x");
    let ended = scene.run(&["--metalink", "d.meta4", &beside, "-o", "y.bin"]);
    assert!(ended.success().stderr.contains("2 sources"), "{}", ended.stderr);
    for name in ["x.bin", "y.bin"] {
        assert_content(&scene.path().join(name), SEED, SIZE);
    }
}

#[test]
fn several_files_are_a_batch() {
    let (scene, servers) = (Scene::new(), mirrors(2));
    let file = |name: &str| {
        let urls = servers.iter().map(|server| url(server, &format!("/{name}")));
        format!("<file name=\"{name}\"><size>{SIZE}</size>{}</file>", urls.collect::<String>())
    };
    let bad = "<file name=\"torrent\"><metaurl mediatype=\"torrent\">http://h/t</metaurl></file>";
    let files = format!("{}{}{bad}", file("a/one"), file("two"));
    let text = format!("<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">{files}</metalink>");
    fs::write(scene.path().join("set.meta4"), text).unwrap();
    let ended = scene.run(&["set.meta4"]);
    assert_eq!(ended.code, Some(20), "{}", ended.stderr);
    assert!(ended.stderr.contains("torrent"), "{}", ended.stderr);
    for name in ["a/one", "two"] {
        assert_content(&scene.path().join(name), SEED, SIZE);
    }
}

#[test]
fn a_server_that_contradicts_the_metalink_is_left_out_or_named() {
    let (scene, servers) = (Scene::new(), mirrors(1));
    let wrong = Server::start(Config::new(SEED, SIZE + 1)).expect("starts");
    let size = format!("<size>{SIZE}</size>");
    let both = format!("{size}{}{}", url(&wrong, "/x"), url(&servers[0], "/x"));
    fs::write(scene.path().join("both.meta4"), describing("x.bin", &both)).unwrap();
    scene.run(&["both.meta4"]).success();
    assert_content(&scene.path().join("x.bin"), SEED, SIZE);

    let alone = format!("{size}{}", url(&wrong, "/x"));
    fs::write(scene.path().join("alone.meta4"), describing("y.bin", &alone)).unwrap();
    let line = scene.run(&["alone.meta4"]).one_error_line(13).to_owned();
    assert!(line.contains(&format!("{}", SIZE + 1)) && line.contains("should have"), "{line}");
}

#[test]
fn what_is_no_use_is_said() {
    let scene = Scene::new();
    for (text, words) in [
        (describing("x", "<url>ftp://h/x</url>"), "ftp"),
        (describing("x", ""), "no URL"),
        (describing("../x", "<url>http://h/x</url>"), "../x"),
        ("<metalink/>".to_owned(), "no file"),
        ("nothing".to_owned(), "Metalink"),
    ] {
        fs::write(scene.path().join("bad.meta4"), &text).unwrap();
        let ended = scene.run(&["bad.meta4"]);
        let line = ended.error_line(2);
        assert!(line.contains(words), "{text}: {line}");
    }
    assert!(scene.run(&["--metalink", "off"]).error_line(2).contains("<URL>"));
    assert!(scene.run(&["--metalink", "none.meta4"]).error_line(2).contains("none.meta4"));
    assert_eq!(names(scene.path()), ["bad.meta4"]);
}

// --- hints ---

/// Fetches a file of which the first of two servers is said this, and the second that.
fn fetch_hinted(this: &str, that: &str, arguments: &[&str]) -> (Server, Server) {
    let (scene, config) = (Scene::new(), Config::new(SEED, SIZE));
    let (first, second) = (serve(config.clone()), serve(config));
    let (a, b) = (first.url("/x"), second.url("/x"));
    let urls = format!("<url {this}>{a}</url><url {that}>{b}</url>");
    fs::write(scene.path().join("x.meta4"), describing("x.bin", &urls)).expect("a Metalink");
    scene.run(&[&["x.meta4"], arguments].concat()).success();
    assert_content(&scene.path().join("x.bin"), SEED, SIZE);
    (first, second)
}

#[test]
fn the_source_of_the_best_priority_is_asked_first_and_places_decide_among_equals() {
    let failover = ["--mirror-policy", "failover"];
    let is_second = |this: &str, that: &str, arguments: &[&str]| {
        let (first, second) = fetch_hinted(this, that, &[&failover, arguments].concat());
        let asked = [first.stats().requests > 0, second.stats().requests > 0];
        assert!(asked[0] != asked[1], "one of them is enough: {asked:?}");
        asked[1]
    };
    let (us, de) = ("location=\"us\"", "location=\"de\"");
    assert!(is_second("priority=\"2\"", "priority=\"1\"", &[]));
    assert!(is_second("preference=\"50\"", "preference=\"100\"", &[]));
    assert!(!is_second(us, de, &[]));
    assert!(is_second(us, de, &["--metalink-location", "fr,DE"]));
    let first = format!("{us} priority=\"1\"");
    assert!(!is_second(&first, de, &["--metalink-location", "de"]));
    let ended = Scene::new().run(&["--metalink-location", "Germany", "http://h/"]);
    assert!(ended.stderr.contains("no country code"), "{}", ended.stderr);
}

#[test]
fn a_source_begins_with_the_connections_it_is_said_to_take() {
    for hint in ["maxconnections=\"1\"", ""] {
        let (scene, server) = (Scene::new(), serve(Config::new(SEED, SIZE)));
        let url = format!("<url {hint}>{}</url>", server.url("/x"));
        fs::write(scene.path().join("x.meta4"), describing("x.bin", &url)).expect("a Metalink");
        let told = scene.run(&["x.meta4", "-v"]).success().stderr.clone();
        assert_content(&scene.path().join("x.bin"), SEED, SIZE);
        // On a machine that is slow enough more may pay in the end.
        let has_grown = told.contains("connections: 2 after 1");
        let is_one = server.stats().connections_peak == 1;
        assert_eq!(is_one, !hint.is_empty() && !has_grown, "{hint}: {told}");
    }
}

#[test]
fn places_decide_among_mirrors_that_a_server_names_too() {
    let scene = Scene::new();
    let mirror = |root: &str, place: &str| Mirror {
        root: root.into(),
        priority: 1,
        location: Some(place.into()),
    };
    let mirrors = vec![mirror("http://127.0.0.1:1", "us"), mirror("http://127.0.0.2:1", "de")];
    let metalink = Some(Metalink::new(mirrors));
    let server = serve(Config { metalink, ..Config::new(SEED, LARGE) });
    let told = fetch_described(&scene, &server, &["--metalink-location", "de"]);
    let at = |text: &str| told.find(&format!("names a mirror: http://{text}:1/"));
    assert!(at("127.0.0.2") < at("127.0.0.1") && at("127.0.0.2").is_some(), "{told}");
}

// --- pieces of the files of a batch ---

const PIECE: u64 = 256 * KIB;
const SMALL: u64 = 100 * KIB;

/// The file of this size that all servers here have, with the digests of its pieces, at these
/// servers.
fn file_with_pieces(name: &str, bytes: u64, piece_bytes: u64, servers: &[&Server]) -> String {
    let mut content = vec![0; usize::try_from(bytes).expect("it fits the memory")];
    content::fill(SEED, 0, &mut content);
    let piece_length = usize::try_from(piece_bytes).expect("it fits the memory");
    let hashes = content.chunks(piece_length).map(|piece| {
        let mut hasher = Algorithm::Sha1.hasher();
        hasher.update(piece);
        format!("<hash>{}</hash>", hasher.finish())
    });
    let hashes: String = hashes.collect();
    let urls: String = servers.iter().map(|server| url(server, &format!("/{name}"))).collect();
    format!(
        "<file name=\"{name}\"><size>{bytes}</size>\
         <pieces type=\"sha-1\" length=\"{piece_bytes}\">{hashes}</pieces>{urls}</file>"
    )
}

/// Fetches the files of a Metalink.
fn fetch_set(scene: &Scene, files: &[String], arguments: &[&str]) -> Ended {
    let files = files.concat();
    let text = format!("<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">{files}</metalink>");
    fs::write(scene.path().join("set.meta4"), text).expect("a Metalink");
    scene.run(&[&["set.meta4"], arguments].concat())
}

fn spoiling(rule: Rule) -> Server {
    serve(Config { script: vec![rule], ..Config::new(SEED, SIZE) })
}

/// Bytes of all ranges that were asked for.
fn asked_bytes(stats: &Stats) -> u64 {
    let bytes = |range: &Option<RangeAsked>| match range {
        Some(RangeAsked::FromTo { first, last }) => last + 1 - first,
        other => panic!("asked for {other:?}"),
    };
    stats.log.iter().map(|request| bytes(&request.range)).sum()
}

#[test]
fn a_bad_piece_of_a_batch_is_fetched_again_alone() {
    let (scene, whole) = (Scene::new(), 0..SIZE);
    let server =
        spoiling(Rule::once(When::RangeStartFrom(2 * MIB), Fault::FlipBytes(whole.clone())));
    let file = |name: &str| file_with_pieces(name, SIZE, PIECE, &[&server]);
    let arguments = ["-c", "1", "--chunk-size", "256K", "--parallel", "1"];
    fetch_set(&scene, &[file("one"), file("two")], &arguments).success();
    for name in ["one", "two"] {
        assert_content(&scene.path().join(name), SEED, SIZE);
    }
    let stats = server.stats();
    assert_eq!(stats.fired, [1]);
    // A lane has asked for the start of a file before it turned out to be a large one, maybe.
    let asked = asked_bytes(&stats);
    assert!((2 * SIZE + PIECE..=2 * SIZE + PIECE + 2 * MIB).contains(&asked), "{asked}");

    // One that stays wrong is named.
    let always = spoiling(Rule::new(When::All, Fault::FlipBytes(3 * MIB..3 * MIB + 1)));
    let bad = file_with_pieces("three", SIZE, PIECE, &[&always]);
    let ended = fetch_set(&scene, &[bad, file("two")], &[]);
    assert_eq!(ended.code, Some(20), "{}", ended.stderr);
    assert!(ended.stderr.contains("piece 13 of 17"), "{}", ended.stderr);
}

#[test]
fn a_small_file_of_a_batch_has_its_pieces_verified_too() {
    let scene = Scene::new();
    let config = Config::new(SEED, SMALL);
    let spoilt = Rule::new(When::All, Fault::FlipByte(SMALL - 1));
    let (good, spoilt) = (serve(config.clone()), serve(Config { script: vec![spoilt], ..config }));
    let both = [&spoilt, &good];
    let files = ["one", "two", "three"].map(|name| file_with_pieces(name, SMALL, 16 * KIB, &both));
    fetch_set(&scene, &files, &[]).success();
    for name in ["one", "two", "three"] {
        assert_content(&scene.path().join(name), SEED, SMALL);
    }
    assert!(spoilt.stats().requests > 0, "the first source was asked");
    let files = ["four", "five"].map(|name| file_with_pieces(name, SMALL, 16 * KIB, &[&spoilt]));
    let ended = fetch_set(&scene, &files, &[]);
    assert!(ended.error_line(13).contains("2 of 2"), "{}", ended.stderr);
    assert!(ended.stderr.contains("piece 7 of 7"), "{}", ended.stderr);
    assert_eq!(names(scene.path()), ["one", "set.meta4", "three", "two"]);
}

#[test]
fn the_size_of_a_file_of_a_batch_is_that_of_its_description() {
    let scene = Scene::new();
    for bytes in [SMALL, SIZE] {
        let server = serve(Config::new(SEED, bytes + 1));
        let file = |name: &str| {
            let url = url(&server, &format!("/{name}"));
            format!("<file name=\"{name}\"><size>{bytes}</size>{url}</file>")
        };
        let ended = fetch_set(&scene, &[file("one"), file("two")], &[]);
        assert!(ended.error_line(13).contains("2 of 2"), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("{} bytes", bytes + 1)), "{}", ended.stderr);
        assert_eq!(names(scene.path()), ["set.meta4"]);
    }
}

// --- the description that a server names ---

/// Smaller files are fetched without a look at it.
const LARGE: u64 = 8 * MIB + 3;

/// One server that names the description of its file, in which this goes wrong.
fn describing_itself(script: Vec<Rule>) -> Server {
    let config = Config {
        metalink: Some(Metalink::new(Vec::new())),
        script,
        ..slowed(Config::new(SEED, LARGE), 32 * MIB)
    };
    Server::start_mirrors(vec![config]).expect("the server starts").remove(0)
}

fn of_description(fault: Fault) -> Rule {
    Rule::new(When::PathPrefix("/file.bin.meta4".into()), fault)
}

/// Fetches the server's file; what was told.
fn fetch_described(scene: &Scene, server: &Server, arguments: &[&str]) -> String {
    let url = server.url("/file.bin");
    let ended = scene.run(&[&[&url, "-v", "--force"], arguments].concat());
    assert_content(&scene.path().join("file.bin"), SEED, LARGE);
    ended.success().stderr.clone()
}

/// How often the server's description was asked for.
fn asked_for_description(server: &Server) -> usize {
    let is_asked = |head: &str| head.starts_with("GET /file.bin.meta4 ");
    server.stats().log.iter().filter(|request| is_asked(&request.head)).count()
}

#[test]
fn a_file_is_verified_by_the_description_that_its_server_names() {
    let scene = Scene::new();
    let once = Rule::once(When::RangeStartFrom(2 * MIB), Fault::FlipBytes(0..LARGE));
    let server = describing_itself(vec![once]);
    let told = fetch_described(&scene, &server, &["-c", "1", "--chunk-size", "1M"]);
    assert!(told.contains("fetching what is wrong again"), "{told}");
    assert!(told.contains("verified sha256:") && told.contains("/file.bin.meta4"), "{told}");
    assert!(told.contains("9 pieces (sha-256)"), "{told}");
    assert_eq!((server.stats().fired, asked_for_description(&server)), (vec![1], 1));

    let told = fetch_described(&scene, &server, &["--no-verify"]);
    assert!(!told.contains("verified"), "{told}");
    let told = fetch_described(&scene, &server, &["--metalink", "off"]);
    assert!(!told.contains("verified"), "{told}");
    assert_eq!(asked_for_description(&server), 2);
    // What the caller gives is not replaced, and goes with what is described.
    let given = format!("sha256:{}", sha256_digits(SEED, LARGE));
    let told = fetch_described(&scene, &server, &["--checksum", &given]);
    assert!(told.contains("given with --checksum") && told.contains("9 pieces"), "{told}");
}

#[test]
fn bytes_that_are_not_those_of_the_description_are_refused() {
    let scene = Scene::new();
    let spoilt = Rule::new(When::All, Fault::FlipBytes(3 * MIB..3 * MIB + 1));
    let server = describing_itself(vec![spoilt]);
    let url = server.url("/file.bin");
    let ended = scene.run(&[&url]);
    let line = ended.error_line(13);
    assert!(line.contains("piece 4 of 9") && line.contains("--metalink off"), "{line}");
    scene.run(&[&url, "--metalink", "off", "--no-resume"]).success();
}

#[test]
fn mirrors_of_the_description_are_used() {
    let scene = Scene::new();
    let links = LinksOn { files: false, redirects: false };
    let config = Config {
        metalink: Some(Metalink { links, ..Metalink::new(Vec::new()) }),
        ..slowed(Config::new(SEED, LARGE), 8 * MIB)
    };
    let mut configs = vec![config; 3];
    // The description alone is named, and no mirror.
    let link = "</file.bin.meta4>; rel=describedby; type=\"application/metalink4+xml\"";
    let fields = vec![("Link".to_owned(), link.to_owned())];
    configs[0].script = vec![Rule::new(When::All, Fault::Fields(fields))];
    let servers = Server::start_mirrors(configs).expect("the servers start");
    let told = fetch_described(&scene, &servers[0], &[]);
    assert!(told.contains("of 3 sources"), "{told}");
    for server in &servers[1..] {
        assert!(server.stats().body_bytes > LARGE / 8, "{told}");
    }
}

#[test]
fn a_description_that_is_of_no_use_is_noted_and_fails_nothing() {
    let scene = Scene::new();
    let good = describing("file.bin", "<size>5</size><url>http://h/x</url>");
    let answer = |text: &str| Fault::Status { code: 200, headers: Vec::new(), body: text.into() };
    for (fault, why) in [
        (status(404, "no"), "404"),
        (answer("nothing"), "Metalink"),
        (answer(&good), "no file of this size"),
        (answer(&good.replace(">5<", &format!(">{}<", LARGE + 1))), "no file of this size"),
        (Fault::StallAfter(100), "has not come"),
        (Fault::ResetAfter(100), "is not used"),
    ] {
        let server = describing_itself(vec![of_description(fault)]);
        let told = fetch_described(&scene, &server, &[]);
        let is_it = |line: &str| line.contains("is not used") && line.contains(why);
        assert!(told.lines().any(is_it), "{why}: {told}");
        assert!(!told.contains("verified"), "{told}");
    }
}

#[test]
fn a_description_that_contradicts_what_is_known_is_not_used() {
    let scene = Scene::new();
    let digits = "0".repeat(64);
    let inside = format!(
        "<size>{LARGE}</size><hash type=\"sha-256\">{digits}</hash><url>http://127.0.0.1:1/x</url>"
    );
    let text = describing("file.bin", &inside);
    let fault = Fault::Status { code: 200, headers: Vec::new(), body: text.into() };
    let server = |digests: Vec<DigestField>| {
        let config = Config {
            metalink: Some(Metalink::new(Vec::new())),
            script: vec![of_description(fault.clone())],
            digests,
            ..Config::new(SEED, LARGE)
        };
        Server::start_mirrors(vec![config]).expect("the server starts").remove(0)
    };
    let offering = server(vec![DigestField::ReprDigestSha256]);
    let told = fetch_described(&scene, &offering, &[]);
    assert!(told.contains("is not used") && told.contains(&digits), "{told}");
    assert!(told.contains("server's Repr-Digest"), "{told}");
    let given = format!("sha256:{}", sha256_digits(SEED, LARGE));
    let told = fetch_described(&scene, &server(Vec::new()), &["--checksum", &given]);
    assert!(told.contains("is not used") && told.contains(&digits), "{told}");
}

#[test]
fn nobody_else_describes_the_file_of_a_server() {
    let (scene, other) = (Scene::new(), describing_itself(Vec::new()));
    let link = |server: &Server, kind: &str| {
        let url = server.url("/file.bin.meta4");
        ("Link".to_owned(), format!("<{url}>; rel=describedby; type=\"{kind}\""))
    };
    let naming = |field: (String, String)| {
        let fields = Rule::new(When::All, Fault::Fields(vec![field]));
        serve(Config { script: vec![fields], ..Config::new(SEED, LARGE) })
    };
    let server = naming(link(&other, "application/metalink4+xml"));
    let told = fetch_described(&scene, &server, &[]);
    assert!(told.contains("another server has it"), "{told}");
    let server = naming(link(&other, "application/pgp-signature"));
    fetch_described(&scene, &server, &[]);
    assert_eq!(other.stats().requests, 0);
    // Nor one of several servers that of the others.
    let (first, second) = (describing_itself(Vec::new()), describing_itself(Vec::new()));
    fetch_described(&scene, &first, &["--mirror", &second.url("/file.bin")]);
    assert_eq!(asked_for_description(&first) + asked_for_description(&second), 0);
}

#[test]
fn a_small_file_is_fetched_without_a_look_at_its_description() {
    let (scene, servers) = (Scene::new(), mirrors(1));
    scene.run(&[&servers[0].url("/file.bin")]).success();
    assert_eq!(asked_for_description(&servers[0]), 0);
}
