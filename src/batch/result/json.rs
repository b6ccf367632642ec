//! A result as one line of JSON.
//!
//! | key | value |
//! |---|---|
//! | `url` | the first URL as the list has it |
//! | `slice` | `3 of 8`; only where the list is divided |
//! | `status` | `done`, `unchanged` or `failed` |
//! | `path` | where the file is |
//! | `bytes`, `seconds`, `retries` | numbers |
//! | `digest` | `sha256:HEX`, or null |
//! | `validator` | the value of ETag or Last-Modified, or null |
//! | `error` | null, or `kind`, `http_status` (of kind `status`), `may_pass` and `text` |
//!
//! A failed line also has what the list has said (`urls`, `out`, `dir`, `sha256` or `checksum`,
//! `size`, `headers`, `user_agent`, options), so that the line is an item of a list by itself. It
//! holds the secrets of the list then: signatures in URLs, and header fields. Must not know lists.

use super::{Asked, Outcome, Status, Summary};
use crate::base::{Error, Slice, hex};
use crate::batch::failure::{Permanence, name, permanence, status};
use crate::engine::options::Algorithm;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::time::Duration;

/// Keys that say nothing of what to fetch: those of a result, and `url`, which is written by
/// itself.
const RESULT_KEYS: [&str; 10] = [
    "url",
    "slice",
    "status",
    "path",
    "bytes",
    "seconds",
    "retries",
    "digest",
    "validator",
    "error",
];

impl Outcome {
    /// The line, its end included. All of it is ASCII or whole characters, and it has one line
    /// break: at its end.
    pub fn json_line(&self) -> String {
        self.json_line_in(None)
    }

    /// The line for a file of this slice.
    pub fn json_line_in(&self, slice: Option<Slice>) -> String {
        let line = Line { outcome: self, slice };
        let mut line = serde_json::to_string(&line).expect("texts and finite numbers only");
        line.push('\n');
        line
    }
}

struct Line<'a> {
    outcome: &'a Outcome,
    slice: Option<Slice>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Outcome { asked, path, bytes, elapsed, status, digest, validator, retries } =
            self.outcome;
        let mut map = serializer.serialize_map(None)?;
        let (status, error) = match status {
            Status::Done => ("done", None),
            Status::Unchanged => ("unchanged", None),
            Status::Failed(error) => ("failed", Some(error)),
        };
        map.serialize_entry("url", asked.url())?;
        if let Some(slice) = self.slice {
            map.serialize_entry("slice", &slice.to_string())?;
        }
        map.serialize_entry("status", status)?;
        map.serialize_entry("path", &path.to_string_lossy())?;
        map.serialize_entry("bytes", bytes)?;
        map.serialize_entry("seconds", &seconds(*elapsed))?;
        map.serialize_entry("retries", retries)?;
        map.serialize_entry("digest", &digest.as_ref().map(ToString::to_string))?;
        map.serialize_entry("validator", &validator.as_ref().map(ToString::to_string))?;
        map.serialize_entry("error", &error.map(Cause))?;
        if error.is_some() {
            asked_again(asked, &mut map)?;
        }
        map.end()
    }
}

/// What else of an item is needed to ask for it again.
fn asked_again<M: SerializeMap>(asked: &Asked, map: &mut M) -> Result<(), M::Error> {
    if let Some(mirrors) = asked.urls.get(1..).filter(|mirrors| !mirrors.is_empty()) {
        map.serialize_entry("urls", mirrors)?;
    }
    let texts = [("out", &asked.out), ("dir", &asked.dir), ("user_agent", &asked.user_agent)];
    for (key, text) in texts.iter().filter_map(|(key, text)| Some((key, text.as_ref()?))) {
        map.serialize_entry(key, text)?;
    }
    match &asked.checksum {
        Some(checksum) if checksum.algorithm == Algorithm::Sha256 => {
            map.serialize_entry("sha256", &hex::encode(&checksum.expected))?;
        }
        Some(checksum) => map.serialize_entry("checksum", &checksum.to_string())?,
        None => {}
    }
    if let Some(size) = asked.size {
        map.serialize_entry("size", &size)?;
    }
    if !asked.headers.is_empty() {
        map.serialize_entry("headers", &asked.headers)?;
    }
    // A list may have any key, and those of a result have another meaning here.
    let options = asked.other.iter().filter(|(key, _)| !RESULT_KEYS.contains(&key.as_str()));
    for (key, value) in options {
        map.serialize_entry(key, value)?;
    }
    Ok(())
}

/// Why a file failed.
struct Cause<'a>(&'a Error);

impl Serialize for Cause<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.0.kind();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", name(kind))?;
        if let Some(code) = status(kind) {
            map.serialize_entry("http_status", &code)?;
        }
        map.serialize_entry("may_pass", &(permanence(kind) == Permanence::MayPass))?;
        map.serialize_entry("text", &self.0.to_string())?;
        map.end()
    }
}

impl Summary {
    /// The last line of JSON for programs, without its end.
    pub fn json_line(&self) -> String {
        let summary = serde_json::json!({
            "files_done": self.done,
            "files_unchanged": self.unchanged,
            "files_failed": self.failed,
            "files_failed_may_pass": self.failed_may_pass,
            "bytes": self.bytes,
            "retries": self.retries,
            "seconds": seconds(self.elapsed),
            "connections": self.connections,
            "cpu_seconds": seconds(self.cpu),
            "limited_by": self.limiter,
        });
        serde_json::json!({ "summary": summary }).to_string()
    }
}

/// To the microsecond.
fn seconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;
    use crate::batch::failure::tests::all;
    use crate::batch::validator::{Form, Validator};
    use crate::engine::options::SourceHints;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn outcome(status: Status) -> Outcome {
        Outcome {
            asked: Asked {
                urls: vec!["http://u:p@h/a?sig=1".into(), "http://mirror/a".into()],
                out: Some("x/a".into()),
                dir: Some("d".into()),
                checksum: Some(format!("sha256:{}", "ab".repeat(32)).parse().unwrap()),
                size: Some(u64::MAX),
                size_required: None,
                pieces: None,
                hints: SourceHints::default(),
                headers: vec!["Authorization: Bearer x".into()],
                user_agent: Some("me".into()),
                other: vec![("max-tries".into(), "3".into()), ("path".into(), "evil".into())],
            },
            path: "/d/x/a".into(),
            bytes: u64::MAX,
            elapsed: Duration::from_nanos(1_234_567_890),
            status,
            digest: Some(format!("md5:{}", "cd".repeat(16)).parse().unwrap()),
            validator: Validator::new(Form::Etag, "\"a\""),
            retries: 2,
        }
    }

    fn parsed(outcome: &Outcome) -> Value {
        let line = outcome.json_line();
        let body = line.strip_suffix('\n').expect("a whole line");
        assert!(!body.contains(char::is_control), "{body:?}");
        serde_json::from_str(body).expect("JSON")
    }

    #[test]
    fn a_fetched_file_has_its_result_and_nothing_of_the_list_but_its_url() {
        for (status, word) in [(Status::Done, "done"), (Status::Unchanged, "unchanged")] {
            let expected = json!({
                "url": "http://u:p@h/a?sig=1", "status": word, "path": "/d/x/a",
                "bytes": u64::MAX, "seconds": 1.234568, "retries": 2,
                "digest": format!("md5:{}", "cd".repeat(16)), "validator": "\"a\"", "error": null,
            });
            assert_eq!(parsed(&outcome(status)), expected);
        }
        let bare = Outcome { digest: None, validator: None, ..outcome(Status::Done) };
        assert_eq!(parsed(&bare)["digest"], Value::Null);
        assert_eq!(parsed(&bare)["validator"], Value::Null);
    }

    #[test]
    fn a_failed_line_has_all_that_is_needed_to_ask_again() {
        let error = Error::new(ErrorKind::Status(503), "the server answered 503\nbusy");
        let line = parsed(&outcome(Status::Failed(error.clone())));
        let cause = json!({
            "kind": "status", "http_status": 503, "may_pass": true, "text": error.to_string(),
        });
        assert_eq!((&line["status"], &line["error"]), (&json!("failed"), &cause));
        let again = json!({
            "url": "http://u:p@h/a?sig=1", "urls": ["http://mirror/a"], "out": "x/a", "dir": "d",
            "sha256": "ab".repeat(32), "size": u64::MAX, "headers": ["Authorization: Bearer x"],
            "user_agent": "me", "max-tries": "3",
        });
        for (key, value) in again.as_object().unwrap() {
            assert_eq!(&line[key], value, "{key}");
        }
        assert_eq!(line["path"], "/d/x/a", "an option of that name does not take its place");
        let keys = line.as_object().unwrap().len();
        let of_result = RESULT_KEYS.len() - ["url", "slice"].len();
        assert_eq!(keys, of_result + again.as_object().unwrap().len(), "{line}");
    }

    #[test]
    fn other_digests_name_their_algorithm_and_missing_things_are_left_out() {
        let mut failed = outcome(Status::Failed(Error::new(ErrorKind::Connect, "refused")));
        failed.asked = Asked {
            urls: vec!["http://h/a".into()],
            checksum: Some("crc32c:e3069283".parse().unwrap()),
            ..Asked::default()
        };
        let line = parsed(&failed);
        assert_eq!(line["checksum"], "crc32c:e3069283");
        assert_eq!(line["error"].get("http_status"), None);
        assert_eq!(line.as_object().unwrap().len(), RESULT_KEYS.len(), "all but slice: {line}");
        let slice = "3/8".parse().ok();
        let line: Value = serde_json::from_str(&failed.json_line_in(slice)).unwrap();
        assert_eq!(line["slice"], "3 of 8");
        assert_eq!(line.as_object().unwrap().len(), RESULT_KEYS.len() + 1, "{line}");
    }

    #[test]
    fn every_kind_has_its_name() {
        for kind in all() {
            let line = parsed(&outcome(Status::Failed(Error::new(kind, "x"))));
            assert_eq!(line["error"]["kind"], name(kind));
            let may_pass = permanence(kind) == Permanence::MayPass;
            assert_eq!(line["error"]["may_pass"], json!(may_pass), "{kind:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_text_comes_back(text in "(\\PC|[\\x00-\\x20\"\\\\]){0,40}", elapsed: u32) {
            let mut failed = outcome(Status::Failed(Error::new(ErrorKind::Tls, text.clone())));
            failed.asked.urls = vec![text.clone()];
            failed.asked.headers = vec![text.clone()];
            failed.path = text.clone().into();
            failed.elapsed = Duration::from_millis(elapsed.into());
            let line = parsed(&failed);
            prop_assert_eq!(&line["url"], &text);
            prop_assert_eq!(&line["headers"], &json!([&text]));
            prop_assert_eq!(&line["path"], &text);
            prop_assert_eq!(line["seconds"].as_f64(), Some(f64::from(elapsed) / 1e3));
        }
    }
}
