//! What is measured: a setting of ringhaul, or another tool. Owns the grid and its names.

use super::peer::Peer;
use crate::base::limits::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN};
use crate::base::size::{KIB, MIB};
use crate::engine::options::Engine;
use std::ffi::OsString;
use std::fmt;

/// Runs of the single stream, which the others are held against, before it may be given up: enough
/// for a median, and it is the slowest of all where connections pay.
const BASELINE_RUNS_MIN: u32 = 3;

/// One row of the results, measured once per round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// ringhaul without options.
    Auto,
    /// One request for the whole file on one connection: the baseline.
    Single {
        /// Size of the file.
        bytes: u64,
    },
    /// A cell of the grid.
    Cell {
        /// Bytes of one request.
        chunk_bytes: u64,
        /// Connections at once.
        connections: u32,
    },
    /// This number of connections, the rest left to ringhaul.
    Connections(u32),
    /// Another engine than the one of all other rows.
    On {
        /// Which one.
        engine: Engine,
        /// Connections at once, where they are fixed.
        connections: Option<u32>,
    },
    /// Another tool, and the number of connections it is told to use if it can.
    Peer(Peer, u32),
    /// Another tool with a list of files, and the number it is told to fetch at a time.
    PeerList(Peer, u32),
}

impl Entry {
    /// The other tool, where it is one.
    pub fn peer(self) -> Option<Peer> {
        match self {
            Entry::Peer(peer, _) | Entry::PeerList(peer, _) => Some(peer),
            Entry::Auto
            | Entry::Single { .. }
            | Entry::Cell { .. }
            | Entry::Connections(_)
            | Entry::On { .. } => None,
        }
    }

    /// ringhaul's options for it; `None` for another tool.
    pub(in crate::bench) fn options(self) -> Option<Vec<OsString>> {
        let (chunk_bytes, connections) = match self {
            Entry::Auto => (None, None),
            Entry::Single { bytes } => (Some(bytes), Some(1)),
            Entry::Cell { chunk_bytes, connections } => (Some(chunk_bytes), Some(connections)),
            Entry::Connections(connections) => (None, Some(connections)),
            Entry::On { connections, .. } => (None, connections),
            Entry::Peer(..) | Entry::PeerList(..) => return None,
        };
        let mut options = Vec::new();
        if let Some(bytes) = chunk_bytes {
            options.extend(["--chunk-size".into(), bytes.to_string().into()]);
        }
        if let Some(connections) = connections {
            options.extend(["--connections".into(), connections.to_string().into()]);
        }
        Some(options)
    }

    /// Bytes of one request, where they are fixed.
    pub fn chunk_bytes(self) -> Option<u64> {
        match self {
            Entry::Single { bytes } => Some(bytes),
            Entry::Cell { chunk_bytes, .. } => Some(chunk_bytes),
            Entry::Auto
            | Entry::Connections(_)
            | Entry::On { .. }
            | Entry::Peer(..)
            | Entry::PeerList(..) => None,
        }
    }

    /// Connections at once, where they are fixed.
    pub fn connections(self) -> Option<u32> {
        match self {
            Entry::Auto => None,
            Entry::On { connections, .. } => connections,
            Entry::Single { .. } => Some(1),
            Entry::Cell { connections, .. }
            | Entry::Connections(connections)
            | Entry::Peer(_, connections)
            | Entry::PeerList(_, connections) => Some(connections),
        }
    }

    /// The engine, where it is not the one of all other rows.
    pub(in crate::bench) fn engine(self) -> Option<Engine> {
        match self {
            Entry::On { engine, .. } => Some(engine),
            Entry::Auto
            | Entry::Single { .. }
            | Entry::Cell { .. }
            | Entry::Connections(_)
            | Entry::Peer(..)
            | Entry::PeerList(..) => None,
        }
    }

    /// Indicates whether the other entries are compared with it.
    pub(in crate::bench) fn is_reference(self) -> bool {
        matches!(self, Entry::Auto | Entry::Single { .. })
    }

    /// Rounds after which it may be given up; `None` for never.
    pub(in crate::bench) fn rounds_min(self) -> Option<u32> {
        match self {
            Entry::Auto => None,
            Entry::Single { .. } => Some(BASELINE_RUNS_MIN),
            Entry::Cell { .. }
            | Entry::Connections(_)
            | Entry::On { .. }
            | Entry::Peer(..)
            | Entry::PeerList(..) => Some(1),
        }
    }
}

impl fmt::Display for Entry {
    /// `auto`, `single stream`, `4M x 8`, `ringhaul -c 4`, `aria2c, 4 connections`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Entry::Auto => "auto".to_owned(),
            Entry::Single { .. } => "single stream".to_owned(),
            Entry::Cell { chunk_bytes, connections } => {
                format!("{} x {connections}", short_size(chunk_bytes))
            }
            Entry::Connections(connections) => format!("ringhaul -c {connections}"),
            Entry::On { engine, connections: None } => format!("auto, {engine}"),
            Entry::On { engine, connections: Some(connections) } => {
                format!("ringhaul -c {connections}, {engine}")
            }
            Entry::Peer(peer, connections) => peer.label(connections),
            Entry::PeerList(peer, parallel) => peer.list_label(parallel),
        };
        f.pad(&text)
    }
}

/// `256K`, `4M`, or the plain number.
pub fn short_size(bytes: u64) -> String {
    match bytes {
        _ if bytes > 0 && bytes.is_multiple_of(MIB) => format!("{}M", bytes / MIB),
        _ if bytes > 0 && bytes.is_multiple_of(KIB) => format!("{}K", bytes / KIB),
        _ => bytes.to_string(),
    }
}

/// The entries of a sweep: auto, the baseline, and the cells that a file of `bytes` has work for;
/// and those it has not, where some connections would never get a request.
pub(in crate::bench) fn grid(
    chunks: &[u64],
    connections: &[u32],
    bytes: u64,
) -> (Vec<Entry>, Vec<Entry>) {
    let cells = chunks.iter().flat_map(|&chunk_bytes| {
        connections.iter().map(move |&connections| Entry::Cell { chunk_bytes, connections })
    });
    let has_work = |entry: &Entry| {
        let (chunk, count) = (entry.chunk_bytes(), entry.connections());
        let wanted = chunk.unwrap_or(0).saturating_mul(count.unwrap_or(0).into());
        wanted <= bytes
    };
    let (cells, too_large): (Vec<Entry>, Vec<Entry>) = cells.partition(has_work);
    let mut entries = Vec::new();
    if !cells.is_empty() {
        let bytes = bytes.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        entries.extend([Entry::Auto, Entry::Single { bytes }]);
    }
    entries.extend(cells);
    (entries, too_large)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_leaves_out_what_the_file_has_no_work_for() {
        let names = |entries: Vec<Entry>| entries.iter().map(Entry::to_string).collect::<Vec<_>>();
        let (entries, too_large) = grid(&[MIB, 4 * MIB], &[1, 4], 8 * MIB);
        assert_eq!(names(entries), ["auto", "single stream", "1M x 1", "1M x 4", "4M x 1"]);
        assert_eq!(names(too_large), ["4M x 4"]);
        assert_eq!(grid(&[MIB], &[1], 7).0, []);
    }

    #[test]
    fn entries_become_options() {
        let cell = Entry::Cell { chunk_bytes: 4096, connections: 2 };
        let options = cell.options().unwrap().join(std::ffi::OsStr::new(" "));
        assert_eq!(options, "--chunk-size 4096 --connections 2");
        assert!(Entry::Auto.options().unwrap().is_empty());
        assert_eq!(Entry::Peer(Peer::Curl, 4).options(), None);
        assert_eq!((short_size(4096), short_size(5)), ("4K".to_owned(), "5".to_owned()));
    }
}
