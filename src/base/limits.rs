//! Every bound of the crate, each with the reason or the measurement it came from.

use super::size::{KIB, MIB};
use std::time::Duration;

/// Bytes one buffer lease holds: 1 MiB at queue depth 2 already writes at the speed of deeper
/// queues, and one huge page holds two.
pub const BLOCK_BYTES: usize = 1 << 20;

/// Every span starts at a multiple of this, and ends at one or at the end of the file. 4096 suits
/// O_DIRECT on every file system that names an alignment, and the page cache.
pub const SPAN_ALIGN_BYTES: u64 = 4 * KIB;

/// What the output is called until it is whole: its name and this.
pub const PART_SUFFIX: &str = ".part";

/// Smallest request size that may be asked for: one page.
pub const CHUNK_BYTES_MIN: u64 = SPAN_ALIGN_BYTES;
/// Largest request size that may be asked for.
pub const CHUNK_BYTES_MAX: u64 = 1 << 40;

/// Most connections one download may ask for; each may hold two blocks of memory.
pub const CONNECTIONS_MAX: u32 = 256;
/// Most shards one download may ask for.
pub const THREADS_MAX: u32 = 64;

/// Response head: nginx and Apache send below 1 KiB, signed cloud answers below 8 KiB.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Header fields in one head; httparse needs the table up front.
pub const HEAD_FIELDS_MAX: usize = 128;
/// Interim (1xx) responses skipped before one final response (RFC 9110 15.2).
pub const INTERIM_RESPONSES_MAX: u32 = 16;
/// Bytes of one chunk-size line with its extensions (RFC 9112 7.1.1).
pub const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a chunked body's trailer section, which is read and dropped.
pub const TRAILER_BYTES_MAX: usize = 16 * 1024;
/// Redirects followed for one file; curl's default is 50, browsers stop at 20.
pub const REDIRECTS_MAX: u32 = 20;
/// Bytes of a request head we are ready to send: most servers stop at 8 or 16 KiB.
pub const REQUEST_BYTES_MAX: usize = 32 * 1024;

/// Default retries of one span without progress.
pub const RETRIES_DEFAULT: u32 = 3;
/// Most retries that may be asked for.
pub const RETRIES_MAX: u32 = 1000;
/// First wait before a retry; doubles up to the bound below.
pub const RETRY_WAIT_MIN: Duration = Duration::from_millis(200);
/// Longest wait before a retry.
pub const RETRY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Time to establish one connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Time without one byte of progress before a connection counts as stalled.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Delay before the next address is tried beside the first (RFC 8305 section 5).
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Addresses of one host that are used; more add nothing and cost time when all are dead.
pub const ADDRESSES_MAX: usize = 32;

const _: () = assert!((BLOCK_BYTES as u64).is_multiple_of(SPAN_ALIGN_BYTES));
const _: () = assert!(CONNECTIONS_AUTO_MAX <= CONNECTIONS_MAX);
const _: () = assert!(RETRIES_DEFAULT <= RETRIES_MAX);
const _: () = assert!(CHUNK_BYTES_MIN <= CHUNK_BYTES_MAX);

// cli, ui and job
/// Bytes of one file name on every Linux file system worth writing to (NAME_MAX).
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// Shortest time between two progress lines where there is no terminal.
pub const PROGRESS_LINE_INTERVAL_MIN: Duration = Duration::from_secs(5);
/// Longest time without one: build systems kill jobs that are silent for ten minutes.
pub const PROGRESS_LINE_INTERVAL_MAX: Duration = Duration::from_secs(60);

// plan: decisions about one transfer.

/// A span is split only if this many blocks of it are unclaimed: the thief pays a connection and
/// the victim loses one, and below a block each the halves would be partial writes.
pub const STEAL_BLOCKS_MIN: u64 = 2;
/// Proposals one idle connection makes before it waits: a victim that refused twice is fast
/// enough to need no help.
pub const STEAL_TRIES_MAX: u32 = 2;
/// Window of the displayed rate: shorter flickers, longer hides a stall.
pub const RATE_WINDOW: Duration = Duration::from_secs(3);
/// Samples a rate window keeps at most: about one per 100 ms of the window above.
pub const RATE_SAMPLES_MAX: usize = 32;

const _: () = assert!(STEAL_BLOCKS_MIN >= 2, "each side of a cut keeps at least a block");
const _: () = assert!(STEAL_TRIES_MAX >= 1);
const _: () = assert!(RATE_SAMPLES_MAX > 3);
// --- tls ---
/// Ciphertext a connection's staging buffer must be able to hold. rustls takes handshake messages
/// of up to 64 KiB and puts them together in place; the framing of their records comes on top.
pub const TLS_STAGING_BYTES_MIN: usize = 128 * 1024;
/// Sessions remembered for resumption, eight tickets for each server name: mirrors and redirects of
/// one transfer name far fewer servers.
pub const TLS_SESSIONS_MAX: usize = 256;
/// Names of a wrong certificate that an error lists; hostile ones carry thousands.
pub const CERTIFICATE_NAMES_SHOWN_MAX: usize = 4;

const _: () = assert!(TLS_STAGING_BYTES_MIN > 64 * 1024 + 5 + 16 * 1024 + 2048);
// The built-in server (src/server).

/// Connections it serves at a time unless told otherwise, one thread each; more are closed.
pub const SERVER_CONNECTIONS_MAX: usize = 1024;
/// Bytes of one request head; beyond it the answer is 431.
pub const SERVER_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes made and sent at a time: made and copied within the second-level cache.
pub const SERVER_PIECE_BYTES: usize = 256 * 1024;
/// Requests written down one by one; later ones are only counted.
pub const SERVER_LOG_ENTRIES_MAX: usize = 16 * 1024;
/// Longest wait for a client to close after the server did, so that a FIN does not become a reset.
pub const SERVER_LINGER: Duration = Duration::from_secs(1);

// plan: the adaptive laws.

/// Most connections unless told otherwise. Measured over 150 ms, 200 Mbit/s and 0.1 % loss: 8 reach
/// 20 % of the link, 16 reach 45 %, 32 reach 73 %; at 40 Mbit/s per connection 32 fill 1 Gbit/s
/// and 64 would fill 2.5. Above 64 common servers refuse (S3 advises 75 for one stored part), and
/// growth stops earlier wherever it does not pay.
pub const CONNECTIONS_AUTO_MAX: u32 = 64;
/// Largest span chosen by itself: what a reset puts at stake.
pub const SPAN_BYTES_AUTO_MAX: u64 = 64 * MIB;
/// Most bytes that may be fetched twice to get round stalled connections.
pub const HEDGE_BYTES_MAX: u64 = 32 * MIB;
/// Decisions kept until somebody drains them.
pub const DECISIONS_MAX: usize = 256;
/// Longest wait a server may ask for with Retry-After: beyond it a person should decide.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

// The journal.

/// What is called so beside the part file says which of its bytes are durable.
pub const JOURNAL_SUFFIX: &str = ".ringhaul";
/// Time between two barriers: what a crash costs at most, beside the bytes below. A barrier is two
/// syncs, 0.2 to 20 ms on the disks measured, beside the data path.
pub const BARRIER_INTERVAL: Duration = Duration::from_secs(2);
/// Bytes between two barriers.
pub const BARRIER_BYTES: u64 = 512 * MIB;
