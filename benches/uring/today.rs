//! Receiving as the engine does it: `net::wire` on tokio-uring, one task per connection.

use crate::load::{Cost, Load, Meter};
use crate::shard::Shard;
use ringhaul::internal::base::limits::{BLOCK_BYTES, STALL_TIMEOUT};
use ringhaul::internal::http::{Exchange, Want};
use ringhaul::internal::io::buffers::Pool;
use ringhaul::internal::io::driver;
use ringhaul::internal::io::patience::Limits;
use ringhaul::internal::io::socket::Socket;
use ringhaul::internal::net::wire::Wire;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;

/// What the engine reads at a time while it looks for the end of a head.
const HEAD_READ_BYTES: usize = 4096;

/// Receives all of `load`.
pub(crate) fn receive(load: &'static Load) -> io::Result<Cost> {
    let blocks = u32::try_from(load.connections).expect("few connections");
    let shard = Shard::new(blocks, false)?;
    let mut leases: Vec<_> = std::iter::from_fn(|| shard.pool().try_lease()).collect();
    // Touched now, so that no page is zeroed while it is measured.
    leases.iter_mut().for_each(|lease| lease.spare_mut().fill(0));
    drop(leases);
    shard.run(async {
        let mut wires = Vec::new();
        for _ in 0..load.connections {
            let limits = Limits::new(STALL_TIMEOUT, None, Arc::default());
            wires.push(Wire::plain(Socket::connect(load.address, limits).await?));
        }
        let (open, ended) = (Rc::new(Cell::new(load.connections)), Rc::new(Notify::new()));
        let meter = Meter::start();
        for wire in wires {
            let (open, ended, pool) = (open.clone(), ended.clone(), shard.pool().clone());
            driver::spawn(async move {
                receive_all(load, wire, &pool).await;
                open.set(open.get() - 1);
                if open.get() == 0 {
                    ended.notify_one();
                }
            });
        }
        ended.notified().await;
        Ok(meter.stop())
    })
}

async fn receive_all(load: &Load, mut wire: Wire, pool: &Pool) {
    for _ in 0..load.requests {
        receive_one(load, &mut wire, pool).await;
    }
}

async fn receive_one(load: &Load, wire: &mut Wire, pool: &Pool) {
    wire.send(load.request.to_vec()).await.expect("the connection stands");
    let mut exchange = Exchange::new();
    let mut lease = pool.lease().await;
    while exchange.want() == Want::Head {
        let arrived = wire.read_some(HEAD_READ_BYTES).await.expect("the connection stands");
        if let Some(surplus) = exchange.on_head(&arrived).expect("a head by the letter") {
            lease.append(&arrived[arrived.len() - surplus..]);
            exchange.on_direct(surplus as u64);
        }
    }
    let mut checked = 0;
    while let Want::Direct(left) = exchange.want() {
        if lease.spare() == 0 {
            load.check(checked, lease.as_ref());
            checked += lease.filled();
            // Back to the pool first, so that the same memory is filled over and over.
            drop(lease);
            lease = pool.lease().await;
        }
        let room = lease.spare().min(BLOCK_BYTES);
        let wanted = usize::try_from(left).map_or(room, |left| left.min(room));
        let filled = lease.filled();
        let result;
        (lease, result) = wire.fill(lease, wanted, left - wanted as u64).await;
        result.expect("the connection stands");
        exchange.on_direct((lease.filled() - filled) as u64);
    }
    load.check(checked, lease.as_ref());
}
