//! A body that is wanted in memory, however it is framed: of a small file, or of a sample; and the
//! start of one that is not wanted. Must not know what it is for.

use super::exchange::Opening;
use crate::base::{Error, ErrorKind, Result};
use crate::http::Want;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Receives the body of `opening` to its end; `None` as soon as it has more than `bytes_max`. What
/// came behind it stays in the opening's surplus.
pub(in crate::engine) async fn receive(
    opening: &mut Opening,
    bytes_max: u64,
) -> Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    let mut arrived = std::mem::take(&mut opening.surplus);
    let mut decoded = vec![0; READ_BYTES];
    while !opening.exchange.is_complete() {
        if arrived.is_empty() {
            arrived = opening.connection.wire.read_some(READ_BYTES).await?;
            if arrived.is_empty() {
                opening.on_eof()?;
                continue;
            }
        }
        let before = body.len();
        let taken = take(opening, &arrived, &mut decoded, &mut body)?;
        opening.connection.wire.pay(body.len() - before);
        arrived.drain(..taken);
        if body.len() as u64 > bytes_max {
            return Ok(None);
        }
    }
    opening.surplus = arrived;
    Ok(Some(body))
}

/// Receives the next `bytes` of a body of known length, and drops them.
pub(in crate::engine) async fn skip(opening: &mut Opening, bytes: u64) -> Result<()> {
    let mut arrived = std::mem::take(&mut opening.surplus);
    let mut left = bytes;
    while left > 0 {
        if arrived.is_empty() {
            arrived = opening.connection.wire.read_some(READ_BYTES).await?;
            if arrived.is_empty() {
                opening.on_eof()?;
                return Err(Error::new(ErrorKind::Truncated, "the body ends before its length"));
            }
        }
        let now = usize::try_from(left).map_or(arrived.len(), |left| left.min(arrived.len()));
        opening.exchange.on_direct(now as u64);
        opening.connection.wire.pay(now);
        arrived.drain(..now);
        left -= now as u64;
    }
    opening.surplus = arrived;
    Ok(())
}

/// Takes body bytes out of what has arrived; how many of them are used up.
fn take(
    opening: &mut Opening,
    arrived: &[u8],
    decoded: &mut [u8],
    body: &mut Vec<u8>,
) -> Result<usize> {
    let taken = match opening.exchange.want() {
        Want::Framed => {
            let step = opening.exchange.on_framed(arrived, decoded)?;
            body.extend_from_slice(&decoded[..step.produced]);
            return Ok(step.consumed);
        }
        Want::Direct(left) => usize::try_from(left).map_or(arrived.len(), |l| l.min(arrived.len())),
        Want::UntilClose => arrived.len(),
        Want::Nothing | Want::Head => unreachable!("a body is due"),
    };
    body.extend_from_slice(&arrived[..taken]);
    opening.exchange.on_direct(taken as u64);
    Ok(taken)
}
