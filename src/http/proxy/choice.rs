//! Which proxy a URL is fetched through: a function of options, variables and the URL, by the rules
//! of curl (`man curl`, ENVIRONMENT and --noproxy).
//!
//! Owns the names of the variables and their order. Must not know where variables come from.

use super::address::Proxy;
use crate::base::url::{Credentials, Origin, Scheme};
use crate::base::{Error, Result};
use std::net::IpAddr;
use std::sync::Arc;

/// Which proxy each origin is reached through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For http URLs.
    http: Option<Arc<Proxy>>,
    /// For https URLs.
    https: Option<Arc<Proxy>>,
    /// What is reached directly in any case.
    exempt: NoProxy,
    /// CONNECT is used for http URLs, too.
    tunnels: bool,
}

/// What the user says of proxies.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes<'a> {
    /// The proxy of all URLs, in the place of those of the variables; empty for none.
    pub proxy: Option<&'a str>,
    /// What is reached directly, in the place of what the variable says.
    pub no_proxy: Option<&'a str>,
    /// `USER[:PASSWORD]` for the proxies, in the place of those of their URLs.
    pub user: Option<&'a str>,
    /// CONNECT is used for http URLs, too.
    pub tunnels: bool,
}

impl Proxies {
    /// This one for all origins but those that are `exempt`. CONNECT is used for http URLs, too, if
    /// it `tunnels`.
    pub fn all(proxy: Proxy, exempt: NoProxy, tunnels: bool) -> Self {
        let proxy = Some(Arc::new(proxy));
        Self { http: proxy.clone(), https: proxy, exempt, tunnels }
    }

    /// What the wishes ask for and, where they say nothing, the variables: `http_proxy` in lower
    /// case only, as a CGI script finds a field of a request in `HTTP_PROXY`; `https_proxy` and
    /// `HTTPS_PROXY`; `all_proxy` and `ALL_PROXY`; `no_proxy` and `NO_PROXY`. An empty variable
    /// counts as absent.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::base::ErrorKind::Usage) for what names no proxy; says where it
    /// stands.
    pub fn choose(wishes: &Wishes<'_>, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |names: &[&'static str]| {
            let mut found = names.iter().map(|name| (*name, variable(name)));
            found.find_map(|(name, value)| Some((name, value.filter(|text| !text.is_empty())?)))
        };
        let user = wishes.user.map(credentials);
        let parse = |text: &str| -> Result<Arc<Proxy>> {
            let proxy = Proxy::parse(text)?;
            Ok(Arc::new(match &user {
                Some(user) => proxy.with_credentials(Some(user.clone())),
                None => proxy,
            }))
        };
        let from = |names: &[&'static str]| -> Result<Option<Arc<Proxy>>> {
            let found = set(names);
            found.map(|(name, text)| parse(&text).map_err(|e: Error| e.within(name))).transpose()
        };
        let (http, https) = match wishes.proxy {
            Some("") => (None, None),
            Some(text) => {
                let proxy = parse(text).map_err(|e: Error| e.within("--proxy"))?;
                (Some(proxy.clone()), Some(proxy))
            }
            None => (
                from(&["http_proxy", "all_proxy", "ALL_PROXY"])?,
                from(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            ),
        };
        let exempt = match wishes.no_proxy {
            Some(text) => NoProxy::parse(text),
            None => set(&["no_proxy", "NO_PROXY"])
                .map_or_else(NoProxy::default, |(_, text)| NoProxy::parse(&text)),
        };
        Ok(Self { http, https, exempt, tunnels: wishes.tunnels })
    }

    /// The proxy that `origin` is reached through; `None` for the direct way.
    pub fn of(&self, origin: &Origin) -> Option<&Arc<Proxy>> {
        let proxy = match origin.scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        proxy.as_ref().filter(|_| !self.exempt.covers(&origin.host))
    }

    /// Indicates whether `proxy` connects us to `origin`; otherwise it takes requests for it.
    pub fn is_tunnel(&self, proxy: &Proxy, origin: &Origin) -> bool {
        self.tunnels || origin.scheme == Scheme::Https || !proxy.is_http()
    }
}

/// What is reached without a proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy {
    /// Everything is.
    all: bool,
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// This name and those below it, in lower case, without dots at its ends.
    Name(String),
    /// Addresses that have the first bits with this one in common.
    Network(IpAddr, u32),
}

impl NoProxy {
    /// Reads a list with commas or blanks: names, which stand for what is below them, too; IP
    /// addresses; and networks in CIDR form. `*` alone stands for everything. What is none of
    /// these, such as a name with a port, covers nothing.
    pub fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self { all: true, patterns: Vec::new() };
        }
        let items = text.split([',', ' ', '\t', '\n', '\r']).filter(|item| !item.is_empty());
        Self { all: false, patterns: items.filter_map(Pattern::parse).collect() }
    }

    /// Indicates whether `host`, an IPv6 address without brackets, is covered. Names are not
    /// resolved, so no address covers one.
    pub fn covers(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let address = host.parse().ok();
        self.all || self.patterns.iter().any(|pattern| pattern.covers(host, address))
    }
}

impl Pattern {
    fn parse(item: &str) -> Option<Self> {
        let bare = |text: &str| -> Option<IpAddr> {
            let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            inner.unwrap_or(text).parse().ok()
        };
        if let Some((address, bits)) = item.split_once('/') {
            let (address, bits) = (bare(address)?, bits.parse().ok()?);
            return (bits <= width(address)).then_some(Self::Network(address, bits));
        }
        if let Some(address) = bare(item) {
            return Some(Self::Network(address, width(address)));
        }
        let name = item.strip_prefix('.').unwrap_or(item);
        let name = name.strip_suffix('.').unwrap_or(name);
        (!name.is_empty()).then(|| Self::Name(name.to_ascii_lowercase()))
    }

    fn covers(&self, host: &str, address: Option<IpAddr>) -> bool {
        match (self, address) {
            (Self::Network(network, bits), Some(address)) => shares(*network, address, *bits),
            (Self::Name(name), None) => {
                let host = host.to_ascii_lowercase();
                let rest = host.strip_suffix(name.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Self::Network(..), None) | (Self::Name(_), Some(_)) => false,
        }
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Whether two addresses of one family have their first `bits` in common.
fn shares(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    let differing = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return false,
    };
    differing >= bits
}

/// `USER[:PASSWORD]`, as it is.
fn credentials(text: &str) -> Credentials {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    Credentials { user: user.into(), password: password.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Url;

    fn origin(url: &str) -> Origin {
        Url::parse(url).unwrap().origin()
    }

    fn covers(list: &str, host: &str) -> bool {
        NoProxy::parse(list).covers(host)
    }

    /// The proxy of `url` where the variables are `set`, as its URL.
    fn chosen(wishes: &Wishes<'_>, set: &[(&str, &str)], url: &str) -> Option<String> {
        let variable = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxies = Proxies::choose(wishes, variable).unwrap();
        proxies.of(&origin(url)).map(ToString::to_string)
    }

    #[test]
    fn variables_in_the_order_of_curl() {
        let none = Wishes::default();
        for (set, http, https) in [
            (&[][..], None, None),
            (&[("http_proxy", "a")], Some("a"), None),
            (&[("HTTP_PROXY", "a")], None, None),
            (&[("https_proxy", "a"), ("HTTPS_PROXY", "b")], None, Some("a")),
            (&[("HTTPS_PROXY", "b")], None, Some("b")),
            (&[("all_proxy", "c"), ("ALL_PROXY", "d")], Some("c"), Some("c")),
            (&[("ALL_PROXY", "d"), ("http_proxy", "a")], Some("a"), Some("d")),
            (&[("http_proxy", ""), ("all_proxy", "c")], Some("c"), Some("c")),
            (&[("https_proxy", ""), ("HTTPS_PROXY", "b")], None, Some("b")),
        ] {
            let shown = |name: Option<&str>| name.map(|name| format!("http://{name}:1080"));
            assert_eq!(chosen(&none, set, "http://h/"), shown(http), "{set:?}");
            assert_eq!(chosen(&none, set, "https://h/"), shown(https), "{set:?}");
        }
    }

    #[test]
    fn options_win_over_variables() {
        let set = [("http_proxy", "a"), ("https_proxy", "a"), ("no_proxy", "exempt")];
        let with = |proxy, no_proxy| Wishes { proxy, no_proxy, ..Wishes::default() };
        let (a, o) = (Some("http://a:1080".to_owned()), Some("http://o:1080".to_owned()));
        for (wishes, url, expected) in [
            (with(None, None), "http://h/", &a),
            (with(None, None), "http://exempt/", &None),
            (with(Some("o"), None), "https://h/", &o),
            // no_proxy beats --proxy, --noproxy beats no_proxy.
            (with(Some("o"), None), "https://exempt/", &None),
            (with(Some("o"), Some("")), "https://exempt/", &o),
            (with(Some("o"), Some("h")), "https://h/", &None),
            (with(None, Some("")), "http://exempt/", &a),
            (with(Some(""), None), "http://h/", &None),
            (with(Some("o"), Some("*")), "http://h/", &None),
        ] {
            assert_eq!(chosen(&wishes, &set, url), *expected, "{wishes:?} {url}");
        }
        let upper = [("all_proxy", "a"), ("NO_PROXY", "exempt")];
        assert_eq!(chosen(&Wishes::default(), &upper, "http://exempt/"), None);
        let both = [("all_proxy", "a"), ("NO_PROXY", "exempt"), ("no_proxy", "other")];
        assert_eq!(chosen(&Wishes::default(), &both, "http://exempt/"), a);
    }

    #[test]
    fn credentials_of_their_own_replace_those_of_the_url() {
        let wishes = Wishes { user: Some("me:a:b%"), ..Wishes::default() };
        let proxies = Proxies::choose(&wishes, |_| Some("http://u:p@h".to_owned())).unwrap();
        let credentials = proxies.of(&origin("http://x/")).unwrap().credentials().unwrap().clone();
        assert_eq!(credentials.user, b"me");
        assert_eq!(credentials.password, b"a:b%");
    }

    #[test]
    fn mistakes_say_where_they_stand_and_no_secret() {
        let set = |name: &str| (name == "ALL_PROXY").then(|| "x://u:secret@h".to_owned());
        let error = Proxies::choose(&Wishes::default(), set).unwrap_err();
        assert!(error.to_string().starts_with("ALL_PROXY: "), "{error}");
        let wishes = Wishes { proxy: Some("http://u:secret@h:x"), ..Wishes::default() };
        let option = Proxies::choose(&wishes, |_| None).unwrap_err();
        assert!(option.to_string().starts_with("--proxy: "), "{option}");
        assert!(!format!("{error} {option}").contains("secret"));
    }

    #[test]
    fn names_match_at_a_label_boundary() {
        for (list, host, expected) in [
            ("example.com", "example.com", true),
            ("example.com", "EXAMPLE.com.", true),
            ("example.com", "www.example.com", true),
            ("example.com", "notexample.com", false),
            ("example.com", "example.com.evil", false),
            (".example.com", "example.com", true),
            (".example.com.", "www.example.com", true),
            ("Example.COM", "example.com", true),
            ("a,example.com", "example.com", true),
            ("a example.com", "example.com", true),
            (" a ,\t, example.com ,", "example.com", true),
            ("*", "anything", true),
            (" * ", "anything", true),
            ("*,a", "anything", false),
            ("*.example.com", "www.example.com", false),
            ("example.com:443", "example.com", false),
            (".", "example.com", false),
            ("", "example.com", false),
        ] {
            assert_eq!(covers(list, host), expected, "{list} {host}");
        }
    }

    #[test]
    fn addresses_match_networks_and_never_names() {
        for (list, host, expected) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/9", "10.128.0.0", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1/32", "127.0.0.2", false),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("0.1", "127.0.0.1", false),
            ("fe80::/10", "febf::1", true),
            ("fe80::/10", "fec0::1", false),
            ("::1", "::1", true),
            ("[::1]", "::1", true),
            ("[fe80::]/10", "fe80::1", true),
            ("10.0.0.0/8", "10.example", false),
        ] {
            assert_eq!(covers(list, host), expected, "{list} {host}");
        }
    }

    #[test]
    fn http_goes_through_a_tunnel_only_where_asked() {
        let proxies =
            |text, tunnels| Proxies::all(Proxy::parse(text).unwrap(), NoProxy::default(), tunnels);
        for (text, tunnels, url, expected) in [
            ("http://p", false, "http://h/", false),
            ("https://p", false, "http://h/", false),
            ("http://p", true, "http://h/", true),
            ("http://p", false, "https://h/", true),
            ("socks5://p", false, "http://h/", true),
        ] {
            let proxies = proxies(text, tunnels);
            let proxy = proxies.of(&origin(url)).unwrap();
            assert_eq!(proxies.is_tunnel(proxy, &origin(url)), expected, "{text} {url}");
        }
    }
}
