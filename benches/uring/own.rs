//! Receiving through the small ring: one state machine per connection, one loop for all of them.
//!
//! One-shot: `Head` (a receive of what there is), then `Body` (receives of whole blocks).
//! Multishot: one receive per connection that lasts, whose bytes are parted into heads and bodies.
//! Into blocks: heads as with one-shot, bodies through a multishot receive into blocks that are
//! lent to the kernel.

use crate::kernel::{Completion, Event, Layout, Place, Ring};
use crate::load::{Cost, Load, Meter};
use ringhaul::internal::base::limits::BLOCK_BYTES;
use ringhaul::internal::http::{Exchange, Want};
use std::io;
use std::net::TcpStream;

/// As in `io/socket.rs`, where the reasons are.
const LOW_WATER_BYTES_MAX: usize = 512 * 1024;
const LAST_PIECE_BYTES: usize = 128 * 1024;
/// Bodies of which no more than this is missing are not worth a system call that sets the mark.
const LOW_WATER_BYTES_MIN: usize = 64 * 1024;
/// Buffers that all connections share: 4 MiB.
const SHARED_BUFFERS: usize = 64;

/// How bodies are received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A receive per block, with MSG_WAITALL.
    OneShot,
    /// Multishot, into buffers that all connections share; several per completion if `bundled`.
    /// What would have to be copied into blocks is `copied`, or dropped.
    Shared { bundled: bool, copied: bool },
    /// Multishot, straight into blocks that are lent to the kernel (IOU_PBUF_RING_INC).
    Lent,
}

impl Way {
    fn fills_blocks(self) -> bool {
        !matches!(self, Self::Shared { copied: false, .. })
    }
}

/// How the ring is set up and used.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) way: Way,
    /// SINGLE_ISSUER and DEFER_TASKRUN.
    pub(crate) is_deferred: bool,
    /// Request and receive go to the kernel together, instead of one after the other.
    pub(crate) is_batched: bool,
    /// SO_RCVLOWAT, as the engine sets it.
    pub(crate) has_low_water: bool,
    /// Waits outside of the ring until completions are there, as a ring below tokio has to.
    pub(crate) waits_in_poll: bool,
}

/// Receives all of `load`. Unsupported is what this kernel lacks.
pub(crate) fn receive(load: &Load, setting: Setting) -> io::Result<Cost> {
    let (layout, blocks, shared) = match setting.way {
        Way::OneShot => (Layout::Blocks, 1, 0),
        Way::Shared { .. } => (Layout::Shared, 1, SHARED_BUFFERS),
        Way::Lent => (Layout::Incremental, BLOCKS_LENT, 0),
    };
    let ring = Ring::new(setting.is_deferred, layout, load.connections, blocks, shared);
    let mut ring = ring.map_err(unsupported)?;
    if matches!(setting.way, Way::Shared { bundled: true, .. }) && !ring.has_bundles() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    if setting.waits_in_poll {
        ring.wait_in_poll()?;
    }
    for _ in 0..load.connections {
        let stream = TcpStream::connect(load.address)?;
        stream.set_nodelay(true)?;
        ring.adopt(stream);
    }
    let connections = (0..load.connections).map(|_| Connection::new(load.requests)).collect();
    let mut receiver = Receiver { load, setting, ring, connections, open: load.connections };
    let meter = Meter::start();
    receiver.run()?;
    Ok(meter.stop())
}

/// Blocks of a connection that are lent in turn.
const BLOCKS_LENT: usize = 2;

struct Receiver<'a> {
    load: &'a Load,
    setting: Setting,
    ring: Ring,
    connections: Vec<Connection>,
    /// Connections that have not received everything.
    open: usize,
}

struct Connection {
    exchange: Exchange,
    /// Requests that are not answered in full.
    requests: usize,
    /// Bytes in the block that is being filled.
    filled: usize,
    /// Indicates whether a multishot receive is under way.
    is_armed: bool,
    low_water: usize,
    /// Which of the connection's blocks is being filled.
    block: usize,
    /// Bytes of the body that no block has been lent for.
    unlent: usize,
}

impl Connection {
    fn new(requests: usize) -> Self {
        Self {
            exchange: Exchange::new(),
            requests,
            filled: 0,
            is_armed: false,
            low_water: 1,
            block: 0,
            unlent: 0,
        }
    }

    /// Bytes of the body that are still to come; 0 outside of a body.
    fn left(&self) -> usize {
        match self.exchange.want() {
            Want::Direct(left) => usize::try_from(left).expect("bodies fit into memory"),
            _ => 0,
        }
    }
}

impl Receiver<'_> {
    fn run(&mut self) -> io::Result<()> {
        for number in 0..self.connections.len() {
            self.request(number);
        }
        let mut completions = Vec::new();
        while self.open > 0 {
            self.arm_all();
            self.ring.wait(&mut completions)?;
            for completion in completions.drain(..) {
                self.on(completion)?;
            }
        }
        Ok(())
    }

    /// Asks for the next body.
    fn request(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        connection.exchange = Exchange::new();
        connection.filled = 0;
        self.ring.send(number, self.load.request, self.setting.is_batched);
        if self.setting.is_batched {
            self.want_head(number);
        }
    }

    fn want_head(&mut self, number: usize) {
        self.mark(number, 1);
        if !matches!(self.setting.way, Way::Shared { .. }) {
            self.ring.receive_head(number);
        }
    }

    fn on(&mut self, completion: Completion) -> io::Result<()> {
        let number = completion.connection;
        match (completion.event, &completion.result) {
            (Event::Sent, Ok(_)) => self.want_head(number),
            (Event::Buffered, Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                self.connections[number].is_armed = completion.more;
            }
            (_, Err(error)) => return Err(io::Error::from(error.kind())),
            (_, Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            (Event::Head, _) => self.on_head(completion)?,
            (Event::Body, Ok(bytes)) => {
                let bytes = *bytes;
                self.on_body(number, bytes);
                self.next_block(number);
            }
            (Event::Buffered, Ok(bytes)) => {
                self.connections[number].is_armed = completion.more;
                let bytes = *bytes;
                if self.setting.way == Way::Lent {
                    self.ring.give_back(completion);
                    self.on_body(number, bytes);
                    self.lend_again(number);
                } else {
                    self.part(completion)?;
                }
                self.mark_rest(number);
            }
            (Event::Unsent | Event::Written, _) => {}
        }
        Ok(())
    }

    /// A head and what came with it of the body.
    fn on_head(&mut self, completion: Completion) -> io::Result<()> {
        let number = completion.connection;
        let bytes = self.ring.piece(&completion, 0).expect("not empty");
        let (len, connection) = (bytes.len(), &mut self.connections[number]);
        match connection.exchange.on_head(bytes).map_err(io::Error::other)? {
            None => self.ring.receive_head(number),
            Some(surplus) => {
                let to = Place { block: self.block(number), from: 0, bytes: surplus };
                self.ring.copy(&completion, 0, len - surplus, to);
                self.on_body(number, surplus);
                match self.setting.way {
                    Way::Lent => self.lend_first(number),
                    _ => self.next_block(number),
                }
            }
        }
        Ok(())
    }

    /// Counts bytes that are in the block, and asks for the next body behind the last.
    fn on_body(&mut self, number: usize, bytes: usize) {
        let connection = &mut self.connections[number];
        connection.filled += bytes;
        connection.exchange.on_direct(bytes as u64);
        let received = self.load.body_bytes - connection.left();
        let (filled, is_complete) = (connection.filled, connection.exchange.is_complete());
        if filled == BLOCK_BYTES || is_complete {
            // Here it would go to the writer.
            if self.load.content.is_some() && self.setting.way.fills_blocks() {
                let place = Place { block: self.block(number), from: 0, bytes: filled };
                self.load.check(received - filled, self.ring.block(place));
            }
            let connection = &mut self.connections[number];
            connection.filled = 0;
            if self.setting.way == Way::Lent {
                connection.block = (connection.block + 1) % BLOCKS_LENT;
            }
        }
        if is_complete {
            self.end(number);
        }
    }

    fn end(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        connection.requests -= 1;
        if connection.requests > 0 {
            self.request(number);
        } else {
            self.open -= 1;
        }
    }

    /// One-shot: receives into what is left of the block, as `receive_all` of `io/socket.rs` does.
    fn next_block(&mut self, number: usize) {
        let connection = &self.connections[number];
        let (left, from) = (connection.left(), connection.filled);
        if left == 0 {
            return;
        }
        let wanted = left.min(BLOCK_BYTES - from);
        let more = left - wanted;
        let halve = more == 0 && wanted > LAST_PIECE_BYTES;
        let bytes = if halve { wanted / 2 } else { wanted };
        let behind = more + (wanted - bytes);
        self.mark(number, (bytes / 2).min(behind).clamp(1, LOW_WATER_BYTES_MAX));
        self.ring.receive_all(number, Place { block: number, from, bytes });
    }

    /// Shared buffers: parts what has arrived into heads and bodies.
    fn part(&mut self, completion: Completion) -> io::Result<()> {
        let number = completion.connection;
        let mut at = 0;
        while let Some(bytes) = self.ring.piece(&completion, at) {
            let (len, mut used) = (bytes.len(), 0);
            while used < len {
                let connection = &mut self.connections[number];
                if connection.exchange.want() == Want::Head {
                    let bytes = self.ring.piece(&completion, at).expect("just looked at");
                    let behind = connection.exchange.on_head(&bytes[used..]);
                    used = len - behind.map_err(io::Error::other)?.unwrap_or(0);
                    continue;
                }
                let room = BLOCK_BYTES - connection.filled;
                let taken = connection.left().min(len - used).min(room);
                assert!(taken > 0, "nothing comes behind a body");
                if self.setting.way.fills_blocks() {
                    let from = connection.filled;
                    let to = Place { block: number, from, bytes: taken };
                    self.ring.copy(&completion, at, used, to);
                }
                used += taken;
                self.on_body(number, taken);
            }
            at += 1;
        }
        self.ring.give_back(completion);
        Ok(())
    }

    /// Into blocks: lends what is left of the first block, and the next ones.
    fn lend_first(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        let left = connection.left();
        if left == 0 {
            return;
        }
        let (first, from) = (connection.block, connection.filled);
        let bytes = left.min(BLOCK_BYTES - from);
        connection.unlent = left - bytes;
        self.ring.lend(number, first, from, bytes);
        for index in 1..BLOCKS_LENT {
            self.lend(number, (first + index) % BLOCKS_LENT);
        }
        self.mark_rest(number);
    }

    /// Into blocks: lends the block again that has just been filled.
    fn lend_again(&mut self, number: usize) {
        let connection = &self.connections[number];
        if connection.filled == 0 && connection.left() > 0 {
            self.lend(number, (connection.block + BLOCKS_LENT - 1) % BLOCKS_LENT);
        }
    }

    fn lend(&mut self, number: usize, index: usize) {
        let connection = &mut self.connections[number];
        let bytes = connection.unlent.min(BLOCK_BYTES);
        connection.unlent -= bytes;
        if bytes > 0 {
            self.ring.lend(number, index, 0, bytes);
        }
    }

    /// Starts multishot receives that have ended, and are wanted, again.
    fn arm_all(&mut self) {
        if self.setting.way == Way::OneShot {
            return;
        }
        let bundled = matches!(self.setting.way, Way::Shared { bundled: true, .. });
        for number in 0..self.connections.len() {
            let connection = &mut self.connections[number];
            let is_wanted = match self.setting.way {
                Way::Lent => connection.left() > 0,
                _ => connection.requests > 0,
            };
            if is_wanted && !connection.is_armed {
                connection.is_armed = true;
                self.ring.receive_multi(number, bundled);
            }
        }
    }

    /// Multishot: what the kernel may wait for. If it has taken more than we know, a completion is
    /// on its way and lowers the mark, and the kernel then looks again.
    fn mark_rest(&mut self, number: usize) {
        let left = self.connections[number].left();
        let mark = if left > LOW_WATER_BYTES_MIN { left.min(LOW_WATER_BYTES_MAX) } else { 1 };
        self.mark(number, mark);
    }

    fn mark(&mut self, number: usize, bytes: usize) {
        let low_water = &mut self.connections[number].low_water;
        if self.setting.has_low_water && *low_water != bytes {
            *low_water = bytes;
            self.ring.set_low_water(number, bytes);
        }
    }

    /// The number of the block that is being filled.
    fn block(&self, number: usize) -> usize {
        match self.setting.way {
            Way::Lent => number * BLOCKS_LENT + self.connections[number].block,
            _ => number,
        }
    }
}

/// A kernel that does not know a flag answers EINVAL.
fn unsupported(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::InvalidInput => io::ErrorKind::Unsupported.into(),
        _ => error,
    }
}
