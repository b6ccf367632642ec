//! Writes to a descriptor that takes bytes in order: a pipe, a FIFO, a socket, a terminal, or a
//! file from its current position on. Must not know what the bytes are.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::fs::File;
use std::io;

/// The default of `/proc/sys/fs/pipe-max-size` (pipe(7)).
const PIPE_BYTES: usize = 1 << 20;

/// Writes all of `bytes` (blocking), however often the kernel has to be asked. Where the descriptor
/// is non-blocking, which whoever else has it open may have decided, waits until it is writable.
///
/// A reader that is gone is an error (EPIPE), as long as the process ignores SIGPIPE; the Rust
/// runtime makes it do so.
pub fn write_all(file: &File, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(file, rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(Errno::AGAIN) => wait_until_writable(file)?,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Gives a pipe the most room that an ordinary user may ask for, so that its reader and its writer
/// wait for each other less often. Whatever is no pipe stays as it is.
pub fn enlarge(file: &File) {
    // A pipe that may not grow, as its user has used up his allowance, works all the same.
    _ = rustix::pipe::fcntl_setpipe_size(file, PIPE_BYTES);
}

fn wait_until_writable(file: &File) -> io::Result<()> {
    match poll(&mut [PollFd::new(file, PollFlags::OUT)], None) {
        // What has happened, an error too, the next write tells.
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_full_non_blocking_descriptor_is_waited_for() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours = File::from(OwnedFd::from(ours));
        // Many times what the socket's buffers hold.
        let bytes: Vec<u8> = (0..=250).cycle().take(4 << 20).collect();
        let received = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut received = vec![0; bytes.len()];
                theirs.read_exact(&mut received).unwrap();
                received
            });
            write_all(&ours, &bytes).unwrap();
            reader.join().unwrap()
        });
        assert!(received == bytes);
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let error = write_all(&File::from(OwnedFd::from(writer)), b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
