//! Rank 2: the kernel. All `unsafe` of the crate lives below here. Knows no HTTP and no plan.
//!
//! A worker sees three things: a [`buffers::Lease`] is the right to fill one block, a
//! [`socket::Socket`] fills it, a [`file::BlockFile`] writes it at an offset. Behind them a
//! [`driver::Driver`] moves the bytes, one per shard: `uring/`, or `epoll/` where there is no ring.
//!
//! Rule of ownership: whatever memory the kernel may touch belongs to the operation until its
//! completion is there. Dropping an operation's future leaves that memory with the driver;
//! dropping a `Socket` shuts it down, so that its operations complete. A driver ends, in a panic
//! too, only when all of them have.

#![allow(unsafe_code, reason = "the one address of unsafe code, see the house rules")]

pub mod buffers;
pub mod child;
pub mod clock;
pub mod connect;
pub mod descriptors;
pub mod driver;
pub mod epoll;
pub mod file;
pub mod folder;
pub mod interfaces;
pub mod lookup;
pub mod ours;
pub mod patience;
pub mod priority;
pub mod probe;
pub mod range_lock;
pub mod receive;
pub mod socket;
pub mod stream;
pub mod tcp_info;
pub mod terminal;
pub mod throttle;
pub mod unwinding;
pub mod uring;
pub mod whole;
