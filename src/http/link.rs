//! `Link` fields: other servers of the same file, and where the file is described (RFC 6249,
//! Metalink/HTTP; the grammar is RFC 8288 section 3).
//!
//! Owns the grammar and which relations count. Must not know who acts on a link, or what a
//! description says.
//!
//! mirrorbits sends `Link: <…>; rel=duplicate; pri=1; geo=de` with its redirects, others with the
//! file itself. A link that is malformed costs itself alone.

use super::head::Head;
use super::redirect::{Rules, bare};
use crate::base::limits::LINKS_MAX;
use crate::base::url::Scheme;
use crate::base::{Error, ErrorKind, Result, Url};
use std::borrow::Cow;

/// What the links of one answer say of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links<'h> {
    /// Where the same file is served, too (`rel=duplicate`): the best priority first.
    pub duplicates: Vec<Link<'h>>,
    /// Where the file is described (`rel=describedby`), by a Metalink or by a signature, as
    /// [`Link::media_type`] says; in the order of the fields.
    pub descriptions: Vec<Link<'h>>,
    /// Links of these relations beyond [`LINKS_MAX`], which are not kept.
    pub left_out: usize,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link<'h> {
    /// As sent: a URL, or one relative to that of the answer. See [`Link::resolve`].
    pub target: &'h str,
    /// `pri`: from 1, which is the best, to 999,999 (RFC 6249 section 3.1).
    pub priority: Option<u32>,
    /// `geo`: the country of the server, in lower case (ISO 3166-1).
    pub location: Option<String>,
    /// `pref`: the server makes its entity tags as this one does (RFC 6249 section 3.3).
    pub is_preferred: bool,
    /// `depth`: segments at the end of both paths, the file's name left out, that are equal on
    /// both servers (RFC 6249 section 3.4).
    pub depth: Option<u32>,
    /// `type`: of what the target is, as `application/metalink4+xml`, in lower case.
    pub media_type: Option<String>,
}

/// The links of an answer whose head speaks of the file: the file itself, a part of it, or a
/// redirect to it. Those of other answers say nothing. An answer without such fields costs a look
/// at the names of its fields.
pub fn links(head: &Head) -> Links<'_> {
    let mut links = Links::default();
    if matches!(head.status(), 200 | 206 | 300..=399) {
        head.all("Link").for_each(|value| links.read(value));
        links.duplicates.sort_by_key(|link| link.priority.unwrap_or(u32::MAX));
    }
    links
}

impl Link<'_> {
    /// The URL of the target, given that of the answer: without user name, password and fragment,
    /// since what reaches our request comes from our user.
    ///
    /// # Errors
    /// [`ErrorKind::Redirect`] if it is neither http nor https, or goes from https to http and
    /// `rules` do not allow that.
    pub fn resolve(&self, current: &Url, rules: &Rules) -> Result<Url> {
        let refused = |why: &str| {
            let what = format!("a link of {current} {why}");
            Error::new(ErrorKind::Redirect, what)
        };
        let url = current.join(self.target).and_then(|url| bare(&url)).map_err(|_| {
            refused("has no usable URL").advise("ringhaul speaks http:// and https://")
        })?;
        let is_downgrade = current.scheme() == Scheme::Https && url.scheme() == Scheme::Http;
        if is_downgrade && !rules.allow_downgrade {
            return Err(refused("is plain http, and the file was asked for by https").advise(
                "if an unprotected transfer is acceptable, allow it with --allow-downgrade",
            ));
        }
        Ok(url)
    }
}

impl<'h> Links<'h> {
    /// Takes up the links of one field.
    fn read(&mut self, value: &'h str) {
        let mut rest = value;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return;
            }
            rest = match link(rest) {
                Ok((target, parameters, behind)) => {
                    self.take(target, &parameters);
                    behind
                }
                Err(Malformed { behind }) => behind_comma(behind),
            };
        }
    }

    fn take(&mut self, target: &'h str, parameters: &Parameters<'h>) {
        let has = |relation: &str| {
            let mut relations = parameters.relations.as_deref().unwrap_or_default().split(' ');
            relations.any(|known| known.eq_ignore_ascii_case(relation))
        };
        let (is_duplicate, is_description) = (has("duplicate"), has("describedby"));
        // An anchor says that the link is not one of this file (RFC 8288 section 3.2).
        if target.is_empty() || parameters.has_anchor || !(is_duplicate || is_description) {
            return;
        }
        if self.duplicates.len() + self.descriptions.len() >= LINKS_MAX {
            self.left_out += 1;
            return;
        }
        let link = parameters.link(target);
        match (is_duplicate, is_description) {
            (true, true) => {
                self.descriptions.push(link.clone());
                self.duplicates.push(link);
            }
            (true, false) => self.duplicates.push(link),
            (false, _) => self.descriptions.push(link),
        }
    }
}

/// What the parameters of one link say; of several of one name the first one counts (RFC 8288
/// section 3.3).
#[derive(Debug, Default)]
struct Parameters<'h> {
    relations: Option<Cow<'h, str>>,
    has_anchor: bool,
    priority: Option<Cow<'h, str>>,
    location: Option<Cow<'h, str>>,
    is_preferred: bool,
    depth: Option<Cow<'h, str>>,
    media_type: Option<Cow<'h, str>>,
}

impl<'h> Parameters<'h> {
    fn add(&mut self, name: &str, value: Cow<'h, str>) {
        let place = match name.to_ascii_lowercase().as_str() {
            "rel" => &mut self.relations,
            "pri" => &mut self.priority,
            "geo" => &mut self.location,
            "depth" => &mut self.depth,
            "type" => &mut self.media_type,
            "pref" => return self.is_preferred = true,
            "anchor" => return self.has_anchor = true,
            _ => return,
        };
        place.get_or_insert(value);
    }

    /// A value that makes no sense counts as missing.
    fn link(&self, target: &'h str) -> Link<'h> {
        const PRIORITY_LAST: u32 = 999_999;
        let is_country =
            |text: &&str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let lower = |text: &str| text.to_ascii_lowercase();
        Link {
            target,
            priority: number(&self.priority).filter(|n| (1..=PRIORITY_LAST).contains(n)),
            location: self.location.as_deref().filter(is_country).map(lower),
            is_preferred: self.is_preferred,
            depth: number(&self.depth),
            media_type: self.media_type.as_deref().filter(|text| !text.is_empty()).map(lower),
        }
    }
}

/// A link that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Malformed<'h> {
    /// What follows the byte at which this was found out.
    behind: &'h str,
}

type Parsed<'h, T> = std::result::Result<T, Malformed<'h>>;

/// `<target>; name=value; …`: the target, its parameters, and what follows them.
fn link(text: &str) -> Parsed<'_, (&str, Parameters<'_>, &str)> {
    let inner = text.strip_prefix('<').ok_or(Malformed { behind: text })?;
    let (target, mut rest) = inner.split_once('>').ok_or(Malformed { behind: "" })?;
    let mut parameters = Parameters::default();
    loop {
        rest = trim_start(rest);
        rest = match rest.as_bytes().first() {
            None | Some(b',') => return Ok((target.trim(), parameters, rest)),
            Some(b';') => {
                let (name, value, behind) = parameter(trim_start(&rest[1..]))?;
                parameters.add(name, value);
                behind
            }
            Some(_) => return Err(Malformed { behind: rest }),
        };
    }
}

/// `name`, `name=token` or `name="text"`, or nothing (RFC 8288 section 3): the name, the value, and
/// what follows them.
fn parameter(text: &str) -> Parsed<'_, (&str, Cow<'_, str>, &str)> {
    let end = text.find(['=', ';', ',', '"', ' ', '\t']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = trim_start(rest);
    let Some(rest) = rest.strip_prefix('=').map(trim_start) else {
        return Ok((name, Cow::Borrowed(""), rest));
    };
    if let Some(inner) = rest.strip_prefix('"') {
        let (value, behind) = quoted_string(inner).ok_or(Malformed { behind: "" })?;
        return Ok((name, value, behind));
    }
    // A type has a slash, which no token may have, and is sent without quotes all the same.
    let end = rest.find([';', ',']).unwrap_or(rest.len());
    let (value, behind) = rest.split_at(end);
    if value.contains('"') {
        // The comma or semicolon may stand between quotes.
        return Err(Malformed { behind: rest });
    }
    Ok((name, Cow::Borrowed(value.trim_end_matches([' ', '\t'])), behind))
}

/// The text in front of the closing quote, with `\` taken off (RFC 9110 section 5.6.4), and what
/// follows; `None` if there is no closing quote.
fn quoted_string(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut unescaped: Option<String> = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let value = unescaped.map_or(Cow::Borrowed(&text[..at]), Cow::Owned);
                return Some((value, &text[at + 1..]));
            }
            '\\' => {
                let (_, escaped) = chars.next()?;
                unescaped.get_or_insert_with(|| text[..at].to_owned()).push(escaped);
            }
            other => {
                if let Some(unescaped) = &mut unescaped {
                    unescaped.push(other);
                }
            }
        }
    }
    None
}

/// What follows the next comma that is not quoted.
fn behind_comma(text: &str) -> &str {
    let mut rest = text;
    while let Some(at) = rest.find([',', '"']) {
        let behind = &rest[at + 1..];
        if rest.as_bytes()[at] == b',' {
            return behind;
        }
        let Some((_, behind)) = quoted_string(behind) else { return "" };
        rest = behind;
    }
    ""
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

fn number(text: &Option<Cow<'_, str>>) -> Option<u32> {
    let text = text.as_deref()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::tests::head;
    use proptest::prelude::*;

    /// The targets of duplicates with their priorities, and those of descriptions.
    fn found(fields: &[&str]) -> (Vec<(String, Option<u32>)>, Vec<String>) {
        let fields: Vec<(&str, &str)> = fields.iter().map(|value| ("link", *value)).collect();
        let head = head(302, &fields);
        let Links { duplicates, descriptions, left_out } = links(&head);
        assert_eq!(left_out, 0);
        let duplicates = duplicates.iter().map(|link| (link.target.to_owned(), link.priority));
        let descriptions = descriptions.iter().map(|link| link.target.to_owned());
        (duplicates.collect(), descriptions.collect())
    }

    /// The targets of duplicates.
    fn duplicates(value: &str) -> Vec<String> {
        found(&[value]).0.into_iter().map(|(target, _)| target).collect()
    }

    #[test]
    fn rfc_6249_section_1_1() {
        let head = head(
            206,
            &[
                ("Link", "<http://www2.example.com/e.ext>; rel=duplicate; pri=2; geo=GB"),
                ("Link", "<ftp://ftp.example.com/e.ext>; rel=duplicate"),
                (
                    "Link",
                    "<http://m/e.ext>; rel=duplicate; pref; pri=1; depth=1, \
                     <http://example.com/e.ext.torrent>; rel=describedby; \
                     type=\"application/x-bittorrent\", <http://example.com/e.ext.meta4>; \
                     rel=describedby; type=Application/metalink4+xml",
                ),
                ("Link", "<http://example.com/>; rel=canonical"),
            ],
        );
        let links = links(&head);
        let targets: Vec<&str> = links.duplicates.iter().map(|link| link.target).collect();
        let expected =
            ["http://m/e.ext", "http://www2.example.com/e.ext", "ftp://ftp.example.com/e.ext"];
        assert_eq!(targets, expected, "the best priority first");
        let first = &links.duplicates[0];
        assert_eq!((first.priority, first.is_preferred, first.depth), (Some(1), true, Some(1)));
        assert_eq!(links.duplicates[1].location.as_deref(), Some("gb"));
        let types: Vec<_> = links.descriptions.iter().map(|l| l.media_type.as_deref()).collect();
        let expected = ["application/x-bittorrent", "application/metalink4+xml"].map(Some);
        assert_eq!(types, expected);
    }

    #[test]
    fn only_answers_that_speak_of_the_file_have_links() {
        let fields = [("Link", "<http://m/>; rel=duplicate")];
        for status in [200, 206, 301, 302, 307] {
            assert_eq!(links(&head(status, &fields)).duplicates.len(), 1, "{status}");
        }
        for status in [404, 416, 503] {
            assert!(links(&head(status, &fields)).duplicates.is_empty(), "{status}");
        }
        assert_eq!(links(&head(200, &[("Server", "x")])), Links::default());
    }

    #[test]
    fn several_relations_anchors_and_repetitions_rfc_8288_section_3() {
        let both = found(&["<a>; rel=\"next DUPLICATE describedBy\""]);
        assert_eq!(both, (vec![("a".to_owned(), None)], vec!["a".to_owned()]));
        assert_eq!(duplicates("<a>; rel=duplicate; anchor=\"/other\""), [""; 0]);
        assert_eq!(duplicates("<a>; rel=next; rel=duplicate"), [""; 0], "the first one counts");
        let twice = found(&["<a>; rel=duplicate; pri=2; pri=1"]);
        assert_eq!(twice.0, [("a".to_owned(), Some(2))]);
        assert_eq!(duplicates("<>; rel=duplicate, < a >; REL=duplicate"), ["a"]);
        assert_eq!(duplicates("<a>, <b>; rev=duplicate"), [""; 0]);
    }

    #[test]
    fn quotes_may_hold_anything() {
        let value =
            "<a,b;c>; title=\"x, <y>; rel=\\\"z\\\\\"; rel=\"duplicate\", <d>;rel=duplicate";
        assert_eq!(duplicates(value), ["a,b;c", "d"]);
        let escaped = found(&["<a>; rel=\"dupl\\icate\"; pri=\"7\""]);
        assert_eq!(escaped.0, [("a".to_owned(), Some(7))]);
        assert_eq!(
            duplicates("<a> ; rel = duplicate ;; pri ; geo=, <b>;rel=\"duplicate\" "),
            ["a", "b"]
        );
    }

    #[test]
    fn what_is_malformed_costs_itself_alone() {
        for (value, targets) in [
            ("a; rel=duplicate, <b>; rel=duplicate", &["b"][..]),
            ("<a> x; rel=duplicate, <b>; rel=duplicate", &["b"]),
            ("<a>; title=\"x\" y, <b>; rel=duplicate", &["b"]),
            ("x=\"<a>, y\\\", z\", <b>; rel=duplicate", &["b"]),
            ("x=\"y, <z>; rel=duplicate, y\", <b>; rel=duplicate", &["b"]),
            (",, ,<b>; rel=duplicate,", &["b"]),
            ("<b>; rel=duplicate, <a; rel=duplicate", &["b"]),
            ("<b>; rel=duplicate, <a>; title=\"x; rel=duplicate, <c>; rel=duplicate", &["b"]),
            ("<b>; rel=duplicate, <a>; title=\"\\", &["b"]),
            ("", &[]),
            ("\"", &[]),
            ("<", &[]),
            ("<a>;", &[]),
            ("<a>; =", &[]),
        ] {
            assert_eq!(duplicates(value), targets, "{value}");
        }
    }

    #[test]
    fn values_that_make_no_sense_count_as_missing() {
        for pri in ["0", "1000000", "-1", "+1", "", "x", "4294967297", "99999999999999999999"] {
            let field = format!("<a>; rel=duplicate; pri={pri}; geo=deu; depth={pri}; type=\"\"");
            let head = head(200, &[("Link", &field)]);
            let link = &links(&head).duplicates[0];
            assert_eq!((link.priority, &link.location, &link.media_type), (None, &None, &None));
        }
    }

    #[test]
    fn links_are_bounded() {
        let field = "<a>;rel=duplicate,".repeat(LINKS_MAX + 5);
        let fields = [("Link", field.as_str()), ("Link", "<b>;rel=describedby")];
        let head = head(200, &fields);
        let links = links(&head);
        assert_eq!((links.duplicates.len(), links.left_out), (LINKS_MAX, 6));
        let junk = ["<a>;rel=duplicate;".repeat(5000), "\"\\\"".repeat(30_000), "<".repeat(64_000)];
        for field in junk {
            assert!(duplicates(&field).len() <= 1);
        }
    }

    #[test]
    fn targets_resolve_without_secrets_and_downgrades() {
        let resolve = |current: &str, target: &str, allow_downgrade| {
            let field = format!("<{target}>; rel=duplicate");
            let head = head(302, &[("Link", &field)]);
            let current = Url::parse(current).unwrap();
            links(&head).duplicates[0].resolve(&current, &Rules { allow_downgrade })
        };
        for (current, target, url) in [
            ("http://h/a/b", "c", "http://h/a/c"),
            ("https://h/a", "https://u:p@m/a#x", "https://m/a"),
            ("http://h/a", "http://m/a?t=1", "http://m/a?t=1"),
            ("https://h/a", "//m/a", "https://m/a"),
        ] {
            assert_eq!(resolve(current, target, false).unwrap(), Url::parse(url).unwrap());
        }
        let error = resolve("https://h/a", "http://m/a", false).unwrap_err();
        assert!(error.to_string().contains("--allow-downgrade"), "{error}");
        assert!(resolve("https://h/a", "http://m/a", true).is_ok());
        for target in ["ftp://m/a", "magnet:?x", "http://"] {
            let error = resolve("http://h/a", target, true).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Redirect, "{target}");
        }
    }

    #[test]
    fn a_quote_within_a_bare_value_hides_no_link_behind_it() {
        let found = duplicates("<>;<=>\",\",<http://m/a>;rel=duplicate");
        assert_eq!(found, ["http://m/a"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(1000)
        })]

        /// A good link behind any text that ends outside of quotes and brackets is found.
        #[test]
        fn a_good_link_is_found_behind_any_other(
            noise in "(<[a-z;=, ]{0,9}>|\"[a-z;=, ]{0,9}\"|[a-z;=, \\\\]){0,10}",
        ) {
            let found = duplicates(&format!("{noise},<http://m/a>;rel=duplicate"));
            prop_assert_eq!(found.last().map(String::as_str), Some("http://m/a"), "{}", noise);
        }
    }
}
