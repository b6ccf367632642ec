//! Numbered files: their names, and the lists that name them all.
//!
//! The lines of a list are all of one length, so that any part of a list of any length is made
//! without the lines before it. Must not know requests or validators.

use super::content;
use crate::server::codec::hex::hex;
use std::ops::RangeInclusive;

/// Digits of a number at least: `0001`.
const DIGITS_MIN: usize = 4;
const SUFFIX: &str = ".bin";

/// The names `0001.bin`, `0002.bin` and on; larger counts have more digits, the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    count: u64,
    digits: usize,
}

impl Numbered {
    /// The names of `count` files.
    pub fn new(count: u64) -> Self {
        Self { count, digits: count.to_string().len().max(DIGITS_MIN) }
    }

    /// How many there are.
    pub fn count(self) -> u64 {
        self.count
    }

    /// The name of file `number`, from 1 to the count.
    pub fn name(self, number: u64) -> String {
        let digits = self.digits;
        format!("{number:0digits$}{SUFFIX}")
    }

    /// All of them, in order.
    pub fn names(self) -> impl Iterator<Item = String> {
        (1..=self.count).map(move |number| self.name(number))
    }

    /// Indicates whether `path` is one of them, behind a slash.
    pub(in crate::server) fn has(self, path: &str) -> bool {
        let digits = path.strip_prefix('/').and_then(|name| name.strip_suffix(SUFFIX));
        let digits = digits.filter(|digits| digits.len() == self.digits);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok());
        number.is_some_and(|number: u64| (1..=self.count).contains(&number))
    }

    fn name_bytes(self) -> usize {
        self.digits + SUFFIX.len()
    }
}

/// A text with one line for each of the files.
#[derive(Debug, Clone)]
pub(in crate::server) struct List {
    pub(in crate::server) names: Numbered,
    pub(in crate::server) lines: Lines,
}

/// What the lines say.
#[derive(Debug, Clone)]
pub(in crate::server) enum Lines {
    /// The URL of the file: this one of the root, and its name.
    Urls { root: String },
    /// Its SHA-256 and name, as sha256sum writes them, for a server of this seed and these sizes.
    Sums { seed: u64, sizes: RangeInclusive<u64> },
}

impl List {
    /// Its length.
    pub(in crate::server) fn size_bytes(&self) -> u64 {
        self.names.count.saturating_mul(self.line_bytes())
    }

    /// Fills `out` with the bytes from `offset` on; there are as many.
    pub(in crate::server) fn read(&self, offset: u64, out: &mut [u8]) {
        let line_bytes = self.line_bytes();
        let mut number = offset / line_bytes + 1;
        let mut inside = usize::try_from(offset % line_bytes).expect("a line is in memory");
        let mut filled = 0;
        while filled < out.len() {
            let line = self.line(number);
            let rest = &line.as_bytes()[inside..];
            let bytes = rest.len().min(out.len() - filled);
            out[filled..filled + bytes].copy_from_slice(&rest[..bytes]);
            filled += bytes;
            number += 1;
            inside = 0;
        }
    }

    fn line(&self, number: u64) -> String {
        let name = self.names.name(number);
        match &self.lines {
            Lines::Urls { root } => format!("{root}{name}\n"),
            Lines::Sums { seed, sizes } => {
                let path = format!("/{name}");
                let size_bytes = content::size_at(*seed, &path, sizes.clone());
                let sum = content::sha256(content::seed_at(*seed, &path), size_bytes);
                hex(&sum) + "  " + &name + "\n"
            }
        }
    }

    fn line_bytes(&self) -> u64 {
        let before = match &self.lines {
            Lines::Urls { root } => root.len(),
            Lines::Sums { .. } => 64 + 2,
        };
        (before + self.names.name_bytes() + 1) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_as_many_digits_as_the_last() {
        let few = Numbered::new(3);
        assert_eq!(few.names().collect::<Vec<_>>(), ["0001.bin", "0002.bin", "0003.bin"]);
        let many = Numbered::new(10_000);
        assert_eq!((many.name(1), many.name(10_000)), ("00001.bin".into(), "10000.bin".into()));
    }

    #[test]
    fn a_path_is_there_in_one_spelling_only() {
        let names = Numbered::new(12);
        for path in ["/0001.bin", "/0012.bin"] {
            assert!(names.has(path), "{path}");
        }
        for path in ["/0000.bin", "/0013.bin", "/1.bin", "/00001.bin", "/+001.bin", "/0001.BIN"] {
            assert!(!names.has(path), "{path}");
        }
        assert!(!names.has("0001.bin") && !names.has("//0001.bin") && !names.has("/"));
        assert!(!Numbered::new(0).has("/0000.bin"));
    }

    #[test]
    fn any_part_of_a_list_is_that_of_the_whole() {
        let urls = Lines::Urls { root: "http://h/".to_owned() };
        for lines in [urls, Lines::Sums { seed: 7, sizes: 1..=100 }] {
            let list = List { names: Numbered::new(5), lines };
            let whole: String = (1..=5).map(|number| list.line(number)).collect();
            assert_eq!(whole.len() as u64, list.size_bytes());
            for start in 0..whole.len() {
                for end in start..=whole.len() {
                    let mut part = vec![0; end - start];
                    list.read(start as u64, &mut part);
                    assert_eq!(part, whole.as_bytes()[start..end], "{start} to {end}");
                }
            }
        }
    }

    #[test]
    fn the_longest_list_has_a_length() {
        let lines = Lines::Urls { root: "http://h/".to_owned() };
        let list = List { names: Numbered::new(u64::MAX), lines };
        assert_eq!(list.size_bytes(), u64::MAX);
        let mut start = [0; 20];
        list.read(0, &mut start);
        assert_eq!(&start, b"http://h/00000000000");
    }
}
