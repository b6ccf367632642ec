//! Rank 1: HTTP/1.1 range requests without I/O (RFC 9110 semantics, RFC 9112 syntax), GET only.
//!
//! Owns what is sent, what an answer means, and whether its bytes may count. Must not know sockets,
//! TLS, files, the plan or the clock: bytes go in, decisions come out, and a caller that feeds the
//! same bytes cut elsewhere gets the same decisions.
//!
//! The contract, for one connection:
//!
//! 1. Build a [`Request`], send what [`Request::encode`] gives, start an [`Exchange`].
//! 2. While [`Exchange::want`] says [`Want::Head`], receive anything and feed it to
//!    [`Exchange::on_head`]. It says how many of the bytes just fed lie behind the head.
//! 3. Judge the head before one body byte counts: [`follow`] for redirects, [`discover`] for the
//!    first answer, [`check_partial`] for every later one, which is held against what is [`Known`]
//!    of the file and may have to be asked for again ([`Part::Unproved`]). Then promise the
//!    exchange the length that was found with [`Exchange::expect_body`].
//!    What digests the head offers, [`whole_file_digests`] and [`content_digests`] say; which
//!    other servers have the file, [`links`] does; [`Cookies`] hear what it sets.
//! 4. Bring the body in as `want` says: [`Want::Direct`] bytes straight into place and counted with
//!    [`Exchange::on_direct`], [`Want::Framed`] bytes through [`Exchange::on_framed`]. The bytes
//!    behind the head come first.
//! 5. A FIN goes to [`Exchange::on_eof`]. When [`Exchange::is_complete`],
//!    [`Exchange::reusable`] says whether the connection serves another request; bytes left over
//!    are the start of the next answer, or [`Exchange::on_excess`] if none was asked for.
//!
//! After any error the connection is of no further use. No decoder allocates a size a peer chose;
//! every bound stands in `base::limits`.

mod auth;
mod body;
mod combine;
mod cookies;
mod date;
mod digest_fields;
mod discovery;
mod disposition;
mod exchange;
mod fingerprint;
mod head;
mod link;
pub mod proxy;
mod push_back;
mod range;
mod redirect;
mod request;
mod status;
mod validator;

pub use auth::Digest;
pub use body::{ChunkedDecoder, Framing, Step};
pub use combine::{Asked, Known, Part, check_partial};
pub use cookies::{Cookie, Cookies};
pub use date::http_date;
pub use digest_fields::{
    Offered, Offers, content_digests, contradiction, want_digests, whole_file_digests,
};
pub use discovery::{Discovery, discover};
pub use disposition::proposed_name;
pub use exchange::{Exchange, Want};
pub use head::{Head, HeadParse, parse};
pub use link::{Link, Links, links};
pub use push_back::retry_after;
pub use range::{ByteRange, ByteRanges, ContentRange};
pub use redirect::{Next, Rules, follow, may_have_expired, sensitive};
pub use request::{Request, Sent, parse_header_argument};
pub use status::status_error;
pub use validator::Validator;
