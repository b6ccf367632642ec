//! How many connections this process and its children have to a server, watched from beside.

use super::wait_for_end;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Looks again and again how many connections of this machine to a port are open or being made: the
/// kernel's word, as a server hears of an end later. Its table is not read in one instant, so that
/// a connection may be counted beside the one that follows it: the least of three looks in a row
/// counts.
pub(crate) struct Watch {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Watch {
    pub(crate) fn start(port: u16) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let own = is_over.clone();
        let thread = thread::spawn(move || {
            let mut peak = 0;
            while !own.load(Ordering::Relaxed) {
                let looks = [(); 3].map(|()| open_connections(port));
                peak = peak.max(looks.into_iter().min().unwrap_or_default());
            }
            peak
        });
        Self { is_over, thread }
    }

    pub(crate) fn peak(self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        wait_for_end(self.thread)
    }
}

/// Connections to `port` on loopback that are established or asked for, from `/proc/net/tcp`.
fn open_connections(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    const SYN_SENT: &str = "02";
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table of sockets");
    let remote = format!(":{port:04X}");
    let is_open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(2);
        let leads_there = fields.next().is_some_and(|address| address.ends_with(&remote));
        leads_there && fields.next().is_some_and(|state| [ESTABLISHED, SYN_SENT].contains(&state))
    };
    table.lines().filter(is_open).count()
}
