//! What the kernel knows of a TCP connection. The receiver sees neither the sender's window nor its
//! retransmissions; what it sees of them is what arrives out of order. Must not know who asks.

use std::os::fd::{AsRawFd, BorrowedFd};

#[allow(clippy::cast_possible_truncation, reason = "a few hundred bytes")]
const TCP_INFO_BYTES: libc::socklen_t = size_of::<libc::tcp_info>() as libc::socklen_t;

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
    /// Segments with data that arrived, in order or not (Linux 4.6).
    pub segments: u32,
    /// Segments that arrived out of order (Linux 5.4): losses and reordering on the way.
    pub out_of_order: u32,
}

impl TcpInfo {
    /// What the kernel knows now; `None` if it is no TCP connection.
    pub fn of(socket: BorrowedFd) -> Option<Self> {
        // SAFETY: the structure is plain integers, for which zero is a value.
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        let mut len = TCP_INFO_BYTES;
        // SAFETY: the kernel writes at most `len` bytes into `info`; what an old kernel does not
        // fill stays zero.
        let status = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                std::ptr::from_mut(&mut info).cast(),
                &raw mut len,
            )
        };
        (status == 0).then_some(Self {
            rtt_us: info.tcpi_rtt,
            receiver_rtt_us: info.tcpi_rcv_rtt,
            receive_space_bytes: info.tcpi_rcv_space,
            send_window_segments: info.tcpi_snd_cwnd,
            retransmits: info.tcpi_total_retrans,
            received_bytes: info.tcpi_bytes_received,
            sent_bytes: info.tcpi_bytes_acked,
            segments: info.tcpi_data_segs_in,
            out_of_order: info.tcpi_rcv_ooopack,
        })
    }
}
