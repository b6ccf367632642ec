//! Where a connection leads: which source it asks, on which address, and what follows where the URL
//! of that source has expired.

use super::Ranged;
use crate::base::{Error, ErrorKind, Result, Span};
use crate::engine::context::jitter_seed;
use crate::engine::failure::Failure;
use crate::engine::local::Local;
use crate::engine::source::connection::Connection;
use crate::engine::source::endpoint::Endpoint;
use crate::engine::source::twin::Twin;
use crate::engine::source::{Renewed, Source};
use crate::io::tcp_info::TcpInfo;
use crate::plan::ConnectionId;
use std::sync::Arc;

impl Ranged {
    /// Which source the connection asks.
    pub(super) fn source_of(&self, id: ConnectionId) -> &Arc<Source> {
        let at = self.roster().source(id);
        self.source(at.unwrap_or(self.first))
    }

    /// Whom the connection, which is to be made, is to ask; `None`: nobody at the moment.
    pub(super) fn route(&self, id: ConnectionId) -> Option<&Arc<Source>> {
        let to = self.plan().route(self.context.now(), id)?;
        self.roster().lead(id, to);
        Some(self.source(to))
    }

    /// Whether the connection's next request should go where it is.
    pub(super) fn stays(&self, id: ConnectionId) -> bool {
        self.is_single() || self.plan().stays(self.context.now(), id)
    }

    /// Whom to connect to, best first.
    pub(super) fn address_order(&self, id: ConnectionId) -> Vec<u32> {
        self.plan().address_order(self.context.now(), id)
    }

    /// The worker has a new connection.
    pub(super) fn connected(&self, id: ConnectionId, connection: &Connection) {
        self.attach(id, connection);
        self.source_of(id).tally.connected();
        self.plan().on_connected(self.context.now(), id, connection.address, connection.setup);
    }

    /// Lets the tick reach the connection.
    pub(super) fn attach(&self, id: ConnectionId, connection: &Connection) {
        self.roster().attach(id, connection.wire.handle());
    }

    /// What the kernel knows of the connection.
    pub(super) fn tcp_info(&self, id: ConnectionId) -> Option<TcpInfo> {
        self.roster().tcp_info(id)
    }

    /// After the endpoint `used` has refused to give `asked`: the answer of a new one, or `None` if
    /// there is a new one to be asked.
    pub(super) async fn renew(
        &self,
        local: &Local,
        id: ConnectionId,
        used: &Arc<Endpoint>,
        asked: Span,
    ) -> Result<Option<Renewed>, Failure> {
        let source = self.source_of(id);
        let prove = async |endpoint: &Endpoint| self.prove(local, source, endpoint).await;
        let renewed = source.renew(local, used, asked, prove).await?;
        if let Some(Renewed { endpoint, opening, times }) = &renewed {
            let Connection { address, setup, .. } = opening.connection;
            self.attach(id, &opening.connection);
            let mut plan = self.plan();
            plan.on_new_addresses(self.context.now(), id, endpoint.addresses());
            plan.on_connected(self.context.now(), id, address, setup);
            plan.on_requested(times.requested, id, asked.start());
        }
        Ok(renewed)
    }

    /// Compares what is written with what `endpoint` serves; nothing to do where a digest decides
    /// at the end, or where nothing is kept. What has been passed on cannot be compared.
    async fn prove(&self, local: &Local, source: &Source, endpoint: &Endpoint) -> Result<()> {
        if self.file.has_digest() || self.to.output.is_nowhere() {
            return Ok(());
        }
        if self.to.output.is_ordered() {
            let what = "nothing shows that the new URL is one of the file that was begun";
            let error = Error::new(ErrorKind::Changed, what).within(endpoint.url());
            return Err(error.advise("start again, with the digest of the file (--checksum)"));
        }
        let (url, versions, output) = (source.url(), &source.versions(), &*self.to.output);
        let twin = Twin { local, url, endpoint, versions, output };
        twin.test(&self.to.book.written(), jitter_seed()).await
    }
}
