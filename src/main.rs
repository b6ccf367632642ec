//! The `ringhaul` command: parse, run, print one error line, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    match ringhaul::internal::cli::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit_code)
        }
    }
}
