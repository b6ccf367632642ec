//! Basic authentication (RFC 7617), and the name of the scheme a server asks for.
//!
//! Must not know where credentials come from or whom they may be sent to.

use super::head::{Head, quoted};
use crate::base::url::Credentials;
use crate::base::{Error, ErrorKind, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The value of an `Authorization` field for these credentials.
///
/// RFC 7617 section 2 forbids a colon in the user name, which would move the border to the
/// password, and control characters in both: [`ErrorKind::Usage`].
pub(super) fn basic(credentials: &Credentials) -> Result<String> {
    let refused = |why: &str| {
        Err(Error::new(ErrorKind::Usage, format!("Basic authentication cannot carry {why}"))
            .advise("use other credentials, or give the whole Authorization field with -H"))
    };
    if credentials.user.contains(&b':') {
        return refused("a user name with a colon");
    }
    let mut pair = credentials.user.clone();
    pair.push(b':');
    pair.extend_from_slice(&credentials.password);
    if pair.iter().any(u8::is_ascii_control) {
        return refused("control characters");
    }
    Ok(format!("Basic {}", STANDARD.encode(&pair)))
}

/// The authentication scheme a 401 asks for, such as `Basic`: the first word of the first
/// `WWW-Authenticate` field (RFC 9110 section 11.6.1). What is not visible ASCII is no scheme.
pub fn challenge(head: &Head) -> Option<String> {
    challenge_in(head, "WWW-Authenticate")
}

/// The same of another field: a proxy's is `Proxy-Authenticate` (RFC 9110 section 11.7.1).
pub(super) fn challenge_in(head: &Head, field: &str) -> Option<String> {
    let first = challenges(head, field).next()?;
    let is_word = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_graphic());
    is_word.then(|| quoted(first))
}

/// The first word of each of these fields.
pub(super) fn challenges<'h>(head: &'h Head, field: &str) -> impl Iterator<Item = &'h str> {
    head.all(field).filter_map(|value| value.split([' ', '\t', ',']).next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::tests::head;

    fn credentials(user: &str, password: &str) -> Credentials {
        Credentials { user: user.into(), password: password.into() }
    }

    #[test]
    fn examples_of_rfc_7617_section_2() {
        let value = basic(&credentials("Aladdin", "open sesame")).unwrap();
        assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let value = basic(&credentials("test", "123\u{a3}")).unwrap();
        assert_eq!(value, "Basic dGVzdDoxMjPCow==");
    }

    #[test]
    fn what_basic_cannot_carry_is_refused_without_showing_it() {
        for (user, password) in [("a:b", "hidden"), ("hid\nden", "x"), ("a", "hidden\0")] {
            let error = basic(&credentials(user, password)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(!error.to_string().contains("hid"), "{error}");
        }
        assert!(basic(&credentials("a", "b:c")).is_ok());
    }

    #[test]
    fn scheme_of_a_challenge() {
        let asked = |value: &str| challenge(&head(401, &[("WWW-Authenticate", value)]));
        assert_eq!(asked("Basic realm=\"x\"").as_deref(), Some("Basic"));
        assert_eq!(asked("Negotiate, Basic realm=\"x\"").as_deref(), Some("Negotiate"));
        assert_eq!(asked(""), None);
        // ISO-8859-1 has control characters above ASCII too.
        assert_eq!(asked("B\u{93}sic"), None);
        assert_eq!(challenge(&head(401, &[])), None);
    }
}
