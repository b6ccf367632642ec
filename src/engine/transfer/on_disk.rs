//! What of the file is here already when an attempt begins, and whether it is part of the file
//! that the server has now.

use crate::base::url::is_one_resource;
use crate::base::{Error, ErrorKind, Result, SpanSet, Url};
use crate::digest::crc::Run;
use crate::disk::journal::{Identity, Saved};
use crate::engine::options::Options;
use crate::engine::options::part::Part;
use crate::http::Validator;

/// Bytes of the file that an earlier run or attempt has left on the disk.
#[derive(Default)]
pub(super) struct OnDisk {
    /// Which file they are of; `None` if there are none.
    identity: Option<Identity>,
    runs: Vec<Run>,
    /// They have been read back since they were left, or this run has written them.
    is_checked: bool,
    /// Digests of pieces of the file have proved them, whoever serves it.
    is_proved: bool,
}

/// Whether the bytes that are here are of the file that the server has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// They are, by a validator of the same resource or by the digest that the file must have.
    Given,
    /// Nothing speaks against it, but they have to be compared.
    ByComparison,
}

impl OnDisk {
    /// What a journal tells.
    pub(super) fn saved(saved: Saved) -> Self {
        Self::new(saved.identity, saved.runs, false)
    }

    /// Bytes of a file of `total` bytes, which digests of its pieces have proved before they were
    /// brought to the disk.
    pub(super) fn proved(total: u64, runs: Vec<Run>) -> Self {
        let (url, validator, digest, cut) = (String::new(), None, None, None);
        let identity = Identity { url, total, validator, digest, cut };
        Self { is_proved: true, ..Self::new(identity, runs, false) }
    }

    /// Bytes of the file `identity`.
    pub(super) fn new(identity: Identity, runs: Vec<Run>, is_checked: bool) -> Self {
        if runs.is_empty() {
            return Self::default();
        }
        Self { identity: Some(identity), runs, is_checked, is_proved: false }
    }

    /// The same without the runs that have a byte of `wrong`, once all have been read back.
    pub(super) fn without(mut self, wrong: &SpanSet) -> Self {
        self.runs.retain(|run| wrong.gaps(run.span) == [run.span]);
        self.is_checked = true;
        self
    }

    /// Bytes that have not been read back since an earlier run has left them.
    pub(super) fn unchecked_bytes(&self) -> u64 {
        if self.is_checked { 0 } else { self.bytes() }
    }

    /// Whether digests of pieces have proved them.
    pub(super) fn is_proved(&self) -> bool {
        self.is_proved
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The size of the file that they are of, in bytes; `None` if there are none.
    pub(super) fn total(&self) -> Option<u64> {
        self.identity.as_ref().map(|identity| identity.total)
    }

    /// How many bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.span.len()).sum()
    }

    /// The runs, in order.
    pub(super) fn runs(&self) -> Vec<Run> {
        self.runs.clone()
    }

    /// The bytes.
    pub(super) fn spans(&self) -> SpanSet {
        let mut spans = SpanSet::new();
        for run in &self.runs {
            spans.insert(run.span);
        }
        spans
    }

    /// What makes these bytes a part of the file `now`; an error if they are none: another size, a
    /// validator or digest that differs.
    ///
    /// A validator names versions of one resource (RFC 9110 section 8.8.3): it speaks of these
    /// bytes only where origin and path are the same. The query may differ, as that of signed URLs
    /// does.
    ///
    /// Where the digests of its pieces are known, as `has_pieces` says, these judge all bytes.
    pub(super) fn judge(&self, now: &Identity, has_pieces: bool) -> Result<Proof> {
        let Some(before) = &self.identity else { return Ok(Proof::Given) };
        let changed = |what: String| Err(Error::new(ErrorKind::Changed, what));
        if part_of(before) != part_of(now) {
            return changed("another part of the file was begun before".into());
        }
        if before.total != now.total {
            let (before, now) = (before.total, now.total);
            return changed(format!("the file had {before} bytes and now has {now}"));
        }
        if has_pieces || self.is_proved {
            return Ok(Proof::Given);
        }
        let same = |before: &Option<String>, now: &Option<String>| {
            before.as_ref().zip(now.as_ref()).map(|(before, now)| before == now)
        };
        let is_of_one = is_one_resource(&before.url, &now.url);
        let validator = same(&before.validator, &now.validator).filter(|_| is_of_one);
        match (validator, same(&before.digest, &now.digest)) {
            (Some(true), _) | (_, Some(true)) => Ok(Proof::Given),
            (Some(false), _) | (None, Some(false)) => {
                changed("the file is another one than that begun before".into())
            }
            (None, None) => Ok(Proof::ByComparison),
        }
    }
}

/// What tells the part of a file that was begun from others of it; `None` for the file itself.
pub(super) fn part_of(identity: &Identity) -> Option<&str> {
    identity.url.split_once('#').map(|(_, part)| part)
}

/// What identifies the file at `url`, where redirects led to, or the part of it that these options
/// make a file of its own; the `Display` of a URL has no secrets, and no fragment.
pub(super) fn identity(
    options: &Options,
    url: &Url,
    total: u64,
    validator: &Validator,
    digest: Option<String>,
) -> Identity {
    let part = options.part.as_ref().and_then(Part::name).map(|part| format!("#{part}"));
    let url = format!("{url}{}", part.unwrap_or_default());
    Identity { url, total, validator: validator.strong(), digest, cut: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Span;

    fn identity_of(total: u64, validator: Option<&str>, digest: Option<&str>) -> Identity {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let (validator, digest) = (text(validator), text(digest));
        Identity { url: "http://h/f".into(), total, validator, digest, cut: None }
    }

    fn run(start: u64, end: u64) -> Run {
        Run { span: Span::new(start, end), crc32c: 0 }
    }

    #[test]
    fn parts_are_joined_only_with_proof() {
        type Proved<'a> = (&'a str, Option<&'a str>, Option<&'a str>);
        let judge = |before: Proved<'_>, now: Proved<'_>| {
            let [before, now] = [before, now].map(|(url, validator, digest)| Identity {
                url: url.into(),
                ..identity_of(9000, validator, digest)
            });
            let here = OnDisk::new(before, vec![run(0, 4096)], true);
            let pieces_prove = here.judge(&now, true).map_err(|e| e.kind());
            assert_eq!(pieces_prove, Ok(Proof::Given));
            here.judge(&now, false).map_err(|e| e.kind())
        };
        let (a, b) = (Some("etag \"a\""), Some("etag \"b\""));
        let (x, y) = (Some("sha256:01"), Some("sha256:02"));
        let (given, compared) = (Ok(Proof::Given), Ok(Proof::ByComparison));
        let (url, signed, other) = ("http://h/v1/f", "http://h/v1/f?…", "http://h/v2/f");
        for (before, now, expected) in [
            ((url, a, None), (url, a, None), given),
            ((url, a, None), (url, b, None), Err(ErrorKind::Changed)),
            ((url, a, None), (signed, a, None), given),
            ((signed, a, None), (url, b, None), Err(ErrorKind::Changed)),
            ((url, a, x), (url, b, x), given),
            ((url, a, x), (url, a, y), given),
            ((url, None, x), (url, None, y), Err(ErrorKind::Changed)),
            ((url, None, None), (url, None, None), compared),
            ((url, a, None), (url, None, x), compared),
            ((url, a, None), (other, a, None), compared),
            ((url, a, None), (other, b, None), compared),
            ((url, a, None), ("https://h/v1/f", a, None), compared),
            ((url, a, x), (other, b, x), given),
            ((url, a, x), (other, a, y), Err(ErrorKind::Changed)),
        ] {
            assert_eq!(judge(before, now), expected, "{before:?}, {now:?}");
        }
        let here = OnDisk::new(identity_of(9000, a, None), vec![run(0, 4096)], true);
        let error = here.judge(&identity_of(9001, a, None), true).unwrap_err();
        assert!(error.to_string().contains("9000 bytes and now has 9001"), "{error}");
        let part = Identity { url: "http://h/f#bytes=5-9".into(), ..identity_of(9000, a, None) };
        assert_eq!(here.judge(&part, true).map_err(|e| e.kind()), Err(ErrorKind::Changed));
        let nothing = OnDisk::default().judge(&identity_of(1, None, None), false);
        assert_eq!(nothing.map_err(|e| e.kind()), given);
    }

    #[test]
    fn the_journals_url_has_no_secrets() {
        let url = Url::parse("https://user:secret@h:8443/a/b?sig=secret#secret").unwrap();
        let part = Part::packed("5-9, -3".parse().unwrap());
        let options = Options { part: Some(part), ..Options::default() };
        let identity = identity(&options, &url, 1, &Validator::None, None);
        assert_eq!(identity.url, "https://h:8443/a/b?…#bytes=5-9,-3");
        assert_eq!(part_of(&identity), Some("bytes=5-9,-3"));
    }
}
