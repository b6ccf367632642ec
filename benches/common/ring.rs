//! One ring and its blocks, on the thread of the bench. The only place below `benches/` that knows
//! the driver by name.

use ringhaul::internal::io::buffers::Pool;
use ringhaul::internal::io::driver::{Driver, DriverKind, register};
use std::io;

/// What a thread of the engine has to work with.
pub(crate) struct Shard {
    ring: Driver,
    pool: Pool,
}

impl Shard {
    /// A ring, and an arena of `blocks` blocks; `registered` asks the kernel to register them,
    /// which the memlock limit may forbid.
    pub(crate) fn new(blocks: u32, registered: bool) -> io::Result<Self> {
        let (ring, pool) = (Driver::new(DriverKind::IoUring)?, Pool::new(blocks)?);
        if registered {
            ring.run(async { register(&pool, blocks) })?;
        }
        Ok(Self { ring, pool })
    }

    /// Runs `future` to its end, and waits until nothing is in flight any more.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.ring.run(future)
    }

    /// The blocks.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}
