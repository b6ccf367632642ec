//! The error of an answer whose status is no data.
//!
//! Must not know which statuses are data for whom: `discovery` and `combine` decide.

use super::auth::challenge;
use super::head::{Head, quoted};
use crate::base::{Error, ErrorKind};

/// The error of an answer whose status is no data: status, reason phrase, and for 401 the scheme
/// asked for.
pub fn status_error(head: &Head) -> Error {
    let code = head.status();
    let mut text = format!("the server answered {code}");
    if !head.reason().is_empty() {
        text = format!("{text} {}", quoted(head.reason()));
    }
    let scheme = if code == 401 { challenge(head) } else { None };
    if let Some(scheme) = scheme {
        text = format!("{text}, asking for {scheme} authentication");
    }
    Error::new(ErrorKind::Status(code), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::tests::head;
    use crate::http::{HeadParse, parse};

    #[test]
    fn status_errors_name_status_reason_and_scheme() {
        let bytes = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\"\r\n\r\n";
        let HeadParse::Complete { head: unauthorized, .. } = parse(bytes).unwrap() else {
            panic!("partial")
        };
        let text = status_error(&unauthorized).to_string();
        assert!(text.starts_with(
            "the server answered 401 Unauthorized, asking for Digest authentication (server side)"
        ));
        assert!(status_error(&head(404, &[])).to_string().starts_with("the server answered 404 ("));
    }
}
