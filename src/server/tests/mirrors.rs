//! Several servers of one file: their descriptions, their `Link` fields, and what redirects carry.

use super::{Reply, SEED, SIZE, ask, get, server};
use crate::server::codec::hex::hex;
use crate::server::{
    Config, DigestField, Fault, LinksOn, Metalink, Mirror, Paths, PieceHash, Pieces, Route, Served,
    Server, When, content,
};
use sha1::{Digest, Sha1};
use std::net::TcpListener;

fn described() -> Config {
    let pieces = Pieces { bytes: 40_000, hash: PieceHash::Sha1 };
    let metalink = Metalink { pieces: Some(pieces), ..Metalink::new(Vec::new()) };
    Config { metalink: Some(metalink), ..Config::new(SEED, SIZE) }
}

fn head(server: &Server, path: &str) -> Reply {
    ask(server, &format!("HEAD {path} HTTP/1.1\r\n\r\n"))
}

fn body(server: &Server, path: &str) -> Reply {
    ask(server, &format!("GET {path} HTTP/1.1\r\n\r\n"))
}

fn text(reply: Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.head);
    String::from_utf8(reply.body).unwrap()
}

/// The values of all fields of that name.
fn fields(reply: &Reply, name: &str) -> Vec<String> {
    let fields = reply.head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(is, _)| *is == name).map(|(_, value)| value.to_owned()).collect()
}

#[test]
fn each_server_describes_all() {
    let servers = Server::start_mirrors(vec![described(), described()]).unwrap();
    let mut made = vec![0; 100_000];
    content::fill(SEED, 0, &mut made);
    let pieces = made.chunks(40_000).map(|piece| hex(&Sha1::digest(piece)));
    let pieces: Vec<String> = pieces.map(|hash| format!("      <hash>{hash}</hash>\n")).collect();
    let whole = hex(&content::sha256(SEED, SIZE));
    for server in &servers {
        let reply = body(server, "/a%20b.iso.meta4");
        assert_eq!(reply.field("Content-Type"), Some("application/metalink4+xml"));
        let text = text(reply);
        let file = format!(
            "  <file name=\"a b.iso\">\n    <size>100000</size>\n    \
             <hash type=\"sha-256\">{whole}</hash>\n    \
             <pieces length=\"40000\" type=\"sha-1\">\n{}    </pieces>\n",
            pieces.concat()
        );
        assert!(text.contains(&file), "{text}");
        for (priority, mirror) in (1..).zip(&servers) {
            let url = mirror.url("/a%20b.iso");
            assert!(text.contains(&format!("<url priority=\"{priority}\">{url}</url>")), "{text}");
        }
        let reply = body(server, "/a.metalink");
        assert_eq!(reply.field("Content-Type"), Some("application/metalink+xml"));
        let tag = reply.field("ETag").unwrap().to_owned();
        let text = self::text(reply);
        assert!(text.contains(&format!("<hash type=\"sha256\">{whole}</hash>")), "{text}");
        let part = ask(server, &get("5-14", "").replace("/file", "/a.metalink"));
        assert_eq!((part.status, &part.body[..]), (206, &text.as_bytes()[5..15]));
        assert_eq!(part.field("ETag"), Some(&*tag));
    }
}

#[test]
fn answers_about_files_link_the_other_servers() {
    let servers = Server::start_mirrors(vec![described(), described(), described()]).unwrap();
    let expected = [
        format!("<{}>; rel=duplicate; pri=1", servers[0].url("/x")),
        format!("<{}>; rel=duplicate; pri=3", servers[2].url("/x")),
        "</x.meta4>; rel=describedby; type=\"application/metalink4+xml\"".to_owned(),
    ];
    assert_eq!(fields(&head(&servers[1], "/x"), "Link"), expected);
    assert_eq!(fields(&body(&servers[1], "/x"), "Link"), expected);
    let part = ask(&servers[1], &get("0-9", "").replace("/file", "/x"));
    assert_eq!((part.status, fields(&part, "Link")), (206, expected.to_vec()));
    let refused = ask(&servers[1], &get("100000-", ""));
    assert_eq!((refused.status, refused.field("Link")), (416, None));
    assert_eq!(head(&servers[1], "/x.meta4").field("Link"), None);
}

#[test]
fn redirects_carry_the_links_and_descriptions_stay_where_they_are() {
    for (links, expected) in [
        (LinksOn { files: true, redirects: true }, [2, 2]),
        (LinksOn { files: false, redirects: true }, [2, 0]),
        (LinksOn { files: true, redirects: false }, [0, 2]),
    ] {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let mirrors = listeners.iter().map(|listener| Mirror {
            root: format!("http://{}", listener.local_addr().unwrap()),
            priority: 1,
            location: None,
        });
        let mirrors: Vec<Mirror> = mirrors.collect();
        let root = mirrors[1].root.clone();
        let metalink = Metalink { links, ..Metalink::new(mirrors) };
        let config = Config { metalink: Some(metalink), ..described() };
        let [first, second] = listeners;
        let away = config.clone().rule(When::All, Fault::RedirectToRoot(root.clone()));
        let director = Server::start_on(first, away).unwrap();
        let mirror = Server::start_on(second, config).unwrap();
        let reply = body(&director, "/a?b");
        assert_eq!((reply.status, reply.field("Location")), (302, Some(&*format!("{root}/a?b"))));
        let counts = [fields(&reply, "Link").len(), fields(&body(&mirror, "/a?b"), "Link").len()];
        assert_eq!(counts, expected, "{links:?}");
        assert_eq!(body(&director, "/a.meta4").status, 200);
        assert_eq!(director.counts().fired, [1]);
    }
}

#[test]
fn faults_change_the_file_and_not_its_description() {
    let replaced = Fault::Replaced { seed: 8, size_bytes: 50 };
    let honest = Server::start_mirrors(vec![described()]).unwrap();
    let url = honest[0].url("");
    let expected = text(body(&honest[0], "/x.meta4"));
    for fault in [replaced, Fault::FlipBytes(0..SIZE), Fault::ETag("\"new\"".into())] {
        let liar = Server::start_mirrors(vec![described().rule(When::All, fault)]).unwrap();
        let reply = body(&liar[0], "/x.meta4");
        assert_ne!(reply.field("ETag"), Some("\"new\""));
        assert_eq!(text(reply).replace(&liar[0].url(""), &url), expected);
        assert_eq!(liar[0].counts().fired, [0]);
        body(&liar[0], "/x");
        assert_eq!(liar[0].counts().fired, [1]);
    }
}

#[test]
fn files_of_all_kinds_are_described() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("a&b"), "hello").unwrap();
    std::fs::write(scratch.path().join("own.meta4"), "mine").unwrap();
    let folder = Config { folder: Some(scratch.path().into()), ..described() };
    let stored = server(folder);
    let text_of_it = text(body(&stored, "/a&b.meta4"));
    assert!(text_of_it.contains("<file name=\"a&amp;b\">\n    <size>5</size>"), "{text_of_it}");
    let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert!(text_of_it.contains(sum), "{text_of_it}");
    assert_eq!(text(body(&stored, "/own.meta4")), "mine");
    assert_eq!(body(&stored, "/missing.meta4").status, 404);
    std::fs::write(scratch.path().join("a&b"), "longer now").unwrap();
    assert!(text(body(&stored, "/a&b.meta4")).contains("<size>10</size>"));

    let numbered = server(Config { paths: Paths::Numbered(2), ..described() });
    let sum = hex(&content::sha256(content::seed_at(SEED, "/0002.bin"), SIZE));
    assert!(text(body(&numbered, "/0002.bin.meta4")).contains(&sum));
    assert_eq!(body(&numbered, "/0003.bin.meta4").status, 404);
    let all = text(body(&numbered, "/list.meta4"));
    let files: Vec<&str> = all.split("  <file name=\"").skip(1).collect();
    assert!(files.len() == 2 && files[0].starts_with("0001.bin\">"), "{all}");
    assert!(files[1].starts_with("0002.bin\">") && files[1].contains(&sum), "{all}");
    assert_eq!(text(body(&numbered, "/list.metalink")).matches("</file>").count(), 2);
    let many = server(Config { paths: Paths::Numbered(100_000), ..described() });
    assert_eq!(body(&many, "/list.meta4").status, 404);
    let what = Served::File { seed: 9, size_bytes: 3 };
    let routes = vec![Route { path: "/r".into(), what }];
    let routed = server(Config { routes, ..described() });
    assert!(text(body(&routed, "/r.meta4")).contains("<size>3</size>"));
}

#[test]
fn a_server_without_a_metalink_has_the_file_at_such_a_path() {
    let plain = server(Config::new(SEED, SIZE));
    let reply = body(&plain, "/x.meta4");
    reply.expect_content(0, 100_000);
    assert_eq!((reply.field("Link"), reply.field("Digest")), (None, None));
    let digests = vec![DigestField::DigestSha256];
    let both = Server::start_mirrors(vec![Config { digests, ..described() }]).unwrap();
    assert!(head(&both[0], "/x").field("Digest").is_some());
    assert_eq!(head(&both[0], "/x.meta4").field("Digest"), None);
}
