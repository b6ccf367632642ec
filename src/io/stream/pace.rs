//! When a pipe is written to whose reader is the slower side: once it is half empty, and not for
//! each page that the reader has taken. Pure: whoever writes says what time it is and how much is
//! in the pipe. Must not know descriptors.

use std::time::Duration;

/// What the kernel gives out of a pipe at a time.
const PAGE_BYTES: usize = 4096;
/// A smaller pipe is half empty before a timer ends.
const PIPE_BYTES_MIN: usize = 256 << 10;
/// The first wait, as the reader's rate is not known yet.
const WAIT_FIRST: Duration = Duration::from_micros(100);
/// The least wait: the kernel's timers end later than they should by about this.
const WAIT_MIN: Duration = Duration::from_micros(50);
/// The longest wait: a reader that becomes faster meanwhile finds an empty pipe for at most this
/// time.
const WAIT_MAX: Duration = Duration::from_millis(5);

/// The reader may be faster by this factor than what it took if the pipe has become empty.
const EMPTY_FACTOR: f64 = 4.0;

/// The pace of one pipe.
#[derive(Debug)]
pub(super) struct Pace {
    /// What the pipe holds.
    capacity_bytes: usize,
    /// What the reader takes, in bytes per second, if it has been seen to take anything.
    rate: Option<f64>,
    /// What is being waited for.
    waiting: Waiting,
}

#[derive(Debug)]
enum Waiting {
    Nothing,
    /// The time in which the reader takes what is beyond half of the pipe.
    Time {
        since: Duration,
        queued_bytes: usize,
    },
    /// The reader, which takes nothing.
    Reader,
}

/// What the writer does next.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// Writes this number of bytes.
    Write(usize),
    /// Waits for this time, or until the reader is gone, and asks again.
    Wait(Duration),
    /// Waits until the reader has taken something or is gone, and asks again.
    WaitForReader,
}

impl Pace {
    /// For a pipe that holds this number of bytes; `None` if it is too small for a pace.
    pub(super) fn new(capacity_bytes: usize) -> Option<Self> {
        let is_large = capacity_bytes >= PIPE_BYTES_MIN;
        is_large.then_some(Self { capacity_bytes, rate: None, waiting: Waiting::Nothing })
    }

    /// At the time `now` there are `queued_bytes` in the pipe, and `bytes` to write, at least one.
    pub(super) fn next(&mut self, now: Duration, queued_bytes: usize, bytes: usize) -> Turn {
        // Full pages at most: a page that the reader has begun with takes no more bytes.
        let room_bytes = self.capacity_bytes.saturating_sub(queued_bytes) / PAGE_BYTES * PAGE_BYTES;
        let fitting_bytes = room_bytes.min(bytes);
        let is_idle = match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => false,
            Waiting::Time { since, queued_bytes: before } => {
                let taken_bytes = before.saturating_sub(queued_bytes);
                let elapsed = now.saturating_sub(since).as_secs_f64();
                let is_idle = taken_bytes == 0;
                // A reader that has found the pipe empty may be faster by far.
                let factor = if queued_bytes < PAGE_BYTES { EMPTY_FACTOR } else { 1.0 };
                let rate = factor * taken_bytes as f64 / elapsed.max(1e-6);
                self.rate = Some(rate).filter(|_| !is_idle);
                is_idle
            }
            // One page at least: if the reader is gone, that is how it is found out.
            Waiting::Reader => return Turn::Write(fitting_bytes.max(PAGE_BYTES.min(bytes))),
        };
        if fitting_bytes == bytes || room_bytes >= self.capacity_bytes / 2 {
            return Turn::Write(fitting_bytes);
        }
        if is_idle {
            if fitting_bytes > 0 {
                return Turn::Write(fitting_bytes);
            }
            self.waiting = Waiting::Reader;
            return Turn::WaitForReader;
        }
        self.waiting = Waiting::Time { since: now, queued_bytes };
        Turn::Wait(self.wait(queued_bytes))
    }

    /// The time in which the reader takes what is beyond half of the pipe.
    fn wait(&self, queued_bytes: usize) -> Duration {
        let Some(rate) = self.rate else { return WAIT_FIRST };
        let beyond_bytes = queued_bytes.saturating_sub(self.capacity_bytes / 2);
        let time_s = (beyond_bytes as f64 / rate).min(WAIT_MAX.as_secs_f64());
        Duration::from_secs_f64(time_s).max(WAIT_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: usize = 1 << 20;
    const BLOCK: usize = 1 << 20;

    /// A reader in virtual time that takes `rate` bytes per second, 10 KiB at a time.
    struct Reader {
        rate: f64,
        now: Duration,
        queued_bytes: usize,
        /// Time in which it found nothing.
        starved: Duration,
        /// Bytes that it may take by now.
        credit: f64,
    }

    impl Reader {
        fn passes(&mut self, time: Duration) {
            self.now += time;
            self.credit += self.rate * time.as_secs_f64();
            while self.credit >= 10_240.0 && self.queued_bytes > 0 {
                let taken = self.queued_bytes.min(10_240);
                self.queued_bytes -= taken;
                self.credit -= 10_240.0;
            }
            if self.queued_bytes == 0 && self.credit >= 10_240.0 {
                self.starved += Duration::from_secs_f64((self.credit / self.rate).max(0.0));
                self.credit = 0.0;
            }
        }
    }

    /// Writes `blocks` blocks; the waits of both kinds that this took.
    fn write(pace: &mut Pace, reader: &mut Reader, blocks: usize) -> (usize, usize) {
        let (mut waits, mut waits_for_reader) = (0, 0);
        for _ in 0..blocks {
            let mut rest = BLOCK;
            while rest > 0 {
                match pace.next(reader.now, reader.queued_bytes, rest) {
                    Turn::Write(bytes) => {
                        assert!(bytes > 0 && reader.queued_bytes + bytes <= PIPE, "it would block");
                        reader.queued_bytes += bytes;
                        rest -= bytes;
                        reader.passes(Duration::from_secs_f64(bytes as f64 / 8e9));
                    }
                    Turn::Wait(time) => {
                        waits += 1;
                        // As late as the timers of a busy machine.
                        reader.passes(time + WAIT_MIN);
                    }
                    Turn::WaitForReader => {
                        waits_for_reader += 1;
                        let before = reader.queued_bytes;
                        while reader.queued_bytes == before {
                            reader.passes(Duration::from_millis(1));
                        }
                    }
                }
            }
        }
        (waits, waits_for_reader)
    }

    fn reader(rate: f64) -> Reader {
        let (now, starved) = (Duration::ZERO, Duration::ZERO);
        Reader { rate, now, queued_bytes: 0, starved, credit: 0.0 }
    }

    #[test]
    fn a_steady_reader_is_waited_for_twice_a_pipe_and_never_finds_it_empty() {
        for rate in [100e6, 500e6, 1e9, 3e9] {
            let (mut pace, mut reader) = (Pace::new(PIPE).unwrap(), reader(rate));
            let (waits, waits_for_reader) = write(&mut pace, &mut reader, 200);
            let long_waits = reader.now.as_millis() / WAIT_MAX.as_millis();
            assert!(waits as u128 <= 2 * 200 + 20 + long_waits, "{waits} waits at {rate}");
            assert_eq!(
                (waits_for_reader, reader.starved),
                (0, Duration::ZERO),
                "at {rate} {waits}"
            );
        }
    }

    #[test]
    fn a_reader_that_takes_all_is_not_waited_for() {
        let (mut pace, mut reader) = (Pace::new(PIPE).unwrap(), reader(20e9));
        assert_eq!(write(&mut pace, &mut reader, 50), (0, 0));
    }

    #[test]
    fn one_that_becomes_faster_misses_as_much_as_the_longest_wait() {
        let (mut pace, mut reader) = (Pace::new(PIPE).unwrap(), reader(50e6));
        write(&mut pace, &mut reader, 5);
        assert_eq!(reader.starved, Duration::ZERO);
        reader.rate = 5e9;
        write(&mut pace, &mut reader, 20);
        assert!(reader.starved <= WAIT_MAX + 10 * WAIT_FIRST, "{:?}", reader.starved);
    }

    #[test]
    fn one_that_takes_nothing_finds_the_pipe_full_and_costs_nothing() {
        let mut pace = Pace::new(PIPE).unwrap();
        assert_eq!(pace.next(Duration::ZERO, 0, BLOCK + 1), Turn::Write(PIPE));
        let half = PIPE / 2 + 1;
        assert_eq!(pace.next(Duration::ZERO, half, BLOCK), Turn::Wait(WAIT_FIRST));
        let room = Turn::Write(PIPE / 2 - PAGE_BYTES);
        assert_eq!(pace.next(WAIT_FIRST, half, BLOCK), room, "what fits");
        assert_eq!(pace.next(WAIT_FIRST, PIPE, 1), Turn::Wait(WAIT_FIRST));
        assert_eq!(pace.next(2 * WAIT_FIRST, PIPE, 1), Turn::WaitForReader);
        // It is gone, which only a write can say.
        assert_eq!(pace.next(2 * WAIT_FIRST, PIPE, 1), Turn::Write(1));
    }

    #[test]
    fn a_slow_one_costs_few_looks() {
        let (mut pace, mut reader) = (Pace::new(PIPE).unwrap(), reader(1e6));
        let (waits, waits_for_reader) = write(&mut pace, &mut reader, 4);
        let looks_max = reader.now.as_millis() / WAIT_MAX.as_millis() + 50;
        assert!((waits + waits_for_reader) as u128 <= looks_max, "{waits} {waits_for_reader}");
    }

    #[test]
    fn a_small_pipe_has_no_pace() {
        assert!(Pace::new(64 << 10).is_none());
    }
}
