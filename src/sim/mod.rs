//! Transfers in virtual time: the plan as it is, against paths, servers and faults that are made
//! up. Owns the model of the network and the scenarios the laws are tuned on and judged by. Imports
//! base and plan only; must not know sockets, files or the engine, whose part it plays.
//!
//! [`judge`] compares the adaptive plan with the best of a grid of fixed settings; [`run`] plays
//! one transfer and panics where the plan breaks its contract, which is what the safety tests with
//! [`swarm()`] are made of. `cargo bench --bench sim` prints the table.
//!
//! Where a scenario has several servers there is no grid: [`judge_split`] compares with the time
//! that their rates together would take, if it were known in advance which of them fails when.
//!
//! [`judge_cluster`] is of many files on many machines, and has a model of its own in `cluster`.
//!
//! There are two networks; the scenario's path chooses.
//!
//! One is a fluid: bytes flow at rates that are constant between two events. A flow has the window
//! of a cubic sender (slow start, receive window, random losses, losses where the queue overflows);
//! flows share the link max-min fairly, with limits per connection, per address and of the server.
//! On a path of 150 ms with 0.1 % loss it gives 1, 8, 16 and 32 connections 2, 23, 47 and 75 % of
//! the link, where 2, 20, 45 and 73 % were measured (`tests/sim.rs` holds it to that). It knows no
//! single packets, no delayed acknowledgements, and a queue adds no delay.
//!
//! The other one is of packets: TCP senders behind a drop-tail queue, slower to simulate;
//! `world/tcp.rs` says what it knows, [`measured`] what it is held to.
//!
//! In both the client's processor is without limits, and the engine's calls never cross each other.

mod book;
mod calibration;
mod cluster;
mod driver;
mod grid;
mod ideal;
pub(crate) mod rng;
mod scenario;
mod swarm;
mod table;
mod worker;
mod world;

pub use calibration::{Measured, measured};
pub use cluster::{
    Load, Nodes, Row, SLICES_PER_NODE, Sizes, Spread, Survey, ideal_s as cluster_ideal_s,
    judge_cluster, loses_from, makespan_s,
};
pub use driver::{End, Outcome, Run, run};
pub use grid::{
    Best, Cell, Duel, Price, Verdict, auto_settings, best_cell, cells, judge, run_auto, run_cell,
};
pub use ideal::{Split, ideal_s, judge_split};
pub use rng::Rng;
pub use scenario::{
    Address, AheadAnswer, Control, Ending, GBIT, Half, Health, Limit, MBIT, MS, Path, Refusal,
    Scenario, Server, ServerEnd, Target, Tcp, Throttle,
};
pub use swarm::swarm;
pub use table::{mirrored, scenarios};
