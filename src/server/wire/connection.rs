//! The life of one connection: accepted, reading a head, answering, and so on until it ends.
//!
//! States: at accept (the script may end it here), waiting for a request, reading its head,
//! answering, ended. Owns the read-ahead bytes, so that pipelined requests work, and how long it
//! waits for more of them. Errors end a connection without a word, because a client may leave
//! whenever it likes.

use super::deliver::{CLOSE, Next, deliver};
use super::fired;
use super::outage;
use super::outlet::Outlet;
use super::patience::Patience;
use super::respond::{Answer, Body};
use super::seats::Seat;
use super::transport::{Transport, reset_when_closed};
use crate::server::Shared;
use crate::server::codec::range::RangeAsked;
use crate::server::codec::request::{Parsed, Request};
use crate::server::faults::effects::{Effects, Ending};
use crate::server::faults::flow::Place;
use crate::server::faults::script::{Facts, Fault};
use crate::server::faults::signing;
use crate::server::stats::RequestLog;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Bytes read at a time; requests are small.
const READ_BYTES: usize = 8 * 1024;

/// Serves `socket`, the server's connection `number`, until it ends.
pub(super) fn serve(
    shared: &Shared,
    socket: Arc<TcpStream>,
    seat: &Seat,
    number: u64,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    if let Some(chosen) = shared.script.at_accept(number, shared.book.body_bytes()) {
        seat.works()?;
        shared.book.fired_without_request(chosen.rule);
        let ending = match chosen.fault {
            Fault::ResetOnAccept => Ending::Reset,
            Fault::StallOnAccept => Ending::Stall,
            _ => Ending::Close { close_notify: false },
        };
        return Transport::new(socket, None, &shared.patience)?.end(ending);
    }
    outage::check_present(shared).or_else(|gone| {
        reset_when_closed(&socket)?;
        Err(gone)
    })?;
    if outage::is_silent(shared) {
        seat.works()?;
        return Transport::new(socket, None, &shared.patience)?.end(Ending::Stall);
    }
    let tls = shared.tls.as_ref().map(|tls| &tls.config);
    let transport = Transport::new(socket, tls, &shared.patience)?;
    let mut inlet = Inlet { bytes: Vec::new(), arrived_at: Instant::now() };
    let mut outlet = Outlet::new(shared, transport, number);
    let mut is_first = true;
    loop {
        seat.waits(Instant::now());
        let received = inlet.next(&mut outlet, &shared.patience)?;
        seat.works()?;
        if outage::is_silent(shared) {
            return outlet.stall();
        }
        if std::mem::take(&mut is_first) && outlet.is_resumed() {
            shared.book.resumed();
        }
        let next = match received {
            Received::Request(asked) => answer(shared, &mut outlet, &asked, number)?,
            Received::Bad(status) => refuse(&mut outlet, status)?,
            Received::Late { has_begun } => {
                shared.book.timed_out();
                if has_begun { refuse(&mut outlet, 408)? } else { Next::End(CLOSE) }
            }
            Received::Left => Next::End(CLOSE),
        };
        if let Next::End(ending) = next {
            return outlet.end(ending);
        }
    }
}

/// What came in.
enum Received {
    Request(Box<Asked>),
    Bad(u16),
    /// No whole head in the time it may take.
    Late {
        has_begun: bool,
    },
    Left,
}

/// A request and when it came.
struct Asked {
    request: Request,
    arrived_at: Instant,
    /// It was there before the answer to the one before it had ended.
    is_early: bool,
}

/// The bytes read ahead of the request being answered.
struct Inlet {
    bytes: Vec<u8>,
    /// When the last of them came.
    arrived_at: Instant,
}

impl Inlet {
    fn next(&mut self, outlet: &mut Outlet<'_>, patience: &Patience) -> io::Result<Received> {
        let mut is_early = true;
        let mut begun_at = (!self.bytes.is_empty()).then(Instant::now);
        outlet.read_until(Instant::now().checked_add(patience.idle_max));
        loop {
            match Request::parse(&self.bytes) {
                Parsed::Whole(request, taken) => {
                    self.bytes.drain(..taken);
                    return Ok(Received::Request(Box::new(Asked {
                        request: *request,
                        arrived_at: self.arrived_at,
                        is_early,
                    })));
                }
                Parsed::Bad(status) => return Ok(Received::Bad(status)),
                Parsed::Partial => {}
            }
            if let Some(begun_at) = begun_at {
                outlet.read_until(begun_at.checked_add(patience.head_max));
            }
            let before = self.bytes.len();
            self.bytes.resize(before + READ_BYTES, 0);
            let early_at = outlet.take_early_request();
            let read = match outlet.read(&mut self.bytes[before..]) {
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Received::Late { has_begun: begun_at.is_some() });
                }
                read => read?,
            };
            is_early = is_early && early_at.is_some();
            self.arrived_at = early_at.unwrap_or_else(Instant::now);
            self.bytes.truncate(before + read);
            if read == 0 {
                return Ok(Received::Left);
            }
            begun_at = begun_at.or(Some(self.arrived_at));
        }
    }
}

fn answer(
    shared: &Shared,
    outlet: &mut Outlet<'_>,
    asked: &Asked,
    connection: u64,
) -> io::Result<Next> {
    let request = &asked.request;
    let range = request.field("range").and_then(RangeAsked::parse);
    let entry = shared.book.request(RequestLog {
        connection,
        at: asked.arrived_at.saturating_duration_since(shared.started_at),
        is_early: asked.is_early,
        method: request.method.clone(),
        target: request.target.clone(),
        head: request.head.clone(),
        range,
        status: None,
        body_bytes: 0,
        is_whole: false,
        faults: Vec::new(),
    });
    let facts = Facts {
        connection,
        request: entry.0,
        path: request.path(),
        signature: signing::signature(&request.target),
        range_start: range.and_then(RangeAsked::start),
        body_bytes: shared.book.body_bytes(),
    };
    let chosen = shared.script.for_request(&facts);
    let mut effects = Effects::of(chosen.iter().map(|chosen| &chosen.fault));
    let note = |shows: &dyn Fn(&Fault) -> bool| {
        let shown = chosen.iter().filter(|chosen| shows(&chosen.fault));
        shared.book.fired(entry, shown.map(|chosen| chosen.rule).collect());
    };
    let shape = &shared.shape;
    let mut place = Place::take(&shared.flow);
    if let Some(refusal) = shape.refusal.filter(|_| place.is_none()) {
        shared.book.turned_away();
        effects.instead = Some(refusal.answer(SystemTime::now()));
    }
    turn_away(shared, request, &mut effects);
    outlet.begin(entry, effects.bytes_per_second.or_else(|| shape.connection_rate(connection)));
    let waited = asked.arrived_at.elapsed();
    let delay = shape.delay(entry.0).saturating_sub(waited) + effects.head_delay;
    outlet.pause(delay)?;
    let was_idle = !asked.is_early || !delay.is_zero();
    let now = Instant::now();
    if was_idle {
        outlet.restart(now);
    }
    if effects.stalls_before_head {
        note(&|fault| *fault == Fault::StallBeforeHead);
        return Ok(Next::End(Ending::Stall));
    }
    if let Some(garbage) = &effects.garbage {
        note(&|fault| matches!(fault, Fault::Garbage(_)));
        outlet.put(garbage)?;
        return Ok(Next::End(CLOSE));
    }
    if let Some(place) = &mut place {
        place.send(was_idle, now);
    }
    let answer = Answer::decide(request, &shared.site, &effects);
    shared.book.answered(entry, answer.status);
    note(&|fault| fired::shows(fault, request, &answer));
    deliver(outlet, request, &answer, &effects)
}

/// Decides whether something else is answered in place of the file.
fn turn_away(shared: &Shared, request: &Request, effects: &mut Effects) {
    if effects.instead.is_none() {
        effects.instead = shared.gates.judge(request, effects);
    }
    if effects.instead.is_none() && shared.site.signs {
        effects.instead = shared.signer.judge(&request.target, effects.signs_for_requests);
    }
}

/// Answers bytes that are no request.
fn refuse(outlet: &mut Outlet<'_>, status: u16) -> io::Result<Next> {
    let answer = Answer::short(status);
    outlet.put(&answer.head(false, &Effects::default(), false))?;
    if let Body::Text(text) = &answer.body {
        outlet.put(text)?;
    }
    Ok(Next::End(CLOSE))
}
