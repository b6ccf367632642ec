//! One proxy: where it is, what it speaks, and what it is told of the user.

use crate::base::host::HostPort;
use crate::base::url::{Credentials, Origin, Scheme, percent_decode, without_secrets};
use crate::base::{Error, ErrorKind, Result};
use std::fmt;

/// The port of a proxy whose URL names none, except for https; curl's default.
const DEFAULT_PORT: u16 = 1080;
/// The same for https proxies.
const DEFAULT_PORT_TLS: u16 = 443;

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP: CONNECT, or requests in absolute form.
    Http,
    /// The same within TLS.
    Https,
    /// SOCKS4 with names, which the proxy resolves.
    Socks4a,
    /// SOCKS5; names are resolved on this machine.
    Socks5,
    /// SOCKS5; names are resolved by the proxy.
    Socks5h,
}

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    protocol: Protocol,
    address: HostPort,
    credentials: Option<Credentials>,
}

impl Proxy {
    /// Reads `[PROTOCOL://][USER[:PASSWORD]@]HOST[:PORT]`; http without a protocol. User and
    /// password are percent-decoded, and end with the last `@`. What follows the port is ignored.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`], without user and password.
    pub fn parse(text: &str) -> Result<Self> {
        let (protocol, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Protocol::parse(scheme)?, rest),
            None => (Protocol::Http, text),
        };
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (userinfo, place) = match rest.rsplit_once('@') {
            Some((userinfo, place)) => (Some(userinfo), place),
            None => (None, rest),
        };
        if place.parse::<u32>().is_ok() {
            let what = "a proxy is named by its URL, not by a number";
            return Err(Error::new(ErrorKind::Usage, what)
                .advise("for the number of connections write -c N; for a proxy, -x HOST:PORT"));
        }
        let address =
            HostPort::parse(place, Some(protocol.default_port())).ok_or_else(|| unusable(text))?;
        Ok(Self { protocol, address, credentials: userinfo.map(decoded) })
    }

    /// The same with these credentials in the place of those of its URL.
    pub fn with_credentials(self, credentials: Option<Credentials>) -> Self {
        Self { credentials, ..self }
    }

    /// What it speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Where it is.
    pub fn address(&self) -> &HostPort {
        &self.address
    }

    /// What it is told of the user.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Itself as an origin, for whoever counts connections.
    pub fn origin(&self) -> Origin {
        let scheme = if self.is_tls() { Scheme::Https } else { Scheme::Http };
        let HostPort { host, port } = self.address.clone();
        Origin { scheme, host, port }
    }

    /// Indicates whether it is talked to within TLS.
    pub fn is_tls(&self) -> bool {
        self.protocol == Protocol::Https
    }

    /// Indicates whether it takes requests in absolute form, and CONNECT.
    pub fn is_http(&self) -> bool {
        matches!(self.protocol, Protocol::Http | Protocol::Https)
    }

    /// Indicates whether it is told addresses, and no names.
    pub fn wants_addresses(&self) -> bool {
        self.protocol == Protocol::Socks5
    }
}

impl fmt::Display for Proxy {
    /// Its URL without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.protocol.as_str(), self.address)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Protocol {
    const ALL: [Self; 5] = [Self::Http, Self::Https, Self::Socks4a, Self::Socks5, Self::Socks5h];

    fn parse(scheme: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|it| it.as_str().eq_ignore_ascii_case(scheme));
        found.ok_or_else(|| {
            // What stands there may be a user name.
            let known = ["socks", "socks4", "ftp"];
            let what = match known.iter().find(|known| known.eq_ignore_ascii_case(scheme)) {
                Some(known) => format!("proxies of the kind '{known}' are not supported"),
                None => "the kind of a proxy is not known".to_owned(),
            };
            Error::new(ErrorKind::Usage, what)
                .advise("write http://, https://, socks4a://, socks5:// or socks5h:// before it")
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Https => DEFAULT_PORT_TLS,
            Self::Http | Self::Socks4a | Self::Socks5 | Self::Socks5h => DEFAULT_PORT,
        }
    }
}

fn decoded(userinfo: &str) -> Credentials {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    Credentials { user: percent_decode(user), password: percent_decode(password) }
}

fn unusable(text: &str) -> Error {
    let shown = without_secrets(text);
    Error::new(ErrorKind::Usage, format!("'{shown}' names no proxy"))
        .advise("write it as http://HOST:PORT or socks5h://HOST:PORT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_proxies_and_their_defaults() {
        for (text, shown) in [
            ("h", "http://h:1080"),
            ("H:3128", "http://h:3128"),
            ("http://h", "http://h:1080"),
            ("http://h:80/", "http://h:80"),
            ("https://h", "https://h:443"),
            ("https://h:8443/x?y#z", "https://h:8443"),
            ("SOCKS5://h", "socks5://h:1080"),
            ("socks5h://[::1]:9", "socks5h://[::1]:9"),
            ("socks4a://user@h:1", "socks4a://h:1"),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            assert_eq!(proxy.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_end_with_the_last_at() {
        for (text, user, password) in [
            ("http://u:p@h", "u", "p"),
            ("u:p@h", "u", "p"),
            ("http://user:pa@ss@host:8080", "user", "pa@ss"),
            ("http://us%40er:p%3aw@h", "us@er", "p:w"),
            ("http://u@h", "u", ""),
            ("http://u:a:b@h", "u", "a:b"),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            let credentials = proxy.credentials().unwrap();
            let expected = (user.as_bytes(), password.as_bytes());
            assert_eq!((&credentials.user[..], &credentials.password[..]), expected, "{text}");
            assert!(!format!("{proxy} {proxy:?}").contains("ss"), "{proxy}");
        }
        assert_eq!(Proxy::parse("http://h").unwrap().credentials(), None);
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_secrets() {
        for (text, words) in [
            ("", "names no proxy"),
            ("http://", "names no proxy"),
            ("http://u:secret@", "names no proxy"),
            ("http://u:secret@h:99999", "names no proxy"),
            ("http://u:se/secret@h:1", "names no proxy"),
            ("http://u:secret@h h:1", "names no proxy"),
            ("secret://h", "kind of a proxy is not known"),
            ("socks4://h", "'socks4' are not supported"),
            ("16", "-c N"),
        ] {
            let error = Proxy::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            let line = error.to_string();
            assert!(line.contains(words) && !line.contains("secret"), "{text}: {line}");
        }
    }
}
