//! How many descriptors this process may still open.

use rustix::process::{Resource, getrlimit};
use std::fs;

/// Descriptors below the limit that nothing has open now; `None` if there is no limit, or no way to
/// find out.
pub fn left() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile).current?;
    let open = match fs::read_dir("/proc/self/fd") {
        Ok(open) => open.count(),
        Err(e) if e.raw_os_error() == Some(libc::EMFILE) => return Some(0),
        // Not mounted, perhaps.
        Err(_) => return None,
    };
    // The folder that is being read is one of them.
    Some(limit.saturating_sub(open.saturating_sub(1) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_not_left() {
        // Other tests open and close files meanwhile, but not as many.
        const FILES: u64 = 200;
        let before = left().unwrap();
        let files: Vec<_> = (0..FILES).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let after = left().unwrap();
        assert!(before.abs_diff(after + FILES) < FILES / 2, "{before} {after}");
        drop(files);
    }
}
