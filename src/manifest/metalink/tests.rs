//! Metalinks as they are served, and all that may be wrong with one.

use super::*;
use crate::base::limits::{
    METALINK_FILES_MAX, METALINK_NOTES_MAX, METALINK_TEXT_BYTES_MAX, METALINK_URLS_MAX,
};
use proptest::prelude::*;

const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn parse(text: &str) -> Metalink {
    Metalink::parse(text.as_bytes()).unwrap()
}

/// The only file of a Metalink of version 4 whose file element has this inside.
fn file(inside: &str) -> (MetalinkFile, Vec<String>) {
    let mut metalink = parse(&v4(inside));
    assert!(metalink.refused.is_empty(), "{:?}", metalink.refused);
    assert_eq!(metalink.files.len(), 1);
    (metalink.files.remove(0), metalink.notes)
}

/// Why that file is refused.
fn refusal(inside: &str) -> String {
    let metalink = parse(&v4(inside));
    assert!(metalink.files.is_empty(), "{:?}", metalink.files);
    let [bad] = &metalink.refused[..] else { panic!("{:?}", metalink.refused) };
    assert_eq!((bad.line, bad.error.kind()), (2, ErrorKind::Usage));
    bad.error.to_string()
}

fn v4(inside: &str) -> String {
    format!(
        "<metalink xmlns='urn:ietf:params:xml:ns:metalink'>\n<file name='f'>{inside}</file>\n\
         </metalink>"
    )
}

fn urls(file: &MetalinkFile) -> Vec<(String, u32)> {
    file.urls.iter().map(|mirror| (mirror.url.to_string(), mirror.priority)).collect()
}

fn hashes(file: &MetalinkFile) -> Vec<(&str, &str)> {
    file.hashes.iter().map(|hash| (hash.algorithm, hash.digits.as_str())).collect()
}

/// As MirrorManager makes it.
fn fedora(space: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="{space}" type="dynamic" pubdate="Tue, 03 Nov 2026 08:00:00 GMT"
    generator="mirrormanager" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="repomd.xml">
   <mm0:timestamp>1762156800</mm0:timestamp>
   <size>5421</size>
   <verification>
    <hash type="md5">{MD5}</hash>
    <hash type="sha1">{SHA1}</hash>
    <hash type="sha256">{SHA256}</hash>
   </verification>
   <mm0:alternates>
    <mm0:alternate>
     <mm0:timestamp>1762070400</mm0:timestamp>
     <size>5420</size>
     <verification>
      <hash type="md5">00000000000000000000000000000000</hash>
      <hash type="sha512">00</hash>
     </verification>
    </mm0:alternate>
   </mm0:alternates>
   <resources maxconnections="1">
    <url protocol="rsync" type="rsync" location="DE" preference="100">rsync://a.example/r.xml</url>
    <url protocol="http" type="http" location="US" preference="97">http://b.example/r.xml</url>
    <url protocol="https" type="https" location="DE" preference="100">https://c.example/r.xml</url>
    <url protocol="https" type="https" location="FR" preference="0">https://d.example/r.xml</url>
    <url protocol="https" type="https">https://e.example/r.xml</url>
   </resources>
  </file>
 </files>
</metalink>
"#
    )
}

#[test]
fn fedora_serves_version_3_with_alternates() {
    let metalink = parse(&fedora("http://www.metalinker.org/"));
    assert_eq!(metalink.version, MetalinkVersion::V3);
    let file = &metalink.files[0];
    assert_eq!((file.name.as_str(), file.size_bytes), ("repomd.xml", Some(5421)));
    assert_eq!(hashes(file), [("md5", MD5), ("sha1", SHA1), ("sha256", SHA256)]);
    assert_eq!(file.connections_max, Some(1));
    let expected = [
        ("https://c.example/r.xml", 1),
        ("http://b.example/r.xml", 4),
        ("https://d.example/r.xml", 101),
        ("https://e.example/r.xml", METALINK_PRIORITY_LAST),
    ];
    assert_eq!(urls(file), expected.map(|(url, priority)| (url.to_owned(), priority)));
    let locations: Vec<_> = file.urls.iter().map(|mirror| mirror.location.as_deref()).collect();
    assert_eq!(locations, [Some("de"), Some("us"), Some("fr"), None]);
    assert_eq!(file.left_out, [("rsync".to_owned(), 1)]);
    let [alternates, others] = &metalink.notes[..] else { panic!("{:?}", metalink.notes) };
    assert_eq!(
        alternates,
        "line 13: alternates, which are other versions of the file, do not count"
    );
    assert_eq!(others, "line 5: URLs of 'repomd.xml' that cannot be fetched: 1 of rsync");
}

#[test]
fn slips_in_the_namespace_do_not_matter() {
    let expected = parse(&fedora("http://www.metalinker.org/"));
    for space in ["https://www.metalinker.org/", "http://www.metalinker.org", ""] {
        let metalink = parse(&fedora(space));
        assert_eq!((metalink.version, metalink.files), (expected.version, expected.files.clone()));
    }
    let prefixed = format!(
        "<m:metalink xmlns:m='urn:ietf:params:xml:ns:metalink' xmlns='urn:x'><m:file name='f'>\
         <size>1</size><m:size>7</m:size><hash type='md5'>{SHA1}</hash></m:file></m:metalink>"
    );
    assert_eq!(parse(&prefixed).files[0].size_bytes, Some(7), "other namespaces do not count");
    assert!(parse(&prefixed).files[0].hashes.is_empty());
}

#[test]
fn opensuse_has_pieces_of_version_3() {
    let metalink = parse(&format!(
        r#"<metalink version="3.0" xmlns="http://www.metalinker.org/"><files>
  <file name="openSUSE.iso"><size>262145</size>
   <verification>
    <hash type="md5">{MD5}</hash><hash type="sha256">{SHA256}</hash>
    <pieces length="262144" type="sha1">
      <hash piece="1">{}</hash>
      <hash piece="0">{SHA1}</hash>
    </pieces>
   </verification>
   <resources>
    <url type="http" location="de" preference="99" maxconnections="2">http://a/o.iso</url>
    <url type="bittorrent" preference="100">http://a/o.iso.torrent</url>
   </resources></file></files></metalink>"#,
        "00".repeat(20)
    ));
    let file = &metalink.files[0];
    let pieces = file.pieces.as_ref().unwrap();
    assert_eq!((pieces.algorithm, pieces.length_bytes), ("sha1", 262_144));
    assert_eq!(pieces.hashes.len(), 2);
    assert_eq!(pieces.hashes[0][..2], [0xda, 0x39], "in the order of their numbers");
    assert_eq!(urls(file), [("http://a/o.iso".to_owned(), 2)]);
    assert_eq!(file.urls[0].connections_max, Some(2));
    assert_eq!(file.left_out, [("torrent".to_owned(), 1)]);
    assert_eq!(hashes(file).len(), 2, "a piece's hash is none of the file");
}

#[test]
fn version_4_as_in_rfc_5854_section_1_1() {
    let metalink = parse(&format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<metalink xmlns="urn:ietf:params:xml:ns:metalink">
  <published>2009-05-15T12:23:23Z</published>
  <file name="example.ext">
    <size>14471447</size><identity>Example</identity><version>1.0</version>
    <language>en</language><description>A file &amp; more.</description>
    <hash type="sha-256">{}</hash>
    <url location="de" priority="1">ftp://ftp.example.com/example.ext</url>
    <url location="fr" priority="1">http://example.com/example.ext</url>
    <metaurl mediatype="torrent" priority="2">http://example.com/example.ext.torrent</metaurl>
    <signature mediatype="application/pgp-signature">-----BEGIN</signature>
  </file>
  <file name="docs/example2.ext">
    <size>14471447</size>
    <pieces type="sha-256" length="14471447"><hash>{SHA256}</hash></pieces>
    <url priority="2">http://mirror/example2.ext</url>
    <url>http://late/example2.ext</url>
    <url priority="1"> http://example.com/example2.ext?a=1&amp;b=2
    </url>
  </file>
</metalink>"#,
        SHA256.to_uppercase()
    ));
    assert_eq!(metalink.version, MetalinkVersion::V4);
    let [first, second] = &metalink.files[..] else { panic!("two files") };
    assert_eq!((first.name.as_str(), hashes(first)), ("example.ext", vec![("sha256", SHA256)]));
    assert_eq!(urls(first), [("http://example.com/example.ext".to_owned(), 1)]);
    assert_eq!(first.left_out, [("ftp".to_owned(), 1), ("torrent".to_owned(), 1)]);
    let pieces = second.pieces.as_ref().unwrap();
    assert_eq!((pieces.algorithm, pieces.hashes.len()), ("sha256", 1));
    let priorities: Vec<u32> = second.urls.iter().map(|mirror| mirror.priority).collect();
    assert_eq!(priorities, [1, 2, METALINK_PRIORITY_LAST]);
    assert_eq!(second.urls[0].url.request_target(), "/example2.ext?a=1&b=2");
    assert_eq!(metalink.notes.len(), 1);
}

#[test]
fn mirrorcache_has_size_and_urls_only_and_versions_may_be_mixed() {
    let (file, notes) = file(
        "<size>9</size><url priority='1' location='cz'>http://a/f</url>\
         <url priority='2'>http://b/f</url>",
    );
    assert_eq!((file.size_bytes, file.urls.len(), file.hashes.len()), (Some(9), 2, 0));
    assert!(notes.is_empty(), "{notes:?}");
    let (mixed, _) = self::file(&format!(
        "<verification><hash type='sha-1'>{SHA1}</hash></verification>\
         <resources maxconnections='9'><url preference='90'>http://a/f</url>\
         <url priority='3' preference='100'>http://b/f</url>\
         </resources><hash type='md5'>{MD5}</hash>"
    ));
    assert_eq!(hashes(&mixed), [("sha1", SHA1), ("md5", MD5)]);
    assert_eq!(urls(&mixed), [("http://b/f".to_owned(), 3), ("http://a/f".to_owned(), 11)]);
    assert_eq!(mixed.connections_max, Some(9));
    let v3_inside_out =
        "<metalink version='3.0'><file name='f'><url>http://a/f</url></file></metalink>";
    assert_eq!(parse(v3_inside_out).version, MetalinkVersion::V3);
    assert_eq!(parse(&v3_inside_out.replace("3.0", "4.0")).version, MetalinkVersion::V4);
}

#[test]
fn a_file_without_urls_says_what_there_is_instead() {
    let error = |inside: &str| file(inside).0.require_url().unwrap_err().to_string();
    assert!(error("").starts_with("the Metalink has no URL of 'f' (your side)"));
    let others = "<url>ftp://a/f</url><url>FTP://b/f</url><url>magnet:?xt=urn:x</url>\
                  <url>f</url><metaurl mediatype='torrent'>http://a/f.torrent</metaurl>";
    let text = error(others);
    let counts = "but 2 of ftp, 1 of magnet, 1 of no scheme and 1 of torrent";
    assert!(text.contains(counts) && text.contains("http://"), "{text}");
    assert!(file("<url>http://a/f</url>").0.require_url().is_ok());
}

#[test]
fn what_may_be_wrong_with_one_file_does_not_cost_the_others() {
    let text = format!(
        "<metalink><file name='a'><url>http://h/a</url></file>\n<file name='../x'/>\n\
         <file><size>1</size></file>\n<file name='a'/>\n<file name='./a'/>\n\
         <file name='b'><size>18446744073709551616</size></file>\n\
         <file name='c'><size>-1</size></file>\n\
         <file name='d'><size>1</size><size>2</size></file>\n\
         <file name='e'><hash type='sha-256'>{SHA1}</hash></file>\n\
         <file name='g'><hash type='md5'>{MD5}</hash><hash type='md5'>{}</hash></file>\n\
         <file name='/etc/passwd'/>\n<file name='a\\b'/>\n<file name='a&#9;b'/>\n<file name=''/>\n\
         <file name='z'/></metalink>",
        MD5.replace('d', "e")
    );
    let metalink = parse(&text);
    let names: Vec<&str> = metalink.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a", "z"]);
    let expected = [
        "line 2: the name '../x' leaves the folder ('..')",
        "line 3: a file without a name",
        "line 4: the name 'a' is that of the file on line 1, too",
        "line 5: the name 'a' is that of the file on line 1, too",
        "line 6: the size '18446744073709551616' of 'b' is no number of bytes",
        "line 7: the size '-1' of 'c' is no number of bytes",
        "line 8: two different sizes of 'd'",
        "line 9: the sha256 of 'e' is not 64 hexadecimal digits",
        "line 10: two different md5 digests of 'g'",
        "line 11: the name '/etc/passwd' is an absolute path",
        "line 12: the name 'a\\b' has a backslash",
        "line 13: the name 'a b' has a control character",
        "line 14: the name '' is empty",
    ];
    assert_eq!(metalink.refused.len(), expected.len());
    for (bad, expected) in metalink.refused.iter().zip(expected) {
        assert!(bad.error.to_string().starts_with(expected), "{}", bad.error);
        assert!(expected.starts_with(&format!("line {}:", bad.line)));
    }
}

#[test]
fn hashes_that_are_not_known_or_empty_are_noted() {
    let (file, notes) = file(&format!(
        "<hash type='sha-384'>00</hash><hash type='x&#27;[31m'>00</hash><hash>{MD5}</hash>\
         <hash type='md5'/><hash type='SHA-256'>{SHA256}</hash><hash type='sha256'>{SHA256}</hash>"
    ));
    assert_eq!(hashes(&file), [("sha256", SHA256)]);
    assert_eq!(notes.len(), 4);
    assert_eq!(notes[0], "line 2: a hash of 'f' is of the kind 'sha-384', which is not known");
    assert_eq!(notes[1], "line 2: a hash of 'f' is of the kind 'x?[31m', which is not known");
    assert_eq!(notes[3], "line 2: the md5 of 'f' is empty");
}

#[test]
fn piece_hashes_that_cannot_be_right_are_noted() {
    for (attributes, hashes, reason) in [
        ("type='sha-384' length='1024'", "", "the kind 'sha-384' is not known"),
        ("length='1024'", "", "the kind '' is not known"),
        ("type='sha-1'", "", "their length '' is no number"),
        ("type='sha-1' length='0'", "", "a piece of 0 bytes"),
        ("type='sha-1' length='18446744073709551616'", "", "is no number"),
        ("type='sha-1' length='18446744073709551615'", "", "a piece of 18446744073709551615 bytes"),
        ("type='sha-1' length='1024'", "", "there are none"),
        ("type='sha-1' length='1024'", "<hash>00</hash>", "the sha1 of piece 1 is not 40"),
        ("type='sha-1' length='1024'", "<hash>H</hash>", "2048 bytes, which has 2"),
        ("type='sha-1' length='1024'", "<hash>H</hash><hash>H</hash><hash>H</hash>", "3 pieces"),
        (
            "type='sha-1' length='1024'",
            "<hash piece='0'>H</hash><hash piece='2'>H</hash>",
            "missing",
        ),
        ("type='sha-1' length='1024'", "<hash piece='0'>H</hash><hash piece='0'>H</hash>", "twice"),
        ("type='sha-1' length='1024'", "<hash piece='-1'>H</hash><hash>H</hash>", "number of a"),
    ] {
        let hashes = hashes.replace('H', SHA1);
        let inside = format!("<size>2048</size><pieces {attributes}>{hashes}</pieces>");
        let (file, notes) = file(&inside);
        assert_eq!(file.pieces, None, "{inside}");
        assert_eq!(notes.len(), 1, "{inside}");
        assert!(notes[0].starts_with("line 2: the piece hashes of 'f' do not count"), "{notes:?}");
        assert!(notes[0].contains(reason), "{notes:?} {reason}");
    }
}

#[test]
fn of_several_kinds_of_pieces_the_strongest_counts() {
    let pieces = |kind: &str, hash: &str| {
        format!("<pieces type='{kind}' length='1024'><hash>{hash}</hash></pieces>")
    };
    let (strong, weak) = (pieces("sha-256", SHA256), pieces("sha-1", SHA1));
    for inside in [format!("{strong}{weak}"), format!("{weak}{strong}")] {
        assert_eq!(file(&inside).0.pieces.unwrap().algorithm, "sha256");
    }
}

#[test]
fn hints_that_are_none_cost_nothing_but_a_note() {
    let (file, notes) = file(
        "<url priority='0' location='europe'>http://a/</url><url priority='1000000'>http://b/</url>\
         <url priority='99999999999999999999'>http://c/</url><url preference='101'>http://d/</url>\
         <url priority='x' preference='99'>http://e/</url><url maxconnections='0'>http://g/</url>\
         <url maxconnections='99999999999'>http://h/</url>",
    );
    let priorities: Vec<u32> = file.urls.iter().map(|mirror| mirror.priority).collect();
    assert_eq!(priorities[0], 2);
    assert!(priorities[1..].iter().all(|priority| *priority == METALINK_PRIORITY_LAST));
    assert!(file.urls.iter().all(|mirror| mirror.location.is_none()));
    assert_eq!(file.urls[6].connections_max, Some(u32::MAX));
    assert_eq!(notes.len(), 6, "{notes:?}");
}

#[test]
fn urls_that_are_none_or_stand_there_twice_are_noted_without_secrets() {
    let long = "x".repeat(METALINK_TEXT_BYTES_MAX);
    let (file, notes) = file(&format!(
        "<url>http://u:geheim@h:99999/f</url><url>http://</url><url>http://h/{long}</url>\
         <url>http://h:99999/{}</url><url>http://a/f?geheim</url><url>http://a/f?geheim</url>",
        &long[..1000]
    ));
    assert_eq!(urls(&file).len(), 1);
    assert_eq!(notes.len(), 5, "{notes:?}");
    assert!(notes[0].contains("cannot parse the URL 'http://h:99999/f'"), "{notes:?}");
    assert_eq!(notes[2], "line 2: a URL of 'f' is too long");
    assert_eq!(notes[3], "line 2: cannot parse a URL of 1015 bytes");
    assert_eq!(notes[4], "line 2: http://a/f?… stands there twice");
    assert!(notes.iter().all(|note| !note.contains("geheim")), "{notes:?}");
}

#[test]
fn sizes_and_hashes_without_end_are_refused_names_too() {
    let long = "1".repeat(METALINK_TEXT_BYTES_MAX + 1);
    assert!(refusal(&format!("<size>{long}</size>")).contains("a size or hash of 'f' is too long"));
    assert!(refusal(&format!("<hash type='md5'>{long}</hash>")).contains("is too long"));
    let (_, notes) = file(&format!("<hash type='{long}'>0</hash>"));
    assert!(notes[0].len() < 300, "{notes:?}");
    let (file, notes) =
        file(&format!("<pieces type='md5' length='1024'><hash>{long}</hash></pieces>"));
    assert!(file.pieces.is_none() && notes[0].contains("one of them is too long"), "{notes:?}");
    let metalink = parse(&format!("<metalink><file name='{long}'/></metalink>"));
    let error = metalink.refused[0].error.to_string();
    assert!(error.contains("is too long") && error.len() < 300, "{error}");
}

#[test]
fn ten_thousand_urls_count_and_more_are_noted() {
    let url = |number: usize| format!("<url>http://h/{number}</url>");
    let all: String = (0..METALINK_URLS_MAX + 2).map(url).collect();
    let (file, notes) = file(&all);
    assert_eq!(file.urls.len(), METALINK_URLS_MAX);
    assert_eq!(file.urls[9999].url.request_target(), "/9999", "in the order of the document");
    assert_eq!(notes, ["line 2: the first 10000 URLs of 'f' count, 2 do not"]);
}

#[test]
fn notes_kinds_and_files_are_bounded() {
    let (_, notes) = file(&"<hash type='x'>0</hash>".repeat(METALINK_NOTES_MAX + 3));
    assert_eq!(notes.len(), METALINK_NOTES_MAX + 1);
    assert_eq!(notes[METALINK_NOTES_MAX], "and 3 further notes of this kind");
    let kinds: String = (0..1000).map(|kind| format!("<url>k{kind}:x</url>")).collect();
    let (file, _) = file(&kinds);
    assert_eq!(file.left_out.len(), 9);
    assert_eq!(file.left_out[8], ("other kinds".to_owned(), 992));
    let files: String = (0..=METALINK_FILES_MAX).map(|n| format!("<file name='{n}'/>")).collect();
    let error = Metalink::parse(format!("<metalink>{files}</metalink>").as_bytes()).unwrap_err();
    assert!(error.to_string().contains("more than 65536 files"), "{error}");
}

#[test]
fn fifty_megabytes_of_xml_are_read() {
    let text =
        v4(&format!("<description>{}</description><size>7</size>", "lorem ".repeat(9 << 20)));
    assert!(text.len() > 50 << 20);
    assert_eq!(parse(&text).files[0].size_bytes, Some(7));
}

#[test]
fn what_is_no_metalink_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "line 1 (byte 0): it ends before"),
        ("<html/>", "its outermost element is 'html', not 'metalink'"),
        ("<metalink xmlns='urn:x'/>", "its namespace 'urn:x' is not that of a Metalink"),
        ("<m:metalink/>", "its namespace 'm' is not"),
        ("<metalink/>", "it describes no file"),
        ("<metalink><files><x><file name='a'/></x></files></metalink>", "it describes no file"),
        ("<metalink><file name='a'></metalink>", "line 1 (byte 25): malformed XML"),
        ("<metalink><file nam='a' name=></file></metalink>", "malformed XML"),
        ("<metalink><file nam></file></metalink>", "malformed XML"),
        ("<metalink><file name='&x;'/></metalink>", "malformed XML"),
        ("<!DOCTYPE metalink [<!ENTITY a 'b'>]><metalink/>", "document types"),
        ("{\"a\": 1}", "text outside of its elements"),
        ("<metalink><file name='a'/></metalink>&#32;<!-- -->\n\u{a0}", "text outside"),
    ] {
        let error = Metalink::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let line = error.to_string();
        assert!(line.starts_with("this Metalink cannot be used: "), "{line}");
        assert!(line.contains(reason), "{text}: {line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(256)
    })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Metalink::parse(&bytes);
        looks_like_metalink(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(
        at in any::<prop::sample::Index>(),
        len in 0usize..40,
        with in "[<>/'\"&;=a-z0-9 ]{0,12}",
    ) {
        let mut bytes = fedora("http://www.metalinker.org/").into_bytes();
        let at = at.index(bytes.len());
        let end = (at + len).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        if let Ok(metalink) = Metalink::parse(&bytes) {
            prop_assert!(metalink.files.len() + metalink.refused.len() > 0);
        }
    }
}
