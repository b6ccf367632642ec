//! Basic authentication (RFC 7617), and what a server asks for; `digest` is Digest authentication.
//!
//! Must not know where credentials come from or whom they may be sent to.

mod challenge;
mod digest;

pub use digest::Digest;

use super::head::{Head, quoted};
use crate::base::url::Credentials;
use crate::base::{Error, ErrorKind, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
pub(super) use challenge::challenges;

/// Schemes that an error names: servers offer two or three.
const SCHEMES_SHOWN_MAX: usize = 4;

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

/// What a 401 asks for, in words, such as `Basic authentication for 'files'`; and what to do about
/// it. `None` where it names no scheme.
pub(super) fn demand(head: &Head) -> Option<(String, &'static str)> {
    let asked = challenges(head, "WWW-Authenticate");
    let mut schemes: Vec<String> = Vec::new();
    for challenge in &asked {
        let scheme = quoted(&challenge.scheme);
        if !schemes.contains(&scheme) && schemes.len() < SCHEMES_SHOWN_MAX {
            schemes.push(scheme);
        }
    }
    let realm = asked.iter().find_map(|challenge| challenge.get("realm"));
    let realm = realm.map_or_else(String::new, |realm| format!(" for '{}'", quoted(realm)));
    let is_one = |scheme: &str| asked.iter().any(|challenge| challenge.is(scheme));
    let advice = match () {
        () if is_one("Basic") || is_one("Digest") => {
            "give name and password with -u NAME, which asks for the password, or with --netrc"
        }
        () if is_one("Bearer") => "give a token with --bearer-file FILE",
        () => "ringhaul knows Basic, Digest and Bearer; give what else is needed with -H @FILE",
    };
    let words = format!("{} authentication{realm}", schemes.join(" or "));
    (!schemes.is_empty()).then_some((words, advice))
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
    fn what_a_server_asks_for() {
        let asked = |value: &str| demand(&head(401, &[("WWW-Authenticate", value)]));
        let (words, advice) = asked("Basic realm=\"x\", Digest realm=\"y\", basic").unwrap();
        assert_eq!(words, "Basic or Digest or basic authentication for 'x'");
        assert!(advice.contains("-u NAME") && advice.contains("--netrc"), "{advice}");
        let (words, advice) = asked("Bearer").unwrap();
        assert!(words == "Bearer authentication" && advice.contains("--bearer-file"), "{advice}");
        assert!(asked("Negotiate").unwrap().1.contains("-H @FILE"));
        assert_eq!(asked(""), None);
        // ISO-8859-1 has control characters above ASCII too.
        assert_eq!(asked("\u{93}Basic"), None);
        assert_eq!(demand(&head(401, &[])), None);
        let long = format!("{} realm=\"{}\"", "x".repeat(1000), "y".repeat(1000));
        assert!(asked(&long).unwrap().0.len() < 200);
    }
}
