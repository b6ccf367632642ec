//! SOCKS4a: SOCKS4 with a name in the place of the address.
//!
//! States: one request -> one reply of 8 bytes. The password of credentials is not sent, as the
//! protocol knows a user only.

use super::step::{Step, garbled, surplus};
use crate::base::host::HostPort;
use crate::base::url::Credentials;
use crate::base::{Error, ErrorKind, Result};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
/// An address that no host has says that a name follows.
const NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);
const REPLY_BYTES: usize = 8;
const GRANTED: u8 = 90;
/// Longest user or name: SOCKS5 allows no more, and servers have buffers of this size.
const TEXT_BYTES_MAX: usize = 255;

/// A request and its reply.
pub(super) struct Socks4 {
    target: HostPort,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Socks4 {
    /// `literal` is the target's host, if that is an address.
    pub(super) fn new(
        target: &HostPort,
        literal: Option<IpAddr>,
        credentials: Option<&Credentials>,
    ) -> Result<Self> {
        let user = credentials.map_or(&[][..], |credentials| &credentials.user);
        let [high, low] = target.port.to_be_bytes();
        let mut request = vec![VERSION, CONNECT, high, low];
        let name = match literal {
            Some(IpAddr::V4(address)) => {
                request.extend(address.octets());
                None
            }
            Some(IpAddr::V6(_)) => {
                return Err(unable("an IPv6 address").advise("use socks5:// instead"));
            }
            None => {
                request.extend(NAME_FOLLOWS.octets());
                Some(target.host.as_bytes())
            }
        };
        for text in [Some(user), name].into_iter().flatten() {
            if text.len() > TEXT_BYTES_MAX || text.contains(&0) {
                return Err(unable("a zero byte, or a user or host of more than 255 bytes"));
            }
            request.extend(text);
            request.push(0);
        }
        Ok(Self { target: target.clone(), request, reply: Vec::new() })
    }

    pub(super) fn begin(&self) -> Vec<u8> {
        self.request.clone()
    }

    pub(super) fn on_received(&mut self, received: &[u8], name: &str) -> Result<Step> {
        let missing = REPLY_BYTES - self.reply.len();
        let (taken, rest) = received.split_at(received.len().min(missing));
        self.reply.extend(taken);
        if self.reply.first().is_some_and(|version| *version != 0) {
            return Err(garbled(name, "does not speak SOCKS4"));
        }
        if self.reply.len() < REPLY_BYTES {
            return Ok(Step::Receive);
        }
        let target = &self.target;
        match self.reply[1] {
            GRANTED if rest.is_empty() => Ok(Step::Done),
            GRANTED => Err(surplus(name)),
            // It does not say which of the two.
            91 => Err(Error::new(
                ErrorKind::Connect,
                format!("{name} refuses to connect to {target}, or cannot"),
            )),
            92 | 93 => Err(Error::new(
                ErrorKind::ProxyRefused,
                format!("{name} wants an identd that vouches for the user"),
            )),
            _ => Err(garbled(name, "gives a reply that SOCKS4 does not know")),
        }
    }
}

impl fmt::Debug for Socks4 {
    /// Without the request, which holds the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks4").field("target", &self.target).finish_non_exhaustive()
    }
}

fn unable(what: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("SOCKS4a cannot carry {what}"))
}
