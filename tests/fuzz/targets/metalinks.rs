//! Metalinks: no name leaves its folder, nothing is unbounded, what can be read is recognised, and
//! whatever else there is, is a clear error.

use super::Target;
use ringhaul::ErrorKind;
use ringhaul::internal::base::limits::{METALINK_NOTES_MAX, METALINK_URLS_MAX};
use ringhaul::internal::manifest::{
    METALINK_PRIORITY_LAST, Metalink, MetalinkFile, looks_like_metalink,
};
use std::collections::BTreeSet;
use std::path::{Component, Path};

pub(super) const TARGET: Target =
    Target { name: "metalinks", run, seeds, words: WORDS, smoke_runs: 10_000 };

const WORDS: &[&str] = &[
    "<metalink>",
    "<metalink xmlns='urn:ietf:params:xml:ns:metalink'>",
    "<metalink xmlns=\"http://www.metalinker.org/\" version=\"3.0\">",
    "</metalink>",
    "<files>",
    "</files>",
    "<file name='a'>",
    "<file name='../a'>",
    "<file name='b/c'/>",
    "</file>",
    "<size>",
    "</size>",
    "<verification>",
    "<resources maxconnections='2'>",
    "<url priority='1'>http://h/a</url>",
    "<url preference='99' location='de'>",
    "</url>",
    "<metaurl mediatype='torrent'>http://h/t</metaurl>",
    "<hash type='md5'>d41d8cd98f00b204e9800998ecf8427e</hash>",
    "<hash>d41d8cd98f00b204e9800998ecf8427e</hash>",
    "<pieces type='md5' length='1024'>",
    "</pieces>",
    " piece='0'",
    "ftp://h/a",
    "<!--",
    "-->",
    "<?",
    "?>",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "&amp;",
    "&#x41;",
    "&b;",
    "xmlns:m='urn:x'",
    "<m:",
    "/>",
    "'",
    "\"",
    "\n",
    "\0",
    "\u{feff}",
    "\u{202e}",
];

fn seeds() -> Vec<Vec<u8>> {
    let md5 = "d41d8cd98f00b204e9800998ecf8427e";
    let v3 = format!(
        "<?xml version=\"1.0\"?>\n<metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\" \
         xmlns:m=\"urn:m\"><files><file name=\"a\"><m:time>1</m:time><size>2000</size>\
         <verification><hash type=\"md5\">{md5}</hash><pieces length=\"1024\" type=\"md5\">\
         <hash piece=\"0\">{md5}</hash><hash piece=\"1\">{md5}</hash></pieces></verification>\
         <m:alternates><size>1</size></m:alternates><resources maxconnections=\"1\">\
         <url type=\"http\" location=\"DE\" preference=\"98\">http://h/a</url>\
         <url type=\"ftp\">ftp://h/a</url></resources></file></files></metalink>\n"
    );
    let v4 = format!(
        "<metalink xmlns='urn:ietf:params:xml:ns:metalink'><!-- c -->\n<file name='a/b'>\
         <size>2000</size><hash type='md5'>{md5}</hash><pieces length='1024' type='md5'>\
         <hash>{md5}</hash><hash>{md5}</hash></pieces><url priority='2'>http://h/a?b&amp;c</url>\
         <url priority='1'><![CDATA[https://h/a]]></url>\
         <metaurl mediatype='torrent'>http://h/t</metaurl></file>\n<file name='c'/></metalink>"
    );
    let bomb =
        "<!DOCTYPE metalink [<!ENTITY a \"b\"><!ENTITY c \"&a;&a;\">]><metalink>&c;</metalink>";
    [v3.as_str(), &v4, bomb].iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn run(data: &[u8]) {
    let is_recognised = looks_like_metalink(data);
    let metalink = match Metalink::parse(data) {
        Ok(metalink) => metalink,
        Err(error) => return refused(&error),
    };
    assert!(is_recognised, "what is read is recognised");
    assert!(!metalink.files.is_empty() || !metalink.refused.is_empty());
    let names: BTreeSet<&str> = metalink.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names.len(), metalink.files.len(), "no name stands there twice");
    metalink.files.iter().for_each(usable);
    metalink.refused.iter().for_each(|bad| refused(&bad.error));
    assert!(metalink.notes.len() <= METALINK_NOTES_MAX + 1);
    for note in &metalink.notes {
        assert!(note.chars().count() < 900 && !note.contains(char::is_control), "{note:?}");
    }
}

fn usable(file: &MetalinkFile) {
    let mut parts = Path::new(&file.name).components();
    assert!(!file.name.is_empty() && !file.name.contains(['\0', '\\']));
    assert!(parts.all(|part| matches!(part, Component::Normal(_))), "{:?}", file.name);
    for hash in &file.hashes {
        assert!(hash.digits.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
    }
    if let Some(pieces) = &file.pieces {
        assert!(!pieces.hashes.is_empty() && pieces.length_bytes > 0);
        let count = pieces.hashes.len() as u64;
        assert!(file.size_bytes.is_none_or(|size| size.div_ceil(pieces.length_bytes) == count));
    }
    assert!(file.urls.len() <= METALINK_URLS_MAX);
    assert!(file.urls.is_sorted_by_key(|mirror| mirror.priority));
    assert!(file.urls.iter().all(|url| (1..=METALINK_PRIORITY_LAST).contains(&url.priority)));
    assert_eq!(file.require_url().is_ok(), !file.urls.is_empty());
}

fn refused(error: &ringhaul::Error) {
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().chars().count() < 900, "{error}");
}
