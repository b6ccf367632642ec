//! `--repair`: of a file that is there only what differs is fetched, and the old one is never lost.

mod common;

use common::run::told;
use common::{
    Ended, Place, SEED, Scene, Site, assert_content, checksum, eventually, serve, slowed,
};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, DigestField, Fault, Metalink, Mirror, Rule, Server, When, content};
use ringhaul::{Algorithm, Download, ErrorKind, Level, Options, PieceHashes, Report};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Pieces of the description: 1 MiB, and a short one.
const SIZE: u64 = 8 * MIB + 5000;
const PIECES: u64 = 9;
/// What a server is asked for beside what is missing: the rest of a first request.
const SLACK: u64 = 64 * KIB;

/// A server that describes itself, and a folder with a file that is to be repaired.
struct Patient {
    scene: Scene,
    server: Server,
}

impl Patient {
    fn new(old: &[u8]) -> Self {
        Self::served(old, Config::new(SEED, SIZE))
    }

    fn served(old: &[u8], config: Config) -> Self {
        let site = Site::start_knowing_its_port(|port| Config {
            metalink: Some(Metalink::new(vec![Mirror {
                root: format!("http://127.0.0.1:{port}"),
                priority: 1,
                location: None,
            }])),
            ..config.clone()
        });
        let patient = Self { scene: Scene::new(), server: site.server };
        fs::write(patient.path(), old).expect("the old file is written");
        patient
    }

    fn path(&self) -> PathBuf {
        self.scene.path().join("file.bin")
    }

    fn repair(&self, more: &[&str]) -> Ended {
        let url = self.server.url("/file.bin.meta4");
        self.scene.run(&[&["--repair", "file.bin", &url], more].concat())
    }

    /// Bytes of answers that are no descriptions.
    fn fetched(&self, run: impl FnOnce()) -> u64 {
        let described = {
            let before = self.server.stats().body_bytes;
            let url = self.server.url("/file.bin.meta4");
            self.scene.run(&["--metalink=off", "-o", "description", &url]).success();
            fs::remove_file(self.scene.path().join("description")).expect("it was downloaded");
            self.server.stats().body_bytes - before
        };
        let before = self.server.stats().body_bytes;
        run();
        self.server.stats().body_bytes - before - described
    }

    #[track_caller]
    fn assert_repaired(&self) {
        assert_content(&self.path(), SEED, SIZE);
        assert_eq!(self.scene.names(), ["file.bin"]);
    }

    #[track_caller]
    fn assert_as_it_was(&self, old: &[u8]) {
        assert!(fs::read(self.path()).expect("the old file is there") == old, "it was changed");
    }
}

fn good() -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(SIZE).expect("a small file")];
    content::fill(SEED, 0, &mut bytes);
    bytes
}

/// The file with a wrong byte at each of these places.
fn spoilt(places: &[u64]) -> Vec<u8> {
    let mut bytes = good();
    for &place in places {
        bytes[usize::try_from(place).expect("within the file")] ^= 0x40;
    }
    bytes
}

#[test]
fn only_bad_pieces_are_fetched() {
    let patient = Patient::new(&spoilt(&[2 * MIB + 17, 6 * MIB, 6 * MIB + 1]));
    let mode = fs::Permissions::from_mode(0o440);
    fs::set_permissions(patient.path(), mode).expect("it is ours");
    let fetched = patient.fetched(|| {
        let ended = patient.repair(&[]);
        ended.success();
        let words = "repaired 2 of 9 pieces, 2.00 MiB fetched";
        assert!(ended.stderr.contains(words), "{ended:?}");
        assert!(ended.stderr.contains("verified sha256:"), "{ended:?}");
    });
    assert!((2 * MIB..2 * MIB + SLACK).contains(&fetched), "{fetched}");
    patient.assert_repaired();
    let mode = fs::metadata(patient.path()).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o440);
}

#[test]
fn a_file_of_another_length_is_completed_or_cut() {
    let cut = usize::try_from(7 * MIB + 100).expect("a small file");
    for (old, missing) in
        [(good()[..cut].to_vec(), MIB + 5000), ([good(), vec![7; 100_000]].concat(), 0)]
    {
        let patient = Patient::new(&old);
        let fetched = patient.fetched(|| {
            let ended = patient.repair(&[]);
            ended.success();
            assert!(ended.stderr.contains("instead of 8393608"), "{ended:?}");
        });
        assert!((missing..missing + SLACK).contains(&fetched), "{fetched} for {missing}");
        patient.assert_repaired();
    }
}

#[test]
fn a_file_that_is_right_is_left_alone() {
    let patient = Patient::new(&good());
    let before = fs::metadata(patient.path()).and_then(|meta| meta.modified()).expect("a time");
    let fetched = patient.fetched(|| {
        let ended = patient.repair(&["--print-digest", "md5"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("nothing to repair"), "{ended:?}");
        assert!(ended.stderr.contains(&format!("{PIECES} pieces are right")), "{ended:?}");
        assert!(ended.stdout.contains("file.bin"), "{ended:?}");
    });
    assert_eq!(fetched, 0);
    let after = fs::metadata(patient.path()).and_then(|meta| meta.modified()).expect("a time");
    assert_eq!(before, after);
    patient.assert_repaired();
}

#[test]
fn what_no_pieces_are_known_of_is_refused() {
    let old = spoilt(&[5]);
    let patient = Patient::new(&old);
    let refused = |more: &[&str], words: &[&str]| {
        let url = patient.server.url("/file.bin");
        let ended = patient.scene.run(&[&["--repair", "file.bin", &url], more].concat());
        let line = ended.error_line(2);
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
        patient.assert_as_it_was(&old);
        assert_eq!(patient.scene.names(), ["file.bin"]);
    };
    let digest = checksum(SEED, SIZE).to_string();
    let words = ["cannot repair file.bin", "does not tell where", "--metalink", "anew"];
    refused(&["--checksum", &digest], &words);
    refused(&[], &["byte 5 differs", "whole file has to be fetched"]);

    let empty = Patient::new(&[]);
    let ended = empty.scene.run(&["--repair", "file.bin", &empty.server.url("/file.bin")]);
    assert!(ended.error_line(2).contains("no bytes to compare"));
    let right = Patient::new(&good());
    let url = right.server.url("/file.bin");
    let ended = right.scene.run(&["--repair", "file.bin", "--checksum", &digest, &url]);
    assert!(ended.success().stderr.contains("nothing to repair"));
    let ended = right.scene.run(&["--repair", "file.bin", &url]);
    assert!(ended.error_line(2).contains("equal to the server's, which proves nothing"));
}

#[test]
fn a_digest_that_the_server_offers_says_that_nothing_differs() {
    let config = Config { digests: vec![DigestField::ReprDigestSha256], ..Config::new(SEED, SIZE) };
    let patient = Patient::served(&good(), config);
    let ended = patient.scene.run(&["--repair", "file.bin", &patient.server.url("/file.bin")]);
    assert!(ended.success().stderr.contains("nothing to repair"));
}

#[test]
fn the_old_file_survives_a_failure_and_the_next_run_goes_on() {
    let old = spoilt(&[0, MIB, 2 * MIB, 3 * MIB, 4 * MIB, 5 * MIB]);
    let folder = common::scratch();
    let path = folder.path().join("file.bin");
    fs::write(&path, &old).expect("the old file is written");
    let gone = Rule::new(When::FromBodyBytes(3 * MIB), Fault::ServerGone);
    let bad = serve(Config { script: vec![gone], ..slowed(Config::new(SEED, SIZE), 16 * MIB) });
    let repair = |server: &Server| {
        let options = Options {
            pieces: Some(Arc::new(hashes())),
            retries: 0,
            connections: Some(2),
            ..Options::default()
        };
        let download = Download::new(&server.url("/file.bin")).expect("a URL");
        common::run::listen(download.repair(&path).options(options))
    };
    let (result, _) = repair(&bad);
    result.expect_err("the server is gone");
    assert!(fs::read(&path).expect("the old file is there") == old, "it was changed");
    assert_eq!(common::names(folder.path()), ["file.bin", "file.bin.part", "file.bin.ringhaul"]);

    let server = serve(Config { address: bad.address(), ..Config::new(SEED, SIZE) });
    let (result, events) = repair(&server);
    let report: Report = result.expect("the rest is fetched");
    let repaired = report.repaired.expect("a repair");
    assert_eq!((repaired.pieces, repaired.bad_pieces), (Some(PIECES), 6));
    let (fetched, told) = (repaired.fetched_bytes, told(&events, Level::Note));
    assert!((2 * MIB..5 * MIB).contains(&fetched), "{fetched}: {told}");
    assert_content(&path, SEED, SIZE);
    assert_eq!(common::names(folder.path()), ["file.bin"]);
}

#[test]
fn a_list_of_piece_hashes_needs_no_size() {
    let patient = Patient::new(&spoilt(&[SIZE - 1]));
    let hex = |piece: &[u8]| digest_of(piece).iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<String> = good().chunks(1 << 20).map(hex).collect();
    let list = format!("sha-1 1M\n{}\n", lines.join("\n"));
    fs::write(patient.scene.path().join("list"), list).expect("it is written");
    let url = patient.server.url("/file.bin");
    let ended = patient.scene.run(&["--repair", "file.bin", "--piece-hashes", "list", &url, &url]);
    assert!(ended.success().stderr.contains("repaired 1 of 9 pieces"), "{ended:?}");
    assert!(ended.stderr.contains("verified 9 pieces (sha-1)"), "{ended:?}");
    assert_content(&patient.path(), SEED, SIZE);
}

#[test]
fn what_a_server_brings_is_verified_before_the_old_file_goes() {
    let old = spoilt(&[3 * MIB]);
    let spoils = Rule::new(When::All, Fault::FlipBytes(3 * MIB..3 * MIB + 9));
    let patient = Patient::served(&old, Config { script: vec![spoils], ..Config::new(SEED, SIZE) });
    let ended = patient.repair(&["--no-verify"]);
    assert_eq!(ended.code, Some(2), "nothing is known then: {ended:?}");
    let ended = patient.repair(&["-r1"]);
    assert!(ended.error_line(13).contains("piece 4 of 9"), "{ended:?}");
    patient.assert_as_it_was(&old);
}

#[test]
fn a_kill_leaves_the_old_file_and_a_part_to_go_on_with() {
    let old = spoilt(&[2 * MIB, 3 * MIB, 4 * MIB, 5 * MIB, 6 * MIB, 7 * MIB]);
    let patient = Patient::served(&old, slowed(Config::new(SEED, SIZE), 5 * MIB));
    let url = patient.server.url("/file.bin.meta4");
    let arguments = ["--journal-interval=10ms", "-c2", "--repair", "file.bin", &url];
    let mut child = patient.scene.spawn(&arguments);
    let journal = patient.scene.path().join("file.bin.ringhaul");
    eventually("a journal is kept", || journal.exists());
    child.kill().and_then(|()| child.wait()).expect("it is killed");
    patient.assert_as_it_was(&old);
    let again = patient.scene.run(&arguments);
    assert!(again.success().stderr.contains("resuming: "), "{again:?}");
    patient.assert_repaired();
}

#[test]
fn a_journal_says_what_is_as_it_was_written() {
    let old = spoilt(&[]);
    let folder = common::scratch();
    let path = folder.path().join("file.bin");
    // A run that was stopped, whose part file somebody has renamed.
    let gone = Rule::new(When::FromBodyBytes(5 * MIB), Fault::ServerGone);
    let bad = serve(Config { script: vec![gone], ..slowed(Config::new(SEED, SIZE), 16 * MIB) });
    let options = Options { retries: 0, ..Options::default() };
    let download = Download::new(&bad.url("/file.bin")).expect("a URL");
    download.output(&path).options(options.clone()).run().expect_err("the server is gone");
    fs::rename(folder.path().join("file.bin.part"), &path).expect("it was kept");
    let server = serve(Config { address: bad.address(), ..Config::new(SEED, SIZE) });
    let download = Download::new(&server.url("/file.bin")).expect("a URL");
    let report = download.repair(&path).options(options).run().expect("the rest is fetched");
    let repaired = report.repaired.expect("a repair");
    assert!(repaired.pieces.is_none() && repaired.fetched_bytes < 6 * MIB, "{repaired:?}");
    assert!(server.stats().body_bytes < 6 * MIB);
    assert!(fs::read(&path).expect("it is there") == old);
    assert_eq!(common::names(folder.path()), ["file.bin"]);
}

#[test]
fn of_several_files_the_one_of_that_name_is_meant() {
    let patient = Patient::new(&spoilt(&[MIB]));
    let described =
        patient.scene.run(&["--metalink=off", "-o", "one", &patient.server.url("/file.bin.meta4")]);
    described.success();
    let one = fs::read_to_string(patient.scene.path().join("one")).expect("a description");
    let (start, end) = (one.find("<file").expect("a file"), one.rfind("</metalink>").expect("end"));
    let other = one[start..end].replace("file.bin\"", "other.bin\"");
    let both = patient.scene.path().join("both.meta4");
    fs::write(&both, [&one[..start], &other, &one[start..]].concat()).expect("it is written");
    let ended = patient.scene.run(&["--repair", "file.bin", "both.meta4"]);
    assert!(ended.success().stderr.contains("repaired 1 of 9 pieces"));
    assert_content(&patient.path(), SEED, SIZE);
    fs::rename(patient.path(), patient.scene.path().join("x")).expect("it is there");
    let ended = patient.scene.run(&["--repair", "x", "both.meta4"]);
    assert!(ended.error_line(2).contains("is called x"));
}

#[test]
fn there_has_to_be_a_file() {
    let patient = Patient::new(b"");
    fs::remove_file(patient.path()).expect("it is there");
    let ended = patient.repair(&[]);
    let line = ended.error_line(14);
    assert!(line.contains("cannot repair file.bin") && line.contains("download it"), "{line}");
    fs::create_dir(patient.path()).expect("a folder in its place");
    assert!(patient.repair(&[]).error_line(14).contains("not an ordinary file"));
    let url = patient.server.url("/file.bin");
    let of_many = patient.scene.run(&["--repair", "file.bin", "--input-file", "list", &url]);
    assert!(of_many.error_line(2).contains("'--repair' is for one file"));
    let kind = Download::new(&url).expect("a URL").repair(patient.path()).run();
    assert_eq!(kind.expect_err("a folder").kind(), ErrorKind::TargetUnusable);
}

fn hashes() -> PieceHashes {
    let pieces: Vec<Vec<u8>> = good().chunks(1 << 20).map(digest_of).collect();
    PieceHashes::new(Algorithm::Sha1, MIB, SIZE, &pieces).expect("usable pieces")
}

fn digest_of(piece: &[u8]) -> Vec<u8> {
    let mut hasher = Algorithm::Sha1.hasher();
    hasher.update(piece);
    hasher.finish().bytes
}
