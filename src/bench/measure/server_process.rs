//! The server of a bench without a URL: the built-in one as a process of its own, so that its work
//! is not taken for the client's. It ends when this process does, however that happens.

use crate::base::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running server; dropping it stops it.
pub(in crate::bench) struct ServerProcess {
    command: Command,
    running: Running,
    /// What a server said at its end: which rate it could not give.
    shortfall: Option<String>,
    /// Where the file is.
    pub(in crate::bench) url: String,
}

/// The process, and what it says behind its URL.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl ServerProcess {
    /// Starts `program` with `arguments`, and waits for the line in which it says where it serves;
    /// its certificate is where it was to be written by then. It stops when its standard input
    /// ends, and no environment variable moves it.
    pub(in crate::bench) fn start(
        program: &Path,
        arguments: &[OsString],
        certificate: Option<&Path>,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).env_clear();
        if let Some(path) = certificate {
            command.arg("--cert-out").arg(path);
        }
        // Ctrl-C ends the bench, which then ends its server.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let (running, url) = start(&mut command)?;
        Ok(Self { command, running, shortfall: None, url })
    }

    /// Stops it and starts another one, which remembers nothing.
    pub(in crate::bench) fn renew(&mut self) -> Result<()> {
        self.stop();
        (self.running, self.url) = start(&mut self.command)?;
        Ok(())
    }

    /// Stops it; returns the latest line in which it, or one before it, said that it could not give
    /// the rate it was asked for.
    pub(in crate::bench) fn end(mut self) -> Option<String> {
        self.stop();
        self.shortfall.take()
    }

    fn stop(&mut self) {
        drop(self.running.child.stdin.take());
        let mut said = String::new();
        // What cannot be read was not said.
        let _ = self.running.output.read_to_string(&mut said);
        if !said.trim().is_empty() {
            self.shortfall = Some(said.trim().to_owned());
        }
        // It has ended already, or ends now.
        let _ = self.running.child.wait();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The process, and the URL of its file.
fn start(command: &mut Command) -> Result<(Running, String)> {
    let failed = |what: &str| Error::new(ErrorKind::ResourceLimit, what.to_owned());
    let mut child = command
        .spawn()
        .map_err(|cause| failed("cannot start the built-in server").caused_by(cause))?;
    let mut output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
    let mut url = String::new();
    let read = output.read_line(&mut url);
    if read.is_err() || url.trim().is_empty() {
        drop(child.stdin.take());
        // It has ended already, or ends now.
        let _ = child.wait();
        return Err(failed("the built-in server ended at once")
            .advise("what it said stands above this line"));
    }
    // The file is at every path, and some tools want a name.
    Ok((Running { child, output }, format!("{}bench.bin", url.trim())))
}
