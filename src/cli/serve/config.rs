//! From options to servers: what each serves, what is wrong with it, and what they say of each
//! other. Has no effects but the start of the servers and the lines of the access log.

use crate::base::Result;
use crate::cli::args::ServeArgs;
use crate::cli::args::faults::{FaultArgs, FaultKind, FaultWord, Redirect};
use crate::cli::args::ports::PortArgs;
use crate::server::{
    self, AccessLog, CertificateFiles, Config, DigestField, EntityTag, Fault, Metalink, Mirror,
    Paths, Pieces, Rule, Server, TlsConfig, When,
};

use std::io::Write;
use std::net::SocketAddr;
use std::ops::Range;

/// The servers that the options describe, in the order of their numbers.
pub(super) fn each(args: &ServeArgs) -> Vec<Config> {
    (0..).zip(&args.each).map(|(index, port)| config(args, index, port)).collect()
}

/// Starts these servers.
pub(super) fn start(args: &ServeArgs, configs: Vec<Config>) -> Result<Vec<Server>> {
    let listeners = configs.iter().map(|config| server::bind(config.address));
    let listeners = listeners.collect::<Result<Vec<_>>>()?;
    let roots = configs.iter().zip(&listeners).map(|(config, listener)| {
        let address = listener.local_addr().unwrap_or(config.address);
        config.root(address)
    });
    let roots: Vec<String> = roots.collect();
    let metalink = args.metalink.metalink.then(|| metalink(args, &roots));
    let started = listeners.into_iter().zip(configs).zip(&args.each);
    let started = started.map(|((listener, mut config), port)| {
        config.metalink.clone_from(&metalink);
        let root = port.faults.redirect.as_ref().map(|redirect| match redirect {
            Redirect::Port(number) => roots[number - 1].clone(),
            Redirect::Root(root) => root.clone(),
        });
        config.script.extend(root.map(|root| Rule::new(When::All, Fault::RedirectToRoot(root))));
        Server::start_on(listener, config)
    });
    started.collect()
}

fn config(args: &ServeArgs, index: u16, port: &PortArgs) -> Config {
    let mut address = args.listen;
    if address.port() > 0 {
        address.set_port(address.port() + index);
    }
    let address = port.listen.unwrap_or(address);
    let folder = match args.size {
        Some(_) => None,
        None => Some(args.dir.clone().unwrap_or_else(|| ".".into())),
    };
    let size_bytes = port.size.unwrap_or(0);
    Config {
        address,
        folder,
        browsable: true,
        access_log: args.verbose.then(|| AccessLog::new(write_line)),
        paths: match args.files {
            Some(count) => Paths::Numbered(count),
            None if args.by_path => Paths::Distinct,
            None => Paths::Alike,
        },
        size_bytes_max: args.size_max,
        digests: digests(args),
        tls: tls(args, address),
        shape: port.shape.shape(port.seed),
        script: script(args, &port.faults, port.seed, size_bytes),
        etag: port.faults.etag.as_ref().map_or(EntityTag::FromContent, |tag| tag.0.clone()),
        ..Config::new(port.seed, size_bytes)
    }
}

/// RFC 6249 4 asks for a digest beside the links.
fn digests(args: &ServeArgs) -> Vec<DigestField> {
    if args.digests.is_empty() && args.metalink.metalink {
        return vec![DigestField::ReprDigestSha256, DigestField::DigestSha256];
    }
    args.digests.iter().map(|digest| (*digest).into()).collect()
}

fn metalink(args: &ServeArgs, roots: &[String]) -> Metalink {
    let is_mirror = |port: &PortArgs| {
        // One that leads to the mirrors, as mirrorbits does, is none itself.
        port.faults.redirect.is_none() || port.mirror.priority.is_some()
    };
    let servers = (1..).zip(roots.iter().zip(&args.each));
    let mirrors = servers.filter(|(_, (_, port))| is_mirror(port));
    let mirrors = mirrors.map(|(number, (root, port))| Mirror {
        root: root.clone(),
        priority: port.mirror.priority.unwrap_or(number),
        location: port.mirror.geo.clone(),
    });
    let pieces =
        Pieces { bytes: args.metalink.piece_length, hash: args.metalink.piece_hash.into() };
    Metalink {
        pieces: Some(pieces).filter(|pieces| pieces.bytes > 0),
        links: args.metalink.links.into(),
        host_of_request: args.listen.ip().is_unspecified(),
        ..Metalink::new(mirrors.collect())
    }
}

fn script(args: &ServeArgs, faults: &FaultArgs, seed: u64, size_bytes: u64) -> Vec<Rule> {
    let fault = |FaultWord { what, after_bytes, times }: &FaultWord| {
        let when = match after_bytes {
            0 => When::All,
            bytes => When::FromBodyBytes(*bytes),
        };
        let what = match what {
            FaultKind::Reset => Fault::ServerGone,
            FaultKind::Silence => Fault::ServerSilent,
            FaultKind::Unreachable => Fault::ServerUnreachable,
            FaultKind::Status(code) => {
                let body = b"as --fault says\n".to_vec();
                Fault::Status { code: *code, headers: Vec::new(), body }
            }
            FaultKind::Etag => Fault::ETag("\"changed\"".to_owned()),
            FaultKind::Size => Fault::Replaced { seed, size_bytes: size_bytes.saturating_add(1) },
            FaultKind::Content => Fault::Replaced { seed: !seed, size_bytes },
        };
        Rule { when, what, times: *times }
    };
    let corrupt = |part: &Range<u64>| Rule::new(When::All, Fault::FlipBytes(part.clone()));
    let gates = args.gates.faults().into_iter().map(|gate| Rule::new(When::All, gate));
    let wrong = faults.fault.iter().map(fault).chain(faults.corrupt.iter().map(corrupt));
    gates.chain(wrong).collect()
}

/// To standard error. Nobody may be reading, and the clients do not care.
fn write_line(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn tls(args: &ServeArgs, address: SocketAddr) -> Option<TlsConfig> {
    let files = args.cert.clone().zip(args.key.clone());
    let files = files.map(|(certificate, key)| CertificateFiles { certificate, key });
    let client_authority = args.client_ca.clone();
    let is_wished = args.tls || client_authority.is_some();
    let is_made = is_wished || args.cert_out.is_some() || !args.name.is_empty();
    let mut tls = (is_made || files.is_some()).then(TlsConfig::default)?;
    if !address.ip().is_unspecified() {
        tls.names.push(address.ip().to_string());
    }
    tls.names.extend(args.name.iter().cloned());
    Some(TlsConfig { files, client_authority, ..tls })
}
