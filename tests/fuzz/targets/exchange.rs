//! Connections: any bytes, cut anywhere, are the same responses with the same bodies and end in
//! the same error; no body is longer than announced, and every call gets on.

use super::Target;
use super::head::WORDS;
use super::input::{Cuts, Input, with_choices};
use ringhaul::ErrorKind;
use ringhaul::internal::http::{Exchange, Head, Want};

pub(super) const TARGET: Target =
    Target { name: "exchange", run, seeds, words: WORDS, smoke_runs: 10_000 };

/// Whole connections as servers send them.
pub(super) const SEEDS: &[&[u8]] = &[
    b"HTTP/1.1 206 Partial Content\r\nServer: nginx\r\nContent-Length: 5\r\nETag: \"65a-1\"\r\n\
      Content-Range: bytes 0-4/10\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes 0-4/10\r\n\r\n\
      5;a=b\r\nhello\r\n00\r\nA: b\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 206 x\r\n\
      Content-Range: bytes 0-4/10\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello world",
    b"HTTP/1.0 200\nA: b\n\nuntil it ends",
    b"HTTP/1.1 206 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: https://user:pw@h/b?c#d\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 416 x\r\nContent-Range: bytes */0\r\nContent-Length: 3\r\n\r\nnoi",
    b"HTTP/1.1 429 x\r\nRetry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n\
      Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nWWW-Authenticate: Basic realm=x\r\n\r\nlater",
    b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\nETag: W/\"a\"\r\n\
      Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nDate: Sun, 06 Nov 2022 08:49:37 GMT\r\n\r\nx",
    // Once found: a C1 control character in the name of a scheme.
    b"HTTP/1.1 401 x\r\nWWW-Authenticate: B\x93sic realm=x\r\nContent-Length: 0\r\n\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",
];

/// Choices in front: whether the connection ends, whether and which length is promised, the cuts.
fn seeds() -> Vec<Vec<u8>> {
    let choices = [[0, 0, 0], [1, 0, 1], [3, 5, 2], [2, 13, 3]];
    let seeds = SEEDS.iter().flat_map(|seed| choices.iter().map(|c| with_choices(c, seed)));
    seeds.collect()
}

fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (flags, promised, cuts) = (input.byte(), input.byte(), input.byte());
    let promised = (flags & 2 != 0).then_some(u64::from(promised));
    let stream = input.rest();
    let [whole, bytes, random] =
        Cuts::all(cuts).map(|cuts| Connection::play(stream, cuts, promised, flags & 1 != 0));
    whole.agrees_with(&bytes);
    random.agrees_with(&bytes);
}

/// What came of a connection.
#[derive(Debug)]
struct Connection<'a> {
    stream: &'a [u8],
    at: usize,
    cuts: Cuts,
    promised: Option<u64>,
    answers: Vec<Answer>,
    end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    head: Option<Head>,
    body: Vec<u8>,
    complete: bool,
    reusable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All is received, and the last response may go on.
    Open,
    /// The last response is complete and no other follows on this connection, but
    /// `rest_bytes` bytes do.
    Over {
        rest_bytes: usize,
    },
    Failed(ErrorKind),
}

impl<'a> Connection<'a> {
    fn play(stream: &'a [u8], cuts: Cuts, promised: Option<u64>, closes: bool) -> Self {
        let answers = Vec::new();
        let mut played = Self { stream, at: 0, cuts, promised, answers, end: End::Open };
        loop {
            let mut exchange = Exchange::new();
            let mut body = Vec::new();
            let fed = played.answer(&mut exchange, &mut body);
            let received = played.at == stream.len();
            let closed = if closes && received { exchange.on_eof() } else { Ok(()) };
            let (complete, reusable) = (exchange.is_complete(), exchange.reusable());
            assert_eq!(complete, exchange.want() == Want::Nothing);
            assert!(complete || !reusable);
            let head = exchange.head().cloned();
            played.answers.push(Answer { head, body, complete, reusable });
            if let Err(error) = fed.and(closed) {
                played.end = End::Failed(error.kind());
                return played;
            }
            if complete && (received || !reusable) {
                played.end = End::Over { rest_bytes: stream.len() - played.at };
                return played;
            }
            if !complete {
                assert!(received, "an exchange stopped before its input did");
                return played;
            }
        }
    }

    /// Feeds one response until it is over or all is received.
    fn answer(&mut self, exchange: &mut Exchange, body: &mut Vec<u8>) -> ringhaul::Result<()> {
        let mut announced = u64::MAX;
        while self.at < self.stream.len() && !exchange.is_complete() {
            let piece = self.cuts.next(self.stream.len() - self.at);
            let mut piece = &self.stream[self.at..self.at + piece];
            if exchange.want() == Want::Head {
                let surplus = exchange.on_head(piece)?;
                let taken = piece.len() - surplus.unwrap_or(0);
                self.at += taken;
                piece = &piece[taken..];
                if surplus.is_some() {
                    announced = self.announce(exchange);
                }
            }
            self.body(exchange, piece, body)?;
            assert_eq!(exchange.received_bytes(), body.len() as u64);
            assert!(body.len() as u64 <= announced, "more body than announced");
        }
        Ok(())
    }

    /// Promises a length as a caller does who has judged the head; returns the body's bound.
    fn announce(&self, exchange: &mut Exchange) -> u64 {
        match (exchange.want(), self.promised) {
            (Want::Direct(bytes), _) => bytes,
            (Want::Framed | Want::UntilClose, Some(bytes)) => {
                exchange.expect_body(bytes);
                bytes
            }
            (Want::Framed | Want::UntilClose, None) => u64::MAX,
            (Want::Nothing, _) => 0,
            (Want::Head, _) => panic!("a head is followed by a body"),
        }
    }

    fn body(
        &mut self,
        exchange: &mut Exchange,
        mut piece: &[u8],
        body: &mut Vec<u8>,
    ) -> ringhaul::Result<()> {
        while !piece.is_empty() {
            let taken = match exchange.want() {
                Want::Direct(left) => {
                    let bytes = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    body.extend_from_slice(&piece[..bytes]);
                    exchange.on_direct(bytes as u64);
                    bytes
                }
                Want::UntilClose => {
                    body.extend_from_slice(piece);
                    exchange.on_direct(piece.len() as u64);
                    piece.len()
                }
                Want::Framed => {
                    let mut output = [0; 13];
                    let step = exchange.on_framed(piece, &mut output)?;
                    body.extend_from_slice(&output[..step.produced]);
                    assert!(step.consumed + step.produced > 0, "a step is progress");
                    step.consumed
                }
                Want::Nothing => break,
                Want::Head => panic!("a head is followed by a body"),
            };
            assert!(taken > 0, "nothing is wanted where nothing is left");
            self.at += taken;
            piece = &piece[taken..];
        }
        Ok(())
    }

    /// Compares with the finest cut, which has seen all that came before an error.
    fn agrees_with(&self, finest: &Self) {
        assert_eq!(self.end, finest.end, "{self:?}\n{finest:?}");
        if !matches!(self.end, End::Failed(_)) {
            assert_eq!(self.answers, finest.answers);
            return;
        }
        assert_eq!(self.answers.len(), finest.answers.len());
        for (coarse, fine) in self.answers.iter().zip(&finest.answers) {
            assert_eq!(coarse.head, fine.head);
            assert!(fine.body.starts_with(&coarse.body), "{coarse:?}\n{fine:?}");
            let bodies_equal = coarse.body == fine.body;
            assert!(bodies_equal || !coarse.complete, "{coarse:?}\n{fine:?}");
        }
    }
}
