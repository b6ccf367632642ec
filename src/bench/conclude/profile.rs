//! Profiles: the settings that came out best, by origin, for later downloads. Owns the format of
//! their file and what counts as best; reads and writes no file.
//!
//! The file is one JSON object. `schema` is 1; a field that changes its meaning changes it.
//! `origins` has an object for each origin, whose name is `https://host`, with `:port` unless it is
//! the scheme's own:
//!
//! * `connections`: how many at once
//! * `chunk_bytes`: bytes of one request; null leaves them to ringhaul
//! * `threads`: threads of ringhaul; null leaves them to it
//! * `saved`: when the bench began, UTC
//! * `bytes`: size of the file that was measured
//! * `goodput_bytes_per_second`: the median of its runs
//! * `command`: the bench's command line, without secrets

use super::results::Results;
use super::statistics::Verdict;
use crate::base::limits::{
    CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CONNECTIONS_MAX, PROFILES_BYTES_MAX, THREADS_MAX,
};
use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::bench::measure::entry::{Entry, short_size};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is written, and the newest that is understood.
const SCHEMA: u64 = 1;

/// All profiles of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profiles {
    origins: BTreeMap<String, Profile>,
}

/// The setting that came out best for an origin, and where that is known from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Connections at once, 1..=256.
    pub connections: u32,
    /// Bytes of one request, 4 KiB..=1 TiB; `None` for automatic.
    pub chunk_bytes: Option<u64>,
    /// Shards, 1..=64; `None` for automatic.
    pub threads: Option<u32>,
    /// When the bench began, UTC.
    pub saved: String,
    /// Bytes of the file that was measured.
    pub bytes: u64,
    /// The median of its runs, bytes per second.
    pub goodput_bytes_per_second: f64,
    /// The bench's command line, without secrets.
    pub command: String,
}

/// What a bench says about later downloads.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// This setting is better than automatic.
    Setting(Profile),
    /// Automatic is the best, or as good.
    Automatic,
    /// Nothing: too few runs, or none gave a file.
    Open,
}

/// The file as it is written. Its fields are read one by one: the schema comes first.
#[derive(Serialize)]
struct Document<'a> {
    schema: u64,
    origins: &'a BTreeMap<String, Profile>,
}

impl Profiles {
    /// Reads the content of a file.
    ///
    /// # Errors
    /// `Usage` if it is damaged, of a newer ringhaul, or no file of profiles.
    pub fn parse(text: &[u8]) -> Result<Self> {
        if text.len() as u64 > PROFILES_BYTES_MAX {
            return Err(damaged("it is too large"));
        }
        let mut root: BTreeMap<String, serde_json::Value> = serde_json::from_slice(text)
            .map_err(|cause| damaged("it is no JSON").caused_by(cause))?;
        let schema = root.get("schema").and_then(serde_json::Value::as_u64);
        if schema.ok_or_else(|| damaged("it has no schema"))? > SCHEMA {
            let what = "the profiles are of a newer ringhaul";
            return Err(Error::new(ErrorKind::Usage, what)
                .advise("use that one, or name another file with --profile=FILE"));
        }
        let origins = root.remove("origins").ok_or_else(|| damaged("it has no origins"))?;
        let read: BTreeMap<String, Profile> = serde_json::from_value(origins)
            .map_err(|cause| damaged("an origin's fields are wrong").caused_by(cause))?;
        let mut origins = BTreeMap::new();
        for (name, profile) in read {
            let url = Url::parse(&name).map_err(|_| damaged("an origin's name is no origin"))?;
            profile.check()?;
            origins.insert(url.origin().to_string(), profile);
        }
        Ok(Self { origins })
    }

    /// What to write.
    ///
    /// # Errors
    /// `Usage` if the file would be larger than one that is read.
    pub fn to_json(&self) -> Result<String> {
        let document = Document { schema: SCHEMA, origins: &self.origins };
        let text = serde_json::to_string_pretty(&document);
        let text = text.expect("plain data has a JSON form") + "\n";
        if text.len() as u64 > PROFILES_BYTES_MAX {
            return Err(Error::new(ErrorKind::Usage, "there are too many profiles in one file")
                .advise("remove some of them, or name another file with --profile=FILE"));
        }
        Ok(text)
    }

    /// The one of an origin.
    pub fn get(&self, origin: &Origin) -> Option<&Profile> {
        self.origins.get(&origin.to_string())
    }

    /// Keeps what a bench found for an origin, or forgets what an earlier one did. Whether anything
    /// is different now.
    pub fn learn(&mut self, origin: &Origin, finding: Finding) -> bool {
        let name = origin.to_string();
        match finding {
            Finding::Setting(profile) => {
                self.origins.insert(name, profile);
                true
            }
            Finding::Automatic => self.origins.remove(&name).is_some(),
            Finding::Open => false,
        }
    }
}

impl Profile {
    /// `8 connections, requests of 4M`.
    pub fn setting(&self) -> String {
        let s = if self.connections == 1 { "" } else { "s" };
        let mut text = format!("{} connection{s}", self.connections);
        if let Some(bytes) = self.chunk_bytes {
            text += &format!(", requests of {}", short_size(bytes));
        }
        if let Some(threads) = self.threads {
            let s = if threads == 1 { "" } else { "s" };
            text += &format!(", {threads} thread{s}");
        }
        text
    }

    fn check(&self) -> Result<()> {
        let is_good = (1..=CONNECTIONS_MAX).contains(&self.connections)
            && self.chunk_bytes.is_none_or(|n| (CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&n))
            && self.threads.is_none_or(|n| (1..=THREADS_MAX).contains(&n));
        if is_good { Ok(()) } else { Err(damaged("a setting is out of its range")) }
    }
}

impl Results {
    /// The setting to use from now on, by the verdict: that of the winner, or of the leader of a
    /// tie in which automatic has no part. `threads` are those of every run.
    pub fn finding(&self, threads: Option<u32>) -> Finding {
        let place = match &self.verdict {
            Verdict::Nothing | Verdict::Unclaimed(_) => return Finding::Open,
            Verdict::Winner(place) => *place,
            Verdict::Tie(places) => {
                let is_auto = |place: &&usize| self.rows[**place].entry == Entry::Auto;
                *places.iter().find(is_auto).unwrap_or(&places[0])
            }
        };
        let row = &self.rows[place];
        let (connections, chunk_bytes) = match row.entry {
            Entry::Auto => return Finding::Automatic,
            // Another tool's setting is not ours, and profiles do not choose engines.
            Entry::Peer(..) | Entry::PeerList(..) | Entry::On { .. } => return Finding::Open,
            // One request for the whole file is a matter of this file.
            Entry::Single { .. } => (1, None),
            Entry::Cell { chunk_bytes, connections } => (connections, Some(chunk_bytes)),
            Entry::Connections(connections) => (connections, None),
        };
        Finding::Setting(Profile {
            connections,
            chunk_bytes,
            threads,
            saved: self.conditions.date.clone(),
            bytes: self.conditions.bytes,
            goodput_bytes_per_second: row.goodput.map_or(0.0, |goodput| goodput.median.round()),
            command: self.conditions.command.clone(),
        })
    }
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("the profiles cannot be read: {what}"))
        .advise("remove the file, or name another one with --profile=FILE")
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::results;
    use super::*;

    fn origin(text: &str) -> Origin {
        Url::parse(text).unwrap().origin()
    }

    fn profile() -> Profile {
        let mut results = results();
        results.verdict = Verdict::Winner(5);
        match results.finding(Some(2)) {
            Finding::Setting(profile) => profile,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_verdict_decides() {
        let mut results = results();
        let mut finding = |verdict| {
            results.verdict = verdict;
            match results.finding(None) {
                Finding::Setting(profile) => profile.setting(),
                other => format!("{other:?}"),
            }
        };
        // Rows: auto, single stream, 1M x 1, 1M x 4, 16M x 1, 16M x 4.
        assert_eq!(finding(Verdict::Winner(5)), "4 connections, requests of 16M");
        assert_eq!(finding(Verdict::Winner(1)), "1 connection");
        assert_eq!(finding(Verdict::Winner(0)), "Automatic");
        assert_eq!(finding(Verdict::Tie(vec![3, 5])), "4 connections, requests of 1M");
        assert_eq!(finding(Verdict::Tie(vec![5, 3, 0])), "Automatic");
        assert_eq!(finding(Verdict::Unclaimed(5)), "Open");
        assert_eq!(finding(Verdict::Nothing), "Open");
    }

    #[test]
    fn a_file_is_read_back_and_other_origins_stay() {
        let (one, other) = (origin("https://h/x"), origin("http://h:81/y"));
        let mut profiles = Profiles::default();
        assert!(profiles.learn(&one, Finding::Setting(profile())));
        assert!(profiles.learn(&other, Finding::Setting(Profile { threads: None, ..profile() })));
        let text = profiles.to_json().unwrap();
        assert!(text.contains("\"https://h\": {\n      \"connections\": 4,\n"), "{text}");
        assert!(text.contains("\"threads\": null") && text.ends_with("}\n"), "{text}");
        let mut read = Profiles::parse(text.as_bytes()).unwrap();
        assert_eq!(read, profiles);
        assert_eq!(read.get(&one).unwrap().setting(), "4 connections, requests of 16M, 2 threads");
        assert!(!read.learn(&other, Finding::Open) && read.get(&other).is_some());
        assert!(read.learn(&other, Finding::Automatic) && read.get(&other).is_none());
        assert!(!read.learn(&other, Finding::Automatic) && read.get(&one).is_some());
        // By hand one may write the port that goes without saying.
        let text = text.replace("https://h\"", "HTTPS://H:443\"");
        assert!(Profiles::parse(text.as_bytes()).unwrap().get(&one).is_some());
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let mut profiles = Profiles::default();
        profiles.learn(&origin("http://h"), Finding::Setting(profile()));
        let good = profiles.to_json().unwrap();
        let bad = |from: &str, to: &str| {
            let text = good.replace(from, to);
            assert_ne!(text, good, "{from}");
            let error = Profiles::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(!error.to_string().contains('\n'), "{error}");
            error.to_string()
        };
        assert!(bad("{", "").contains("no JSON"));
        assert!(bad("\"schema\": 1", "\"schema\": 2").contains("newer ringhaul"));
        assert!(bad("\"schema\": 1", "\"schema\": \"1\"").contains("no schema"));
        assert!(bad("origins", "others").contains("no origins"));
        assert!(bad("http://h", "h").contains("no origin"));
        assert!(bad("\"connections\": 4", "\"connections\": -4").contains("fields are wrong"));
        assert!(bad("\"connections\": 4", "\"connections\": 257").contains("out of its range"));
        assert!(bad("\"threads\": 2", "\"threads\": 0").contains("out of its range"));
        assert!(bad("\"saved\"", "\"kept\"").contains("fields are wrong"));
        assert!(Profiles::parse(b"[]").is_err() && Profiles::parse(b"").is_err());
        let long = vec![b' '; usize::try_from(PROFILES_BYTES_MAX).unwrap() + 1];
        assert!(Profiles::parse(&long).unwrap_err().to_string().contains("too large"));
    }
}
