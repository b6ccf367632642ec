//! What a test leaves out on this machine, said in one line past the capturing of test output, so
//! that `.ci/run` can count and repeat these lines: `SKIPPED: test: reason`.

use std::io::Write;

/// Says that the test of this thread leaves something out, and why.
pub(crate) fn skipped(reason: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED: {}: {reason}\n", thread.name().unwrap_or("a test"));
    // Print macros are captured, this is not. Who closed standard error does not want to know.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
