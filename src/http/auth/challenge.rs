//! What a server asks for: the challenges of `WWW-Authenticate` (RFC 9110 section 11.6.1), and the
//! parameters of `Authentication-Info`.
//!
//! Owns their grammar, in which commas part challenges as well as parameters. Must not know what a
//! scheme does.

use crate::base::limits::{CHALLENGE_PARAMETERS_MAX, CHALLENGES_MAX};
use crate::http::head::{Head, trim_ows};

/// One challenge. What a scheme puts in the place of parameters (`token68`) is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::http) struct Challenge {
    /// The name of the scheme, as sent.
    pub(in crate::http) scheme: String,
    /// Names, as sent, and values without quotes.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The first parameter of this name, in any case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(in crate::http) fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }
}

/// The challenges of a head in its fields called `name`, in order; what is malformed ends a field.
/// Those of a server are in `WWW-Authenticate`, those of a proxy in `Proxy-Authenticate` (RFC 9110
/// section 11.7.1).
pub(in crate::http) fn challenges(head: &Head, name: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    for field in head.all(name) {
        let mut text = Text(field);
        let mut challenge: Option<Challenge> = None;
        while text.skip_commas() {
            let before = text.0;
            if let Some(challenge) = &mut challenge
                && let Some(parameter) = text.parameter()
            {
                if challenge.parameters.len() < CHALLENGE_PARAMETERS_MAX {
                    challenge.parameters.push(parameter);
                }
                continue;
            }
            text.0 = before;
            let Some(scheme) = text.token() else { break };
            found.extend(challenge.replace(Challenge { scheme, ..Challenge::default() }));
            text.skip_token68();
        }
        found.extend(challenge);
        found.truncate(CHALLENGES_MAX);
    }
    found
}

/// The value of a parameter of `Authentication-Info` (RFC 9110 section 11.6.3).
pub(super) fn information<'h>(head: &'h Head, name: &str) -> Option<String> {
    let find = |field: &'h str| {
        let mut text = Text(field);
        while text.skip_commas() {
            let (found, value) = text.parameter()?;
            if found.eq_ignore_ascii_case(name) {
                return Some(value);
            }
        }
        None
    };
    head.all("Authentication-Info").find_map(find)
}

/// What is left of a field.
struct Text<'a>(&'a str);

impl Text<'_> {
    /// Skips to the next word; `false` if there is none.
    fn skip_commas(&mut self) -> bool {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
        !self.0.is_empty()
    }

    fn token(&mut self) -> Option<String> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !is_token(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then(|| token.to_owned())
    }

    /// `name = value`, where the value is a token or quoted.
    fn parameter(&mut self) -> Option<(String, String)> {
        let name = self.token()?;
        self.0 = trim_ows(self.0).strip_prefix('=')?;
        self.0 = trim_ows(self.0);
        let value = if self.0.starts_with('"') { self.quoted() } else { self.token() };
        Some((name, value?))
    }

    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut letters = self.0.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(letters.next()?.1),
                other => value.push(other),
            }
        }
        None
    }

    /// Skips what stands behind a scheme in the place of parameters.
    fn skip_token68(&mut self) {
        let before = self.0;
        self.0 = trim_ows(self.0);
        let start = self.0;
        if self.parameter().is_some() || self.0.is_empty() {
            self.0 = before;
            return;
        }
        let end = start.find([',', ' ', '\t']).unwrap_or(start.len());
        self.0 = &start[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::tests::head;
    use proptest::prelude::*;

    fn parsed(values: &[&str]) -> Vec<(String, Vec<(String, String)>)> {
        let fields: Vec<(&str, &str)> = values.iter().map(|v| ("www-authenticate", *v)).collect();
        let found = challenges(&head(401, &fields), "WWW-Authenticate").into_iter();
        found.map(|challenge| (challenge.scheme, challenge.parameters)).collect()
    }

    #[test]
    fn challenges_of_one_and_of_several_fields() {
        let all = parsed(&[
            "Negotiate, Newauth realm=\"a, \\\"b\\\"\", type=1,  title = \"x\" , Basic realm=\"r\"",
            "NTLM TlRMTVNTUAAC==, Digest nonce=\"n\",qop=\"auth,auth-int\"",
            "Bearer",
        ]);
        let names: Vec<&str> = all.iter().map(|(scheme, _)| scheme.as_str()).collect();
        assert_eq!(names, ["Negotiate", "Newauth", "Basic", "NTLM", "Digest", "Bearer"]);
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let expected = [("realm", "a, \"b\""), ("type", "1"), ("title", "x")].map(pair);
        assert_eq!(all[1].1, expected);
        assert_eq!(all[4].1, [("nonce", "n"), ("qop", "auth,auth-int")].map(pair));
        assert!(all[3].1.is_empty());
    }

    #[test]
    fn what_is_malformed_ends_the_field() {
        assert_eq!(parsed(&["", " , ,", "=x"]), []);
        assert_eq!(parsed(&["Basic realm=\"open"])[0].0, "Basic");
        assert_eq!(parsed(&["B\u{e4}sic x=y"]).first().map(|found| found.0.as_str()), Some("B"));
        assert!(parsed(&[&"a,".repeat(10_000)]).len() <= CHALLENGES_MAX);
        let many = format!("Basic {}", "a=b,".repeat(10_000));
        assert_eq!(parsed(&[&many])[0].1.len(), CHALLENGE_PARAMETERS_MAX);
    }

    #[test]
    fn information_about_the_next_nonce() {
        let told = |value| information(&head(200, &[("Authentication-Info", value)]), "nextnonce");
        assert_eq!(told("qop=auth, NextNonce=\"n1\", rc=2").as_deref(), Some("n1"));
        assert_eq!(told("qop=auth"), None);
        assert_eq!(told("x"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(2000)
        })]

        #[test]
        fn any_field_has_an_end(value in "[a-c=, \t\"\\\\\u{e4}]{0,40}") {
            for (scheme, _) in parsed(&[&value]) {
                prop_assert!(!scheme.is_empty() && value.contains(&scheme));
            }
        }
    }
}
