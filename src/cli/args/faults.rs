//! The words for what is wrong with a server and its file. Owns that grammar; has no effects.

use crate::base::size::parse_bytes;
use crate::base::{Error, ErrorKind, Result};
use crate::server::EntityTag;
use clap::ArgAction;
use std::ops::Range;

/// Faults and other files.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Faults")]
pub(in crate::cli) struct FaultArgs {
    /// What goes wrong, at once or after SIZE bytes of bodies: reset (connections are reset, new
    /// ones refused), silence, unreachable (silence, and nobody can connect), a status of 400 to
    /// 599, etag (a new one), size (one byte more) or content (another file of the same size).
    /// Answers under way go on, except with the first three; xN ends the others after N requests.
    /// Repeatable.
    #[arg(long, value_name = "WHAT[@SIZE][xN]", env = "RINGHAUL_SERVE_FAULT", value_parser = fault)]
    #[arg(action = ArgAction::Append, value_delimiter = ',')]
    pub(in crate::cli) fault: Vec<FaultWord>,

    /// Make the bytes from offset FROM to before TO wrong, 100M-101M say; repeatable.
    #[arg(long, value_name = "FROM-TO", env = "RINGHAUL_SERVE_CORRUPT", value_parser = part)]
    #[arg(action = ArgAction::Append, value_delimiter = ',')]
    pub(in crate::cli) corrupt: Vec<Range<u64>>,

    /// Send this ETag with every file, whatever is in it (quotes are added); none sends none.
    #[arg(long, value_name = "TAG", env = "RINGHAUL_SERVE_ETAG", value_parser = etag)]
    pub(in crate::cli) etag: Option<Etag>,

    /// Redirect (302) to the same path at URL, or at the Nth of --ports. With --metalink such a
    /// server is a mirror only if it has a --priority.
    #[arg(long, value_name = "N|URL", env = "RINGHAUL_SERVE_REDIRECT", value_parser = redirect)]
    pub(in crate::cli) redirect: Option<Redirect>,
}

impl FaultArgs {
    /// These, and for what they do not say those of `others`.
    pub(super) fn or(self, others: &Self) -> Self {
        let Self { fault, corrupt, .. } = others.clone();
        Self {
            fault: if self.fault.is_empty() { fault } else { self.fault },
            corrupt: if self.corrupt.is_empty() { corrupt } else { self.corrupt },
            etag: self.etag.or_else(|| others.etag.clone()),
            redirect: self.redirect.or_else(|| others.redirect.clone()),
        }
    }
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct FaultWord {
    pub(in crate::cli) what: FaultKind,
    /// Bytes of bodies that are sent before it begins.
    pub(in crate::cli) after_bytes: u64,
    /// How many requests it hits at most; `None` is all.
    pub(in crate::cli) times: Option<u32>,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum FaultKind {
    Reset,
    Silence,
    Unreachable,
    Status(u16),
    Etag,
    Size,
    Content,
}

/// What the files' tag is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Etag(pub(in crate::cli) EntityTag);

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Redirect {
    /// One of the ports, counted from 1.
    Port(usize),
    /// Scheme and authority, maybe with a path, without a slash behind them.
    Root(String),
}

fn fault(text: &str) -> Result<FaultWord> {
    let (rest, times) = match text.split_once('x') {
        Some((rest, times)) => (rest, Some(count(times)?)),
        None => (text, None),
    };
    let (word, after_bytes) = match rest.split_once('@') {
        Some((word, size)) => (word, parse_bytes(size)?),
        None => (rest, 0),
    };
    let status = || word.parse().ok().filter(|status| (400..600).contains(status));
    let what = match word {
        "reset" => Some(FaultKind::Reset),
        "silence" => Some(FaultKind::Silence),
        "unreachable" => Some(FaultKind::Unreachable),
        "etag" => Some(FaultKind::Etag),
        "size" => Some(FaultKind::Size),
        "content" => Some(FaultKind::Content),
        _ => status().map(FaultKind::Status),
    };
    let what = what.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("'{word}' is no fault"))
            .advise("write reset, silence, unreachable, a status, etag, size or content")
    })?;
    let is_for_good =
        matches!(what, FaultKind::Reset | FaultKind::Silence | FaultKind::Unreachable);
    if is_for_good && times.is_some() {
        let context = format!("'{word}' is for good; the end is known only of a request's faults");
        return Err(Error::new(ErrorKind::Usage, context).advise("leave out xN"));
    }
    Ok(FaultWord { what, after_bytes, times })
}

fn count(text: &str) -> Result<u32> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
        let context = format!("'{text}' is no number of requests");
        Error::new(ErrorKind::Usage, context).advise("write WHATxN, such as 503x3")
    })
}

fn part(text: &str) -> Result<Range<u64>> {
    let bad = || {
        Error::new(ErrorKind::Usage, format!("'{text}' is no part of a file"))
            .advise("write FROM-TO, two sizes of which the second is larger, such as 100M-101M")
    };
    let (from, to) = text.split_once('-').ok_or_else(bad)?;
    let part = parse_bytes(from)?..parse_bytes(to)?;
    if part.is_empty() { Err(bad()) } else { Ok(part) }
}

fn etag(text: &str) -> Result<Etag> {
    let is_visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if text.is_empty() || !text.bytes().all(is_visible) {
        return Err(Error::new(ErrorKind::Usage, "an ETag is visible letters, at least one"));
    }
    Ok(Etag(match text {
        "none" => EntityTag::Absent,
        whole if whole.ends_with('"') => EntityTag::Fixed(whole.to_owned()),
        bare => EntityTag::Fixed(format!("\"{bare}\"")),
    }))
}

fn redirect(text: &str) -> Result<Redirect> {
    if let Ok(port) = text.parse() {
        return Ok(Redirect::Port(port));
    }
    let is_url = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    if !is_url || text.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        return Err(Error::new(ErrorKind::Usage, "neither the number of a port nor a URL")
            .advise("write 2, or http://HOST:PORT"));
    }
    Ok(Redirect::Root(text.trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_and_when_they_begin() {
        for (text, what, after_bytes) in [
            ("reset", FaultKind::Reset, 0),
            ("silence@1M", FaultKind::Silence, 1 << 20),
            ("unreachable", FaultKind::Unreachable, 0),
            ("404@5", FaultKind::Status(404), 5),
            ("etag@0", FaultKind::Etag, 0),
            ("size", FaultKind::Size, 0),
            ("content@2K", FaultKind::Content, 2048),
        ] {
            let expected = FaultWord { what, after_bytes, times: None };
            assert_eq!(fault(text).unwrap(), expected, "{text}");
        }
        let what = FaultKind::Status(503);
        let expected = FaultWord { what, after_bytes: 1024, times: Some(3) };
        assert_eq!(fault("503@1Kx3").unwrap(), expected);
        for text in ["503x", "503x0", "503x3@1K", "resetx3", "unreachable@1Mx1"] {
            assert!(fault(text).is_err(), "{text}");
        }
        for text in ["", "dead", "200", "399", "600", "reset@", "reset@soon", "@1M", "RESET"] {
            assert!(fault(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parts_tags_and_redirects() {
        assert_eq!(part("1K-2K").unwrap(), 1024..2048);
        for text in ["", "5", "5-5", "6-5", "-5", "5-", "a-b"] {
            assert!(part(text).is_err(), "{text}");
        }
        let fixed = |tag: &str| Etag(EntityTag::Fixed(tag.to_owned()));
        assert_eq!(etag("v1").unwrap(), fixed("\"v1\""));
        assert_eq!(etag("W/\"v1\"").unwrap(), fixed("W/\"v1\""));
        assert_eq!(etag("none").unwrap(), Etag(EntityTag::Absent));
        assert!(etag("").is_err() && etag("a\r\nb").is_err());
        assert_eq!(redirect("3").unwrap(), Redirect::Port(3));
        assert_eq!(redirect("http://h:1/").unwrap(), Redirect::Root("http://h:1".into()));
        assert!(redirect("h:1").is_err() && redirect("http://a b").is_err());
    }

    #[test]
    fn own_words_count_before_those_of_all() {
        let word = |what| vec![FaultWord { what, after_bytes: 0, times: None }];
        let all = FaultArgs {
            fault: word(FaultKind::Reset),
            etag: Some(Etag(EntityTag::Absent)),
            ..FaultArgs::default()
        };
        let own = FaultArgs { fault: word(FaultKind::Etag), ..FaultArgs::default() };
        let both = own.or(&all);
        assert_eq!((both.fault, both.etag), (word(FaultKind::Etag), all.etag.clone()));
        assert_eq!(FaultArgs::default().or(&all), all);
    }
}
