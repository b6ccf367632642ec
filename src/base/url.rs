//! URLs as the engine sees them: origin, request target, credentials, and a display without
//! secrets. Thin over the `url` crate; imports only the error words.

use super::error::{Error, ErrorKind, Result};
use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode,
};
use std::fmt;

/// The two schemes ringhaul speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain TCP, port 80 unless said otherwise.
    Http,
    /// TLS, port 443 unless said otherwise.
    Https,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Scheme, host and port: what credentials and connections belong to (RFC 6454 section 4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// http or https.
    pub scheme: Scheme,
    /// Host without the brackets of an IPv6 literal.
    pub host: String,
    /// Port, the scheme's default filled in.
    pub port: u16,
}

impl Origin {
    /// The `Host` header field: brackets for IPv6, port only if it is not the default.
    pub fn host_header(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host_header())
    }
}

/// User name and password from a URL, percent-decoded. Has no `Display`, and `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name, decoded bytes.
    pub user: Vec<u8>,
    /// Password, decoded bytes.
    pub password: Vec<u8>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// An absolute http or https URL with a host.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    inner: url::Url,
    scheme: Scheme,
}

impl Url {
    /// Parses an absolute URL. A missing scheme is an error that says so.
    pub fn parse(text: &str) -> Result<Self> {
        let inner = url::Url::parse(text).map_err(|e| {
            let what = without_secrets(text);
            Error::new(ErrorKind::Usage, format!("cannot parse the URL '{what}'"))
                .caused_by(e)
                .advise("write it as http://host/path or https://host/path")
        })?;
        Self::from_parsed(inner, text)
    }

    /// Resolves `reference` (absolute or relative, RFC 3986 section 5) against this URL.
    pub fn join(&self, reference: &str) -> Result<Self> {
        let inner = self.inner.join(reference).map_err(|e| {
            Error::new(ErrorKind::Redirect, format!("the redirect of {self} is no URL"))
                .caused_by(e)
        })?;
        Self::from_parsed(inner, reference)
    }

    /// `text` is what was parsed.
    fn from_parsed(inner: url::Url, text: &str) -> Result<Self> {
        let scheme = match inner.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => {
                // In `name:password@host` the name passes for a scheme.
                let is_scheme = SCHEMES_OF_OTHERS.contains(&other) || end_of_userinfo(text) == 0;
                let what = if is_scheme {
                    format!("the scheme '{other}'")
                } else {
                    "the URL's scheme".into()
                };
                return Err(Error::new(ErrorKind::Usage, format!("{what} is not supported"))
                    .advise("ringhaul speaks http:// and https://"));
            }
        };
        if inner.host_str().is_none_or(str::is_empty) {
            return Err(Error::new(ErrorKind::Usage, "the URL names no host")
                .advise("write it as http://host/path or https://host/path"));
        }
        Ok(Self { inner, scheme })
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> Origin {
        let host = self.inner.host_str().unwrap_or_default();
        Origin {
            scheme: self.scheme,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: self.inner.port().unwrap_or(self.scheme.default_port()),
        }
    }

    /// http or https.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Path and query as sent in the request line (origin-form, RFC 9112 3.2.1).
    pub fn request_target(&self) -> String {
        match self.inner.query() {
            Some(query) => format!("{}?{query}", self.inner.path()),
            None => self.inner.path().to_owned(),
        }
    }

    /// User name and password of the URL, if it has any.
    pub fn credentials(&self) -> Option<Credentials> {
        let password = self.inner.password();
        if self.inner.username().is_empty() && password.is_none() {
            return None;
        }
        Some(Credentials {
            user: percent_decode(self.inner.username()),
            password: percent_decode(password.unwrap_or_default()),
        })
    }

    /// The same with this user name and password.
    pub fn with_credentials(&self, credentials: &Credentials) -> Self {
        let encoded = |bytes: &[u8]| percent_encode(bytes, RESERVED).to_string();
        let mut inner = self.inner.clone();
        let set = inner.set_username(&encoded(&credentials.user));
        set.and_then(|()| inner.set_password(Some(&encoded(&credentials.password))))
            .expect("http and https URLs have a host, and so room for credentials");
        Self { inner, scheme: self.scheme }
    }

    /// All of it, with what `Display` keeps to itself: for those who ask, never for those who look.
    pub fn exposed(&self) -> String {
        self.inner.as_str().to_owned()
    }

    /// The last segment of the path, percent-decoded; empty for a path that ends in a slash.
    pub fn last_segment(&self) -> String {
        let last = self.inner.path().rsplit('/').next().unwrap_or_default();
        String::from_utf8_lossy(&percent_decode(last)).into_owned()
    }
}

impl fmt::Display for Url {
    /// Without user name and password, and with the query, where tokens live, left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.inner.path())?;
        if self.inner.query().is_some() { f.write_str("?…") } else { Ok(()) }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is known to be a scheme, even where it may be a user name.
const SCHEMES_OF_OTHERS: [&str; 5] = ["file", "ftp", "ftps", "mailto", "sftp"];

/// Text that is, or was meant to be, a URL, as it may be shown: without user name, password, query
/// and fragment. Where the text is malformed nobody knows where a password ends, which may hold
/// any character; so nothing in front of the last `@` is shown, be it part of a path.
pub fn without_secrets(text: &str) -> String {
    let is_scheme = |name: &&str| {
        let start = text.get(..name.len()).filter(|_| text[name.len()..].starts_with(':'));
        start.is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    let scheme_bytes = ["http", "https"].iter().find(|name| is_scheme(name)).map_or(0, |s| s.len());
    let behind = text[scheme_bytes..].trim_start_matches([':', '/', '\\']);
    let behind = if scheme_bytes == 0 { text } else { behind };
    let scheme = &text[..text.len() - behind.len()];
    let (userinfo, rest) = behind.split_at(end_of_userinfo(behind));
    // A mark where more may be missing than what such a part should have.
    let mark = if userinfo.contains(['/', '\\', '?', '#']) { "…@" } else { "" };
    let (rest, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let query = if query.is_empty() { "" } else { "?…" };
    format!("{scheme}{mark}{rest}{query}")
}

/// Bytes up to the last `@`, written as such or percent-encoded; 0 if there is none.
fn end_of_userinfo(text: &str) -> usize {
    let ends = ["@", "%40"].iter().filter_map(|at| Some(text.rfind(at)? + at.len()));
    ends.max().unwrap_or(0)
}

/// A percent sign that no two hexadecimal digits follow stands for itself.
pub fn percent_decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

/// All but the unreserved characters (RFC 3986 section 2.3): some stores read `+` as a blank.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as a segment of a URL's path. `.` and `..` stay what they are.
pub fn encode_segment(name: &str) -> String {
    utf8_percent_encode(name, RESERVED).to_string()
}

/// Whether two URLs, as they are displayed, name one resource or parts of one: their origins and
/// paths are equal.
pub fn is_one_resource(url: &str, other: &str) -> bool {
    let before_query = |url| str::split(url, ['?', '#']).next();
    before_query(url) == before_query(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_of_a_url() {
        let url = Url::parse("https://us%40er:p%3aw@Example.COM:8443/a/b%20c?t=1#frag").unwrap();
        let origin = url.origin();
        assert_eq!((origin.host.as_str(), origin.port), ("example.com", 8443));
        assert_eq!(url.request_target(), "/a/b%20c?t=1");
        assert_eq!(url.last_segment(), "b c");
        let credentials = url.credentials().unwrap();
        assert_eq!(credentials.user, b"us@er");
        assert_eq!(credentials.password, b"p:w");
    }

    #[test]
    fn any_credentials_fit_a_url() {
        let url = Url::parse("http://old:one@h/x?y").unwrap();
        for (user, password) in [("me", "p:w@/?#%41"), ("", "x"), ("\u{e4} ", ""), ("a%3Ab", "\n")]
        {
            let credentials = Credentials { user: user.into(), password: password.into() };
            let with = url.with_credentials(&credentials);
            assert_eq!(with.credentials(), Some(credentials));
            assert_eq!((with.origin(), with.request_target()), (url.origin(), "/x?y".into()));
        }
    }

    #[test]
    fn percent_signs_without_two_digits_stand_for_themselves() {
        for (segment, name) in [
            ("%41%4a%4A", "AJJ"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%%41", "%zz%A"),
            ("%C3%A4", "\u{e4}"),
            ("%ff", "\u{fffd}"),
        ] {
            let url = Url::parse(&format!("http://h/{segment}")).unwrap();
            assert_eq!(url.last_segment(), name, "{segment}");
        }
    }

    #[test]
    fn any_name_becomes_one_segment_and_comes_back() {
        for name in ["a b+c", "100%", "%41", "x?y#z", "a/b\\c", "na\u{ef}ve", "~-._", "@:;,=&"] {
            let url = Url::parse(&format!("http://h/d/{}", encode_segment(name))).unwrap();
            assert_eq!(url.last_segment(), name);
        }
    }

    #[test]
    fn secrets_are_not_displayed() {
        let url = Url::parse("http://user:secret@h/x?token=secret").unwrap();
        for text in [format!("{url}"), format!("{url:?}"), format!("{:?}", url.credentials())] {
            assert!(!text.contains("secret"), "{text}");
        }
        let error = Url::parse("http://user:secret@h:99999/x?token=secret").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        let error = Url::parse("user:secret@h/x").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn malformed_urls_are_shown_without_any_part_of_a_userinfo() {
        for (text, shown) in [
            ("http://user:pa/ss@host/f", "http://…@host/f"),
            ("https:/user:pw@host:99999/f", "https:/host:99999/f"),
            ("HTTPS://user:pw@host:99999/f?token", "HTTPS://host:99999/f?…"),
            ("http://us@er:p@ss:w@rd@host:99999/f", "http://host:99999/f"),
            ("http:\\\\user:p\\w@host:99999\\f", "http:\\\\…@host:99999\\f"),
            ("http://user:p?w@host:99999/f", "http://…@host:99999/f"),
            ("http://user:p#w@host:99999/f#x", "http://…@host:99999/f?…"),
            ("http://user:pw%40host/f", "http://host/f"),
            ("user:pw@host/f", "host/f"),
            ("//user:pw@host/f", "…@host/f"),
            ("http://host:99999/f", "http://host:99999/f"),
            ("http:", "http:"),
            ("host/f", "host/f"),
            ("\u{e4}ttp", "\u{e4}ttp"),
        ] {
            assert_eq!(without_secrets(text), shown, "{text}");
        }
        for text in ["http://zoe:qx/zz@host/f", "https:/zoe:qx@host:99999/f"] {
            let line = Url::parse(text).unwrap_err().to_string();
            assert!(["zoe", "qx", "zz"].iter().all(|part| !line.contains(part)), "{line}");
        }
        let error = Url::parse("sesame:pw@host/f").unwrap_err().to_string();
        assert!(!error.contains("sesame") && !error.contains("pw"), "{error}");
        let error = Url::parse("ftp://user:pw@host/f").unwrap_err().to_string();
        assert!(error.contains("'ftp'") && !error.contains("user"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(2000)
        })]

        /// Whatever stands around a secret in front of an `@`, an error does not repeat it.
        #[test]
        fn no_error_has_any_part_of_a_userinfo(
            scheme in "https?://|HTTPS?:/|https?:\\\\{1,3}|https?:|//|ftp://|[a-z]{1,4}:|",
            before in "[a-z0-9:/\\\\@?#%.\\[\\] \t\u{e4}-]{0,12}",
            after in "[a-z0-9:/\\\\@?#%.\\[\\] \t\u{e4}-]{0,12}",
            at in "@|%40",
            rest in "[a-z0-9:/\\\\@?#%.\\[\\] \u{e4}-]{0,16}(:99999)?(/f)?",
        ) {
            let text = format!("{scheme}{before}sesame{after}{at}{rest}");
            let current = Url::parse("http://h/").unwrap();
            for parsed in [Url::parse(&text), current.join(&text)] {
                if let Err(error) = parsed {
                    prop_assert!(!format!("{error} {error:?}").contains("sesame"), "{error}");
                }
            }
            prop_assert!(!without_secrets(&text).contains("sesame"));
        }
    }

    #[test]
    fn ipv6_literals_and_default_ports() {
        let url = Url::parse("http://[::1]:8080/f").unwrap();
        assert_eq!(url.origin().host, "::1");
        assert_eq!(url.origin().host_header(), "[::1]:8080");
        assert_eq!(Url::parse("https://h:443/").unwrap().origin().host_header(), "h");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in ["", "x", "/x", "ftp://h/x", "file:///etc/passwd", "http://", "http://a b/x"] {
            assert_eq!(Url::parse(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }

    #[test]
    fn references_resolve() {
        let url = Url::parse("http://h/a/b?q").unwrap();
        assert_eq!(url.join("c").unwrap().to_string(), "http://h/a/c");
        assert_eq!(url.join("//other/z").unwrap().to_string(), "http://other/z");
        assert_eq!(url.join("https://o/z").unwrap().origin().port, 443);
        assert!(url.join("ftp://o/z").is_err());
    }
}
