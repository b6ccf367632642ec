//! A TLS peer that has shaken hands and then sends nothing but session tickets, a byte at a time.

use crate::common::{at_once, expect_error, fetch, wait_for_end};
use ringhaul::ErrorKind;
use ringhaul::{Engine, Options};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Enough of them for an hour at this pace.
const TICKETS: usize = 64;
const PAUSE: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(1);
const ENDED: Duration = Duration::from_secs(15);

fn config() -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key);
    let mut config = config.expect("the key is the certificate's");
    config.send_tls13_tickets = TICKETS;
    Arc::new(config)
}

/// Shakes hands; returns the tickets, which are not sent.
fn shake_hands(socket: &mut TcpStream, config: Arc<ServerConfig>) -> io::Result<Vec<u8>> {
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.read_tls(socket)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        while tls.is_handshaking() && tls.wants_write() {
            tls.write_tls(socket)?;
        }
    }
    let mut tickets = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut tickets)?;
    }
    Ok(tickets)
}

fn drip(listener: &TcpListener) -> usize {
    let (mut socket, _) = listener.accept().expect("the client comes");
    let tickets = shake_hands(&mut socket, config()).expect("the client shakes hands");
    assert!(tickets.len() > 4096, "{} bytes", tickets.len());
    socket.set_nodelay(true).expect("a TCP socket");
    for (sent, byte) in tickets.iter().enumerate() {
        // sleep: the pace is what is tested.
        std::thread::sleep(PAUSE);
        if socket.write_all(&[*byte]).is_err() {
            return sent;
        }
    }
    tickets.len()
}

#[test]
fn session_tickets_are_no_progress() {
    at_once([Engine::IoUring, Engine::Epoll], |engine| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("https://{}/f", listener.local_addr().expect("it is bound"));
        let server = std::thread::spawn(move || drip(&listener));
        let options = Options {
            engine,
            insecure: true,
            retries: 0,
            stall_timeout: LIMIT,
            ..Options::default()
        };
        let began = Instant::now();
        let result = fetch(&url, options).result;
        expect_error(result, ErrorKind::TimedOut, 6, &["head of its answer", "--timeout"]);
        assert!((LIMIT..ENDED).contains(&began.elapsed()), "{:?}", began.elapsed());
        let sent = wait_for_end(server);
        assert!(sent > 1, "some of them came before the limit");
    });
}
