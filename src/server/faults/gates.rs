//! What a client has to show before it gets a file: the answer to a Digest challenge (RFC 7616), a
//! token (RFC 6750), or a cookie that a redirect has set.
//!
//! Owns the nonces that were given out, how often each was used, and the cookies. Strict where
//! others are lenient: a count that comes twice is a mistake of the client's. Must not know sockets
//! or files; shares no code with the client.

use super::effects::{Effects, Instead};
use super::script::{DigestGate, Gate};
use crate::server::codec::hex::hex;
use crate::server::codec::request::Request;
use crate::server::stop::lock;
use md5::Md5;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Mutex;

const REALM: &str = "ringhaul";
const COOKIE: &str = "gate";

/// What one server has given out.
#[derive(Default)]
pub(in crate::server) struct Gates {
    /// The counts that requests with nonce N, counted from 1, had.
    nonces: Mutex<Vec<BTreeSet<u32>>>,
    /// Cookies given out, which are numbers from 1 on.
    cookies: Mutex<u64>,
}

impl Gates {
    /// What `request` gets in place of the file; what the answer says besides goes to `effects`.
    pub(in crate::server) fn judge(
        &self,
        request: &Request,
        effects: &mut Effects,
    ) -> Option<Instead> {
        for gate in effects.gates.clone() {
            let instead = match gate {
                Gate::Digest(gate) => self.check_digest(&gate, request, effects).err(),
                Gate::Bearer(token) => check_token(&token, request),
                Gate::Cookie => self.check_cookie(request),
            };
            if instead.is_some() {
                return instead;
            }
        }
        None
    }

    fn check_cookie(&self, request: &Request) -> Option<Instead> {
        if self.has_cookie(request) {
            return None;
        }
        let mut number = lock(&self.cookies);
        *number += 1;
        let cookie = format!("{COOKIE}={number}; Path=/; HttpOnly");
        let mut instead = Instead::redirect(302, request.target.clone());
        instead.headers.push(("Set-Cookie".to_owned(), cookie));
        Some(instead)
    }

    fn has_cookie(&self, request: &Request) -> bool {
        let pairs = request.field("cookie").unwrap_or_default().split(';');
        let mut values = pairs.filter_map(|pair| pair.trim().split_once('='));
        let value = values.find_map(|(name, value)| (name == COOKIE).then_some(value));
        let number = value.and_then(|value| value.parse::<u64>().ok());
        number.is_some_and(|number| (1..=*lock(&self.cookies)).contains(&number))
    }

    fn check_digest(
        &self,
        gate: &DigestGate,
        request: &Request,
        effects: &mut Effects,
    ) -> Result<(), Instead> {
        let answer = request.field("authorization").and_then(|text| text.strip_prefix("Digest "));
        let Some(answer) = answer else { return Err(self.challenge(gate, false)) };
        let get = |name: &str| parameter(answer, name).unwrap_or_default();
        let number = get("nonce").strip_prefix("nonce-").and_then(|n| n.parse::<usize>().ok());
        let key = gate.hash(&[&gate.user, REALM, &gate.password]);
        let asked = gate.hash(&[&request.method, &request.target]);
        let (nonce, nc, cnonce) = (get("nonce"), get("nc"), get("cnonce"));
        let expected = gate.hash(&[&key, &nonce, &nc, &cnonce, "auth", &asked]);
        let is_right = get("response") == expected
            && get("username") == gate.user
            && get("realm") == REALM
            && get("uri") == request.target
            && get("opaque") == "o"
            && get("qop") == "auth";
        let count = u32::from_str_radix(&nc, 16).ok().filter(|_| nc.len() == 8);
        let (Some(number), Some(count), true) = (number, count, is_right) else {
            return Err(self.challenge(gate, false));
        };
        let mut nonces = lock(&self.nonces);
        let Some(counts) = number.checked_sub(1).and_then(|index| nonces.get_mut(index)) else {
            drop(nonces);
            return Err(self.challenge(gate, true));
        };
        if !counts.insert(count) {
            let body = b"this count was used before\n".to_vec();
            return Err(Instead { status: 400, headers: Vec::new(), body });
        }
        let used = counts.len();
        let is_worn = gate.nonce_requests.is_some_and(|max| used > max as usize);
        if is_worn && gate.names_next {
            nonces.push(BTreeSet::new());
            let value = format!("qop=auth, nextnonce=\"nonce-{}\"", nonces.len());
            effects.fields.push(("Authentication-Info".to_owned(), value));
        } else if is_worn {
            drop(nonces);
            return Err(self.challenge(gate, true));
        }
        Ok(())
    }

    fn challenge(&self, gate: &DigestGate, is_stale: bool) -> Instead {
        let mut nonces = lock(&self.nonces);
        nonces.push(BTreeSet::new());
        let algorithm = if gate.md5 { "MD5" } else { "SHA-256" };
        let stale = if is_stale { ", stale=true" } else { "" };
        refusal(format!(
            "Digest realm=\"{REALM}\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"nonce-{}\", opaque=\"o\"{stale}",
            nonces.len()
        ))
    }
}

fn check_token(token: &str, request: &Request) -> Option<Instead> {
    let authorization = request.field("authorization").unwrap_or_default();
    let is_right = authorization.strip_prefix("Bearer ") == Some(token);
    (!is_right).then(|| refusal(format!("Bearer realm=\"{REALM}\"")))
}

impl DigestGate {
    fn hash(&self, parts: &[&str]) -> String {
        let text = parts.join(":");
        if self.md5 { hex(&Md5::digest(text)) } else { hex(&Sha256::digest(text)) }
    }
}

fn refusal(challenge: String) -> Instead {
    let headers = vec![("WWW-Authenticate".to_owned(), challenge)];
    Instead { status: 401, headers, body: b"who are you?\n".to_vec() }
}

/// The value of a parameter, without quotes. Commas within quotes do not come from our clients.
fn parameter(text: &str, name: &str) -> Option<String> {
    let pairs = text.split(',').filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    values.next().map(|value| value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::codec::request::Parsed;

    fn request(fields: &str) -> Request {
        let text = format!("GET /x HTTP/1.1\r\n{fields}\r\n");
        match Request::parse(text.as_bytes()) {
            Parsed::Whole(request, _) => *request,
            other => panic!("{other:?}"),
        }
    }

    fn header<'a>(instead: &'a Instead, name: &str) -> &'a str {
        &instead.headers.iter().find(|(known, _)| known == name).unwrap().1
    }

    /// A right answer.
    fn answer(gate: &DigestGate, nonce: &str, nc: &str) -> String {
        let key = gate.hash(&[&gate.user, REALM, &gate.password]);
        let response = gate.hash(&[&key, nonce, nc, "c", "auth", &gate.hash(&["GET", "/x"])]);
        format!(
            "Authorization: Digest username=\"{}\", realm=\"{REALM}\", nonce=\"{nonce}\", \
             uri=\"/x\", nc={nc}, cnonce=\"c\", qop=auth, response=\"{response}\", \
             opaque=\"o\"\r\n",
            gate.user
        )
    }

    #[test]
    fn a_digest_is_checked_and_each_count_counts_once() {
        let gate = DigestGate::new("me".to_owned(), "pw".to_owned());
        let gate = DigestGate { md5: true, nonce_requests: Some(2), ..gate };
        let (gates, mut effects) = (Gates::default(), Effects::default());
        effects.gates = vec![Gate::Digest(gate.clone())];
        let mut status = |fields: &str| {
            gates.judge(&request(fields), &mut effects).map(|instead| instead.status)
        };
        assert_eq!(status(""), Some(401));
        assert_eq!(status(&answer(&gate, "nonce-1", "00000001")), None);
        assert_eq!(status(&answer(&gate, "nonce-1", "00000001")), Some(400), "twice");
        assert_eq!(status(&answer(&gate, "nonce-1", "00000002")), None);
        assert_eq!(status(&answer(&gate, "nonce-1", "00000003")), Some(401), "worn");
        let other = DigestGate { password: "no".into(), ..gate.clone() };
        assert_eq!(status(&answer(&other, "nonce-2", "00000001")), Some(401));
        let stale = gates.judge(&request(&answer(&gate, "nonce-99", "00000001")), &mut effects);
        assert!(header(&stale.unwrap(), "WWW-Authenticate").contains("stale=true"));
        effects.gates = vec![Gate::Digest(DigestGate { names_next: true, ..gate.clone() })];
        let late = request(&answer(&gate, "nonce-1", "00000009"));
        assert!(gates.judge(&late, &mut effects).is_none());
        assert!(effects.fields[0].1.contains("nextnonce"));
    }

    #[test]
    fn tokens_and_cookies() {
        let (gates, mut effects) = (Gates::default(), Effects::default());
        effects.gates = vec![Gate::Bearer("t".to_owned())];
        let judge = |fields: &str, effects: &mut Effects| gates.judge(&request(fields), effects);
        assert_eq!(judge("", &mut effects).unwrap().status, 401);
        assert!(judge("Authorization: Bearer t\r\n", &mut effects).is_none());
        assert!(judge("Authorization: Bearer x\r\n", &mut effects).is_some());
        effects.gates = vec![Gate::Cookie];
        assert!(judge("Cookie: gate=1\r\n", &mut effects).is_some(), "none was given out");
        assert!(judge("Cookie: a=b; gate=1\r\n", &mut effects).is_none());
        let instead = judge("Cookie: gate=7\r\n", &mut effects).unwrap();
        assert_eq!((instead.status, header(&instead, "Location")), (302, "/x"));
        assert_eq!(header(&instead, "Set-Cookie"), "gate=2; Path=/; HttpOnly");
    }
}
