//! Lists of every format, hostile ones, and the promise that pieces do not matter.

use super::*;
use crate::base::Url;
use crate::base::limits::LIST_URIS_MAX;
use crate::base::rng::Rng;
use crate::manifest::Entry;
use proptest::prelude::*;

const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn reader(base_url: Option<&str>) -> ListReader {
    let options = ListOptions { base_url: base_url.map(str::to_owned), name: None };
    ListReader::new(options).unwrap()
}

/// All entries of a list that comes in one piece.
fn read(list: &[u8], base_url: Option<&str>) -> Vec<Result<ListItem, BadLine>> {
    let mut reader = reader(base_url);
    reader.push(list);
    let mut entries: Vec<_> = reader.by_ref().collect();
    reader.finish();
    entries.extend(reader.by_ref());
    assert_eq!(reader.is_empty(), entries.is_empty());
    entries
}

fn item(list: &str) -> ListItem {
    let mut entries = read(list.as_bytes(), None);
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0).unwrap()
}

fn with_base(list: &str) -> Vec<Result<ListItem, BadLine>> {
    read(list.as_bytes(), Some("http://h/pool"))
}

/// Lines with what they say: URLs, or what is wrong with them.
fn told(entries: &[Result<ListItem, BadLine>]) -> Vec<(u64, String)> {
    let tell = |entry: &Result<ListItem, BadLine>| match entry {
        Ok(item) => (item.line, item.uris.join(" ")),
        Err(bad) if bad.is_last => (bad.line, format!("last: {}", bad.error)),
        Err(bad) => (bad.line, format!("bad: {}", bad.error)),
    };
    entries.iter().map(tell).collect()
}

fn assert_told(list: &[u8], expected: &[(u64, &str)]) {
    let told = told(&read(list, None));
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for ((line, text), (expected_line, start)) in told.iter().zip(expected) {
        assert!(line == expected_line && text.starts_with(start), "{line}: {text}, not {start}");
    }
}

#[test]
fn urls_stand_on_lines_among_comments_and_blank_ones() {
    let list =
        b"\xef\xbb\xbf# of today\r\n\r\nhttp://h/a\r\n  # b\n\t\nHTTPS://h/b c  \n\n http://h/d";
    assert_told(list, &[(3, "http://h/a"), (6, "HTTPS://h/b c"), (8, "http://h/d")]);
    for (list, lines) in [(&b""[..], 0), (b"\n", 0), (b"# x", 0), (b"\xef\xbb\xbf", 0)] {
        assert_eq!(read(list, None).len(), lines);
    }
}

#[test]
fn a_list_that_may_have_been_cut_says_so() {
    let cut = "http://h/a\nhttp:/";
    for (list, open_line) in [("http://h/a\n", None), (cut, Some(2)), ("", None)] {
        let mut reader = reader(None);
        reader.push(list.as_bytes());
        reader.finish();
        assert_eq!(reader.by_ref().count() == 0, reader.is_empty());
        assert_eq!(reader.open_line(), open_line, "{list}");
    }
}

#[test]
fn mirrors_and_options_belong_to_one_item() {
    let list = format!(
        "http://a/f\thttps://b/f\t\tftp://c/f\n out=x/y.bin\n# between\n\n\tdir = sub\n  \
         checksum=sha-256={}\n header=A: b=c\n header=D: e\n user-agent=me\n size=12\n \
         max-tries=3\n no-such=\nhttp://a/g\n",
        SHA256.to_uppercase()
    );
    let entries = read(list.as_bytes(), None);
    let other =
        |key: &str, value: &str, line| OtherKey { key: key.into(), value: value.into(), line };
    let first = entries[0].clone().unwrap();
    assert!(first.left_out[0].contains("'ftp' is not supported"), "{first:?}");
    let expected = ListItem {
        line: 1,
        uris: vec!["http://a/f".into(), "https://b/f".into()],
        urls: ["http://a/f", "https://b/f"].map(|text| Url::parse(text).unwrap()).to_vec(),
        left_out: first.left_out.clone(),
        out: Some("x/y.bin".into()),
        dir: Some("sub".into()),
        checksum: Some(Entry { algorithm: "sha256", digits: SHA256.into() }),
        size: Some(12),
        headers: vec!["A: b=c".into(), "D: e".into()],
        user_agent: Some("me".into()),
        other: vec![other("max-tries", "3", 11), other("no-such", "", 12)],
    };
    assert_eq!(first, expected);
    let (uri, line) = ("http://a/g".to_owned(), 13);
    let urls = vec![Url::parse(&uri).unwrap()];
    let second = ListItem { line, uris: vec![uri], urls, ..ListItem::default() };
    assert_eq!(entries[1].as_ref().unwrap(), &second);
    assert_eq!(entries.len(), 2);
}

#[test]
fn a_bad_option_costs_its_item_and_names_its_own_line() {
    for (option, reason) in [
        ("out", "neither an option"),
        ("o ut=x", "neither an option"),
        ("=x", "neither an option"),
        ("out=a\n out=b", "'out' is given twice"),
        ("size=8M", "'size' is no whole number"),
        ("size=-1", "'size' is no whole number"),
        ("checksum=sha-256", "not written as ALGORITHM:HEX"),
        ("checksum=sha-384=00", "kind 'sha-384' are not supported"),
        ("checksum=md5=00", "the md5 is not 32 hexadecimal digits"),
    ] {
        let list = format!("http://h/a\n\n {option}\n out=ignored\nhttp://h/b");
        let entries = read(list.as_bytes(), None);
        assert_eq!(entries.len(), 2, "{entries:?}");
        let bad = entries[0].as_ref().unwrap_err();
        let line = 3 + option.matches('\n').count() as u64;
        assert_eq!(bad.line, line, "{bad}");
        assert!(!bad.is_last && bad.to_string().contains(reason), "{bad}");
        assert!(entries[1].is_ok());
    }
}

#[test]
fn json_lines_say_the_same() {
    let list = format!(
        "{{\"url\":\"http://h/a\",\"urls\":[\"http://b/a\",\"ftp://c\"],\"out\":\"x/y\",\
         \"dir\":\"d\",\"sha256\":\"{SHA256}\",\"checksum\":\"md5:{MD5}\",\
         \"size\":18446744073709551615,\"headers\":[\"A: b\"],\"header\":{{\"C\":\"d\"}},\
         \"user_agent\":\"me\",\"max-tries\":3,\
         \"odd\":{{\"a\":[1]}},\"flag\":true,\"md5\":null}}"
    );
    let found = item(&list);
    let other = |key: &str, value: &str| OtherKey { key: key.into(), value: value.into(), line: 1 };
    let expected = ListItem {
        line: 1,
        uris: vec!["http://h/a".into(), "http://b/a".into()],
        urls: ["http://h/a", "http://b/a"].map(|text| Url::parse(text).unwrap()).to_vec(),
        left_out: found.left_out.clone(),
        out: Some("x/y".into()),
        dir: Some("d".into()),
        checksum: Some(Entry { algorithm: "sha256", digits: SHA256.into() }),
        size: Some(u64::MAX),
        headers: vec!["A: b".into(), "C: d".into()],
        user_agent: Some("me".into()),
        other: vec![other("max-tries", "3"), other("odd", "…"), other("flag", "true")],
    };
    assert_eq!(found, expected);
    assert_eq!(found.left_out.len(), 1);
}

#[test]
fn a_failed_line_of_our_results_is_an_item() {
    let list = format!(
        "# retry\n{{\"url\":\"http://h/a\",\"path\":\"/d/a\",\"bytes\":7,\"seconds\":0.5,\
         \"status\":503,\"digest\":null,\"validator\":{{\"etag\":\"x\"}},\"retries\":5,\
         \"error\":{{\"kind\":\"Status\",\"text\":\"busy\"}},\"out\":\"a\",\"sha256\":\"{SHA256}\",\
         \"size\":9}}\r\n"
    );
    let found = item(&list);
    assert_eq!((found.line, found.size, found.out.as_deref()), (2, Some(9), Some("a")));
    assert_eq!(found.checksum.unwrap().digits, SHA256);
    assert!(found.other.is_empty());
}

#[test]
fn malformed_objects_say_what_is_wrong_and_show_no_value() {
    let two = format!("\"sha256\":\"{SHA256}\",\"checksum\":\"sha256:{}\"", "0".repeat(64));
    for (line, reason) in [
        ("{\"url\":\"http://h/secret\"", "malformed JSON at byte 24: EOF"),
        ("{\"url\":\"http://h/a\"} {}", "malformed JSON at byte 22: trailing"),
        ("http://h/secret", "no JSON object"),
        ("{}", "the item has no URL"),
        ("{\"url\":7}", "'url' is no text"),
        ("{\"url\":\"secret\"}", "cannot parse the URL"),
        ("{\"urls\":[\"http://h/a\",7]}", "'urls' is no array of texts"),
        ("{\"url\":\"http://h/a\",\"url\":\"http://h/a\"}", "'url' is given twice"),
        ("{\"url\":\"http://h/a\",\"out\":[\"secret\"]}", "'out' is no text"),
        ("{\"url\":\"http://h/a\",\"size\":1.5}", "'size' is no whole number"),
        ("{\"url\":\"http://h/a\",\"headers\":[\"A: secret\",[7]]}", "array of texts"),
        (&format!("{{\"url\":\"http://h/a\",{two}}}"), "two different sha256"),
        (&format!("{{\"url\":\"http://h/a\",\"a\":{}", "[".repeat(10_000)), "recursion limit"),
    ] {
        let list = format!("{{\"url\":\"http://h/0\"}}\n{line}\n{{\"url\":\"http://h/2\"}}");
        let entries = read(list.as_bytes(), None);
        assert_eq!(entries.len(), 3, "{entries:?}");
        let bad = entries[1].as_ref().unwrap_err();
        assert!(bad.line == 2 && bad.error.to_string().contains(reason), "{line}: {bad}");
        assert!(reason.contains("parse") || !bad.to_string().contains("secret"), "{bad}");
    }
}

#[test]
fn names_of_checksum_lists_are_joined_to_the_base() {
    let list = format!(
        "# SHA256\n{SHA256}  ./pool/a b+c.iso\n{SHA256} *x#y?.iso\r\nMD5 (d.iso) = {MD5}\n\
         \\{SHA256}  a\\nb\n"
    );
    let entries = with_base(&list);
    let found: Vec<_> = entries
        .iter()
        .map(|entry| entry.as_ref().unwrap())
        .map(|item| (item.line, item.uris[0].as_str(), item.out.as_deref().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            (2, "http://h/pool/pool/a%20b%2Bc.iso", "pool/a b+c.iso"),
            (3, "http://h/pool/x%23y%3F.iso", "x#y?.iso"),
            (4, "http://h/pool/d.iso", "d.iso"),
            (5, "http://h/pool/a%0Ab", "a\nb"),
        ]
    );
    let digest = entries[2].as_ref().unwrap().checksum.as_ref().unwrap();
    assert_eq!((digest.algorithm, digest.digits.as_str()), ("md5", MD5));
}

#[test]
fn a_base_keeps_its_query_and_needs_no_slash() {
    for (base, url) in [
        ("http://h", "http://h/f"),
        ("http://u:p@h/d/", "http://u:p@h/d/f"),
        ("https://h/d?sig=a/b#frag", "https://h/d/f?sig=a/b"),
    ] {
        let entries = read(format!("{SHA256}  f").as_bytes(), Some(base));
        assert_eq!(entries[0].as_ref().unwrap().uris, [url]);
    }
    for base in ["", "h/d", "ftp://h/"] {
        let options = ListOptions { base_url: Some(base.into()), name: None };
        let error = ListReader::new(options).unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("base URL"));
    }
}

#[test]
fn signed_checksum_lists_are_read() {
    let list = format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# f: 7 bytes\nSHA256 (f) = {SHA256}\n\
         -----BEGIN PGP SIGNATURE-----\n\niQIz\n-----END PGP SIGNATURE-----\n"
    );
    assert_eq!(told(&with_base(&list)), [(5, "http://h/pool/f".into())]);
    let start: String = list.chars().take(36).collect();
    assert_told(start.as_bytes(), &[(1, "last: a list of checksums")]);
}

#[test]
fn lines_of_a_checksum_list_that_cannot_be_used_are_named() {
    for (line, reason) in [
        (format!("{SHA256}  ../f"), "'../f' leaves the folder"),
        (format!("{SHA256}  a/../../f"), "leaves the folder"),
        (format!("{SHA256}  /etc/f"), "'/etc/f' leaves the folder"),
        (format!("{SHA256}  ./"), "names no file"),
        (SHA256.to_owned(), "names no file"),
        (format!("SHA384 (f) = {SHA256}"), "kind 'SHA384' are not supported"),
        (format!("SHA256 (f) = {MD5}"), "not 64 hexadecimal digits"),
        ("total 7".to_owned(), "the line has no checksum"),
    ] {
        let entries = with_base(&format!("{SHA256}  a\n{line}\n{SHA256}  b\n"));
        assert_eq!(entries.len(), 3);
        let bad = entries[1].as_ref().unwrap_err();
        assert!(bad.line == 2 && bad.to_string().contains(reason), "{line}: {bad}");
    }
}

#[test]
fn checksums_without_a_base_url_end_the_list() {
    let list = format!("{SHA256}  a\n{SHA256}  b\n");
    assert_told(list.as_bytes(), &[(1, "last: a list of checksums names files without URLs")]);
    let bad = read(list.as_bytes(), None).remove(0).unwrap_err();
    assert!(bad.error.advice().contains("--base-url"), "{bad}");
}

#[test]
fn the_lists_name_tells_digests_of_one_length_apart() {
    let options = ListOptions { base_url: Some("http://h/".into()), name: Some("B3SUMS".into()) };
    let mut reader = ListReader::new(options).unwrap();
    reader.push(format!("{SHA256}  f\n").as_bytes());
    let item = reader.next().unwrap().unwrap();
    assert_eq!(item.checksum.unwrap().algorithm, "blake3");
}

#[test]
fn what_is_no_list_is_one_error() {
    for (list, reason) in [
        (&b"\x7fELF\x02\x01\0\0http://h/a\nhttp://h/b\n"[..], "it is binary data"),
        (b"\xff\xfeh\0t\0t\0p\0:\0", "it is UTF-16"),
        (b"\x1f\x8b\x08\x00\n", "it is binary data"),
        (b"\x28\xb5\x2f\xfd\n", "it is no UTF-8 text"),
        (b"[\n{\"url\":\"http://h/a\"}\n]\n", "it begins with '['"),
        (b"\n<!doctype html>\n<html>\n", "it looks like HTML or XML"),
    ] {
        let entries = read(list, None);
        let bad = entries[0].as_ref().unwrap_err();
        assert!(entries.len() == 1 && bad.is_last, "{entries:?}");
        assert!(bad.error.to_string().contains(reason), "{bad}");
    }
    let late = b"http://h/a\n out=x\nhttp://h/b\n\0\nhttp://h/c\n";
    assert_told(late, &[(1, "http://h/a"), (3, "http://h/b"), (4, "last: this is no list")]);
}

#[test]
fn bad_lines_do_not_stop_the_others() {
    let list =
        b"url\n out=x\n\n  out=y\nhttp:///\nftp://h/a\nhttp://h/a\n\xe4\nhttp://h/b\n \xe4\n";
    assert_told(
        list,
        &[
            (1, "bad: cannot parse the URL 'url'"),
            (5, "bad: cannot parse the URL"),
            (6, "bad: the scheme 'ftp'"),
            (7, "http://h/a"),
            (8, "bad: the line is no UTF-8 text"),
            (10, "bad: the line is no UTF-8 text"),
        ],
    );
    assert_told(b" out=x\nhttp://h/a", &[(1, "bad: an option without"), (2, "http://h/a")]);
}

#[test]
fn a_long_line_is_one_bad_line_and_not_kept() {
    let mut reader = reader(None);
    reader.push(b"http://h/a\nhttp://h/");
    assert!(reader.next().is_none(), "the first item may yet get options");
    for _ in 0..160 {
        reader.push(&[b'x'; 64 * 1024]);
        assert!(reader.by_ref().all(|entry| entry.is_ok()));
        assert!(reader.lines.buffer_bytes() <= 2 * LIST_LINE_BYTES_MAX + 128 * 1024);
    }
    reader.push(b"\n out=x\nhttp://h/b");
    reader.finish();
    let entries: Vec<_> = reader.by_ref().collect();
    let told = told(&entries);
    assert_eq!(told.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 4]);
    assert!(told[1].1.contains("longer than 1.00 MiB"), "{told:?}");
}

#[test]
fn binary_data_without_lines_is_no_list_wherever_its_first_nul_is() {
    for nul_at in [0, LIST_LINE_BYTES_MAX, LIST_LINE_BYTES_MAX + 1, 3 * LIST_LINE_BYTES_MAX] {
        let mut list = vec![b'x'; 3 * LIST_LINE_BYTES_MAX + 1];
        list[nul_at] = 0;
        list.extend_from_slice(b"\nhttp://h/a\n");
        for bytes_max in [list.len(), 100_000] {
            let entries = in_pieces(&list, bytes_max, 1);
            assert!(entries.len() == 1 && entries[0].contains("binary data"), "{entries:?}");
        }
    }
}

#[test]
fn what_one_item_may_hold_has_bounds() {
    let uris = "http://h/a\t".repeat(LIST_URIS_MAX + 1);
    let headers = format!("http://h/a\n{}", " header=A: b\n".repeat(129));
    let others = format!("http://h/a\n{}", " a=\n".repeat(129));
    let long = format!("http://h/a\n{}", format!(" a={}\n", "x".repeat(40_000)).repeat(2));
    for (list, line, reason) in [
        (&uris, 1, "more than 256 URLs"),
        (&headers, 130, "more than 128 header fields"),
        (&others, 130, "more than 128 keys"),
        (&long, 3, "longer than 64.00 KiB"),
    ] {
        let bad = read(list.as_bytes(), None).remove(0).unwrap_err();
        assert!(bad.line == line && bad.to_string().contains(reason), "{bad}");
    }
    let bad = read("x".repeat(900_000).as_bytes(), None).remove(0).unwrap_err();
    assert!(bad.to_string().len() < 300, "{}", bad.to_string().len());
}

/// The reader's own memory is that of a piece, however long the list is.
#[test]
fn a_million_lines_take_the_memory_of_a_piece() {
    const PIECE_LINES: u64 = 1000;
    let mut reader = reader(None);
    let (mut items, mut last) = (0, 0);
    for piece in 0..1000 {
        let lines = (0..PIECE_LINES).map(|line| format!("http://h/{piece}/{line}.bin\n"));
        reader.push(lines.collect::<String>().as_bytes());
        for item in reader.by_ref() {
            (items, last) = (items + 1, item.unwrap().line);
        }
        assert!(reader.lines.buffer_bytes() < 64 * 1024, "{}", reader.lines.buffer_bytes());
        assert!(reader.parser.ready.capacity() <= 8);
    }
    reader.finish();
    items += reader.by_ref().count();
    assert_eq!((items, last), (1_000_000, 999_999));
}

/// The entries of a list that comes in pieces of up to `bytes_max` bytes.
fn in_pieces(list: &[u8], bytes_max: usize, seed: u64) -> Vec<String> {
    let mut rng = Rng::new(seed);
    let mut reader = reader(Some("http://h/"));
    let mut entries = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at((1 + rng.index(bytes_max)).min(rest.len()));
        reader.push(piece);
        entries.extend(reader.by_ref().map(|entry| format!("{entry:?}")));
        rest = behind;
    }
    reader.finish();
    entries.extend(reader.by_ref().map(|entry| format!("{entry:?}")));
    entries
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "http://h/a\thttps://b/a",
        "https://h/b",
        " out=x",
        "\tchecksum=sha-256=00",
        " header=A: b",
        "{\"url\":\"http://h/a\",\"size\":7}",
        "{\"url\":",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a/b",
        "MD5 (x) = d41d8cd98f00b204e9800998ecf8427e",
        "-----BEGIN PGP SIGNED MESSAGE-----",
        "# comment",
        "",
        "nonsense",
    ];
    prop_oneof![
        20 => prop::sample::select(known.to_vec()).prop_map(|line| line.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (LIST_LINE_BYTES_MAX - 1..LIST_LINE_BYTES_MAX + 2).prop_map(|bytes| vec![b'x'; bytes]),
        1 => (LIST_LINE_BYTES_MAX - 1..LIST_LINE_BYTES_MAX + 2, any::<bool>()).prop_map(
            |(bytes, at_end)| {
                let mut line = vec![b'x'; bytes];
                line[if at_end { bytes - 1 } else { 7 }] = 0;
                line
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(128)
    })]

    #[test]
    fn pieces_do_not_matter(
        lines in prop::collection::vec((any_line(), any::<bool>()), 0..12),
        is_open in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut list = Vec::new();
        for (line, has_cr) in &lines {
            list.extend_from_slice(line);
            list.extend_from_slice(if *has_cr { b"\r\n" } else { b"\n" });
        }
        if is_open {
            list.pop();
        }
        let whole = in_pieces(&list, list.len().max(1), seed);
        let sizes: &[usize] = if list.len() < 100_000 { &[1, 3, 200] } else { &[5_000, 400_000] };
        for bytes_max in sizes {
            prop_assert_eq!(&in_pieces(&list, *bytes_max, seed), &whole, "{}", bytes_max);
        }
    }
}
