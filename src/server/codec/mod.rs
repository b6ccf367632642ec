//! The words of HTTP as the server reads and writes them: request heads, ranges, dates, base64,
//! hexadecimal digits.
//!
//! Pure, and no kin of the client's codec. Must not know files, faults or sockets.

pub(super) mod base64;
pub(super) mod date;
pub(super) mod hex;
pub(super) mod range;
pub(super) mod request;
