//! Sessions against rustls's buffered server, in memory.

#![allow(clippy::cast_possible_truncation, reason = "test data is small, or cut on purpose")]

use super::*;
use crate::tls::{PemFile, TrustOptions};
use proptest::prelude::*;
use rcgen::{CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};

/// An authority, its PEM file, and what it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
});

static TLS13_SERVER: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| server(&TLS13, |_| {}));
static TLS12_SERVER: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| server(&TLS12, |_| {}));

fn server(
    version: &'static SupportedProtocolVersion,
    adjust: impl FnOnce(&mut CertificateParams),
) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let names = ["files.test", "*.mirror.test", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names).unwrap();
    adjust(&mut params);
    let leaf = params.signed_by(&key, &AUTHORITY.issuer).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_protocol_versions(&[version])
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A client configuration that trusts the authority.
fn trusting() -> TlsConfig {
    let pem = PemFile { name: "ca.pem".into(), pem: AUTHORITY.pem.clone().into_bytes() };
    TlsConfig::new(&TrustOptions { extra_roots: vec![pem], ..TrustOptions::default() }).unwrap()
}

static TRUSTING: LazyLock<TlsConfig> = LazyLock::new(trusting);

/// A session and its server, with the wire between them.
struct Link {
    client: Session,
    server: ServerConnection,
    /// Sent by the server, not yet delivered.
    wire: Vec<u8>,
    /// Delivered, not yet consumed.
    staging: Vec<u8>,
    /// Plaintext the client has received.
    received: Vec<u8>,
    /// Plaintext the server has received.
    asked: Vec<u8>,
    output: Vec<u8>,
}

impl Link {
    fn new(config: &TlsConfig, host: &str, server: &Arc<ServerConfig>) -> Self {
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        server.set_buffer_limit(None);
        Self {
            client: Session::new(config, host).unwrap(),
            server,
            wire: Vec::new(),
            staging: Vec::new(),
            received: Vec::new(),
            asked: Vec::new(),
            output: vec![0; 20_000],
        }
    }

    /// Moves everything until nothing moves; the wire brings `piece(waiting)` bytes at a time.
    fn settle_by(&mut self, mut piece: impl FnMut(usize) -> usize) -> Result<()> {
        loop {
            let result = self.pump_dry();
            let flight = self.client.take_outgoing();
            self.deliver_to_server(&flight);
            result?;
            self.collect_from_server();
            if self.wire.is_empty() {
                return Ok(());
            }
            let bytes = piece(self.wire.len()).clamp(1, self.wire.len());
            self.staging.extend(self.wire.drain(..bytes));
        }
    }

    fn settle(&mut self) -> Result<()> {
        self.settle_by(|waiting| waiting)
    }

    fn pump_dry(&mut self) -> Result<()> {
        loop {
            let pump = self.client.pump(&mut self.staging, &mut self.output)?;
            assert!(self.client.pending_plaintext() <= 16_384);
            self.received.extend_from_slice(&self.output[..pump.produced]);
            self.staging.drain(..pump.consumed);
            if pump.needs_input || self.client.peer_closed() && pump.produced == 0 {
                assert_eq!(self.client.pending_plaintext(), 0);
                return Ok(());
            }
        }
    }

    fn deliver_to_server(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.server.read_tls(&mut bytes).unwrap();
            // What the server thinks of it is seen in what it sends, or asked for by the test.
            let _ = self.server.process_new_packets();
            let _ = self.server.reader().read_to_end(&mut self.asked);
        }
    }

    fn collect_from_server(&mut self) {
        while self.server.wants_write() {
            self.server.write_tls(&mut self.wire).unwrap();
        }
    }

    fn request(&mut self, text: &[u8]) {
        let mut out = Vec::new();
        self.client.encrypt(text, &mut out).unwrap();
        self.deliver_to_server(&out);
    }

    fn at_server(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.asked)
    }
}

fn both_servers() -> [(&'static str, &'static Arc<ServerConfig>); 2] {
    [("TLS 1.3", &*TLS13_SERVER), ("TLS 1.2", &*TLS12_SERVER)]
}

/// xorshift64: reproducible from the seed that the assertion names.
fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed | 1;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    }
}

fn exchange(link: &mut Link, mut piece: impl FnMut(usize) -> usize) {
    link.settle_by(&mut piece).unwrap();
    link.request(b"GET / HTTP/1.1");
    assert_eq!(link.at_server(), b"GET / HTTP/1.1");
    link.server.writer().write_all(b"HTTP/1.1 200 OK").unwrap();
    link.server.send_close_notify();
    link.settle_by(&mut piece).unwrap();
    assert_eq!(link.received, b"HTTP/1.1 200 OK");
    assert!(link.client.peer_closed());
}

#[test]
fn handshake_and_exchange_in_both_versions() {
    for (version, server) in both_servers() {
        let mut link = Link::new(&TRUSTING, "files.test", server);
        assert!(link.client.is_handshaking() && link.client.info().is_none());
        exchange(&mut link, |waiting| waiting);
        let info = link.client.info().unwrap();
        assert_eq!(info.version, version);
        assert!(info.cipher.contains("AES_128_GCM_SHA256"), "{info:?}");
        assert_eq!(info.alpn.as_deref(), Some("http/1.1"));
        let mut farewell = Vec::new();
        link.client.close_notify(&mut farewell);
        assert!(!farewell.is_empty());
        link.deliver_to_server(&farewell);
        assert!(link.server.process_new_packets().unwrap().peer_has_closed());
        farewell.clear();
        link.client.close_notify(&mut farewell);
        assert!(farewell.is_empty(), "said once");
        let pump = link.client.pump(&mut [0xff; 9], &mut []).unwrap();
        assert_eq!(pump, Pump { consumed: 9, produced: 0, needs_input: false });
        assert!(link.client.encrypt(b"x", &mut farewell).is_err());
    }
}

#[test]
fn names_wildcards_and_addresses_are_verified() {
    for host in ["files.test", "FILES.test", "a.mirror.test", "127.0.0.1", "::1"] {
        Link::new(&TRUSTING, host, &TLS13_SERVER)
            .settle()
            .unwrap_or_else(|e| panic!("{host}: {e}"));
    }
    for host in ["", "a b", "-", "[::1]", "x/y"] {
        assert_eq!(Session::new(&TRUSTING, host).unwrap_err().kind(), ErrorKind::Usage, "{host}");
    }
}

#[test]
fn byte_by_byte() {
    for (_, server) in both_servers() {
        exchange(&mut Link::new(&trusting(), "files.test", server), |_| 1);
    }
}

#[test]
fn cut_at_each_byte_boundary() {
    for (version, server) in both_servers() {
        // One cut at `cut`; returns how many bytes the server sent in all.
        let run = |cut: usize| {
            let mut position = 0;
            // Its own configuration, or the handshake would be resumed.
            exchange(&mut Link::new(&trusting(), "files.test", server), |waiting| {
                let piece = if position < cut { waiting.min(cut - position) } else { waiting };
                position += piece;
                piece
            });
            position
        };
        let total = run(usize::MAX);
        assert!(total > 700, "{version}: {total}");
        for cut in 1..total {
            run(cut);
        }
    }
}

#[test]
fn records_of_any_size_even_inside_handshake_messages() {
    for (_, server) in both_servers() {
        let mut small = ServerConfig::clone(server);
        small.max_fragment_size = Some(37);
        let small = Arc::new(small);
        for piece in [1, 7, 40, usize::MAX] {
            exchange(&mut Link::new(&trusting(), "files.test", &small), |_| piece);
        }
    }
}

/// A ticket cut in the middle stays in the caller's buffer, half read by rustls: a request sent at
/// that moment must not disturb it.
#[test]
fn requests_go_out_between_the_pieces_of_a_ticket() {
    let mut small = ServerConfig::clone(&TLS13_SERVER);
    small.max_fragment_size = Some(37);
    let config = trusting();
    let mut link = Link::new(&config, "files.test", &Arc::new(small.clone()));
    let mut held_seen = 0;
    while link.client.is_handshaking() || !link.wire.is_empty() {
        link.pump_dry().unwrap();
        let flight = link.client.take_outgoing();
        link.deliver_to_server(&flight);
        link.collect_from_server();
        if !link.client.is_handshaking() && !link.server.is_handshaking() {
            held_seen += usize::from(link.client.held_bytes > 0);
            link.request(b"x");
            assert_eq!(link.at_server(), b"x");
        }
        let bytes = link.wire.len().min(20);
        link.staging.extend(link.wire.drain(..bytes));
    }
    assert!(held_seen > 3, "{held_seen}");
    link.settle().unwrap();
    let mut next = Link::new(&config, "files.test", &Arc::new(small));
    next.settle().unwrap();
    assert!(next.client.info().unwrap().resumed, "the tickets arrived whole");
}

#[test]
fn a_body_arrives_equal_whatever_the_cuts_and_the_room() {
    let body: Vec<u8> =
        (0..4u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (seed, server) in [(1, &*TLS13_SERVER), (2, &*TLS12_SERVER), (3, &*TLS13_SERVER)] {
        let mut random = random(seed);
        let mut link = Link::new(&TRUSTING, "files.test", server);
        link.settle().unwrap();
        link.server.writer().write_all(&body).unwrap();
        link.collect_from_server();
        let mut wire = std::mem::take(&mut link.wire);
        let (mut start, mut end) = (0, 0);
        let mut output = vec![0; 70_000];
        while link.received.len() < body.len() {
            // Sometimes a whole batch of records, sometimes a few bytes.
            let piece = if random(2) == 0 { random(100) } else { random(150_000) };
            end = (end + piece).min(wire.len());
            let room = if random(4) == 0 { random(64) } else { random(70_000) };
            let pump = link.client.pump(&mut wire[start..end], &mut output[..room]).unwrap();
            start += pump.consumed;
            link.received.extend_from_slice(&output[..pump.produced]);
            assert!(link.client.pending_plaintext() <= 16_384, "seed {seed}");
            assert!(pump.produced == room || pump.needs_input, "seed {seed}: {pump:?} of {room}");
        }
        assert!(link.received == body, "seed {seed}");
        assert_eq!(start, wire.len());
        assert!(!link.client.peer_closed(), "no close_notify was sent");
    }
}

#[test]
fn one_configuration_resumes_its_sessions() {
    for (version, server) in both_servers() {
        let config = trusting();
        let mut resumed = Vec::new();
        for _ in 0..2 {
            let mut link = Link::new(&config, "files.test", server);
            link.settle().unwrap();
            resumed.push(link.client.info().unwrap().resumed);
        }
        assert_eq!(resumed, [false, true], "{version}");
        let mut other = Link::new(&trusting(), "files.test", server);
        other.settle().unwrap();
        assert!(!other.client.info().unwrap().resumed, "tickets belong to one configuration");
    }
}

/// The error of a handshake that must fail; the server must have been told by an alert.
fn refusal(config: &TlsConfig, host: &str, server: &Arc<ServerConfig>) -> Error {
    let mut link = Link::new(config, host, server);
    let error = link.settle().unwrap_err();
    let told = link.server.process_new_packets();
    assert!(matches!(told, Err(rustls::Error::AlertReceived(_))), "{told:?}");
    let again = link.client.pump(&mut [], &mut []).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Tls);
    error
}

#[test]
fn untrusted_certificates_are_refused_in_words() {
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    };
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(3000, 1, 1);
    let nobody = TlsConfig::new(&TrustOptions::default()).unwrap();
    for (version, good) in [(&TLS13, &*TLS13_SERVER), (&TLS12, &*TLS12_SERVER)] {
        for (error, words) in [
            (refusal(&nobody, "files.test", good), "is not signed by a known authority"),
            (
                refusal(&TRUSTING, "wrong.test", good),
                "of wrong.test is for files.test, *.mirror.test, 127.0.0.1, ",
            ),
            (refusal(&TRUSTING, "files.test", &server(version, expired)), "days ago"),
            (refusal(&TRUSTING, "files.test", &server(version, early)), "becomes valid in"),
        ] {
            assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        let options = TrustOptions { insecure: true, ..TrustOptions::default() };
        let anybody = TlsConfig::new(&options).unwrap();
        Link::new(&anybody, "wrong.test", &server(version, expired)).settle().unwrap();
    }
}

/// A server whose certificate is one thing and whose key another: `insecure` is no excuse.
#[test]
fn insecure_still_verifies_the_handshake() {
    let options = TrustOptions { insecure: true, ..TrustOptions::default() };
    let anybody = TlsConfig::new(&options).unwrap();
    for version in [&TLS13, &TLS12] {
        let leaf = rcgen::generate_simple_self_signed(vec!["h".to_owned()]).unwrap().cert;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let other = PrivateKeyDer::Pkcs8(KeyPair::generate().unwrap().serialize_der().into());
        let key = provider.key_provider.load_private_key(other).unwrap();
        let chosen = rustls::sign::CertifiedKey::new(vec![leaf.der().clone()], key);
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(chosen)));
        let error = refusal(&anybody, "h", &Arc::new(config));
        assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
    }
}

#[test]
fn alerts_of_the_server_are_named() {
    let mut config = ServerConfig::clone(&TLS13_SERVER);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let error = Link::new(&TRUSTING, "files.test", &Arc::new(config)).settle().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.to_string().contains("'no_application_protocol'"), "{error}");
}

#[test]
fn a_port_without_tls_is_called_that() {
    let answers: [(&[u8], &str); 2] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "h does not speak TLS, it answers plain HTTP ("),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "h does not speak TLS ("),
    ];
    for (answer, words) in answers {
        for cut in 0..answer.len() {
            let mut session = Session::new(&TRUSTING, "h").unwrap();
            let mut input = answer.to_vec();
            let first = session.pump(&mut input[..cut], &mut []);
            assert_eq!(first.is_err(), cut >= RECORD_HEADER_BYTES, "{cut}");
            let error = first.err().or_else(|| session.pump(&mut input, &mut []).err()).unwrap();
            assert_eq!(error.kind(), ErrorKind::Tls);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

#[test]
fn an_endless_handshake_message_does_not_hang_the_caller() {
    let mut session = Session::new(&TRUSTING, "h").unwrap();
    // A ServerHello of almost 64 KiB that comes in crumbs.
    let mut input = vec![22, 3, 3, 0, 4, 2, 0, 0xff, 0xf0];
    while input.len() < TLS_STAGING_BYTES_MIN {
        input.extend_from_slice(&[22, 3, 3, 0, 1, 0]);
    }
    let error = session.pump(&mut input, &mut []).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.to_string().contains("handshake message"), "{error}");
}

#[test]
fn closing_is_seen_even_with_bytes_behind_it() {
    let mut link = Link::new(&TRUSTING, "files.test", &TLS13_SERVER);
    link.settle().unwrap();
    link.server.writer().write_all(b"last").unwrap();
    link.server.send_close_notify();
    link.collect_from_server();
    let mut input = std::mem::take(&mut link.wire);
    input.extend_from_slice(b"behind");
    let mut output = [0; 3];
    let pump = link.client.pump(&mut input, &mut output).unwrap();
    assert_eq!((pump.produced, link.client.pending_plaintext()), (3, 1));
    assert!(!link.client.peer_closed());
    let rest = &mut input[pump.consumed..];
    let pump = link.client.pump(rest, &mut output).unwrap();
    assert_eq!(pump, Pump { consumed: rest.len(), produced: 1, needs_input: false });
    assert_eq!(output[0], b't');
    assert!(link.client.peer_closed());
}

#[test]
fn key_updates_of_the_server_are_answered() {
    let mut link = Link::new(&TRUSTING, "files.test", &TLS13_SERVER);
    link.settle().unwrap();
    for round in 0..3 {
        link.server.writer().write_all(b"before").unwrap();
        link.server.refresh_traffic_keys().unwrap();
        link.server.writer().write_all(b"after").unwrap();
        link.settle().unwrap();
        assert_eq!(std::mem::take(&mut link.received), b"beforeafter", "{round}");
        let mut out = Vec::new();
        link.client.encrypt(b"x", &mut out).unwrap();
        let Frame::Whole(first) = Frame::at(&out) else { panic!("no record") };
        assert_eq!(Frame::at(&out[first..]), Frame::Whole(out.len() - first), "update, then data");
        link.deliver_to_server(&out);
        assert_eq!(link.at_server(), b"x");
    }
}

#[test]
fn long_plaintext_becomes_several_records() {
    let mut link = Link::new(&TRUSTING, "files.test", &TLS12_SERVER);
    link.settle().unwrap();
    let text: Vec<u8> = (0..40_000u32).map(|i| i as u8).collect();
    let mut out = b"kept".to_vec();
    link.client.encrypt(&text, &mut out).unwrap();
    link.client.encrypt(b"", &mut out).unwrap();
    assert_eq!(&out[..4], b"kept");
    link.deliver_to_server(&out[4..]);
    assert_eq!(link.at_server(), text);
}

fn few(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Bytes that look like records more often than noise does.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let record = (19u8..26, 2u8..5, prop::collection::vec(any::<u8>(), 0..80), any::<bool>());
    let record = record.prop_map(|(kind, major, body, honest)| {
        let len = if honest { body.len() as u8 } else { 200 };
        [&[kind, major, 3, 0, len][..], &body[..]].concat()
    });
    prop_oneof![
        prop::collection::vec(record, 1..6).prop_map(|records| records.concat()),
        prop::collection::vec(any::<u8>(), 0..300),
    ]
}

/// Feeds bytes to a session and uses everything it offers; only a panic is wrong.
fn torment(session: &mut Session, mut bytes: Vec<u8>, cut: usize) {
    let mut output = [0; 50];
    let cut = cut.min(bytes.len());
    let consumed = session.pump(&mut bytes[..cut], &mut output).map_or(0, |pump| pump.consumed);
    let mut out = session.take_outgoing();
    if !session.is_handshaking() {
        let _ = session.encrypt(b"request", &mut out);
    }
    for _ in 0..3 {
        let _ = session.pump(&mut bytes[consumed..], &mut []);
    }
    session.close_notify(&mut out);
    assert!(session.pump(&mut bytes, &mut output).is_ok() || session.phase == Phase::Failed);
}

proptest! {
    #![proptest_config(few(400))]

    #[test]
    fn garbage_instead_of_a_handshake_never_panics(bytes in garbage(), cut in 0usize..300) {
        torment(&mut Session::new(&TRUSTING, "files.test").unwrap(), bytes, cut);
    }
}

proptest! {
    #![proptest_config(few(60))]

    #[test]
    fn garbage_after_the_handshake_never_panics(
        bytes in garbage(), cut in 0usize..300, old in any::<bool>(),
    ) {
        let server = if old { &*TLS12_SERVER } else { &*TLS13_SERVER };
        let mut link = Link::new(&TRUSTING, "files.test", server);
        link.settle().unwrap();
        torment(&mut link.client, bytes, cut);
    }

    #[test]
    fn a_damaged_handshake_never_panics(
        at in any::<prop::sample::Index>(), flip in 1u8..,
        cut in 0usize..1200, old in any::<bool>(),
    ) {
        let server = if old { &*TLS12_SERVER } else { &*TLS13_SERVER };
        let mut link = Link::new(&trusting(), "files.test", server);
        link.pump_dry().unwrap();
        let hello = link.client.take_outgoing();
        link.deliver_to_server(&hello);
        link.collect_from_server();
        let mut flight = link.wire.clone();
        flight[at.index(link.wire.len())] ^= flip;
        torment(&mut link.client, flight, cut);
    }
}
