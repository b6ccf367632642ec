//! SOCKS5 (RFC 1928) with user and password (RFC 1929).
//!
//! States: methods offered -> (user and password sent ->) request sent -> done. Every answer is
//! short, and nothing follows it before the next message of ours.

use super::step::{Step, garbled, surplus};
use crate::base::host::HostPort;
use crate::base::url::Credentials;
use crate::base::{Error, ErrorKind, Result};
use std::fmt;
use std::net::IpAddr;

const VERSION: u8 = 5;
/// Of the sub-negotiation of RFC 1929.
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;

const METHOD_NONE: u8 = 0;
const METHOD_LOGIN: u8 = 2;
const METHOD_REFUSED: u8 = 0xff;

const ADDRESS_V4: u8 = 1;
const ADDRESS_NAME: u8 = 3;
const ADDRESS_V6: u8 = 4;

/// What a name, a user or a password may have: its length is one byte.
const TEXT_BYTES_MAX: usize = 255;

/// The talk with a SOCKS5 proxy.
pub(super) struct Socks5 {
    target: HostPort,
    request: Vec<u8>,
    /// User and password as they are sent.
    login: Option<Vec<u8>>,
    awaited: Awaited,
    reply: Vec<u8>,
}

/// Which answer is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Method,
    Login,
    Reply,
}

impl Socks5 {
    /// `address` is what the target's host is, or is known to have.
    pub(super) fn new(
        target: &HostPort,
        address: Option<IpAddr>,
        credentials: Option<&Credentials>,
    ) -> Result<Self> {
        let mut request = vec![VERSION, CONNECT, 0];
        match address {
            Some(IpAddr::V4(address)) => {
                request.push(ADDRESS_V4);
                request.extend(address.octets());
            }
            Some(IpAddr::V6(address)) => {
                request.push(ADDRESS_V6);
                request.extend(address.octets());
            }
            None => {
                request.push(ADDRESS_NAME);
                request.extend(counted(target.host.as_bytes(), "a host")?);
            }
        }
        request.extend(target.port.to_be_bytes());
        let login = credentials.map(login).transpose()?;
        let (awaited, reply) = (Awaited::Method, Vec::new());
        Ok(Self { target: target.clone(), request, login, awaited, reply })
    }

    pub(super) fn begin(&self) -> Vec<u8> {
        match self.login {
            Some(_) => vec![VERSION, 2, METHOD_NONE, METHOD_LOGIN],
            None => vec![VERSION, 1, METHOD_NONE],
        }
    }

    pub(super) fn on_received(&mut self, received: &[u8], name: &str) -> Result<Step> {
        let mut rest = received;
        while let Some(missing) = self.missing().filter(|_| !rest.is_empty()) {
            let (taken, behind) = rest.split_at(rest.len().min(missing));
            self.reply.extend(taken);
            self.check_version(name)?;
            rest = behind;
        }
        if self.missing().is_some() {
            return Ok(Step::Receive);
        }
        let step = self.on_answer(name)?;
        if rest.is_empty() { Ok(step) } else { Err(surplus(name)) }
    }

    /// The awaited answer is whole.
    fn on_answer(&mut self, name: &str) -> Result<Step> {
        let reply = std::mem::take(&mut self.reply);
        match self.awaited {
            Awaited::Method => self.on_method(reply[1], name),
            Awaited::Login if reply[1] == 0 => {
                self.awaited = Awaited::Reply;
                Ok(Step::Send(self.request.clone()))
            }
            Awaited::Login => Err(Error::new(
                ErrorKind::ProxyRefused,
                format!("{name} does not take these credentials"),
            )
            .advise("check them: --proxy-user USER:PASSWORD")),
            Awaited::Reply if reply[1] == 0 => match reply[3] {
                ADDRESS_V4 | ADDRESS_NAME | ADDRESS_V6 => Ok(Step::Done),
                _ => Err(garbled(name, "gives an address of a kind that SOCKS5 does not know")),
            },
            Awaited::Reply => Err(self.refusal(reply[1], name)),
        }
    }

    /// Bytes that the awaited answer still lacks, as far as its start tells; `None`: it is whole.
    fn missing(&self) -> Option<usize> {
        let bytes = match (self.awaited, self.reply.as_slice()) {
            (Awaited::Method | Awaited::Login, _) => 2,
            (Awaited::Reply, [_, _, _, ADDRESS_V4, ..]) => 4 + 4 + 2,
            (Awaited::Reply, [_, _, _, ADDRESS_V6, ..]) => 4 + 16 + 2,
            (Awaited::Reply, [_, _, _, ADDRESS_NAME, length, ..]) => 5 + usize::from(*length) + 2,
            (Awaited::Reply, [_, _, _, ADDRESS_NAME]) => 5,
            // Of a refusal the address does not matter, and some servers send none.
            (Awaited::Reply, _) => 4,
        };
        bytes.checked_sub(self.reply.len()).filter(|missing| *missing > 0)
    }

    fn check_version(&self, name: &str) -> Result<()> {
        // The version of the login is not looked at: servers send 5, too.
        let is_ours = self.awaited == Awaited::Login || self.reply[0] == VERSION;
        if is_ours { Ok(()) } else { Err(garbled(name, "does not speak SOCKS5")) }
    }

    fn on_method(&mut self, method: u8, name: &str) -> Result<Step> {
        match (method, &self.login) {
            (METHOD_NONE, _) => {
                self.awaited = Awaited::Reply;
                Ok(Step::Send(self.request.clone()))
            }
            (METHOD_LOGIN, Some(login)) => {
                self.awaited = Awaited::Login;
                Ok(Step::Send(login.clone()))
            }
            (METHOD_REFUSED, None) => {
                let what = format!("{name} asks for credentials");
                Err(Error::new(ErrorKind::ProxyRefused, what)
                    .advise("give them with --proxy-user USER:PASSWORD"))
            }
            (METHOD_REFUSED, Some(_)) => {
                let what = format!("{name} takes neither user and password nor nobody");
                Err(Error::new(ErrorKind::ProxyRefused, what))
            }
            _ => Err(garbled(name, "chose a method that was not offered")),
        }
    }

    /// The meaning of a reply (RFC 1928 section 6).
    fn refusal(&self, code: u8, name: &str) -> Error {
        let target = &self.target;
        let cannot = |why: &str| {
            Error::new(ErrorKind::Connect, format!("{name} cannot connect to {target}: {why}"))
                .advise("check host and port of the URL")
        };
        let refuses = |why: &str| {
            let what = format!("{name} refuses to connect to {target}: {why}");
            Error::new(ErrorKind::ProxyRefused, what)
        };
        match code {
            1 => cannot("it failed"),
            2 => refuses("its rules do not allow it"),
            3 => cannot("the network is unreachable"),
            4 => cannot("the host is unreachable or unknown"),
            5 => cannot("the connection was refused"),
            6 => cannot("the way is too long (TTL expired)"),
            7 => refuses("it does not know the command CONNECT"),
            8 => refuses("it does not take such addresses")
                .advise("let it resolve names with socks5h://, or do it here with socks5://"),
            other => cannot(&format!("reply {other}")),
        }
    }
}

impl fmt::Debug for Socks5 {
    /// Without the login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Socks5");
        debug.field("target", &self.target).field("awaited", &self.awaited);
        debug.finish_non_exhaustive()
    }
}

fn login(credentials: &Credentials) -> Result<Vec<u8>> {
    let mut message = vec![LOGIN_VERSION];
    message.extend(counted(&credentials.user, "a user name")?);
    message.extend(counted(&credentials.password, "a password")?);
    Ok(message)
}

/// The text behind its length. RFC 1929 wants one byte at least; servers take none, too.
fn counted(text: &[u8], what: &str) -> Result<Vec<u8>> {
    let length = u8::try_from(text.len()).map_err(|_| {
        let what = format!("SOCKS5 cannot carry {what} of more than {TEXT_BYTES_MAX} bytes");
        Error::new(ErrorKind::Usage, what)
    })?;
    Ok([&[length], text].concat())
}
