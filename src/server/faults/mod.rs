//! What goes wrong, and how fast bytes may go: the script, the shape of the path, and what both
//! decide for one request.
//!
//! Decides and does nothing by itself: `wire` carries it out. Must not know sockets.

pub(super) mod effects;
pub(super) mod flow;
pub(super) mod gates;
pub(super) mod pacer;
mod refusal;
pub(super) mod script;
pub(super) mod shape;
pub(super) mod signing;
