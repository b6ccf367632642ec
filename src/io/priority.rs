//! The priority of a thread that works beside the transfer.

use rustix::process::setpriority_process;

/// The lowest one (setpriority(2)): a thread that has it takes what the others leave of a
/// processor. The disk's share follows from it, as the idle classes of I/O are of few schedulers.
const NICE_MAX: i32 = 19;

/// Lets all other threads go first. On Linux the priority is the calling thread's own, not the
/// process's, in spite of the call's name (setpriority(2), "C library/kernel differences").
pub fn lower_this_thread() {
    // Lowering is allowed to everybody; refused, the thread just takes its share.
    let _ = setpriority_process(None, NICE_MAX);
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    #[test]
    fn only_the_calling_thread_is_lowered() {
        let before = getpriority_process(None).unwrap();
        let lowered = std::thread::spawn(|| {
            super::lower_this_thread();
            getpriority_process(None).unwrap()
        });
        assert_eq!(lowered.join().unwrap(), super::NICE_MAX);
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
