//! The other tools: their names, how each is told to fetch one file as fast as its documentation
//! says it can, and whether it is installed. Knows nothing of runs and results.

use crate::base::{Error, ErrorKind, Result};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

/// A tool to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// curl: one connection, one stream.
    Curl,
    /// curl that keeps nothing: what receiving alone costs.
    CurlNull,
    /// aria2c: split over connections.
    Aria2c,
    /// axel: split over connections.
    Axel,
    /// wget2: chunks over threads.
    Wget2,
    /// rclone's http remote: streams into one file.
    Rclone,
}

/// All of them.
pub const PEERS: [Peer; 6] =
    [Peer::Curl, Peer::CurlNull, Peer::Aria2c, Peer::Axel, Peer::Wget2, Peer::Rclone];

/// Most connections aria2c opens to one server.
const ARIA2C_CONNECTIONS_MAX: u32 = 16;
/// Below it aria2c does not split; the smallest it takes.
const ARIA2C_SPLIT: &str = "1M";

/// What a tool is told to fetch.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Errand<'a> {
    /// From where.
    pub(in crate::bench) url: &'a str,
    /// Bytes of the file.
    pub(in crate::bench) bytes: u64,
    /// To where.
    pub(in crate::bench) target: &'a Path,
    /// An authority to trust besides.
    pub(in crate::bench) ca_cert: Option<&'a Path>,
    /// Indicates whether any certificate is accepted.
    pub(in crate::bench) insecure: bool,
}

impl Peer {
    /// Its word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Curl => "curl",
            Peer::CurlNull => "curl-null",
            Peer::Aria2c => "aria2c",
            Peer::Axel => "axel",
            Peer::Wget2 => "wget2",
            Peer::Rclone => "rclone",
        }
    }

    /// The name of its program.
    pub fn program(self) -> &'static str {
        if self == Peer::CurlNull { Peer::Curl.name() } else { self.name() }
    }

    /// Indicates whether it leaves a file to compare.
    pub(in crate::bench) fn keeps(self) -> bool {
        self != Peer::CurlNull
    }

    /// Indicates whether it opens one connection, however many are asked for.
    pub(in crate::bench) fn is_one_stream(self) -> bool {
        matches!(self, Peer::Curl | Peer::CurlNull)
    }

    /// Where its program is; `None` if it is not installed.
    pub fn find(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join(self.program())).find(|file| file.is_file())
    }

    /// The first line it says of its version, or its name.
    pub fn version(self) -> String {
        let flag = if self == Peer::Rclone { "version" } else { "--version" };
        let output = Command::new(self.program()).arg(flag).stdin(Stdio::null()).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let first = text.lines().next().unwrap_or_default();
        // curl names all of its libraries in this line.
        let words = first.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
        if words.is_empty() { self.name().to_owned() } else { words }
    }

    /// Its row in a table.
    pub(in crate::bench) fn label(self, connections: u32) -> String {
        let name = self.name();
        match self {
            Peer::Curl => name.to_owned(),
            Peer::CurlNull => "curl -o /dev/null".to_owned(),
            Peer::Aria2c => {
                let count = connections.min(ARIA2C_CONNECTIONS_MAX);
                format!("{name} -x{count} -s{count}")
            }
            Peer::Axel => format!("{name} -n {connections}"),
            Peer::Wget2 => format!("{name}, {connections} chunks"),
            Peer::Rclone => format!("{name}, {connections} streams"),
        }
    }

    /// Its arguments for an errand. No user's configuration is read.
    pub(in crate::bench) fn arguments(self, errand: Errand<'_>, connections: u32) -> Vec<OsString> {
        let count = connections.to_string();
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |more: &[&OsStr]| words.extend(more.iter().map(|word| (*word).to_owned()));
        let strs = |text: &str| -> Vec<OsString> { text.split(' ').map(Into::into).collect() };
        let target = errand.target.as_os_str();
        let fixed = match self {
            Peer::Curl => strs("-q -sSfL -o"),
            Peer::CurlNull => strs("-q -sSfL -o /dev/null"),
            Peer::Aria2c => {
                let count = connections.min(ARIA2C_CONNECTIONS_MAX);
                // Writing into holes is its fastest way; it allocates nothing before it has data.
                strs(&format!(
                    "--no-conf -q -x{count} -s{count} -k{ARIA2C_SPLIT} --file-allocation=none \
                     --allow-overwrite=true"
                ))
            }
            Peer::Axel => strs(&format!("-q -n {count} -o")),
            Peer::Wget2 => {
                let chunk = errand.bytes.div_ceil(connections.max(1).into()).max(1);
                strs(&format!("--no-config -q --max-threads={count} --chunk-size={chunk} -O"))
            }
            Peer::Rclone => strs(&format!(
                "copyto --config= -q --multi-thread-streams={count} --multi-thread-cutoff=1M"
            )),
        };
        add(&fixed.iter().map(OsString::as_os_str).collect::<Vec<_>>());
        match self {
            Peer::Curl | Peer::Axel | Peer::Wget2 => add(&[target]),
            Peer::Aria2c => {
                let folder = errand.target.parent().unwrap_or(Path::new("."));
                let name = errand.target.file_name().unwrap_or_default();
                add(&["-d".as_ref(), folder.as_os_str(), "-o".as_ref(), name]);
            }
            Peer::CurlNull | Peer::Rclone => {}
        }
        let trust = self.trust(errand);
        add(&trust.iter().map(OsString::as_os_str).collect::<Vec<_>>());
        if self == Peer::Rclone {
            let (base, name) = errand.url.rsplit_once('/').unwrap_or((errand.url, ""));
            let remote = format!(":http:{name}");
            add(&["--http-url".as_ref(), base.as_ref(), remote.as_ref(), target]);
        } else {
            add(&[errand.url.as_ref()]);
        }
        words
    }

    /// The words for an authority, or for no check at all.
    pub(super) fn trust(self, errand: Errand<'_>) -> Vec<OsString> {
        let (file, none) = match self {
            Peer::Curl | Peer::CurlNull => (Some("--cacert"), "-k"),
            Peer::Aria2c => (Some("--ca-certificate"), "--check-certificate=false"),
            // It asks OpenSSL, which reads SSL_CERT_FILE.
            Peer::Axel => (None, "-k"),
            Peer::Wget2 => (Some("--ca-certificate"), "--no-check-certificate"),
            Peer::Rclone => (Some("--ca-cert"), "--no-check-certificate"),
        };
        if errand.insecure {
            return vec![none.into()];
        }
        match (file, errand.ca_cert) {
            (Some("--cacert"), Some(path)) => vec!["--cacert".into(), path.into()],
            (Some(option), Some(path)) => {
                let mut word = OsString::from(format!("{option}="));
                word.push(path);
                vec![word]
            }
            (None, _) | (_, None) => Vec::new(),
        }
    }
}

impl FromStr for Peer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        PEERS.into_iter().find(|peer| peer.name() == text.trim()).ok_or_else(|| {
            let known = PEERS.map(Peer::name).join(", ");
            Error::new(ErrorKind::Usage, format!("'{text}' is no tool that is known here"))
                .advise(format!("choose from {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_known_by_name() {
        for peer in PEERS {
            assert_eq!(peer.name().parse::<Peer>().unwrap(), peer);
        }
        let error = "wget".parse::<Peer>().unwrap_err().to_string();
        assert!(error.contains("'wget'") && error.contains("aria2c"), "{error}");
    }

    #[test]
    fn each_gets_target_url_and_trust_in_its_own_words() {
        let errand = Errand {
            url: "https://h/d/f",
            bytes: 10 << 20,
            target: Path::new("/t/out"),
            ca_cert: Some(Path::new("/ca.pem")),
            insecure: false,
        };
        let line = |peer: Peer, errand| {
            peer.arguments(errand, 4).join(OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(line(Peer::Curl, errand), "-q -sSfL -o /t/out --cacert /ca.pem https://h/d/f");
        let aria2c = line(Peer::Aria2c, errand);
        assert!(aria2c.contains("-x4 -s4") && aria2c.contains("-d /t -o out"), "{aria2c}");
        assert!(aria2c.ends_with("--ca-certificate=/ca.pem https://h/d/f"), "{aria2c}");
        assert!(line(Peer::Wget2, errand).contains("--chunk-size=2621440"));
        let rclone = line(Peer::Rclone, errand);
        assert!(rclone.ends_with("--http-url https://h/d :http:f /t/out"), "{rclone}");
        let insecure = Errand { insecure: true, ..errand };
        assert_eq!(line(Peer::Axel, insecure), "-q -n 4 -o /t/out -k https://h/d/f");
    }
}
