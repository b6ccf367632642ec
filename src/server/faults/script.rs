//! The script of a server: declared rules that say which fault hits which request.
//!
//! Owns the vocabulary of faults and which rules apply when. What a fault does is decided in
//! `effects` and done in `deliver`; this file must not know either.

use crate::base::{Error, ErrorKind, Result};
use crate::server::stop::lock;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

/// One line of the script: what happens, when, and how often at most.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Which requests or connections it is for.
    pub when: When,
    /// What happens to them.
    pub what: Fault,
    /// How many times it happens; `None` is every time.
    pub times: Option<u32>,
}

impl Rule {
    /// A rule that applies every time.
    pub fn new(when: When, what: Fault) -> Self {
        Self { when, what, times: None }
    }

    /// A rule that applies the first time only.
    pub fn once(when: When, what: Fault) -> Self {
        Self { when, what, times: Some(1) }
    }
}

/// What a rule is for. Requests and connections are counted from 1 over the server's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Everything.
    All,
    /// The nth request.
    Request(u64),
    /// The nth request and all later ones.
    FromRequest(u64),
    /// Everything on the nth connection.
    Connection(u64),
    /// Everything on the nth connection and all later ones.
    FromConnection(u64),
    /// Requests whose path starts so.
    PathPrefix(String),
    /// Requests with the nth signature of a [`Fault::ExpiringRedirect`].
    Signature(usize),
    /// Requests for a range that starts at this offset or behind it.
    RangeStartFrom(u64),
    /// Everything that comes once the server has sent this number of bytes of bodies, to all
    /// clients together.
    FromBodyBytes(u64),
}

/// What can go wrong, or at least be different. Several may hit one request; of two that
/// contradict each other the first in the script counts.
///
/// Where a fault comes after some bytes of a body, a body with fewer bytes is sent whole and the
/// connection goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Answers with this status, these extra fields (`Retry-After`, say) and this body.
    Status {
        /// Status code, 200 to 599.
        code: u16,
        /// Extra fields, name and value.
        headers: Vec<(String, String)>,
        /// The body, sent with its true length.
        body: Vec<u8>,
    },
    /// Answers with a redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Absolute or relative.
        location: String,
    },
    /// Answers 302 to the same path and query below this root, `http://127.0.0.1:8080` say.
    RedirectToRoot(String),
    /// 401 with a challenge unless the request carries these credentials (RFC 7617).
    RequireBasicAuth {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// Something has to be shown first.
    Gate(Gate),
    /// These bytes instead of an answer, then the connection closes.
    Garbage(Vec<u8>),

    /// 200 with the whole file, although `Accept-Ranges: bytes` is promised.
    IgnoreRange,
    /// 200 with the whole file and no word about ranges.
    NoRangeSupport,
    /// The range is moved by `shift` bytes; `Content-Range` says so and the bytes fit it.
    WrongRange {
        /// Bytes, negative towards the start of the file.
        shift: i64,
    },
    /// `Content-Range` names this size of the file.
    WrongTotal(u64),
    /// The range is cut to this number of bytes, at least one, and labelled truthfully (RFC 9110
    /// 15.3.7 allows it).
    ShorterRange(u64),
    /// The file's validator, with its quotes; conditions are judged by it. With
    /// [`When::FromRequest`] this is a file that changed.
    ETag(String),
    /// No `ETag`; conditions are judged by that. With [`When::FromRequest`] this is a validator
    /// that goes.
    NoETag,
    /// The file's `Last-Modified`, as an HTTP date; conditions are judged by it.
    LastModified(String),
    /// No `Last-Modified`; conditions are judged by that.
    NoLastModified,
    /// `If-Match` and `If-Range` are not looked at.
    IgnoreConditions,
    /// Neither `ETag` nor `Last-Modified` is said; conditions are judged by them all the same.
    HideValidators,
    /// Another file in place of the one that is there, with the validators that belong to it. With
    /// [`When::FromRequest`] this is a file that changed, bytes and all.
    Replaced {
        /// Seed of its content.
        seed: u64,
        /// Its size.
        size_bytes: u64,
    },
    /// 416, although the range is there. Requests without a range are answered as usual.
    NotSatisfiable {
        /// The size that `Content-Range` names; `None` for no such field.
        total: Option<u64>,
    },
    /// 405 to HEAD.
    NoHead,
    /// These header fields besides, on answers about the file.
    Fields(Vec<(String, String)>),
    /// Every digest that [`Config::digests`](crate::server::Config::digests) has on this answer is
    /// wrong.
    WrongDigest,
    /// None of the digests that [`Config::digests`](crate::server::Config::digests) has.
    NoDigests,
    /// A redirect to `/signed` and the path, with a signature in the query that is a number from 1
    /// on. Each of these URLs serves what is at the path `requests` times and then answers 403;
    /// asked once more, the path itself leads to the next one.
    ExpiringRedirect {
        /// Requests that each URL is good for.
        requests: u32,
    },
    /// The byte at this offset of the file is wrong.
    FlipByte(u64),
    /// Every byte at these offsets of the file is wrong.
    FlipBytes(Range<u64>),

    /// Chunked body in odd sizes, with chunk extensions and a trailer (RFC 9112 7.1).
    Chunked,
    /// Chunked, until a chunk's size line is replaced by these bytes; the connection closes behind
    /// them.
    MangledChunk {
        /// Bytes of the body before it, at least: the next chunk's line is the one.
        after_bytes: u64,
        /// In place of the line, its CRLF included.
        line: Vec<u8>,
    },
    /// No length: the body ends with the connection.
    NoLength,
    /// This number of bytes behind the end of the body.
    LongBody(u64),
    /// Claims this `Content-Encoding`; the bytes stay what they are.
    ContentEncoding(String),
    /// The head has at least this number of bytes.
    HugeHead(usize),
    /// This number of 1xx heads comes before the final one.
    Interim(u32),

    /// A reset after this number of bytes of the body; a slow reader may see fewer.
    ResetAfter(u64),
    /// An orderly close (FIN) after `bytes` bytes of the body.
    CloseAfter {
        /// Bytes of the body before it.
        bytes: u64,
        /// Indicates whether TLS ends with close_notify; ignored without TLS.
        close_notify: bool,
    },
    /// Silence after this number of bytes of the body, until the client leaves or the server stops.
    StallAfter(u64),
    /// Silence instead of an answer, until the client leaves or the server stops.
    StallBeforeHead,
    /// The head comes byte by byte with this pause before each.
    SlowHead(Duration),
    /// A pause before the head.
    DelayHead(Duration),
    /// The body comes in pieces of `bytes`, at least one, with this pause before each piece.
    DripBody {
        /// Bytes that are sent together.
        bytes: u64,
        /// The pause.
        pause: Duration,
    },
    /// Chunked, and the trailer comes byte by byte with this pause before each.
    DripTrailer(Duration),
    /// Bytes per second of this answer, in place of the connection's own rate.
    Rate(u64),
    /// The connection closes behind this answer.
    CloseAfterReply {
        /// Indicates whether the answer says `Connection: close`.
        announce: bool,
    },

    /// An orderly close before a byte is read. Only for [`When::All`] and connections.
    CloseOnAccept,
    /// A reset before a byte is read. Only for [`When::All`] and connections.
    ResetOnAccept,
    /// Silence from the first byte on, no TLS handshake either. Only for [`When::All`] and
    /// connections.
    StallOnAccept,

    /// The whole server is gone for good: every connection is reset, also amid an answer, and
    /// later ones are refused. Only for [`When::All`] and [`When::FromBodyBytes`].
    ServerGone,
    /// The whole server falls silent for good, also amid an answer. Connections stay open, and
    /// later ones are accepted. Only for [`When::All`] and [`When::FromBodyBytes`].
    ServerSilent,
    /// The whole server is cut off for good, as a machine without power: silence also amid an
    /// answer, and nobody can connect, until time is up. Only for [`When::All`] and
    /// [`When::FromBodyBytes`].
    ServerUnreachable,
}

/// What a client has to show before it gets a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// The answer to a challenge, which comes with 401 (RFC 7616).
    Digest(DigestGate),
    /// This token; without it 401 (RFC 6750).
    Bearer(String),
    /// A cookie that a redirect to the same URL sets.
    Cookie,
}

/// Digest authentication. A count that a nonce has had before is answered with 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestGate {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// MD5 in the place of SHA-256.
    pub md5: bool,
    /// Requests that each nonce is good for; `None` is any number.
    pub nonce_requests: Option<u32>,
    /// Names the next nonce once the old one is used up (`Authentication-Info`), which is taken all
    /// the same; otherwise it is refused as stale.
    pub names_next: bool,
}

impl DigestGate {
    /// SHA-256, and one nonce for all.
    pub fn new(user: String, password: String) -> Self {
        Self { user, password, md5: false, nonce_requests: None, names_next: false }
    }
}

impl Fault {
    fn scope(&self) -> Scope {
        match self {
            Fault::CloseOnAccept | Fault::ResetOnAccept | Fault::StallOnAccept => Scope::Connection,
            Fault::ServerGone | Fault::ServerSilent | Fault::ServerUnreachable => Scope::Server,
            _ => Scope::Request,
        }
    }
}

/// What a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Request,
    Connection,
    Server,
}

impl Scope {
    /// Indicates whether a fault of this scope can be asked for with `when`.
    fn allows(self, when: &When) -> bool {
        match self {
            Scope::Request => true,
            Scope::Connection => matches!(
                when,
                When::All | When::Connection(_) | When::FromConnection(_) | When::FromBodyBytes(_)
            ),
            Scope::Server => matches!(when, When::All | When::FromBodyBytes(_)),
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Scope::Server => "use When::All or When::FromBodyBytes",
            Scope::Connection | Scope::Request => {
                "use When::All, When::Connection, When::FromConnection or When::FromBodyBytes"
            }
        }
    }
}

/// How a whole server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Outage {
    Gone,
    Silent,
    Unreachable,
}

/// What rules can ask about a request.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Facts<'a> {
    pub(in crate::server) connection: u64,
    pub(in crate::server) request: u64,
    pub(in crate::server) path: &'a str,
    pub(in crate::server) signature: Option<usize>,
    pub(in crate::server) range_start: Option<u64>,
    /// Bytes of bodies that the server has sent so far.
    pub(in crate::server) body_bytes: u64,
}

/// A fault that hits, and which rule of the script has it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::server) struct Chosen {
    /// Index in the script.
    pub(in crate::server) rule: usize,
    pub(in crate::server) fault: Fault,
}

/// The rules and how often each may still apply.
pub(in crate::server) struct Script {
    rules: Mutex<Vec<Rule>>,
    outages: Vec<Due>,
}

/// An outage that begins once the server has sent `from_bytes` bytes of bodies.
#[derive(Debug, Clone, Copy)]
struct Due {
    from_bytes: u64,
    outage: Outage,
    /// Index in the script.
    rule: usize,
}

impl Script {
    /// Refuses rules that could never apply.
    pub(in crate::server) fn new(rules: Vec<Rule>) -> Result<Self> {
        for (at, rule) in rules.iter().enumerate() {
            let scope = rule.what.scope();
            if !scope.allows(&rule.when) {
                let context =
                    format!("rule {at} of the server's script waits for what it cannot hit");
                return Err(Error::new(ErrorKind::Usage, context).advise(scope.advice()));
            }
        }
        let outages = rules.iter().enumerate().filter_map(|(at, rule)| due(at, rule)).collect();
        Ok(Self { rules: Mutex::new(rules), outages })
    }

    /// The fault that hits a connection before its first byte. `body_bytes` have been sent so far.
    pub(in crate::server) fn at_accept(&self, connection: u64, body_bytes: u64) -> Option<Chosen> {
        let facts = Facts {
            connection,
            request: 0,
            path: "",
            signature: None,
            range_start: None,
            body_bytes,
        };
        self.take(&facts, Scope::Connection).into_iter().next()
    }

    /// The faults that hit a request, in the order of the script.
    pub(in crate::server) fn for_request(&self, facts: &Facts<'_>) -> Vec<Chosen> {
        self.take(facts, Scope::Request)
    }

    /// The outage that has begun when `body_bytes` have been sent, and which rule has it.
    pub(in crate::server) fn outage(&self, body_bytes: u64) -> Option<(Outage, usize)> {
        let begun = self.outages.iter().filter(|due| body_bytes >= due.from_bytes);
        begun.min_by_key(|due| due.from_bytes).map(|due| (due.outage, due.rule))
    }

    /// Indicates whether any rule leads to signed URLs.
    pub(in crate::server) fn signs(&self) -> bool {
        let is_signing = |rule: &Rule| matches!(rule.what, Fault::ExpiringRedirect { .. });
        lock(&self.rules).iter().any(is_signing)
    }

    fn take(&self, facts: &Facts<'_>, scope: Scope) -> Vec<Chosen> {
        let mut taken = Vec::new();
        for (index, rule) in lock(&self.rules).iter_mut().enumerate() {
            let applies =
                rule.what.scope() == scope && rule.times != Some(0) && rule.when.matches(facts);
            if applies {
                rule.times = rule.times.map(|left| left - 1);
                taken.push(Chosen { rule: index, fault: rule.what.clone() });
            }
        }
        taken
    }
}

fn due(rule: usize, Rule { when, what, .. }: &Rule) -> Option<Due> {
    let outage = match what {
        Fault::ServerGone => Outage::Gone,
        Fault::ServerSilent => Outage::Silent,
        Fault::ServerUnreachable => Outage::Unreachable,
        _ => return None,
    };
    let from_bytes = if let When::FromBodyBytes(bytes) = when { *bytes } else { 0 };
    Some(Due { from_bytes, outage, rule })
}

impl When {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        match self {
            When::All => true,
            When::Request(n) => facts.request == *n,
            When::FromRequest(n) => facts.request >= *n,
            When::Connection(n) => facts.connection == *n,
            When::FromConnection(n) => facts.connection >= *n,
            When::Signature(n) => facts.signature == Some(*n),
            When::PathPrefix(prefix) => facts.path.starts_with(prefix.as_str()),
            When::RangeStartFrom(offset) => facts.range_start.is_some_and(|s| s >= *offset),
            When::FromBodyBytes(bytes) => facts.body_bytes >= *bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(script: &Script, connection: u64, request: u64, path: &str, start: u64) -> usize {
        let signature = usize::try_from(request).ok();
        let body_bytes = 10 * request;
        let range_start = Some(start);
        let facts = Facts { connection, request, path, signature, range_start, body_bytes };
        script.for_request(&facts).len()
    }

    #[test]
    fn each_condition_meets_its_requests_only() {
        for (when, expected) in [
            (When::All, [1, 1, 1]),
            (When::Request(2), [0, 1, 0]),
            (When::FromRequest(2), [0, 1, 1]),
            (When::Connection(1), [1, 1, 0]),
            (When::FromConnection(2), [0, 0, 1]),
            (When::PathPrefix("/a".into()), [1, 0, 1]),
            (When::Signature(2), [0, 1, 0]),
            (When::RangeStartFrom(100), [0, 1, 1]),
            (When::FromBodyBytes(20), [0, 1, 1]),
        ] {
            let script = Script::new(vec![Rule::new(when.clone(), Fault::Chunked)]).unwrap();
            let met = [
                hits(&script, 1, 1, "/a", 99),
                hits(&script, 1, 2, "/b", 100),
                hits(&script, 2, 3, "/ab", 101),
            ];
            assert_eq!(met, expected, "{when:?}");
        }
    }

    #[test]
    fn a_rule_wears_out() {
        let rules = vec![
            Rule { when: When::All, what: Fault::Chunked, times: Some(2) },
            Rule::once(When::All, Fault::CloseOnAccept),
        ];
        let script = Script::new(rules).unwrap();
        assert_eq!([1, 2, 3].map(|n| hits(&script, 1, n, "/", 0)), [1, 1, 0]);
        let closed = Chosen { rule: 1, fault: Fault::CloseOnAccept };
        assert_eq!(script.at_accept(1, 0), Some(closed));
        assert_eq!(script.at_accept(2, 0), None);
    }

    #[test]
    fn a_rule_that_cannot_apply_is_refused() {
        for (when, what) in [
            (When::Request(1), Fault::ResetOnAccept),
            (When::Connection(1), Fault::ServerGone),
            (When::PathPrefix("/".into()), Fault::ServerSilent),
        ] {
            let error = Script::new(vec![Rule::new(when, what)]).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Usage);
        }
    }

    #[test]
    fn the_outage_that_was_first_stays() {
        let rules = vec![
            Rule::new(When::All, Fault::Chunked),
            Rule::new(When::FromBodyBytes(200), Fault::ServerGone),
            Rule::new(When::FromBodyBytes(100), Fault::ServerSilent),
        ];
        let script = Script::new(rules).unwrap();
        assert_eq!(hits(&script, 1, 100, "/", 0), 1, "outages hit no request");
        assert_eq!(script.outage(99), None);
        assert_eq!(script.outage(100), Some((Outage::Silent, 2)));
        assert_eq!(script.outage(300), Some((Outage::Silent, 2)));
        let script = Script::new(vec![Rule::new(When::All, Fault::ServerGone)]).unwrap();
        assert_eq!(script.outage(0), Some((Outage::Gone, 0)));
    }
}
