//! From a request to its answer: status, fields and which bytes (RFC 9110 13 and 14).
//!
//! Owns validators, conditions and ranges as a server sees them, and how faults bend them. Must
//! not know sockets, time or how the answer travels.

use crate::base::Span;
use crate::server::codec::base64::base64;
use crate::server::codec::range::RangeAsked;
use crate::server::codec::request::Request;
use crate::server::faults::effects::{Closing, Effects, Framing, Instead, Said};
use crate::server::faults::signing;
use crate::server::files::bytes::FileBytes;
use crate::server::files::listing;
use crate::server::files::site::{File, Page, Site};
use std::io;
use std::ops::Range;

/// One answer, ready to be delivered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) framing: Framing,
    /// A HEAD is answered with the fields alone.
    pub(super) is_head_only: bool,
    /// It says what the file is, in its fields at least.
    pub(super) is_of_file: bool,
    /// It carries bytes of a file whose digests the server has.
    pub(super) could_have_digests: bool,
}

/// Where the bytes of a body come from.
#[derive(Debug)]
pub(super) enum Body {
    /// A span of a file, wrong where its offsets are flipped.
    Content { bytes: FileBytes, span: Span, flips: Vec<Range<u64>> },
    /// These.
    Text(Vec<u8>),
}

impl Body {
    pub(super) fn len(&self) -> u64 {
        match self {
            Body::Content { span, .. } => span.len(),
            Body::Text(bytes) => bytes.len() as u64,
        }
    }
}

impl Answer {
    /// Decides what `request` gets.
    pub(super) fn decide(request: &Request, site: &Site, effects: &Effects) -> Self {
        let mut answer = Self::choose(request, site, effects);
        // RFC 9110 15.4.5: no body, whatever the framing.
        let is_bare = answer.status == 304;
        answer.is_head_only = request.method == "HEAD" || is_bare;
        answer.framing = if is_bare { Framing::Length } else { effects.framing };
        if let Some(coding) = &effects.content_encoding {
            answer.add("Content-Encoding", coding.as_str());
        }
        answer
    }

    /// A short text for a status.
    pub(super) fn short(status: u16) -> Self {
        let text = format!("{status} {}\n", reason(status));
        Self::new(status, Body::Text(text.into_bytes()))
    }

    /// The head as it is sent. `keeps` indicates whether the connection stays open.
    pub(super) fn head(&self, keeps: bool, effects: &Effects, is_http_10: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        match self.framing {
            // RFC 9110 8.6: no length with these two.
            Framing::Length if matches!(self.status, 204 | 304) => {}
            Framing::Length => head += &format!("Content-Length: {}\r\n", self.body.len()),
            Framing::Chunked => head += "Transfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n",
            Framing::UntilClose => {}
        }
        if !keeps && effects.closing != Closing::Silent {
            head += "Connection: close\r\n";
        } else if keeps && is_http_10 {
            head += "Connection: keep-alive\r\n";
        }
        const PADDING: &str = "X-Padding: ";
        let missing = effects.head_bytes_min.saturating_sub(head.len() + PADDING.len() + 4);
        if missing > 0 {
            head += &format!("{PADDING}{}\r\n", "p".repeat(missing));
        }
        head += "\r\n";
        head.into_bytes()
    }

    fn choose(request: &Request, site: &Site, effects: &Effects) -> Self {
        if let Some((user, password)) = &effects.credentials
            && !is_authorised(request, user, password)
        {
            let mut answer = Self::short(401);
            answer.add("WWW-Authenticate", "Basic realm=\"ringhaul\", charset=\"UTF-8\"");
            return answer;
        }
        let path = if site.signs { signing::file_path(request.path()) } else { request.path() };
        if let Some(answer) = Self::instead(request, path, site, effects) {
            return answer;
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            let mut answer = Self::short(405);
            answer.add("Allow", "GET, HEAD");
            return answer;
        }
        if request.method == "HEAD" && effects.forbids_head {
            let mut answer = Self::short(405);
            answer.add("Allow", "GET");
            return answer;
        }
        let mut file = match site.file(path, request.field("host")) {
            Ok(file) => file,
            Err(404) => return Self::page(path, request.query(), site),
            Err(status) => return Self::short(status),
        };
        if !file.is_description() {
            if let Some((seed, size_bytes)) = effects.replacement {
                file = site.file_of(seed, size_bytes);
            }
            let Effects { etag, last_modified, .. } = effects;
            file.etag = Said::instead_of(etag.as_ref(), file.etag);
            file.last_modified = Said::instead_of(last_modified.as_ref(), file.last_modified);
        }
        let mut answer = Self::of_file(&file, request, effects);
        match answer.describe(file, request, path, site, effects) {
            Ok(()) => answer,
            Err(_) => Self::short(500),
        }
    }

    /// What a browser gets where no file is.
    fn page(path: &str, query: &str, site: &Site) -> Self {
        match site.page(path, query) {
            Err(status) => Self::short(status),
            Ok(Page::Moved(to)) => {
                let mut answer = Self::short(301);
                answer.add("Location", to);
                answer
            }
            Ok(Page::Listing(page)) => {
                let mut answer = Self::new(200, Body::Text(page.into_bytes()));
                answer.add("Content-Type", "text/html; charset=utf-8");
                answer.add("Content-Security-Policy", listing::POLICY);
                answer
            }
        }
    }

    /// What the script has in place of the file at `path`. Descriptions are not redirected.
    fn instead(request: &Request, path: &str, site: &Site, effects: &Effects) -> Option<Self> {
        let target = request.target.as_str();
        let target = if target.starts_with('/') { target } else { request.path() };
        let to_root = |root: &String| Instead::redirect(302, format!("{root}{target}"));
        let root = effects.redirect_root.as_ref();
        let Instead { status, headers, body } =
            effects.instead.clone().or_else(|| root.map(to_root))?;
        let is_redirect = matches!(status, 301 | 302 | 303 | 307 | 308);
        if is_redirect && site.describes_at(path) {
            return None;
        }
        let mut answer = Self::new(status, Body::Text(body));
        answer.fields = headers;
        if is_redirect {
            answer.add_links(request, path, site, true);
        }
        Some(answer)
    }

    fn add_links(&mut self, request: &Request, path: &str, site: &Site, is_redirect: bool) {
        let host = request.field("host");
        let describer = site.describer.as_ref();
        let links = describer.map(|describer| describer.links(path, host, is_redirect));
        links.into_iter().flatten().for_each(|link| self.add("Link", link));
    }

    fn of_file(file: &File, request: &Request, effects: &Effects) -> Self {
        let honours = !effects.ignores_conditions;
        if honours && !matches_if_match(request, file) {
            return Self::short(412);
        }
        if honours && !is_modified(request, file) {
            return Self::new(304, Body::Text(Vec::new()));
        }
        let whole = Span::new(0, file.size_bytes);
        let flips = if file.is_description() { Vec::new() } else { effects.flips.clone() };
        let content = |span| Body::Content { bytes: file.bytes.clone(), span, flips };
        // RFC 9110 14.2: ranges are for GET, and only of the file If-Range names.
        let asked = request.field("range").and_then(RangeAsked::parse).filter(|_| {
            request.method == "GET"
                && !effects.ignores_ranges
                && (!honours || matches_if_range(request, file))
        });
        let Some(asked) = asked else { return Self::new(200, content(whole)) };
        if let Some(unsatisfiable) = effects.unsatisfiable {
            return Self::not_satisfiable(unsatisfiable.total);
        }
        let Some(span) = asked.of(file.size_bytes) else {
            return Self::not_satisfiable(Some(file.size_bytes));
        };
        let (span, label) = bend(span, file.size_bytes, effects);
        let mut answer = Self::new(206, content(span));
        answer.add("Content-Range", label);
        answer
    }

    /// RFC 9110 15.5.17: with the size, or without.
    fn not_satisfiable(total: Option<u64>) -> Self {
        let mut answer = Self::short(416);
        if let Some(total) = total {
            answer.add("Content-Range", format!("bytes */{total}"));
        }
        answer
    }

    /// Adds what is said of the file. An error is one of reading it.
    fn describe(
        &mut self,
        file: File,
        request: &Request,
        path: &str,
        site: &Site,
        effects: &Effects,
    ) -> io::Result<()> {
        if let Body::Content { span, bytes, .. } = &self.body {
            let is_wrong = effects.has_wrong_digest;
            let digests = site.digests.of(bytes, file.size_bytes, *span, is_wrong)?;
            self.add("Content-Type", &*file.media_type);
            self.could_have_digests = !digests.is_empty();
            let said = digests.into_iter().filter(|_| !effects.hides_digests);
            said.for_each(|(name, value)| self.add(name, value));
        }
        self.is_of_file = !file.is_description();
        if matches!(self.status, 200 | 206) && !file.is_description() {
            self.add_links(request, path, site, false);
        }
        if !effects.hides_ranges {
            self.add("Accept-Ranges", "bytes");
        }
        let validators = [("ETag", file.etag), ("Last-Modified", file.last_modified)];
        for (name, value) in validators {
            if let Some(value) = value.filter(|_| !effects.hides_validators) {
                self.add(name, value);
            }
        }
        self.fields.extend(effects.fields.iter().cloned());
        Ok(())
    }

    fn new(status: u16, body: Body) -> Self {
        Self {
            status,
            fields: Vec::new(),
            body,
            framing: Framing::Length,
            is_head_only: false,
            is_of_file: false,
            could_have_digests: false,
        }
    }

    fn add(&mut self, name: &str, value: impl Into<String>) {
        self.fields.push((name.to_owned(), value.into()));
    }
}

/// The span really served and its `Content-Range`, after the script had its way.
fn bend(asked: Span, size_bytes: u64, effects: &Effects) -> (Span, String) {
    let start = asked.start().saturating_add_signed(effects.range_shift);
    let bytes = asked.len().min(effects.range_bytes_max.unwrap_or(u64::MAX)).max(1);
    let span = Span::with_len(start, bytes);
    let total = effects.range_total.unwrap_or(size_bytes);
    (span, format!("bytes {}-{}/{total}", span.start(), span.end().saturating_sub(1)))
}

/// RFC 9110 13.1.1, by strong comparison.
fn matches_if_match(request: &Request, file: &File) -> bool {
    let Some(wanted) = request.field("if-match") else { return true };
    wanted == "*" || wanted.split(',').any(|tag| is_strongly_equal(tag.trim(), file))
}

/// RFC 9110 13.1.2, by weak comparison; without it 13.1.3, by the very date.
fn is_modified(request: &Request, file: &File) -> bool {
    if let Some(known) = request.field("if-none-match") {
        let opaque = |tag: &str| tag.trim_start_matches("W/").to_owned();
        let here = file.etag.as_deref().map(opaque);
        let is_known = known.split(',').any(|tag| Some(opaque(tag.trim())) == here);
        return known != "*" && !is_known;
    }
    let since = request.field("if-modified-since");
    since.is_none() || since != file.last_modified.as_deref()
}

/// RFC 9110 13.1.5: a strong tag, or the very date of the file.
fn matches_if_range(request: &Request, file: &File) -> bool {
    let Some(wanted) = request.field("if-range") else { return true };
    is_strongly_equal(wanted, file) || file.last_modified.as_deref() == Some(wanted)
}

fn is_strongly_equal(wanted: &str, file: &File) -> bool {
    wanted.starts_with('"') && file.etag.as_deref() == Some(wanted)
}

fn is_authorised(request: &Request, user: &str, password: &str) -> bool {
    let Some(given) = request.field("authorization") else { return false };
    let Some((scheme, token)) = given.split_once(' ') else { return false };
    let expected = base64(format!("{user}:{password}").as_bytes());
    scheme.eq_ignore_ascii_case("basic") && token.trim() == expected
}

/// The usual phrase; clients must not care.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        412 => "Precondition Failed",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Scripted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_head_has_the_size_asked_for() {
        for bytes in [200, 4096, 100_000] {
            let effects = Effects { head_bytes_min: bytes, ..Effects::default() };
            assert_eq!(Answer::short(200).head(true, &effects, false).len(), bytes);
        }
    }
}
