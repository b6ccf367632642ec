//! Through a proxy: talks to it on a wire until what is sent reaches the origin.
//!
//! Owns neither what is said (`http/proxy`) nor which proxy is taken. How long the proxy may take
//! is the caller's, who gives a connection up after its time.

use super::wire::Wire;
use crate::base::Result;
use crate::http::proxy::{Handshake, Step};

/// Bytes read at once of a proxy's answer: most are below 1 KiB.
const ANSWER_READ_BYTES: usize = 4096;

/// Has the proxy at the other end of `wire` do what `handshake` asks for.
pub async fn open(wire: &mut Wire, mut handshake: Handshake) -> Result<()> {
    wire.send(handshake.begin()).await?;
    loop {
        let received = wire.read_some(ANSWER_READ_BYTES).await?;
        if received.is_empty() {
            return Err(handshake.on_eof());
        }
        match handshake.on_received(&received)? {
            Step::Receive => {}
            Step::Send(bytes) => wire.send(bytes).await?,
            Step::Done if wire.has_unread() => return Err(handshake.on_surplus()),
            Step::Done => return Ok(()),
        }
    }
}
