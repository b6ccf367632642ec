//! What TLS costs a connection: the record pump, from ciphertext in memory to plaintext in a block.
//!
//! Bytes of plaintext per second on one core, by cipher suite and record size. It bounds what one
//! thread can receive over HTTPS, sockets and disk not counted, and says when a second thread pays.
//! The other side is rustls's own server in memory; what it seals is not timed.
//!
//! `cargo bench --bench tls`; `-- AES_128` for one suite.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringhaul::internal::base::limits::BLOCK_BYTES;
use ringhaul::internal::tls::{Session, TlsConfig, TrustOptions};
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, SupportedCipherSuite};
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a connection of the engine has staged at most when it decrypts.
const STAGING_BYTES: usize = 256 * 1024;
/// Plaintext of the records: the most there can be, and what fits one packet, as some servers send
/// at the start of an answer.
const RECORD_BYTES: [usize; 2] = [16 * 1024, 1300];
/// What rustls counts of a record beside its plaintext when it is given a largest fragment.
const OVERHEAD_BYTES: usize = 22;
const HOST: &str = "files.test";

fn pump(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decrypt 1 MiB");
    group.throughput(Throughput::Bytes(BLOCK_BYTES as u64));
    let suites = [
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    for suite in suites {
        for record_bytes in RECORD_BYTES {
            let mut link = Link::new(suite, record_bytes);
            let mut block = vec![0; BLOCK_BYTES];
            let id = BenchmarkId::new(format!("{:?}", suite.suite()), record_bytes);
            group.bench_function(id, |bench| {
                bench.iter_custom(|rounds| (0..rounds).map(|_| link.round(&mut block)).sum());
            });
        }
    }
    group.finish();
}

/// A session and its server.
struct Link {
    session: Session,
    server: ServerConnection,
    plaintext: Vec<u8>,
    /// Sent by the server and not yet decrypted.
    ciphertext: Vec<u8>,
}

impl Link {
    /// Shakes hands.
    fn new(suite: SupportedCipherSuite, record_bytes: usize) -> Self {
        let trust = TrustOptions { insecure: true, ..TrustOptions::default() };
        let client = TlsConfig::new(&trust).expect("no roots to read");
        let mut link = Self {
            session: Session::new(&client, HOST).expect("a host name"),
            server: server(suite, record_bytes),
            plaintext: (0..=250).cycle().take(BLOCK_BYTES).collect(),
            ciphertext: Vec::new(),
        };
        // Tickets come behind the handshake.
        while link.session.is_handshaking() || !link.ciphertext.is_empty() {
            let pump = link.session.pump(&mut link.ciphertext, &mut []).expect("a handshake");
            link.ciphertext.drain(..pump.consumed);
            link.deliver();
            link.collect();
        }
        let info = link.session.info().expect("shaken hands");
        assert_eq!(info.cipher, format!("{:?}", suite.suite()), "the suite that is measured");
        link
    }

    /// What the client wants sent goes to the server.
    fn deliver(&mut self) {
        let flight = self.session.take_outgoing();
        let mut rest = &flight[..];
        while !rest.is_empty() {
            self.server.read_tls(&mut rest).expect("memory can be read");
            self.server.process_new_packets().expect("a client by the letter");
        }
    }

    /// What the server wants sent lies ready to be decrypted.
    fn collect(&mut self) {
        while self.server.wants_write() {
            self.server.write_tls(&mut self.ciphertext).expect("memory takes all");
        }
    }

    /// Seals one block's bytes, then opens them into `block`; returns the time of the latter.
    fn round(&mut self, block: &mut [u8]) -> Duration {
        self.ciphertext.clear();
        self.server.writer().write_all(&self.plaintext).expect("memory takes all");
        self.collect();
        let started = Instant::now();
        let (mut taken, mut filled) = (0, 0);
        while filled < block.len() {
            let end = self.ciphertext.len().min(taken + STAGING_BYTES);
            let staged = &mut self.ciphertext[taken..end];
            let pump = self.session.pump(staged, &mut block[filled..]).expect("whole records");
            assert!(pump.consumed > 0, "each round moves");
            taken += pump.consumed;
            filled += pump.produced;
        }
        let elapsed = started.elapsed();
        assert_eq!(self.ciphertext.len(), taken, "nothing is left over");
        assert_eq!(block[block.len() - 1], self.plaintext[block.len() - 1], "the right bytes");
        elapsed
    }
}

/// A server that can do this suite only.
fn server(suite: SupportedCipherSuite, record_bytes: usize) -> ServerConnection {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![suite];
    let certified = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("the suite is of TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("the key belongs to the certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.max_fragment_size = Some((record_bytes + OVERHEAD_BYTES).min(16_389));
    let mut server = ServerConnection::new(Arc::new(config)).expect("a server");
    server.set_buffer_limit(None);
    server
}

fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
}

criterion_group!(name = benches; config = config(); targets = pump);
criterion_main!(benches);
