//! The error of an answer whose status is no data.
//!
//! Must not know which statuses are data for whom: `discovery` and `combine` decide.

use super::auth::{challenges, demand};
use super::head::{Head, quoted};
use crate::base::{Error, ErrorKind};

/// The error of an answer whose status is no data: status, reason phrase, and for 401 and 407 what
/// is asked for. A 407 is a proxy's, whether or not it was asked (RFC 9110 section 15.5.8).
pub fn status_error(head: &Head) -> Error {
    let code = head.status();
    if code == 407 {
        return wants_credentials(head, "a proxy on the way");
    }
    let mut text = format!("the server answered {code}");
    if !head.reason().is_empty() {
        text = format!("{text} {}", quoted(head.reason()));
    }
    match demand(head).filter(|_| code == 401) {
        None => Error::new(ErrorKind::Status(code), text),
        Some((what, advice)) => {
            Error::new(ErrorKind::Status(code), format!("{text}, asking for {what}")).advise(advice)
        }
    }
}

/// The error of the 407 of a proxy, which is called `who`.
pub(super) fn wants_credentials(head: &Head, who: &str) -> Error {
    let asked = challenges(head, "Proxy-Authenticate");
    let takes_basic = asked.iter().any(|challenge| challenge.is("Basic"));
    let scheme = asked.first().filter(|_| !takes_basic).map(|asked| quoted(&asked.scheme));
    let text = format!(
        "{who} asks for {}credentials (407)",
        match &scheme {
            Some(scheme) => format!("{scheme} "),
            None => String::new(),
        }
    );
    let advice = match scheme {
        Some(_) => "ringhaul gives Basic credentials only; ask the proxy's operator for these",
        None => "give them with --proxy-user USER:PASSWORD, or check those that were given",
    };
    Error::new(ErrorKind::ProxyRefused, text).advise(advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::tests::head;
    use crate::http::{HeadParse, parse};

    #[test]
    fn a_407_is_the_proxys_and_names_what_can_be_done() {
        for (asked, words) in [
            (&[][..], "a proxy on the way asks for credentials (407) (network); give them with"),
            (&["Basic realm=\"x\""], "asks for credentials (407) (network); give them with"),
            (&["Negotiate", "basic"], "asks for credentials (407) (network); give them with"),
            (&["Digest realm=\"x\""], "asks for Digest credentials (407) (network); ringhaul"),
        ] {
            let fields: Vec<_> = asked.iter().map(|value| ("Proxy-Authenticate", *value)).collect();
            let error = status_error(&head(407, &fields));
            assert_eq!(error.kind(), ErrorKind::ProxyRefused);
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn status_errors_name_status_reason_and_scheme() {
        let bytes = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\"\r\n\r\n";
        let HeadParse::Complete { head: unauthorized, .. } = parse(bytes).unwrap() else {
            panic!("partial")
        };
        let text = status_error(&unauthorized).to_string();
        assert!(text.starts_with(
            "the server answered 401 Unauthorized, asking for Digest authentication for 'x' (server"
        ));
        assert!(status_error(&head(404, &[])).to_string().starts_with("the server answered 404 ("));
    }
}
