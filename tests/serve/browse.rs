//! `ringhaul serve DIR` as browsers and mirroring tools meet it: pages of folders, media types, and
//! the access log.

use super::{Serving, curl};
use crate::common::tools::find_or_skip;
use crate::common::{Scene, names};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// A folder `in` with files, folders and links, served.
fn serving(scene: &Scene, arguments: &[&str]) -> Serving {
    let inside = scene.path().join("in");
    fs::create_dir_all(inside.join("sub/<b>deep")).expect("folders");
    fs::write(scene.path().join("secret"), "secret").expect("a file");
    for (name, text) in [
        ("sub/a & b.txt", "text"),
        ("sub/big.bin", "0123456789"),
        ("sub/.hidden", "hidden"),
        ("sub/<b>deep/x.json", "{}"),
        ("top.html", "<p>top</p>"),
    ] {
        fs::write(inside.join(name), text).expect("a file");
    }
    symlink("../secret", inside.join("out")).expect("a link");
    symlink("/etc", inside.join("sub/etc")).expect("a link");
    symlink("sub/big.bin", inside.join("in.bin")).expect("a link");
    Serving::start(scene, &[arguments, &["in"]].concat())
}

#[track_caller]
fn assert_answer(answer: &str, status: u16, words: &[&str]) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    for word in words {
        assert!(answer.contains(word), "no '{word}' in: {answer}");
    }
}

#[test]
fn folders_are_pages() {
    let scene = Scene::new();
    let serving = serving(&scene, &[]);
    let top = serving.ask("/", "");
    let words = [
        "\r\nContent-Type: text/html; charset=utf-8\r\n",
        "\r\nContent-Security-Policy: default-src 'none'",
        "<title>Index of /</title>",
        "<a href=\"sub/\">sub/</a>",
        "<a href=\"top.html\">top.html</a>",
        "<a href=\"in.bin\">in.bin</a>",
    ];
    assert_answer(&top, 200, &words);
    assert!(!top.contains("out") && !top.contains("\"../\""), "what leads out: {top}");
    let sub = serving.ask("/sub/?C=S;O=D", "");
    let words = [
        "<a href=\"../\">",
        "<a href=\"a%20%26%20b.txt\">a &amp; b.txt</a>",
        "<a href=\"%3Cb%3Edeep/\">&lt;b&gt;deep/</a>",
        "<td>10 B</td>",
    ];
    assert_answer(&sub, 200, &words);
    let at = |name: &str| sub.find(name).expect("it is listed");
    assert!(at("%3Cb%3Edeep") < at("big.bin") && at("big.bin") < at("a%20%26"), "{sub}");
    assert!(!sub.contains("hidden") && !sub.contains("etc"), "{sub}");
    assert_answer(&serving.ask("/sub/%3Cb%3Edeep/", ""), 200, &["Index of /sub/&lt;b&gt;deep/"]);
}

#[test]
fn a_folder_without_its_slash_is_elsewhere() {
    let scene = Scene::new();
    let serving = serving(&scene, &[]);
    assert_answer(&serving.ask("/sub", ""), 301, &["\r\nLocation: /sub/\r\n"]);
    // Not at another host, of which two slashes would be the start.
    assert_answer(&serving.ask("//sub", ""), 301, &["\r\nLocation: /sub/\r\n"]);
    for path in ["/out/", "/sub/etc/", "/../", "/%2e%2e/", "/missing/", "/top.html/", "/sub/etc"] {
        let answer = serving.ask(path, "");
        assert_answer(&answer, 404, &[]);
    }
}

#[test]
fn an_index_stands_for_its_folder() {
    let scene = Scene::new();
    let serving = serving(&scene, &[]);
    fs::write(scene.path().join("in/index.html"), "<h1>mine</h1>").expect("a file");
    let words = ["\r\nContent-Type: text/html; charset=utf-8\r\n", "<h1>mine</h1>", "\r\nETag: "];
    assert_answer(&serving.ask("/", ""), 200, &words);
    assert_answer(&serving.ask("/", "Range: bytes=4-7\r\n"), 206, &["\r\n\r\nmine"]);
}

#[test]
fn suffixes_have_media_types() {
    let scene = Scene::new();
    let serving = serving(&scene, &[]);
    for (path, media_type) in [
        ("/sub/a%20&%20b.txt", "text/plain; charset=utf-8"),
        ("/sub/big.bin", "application/octet-stream"),
        ("/sub/%3Cb%3Edeep/x.json", "application/json"),
        ("/top.html", "text/html; charset=utf-8"),
    ] {
        let field = format!("\r\nContent-Type: {media_type}\r\n");
        assert_answer(&serving.ask(path, ""), 200, &[&field]);
    }
    let made_up = Serving::start(&scene, &["--size=9"]);
    let words = ["\r\nContent-Type: application/octet-stream\r\n"];
    assert_answer(&made_up.ask("/x.html", ""), 200, &words);
}

#[test]
fn each_answer_is_logged_where_that_is_asked_for() {
    let scene = Scene::new();
    let serving = serving(&scene, &["-v"]);
    for path in ["/sub/big.bin", "/missing\"\x1b", "/sub"] {
        serving.ask(path, "");
    }
    serving.ask("/sub/big.bin", "Range: bytes=2-4\r\n");
    let ended = serving.stop(Signal::TERM);
    for words in [
        "] \"GET /sub/big.bin HTTP/1.1\" 200 10\n",
        "] \"GET /missing\\\"\\x1b HTTP/1.1\" 404 14\n",
        "] \"GET /sub HTTP/1.1\" 301 22\n",
        "] \"GET /sub/big.bin HTTP/1.1\" 206 3\n",
    ] {
        assert!(ended.stderr.contains(words), "{words}{}", ended.stderr);
    }
    let lines = ended.stderr.lines().filter(|line| line.starts_with("127.0.0.1 - - ["));
    assert_eq!(lines.count(), 4, "{ended:?}");
    let quiet = serving_quietly(&scene);
    assert!(!quiet.contains("GET"), "{quiet}");
}

/// What a server without -v says of a request.
fn serving_quietly(scene: &Scene) -> String {
    let serving = Serving::start(scene, &["in"]);
    serving.ask("/top.html", "");
    serving.stop(Signal::TERM).stderr
}

#[test]
fn curl_reads_a_page_and_its_head() {
    let scene = Scene::new();
    let serving = serving(&scene, &[]);
    let Some(page) = curl(&["-L", &serving.url("sub")]) else { return };
    assert!(String::from_utf8_lossy(&page).contains("big.bin"), "{page:?}");
    let head = curl(&["-I", &serving.url("sub/")]).expect("curl is here");
    let length = format!("Content-Length: {}\r\n", page.len());
    assert!(String::from_utf8_lossy(&head).contains(&length), "{head:?}");
}

/// All files, and nothing from beside the folder.
#[test]
fn wget_mirrors_the_folder() {
    let Some(wget) = find_or_skip("wget", false, "nobody mirrors the folder") else { return };
    let scene = Scene::new();
    let serving = serving(&scene, &[]);
    let mut command = Command::new(wget);
    command.args(["-q", "-r", "--no-parent", "--no-host-directories", "-e", "robots=off"]);
    command.args(["--no-proxy", "--no-config", "-P", "got", "--reject-regex", "[?]C="]);
    let status = command.arg(&serving.url).current_dir(scene.path()).status();
    assert!(status.expect("wget runs").success());
    let got = scene.path().join("got");
    for file in ["top.html", "in.bin", "sub/a & b.txt", "sub/big.bin", "sub/<b>deep/x.json"] {
        let read = |root: &Path| fs::read(root.join(file)).expect("the file is there");
        assert_eq!(read(&got), read(&scene.path().join("in")), "{file}");
    }
    assert_eq!(names(&got), ["in.bin", "index.html", "sub", "top.html"]);
}

#[test]
fn a_browser_shows_a_sorted_folder() {
    let Some(chromium) = find_or_skip("chromium", false, "no browser looks at a folder") else {
        return;
    };
    let scene = Scene::new();
    let serving = serving(&scene, &[]);
    let mut command = Command::new(chromium);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]);
    command.arg(format!("--user-data-dir={}", scene.path().join("profile").display()));
    let shown = command.arg(serving.url("sub/?C=S;O=D")).output().expect("chromium runs");
    let page = String::from_utf8_lossy(&shown.stdout);
    for words in ["<title>Index of /sub/</title>", ">a &amp; b.txt</a>", ">&lt;b&gt;deep/</a>"] {
        assert!(page.contains(words), "no '{words}' in: {page}");
    }
    let at = |name: &str| page.find(name).expect("it is listed");
    assert!(at("big.bin</a>") < at("b.txt</a>"), "by size: {page}");
}
