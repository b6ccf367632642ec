//! A connection that carries bytes to and from a server, plain or through TLS, with one face.
//!
//! Plain body bytes go from the socket straight into the lease. Ciphertext goes into the wire's
//! staging memory and is decrypted from there into the lease. Where TLS with a proxy carries TLS
//! with the server, the outer ciphertext has a staging memory of its own, and is decrypted into the
//! inner one. Must not know HTTP.

use crate::base::{Error, ErrorKind, Result};
use crate::io::buffers::Lease;
use crate::io::connect::Remote;
use crate::io::patience::{Due, Limits, Stall};
use crate::io::receive::Staging;
use crate::io::socket::{Socket, SocketHandle};
use crate::tls::{Session, SessionInfo, TlsConfig};
use std::io;

/// Ciphertext on its way: large enough for few wakeups, small enough to stay in a core's cache.
const TLS_STAGING_BYTES: usize = 256 * 1024;
/// A full record: what is decrypted at a time.
const RECORD_BYTES: usize = 16 * 1024;
/// Heads and coded bodies of plain connections.
const PLAIN_STAGING_BYTES: usize = 64 * 1024;

/// One connection. Dropping it closes it at once.
pub struct Wire {
    socket: Socket,
    session: Option<Box<Session>>,
    /// The session with a proxy, which carries that one.
    outer: Option<Box<Outer>>,
    /// Lent to the kernel while a receive runs; a wire whose future was dropped cannot be used any
    /// more.
    staging: Option<Staging>,
    ended: bool,
}

/// A TLS session that carries another one.
struct Outer {
    session: Session,
    /// Its ciphertext; lent to the kernel while a receive runs.
    staging: Option<Staging>,
}

impl Wire {
    /// A wire without encryption.
    pub fn plain(socket: Socket) -> Self {
        let staging = Some(Staging::new(PLAIN_STAGING_BYTES));
        Self { socket, session: None, outer: None, staging, ended: false }
    }

    /// Shakes hands as a TLS client that wants to talk to `host`.
    pub async fn tls(socket: Socket, config: &TlsConfig, host: &str) -> Result<Self> {
        let session = Some(Box::new(Session::new(config, host)?));
        let staging = Some(Staging::new(TLS_STAGING_BYTES));
        let wire = Self { socket, session, outer: None, staging, ended: false };
        wire.shake_hands(host).await
    }

    /// Shakes hands with `host`, which a proxy has connected this wire to. What the proxy has sent
    /// is read; a session with it carries the new one.
    pub async fn tls_inside(mut self, config: &TlsConfig, host: &str) -> Result<Self> {
        assert!(!self.has_unread(), "nobody has spoken since the proxy's answer");
        let session = Box::new(Session::new(config, host)?);
        let outer_staging = self.staging.replace(Staging::new(TLS_STAGING_BYTES));
        self.outer = self
            .session
            .replace(session)
            .map(|outer| Box::new(Outer { session: *outer, staging: outer_staging }));
        self.shake_hands(host).await
    }

    async fn shake_hands(mut self, host: &str) -> Result<Self> {
        loop {
            let (_, needs_input) = self.pump(&mut []).await?;
            if !self.session().is_some_and(Session::is_handshaking) {
                return Ok(self);
            }
            if needs_input && self.receive_staging(0, 0, 0).await? == 0 {
                let peer = self.peer();
                return Err(Error::new(
                    ErrorKind::Tls,
                    format!("{host} at {peer} closed the connection during the TLS handshake"),
                ));
            }
        }
    }

    /// Another transfer uses the connection from here on, with these `limits` on how long it waits.
    pub fn set_limits(&mut self, limits: &Limits) {
        self.socket.set_limits(limits.clone());
    }

    /// The address at the other end.
    pub fn peer(&self) -> &Remote {
        self.socket.peer()
    }

    /// Whether it is Multipath TCP; `None` if it was not to be.
    pub fn is_multipath(&self) -> Option<bool> {
        self.socket.is_multipath()
    }

    /// A handle on the socket for others.
    pub fn handle(&self) -> SocketHandle {
        self.socket.handle()
    }

    /// What TLS negotiated; `None` on a plain wire.
    pub fn tls_info(&self) -> Option<SessionInfo> {
        self.session().and_then(Session::info)
    }

    /// Whether what was received is all that was sent: under TLS only close_notify says so
    /// (RFC 8446 6.1), a bare FIN may be an attacker's cut.
    pub fn ended_cleanly(&self) -> bool {
        self.session().is_none_or(Session::peer_closed)
    }

    /// From here on a request and the head of its answer are due, together within one stall
    /// timeout, whatever else comes meanwhile.
    pub fn expect_head(&self) {
        self.socket.expect(Due::Whole);
    }

    /// From here on a body is due, whose payload has to keep the pace.
    pub fn expect_body(&self) {
        self.socket.expect(Due::Body);
    }

    /// `bytes` of what [`Wire::read_some`] returned were payload. What the other ways to
    /// receive bring is payload, and counts by itself.
    pub fn pay(&self, bytes: usize) {
        self.socket.pay(bytes as u64);
    }

    /// Whether bytes lie here that nobody has asked for.
    pub fn has_unread(&self) -> bool {
        match &self.session {
            Some(session) => session.pending_plaintext() > 0,
            None => self.staging.as_ref().is_some_and(|s| !s.is_empty()),
        }
    }

    /// Sends all of `bytes`.
    pub async fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        let Some(session) = &mut self.session else { return self.send_raw(bytes).await };
        let mut records = Vec::with_capacity(bytes.len() + 64);
        session.encrypt(&bytes, &mut records)?;
        match self.send_raw(records).await {
            Err(lost) if lost.kind() == ErrorKind::ConnectionLost => {
                Err(self.last_words().await.unwrap_or(lost))
            }
            sent => sent,
        }
    }

    /// Why the peer has left, if it has said so: under TLS 1.3 it refuses the client's certificate
    /// when the client is sending already.
    async fn last_words(&mut self) -> Option<Error> {
        if self.staging.is_none() || self.receive_staging(0, 0, 0).await.ok()? == 0 {
            return None;
        }
        let said = self.pump(&mut []).await.err()?;
        (said.kind() != ErrorKind::ConnectionLost).then_some(said)
    }

    /// Some received bytes, at most `max`; empty at the end of the stream.
    pub async fn read_some(&mut self, max: usize) -> Result<Vec<u8>> {
        if self.session.is_none() {
            let received = self.receive_plain(max).await?;
            let staging = self.staging_mut();
            let bytes = staging.filled_mut()[..received].to_vec();
            staging.consume(received);
            return Ok(bytes);
        }
        let mut bytes = vec![0; max];
        let produced = self.read_decrypted(&mut bytes).await?;
        bytes.truncate(produced);
        Ok(bytes)
    }

    /// The same, behind what `ahead` has and as far as there is room: how many bytes; 0 at the end
    /// of the stream.
    pub async fn read_ahead(&mut self, ahead: &mut Staging, max: usize) -> Result<usize> {
        ahead.compact();
        let room = ahead.room().min(max);
        assert!(room > 0, "nothing could be received");
        if self.session.is_some() {
            let received = self.read_decrypted(&mut ahead.spare_mut()[..room]).await?;
            ahead.advance(received);
            return Ok(received);
        }
        let lent = std::mem::take(ahead);
        let (result, lent) = self.socket.receive_some(lent, room).await;
        *ahead = lent;
        let received = result.map_err(|e| self.lost(e))?;
        ahead.advance(received);
        self.ended |= received == 0;
        Ok(received)
    }

    /// Fills up to `want` bytes behind the filled part of `lease`, which has room for them, in as
    /// few wakeups as possible. The caller knows that `want` bytes come and `more` behind them.
    /// Nothing filled means the end of the stream. With an error, bytes filled before it count.
    pub async fn fill(&mut self, lease: Lease, want: usize, more: u64) -> (Lease, Result<()>) {
        if self.session.is_some() {
            return self.fill_decrypted(lease, want, more).await;
        }
        let (result, mut lease) = self.socket.receive_all(lease, want, more).await;
        match result {
            Ok(received) => {
                lease.advance(received);
                self.pay(received);
                (lease, Ok(()))
            }
            Err(e) => (lease, Err(self.lost(e))),
        }
    }

    /// Like [`Wire::fill`] where nobody knows how many bytes will come.
    pub async fn fill_some(&mut self, mut lease: Lease) -> (Lease, Result<()>) {
        let want = lease.spare();
        if self.session.is_some() {
            let result = self.read_some(want).await.map(|bytes| {
                assert_eq!(lease.append(&bytes), bytes.len(), "no more than fits was read");
                self.pay(bytes.len());
            });
            return (lease, result);
        }
        let (result, mut lease) = self.socket.receive_some(lease, want).await;
        let result = result.map_err(|e| self.lost(e)).map(|received| {
            lease.advance(received);
            self.pay(received);
        });
        (lease, result)
    }

    async fn read_decrypted(&mut self, room: &mut [u8]) -> Result<usize> {
        loop {
            let (produced, needs_input) = self.pump(room).await?;
            if produced > 0 || !needs_input || self.receive_staging(0, 0, 0).await? == 0 {
                return Ok(produced);
            }
        }
    }

    async fn fill_decrypted(
        &mut self,
        mut lease: Lease,
        want: usize,
        more: u64,
    ) -> (Lease, Result<()>) {
        let mut missing = want;
        while missing > 0 {
            let (produced, needs_input) = match self.pump(&mut lease.spare_mut()[..missing]).await {
                Ok(step) => step,
                Err(e) => return (lease, Err(e)),
            };
            lease.advance(produced);
            self.pay(produced);
            missing -= produced;
            if missing == 0 || !needs_input {
                break;
            }
            // A small piece is wanted soon; of a large one the next one's start may come along.
            let at_once = if want < TLS_STAGING_BYTES { missing + RECORD_BYTES } else { want };
            match self.receive_staging(missing, more, at_once).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) => return (lease, Err(e)),
            }
        }
        (lease, Ok(()))
    }

    /// Decrypts what is staged into `output` and sends what TLS wants sent. Returns the bytes
    /// produced and whether ciphertext is missing.
    async fn pump(&mut self, output: &mut [u8]) -> Result<(usize, bool)> {
        let session = self.session.as_mut().expect("only a TLS wire is pumped");
        let staging = self.staging.as_mut().expect("no receive is under way");
        let pumped = session.pump(staging.filled_mut(), output);
        let outgoing = session.take_outgoing();
        if !outgoing.is_empty() {
            let sent = self.send_raw(outgoing).await;
            // An alert that cannot be sent any more must not hide why it was to be sent.
            if pumped.is_ok() {
                sent?;
            }
        }
        let pump = pumped?;
        self.staging_mut().consume(pump.consumed);
        self.note_staged();
        Ok((pump.produced, pump.needs_input && !self.ended))
    }

    /// Receives ciphertext behind what is staged. At least `missing + more` plaintext bytes are
    /// still to come; their ciphertext is longer, so what is not yet staged of them can be waited
    /// for, but no more than `at_once`.
    async fn receive_staging(
        &mut self,
        missing: usize,
        more: u64,
        at_once: usize,
    ) -> Result<usize> {
        if self.outer.is_some() {
            // On the heap: who has no such session does not carry the future's memory along.
            return Box::pin(self.receive_inside()).await;
        }
        let mut staging = self.staging.take().expect("one receive at a time");
        staging.compact();
        let outstanding =
            (missing as u64).saturating_add(more).saturating_sub(staging.len() as u64);
        let room = staging.room();
        let (result, staging) = if outstanding == 0 {
            self.socket.receive_some(staging, room).await
        } else {
            let most = room.min(at_once);
            let len = usize::try_from(outstanding).map_or(most, |o| o.min(most));
            self.socket.receive_all(staging, len, outstanding - len as u64).await
        };
        self.note_received(staging, result)
    }

    /// Decrypts what the outer session carries behind what is staged of the inner one; 0 is its
    /// end.
    async fn receive_inside(&mut self) -> Result<usize> {
        loop {
            let (produced, needs_input) = self.pump_outer().await?;
            if produced > 0 || !needs_input {
                self.ended |= produced == 0;
                return Ok(produced);
            }
            let outer = self.outer.as_mut().expect("there is a session with a proxy");
            let mut staging = outer.staging.take().expect("one receive at a time");
            staging.compact();
            let room = staging.room();
            let (result, mut staging) = self.socket.receive_some(staging, room).await;
            let received = *result.as_ref().unwrap_or(&0);
            staging.advance(received);
            self.outer.as_mut().expect("there is a session with a proxy").staging = Some(staging);
            self.note_staged();
            if result.map_err(|e| self.lost(e))? == 0 {
                self.ended = true;
                return Ok(0);
            }
        }
    }

    /// Decrypts a step of the outer session into the staging of the inner one. Returns the bytes
    /// produced and whether ciphertext is missing.
    async fn pump_outer(&mut self) -> Result<(usize, bool)> {
        let outer = self.outer.as_mut().expect("there is a session with a proxy");
        let inner = self.staging.as_mut().expect("no receive is under way");
        inner.compact();
        let staging = outer.staging.as_mut().expect("no receive is under way");
        let pumped = outer.session.pump(staging.filled_mut(), inner.spare_mut());
        let outgoing = outer.session.take_outgoing();
        if let Ok(pump) = &pumped {
            staging.consume(pump.consumed);
            inner.advance(pump.produced);
        }
        if !outgoing.is_empty() {
            let sent = self.send_records(outgoing).await;
            if pumped.is_ok() {
                sent?;
            }
        }
        self.note_staged();
        pumped.map(|pump| (pump.produced, pump.needs_input))
    }

    async fn receive_plain(&mut self, max: usize) -> Result<usize> {
        let staging = self.staging.take().expect("one receive at a time");
        let (result, staging) = self.socket.receive_some(staging, max).await;
        self.note_received(staging, result)
    }

    fn note_received(&mut self, mut staging: Staging, result: io::Result<usize>) -> Result<usize> {
        if let Ok(received) = &result {
            staging.advance(*received);
            self.ended |= *received == 0;
        }
        self.staging = Some(staging);
        self.note_staged();
        result.map_err(|e| self.lost(e))
    }

    /// Ciphertext may become payload; plain bytes are handed on at once, and whoever gets them says
    /// what they are.
    fn note_staged(&self) {
        if self.session.is_some() {
            let outer = self.outer.as_ref().and_then(|outer| outer.staging.as_ref());
            let staged = self.staging.as_ref().map_or(0, Staging::len);
            self.socket.stage(staged + outer.map_or(0, Staging::len));
        }
    }

    async fn send_raw(&mut self, bytes: Vec<u8>) -> Result<()> {
        let bytes = match &mut self.outer {
            None => bytes,
            Some(outer) => {
                let mut records = Vec::with_capacity(bytes.len() + 64);
                outer.session.encrypt(&bytes, &mut records)?;
                records
            }
        };
        self.send_records(bytes).await
    }

    async fn send_records(&self, bytes: Vec<u8>) -> Result<()> {
        self.socket.send(bytes).await.map_err(|e| self.lost(e))
    }

    fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    fn staging_mut(&mut self) -> &mut Staging {
        self.staging.as_mut().expect("no receive is under way")
    }

    fn lost(&self, error: io::Error) -> Error {
        let peer = self.peer();
        match error.kind() {
            io::ErrorKind::TimedOut => {
                let stall = self.socket.stall();
                let what = stall.map_or("sent nothing for too long".to_owned(), Stall::describe);
                let error = Error::new(ErrorKind::TimedOut, format!("{peer} {what}"));
                match stall.and_then(Stall::advice) {
                    Some(advice) => error.advise(advice),
                    None => error,
                }
            }
            _ => Error::new(ErrorKind::ConnectionLost, format!("the connection to {peer} broke"))
                .caused_by(error),
        }
    }
}
