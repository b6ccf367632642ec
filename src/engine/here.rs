//! What of the file is here already when an attempt begins, and whether it is part of the file
//! that the server has now.

use crate::base::limits::SPAN_ALIGN_BYTES;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet, Url};
use crate::digest::crc::Run;
use crate::disk::journal::{Identity, Saved};
use crate::http::Validator;

/// Bytes that an earlier run or attempt has left.
#[derive(Default)]
pub(super) struct Here {
    /// Which file they are of; `None` if there are none.
    identity: Option<Identity>,
    runs: Vec<Run>,
}

impl Here {
    /// What a journal tells.
    pub(super) fn saved(saved: Saved) -> Self {
        Self::new(saved.identity, saved.runs)
    }

    /// Bytes of the file `identity`.
    pub(super) fn new(identity: Identity, runs: Vec<Run>) -> Self {
        if runs.is_empty() {
            return Self::default();
        }
        Self { identity: Some(identity), runs }
    }

    /// The same without the runs that have bytes of `span`.
    pub(super) fn without(mut self, span: Span) -> Self {
        self.runs.retain(|run| run.span.intersect(span).is_empty());
        self
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Where the last bytes without a gap between them start.
    pub(super) fn start_of_last_island(&self) -> u64 {
        written(&self.runs).iter().last().map_or(0, Span::start)
    }

    /// How many bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.span.len()).sum()
    }

    /// The runs, in order.
    pub(super) fn runs(&self) -> Vec<Run> {
        self.runs.clone()
    }

    /// What to ask the server first: the start of what is missing, at most `bytes_max` of it; the
    /// start of the file if nothing is missing, as an answer is needed all the same.
    pub(super) fn first_request(&self, bytes_max: u64) -> Span {
        let bytes_max = bytes_max.next_multiple_of(SPAN_ALIGN_BYTES);
        let Some(identity) = &self.identity else { return Span::with_len(0, bytes_max) };
        let all = Span::new(0, identity.total);
        match written(&self.runs).first_gap(all) {
            Some(gap) => gap.split_at(gap.start().saturating_add(bytes_max)).0,
            None => all.split_at(SPAN_ALIGN_BYTES).0,
        }
    }

    /// An error unless these bytes are provably of the file `now`: the same size, and the same
    /// strong validator or expected digest.
    pub(super) fn check(&self, now: &Identity) -> Result<()> {
        let Some(before) = &self.identity else { return Ok(()) };
        let changed = |what: String| Err(Error::new(ErrorKind::Changed, what));
        if before.total != now.total {
            let (before, now) = (before.total, now.total);
            return changed(format!("the file had {before} bytes and now has {now}"));
        }
        let same = |before: &Option<String>, now: &Option<String>| {
            before.as_ref().zip(now.as_ref()).map(|(before, now)| before == now)
        };
        let digest = same(&before.digest, &now.digest);
        match (same(&before.validator, &now.validator), digest) {
            (Some(true), _) | (_, Some(true)) => Ok(()),
            (Some(false), _) | (None, Some(false)) => {
                changed("the file is another one than that begun before".into())
            }
            (None, None) => {
                changed("the server gives no proof that its file is the one begun before".into())
            }
        }
    }
}

/// What identifies the file at `url`, which is for people to read: its `Display` has no secrets.
pub(super) fn identity(
    url: &Url,
    total: u64,
    validator: &Validator,
    digest: Option<String>,
) -> Identity {
    Identity { url: url.to_string(), total, validator: validator.strong(), digest }
}

/// The bytes of `runs`.
pub(super) fn written(runs: &[Run]) -> SpanSet {
    let mut written = SpanSet::new();
    for run in runs {
        written.insert(run.span);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity_of(total: u64, validator: Option<&str>, digest: Option<&str>) -> Identity {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let (validator, digest) = (text(validator), text(digest));
        Identity { url: "http://h/f".into(), total, validator, digest }
    }

    fn run(start: u64, end: u64) -> Run {
        Run { span: Span::new(start, end), crc32c: 0 }
    }

    #[test]
    fn the_first_request_is_for_what_is_missing() {
        let first = |runs: &[Run]| {
            Here::new(identity_of(100_000, None, None), runs.to_vec()).first_request(16_384)
        };
        assert_eq!(first(&[]), Span::new(0, 16_384));
        assert_eq!(first(&[run(0, 8192)]), Span::new(8192, 24_576));
        assert_eq!(first(&[run(0, 8192), run(12_288, 100_000)]), Span::new(8192, 12_288));
        assert_eq!(first(&[run(4096, 100_000)]), Span::new(0, 4096));
        assert_eq!(first(&[run(0, 98_304)]), Span::new(98_304, 100_000));
        assert_eq!(first(&[run(0, 100_000)]), Span::new(0, 4096));
    }

    #[test]
    fn parts_are_joined_only_with_proof() {
        let check = |before: (Option<&str>, Option<&str>), now: (Option<&str>, Option<&str>)| {
            let before = identity_of(9000, before.0, before.1);
            let here = Here::new(before, vec![run(0, 4096)]);
            here.check(&identity_of(9000, now.0, now.1)).map_err(|e| e.kind())
        };
        let (a, b) = (Some("etag \"a\""), Some("etag \"b\""));
        let (x, y) = (Some("sha256:01"), Some("sha256:02"));
        assert_eq!(check((a, None), (a, None)), Ok(()));
        assert_eq!(check((a, None), (b, None)), Err(ErrorKind::Changed));
        assert_eq!(check((a, x), (b, x)), Ok(()), "a mirror with a validator of its own");
        assert_eq!(check((a, x), (a, y)), Ok(()), "the caller has mended the checksum");
        assert_eq!(check((None, x), (None, y)), Err(ErrorKind::Changed));
        assert_eq!(check((None, None), (None, None)), Err(ErrorKind::Changed));
        assert_eq!(check((a, None), (None, x)), Err(ErrorKind::Changed));
        let here = Here::new(identity_of(9000, a, None), vec![run(0, 4096)]);
        let error = here.check(&identity_of(9001, a, None)).unwrap_err();
        assert!(error.to_string().contains("9000 bytes and now has 9001"), "{error}");
        assert!(Here::default().check(&identity_of(1, None, None)).is_ok());
    }

    #[test]
    fn the_journals_url_has_no_secrets() {
        let url = Url::parse("https://user:secret@h:8443/a/b?sig=secret#secret").unwrap();
        let identity = identity(&url, 1, &Validator::None, None);
        assert_eq!(identity.url, "https://h:8443/a/b?…");
    }
}
