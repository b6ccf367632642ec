//! What the kernel knows of a TCP connection. The receiver sees neither the sender's window nor its
//! retransmissions; what it sees of them is what arrives out of order. Must not know who asks.

use std::os::fd::{AsRawFd, BorrowedFd};

/// Fields of SO_MEMINFO.
const MEMORY_FIELDS: usize = 9;

/// What the kernel knows of a TCP connection (TCP_INFO).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round trip in microseconds, of our own segments.
    pub rtt_us: u32,
    /// Round trip in microseconds as the receiver estimates it from the data; 0 if unknown.
    pub receiver_rtt_us: u32,
    /// Receive buffer in bytes as autotuning has it.
    pub receive_space_bytes: u32,
    /// Our own congestion window in segments.
    pub send_window_segments: u32,
    /// Segments of ours that were sent again.
    pub retransmits: u32,
    /// Bytes received in order (Linux 4.1).
    pub received_bytes: u64,
    /// Bytes of ours the peer has acknowledged (Linux 4.1).
    pub sent_bytes: u64,
    /// What of that has not been read, once anything came out of order (FIONREAD).
    pub unread_bytes: u64,
    /// Memory for all that has not been read, once anything came out of order: what waits behind a
    /// hole can be seen nowhere else (SO_MEMINFO, Linux 4.12).
    pub memory_bytes: u64,
    /// Segments that arrived out of order (Linux 5.4): losses and reordering on the way.
    pub out_of_order: u32,
}

impl TcpInfo {
    /// What the kernel knows now; `None` if it is no TCP connection.
    pub fn of(socket: BorrowedFd) -> Option<Self> {
        // SAFETY: the structure is plain integers, for which zero is a value.
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        // SAFETY: any bytes are plain integers; what an old kernel does not fill stays zero.
        let is_told = unsafe { read(socket, libc::IPPROTO_TCP, libc::TCP_INFO, &mut info) };
        let (unread_bytes, memory_bytes) =
            if info.tcpi_rcv_ooopack > 0 { unread(socket) } else { (0, 0) };
        is_told.then_some(Self {
            rtt_us: info.tcpi_rtt,
            receiver_rtt_us: info.tcpi_rcv_rtt,
            receive_space_bytes: info.tcpi_rcv_space,
            send_window_segments: info.tcpi_snd_cwnd,
            retransmits: info.tcpi_total_retrans,
            received_bytes: info.tcpi_bytes_received,
            sent_bytes: info.tcpi_bytes_acked,
            unread_bytes,
            memory_bytes,
            out_of_order: info.tcpi_rcv_ooopack,
        })
    }
}

/// Bytes that can be read, and memory that the kernel holds for these and for what waits behind a
/// hole; nothing of either where the kernel does not tell.
fn unread(socket: BorrowedFd) -> (u64, u64) {
    let mut memory = [0_u32; MEMORY_FIELDS];
    // SAFETY: any bytes are plain integers.
    let is_told = unsafe { read(socket, libc::SOL_SOCKET, libc::SO_MEMINFO, &mut memory) };
    match rustix::io::ioctl_fionread(socket) {
        Ok(unread_bytes) if is_told => {
            (unread_bytes, u64::from(memory[libc::SK_MEMINFO_RMEM_ALLOC as usize]))
        }
        _ => (0, 0),
    }
}

/// Has the kernel write an option of the socket into `value`; says whether it did.
///
/// # Safety
/// `T` must be plain integers, for which any bytes are a value.
unsafe fn read<T>(
    socket: BorrowedFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &mut T,
) -> bool {
    #[allow(clippy::cast_possible_truncation, reason = "a few hundred bytes")]
    let mut len = size_of::<T>() as libc::socklen_t;
    let start = std::ptr::from_mut(value).cast();
    // SAFETY: the kernel writes at most `len` bytes into `value`, and the caller allows any.
    unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, start, &raw mut len) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{RecvFlags, recv};
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn what_is_not_read_is_told_with_the_memory_it_takes() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let mut sender = TcpStream::connect(listener.local_addr().expect("bound")).expect("it");
        let (receiver, _) = listener.accept().expect("it connects");
        assert_eq!(unread(receiver.as_fd()), (0, 0));
        sender.write_all(&[7; 30_000]).expect("it fits");
        let mut seen = [0; 30_000];
        let flags = RecvFlags::PEEK | RecvFlags::WAITALL;
        recv(&receiver, &mut seen, flags).expect("all of it is there");
        let (unread_bytes, memory_bytes) = unread(receiver.as_fd());
        assert_eq!(unread_bytes, 30_000);
        assert!((30_000..1_000_000).contains(&memory_bytes), "{memory_bytes}");
        let info = TcpInfo::of(receiver.as_fd()).expect("TCP");
        assert_eq!((info.received_bytes, info.memory_bytes), (30_000, 0), "nothing was lost");
    }
}
