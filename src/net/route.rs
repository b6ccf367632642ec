//! How sockets get to hosts: which addresses a host has for us, what is called in its place, and
//! where connections leave this machine. Plain data and what it decides; makes no socket.

use super::callee::Callee;
use crate::base::host::{HostPort, normal_host};
use crate::base::{Error, ErrorKind, Result};
pub use crate::io::connect::Source;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Bytes of the name of an interface, without its zero byte (IFNAMSIZ).
const DEVICE_BYTES_MAX: usize = 15;

/// How sockets get to hosts; by default as the system's resolver and routes say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Route {
    /// Addresses of this family only.
    pub family: Option<Family>,
    /// Where connections leave this machine: they are spread over these.
    pub sources: Vec<Source>,
    /// Addresses in the place of what the resolver says.
    pub resolve: Vec<Resolve>,
    /// Hosts in the place of others; the first one that fits holds.
    pub connect_to: Vec<ConnectTo>,
    /// A socket of the file system in the place of all hosts.
    pub unix_socket: Option<PathBuf>,
    /// Multipath TCP, where the kernel and the server have it.
    pub mptcp: bool,
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The addresses of one host and port, or of one port of any host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resolve {
    /// `None` for any.
    host: Option<String>,
    port: u16,
    addresses: Vec<IpAddr>,
}

/// What is connected to in the place of another host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConnectTo {
    /// `None` for any.
    host: Option<String>,
    /// `None` for any.
    port: Option<u16>,
    /// `None` for the same.
    to_host: Option<String>,
    /// `None` for the same.
    to_port: Option<u16>,
}

impl Route {
    /// Who is called in the place of `callee`.
    pub fn redirected(&self, callee: Callee) -> Callee {
        let HostPort { host, port } = &callee.at;
        let fits = |it: &&ConnectTo| {
            it.host.as_ref().is_none_or(|own| own == host) && it.port.is_none_or(|own| own == *port)
        };
        let Some(to) = self.connect_to.iter().find(fits) else { return callee };
        let host = to.to_host.clone().unwrap_or_else(|| host.clone());
        let at = HostPort { host, port: to.to_port.unwrap_or(*port) };
        Callee { at, ..callee }
    }

    /// The addresses that are given for this host and port, if any are. Of several the last one
    /// holds, and one for the host beats one for any.
    pub fn given(&self, at: &HostPort) -> Option<Vec<SocketAddr>> {
        let of = |host: Option<&String>| {
            let mut given = self.resolve.iter().rev();
            given.find(|it| it.host.as_ref() == host && it.port == at.port)
        };
        let found = of(Some(&at.host)).or_else(|| of(None))?;
        Some(found.addresses.iter().map(|address| SocketAddr::new(*address, at.port)).collect())
    }

    /// Those of the addresses that connections can be made to.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if there are none.
    pub fn usable(&self, callee: &Callee, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>> {
        let suits = |address: &SocketAddr| {
            let is_of_family =
                self.family.is_none_or(|family| (family == Family::V4) == address.is_ipv4());
            let has_source = self.sources.iter().any(|source| source.suits(address));
            is_of_family && (has_source || self.sources.is_empty())
        };
        let usable: Vec<SocketAddr> = addresses.into_iter().filter(suits).collect();
        if usable.is_empty() {
            let what = format!("{callee} has no address of the family that is asked for");
            return Err(Error::new(ErrorKind::Usage, what)
                .advise("leave -4 or -6 out, or name an --interface with such addresses"));
        }
        Ok(usable)
    }

    /// Where the connection with this number to `peer` leaves this machine.
    pub fn source(&self, number: usize, peer: &SocketAddr) -> Option<Source> {
        let suitable: Vec<&Source> = self.sources.iter().filter(|it| it.suits(peer)).collect();
        let index = number.checked_rem(suitable.len())?;
        Some(suitable[index].clone())
    }
}

impl FromStr for Source {
    type Err = Error;

    /// Reads `NAME` or `ADDR`.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(address) = address(text) {
            return Ok(Self::Address(address));
        }
        let is_name = (1..=DEVICE_BYTES_MAX).contains(&text.len())
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
        if is_name {
            return Ok(Self::Device(text.to_owned()));
        }
        Err(Error::new(ErrorKind::Usage, "neither the name of an interface nor an IP address")
            .advise("'ip address' lists both"))
    }
}

impl FromStr for Resolve {
    type Err = Error;

    /// Reads `HOST:PORT:ADDR[,ADDR]…`; `*` is any host.
    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (host, rest) = field(text)?;
            let (port, addresses) = rest.split_once(':')?;
            let port = number(port)?;
            let addresses: Option<Vec<IpAddr>> = addresses.split(',').map(address).collect();
            let host = if host == "*" { None } else { Some(normal_host(host)?) };
            Some(Self { host, port, addresses: addresses? })
        };
        parse().ok_or_else(|| {
            Error::new(ErrorKind::Usage, "not in the form HOST:PORT:ADDR[,ADDR]")
                .advise("write it like example.org:443:192.0.2.1")
        })
    }
}

impl FromStr for ConnectTo {
    type Err = Error;

    /// Reads `HOST1:PORT1:HOST2:PORT2`. An empty field stands for any on the left, and for the same
    /// on the right.
    fn from_str(text: &str) -> Result<Self> {
        let host = |text: &str| match text {
            "" => Some(None),
            text => normal_host(text).map(Some),
        };
        let port = |text: &str| match text {
            "" => Some(None),
            text => number(text).map(Some),
        };
        let parse = || {
            let (from, rest) = field(text)?;
            let (from_port, rest) = rest.split_once(':')?;
            let (to, to_port) = field(rest)?;
            Some(Self {
                host: host(from)?,
                port: port(from_port)?,
                to_host: host(to)?,
                to_port: port(to_port)?,
            })
        };
        parse().ok_or_else(|| {
            Error::new(ErrorKind::Usage, "not in the form HOST1:PORT1:HOST2:PORT2")
                .advise("write it like example.org:443:mirror.example:8443; fields may be empty")
        })
    }
}

/// A host, with the brackets it may have, and what follows the colon behind it.
fn field(text: &str) -> Option<(&str, &str)> {
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => text.find(':')?,
    };
    let (host, behind) = text.split_at(end);
    Some((host, behind.strip_prefix(':')?))
}

fn number(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && *number > 0)
}

fn address(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> HostPort {
        HostPort::parse(text, None).unwrap()
    }

    fn route(resolve: &[&str], connect_to: &[&str]) -> Route {
        Route {
            resolve: resolve.iter().map(|text| text.parse().unwrap()).collect(),
            connect_to: connect_to.iter().map(|text| text.parse().unwrap()).collect(),
            ..Route::default()
        }
    }

    #[test]
    fn addresses_are_given_for_a_host_and_a_port() {
        let route = route(
            &["H:80:1.1.1.1", "*:80:[::2],2.2.2.2", "h:80:3.3.3.3,4.4.4.4", "[::1]:81:5.5.5.5"],
            &[],
        );
        let given = |text| {
            let given = route.given(&at(text))?;
            Some(given.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(given("h:80").as_deref(), Some("3.3.3.3:80 4.4.4.4:80"));
        assert_eq!(given("other:80").as_deref(), Some("[::2]:80 2.2.2.2:80"));
        assert_eq!(given("[::1]:81").as_deref(), Some("5.5.5.5:81"));
        assert_eq!(given("h:81"), None);
    }

    #[test]
    fn others_are_called_in_the_place_of_hosts() {
        for (rule, from, to) in [
            ("a:80:b:81", "a:80", "b:81"),
            ("a:80:b:81", "a:81", "a:81"),
            ("a:80:b:81", "c:80", "c:80"),
            ("::b:81", "a:80", "b:81"),
            ("a:::81", "a:80", "a:81"),
            ("a::[::1]:", "a:80", "[::1]:80"),
            ("[::1]:80:b:", "[::1]:80", "b:80"),
        ] {
            let callee = route(&[], &[rule]).redirected(Callee::proxy(at(from)));
            assert_eq!(callee.at, at(to), "{rule} {from}");
        }
        let both = route(&[], &["a::b:", "a::c:"]);
        assert_eq!(both.redirected(Callee::proxy(at("a:80"))).at, at("b:80"), "the first holds");
    }

    #[test]
    fn families_and_sources_choose_addresses() {
        let addresses: Vec<SocketAddr> =
            ["1.1.1.1:80", "[::1]:80"].iter().map(|text| text.parse().unwrap()).collect();
        let callee = Callee::proxy(at("h:80"));
        let source = |text: &str| text.parse().unwrap();
        for (family, sources, expected) in [
            (None, vec![], 2),
            (Some(Family::V4), vec![], 1),
            (Some(Family::V6), vec![source("eth0")], 1),
            (None, vec![source("10.0.0.1")], 1),
            (None, vec![source("10.0.0.1"), source("[fe80::1]")], 2),
            (Some(Family::V6), vec![source("10.0.0.1")], 0),
        ] {
            let route = Route { family, sources, ..Route::default() };
            let usable = route.usable(&callee, addresses.clone());
            assert_eq!(usable.map_or(0, |usable| usable.len()), expected, "{route:?}");
        }
    }

    #[test]
    fn connections_are_spread_over_sources_that_suit() {
        let sources = ["10.0.0.1", "::1", "eth0"].map(|text| text.parse().unwrap());
        let route = Route { sources: sources.to_vec(), ..Route::default() };
        let from = |number, peer: &str| {
            route.source(number, &peer.parse().unwrap()).map(|source| source.to_string())
        };
        let spread: Vec<_> = (0..3).map(|n| from(n, "1.1.1.1:80").unwrap()).collect();
        assert_eq!(spread, ["10.0.0.1", "eth0", "10.0.0.1"]);
        assert_eq!(from(0, "[::2]:80").as_deref(), Some("::1"));
        assert_eq!(Route::default().source(0, &"1.1.1.1:80".parse().unwrap()), None);
    }

    #[test]
    fn malformed_rules_are_usage_errors() {
        for text in ["", "h", "h:80", "h:80:", "h:x:1.1.1.1", "h:0:1.1.1.1", "h:80:name", ":80:::1"]
        {
            assert_eq!(text.parse::<Resolve>().unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
        for text in
            ["", "a", "a:80", "a:80:b", "a:x:b:81", "a:80:b:99999", "a:80:b c:81", "[a:1:b:2"]
        {
            assert_eq!(text.parse::<ConnectTo>().unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
        for text in ["", "a/b", "a b", "far-too-long-a-name"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
