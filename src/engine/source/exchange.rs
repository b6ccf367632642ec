//! One request on one connection, up to the end of the response's head.

use super::connection::Connection;
use crate::base::{Error, ErrorKind, Result};
use crate::http::{Exchange, Head, Request, Sent};

/// Bytes read at once while a head is expected: most heads are smaller, and what comes behind it
/// has to be copied.
const HEAD_READ_BYTES: usize = 4096;

/// A connection on which the head of a response has arrived.
pub(in crate::engine) struct Opening {
    pub(in crate::engine) connection: Connection,
    pub(in crate::engine) exchange: Exchange,
    /// Bytes that came behind the head: of the body, and behind it of the next response.
    pub(in crate::engine) surplus: Vec<u8>,
    /// What the request was.
    pub(in crate::engine) sent: Sent,
}

/// A connection on which a request has been sent ahead, and what has arrived of its response.
pub(in crate::engine) struct Pending {
    connection: Connection,
    arrived: Vec<u8>,
    sent: Sent,
}

impl Opening {
    /// The response's head.
    pub(in crate::engine) fn head(&self) -> &Head {
        self.exchange.head().expect("an opening has its head")
    }

    /// The connection, if it may carry another request.
    pub(in crate::engine) fn reuse(mut self) -> Option<Connection> {
        if !self.surplus.is_empty() || self.connection.wire.has_unread() {
            self.exchange.on_excess();
        }
        self.exchange.reusable().then_some(self.connection)
    }

    /// The connection with the response to the request that was `sent` ahead, if this one has ended
    /// as it should.
    pub(in crate::engine) fn pending(self, sent: Sent) -> Option<Pending> {
        let Self { connection, exchange, surplus: arrived, .. } = self;
        exchange.reusable().then_some(Pending { connection, arrived, sent })
    }

    /// Takes note that the peer has ended the connection; an error unless that ends the body.
    pub(in crate::engine) fn on_eof(&mut self) -> Result<()> {
        if !self.connection.wire.ended_cleanly() {
            return Err(Error::new(
                ErrorKind::Truncated,
                "the connection ended without TLS close_notify: the body may be cut short",
            ));
        }
        self.exchange.on_eof()
    }
}

/// Sends `request` and reads the head of its response.
pub(in crate::engine) async fn ask(
    mut connection: Connection,
    request: &Request,
) -> Result<Opening> {
    connection.wire.expect_head();
    connection.wire.send(request.encode()?).await?;
    read_head(Pending { connection, arrived: Vec::new(), sent: request.sent() }).await
}

/// Reads the head of the response to a request that has been sent.
pub(in crate::engine) async fn answer(pending: Pending) -> Result<Opening> {
    pending.connection.wire.expect_head();
    read_head(pending).await
}

async fn read_head(pending: Pending) -> Result<Opening> {
    let Pending { mut connection, mut arrived, sent } = pending;
    let mut exchange = Exchange::new();
    loop {
        if arrived.is_empty() {
            arrived = connection.wire.read_some(HEAD_READ_BYTES).await?;
            if arrived.is_empty() {
                exchange.on_eof()?;
            }
        }
        if let Some(surplus) = exchange.on_head(&arrived)? {
            let surplus = arrived.split_off(arrived.len() - surplus);
            connection.wire.expect_body();
            return Ok(Opening { connection, exchange, surplus, sent });
        }
        arrived.clear();
    }
}
