//! What happens to all workers at once: the tick with its samples and actions, starting workers,
//! waking idle ones. Must not know how a worker works.

use super::{CPU_BUSY, Driver, id};
use crate::base::ErrorKind;
use crate::plan::{Action, Arrival, Pressure};
use crate::sim::worker::{State, Worker};
use std::time::Duration;

/// Time between two of the engine's ticks, in seconds.
const TICK_S: f64 = 0.05;
/// An idle connection is closed after this number of seconds: servers do it soon after.
const IDLE_S_MAX: f64 = 4.0;

impl Driver {
    pub(super) fn tick(&mut self) {
        self.next_tick_s = self.now_s + TICK_S;
        let now = self.now();
        let block_bytes = self.settings.block_bytes;
        for slot in 0..self.workers.len() {
            if let Some(job) = &self.workers[slot].job {
                let received_to = job.received_to();
                let complete_to = job.complete_to(block_bytes);
                self.deliver(slot, complete_to);
                self.plan.on_progress(now, id(slot), received_to);
                if let Some(tcp) = self.world.tcp_info(self.now_s, slot) {
                    let arrival = Arrival {
                        received_bytes: tcp.received_bytes,
                        unread_bytes: tcp.unread_bytes,
                        memory_bytes: tcp.memory_bytes,
                        out_of_order: u32::try_from(tcp.out_of_order_packets).unwrap_or(u32::MAX),
                        round_trip: Duration::from_secs_f64(tcp.receive_rtt_s),
                    };
                    self.plan.on_arrival(now, id(slot), arrival);
                }
            }
            self.note_silence(slot);
        }
        let is_full = std::mem::take(&mut self.was_disk_full);
        let pressure = Pressure {
            blocks_exhausted: is_full,
            writes_waiting: is_full,
            cpu_busy: CPU_BUSY,
            ..Pressure::default()
        };
        for action in self.plan.on_tick(now, pressure) {
            self.act(action);
        }
        if self.audit {
            self.plan.invariants();
        }
        self.collect_decisions();
        self.look_again();
        self.recruit();
        for slot in 0..self.workers.len() {
            let worker = &self.workers[slot];
            let is_unused = worker.is_idle() || worker.is_off();
            if is_unused && self.now_s - worker.quiet_since_s > IDLE_S_MAX {
                self.world.hang_up(self.now_s, slot);
            }
        }
        self.ask_all();
    }

    /// What the kernel says of a connection that brings the client nothing.
    fn note_silence(&mut self, slot: usize) {
        let worker = &mut self.workers[slot];
        let Some(info) = self.world.tcp_info(self.now_s, slot) else { return };
        let heard = info.received_bytes + info.out_of_order_packets;
        if heard != worker.heard.0 {
            worker.heard = (heard, self.now_s);
        }
        if matches!(worker.state, State::Receiving) {
            let silence_s = self.now_s - worker.quiet_since_s;
            self.book.silent(silence_s, self.now_s - worker.heard.1);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Replace(victim) if self.workers[victim.0 as usize].job.is_some() => {
                self.book.replaced += 1;
                self.fail(victim.0 as usize, ErrorKind::TimedOut, None, false);
            }
            Action::TakeBack(victim) => {
                let worker = &mut self.workers[victim.0 as usize];
                worker.closes |= worker.ahead.take().is_some();
            }
            Action::Abort(victim) if self.workers[victim.0 as usize].job.is_some() => {
                self.abort(victim.0 as usize);
            }
            Action::Replace(_) | Action::Abort(_) => {}
        }
    }

    /// Somebody else has delivered the worker's bytes.
    fn abort(&mut self, slot: usize) {
        let worker = &mut self.workers[slot];
        let job = worker.job.take().expect("looked at before");
        self.book.replaced += 1;
        self.book.wasted_bytes += job.received_to() - job.reported_to;
        worker.closes = false;
        worker.quiet_since_s = self.now_s;
        let ahead = worker.ahead.take();
        self.world.hang_up(self.now_s, slot);
        self.is_stale = true;
        // The same tick may have taken the span ahead back.
        let is_kept = self.plan.on_finished(self.now(), id(slot)).is_some();
        match ahead.filter(|_| is_kept) {
            None => self.ask(slot),
            Some((job, reply)) => self.go_on_with(slot, job, reply),
        }
    }

    /// Starts workers up to the number the plan wants.
    pub(super) fn recruit(&mut self) {
        let wanted = self.plan.connections_wanted(self.now()) as usize;
        assert!(wanted <= self.workers.len(), "{wanted} connections are more than allowed");
        let running = self.workers.iter().filter(|worker| !worker.is_off()).count();
        for _ in running..wanted {
            if let Some(slot) = self.workers.iter().position(Worker::is_off) {
                self.ask(slot);
            }
        }
    }

    pub(super) fn ask_all(&mut self) {
        for slot in 0..self.workers.len() {
            if self.workers[slot].is_idle() {
                self.ask(slot);
            }
        }
    }

    pub(super) fn collect_decisions(&mut self) {
        let fresh = self.plan.decisions();
        if let Some(kept) = &mut self.decisions {
            kept.extend(fresh.iter().map(|it| format!("{:.2?} {:?}: {}", it.at, it.what, it.text)));
        }
    }
}
