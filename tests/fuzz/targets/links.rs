//! `Link` fields: every target stands in the head, nothing is unbounded, and a URL that comes of a
//! target has no user name.

use super::Target;
use ringhaul::internal::base::Url;
use ringhaul::internal::base::limits::LINKS_MAX;
use ringhaul::internal::http::{HeadParse, Link, Rules, links, parse};

pub(super) const TARGET: Target =
    Target { name: "links", run, seeds, words: WORDS, smoke_runs: 10_000 };

const WORDS: &[&str] = &[
    "\r\nLink: ",
    "<http://h/a>",
    "<https://u:p@h/a?b#c>",
    "</a>",
    "<",
    ">",
    "; rel=duplicate",
    "; rel=\"duplicate describedby\"",
    ";rel=describedby",
    "; pri=1",
    "; geo=de",
    "; pref",
    "; depth=2",
    "; type=application/metalink4+xml",
    "; anchor=\"/x\"",
    "; title=\"",
    ";",
    "=",
    ",",
    "\"",
    "\\",
    "\\\"",
    " ",
    "\t",
    "302 x",
    "206 x",
    "404 x",
    "\u{e4}",
];

/// What follows the version of a status line.
fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "302 x\r\nLink: <http://m/a>; rel=duplicate; pri=2; geo=GB, </a>; rel=\"duplicate next\"; \
         title=\"a, <b>; \\\"c\"; pref; depth=1\r\nLink: <http://h/a.meta4>; rel=describedby; \
         type=\"application/metalink4+xml\"",
        "206 x\r\nLink: x, <ftp://h/a>; rel=duplicate, <a>; rel=duplicate; anchor=\"/b\"",
        "404 x\r\nLink: <http://m/a>; rel=duplicate",
    ];
    let many = format!("200 OK\r\nLink: {}", "<a>;rel=duplicate,".repeat(LINKS_MAX + 1));
    let seeds = texts.iter().copied().chain([many.as_str()]);
    seeds.map(|text| text.as_bytes().to_vec()).collect()
}

fn run(data: &[u8]) {
    let text = [b"HTTP/1.1 ", data, b"\r\n\r\n"].concat();
    let Ok(HeadParse::Complete { head, .. }) = parse(&text) else { return };
    let found = links(&head);
    let count = found.duplicates.len() + found.descriptions.len();
    assert!(count <= LINKS_MAX + 1, "one link may be both");
    assert!(found.left_out == 0 || count >= LINKS_MAX);
    assert!(count == 0 || matches!(head.status(), 200 | 206 | 300..=399));
    let priority = |link: &Link<'_>| link.priority.unwrap_or(u32::MAX);
    assert!(found.duplicates.is_sorted_by_key(priority));
    let current = Url::parse("https://here/d/f").expect("a URL");
    for link in found.duplicates.iter().chain(&found.descriptions) {
        assert!(!link.target.is_empty());
        let is_sent = head.all("Link").any(|field| field.contains(link.target));
        assert!(is_sent, "{link:?} is made up");
        assert!(link.priority.is_none_or(|priority| (1..=999_999).contains(&priority)));
    }
    // Most time goes into URLs, and those of many links are alike.
    for link in found.duplicates.iter().take(4) {
        if let Ok(url) = link.resolve(&current, &Rules::default()) {
            assert!(url.credentials().is_none());
            assert!(url.to_string().starts_with("https://"), "{url}");
        }
    }
}
