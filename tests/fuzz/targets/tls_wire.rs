//! A TLS session with a real server over a wire that lies: bytes are flipped, inserted, dropped or
//! cut off anywhere. What arrives is always a beginning of what was sent, and an end that the
//! session believes in is the end of the whole.

use super::Target;
use super::input::{Cuts, Input};
use ringhaul::ErrorKind;
use ringhaul::internal::tls::{Session, TlsConfig, TrustOptions};
use rustls::pki_types::PrivateKeyDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};

pub(super) const TARGET: Target =
    Target { name: "tls_wire", run, seeds, words: &[], smoke_runs: 300 };

/// What the server answers: several records, the last one short.
const BODY_BYTES: u32 = 700;
const FRAGMENT_BYTES: usize = 150;
const REQUEST: &[u8] = b"GET";

/// Choices: the version and whether the end is announced, the cuts, the room of the output; then
/// edits of four bytes each. The handshake is about 900 bytes long, the answer as much.
fn seeds() -> Vec<Vec<u8>> {
    let edit = |op: u8, at: u16, value: u8| [&[op][..], &at.to_be_bytes(), &[value]].concat();
    let mut seeds = vec![vec![], vec![1, 1, 7], vec![2, 2, 99], vec![3, 3, 0]];
    for (op, at) in [(0, 3), (0, 900), (1, 5), (1, 1000), (2, 1100), (2, 130), (3, 1200), (3, 600)]
    {
        for flags in 0..4 {
            seeds.push([&[flags, flags, 50][..], &edit(op, at, 1), &edit(0, 4000, 9)].concat());
        }
    }
    seeds
}

static ANYBODY: LazyLock<TlsConfig> = LazyLock::new(|| {
    let options = TrustOptions { insecure: true, ..TrustOptions::default() };
    TlsConfig::new(&options).expect("no roots to be wrong")
});

/// TLS 1.3 and 1.2.
static SERVERS: LazyLock<[Arc<ServerConfig>; 2]> = LazyLock::new(|| {
    let made =
        rcgen::generate_simple_self_signed(["files.test".to_owned()]).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    [&TLS13, &TLS12].map(|version| {
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&[version]).expect("a known version");
        let mut config = builder
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("key and certificate fit");
        config.max_fragment_size = Some(FRAGMENT_BYTES);
        Arc::new(config)
    })
});

fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (flags, cuts, room) = (input.byte(), input.byte(), input.byte());
    let [_, _, cuts] = Cuts::all(cuts);
    let server = &SERVERS[usize::from(flags & 1)];
    let mut link = Link::new(server, Liar::new(input), cuts, usize::from(room) + 1);
    let ended = link.play(flags & 2 != 0);
    link.judge(ended, flags & 2 != 0);
}

/// The two ends, and what is between them.
struct Link {
    session: Session,
    server: ServerConnection,
    liar: Liar,
    cuts: Cuts,
    /// Behind the liar, not yet delivered.
    wire: Vec<u8>,
    /// Delivered, not yet consumed.
    staging: Vec<u8>,
    output: Vec<u8>,
    received: Vec<u8>,
    asked: Vec<u8>,
}

impl Link {
    fn new(server: &Arc<ServerConfig>, liar: Liar, cuts: Cuts, room: usize) -> Self {
        let mut server = ServerConnection::new(Arc::clone(server)).expect("a sound configuration");
        server.set_buffer_limit(None);
        Self {
            session: Session::new(&ANYBODY, "files.test").expect("a name"),
            server,
            liar,
            cuts,
            wire: Vec::new(),
            staging: Vec::new(),
            output: vec![0; room],
            received: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Request and answer, until an error or until nothing moves any more.
    fn play(&mut self, announces_end: bool) -> ringhaul::Result<()> {
        let (mut requested, mut answered) = (false, false);
        loop {
            let pumped = self.pump_dry();
            let mut flight = self.session.take_outgoing();
            if pumped.is_ok() && !self.session.is_handshaking() && !requested {
                requested = true;
                self.session.encrypt(REQUEST, &mut flight)?;
            }
            self.deliver(&flight);
            pumped?;
            if self.asked == REQUEST && !answered {
                answered = true;
                self.server.writer().write_all(&body()).expect("no limit");
                if announces_end {
                    self.server.send_close_notify();
                }
            }
            self.collect();
            if self.wire.is_empty() || self.session.peer_closed() {
                return Ok(());
            }
            let piece = self.cuts.next(self.wire.len());
            self.staging.extend(self.wire.drain(..piece));
        }
    }

    fn pump_dry(&mut self) -> ringhaul::Result<()> {
        loop {
            let pump = self.session.pump(&mut self.staging, &mut self.output)?;
            assert!(pump.produced <= self.output.len() && pump.consumed <= self.staging.len());
            self.received.extend_from_slice(&self.output[..pump.produced]);
            self.staging.drain(..pump.consumed);
            let closed = self.session.peer_closed() && self.session.pending_plaintext() == 0;
            if pump.needs_input || closed {
                assert_eq!(self.session.pending_plaintext(), 0);
                return Ok(());
            }
            assert!(pump.consumed + pump.produced > 0, "a pump is progress");
        }
    }

    fn deliver(&mut self, mut flight: &[u8]) {
        while !flight.is_empty() {
            self.server.read_tls(&mut flight).expect("from memory");
            // A server that objects says so in an alert, which the session gets to read.
            let _ = self.server.process_new_packets();
            let _ = self.server.reader().read_to_end(&mut self.asked);
        }
    }

    fn collect(&mut self) {
        let mut sent = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut sent).expect("to memory");
        }
        self.liar.pass(&sent, &mut self.wire);
    }

    fn judge(&self, ended: ringhaul::Result<()>, announces_end: bool) {
        let body = body();
        assert!(body.starts_with(&self.received), "forged plaintext");
        if self.session.peer_closed() && !self.session.is_handshaking() {
            assert!(self.received == body && announces_end, "a forged end");
        }
        match ended {
            Ok(()) if self.liar.is_honest() => {
                assert!(self.received == body, "an honest wire delivers all");
                assert_eq!(self.session.peer_closed(), announces_end);
            }
            Ok(()) => {}
            Err(error) => {
                assert!(!self.liar.is_honest(), "{error}");
                let tls = [ErrorKind::Tls, ErrorKind::Certificate];
                assert!(tls.contains(&error.kind()), "{error:?}");
            }
        }
    }
}

fn body() -> Vec<u8> {
    (0..BODY_BYTES).flat_map(|word| word.to_be_bytes()[2..].to_vec()).collect()
}

/// Edits what passes, at positions counted from the server's first byte.
struct Liar {
    edits: Vec<Edit>,
    position: usize,
    /// Everything behind an edit that cuts the wire is lost.
    is_cut: bool,
    /// Edits that changed something.
    lies: usize,
}

struct Edit {
    op: u8,
    at: usize,
    value: u8,
}

impl Liar {
    fn new(mut input: Input<'_>) -> Self {
        const EDITS_MAX: usize = 8;
        let mut edits = Vec::new();
        while !input.is_empty() && edits.len() < EDITS_MAX {
            edits.push(Edit {
                op: input.byte() % 4,
                at: usize::from(input.u16() % 4096),
                value: input.byte(),
            });
        }
        Self { edits, position: 0, is_cut: false, lies: 0 }
    }

    fn is_honest(&self) -> bool {
        self.lies == 0
    }

    fn pass(&mut self, sent: &[u8], wire: &mut Vec<u8>) {
        for byte in sent {
            let mut byte = Some(*byte);
            for edit in self.edits.iter().filter(|edit| edit.at == self.position) {
                self.lies += 1;
                match edit.op {
                    0 => byte = byte.map(|byte| byte ^ edit.value.max(1)),
                    1 => wire.push(edit.value),
                    2 => byte = None,
                    _ => self.is_cut = true,
                }
            }
            self.position += 1;
            wire.extend(byte.filter(|_| !self.is_cut));
        }
    }
}
