//! Which file of a batch a record speaks of, and where a list says it comes from.
//!
//! The two are hashed apart. The target is the key: two items of one list never have one target, a
//! signed URL differs in every list. Of the URL a record keeps two short hashes, so that a list
//! that names another file for the target is seen, and one that signed the same file anew is told
//! from it. Must not know what is done about it.

use crate::base::Url;
use crate::engine::options::Algorithm;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// Bytes of a key.
pub const KEY_BYTES: usize = 16;

/// Which file: the start of the SHA-256 of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; KEY_BYTES]);

/// Where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Hash of the URL's scheme, host, port and path. User name, password and fragment are left
    /// out: they name no other file.
    pub address: u64,
    /// Hash of its query: a signature, or which file it is.
    pub query: u64,
}

impl Key {
    /// The key of the file at `target`. One target is given in one form in each run: the one under
    /// which it is opened, or the one below the folder of the batch. `a//b` and `./a/b` are `a/b`.
    pub fn of(target: &Path) -> Self {
        let mut hasher = Algorithm::Sha256.hasher();
        let named = |component: &Component| *component != Component::CurDir;
        for component in target.components().filter(named) {
            hasher.update(component.as_os_str().as_bytes());
            // No component has a zero.
            hasher.update(b"\0");
        }
        Self(*hasher.finish().bytes.first_chunk().expect("a SHA-256 has 32 bytes"))
    }

    /// A number that is even over all of `u64`: the first 8 bytes of the key, the most significant
    /// one first. What follows from it follows from the target.
    pub fn number(&self) -> u64 {
        u64::from_be_bytes(*self.0.first_chunk().expect("a key has 16 bytes"))
    }
}

impl Source {
    /// What `url` says.
    pub fn of(url: &Url) -> Self {
        let target = url.request_target();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Self { address: hash(&[&url.origin().to_string(), path]), query: hash(&[query]) }
    }
}

fn hash(texts: &[&str]) -> u64 {
    let mut hasher = Algorithm::Sha256.hasher();
    texts.iter().for_each(|text| hasher.update(text.as_bytes()));
    let digest = hasher.finish();
    u64::from_le_bytes(*digest.bytes.first_chunk().expect("a SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_one_key_in_each_of_its_spellings() {
        let key = |path: &str| Key::of(Path::new(path));
        assert_eq!(key("a/b"), key("./a//b/"));
        assert_eq!(key("a/./b"), key("a/b"));
        let others = ["a/b", "ab", "a/bc", "/a/b", "b/a", "a/../b", "../a/b", "a\\b", "A/b"];
        for (index, path) in others.iter().enumerate() {
            assert!(others[..index].iter().all(|other| key(other) != key(path)), "{path}");
        }
    }

    #[test]
    fn keys_stay_the_same_from_version_to_version() {
        let source = Source::of(&Url::parse("http://h/f?a=1").unwrap());
        let key = crate::base::hex::encode(&Key::of(Path::new("a/b")).0);
        assert_eq!(key, "8fb20ef63ced4145fc2e983ffe597d1d");
        assert_eq!((source.address, source.query), (0x48b5aa9680d1c703, 0xcfe528745dea2fc2));
    }

    #[test]
    fn a_source_tells_address_and_query_apart() {
        let of = |url: &str| Source::of(&Url::parse(url).unwrap());
        let plain = of("http://h/f?sig=1");
        assert_eq!(plain, of("http://user:password@H:80/f?sig=1#part"));
        for other in ["https://h/f?sig=1", "http://h:8080/f?sig=1", "http://h/g?sig=1"] {
            assert_ne!(plain.address, of(other).address, "{other}");
            assert_eq!(plain.query, of(other).query, "{other}");
        }
        for other in ["http://h/f?sig=2", "http://h/f"] {
            assert_eq!(plain.address, of(other).address, "{other}");
            assert_ne!(plain.query, of(other).query, "{other}");
        }
    }
}
