//! What is said to a proxy until the way to the origin is open, whatever it speaks.
//!
//! States: not begun -> under way -> done. Nobody but the proxy speaks before that, and it says
//! nothing unasked: a byte behind an answer is an error.

use super::address::{Protocol, Proxy};
use super::connect::Connect;
use super::socks4::Socks4;
use super::socks5::Socks5;
use super::step::{Step, surplus};
use crate::base::host::HostPort;
use crate::base::{Error, ErrorKind, Result};
use std::net::IpAddr;

/// The talk with one proxy, seen from the client. After an error the connection is of no use.
#[derive(Debug)]
pub struct Handshake {
    /// What the proxy is called in messages.
    name: String,
    talk: Talk,
}

#[derive(Debug)]
enum Talk {
    Connect(Connect),
    Socks4(Socks4),
    Socks5(Socks5),
}

impl Handshake {
    /// Has `proxy` connect to `target`. A proxy that [wants addresses](Proxy::wants_addresses) gets
    /// `address`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for what the proxy's protocol cannot carry.
    pub fn new(proxy: &Proxy, target: &HostPort, address: Option<IpAddr>) -> Result<Self> {
        let name = format!("the proxy {}", proxy.address());
        let credentials = proxy.credentials();
        let literal = target.host.parse().ok();
        let talk = match proxy.protocol() {
            Protocol::Http | Protocol::Https => {
                Talk::Connect(Connect::new(target, credentials, &name)?)
            }
            Protocol::Socks4a => Talk::Socks4(Socks4::new(target, literal, credentials)?),
            Protocol::Socks5 | Protocol::Socks5h => {
                Talk::Socks5(Socks5::new(target, literal.or(address), credentials)?)
            }
        };
        Ok(Self { name, talk })
    }

    /// What is sent first.
    pub fn begin(&self) -> Vec<u8> {
        match &self.talk {
            Talk::Connect(connect) => connect.begin(),
            Talk::Socks4(socks) => socks.begin(),
            Talk::Socks5(socks) => socks.begin(),
        }
    }

    /// Takes all bytes received since the last call.
    ///
    /// # Errors
    /// [`ErrorKind::ProxyRefused`] if the proxy does not let us; [`ErrorKind::Connect`] if it
    /// cannot reach the target; [`ErrorKind::Protocol`] if it speaks something else.
    pub fn on_received(&mut self, received: &[u8]) -> Result<Step> {
        let name = &self.name;
        match &mut self.talk {
            Talk::Connect(connect) => connect.on_received(received, name),
            Talk::Socks4(socks) => socks.on_received(received, name),
            Talk::Socks5(socks) => socks.on_received(received, name),
        }
    }

    /// The error of a proxy that has said more than it was asked.
    pub fn on_surplus(&self) -> Error {
        surplus(&self.name)
    }

    /// The error of a proxy that closes the connection before it is done.
    pub fn on_eof(&self) -> Error {
        let what = format!("{} closed the connection instead of answering", self.name);
        Error::new(ErrorKind::ConnectionLost, what)
            .advise("check that it speaks what its URL says, and that it may connect there")
    }
}
