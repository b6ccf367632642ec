//! netrc files: which name and password belong to which host, as curl reads them.
//!
//! Tokens are separated by white space; one in double quotes may have blanks and the escapes `\n`,
//! `\r` and `\t`, where any other character behind a backslash stands for itself. `machine HOST`
//! and `default` begin an entry, `login`, `password` and `account` say what it has, `macdef` skips
//! to the next empty line, `#` at the start of a token comments the rest of its line out. The port
//! of a URL does not matter. Must not know where the file is or who may read it.

use crate::base::limits::{NETRC_ENTRIES_MAX, NETRC_TOKEN_BYTES_MAX};
use crate::base::url::Credentials;
use crate::base::{Error, ErrorKind, Result};
use std::fmt;

/// The entries of a file, in their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Entry {
    /// In lower case; `None` is for any host.
    host: Option<String>,
    login: Vec<u8>,
    password: Vec<u8>,
}

impl Netrc {
    /// Reads a file. Errors name the line, and nothing of what it has.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let mut tokens = Tokens { rest: text, line: 1 };
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(token) = tokens.next()? {
            match token.as_slice() {
                b"machine" => {
                    let host = tokens.value("the name of a machine")?;
                    let host = String::from_utf8_lossy(&host).to_ascii_lowercase();
                    let host = Some(host.trim_matches(['[', ']']).to_owned());
                    entries.push(Entry { host, ..Entry::default() });
                }
                b"default" => entries.push(Entry::default()),
                b"macdef" => tokens.skip_macro(),
                word @ (b"login" | b"password" | b"account") => {
                    let value = tokens.value("a login, password or account")?;
                    let Some(entry) = entries.last_mut() else {
                        return Err(tokens.error("there is no machine that it belongs to"));
                    };
                    match word {
                        b"password" => entry.password = value,
                        b"login" => entry.login = value,
                        _ => {}
                    }
                }
                _ => {
                    let what = "neither machine, default, login, password, account nor macdef";
                    return Err(tokens.error(what));
                }
            }
            if entries.len() > NETRC_ENTRIES_MAX {
                return Err(tokens.error(&format!("more than {NETRC_ENTRIES_MAX} machines")));
            }
        }
        Ok(Self { entries })
    }

    /// Name and password for `host`: of its first entry, or of `default` where that may be used.
    /// Where `user` is known it is the first entry with that name, or without any.
    pub fn find(
        &self,
        host: &str,
        user: Option<&[u8]>,
        may_use_default: bool,
    ) -> Option<Credentials> {
        let is_hosts = |entry: &&Entry| match &entry.host {
            Some(name) => name.eq_ignore_ascii_case(host),
            None => may_use_default,
        };
        let is_users =
            |entry: &&Entry| user.is_none_or(|user| entry.login == user || entry.login.is_empty());
        let found = self.entries.iter().filter(is_hosts).find(is_users)?;
        let login = user.map_or_else(|| found.login.clone(), <[u8]>::to_vec);
        Some(Credentials { user: login, password: found.password.clone() })
    }
}

impl fmt::Debug for Netrc {
    /// How many entries there are; their passwords are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netrc({} entries)", self.entries.len())
    }
}

struct Tokens<'a> {
    rest: &'a [u8],
    /// Number of the line that `rest` begins in.
    line: usize,
}

impl Tokens<'_> {
    /// The next token outside of comments.
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            while let [byte, ..] = self.rest
                && byte.is_ascii_whitespace()
            {
                self.step();
            }
            match self.rest {
                [] => return Ok(None),
                [b'#', ..] => self.skip_line(),
                [b'"', ..] => return self.quoted().map(Some),
                _ => return self.bare().map(Some),
            }
        }
    }

    /// The token behind a word that needs one.
    fn value(&mut self, what: &str) -> Result<Vec<u8>> {
        // A password may begin with a `#`.
        while let [byte, ..] = self.rest
            && byte.is_ascii_whitespace()
        {
            self.step();
        }
        match self.rest {
            [] => Err(self.error(&format!("the file ends where {what} should be"))),
            [b'"', ..] => self.quoted(),
            _ => self.bare(),
        }
    }

    fn bare(&mut self) -> Result<Vec<u8>> {
        let mut token = Vec::new();
        while let [byte, ..] = *self.rest
            && !byte.is_ascii_whitespace()
        {
            self.push(&mut token, byte)?;
            self.step();
        }
        Ok(token)
    }

    fn quoted(&mut self) -> Result<Vec<u8>> {
        let mut token = Vec::new();
        self.step();
        loop {
            let Some(byte) = self.step() else { return Err(self.error("a quote without its end")) };
            match byte {
                b'"' => return Ok(token),
                b'\\' => {
                    let escaped = match self.step() {
                        Some(b'n') => b'\n',
                        Some(b'r') => b'\r',
                        Some(b't') => b'\t',
                        Some(other) => other,
                        None => return Err(self.error("a quote without its end")),
                    };
                    self.push(&mut token, escaped)?;
                }
                other => self.push(&mut token, other)?,
            }
        }
    }

    fn push(&self, token: &mut Vec<u8>, byte: u8) -> Result<()> {
        if byte == 0 {
            return Err(self.error("a zero byte, which no netrc file has"));
        }
        if token.len() == NETRC_TOKEN_BYTES_MAX {
            return Err(self.error(&format!("a word of more than {NETRC_TOKEN_BYTES_MAX} bytes")));
        }
        token.push(byte);
        Ok(())
    }

    /// A macro ends at an empty line.
    fn skip_macro(&mut self) {
        self.skip_line();
        while !self.rest.is_empty() && !matches!(self.rest, [b'\n', ..] | [b'\r', b'\n', ..]) {
            self.skip_line();
        }
    }

    fn skip_line(&mut self) {
        while self.step().is_some_and(|byte| byte != b'\n') {}
    }

    fn step(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.line += usize::from(*first == b'\n');
        Some(*first)
    }

    fn error(&self, what: &str) -> Error {
        Error::new(ErrorKind::Usage, format!("line {}: {what}", self.line))
            .advise("write it as 'machine HOST login NAME password WORD'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(text: &str, host: &str) -> Option<(String, String)> {
        let netrc = Netrc::parse(text.as_bytes()).unwrap();
        let found = netrc.find(host, None, true)?;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Some((text(found.user), text(found.password)))
    }

    fn pair(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn entries_as_curl_reads_them() {
        let text = "# a comment with machine words\n\
            machine a.example login me password \"pa ss\\n\\\"\\t\\x\"\n\
            machine B.example\n\tlogin you account x password #1\r\n\
            macdef init\nmachine c.example login macro password macro\n\n\
            machine c.example password alone\n\
            machine [::1] login six password 6\n\
            machine a.example login other password second\n\
            default login any password one";
        assert_eq!(find(text, "a.example"), pair("me", "pa ss\n\"\tx"));
        assert_eq!(find(text, "b.EXAMPLE"), pair("you", "#1"));
        assert_eq!(find(text, "c.example"), pair("", "alone"));
        assert_eq!(find(text, "::1"), pair("six", "6"));
        assert_eq!(find(text, "x.a.example"), pair("any", "one"));
        let netrc = Netrc::parse(text.as_bytes()).unwrap();
        assert_eq!(netrc.find("x.example", None, false), None);
        let others = netrc.find("a.example", Some(b"other"), true).unwrap();
        assert_eq!(others.password, b"second");
        assert_eq!(netrc.find("c.example", Some(b"who"), false).unwrap().password, b"alone");
        assert_eq!(netrc.find("b.example", Some(b"who"), false), None);
        assert_eq!(find("", "a"), None);
        assert_eq!(find("macdef x\r\nfoo\r\n\r\nmachine a login b", "a"), pair("b", ""));
        assert!(!format!("{netrc:?}").contains("alone"));
    }

    #[test]
    fn what_is_none_is_named_by_line_without_secrets() {
        for (text, line, what) in [
            ("\n\nmachine", 3, "the name of a machine"),
            ("machine a\nlogin", 2, "a login"),
            ("login sesame", 1, "no machine"),
            ("machine a\npassword \"sesame", 2, "quote"),
            ("machine a\npassword \"sesame\\", 2, "quote"),
            ("machine a password\nx sesame", 2, "neither"),
            ("machine a password sesame\0", 1, "zero byte"),
            ("\x7fELF\x02\x01\x01", 1, "neither"),
        ] {
            let error = Netrc::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {line}: ")), "{text:?}: {error}");
            assert!(error.contains(what) && !error.contains("sesame"), "{text:?}: {error}");
        }
        let long = format!("machine {}", "x".repeat(NETRC_TOKEN_BYTES_MAX + 1));
        assert!(Netrc::parse(long.as_bytes()).is_err());
        let many = "default ".repeat(NETRC_ENTRIES_MAX + 1);
        assert!(Netrc::parse(many.as_bytes()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(500)
        })]

        /// What is written in quotes comes back, whatever it is.
        #[test]
        fn quoted_words_come_back(user in "[^\0]{0,20}", password in "[^\0]{0,20}") {
            let quote = |text: &str| {
                let escaped = text.replace('\\', r"\\").replace('"', "\\\"");
                format!("\"{escaped}\"")
            };
            let (login, word) = (quote(&user), quote(&password));
            let text = format!("machine h login {login} password {word}\nmachine i login x");
            prop_assert_eq!(find(&text, "h"), pair(&user, &password));
            prop_assert_eq!(find(&text, "i"), pair("x", ""));
        }

        #[test]
        fn any_bytes_are_entries_or_an_error(
            words in prop::collection::vec(prop_oneof![
                Just("machine".to_owned()), Just("login".to_owned()), Just("password".to_owned()),
                Just("default".to_owned()), Just("macdef".to_owned()), Just("\n".to_owned()),
                Just("\n\n".to_owned()), Just("#".to_owned()), "[ -~\0\\\\\"]{0,6}",
            ], 0..20),
        ) {
            if let Err(error) = Netrc::parse(words.join(" ").as_bytes()) {
                prop_assert!(error.to_string().starts_with("line "), "{error}");
            }
        }
    }
}
