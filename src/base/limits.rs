//! Every bound of the crate, each with the reason or the measurement it came from.

use super::size::{GIB, KIB, MIB};
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

// The client: what downloads have in common.

/// Most shards of a client unless told otherwise: one carries 20 Gbit/s of plain HTTP, and each has
/// blocks of its own.
pub const CLIENT_THREADS_AUTO_MAX: u32 = 8;
/// Least memory of a client's blocks that may be asked for: two blocks being filled, and two on
/// their way to the disk.
pub const CLIENT_MEMORY_BYTES_MIN: u64 = 4 * MIB;
/// Most memory of a client's blocks that may be asked for.
pub const CLIENT_MEMORY_BYTES_MAX: u64 = 1 << 40;
/// Memory of the blocks of an output that takes bytes in order, unless told otherwise: two seconds
/// of a gigabit per second.
pub const ORDERED_MEMORY_BYTES_DEFAULT: u64 = 256 * MIB;
/// The least of it: two connections' blocks, one that is being written, one that is held back, and
/// as many that wait for their turn.
pub const ORDERED_MEMORY_BYTES_MIN: u64 = 8 * MIB;
/// How long a failed transfer waits for the reader of such an output, so that another attempt can
/// go on behind what it has taken.
pub const READER_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long bytes of such an output wait for a block to be full, once they are its next ones.
pub const ORDERED_BLOCK_TIME_MAX: Duration = Duration::from_millis(200);
/// How long the addresses of a name are used without a new lookup; curl's default.
pub const NAMES_KEPT: Duration = Duration::from_secs(60);
/// Origins that something is remembered of: their addresses, what they bear. Of more nothing is.
pub const ORIGINS_MAX: usize = 1024;
/// Combinations of trusted certificates that TLS settings, with their sessions, are kept for.
pub const TRUSTS_MAX: usize = 16;
/// A connection kept for longer than this without a request is closed: servers do it after 5 s
/// and more, and a request that crosses their close is lost.
pub const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(4);
/// Connections of one shard that are kept without a request.
pub const IDLE_CONNECTIONS_MAX: usize = 64;

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

/// Default retries of one span without progress: with the waits below they ride out an outage of 8
/// to 15 seconds, as a server takes to restart.
pub const RETRIES_DEFAULT: u32 = 5;
/// Most retries that may be asked for.
pub const RETRIES_MAX: u32 = 1000;
/// First wait before a retry, unless told otherwise; doubles up to the bound below. Half to all of
/// a wait is waited, so that those who failed together do not come back together.
pub const RETRY_WAIT_MIN: Duration = Duration::from_millis(500);
/// Longest wait before a retry: whoever asks for many retries means outages of minutes, and finds
/// the server back within half of one.
pub const RETRY_WAIT_MAX: Duration = Duration::from_secs(30);

/// Time to establish one connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Time without progress before a connection counts as stalled; also what a request and the whole
/// head of its answer may take: the slowest modem carried the 64 KiB of a head in less.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Payload bytes that a body has to bring in each stall timeout, unless a speed limit is asked for.
/// One page, 137 bytes per second by default: no path worth waiting for is slower, and a peer that
/// sends byte by byte does not hold a connection for ever.
pub const STALL_BYTES: u64 = SPAN_ALIGN_BYTES;
/// Time over which a speed limit is averaged unless told otherwise; curl's default.
pub const SPEED_TIME: Duration = Duration::from_secs(30);
/// Descriptors that connections leave to the rest of a transfer, but for the first connection:
/// journal, folder, reading back and name lookup open a few while it runs.
pub const DESCRIPTORS_SPARE: u64 = 6;
/// Descriptors that one more shard takes: a ring or none, and what its runtime waits with.
pub const SHARD_DESCRIPTORS: u64 = 6;
/// Delay before the next address is tried beside the first (RFC 8305 section 5).
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Addresses of one host that are used; more add nothing and cost time when all are dead.
pub const ADDRESSES_MAX: usize = 32;

const _: () = assert!((BLOCK_BYTES as u64).is_multiple_of(SPAN_ALIGN_BYTES));
const _: () = assert!(CONNECTIONS_AUTO_MAX <= CONNECTIONS_MAX);
const _: () = assert!(RETRIES_DEFAULT <= RETRIES_MAX);
const _: () = assert!(CHUNK_BYTES_MIN <= CHUNK_BYTES_MAX);

// cli, ui and batch
/// Bytes of one file name on every Linux file system worth writing to (NAME_MAX).
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// Bytes of a target below the folder of its batch: the kernel takes paths of 4,096 bytes, and the
/// folder, the suffix of a journal and a zero byte need some of them.
pub const TARGET_BYTES_MAX: usize = 3072;
/// Characters of a name from a list that a message shows.
pub const NAME_SHOWN_CHARS_MAX: usize = 80;
/// Shortest time between two progress lines where there is no terminal.
pub const PROGRESS_LINE_INTERVAL_MIN: Duration = Duration::from_secs(5);
/// Longest time without one: build systems kill jobs that are silent for ten minutes.
pub const PROGRESS_LINE_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// Silence from which on it is told: shorter ones are the round trips of a long path.
pub const SILENCE_TOLD_MIN: Duration = Duration::from_secs(5);
/// Silence in which no time left is told: it would grow and grow.
pub const SILENCE_WITHOUT_ETA: Duration = Duration::from_secs(2);
/// Shortest wait that is told where there is no terminal: it is over before a shorter one is read.
pub const WAIT_LINE_MIN: Duration = Duration::from_secs(1);
/// Shortest time between two drawings: eyes follow no more than 20 a second.
pub const PROGRESS_DRAW_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// Files a snapshot of a batch names, and lines below its total: on 24 rows they leave room for
/// what was said before.
pub const BATCH_ACTIVE_MAX: usize = 5;
/// Failures that are kept to be shown when a batch asks what to do: what fits on a screen or two.
pub const FAILURES_SHOWN_MAX: usize = 50;
/// Answers to that question that are read: whoever has said none of its words by then holds a key
/// down or is no person.
pub const ANSWERS_MAX: u32 = 100;
/// Bytes of one such answer: what a terminal takes for a line.
pub const ANSWER_BYTES_MAX: u64 = 4096;

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
/// Time from the first byte until a time left is told: before that, TCP and the number of
/// connections grow, and the mean says nothing of the rest.
pub const STEADY_RATE_AFTER: Duration = Duration::from_secs(1);
/// Memory of the rate that the time left is told by: a part of the time that bytes have flowed, so
/// that a slow start is soon forgotten, and at most this, as a minute ago says little of the next.
pub const STEADY_RATE_MEMORY_MAX: Duration = Duration::from_secs(10);
/// That part is one in this.
pub const STEADY_RATE_MEMORY_PART: u32 = 4;

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
/// Bytes of a file with certificates or a key: a system's bundle of 140 roots has 220 KB.
pub const PEM_FILE_BYTES_MAX: u64 = 16 * MIB;
/// Certificates a client shows: its own and those that lead to the authority, of which there are
/// one or two; a whole bundle in their place would be sent with every handshake.
pub const CLIENT_CERTIFICATES_MAX: usize = 16;
/// Names of a wrong certificate that an error lists; hostile ones carry thousands.
pub const CERTIFICATE_NAMES_SHOWN_MAX: usize = 4;

const _: () = assert!(TLS_STAGING_BYTES_MIN > 64 * 1024 + 5 + 16 * 1024 + 2048);
// The built-in server (src/server).

/// Entries of a folder that its page lists, which has about 10 MB then.
pub const SERVER_LISTING_ENTRIES_MAX: usize = 50_000;
/// Connections it serves at a time unless told otherwise, one thread each; more are closed.
pub const SERVER_CONNECTIONS_MAX: usize = 1024;
/// Bytes of one request head; beyond it the answer is 431.
pub const SERVER_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes made and sent at a time: made and copied within the second-level cache.
pub const SERVER_PIECE_BYTES: usize = 256 * 1024;
/// Requests written down one by one; later ones are only counted.
pub const SERVER_LOG_ENTRIES_MAX: usize = 16 * 1024;
/// Bytes of the requests' text that are written down: half a KiB for each of the above. Ours take
/// 200 to 300 bytes; a client may send 64 KiB of head with each.
pub const SERVER_LOG_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest wait for the next request, or for the first one with its TLS handshake: nginx waits 75
/// and 60 s, Apache 5. Clients that come back later connect again in milliseconds.
pub const SERVER_IDLE_MAX: Duration = Duration::from_secs(60);
/// Longest time from the first byte of a request to the end of its head, as nginx has it: 64 KiB
/// at 1 KiB/s.
pub const SERVER_HEAD_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest time in which a client takes not one byte of its answer, as nginx has it.
pub const SERVER_UNREAD_MAX: Duration = Duration::from_secs(60);
/// Tries to send within the time above. The kernel wakes a sender when a third of its buffer is
/// free, megabytes that a slow client takes minutes for; the next try finds what less has become
/// free until then.
pub const SERVER_UNREAD_TRIES: u32 = 8;
/// A connection idle for less than this makes no room for another: its request is about to come,
/// and newcomers would end each other before any of them has asked.
pub const SERVER_IDLE_MIN: Duration = Duration::from_secs(1);
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
/// Behind the name of a journal that is being made, where it needs one.
pub const IN_MAKING_SUFFIX: &str = "~";
/// Time between two barriers: what a crash costs at most, beside the bytes below. A barrier is two
/// syncs, 0.2 to 20 ms on the disks measured, beside the data path.
pub const BARRIER_INTERVAL: Duration = Duration::from_secs(2);
/// Bytes between two barriers: about what the interval carries at 16 Gbit/s. Whoever is faster can
/// fetch as much again in less.
pub const BARRIER_BYTES: u64 = 4096 * MIB;
/// Attempts at one transfer that begin differently: a file that changes more often than that while
/// it is fetched, in one stream the last time, or a disk that loses more, is not to be had.
pub const ATTEMPTS_MAX: u32 = 4;
/// Runs shorter than this are put together with their neighbours: one block.
pub const JOURNAL_RUN_BYTES_MIN: u64 = MIB;
/// Full runs of a whole file at most. Runs of larger files are longer, so that a slot stays below
/// 3 MB and is read and written in milliseconds.
pub const JOURNAL_RUNS_MAX: u64 = 65_536;
/// Places for what cannot be put together, because its neighbours are missing: four for each
/// connection there may be.
pub const JOURNAL_FRAGMENTS_MAX: u64 = 4 * CONNECTIONS_MAX as u64;
/// Bytes of the URL, the validator and the expected digest, each: no more comes in a head.
pub const JOURNAL_TEXT_BYTES_MAX: usize = HEAD_BYTES_MAX;
/// Bytes of a journal that is looked at; what is longer was not made by us.
pub const JOURNAL_BYTES_MAX: u64 = 8 * MIB;
/// Until the first barrier after a transfer has begun; the next ones come after twice as long each,
/// up to the interval. A short or slow download survives a crash, too.
pub const BARRIER_FIRST: Duration = Duration::from_millis(250);
/// Most bytes that a barrier before its full interval takes care of: what is faster loses less time
/// than the barrier costs, which reads back what has no CRC yet.
pub const BARRIER_EARLY_BYTES: u64 = 32 * MIB;
/// Samples of the twin test, and bytes of each: one MiB in all. A file of which a third is another
/// one's passes in 4 of 1,000 cases; one with a few other bytes mostly passes, so a digest is
/// better.
pub const TWIN_SAMPLES: u64 = 16;
/// See [`TWIN_SAMPLES`].
pub const TWIN_SAMPLE_BYTES: u64 = 64 * KIB;
/// Files below this are not worth a word that nothing of them can be kept.
pub const UNKEPT_NOTE_BYTES_MIN: u64 = MIB;
/// When a transfer is stopped: time for what has arrived to be taken from the sockets.
pub const WIND_DOWN_MAX: Duration = Duration::from_secs(2);
/// Pause after a barrier, as a multiple of the time it took: slow disks spend their time on data.
pub const BARRIER_PAUSE_FACTOR: u32 = 10;

const _: () = assert!(JOURNAL_RUN_BYTES_MIN.is_multiple_of(SPAN_ALIGN_BYTES));
const _: () = assert!(TWIN_SAMPLE_BYTES.is_multiple_of(SPAN_ALIGN_BYTES));

// disk: logs of records.
/// Bytes of one record: the longest one of a batch's state has 2.2 KiB. A length beyond it is torn
/// or damaged, and nothing of that size is allocated.
pub const LOG_RECORD_BYTES_MAX: usize = 4 * 1024;
/// Bytes of disk space that a log has reserved for records to come. Half of it is kept for the time
/// when the disk is full: the records of 4,000 files, at some 130 bytes each, of which 2,000 may be
/// on their way to their names.
pub const LOG_RESERVE_BYTES: u64 = MIB;
/// Bytes of a log that are read or written at a time.
pub const LOG_PIECE_BYTES: usize = 256 * 1024;
/// Times that the name of a log is looked at anew because somebody has given it away meanwhile.
pub const LOG_OPEN_TRIES_MAX: u32 = 16;

const _: () = assert!(LOG_RECORD_BYTES_MAX + 8 <= LOG_PIECE_BYTES);

// batch: the state.
/// Bytes of a validator that is recorded: those of common servers have 20 to 70. A file with a
/// longer one counts as one without.
pub const STATE_VALIDATOR_BYTES_MAX: usize = 1024;
/// Bytes of the text of a failure that are recorded; what comes behind them is left out.
pub const STATE_TEXT_BYTES_MAX: usize = 1024;
/// Records up to which a state is not compacted: they are read in a millisecond.
pub const STATE_RECORDS_COMPACT_MIN: u64 = 4096;

// http: digest fields.

/// Digests taken from one head, and as many reasons for those that are not: honest servers send
/// three or four.
pub const DIGESTS_OFFERED_MAX: usize = 16;
/// Links of one head that are kept: mirrorbits names up to a dozen mirrors, and a head of 64 KiB
/// has room for thousands.
pub const LINKS_MAX: usize = 256;

/// Ranges of one file that may be asked for: more than anybody types, and each of them costs a
/// request of its own.
pub const RANGES_MAX: usize = 1000;

// plan: retries.

/// Times in a row that the whole file may come where a part was asked for, with no byte delivered
/// in between by anybody, until the server is taken at its word: one may be a confused cache node,
/// and three are cheap to find out.
pub const RANGES_IGNORED_MAX: u32 = 3;

// http: authentication.

/// Challenges of one answer: servers offer two or three.
pub const CHALLENGES_MAX: usize = 16;
/// Parameters of one challenge: those of Digest authentication are eight.
pub const CHALLENGE_PARAMETERS_MAX: usize = 32;
/// Bytes of a realm or nonce that is sent back: a request has room for a few.
pub const CHALLENGE_VALUE_BYTES_MAX: usize = 4096;
/// Challenges in a row without an answer that is none: each of 256 connections may meet a new nonce
/// on its own.
pub const CHALLENGES_FRUITLESS_MAX: u32 = 512;

// http: cookies.

/// Bytes of a cookie's name and value (RFC 6265bis section 5.6).
pub const COOKIE_BYTES_MAX: usize = 4096;
/// Bytes of an attribute of a cookie (same section).
pub const COOKIE_ATTRIBUTE_BYTES_MAX: usize = 1024;
/// Longest life of a cookie that a server sets: 400 days (RFC 6265bis section 5.5).
pub const COOKIE_SECONDS_MAX: u64 = 400 * 86_400;
/// Cookies of one domain; browsers keep 150 to 180, RFC 6265 section 6.1 asks for 50.
pub const COOKIES_PER_DOMAIN_MAX: usize = 180;
/// Cookies in all, a megabyte of ordinary ones; RFC 6265 section 6.1 asks for this number.
pub const COOKIES_MAX: usize = 3000;
/// Bytes of cookies that one request carries: servers stop at 8 KiB per field, as curl does.
pub const COOKIE_FIELD_BYTES_MAX: usize = 8190;

// manifest
/// Bytes of a netrc file: the largest ones have a few hundred lines.
pub const NETRC_BYTES_MAX: u64 = MIB;
/// Machines of a netrc file.
pub const NETRC_ENTRIES_MAX: usize = 10_000;
/// Bytes of one word of a netrc file, a token as password for example; curl's is 4,096.
pub const NETRC_TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a cookie file: [`COOKIES_MAX`] of the largest cookies, with their domains and paths.
pub const COOKIE_FILE_BYTES_MAX: u64 = 16 * MIB;
/// Bytes of a checksum file: some 50,000 lines of SHA-512.
pub const CHECKSUM_FILE_BYTES_MAX: u64 = 8 * MIB;
/// Names an error lists of a checksum file that does not have ours.
pub const CHECKSUM_NAMES_SHOWN_MAX: usize = 3;
/// Bytes of one line of a list: signed URLs have some 2 KiB, and a line may have dozens of mirrors.
/// A longer one is no line of a list.
pub const LIST_LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes of the option lines of one item: they become a request head, of which there is less.
pub const LIST_OPTIONS_BYTES_MAX: usize = 64 * 1024;
/// URLs of one item: the longest mirror lists of distributions have some 150.
pub const LIST_URIS_MAX: usize = 256;
/// Keys of one item that lists do not have: aria2 has some 80 options that may stand there.
pub const LIST_KEYS_MAX: usize = 128;
/// Bytes of a Metalink, which is held in memory: one with 4,096 SHA-256 pieces has 350 KB, and 64
/// MiB have some 800,000 of them.
pub const METALINK_BYTES_MAX: u64 = 64 * MIB;
/// Elements within each other: Metalinks have six, and an extension of theirs some more.
pub const METALINK_DEPTH_MAX: usize = 64;
/// Files of one Metalink: those of distributions describe one, collections some hundred.
pub const METALINK_FILES_MAX: usize = 65_536;
/// URLs of one file that are kept: the longest mirror lists have some 500, and nobody asks more
/// servers than that. What stands behind them in the document is counted in a note.
pub const METALINK_URLS_MAX: usize = 10_000;
/// URLs of all files together: they take some 200 MB of memory. A million files are a list's work,
/// which is read as a stream.
pub const METALINK_URLS_ALL_MAX: usize = 1_000_000;
/// Bytes of the text of an element: no longer URL fits a request head.
pub const METALINK_TEXT_BYTES_MAX: usize = REQUEST_BYTES_MAX;
/// Notes on what a Metalink has that is of no use here; of more there is only the number.
pub const METALINK_NOTES_MAX: usize = 64;
/// Kinds of URLs that cannot be fetched and are told apart: ftp, rsync, magnet, torrent, ed2k.
pub const METALINK_OTHER_KINDS_MAX: usize = 8;

// manifest and digest: piece hashes.

/// Bytes of a list of piece hashes: a million SHA-256 digests have 65 MB.
pub const PIECE_LIST_BYTES_MAX: u64 = METALINK_BYTES_MAX;
/// Pieces of one file: a terabyte in pieces of 1 MiB.
pub const PIECES_MAX: usize = 1_000_000;
/// Shortest piece: BitTorrent's blocks have 16 KiB, and below 1 KiB the digests in hexadecimal
/// digits would be more than 6 % of the file.
pub const PIECE_BYTES_MIN: u64 = KIB;
/// Longest piece: that of a file which is one piece.
pub const PIECE_BYTES_MAX: u64 = CHUNK_BYTES_MAX;
/// Pieces that are hashed in part at the same time: each connection is within one of them, and few
/// spans that were given up leave another one behind. A hasher has up to 2 KiB (BLAKE3). The bytes
/// of further ones are read back.
pub const PIECES_UNDER_WAY_MAX: usize = 4 * CONNECTIONS_MAX as usize;

// cli: bounds of what may be asked for.
/// Shortest time between two barriers: below it a disk does little but sync.
pub const BARRIER_INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Longest time between two barriers.
pub const BARRIER_INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// Shortest first wait before a retry.
pub const RETRY_WAIT_ASKED_MIN: Duration = Duration::from_millis(1);
/// Longest first wait before a retry.
pub const RETRY_WAIT_ASKED_MAX: Duration = Duration::from_secs(3600);

/// Slices of one list or file: Kubernetes has at most 100,000 indices in a Job, Slurm 1,001 in an
/// array unless it is configured otherwise.
pub const SLICES_MAX: u32 = 100_000;
/// Files of a list whose sizes are weighed against each other before it is divided by bytes: 16
/// bytes each, 64 MB in all. Longer lists are even enough when they are divided by name.
pub const SLICE_SIZES_MAX: usize = 4_000_000;

// server and its command line
/// Connections that wait to be accepted: all that may be open, come at once.
pub const SERVER_BACKLOG: i32 = 1024;
/// Numbered files: more than any list is tried with, and their sizes and lists can be added up.
pub const SERVER_FILES_MAX: u64 = 1_000_000_000_000;
/// Servers that one command starts: more sources than any file has that is tried.
pub const SERVER_PORTS_MAX: i64 = 64;
/// Bytes of numbered files that their checksum list is offered for: it is hashed for each request,
/// a second or two of one core.
pub const SERVER_SUMS_BYTES_MAX: u64 = GIB;
/// Files whose digests are computed late and remembered.
pub const SERVER_DIGESTS_MAX: usize = 4096;
/// Files whose descriptions' hashes are remembered: with the most pieces each has 12 MiB of them.
pub const SERVER_DESCRIPTIONS_MAX: usize = 64;
/// Pieces with hashes of their own: those of 128 GiB at 1 MiB, whose description has 10 MiB.
pub const SERVER_PIECES_MAX: u64 = 128 * 1024;
/// Most bytes that a connection sends before it is lost: the largest request chosen by itself.
pub const SERVER_LOSS_BYTES_MAX: u64 = SPAN_BYTES_AUTO_MAX;
// bench
/// Most files of a list that is fetched: each of them is looked at after every run.
pub const BENCH_FILES_MAX: u64 = 1_000_000;
/// Most runs of one entry: a day of seconds, and intervals no longer narrow.
pub const BENCH_RUNS_MAX: u32 = 1000;

// profiles
/// Bytes of a config file: some thousand tables.
pub const CONFIG_BYTES_MAX: u64 = MIB;
/// Bytes of a file of profiles: some two thousand origins.
pub const PROFILES_BYTES_MAX: u64 = MIB;

// io: behind a panic
/// Time that operations in flight get to end: sockets that are shut end at once, writes as soon as
/// the disk has them. A disk that takes longer hangs.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

// io: the epoll driver
/// Threads of one shard that write: direct writes of 1 MiB at depth 4 are as fast as at depth 16
/// (measured), and buffered ones copy, which more threads than cores make no faster.
pub const EPOLL_WRITERS_MAX: usize = 4;

// schedule: decisions about many transfers.

/// Files of at most this size are small. One takes 84 ms at 100 Mbit/s, about what a second
/// connection takes to open and to come up to speed, so that one connection carries each.
pub const SMALL_FILE_BYTES_MAX: u64 = MIB;
/// Small files from this size on are written past the page cache, where the file system does that
/// well: below it the two cost the same (256 KiB, ext4, measured), and the cache answers sooner.
pub const STAGED_DIRECT_BYTES_MIN: u64 = MIB / 2;
/// Items of a list that wait to be fetched, 32 bytes each: enough to find work for every
/// connection, whatever the length of the list.
pub const WAITING_ITEMS_MAX: usize = 1024;
/// Items that failed and are kept for the last round, 32 bytes each; what fails beyond them stays
/// failed until the next run.
pub const FAILED_ITEMS_MAX: usize = 65_536;
/// Items that one lane holds, the one being received included: the requests ahead cover a round
/// trip of 40 ms at 200 files per second, and are lost with their connection.
pub const LANE_ITEMS_MAX: u32 = 8;
/// Most lanes of one origin unless a number of files is asked for; aria2 opens at most 16
/// connections to one server, whatever is asked for.
pub const LANES_AUTO_MAX: u32 = 16;
/// Lanes for files of unknown size at an origin where the last of them was large: each probe of a
/// large file costs its connection, and with a single lane one slow answer would hold back all that
/// follow.
pub const PROBE_LANES: u32 = 2;
/// Time without a byte after which the files asked for behind an answer are given to other lanes: a
/// lost segment is sent again within 200 to 600 ms, and a page that a program makes takes less.
/// Also a multiple of the longest silence that the lane's latest answers had.
pub const LANE_SILENCE: Duration = Duration::from_secs(1);
/// That multiple. Where every answer takes its time they are not repeated elsewhere.
pub const LANE_SILENCE_FACTOR: u32 = 4;
/// Small files after which a lane makes way for an origin that has none. To open a connection takes
/// two to four round trips, a few per cent of what these files take.
pub const LANE_TURN_ITEMS: u32 = 64;
/// Time after which it does, where small files are slow.
pub const LANE_TURN_TIME: Duration = Duration::from_secs(1);
/// Connections of one large file before another one is started beside it; it gets more when they
/// are left over.
pub const LARGE_FILE_CONNECTIONS: u32 = 4;

/// Batches that may write small files into one folder at once, each with a staging folder of its
/// own: slices of one list on a large cluster. To find that all are taken costs seconds.
pub const STAGING_FOLDERS_MAX: u32 = 1024;
/// Time between two times at which a batch hands its journal to the kernel: what `kill -9` may cost
/// is fetched again.
pub const BATCH_FLUSH_TIME: Duration = Duration::from_millis(200);
/// Records after which it does so at once: at 10,000 files a second the time above would be worth
/// 2,000 of them, and a barrier's 1,000 are one write of some 130 KB.
pub const BATCH_FLUSH_RECORDS: usize = 250;
/// Small files that are made durable and named together at most, and the time that the first of
/// them waits for the others: what a crash of the machine may cost.
pub const BARRIER_FILES_MAX: usize = 1000;
/// See [`BARRIER_FILES_MAX`].
pub const BARRIER_TIME_MAX: Duration = Duration::from_secs(1);

const _: () = assert!(LANE_ITEMS_MAX >= 1 && LANE_TURN_ITEMS >= 1 && LARGE_FILE_CONNECTIONS >= 1);
const _: () = assert!(WAITING_ITEMS_MAX >= (LANE_ITEMS_MAX * LANES_AUTO_MAX) as usize);
