//! Locks on bytes of a file that several processes share, on several machines where the file system
//! has them (NFS with its lock manager, Lustre with `flock`, CephFS, GPFS). A lock belongs to the
//! open file and ends with it, be it by a crash: none can be left behind. The bytes need not be
//! there. Must not know what a byte stands for.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// What became of a wish for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// It is ours.
    Ours,
    /// Another open file has a lock on some of the bytes.
    Taken,
    /// The file system has no such locks: nobody is kept out.
    Unsupported,
}

/// Takes the bytes from `start` on, `len` of them, for this open file alone, if nobody has any of
/// them. What it has already it keeps.
pub fn try_lock(file: &File, start: u64, len: u64) -> io::Result<Lock> {
    match set(file, libc::F_WRLCK, start, len) {
        Ok(()) => Ok(Lock::Ours),
        Err(e) => match e.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(Lock::Taken),
            Some(libc::ENOLCK | libc::ENOSYS | libc::EOPNOTSUPP | libc::EINVAL) => {
                Ok(Lock::Unsupported)
            }
            _ => Err(e),
        },
    }
}

/// Gives up whatever this open file has of these bytes.
pub fn unlock(file: &File, start: u64, len: u64) -> io::Result<()> {
    set(file, libc::F_UNLCK, start, len)
}

fn set(file: &File, kind: libc::c_int, start: u64, len: u64) -> io::Result<()> {
    let offset = |bytes| i64::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput);
    #[allow(clippy::cast_possible_truncation, reason = "these constants are below 2^15")]
    let lock = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: offset(start)?,
        l_len: offset(len)?,
        // The kernel wants 0 for locks of open files.
        l_pid: 0,
    };
    loop {
        // SAFETY: the descriptor is open as long as `file` is borrowed; the kernel reads `lock`,
        // which lives until the call returns, and keeps no pointer to it.
        let status = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
        if status == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_one_open_files_at_a_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().read(true).write(true).open(file.path()).unwrap();
        let (one, other) = (open(), open());
        let base = 1 << 62;
        assert_eq!(try_lock(&one, base + 1, 1).unwrap(), Lock::Ours);
        assert_eq!(try_lock(&one, base + 1, 1).unwrap(), Lock::Ours, "it has it already");
        assert_eq!(try_lock(&other, base + 1, 1).unwrap(), Lock::Taken);
        assert_eq!(try_lock(&other, base + 2, 1).unwrap(), Lock::Ours);
        assert_eq!(try_lock(&one, base, 10).unwrap(), Lock::Taken, "not half of it either");
        unlock(&other, base + 2, 1).unwrap();
        assert_eq!(try_lock(&one, base, 10).unwrap(), Lock::Ours);
        let again = one.try_clone().unwrap();
        drop(one);
        assert_eq!(try_lock(&other, base + 1, 1).unwrap(), Lock::Taken, "a clone keeps it");
        drop(again);
        assert_eq!(try_lock(&other, base + 1, 1).unwrap(), Lock::Ours);
    }
}
