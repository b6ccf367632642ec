//! Redirects: where an answer sends us, and what may not travel along (RFC 9110 section 15.4).
//!
//! Must not know how many redirects there were: that limit, and dropping credentials, are the
//! caller's.

use super::head::Head;
use crate::base::url::Scheme;
use crate::base::{Error, ErrorKind, Result, Url};

/// What the user allows redirects to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Go from https to http.
    pub allow_downgrade: bool,
}

/// The next URL to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// Where to, without fragment. Its user name and password are those of `Location`, or, within
    /// one origin, those of the URL before.
    pub url: Url,
    /// Whether scheme, host and port stay the same; otherwise credentials and [`sensitive`]
    /// fields stay behind.
    pub same_origin: bool,
}

/// Where the answer to `current` redirects to; `None` if it is no redirect.
///
/// Followed are 301, 302, 303, 307 and 308, which for GET all mean the same. A missing, repeated or
/// unusable `Location`, and https to http unless allowed, are [`ErrorKind::Redirect`].
///
/// A user name and password in `Location` (RFC 9110 section 10.2.2) are those of the server that
/// redirects, which may let its clients in elsewhere: they are used there. Those of our user stay
/// within the origin.
pub fn follow(current: &Url, head: &Head, rules: &Rules) -> Result<Option<Next>> {
    if !matches!(head.status(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let refused = |why: &str| Error::new(ErrorKind::Redirect, format!("{current} {why}"));
    let location = head.single("Location").map_err(|_| refused("redirects to several places"))?;
    let location = location
        .filter(|text| !text.is_empty())
        .ok_or_else(|| refused("redirects without saying where to"))?;
    let url = current.join(location).and_then(|url| next(current, &url)).map_err(|_| {
        refused("redirects to what is no usable URL")
            .advise("ringhaul follows to http:// and https:// only; check the URL with -v")
    })?;
    if current.scheme() == Scheme::Https && url.scheme() == Scheme::Http && !rules.allow_downgrade {
        return Err(refused("redirects from https to plain http")
            .advise("if an unprotected transfer is acceptable, allow it with --allow-downgrade"));
    }
    let same_origin = url.origin() == current.origin();
    Ok(Some(Next { url, same_origin }))
}

/// Words in the names of fields that give their receiver rights. They cover what the APIs of common
/// services want: `Authorization`, `Cookie`, `X-Api-Key`, GitLab's `Private-Token` and `Job-Token`,
/// OpenStack's `X-Auth-Token`, Amazon's `X-Amz-Security-Token` and the keys that stored objects are
/// encrypted with, Vault's `X-Vault-Token`, Azure's `Ocp-Apim-Subscription-Key`, Cloudflare's
/// `CF-Access-Client-Secret`, `X-Goog-Iap-Jwt-Assertion` or `X-CSRF-Token`. A list of whole names
/// would always lack one.
const WORDS_OF_RIGHTS: [&str; 10] = [
    "auth",
    "cookie",
    "credential",
    "jwt",
    "key",
    "passw",
    "secret",
    "session",
    "signature",
    "token",
];

/// Whole names without such a word: `Host` names what is meant on the origin it was given for, and
/// Artifactory calls its API key `X-JFrog-Art-Api`.
const NAMES_OF_RIGHTS: [&str; 2] = ["Host", "X-JFrog-Art-Api"];

/// Whether a request field stays with the origin it was given for, because it gives its receiver
/// rights or is meant for nobody else. A harmless field that is taken for one is missed by nobody:
/// another origin does not know it.
pub fn sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES_OF_RIGHTS.iter().any(|known| known.eq_ignore_ascii_case(&name))
        || WORDS_OF_RIGHTS.iter().any(|word| name.contains(word))
}

/// Whether a refusal may come from the age of the URL alone, so that one which was found through a
/// redirect is worth finding again.
///
/// Signed URLs of object stores and CDNs answer 401, 403 or 410 once their time is over. 404 is not
/// among them: it speaks of the file, and finding the URL again would only hide that it is gone.
pub fn may_have_expired(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Status(401 | 403 | 410))
}

/// The URL without its fragment; within one origin with the credentials of the one before, unless
/// it has its own.
fn next(current: &Url, url: &Url) -> Result<Url> {
    let bare = bare(url)?;
    let own = url.credentials();
    let kept = if bare.origin() == current.origin() { current.credentials() } else { None };
    Ok(match own.or(kept) {
        Some(credentials) => bare.with_credentials(&credentials),
        None => bare,
    })
}

/// The URL rebuilt from what goes on the wire, so that nothing else can be left in it.
pub(super) fn bare(url: &Url) -> Result<Url> {
    Url::parse(&format!("{}{}", url.origin(), url.request_target()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::tests::head;

    fn from(current: &str, location: &str) -> Result<Option<Next>> {
        let head = head(302, &[("Location", location)]);
        follow(&Url::parse(current).unwrap(), &head, &Rules::default())
    }

    #[test]
    fn locations_resolve_rfc_9110_section_10_2_2() {
        for (current, location, target, same_origin) in [
            ("http://h/a/b?q", "c", "http://h/a/c", true),
            ("http://h/a/b?q", "/c?x=1", "http://h/c?x=1", true),
            ("http://h/a", "http://h:80/c", "http://h/c", true),
            ("http://h/a", "http://H/c", "http://h/c", true),
            ("http://h/a", "//o/c", "http://o/c", false),
            ("http://h/a", "http://h:81/c", "http://h:81/c", false),
            ("http://h/a", "https://h/c", "https://h/c", false),
            ("http://h/a", "http://[::1]:8080/c", "http://[::1]:8080/c", false),
            ("http://h/a", "/c#fragment", "http://h/c", true),
            ("http://h/a", "/ä b", "http://h/%C3%A4%20b", true),
        ] {
            let next = from(current, location).unwrap().unwrap();
            assert_eq!(next.url, Url::parse(target).unwrap(), "{location}");
            assert_eq!(next.same_origin, same_origin, "{location}");
        }
    }

    #[test]
    fn only_redirects_redirect() {
        let url = Url::parse("http://h/").unwrap();
        for status in [200, 201, 206, 300, 304, 305, 306, 404] {
            let head = head(status, &[("Location", "/x")]);
            assert_eq!(follow(&url, &head, &Rules::default()).unwrap(), None, "{status}");
        }
        for status in [301, 302, 303, 307, 308] {
            let head = head(status, &[("Location", "/x")]);
            assert!(follow(&url, &head, &Rules::default()).unwrap().is_some(), "{status}");
        }
    }

    #[test]
    fn credentials_of_a_location_are_used_and_those_of_the_user_stay_in_the_origin() {
        for (location, user) in [
            ("http://eve:pw@h/x", Some("eve")),
            ("//eve:pw@o/x", Some("eve")),
            ("http:\\\\eve:p%40w@o/x", Some("eve")),
            ("/x", Some("me")),
            ("http://h/x", Some("me")),
            ("http://h:80/x", Some("me")),
            ("http://o/x", None),
            ("//h:81/x", None),
            ("https://h/x", None),
        ] {
            let next = from("http://me:secret@h/a", location).unwrap().unwrap();
            let found = next.url.credentials().map(|found| found.user);
            assert_eq!(found.as_deref(), user.map(str::as_bytes), "{location}");
        }
        let next = from("http://m%3Ae:s%2Fc@h/a", "/b#x").unwrap().unwrap();
        let found = next.url.credentials().unwrap();
        assert_eq!((&found.user[..], &found.password[..]), (&b"m:e"[..], &b"s/c"[..]));
        assert_eq!(from("http://h/a", "/b").unwrap().unwrap().url.credentials(), None);
    }

    #[test]
    fn unusable_locations_are_redirect_errors_without_secrets() {
        let url = Url::parse("https://me:secret@h/a?token=secret").unwrap();
        let cases: [&[(&str, &str)]; 7] = [
            &[],
            &[("Location", "")],
            &[("Location", "/a"), ("Location", "/b")],
            &[("Location", "ftp://secret@h/x")],
            &[("Location", "javascript:secret")],
            &[("Location", "https://h:99999/secret")],
            &[("Location", "http://h/?secret")],
        ];
        for fields in cases {
            let error = follow(&url, &head(301, fields), &Rules::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Redirect, "{fields:?}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn downgrade_needs_permission() {
        let url = Url::parse("https://h/a").unwrap();
        let head = head(301, &[("Location", "http://h/a")]);
        let error = follow(&url, &head, &Rules::default()).unwrap_err();
        assert!(error.to_string().contains("--allow-downgrade"), "{error}");
        let next = follow(&url, &head, &Rules { allow_downgrade: true }).unwrap().unwrap();
        assert!(!next.same_origin);
    }

    #[test]
    fn fields_that_stay_with_their_origin() {
        for name in [
            "Host",
            "authorization",
            "Proxy-Authorization",
            "COOKIE",
            "Cookie2",
            "X-Api-Key",
            "Api-Key",
            "X-ApiKey",
            "Private-Token",
            "Job-Token",
            "Deploy-Token",
            "X-Auth-Token",
            "X-Auth-Key",
            "X-Access-Token",
            "access_token",
            "X-Amz-Security-Token",
            "x-amz-server-side-encryption-customer-key",
            "X-Goog-Api-Key",
            "X-Goog-Iap-Jwt-Assertion",
            "X-Vault-Token",
            "X-GitHub-Token",
            "X-CSRF-Token",
            "X-CSRFToken",
            "X-JFrog-Art-Api",
            "Ocp-Apim-Subscription-Key",
            "CF-Access-Client-Secret",
            "X-Session-Id",
            "X-Password",
            "Signature",
        ] {
            assert!(sensitive(name), "{name}");
        }
        for name in [
            "User-Agent",
            "Accept",
            "Accept-Language",
            "Cache-Control",
            "Referer",
            "Origin",
            "Via",
            "X-Requested-With",
            "X-Forwarded-For",
            "If-None-Match",
        ] {
            assert!(!sensitive(name), "{name}");
        }
    }

    #[test]
    fn only_refusals_that_age_brings_point_to_an_expired_url() {
        for (status, expired) in [
            (401, true),
            (403, true),
            (410, true),
            (400, false),
            (404, false),
            (407, false),
            (503, false),
        ] {
            assert_eq!(may_have_expired(ErrorKind::Status(status)), expired, "{status}");
        }
        assert!(!may_have_expired(ErrorKind::Changed) && !may_have_expired(ErrorKind::Connect));
    }
}
