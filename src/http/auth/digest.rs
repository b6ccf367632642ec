//! Digest authentication (RFC 7616) with SHA-256 or MD5 and `qop=auth`, or as RFC 2069 had it where
//! a server names no `qop`.
//!
//! Owns the answer to a challenge and the count of requests per nonce, so that requests on several
//! connections share one nonce. Must not know connections; randomness is an argument.

use super::challenge::{Challenge, challenges, information};
use crate::base::hex;
use crate::base::limits::CHALLENGE_VALUE_BYTES_MAX;
use crate::base::url::Credentials;
use crate::base::{Error, ErrorKind, Result};
use crate::http::head::Head;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A challenge that can be answered, and how many answers it has had.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As the server has named it; `None` is MD5.
    algorithm: Option<String>,
    hash: Hash,
    /// Each session key has a nonce of both sides in it.
    is_session: bool,
    /// The server takes `qop=auth`.
    has_qop: bool,
    /// The user's name is not to be sent in the clear.
    hides_user: bool,
    is_stale: bool,
    /// Requests that carry the nonce.
    count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Md5,
    Sha256,
}

impl Digest {
    /// The best challenge of a 401 that can be answered; `None` if there is none.
    pub fn of(head: &Head) -> Option<Self> {
        if head.status() != 401 {
            return None;
        }
        let usable = challenges(head, "WWW-Authenticate")
            .into_iter()
            .filter_map(|asked| Self::usable(&asked));
        usable.max_by_key(|digest| digest.hash)
    }

    fn usable(asked: &Challenge) -> Option<Self> {
        let get = |name: &str| asked.get(name).map(str::to_owned);
        let (realm, nonce, opaque) = (get("realm")?, get("nonce")?, get("opaque"));
        let values = [Some(&realm), Some(&nonce), opaque.as_ref()];
        let is_long = |value: &&String| value.len() > CHALLENGE_VALUE_BYTES_MAX;
        if !asked.is("Digest") || values.into_iter().flatten().any(|value| is_long(&value)) {
            return None;
        }
        let (hash, is_session) = match asked.get("algorithm").unwrap_or("MD5") {
            name if name.eq_ignore_ascii_case("MD5") => (Hash::Md5, false),
            name if name.eq_ignore_ascii_case("MD5-sess") => (Hash::Md5, true),
            name if name.eq_ignore_ascii_case("SHA-256") => (Hash::Sha256, false),
            name if name.eq_ignore_ascii_case("SHA-256-sess") => (Hash::Sha256, true),
            _ => return None,
        };
        let is_set = |name: &str| asked.get(name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let has_qop = match asked.get("qop") {
            None => false,
            Some(qop) if qop.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")) => true,
            // Only with a digest of the body, which comes too late for a range.
            Some(_) => return None,
        };
        Some(Self {
            realm,
            nonce,
            opaque,
            algorithm: get("algorithm"),
            hash,
            is_session,
            has_qop,
            hides_user: is_set("userhash"),
            is_stale: is_set("stale"),
            count: 0,
        })
    }

    /// Whether the server says that only the nonce was too old.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Takes the nonce that an answer names for the requests to come; `true` if it is another one.
    pub fn renew(&mut self, head: &Head) -> bool {
        let next = information(head, "nextnonce");
        let usable = next.filter(|nonce| nonce.len() <= CHALLENGE_VALUE_BYTES_MAX);
        match usable.filter(|nonce| *nonce != self.nonce) {
            Some(nonce) => (self.nonce, self.count) = (nonce, 0),
            None => return false,
        }
        true
    }

    /// The value of an `Authorization` field for the next GET of `target`. `random` is a value that
    /// nobody can guess.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a user name with a colon, which would move the border to the
    /// password, and for control characters.
    pub fn answer(
        &mut self,
        credentials: &Credentials,
        target: &str,
        random: u128,
    ) -> Result<String> {
        let user = check(&credentials.user)?;
        self.count = self.count.wrapping_add(1);
        let (count, random) = (format!("{:08x}", self.count), format!("{random:032x}"));
        let mut key = self.key(credentials);
        if self.is_session {
            key = self.hash.of(&[key.as_bytes(), self.nonce.as_bytes(), random.as_bytes()]);
        }
        let request = self.hash.of(&[b"GET", target.as_bytes()]);
        let (nonce, request) = (self.nonce.as_bytes(), request.as_bytes());
        let response = if self.has_qop {
            let (count, random) = (count.as_bytes(), random.as_bytes());
            self.hash.of(&[key.as_bytes(), nonce, count, random, b"auth", request])
        } else {
            self.hash.of(&[key.as_bytes(), nonce, request])
        };
        let name = if self.hides_user {
            self.hash.of(&[&credentials.user, self.realm.as_bytes()])
        } else {
            user.to_owned()
        };
        let mut value = format!("Digest username={}", quote(&name));
        let mut add = |name: &str, text: &str| value.extend([", ", name, "=", text]);
        add("realm", &quote(&self.realm));
        add("nonce", &quote(&self.nonce));
        add("uri", &quote(target));
        if let Some(algorithm) = &self.algorithm {
            add("algorithm", algorithm);
        }
        if self.has_qop {
            add("nc", &count);
            add("qop", "auth");
        }
        if self.has_qop || self.is_session {
            add("cnonce", &quote(&random));
        }
        add("response", &quote(&response));
        if let Some(opaque) = &self.opaque {
            add("opaque", &quote(opaque));
        }
        if self.hides_user {
            add("userhash", "true");
        }
        Ok(value)
    }

    fn key(&self, credentials: &Credentials) -> String {
        self.hash.of(&[&credentials.user, self.realm.as_bytes(), &credentials.password])
    }
}

impl fmt::Debug for Digest {
    /// Neither realm nor nonce, which belong to a session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({:?}, {} requests)", self.hash, self.count)
    }
}

impl Hash {
    /// Hexadecimal hash of the parts with colons between them.
    fn of(self, parts: &[&[u8]]) -> String {
        let text = parts.join(&b':');
        match self {
            Hash::Md5 => hex::encode(&Md5::digest(&text)),
            Hash::Sha256 => hex::encode(&Sha256::digest(&text)),
        }
    }
}

/// The user's name as text.
fn check(user: &[u8]) -> Result<&str> {
    let refused = |why: &str| {
        Error::new(ErrorKind::Usage, format!("Digest authentication cannot carry {why}"))
            .advise("use other credentials")
    };
    let text = std::str::from_utf8(user).map_err(|_| refused("a user name that is no UTF-8"))?;
    match text {
        _ if text.contains(':') => Err(refused("a user name with a colon")),
        _ if text.contains(char::is_control) => Err(refused("control characters")),
        _ => Ok(text),
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::tests::head;

    fn asked(value: &str) -> Option<Digest> {
        Digest::of(&head(401, &[("WWW-Authenticate", value)]))
    }

    fn credentials(user: &str, password: &str) -> Credentials {
        Credentials { user: user.into(), password: password.into() }
    }

    fn parameter(value: &str, name: &str) -> String {
        let fields = [("WWW-Authenticate", value)];
        let found = challenges(&head(401, &fields), "WWW-Authenticate");
        found[0].get(name).unwrap_or_default().to_owned()
    }

    /// The examples' `cnonce` is text of another kind than ours: the response by the same rule.
    #[test]
    fn examples_of_rfc_7616_section_3_9_1() {
        let (realm, nonce) =
            ("http-auth@example.org", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v");
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (hash, response) in [
            (Hash::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Hash::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let key = hash.of(&[b"Mufasa", realm.as_bytes(), b"Circle of Life"]);
            let request = hash.of(&[b"GET", b"/dir/index.html"]);
            let parts = [&key, nonce, "00000001", cnonce, "auth", &request];
            let parts = parts.map(str::as_bytes);
            assert_eq!(hash.of(&parts), response);
        }
    }

    #[test]
    fn an_answer_has_what_the_server_needs() {
        let mut digest = asked(
            "Digest realm=\"a \\\"b\\\"\", nonce=\"n\", qop=\"auth-int, auth\", opaque=\"o\", \
             algorithm=SHA-256",
        )
        .unwrap();
        let user = credentials("me", "pw");
        let first = digest.answer(&user, "/x?y", 7).unwrap();
        assert!(first.starts_with("Digest username=\"me\", realm=\"a \\\"b\\\"\", nonce=\"n\""));
        let get = |name: &str| parameter(&first, name);
        assert_eq!(
            (get("nc"), get("qop"), get("uri")),
            ("00000001".into(), "auth".into(), "/x?y".into())
        );
        assert_eq!((get("opaque"), get("algorithm")), ("o".into(), "SHA-256".into()));
        let key = Hash::Sha256.of(&[b"me", b"a \"b\"", b"pw"]);
        let request = Hash::Sha256.of(&[b"GET", b"/x?y"]);
        let random = format!("{:032x}", 7);
        let parts = [&key, "n", "00000001", &random, "auth", &request].map(str::as_bytes);
        assert_eq!(get("response"), Hash::Sha256.of(&parts));
        assert_eq!(parameter(&digest.answer(&user, "/", 8).unwrap(), "nc"), "00000002");
        assert!(!digest.is_stale());
        let info = head(200, &[("Authentication-Info", "nextnonce=\"m\"")]);
        assert!(digest.renew(&info) && !digest.renew(&info));
        let renewed = digest.answer(&user, "/", 9).unwrap();
        assert_eq!(
            (parameter(&renewed, "nonce"), parameter(&renewed, "nc")),
            ("m".into(), "00000001".into())
        );
    }

    #[test]
    fn other_forms_of_challenges() {
        let user = credentials("me", "pw");
        let mut old = asked("Digest realm=\"r\", nonce=\"n\"").unwrap();
        let value = old.answer(&user, "/", 1).unwrap();
        assert!(
            !value.contains("qop") && !value.contains("cnonce") && !value.contains("algorithm")
        );
        let key = Hash::Md5.of(&[b"me", b"r", b"pw"]);
        let request = Hash::Md5.of(&[b"GET", b"/"]);
        assert_eq!(
            parameter(&value, "response"),
            Hash::Md5.of(&[key.as_bytes(), b"n", request.as_bytes()])
        );
        let mut hidden = asked(
            "digest REALM=\"r\",nonce=\"n\",qop=auth,userhash=true,algorithm=md5-sess,stale=TRUE",
        )
        .unwrap();
        assert!(hidden.is_stale());
        let value = hidden.answer(&user, "/", 1).unwrap();
        assert_eq!(parameter(&value, "username"), Hash::Md5.of(&[b"me", b"r"]));
        assert_eq!(parameter(&value, "userhash"), "true");
        let both =
            "Digest realm=r, nonce=a, algorithm=MD5, Digest realm=r, nonce=b, algorithm=SHA-256";
        assert_eq!(asked(both).unwrap().nonce, "b", "the better hash");
    }

    #[test]
    fn what_cannot_be_answered() {
        for value in [
            "Basic realm=\"r\"",
            "Digest nonce=\"n\"",
            "Digest realm=\"r\"",
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"",
            "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-3",
            "Basic realm=\"r\", nonce=\"n\"",
        ] {
            assert_eq!(asked(value), None, "{value}");
        }
        let long =
            format!("Digest realm=\"r\", nonce=\"{}\"", "n".repeat(CHALLENGE_VALUE_BYTES_MAX + 1));
        assert_eq!(asked(&long), None);
        assert_eq!(
            Digest::of(&head(200, &[("WWW-Authenticate", "Digest realm=r, nonce=n")])),
            None
        );
        let mut digest = asked("Digest realm=r, nonce=n").unwrap();
        for user in ["a:sesame", "ses\name"] {
            let error = digest.answer(&credentials(user, "x"), "/", 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(!error.to_string().contains("ses"), "{error}");
        }
    }
}
