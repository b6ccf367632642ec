//! The loop of one lane: takes files from the desk, sends their requests, several ahead where the
//! server bears it, and receives the answers in order.
//!
//! States: connecting -> serving (holds files) <-> waiting (holds none) -> closed. A connection
//! that ends is replaced, and what it still owed is asked for again; a file at which two
//! connections in a row have ended has failed. Where an answer brings nothing for a while the files
//! behind it go back to the desk, and its connection ends with it.

use super::answer::{After, Arrived, Receiver, asked};
use super::silence::Silence;
use super::{Common, End, Step, Wanted};
use crate::base::limits::IDLE_CONNECTION_MAX;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::engine::client::shard::Allowance;
use crate::engine::local::Local;
use crate::engine::race::{First, race};
use crate::engine::source::connection::Connection;
use crate::engine::source::endpoint::{Endpoint, RequestHeaders};
use crate::engine::source::follow::describe_connection;
use crate::http::Sent;
use crate::io::socket::SocketHandle;
use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// A lane that waits looks for work this often, should the bell have been missed.
const WAIT_TICK: Duration = Duration::from_millis(100);
/// Connections that end at one file before it counts as failed.
const LOST_AT_ONE_MAX: u32 = 2;

/// One connection for small files.
pub(super) struct Lane {
    id: u64,
    local: Local,
    common: Arc<Common>,
    /// Its origin is where it leads.
    to: Url,
    allowance: Allowance,
    /// Files that it has taken and that have not ended, in the order of their requests.
    held: VecDeque<Box<Wanted>>,
    /// Those of them whose requests are on the wire of the present connection.
    asked: usize,
    /// What these requests were.
    sent: VecDeque<Sent>,
    /// Connections in a row that ended at the first of them.
    lost: u32,
    silence: Silence,
    /// The answer to the first of them brings nothing: none is taken behind it.
    is_stuck: bool,
}

/// An open connection and what has arrived on it.
struct Serving {
    connection: Connection,
    socket: SocketHandle,
    arrived: Arrived,
    /// Indicates whether it has brought an answer.
    has_answered: bool,
}

/// What the desk has left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// There are files to receive.
    Held,
    /// Nothing for now.
    None,
    /// Nothing any more.
    Over,
}

impl Lane {
    pub(super) fn new(id: u64, local: Local, common: Arc<Common>, to: Url) -> Self {
        let allowance = local.shard.allow(1, false);
        Self {
            id,
            local,
            common,
            to,
            allowance,
            held: VecDeque::new(),
            asked: 0,
            sent: VecDeque::new(),
            lost: 0,
            silence: Silence::new(),
            is_stuck: false,
        }
    }

    /// Works until the desk has nothing more for it, or its origin cannot be reached.
    pub(super) async fn run(mut self) -> Result<()> {
        let context = self.local.context.clone();
        context.guard(self.work()).await
    }

    async fn work(&mut self) -> Result<()> {
        let context = self.local.context.clone();
        let headers = RequestHeaders::new(&self.to, &context);
        let endpoint = Endpoint::open(self.to.clone(), headers, &context).await?;
        let (mut serving, mut waited) = (None, Duration::ZERO);
        loop {
            // Before the desk is asked, or its bell could ring in between.
            let common = self.common.clone();
            let bell = common.desk.bell().rung();
            match self.take_more(&endpoint) {
                Work::Held => waited = Duration::ZERO,
                Work::None if waited < IDLE_CONNECTION_MAX => {
                    race(bell, tokio::time::sleep(WAIT_TICK)).await;
                    waited += WAIT_TICK;
                    continue;
                }
                Work::None | Work::Over => break,
            }
            let mut now = match serving.take() {
                Some(serving) => serving,
                None => self.connect(&endpoint).await?,
            };
            match self.exchange(&endpoint, &mut now).await {
                Ok(After::GoesOn) => serving = Some(now),
                Ok(After::Ended) => {}
                Err(error) => self.lost(&now, error),
            }
        }
        if let Some(Serving { connection, .. }) = serving.filter(is_clean) {
            endpoint.keep_idle(&self.local.shard, connection);
        }
        Ok(())
    }

    /// An idle connection, or a new one.
    async fn connect(&mut self, endpoint: &Endpoint) -> Result<Serving> {
        self.asked = 0;
        self.sent.clear();
        let connection = match endpoint.idle(&self.local.shard) {
            Some(connection) => connection,
            None => {
                let permit = endpoint.permit(&self.local).await;
                let order: Vec<u32> = (0..endpoint.addresses()).collect();
                let connected = endpoint.connect(&order, permit).await;
                let connection = connected.map_err(|error| error.within(self.to.origin()))?;
                describe_connection(&self.local.context, lane_number(self.id), &connection);
                connection
            }
        };
        let socket = connection.wire.handle();
        Ok(Serving { connection, socket, arrived: Arrived::default(), has_answered: false })
    }

    /// Takes files as long as there are any and the server bears requests ahead.
    fn take_more(&mut self, endpoint: &Endpoint) -> Work {
        let takes_ahead = self.local.context.options.request_ahead
            && self.local.context.client.learned.takes_ahead(endpoint.origin());
        let most = if takes_ahead && !self.is_stuck { self.common.items_max } else { 1 };
        // Several at once, so that their requests go out together.
        while self.held.len() < most && (self.held.is_empty() || self.held.len() <= most / 2) {
            let before = self.held.len();
            while self.held.len() < most {
                match self.common.desk.next(self.id) {
                    Step::Take(wanted) => self.held.push_back(wanted),
                    Step::Wait => break,
                    Step::Close if self.held.is_empty() => return Work::Over,
                    Step::Close => break,
                }
            }
            if self.held.len() == before {
                break;
            }
        }
        if self.held.is_empty() { Work::None } else { Work::Held }
    }

    /// Sends what is not asked for yet, and receives one answer.
    async fn exchange(&mut self, endpoint: &Endpoint, serving: &mut Serving) -> Result<After> {
        self.send(endpoint, serving).await?;
        let Some(wanted) = self.held.pop_front() else { return Ok(After::GoesOn) };
        let (end, after) = match self.receive(endpoint, serving, &wanted).await {
            Ok(received) => received,
            Err(error) => {
                self.held.push_front(wanted);
                return Err(error);
            }
        };
        serving.has_answered = true;
        (self.asked, self.lost) = (self.asked - 1, 0);
        self.sent.pop_front();
        match end {
            Some(end) => self.common.desk.ended(self.id, wanted.id, end),
            // Asked again, behind what is on the wire.
            None => self.held.push_back(wanted),
        }
        let is_surplus = self.asked == 0 && !serving.arrived.is_empty();
        Ok(if is_surplus { After::Ended } else { after })
    }

    /// Sends the requests of all files that are held.
    async fn send(&mut self, endpoint: &Endpoint, serving: &mut Serving) -> Result<()> {
        let wire = &mut serving.connection.wire;
        let mut requests = Vec::new();
        while self.asked < self.held.len() {
            match request(endpoint, &self.held[self.asked]) {
                Ok((bytes, sent)) => {
                    requests.extend(bytes);
                    self.asked += 1;
                    self.sent.push_back(sent);
                }
                Err(error) => {
                    let wanted = self.held.remove(self.asked).expect("it is held");
                    let end = End::Failed { error, retry_after: None };
                    self.common.desk.ended(self.id, wanted.id, end);
                }
            }
        }
        if !requests.is_empty() {
            wire.expect_head();
            wire.send(requests).await?;
        }
        Ok(())
    }

    /// Receives the answer to the request for `wanted`; without an end it is to be asked for again.
    /// Where it brings nothing for too long the files behind it are given back.
    async fn receive(
        &mut self,
        endpoint: &Endpoint,
        serving: &mut Serving,
        wanted: &Wanted,
    ) -> Result<(Option<End>, After)> {
        let Serving { connection, socket, arrived, .. } = serving;
        let is_held_back = Cell::new(false);
        let receiver = Receiver {
            endpoint,
            sent: self.sent.front().copied().unwrap_or_default(),
            context: &self.local.context,
            common: &self.common,
            shard: &self.local.shard,
            allowance: &self.allowance,
            is_held_back: &is_held_back,
        };
        self.silence.begin();
        let mut owes_answers = false;
        let mut answer = pin!(receiver.receive(&mut connection.wire, arrived, wanted));
        let (end, after) = loop {
            match race(answer.as_mut(), self.silence.due()).await {
                First::Left(received) => break received?,
                First::Right(()) => {}
            }
            if self.silence.look(socket, is_held_back.get()) {
                let back = self.common.desk.stuck(self.id);
                self.is_stuck = true;
                if back > 0 {
                    assert_eq!(back, self.held.len(), "all that is behind it");
                    self.held.clear();
                    (self.asked, owes_answers) = (1, true);
                }
            }
        };
        self.silence.end();
        self.is_stuck = false;
        Ok((end, if owes_answers { After::Ended } else { after }))
    }

    /// The connection has broken with `error`.
    fn lost(&mut self, serving: &Serving, error: Error) {
        let Some(wanted) = self.held.front() else { return };
        if error.kind() == ErrorKind::ConnectionLost && serving.has_answered {
            // Closed instead of answering: servers do so after a while, or want no requests ahead.
            if self.asked > 1 {
                let origin = self.to.origin();
                self.local.context.client.learned.refuses_ahead(&origin);
            }
            return;
        }
        self.lost += 1;
        if self.lost >= LOST_AT_ONE_MAX {
            (self.lost, self.is_stuck) = (0, false);
            let id = wanted.id;
            let error = error.within(&wanted.url);
            self.held.pop_front();
            self.common.desk.ended(self.id, id, End::Failed { error, retry_after: None });
        }
    }
}

/// A connection with an answer that nobody waits for cannot be used again.
fn is_clean(serving: &Serving) -> bool {
    serving.arrived.is_empty() && !serving.connection.wire.has_unread()
}

/// The request for a file.
fn request(endpoint: &Endpoint, wanted: &Wanted) -> Result<(Vec<u8>, Sent)> {
    let (own, is_redirected) = (&wanted.headers, wanted.is_redirected);
    let mut request = endpoint.request_for(&wanted.url, own, is_redirected)?.range(asked());
    if let Some((name, value)) = &wanted.condition {
        request = request.header(name, value)?;
    }
    Ok((request.encode()?, request.sent()))
}

fn lane_number(id: u64) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}
