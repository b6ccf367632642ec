//! Which of our operations this kernel's io_uring has.

use io_uring::{IoUring, Probe, opcode};
use std::io;

/// Every opcode the engine uses, by the kernel's name.
const USED: &[(&str, u8)] = &[
    ("RECV", opcode::Recv::CODE),
    ("SEND", opcode::Send::CODE),
    ("WRITE", opcode::Write::CODE),
    ("WRITE_FIXED", opcode::WriteFixed::CODE),
];

/// Sets a small ring up and asks it; the names of missing opcodes, or why there is no ring.
pub fn missing() -> io::Result<Vec<&'static str>> {
    let ring = IoUring::new(4)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    let lacking = USED.iter().filter(|(_, code)| !probe.is_supported(*code));
    Ok(lacking.map(|(name, _)| *name).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_kernel_has_them_all() {
        assert_eq!(super::missing().unwrap(), Vec::<&str>::new());
    }
}
