//! What is done about a file whose target may be there already: a table from what is on the disk,
//! what the list wants and what the state has recorded to one decision. Looks at nothing by itself.

use super::key::Source;
use super::record::{Done, FileTime};
use crate::batch::validator::Validator;
use crate::engine::options::Checksum;
use std::fs::Metadata;

/// What `--if-exists` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfExists {
    /// A target that is there is an error, unless this batch has put it there: then it is done.
    Fail,
    /// A target that is there stays, whatever it is.
    Skip,
    /// The file is fetched, and takes the place of what is there.
    Replace,
    /// The file is fetched where it is not known to be the same.
    #[default]
    Check,
}

/// What has the target's name, a link followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalFile {
    /// Its size in bytes.
    pub size: u64,
    /// When it was changed last.
    pub modified: FileTime,
}

/// What a list says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where it comes from.
    pub source: Source,
    /// Its size in bytes, if the list names it.
    pub size: Option<u64>,
    /// Its digest, if the list names one.
    pub digest: Option<Checksum>,
}

/// What is done about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is fetched, whatever is there.
    Fetch,
    /// It is left alone: it counts as unchanged.
    Skip,
    /// It is neither touched nor fetched: it counts as failed, with
    /// [`ErrorKind::TargetExists`](crate::base::ErrorKind::TargetExists).
    Refuse,
    /// It is looked at: skipped if it is the same, fetched if not.
    Compare(Comparison),
}

/// How it is found out whether a file is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// The bytes on the disk are read and hashed; they are the same if this is their digest.
    Digest(Checksum),
    /// The server is asked for the file unless this is still its validator
    /// ([`Validator::condition`]); it is the same if the answer is 304. Any other answer is the
    /// file itself already.
    Validator(Validator),
}

impl LocalFile {
    /// The file that `meta` describes.
    pub fn of(meta: &Metadata) -> Self {
        Self { size: meta.len(), modified: FileTime::of(meta) }
    }

    /// Whether it is as it was when `done` was recorded, as far as size and time tell.
    fn is_as_recorded(&self, done: &Done) -> bool {
        (self.size, self.modified) == (done.bytes, done.modified)
    }
}

/// What is done about a file. `recorded` is what the state has for its key.
///
/// | policy | on the disk | then |
/// |---|---|---|
/// | any | nothing | fetch |
/// | `replace` | something | fetch |
/// | `skip` | something | skip |
/// | `fail` | what this batch put there, and the list wants just that | skip |
/// | `fail` | anything else | refuse |
/// | `check` | another size than the list names | fetch |
/// | `check` | as recorded, with the digest that the list names | skip |
/// | `check` | as recorded, with another digest of that algorithm | fetch |
/// | `check` | anything else, and the list names a digest | compare the digest |
/// | `check` | no digest named; not recorded, or changed since | fetch |
/// | `check` | no digest named; recorded from another address | fetch |
/// | `check` | no digest named; recorded with a validator | compare the validator |
/// | `check` | no digest named; recorded without, from this URL | skip |
/// | `check` | no digest named; recorded without, with another query | fetch |
///
/// The last row but one: such a server cannot be asked whether its file has changed, and what has
/// been fetched would be fetched in each run.
pub fn decide(
    policy: IfExists,
    local: Option<LocalFile>,
    wanted: &Wanted,
    recorded: Option<&Done>,
) -> Decision {
    let Some(local) = local else { return Decision::Fetch };
    match policy {
        IfExists::Replace => Decision::Fetch,
        IfExists::Skip => Decision::Skip,
        IfExists::Fail if is_our_result(local, wanted, recorded) => Decision::Skip,
        IfExists::Fail => Decision::Refuse,
        IfExists::Check => check(local, wanted, recorded),
    }
}

/// Whether this batch has put the file there, and the list wants no other.
fn is_our_result(local: LocalFile, wanted: &Wanted, recorded: Option<&Done>) -> bool {
    recorded.is_some_and(|done| {
        let is_wanted = match &wanted.digest {
            Some(digest) => done.digest.as_ref() == Some(digest),
            None => done.source == wanted.source,
        };
        let has_size = wanted.size.is_none_or(|size| size == done.bytes);
        is_wanted && has_size && local.is_as_recorded(done)
    })
}

fn check(local: LocalFile, wanted: &Wanted, recorded: Option<&Done>) -> Decision {
    if wanted.size.is_some_and(|size| size != local.size) {
        return Decision::Fetch;
    }
    let recorded = recorded.filter(|done| local.is_as_recorded(done));
    match (&wanted.digest, recorded) {
        (Some(digest), recorded) => check_digest(digest, recorded),
        (None, Some(done)) => check_recorded(wanted.source, done),
        (None, None) => Decision::Fetch,
    }
}

fn check_digest(digest: &Checksum, recorded: Option<&Done>) -> Decision {
    match recorded.and_then(|done| done.digest.as_ref()) {
        Some(known) if known == digest => Decision::Skip,
        Some(known) if known.algorithm == digest.algorithm => Decision::Fetch,
        Some(_) | None => Decision::Compare(Comparison::Digest(digest.clone())),
    }
}

fn check_recorded(source: Source, done: &Done) -> Decision {
    if source.address != done.source.address {
        return Decision::Fetch;
    }
    match &done.validator {
        Some(validator) => Decision::Compare(Comparison::Validator(validator.clone())),
        None if source.query == done.source.query => Decision::Skip,
        None => Decision::Fetch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::validator::Form;
    use IfExists::{Check, Fail, Replace, Skip};

    const HERE: Source = Source { address: 1, query: 1 };
    const RESIGNED: Source = Source { address: 1, query: 2 };
    const ELSEWHERE: Source = Source { address: 2, query: 1 };
    const TIME: FileTime = FileTime { seconds: 100, nanoseconds: 5 };
    const TOUCHED: FileTime = FileTime { seconds: 100, nanoseconds: 6 };

    fn local(size: u64, modified: FileTime) -> Option<LocalFile> {
        Some(LocalFile { size, modified })
    }

    fn digest(algorithm: &str, byte: &str) -> Checksum {
        let bytes = if algorithm == "md5" { 16 } else { 32 };
        format!("{algorithm}:{}", byte.repeat(bytes)).parse().unwrap()
    }

    fn validator() -> Validator {
        Validator::new(Form::Etag, "\"a\"").unwrap()
    }

    fn wanted(source: Source) -> Wanted {
        Wanted { source, size: None, digest: None }
    }

    fn with_digest(algorithm: &str, byte: &str) -> Wanted {
        Wanted { digest: Some(digest(algorithm, byte)), ..wanted(HERE) }
    }

    /// Recorded with neither validator nor digest.
    fn bare() -> Done {
        Done { source: HERE, bytes: 10, modified: TIME, validator: None, digest: None }
    }

    fn full() -> Done {
        Done { validator: Some(validator()), digest: Some(digest("sha256", "aa")), ..bare() }
    }

    fn by_digest(algorithm: &str, byte: &str) -> Decision {
        Decision::Compare(Comparison::Digest(digest(algorithm, byte)))
    }

    fn by_validator() -> Decision {
        Decision::Compare(Comparison::Validator(validator()))
    }

    #[test]
    fn nothing_there_is_fetched_under_every_policy() {
        for policy in [Fail, Skip, Replace, Check] {
            assert_eq!(decide(policy, None, &wanted(HERE), Some(&full())), Decision::Fetch);
            assert_eq!(decide(policy, None, &with_digest("md5", "00"), None), Decision::Fetch);
        }
    }

    #[test]
    fn replace_fetches_and_skip_skips_whatever_is_known() {
        for local in [local(10, TIME), local(11, TOUCHED)] {
            for recorded in [None, Some(&full()), Some(&bare())] {
                for wanted in [wanted(HERE), with_digest("sha256", "aa")] {
                    assert_eq!(decide(Replace, local, &wanted, recorded), Decision::Fetch);
                    assert_eq!(decide(Skip, local, &wanted, recorded), Decision::Skip);
                }
            }
        }
    }

    #[test]
    fn fail_refuses_all_but_what_this_batch_has_put_there() {
        let sized = |size| Wanted { size: Some(size), ..wanted(HERE) };
        let rows = [
            (local(10, TIME), wanted(HERE), Some(bare()), Decision::Skip),
            (local(10, TIME), sized(10), Some(bare()), Decision::Skip),
            (local(10, TIME), with_digest("sha256", "aa"), Some(full()), Decision::Skip),
            (local(10, TIME), with_digest("sha256", "bb"), Some(full()), Decision::Refuse),
            (local(10, TIME), with_digest("sha256", "aa"), Some(bare()), Decision::Refuse),
            (local(10, TIME), sized(11), Some(bare()), Decision::Refuse),
            (local(10, TIME), wanted(RESIGNED), Some(bare()), Decision::Refuse),
            (local(10, TIME), wanted(ELSEWHERE), Some(bare()), Decision::Refuse),
            (local(10, TOUCHED), wanted(HERE), Some(bare()), Decision::Refuse),
            (local(11, TIME), wanted(HERE), Some(bare()), Decision::Refuse),
            (local(10, TIME), wanted(HERE), None, Decision::Refuse),
        ];
        for (index, (local, wanted, recorded, decision)) in rows.into_iter().enumerate() {
            assert_eq!(decide(Fail, local, &wanted, recorded.as_ref()), decision, "row {index}");
        }
    }

    #[test]
    fn check_with_a_digest_in_the_list() {
        let sized = |size| Wanted { size: Some(size), ..with_digest("sha256", "aa") };
        let other = Done { source: ELSEWHERE, ..full() };
        let rows = [
            (local(10, TIME), sized(11), Some(full()), Decision::Fetch),
            (local(10, TIME), sized(10), Some(full()), Decision::Skip),
            (local(10, TIME), with_digest("sha256", "aa"), Some(full()), Decision::Skip),
            (local(10, TIME), with_digest("sha256", "aa"), Some(other), Decision::Skip),
            (local(10, TIME), with_digest("sha256", "bb"), Some(full()), Decision::Fetch),
            (local(10, TIME), with_digest("md5", "aa"), Some(full()), by_digest("md5", "aa")),
            (local(10, TIME), sized(10), Some(bare()), by_digest("sha256", "aa")),
            (local(10, TOUCHED), sized(10), Some(full()), by_digest("sha256", "aa")),
            (local(10, TOUCHED), sized(10), None, by_digest("sha256", "aa")),
            (local(9, TIME), with_digest("sha256", "aa"), Some(full()), by_digest("sha256", "aa")),
        ];
        for (index, (local, wanted, recorded, decision)) in rows.into_iter().enumerate() {
            assert_eq!(decide(Check, local, &wanted, recorded.as_ref()), decision, "row {index}");
        }
    }

    #[test]
    fn check_without_a_digest_in_the_list() {
        let sized = |size| Wanted { size: Some(size), ..wanted(HERE) };
        let rows = [
            (local(10, TIME), sized(11), Some(full()), Decision::Fetch),
            (local(10, TIME), sized(10), None, Decision::Fetch),
            (local(10, TIME), wanted(HERE), None, Decision::Fetch),
            (local(10, TOUCHED), wanted(HERE), Some(full()), Decision::Fetch),
            (local(9, TIME), wanted(HERE), Some(full()), Decision::Fetch),
            (local(10, TIME), wanted(ELSEWHERE), Some(full()), Decision::Fetch),
            (local(10, TIME), wanted(ELSEWHERE), Some(bare()), Decision::Fetch),
            (local(10, TIME), wanted(HERE), Some(full()), by_validator()),
            (local(10, TIME), sized(10), Some(full()), by_validator()),
            (local(10, TIME), wanted(RESIGNED), Some(full()), by_validator()),
            (local(10, TIME), wanted(HERE), Some(bare()), Decision::Skip),
            (local(10, TIME), sized(10), Some(bare()), Decision::Skip),
            (local(10, TIME), wanted(RESIGNED), Some(bare()), Decision::Fetch),
        ];
        for (index, (local, wanted, recorded, decision)) in rows.into_iter().enumerate() {
            assert_eq!(decide(Check, local, &wanted, recorded.as_ref()), decision, "row {index}");
        }
    }

    #[test]
    fn what_skips_is_as_recorded_unless_the_user_has_said_skip() {
        for policy in [Fail, Replace, Check] {
            for local in [local(10, TOUCHED), local(9, TIME)] {
                for wanted in [wanted(HERE), with_digest("sha256", "aa")] {
                    let decision = decide(policy, local, &wanted, Some(&full()));
                    assert_ne!(decision, Decision::Skip, "{policy:?} {local:?}");
                }
            }
        }
    }
}
