//! Streams into pipes and files: blocks in any order, readers that are slow, stuck or gone, and
//! bytes that are missing or come again.

use super::*;
use crate::base::Span;
use crate::base::limits::BLOCK_BYTES;
use crate::base::rng::Rng;
use crate::disk::output::{DirectPolicy, Output, Reserved, SyncPolicy};
use crate::io::buffers::Pool;
use crate::io::driver::{Driver, DriverKind};
use std::future::Future;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// More than a socket holds, no whole number of pages, and nearly a block, so that none is copied.
const PIECE: u64 = 1_000_001;

/// A write that has been handed over.
type Writing<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A socket, as a pipe may hold a whole block.
fn socket() -> (UnixStream, Reserved) {
    let (reader, writer) = UnixStream::pair().unwrap();
    (reader, Reserved::stream(File::from(OwnedFd::from(writer))))
}

fn open(reserved: &Reserved) -> Output {
    reserved.allocate(None, DirectPolicy::Auto).unwrap()
}

fn content(span: Span) -> Vec<u8> {
    (span.start()..span.end()).map(|at| ((at * 31) >> 3).to_le_bytes()[0]).collect()
}

/// Hands the bytes of `span` over; the write has ended if the second value is there.
fn hand_over<'a>(output: &'a Output, pool: &Pool, span: Span) -> (Writing<'a>, Option<Result<()>>) {
    let mut lease = pool.try_lease().expect("a block is free");
    lease.append(&content(span));
    let mut writing: Writing<'a> = Box::pin(output.write(lease.freeze(), span.start()));
    let ended = poll(&mut writing);
    (writing, ended)
}

fn poll(writing: &mut Writing<'_>) -> Option<Result<()>> {
    match writing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ended) => Some(ended),
        Poll::Pending => None,
    }
}

/// Writes the spans in the order in which they stand here, and waits for all of them.
fn write_all(output: &Output, spans: &[Span]) -> Result<()> {
    let pool = Pool::new(u32::try_from(spans.len()).unwrap()).unwrap();
    let outcome = write_from(&pool, output, spans);
    assert_eq!(pool.free_blocks(), spans.len(), "every block is home");
    outcome
}

fn write_from(pool: &Pool, output: &Output, spans: &[Span]) -> Result<()> {
    Driver::new(DriverKind::IoUring).unwrap().run(async {
        let mut outcome = Ok(());
        for (writing, ended) in
            spans.iter().map(|span| hand_over(output, pool, *span)).collect::<Vec<_>>()
        {
            let ended = match ended {
                Some(ended) => ended,
                None => writing.await,
            };
            outcome = outcome.and(ended);
        }
        outcome
    })
}

/// Spans of different lengths that make a file, in order.
fn spans(rng: &mut Rng, count: u64) -> Vec<Span> {
    let mut end = 0;
    let lens = (0..count).map(|_| 1 + rng.below(30_000));
    lens.map(|len| {
        let span = Span::with_len(end, len);
        end = span.end();
        span
    })
    .collect()
}

/// Two threads write the spans of a file in any order; returns the file's bytes.
fn write_from_two_threads(reserved: &Reserved, seed: u64) -> Vec<u8> {
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let mut spans = spans(&mut rng, 60);
    let total = spans.last().unwrap().end();
    rng.shuffle(&mut spans);
    let output = open(reserved);
    let (first, second) = spans.split_at(25);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| write_all(&output, first));
        write_all(&output, second).unwrap();
        other.join().unwrap().unwrap();
    });
    assert_eq!(output.commit(total, SyncPolicy::Always).unwrap(), Path::new(NAME));
    content(Span::new(0, total))
}

#[test]
fn blocks_of_two_threads_come_out_in_order() {
    for seed in 0..8 {
        let (mut reader, reserved) = socket();
        std::thread::scope(|scope| {
            let received = scope.spawn(move || {
                let mut received = Vec::new();
                reader.read_to_end(&mut received).unwrap();
                received
            });
            let expected = write_from_two_threads(&reserved, seed);
            // The end came with the commit, while the output was still there.
            assert!(received.join().unwrap() == expected, "seed {seed}");
        });
    }
}

#[test]
fn a_file_takes_them_from_its_position_on() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"before").unwrap();
    let expected = write_from_two_threads(&Reserved::stream(file.try_clone().unwrap()), 77);
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut found = Vec::new();
    file.read_to_end(&mut found).unwrap();
    assert!(found == [&b"before"[..], &expected].concat());
}

#[test]
fn a_slow_reader_makes_the_blocks_wait() {
    const BLOCKS: u64 = 4;
    let (mut reader, reserved) = socket();
    let output = open(&reserved);
    let pool = Pool::new(8).unwrap();
    let span = |block| Span::with_len(block * PIECE, PIECE);
    let mut writes: Vec<_> =
        (0..BLOCKS).map(|block| hand_over(&output, &pool, span(block)).0).collect();
    while !output.is_saturated() {
        std::thread::yield_now();
    }
    assert!(writes.iter_mut().all(|writing| poll(writing).is_none()), "nobody has read");
    assert_eq!(pool.free_blocks(), 4, "they hold their memory");
    let mut received = vec![0; usize::try_from(PIECE).unwrap()];
    reader.read_exact(&mut received).unwrap();
    let last = writes.last_mut().unwrap();
    assert!(poll(last).is_none(), "the socket does not hold what is before it");
    let rest = usize::try_from((BLOCKS - 1) * PIECE).unwrap();
    let rest = std::thread::scope(|scope| {
        let read = scope.spawn(|| {
            let mut received = vec![0; rest];
            received.chunks_mut(777).for_each(|piece| reader.read_exact(piece).unwrap());
            received
        });
        Driver::new(DriverKind::Epoll).unwrap().run(async {
            for writing in writes {
                writing.await.unwrap();
            }
        });
        read.join().unwrap()
    });
    assert!(received == content(span(0)) && rest == content(Span::new(PIECE, BLOCKS * PIECE)));
    assert_eq!(pool.free_blocks(), 8);
    assert!(!output.is_saturated());
    output.commit(BLOCKS * PIECE, SyncPolicy::Always).unwrap();
}

#[test]
fn time_without_the_next_bytes_is_told_from_time_with_a_slow_reader() {
    let (mut reader, reserved) = socket();
    let output = open(&reserved);
    let pool = Pool::new(4).unwrap();
    let dry = || output.outlet().unwrap().1;
    let _early = hand_over(&output, &pool, Span::with_len(5 * PIECE, 1));
    let before = dry();
    while dry() == before {
        thread::yield_now();
    }
    let span = |block| Span::with_len(block * PIECE, PIECE);
    let _writes: Vec<_> = (0..2).map(|block| hand_over(&output, &pool, span(block)).0).collect();
    while !output.is_saturated() {
        thread::yield_now();
    }
    let (taken_to, stuck) = output.outlet().unwrap();
    assert_eq!((taken_to, dry()), (PIECE, stuck), "the socket does not hold the first one");
    let mut received = vec![0; usize::try_from(2 * PIECE).unwrap()];
    reader.read_exact(&mut received).unwrap();
    while dry() == stuck {
        thread::yield_now();
    }
    assert_eq!(output.outlet().unwrap().0, 2 * PIECE);
}

#[test]
fn a_reader_that_closes_early_fails_all_writes() {
    let (mut reader, reserved) = socket();
    let output = open(&reserved);
    let spans: Vec<Span> = [0, 1, 5].map(|block| Span::with_len(block * PIECE, PIECE)).into();
    std::thread::scope(|scope| {
        scope.spawn(move || reader.read_exact(&mut [0; 10]).unwrap());
        let error = write_all(&output, &spans).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DiskIo);
        assert!(error.to_string().contains("has closed its end"), "{error}");
    });
    let pool = Pool::new(1).unwrap();
    for block in [1, 2, 9] {
        let (_, ended) = hand_over(&output, &pool, Span::with_len(block * PIECE, 1));
        assert_eq!(ended.unwrap().unwrap_err().kind(), ErrorKind::DiskIo, "at once");
    }
    assert_eq!(output.commit(PIECE, SyncPolicy::Always).unwrap_err().kind(), ErrorKind::DiskIo);
    assert_eq!(pool.free_blocks(), 1);
}

#[test]
fn a_stream_that_lacks_bytes_is_not_committed() {
    let (_reader, reserved) = socket();
    let output = open(&reserved);
    write_all(&output, &[Span::new(0, 10)]).unwrap();
    for bytes in [0, 9, 11] {
        assert_eq!(
            output.commit(bytes, SyncPolicy::Always).unwrap_err().kind(),
            ErrorKind::Internal,
            "{bytes}"
        );
    }
    let pool = Pool::new(1).unwrap();
    let (mut early, _) = hand_over(&output, &pool, Span::new(11, 20));
    for bytes in [10, 20] {
        let error = output.commit(bytes, SyncPolicy::Always).unwrap_err();
        assert!(error.to_string().contains("10 bytes of"), "{error}");
    }
    assert!(poll(&mut early).is_none());
    write_all(&output, &[Span::new(10, 11)]).unwrap();
    output.commit(20, SyncPolicy::Always).unwrap();
    assert!(poll(&mut early).unwrap().is_ok());
}

#[test]
fn an_empty_file_is_an_end_without_bytes() {
    let (mut reader, reserved) = socket();
    open(&reserved).commit(0, SyncPolicy::Always).unwrap();
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn no_byte_is_taken_twice() {
    for again in [Span::new(0, 5), Span::new(9, 12), Span::new(15, 25), Span::new(29, 31)] {
        let (_reader, reserved) = socket();
        let output = open(&reserved);
        let pool = Pool::new(2).unwrap();
        write_all(&output, &[Span::new(0, 10)]).unwrap();
        let _early = hand_over(&output, &pool, Span::new(20, 30));
        let twice = || drop(hand_over(&output, &pool, again));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(twice));
        assert!(panicked.is_err(), "{again}");
    }
}

#[test]
fn another_attempt_goes_on_behind_what_was_written() {
    let (mut reader, reserved) = socket();
    let first = open(&reserved);
    reserved.discard().unwrap();
    write_all(&first, &[Span::new(0, 10)]).unwrap();
    let pool = Pool::new(1).unwrap();
    let (mut early, _) = hand_over(&first, &pool, Span::new(20, 30));
    first.cancel_waiting(&Error::new(ErrorKind::ConnectionLost, "the attempt is over"));
    let error = poll(&mut early).unwrap().unwrap_err();
    assert_eq!((error.kind(), pool.free_blocks()), (ErrorKind::ConnectionLost, 1));
    drop(early);
    drop(first);
    assert_eq!(reserved.discard().unwrap_err().kind(), ErrorKind::TargetUnusable);
    let second = open(&reserved);
    write_all(&second, &[Span::new(20, 30), Span::new(10, 20)]).unwrap();
    second.commit(30, SyncPolicy::Always).unwrap();
    let mut received = Vec::new();
    reader.read_to_end(&mut received).unwrap();
    assert_eq!(received, content(Span::new(0, 30)));
}

#[test]
fn early_blocks_that_are_not_nearly_full_give_their_memory_back() {
    let (mut reader, reserved) = socket();
    let output = open(&reserved);
    let pool = Pool::new(3).unwrap();
    let block = BLOCK_BYTES as u64;
    let spans = [Span::with_len(1, block - 1), Span::with_len(block, block / 2)];
    let mut early: Vec<Writing<'_>> =
        spans.iter().map(|span| hand_over(&output, &pool, *span).0).collect();
    assert_eq!(pool.free_blocks(), 2, "the block that is nearly full is kept as it is");
    let reading = thread::spawn(move || {
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        received
    });
    early.push(hand_over(&output, &pool, Span::new(0, 1)).0);
    output.commit(block + block / 2, SyncPolicy::Always).unwrap();
    assert!(reading.join().unwrap() == content(Span::new(0, block + block / 2)));
    assert_eq!(pool.free_blocks(), 3);
}

#[test]
fn the_block_that_came_last_is_held_back_until_all_are_judged() {
    for is_right in [true, false] {
        let (mut reader, reserved) = socket();
        let algorithms = vec![Algorithm::Crc32c, Algorithm::Sha1];
        reserved.prove(StreamProof { algorithms: algorithms.clone(), holds_back: true });
        let output = open(&reserved);
        let spans = [Span::new(10, 20), Span::new(0, 10), Span::new(20, 30)];
        write_from(&Pool::new(3).unwrap(), &output, &spans).unwrap();
        let driver = Driver::new(DriverKind::IoUring).unwrap();
        let digests = driver.run(output.digests()).unwrap();
        let expected = algorithms.into_iter().map(|algorithm| {
            let mut hasher = algorithm.hasher();
            hasher.update(&content(Span::new(0, 30)));
            hasher.finish()
        });
        assert_eq!(digests, expected.collect::<Vec<_>>());
        let end = if is_right { 30 } else { 20 };
        if is_right {
            output.commit(30, SyncPolicy::Always).unwrap();
        }
        drop((output, reserved));
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        assert_eq!(received, content(Span::new(0, end)));
    }
}

#[test]
fn a_stop_does_not_wait_for_a_reader_that_is_stuck() {
    let (mut reader, reserved) = socket();
    let output = open(&reserved);
    let pool = Pool::new(2).unwrap();
    let (mut first, _) = hand_over(&output, &pool, Span::with_len(0, BLOCK_BYTES as u64));
    let (mut early, _) =
        hand_over(&output, &pool, Span::with_len(5 * PIECE + BLOCK_BYTES as u64, 1));
    output.cancel(Error::new(ErrorKind::Interrupted, "stopped"));
    for writing in [&mut first, &mut early] {
        assert_eq!(poll(writing).unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
    }
    assert_eq!(output.commit(0, SyncPolicy::Always).unwrap_err().kind(), ErrorKind::Interrupted);
    drop((first, early));
    drop((output, reserved));
    // The descriptor is closed all the same, once the write that was under way has ended.
    let mut received = Vec::new();
    reader.read_to_end(&mut received).unwrap();
    assert!(received.len() <= BLOCK_BYTES);
}

#[test]
fn nothing_can_be_read_back_or_resumed() {
    let (_reader, reserved) = socket();
    let output = open(&reserved);
    assert!(!output.is_readable() && !output.is_nowhere() && !output.is_direct());
    assert_eq!(output.read(Span::new(0, 1)).unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(reserved.find().unwrap(), crate::disk::journal::Found::Nothing);
    assert_eq!(reserved.kept_bytes(), 0);
}
