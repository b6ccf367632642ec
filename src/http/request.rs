//! Requests: GET of one URL, whole or one span of it (RFC 9112 section 3, RFC 9110 section 14.2).
//!
//! Owns which fields are sent and which ones a user may set. Must not know connections: a request
//! is bytes.

use super::auth::basic;
use super::head::trim_ows;
use super::range::range_value;
use super::validator::Validator;
use crate::base::limits::REQUEST_BYTES_MAX;
use crate::base::url::Credentials;
use crate::base::{Error, ErrorKind, Result, Span, Url};
use std::fmt;

pub(super) const USER_AGENT: &str = concat!("ringhaul/", env!("CARGO_PKG_VERSION"));

/// Fields that would take a decision out of ringhaul's hands, each with the reason.
const REFUSED: [(&str, &str); 13] = [
    ("Range", "ringhaul chooses the ranges itself"),
    ("If-Range", "ringhaul chooses the ranges itself"),
    ("If-Match", "ringhaul makes sure itself that the file stays the same"),
    ("Accept-Encoding", "byte ranges of a compressed answer are not the file"),
    ("Connection", "ringhaul decides itself how long a connection lives"),
    ("Keep-Alive", "ringhaul decides itself how long a connection lives"),
    ("TE", "ringhaul takes no transfer coding but chunked"),
    ("Transfer-Encoding", "a download sends no body"),
    ("Content-Length", "a download sends no body"),
    ("Trailer", "a download sends no body"),
    ("Expect", "a download sends no body"),
    ("Upgrade", "ringhaul speaks HTTP/1.1 only"),
    ("Proxy-Authorization", "servers would get it, too; --proxy-user gives it to the proxy only"),
];

/// A GET request. Cheap to clone: build it once per source, then give each clone its span.
#[derive(Clone)]
pub struct Request {
    target: String,
    host: String,
    range: Option<Span>,
    if_match: Option<String>,
    if_range: Option<String>,
    authorization: Option<String>,
    proxy_authorization: Option<String>,
    /// What a jar adds to the cookies among the fields.
    cookies: Option<String>,
    /// See [`Sent::login`].
    login: u64,
    fields: Vec<(String, String)>,
}

/// What has to be known of a request when its answer comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Indicates whether a 206 vouches for the version that `If-Range` names.
    pub is_conditional: bool,
    /// The number of the Digest challenge that it answers; 0 is none.
    pub login: u64,
    /// Indicates whether it has an `Authorization` of the user's own: no challenge changes that.
    pub has_own_login: bool,
}

impl Request {
    /// The whole of `url`. Its credentials are not used: see [`Self::basic_auth`].
    pub fn get(url: &Url) -> Self {
        Self {
            target: url.request_target(),
            host: url.origin().host_header(),
            range: None,
            if_match: None,
            if_range: None,
            authorization: None,
            proxy_authorization: None,
            cookies: None,
            login: 0,
            fields: Vec::new(),
        }
    }

    /// Asks for `span` only. Panics if it is empty: an invariant of the caller.
    pub fn range(mut self, span: Span) -> Self {
        assert!(!span.is_empty(), "a range names at least one byte");
        self.range = Some(span);
        self
    }

    /// Asks for 412 if the file is another one by now (RFC 9110 section 13.1.1). Only a strong
    /// entity tag can do that; other validators change nothing.
    pub fn if_match(mut self, validator: &Validator) -> Self {
        self.if_match = match validator {
            Validator::StrongEtag(tag) => Some(tag.clone()),
            Validator::LastModified(_) | Validator::WeakEtag(_) | Validator::None => None,
        };
        self
    }

    /// Asks for the whole file instead of the range if it is another one by now. Sent only beside a
    /// range, as RFC 9110 section 13.1.5 demands; a weak validator MUST NOT be sent (same section)
    /// and changes nothing, as does [`Validator::None`].
    pub fn if_range(mut self, validator: &Validator) -> Self {
        self.if_range = match validator {
            Validator::StrongEtag(text) | Validator::LastModified(text) => Some(text.clone()),
            Validator::WeakEtag(_) | Validator::None => None,
        };
        self
    }

    /// What has to be known when its answer comes.
    pub fn sent(&self) -> Sent {
        let is_conditional = self.range.is_some() && self.if_range.is_some();
        Sent { is_conditional, login: self.login, has_own_login: self.has_authorization() }
    }

    /// Adds a field of the user's. It replaces a default of the same name (`User-Agent`, `Accept`,
    /// `Host`, the `Authorization` of [`Self::basic_auth`]); several of one name are all sent.
    ///
    /// A name that is no token (RFC 9110 section 5.6.2), control characters in the value (section
    /// 5.5) and fields that ringhaul has to set itself are [`ErrorKind::Usage`].
    pub fn header(mut self, name: &str, value: &str) -> Result<Self> {
        check_name(name)?;
        let value = trim_ows(value);
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(usage(format!("the value of the header '{name}' has control characters")));
        }
        if let Some((name, why)) = REFUSED.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            return Err(
                usage(format!("the header '{name}' cannot be set: {why}")).advise("leave it out")
            );
        }
        if name.eq_ignore_ascii_case("Host") {
            if value.is_empty() {
                return Err(usage("the header 'Host' cannot be empty"));
            }
            self.host = value.to_owned();
        } else {
            self.fields.push((name.to_owned(), value.to_owned()));
        }
        Ok(self)
    }

    /// Sends these credentials with the Basic scheme, unless the user gives an `Authorization`.
    /// What RFC 7617 cannot carry (a colon in the user name, control characters) is
    /// [`ErrorKind::Usage`].
    pub fn basic_auth(mut self, credentials: &Credentials) -> Result<Self> {
        self.authorization = Some(basic(credentials)?);
        Ok(self)
    }

    /// Has a proxy, which gets these credentials, ask the origin of `url` (RFC 9112 section 3.2.2).
    /// What Basic authentication cannot carry is [`ErrorKind::Usage`].
    pub fn through_proxy(mut self, url: &Url, credentials: Option<&Credentials>) -> Result<Self> {
        self.target = format!("{}{}", url.origin(), url.request_target());
        self.proxy_authorization = credentials.map(basic).transpose().map_err(|error| {
            error.advise("give other credentials with --proxy-user").within("the proxy")
        })?;
        Ok(self)
    }

    /// Sends this value as `Authorization`, unless the user gives one; it answers the Digest
    /// challenge number `login`, or none (0).
    pub fn authorization(mut self, value: String, login: u64) -> Self {
        (self.authorization, self.login) = (Some(value), login);
        self
    }

    /// Sends these cookies behind those that the user gives as `Cookie`.
    pub fn cookies(mut self, field: String) -> Self {
        self.cookies = Some(field);
        self
    }

    /// Whether the user gives an `Authorization`.
    pub fn has_authorization(&self) -> bool {
        self.has("Authorization")
    }

    /// The names of the cookies that the user gives.
    pub fn cookie_names(&self) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Cookie"));
        let pairs = fields.flat_map(|(_, value)| value.split(';'));
        pairs.filter_map(|pair| pair.split_once('=')).map(|(name, _)| trim_ows(name)).collect()
    }

    /// The bytes to send. More than [`REQUEST_BYTES_MAX`] of them are [`ErrorKind::Usage`].
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut text = format!("GET {} HTTP/1.1\r\n", self.target);
        let mut line = |name: &str, value: &str| {
            text.extend([name, ": ", value, "\r\n"]);
        };
        line("Host", &self.host);
        for (name, value) in [
            ("User-Agent", Some(USER_AGENT)),
            ("Accept", Some("*/*")),
            ("Authorization", self.authorization.as_deref()),
            ("Proxy-Authorization", self.proxy_authorization.as_deref()),
        ] {
            if let Some(value) = value.filter(|_| !self.has(name)) {
                line(name, value);
            }
        }
        line("Accept-Encoding", "identity");
        // One field has them all (RFC 6265 section 5.4).
        let mut cookies = self.cookies.as_deref();
        for (name, value) in &self.fields {
            match cookies.take_if(|_| name.eq_ignore_ascii_case("Cookie")) {
                Some(more) => line(name, &format!("{value}; {more}")),
                None => line(name, value),
            }
        }
        if let Some(cookies) = cookies {
            line("Cookie", cookies);
        }
        if let Some(validator) = &self.if_match {
            line("If-Match", validator);
        }
        if let Some(span) = self.range {
            line("Range", &range_value(span));
            if let Some(validator) = &self.if_range {
                line("If-Range", validator);
            }
        }
        text.push_str("\r\n");
        if text.len() > REQUEST_BYTES_MAX {
            let bytes = text.len();
            return Err(usage(format!(
                "the request has {bytes} bytes, more than the {REQUEST_BYTES_MAX} allowed"
            ))
            .advise("shorten the URL or the headers"));
        }
        Ok(text.into_bytes())
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

impl fmt::Debug for Request {
    /// Range and field names; target and values may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("host", &self.host)
            .field("range", &self.range)
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}

/// Splits the argument of `-H`, `Name: value`, without judging the two parts further.
pub fn parse_header_argument(text: &str) -> Result<(String, String)> {
    // The text may be a secret whose name was forgotten, so it is never repeated.
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| usage("a header has no ':'").advise("write it as 'Name: value'"))?;
    check_name(name)?;
    Ok((name.to_owned(), trim_ows(value).to_owned()))
}

/// `token` of RFC 9110 section 5.6.2.
fn check_name(name: &str) -> Result<()> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_token) {
        return Ok(());
    }
    Err(usage("the name of a header is empty or has characters that names cannot have")
        .advise("write it as 'Name: value'"))
}

fn usage(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(url: &str) -> Request {
        Request::get(&Url::parse(url).unwrap())
    }

    fn text(request: &Request) -> String {
        String::from_utf8(request.encode().unwrap()).unwrap()
    }

    fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
        text.lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    #[test]
    fn a_ranged_request_byte_for_byte() {
        let request = get("http://me:secret@Example.com:8080/a%20b?c=d#e").range(Span::new(0, 10));
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text(&request),
            format!(
                "GET /a%20b?c=d HTTP/1.1\r\nHost: example.com:8080\r\n\
                 User-Agent: ringhaul/{version}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\
                 Range: bytes=0-9\r\n\r\n"
            )
        );
    }

    #[test]
    fn targets_are_in_origin_form_rfc_9112_section_3_2_1() {
        assert!(text(&get("http://h")).starts_with("GET / HTTP/1.1\r\nHost: h\r\n"));
        let request = get("https://[::1]:443/a b\u{e4}?q=\u{e4} x");
        assert!(text(&request).starts_with("GET /a%20b%C3%A4?q=%C3%A4%20x HTTP/1.1\r\n"));
        assert_eq!(values(&text(&request), "Host"), ["[::1]"]);
    }

    #[test]
    fn a_proxy_gets_the_absolute_form_and_its_own_credentials() {
        let url = Url::parse("http://me:pw@Example.com:8080/a?b#c").unwrap();
        let of_proxy = Credentials { user: b"Aladdin".into(), password: b"open sesame".into() };
        let request = Request::get(&url).through_proxy(&url, Some(&of_proxy)).unwrap();
        let text = text(&request);
        assert!(text.starts_with("GET http://example.com:8080/a?b HTTP/1.1\r\nHost: example"));
        let basic = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(values(&text, "Proxy-Authorization"), [basic]);
        assert!(values(&text, "Authorization").is_empty());
        assert!(!format!("{request:?}").contains("QWx"));
    }

    #[test]
    fn only_strong_validators_are_sent_rfc_9110_sections_13_1_1_and_13_1_5() {
        let tag = Validator::StrongEtag("\"x\"".to_owned());
        let date = Validator::LastModified("Sun, 06 Nov 1994 08:49:37 GMT".to_owned());
        let with = |v: &Validator| text(&get("http://h/").range(Span::new(0, 1)).if_match(v));
        assert_eq!(values(&with(&tag), "If-Match"), ["\"x\""]);
        let weak = Validator::WeakEtag("W/\"x\"".to_owned());
        assert!(values(&with(&date), "If-Match").is_empty());
        assert!(values(&with(&weak), "If-Match").is_empty());
        assert!(values(&with(&Validator::None), "If-Match").is_empty());
        let with = |v: &Validator| text(&get("http://h/").range(Span::new(0, 1)).if_range(v));
        assert_eq!(values(&with(&tag), "If-Range"), ["\"x\""]);
        assert_eq!(values(&with(&date), "If-Range"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
        assert!(values(&with(&weak), "If-Range").is_empty());
        assert!(values(&with(&Validator::None), "If-Range").is_empty());
        let whole = text(&get("http://h/").if_range(&tag));
        assert!(values(&whole, "If-Range").is_empty(), "no If-Range without Range");
    }

    #[test]
    fn the_users_fields_replace_defaults_and_add_up() {
        let request = get("http://h/")
            .header("user-AGENT", " me/1 \t")
            .and_then(|r| r.header("accept", "text/plain"))
            .and_then(|r| r.header("HOST", "other"))
            .and_then(|r| r.header("Cookie", "a=b"))
            .and_then(|r| r.header("Cookie", "c=\u{e4}"))
            .and_then(|r| r.header("X-Empty", ""))
            .unwrap();
        let text = text(&request);
        assert_eq!(values(&text, "User-Agent"), ["me/1"]);
        assert_eq!(values(&text, "Accept"), ["text/plain"]);
        assert_eq!(values(&text, "Host"), ["other"]);
        assert_eq!(values(&text, "Cookie"), ["a=b", "c=ä"]);
        assert_eq!(values(&text, "X-Empty"), [""]);
    }

    #[test]
    fn cookies_of_a_jar_join_those_of_the_user() {
        let jar = || "c=3; d=4".to_owned();
        assert_eq!(values(&text(&get("http://h/").cookies(jar())), "Cookie"), ["c=3; d=4"]);
        let request = get("http://h/").header("cookie", "a=1; b =2").unwrap();
        assert_eq!(request.cookie_names(), ["a", "b"]);
        assert_eq!(values(&text(&request.cookies(jar())), "Cookie"), ["a=1; b =2; c=3; d=4"]);
    }

    #[test]
    fn what_is_known_of_a_request_when_it_was_sent() {
        let request = get("http://h/").authorization("Digest x".to_owned(), 7);
        assert_eq!(values(&text(&request), "Authorization"), ["Digest x"]);
        let sent = Sent { is_conditional: false, login: 7, has_own_login: false };
        assert_eq!(request.sent(), sent);
        let own = request.header("Authorization", "mine").unwrap();
        assert_eq!(values(&text(&own), "Authorization"), ["mine"]);
        assert!(own.sent().has_own_login);
    }

    #[test]
    fn an_authorization_of_the_users_wins_over_the_url() {
        let url = Url::parse("http://me:pw@h/").unwrap();
        let request = Request::get(&url).basic_auth(&url.credentials().unwrap()).unwrap();
        assert_eq!(values(&text(&request), "Authorization"), ["Basic bWU6cHc="]);
        let request = request.header("authorization", "Bearer t").unwrap();
        assert_eq!(values(&text(&request), "Authorization"), ["Bearer t"]);
    }

    #[test]
    fn fields_of_ours_are_refused_with_the_reason() {
        for (name, why) in REFUSED {
            let error = get("http://h/").header(&name.to_lowercase(), "x").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{name}");
            assert!(error.to_string().contains(why), "{error}");
        }
        assert!(get("http://h/").header("Host", " ").is_err());
    }

    #[test]
    fn nothing_can_be_smuggled_in_rfc_9110_sections_5_5_and_5_6_2() {
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a\r\nb", "x"),
            ("\u{e4}", "x"),
            ("A(", "x"),
            ("A", "x\r\nRange: bytes=0-"),
            ("A", "x\ny"),
            ("A", "x\0"),
            ("A", "x\u{7f}"),
            ("Host", "h\r\nA: b"),
        ] {
            let error = get("http://h/").header(name, value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{name:?}: {value:?}");
        }
        assert!(get("http://h/").header("!#$%&'*+-.^_`|~0aZ", "a\tb").is_ok());
    }

    #[test]
    fn arguments_of_the_command_line() {
        let parsed = parse_header_argument("Authorization:  Bearer a:b ").unwrap();
        assert_eq!(parsed, ("Authorization".to_owned(), "Bearer a:b".to_owned()));
        assert_eq!(parse_header_argument("A:").unwrap(), ("A".to_owned(), String::new()));
        for text in ["", "secret", "secret x: y", ": secret", " A: secret"] {
            let error = parse_header_argument(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_request_is_bounded_and_keeps_its_secrets() {
        let request = get("http://h/").header("A", &"x".repeat(REQUEST_BYTES_MAX)).unwrap();
        assert_eq!(request.encode().unwrap_err().kind(), ErrorKind::Usage);
        let request = get("http://h/p?t=secret").header("Cookie", "secret").unwrap();
        assert!(!format!("{request:?}").contains("secret"));
    }
}
