//! A transfer as one shard sees it: what everything needs that asks a server.

use super::client::shard::Shard;
use super::context::Context;
use std::rc::Rc;
use std::sync::Arc;

/// A transfer on one shard.
#[derive(Clone)]
pub(super) struct Local {
    pub(super) context: Arc<Context>,
    pub(super) shard: Rc<Shard>,
    /// It has a connection that it keeps: for one more beside it nobody waits, or transfers could
    /// wait for each other for ever.
    pub(super) holds_connection: bool,
}

impl Local {
    /// A transfer that has no connection here.
    pub(super) fn new(context: &Arc<Context>, shard: &Rc<Shard>) -> Self {
        Self { context: context.clone(), shard: shard.clone(), holds_connection: false }
    }

    /// The same beside a connection that is kept.
    pub(super) fn beside_connection(&self) -> Self {
        Self { holds_connection: true, ..self.clone() }
    }
}
