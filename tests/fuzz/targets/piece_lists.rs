//! Lists of piece hashes: what is read has the lengths that it names and stands in the text; all
//! else is a clear error.

use super::Target;
use ringhaul::ErrorKind;
use ringhaul::internal::base::hex;
use ringhaul::internal::manifest::{looks_like_metalink, piece_hashes};

pub(super) const TARGET: Target =
    Target { name: "piece_lists", run, seeds, words: WORDS, smoke_runs: 20_000 };

const WORDS: &[&str] = &[
    "\n",
    "\r\n",
    "#",
    " ",
    "\t",
    "md5 1024\n",
    "sha-256 1M\n",
    "crc32 0.5G\n",
    "00000000\n",
    "d41d8cd98f00b204e9800998ecf8427e\n",
    "\u{feff}",
    "\0",
    "\u{e4}",
    "<metalink>",
    "<file name='f'>",
    "<pieces type='md5' length='1024'>",
    "<hash>d41d8cd98f00b204e9800998ecf8427e</hash>",
    "</pieces>",
    "</file>",
    "</metalink>",
];

fn seeds() -> Vec<Vec<u8>> {
    let md5 = "d41d8cd98f00b204e9800998ecf8427e";
    let texts = [
        format!("# f\nmd5 1024\n{md5}\n{md5}\n"),
        "\u{feff}crc32 1.5M\r\nE3069283\r\n\r\n00000000".to_owned(),
        format!(
            "<metalink><file name='f'><pieces type='md5' length='1024'><hash>{md5}</hash></pieces>\
             </file></metalink>"
        ),
    ];
    texts.map(String::into_bytes).to_vec()
}

fn run(data: &[u8]) {
    match piece_hashes(data, "f") {
        Ok(pieces) => {
            assert!(!pieces.hashes.is_empty() && pieces.length_bytes >= 1024);
            let lower = data.to_ascii_lowercase();
            // References may stand for digits in a Metalink.
            for hash in pieces.hashes.iter().filter(|_| !looks_like_metalink(data)) {
                assert_eq!(hash.len(), pieces.hashes[0].len());
                let digits = hex::encode(hash);
                let stands_there = lower.windows(digits.len()).any(|w| w == digits.as_bytes());
                assert!(stands_there, "{digits} is made up");
            }
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().chars().count() < 900, "{error}");
        }
    }
}
