//! Whether the slices of a file are of one file: what their journals say of size, version, place
//! and digest. Must not know their bytes.

use super::{Complete, Slices};
use crate::base::text::{listed, printable};
use crate::base::url::is_one_resource;
use crate::base::{Error, ErrorKind, Result};
use crate::digest::Checksum;
use crate::disk::journal::Identity;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What all slices say of their file, a file without bytes if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// Its size in bytes.
    pub total: u64,
    /// The digest that it should have, if one was known to any.
    pub digest: Option<Checksum>,
    /// Where it came from, without secrets.
    pub url: String,
    /// When it was last changed on the server, as far as that is known: the latest that any says.
    pub modified: Option<SystemTime>,
}

/// The advice where the file has changed between two slices.
const CHANGED_ADVICE: &str =
    "run all of them again: each fetches its bytes anew if the server has another file by now";

impl Slices {
    /// What those that are complete agree on, which is nothing if none is. Where a digest of the
    /// whole is to be verified, as `has_digest` or a journal says, it judges the bytes whatever the
    /// versions are called.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] with the numbers of those that are of another file.
    pub fn agree(&self, has_digest: bool) -> Result<Agreed> {
        self.check_same(
            |it| Some(it.total.to_string()),
            |it| format!("a file of {} bytes", it.total),
            CHANGED_ADVICE,
        )?;
        self.check_same(
            |it| it.digest.clone(),
            |it| format!("a file whose digest is {}", it.digest.as_deref().unwrap_or_default()),
            "give all of them the same --checksum",
        )?;
        let mut end = 0;
        for it in &self.complete {
            if it.span.start() < end || (self.missing.is_empty() && it.span.start() != end) {
                let what = format!("the slices of {} are not cut alike", self.target.display());
                let advice = "run all of them again with one version of ringhaul and --no-resume";
                return Err(Error::new(ErrorKind::TargetUnusable, what).advise(advice));
            }
            end = it.span.end();
        }
        // The hashes of pieces are none: no slice has verified those that lie across its ends.
        let digests: Vec<Option<Checksum>> = self.complete.iter().map(Complete::digest).collect();
        if !has_digest && !digests.iter().all(Option::is_some) {
            self.check_proved()?;
        }
        let digest = digests.into_iter().flatten().next();
        let first = self.complete.first().map(|it| &it.identity);
        let total = first.map_or(0, |it| it.total);
        let url = first.map_or(String::new(), |it| it.url.clone());
        Ok(Agreed { total, digest, url, modified: self.modified() })
    }

    fn modified(&self) -> Option<SystemTime> {
        let known = self.complete.iter().filter_map(|it| it.identity.cut?.modified_s);
        UNIX_EPOCH.checked_add(Duration::from_secs(known.max()?))
    }

    /// One version of one resource.
    fn check_proved(&self) -> Result<()> {
        self.check_same(
            |it| Some(before_query(&it.url).to_owned()),
            |it| format!("{}, and nothing shows that the others are the same file", it.url),
            "give the digest of the file with --checksum, or fetch all slices from one URL",
        )?;
        self.check_same(
            |it| Some(it.validator.clone().unwrap_or_default()),
            |it| {
                format!("the version {}", it.validator.as_deref().unwrap_or("without a validator"))
            },
            CHANGED_ADVICE,
        )
    }

    /// An error unless all for which `key` has a value have the same one. It names those that have
    /// not the value of most, and what they are of in words.
    fn check_same(
        &self,
        key: impl Fn(&Identity) -> Option<String>,
        words: impl Fn(&Identity) -> String,
        advice: &str,
    ) -> Result<()> {
        let mut groups: Vec<(String, Vec<&Complete>)> = Vec::new();
        for it in &self.complete {
            let Some(value) = key(&it.identity) else { continue };
            match groups.iter_mut().find(|(known, _)| *known == value) {
                Some((_, group)) => group.push(it),
                None => groups.push((value, vec![it])),
            }
        }
        // The first of the largest groups stays in front.
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.len()));
        let Some((_, odd)) = groups.get(1) else { return Ok(()) };
        let (usual, odd) = (&groups[0].1, odd);
        let numbers = |group: &[&Complete]| group.iter().map(|it| it.index).collect::<Vec<_>>();
        let what = format!(
            "{} of {}, and {} {} of {}",
            self.named(&numbers(odd)),
            printable(&words(&odd[0].identity)),
            if usual.len() == 1 { "slice" } else { "slices" },
            listed(&numbers(usual)),
            printable(&words(&usual[0].identity)),
        );
        Err(Error::new(ErrorKind::Changed, what).advise(advice))
    }
}

impl Complete {
    /// The digest that the whole file should have.
    fn digest(&self) -> Option<Checksum> {
        self.identity.digest.as_ref()?.parse().ok()
    }
}

fn before_query(url: &str) -> &str {
    let bare = url.split('?').next().unwrap_or_default();
    debug_assert!(is_one_resource(url, bare), "the query does not name another resource");
    bare
}
