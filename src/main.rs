//! The `ringhaul` command: parse, run, print one error line, exit code.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match ringhaul::internal::cli::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.line.is_empty() {
                // Nobody may be reading; the exit code still tells.
                let _ = writeln!(std::io::stderr(), "{}", failure.line);
            }
            ExitCode::from(failure.exit_code)
        }
    }
}
