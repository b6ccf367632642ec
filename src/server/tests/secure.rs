//! The server over TLS, seen by a rustls client written here.

use super::{SEED, SIZE, get, read_reply, read_rest, server, split_head};
use crate::server::{Config, Fault, Server, TlsConfig, TlsVersion, When, content};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

pub(super) type Client = StreamOwned<ClientConnection, TcpStream>;

pub(super) fn trust(server: &Server) -> Arc<ClientConfig> {
    let pem = server.certificate_pem().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

pub(super) fn connect(server: &Server, config: &Arc<ClientConfig>, name: &'static str) -> Client {
    let name = ServerName::try_from(name).unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    StreamOwned::new(connection, socket)
}

fn secure(versions: &[TlsVersion]) -> Config {
    let tls = TlsConfig { versions: versions.to_vec(), ..TlsConfig::default() };
    Config { tls: Some(tls), ..Config::new(SEED, SIZE) }
}

#[test]
fn both_versions_keep_alive_and_resume() {
    for (version, expected) in
        [(TlsVersion::V1_2, ProtocolVersion::TLSv1_2), (TlsVersion::V1_3, ProtocolVersion::TLSv1_3)]
    {
        let server = server(secure(&[version]));
        assert!(server.url("/").starts_with("https://127.0.0.1:"));
        let config = trust(&server);
        for name in ["localhost", "localhost", "127.0.0.1", "::1"] {
            let mut client = connect(&server, &config, name);
            for _ in 0..2 {
                client.write_all(get("5-90004", "").as_bytes()).unwrap();
                read_reply(&mut client, true).expect_content(5, 90_000);
            }
            assert_eq!(client.conn.protocol_version(), Some(expected));
            assert_eq!(client.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        }
        let stats = server.stats();
        assert_eq!((stats.connections, stats.requests, stats.tls_resumed), (4, 8, 1));
        assert_eq!(stats.body_bytes, 8 * 90_000);
    }
}

#[test]
fn a_short_body_with_and_without_close_notify() {
    for (close_notify, is_orderly) in [(true, true), (false, false)] {
        let config = Config::new_tls(SEED, SIZE)
            .rule(When::All, Fault::CloseAfter { bytes: 50_000, close_notify });
        let server = server(config);
        let mut client = connect(&server, &trust(&server), "localhost");
        client.write_all(get("0-", "").as_bytes()).unwrap();
        let (bytes, end) = read_rest(&mut client);
        let body = split_head(&bytes).1;
        assert_eq!((body.len(), content::verify(SEED, 0, body)), (50_000, Ok(())));
        assert_eq!(end.is_ok(), is_orderly);
        if let Err(e) = end {
            assert_eq!(e.kind(), ErrorKind::UnexpectedEof);
        }
    }
}

#[test]
fn a_reset_and_a_stall_inside_tls() {
    let config = Config::new_tls(SEED, SIZE)
        .rule(When::Connection(1), Fault::ResetAfter(40_000))
        .rule(When::Connection(2), Fault::StallAfter(40_000));
    let mut server = server(config);
    let config = trust(&server);
    let mut client = connect(&server, &config, "localhost");
    client.write_all(get("0-", "").as_bytes()).unwrap();
    let (bytes, end) = read_rest(&mut client);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(split_head(&bytes).1.len(), 40_000);
    let mut client = connect(&server, &config, "localhost");
    client.write_all(get("0-", "").as_bytes()).unwrap();
    super::read_head(&mut client);
    server.stop();
    assert_eq!(server.stats().connections_live, 0);
}

#[test]
fn names_and_versions_are_checked() {
    let tls = TlsConfig { names: vec!["other.example".into()], ..TlsConfig::default() };
    let server = server(Config { tls: Some(tls), ..Config::new(SEED, SIZE) });
    let mut client = connect(&server, &trust(&server), "localhost");
    let error = client.write_all(get("0-", "").as_bytes()).unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
    assert!(Server::start(secure(&[])).is_err());
}
