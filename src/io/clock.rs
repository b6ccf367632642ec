//! The process's own CPU time, as the kernel accounts it: worker threads of the ring included.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// User and system time this process has used.
pub fn process_cpu_time() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// User and system time the calling thread has used.
pub fn thread_cpu_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    #[test]
    fn work_costs_cpu_time() {
        let before = super::process_cpu_time();
        let mut sum = 0u64;
        for i in 0..20_000_000u64 {
            sum = std::hint::black_box(sum.wrapping_add(i));
        }
        assert!(super::process_cpu_time() > before, "{sum}");
    }
}
