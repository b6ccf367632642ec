//! A host and a port without a scheme, as proxies and options name them.

use super::url::Url;
use std::fmt;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name in lower case, or an IP address without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

impl HostPort {
    /// Reads `HOST:PORT`, or `HOST` if there is a `default_port`. An IPv6 address stands in
    /// brackets. `None` for what is neither.
    pub fn parse(text: &str, default_port: Option<u16>) -> Option<Self> {
        let (host, port) = split(text)?;
        let port = match port {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            Some(_) => return None,
            None => default_port?,
        };
        let host = normal_host(host)?;
        (port != 0).then_some(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    /// As CONNECT names it (RFC 9110 section 9.3.6): with the port in any case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A host as URLs have it: names in lower case and in ASCII, IPv6 addresses without the brackets
/// that they are given in. `None` for what is no host.
pub fn normal_host(host: &str) -> Option<String> {
    let is_usable = |c: char| !c.is_whitespace() && !c.is_control() && !"/?#@\\%".contains(c);
    if host.is_empty() || !host.chars().all(is_usable) {
        return None;
    }
    let url = Url::parse(&format!("http://{host}/")).ok()?;
    Some(url.origin().host)
}

/// The host, with the brackets it may have, and what follows the colon behind it.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, behind) = text.split_at(end);
    match behind.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None if behind.is_empty() => Some((host, None)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (text, shown) in [
            ("Example.COM:80", "example.com:80"),
            ("[::1]:443", "[::1]:443"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("host", "host:9"),
            ("[::1]", "[::1]:9"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example:9"),
        ] {
            let parsed = HostPort::parse(text, Some(9)).unwrap();
            assert_eq!(parsed.to_string(), shown, "{text}");
            assert!(!parsed.host.contains('['), "{parsed:?}");
        }
    }

    #[test]
    fn what_is_neither() {
        for text in [
            "", ":80", "h:", "h:0", "h:65536", "h:+1", "h:x", "::1", "[::1", "[::1]x", "[x]:1",
            "a b", "u@h", "h/x", "h?x", "h#x", "h\\x", "%41", "a\nb",
        ] {
            assert_eq!(HostPort::parse(text, Some(9)), None, "{text}");
        }
        assert_eq!(HostPort::parse("h", None), None);
    }
}
