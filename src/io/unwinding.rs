//! What a driver does behind a panic: nothing of it is freed while the kernel, or a thread that
//! writes, may still use its memory.

use crate::base::limits::DRAIN_TIME_MAX;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// Runs `work`. If it panics, `drain` waits, for the given time at most, until nothing is in flight
/// any more. If it returns `true`, the panic goes on; otherwise the process ends here, as memory
/// that operations still own would be freed under them.
pub fn drained<T>(work: impl FnOnce() -> T, drain: impl FnOnce(Duration) -> bool) -> T {
    let panic = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(output) => return output,
        Err(panic) => panic,
    };
    // One more panic in there proves nothing.
    if !catch_unwind(AssertUnwindSafe(|| drain(DRAIN_TIME_MAX))).unwrap_or(false) {
        abort();
    }
    resume_unwind(panic)
}

#[allow(clippy::print_stderr, reason = "the last words of the process")]
fn abort() -> ! {
    eprintln!(
        "ringhaul: a bug in ringhaul: what was in flight at the panic above does not end within \
         {DRAIN_TIME_MAX:?}; the process ends here, as its memory cannot be freed safely"
    );
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::buffers::Pool;
    use crate::io::driver::{Driver, DriverKind};
    use crate::io::patience::Limits;
    use crate::io::socket::Socket;
    use std::net::TcpListener;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    fn what_goes_well_is_not_drained() {
        assert_eq!(drained(|| 7, |_| unreachable!("nothing has happened")), 7);
    }

    #[test]
    fn a_panic_goes_on_behind_the_drain() {
        let mut is_drained = false;
        let drain = |_| {
            is_drained = true;
            true
        };
        let panicked = catch_unwind(AssertUnwindSafe(|| drained(|| panic!("the test's"), drain)));
        let panic = panicked.err().and_then(|panic| panic.downcast::<&str>().ok());
        assert_eq!(panic.as_deref(), Some(&"the test's"));
        assert!(is_drained);
    }

    /// Set in the process that is to end.
    const CHILD: &str = "RINGHAUL_TEST_UNWINDING";

    /// A receive whose socket is lost: nobody shuts it down, and nothing comes.
    fn panic_with_a_receive_that_does_not_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let pool = Pool::new(1).unwrap();
        Driver::new(DriverKind::IoUring).unwrap().run(async {
            let limits = Limits::alone(Duration::from_secs(60));
            let socket =
                std::mem::ManuallyDrop::new(Socket::connect(address, limits).await.unwrap());
            let receive = socket.receive_all(pool.lease().await, 100, 0);
            let waited = tokio::time::timeout(Duration::from_millis(5), receive).await;
            assert!(waited.is_ok(), "as a bug would");
        });
    }

    #[test]
    fn a_process_that_cannot_free_its_memory_safely_ends() {
        if std::env::var_os(CHILD).is_some() {
            return panic_with_a_receive_that_does_not_end();
        }
        let name = "io::unwinding::tests::a_process_that_cannot_free_its_memory_safely_ends";
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program);
        child.args([name, "--exact", "--nocapture"]).env(CHILD, "1");
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
        assert!(said.contains("as a bug would"), "the panic is told too: {said}");
        assert!(said.contains("does not end within"), "{said}");
    }
}
